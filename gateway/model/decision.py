"""Decisions: what customs' back end says about a declaration."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from gateway.model.finding import Finding


class DecisionKind(StrEnum):
    """The decisions a back end can take; each syntax says them by the table in mappings/profiles."""

    REGISTERED = "registered"
    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"
    DUTY_NOTICE = "duty-notice"
    PAYMENT_MATCHED = "payment-matched"
    PAYMENT_UNMATCHED = "payment-unmatched"
    RELEASED = "released"
    CLEARED = "cleared"
    HELD = "held"
    DO_NOT_LOAD = "do-not-load"
    DO_NOT_UNLOAD = "do-not-unload"
    AMENDED = "amended"
    AMENDMENT_WANTED = "amendment-wanted"
    CANCELLED = "cancelled"
    REFUSED = "refused"


URGENT = frozenset({DecisionKind.DO_NOT_LOAD, DecisionKind.DO_NOT_UNLOAD})
"""Orders about goods that are being moved at this moment: they go before all that is not."""


class DutyLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """Duty, tax or fee assessed on one goods item: WCO 113 type, 116 base, 115 rate in percent,
    120 assessed.  Amounts and rates are decimal texts with a point.  Where ``unit`` is set (UN/ECE
    Rec. 20) the duty is specific: ``base`` is a quantity (WCO 129) and ``rate`` an amount per unit."""

    item: int
    type: str
    base: str
    rate: str
    assessed: str
    currency: str
    unit: str = ""


class MandatoryDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """A document customs asks for: UN/EDIFACT 1001 code and why."""

    type: str
    reason: str = ""


class Decision(msgspec.Struct, frozen=True, omit_defaults=True):
    """One decision about one message that was handed over.

    ``id``: unique at the back end, the gateway deduplicates on it.  ``message``: the gateway's
    message id (``submission-id.ordinal``) that it answers.  ``registration``: customs' number (MRN).
    ``statement``: free text for the declarant, in English and Vietnamese.  ``limit_at``: until when
    the declarant must act.  ``payment_reference``: ISO 11649 creditor reference of a duty notice.
    """

    id: str
    message: str
    kind: DecisionKind
    at: datetime
    registration: str = ""
    version: int = 1
    statement: str = ""
    statement_vi: str = ""
    limit_at: datetime | None = None
    documents: tuple[MandatoryDocument, ...] = ()
    duties: tuple[DutyLine, ...] = ()
    amount: str = ""
    currency: str = ""
    payment_reference: str = ""
    bank: str = ""
    account: str = ""
    findings: tuple[Finding, ...] = ()
    office: str = ""
