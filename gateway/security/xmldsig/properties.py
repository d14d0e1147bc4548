"""Qualifying properties of a XAdES signature (ETSI EN 319 132-1; TS 101 903, 1.3.2): read, and bound.

Signed properties are believed once their reference holds.  Unsigned ones are anybody's: each is believed
only as far as it proves itself, and one that nobody here knows is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.asn1 import decode_der, encode_der
from lxml import etree

from gateway.safexml import local_name
from gateway.security.algorithms import DIGESTERS
from gateway.security.certificates.certificate import end_entity, read_certificate
from gateway.security.cms.ber import enclose
from gateway.security.cms.ess import IssuerSerial
from gateway.security.refused import refusal
from gateway.security.xmldsig.canonical import CANONICAL
from gateway.security.xmldsig.grammar import check_attributes, misshapen, octets_of
from gateway.security.xmldsig.shapes import Place, is_properties, only_named
from gateway.security.xmldsig.signature import DIGEST_METHOD, DIGEST_VALUE, MAX_VALUE, XmlSignature, digest_of

XADES: Final = "http://uri.etsi.org/01903/v1.3.2#"
XADES_141: Final = "http://uri.etsi.org/01903/v1.4.1#"
MAX_UNSIGNED: Final = 64
"""Unsigned properties: a signature that is stamped anew every year for fifty years has some."""
MAX_INSIDE: Final = 4_096
"""Elements of the properties; the references and values of an archived signature make some hundreds."""
MAX_NAMED: Final = 8
"""Certificates that a signing-certificate property names: the signer's and its chain."""

_X: Final = f"{{{XADES}}}"
_IS_LARGE: Final = etree.XPath(f"count(.//*) > {MAX_INSIDE}")
_PART: Final = "SignedProperties"
_SIGNATURE_PROPERTIES: Final = frozenset({f"{_X}SignedSignatureProperties"})
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?")
_TARGET: Final = frozenset({"Id", "Target"})
_DIRECTORY_NAME: Final = b"\xa4"


class NamedCertificate(msgspec.Struct, frozen=True):
    """A certificate as a property names it: by its digest, and perhaps by its issuer (DER of an IssuerSerial)
    and serial number."""

    digest: str
    value: bytes
    serial: int | None = None
    issuer_serial: bytes = b""


class Qualifying(msgspec.Struct, frozen=True):
    """The properties of a signature.

    ``signed``: the element that the reference covers.  ``named``: the certificates that may be the signer's.
    ``signed_at``: as the signer says (aware).  ``policy``: the signature policy's identifier, "" where none
    is named.  ``unsigned``: the unsigned signature properties, in their order.
    """

    signed: etree._Element
    named: tuple[NamedCertificate, ...]
    signed_at: datetime | None
    policy: str
    unsigned: tuple[etree._Element, ...]

    @property
    def digests(self) -> frozenset[str]:
        """The digests that the binding to the signer's certificate relies on."""
        return frozenset(named.digest for named in self.named)


def read_properties(root: etree._Element, signature: XmlSignature, place: Place) -> Qualifying | None:
    """The signature's qualifying properties; None where it has none, and claims none.

    Raises Refused: SIG110 where they are misshapen, SIG112 where no reference covers them, SIG102, SIG103.
    """
    objects = [o for o in signature.objects if is_properties(o)]
    if not objects and place.properties < 0:
        return None
    line = signature.element.sourceline or 0
    if len(objects) != 1:
        raise refusal("SIG110", "1", f"{len(objects)} QualifyingProperties", "Signature", line)
    qualifying = objects[0][0]
    if qualifying.tag != f"{_X}QualifyingProperties":
        raise refusal("SIG110", XADES, str(qualifying.tag), "QualifyingProperties", line)
    if _IS_LARGE(qualifying):
        raise misshapen(qualifying, f"<= {MAX_INSIDE} elements", "SIG110")
    check_attributes(qualifying, _TARGET)
    if qualifying.get("Target") != f"#{signature.element.get('Id', '')}":
        raise refusal(
            "SIG110", f"#{signature.element.get('Id', '')}", qualifying.get("Target", ""), "Target", line
        )
    children = list(qualifying)
    tags = [child.tag for child in children]
    if tags not in ([f"{_X}SignedProperties"], [f"{_X}SignedProperties", f"{_X}UnsignedProperties"]):
        raise misshapen(qualifying, "SignedProperties, UnsignedProperties", "SIG110")
    _check_covered(root, signature, place, children[0])
    unsigned = _unsigned(children[1]) if len(children) > 1 else ()
    return _read_signed(children[0], unsigned)


def _check_covered(
    root: etree._Element, signature: XmlSignature, place: Place, signed: etree._Element
) -> None:
    """The reference of the properties' type names just these properties."""
    if place.properties < 0:
        raise refusal("SIG112", part=_PART, line=signed.sourceline or 0)
    target = signature.profile.targets[place.properties]
    if not target.uri.startswith("#"):
        raise refusal("SIG112", f"#{signed.get('Id', '')}", target.uri, _PART, signed.sourceline or 0)
    only_named(root, target.uri[1:], signed)
    if len(target.transforms) > 1 or not CANONICAL.issuperset(target.transforms):
        raise refusal("SIG009", ", ".join(sorted(CANONICAL)), ", ".join(target.transforms), _PART)


def _read_signed(signed: etree._Element, unsigned: tuple[etree._Element, ...]) -> Qualifying:
    groups = [child for child in signed if child.tag in _SIGNATURE_PROPERTIES]
    if len(groups) > 1:
        raise misshapen(signed, "1 SignedSignatureProperties", "SIG110")
    known: dict[str, etree._Element] = {}
    for child in groups[0] if groups else ():
        name = str(child.tag)
        if name in known:
            raise misshapen(groups[0], f"1 {local_name(child)}", "SIG110")
        known[name] = child
    first, second = known.get(f"{_X}SigningCertificate"), known.get(f"{_X}SigningCertificateV2")
    if (first is None) == (second is None):
        raise misshapen(signed, "1 SigningCertificate", "SIG110")
    # Version 2 has the signer's first (EN 319 132-1, 5.2.2.2); version 1 has it anywhere.
    named = _named(first) if first is not None else _named(second)[:1]  # type: ignore[arg-type]
    return Qualifying(signed, named, _signing_time(known.get(f"{_X}SigningTime")), _policy(known), unsigned)


def _named(element: etree._Element) -> tuple[NamedCertificate, ...]:
    if not 1 <= len(element) <= MAX_NAMED:
        raise misshapen(element, f"1..{MAX_NAMED} Cert", "SIG110")
    return tuple(_named_one(child) for child in element)


def _named_one(cert: etree._Element) -> NamedCertificate:
    digests = cert.findall(f"{_X}CertDigest")
    if (
        cert.tag != f"{_X}Cert"
        or len(digests) != 1
        or [c.tag for c in digests[0]] != [DIGEST_METHOD, DIGEST_VALUE]
    ):
        raise misshapen(cert, "CertDigest", "SIG110")
    digest, value = digest_of(digests[0][0], _PART), octets_of(digests[0][1], MAX_VALUE)
    second = cert.find(f"{_X}IssuerSerialV2")
    if second is not None:
        return NamedCertificate(digest, value, issuer_serial=octets_of(second, MAX_VALUE))
    serial = cert.findtext(f"{_X}IssuerSerial/{{http://www.w3.org/2000/09/xmldsig#}}X509SerialNumber")
    if serial is None:
        return NamedCertificate(digest, value)
    if re.fullmatch(r"\s*[+-]?[0-9]{1,60}\s*", serial) is None:
        raise refusal("SIG110", "X509SerialNumber", serial, _PART, cert.sourceline or 0)
    return NamedCertificate(digest, value, serial=int(serial))


def _signing_time(element: etree._Element | None) -> datetime | None:
    """xsd:dateTime; a time without a zone is taken for UTC."""
    if element is None:
        return None
    text = (element.text or "").strip()
    match = _TIME.fullmatch(text)
    try:
        if match is None or len(element):
            raise ValueError(text)
        fraction = f".{match[2][:6]:0<6}" if match[2] else ""
        read = datetime.fromisoformat(f"{match[1]}{fraction}{match[3] or 'Z'}")
        return read.astimezone(UTC)
    except (ValueError, OverflowError):
        raise refusal("SIG110", "xsd:dateTime", text, "SigningTime", element.sourceline or 0) from None


def _policy(known: dict[str, etree._Element]) -> str:
    """The identifier, as the signer wrote it; the policy itself is never fetched."""
    named = known.get(f"{_X}SignaturePolicyIdentifier")
    if named is None:
        return ""
    if named.find(f"{_X}SignaturePolicyImplied") is not None:
        return "implied"
    return " ".join((named.findtext(f"{_X}SignaturePolicyId/{_X}SigPolicyId/{_X}Identifier") or "").split())


def _unsigned(properties: etree._Element) -> tuple[etree._Element, ...]:
    groups = properties.findall(f"{_X}UnsignedSignatureProperties")
    if len(groups) > 1:
        raise misshapen(properties, "1 UnsignedSignatureProperties", "SIG110")
    children = tuple(groups[0]) if groups else ()
    if len(children) > MAX_UNSIGNED:
        raise refusal("SIG110", f"<= {MAX_UNSIGNED}", str(len(children)), "UnsignedSignatureProperties")
    return children


class Identity(msgspec.Struct, frozen=True):
    """A certificate and its names (DER) and serial number, read once."""

    certificate: x509.Certificate
    subject: bytes
    issuer: bytes
    serial: int


@lru_cache(maxsize=1_024)
def identity_of(der: bytes) -> Identity:
    """Raises Refused (SIG021)."""
    read = read_certificate(der)
    return Identity(read, read.subject.public_bytes(), read.issuer.public_bytes(), read.serial_number)


def signer_named(certificates: Sequence[bytes], qualifying: Qualifying) -> bytes:
    """The one of the certificates that the signed property names, in DER.

    Raises Refused (SIG111) where it names none of them, or names one by another issuer or serial number.
    """
    found = [der for der in dict.fromkeys(certificates) if any(_is(der, n) for n in qualifying.named)]
    if not found:
        raise refusal("SIG111", qualifying.named[0].value.hex(), "", _PART)
    if len(found) == 1:
        return found[0]
    bundle = [identity_of(der).certificate for der in found]
    return found[bundle.index(end_entity(bundle))]


def _is(der: bytes, named: NamedCertificate) -> bool:
    if DIGESTERS[named.digest](der).digest() != named.value:
        return False
    identity = identity_of(der)
    if named.serial not in (None, identity.serial):
        raise refusal("SIG111", str(named.serial), str(identity.serial), _PART)
    if named.issuer_serial:
        issuer = enclose(_DIRECTORY_NAME, identity.issuer)
        try:
            read = decode_der(IssuerSerial, named.issuer_serial)
        except ValueError:
            raise refusal("SIG110", "IssuerSerial", "", _PART) from None
        if read.serial != identity.serial or [encode_der(name) for name in read.issuer] != [issuer]:
            raise refusal("SIG111", f"serial {read.serial}", f"serial {identity.serial}", _PART)
    return True
