"""Verified: the only form in which a message's content leaves this room."""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from typing import Final

from lxml import etree

from gateway.model import Finding, Proof, Signer

XMLDSIG: Final = "xmldsig"
MULTIPART_SIGNED: Final = "multipart/signed"
PKCS7_MIME: Final = "application/pkcs7-mime"
EDIFACT_SECURITY: Final = "edifact"

XML: Final = "application/xml"
EDIFACT: Final = "application/edifact"

UNPROVEN: Final = Proof()
"""Nothing was kept, as for a signature that is not there."""

SEAL: Final = object()
"""Held by the verifiers of this room; a Verified cannot be made without it."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What was signed, and by whom.

    ``content``: the octets that were digested (XML: canonical; EDIFACT: the interchange).
    ``media_type``: ``application/xml`` or ``application/edifact``.  ``document``: XML only, the tree
    that was digested, without its signature, with the source lines of the sender's file.  ``signer``: of
    the innermost signature, who says what the content says; ``carrier``: of the one around it, if any.
    ``envelope``: ``xmldsig``, ``multipart/signed``, ``application/pkcs7-mime``, or ``edifact`` (its own
    security).  ``findings``: what the signature claimed besides and was not believed, as a time stamp of an
    authority that nobody knows.
    """

    content: bytes
    media_type: str
    document: etree._Element | None
    signer: Signer
    envelope: str
    proof: Proof = UNPROVEN
    carrier: Signer | None = None
    carrier_proof: Proof = UNPROVEN
    findings: tuple[Finding, ...] = ()
    seal: InitVar[object] = None

    def __post_init__(self, seal: object) -> None:
        if seal is not SEAL:
            raise TypeError("only gateway.security.verify makes a Verified")
