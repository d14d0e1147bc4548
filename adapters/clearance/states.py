"""What may happen to a declaration, and when: the states, the moves and the table that ties them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from gateway.model import Kind


class Family(StrEnum):
    """Declarations that live by the same table."""

    GOODS = "goods"
    CARGO = "cargo"
    CONVEYANCE = "conveyance"


class State(StrEnum):
    """Where a declaration stands.

    PAYMENT: every check is done, duty is neither paid nor secured.  AMENDMENT: customs awaits an
    amendment.  BLOCKED: at least one consignment of the cargo report must not be loaded or unloaded.
    """

    REGISTERED = "registered"
    DOCUMENTS = "documents"
    INSPECTION = "inspection"
    PAYMENT = "payment"
    RELEASED = "released"
    CLEARED = "cleared"
    HELD = "held"
    AMENDMENT = "amendment"
    BLOCKED = "blocked"
    CANCELLED = "cancelled"
    REFUSED = "refused"


class Channel(StrEnum):
    """The outcome of selectivity, from the lightest control to the heaviest; "" where none applies."""

    NONE = ""
    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


class Move(StrEnum):
    """What happens to a declaration: by selectivity, by the trader, by the bank or by an officer."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"
    DOCUMENTS_ACCEPTED = "documents-accepted"
    DOCUMENTS_ASKED = "documents-asked"
    INSPECTION_ORDERED = "inspection-ordered"
    INSPECTION_PASSED = "inspection-passed"
    AMENDMENT_WANTED = "amendment-wanted"
    AMENDED = "amended"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    RELEASED = "released"
    CLEARED = "cleared"
    DISCHARGED = "discharged"
    HELD = "held"
    HOLD_RELEASED = "hold-released"
    PAYMENT_REVOKED = "payment-revoked"
    PAYMENT_RESTORED = "payment-restored"
    BLOCKED = "blocked"
    LIFTED = "lifted"
    ALL_LIFTED = "all-lifted"


Table = Mapping[State, Mapping[Move, State]]

_STOPPED: Mapping[Move, State] = {Move.HELD: State.HELD, Move.REFUSED: State.REFUSED}
_TRADERS: Mapping[Move, State] = {Move.AMENDED: State.REGISTERED, Move.CANCELLED: State.CANCELLED}
_ORDERED: Mapping[Move, State] = {
    Move.INSPECTION_ORDERED: State.INSPECTION,
    Move.AMENDMENT_WANTED: State.AMENDMENT,
}

GOODS: Table = {
    State.REGISTERED: {
        Move.GREEN: State.PAYMENT,
        Move.YELLOW: State.DOCUMENTS,
        Move.RED: State.INSPECTION,
    },
    State.DOCUMENTS: {
        Move.DOCUMENTS_ACCEPTED: State.PAYMENT,
        Move.DOCUMENTS_ASKED: State.DOCUMENTS,
        **_ORDERED,
        **_TRADERS,
        **_STOPPED,
    },
    # Once an examination is announced the trader may neither amend nor cancel of its own accord
    # (the usual customs rule, as in UCC article 173); the officer can ask for an amendment.
    State.INSPECTION: {
        Move.INSPECTION_PASSED: State.PAYMENT,
        Move.DOCUMENTS_ASKED: State.INSPECTION,
        Move.AMENDMENT_WANTED: State.AMENDMENT,
        **_STOPPED,
    },
    State.PAYMENT: {
        Move.RELEASED: State.RELEASED,
        Move.DOCUMENTS_ASKED: State.DOCUMENTS,
        **_ORDERED,
        **_TRADERS,
        **_STOPPED,
    },
    State.RELEASED: {
        Move.CLEARED: State.CLEARED,
        Move.DISCHARGED: State.CLEARED,
        Move.HELD: State.HELD,
        Move.PAYMENT_REVOKED: State.HELD,
    },
    State.CLEARED: {
        Move.HELD: State.HELD,
        Move.PAYMENT_REVOKED: State.HELD,
    },
    # An officer's hold on top of one for a payment taken back makes it the officer's.
    State.HELD: {
        Move.HELD: State.HELD,
        Move.HOLD_RELEASED: State.PAYMENT,
        Move.PAYMENT_RESTORED: State.PAYMENT,
        Move.REFUSED: State.REFUSED,
        Move.DOCUMENTS_ASKED: State.DOCUMENTS,
        **_ORDERED,
    },
    State.AMENDMENT: {**_TRADERS, **_STOPPED},
    State.CANCELLED: {},
    State.REFUSED: {},
}

CARGO: Table = {
    State.REGISTERED: {
        Move.BLOCKED: State.BLOCKED,
        Move.AMENDMENT_WANTED: State.AMENDMENT,
        Move.REFUSED: State.REFUSED,
        **_TRADERS,
    },
    State.BLOCKED: {
        Move.BLOCKED: State.BLOCKED,
        Move.LIFTED: State.BLOCKED,
        Move.ALL_LIFTED: State.REGISTERED,
        Move.AMENDMENT_WANTED: State.BLOCKED,
        Move.AMENDED: State.REGISTERED,
        Move.REFUSED: State.REFUSED,
    },
    State.AMENDMENT: {Move.BLOCKED: State.BLOCKED, Move.REFUSED: State.REFUSED, **_TRADERS},
    State.CANCELLED: {},
    State.REFUSED: {},
}

CONVEYANCE: Table = {
    State.REGISTERED: {
        Move.AMENDMENT_WANTED: State.AMENDMENT,
        Move.REFUSED: State.REFUSED,
        **_TRADERS,
    },
    State.AMENDMENT: {Move.REFUSED: State.REFUSED, **_TRADERS},
    State.CANCELLED: {},
    State.REFUSED: {},
}

MOVES: Mapping[Family, Table] = {
    Family.GOODS: GOODS,
    Family.CARGO: CARGO,
    Family.CONVEYANCE: CONVEYANCE,
}

RESUMED: Mapping[State, State] = {
    State.DOCUMENTS: State.DOCUMENTS,
    State.INSPECTION: State.INSPECTION,
    State.AMENDMENT: State.AMENDMENT,
    State.PAYMENT: State.PAYMENT,
    State.RELEASED: State.PAYMENT,
    State.CLEARED: State.PAYMENT,
}
"""Where a declaration goes on when its hold is released: goods that had been released are released
anew, after a fresh look at the money."""

CONTROL: Mapping[Channel, int] = {
    Channel.NONE: 0,
    Channel.GREEN: 1,
    Channel.YELLOW: 2,
    Channel.RED: 3,
}

LETTERS: Mapping[Kind, str] = {
    Kind.IMPORT: "I",
    Kind.EXPORT: "E",
    Kind.TRANSIT: "T",
    Kind.CARGO_IMPORT: "C",
    Kind.CARGO_EXPORT: "X",
    Kind.CONVEYANCE: "V",
}
"""The letter before a registration number's check digit says what was registered."""


def family_of(kind: Kind) -> Family:
    """The family of a kind that customs registers.  Raises ValueError for payments: they are booked."""
    if kind.is_goods:
        return Family.GOODS
    if kind.is_cargo:
        return Family.CARGO
    if kind is Kind.CONVEYANCE:
        return Family.CONVEYANCE
    raise ValueError(f"{kind} is not registered")


def allowed(family: Family, state: State) -> Mapping[Move, State]:
    """Every move that the state allows, and where it leads."""
    return MOVES[family][state]
