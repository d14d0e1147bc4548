"""Pinning: a receiver is the one whose certificate we know, besides being who its name says.

The look is taken inside the handshake: a server with another certificate is sent nothing.
"""

# mypy: disallow-untyped-calls=False
# (Twisted's web and TLS classes are only partly typed.)

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives import hashes
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer  # type: ignore[import-untyped]

from gateway.model import Partner, Use
from gateway.transport.tls import ClientTls

Pins = frozenset[str]
"""Hex SHA-256 of the certificates, any of which will do."""


def pins_of(partner: Partner, now: datetime) -> Pins | None:
    """The certificates that the partner's receiver may have now; None where it registered none at all."""
    known = partner.credentials_for(Use.PUSH)
    return frozenset(c.fingerprint for c in known if c.active(now)) if known else None


@implementer(IPolicyForHTTPS)
class PinnedTls:
    """As ``tls``, and the server's own certificate is one of ``pins``, as they are at the handshake."""

    def __init__(self, tls: ClientTls, pins: Callable[[], Pins]) -> None:
        self._tls = tls
        self._pins = pins

    def creatorForNetloc(self, hostname: bytes, port: int) -> Any:  # noqa: N802
        """How to connect to a host."""
        return _Pinned(self._tls.creatorForNetloc(hostname, port), self._pins)


@implementer(IOpenSSLClientConnectionCreator)
class _Pinned:
    def __init__(self, creator: Any, pins: Callable[[], Pins]) -> None:
        self._creator = creator
        self._pins = pins

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N802, N803
        """One connection's TLS state, which fails its handshake where the certificate is none of ours."""
        connection: SSL.Connection = self._creator.clientConnectionForTLS(tlsProtocol)
        connection.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, self._proven)
        return connection

    def _proven(self, _: SSL.Connection, certificate: crypto.X509, __: int, depth: int, ok: int) -> bool:
        if not ok or depth:
            return bool(ok)
        return certificate.to_cryptography().fingerprint(hashes.SHA256()).hex() in self._pins()
