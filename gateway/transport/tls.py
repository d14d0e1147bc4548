"""TLS at both ends: who we are, whom we trust, and who the handshake proved the other side to be."""

# mypy: disallow-untyped-calls=False
# (Twisted's web and TLS classes are only partly typed.)

from __future__ import annotations

import os
import stat
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL, crypto
from twisted.internet import ssl
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
)
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer  # type: ignore[import-untyped]

# Ephemeral key agreement and authenticated ciphers only (TLS 1.3 has no others; its suites are the
# library's own).  RFC 9325, 4.2.
CIPHERS = ssl.AcceptableCiphers.fromOpenSSLCipherString(
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
# Seconds for which a session resumes without a new look at the certificate's chain.
SESSION_SECONDS = 3_600
# Stands for a proven certificate without a subject: it is somebody's, but no partner's.
NAMELESS = "(no subject)"
OPEN_TO_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Unusable(Exception):
    """A key, certificate or trust folder cannot be used; the message says which and why."""


@implementer(IOpenSSLServerConnectionCreator)
class ServerTls:
    """The server's side: TLS 1.2 or later, resumption on, client certificates verified where presented.

    ``key``, ``certificate``: PEM files, the latter with its chain.  ``trust``: a folder of PEM anchors
    for client certificates.  Without a client certificate the handshake succeeds: the door then
    wants a token.  Raises Unusable.
    """

    def __init__(self, key: Path, certificate: Path, trust: Path) -> None:
        self._files = (key, certificate, trust)
        self._options = self._read()

    def reload(self) -> None:
        """Read the files again for new connections; open ones go on.  Sessions from before do not
        resume, so that removed anchors count at once.  Raises Unusable and keeps the old ones."""
        self._options = self._read()

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N802, N803
        """One connection's TLS state; Twisted asks for it."""
        return self._options.serverConnectionForTLS(tlsProtocol)

    def _read(self) -> ssl.CertificateOptions:
        key, certificate, trust = self._files
        first, *rest = read_certificates(certificate)
        anchors = [_anchor(a) for path in sorted(trust.glob("*.pem")) for a in read_certificates(path)]
        if not anchors:
            raise Unusable(f"{trust}: no trust anchor (*.pem)")
        options = ssl.CertificateOptions(
            privateKey=read_key(key),
            certificate=first,
            extraCertChain=rest,
            verify=True,
            requireCertificate=False,
            caCerts=anchors,
            acceptableCiphers=CIPHERS,
            raiseMinimumTo=ssl.TLSVersion.TLSv1_2,
            acceptableProtocols=[b"http/1.1"],
            enableSessions=True,
            enableSessionTickets=True,
        )
        _matching(options, key, certificate).set_timeout(SESSION_SECONDS)
        return options


@implementer(IPolicyForHTTPS)
class ClientTls:
    """The client's side: the server's certificate must chain to ``anchors`` (a PEM file) and carry
    the host name; our own certificate is presented where the server asks.  Raises Unusable."""

    def __init__(self, anchors: Path, key: Path | None = None, certificate: Path | None = None) -> None:
        self._files = (anchors, key, certificate)
        self._trust, self._extra = self._read()
        self._creators: dict[bytes, IOpenSSLClientConnectionCreator] = {}

    def reload(self) -> None:
        """Read the files again for new connections; open ones go on.  Raises Unusable and keeps the
        old ones."""
        self._trust, self._extra = self._read()
        self._creators = {}

    def _read(self) -> tuple[Any, dict[str, object]]:
        anchors, key, certificate = self._files
        trust = ssl.trustRootFromCertificates(
            [ssl.Certificate(_anchor(c)) for c in read_certificates(anchors)]
        )
        extra: dict[str, object] = {
            "acceptableCiphers": CIPHERS,
            "raiseMinimumTo": ssl.TLSVersion.TLSv1_2,
        }
        if key is not None and certificate is not None:
            first, *rest = read_certificates(certificate)
            own = {"privateKey": read_key(key), "certificate": first, "extraCertChain": rest}
            _matching(ssl.CertificateOptions(**own), key, certificate)
            extra |= own
        return trust, extra

    def creatorForNetloc(self, hostname: bytes, port: int) -> IOpenSSLClientConnectionCreator:  # noqa: N802
        """How to connect to a host; one context per host, as there are few hosts."""
        creator = self._creators.get(hostname)
        if creator is None:
            creator = self._creators[hostname] = ssl.optionsForClientTLS(
                hostname.decode("ascii"), self._trust, extraCertificateOptions=dict(self._extra)
            )
        return creator


class Peer(msgspec.Struct, frozen=True):
    """Who the handshake proved: RFC 4514 subject, "" where no certificate was shown; until when."""

    subject: str = ""
    until: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """False once the certificate has expired: a connection lasts, and a resumed session carries
        the certificate of its first handshake."""
        return self.until is None or now <= self.until


def peer_of(transport: object) -> Peer:
    """The other side of a connection whose handshake is done."""
    ask = getattr(transport, "getPeerCertificate", None)
    certificate = ask() if ask is not None else None
    if certificate is None:
        return Peer()
    proven = certificate.to_cryptography()
    return Peer(proven.subject.rfc4514_string() or NAMELESS, proven.not_valid_after_utc)


def read_key(path: Path) -> Any:
    """A private key in PEM, RSA or elliptic-curve, as OpenSSL's context takes it.

    Raises Unusable, also where others than its owner, which is us, may touch the file.
    """
    try:
        with path.open("rb") as file:
            state = os.fstat(file.fileno())
            if state.st_mode & OPEN_TO_OTHERS or state.st_uid != os.geteuid():
                raise Unusable(f"{path}: must be ours alone (mode 0600)")
            key = load_pem_private_key(file.read(), None)
    except (OSError, ValueError, TypeError) as error:
        raise Unusable(f"{path}: no readable private key: {type(error).__name__}") from error
    if not isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey):
        raise Unusable(f"{path}: neither RSA nor elliptic-curve")
    return key


def read_certificates(path: Path) -> list[Any]:
    """The certificates of a PEM file, at least one, as OpenSSL's context takes them.  Raises Unusable."""
    try:
        return list(x509.load_pem_x509_certificates(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise Unusable(f"{path}: no readable certificate: {type(error).__name__}") from error


def _matching(options: ssl.CertificateOptions, key: Path, certificate: Path) -> SSL.Context:
    """OpenSSL's context, where the key is the certificate's.  Raises Unusable where it is not."""
    try:
        return options.getContext()
    except SSL.Error as error:
        raise Unusable(f"{key} is not the key of {certificate}") from error


def _anchor(certificate: x509.Certificate) -> crypto.X509:
    """An OpenSSL store takes its own class only."""
    return crypto.X509.from_cryptography(certificate)
