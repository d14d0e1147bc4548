"""Algorithm identifiers of CMS (RFC 4055, 5754, 5758, 8419, 8702), read and written as strict DER."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Final

from cryptography.hazmat import asn1
from cryptography.hazmat.asn1 import TLV, Explicit, Null, decode_der
from cryptography.x509 import ObjectIdentifier

from gateway.security.algorithms import ED25519, HASHES, Algorithm
from gateway.security.policy import DIGESTS
from gateway.security.refused import refusal

_NIST: Final = "2.16.840.1.101.3.4"
DIGEST_OF: Final[Mapping[ObjectIdentifier, str]] = {
    ObjectIdentifier(f"{_NIST}.2.1"): "sha256",
    ObjectIdentifier(f"{_NIST}.2.2"): "sha384",
    ObjectIdentifier(f"{_NIST}.2.3"): "sha512",
    ObjectIdentifier(f"{_NIST}.2.8"): "sha3-256",
    ObjectIdentifier(f"{_NIST}.2.9"): "sha3-384",
    ObjectIdentifier(f"{_NIST}.2.10"): "sha3-512",
    ObjectIdentifier("1.3.14.3.2.26"): "sha1",
}
OID_OF: Final = {name: oid for oid, name in DIGEST_OF.items()}

RSA: Final = ObjectIdentifier("1.2.840.113549.1.1.1")
_PSS: Final = ObjectIdentifier("1.2.840.113549.1.1.10")
MGF1: Final = ObjectIdentifier("1.2.840.113549.1.1.8")
_ED25519: Final = ObjectIdentifier("1.3.101.112")
_WITH_DIGEST: Final[Mapping[ObjectIdentifier, Algorithm]] = {
    ObjectIdentifier("1.2.840.113549.1.1.11"): Algorithm("rsa", "sha256"),
    ObjectIdentifier("1.2.840.113549.1.1.12"): Algorithm("rsa", "sha384"),
    ObjectIdentifier("1.2.840.113549.1.1.13"): Algorithm("rsa", "sha512"),
    ObjectIdentifier(f"{_NIST}.3.14"): Algorithm("rsa", "sha3-256"),
    ObjectIdentifier(f"{_NIST}.3.15"): Algorithm("rsa", "sha3-384"),
    ObjectIdentifier(f"{_NIST}.3.16"): Algorithm("rsa", "sha3-512"),
    ObjectIdentifier("1.2.840.113549.1.1.5"): Algorithm("rsa", "sha1"),
    ObjectIdentifier("1.2.840.10045.4.3.2"): Algorithm("ecdsa", "sha256"),
    ObjectIdentifier("1.2.840.10045.4.3.3"): Algorithm("ecdsa", "sha384"),
    ObjectIdentifier("1.2.840.10045.4.3.4"): Algorithm("ecdsa", "sha512"),
    ObjectIdentifier(f"{_NIST}.3.10"): Algorithm("ecdsa", "sha3-256"),
    ObjectIdentifier(f"{_NIST}.3.11"): Algorithm("ecdsa", "sha3-384"),
    ObjectIdentifier(f"{_NIST}.3.12"): Algorithm("ecdsa", "sha3-512"),
    ObjectIdentifier("1.2.840.10045.4.1"): Algorithm("ecdsa", "sha1"),
}
_OF: Final = {(a.scheme, a.digest): oid for oid, a in _WITH_DIGEST.items()}


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


@lru_cache(maxsize=64)
def digest_of(identifier: bytes) -> str:
    """``sha256`` ... of a digest algorithm in DER.  Raises ValueError where unreadable, Refused (SIG007);
    what is refused is not remembered."""
    algorithm = decode_der(AlgorithmIdentifier, identifier).algorithm
    digest = DIGEST_OF.get(algorithm)
    if digest is None:
        raise refusal("SIG007", ", ".join(sorted(DIGESTS)), algorithm.dotted_string, "SignerInfo")
    return digest


@lru_cache(maxsize=64)
def algorithm_of(octets: bytes, digest: str) -> Algorithm:
    """The signature algorithm in DER, which must use the digest of the content (RFC 5754, 3; RFC 8419, 3.1:
    with Ed25519 that is SHA-512).

    Raises ValueError where unreadable, Refused (SIG006); what is refused is not remembered.
    """
    identifier = decode_der(TLV, octets)
    name = name_of(identifier)
    if name == _PSS:
        return _pss_of(identifier.parse(PssIdentifier).parameters, digest)
    algorithm = _WITH_DIGEST.get(name)
    if name in (RSA, _ED25519):
        algorithm = Algorithm("rsa", digest) if name == RSA else ED25519
    if algorithm is None or algorithm.digest != digest:
        raise refusal("SIG006", f"an algorithm with {digest}", name.dotted_string, "SignerInfo")
    if identifier.parse(AlgorithmIdentifier).parameters is not None and name == _ED25519:
        raise refusal("SIG006", "no parameters", "NULL", "SignerInfo")
    return algorithm


def name_of(identifier: TLV) -> ObjectIdentifier:
    """An algorithm's name, whatever its parameters.  Raises ValueError where unreadable."""
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
        or mask.algorithm != MGF1
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
    if algorithm.scheme == "ed25519":
        return AlgorithmIdentifier(algorithm=_ED25519, parameters=None)
    if algorithm.scheme == "ecdsa":
        return AlgorithmIdentifier(algorithm=_OF["ecdsa", algorithm.digest], parameters=None)
    if algorithm.scheme == "rsa":
        name = _OF["rsa", algorithm.digest] if algorithm.digest.startswith("sha3") else RSA
        return AlgorithmIdentifier(algorithm=name, parameters=Null())
    digest = AlgorithmIdentifier(algorithm=OID_OF[algorithm.digest], parameters=Null())
    mask = MaskGenerator(algorithm=MGF1, digest=digest)
    parameters = PssParameters(digest=digest, mask=mask, salt=algorithm.salt, trailer=None)
    return PssIdentifier(algorithm=_PSS, parameters=parameters)
