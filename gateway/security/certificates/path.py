"""The path from an end entity's certificate to an anchor, and the rules on every step of it.

It is written by hand, because each refusal needs its own finding and document-signing certificates
have no server name, which ready-made path builders insist on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtensionOID, SignatureAlgorithmOID

from gateway.security.algorithms import check_key
from gateway.security.certificates.certificate import STRONG_DIGESTS, public_key_of
from gateway.security.certificates.names import Constraints
from gateway.security.certificates.policies import check_policies
from gateway.security.policy import Policy
from gateway.security.refused import Refused, refusal

E = TypeVar("E", bound=x509.ExtensionType)

_PART = "certificate"
ANY_PURPOSE = "2.5.29.37.0"
_MAX_STEPS = 16
"""Signature checks for one search: a crafted bundle of look-alikes costs no more than this."""

_UNDERSTOOD = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.POLICY_MAPPINGS,
        ExtensionOID.POLICY_CONSTRAINTS,
        ExtensionOID.INHIBIT_ANY_POLICY,
    }
)
"""Critical extensions that are honoured; a certificate with any other is refused (RFC 5280, 4.2)."""


def check_time(certificate: x509.Certificate, now: datetime) -> None:
    """Raises Refused: SIG023 before its time, SIG022 after it."""
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    who = certificate.subject.rfc4514_string()
    if now < start:
        raise refusal("SIG023", f">= {start:%Y-%m-%dT%H:%M:%SZ}", f"{now:%Y-%m-%dT%H:%M:%SZ}", who)
    if now > end:
        raise refusal("SIG022", f"<= {end:%Y-%m-%dT%H:%M:%SZ}", f"{now:%Y-%m-%dT%H:%M:%SZ}", who)


def check_end_entity(certificate: x509.Certificate, policy: Policy, pinned: bool) -> None:
    """The signer's certificate may sign messages.  Raises Refused (SIG027, SIG029).

    An authority's certificate may not, unless the operator pinned that very certificate.
    """
    _check_extensions(certificate)
    usage = _extension(certificate, x509.KeyUsage)
    if usage is not None and not (usage.digital_signature or usage.content_commitment):
        raise refusal("SIG027", "digitalSignature, nonRepudiation", "keyUsage", _PART)
    constraints = _extension(certificate, x509.BasicConstraints)
    if constraints is not None and constraints.ca and not pinned:
        raise refusal("SIG027", "an end entity", "cA TRUE", _PART)
    purposes = _extension(certificate, x509.ExtendedKeyUsage)
    if purposes is None:
        return
    found = [purpose.dotted_string for purpose in purposes]
    if policy.purposes.isdisjoint(found):
        raise refusal("SIG027", ", ".join(sorted(policy.purposes)), ", ".join(found), _PART)


class PathSearch:
    """One search, depth first, anchors before the sender's intermediates, of bounded effort."""

    def __init__(
        self,
        anchors: Mapping[bytes, Sequence[x509.Certificate]],
        bundle: Sequence[x509.Certificate],
        policy: Policy,
        now: datetime,
    ) -> None:
        self._anchors = anchors
        self._bundle = bundle
        self._policy = policy
        self._now = now
        self._steps = 0
        self._fault: Refused | None = None

    def find(self, leaf: x509.Certificate) -> tuple[x509.Certificate, ...]:
        """The certificates from the leaf to an anchor, both included.

        Raises Refused with the fault of the first path that failed, or SIG024 where no issuer is
        known at all.
        """
        try:
            check_time(leaf, self._now)
            path = self._extend((leaf,))
        except Refused as fault:
            self._fault = self._fault or fault
            path = None
        if path is None:
            issuer = leaf.issuer.rfc4514_string()
            raise self._fault or refusal("SIG024", found=issuer, part=_PART)
        return path

    def _extend(self, path: tuple[x509.Certificate, ...]) -> tuple[x509.Certificate, ...] | None:
        if len(path) >= self._policy.max_chain:
            self._fault = self._fault or refusal("SIG029", f"<= {self._policy.max_chain}", "", _PART)
            return None
        name = path[-1].issuer.public_bytes()
        for anchor in self._anchors.get(name, ()):
            if self._issued(path, anchor) and self._sound((*path, anchor)):
                return (*path, anchor)
        for middle in self._bundle:
            if (
                middle.subject.public_bytes() != name
                or _is_in(path, middle)
                or not self._issued(path, middle)
            ):
                continue
            longer = self._extend((*path, middle))
            if longer is not None:
                return longer
        return None

    def _issued(self, path: tuple[x509.Certificate, ...], issuer: x509.Certificate) -> bool:
        """True where the issuer may have issued, and did issue, the end of the path."""
        self._steps += 1
        if self._steps > _MAX_STEPS:
            return False
        try:
            _check_issuer(issuer, path, self._policy)
            _check_signed(path[-1], issuer)
            check_time(issuer, self._now)
        except Refused as fault:
            self._fault = self._fault or fault
            return False
        return True

    def _sound(self, path: tuple[x509.Certificate, ...]) -> bool:
        """True where a whole path keeps to the names and policies that its authorities are bound to."""
        try:
            _check_names(path)
            check_policies(path, self._policy.certificate_policies)
        except Refused as fault:
            self._fault = self._fault or fault
            return False
        return True


def _is_in(path: tuple[x509.Certificate, ...], authority: x509.Certificate) -> bool:
    """True where the path has this authority already, by this certificate or by another: who cross-certify
    each other would be walked in circles."""
    key = authority.public_key_algorithm_oid, _key_octets(authority)
    return any(
        known.subject == authority.subject and (known.public_key_algorithm_oid, _key_octets(known)) == key
        for known in path
    )


def _key_octets(certificate: x509.Certificate) -> bytes:
    try:
        return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm):
        return certificate.tbs_certificate_bytes


def _check_names(path: tuple[x509.Certificate, ...]) -> None:
    """RFC 5280, 6.1.3 b and c; self-issued certificates in between are exempt."""
    bound = Constraints()
    for certificate in reversed(path):
        if certificate is path[0] or certificate.subject != certificate.issuer:
            bound.check(certificate)
        bound.narrow(certificate)


def _check_issuer(issuer: x509.Certificate, path: tuple[x509.Certificate, ...], policy: Policy) -> None:
    """The issuer is an authority that may issue below itself what the path has (RFC 5280, 6.1.4)."""
    _check_extensions(issuer)
    constraints = _extension(issuer, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        raise refusal("SIG029", "cA TRUE", "cA FALSE", _PART)
    below = sum(1 for c in path[1:] if c.subject != c.issuer)
    if constraints.path_length is not None and below > constraints.path_length:
        raise refusal("SIG029", f"pathLen {constraints.path_length}", str(below), _PART)
    usage = _extension(issuer, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        raise refusal("SIG029", "keyCertSign", "keyUsage", _PART)
    purposes = _extension(issuer, x509.ExtendedKeyUsage)
    if purposes is not None:
        # Where an authority has purposes, it issues for these only, as most verifiers hold it.
        found = [purpose.dotted_string for purpose in purposes]
        if (policy.purposes | {ANY_PURPOSE}).isdisjoint(found):
            raise refusal("SIG029", ", ".join(sorted(policy.purposes)), ", ".join(found), _PART)
    check_key(public_key_of(issuer), policy, _PART)


def _check_signed(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    """Raises Refused: SIG026 where the signature's digest is weak, SIG025 where it is not the issuer's."""
    strong = ", ".join(sorted(STRONG_DIGESTS))
    try:
        digest = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        raise refusal("SIG026", strong, certificate.signature_algorithm_oid.dotted_string, _PART) from None
    if digest is None and certificate.signature_algorithm_oid != SignatureAlgorithmOID.ED25519:
        raise refusal("SIG026", strong, certificate.signature_algorithm_oid.dotted_string, _PART)
    if digest is not None and digest.name not in STRONG_DIGESTS:
        raise refusal("SIG026", strong, digest.name, _PART)
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        raise refusal("SIG025", found=certificate.issuer.rfc4514_string(), part=_PART) from None


def _check_extensions(certificate: x509.Certificate) -> None:
    for extension in certificate.extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD:
            raise refusal("SIG029", found=extension.oid.dotted_string, part=_PART)


def _extension(certificate: x509.Certificate, kind: type[E]) -> E | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
