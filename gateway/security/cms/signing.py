"""Signing in CMS: attached (application/pkcs7-mime) and detached (multipart/signed)."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import UTC, datetime

from cryptography.hazmat.asn1 import TLV, GeneralizedTime, SetOf, UTCTime, decode_der, encode_der

from gateway.security.algorithms import DIGESTERS
from gateway.security.cms.ber import enclose
from gateway.security.cms.structures import (
    CONTENT_TYPE,
    DATA,
    MESSAGE_DIGEST,
    SET,
    SIGNED_DATA,
    SIGNING_TIME,
    ContentInfo,
    DigestAttribute,
    EncapsulatedContent,
    IssuerAndSerial,
    LateTimeAttribute,
    SignedData,
    SignerInfo,
    TimeAttribute,
    TypeAttribute,
    digest_identifier,
    signature_identifier,
)
from gateway.security.keystore.keys import SigningKey
from gateway.security.verified import MULTIPART_SIGNED, PKCS7_MIME

_LINE = 64
_LONE = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_UTC_TIME_ENDS = 2050
"""RFC 5652, 11.3: later years need GeneralizedTime."""


def sign_cms(
    content: bytes, media_type: str, key: SigningKey, envelope: str, now: datetime
) -> tuple[str, bytes]:
    """The Content-Type value and the body of a signed message.

    ``media_type``: of the content.  ``envelope``: ``multipart/signed`` (the content stays readable)
    or ``application/pkcs7-mime`` (DER, the bare content inside).  ``now``: aware, the signing time.
    Raises ValueError for another envelope.
    """
    if envelope == PKCS7_MIME:
        body = _signed_data(content, key, now, detached=False)
        return f"{PKCS7_MIME}; smime-type=signed-data; name=smime.p7m", body
    if envelope != MULTIPART_SIGNED:
        raise ValueError(f"not an envelope: {envelope!r}")
    part = _part(content, media_type)
    signature = base64.encodebytes(_signed_data(part, key, now, detached=True)).replace(b"\n", b"\r\n")
    boundary = _boundary(part)
    micalg = f"sha-{key.algorithm.digest[3:]}"
    value = (
        f'{MULTIPART_SIGNED}; protocol="application/pkcs7-signature"; micalg={micalg}; boundary="{boundary}"'
    )
    mark = b"--" + boundary.encode("ascii")
    head = (
        b"Content-Type: application/pkcs7-signature; name=smime.p7s\r\n"
        b"Content-Transfer-Encoding: base64\r\n"
        b"Content-Disposition: attachment; filename=smime.p7s\r\n\r\n"
    )
    return value, b"".join((mark, b"\r\n", part, b"\r\n", mark, b"\r\n", head, signature, mark, b"--\r\n"))


def _part(content: bytes, media_type: str) -> bytes:
    """The signed entity.  Content with lone CR or LF is put into base64: mail and S/MIME tools would
    change its line ends before they digest it (RFC 8551, 3.1.1)."""
    encoding = b"binary"
    if _LONE.search(content):
        encoding = b"base64"
        content = base64.encodebytes(content).replace(b"\n", b"\r\n")
    head = b"Content-Type: " + media_type.encode("ascii") + b"\r\nContent-Transfer-Encoding: " + encoding
    return head + b"\r\n\r\n" + content


def _boundary(part: bytes) -> str:
    """A boundary that does not occur in the part; the same part has the same one."""
    digest = hashlib.sha256(part).hexdigest()
    while digest.encode("ascii") in part:
        digest = hashlib.sha256(digest.encode("ascii")).hexdigest()
    return f"cvan-{digest[:40]}"


def _signed_data(content: bytes, key: SigningKey, now: datetime, *, detached: bool) -> bytes:
    digest = key.algorithm.digest
    attributes = [_tlv(a) for a in _attributes(DIGESTERS[digest](content).digest(), now)]
    ordered = sorted(enclose(a.tag_bytes, bytes(a.data)) for a in attributes)
    own = key.certificates[0]
    issuer = IssuerAndSerial(issuer=_read(own.issuer.public_bytes()), serial=own.serial_number)
    info = SignerInfo(
        version=1,
        sid=issuer,
        digest_algorithm=_tlv(digest_identifier(digest)),
        signed_attributes=SetOf(attributes),
        signature_algorithm=_tlv(signature_identifier(key.algorithm)),
        signature=key.sign(enclose(SET, b"".join(ordered)), now),
        unsigned_attributes=None,
    )
    signed = SignedData(
        version=1,
        digest_algorithms=SetOf([_tlv(digest_identifier(digest))]),
        encapsulated=EncapsulatedContent(content_type=DATA, content=None if detached else content),
        certificates=[_read(der) for der in sorted(key.der)],
        crls=None,
        signer_infos=SetOf([_tlv(info)]),
    )
    return encode_der(ContentInfo(content_type=SIGNED_DATA, content=_tlv(signed)))


def _attributes(digest: bytes, now: datetime) -> tuple[object, ...]:
    moment = now.astimezone(UTC).replace(microsecond=0)
    signed_at: object
    if moment.year < _UTC_TIME_ENDS:
        signed_at = TimeAttribute(type=SIGNING_TIME, values=SetOf([UTCTime(moment)]))
    else:
        signed_at = LateTimeAttribute(type=SIGNING_TIME, values=SetOf([GeneralizedTime(moment)]))
    return (
        TypeAttribute(type=CONTENT_TYPE, values=SetOf([DATA])),
        signed_at,
        DigestAttribute(type=MESSAGE_DIGEST, values=SetOf([digest])),
    )


def _tlv(structure: object) -> TLV:
    return _read(encode_der(structure))


def _read(der: bytes) -> TLV:
    return decode_der(TLV, der)
