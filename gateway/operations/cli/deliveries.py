"""Commands on deliveries: what waits, what was given up, and another attempt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from getpass import getuser
from typing import Any, TypeVar

import click
import msgspec

from gateway.delivery.breaker import state_of
from gateway.model import Delivery
from gateway.operations.cli.books import ledger
from gateway.operations.cli.say import Trouble, as_json, emit
from gateway.storage import Breaker

F = TypeVar("F", bound=Callable[..., Any])

KINDS = ("backend:", "answer:", "push:", "publish:")
DEFAULT_LIMIT = 100


class Waiting(msgspec.Struct, frozen=True):
    """A delivery that has not arrived.  ``state``: due or dead; ``payload``: a message's id, or an
    outgoing's where it is pushed, or a decision's where it is published; ``error``: of the last attempt, or
    why it was skipped; ``behind``: the delivery that has to arrive before it, told by ``show``."""

    id: str
    state: str
    destination: str
    payload: str
    due_at: datetime
    attempts: int
    error: str
    behind: str = ""


class Broken(msgspec.Struct, frozen=True):
    """A destination that fails as a whole.  ``state``: closed (it failed, and is sent what is due), open
    (nothing), half-open (one message, to see)."""

    destination: str
    state: str
    failures: int
    since: datetime
    probe_at: datetime
    error: str


def _accounted(*, why_required: bool) -> Callable[[F], F]:
    """Add who acts and why, as the journal keeps it."""

    def add(command: F) -> F:
        text = "Why; journalled."
        optional = click.option("--reason", default="", help=text)
        why = click.option("--reason", required=True, help=text) if why_required else optional
        who = click.option("--by", "officer", default=getuser, help="Who acts; else the login's name.")
        return why(who(command))

    return add


@click.group()
def deliveries() -> None:
    """What is on its way to customs and to partners, and what was given up.

    \b
    cvan --home HOME deliveries list
    """


@deliveries.command(name="list")
@click.option("--dead", "only_dead", is_flag=True, help="Only those that are not tried again.")
@click.option("--limit", default=DEFAULT_LIMIT, type=click.IntRange(min=1), help="At most so many a kind.")
@as_json
@click.pass_context
def waiting(context: click.Context, only_dead: bool, limit: int, in_json: bool) -> None:
    """Deliveries that have not arrived, oldest first; those given up stand last.

    \b
    cvan --home HOME deliveries list --dead
    """
    found: list[Waiting] = []
    with ledger(context) as books:
        for kind in () if only_dead else KINDS:
            found += [_waiting("due", d) for d in books.due(kind, limit)]
        for kind in KINDS:
            found += [_waiting("dead", d) for d in books.dead_letters(kind, limit)]
        broken = [_broken_line(_broken(b)) for b in books.breakers("").values()]
    emit(in_json, found, [*broken, *(line for each in found for line in _lines(each))] or ["nothing waits"])


@deliveries.command()
@as_json
@click.pass_context
def destinations(context: click.Context, in_json: bool) -> None:
    """Destinations that fail as a whole, and when each is tried again; every other one works.

    \b
    cvan --home HOME deliveries destinations
    """
    with ledger(context) as books:
        broken = [_broken(b) for b in books.breakers("").values()]
    emit(in_json, broken, [_broken_line(each) for each in broken] or ["every destination works"])


@deliveries.command()
@click.argument("identity")
@as_json
@click.pass_context
def show(context: click.Context, identity: str, in_json: bool) -> None:
    """One delivery: its state and why, and what it waits behind.

    \b
    cvan --home HOME deliveries show 01m9x4t2r8qz5v7k3c6n0d1e2f.1
    """
    with ledger(context) as books:
        found = books.delivery(identity)
        if found is None:
            raise Trouble(f"no delivery {identity}; `cvan deliveries list` shows what has not arrived")
        told = _waiting(found[1], found[0], books.ahead(found[0]))
    emit(in_json, told, _lines(told))


@deliveries.command()
@click.argument("identity")
@_accounted(why_required=False)
@as_json
@click.pass_context
def retry(context: click.Context, identity: str, officer: str, reason: str, in_json: bool) -> None:
    """Try a dead delivery again, as if for the first time; its id is in the list.

    \b
    cvan --home HOME deliveries retry 01m9x4t2r8qz5v7k3c6n0d1e2f.1 --reason "receiver mended"
    """
    with ledger(context) as books:
        if not books.revive([identity], datetime.now(UTC), _note(officer, reason)):
            raise Trouble(f"no dead delivery {identity}; `cvan deliveries list --dead` shows all")
    emit(in_json, {"id": identity, "due": True}, [f"{identity}: due now"])


@deliveries.command()
@click.argument("outgoing")
@_accounted(why_required=False)
@as_json
@click.pass_context
def resend(context: click.Context, outgoing: str, officer: str, reason: str, in_json: bool) -> None:
    """Offer a message to its partner once more, delivered or not: in the mailbox, and by push.

    OUTGOING is the message's id: Cvan-Delivery of a push, the id in a mailbox.

    \b
    cvan --home HOME deliveries resend 01m9x4t2s1aaaaaaaaaaaaaaaa --reason "they lost it"
    """
    with ledger(context) as books:
        if not books.resend(outgoing, datetime.now(UTC), _note(officer, reason)):
            raise Trouble(f"no message {outgoing} was ever made for a partner")
    emit(in_json, {"id": outgoing, "offered": True}, [f"{outgoing}: offered again"])


@deliveries.command()
@click.argument("identity")
@_accounted(why_required=True)
@as_json
@click.pass_context
def skip(context: click.Context, identity: str, officer: str, reason: str, in_json: bool) -> None:
    """Give a delivery up for good, so that what waits behind it goes on.

    What was filed and is not handed over is refused to who filed it, with the reason; so write it for
    them.  What was to be pushed stays in the mailbox.

    \b
    cvan --home HOME deliveries skip 01m9x4t2r8qz5v7k3c6n0d1e2f.1 --reason "unreadable at customs: file it anew"
    """
    with ledger(context) as books:
        try:
            skipped = books.skip(identity, datetime.now(UTC), officer, reason.strip())
        except ValueError as error:
            raise Trouble(str(error)) from error
        if not skipped:
            raise Trouble(f"{identity} is no delivery that waits: `cvan deliveries show` says what it is")
    emit(in_json, {"id": identity, "skipped": True}, [f"{identity}: skipped; it is not tried again"])


def _note(officer: str, reason: str) -> str:
    return f"{officer}: {reason}" if reason else officer


def _broken(breaker: Breaker) -> Broken:
    return Broken(
        destination=breaker.destination,
        state=state_of(breaker, datetime.now(UTC)),
        failures=breaker.failures,
        since=breaker.since,
        probe_at=breaker.probe_at,
        error=breaker.error,
    )


def _broken_line(each: Broken) -> str:
    tried = f"tried again {each.probe_at:%Y-%m-%d %H:%M:%S}"
    return f"{each.destination}  {each.state} after {each.failures} failures, {tried}: {each.error}"


def _waiting(state: str, delivery: Delivery, behind: str = "") -> Waiting:
    return Waiting(
        id=delivery.id,
        state=state,
        destination=delivery.destination,
        payload=delivery.payload,
        due_at=delivery.due_at,
        attempts=delivery.attempts,
        error=delivery.error,
        behind=behind,
    )


def _lines(each: Waiting) -> Iterator[str]:
    when = f" next {each.due_at:%Y-%m-%d %H:%M:%S}" if each.state == "due" else ""
    yield f"{each.id}  {each.state:4} {each.destination} attempts {each.attempts}{when}"
    if each.error:
        yield f"  {each.error}"
    if each.behind:
        yield f"  waits behind {each.behind}"


COMMANDS = (deliveries,)
