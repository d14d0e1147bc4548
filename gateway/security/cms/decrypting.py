"""Messages encrypted to the gateway: opened with its own key, refused in one way whatever was wrong.

Who can tell a wrong padding from a wrong key, by a word or by the time it takes, reads everything in the end
(Bleichenbacher, Vaudenay).  So a key that cannot be unwrapped is replaced by a random one and the content is
decrypted all the same, and there is one refusal for all that fails once our key is at work (RFC 3218).
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from itertools import islice
from typing import Final, Protocol

import msgspec
from cryptography import x509
from cryptography.hazmat.asn1 import TLV, decode_der
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap
from cryptography.x509 import ObjectIdentifier

from gateway.security.certificates.signer_id import SignerId
from gateway.security.cms.ber import each_in, enclose
from gateway.security.cms.ciphers import (
    Agreement,
    ContentCipher,
    KeyWrapping,
    agreement_of,
    cipher_of,
    decrypt,
    transport_of,
)
from gateway.security.cms.enveloped_structures import (
    AUTH_ENVELOPED_DATA,
    EncryptedContent,
    EncryptedPieces,
    KeyAgreement,
    KeyTransport,
)
from gateway.security.cms.structures import (
    DATA,
    SEQUENCE,
    SET,
    IssuerAndSerial,
    elements_of,
    octets_of,
)
from gateway.security.keystore.keys import Undecipherable
from gateway.security.policy import Policy
from gateway.security.refused import Refused, refusal

MAX_RECIPIENTS: Final = 32
"""A message encrypted to a partner's own archive, to customs and a few more has that many at most."""
MAX_AROUND: Final = 256 * 1024
"""Octets beside the encrypted content: recipients take some hundreds each."""
MAX_PIECES: Final = 200_000
"""Of streamed content; 64 MB in pieces of 1,000 octets are fewer."""
_FIELDS: Final = 7
_PART: Final = "EnvelopedData"
_AGREEMENT: Final = b"\xa1"
_ATTRIBUTES: Final = b"\xa1"
_ORIGINATOR: Final = b"\xa0"
_PIECES: Final = b"\xa0"
_OCTET_STRING: Final = b"\x04"


class Decrypter(Protocol):
    """One of the gateway's decryption keys, in a file or in a device that never gives it away."""

    @property
    def certificates(self) -> tuple[x509.Certificate, ...]:
        """The key's own certificate first: messages name it as their recipient."""

    def unwrap(self, wrapped: bytes, wrapping: KeyWrapping) -> bytes:
        """The content's key (RSA), or the shared secret with ``wrapping.peer`` (``ecdh``; nothing is wrapped
        then).  Raises Undecipherable for every fault of the sender's, with nothing to tell them apart."""


class Opened(msgspec.Struct, frozen=True):
    """What was encrypted; ``authentic``: nobody changed it on its way, which CBC cannot say."""

    content: bytes
    authentic: bool


class _Sealed(msgspec.Struct, frozen=True):
    recipients: list[TLV]
    cipher: ContentCipher
    content: bytes
    tag: bytes
    beside: bytes


def undecipherable() -> Refused:
    """The only refusal of what our key was applied to."""
    return refusal("SIG230", part=_PART)


def open_enveloped(
    kind: ObjectIdentifier, content: TLV, decrypters: Sequence[Decrypter], policy: Policy
) -> Opened:
    """Open EnvelopedData or AuthEnvelopedData (RFC 5652, 6; RFC 5083): the type and content of a ContentInfo.

    Raises Refused: SIG040 where it cannot be read, SIG231 where it is not encrypted to a key of ours, SIG232
    where an algorithm is not allowed; SIG230 where it cannot be decrypted.
    """
    try:
        sealed = _read(content, policy, authenticated=kind == AUTH_ENVELOPED_DATA)
        key = _content_key(sealed, decrypters, policy)
    except (ValueError, IndexError):
        raise refusal("SIG040", "EnvelopedData", "", _PART) from None
    plain = decrypt(sealed.cipher, key, sealed.content, sealed.tag, sealed.beside)
    if plain is None:
        raise undecipherable()
    return Opened(plain, sealed.cipher.authentic)


def _read(enveloped: TLV, policy: Policy, *, authenticated: bool) -> _Sealed:
    octets = octets_of(enveloped)
    _check_around(octets)
    fields = [f for f in elements_of(octets)[1:] if f.tag_bytes != _ORIGINATOR]
    recipients, encrypted, *rest = fields
    if recipients.tag_bytes != SET:
        raise ValueError("no recipients")
    named = elements_of(enclose(SEQUENCE, bytes(recipients.data)))
    identifier, content = _content_of(encrypted)
    cipher = cipher_of(identifier, policy, authenticated=authenticated)
    if not authenticated:
        return _Sealed(named, cipher, content, b"", b"")
    beside = b""
    if rest[0].tag_bytes == _ATTRIBUTES:
        beside = enclose(SET, bytes(rest.pop(0).data))
    tag = rest[0].parse(bytes)
    if len(tag) != cipher.tag:
        raise undecipherable()
    return _Sealed(named, cipher, content, tag, beside)


def _check_around(der: bytes) -> None:
    """Before anything is taken apart, which takes fifty times its size in memory: raises Refused (SIG218) where
    there is too much of it, ValueError where it is no EnvelopedData."""
    fields = list(islice(each_in(der, 0), _FIELDS + 1))
    named = [at for at in fields[1:] if der[at[0] : at[0] + 1] != _ORIGINATOR]
    if len(fields) > _FIELDS or len(named) < 2:
        raise ValueError("not the fields of EnvelopedData")
    (recipients, _), (start, end) = named[:2]
    around = len(der) - (end - start)
    if around > MAX_AROUND:
        raise refusal("SIG218", f"<= {MAX_AROUND} octets", f"{around} octets", _PART)
    many = next(islice(each_in(der, recipients), MAX_RECIPIENTS, None), None)
    if many is not None:
        raise refusal("SIG218", f"<= {MAX_RECIPIENTS}", f"> {MAX_RECIPIENTS}", _PART)
    content, _ = next(islice(each_in(der, start), 2, None), (start, end))
    pieces = each_in(der, content) if der[content : content + 1] == _PIECES else iter(())
    if next(islice(pieces, MAX_PIECES, None), None) is not None:
        raise refusal("SIG218", f"<= {MAX_PIECES}", f"> {MAX_PIECES}", _PART)


def _content_of(encrypted: TLV) -> tuple[TLV, bytes]:
    """The cipher's identifier and the encrypted octets, in one piece or in several."""
    try:
        whole = encrypted.parse(EncryptedContent)
        kind, identifier, content = whole.content_type, whole.algorithm, whole.content or b""
    except ValueError:
        pieces = encrypted.parse(EncryptedPieces)
        kind, identifier, content = pieces.content_type, pieces.algorithm, b"".join(pieces.content)
    if kind != DATA:
        raise refusal("SIG044", DATA.dotted_string, kind.dotted_string, _PART)
    return identifier, content


def _content_key(sealed: _Sealed, decrypters: Sequence[Decrypter], policy: Policy) -> bytes:
    """The content's key, or a random one where ours does not unwrap it."""
    stand_in = secrets.token_bytes(sealed.cipher.key_size)
    for recipient in sealed.recipients:
        for decrypter in decrypters:
            own = decrypter.certificates[0]
            key = _unwrapped(recipient, decrypter, own, policy)
            if key is not None:
                return key if len(key) == sealed.cipher.key_size else stand_in
    raise refusal("SIG231", _known(decrypters), f"{len(sealed.recipients)} recipients", _PART)


def _unwrapped(recipient: TLV, decrypter: Decrypter, own: x509.Certificate, policy: Policy) -> bytes | None:
    """What a recipient's entry holds for a key of ours, b"" where it cannot be unwrapped; None where it is
    somebody else's."""
    public = own.public_key()
    if recipient.tag_bytes == SEQUENCE and isinstance(public, rsa.RSAPublicKey):
        transport = recipient.parse(KeyTransport)
        if not _is(own, transport.recipient):
            return None
        wrapping = transport_of(transport.algorithm, policy)
        if len(transport.wrapped) != (public.key_size + 7) // 8:
            return b""
        return _ask(decrypter, transport.wrapped, wrapping)
    if recipient.tag_bytes == _AGREEMENT and isinstance(public, ec.EllipticCurvePublicKey):
        agreed = decode_der(KeyAgreement, enclose(SEQUENCE, bytes(recipient.data)))
        wrapped = [k.wrapped for k in agreed.keys if _is(own, _plain(k.recipient))]
        if not wrapped:
            return None
        how = agreement_of(agreed.algorithm, agreed.user_material, policy)
        secret = _ask(decrypter, b"", KeyWrapping("ecdh", peer=agreed.originator.key.point.as_bytes()))
        return _unwrap_agreed(wrapped[0], how, secret)
    return None


def _ask(decrypter: Decrypter, wrapped: bytes, wrapping: KeyWrapping) -> bytes:
    try:
        return decrypter.unwrap(wrapped, wrapping)
    except Undecipherable:
        return b""


def _unwrap_agreed(wrapped: bytes, how: Agreement, secret: bytes) -> bytes:
    try:
        return aes_key_unwrap(how.key(secret), wrapped) if secret else b""
    except (InvalidUnwrap, ValueError):
        return b""


def _plain(recipient: object) -> IssuerAndSerial | bytes:
    return recipient if isinstance(recipient, IssuerAndSerial) else bytes(getattr(recipient, "key_id", b""))


def _is(own: x509.Certificate, recipient: IssuerAndSerial | bytes) -> bool:
    """Whether a recipient's name is that of our certificate."""
    if isinstance(recipient, IssuerAndSerial):
        wanted = SignerId(issuer=octets_of(recipient.issuer), serial=recipient.serial)
    else:
        wanted = SignerId(key_id=recipient)
    try:
        return wanted.find([own]) is own
    except Refused:
        return False


def _known(decrypters: Sequence[Decrypter]) -> str:
    names = [f"{d.certificates[0].serial_number:x}" for d in decrypters]
    return ", ".join(names) or "no decryption key is configured"
