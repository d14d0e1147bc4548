"""OCSP (RFC 6960): what to ask, and answers verified strictly."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, SignatureAlgorithmOID

from gateway.security.algorithms import check_key
from gateway.security.certificates.certificate import STRONG_DIGESTS, public_key_of
from gateway.security.certificates.statement import Statement, issuer_key, serial_key
from gateway.security.policy import Policy
from gateway.security.refused import refusal

MAX_RESPONSE = 65_536
"""Octets of one response; with a chain in it, about 5,000."""

NEWER_ALWAYS = timedelta(hours=1)
"""How long a response without nextUpdate is relied on: it says that there is always newer information
(RFC 6960, 4.2.2.1)."""

_PART = "OCSP response"
_ARCHIVE_CUTOFF = x509.ObjectIdentifier("1.3.6.1.5.5.7.48.1.6")
_IDENTIFYING = {"sha1": hashes.SHA1(), "sha256": hashes.SHA256()}  # noqa: S303 - only names an issuer


@asn1.sequence
class _KeyInfo:
    """SubjectPublicKeyInfo."""

    algorithm: asn1.TLV
    key: asn1.BitString


class Answers(msgspec.Struct, frozen=True):
    """What a response says, by (issuer key + serial key): a statement, or None where the responder does
    not know the certificate."""

    statements: tuple[tuple[bytes, Statement | None], ...]
    nonce: bytes | None


def ask(
    certificate: x509.Certificate, issuer: x509.Certificate, nonce: bytes | None, digest: str = "sha1"
) -> bytes:
    """An OCSPRequest in DER.  ``digest``: how the certificate is named, which no signature rests on:
    ``sha1``, that all responders know (RFC 5019, 2.1.1), or ``sha256``."""
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, _IDENTIFYING[digest])
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


def read_response(
    der: bytes,
    issuer: x509.Certificate,
    policy: Policy,
    now: datetime,
    responders: tuple[x509.Certificate, ...] = (),
) -> Answers:
    """What a response says of certificates of this issuer.

    ``responders``: certificates that the operator pinned as responders.  A response that has ended is
    returned: it may speak of a time before.  Raises Refused: SIG320 (unreadable), SIG321 (no answer was
    given), SIG322 (who signed is neither the issuer nor named by it), SIG323 (signature), SIG324 (other
    certificates), SIG325 (from the future), SIG327 (a delegate that may not sign).
    """
    response = _load(der)
    try:
        signer = _signer(response, issuer, responders)
        _check_signature(response, check_key(public_key_of(signer), policy, _PART))
        found = tuple(_statements(response, issuer, der, policy, now))
        nonce = _nonce(response)
    except (ValueError, TypeError, x509.DuplicateExtension, UnsupportedAlgorithm):
        raise refusal("SIG320", "BasicOCSPResponse", "", _PART) from None
    if not found:
        raise refusal("SIG324", issuer.subject.rfc4514_string(), "", _PART)
    return Answers(found, nonce)


def _load(der: bytes) -> ocsp.OCSPResponse:
    if len(der) > MAX_RESPONSE:
        raise refusal("SIG320", f"<= {MAX_RESPONSE} octets", f"{len(der)} octets", _PART)
    try:
        response = ocsp.load_der_ocsp_response(der)
    except ValueError:
        raise refusal("SIG320", "OCSPResponse", "", _PART) from None
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise refusal("SIG321", "successful", response.response_status.name.lower(), _PART)
    return response


def _signer(
    response: ocsp.OCSPResponse,
    issuer: x509.Certificate,
    responders: tuple[x509.Certificate, ...],
) -> x509.Certificate:
    """The certificate whose key must have signed (RFC 6960, 4.2.2.2)."""
    for own in (issuer, *responders):
        if _is_named(response, own):
            return own
    for delegate in response.certificates:
        if _is_named(response, delegate):
            _check_delegate(delegate, issuer)
            # When it says that it spoke is its own word: it must have been one at every moment of that.
            for when in (response.produced_at_utc, *(r.this_update_utc for r in response.responses)):
                _check_window(delegate, when)
            return delegate
    raise refusal("SIG322", issuer.subject.rfc4514_string(), _responder(response), _PART)


def _is_named(response: ocsp.OCSPResponse, certificate: x509.Certificate) -> bool:
    if response.responder_name is not None:
        return response.responder_name.public_bytes() == certificate.subject.public_bytes()
    return response.responder_key_hash == _key_digest(certificate, "sha1")


def _responder(response: ocsp.OCSPResponse) -> str:
    if response.responder_name is not None:
        return response.responder_name.rfc4514_string()
    return (response.responder_key_hash or b"").hex()


def _check_delegate(delegate: x509.Certificate, issuer: x509.Certificate) -> None:
    """A certificate that the issuer itself gave to a responder, which nobody need ask after."""
    try:
        delegate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        issued_by = delegate.issuer.rfc4514_string()
        raise refusal("SIG322", issuer.subject.rfc4514_string(), issued_by, _PART) from None
    digest = delegate.signature_hash_algorithm
    if digest is not None and digest.name not in STRONG_DIGESTS:
        raise refusal("SIG327", ", ".join(sorted(STRONG_DIGESTS)), digest.name, _PART)
    extensions = {e.oid: e.value for e in delegate.extensions}
    purposes = extensions.get(ExtensionOID.EXTENDED_KEY_USAGE)
    if not isinstance(purposes, x509.ExtendedKeyUsage) or ExtendedKeyUsageOID.OCSP_SIGNING not in purposes:
        raise refusal("SIG327", "id-kp-OCSPSigning", "extKeyUsage", _PART)
    usage = extensions.get(ExtensionOID.KEY_USAGE)
    if isinstance(usage, x509.KeyUsage) and not (usage.digital_signature or usage.content_commitment):
        raise refusal("SIG327", "digitalSignature", "keyUsage", _PART)
    if ExtensionOID.OCSP_NO_CHECK not in extensions:
        raise refusal("SIG327", "id-pkix-ocsp-nocheck", "", _PART)


def _check_window(delegate: x509.Certificate, when: datetime) -> None:
    if not delegate.not_valid_before_utc <= when <= delegate.not_valid_after_utc:
        window = f"{delegate.not_valid_before_utc:%Y-%m-%d}..{delegate.not_valid_after_utc:%Y-%m-%d}"
        raise refusal("SIG327", window, f"{when:%Y-%m-%d}", _PART)


def _check_signature(response: ocsp.OCSPResponse, key: object) -> None:
    digest = response.signature_hash_algorithm
    if digest is not None and digest.name not in STRONG_DIGESTS:
        raise refusal("SIG323", ", ".join(sorted(STRONG_DIGESTS)), digest.name, _PART)
    signature, octets = response.signature, response.tbs_response_bytes
    try:
        if isinstance(key, ed25519.Ed25519PublicKey) and digest is None:
            key.verify(signature, octets)
        elif isinstance(key, ec.EllipticCurvePublicKey) and digest is not None:
            key.verify(signature, octets, ec.ECDSA(digest))
        elif isinstance(key, rsa.RSAPublicKey) and digest is not None:
            padded_by_pss = response.signature_algorithm_oid == SignatureAlgorithmOID.RSASSA_PSS
            key.verify(
                signature, octets, PSS(MGF1(digest), PSS.AUTO) if padded_by_pss else PKCS1v15(), digest
            )
        else:
            raise InvalidSignature
    except InvalidSignature:
        raise refusal("SIG323", part=_PART) from None


def _statements(
    response: ocsp.OCSPResponse, issuer: x509.Certificate, der: bytes, policy: Policy, now: datetime
) -> list[tuple[bytes, Statement | None]]:
    of_issuer = issuer_key(issuer)
    singles = list(response.responses)
    archive = _archive(response) if len(singles) == 1 else None
    found: list[tuple[bytes, Statement | None]] = []
    for single in singles:
        if not _is_of(single, issuer) or not serial_key(single.serial_number):
            continue
        if single.this_update_utc > now + policy.clock_skew:
            latest, then = f"<= {now:%Y-%m-%dT%H:%M:%SZ}", f"{single.this_update_utc:%Y-%m-%dT%H:%M:%SZ}"
            raise refusal("SIG325", latest, then, _PART)
        found.append((of_issuer + serial_key(single.serial_number), _statement(single, der, archive)))
    return found


def _is_of(single: ocsp.OCSPSingleResponse, issuer: x509.Certificate) -> bool:
    digest = single.hash_algorithm.name
    if digest not in _IDENTIFYING:
        return False
    named = hashlib.new(digest, issuer.subject.public_bytes(), usedforsecurity=False).digest()
    return single.issuer_name_hash == named and single.issuer_key_hash == _key_digest(issuer, digest)


def _statement(single: ocsp.OCSPSingleResponse, der: bytes, archive: datetime | None) -> Statement | None:
    if single.certificate_status is ocsp.OCSPCertStatus.UNKNOWN:
        return None
    this_update = single.this_update_utc
    until = single.next_update_utc or this_update + NEWER_ALWAYS
    reason = single.revocation_reason
    return Statement(
        this_update=this_update,
        until=until,
        evidence=(der,),
        revoked_at=single.revocation_time_utc,
        reason="" if reason is None or reason is x509.ReasonFlags.unspecified else reason.name,
        archive=archive,
    )


def _archive(response: ocsp.OCSPResponse) -> datetime | None:
    for extension in response.single_extensions:
        if extension.oid == _ARCHIVE_CUTOFF and isinstance(extension.value, x509.UnrecognizedExtension):
            cutoff = asn1.decode_der(asn1.GeneralizedTime, extension.value.value)
            return cutoff.as_datetime().replace(tzinfo=UTC)
    return None


def _nonce(response: ocsp.OCSPResponse) -> bytes | None:
    for extension in response.extensions:
        if isinstance(extension.value, x509.OCSPNonce):
            return extension.value.nonce
        if extension.critical:
            raise refusal("SIG320", "", extension.oid.dotted_string, _PART)
    return None


def _key_digest(certificate: x509.Certificate, digest: str) -> bytes:
    """Of the key's bits alone, as OCSP identifies keys."""
    info = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    bits = asn1.decode_der(_KeyInfo, info).key.as_bytes()
    return hashlib.new(digest, bits, usedforsecurity=False).digest()
