"""What officers see: a line per case, and a case in full; plain values, read in one go."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa

from adapters.clearance import pieces, tables
from adapters.clearance.case import Case, Entry, Version
from adapters.clearance.states import State, allowed
from gateway.model import Decision, Declaration, DutyLine

T = TypeVar("T")


class CaseLine(msgspec.Struct, frozen=True):
    """A case at a glance.  Amounts are decimal texts in the office's currency; ``overdue``: a term
    for documents, amendment or payment has passed; ``moves``: what its state allows."""

    registration: str
    kind: str
    lrn: str
    principal: str
    filer: str
    version: int
    state: str
    channel: str
    total: str
    paid: str
    outstanding: str
    payment_reference: str
    due_at: datetime | None
    limit_at: datetime | None
    overdue: bool
    registered_at: datetime
    changed_at: datetime
    moves: tuple[str, ...]


class HistoryLine(msgspec.Struct, frozen=True):
    """Who moved the case, when, from where to where, and why."""

    at: datetime
    who: str
    what: str
    before: str
    after: str
    why: str


class HitLine(msgspec.Struct, frozen=True):
    """A risk criterion that a version of the case met."""

    version: int
    criterion: str
    pointer: str
    outcome: str


class OrderLine(msgspec.Struct, frozen=True):
    """A do-not-load or do-not-unload order, standing (``lifted_at`` None) or lifted."""

    consignment: str
    action: str
    reason: str
    placed_by: str
    placed_at: datetime
    lifted_by: str
    lift_reason: str
    lifted_at: datetime | None


class SaidLine(msgspec.Struct, frozen=True):
    """A decision as the gateway was told it, and when the gateway confirmed it."""

    decision: Decision
    confirmed_at: datetime | None


class CaseView(msgspec.Struct, frozen=True):
    """A case in full; ``versions`` oldest first, the last one is in force."""

    line: CaseLine
    versions: tuple[Version, ...]
    history: tuple[HistoryLine, ...]
    hits: tuple[HitLine, ...]
    payments: tuple[Entry, ...]
    orders: tuple[OrderLine, ...]
    decisions: tuple[SaidLine, ...]

    @property
    def declaration(self) -> Declaration:
        """The declaration in force."""
        return self.versions[-1].declaration

    @property
    def duties(self) -> tuple[DutyLine, ...]:
        """The duty lines in force."""
        return self.versions[-1].duties


def line(case: Case, now: datetime) -> CaseLine:
    """The case at a glance."""
    # Of a case that ended without goods nothing is owed, whatever was assessed before.
    outstanding = Decimal(0) if case.state in (State.CANCELLED, State.REFUSED) else case.outstanding
    unpaid = outstanding > Decimal(0)
    late_payment = unpaid and case.due_at is not None and case.due_at < now
    late_answer = case.limit_at is not None and case.limit_at < now and bool(allowed(case.family, case.state))
    return CaseLine(
        registration=case.registration,
        kind=case.kind,
        lrn=case.lrn,
        principal=case.principal,
        filer=case.filer,
        version=case.version,
        state=case.state,
        channel=case.channel,
        total=f"{case.total:f}",
        paid=f"{case.paid:f}",
        outstanding=f"{outstanding:f}",
        payment_reference=case.reference,
        due_at=case.due_at,
        limit_at=case.limit_at,
        overdue=late_payment or late_answer,
        registered_at=case.registered_at,
        changed_at=case.changed_at,
        moves=tuple(allowed(case.family, case.state)),
    )


def lines(
    connection: sa.Connection, wanted: Mapping[str, str], limit: int, now: datetime
) -> tuple[CaseLine, ...]:
    """Cases whose columns have the wanted values ("" for any), oldest first."""
    c = tables.case.c
    query = tables.case.select().order_by(c.registered_at, c.registration).limit(limit)
    for name, value in wanted.items():
        if value:
            query = query.where(c[name] == value)
    rows = connection.execute(query)
    return tuple(line(msgspec.convert(tables.named(row), Case), now) for row in rows)


def whole(
    connection: sa.Connection, registration: str, now: datetime, later: pieces.Reader
) -> CaseView | None:
    """One case in full; None where there is none.  ``later``: reads of very long declarations, whenever they are
    gone through."""
    row = connection.execute(tables.case.select().where(tables.case.c.registration == registration)).first()
    if row is None:
        return None

    def rows(table: sa.Table, order: sa.ColumnElement[Any]) -> list[dict[str, Any]]:
        query = table.select().where(table.c.registration == registration).order_by(order)
        return [tables.named(each) for each in connection.execute(query)]

    return CaseView(
        line=line(msgspec.convert(tables.named(row), Case), now),
        versions=tuple(_version(each, later) for each in rows(tables.version, tables.version.c.version)),
        history=_read(rows(tables.history, tables.history.c.position), HistoryLine),
        hits=_read(rows(tables.hit, tables.hit.c.position), HitLine),
        payments=_read(rows(tables.payment, tables.payment.c.at), Entry),
        orders=_read(rows(tables.block, tables.block.c.position), OrderLine),
        decisions=tuple(
            SaidLine(msgspec.json.decode(each["body"], type=Decision), each["confirmed_at"])
            for each in rows(tables.decision, tables.decision.c.position)
        ),
    )


def _read(rows: list[dict[str, Any]], type_: type[T]) -> tuple[T, ...]:
    return tuple(msgspec.convert(row, type_) for row in rows)


def _version(row: dict[str, Any], later: pieces.Reader) -> Version:
    decoded = {
        "declaration": pieces.declaration_of(row, later),
        "duties": msgspec.json.decode(row["duties"], type=tuple[DutyLine, ...]),
        "total": Decimal(row["total"]),
    }
    return Version(**(row | decoded))
