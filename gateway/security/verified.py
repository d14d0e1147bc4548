"""Verified: the only form in which a message's content leaves this room."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec
from lxml import etree

from gateway.model import Finding, Proof, Signer
from gateway.security.stretch import PIECE, Stretch

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


class Verified(msgspec.Struct, frozen=True):
    """What was signed, and by whom.

    ``content``: the octets that were digested (XML: canonical; EDIFACT: the interchange).
    ``media_type``: ``application/xml`` or ``application/edifact``.  ``document``: XML only, the tree
    that was digested, without its signature, with the source lines of the sender's file.  ``signer``: of
    the innermost signature, who says what the content says; ``carrier``: of the one around it, if any.
    ``envelope``: ``xmldsig``, ``multipart/signed``, ``application/pkcs7-mime``, or ``edifact`` (its own
    security).  ``stretch``: where the content is, in place of ``content``, where it stays in its file;
    ``outline``: of a document there, in place of ``document``: of siblings with the same name the first only.
    ``findings``: what the signature claimed besides and was not believed, as a time stamp of an
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
    stretch: Stretch | None = None
    outline: etree._Element | None = None
    seal: object = None

    def __post_init__(self) -> None:
        if self.seal is not SEAL:
            raise TypeError("only gateway.security.verify makes a Verified")

    def pieces(self) -> Iterator[bytes]:
        """The content, in pieces of PIECE octets, wherever it is."""
        if self.stretch is not None:
            return self.stretch.pieces()
        return (self.content[at : at + PIECE] for at in range(0, len(self.content), PIECE))
