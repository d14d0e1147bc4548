"""Which certificate a CMS signature names: by issuer and serial number, or by subject key id."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from cryptography import x509

from gateway.security.refused import refusal


class SignerId(msgspec.Struct, frozen=True):
    """RFC 5652, 5.3: ``issuer`` (DER name) and ``serial``, or ``key_id``."""

    issuer: bytes = b""
    serial: int = 0
    key_id: bytes = b""

    def find(self, bundle: Sequence[x509.Certificate]) -> x509.Certificate:
        """The one certificate that it names.  Raises Refused (SIG047)."""
        named = [c for c in bundle if self._names(c)]
        if len(named) != 1:
            raise refusal("SIG047", "1", str(len(named)), "SignerInfo")
        return named[0]

    def _names(self, certificate: x509.Certificate) -> bool:
        if not self.key_id:
            return (
                certificate.serial_number == self.serial and certificate.issuer.public_bytes() == self.issuer
            )
        try:
            found = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        except x509.ExtensionNotFound:
            return False
        return found.value.digest == self.key_id
