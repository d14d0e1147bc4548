"""Certificates by the names that EDIFACT gives them: USC 0536 and S500.

A name is only a hint at whose key it may be: nothing is believed that does not chain to an anchor, and the key
must have made the signature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gateway.model.secured import NamedCertificate, SecurityParty
from gateway.security.certificates.certificate import read_certificate
from gateway.security.refused import Refused

OWNER = "3"  # 0577: of the certificate's owner
ISSUER = "4"  # 0577: of who authenticated it
X509 = "3"  # 0545

FINGERPRINT = 32
"""Hexadecimal digits of the certificate's SHA-256 that name it: 0536 and 0538 hold 35 characters, and a
serial number of RFC 5280 may have 40 digits."""

_MOST, _MOST_DECIMAL = 40, 49
"""Digits of a serial number (RFC 5280, 4.1.2.2): 20 octets, hexadecimal and decimal."""

Lookup = Callable[[NamedCertificate], Sequence[bytes]]
"""Certificates (DER) that a USC may name."""


class Certificates:
    """Certificates found by serial number (hexadecimal or decimal), or by the beginning, 32 digits at least, of
    their SHA-256 or of their subject key identifier.  What is no certificate is passed over."""

    def __init__(self, certificates: Iterable[bytes] = ()) -> None:
        self._by_name: dict[str, list[x509.Certificate]] = {}
        for der in certificates:
            try:
                certificate = read_certificate(der)
            except Refused:
                continue
            for name in _names(certificate):
                self._by_name.setdefault(name, []).append(certificate)

    @classmethod
    def load(cls, folder: Path) -> Certificates:
        """Every certificate of a folder's ``*.pem`` and ``*.crt`` files; none where there is no folder.

        Raises ValueError naming each file that holds none.
        """
        found: list[bytes] = []
        broken: list[str] = []
        for path in sorted((*folder.glob("*.pem"), *folder.glob("*.crt"))):
            try:
                found += [
                    c.public_bytes(Encoding.DER) for c in x509.load_pem_x509_certificates(path.read_bytes())
                ]
            except ValueError as error:
                broken.append(f"{path.name}: {error}")
        if broken:
            raise ValueError("; ".join(broken))
        return cls(found)

    def __call__(self, named: NamedCertificate) -> tuple[bytes, ...]:
        """Those that a USC names."""
        reference = _reference(named)
        issuer = named.party(ISSUER)
        keys = {reference, reference.lstrip("0"), reference[:FINGERPRINT]} - {""}
        found = (c for key in sorted(keys) for c in self._by_name.get(key, ()))
        fitting = (c for c in found if _fits(c, reference, issuer))
        return tuple(dict.fromkeys(c.public_bytes(Encoding.DER) for c in fitting))


def references_of(named: NamedCertificate) -> tuple[str, ...]:
    """What a USC may mean by its reference, as names of certificates: as it stands, without zeros before it, and
    its beginning; of a serial number in decimal digits, the hexadecimal ones too."""
    reference = _reference(named)
    found = [reference, reference.lstrip("0"), reference[:FINGERPRINT]]
    if reference.isascii() and reference.isdigit() and len(reference) <= _MOST_DECIMAL:
        found.append(f"{int(reference):X}")
    return tuple(dict.fromkeys(name for name in found if name))


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """What a certificate is named by beside its SHA-256: its serial number and its key identifier (hexadecimal,
    capitals, FINGERPRINT digits at most).  Raises ValueError where its extensions cannot be read."""
    own = certificate.fingerprint(hashes.SHA256()).hex().upper()
    others = (name[:FINGERPRINT] for name in sorted(_long_names(certificate) - {own}))
    return (f"{certificate.serial_number:X}"[:_MOST], *others)


def _reference(named: NamedCertificate) -> str:
    return (named.reference or named.party(OWNER).key).strip().upper()


def reference_of(certificate: x509.Certificate) -> str:
    """0536 as we write it: the beginning of the certificate's SHA-256."""
    return certificate.fingerprint(hashes.SHA256()).hex()[:FINGERPRINT].upper()


def _names(certificate: x509.Certificate) -> set[str]:
    return {*_serials(certificate), *(name[:FINGERPRINT] for name in _long_names(certificate))}


def _serials(certificate: x509.Certificate) -> set[str]:
    """The serial number in both notations, without zeros before it."""
    return {f"{certificate.serial_number:X}", str(certificate.serial_number)}


def _long_names(certificate: x509.Certificate) -> set[str]:
    """The SHA-256, and the subject key identifier, of which the beginning is a name."""
    names = {certificate.fingerprint(hashes.SHA256()).hex().upper()}
    try:
        key = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        names.add(key.value.digest.hex().upper())
    except x509.ExtensionNotFound:
        pass
    return names


def _fits(certificate: x509.Certificate, reference: str, issuer: SecurityParty) -> bool:
    """True where the reference is the certificate's; a serial number is its issuer's, where one is named."""
    if len(reference) >= FINGERPRINT and any(n.startswith(reference) for n in _long_names(certificate)):
        return True
    if reference.lstrip("0") not in _serials(certificate):
        return False
    named = {text for text in (issuer.id, "".join(issuer.names)) if text}
    return not named or bool(named & _issuers(certificate))


def _issuers(certificate: x509.Certificate) -> set[str]:
    """How an issuer may be named: its whole name, its common name, its organisation."""
    parts = (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)
    found = (a.value for oid in parts for a in certificate.issuer.get_attributes_for_oid(oid))
    return {certificate.issuer.rfc4514_string(), *(v for v in found if isinstance(v, str))}
