"""The embedded customs office behind the gateway's seam: it registers, channels, assesses, releases."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import sqlalchemy as sa

from adapters.clearance import cargo, filing, goods, payments, settings, tables
from adapters.clearance.books import Books
from adapters.clearance.case import Case
from adapters.clearance.docket import IN_ONE_QUERY, Docket
from adapters.clearance.filing import FUNCTIONS, REQUEST, REQUESTS, Purpose
from adapters.clearance.settings import Config
from adapters.clearance.states import Family, family_of
from gateway.adapter import Handover
from gateway.model import Decision, Finding, Kind, Place

Clock = Callable[[], datetime]


def wall_clock() -> datetime:
    """Now, aware, UTC."""
    return datetime.now(UTC)


class Clearance:
    """A customs office as a back end.  Implements :class:`gateway.adapter.Backend`; calls block, and
    may come from any thread and from several processes on one database."""

    def __init__(self, books: Books, config: Config, clock: Clock = wall_clock) -> None:
        self.books, self.config, self.clock = books, config, clock

    @classmethod
    def open(cls, url: str, config: Path | Config, clock: Clock = wall_clock) -> Clearance:
        """Open the office on a SQLite or PostgreSQL database, whose tables it makes or brings up.

        ``config``: a folder with the four configuration files, or what was read from one.
        Raises ConfigBroken listing every fault, SchemaTooNew, BackendUnavailable.
        """
        if not isinstance(config, Config):
            config = settings.load(config)
        books = Books(url)
        books.migrate(clock())
        return cls(books, config, clock)

    def use(self, config: Config) -> None:
        """Go by another configuration from the next transaction on."""
        self.config = config

    def close(self) -> None:
        """Close the database's connections."""
        self.books.close()

    def hand_over(self, handovers: Sequence[Handover], now: datetime) -> None:
        """Take a batch, in order, in one durable transaction; keys that were taken before are skipped.

        Raises BackendUnavailable; then the batch may safely be handed over again.
        """
        with self.books.writing(self.config, now) as docket:
            for handover in docket.new_among(handovers):
                docket.done(handover, take(docket, handover))

    def decisions(self, limit: int) -> Sequence[Decision]:
        """The oldest unconfirmed decisions.  Raises BackendUnavailable."""
        c = tables.decision.c
        query = sa.select(c.body).where(c.confirmed_at.is_(None)).order_by(c.position).limit(limit)
        with self.books.reading() as connection:
            return [msgspec.json.decode(body, type=Decision) for body in connection.scalars(query)]

    def confirm(self, decision_ids: Sequence[str]) -> None:
        """These are safe at the gateway; unknown and confirmed ids are passed over.

        Raises BackendUnavailable.
        """
        c, now = tables.decision.c, self.clock()
        with self.books.writing(self.config, now) as docket:
            for start in range(0, len(decision_ids), IN_ONE_QUERY):
                some = decision_ids[start : start + IN_ONE_QUERY]
                query = tables.decision.update().where(c.id.in_(some), c.confirmed_at.is_(None))
                docket.connection.execute(query.values(confirmed_at=now))


def take(docket: Docket, handover: Handover) -> str:
    """The effect of one handover; the registration number of the case that it made or changed."""
    if handover.declaration.kind is Kind.PAYMENT:
        payments.book(docket, handover)
        return ""
    purpose = filing.purpose_of(handover.declaration)
    if purpose is None:
        filing.refuse(docket, handover, (_not_served(handover),))
        return ""
    case = _file(docket, handover, purpose)
    if case is None:
        return ""
    if handover.correction is not None:
        filing.note_correction(docket, case, handover.correction)
    docket.put(case)
    return case.registration


def _file(docket: Docket, handover: Handover, purpose: Purpose) -> Case | None:
    family = family_of(handover.declaration.kind)
    if purpose is Purpose.REGISTER:
        return REGISTER[family](docket, handover)
    if purpose is Purpose.CANCEL:
        return CANCEL[family](docket, handover)
    return AMEND[family](docket, handover, purpose)


Filed = Callable[[Docket, Handover], Case | None]

REGISTER: Mapping[Family, Filed] = {
    Family.GOODS: goods.register,
    Family.CARGO: cargo.register,
    Family.CONVEYANCE: cargo.register,
}
CANCEL: Mapping[Family, Filed] = {
    Family.GOODS: goods.cancel,
    Family.CARGO: cargo.cancel,
    Family.CONVEYANCE: cargo.cancel,
}
AMEND: Mapping[Family, Callable[[Docket, Handover, Purpose], Case | None]] = {
    Family.GOODS: goods.amend,
    Family.CARGO: cargo.amend,
    Family.CONVEYANCE: cargo.amend,
}


def _not_served(handover: Handover) -> Finding:
    """CLR004, at the function, or at the type of a request."""
    declaration = handover.declaration
    if declaration.function == REQUEST:
        place = Place(pointer="Declaration/TypeCode")
        return Finding("CLR004", place, ", ".join(REQUESTS), declaration.root.text("TypeCode"))
    place = Place(pointer="Declaration/FunctionCode")
    return Finding("CLR004", place, ", ".join((*FUNCTIONS, REQUEST)), declaration.function)
