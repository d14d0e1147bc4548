"""Commands on deliveries: what waits, what was given up, and what an operator does about it."""

from __future__ import annotations

from collections.abc import Callable
from getpass import getuser
from pathlib import Path

import click
import msgspec

from gateway.model import Declaration
from gateway.operations.cli.delivery_words import changed, delivery_lines, destination_line, whole, works
from gateway.operations.cli.deskroom import accounted, actor, desk_of, there
from gateway.operations.cli.say import Trouble, as_json, emit
from gateway.operations.desk import STATES, Desk
from gateway.transport.desk import Acted, Actor, Again, Editing, Filter

DEFAULT_LIMIT = 100


@click.group()
def deliveries() -> None:
    """What is on its way to customs and to partners, and what was given up.

    \b
    cvan --home HOME deliveries list
    """


@deliveries.command(name="list")
@click.option("--dead", "only_dead", is_flag=True, help="Only those that are not tried again.")
@click.option("--state", type=click.Choice(STATES), help="Only these; else all that have not arrived.")
@click.option("--destination", default="", help="Only to this one, or to a kind of them: push:")
@click.option(
    "--older", default=0, type=click.IntRange(min=0), help="Only those stored more than so many seconds ago."
)
@click.option("--after", default="", help="Go on where a page ended: what --json gave as next.")
@click.option("--limit", default=DEFAULT_LIMIT, type=click.IntRange(1, 100_000), help="At most so many.")
@as_json
@click.pass_context
def waiting(
    context: click.Context,
    only_dead: bool,
    state: str | None,
    destination: str,
    older: int,
    after: str,
    limit: int,
    in_json: bool,
) -> None:
    """Deliveries that have not arrived, by destination, oldest first; those given up stand last.

    \b
    cvan --home HOME deliveries list --dead
    cvan --home HOME deliveries list --destination push: --older 3600
    """
    wanted = Filter(destination, "dead" if only_dead else state or "", older, after, limit)
    with desk_of(context) as (desk, _):
        page = desk.deliveries(wanted)
        broken = [destination_line(each) for each in desk.destinations() if not works(each)]
    lines = [*broken, *(line for each in page.deliveries for line in delivery_lines(each))] or [
        "nothing waits"
    ]
    emit(in_json, page, [*lines, *([f"more: --after {page.next}"] if page.next else [])])


@deliveries.command()
@as_json
@click.pass_context
def destinations(context: click.Context, in_json: bool) -> None:
    """Destinations that fail, are paused, or are waited for; every other one works.

    \b
    cvan --home HOME deliveries destinations
    """
    with desk_of(context) as (desk, _):
        told = desk.destinations()
    emit(in_json, told, [destination_line(each) for each in told] or ["every destination works"])


@deliveries.command(name="dead-letters")
@as_json
@click.pass_context
def dead_letters(context: click.Context, in_json: bool) -> None:
    """What was given up, counted by destination and reason.

    \b
    cvan --home HOME deliveries dead-letters
    """
    with desk_of(context) as (desk, _):
        told = desk.dead_letters()
    lines = [f"{each.count:6}  {each.destination}  {each.error}" for each in told]
    emit(in_json, told, lines or ["nothing was given up"])


@deliveries.command()
@click.argument("identity")
@click.option("--declaration", is_flag=True, help="Print the declaration as it is handed over, in JSON.")
@as_json
@click.pass_context
def show(context: click.Context, identity: str, declaration: bool, in_json: bool) -> None:
    """One delivery: its state and why, what it carries and waits behind, and what befell it.

    \b
    cvan --home HOME deliveries show 01m9x4t2r8qz5v7k3c6n0d1e2f.1
    cvan --home HOME deliveries show 01m9x4t2r8qz5v7k3c6n0d1e2f.1 --declaration > d.json
    """
    with desk_of(context) as (desk, _):
        if declaration:
            handed_over = there(desk.handover(identity, actor(getuser())), identity)
            emit(True, handed_over.declaration, [])
            return
        shown = there(desk.delivery(identity), identity)
    emit(in_json, shown, whole(shown))


@deliveries.command()
@click.argument("identity")
@click.option(
    "--reread", is_flag=True, help="Read what was signed by today's mappings and rules, and hand that over."
)
@accounted(why_required=False)
@as_json
@click.pass_context
def again(
    context: click.Context, identity: str, reread: bool, officer: str, reason: str, in_json: bool
) -> None:
    """Send once more, at once: what was given up, waits for its next time, or has arrived.

    \b
    cvan --home HOME deliveries again 01m9x4t2r8qz5v7k3c6n0d1e2f.1 --reason "receiver mended"
    cvan --home HOME deliveries again 01m9x4t2r8qz5v7k3c6n0d1e2f.1 --reread --reason "mapping mended"
    """
    if reread and not reason.strip():
        raise Trouble("say why: --reason is needed with --reread")
    with desk_of(context) as (desk, _):
        acted = there(desk.again(identity, actor(officer), Again(reason, reread)), identity)
    same = ["nothing in it changed"] if reread and not acted.changes else []
    emit(in_json, acted, [f"{identity}: due now", *same, *changed(acted.changes)])


@deliveries.command()
@click.argument("identity")
@click.option(
    "--file",
    "corrected",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The declaration to hand over instead, as `show --declaration` printed it.",
)
@click.option("--address", default="", help="Where to push this message instead, on the registered host.")
@accounted(why_required=True)
@as_json
@click.pass_context
def edit(
    context: click.Context,
    identity: str,
    corrected: Path | None,
    address: str,
    officer: str,
    reason: str,
    in_json: bool,
) -> None:
    """Correct what is handed over, or where a message is pushed, and send that at once.

    What was signed stays as it is, and is handed over by name beside the correction.  Who filed, reference,
    function and registration are the signer's own.

    \b
    cvan --home HOME deliveries show ID --declaration > d.json
    cvan --home HOME deliveries edit ID --file d.json --reason "office code mistyped; agreed by telephone"
    """
    if (corrected is None) == (not address):
        raise Trouble("say what is corrected: --file for a hand-over, --address for a push")
    declaration = None if corrected is None else _declaration(corrected)
    with desk_of(context) as (desk, _):
        editing = Editing(reason, declaration, address)
        acted = there(desk.edit(identity, actor(officer), editing), identity)
    emit(in_json, acted, [f"{identity}: corrected, due now", *changed(acted.changes)])


@deliveries.command()
@click.argument("identity")
@accounted(why_required=True)
@as_json
@click.pass_context
def skip(context: click.Context, identity: str, officer: str, reason: str, in_json: bool) -> None:
    """Give a delivery up for good, so that what waits behind it goes on.

    What was filed and is not handed over is refused to who filed it, with the reason; so write it for
    them.  What was to be pushed stays in the mailbox.

    \b
    cvan --home HOME deliveries skip 01m9x4t2r8qz5v7k3c6n0d1e2f.1 --reason "unreadable at customs: file it anew"
    """
    with desk_of(context) as (desk, _):
        acted = there(desk.skip(identity, actor(officer), reason), identity)
    emit(in_json, acted, [f"{identity}: skipped; it is not tried again"])


@deliveries.command()
@click.argument("outgoing")
@accounted(why_required=False)
@as_json
@click.pass_context
def resend(context: click.Context, outgoing: str, officer: str, reason: str, in_json: bool) -> None:
    """Offer a message to its partner once more, delivered or not: in the mailbox, and by push.

    OUTGOING is the message's id: Cvan-Delivery of a push, the id in a mailbox.

    \b
    cvan --home HOME deliveries resend 01m9x4t2s1aaaaaaaaaaaaaaaa --reason "they lost it"
    """
    with desk_of(context) as (desk, _):
        if desk.resend(outgoing, actor(officer), reason) is None:
            raise Trouble(f"no message {outgoing} was ever made for a partner")
    emit(in_json, {"id": outgoing, "offered": True}, [f"{outgoing}: offered again"])


def _steering(
    name: str, act: Callable[[Desk, str, Actor, str], Acted], words: str, done: str
) -> click.Command:
    """A command on one destination."""
    example = f"cvan --home HOME deliveries {name} push:vanlink --reason ..."

    @click.command(name=name, help=f"{words}\n\n\b\n{example}")
    @click.argument("destination")
    @accounted(why_required=True)
    @as_json
    @click.pass_context
    def steer(context: click.Context, destination: str, officer: str, reason: str, in_json: bool) -> None:
        with desk_of(context) as (desk, _):
            acted = act(desk, destination, actor(officer), reason)
        emit(in_json, acted, [f"{destination}: {done}"])

    return steer


for _command in (
    _steering("pause", Desk.pause, "Send nothing to a destination, by any node.", "paused"),
    _steering("resume", Desk.resume, "Send to a paused destination again.", "resumed"),
    _steering("close", Desk.close, "Try a destination that fails with all that is due, now.", "closed"),
):
    deliveries.add_command(_command)


def _declaration(path: Path) -> Declaration:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Declaration)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Trouble(f"{path} is no declaration as `show --declaration` prints it: {error}") from error


COMMANDS = (deliveries,)
