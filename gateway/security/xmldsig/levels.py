"""Levels of a XAdES signature above B: time stamps, embedded revocation, archive stamps.

They stand among the unsigned properties, so anybody may have put them there or taken them out: a stamp that
does not hold costs the signature its level, never its truth (ETSI EN 319 102-1, 5.5 and 5.6).  What was
claimed and not believed is told in a finding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

import msgspec
from lxml import etree

from gateway.model import Finding, Place
from gateway.model.finding import Severity
from gateway.security.certificates.trust import Trust
from gateway.security.cms.material import Material
from gateway.security.cms.timestamps import MAX_TOKEN, Stamp, read_token
from gateway.security.policy import Policy
from gateway.security.refused import Refused
from gateway.security.xmldsig.canonical import INCLUSIVE, canonical_part
from gateway.security.xmldsig.properties import XADES, XADES_141, Qualifying
from gateway.security.xmldsig.signature import (
    C14N_METHOD,
    MAX_CERTIFICATE,
    XmlSignature,
    c14n_of,
    misshapen,
    octets_of,
)

MAX_STAMPS: Final = 16
"""Stamps of one kind that are looked at: each costs public-key operations."""
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
    whether archive stamps were among them, and what was not believed."""

    at: datetime | None
    stamps: tuple[Stamp, ...]
    archived: bool
    findings: tuple[Finding, ...]


def material_of(qualifying: Qualifying) -> Material:
    """Certificates and revocation values of the unsigned properties; what cannot be read is passed over."""
    certificates = [c for p in qualifying.unsigned for c in p.iter(_CERTIFICATE)]
    responses = [r for p in qualifying.unsigned for r in p.iter(*_RESPONSES)]
    return Material(_all_octets(certificates, MAX_CERTIFICATE), _all_octets(responses, MAX_CRL))


def _all_octets(elements: Iterable[etree._Element], limit: int) -> tuple[bytes, ...]:
    found: list[bytes] = []
    for element in list(elements)[:MAX_MATERIAL]:
        try:
            found.append(octets_of(element, limit))
        except Refused:
            continue
    return tuple(found)


def is_stamped(qualifying: Qualifying) -> bool:
    """Whether there are stamps to be judged."""
    return any(p.tag in (SIGNATURE_STAMP, ARCHIVE_STAMP, _OLD_ARCHIVE_STAMP) for p in qualifying.unsigned)


Imprints = dict[int, tuple[bytes, ...]]
"""What each stamp is made over, in pieces, by its index among the unsigned properties."""


def imprints_of(signature: XmlSignature, qualifying: Qualifying) -> Imprints:
    """The imprints of the stamps that will be looked at; a stamp whose imprint cannot be made has none.

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
    found: Imprints = {}
    for index, stamp in _last_first(qualifying, (SIGNATURE_STAMP,)) + _last_first(
        qualifying, (ARCHIVE_STAMP,)
    ):
        covered = [signature.element[1]]
        if stamp.tag == ARCHIVE_STAMP:
            covered = [*signature.element[:3], *qualifying.unsigned[:index], *others]
        try:
            method = _method(stamp)
            found[index] = tuple(piece(part, method) for part in covered)
        except Refused:
            continue
    return found


def climb(
    qualifying: Qualifying,
    imprints: Imprints,
    referenced: Sequence[bytes],
    trust: Trust,
    policy: Policy,
    now: datetime,
) -> Stamped:
    """Judge the stamps, from the youngest back to the signature's own.

    Each must hold when the next younger one was made.  ``referenced``: the octets of the references, which
    begin an archive stamp's imprint.
    """
    findings: list[Finding] = []

    def believed(tags: Sequence[str], code: str, seen: datetime, before: Sequence[bytes]) -> Iterator[Stamp]:
        for index, part in _last_first(qualifying, tags):
            tokens = part.findall(_TOKEN)[:MAX_STAMPS] or [part]
            for token in tokens:
                try:
                    imprinted = b"".join((*before, *_of(imprints, index, part)))
                    stamp = read_token(octets_of(token, 2 * MAX_TOKEN), imprinted, trust, policy, seen)
                except Refused as fault:
                    findings.append(_not_believed(code, part, fault))
                    continue
                yield stamp
                if code == _ARCHIVE:
                    seen = min(seen, stamp.at)

    archives = list(believed((ARCHIVE_STAMP, _OLD_ARCHIVE_STAMP), _ARCHIVE, now, referenced))
    seen = min([now, *(stamp.at for stamp in archives)])
    own = sorted(believed((SIGNATURE_STAMP,), _OWN, seen, ()), key=lambda stamp: stamp.at)
    stamps = (*own, *reversed(archives)) if own else ()
    return Stamped(own[0].at if own else None, stamps, bool(archives), tuple(findings))


def _last_first(qualifying: Qualifying, tags: Sequence[str]) -> list[tuple[int, etree._Element]]:
    found = [(i, part) for i, part in enumerate(qualifying.unsigned) if part.tag in tags]
    return found[::-1][:MAX_STAMPS]


def _of(imprints: Imprints, index: int, part: etree._Element) -> tuple[bytes, ...]:
    if index not in imprints:
        raise misshapen(part, "CanonicalizationMethod, EncapsulatedTimeStamp", "SIG110")
    return imprints[index]


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
