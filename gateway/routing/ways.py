"""How an answer finds its way back, and where a finding stands in what the sender wrote."""

from __future__ import annotations

from typing import Protocol

import msgspec

from gateway.model import Finding, Partner, Place, Route, Submission


class Envelope(Protocol):
    """What an EDIFACT route needs of an interchange."""

    @property
    def reference(self) -> str: ...
    @property
    def sender(self) -> tuple[str, ...]: ...
    @property
    def recipient(self) -> tuple[str, ...]: ...
    @property
    def syntax(self) -> tuple[str, ...]: ...
    @property
    def test(self) -> bool: ...


def xml_route(submission: Submission, filer: Partner, signer: Partner, table: str) -> Route:
    """The way back for an XML document."""
    return Route(
        partner=filer.id,
        principal=signer.id,
        channel=submission.channel,
        syntax="xml",
        table=table,
        language=filer.language,
    )


def edifact_route(
    submission: Submission, filer: Partner, signer: Partner, interchange: Envelope, envelope: str
) -> Route:
    """The way back for an interchange: the parties and syntax as the sender wrote them."""
    return Route(
        partner=filer.id,
        principal=signer.id,
        channel=submission.channel,
        syntax="edifact",
        envelope=envelope,
        reference=interchange.reference,
        syntax_identifier=":".join(interchange.syntax),
        sender=interchange.sender,
        recipient=interchange.recipient,
        language=filer.language,
        test=interchange.test,
    )


def placed(finding: Finding, source: Place) -> Finding:
    """The finding with the sender's own place beside its pointer into the declaration."""
    return msgspec.structs.replace(
        finding, place=msgspec.structs.replace(source, pointer=finding.place.pointer)
    )


def within(finding: Finding, message: str) -> Finding:
    """The finding with the reference (0062) of the message that it is in."""
    return msgspec.structs.replace(finding, place=msgspec.structs.replace(finding.place, message=message))
