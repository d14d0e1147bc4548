"""The officer's desk: what is to be done, one case in full, and the decisions that people take.

Every action names its officer and goes into the audit; plain values in, plain values out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from adapters.clearance import orders, views
from adapters.clearance.books import Books
from adapters.clearance.case import Case, changed
from adapters.clearance.clearance import Clearance, Clock, wall_clock
from adapters.clearance.criteria import Action
from adapters.clearance.docket import Docket
from adapters.clearance.progress import NotAllowed, advance, move, remind
from adapters.clearance.settings import Config
from adapters.clearance.states import Channel, Move, State, allowed
from adapters.clearance.views import CaseLine, CaseView
from gateway.model import DecisionKind, Finding, Kind, MandatoryDocument, Place, Severity, parse_pointer

__all__ = ["CaseLine", "CaseView", "Office", "Unknown"]

MAX_REASON = 300
"""Characters: a reason and the sentence around it stay within WCO 225's 512."""

MAX_LISTED = 1000
"""Cases that one listing returns at most."""


class Unknown(LookupError):
    """No such case, consignment or order."""


class Office:
    """What ``cvan office`` calls.  Raises NotAllowed (state and allowed moves) for a move that the
    table does not have, Unknown for what does not exist, ValueError for an officer or reason that is
    blank, too long or not printable."""

    def __init__(self, clearance: Clearance) -> None:
        self._clearance = clearance

    @classmethod
    def open(cls, url: str, config: Path | Config, clock: Clock = wall_clock) -> Office:
        """The desk on its own connection to the office's database, as a separate process wants it."""
        return cls(Clearance.open(url, config, clock))

    @property
    def _books(self) -> Books:
        return self._clearance.books

    def close(self) -> None:
        """Close the database's connections."""
        self._clearance.close()

    # -- looking --------------------------------------------------------------------------------------

    def work(
        self,
        state: str = "",
        channel: str = "",
        kind: str = "",
        principal: str = "",
        limit: int = 100,
    ) -> tuple[CaseLine, ...]:
        """Cases, oldest first, by state, channel, kind and principal ("" for any)."""
        wanted = {"state": state, "channel": channel, "kind": kind, "principal": principal}
        with self._books.reading() as connection:
            return views.lines(connection, wanted, min(limit, MAX_LISTED), self._clearance.clock())

    def show(self, registration: str) -> CaseView:
        """One case in full: history, criteria met, duties, payments, orders, decisions, declaration."""
        with self._books.reading() as connection:
            view = views.whole(connection, registration, self._clearance.clock(), self._books.octets)
        if view is None:
            raise Unknown(f"no case {registration}")
        return view

    # -- goods ----------------------------------------------------------------------------------------

    def accept_documents(self, registration: str, officer: str, remark: str = "") -> CaseLine:
        """The documents are in order; the goods are released where nothing else is due."""
        with self._acting(registration, officer, remark, needs_reason=False) as (docket, case):
            case = move(docket, case, Move.DOCUMENTS_ACCEPTED, officer, remark)
            return self._checked(docket, changed(case, limit_at=None), "documents-accepted")

    def pass_inspection(self, registration: str, officer: str, remark: str = "") -> CaseLine:
        """The inspection found nothing; the goods are released where nothing else is due."""
        with self._acting(registration, officer, remark, needs_reason=False) as (docket, case):
            case = move(docket, case, Move.INSPECTION_PASSED, officer, remark)
            return self._checked(docket, changed(case, limit_at=None), "inspection-passed")

    def _checked(self, docket: Docket, case: Case, key: str) -> CaseLine:
        """On to release; where money is in the way, the trader is told that only money is."""
        case = advance(docket, case)
        if case.state is State.PAYMENT:
            case = remind(docket, case, docket.config.statements.say(key))
        return self._put(docket, case)

    def ask_documents(
        self,
        registration: str,
        officer: str,
        documents: Sequence[tuple[str, str]],
        reason: str,
        days: int | None = None,
    ) -> CaseLine:
        """Ask for documents: (UN/EDIFACT 1001 code, why) each, within days (None: the office's term)."""
        wanted = tuple(MandatoryDocument(type_, why) for type_, why in documents)
        if not wanted or not all(document.type.strip() for document in wanted):
            raise ValueError("name the documents' types")
        for document in wanted:
            _check("a document's type", document.type, needed=True)
            _check("a document's reason", document.reason, needed=False)
        with self._acting(registration, officer, reason) as (docket, case):
            config = docket.config
            limit = config.limit(docket.now, config.documents.days if days is None else days)
            case = move(docket, case, Move.DOCUMENTS_ASKED, officer, reason)
            channel = Channel.RED if case.channel is Channel.RED else Channel.YELLOW
            statement = config.statements.say("documents-asked", reason=reason, limit=config.day(limit))
            case = changed(case, limit_at=limit, channel=channel)
            case = docket.tell(case, DecisionKind.YELLOW, statement, documents=wanted, limit_at=limit)
            return self._put(docket, case)

    def order_inspection(self, registration: str, officer: str, reason: str) -> CaseLine:
        """Order an inspection of goods that are not yet released."""
        with self._acting(registration, officer, reason) as (docket, case):
            case = move(docket, case, Move.INSPECTION_ORDERED, officer, reason)
            statement = docket.config.statements.say("inspection-ordered", reason=reason)
            case = docket.tell(changed(case, channel=Channel.RED), DecisionKind.RED, statement)
            return self._put(docket, case)

    def hold(self, registration: str, officer: str, reason: str) -> CaseLine:
        """Stop the goods, wherever the case stands; also goods that are released or cleared."""
        with self._acting(registration, officer, reason) as (docket, case):
            case = move(docket, case, Move.HELD, officer, reason)
            statement = docket.config.statements.say("held", reason=reason)
            return self._put(docket, docket.tell(case, DecisionKind.HELD, statement))

    def release_hold(self, registration: str, officer: str, reason: str) -> CaseLine:
        """Let the case go on where it was held; goods are released anew, once nothing is due."""
        with self._acting(registration, officer, reason) as (docket, case):
            case = move(docket, case, Move.HOLD_RELEASED, officer, reason)
            if case.state is State.PAYMENT:
                return self._checked(docket, case, "hold-released")
            kind = RESTATED[case.state]
            statement = docket.config.statements.say("hold-released")
            return self._put(docket, docket.tell(case, kind, statement, limit_at=case.limit_at))

    def discharge(self, registration: str, officer: str, remark: str = "") -> CaseLine:
        """The transit has arrived at its office of destination: the declaration is cleared."""
        with self._acting(registration, officer, remark, needs_reason=False) as (docket, case):
            if case.kind is not Kind.TRANSIT:
                raise self._not_allowed(case, Move.DISCHARGED)
            case = move(docket, case, Move.DISCHARGED, officer, remark)
            statement = docket.config.statements.say("discharged")
            return self._put(docket, docket.tell(case, DecisionKind.CLEARED, statement))

    # -- cargo ----------------------------------------------------------------------------------------

    def do_not_load(self, registration: str, consignment: str, officer: str, reason: str) -> CaseLine:
        """Order that a consignment (its transport document, or ``#n``) is not loaded."""
        return self._order(registration, consignment, officer, reason, Action.DO_NOT_LOAD)

    def do_not_unload(self, registration: str, consignment: str, officer: str, reason: str) -> CaseLine:
        """Order that a consignment is not unloaded."""
        return self._order(registration, consignment, officer, reason, Action.DO_NOT_UNLOAD)

    def _order(
        self, registration: str, consignment: str, officer: str, reason: str, action: Action
    ) -> CaseLine:
        with self._acting(registration, officer, reason) as (docket, case):
            if Move.BLOCKED not in allowed(case.family, case.state):
                raise self._not_allowed(case, Move.BLOCKED)
            names = orders.consignments(docket.declaration(case))
            if consignment not in names:
                raise Unknown(f"no consignment {consignment}; the report has {', '.join(names)}")
            standing = orders.standing(docket, registration)
            if any((block.consignment, block.action) == (consignment, action) for block in standing):
                raise ValueError(f"{action} stands already on {consignment}")
            number = names.index(consignment) + 1
            said = (reason, reason)
            case = orders.give(docket, case, number, consignment, action, "", said, who=officer)
            return self._put(docket, case)

    def lift(self, registration: str, consignment: str, officer: str, reason: str) -> CaseLine:
        """Lift every order that stands on a consignment."""
        with self._acting(registration, officer, reason) as (docket, case):
            standing = orders.standing(docket, registration)
            lifted = [block for block in standing if block.consignment == consignment]
            if not lifted:
                raise Unknown(f"no order stands on {consignment}")
            step = Move.LIFTED if len(standing) > len(lifted) else Move.ALL_LIFTED
            case = move(docket, case, step, officer, f"{consignment}: {reason}")
            declaration = docket.declaration(case)
            for block in lifted:
                orders.lift(docket, block, officer, reason)
            case = orders.say_lifted(docket, case, declaration, lifted[0], (reason, reason))
            return self._put(docket, case)

    # -- any ------------------------------------------------------------------------------------------

    def refuse(self, registration: str, officer: str, reason: str) -> CaseLine:
        """Refuse the declaration for good."""
        with self._acting(registration, officer, reason) as (docket, case):
            case = move(docket, case, Move.REFUSED, officer, reason)
            finding = Finding("CLR050", Place(pointer="Declaration"), "", reason)
            statement = docket.config.statements.say("refused-by-officer", reason=reason)
            case = docket.tell(case, DecisionKind.REFUSED, statement, findings=(finding,))
            return self._put(docket, case)

    def request_amendment(
        self, registration: str, officer: str, reason: str, pointers: Sequence[str] = ()
    ) -> CaseLine:
        """Ask for an amendment; ``pointers`` say of what, as ``Declaration/...`` paths."""
        for pointer in pointers:
            parse_pointer(pointer)
        places = tuple(pointers) or ("Declaration",)
        findings = tuple(
            Finding("CLR051", Place(pointer=pointer), "", reason, Severity.WARNING) for pointer in places
        )
        with self._acting(registration, officer, reason) as (docket, case):
            limit = docket.config.limit(docket.now, docket.config.documents.days)
            case = move(docket, case, Move.AMENDMENT_WANTED, officer, reason)
            statement = docket.config.statements.say("amendment-wanted", reason=reason)
            case = docket.tell(
                changed(case, limit_at=limit),
                DecisionKind.AMENDMENT_WANTED,
                statement,
                findings=findings,
                limit_at=limit,
            )
            return self._put(docket, case)

    # -- inside ---------------------------------------------------------------------------------------

    @contextmanager
    def _acting(
        self, registration: str, officer: str, reason: str, needs_reason: bool = True
    ) -> Iterator[tuple[Docket, Case]]:
        """A transaction on one case, by an officer who says why."""
        _check("an officer's name", officer, needed=True)
        _check("a reason", reason, needed=needs_reason)
        with self._books.writing(self._clearance.config, self._clearance.clock()) as docket:
            case = docket.case(registration)
            if case is None:
                raise Unknown(f"no case {registration}")
            yield docket, case

    def _put(self, docket: Docket, case: Case) -> CaseLine:
        docket.put(case)
        return views.line(msgspec.structs.replace(case, changed_at=docket.now), docket.now)

    @staticmethod
    def _not_allowed(case: Case, step: Move) -> NotAllowed:
        return NotAllowed(case.registration, case.state, step, tuple(allowed(case.family, case.state)))


def _check(what: str, text: str, *, needed: bool) -> None:
    """Raises ValueError for a text that an officer cannot have meant, or that no message can carry."""
    if len(text) > MAX_REASON or (needed and not text.strip()):
        raise ValueError(f"{what} of 1 to {MAX_REASON} characters is needed")
    for at, character in enumerate(text, 1):
        if not character.isprintable():
            raise ValueError(f"{what} is one line of text; character {at} is U+{ord(character):04X}")


RESTATED: dict[State, DecisionKind] = {
    State.DOCUMENTS: DecisionKind.YELLOW,
    State.INSPECTION: DecisionKind.RED,
    State.AMENDMENT: DecisionKind.AMENDMENT_WANTED,
}
"""What is said when a hold ends and the case waits again for what it waited for before."""
