"""What the doors need from the rooms below: the protocol that operations implements, and its values."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

import msgspec
from twisted.internet.defer import Deferred

from gateway.model import (
    Answer,
    Catalogue,
    Event,
    Finding,
    Outgoing,
    Pending,
    Place,
    Register,
    Severity,
    Submission,
)
from gateway.transport.desk import Asked

T = TypeVar("T")

# What a refusal may be to HTTP: everything else would say that the gateway, not the sender, is at fault.
REFUSAL_STATUSES = frozenset({400, 403, 409, 413, 415, 422})


class Said(msgspec.Struct, frozen=True):
    """A finding with its sentences."""

    code: str
    severity: Severity
    place: Place
    expected: str
    found: str
    text: str
    text_vi: str


def said(finding: Finding, catalogue: Catalogue) -> Said:
    """The finding as people are told it, in English and Vietnamese."""
    return Said(
        finding.code,
        finding.severity,
        finding.place,
        finding.expected,
        finding.found,
        catalogue.say(finding, "en"),
        catalogue.say(finding, "vi"),
    )


class MessageStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message of a submission: its outcome at the gateway and, later, at customs.

    ``outcome``: accepted or rejected.  ``registration``: customs' number, once there is one.
    ``decision``: the kind of the latest decision, or "".
    """

    ordinal: int
    type: str
    reference: str
    outcome: str
    lrn: str = ""
    registration: str = ""
    decision: str = ""
    findings: tuple[Said, ...] = ()


class Status(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a submission.  ``receipt``: the id of the signed receipt in the mailbox;
    ``findings``: those about the whole; ``next``: give it as ``after`` for more messages, absent where there are
    none."""

    submission: str
    reference: str
    outcome: str
    received_at: datetime
    receipt: str
    messages: tuple[MessageStatus, ...] = ()
    timeline: tuple[Event, ...] = ()
    findings: tuple[Said, ...] = ()
    next: int = 0


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of the mailbox: an :class:`~gateway.model.Outgoing` without its body (``size`` octets)."""

    id: str
    kind: str
    about: str
    reference: str
    media_type: str
    size: int
    created_at: datetime
    acknowledged_at: datetime | None = None


class Refusal(Exception):
    """The sender is not proven, or the submission cannot be read at all: no signed receipt is due.

    ``findings``: why, for the problem document.  ``status``: one of ``REFUSAL_STATUSES``.
    """

    def __init__(self, findings: Sequence[Finding], status: int = 422) -> None:
        if status not in REFUSAL_STATUSES:
            raise ValueError(f"not a status of a refusal: {status}")
        super().__init__(", ".join(f.code for f in findings))
        self.findings = tuple(findings)
        self.status = status


class Overloaded(Exception):
    """The gateway cannot take the submission now; ``retry_after`` in seconds.  Nothing was kept."""

    def __init__(self, retry_after: float = 1.0) -> None:
        super().__init__(f"retry after {retry_after} s")
        self.retry_after = retry_after


class Services(Protocol):
    """What the doors ask for.  Every Deferred fires on the reactor's thread.

    ``partner`` is always the authenticated transport partner's id: an implementation answers only
    about that partner's own submissions and mailbox, those included that were answered with another's
    submission as the same octets, and says None or [] about anybody else's.
    """

    @property
    def register(self) -> Register:
        """The partners as they are now."""

    @property
    def catalogue(self) -> Catalogue:
        """The meanings of all findings as they are now."""

    def submit(self, submission: Submission) -> Awaitable[Answer | Pending]:
        """Judge and commit, or keep what cannot be judged yet; done after the commit.  Raises Refusal
        or Overloaded.  Awaited at once: a Deferred of its own would be made for nothing."""

    def status(self, partner: str, submission_id: str, after: int, limit: int) -> Deferred[Status | None]:
        """What became of a submission of this partner's; at most ``limit`` messages, behind the ordinal ``after``."""

    def mailbox(self, partner: str, after: str, limit: int, acknowledged: bool) -> Deferred[list[Entry]]:
        """At most ``limit`` entries, oldest first, whose id is greater than ``after`` ("": from the
        first); those already acknowledged only where asked for."""

    def fetch(self, partner: str, outgoing_id: str) -> Deferred[Outgoing | None]:
        """One message of the partner's mailbox, acknowledged or not."""

    def acknowledge(self, partner: str, ids: list[str]) -> Deferred[int]:
        """Mark as received, durably; fires with how many of them are this partner's (again included)."""

    def at_desk(self, asked: Asked[T]) -> Deferred[T]:
        """What operators ask and do, in a thread; fails with Refusal or Overloaded."""

    def ready(self) -> Deferred[Mapping[str, str]]:
        """Each part the gateway depends on (``ledger``, ``disk``) and why it cannot be used, "" where it can."""
