"""Do-not-load and do-not-unload orders on a report's consignments: given, standing, lifted, and told."""

from __future__ import annotations

import sqlalchemy as sa

from adapters.clearance import tables
from adapters.clearance.case import Block, Case
from adapters.clearance.criteria import Action
from adapters.clearance.docket import Docket, plain
from adapters.clearance.progress import CUSTOMS, move
from adapters.clearance.statements import join
from adapters.clearance.states import Move
from gateway.model import DecisionKind, Declaration, Entity, Finding, Place, Severity

MAX_DOCUMENT = 70
"""WCO D023 is an..70."""

ORDERS = {Action.DO_NOT_LOAD: DecisionKind.DO_NOT_LOAD, Action.DO_NOT_UNLOAD: DecisionKind.DO_NOT_UNLOAD}
CODES = {Action.DO_NOT_LOAD: "CLR020", Action.DO_NOT_UNLOAD: "CLR021"}


def consignments(declaration: Declaration) -> list[str]:
    """How every consignment is called: its transport document, or ``#n`` where it has none."""
    return [_name(entity, n) for n, entity in enumerate(declaration.root.each("Consignment"), 1)]


def _name(consignment: Entity, number: int) -> str:
    document = consignment.text("TransportContractDocument/ID").strip()
    usable = 0 < len(document) <= MAX_DOCUMENT and document.isprintable()
    return document if usable else f"#{number}"


def _pointer(number: int) -> str:
    return "Declaration/Consignment" + (f"[{number}]" if number > 1 else "")


def give(
    docket: Docket,
    case: Case,
    number: int,
    consignment: str,
    action: Action,
    criterion: str,
    *reasons: tuple[str, str],
    who: str = CUSTOMS,
) -> Case:
    """The order not to load or unload a consignment."""
    en, vi = join(*reasons)
    _place(docket, case.registration, consignment, action, criterion, en, who)
    case = move(docket, case, Move.BLOCKED, who, f"{action} {consignment}: {en}")
    say = docket.config.statements.say
    statement = (
        say(action, consignment=consignment, reason=en)[0],
        say(action, consignment=consignment, reason=vi)[1],
    )
    place = Place(pointer=_pointer(number))
    finding = Finding(CODES[action], place, "", consignment)
    return docket.tell(case, ORDERS[action], statement, findings=(finding,))


def say_lifted(
    docket: Docket, case: Case, declaration: Declaration, block: Block, reason: tuple[str, str]
) -> Case:
    """The news that an order is lifted: the consignment is released, under the report's number."""
    numbers = [n for n, name in enumerate(consignments(declaration), 1) if name == block.consignment]
    say = docket.config.statements.say
    statement = (
        say("lifted", consignment=block.consignment, reason=reason[0])[0],
        say("lifted", consignment=block.consignment, reason=reason[1])[1],
    )
    place = Place(pointer=_pointer(numbers[0]) if numbers else "Declaration/Consignment")
    finding = Finding("CLR022", place, "", block.consignment, Severity.NOTE)
    return docket.tell(case, DecisionKind.RELEASED, statement, findings=(finding,))


def standing(docket: Docket, registration: str) -> tuple[Block, ...]:
    """The orders that stand on a cargo report's consignments."""
    c = tables.block.c
    query = (
        sa.select(c.position, c.registration, c.consignment, c.action, c.criterion)
        .where(c.registration == registration, c.lifted_at.is_(None))
        .order_by(c.position)
    )
    return tuple(Block(*row) for row in docket.connection.execute(query))


def _place(
    docket: Docket, registration: str, consignment: str, action: str, criterion: str, reason: str, who: str
) -> None:
    """An order on a consignment, which stands from now on."""
    docket.connection.execute(
        tables.block.insert().values(
            registration=registration,
            consignment=consignment,
            action=action,
            criterion=criterion,
            reason=plain(reason),
            placed_by=plain(who),
            placed_at=docket.now,
            lifted_by="",
            lift_reason="",
        )
    )


def lift(docket: Docket, block: Block, who: str, why: str) -> None:
    """The order stands no longer."""
    values = {"lifted_by": plain(who), "lift_reason": plain(why), "lifted_at": docket.now}
    query = tables.block.update().where(tables.block.c.position == block.position)
    docket.connection.execute(query.values(values))
