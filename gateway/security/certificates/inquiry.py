"""Where a certificate's revocation can be asked after."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Literal

import msgspec
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtensionOID

MAX_URLS = 4
"""Addresses of each kind that one certificate may name."""


class Sources(msgspec.Struct, frozen=True):
    """Addresses of OCSP responders and CRLs, in the order to try them.  ``method``: of OCSP."""

    ocsp: tuple[str, ...] = ()
    crl: tuple[str, ...] = ()
    method: Literal["post", "get"] = "post"


def sources_of(certificate: x509.Certificate, overrides: Mapping[str, Sources]) -> Sources:
    """What the operator says of the issuer (RFC 4514 name), else what the certificate says itself.

    Only for certificates of a chain that reached an anchor: whose they are decides whom we call.
    """
    own = overrides.get(certificate.issuer.rfc4514_string(), Sources())
    return Sources(own.ocsp or _responders(certificate), own.crl or _lists(certificate), own.method)


def _responders(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return ()
    found = [a.access_location for a in access if a.access_method == AuthorityInformationAccessOID.OCSP]
    return _urls(found)


def _lists(certificate: x509.Certificate) -> tuple[str, ...]:
    found: list[x509.GeneralName] = []
    for oid in (ExtensionOID.CRL_DISTRIBUTION_POINTS, ExtensionOID.FRESHEST_CRL):
        try:
            points = certificate.extensions.get_extension_for_oid(oid).value
        except x509.ExtensionNotFound:
            continue
        if isinstance(points, x509.CRLDistributionPoints | x509.FreshestCRL):
            # A point of another CRL issuer is an indirect CRL, which is not believed.
            found += [name for point in points if not point.crl_issuer for name in point.full_name or ()]
    return _urls(found)


def _urls(names: list[x509.GeneralName]) -> tuple[str, ...]:
    urls = [n.value for n in names if isinstance(n, x509.UniformResourceIdentifier)]
    return tuple(u for u in urls if u.lower().startswith(("http://", "https://")))[:MAX_URLS]


class Met(msgspec.Struct, frozen=True):
    """A certificate of a proven chain and (DER) the one above it; ``fingerprint``: hex SHA-256."""

    fingerprint: str
    der: bytes
    issuer: bytes
    subject: str
    not_after: datetime


def met_in(certificates: Sequence[bytes]) -> tuple[Met, ...]:
    """The certificates of a proven chain (DER, the anchor last) that can be asked after."""
    return tuple(_met(der, above) for der, above in pairwise(certificates))


def _met(der: bytes, above: bytes) -> Met:
    certificate = x509.load_der_x509_certificate(der)
    return Met(
        hashlib.sha256(der).hexdigest(),
        der,
        above,
        certificate.subject.rfc4514_string(),
        certificate.not_valid_after_utc,
    )
