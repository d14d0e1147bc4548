"""Signing in CMS: attached (application/pkcs7-mime) and detached (multipart/signed).

The DER is written from parts that are the same in every message of a key, and the content is copied once.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.asn1 import encode_der

from gateway.security.algorithms import DIGESTERS, HASHES, Algorithm
from gateway.security.cms.ber import enclose, opening
from gateway.security.cms.cades import SIGNATURE_TIME_STAMP
from gateway.security.cms.ess import signing_certificate
from gateway.security.cms.identifiers import digest_identifier, signature_identifier
from gateway.security.cms.structures import (
    CONTENT_TYPE,
    DATA,
    MESSAGE_DIGEST,
    SEQUENCE,
    SET,
    SIGNED_DATA,
    SIGNING_TIME,
)
from gateway.security.keystore.keys import SigningKey
from gateway.security.mime import MICALG
from gateway.security.verified import MULTIPART_SIGNED, PKCS7_MIME

_UTC_TIME_ENDS: Final = 2050
"""RFC 5652, 11.3: later years need GeneralizedTime."""
_LINE: Final = 76
_VERSION: Final = b"\x02\x01\x01"
_OCTETS: Final = b"\x04"
_INSIDE: Final = b"\xa0"
_UNSIGNED: Final = b"\xa1"

Stamping = Callable[[bytes], bytes]
"""From the octets of a signature to a TimeStampToken over them."""


def sign_cms(
    content: bytes,
    media_type: str,
    key: SigningKey,
    envelope: str,
    now: datetime,
    stamp: Stamping | None = None,
) -> tuple[str, bytes]:
    """The Content-Type value and the body of a signed message (CAdES-B, with ``stamp`` CAdES-T).

    ``media_type``: of the content.  ``envelope``: ``multipart/signed`` (the content stays readable)
    or ``application/pkcs7-mime`` (DER, the bare content inside).  ``now``: aware, the signing time.
    Raises ValueError for another envelope, and whatever ``stamp`` raises.
    """
    if envelope == PKCS7_MIME:
        body = signed_data(content, key, now, detached=False, stamp=stamp)
        return f"{PKCS7_MIME}; smime-type=signed-data; name=smime.p7m", body
    if envelope != MULTIPART_SIGNED:
        raise ValueError(f"not an envelope: {envelope!r}")
    part = _part(content, media_type)
    digest = key.algorithm.digest
    hashed = DIGESTERS[digest](part).digest()
    value = _written(hashed, (), key, now, stamp)
    signature = in_lines(value)
    boundary = _boundary(part, hashed)
    kind = f'{MULTIPART_SIGNED}; protocol="application/pkcs7-signature"; micalg={MICALG[digest]}'
    mark = b"--" + boundary.encode("ascii")
    head = (
        b"Content-Type: application/pkcs7-signature; name=smime.p7s\r\n"
        b"Content-Transfer-Encoding: base64\r\n"
        b"Content-Disposition: attachment; filename=smime.p7s\r\n\r\n"
    )
    body = b"".join((mark, b"\r\n", part, b"\r\n", mark, b"\r\n", head, signature, mark, b"--\r\n"))
    return f'{kind}; boundary="{boundary}"', body


def signed_data(
    content: bytes, key: SigningKey, now: datetime, *, detached: bool, stamp: Stamping | None = None
) -> bytes:
    """A ContentInfo with SignedData, in DER; ``detached``: without the content inside."""
    hashed = DIGESTERS[key.algorithm.digest](content).digest()
    inside = () if detached else _nested(_INSIDE, _nested(_OCTETS, (content,)))
    return _written(hashed, inside, key, now, stamp)


def _part(content: bytes, media_type: str) -> bytes:
    """The signed entity.  Content with lone CR or LF is put into base64: mail and S/MIME tools would
    change its line ends before they digest it (RFC 8551, 3.1.1)."""
    encoding = b"binary"
    if _has_lone(content):
        encoding = b"base64"
        content = in_lines(content)
    head = b"Content-Type: " + media_type.encode("ascii") + b"\r\nContent-Transfer-Encoding: " + encoding
    return head + b"\r\n\r\n" + content


def in_lines(octets: bytes) -> bytes:
    """Base64 as MIME has it (RFC 2045, 6.8)."""
    text = base64.b64encode(octets)
    lines = [text[at : at + _LINE] for at in range(0, len(text), _LINE)]
    return b"\r\n".join((*lines, b""))


def _has_lone(content: bytes) -> bool:
    if b"\n" not in content and b"\r" not in content:
        return False
    ends = content.count(b"\r\n")
    return ends != content.count(b"\r") or ends != content.count(b"\n")


def _boundary(part: bytes, hashed: bytes) -> str:
    """A boundary that does not occur in the part; the same part has the same one."""
    digest = hashed.hex()
    while digest[:40].encode("ascii") in part:
        digest = hashlib.sha256(digest.encode("ascii")).hexdigest()
    return f"cvan-{digest[:40]}"


class _Parts(msgspec.Struct, frozen=True):
    """What stands in every message of a key, in DER; ``digest``: the attribute of that name up to its value."""

    before: bytes
    certificates: bytes
    signer: bytes
    named: bytes
    algorithm: bytes
    digest: bytes


@lru_cache(maxsize=64)
def _parts(der: tuple[bytes, ...], algorithm: Algorithm) -> _Parts:
    digest = encode_der(digest_identifier(algorithm.digest))
    size = HASHES[algorithm.digest].digest_size
    own = x509.load_der_x509_certificate(der[0])
    name = own.issuer.public_bytes() + encode_der(own.serial_number)
    return _Parts(
        before=_VERSION + enclose(SET, digest),
        certificates=enclose(_INSIDE, b"".join(sorted(der))),
        signer=_VERSION + enclose(SEQUENCE, name) + digest,
        named=encode_der(signing_certificate(der[0])),
        algorithm=encode_der(signature_identifier(algorithm)),
        digest=_attribute(_DIGEST, enclose(_OCTETS, bytes(size)))[:-size],
    )


def _written(
    hashed: bytes, inside: Iterable[bytes], key: SigningKey, now: datetime, stamp: Stamping | None
) -> bytes:
    """The ContentInfo over a content of this digest; ``inside``: what holds the content, if anything does."""
    parts = _parts(key.der, key.algorithm)
    written = sorted((_TYPE, parts.digest + hashed, _signing_time(int(now.timestamp())), parts.named))
    attributes = b"".join(written)
    value = key.sign(enclose(SET, attributes), now)
    info = [parts.signer, enclose(_INSIDE, attributes), parts.algorithm, enclose(_OCTETS, value)]
    if stamp is not None:
        info.append(enclose(_UNSIGNED, _attribute(_STAMP, stamp(value))))
    infos = enclose(SET, enclose(SEQUENCE, b"".join(info)))
    content = _nested(SEQUENCE, (_DATA, *inside))
    data = _nested(SEQUENCE, (parts.before, *content, parts.certificates, infos))
    return b"".join(_nested(SEQUENCE, (_SIGNED_DATA, *_nested(_INSIDE, data))))


def _nested(tag: bytes, pieces: Iterable[bytes]) -> tuple[bytes, ...]:
    """An element in pieces, so that what is long is copied only where all are joined."""
    pieces = tuple(pieces)
    return (opening(tag, sum(map(len, pieces))), *pieces)


def _attribute(kind: bytes, value: bytes) -> bytes:
    """An attribute with one value; ``kind``: its type in DER."""
    return enclose(SEQUENCE, kind + enclose(SET, value))


@lru_cache(maxsize=16)
def _signing_time(second: int) -> bytes:
    """The attribute; ``second``: since 1970."""
    moment = datetime.fromtimestamp(second, UTC)
    if moment.year < _UTC_TIME_ENDS:
        return _attribute(_TIME, enclose(b"\x17", f"{moment:%y%m%d%H%M%SZ}".encode("ascii")))
    return _attribute(_TIME, enclose(b"\x18", f"{moment:%Y%m%d%H%M%SZ}".encode("ascii")))


_DATA: Final = encode_der(DATA)
_DIGEST: Final = encode_der(MESSAGE_DIGEST)
_TIME: Final = encode_der(SIGNING_TIME)
_STAMP: Final = encode_der(SIGNATURE_TIME_STAMP)
_SIGNED_DATA: Final = encode_der(SIGNED_DATA)
_TYPE: Final = _attribute(encode_der(CONTENT_TYPE), _DATA)
