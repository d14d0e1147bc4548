"""Files on a disk through the journey's own stages, with no server, partner or proof."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from lxml import etree

from gateway import inbound, rules, safexml, security, syntax
from gateway.handbook import Handbook
from gateway.model import Declaration, Finding

SIGNATURE = "{http://www.w3.org/2000/09/xmldsig#}Signature"
UNTYPED = "application/octet-stream"
SEGMENT = re.compile(rb"\s*[A-Z]{3}[+:']")
"""What may be an interchange without its beginning: the reader of EDIFACT tells what is missing."""
BOM = b"\xef\xbb\xbf"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
HEAD = 8_192
"""Octets by which a file's kind is known."""
SHOWN = 20
"""Octets of a file that is no message that are shown."""


AUTACK = "autack"
OWN_SECURITY = {security.EDIFACT_SECURITY: security.Manner(), AUTACK: security.Manner("7", "3")}
"""Ways to sign an interchange by its own segments: non-repudiation of origin, of a message or of a referenced one."""

PIECE = 262_144
"""Octets of an interchange's file read at a time: progress is told after each."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found; ``examined`` is None where the file could not be read at all.

    ``more``: further interchanges of the same file.
    """

    examined: inbound.Examined | None
    findings: tuple[Finding, ...] = ()
    more: tuple[inbound.Examined, ...] = ()

    @property
    def all(self) -> tuple[inbound.Examined, ...]:
        """Everything that could be read."""
        return () if self.examined is None else (self.examined, *self.more)


_CMS = {
    bytes.fromhex("06092a864886f70d010703"): "enveloped-data",
    bytes.fromhex("060b2a864886f70d0109100117"): "authenveloped-data",
}
"""The content types of CMS that are not the usual one, as their object identifiers begin a file (RFC 5652, 3;
RFC 5083, 2.1)."""
HEAD_OF_CMS = 24
"""Octets that hold the content type: behind a tag and a length of at most nine."""


def media_type(body: bytes) -> str:
    """The Content-Type that a file's first octets suggest."""
    start = body[:512].lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith(b"<"):
        return "application/xml"
    if start[:3] in (b"UNA", b"UNB"):
        return "application/edifact"
    if start[:1] == b"0":
        kind = next((kind for oid, kind in _CMS.items() if oid in start[:HEAD_OF_CMS]), "signed-data")
        return f"application/pkcs7-mime; smime-type={kind}"
    for line in body[:HEAD].splitlines():
        if line.lower().startswith(b"content-type:"):
            return line.split(b":", 1)[1].strip().decode("latin-1")
    return UNTYPED


def check(body: bytes, handbook: Handbook, now: datetime) -> Checked:
    """Examine a file as the journey would, its signature left aside."""

    def judge(declaration: Declaration) -> tuple[Finding, ...]:
        return rules.judge(declaration, handbook.rulebook, now)

    stranger = _no_message(body)
    if stranger is not None:
        return Checked(None, (stranger,))
    try:
        document, interchange = unwrap(body)
        if document is not None:
            return Checked(inbound.examine_xml(document, handbook, judge))
        return _read(inbound.examine_files([interchange], handbook, judge, several=False))
    except (inbound.Unreadable, safexml.XmlRefused, security.Refused) as refused:
        return Checked(None, refused.findings)


def check_file(
    path: Path,
    handbook: Handbook,
    now: datetime,
    read: Callable[[int], None] = lambda octets: None,
    told: Callable[[Finding], None] = lambda finding: None,
) -> Checked:
    """The same for a file; of a bare EDIFACT interchange, only one message is held at a time.

    ``read`` is told how many octets more were taken, ``told`` each finding of an interchange at once.
    """

    def judge(declaration: Declaration) -> tuple[Finding, ...]:
        return rules.judge(declaration, handbook.rulebook, now)

    with path.open("rb") as file:
        if media_type(file.read(HEAD)) != "application/edifact":
            read(path.stat().st_size)
            file.seek(0)
            return check(file.read(), handbook, now)
        file.seek(0)
        return _read(inbound.examine_files(_pieces(file, read), handbook, judge, told))


def _read(examined: Iterable[inbound.Examined]) -> Checked:
    """What a file of interchanges is; one whose UNB cannot be read is none."""
    first, *more = examined
    if first.interchange is None or not first.interchange.syntax[0]:
        return Checked(None, first.findings)
    return Checked(first, more=tuple(more))


def _pieces(file: BinaryIO, read: Callable[[int], None]) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        yield piece
        read(len(piece))


def _no_message(body: bytes) -> Finding | None:
    """Why a file cannot be a message in any syntax, as far as its beginning shows."""
    if not body.strip():
        return Finding("PAR009")
    if media_type(body) != UNTYPED or SEGMENT.match(body.removeprefix(BOM)):
        return None
    start = body.lstrip()
    if body.startswith(UTF_16):
        found = "UTF-16"
    elif start[:1] in (b"{", b"["):
        found = "JSON"
    else:
        found = repr(start[:SHOWN])[2:-1]
    return Finding("PAR010", expected="UN/EDIFACT, XML", found=found)


def unwrap(body: bytes) -> tuple[etree._Element | None, bytes]:
    """The XML document without its signature, or the EDIFACT octets inside a signed envelope.

    Raises XmlRefused, security.Refused.
    """
    kind = media_type(body)
    if kind == "application/xml":
        return unsigned(safexml.parse(body.lstrip(b"\r\n\t "))), b""
    if kind in ("application/edifact", UNTYPED):
        return None, body
    content, inner = security.unproven(body, kind, security.Policy())
    if inner == "application/xml":
        return unsigned(safexml.parse(content)), b""
    return None, content


def unsigned(root: etree._Element) -> etree._Element:
    """The document without the signature that is its last child."""
    for child in root.findall(SIGNATURE):
        root.remove(child)
    return root


def sign(
    body: bytes,
    key: security.SigningKey,
    envelope: str,
    now: datetime,
    profile: security.EdifactProfile | None = None,
    stamp: Callable[[bytes], bytes] | None = None,
    shape: str = "",
    material: security.Material | None = None,
) -> tuple[str, bytes]:
    """Sign XML in place; wrap EDIFACT in CMS, or secure it by its own segments (``edifact``: each message,
    ``autack``: all by reference) as a profile says; (media type, octets).

    ``stamp``: from a signature's octets to a time-stamp token over them; XML is then signed in XAdES-T, CMS in
    CAdES-T, and EDIFACT's own security has no place for it (ValueError).  ``shape``: of a XAdES signature;
    ``material``: what makes it LT (ValueError without a stamp)."""
    kind = media_type(body)
    if kind == "application/xml":
        root = unsigned(safexml.parse(body))
        if not (shape or stamp or material):
            return kind, security.sign_xml(root, key, now)
        return kind, security.sign_xades(root, key, now, shape or security.ENVELOPED, stamp, material)
    if kind != "application/edifact":
        raise ValueError("neither XML nor an EDIFACT interchange")
    if shape or material:
        raise ValueError("XAdES is for XML; EDIFACT is signed in CMS, or by its own security")
    if stamp is not None and envelope in OWN_SECURITY:
        raise ValueError("EDIFACT's own security has no place for a time stamp")
    if profile is not None and envelope in OWN_SECURITY:
        signer = security.EdifactSigner(key, profile, OWN_SECURITY[envelope], now)
        secure = syntax.refer if envelope == AUTACK else syntax.secure
        return kind, secure(body, signer)
    return security.sign_cms(body, kind, key, envelope, now, stamp)


def as_file(media_type: str, body: bytes) -> bytes:
    """What a file of a signed message holds: a multipart's boundary stands in its Content-Type alone, so
    that without a MIME header (RFC 2045, 4 and 5) nobody could read the file again."""
    if not media_type.startswith("multipart/"):
        return body
    return f"MIME-Version: 1.0\r\nContent-Type: {media_type}\r\n\r\n".encode("ascii") + body
