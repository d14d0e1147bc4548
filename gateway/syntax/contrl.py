"""CONTRL (ISO 9735-4): the syntax report on an interchange, when it is due and how it is written.

Action 7 acknowledges a level and, below it, all that is not rejected by name; action 4 rejects a level
and all below; action 8 says that the interchange has arrived.  Each UCI, UCF and UCM tells one error, its
first; UCS and UCD tell those of a body.  A CONTRL is never answered by another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from gateway.model.edifact import Acknowledging, Segment
from gateway.model.finding import Catalogue, Finding
from gateway.syntax.characters import Separators, codec_of
from gateway.syntax.contrl_codes import UNSPECIFIED
from gateway.syntax.contrl_copies import Components, Copier
from gateway.syntax.contrl_reading import Acknowledgement, Reported, acknowledgement
from gateway.syntax.contrl_report import (
    ACKNOWLEDGED,
    MAX_UCD,
    MAX_UCM,
    MAX_UCS,
    RECEIVED,
    REJECTED,
    Report,
    Unnameable,
)
from gateway.syntax.interchange import Interchange
from gateway.syntax.outgoing import OutInterchange, OutMessage
from gateway.syntax.preamble import VERSIONS
from gateway.syntax.writer import pieces

__all__ = [
    "ACKNOWLEDGED",
    "MAX_UCD",
    "MAX_UCM",
    "MAX_UCS",
    "RECEIVED",
    "REJECTED",
    "UNSPECIFIED",
    "Acknowledgement",
    "Reported",
    "Unnameable",
    "acknowledge",
    "acknowledgement",
    "answerable",
    "contrl",
    "receipt",
    "wanted",
]

_USUAL_VERSION = "3"  # in which an interchange of an unknown syntax version is answered
_PLAIN = ("UNOB", "")  # level and encoding that any partner can read
_IDENTIFIERS = {"4": ("4", "1")}  # version and release of CONTRL; "D" and the syntax version before 4
_CONTRL = "CONTRL"
_FUNCTIONAL, _RECEIPT = "1", "2"  # 0031


def contrl(
    interchange: Interchange,
    rejected: Mapping[int, tuple[Finding, ...]],
    catalogue: Catalogue,
    *,
    sender: Components,
    recipient: Components,
    reference: str,
    now: datetime,
) -> bytes:
    """The interchange that answers another one, in its syntax version and repertoire.

    ``rejected``: findings of each rejected message by ordinal; of these the errors of syntax (``EDI...``)
    and those with an 0085 code are told, and a message that has none is acknowledged.  ``sender`` and
    ``recipient`` are this answer's own.  Raises ValueError where ``interchange.answerable`` is False, and
    :class:`Unnameable` where what is rejected cannot be named (see :func:`answerable`).
    """
    body = _body(interchange, rejected, catalogue)
    return _written(interchange, body, sender, recipient, reference, now)


def acknowledge(
    interchange: Interchange,
    rejected: Mapping[int, tuple[Finding, ...]],
    catalogue: Catalogue,
    agreed: Acknowledging,
    *,
    sender: Components,
    recipient: Components,
    reference: str,
    now: datetime,
) -> bytes | None:
    """The CONTRL that is due once an interchange is judged, or None: see :func:`wanted`.

    A partner that wants receipts, or errors only, gets one where something is rejected.  Raises
    :class:`Unnameable` as :func:`contrl` does.
    """
    if _holds_contrl(interchange):
        return None
    body = _body(interchange, rejected, catalogue)
    if wanted(interchange, agreed) is not Acknowledging.FULL and not any(map(_rejects, body)):
        return None
    return _written(interchange, body, sender, recipient, reference, now)


def receipt(
    interchange: Interchange, *, sender: Components, recipient: Components, reference: str, now: datetime
) -> bytes:
    """The CONTRL that says, before anything is judged, that an interchange has arrived (0083 code 8).

    Only the interchange's header is needed, as :class:`InterchangeBegun` has it.  Raises ValueError where
    the header does not say whom to answer, and for an interchange that says it holds CONTRL (0026, or its
    messages where they are read).
    """
    if _holds_contrl(interchange) or interchange.application == _CONTRL:
        raise ValueError("a CONTRL is never answered by CONTRL")
    head = _copier(interchange).interchange(interchange)
    if head is None:
        raise Unnameable("UNB does not say what to answer, and whom")
    body = (Segment("UCI", (*head, (RECEIVED,))),)
    return _written(interchange, body, sender, recipient, reference, now)


def wanted(interchange: Interchange, agreed: Acknowledging) -> Acknowledging:
    """Which CONTRL an interchange calls for: what its sender asks in UNB goes before what was agreed.

    0031 is 1 for a full one, and under syntax 4 is 2 for a receipt.
    """
    if interchange.ack_request == _RECEIPT and interchange.syntax[1] == "4":
        return Acknowledging.RECEIPT
    return Acknowledging.FULL if interchange.ack_request == _FUNCTIONAL else agreed


def answerable(
    interchange: Interchange,
    catalogue: Catalogue,
    rejected: Mapping[int, tuple[Finding, ...]] | None = None,
) -> bool:
    """True where :func:`contrl` can be written: it is no CONTRL, and all that is rejected can be named.

    ``rejected``: as there; where it is left out, what reading found.
    """
    if rejected is None:
        rejected = {m.ordinal: m.findings for m in interchange.messages if m.rejected}
    try:
        _body(interchange, rejected, catalogue)
    except ValueError:
        return False
    return True


def _holds_contrl(interchange: Interchange) -> bool:
    return any(message.type == _CONTRL for message in interchange.messages)


def _rejects(segment: Segment) -> bool:
    action = {"UCI": 4, "UCF": 4, "UCM": 3}.get(segment.tag)
    return action is not None and segment.get(action) == REJECTED


def _body(
    interchange: Interchange, rejected: Mapping[int, tuple[Finding, ...]], catalogue: Catalogue
) -> tuple[Segment, ...]:
    if not interchange.answerable:
        raise ValueError("the interchange cannot be answered by CONTRL")
    version = _answering(interchange)[1]
    report = Report(interchange, rejected, catalogue, _copier(interchange), version)
    return tuple(report.segments())


def _answering(interchange: Interchange) -> tuple[str, str, str]:
    """Level, version and encoding of the answer: the sender's own where they are supported."""
    (identifier, version), encoding = interchange.syntax, interchange.encoding
    version = version if version in VERSIONS else _USUAL_VERSION
    if codec_of(identifier, encoding) is None or (encoding and version != "4"):  # 0133 came with syntax 4
        identifier, encoding = _PLAIN
    return identifier, version, encoding


def _copier(interchange: Interchange) -> Copier:
    identifier, version, encoding = _answering(interchange)
    return Copier(identifier, encoding, version)


def _written(
    interchange: Interchange,
    body: tuple[Segment, ...],
    sender: Components,
    recipient: Components,
    reference: str,
    now: datetime,
) -> bytes:
    """CONTRL travels alone, and asks for no answer itself."""
    identifier, version, encoding = _answering(interchange)
    copier = _copier(interchange)
    parties = copier.party(sender), copier.party(recipient)
    if parties[0] is None or parties[1] is None:
        raise Unnameable("who sends or gets the CONTRL has no identification that can be written")
    message = OutMessage(_CONTRL, *_IDENTIFIERS.get(version, ("D", version)), "UN", "", "1", body)
    answer = OutInterchange(
        parts=(message,),
        syntax=(identifier, version),
        encoding=encoding,
        sender=parties[0],
        recipient=parties[1],
        reference=reference,
        now=now,
        separators=_separators(interchange.separators, body),
        test=interchange.test,
        verbatim=True,
    )
    return b"".join(pieces((answer,)))


def _separators(theirs: Separators, body: tuple[Segment, ...]) -> Separators | None:
    """The sender's own where they can write the answer: references may have to be released, S020 repeats."""
    repeated = any(segment.repeats for segment in body)
    return theirs if theirs.release and (theirs.repetition or not repeated) else None
