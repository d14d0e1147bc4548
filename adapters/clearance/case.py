"""A case: one registered declaration as the office keeps it, and what it says about itself."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec

from adapters.clearance.states import Channel, Family, State
from gateway.model import Declaration, DutyLine, Kind

ZERO = Decimal(0)


class Case(msgspec.Struct, frozen=True):
    """One row of ``clearance_case``.

    ``message``: the gateway's message that the case stands on now (the declaration's, or that of its
    latest accepted amendment): decisions are addressed to it.  ``total``: duty assessed; ``paid``: the
    balance of booked entries; ``secured``: what the guarantee covers.  ``reference``: of the latest
    duty notice.  ``revoked``: held because a payment was taken back, and by no officer.  ``said``: how
    many decisions were taken about it.
    """

    registration: str
    family: Family
    kind: Kind
    lrn: str
    principal: str
    filer: str
    message: str
    registered_at: datetime
    changed_at: datetime
    version: int = 1
    state: State = State.REGISTERED
    held_from: str = ""
    revoked: bool = False
    channel: Channel = Channel.NONE
    total: Decimal = ZERO
    paid: Decimal = ZERO
    secured: Decimal = ZERO
    guarantee: str = ""
    reference: str = ""
    due_at: datetime | None = None
    limit_at: datetime | None = None
    said: int = 0

    @property
    def outstanding(self) -> Decimal:
        """What is still to be paid; never below zero."""
        return max(self.total - self.paid, ZERO)

    @property
    def surplus(self) -> Decimal:
        """What was paid above the duty; never below zero."""
        return max(self.paid - self.total, ZERO)


class Version(msgspec.Struct, frozen=True):
    """One row of ``clearance_version``, decoded."""

    registration: str
    version: int
    delivery: str
    message: str
    filer: str
    total: Decimal
    declaration: Declaration
    duties: tuple[DutyLine, ...]
    at: datetime


class Block(msgspec.Struct, frozen=True):
    """An order on a consignment that stands: ``criterion`` "" where an officer gave it."""

    position: int
    registration: str
    consignment: str
    action: str
    criterion: str


class Entry(msgspec.Struct, frozen=True):
    """A bank's entry that was booked."""

    account: str
    entry: str
    type: str
    reference: str
    registration: str
    amount: Decimal
    delivery: str
    at: datetime


def changed(case: Case, **values: object) -> Case:
    """The case with other values."""
    return msgspec.structs.replace(case, **values)
