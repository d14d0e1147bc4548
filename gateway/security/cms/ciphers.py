"""The algorithms of encrypted messages: what encrypts content, and how the content's key travels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.asn1 import TLV, encode_der
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.x509 import ObjectIdentifier

from gateway.security.algorithms import HASHES
from gateway.security.cms.enveloped_structures import (
    AgreementIdentifier,
    GcmIdentifier,
    OaepIdentifier,
    Parameters,
    SharedInfo,
)
from gateway.security.cms.identifiers import DIGEST_OF, MGF1, RSA, name_of
from gateway.security.cms.structures import elements_of, octets_of
from gateway.security.policy import Policy
from gateway.security.refused import Refused, refusal

_AES: Final = "2.16.840.1.101.3.4.1"
CIPHER_OF: Final[Mapping[ObjectIdentifier, str]] = {
    ObjectIdentifier(f"{_AES}.6"): "aes128-gcm",
    ObjectIdentifier(f"{_AES}.26"): "aes192-gcm",
    ObjectIdentifier(f"{_AES}.46"): "aes256-gcm",
    ObjectIdentifier(f"{_AES}.2"): "aes128-cbc",
    ObjectIdentifier(f"{_AES}.22"): "aes192-cbc",
    ObjectIdentifier(f"{_AES}.42"): "aes256-cbc",
}
WRAP_SIZE: Final[Mapping[ObjectIdentifier, int]] = {
    ObjectIdentifier(f"{_AES}.5"): 16,
    ObjectIdentifier(f"{_AES}.25"): 24,
    ObjectIdentifier(f"{_AES}.45"): 32,
}
OAEP: Final = ObjectIdentifier("1.2.840.113549.1.1.7")
AGREEMENT_DIGEST: Final[Mapping[ObjectIdentifier, str]] = {
    ObjectIdentifier("1.3.132.1.11.1"): "sha256",
    ObjectIdentifier("1.3.132.1.11.2"): "sha384",
    ObjectIdentifier("1.3.132.1.11.3"): "sha512",
}
"""dhSinglePass-stdDH with the X9.63 key derivation (RFC 5753, 7.1.4)."""

_BLOCK: Final = 16
_NONCE: Final = 12
_TAG_SIZES: Final = range(12, 17)
"""RFC 5084, 3.2."""
_PART: Final = "EnvelopedData"


class ContentCipher(msgspec.Struct, frozen=True):
    """``name``: as the policy names it; ``vector``: CBC's initial vector, GCM's nonce; ``tag``: octets."""

    name: str
    key_size: int
    vector: bytes
    tag: int = 0

    @property
    def authentic(self) -> bool:
        """Whether it proves that nobody changed what it encrypts."""
        return self.tag > 0


class KeyWrapping(msgspec.Struct, frozen=True):
    """How a content's key is wrapped to one of our keys, as a Decrypter is told it.

    ``scheme``: ``rsa-oaep`` (``digest`` is also its mask's, no label), ``rsa-pkcs1``, or ``ecdh``
    (``peer``: the sender's point, uncompressed, on our key's curve).
    """

    scheme: Literal["rsa-oaep", "rsa-pkcs1", "ecdh"]
    digest: str = ""
    peer: bytes = b""


def cipher_of(identifier: TLV, policy: Policy, *, authenticated: bool) -> ContentCipher:
    """The cipher of the content.  Raises ValueError where unreadable, Refused (SIG232) where it is not
    allowed, or not of the structure that it stands in (GCM in AuthEnvelopedData, CBC in EnvelopedData)."""
    oid = name_of(identifier)
    name = CIPHER_OF.get(oid, oid.dotted_string)
    if name not in policy.ciphers or name.endswith("gcm") is not authenticated:
        raise refusal("SIG232", ", ".join(sorted(policy.ciphers)), name, _PART)
    size = int(name[3:6]) // 8
    if not authenticated:
        vector = identifier.parse(Parameters).vector
        if len(vector) != _BLOCK:
            raise refusal("SIG232", f"{_BLOCK} octets", f"{len(vector)} octets", "vector")
        return ContentCipher(name, size, vector)
    parameters = identifier.parse(GcmIdentifier).parameters
    if len(parameters.nonce) != _NONCE or parameters.tag_size not in _TAG_SIZES:
        found = f"{len(parameters.nonce)} octets, tag {parameters.tag_size}"
        raise refusal("SIG232", f"{_NONCE} octets, tag {_TAG_SIZES[0]}..{_TAG_SIZES[-1]}", found, "nonce")
    return ContentCipher(name, size, parameters.nonce, parameters.tag_size)


def decrypt(cipher: ContentCipher, key: bytes, content: bytes, tag: bytes, beside: bytes) -> bytes | None:
    """The plain content; None where key, tag or padding is wrong, whichever it was.

    ``beside``: the octets that are authenticated and not encrypted."""
    if cipher.authentic:
        mode = modes.GCM(cipher.vector, tag, min_tag_length=_TAG_SIZES[0])
        decryptor = Cipher(algorithms.AES(key), mode).decryptor()
        decryptor.authenticate_additional_data(beside)
        try:
            return decryptor.update(content) + decryptor.finalize()
        except InvalidTag:
            return None
    plain = Cipher(algorithms.AES(key), modes.CBC(cipher.vector)).decryptor()
    unpadder = padding.PKCS7(_BLOCK * 8).unpadder()
    try:
        padded = plain.update(content) + plain.finalize()
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError:
        return None


def transport_of(identifier: TLV, policy: Policy) -> KeyWrapping:
    """How a key is encrypted to an RSA key.  Raises ValueError where unreadable, Refused (SIG232)."""
    oid = name_of(identifier)
    if oid == RSA and "rsa-pkcs1" in policy.key_wrappings:
        return KeyWrapping("rsa-pkcs1")
    if oid != OAEP or "rsa-oaep" not in policy.key_wrappings:
        raise _unwrappable(policy, "rsa-pkcs1" if oid == RSA else oid.dotted_string)
    fields = elements_of(octets_of(identifier))
    if len(fields) == 1 or not bytes(fields[1].data):
        return KeyWrapping("rsa-oaep", "sha1")
    parameters = identifier.parse(OaepIdentifier).parameters
    mask = parameters.mask
    digest = "sha1" if parameters.digest is None else DIGEST_OF.get(parameters.digest.algorithm, "")
    masking = "sha1" if mask is None else DIGEST_OF.get(mask.digest.algorithm, "")
    labelled = bool(parameters.label)
    if not digest or digest != masking or (mask is not None and mask.algorithm != MGF1) or labelled:
        found = f"digest {digest or '?'}, MGF1 {masking or '?'}{', a label' if labelled else ''}"
        raise refusal("SIG232", "RSA-OAEP with one digest and no label", found, _PART)
    # The digest's collisions do not matter to OAEP (RFC 8017, B.1), so that SHA-1 is no weakness in it.
    return KeyWrapping("rsa-oaep", digest)


class Agreement(msgspec.Struct, frozen=True):
    """An elliptic-curve agreement: from the shared secret to the key that wraps the content's key."""

    digest: str
    size: int
    shared_info: bytes

    def key(self, secret: bytes) -> bytes:
        """The wrapping key (ANSI X9.63)."""
        return X963KDF(HASHES[self.digest], self.size, self.shared_info).derive(secret)


def agreement_of(identifier: TLV, user_material: bytes | None, policy: Policy) -> Agreement:
    """How a key is agreed with a curve's key.  Raises ValueError where unreadable, Refused (SIG232)."""
    oid = name_of(identifier)
    digest = AGREEMENT_DIGEST.get(oid)
    if digest is None or "ecdh" not in policy.key_wrappings:
        raise _unwrappable(policy, oid.dotted_string)
    wrap = identifier.parse(AgreementIdentifier).wrap.algorithm
    size = WRAP_SIZE.get(wrap)
    if size is None:
        raise refusal("SIG232", "AES key wrap", wrap.dotted_string, _PART)
    named = elements_of(octets_of(identifier))[1]
    return Agreement(digest, size, shared_info(named, user_material, size))


def shared_info(wrap: TLV, user_material: bytes | None, size: int) -> bytes:
    """What a key derivation is bound to, in DER (RFC 5753, 7.2)."""
    bits = (size * 8).to_bytes(4, "big")
    return encode_der(SharedInfo(wrap=wrap, user_material=user_material, size=bits))


def _unwrappable(policy: Policy, found: str) -> Refused:
    return refusal("SIG232", ", ".join(sorted(policy.key_wrappings)), found, _PART)
