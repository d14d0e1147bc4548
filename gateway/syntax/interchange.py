"""What reading gives: an interchange, its groups and its messages, with their findings."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from gateway.model.edifact import Group, Segment
from gateway.model.finding import Finding, Severity, worst
from gateway.model.secured import Received
from gateway.syntax.characters import DEFAULT, Separators


class Message(msgspec.Struct, frozen=True):
    """One message, UNH to UNT.

    ``ordinal``: from 1 in its interchange.  ``reference``: 0062.  ``type`` to ``association``: S009 as
    sent.  ``segments``: numbered from 1 at UNH.  ``tree``: None where the structure is broken or the
    message is not among the directories.  ``common_reference``: 0068.  ``group_reference``: 0048 of the
    group around it, "" where there is none.  ``offsets``: of UNH and of the last segment, where it was read with
    its tree.
    """

    ordinal: int
    reference: str
    type: str
    version: str
    release: str
    agency: str
    association: str
    segments: tuple[Segment, ...]
    tree: Group | None = None
    findings: tuple[Finding, ...] = ()
    group_reference: str = ""
    common_reference: str = ""
    offsets: tuple[int, int] = (-1, -1)

    @property
    def identifier(self) -> str:
        """``CUSCAR:D:95B:UN``, with the association's code where there is one."""
        parts = (self.type, self.version, self.release, self.agency, self.association)
        return ":".join(parts).rstrip(":")

    @property
    def rejected(self) -> bool:
        """True where a finding is an error."""
        return worst(self.findings)


class FunctionalGroup(msgspec.Struct, frozen=True):
    """UNG to UNE: 0048, S006, S007, 0038, the ordinals of its messages, and its own findings.

    A group's errors stand among the findings of each of its messages too: they reject them all.
    """

    reference: str
    sender: tuple[str, ...]
    recipient: tuple[str, ...]
    type: str = ""
    messages: tuple[int, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that reject its messages."""
        return tuple(finding for finding in self.findings if finding.severity is Severity.ERROR)


class Package(msgspec.Struct, frozen=True):
    """UNO to UNP (syntax 4): 0800, S020 and S021 as sent, the object's octets and its findings.

    ``octets``: None where the reading did not keep them; ``length``: 0810 as found.
    """

    reference: str
    references: tuple[tuple[str, ...], ...] = ()
    types: tuple[tuple[str, ...], ...] = ()
    length: int = 0
    octets: bytes | None = None
    group_reference: str = ""
    findings: tuple[Finding, ...] = ()


class Interchange(msgspec.Struct, frozen=True):
    """UNB to UNZ.

    ``reference``: 0020.  ``sender``, ``recipient``: components of S002 and S003 (identification,
    qualifier, internal ...).  ``syntax``: 0001 and 0002.  ``prepared_at``: S004 as sent
    (``240131:1200``).  ``ack_request``: 0031 as sent, "" where none is asked.  ``test``: 0035 is set.
    ``findings``: those about the whole; an error among them rejects every message.  ``received``: structures for
    which an AUTACK is to acknowledge that they were received, where who proved them says so.
    """

    reference: str = ""
    sender: tuple[str, ...] = ()
    recipient: tuple[str, ...] = ()
    syntax: tuple[str, str] = ("", "")
    encoding: str = ""
    prepared_at: str = ""
    application: str = ""
    ack_request: str = ""
    test: bool = False
    separators: Separators = DEFAULT
    messages: Collection[Message] = ()
    groups: tuple[FunctionalGroup, ...] = ()
    packages: tuple[Package, ...] = ()
    findings: tuple[Finding, ...] = ()
    received: tuple[Received, ...] = ()

    @property
    def rejected(self) -> bool:
        """True where a finding about the whole is an error."""
        return worst(self.findings)

    @property
    def answerable(self) -> bool:
        """True where a CONTRL may be sent: it can name what it answers, and it is no CONTRL itself."""
        known = bool(self.reference) and any(self.sender[:1]) and any(self.recipient[:1])
        return known and not any(message.type == "CONTRL" for message in self.messages)
