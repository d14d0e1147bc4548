"""The CMS half of :mod:`bench.trust`: signed messages, attached and detached, verified and made."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from asn1crypto import cms as asn1_cms
from cryptography.hazmat import asn1
from cryptography.hazmat.asn1 import TLV, Implicit, SetOf, decode_der
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key, pkcs7

from bench.trust import Case
from gateway.security import Policy, SigningKey, Trust, sign_cms, verify
from gateway.security.certificates.authority import Authority
from gateway.security.cms.ber import enclose
from gateway.security.cms.structures import ContentInfo, IssuerAndSerial, SignedData
from gateway.security.mime import MimeLimits, body_of, media_type, read_entity, split_signed

NOW = datetime.now(UTC).replace(microsecond=0)
ATTACHED, DETACHED = "application/pkcs7-mime", "multipart/signed"
ALGORITHMS = (("rsa", "rsa"), ("p256", "P-256"))
SIZES = (2_000, 20_000, 5_000_000)
MOST = 1.5
"""What ours may cost of raw.  A small message has some 35 us of raw (RSA).  The checks beside it take few where the
signature has a known form; MIME and base64, which raw has not, take 12 us more where it is detached: there RSA is at
the goal, a little above it or below."""

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@asn1.sequence
class RawSignerInfo:
    """A SignerInfo as far as plain code looks into it."""

    version: int
    sid: IssuerAndSerial | Annotated[bytes, Implicit(0)]
    digest_algorithm: TLV
    signed_attributes: Annotated[SetOf[TLV] | None, Implicit(0)]
    signature_algorithm: TLV
    signature: bytes
    unsigned_attributes: Annotated[list[TLV] | None, Implicit(1)]


def interchange(size: int) -> bytes:
    """Octets that begin as an interchange, in one line as most senders write it."""
    segment = b"LOC+9+VNSGN:139:6'"
    return b"UNB+UNOC:3+SENDER:ZZ+CUSTOMS:ZZ+261121:1200+REF0001'" + segment * (size // len(segment))


def raw_verify(body: bytes, content: bytes | None, public: PublicKey) -> bytes:
    """Read the DER, hash, one public-key operation; nothing is checked, no chain is built."""
    signed = decode_der(ContentInfo, body).content.parse(SignedData)
    info = signed.signer_infos.as_list()[0].parse(RawSignerInfo)
    digest = hashlib.sha256(signed.encapsulated.content if content is None else content).digest()
    assert info.signed_attributes is not None
    parts = [enclose(a.tag_bytes, bytes(a.data)) for a in info.signed_attributes.as_list()]
    attributes = enclose(b"\x31", b"".join(parts))
    if isinstance(public, rsa.RSAPublicKey):
        public.verify(info.signature, attributes, padding.PKCS1v15(), hashes.SHA256())
    else:
        public.verify(info.signature, attributes, ec.ECDSA(hashes.SHA256()))
    return digest


def raw_sign(content: bytes, private: PrivateKey, around: tuple[bytes, bytes]) -> bytes:
    """Hash, one private-key operation, and the message put together of parts that lie ready."""
    digest = hashlib.sha256(content).digest()
    if isinstance(private, rsa.RSAPrivateKey):
        value = private.sign(digest, padding.PKCS1v15(), hashes.SHA256())
    else:
        value = private.sign(digest, ec.ECDSA(hashes.SHA256()))
    return b"".join((around[0], content, around[1], value))


def peer_verify(body: bytes, content: bytes | None, public: PublicKey) -> bytes:
    """The same as raw with asn1crypto."""
    signed = asn1_cms.ContentInfo.load(body)["content"]
    info = signed["signer_infos"][0]
    inside = signed["encap_content_info"]["content"].native if content is None else content
    attributes = info["signed_attrs"].untag().dump()
    value = info["signature"].native
    if isinstance(public, rsa.RSAPublicKey):
        public.verify(value, attributes, padding.PKCS1v15(), hashes.SHA256())
    else:
        public.verify(value, attributes, ec.ECDSA(hashes.SHA256()))
    return hashlib.sha256(inside).digest()


def cases(folder: Path, quick: bool) -> Sequence[Case]:
    """Every size and key, attached and detached, verified and signed."""
    authority = Authority.create(folder / "cms-authority", "Bench CMS Authority")
    trust = Trust([authority.certificate])
    made: list[Case] = []
    for algorithm, shown in ALGORITHMS:
        key_path, certificate_path = folder / f"cms-{algorithm}.key", folder / f"cms-{algorithm}.pem"
        authority.issue("CN=bench", key_path, certificate_path, algorithm=algorithm)  # type: ignore[arg-type]
        key = SigningKey.load(key_path, certificate_path)
        private = load_pem_private_key(key_path.read_bytes(), None)
        assert isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
        for size in SIZES[:2] if quick else SIZES:
            for envelope in (ATTACHED, DETACHED):
                made += _of_size(interchange(size), envelope, shown, key, private, trust)
    return made


def _of_size(
    content: bytes, envelope: str, shown: str, key: SigningKey, private: PrivateKey, trust: Trust
) -> list[Case]:
    value, body = sign_cms(content, "application/edifact", key, envelope, NOW)
    der, beside = _apart(value, body)
    public = key.certificates[0].public_key()
    assert isinstance(public, rsa.RSAPublicKey | ec.EllipticCurvePublicKey)
    form = "attached" if envelope == ATTACHED else "detached"
    verifying = Case(
        name=f"verify CMS, {form}",
        size=len(body),
        key=shown,
        raw=lambda: raw_verify(der, beside, public),
        ours=lambda: verify(body, value, trust, Policy(), NOW),
        peers={"asn1crypto": lambda: peer_verify(der, beside, public)},
        most=MOST,
    )
    around = (bytes(100), bytes(1_200))
    signing = Case(
        name=f"sign CMS, {form}",
        size=len(body),
        key=shown,
        raw=lambda: raw_sign(content, private, around),
        ours=lambda: sign_cms(content, "application/edifact", key, envelope, NOW),
        peers={"cryptography": lambda: _pkcs7(content, key, private, envelope)},
        most=MOST,
    )
    return [verifying, signing]


def _apart(value: str, body: bytes) -> tuple[bytes, bytes | None]:
    """The ContentInfo, and the part beside it."""
    media = media_type(value)
    if media.essence != DETACHED:
        return body, None
    parts = split_signed(body, media.parameters["boundary"], MimeLimits())
    return body_of(read_entity(parts.second, MimeLimits())), parts.first


def _pkcs7(content: bytes, key: SigningKey, private: PrivateKey, envelope: str) -> bytes:
    options = [pkcs7.PKCS7Options.Binary]
    if envelope == DETACHED:
        options.append(pkcs7.PKCS7Options.DetachedSignature)
    builder = pkcs7.PKCS7SignatureBuilder().set_data(content)
    return builder.add_signer(key.certificates[0], private, hashes.SHA256()).sign(Encoding.DER, options)
