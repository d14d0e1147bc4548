"""Where the signatures of a message are and in what form, for those who verify without the gateway."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from lxml import etree

from gateway import safexml
from gateway.evidence.verify.forms import DER, SMIME, XML

_DS = "{http://www.w3.org/2000/09/xmldsig#}"


def certificates_in(form: str, head: bytes, body: bytes) -> tuple[x509.Certificate, ...]:
    """The certificates that a signature carries, the signer's first where the writer put it there; ``form``
    and ``head``: as `verify.forms.form_of` says."""
    if form == XML:
        signature = _signature(body)
        found = () if signature is None else signature.iter(f"{_DS}X509Certificate")
        texts = ["".join((element.text or "").split()) for element in found]
        pems = "".join(f"-----BEGIN CERTIFICATE-----\n{t}\n-----END CERTIFICATE-----\n" for t in texts)
        return tuple(x509.load_pem_x509_certificates(pems.encode())) if texts else ()
    signed = body if form == DER else _cms_of(head + body) if form == SMIME else b""
    return tuple(pkcs7.load_der_pkcs7_certificates(signed)) if signed else ()


def completed(
    chain: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate]
) -> tuple[x509.Certificate, ...]:
    """The chain of the first certificate, each followed by its issuer, as far as issuers are at hand."""
    if not chain:
        return ()
    made, at_hand = [chain[0]], [*chain[1:], *anchors]
    while made[-1].subject != made[-1].issuer:
        issuer = next((c for c in at_hand if _issued(c, made[-1])), None)
        if issuer is None or issuer in made:
            break
        made.append(issuer)
    return tuple(made)


def pem(certificate: x509.Certificate) -> bytes:
    """The certificate as text."""
    return certificate.public_bytes(Encoding.PEM)


def raw_check(certificate: x509.Certificate) -> tuple[str, ...]:
    """openssl's words that verify a raw signature of the certificate's key over a file; ``{key}``,
    ``{signature}`` and ``{file}`` stand for the files."""
    key = certificate.public_key()
    if isinstance(key, ed25519.Ed25519PublicKey):
        return ("openssl pkeyutl -verify -pubin -inkey {key} -rawin -in {file} -sigfile {signature}",)
    digest = "sha256"
    if isinstance(key, ec.EllipticCurvePublicKey):
        digest = {384: "sha384", 521: "sha512"}.get(key.curve.key_size, "sha256")
    plain = f"openssl dgst -{digest} -verify {{key}} -signature {{signature}} {{file}}"
    if not isinstance(key, rsa.RSAPublicKey):
        return (plain,)
    pss = "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest"
    return plain, plain.replace(f"-{digest} ", f"-{digest} {pss} ")


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    if issuer.subject != certificate.issuer or not _authority(issuer):
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _authority(certificate: x509.Certificate) -> bool:
    """Whether it may issue: a certificate authority, whose key signs certificates where its use is said
    (RFC 5280, 4.2.1.3 and 4.2.1.9)."""
    try:
        found = {type(one.value): one.value for one in certificate.extensions}
    except ValueError:
        return False
    constraints, usage = found.get(x509.BasicConstraints), found.get(x509.KeyUsage)
    authority = isinstance(constraints, x509.BasicConstraints) and constraints.ca
    return authority and (not isinstance(usage, x509.KeyUsage) or usage.key_cert_sign)


def _signature(document: bytes) -> etree._Element | None:
    try:
        root = safexml.parse(document)
    except safexml.XmlRefused:
        return None
    return next(root.iter(f"{_DS}Signature"), None)


def _cms_of(entity: bytes) -> bytes:
    message = email.message_from_bytes(entity, policy=email.policy.HTTP)
    part = message.get_payload(1) if message.is_multipart() else message
    octets = part.get_payload(decode=True) if isinstance(part, email.message.Message) else None
    return octets if isinstance(octets, bytes) else b""
