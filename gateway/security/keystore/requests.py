"""Requests for certificates (PKCS #10, RFC 2986), and what a certificate says of its holder."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.security.algorithms import PrivateKey
from gateway.security.keystore.files import KeyUnusable
from gateway.security.keystore.generation import Generation
from gateway.security.keystore.inventory import Use

_HASHES: dict[int, hashes.HashAlgorithm] = {384: hashes.SHA384(), 521: hashes.SHA512()}


def request(generation: Generation, subject: str, names: Sequence[str] = ()) -> bytes:
    """A certificate request (PKCS #10) in PEM.  ``names``: host names and addresses, for TLS.

    Raises KeyUnusable.
    """
    private = generation.private
    if private is None:
        raise KeyUnusable(f"{generation.entry.name}: {generation.fault}")
    builder = x509.CertificateSigningRequestBuilder().subject_name(named(subject))
    agreeing = isinstance(private, ec.EllipticCurvePrivateKey)
    builder = builder.add_extension(_usage(generation.entry.use, agreeing=agreeing), critical=True)
    if generation.entry.use == "tls":
        purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        if names:
            alternatives = x509.SubjectAlternativeName([_general_name(n) for n in names])
            builder = builder.add_extension(alternatives, critical=False)
    return builder.sign(private, _hash_of(private)).public_bytes(Encoding.PEM)


def named(subject: str) -> x509.Name:
    """The subject of an RFC 4514 string.  Raises KeyUnusable."""
    try:
        return x509.Name.from_rfc4514_string(subject)
    except ValueError as error:
        raise KeyUnusable(f"{subject!r} is no subject like CN=...,O=...,C=VN: {error}") from None


def _hash_of(private: PrivateKey) -> Any:
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return None
    return _HASHES.get(private.key_size, hashes.SHA256())


def _usage(use: Use, *, agreeing: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=use != "decryption",
        content_commitment=use == "signing",
        key_encipherment=use == "decryption" and not agreeing,
        data_encipherment=False,
        key_agreement=use == "decryption" and agreeing,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def subject_and_names(certificate: x509.Certificate) -> tuple[str, tuple[str, ...]]:
    """What a certificate says of its holder: subject (RFC 4514), host names and addresses."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return certificate.subject.rfc4514_string(), ()
    names = [*found.get_values_for_type(x509.DNSName)]
    names += [str(address) for address in found.get_values_for_type(x509.IPAddress)]
    return certificate.subject.rfc4514_string(), tuple(names)
