"""The structures of CMS SignedData that are read and written (RFC 5652), as strict DER."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from cryptography.hazmat import asn1
from cryptography.hazmat.asn1 import TLV, Explicit, GeneralizedTime, Implicit, Null, SetOf, UTCTime
from cryptography.x509 import ObjectIdentifier

from gateway.security.algorithms import HASHES, Algorithm
from gateway.security.refused import refusal

DATA: Final = ObjectIdentifier("1.2.840.113549.1.7.1")
SIGNED_DATA: Final = ObjectIdentifier("1.2.840.113549.1.7.2")
CONTENT_TYPE: Final = ObjectIdentifier("1.2.840.113549.1.9.3")
MESSAGE_DIGEST: Final = ObjectIdentifier("1.2.840.113549.1.9.4")
SIGNING_TIME: Final = ObjectIdentifier("1.2.840.113549.1.9.5")

DIGEST_OF: Final[Mapping[ObjectIdentifier, str]] = {
    ObjectIdentifier("2.16.840.1.101.3.4.2.1"): "sha256",
    ObjectIdentifier("2.16.840.1.101.3.4.2.2"): "sha384",
    ObjectIdentifier("2.16.840.1.101.3.4.2.3"): "sha512",
}
OID_OF: Final = {name: oid for oid, name in DIGEST_OF.items()}

_RSA: Final = ObjectIdentifier("1.2.840.113549.1.1.1")
_PSS: Final = ObjectIdentifier("1.2.840.113549.1.1.10")
_MGF1: Final = ObjectIdentifier("1.2.840.113549.1.1.8")
_WITH_DIGEST: Final[Mapping[ObjectIdentifier, Algorithm]] = {
    ObjectIdentifier("1.2.840.113549.1.1.11"): Algorithm("rsa", "sha256"),
    ObjectIdentifier("1.2.840.113549.1.1.12"): Algorithm("rsa", "sha384"),
    ObjectIdentifier("1.2.840.113549.1.1.13"): Algorithm("rsa", "sha512"),
    ObjectIdentifier("1.2.840.10045.4.3.2"): Algorithm("ecdsa", "sha256"),
    ObjectIdentifier("1.2.840.10045.4.3.3"): Algorithm("ecdsa", "sha384"),
    ObjectIdentifier("1.2.840.10045.4.3.4"): Algorithm("ecdsa", "sha512"),
}
_ECDSA: Final = {a.digest: oid for oid, a in _WITH_DIGEST.items() if a.scheme == "ecdsa"}

SET: Final = b"\x31"
SEQUENCE: Final = b"\x30"


@asn1.sequence
class EncapsulatedContent:
    """EncapsulatedContentInfo; ``content`` is absent in a detached signature."""

    content_type: ObjectIdentifier
    content: Annotated[bytes | None, Explicit(0)]


@asn1.sequence
class SignedData:
    """SignedData.  Certificates come in any order, so that set is read as a list."""

    version: int
    digest_algorithms: SetOf[TLV]
    encapsulated: EncapsulatedContent
    certificates: Annotated[list[TLV] | None, Implicit(0)]
    crls: Annotated[list[TLV] | None, Implicit(1)]
    signer_infos: SetOf[TLV]


@asn1.sequence
class ContentInfo:
    """ContentInfo; its content is decoded only where the type is SignedData."""

    content_type: ObjectIdentifier
    content: Annotated[TLV, Explicit(0)]


@asn1.sequence
class IssuerAndSerial:
    """IssuerAndSerialNumber; the issuer's name as received."""

    issuer: TLV
    serial: int


@asn1.sequence
class SignerInfo:
    """SignerInfo; signed attributes as received, which must be a DER set."""

    version: int
    sid: IssuerAndSerial | Annotated[bytes, Implicit(0)]
    digest_algorithm: TLV
    signed_attributes: Annotated[SetOf[TLV] | None, Implicit(0)]
    signature_algorithm: TLV
    signature: bytes
    unsigned_attributes: Annotated[list[TLV] | None, Implicit(1)]


@asn1.sequence
class Attribute:
    """Attribute of any type."""

    type: ObjectIdentifier
    values: SetOf[TLV]


@asn1.sequence
class TypeAttribute:
    """content-type."""

    type: ObjectIdentifier
    values: SetOf[ObjectIdentifier]


@asn1.sequence
class DigestAttribute:
    """message-digest."""

    type: ObjectIdentifier
    values: SetOf[bytes]


@asn1.sequence
class TimeAttribute:
    """signing-time, until 2049 (RFC 5652, 11.3)."""

    type: ObjectIdentifier
    values: SetOf[UTCTime]


@asn1.sequence
class LateTimeAttribute:
    """signing-time, from 2050."""

    type: ObjectIdentifier
    values: SetOf[GeneralizedTime]


@asn1.sequence
class AlgorithmIdentifier:
    """An algorithm whose parameters are absent or NULL."""

    algorithm: ObjectIdentifier
    parameters: Null | None


@asn1.sequence
class MaskGenerator:
    """MaskGenAlgorithm with the digest it uses."""

    algorithm: ObjectIdentifier
    digest: AlgorithmIdentifier


@asn1.sequence
class PssParameters:
    """RSASSA-PSS-params (RFC 4055); the defaults are SHA-1, so a missing one is refused by use."""

    digest: Annotated[AlgorithmIdentifier | None, Explicit(0)]
    mask: Annotated[MaskGenerator | None, Explicit(1)]
    salt: Annotated[int | None, Explicit(2)]
    trailer: Annotated[int | None, Explicit(3)]


@asn1.sequence
class PssIdentifier:
    """id-RSASSA-PSS with its parameters."""

    algorithm: ObjectIdentifier
    parameters: PssParameters


@asn1.sequence
class AnyAlgorithm:
    """An algorithm's name, to choose how its parameters are read."""

    algorithm: ObjectIdentifier
    parameters: TLV


def digest_of(identifier: TLV) -> str:
    """``sha256`` ... of a digest algorithm.  Raises ValueError where unreadable, Refused (SIG007)."""
    algorithm = identifier.parse(AlgorithmIdentifier).algorithm
    digest = DIGEST_OF.get(algorithm)
    if digest is None:
        raise refusal("SIG007", ", ".join(DIGEST_OF.values()), algorithm.dotted_string, "SignerInfo")
    return digest


def algorithm_of(identifier: TLV, digest: str) -> Algorithm:
    """The signature algorithm, which must use the digest of the content (RFC 5754, 3).

    Raises ValueError where unreadable, Refused (SIG006).
    """
    name = _name_of(identifier)
    if name == _PSS:
        return _pss_of(identifier.parse(PssIdentifier).parameters, digest)
    identifier.parse(AlgorithmIdentifier)
    algorithm = Algorithm("rsa", digest) if name == _RSA else _WITH_DIGEST.get(name)
    if algorithm is None or algorithm.digest != digest:
        raise refusal("SIG006", f"rsa, rsa-pss, ecdsa with {digest}", name.dotted_string, "SignerInfo")
    return algorithm


def _name_of(identifier: TLV) -> ObjectIdentifier:
    try:
        named: AnyAlgorithm | AlgorithmIdentifier = identifier.parse(AnyAlgorithm)
    except ValueError:
        named = identifier.parse(AlgorithmIdentifier)
    return named.algorithm


def _pss_of(parameters: PssParameters, digest: str) -> Algorithm:
    mask, salt = parameters.mask, parameters.salt
    if (
        parameters.digest is None
        or DIGEST_OF.get(parameters.digest.algorithm) != digest
        or mask is None
        or mask.algorithm != _MGF1
        or DIGEST_OF.get(mask.digest.algorithm) != digest
        or salt is None
        or not HASHES[digest].digest_size <= salt <= 1_024  # as long as the key, at most
        or parameters.trailer not in (None, 1)
    ):
        raise refusal("SIG006", f"RSASSA-PSS with {digest} throughout", "RSASSA-PSS", "SignerInfo")
    return Algorithm("rsa-pss", digest, salt)


def digest_identifier(digest: str) -> AlgorithmIdentifier:
    """The identifier of a digest; parameters absent, as RFC 5754 wants them written."""
    return AlgorithmIdentifier(algorithm=OID_OF[digest], parameters=None)


def signature_identifier(algorithm: Algorithm) -> AlgorithmIdentifier | PssIdentifier:
    """The identifier of a signature algorithm, as it is written."""
    if algorithm.scheme == "ecdsa":
        return AlgorithmIdentifier(algorithm=_ECDSA[algorithm.digest], parameters=None)
    if algorithm.scheme == "rsa":
        return AlgorithmIdentifier(algorithm=_RSA, parameters=Null())
    digest = AlgorithmIdentifier(algorithm=OID_OF[algorithm.digest], parameters=Null())
    mask = MaskGenerator(algorithm=_MGF1, digest=digest)
    parameters = PssParameters(digest=digest, mask=mask, salt=algorithm.salt, trailer=None)
    return PssIdentifier(algorithm=_PSS, parameters=parameters)
