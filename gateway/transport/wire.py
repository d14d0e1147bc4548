"""The JSON values of the HTTP interface, as the gateway writes them and the client reads them."""

from __future__ import annotations

from datetime import UTC

import msgspec

from gateway.model import Outgoing
from gateway.transport.services import Entry, Said


def outgoing_headers(outgoing: Outgoing) -> tuple[tuple[str, str], ...]:
    """The headers that go with a message to a partner, pushed or fetched alike.

    ``Cvan-Delivery`` is what the receiver deduplicates on; ``Cvan-Created``, to the microsecond, what it puts in
    order by; ``Cvan-Message`` is there where the message is about one message of a submission.
    """
    submission, dot, _ = outgoing.about.partition(".")
    headers = [
        ("Cvan-Delivery", outgoing.id),
        ("Cvan-Submission", submission),
        ("Cvan-Kind", outgoing.kind),
        ("Cvan-Reference", outgoing.reference),
        ("Cvan-Created", f"{outgoing.created_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"),
    ]
    if dot:
        headers.append(("Cvan-Message", outgoing.about))
    return tuple((name, _field(value)) for name, value in headers)


def _field(value: str) -> str:
    """A sender's reference may hold any character; a header field holds printable ASCII only."""
    return "".join(c if " " <= c <= "~" else "?" for c in value)


class Summary(msgspec.Struct, frozen=True):
    """A submission's answer as JSON.  ``receipt``: the signed receipt in base64, ``media_type`` its
    full media type (with a multipart receipt's boundary)."""

    submission: str
    outcome: str
    repeated: bool
    media_type: str
    receipt_id: str
    receipt: str


class Kept(msgspec.Struct, frozen=True):
    """What is said of a submission that is kept and not judged yet: ``outcome`` is ``held``, ``findings``
    what it waits for."""

    submission: str
    outcome: str
    repeated: bool
    findings: tuple[Said, ...]


class Mailbox(msgspec.Struct, frozen=True):
    """A page of the mailbox.  ``next``: give it as ``after`` for the next page; "" at the end."""

    entries: tuple[Entry, ...]
    next: str = ""


class Acknowledged(msgspec.Struct, frozen=True):
    """How many of the named messages were the partner's."""

    acknowledged: int


class Live(msgspec.Struct, frozen=True):
    """The process answers."""

    live: bool = True


class Ready(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether the gateway can work, each part it depends on, and why one cannot be used."""

    ready: bool
    parts: dict[str, bool]
    reasons: dict[str, str] = {}
