"""Signing with qualifying properties: XAdES baseline B, T and LT (ETSI EN 319 132-1), in each shape."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from xml.sax.saxutils import escape

from cryptography import x509
from lxml import etree

from gateway.security.algorithms import DIGESTERS
from gateway.security.cms.material import Material
from gateway.security.cms.signing import Stamping
from gateway.security.keystore.keys import SigningKey
from gateway.security.mime import MICALG
from gateway.security.policy import DETACHED, ENVELOPED, ENVELOPING
from gateway.security.verified import MULTIPART_SIGNED, XML
from gateway.security.xmldsig.canonical import EXCLUSIVE
from gateway.security.xmldsig.properties import XADES
from gateway.security.xmldsig.shapes import IDS
from gateway.security.xmldsig.signature import OBJECT_TYPE, PROPERTIES_TYPE
from gateway.security.xmldsig.signing import (
    DIGEST_URI_OF,
    EXCLUSIVELY,
    NAMESPACE,
    WHOLE,
    canonical_content,
    enveloped,
    reference_to,
    signature_of,
    value_of,
)

_XADES: Final = f' xmlns:xades="{XADES}"'
_PROPERTIES: Final = (
    "<xades:SignedProperties{namespace} Id={identifier}>"
    "<xades:SignedSignatureProperties>"
    "<xades:SigningTime>{time}</xades:SigningTime>"
    "<xades:SigningCertificateV2><xades:Cert><xades:CertDigest>"
    f'<ds:DigestMethod{NAMESPACE} Algorithm="{{method}}"></ds:DigestMethod>'
    f"<ds:DigestValue{NAMESPACE}>{{digest}}</ds:DigestValue>"
    "</xades:CertDigest></xades:Cert></xades:SigningCertificateV2>"
    "</xades:SignedSignatureProperties>"
    "<xades:SignedDataObjectProperties>"
    "<xades:DataObjectFormat ObjectReference={reference}>"
    "<xades:MimeType>{media_type}</xades:MimeType>"
    "</xades:DataObjectFormat></xades:SignedDataObjectProperties></xades:SignedProperties>"
)
_OBJECT: Final = (
    "<ds:Object><xades:QualifyingProperties{namespace} Target={target}>{signed}{unsigned}"
    "</xades:QualifyingProperties></ds:Object>"
)
_UNSIGNED: Final = (
    "<xades:UnsignedProperties><xades:UnsignedSignatureProperties>{}"
    "</xades:UnsignedSignatureProperties></xades:UnsignedProperties>"
)
_STAMP: Final = (
    "<xades:SignatureTimeStamp>"
    f'<ds:CanonicalizationMethod{NAMESPACE} Algorithm="{EXCLUSIVE}"></ds:CanonicalizationMethod>'
    "<xades:EncapsulatedTimeStamp>{}</xades:EncapsulatedTimeStamp></xades:SignatureTimeStamp>"
)
_OPEN: Final = "{namespace}"
_STAMPED_VALUE: Final = f"<ds:SignatureValue{NAMESPACE}>{{}}</ds:SignatureValue>"
_DETACHED: Final = (b"<Signed>", b"</Signed>")


def sign_xades(
    root: etree._Element,
    key: SigningKey,
    now: datetime,
    shape: str = ENVELOPED,
    stamp: Stamping | None = None,
    material: Material | None = None,
) -> bytes:
    """The document with a XAdES signature of level B, with ``stamp`` T, with ``material`` too LT.

    ``shape``: ``enveloped`` (the root's last child), ``enveloping`` (the root is the signature) or ``detached``
    (both under a root of their own; the document's root must have an Id).  Prefixes may be used in names only,
    not in values.  Raises ValueError, and whatever ``stamp`` raises.
    """
    content = canonical_content(root)
    name = _name(content, now)
    if shape == ENVELOPED:
        reference = reference_to("", WHOLE, content, key, identifier=f"c-{name}")
        return enveloped(content, _qualified(name, reference, XML, key, now, stamp, material))
    if shape == DETACHED:
        found = [root.get(attribute) for attribute in IDS if root.get(attribute)]
        if len(set(found)) != 1:
            raise ValueError("a document that is signed detached needs one Id")
        reference = reference_to(f"#{found[0]}", EXCLUSIVELY, content, key, identifier=f"c-{name}")
        signature = _qualified(name, reference, XML, key, now, stamp, material)
        return _DETACHED[0] + content + signature + _DETACHED[1]
    if shape != ENVELOPING:
        raise ValueError(f"not a shape: {shape!r}")
    held = f'<ds:Object{NAMESPACE} Id="o-{name}">'.encode() + content + b"</ds:Object>"
    canonical = etree.tostring(etree.fromstring(held), method="c14n", exclusive=True)
    reference = reference_to(
        f"#o-{name}", EXCLUSIVELY, canonical, key, identifier=f"c-{name}", kind=OBJECT_TYPE
    )
    return _qualified(name, reference, XML, key, now, stamp, material, held.decode("utf-8"))


def sign_beside(
    content: bytes,
    media_type: str,
    key: SigningKey,
    now: datetime,
    stamp: Stamping | None = None,
    material: Material | None = None,
) -> tuple[str, bytes]:
    """The Content-Type value and the body of any octets with a XAdES signature beside them: multipart/signed,
    the signature in the second part, which refers to the first by its Content-ID.

    ``media_type``: of the content.  Raises ValueError, and whatever ``stamp`` raises.
    """
    name = _name(content, now)
    content_id = f"{name}@content"
    reference = reference_to(f"cid:{content_id}", "", content, key, identifier=f"c-{name}")
    signature = _qualified(name, reference, media_type.partition(";")[0].strip(), key, now, stamp, material)
    boundary = f"=_{name}"
    micalg = MICALG[key.algorithm.digest]
    value = f'{MULTIPART_SIGNED}; protocol="{XML}"; micalg={micalg}; boundary="{boundary}"'
    mark = b"--" + boundary.encode("ascii")
    first = _part(content, media_type, f"Content-ID: <{content_id}>\r\n")
    return value, b"\r\n".join((mark, first, mark, _part(signature, XML), mark + b"--", b""))


def _part(content: bytes, media_type: str, fields: str = "") -> bytes:
    head = f"Content-Type: {media_type}\r\n{fields}Content-Transfer-Encoding: base64\r\n\r\n"
    lines = base64.encodebytes(content).rstrip().replace(b"\n", b"\r\n")
    return head.encode("ascii") + lines


def _name(content: bytes, now: datetime) -> str:
    """An identifier that no other signature has, and that the same signing makes again."""
    return hashlib.sha256(content + now.isoformat().encode("ascii")).hexdigest()[:32]


def _qualified(
    name: str,
    reference: str,
    media_type: str,
    key: SigningKey,
    now: datetime,
    stamp: Stamping | None,
    material: Material | None,
    held: str = "",
) -> bytes:
    """The Signature element; ``held``: the Object that holds the content, if it does."""
    if material is not None and stamp is None:
        raise ValueError("level LT needs a time stamp")
    properties = _properties(name, media_type, key, now)
    covered = properties.replace(_OPEN, _XADES).encode("utf-8")
    kind = PROPERTIES_TYPE
    references = [reference, reference_to(f"#p-{name}", EXCLUSIVELY, covered, key, kind=kind)]
    value = value_of(references, key, now)
    unsigned = (
        "" if stamp is None else _unsigned(stamp(_STAMPED_VALUE.format(value).encode("ascii")), material)
    )
    held += _OBJECT.format(
        namespace=_XADES, target=f'"#s-{name}"', signed=properties.replace(_OPEN, ""), unsigned=unsigned
    )
    return signature_of(references, value, key, identifier=f"s-{name}", objects=held)


def _properties(name: str, media_type: str, key: SigningKey, now: datetime) -> str:
    """Canonical SignedProperties, with room for the namespace that they declare when they stand alone."""
    digest = key.algorithm.digest
    return _PROPERTIES.format(
        namespace=_OPEN,
        identifier=f'"p-{name}"',
        time=now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        method=DIGEST_URI_OF[digest],
        digest=base64.b64encode(DIGESTERS[digest](key.der[0]).digest()).decode("ascii"),
        reference=f'"#c-{name}"',
        media_type=escape(media_type),
    )


def _unsigned(token: bytes, material: Material | None) -> str:
    parts = [_STAMP.format(_text(token))]
    if material is not None:
        parts.append(_values("CertificateValues", "EncapsulatedX509Certificate", material.certificates))
        crls = [der for der in material.responses if is_crl(der)]
        responses = [der for der in material.responses if not is_crl(der)]
        inside = _values("CRLValues", "EncapsulatedCRLValue", crls)
        inside += _values("OCSPValues", "EncapsulatedOCSPValue", responses)
        parts.append(f"<xades:RevocationValues>{inside}</xades:RevocationValues>" if inside else "")
    return _UNSIGNED.format("".join(parts))


def _values(group: str, name: str, values: Sequence[bytes]) -> str:
    if not values:
        return ""
    inside = "".join(f"<xades:{name}>{_text(value)}</xades:{name}>" for value in values)
    return f"<xades:{group}>{inside}</xades:{group}>"


def _text(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")


def is_crl(der: bytes) -> bool:
    """Whether DER is a CRL; what is none is taken for an OCSP response."""
    try:
        x509.load_der_x509_crl(der)
    except ValueError:
        return False
    return True
