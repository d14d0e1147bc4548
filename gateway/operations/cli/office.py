"""Commands of a customs officer: see the work, decide cases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

import click

from adapters.clearance import (
    CaseLine,
    CaseView,
    Channel,
    ConfigBroken,
    Move,
    NotAllowed,
    Office,
    SchemaTooNew,
    State,
    Unknown,
)
from adapters.clearance.settings import MAX_DAYS
from gateway.adapter import BackendUnavailable
from gateway.model import Kind
from gateway.operations import settings
from gateway.operations.cli.say import Trouble, as_json, emit, need_home

F = TypeVar("F", bound=Callable[..., Any])
STATES = [state.value for state in State]
CHANNELS = [channel.value for channel in Channel if channel is not Channel.NONE]
KINDS = [kind.value for kind in Kind if kind is not Kind.PAYMENT]
COMMAND_OF: dict[str, str] = {
    Move.DOCUMENTS_ACCEPTED: "accept-documents",
    Move.DOCUMENTS_ASKED: "ask-documents",
    Move.INSPECTION_ORDERED: "order-inspection",
    Move.INSPECTION_PASSED: "pass-inspection",
    Move.AMENDMENT_WANTED: "request-amendment",
    Move.REFUSED: "refuse",
    Move.DISCHARGED: "discharge",
    Move.HELD: "hold",
    Move.HOLD_RELEASED: "release-hold",
    Move.BLOCKED: "do-not-load, do-not-unload",
    Move.LIFTED: "lift",
}
"""What an officer types; other moves are the trader's, the bank's or the office's own."""


@contextmanager
def desk(context: click.Context) -> Iterator[Office]:
    """The officer's desk over the home's clearance database; its complaints become Trouble."""
    home = need_home(context)
    url = settings.database_url(home, settings.load(home).database.clearance)
    try:
        office = Office.open(url, home / "conf" / "clearance")
    except BackendUnavailable as error:
        raise Trouble(f"the office's database is not to be had: {error}") from error
    except (ConfigBroken, SchemaTooNew) as error:
        raise Trouble(str(error)) from error
    try:
        yield office
    except BackendUnavailable as error:
        raise Trouble(f"the office's database is not to be had: {error}") from error
    except NotAllowed as error:
        able = ", ".join(COMMAND_OF[move] for move in error.allowed if move in COMMAND_OF) or "nothing more"
        raise Trouble(
            f"{error.registration} is in state {error.state}, where this cannot be done; an officer may now: {able}"
        ) from error
    except (Unknown, ValueError) as error:
        raise Trouble(str(error)) from error
    finally:
        office.close()


def by_officer(command: F) -> F:
    """Add who decides and why."""
    command = click.option(
        "--reason",
        default="",
        help="Why, at most 300 characters; most decisions need it. Kept; said in the answer where fit.",
    )(command)
    return click.option("--officer", required=True, help="Who decides.")(command)


@click.group()
def office() -> None:
    """The customs office behind the gateway: its work and its officers' decisions.

    \b
    cvan --home HOME office list --state documents
    cvan --home HOME office accept-documents 26VN... --officer "Tran Thi Mai"
    """


@office.command(name="list")
@click.option("--state", type=click.Choice(STATES), metavar="STATE", help=f"{', '.join(STATES)}.")
@click.option("--channel", type=click.Choice(CHANNELS), metavar="CHANNEL", help="green, yellow or red.")
@click.option("--kind", type=click.Choice(KINDS), metavar="KIND", help=f"{', '.join(KINDS)}.")
@click.option("--principal", default="", help="Partner id of who declared.")
@click.option("--limit", default=100, type=click.IntRange(min=1), help="At most so many.", show_default=True)
@as_json
@click.pass_context
def work(
    context: click.Context,
    state: str | None,
    channel: str | None,
    kind: str | None,
    principal: str,
    limit: int,
    in_json: bool,
) -> None:
    """Cases, oldest first.

    \b
    cvan --home HOME office list --state documents --channel yellow
    """
    with desk(context) as officer:
        cases = officer.work(state or "", channel or "", kind or "", principal, limit)
    emit(in_json, cases, [_line(c) for c in cases] or ["no such case"])


@office.command()
@click.argument("registration")
@as_json
@click.pass_context
def show(context: click.Context, registration: str, in_json: bool) -> None:
    """One case in full: history, risk hits, duties, payments, orders, decisions.

    \b
    cvan --home HOME office show 26VNDEM100000001I6
    """
    with desk(context) as officer:
        case = officer.show(registration)
    emit(in_json, case, _whole(case))


def _simple(name: str, call: str, words: str) -> click.Command:
    """A decision on one case that needs nothing but the officer and a reason."""

    example = f"cvan --home HOME office {name} 26VN... --officer Mai --reason ..."

    @click.command(name=name, help=f"{words}\n\n\b\n{example}")
    @click.argument("registration")
    @by_officer
    @as_json
    @click.pass_context
    def decide(context: click.Context, registration: str, officer: str, reason: str, in_json: bool) -> None:
        with desk(context) as at:
            case: CaseLine = getattr(at, call)(registration, officer, reason)
        emit(in_json, case, [_line(case)])

    return decide


def _on_consignment(name: str, call: str, words: str) -> click.Command:
    """A decision on one consignment of a cargo report."""

    example = f"cvan --home HOME office {name} 26VN... EOLUSGN000060 --officer Mai --reason ..."

    @click.command(name=name, help=f"{words}\n\n\b\n{example}")
    @click.argument("registration")
    @click.argument("consignment")
    @by_officer
    @as_json
    @click.pass_context
    def decide(
        context: click.Context,
        registration: str,
        consignment: str,
        officer: str,
        reason: str,
        in_json: bool,
    ) -> None:
        with desk(context) as at:
            case: CaseLine = getattr(at, call)(registration, consignment, officer, reason)
        emit(in_json, case, [_line(case)])

    return decide


for _name, _call, _words in (
    ("accept-documents", "accept_documents", "The documents are in order."),
    ("pass-inspection", "pass_inspection", "The inspection found nothing."),
    ("order-inspection", "order_inspection", "Order an inspection of goods not yet released."),
    ("hold", "hold", "Stop the goods, wherever the case stands."),
    ("release-hold", "release_hold", "Let a held case go on."),
    ("discharge", "discharge", "A transit has arrived at its destination."),
    ("refuse", "refuse", "Refuse the declaration for good."),
):
    office.add_command(_simple(_name, _call, _words))

for _name, _call, _words in (
    ("do-not-load", "do_not_load", "Order that a consignment (bill number, or #n) is not loaded."),
    ("do-not-unload", "do_not_unload", "Order that a consignment is not unloaded."),
    ("lift", "lift", "Lift every order that stands on a consignment."),
):
    office.add_command(_on_consignment(_name, _call, _words))


@office.command(name="ask-documents")
@click.argument("registration")
@click.option(
    "--document", "documents", multiple=True, required=True, help="CODE=why, UN/EDIFACT 1001; repeatable."
)
@click.option(
    "--days", type=click.IntRange(0, MAX_DAYS), help="To produce them in; default: the office's term."
)
@by_officer
@as_json
@click.pass_context
def ask_documents(
    context: click.Context,
    registration: str,
    documents: tuple[str, ...],
    days: int | None,
    officer: str,
    reason: str,
    in_json: bool,
) -> None:
    """Ask for documents.

    \b
    cvan office ask-documents 26VN... --document "861=Certificate of origin" --officer Mai --reason "origin unclear"
    """
    wanted = [(code, why) for code, _, why in (d.partition("=") for d in documents)]
    with desk(context) as at:
        case = at.ask_documents(registration, officer, wanted, reason, days)
    emit(in_json, case, [_line(case)])


@office.command(name="request-amendment")
@click.argument("registration")
@click.option("--of", "pointers", multiple=True, help="Declaration/... path that is wrong; repeatable.")
@by_officer
@as_json
@click.pass_context
def request_amendment(
    context: click.Context,
    registration: str,
    pointers: tuple[str, ...],
    officer: str,
    reason: str,
    in_json: bool,
) -> None:
    """Ask the declarant to amend.

    \b
    cvan --home HOME office request-amendment 26VN... --officer Mai --reason "value too low" \\
        --of Declaration/GoodsShipment/GovernmentAgencyGoodsItem/CustomsValueAmount
    """
    with desk(context) as at:
        case = at.request_amendment(registration, officer, reason, pointers)
    emit(in_json, case, [_line(case)])


def _line(case: CaseLine) -> str:
    money = f" {case.outstanding} due" if case.outstanding not in ("0", "") else ""
    late = " OVERDUE" if case.overdue else ""
    return (
        f"{case.registration}  {case.kind:4} {case.state:11} {case.channel:6} "
        f"{case.principal}: {case.lrn}{money}{late}"
    )


def commands(case: CaseLine) -> list[str]:
    """The officer's commands that the case allows."""
    moves = (m for m in case.moves if m != Move.DISCHARGED or case.kind == Kind.TRANSIT.value)
    return [COMMAND_OF[m] for m in moves if m in COMMAND_OF]


def _whole(case: CaseView) -> Iterator[str]:
    yield _line(case.line)
    yield f"  an officer may now: {', '.join(commands(case.line)) or 'nothing more'}"
    for step in case.history:
        yield f"  {_time(step.at)} {step.who}: {step.what} ({step.before} to {step.after}) {step.why}".rstrip()
    for hit in case.hits:
        yield f"  risk: {hit.criterion} at {hit.pointer}: {hit.outcome}"
    for duty in case.duties:
        yield f"  item {duty.item} {duty.type}: {duty.assessed} {duty.currency} ({duty.rate} % of {duty.base})"
    for entry in case.payments:
        yield f"  payment: {_time(entry.at)} {entry.type} {entry.amount:f} for {entry.reference} ({entry.entry})"
    for order in case.orders:
        lifted = f", lifted by {order.lifted_by}" if order.lifted_at else ""
        yield f"  {order.action} {order.consignment}: {order.reason} ({order.placed_by}{lifted})"
    for said in case.decisions:
        sent = f"sent {_time(said.confirmed_at)}" if said.confirmed_at else "not sent yet"
        words = said.decision.statement
        yield f"  decision: {_time(said.decision.at)} {said.decision.kind.value} ({sent}) {words}".rstrip()


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


COMMANDS = (office,)
