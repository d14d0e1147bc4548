"""Commands on deliveries: what waits, what was given up, and another attempt."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import click
import msgspec

from gateway.model import Delivery
from gateway.operations.cli.books import ledger
from gateway.operations.cli.say import Trouble, as_json, emit

KINDS = ("backend:", "push:")
DEFAULT_LIMIT = 100


class Waiting(msgspec.Struct, frozen=True):
    """A delivery that has not arrived.  ``state``: due or dead; ``payload``: a message's id, or an
    outgoing's where it is pushed; ``error``: of the last attempt."""

    id: str
    state: str
    destination: str
    payload: str
    due_at: datetime
    attempts: int
    error: str


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
    emit(in_json, found, [line for each in found for line in _lines(each)] or ["nothing waits"])


@deliveries.command()
@click.argument("identity")
@as_json
@click.pass_context
def retry(context: click.Context, identity: str, in_json: bool) -> None:
    """Try a dead delivery again, as if for the first time; its id is in the list.

    \b
    cvan --home HOME deliveries retry 01m9x4t2r8qz5v7k3c6n0d1e2f.1
    """
    with ledger(context) as books:
        if not books.revive([identity], datetime.now(UTC)):
            raise Trouble(f"no dead delivery {identity}; `cvan deliveries list --dead` shows all")
    emit(in_json, {"id": identity, "due": True}, [f"{identity}: due now"])


@deliveries.command()
@click.argument("outgoing")
@as_json
@click.pass_context
def resend(context: click.Context, outgoing: str, in_json: bool) -> None:
    """Offer a message to its partner once more, delivered or not: in the mailbox, and by push.

    OUTGOING is the message's id: Cvan-Delivery of a push, the id in a mailbox.

    \b
    cvan --home HOME deliveries resend 01m9x4t2s1aaaaaaaaaaaaaaaa
    """
    with ledger(context) as books:
        if not books.resend(outgoing, datetime.now(UTC)):
            raise Trouble(f"no message {outgoing} was ever made for a partner")
    emit(in_json, {"id": outgoing, "offered": True}, [f"{outgoing}: offered again"])


def _waiting(state: str, delivery: Delivery) -> Waiting:
    return Waiting(
        id=delivery.id,
        state=state,
        destination=delivery.destination,
        payload=delivery.payload,
        due_at=delivery.due_at,
        attempts=delivery.attempts,
        error=delivery.error,
    )


def _lines(each: Waiting) -> Iterator[str]:
    when = f" next {each.due_at:%Y-%m-%d %H:%M:%S}" if each.state == "due" else ""
    yield f"{each.id}  {each.state:4} {each.destination} attempts {each.attempts}{when}"
    if each.error:
        yield f"  {each.error}"


COMMANDS = (deliveries,)
