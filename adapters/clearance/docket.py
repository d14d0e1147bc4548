"""The docket: what one transaction reads of the office's books, and everything it is to write there.

Cases, numbers, decisions and audit lines are gathered and written together at the end, so that a
batch of declarations costs a few statements and not a few hundred.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

import msgspec
import sqlalchemy as sa

from adapters.clearance import pieces, tables
from adapters.clearance.case import ZERO, Case
from adapters.clearance.numbering import Numbers
from adapters.clearance.selectivity import Hit
from adapters.clearance.settings import Config
from adapters.clearance.states import Family
from gateway.adapter import Handover
from gateway.model import Decision, DecisionKind, Declaration, DutyLine

Row = dict[str, Any]

_UPDATED = [c.name for c in tables.case.columns if c.name != "registration"]
_UPDATE_CASE = (
    tables.case.update()
    .where(tables.case.c.registration == sa.bindparam("key"))
    .values({name: sa.bindparam(name) for name in _UPDATED})
)

EPOCHS = 2**40
"""Drawn by chance and not counted: who restores the same backup twice counts the same twice."""

IN_ONE_QUERY = 500
"""Values of one IN list: SQLite's smallest build takes 999."""


class Docket:
    """One transaction's view.  Opening it waits for the writer before: the office has one at a time,
    so numbers have no gaps to race for and decisions are ordered as they were taken."""

    def __init__(self, connection: sa.Connection, config: Config, now: datetime) -> None:
        self.connection, self.config, self.now = connection, config, now
        self._cases: dict[str, Case] = {}
        self._new: set[str] = set()
        self._touched: set[str] = set()
        self._by_lrn: dict[tuple[str, str, str], str] = {}
        self._versions: dict[tuple[str, int], Row] = {}
        self._notices: dict[str, Row] = {}
        self.numbers = Numbers(connection, config.office, now)
        self._pending: dict[str, list[Row]] = {"history": [], "hit": [], "decision": [], "handover": []}
        turn = sa.select(tables.counter.c.value).where(tables.counter.c.name == tables.TURN)
        connection.execute(turn.with_for_update())

    # -- what is known already ------------------------------------------------------------------------

    def new_among(self, handovers: Sequence[Handover]) -> list[Handover]:
        """The handovers whose delivery key had no effect yet, each key once, in order."""
        column = tables.handover.c.delivery
        known = set(self._column(column, [h.delivery for h in handovers]))
        first = {h.delivery: h for h in reversed(handovers)}
        fresh = [first[key] for key in dict.fromkeys(h.delivery for h in handovers) if key not in known]
        self._learn_lrns(fresh)
        return fresh

    def _learn_lrns(self, handovers: Iterable[Handover]) -> None:
        lrns = [lrn for h in handovers if "\0" not in (lrn := h.declaration.reference)]
        c = tables.case.c
        for some in _portions(lrns):
            query = sa.select(c.family, c.principal, c.lrn, c.registration).where(c.lrn.in_(some))
            for family, principal, lrn, registration in self.connection.execute(query):
                self._by_lrn[family, principal, lrn] = registration

    def _column(self, column: sa.Column[str], values: Sequence[str]) -> Iterable[str]:
        for some in _portions(values):
            yield from self.connection.scalars(sa.select(column).where(column.in_(some)))

    def registered_as(self, family: Family, principal: str, lrn: str) -> str:
        """The registration number that a principal's reference has; "" where it is free."""
        return self._by_lrn.get((family, principal, lrn), "")

    def case(self, registration: str) -> Case | None:
        """A case by its number, as this transaction has it."""
        if registration not in self._cases:
            query = tables.case.select().where(tables.case.c.registration == registration)
            row = self.connection.execute(query).first()
            if row is None:
                return None
            self._cases[registration] = msgspec.convert(tables.named(row), Case)
        return self._cases[registration]

    def declaration(self, case: Case) -> Declaration:
        """The declaration of the case's present version."""
        return pieces.declaration_of(self._version(case), self.connection.scalar)

    def _version(self, case: Case) -> Row:
        key = (case.registration, case.version)
        if key not in self._versions:
            c = tables.version.c
            query = tables.version.select().where(c.registration == key[0], c.version == key[1])
            return tables.named(self.connection.execute(query).one())
        return self._versions[key]

    def noticed(self, reference: str) -> str:
        """The registration number that a payment reference belongs to; "" where none."""
        if reference in self._notices:
            return str(self._notices[reference]["registration"])
        query = sa.select(tables.notice.c.registration).where(tables.notice.c.reference == reference)
        return self.connection.scalar(query) or ""

    def secured_under(self, guarantee: str, but: str) -> Decimal:
        """What all cases but one draw on a guarantee."""
        c = tables.case.c
        query = sa.select(c.registration, c.secured).where(c.guarantee == guarantee, c.secured != "0")
        drawn = {registration: Decimal(secured) for registration, secured in self.connection.execute(query)}
        for case in self._cases.values():
            drawn[case.registration] = case.secured if case.guarantee == guarantee else ZERO
        return sum((sum_ for number, sum_ in drawn.items() if number != but), ZERO)

    # -- what is new ----------------------------------------------------------------------------------

    def open(self, case: Case) -> None:
        """A new case; its number and reference are taken from now on."""
        self._new.add(case.registration)
        self._by_lrn[case.family, case.principal, case.lrn] = case.registration
        self.put(case)

    def put(self, case: Case) -> None:
        """The case as it is now."""
        self._cases[case.registration] = msgspec.structs.replace(case, changed_at=self.now)
        self._touched.add(case.registration)

    def keep(
        self, case: Case, handover: Handover, declaration: Declaration, duties: tuple[DutyLine, ...]
    ) -> None:
        """The case's present version: what was declared and what was assessed on it."""
        self._versions[case.registration, case.version] = {
            "registration": case.registration,
            "version": case.version,
            "delivery": handover.delivery,
            "message": handover.message,
            "filer": handover.filer,
            "total": str(case.total),
            "declaration": pieces.kept(self.connection, case.registration, case.version, declaration),
            "duties": msgspec.json.encode(duties),
            "at": self.now,
        }

    def record(self, case: Case, who: str, what: str, after: str, why: str = "") -> None:
        """An audit line: ``who`` moved the case from its present state to ``after``."""
        self._pending["history"].append(
            {
                "registration": case.registration,
                "at": self.now,
                "who": plain(who),
                "what": what,
                "before": case.state,
                "after": after,
                "why": plain(why),
            }
        )

    def note_hits(self, case: Case, hits: Iterable[Hit], outcome: str = "") -> None:
        """The risk criteria that were met, for officers' eyes only."""
        self._pending["hit"] += [
            {
                "registration": case.registration,
                "version": case.version,
                "criterion": hit.name,
                "pointer": hit.pointer,
                "outcome": outcome or hit.channel or f"{hit.score:+d}",
            }
            for hit in hits
        ]

    def notice(self, case: Case) -> None:
        """The case's payment reference leads to it from now on."""
        self._notices[case.reference] = {
            "reference": case.reference,
            "registration": case.registration,
            "version": case.version,
            "amount": str(case.outstanding),
            "at": self.now,
        }

    def say(self, decision: Decision) -> None:
        """A decision for the gateway to fetch."""
        self._pending["decision"].append(
            {
                "id": decision.id,
                "registration": decision.registration,
                "kind": decision.kind,
                "body": msgspec.json.encode(decision),
                "at": decision.at,
            }
        )

    def tell(self, case: Case, kind: DecisionKind, statement: tuple[str, str], **more: Any) -> Case:
        """A decision about a case, to whoever filed its present version; the case counts it."""
        said = case.said + 1
        self.say(
            Decision(
                id=f"{case.registration}-{said:04d}{self._epoch}",
                message=case.message,
                kind=kind,
                at=self.now,
                registration=case.registration,
                version=case.version,
                statement=statement[0],
                statement_vi=statement[1],
                office=self.config.office.id,
                **more,
            )
        )
        return msgspec.structs.replace(case, said=said)

    def answer(
        self, handover: Handover, kind: DecisionKind, statement: tuple[str, str], number: int = 1, **more: Any
    ) -> None:
        """A decision about a message that is no case's: a refusal, or a bank's entry (``number`` n)."""
        self.say(
            Decision(
                id=f"{handover.delivery}-{number:04d}{self._epoch}",
                message=handover.message,
                kind=kind,
                at=self.now,
                statement=statement[0],
                statement_vi=statement[1],
                office=self.config.office.id,
                **more,
            )
        )

    def begin_epoch(self) -> None:
        """No decision from now on has the id of one that was said, and lost here, before a backup was restored:
        who has that one would drop another under its id as known."""
        number = tables.counter.c
        self.connection.execute(tables.counter.delete().where(number.name == tables.EPOCH))
        drawn = secrets.randbelow(EPOCHS)
        self.connection.execute(tables.counter.insert().values(name=tables.EPOCH, value=drawn))
        self.__dict__.pop("_epoch", None)

    @cached_property
    def _epoch(self) -> str:
        """What ids of decisions end in: nothing before the first restore."""
        number = tables.counter.c
        query = sa.select(number.value).where(number.name == tables.EPOCH)
        value: int | None = self.connection.scalar(query)
        return "" if value is None else f".{value:010x}"

    def done(self, handover: Handover, registration: str) -> None:
        """The handover had its effect and must never have another."""
        self._pending["handover"].append(
            {
                "delivery": handover.delivery,
                "message": handover.message,
                "registration": registration,
                "at": self.now,
            }
        )

    def write(self) -> None:
        """Everything gathered, into the transaction; the caller commits."""
        fresh = [self._row(number) for number in sorted(self._new)]
        old = [{"key": number, **self._row(number)} for number in sorted(self._touched - self._new)]
        for row in old:
            del row["registration"]
        self.numbers.write()
        statements: tuple[tuple[sa.Executable, list[Row]], ...] = (
            (tables.case.insert(), fresh),
            (_UPDATE_CASE, old),
            (tables.version.insert(), list(self._versions.values())),
            (tables.notice.insert(), list(self._notices.values())),
            (tables.history.insert(), self._pending["history"]),
            (tables.hit.insert(), self._pending["hit"]),
            (tables.decision.insert(), self._pending["decision"]),
            (tables.handover.insert(), self._pending["handover"]),
        )
        for statement, rows in statements:
            if rows:
                self.connection.execute(statement, rows)

    def _row(self, registration: str) -> Row:
        case = self._cases[registration]
        amounts = {name: str(getattr(case, name)) for name in ("total", "paid", "secured")}
        return msgspec.structs.asdict(case) | amounts


MAX_WHY = 512
"""WCO 225: reasons are statements."""


def plain(text: str) -> str:
    """A partner's or officer's text as the database takes it: printable, at most 512 characters."""
    return "".join(character for character in text if character.isprintable())[:MAX_WHY]


def _portions(values: Sequence[str]) -> Iterable[Sequence[str]]:
    for start in range(0, len(values), IN_ONE_QUERY):
        yield values[start : start + IN_ONE_QUERY]
