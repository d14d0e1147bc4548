"""Levels of a XAdES signature above B: time stamps, embedded revocation, archive stamps.

They stand among the unsigned properties, so anybody may have put them there or taken them out: a stamp that
does not hold costs the signature its level, never its truth (ETSI EN 319 102-1, 5.5 and 5.6).  What was
claimed and not believed is told in a finding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import cache
from itertools import islice
from typing import Final

import msgspec
from lxml import etree

from gateway.model import Finding, Place
from gateway.model.finding import Severity
from gateway.security.algorithms import DIGESTERS
from gateway.security.certificates.trust import Trust
from gateway.security.cms.material import Material
from gateway.security.cms.timestamps import MAX_TOKEN, Imprint, Stamp, read_token, stated_by
from gateway.security.policy import Policy
from gateway.security.refused import Held, Refused
from gateway.security.xmldsig.canonical import INCLUSIVE, canonical_part
from gateway.security.xmldsig.grammar import misshapen, octets_of
from gateway.security.xmldsig.key_info import MAX_CERTIFICATE
from gateway.security.xmldsig.properties import XADES, XADES_141, Qualifying
from gateway.security.xmldsig.signature import C14N_METHOD, XmlSignature, c14n_of

MAX_STAMPS: Final = 4
MAX_ARCHIVES: Final = 12
"""Tokens that are looked at, the last of each kind: each costs public-key operations."""
MAX_MATERIAL: Final = 64
"""Certificates, responses and CRLs that a signature may carry."""
MAX_CRL: Final = 12 * 1024 * 1024
"""Characters of a revocation value in base64; national authorities have CRLs of some megabytes."""

_X: Final = f"{{{XADES}}}"
_X141: Final = f"{{{XADES_141}}}"
SIGNATURE_STAMP: Final = f"{_X}SignatureTimeStamp"
ARCHIVE_STAMP: Final = f"{_X141}ArchiveTimeStamp"
_OLD_ARCHIVE_STAMP: Final = f"{_X}ArchiveTimeStamp"
_TOKEN: Final = f"{_X}EncapsulatedTimeStamp"
_CERTIFICATE: Final = f"{_X}EncapsulatedX509Certificate"
_RESPONSES: Final = (f"{_X}EncapsulatedOCSPValue", f"{_X}EncapsulatedCRLValue")
_STAMP_CHILDREN: Final = frozenset({C14N_METHOD, _TOKEN})


_OWN: Final = "SIG121"
_ARCHIVE: Final = "SIG123"


class Stamped(msgspec.Struct, frozen=True):
    """When a signature is known to have existed (None: only now), by which stamps (the signature's own first),
    and what was not believed.

    ``own``: how many of the stamps are the signature's own.  ``covers``: the indices, among the unsigned
    properties, of archive stamps that cover one of those, latest first: each covers what stands before it.
    """

    at: datetime | None
    stamps: tuple[Stamp, ...]
    own: int
    covers: tuple[int, ...]
    findings: tuple[Finding, ...]


def material_of(unsigned: Sequence[etree._Element]) -> Material:
    """Certificates and revocation values of unsigned properties; what cannot be read is passed over."""
    certificates = (c for p in unsigned for c in p.iter(_CERTIFICATE))
    responses = (r for p in unsigned for r in p.iter(*_RESPONSES))
    return Material(_all_octets(certificates, MAX_CERTIFICATE), _all_octets(responses, MAX_CRL))


def _all_octets(elements: Iterable[etree._Element], limit: int) -> tuple[bytes, ...]:
    found: list[bytes] = []
    for element in islice(elements, MAX_MATERIAL):
        try:
            found.append(octets_of(element, limit))
        except Refused:
            continue
    return tuple(found)


class Token(msgspec.Struct, frozen=True):
    """A time stamp's element, in which unsigned property, at which index of them; the property itself where it
    holds none."""

    index: int
    part: etree._Element
    element: etree._Element

    @property
    def is_own(self) -> bool:
        """Whether it is over the signature's value alone."""
        return self.part.tag == SIGNATURE_STAMP

    def octets(self) -> bytes:
        """Raises Refused (SIG005, SIG013)."""
        return octets_of(self.element, 2 * MAX_TOKEN)

    def claimed(self) -> datetime | None:
        """The time that it states, true or not."""
        try:
            return stated_by(self.octets()).at
        except Refused:
            return None


def tokens_of(qualifying: Qualifying) -> tuple[Token, ...]:
    """The stamps to be judged, in that order: archive stamps, then the signature's own, each from the last."""
    archives = _last(qualifying, (ARCHIVE_STAMP, _OLD_ARCHIVE_STAMP), MAX_ARCHIVES)
    return (*archives, *_last(qualifying, (SIGNATURE_STAMP,), MAX_STAMPS))


def _last(qualifying: Qualifying, tags: tuple[str, ...], count: int) -> Iterator[Token]:
    parts = [(index, part) for index, part in enumerate(qualifying.unsigned) if part.tag in tags]
    found = (
        Token(index, part, element)
        for index, part in reversed(parts)
        for element in (list(islice(part.iterfind(_TOKEN), count)) or [part])
    )
    return islice(found, count)


Pieces = dict[int, tuple[bytes, ...]]
"""What each stamp is made over, by its index among the unsigned properties."""


def pieces_of(signature: XmlSignature, qualifying: Qualifying, tokens: Iterable[Token]) -> Pieces:
    """What the stamps are made over; one whose octets cannot be made is not there.

    They are taken while the document is whole; afterwards the stamps can be judged without it.  A
    SignatureTimeStamp is made over the canonical SignatureValue (EN 319 132-1, 5.3), an ArchiveTimeStamp over
    what the references cover (which is not here), the signature's parts, the unsigned properties before it and
    the other Objects (5.5.2.2).  Each part is canonicalised once for each method, however many stamps cover it.
    """
    made: dict[tuple[etree._Element, str], bytes] = {}

    def piece(part: etree._Element, method: str) -> bytes:
        if (part, method) not in made:
            made[part, method] = canonical_part(part, method)
        return made[part, method]

    home = qualifying.signed.getparent()
    own = None if home is None else home.getparent()
    others = [held for held in signature.objects if held is not own]
    found: Pieces = {}
    for index, stamp in {token.index: token.part for token in tokens}.items():
        covered = [signature.element[1]]
        if stamp.tag != SIGNATURE_STAMP:
            covered = [*signature.element[:3], *qualifying.unsigned[:index], *others]
        try:
            method = _method(stamp)
            found[index] = tuple(piece(part, method) for part in covered)
        except Refused:
            continue
    return found


def climb(
    tokens: Sequence[Token],
    pieces: Pieces,
    referenced: Sequence[bytes],
    trust: Trust,
    policy: Policy,
    now: datetime,
) -> Stamped:
    """Judge the stamps, from the youngest back to the signature's own.

    Each must hold when the earliest archive stamp behind it, which covers it, was made; else now: two tokens
    in one property do not cover each other.  ``referenced``: the octets of the references, which begin an
    archive stamp's imprint.  Raises Held.
    """
    held: list[tuple[Token, Stamp]] = []
    findings: list[Finding] = []

    @cache
    def imprint(index: int) -> Imprint:
        part = next(token.part for token in tokens if token.index == index)
        return _imprint(part, (() if part.tag == SIGNATURE_STAMP else referenced), pieces.get(index))

    for token in tokens:
        behind = (stamp.at for other, stamp in held if other.index > token.index and not other.is_own)
        seen = min([now, *behind])
        try:
            stamp = read_token(token.octets(), imprint(token.index), trust, policy, seen)
        except Held:
            raise
        except Refused as fault:
            findings.append(_not_believed(_OWN if token.is_own else _ARCHIVE, token.part, fault))
            continue
        held.append((token, stamp))
    own = sorted((pair for pair in held if pair[0].is_own), key=lambda pair: pair[1].at)
    if not own:
        return Stamped(None, (), 0, (), tuple(findings))
    first = min(token.index for token, _ in own)
    archive = [pair for pair in held if not pair[0].is_own]
    covers = tuple(dict.fromkeys(token.index for token, _ in archive if token.index > first))
    stamps = tuple(stamp for _, stamp in (*own, *reversed(archive)))
    return Stamped(own[0][1].at, stamps, len(own), covers, tuple(findings))


def _imprint(part: etree._Element, before: Sequence[bytes], pieces: Sequence[bytes] | None) -> Imprint:
    """Digests of what a stamp is made over, each taken once, and of nothing put together."""
    if pieces is None or part.tag == _OLD_ARCHIVE_STAMP:
        raise misshapen(part, "CanonicalizationMethod, EncapsulatedTimeStamp", "SIG110")

    @cache
    def digest(name: str) -> bytes:
        made = DIGESTERS[name](b"")
        for piece in (*before, *pieces):
            made.update(piece)
        return made.digest()

    return digest


def _method(stamp: etree._Element) -> str:
    """A stamp's canonicalisation: the named one, or inclusive (EN 319 132-1, 5.1.4.4).  What an Include would
    add is not understood."""
    if not _STAMP_CHILDREN.issuperset(child.tag for child in stamp):
        raise misshapen(stamp, "CanonicalizationMethod, EncapsulatedTimeStamp", "SIG110")
    methods = stamp.findall(C14N_METHOD)
    return c14n_of(methods[0], "CanonicalizationMethod") if methods else INCLUSIVE


def _not_believed(code: str, part: etree._Element, fault: Refused) -> Finding:
    place = Place(part="UnsignedProperties", line=part.sourceline or 0)
    return Finding(code, place, found=fault.code, severity=Severity.WARNING)
