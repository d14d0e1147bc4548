"""Encrypting to partners: AuthEnvelopedData (RFC 5083) with AES-256-GCM, one entry for each recipient."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.asn1 import TLV, BitString, Null, SetOf, decode_der, encode_der
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ObjectIdentifier

from gateway.security.algorithms import HASHES
from gateway.security.cms.ciphers import (
    AGREEMENT_DIGEST,
    CIPHER_OF,
    WRAP_SIZE,
    Agreement,
    shared_info,
)
from gateway.security.cms.ciphers import (
    OAEP as OAEP_NAME,
)
from gateway.security.cms.enveloped_structures import (
    AUTH_ENVELOPED_DATA,
    AgreementIdentifier,
    AuthEnvelopedData,
    EncryptedContent,
    GcmIdentifier,
    GcmParameters,
    KeyAgreement,
    KeyTransport,
    OaepIdentifier,
    OaepParameters,
    Originator,
    OriginatorKey,
    RecipientKey,
)
from gateway.security.cms.identifiers import MGF1 as MGF1_NAME
from gateway.security.cms.identifiers import OID_OF, AlgorithmIdentifier, MaskGenerator
from gateway.security.cms.structures import DATA, ContentInfo, IssuerAndSerial
from gateway.security.verified import PKCS7_MIME

_DIGEST = "sha256"
_KEY_SIZE = 32
_NONCE = 12
_TAG = 16
_CIPHER = next(oid for oid, name in CIPHER_OF.items() if name == "aes256-gcm")
_WRAP = next(oid for oid, size in WRAP_SIZE.items() if size == _KEY_SIZE)
_AGREEMENT = next(oid for oid, digest in AGREEMENT_DIGEST.items() if digest == _DIGEST)
_EC_PUBLIC_KEY = ObjectIdentifier("1.2.840.10045.2.1")


def encrypt_cms(entity: bytes, recipients: Sequence[x509.Certificate]) -> tuple[str, bytes]:
    """The Content-Type value and the body (DER) of an encrypted message.

    ``entity``: a MIME entity, header included, such as a signed message: what is only encrypted says nothing
    of its sender.  Raises ValueError for no recipient, or one whose key is neither RSA nor of a curve.
    """
    if not recipients:
        raise ValueError("nobody to encrypt to")
    key, nonce = AESGCM.generate_key(_KEY_SIZE * 8), secrets.token_bytes(_NONCE)
    sealed = AESGCM(key).encrypt(nonce, entity, None)
    cipher = GcmIdentifier(algorithm=_CIPHER, parameters=GcmParameters(nonce=nonce, tag_size=_TAG))
    content = EncryptedContent(content_type=DATA, algorithm=_tlv(cipher), content=sealed[:-_TAG])
    data = AuthEnvelopedData(
        version=0,
        originator=None,
        recipients=SetOf([_recipient(key, certificate) for certificate in recipients]),
        encrypted=_tlv(content),
        attributes=None,
        mac=sealed[-_TAG:],
        unauthenticated=None,
    )
    body = encode_der(ContentInfo(content_type=AUTH_ENVELOPED_DATA, content=_tlv(data)))
    return f"{PKCS7_MIME}; smime-type=authEnveloped-data; name=smime.p7m", body


def _recipient(key: bytes, certificate: x509.Certificate) -> TLV:
    public = certificate.public_key()
    issuer = decode_der(TLV, certificate.issuer.public_bytes())
    name = IssuerAndSerial(issuer=issuer, serial=certificate.serial_number)
    if isinstance(public, rsa.RSAPublicKey):
        digest = HASHES[_DIGEST]
        wrapped = public.encrypt(key, OAEP(MGF1(digest), digest, None))
        return _tlv(KeyTransport(version=0, recipient=name, algorithm=_tlv(_oaep()), wrapped=wrapped))
    if isinstance(public, ec.EllipticCurvePublicKey):
        agreed = encode_der(_agreed(key, name, public))
        return decode_der(TLV, b"\xa1" + agreed[1:])
    raise ValueError("a message is encrypted to an RSA key or to one of a curve")


def _oaep() -> OaepIdentifier:
    digest = AlgorithmIdentifier(algorithm=OID_OF[_DIGEST], parameters=Null())
    mask = MaskGenerator(algorithm=MGF1_NAME, digest=digest)
    return OaepIdentifier(
        algorithm=OAEP_NAME, parameters=OaepParameters(digest=digest, mask=mask, label=None)
    )


def _agreed(key: bytes, name: IssuerAndSerial, public: ec.EllipticCurvePublicKey) -> KeyAgreement:
    """A key made for this message alone, agreed with the recipient's (RFC 5753, 3.1)."""
    ephemeral = ec.generate_private_key(public.curve)
    wrap = AlgorithmIdentifier(algorithm=_WRAP, parameters=None)
    info = shared_info(_tlv(wrap), None, _KEY_SIZE)
    wrapping_key = Agreement(_DIGEST, _KEY_SIZE, info).key(ephemeral.exchange(ec.ECDH(), public))
    point = ephemeral.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    own = OriginatorKey(
        algorithm=_tlv(AlgorithmIdentifier(algorithm=_EC_PUBLIC_KEY, parameters=None)),
        point=BitString(point, 0),
    )
    return KeyAgreement(
        version=3,
        originator=Originator(key=own),
        user_material=None,
        algorithm=_tlv(AgreementIdentifier(algorithm=_AGREEMENT, wrap=wrap)),
        keys=[RecipientKey(recipient=name, wrapped=aes_key_wrap(wrapping_key, key))],
    )


def _tlv(structure: object) -> TLV:
    return decode_der(TLV, encode_der(structure))
