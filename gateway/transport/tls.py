"""TLS at both ends: who we are, whom we trust, and who the handshake proved the other side to be."""

# mypy: disallow-untyped-calls=False
# (Twisted's web and TLS classes are only partly typed.)

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL, crypto
from twisted.internet import ssl
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
)
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer  # type: ignore[import-untyped]

from gateway import security
from gateway.security import TlsKey

# Ephemeral key agreement and authenticated ciphers only (TLS 1.3 has no others; its suites are the
# library's own).  RFC 9325, 4.2.
CIPHERS = ssl.AcceptableCiphers.fromOpenSSLCipherString(
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
# Seconds for which a session resumes without a new look at the certificate's chain.
SESSION_SECONDS = 3_600
# Client certificates whose issuers are remembered for the sessions of one context; some 200 octets each.
MAX_VERIFIED = 20_000
# Stands for a proven certificate without a subject: it is somebody's, but no partner's.
NAMELESS = "(no subject)"


class Unusable(Exception):
    """A key, certificate or trust folder cannot be used; the message says which and why."""


Own = Callable[[], TlsKey]
"""What is presented now; another certificate than before makes a new context."""


class _Pair:
    """One key and its certificate in PEM files, as they were read last."""

    def __init__(self, key: Path, certificate: Path) -> None:
        self.files = (key, certificate)
        self.read()

    def read(self) -> None:
        """Read both again.  Raises Unusable and keeps the old ones."""
        key, certificate = self.files
        chain = tuple(read_certificates(certificate))
        private = read_key(key)
        if chain[0].public_key() != private.public_key():
            raise Unusable(f"{key} is not the key of {certificate}")
        self._own = TlsKey(private, chain)

    def __call__(self) -> TlsKey:
        return self._own


@implementer(IOpenSSLServerConnectionCreator)
class ServerTls:
    """The server's side: TLS 1.2 or later, resumption on, client certificates verified where presented.

    ``own``: what is presented; asked at each handshake, so that a key is taken over at its moment.
    ``trust``: a folder of anchors for client certificates, as security.Trust reads it.  Without a client
    certificate the handshake succeeds: the door then wants a token.  Raises Unusable.
    """

    def __init__(self, own: Own, trust: Path) -> None:
        self._own = own
        self._trust = trust
        self._presented = own()
        self._read()

    @classmethod
    def of_files(cls, key: Path, certificate: Path, trust: Path) -> ServerTls:
        """With a key and a certificate (its chain may follow) in PEM files.  Raises Unusable."""
        return cls(_Pair(key, certificate), trust)

    def reload(self) -> None:
        """Read the files again for new connections; open ones go on.  Sessions from before do not
        resume, so that removed anchors count at once.  Raises Unusable and keeps the old ones."""
        if isinstance(self._own, _Pair):
            self._own.read()
        self._read()

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N802, N803
        """One connection's TLS state; Twisted asks for it."""
        own = self._own()
        if own != self._presented:
            self._options, self._presented = self._made(own), own
        return self._options.serverConnectionForTLS(tlsProtocol)

    def _read(self) -> None:
        try:
            anchors = [_anchor(a) for a in security.Trust.load(self._trust).anchors]
        except (OSError, ValueError) as error:
            raise Unusable(f"{self._trust}: {error}") from error
        if not anchors:
            raise Unusable(f"{self._trust}: no trust anchor (*.pem, *.crt)")
        own, self._anchors = self._own(), anchors
        self._options, self._presented = self._made(own), own

    def _made(self, own: TlsKey) -> ssl.CertificateOptions:
        private: Any = own.private
        first, *rest = own_chain(own)
        options = ssl.CertificateOptions(
            privateKey=private,
            certificate=first,
            extraCertChain=rest,
            verify=True,
            requireCertificate=False,
            caCerts=self._anchors,
            acceptableCiphers=CIPHERS,
            raiseMinimumTo=ssl.TLSVersion.TLSv1_2,
            acceptableProtocols=[b"http/1.1"],
            enableSessions=True,
            enableSessionTickets=True,
        )
        context = options.getContext()
        context.set_timeout(SESSION_SECONDS)
        # What is pinned is an anchor, though another issued it.
        store: Any = context.get_cert_store()
        store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
        return options


@implementer(IPolicyForHTTPS)
class ClientTls:
    """The client's side: the server's certificate must chain to ``anchors`` (a PEM file) and carry
    the host name; our own certificate is presented where the server asks.  Raises Unusable.

    ``key``, ``certificate``: PEM files; or ``own``: what is presented, asked at each new connection.
    """

    def __init__(
        self, anchors: Path, key: Path | None = None, certificate: Path | None = None, own: Own | None = None
    ) -> None:
        if own is None and key is not None and certificate is not None:
            own = _Pair(key, certificate)
        self._anchors = anchors
        self._own = own
        self._trust = self._read()
        self._presented: TlsKey | None = None
        self._creators: dict[bytes, IOpenSSLClientConnectionCreator] = {}

    def reload(self) -> None:
        """Read the files again for new connections; open ones go on.  Raises Unusable and keeps the
        old ones."""
        trust = self._read()
        if isinstance(self._own, _Pair):
            self._own.read()
        self._trust, self._creators = trust, {}

    def _read(self) -> Any:
        return ssl.trustRootFromCertificates(
            [ssl.Certificate(_anchor(c)) for c in read_certificates(self._anchors)]
        )

    def creatorForNetloc(self, hostname: bytes, port: int) -> IOpenSSLClientConnectionCreator:  # noqa: N802
        """How to connect to a host; one context per host, as there are few hosts."""
        own = None if self._own is None else self._own()
        if own != self._presented:
            self._presented, self._creators = own, {}
        creator = self._creators.get(hostname)
        if creator is None:
            creator = self._creators[hostname] = self._made(hostname.decode("ascii"), own)
        return creator

    def _made(self, host: str, own: TlsKey | None) -> IOpenSSLClientConnectionCreator:
        extra: dict[str, object] = {
            "acceptableCiphers": CIPHERS,
            "raiseMinimumTo": ssl.TLSVersion.TLSv1_2,
        }
        if own is not None:
            first, *rest = own_chain(own)
            extra |= {"privateKey": own.private, "certificate": first, "extraCertChain": rest}
        return ssl.optionsForClientTLS(host, self._trust, extraCertificateOptions=extra)


class Peer(msgspec.Struct, frozen=True):
    """Who the handshake proved: RFC 4514 subject, "" where no certificate was shown; until when; the hex
    SHA-256 of the certificate; its chain up to an anchor as the handshake verified it (DER), or the
    certificate alone where that is not known any more."""

    subject: str = ""
    until: datetime | None = None
    fingerprint: str = ""
    certificates: tuple[bytes, ...] = ()

    def holds(self, now: datetime) -> bool:
        """False once the certificate has expired: a connection lasts, and a resumed session carries
        the certificate of its first handshake."""
        return self.until is None or now <= self.until


_issuers: WeakKeyDictionary[SSL.Context, dict[bytes, tuple[bytes, ...]]] = WeakKeyDictionary()
"""What was verified above a certificate (its SHA-256), for as long as sessions of the context may resume."""


def peer_of(transport: object) -> Peer:
    """The other side of a connection whose handshake is done."""
    ask = getattr(transport, "getPeerCertificate", None)
    certificate = ask() if ask is not None else None
    if certificate is None:
        return Peer()
    proven = certificate.to_cryptography()
    fingerprint = proven.fingerprint(hashes.SHA256()).hex()
    name = proven.subject.rfc4514_string() or NAMELESS
    return Peer(name, proven.not_valid_after_utc, fingerprint, _chain(transport, proven))


def _chain(transport: Any, proven: x509.Certificate) -> tuple[bytes, ...]:
    """The chain that the handshake verified, from the proven certificate to an anchor: what else was shown
    is nobody's word.  A resumed session has the proven one alone; its chain is that of the handshake that
    began it, where somebody asked then."""
    leaf = proven.public_bytes(Encoding.DER)
    ask = getattr(transport, "getHandle", None)
    if ask is None:
        return (leaf,)
    handle = ask()
    fingerprint, known = hashlib.sha256(leaf).digest(), _issuers.setdefault(handle.get_context(), {})
    verified = handle.get_verified_chain(as_cryptography=True) or ()
    # Put anew at the end, so that those go first that have not been here for the longest time.
    above = known.pop(fingerprint, ())
    above = tuple(c.public_bytes(Encoding.DER) for c in verified[1:]) or above
    if above:
        while len(known) >= MAX_VERIFIED:
            del known[next(iter(known))]
        known[fingerprint] = _shared(above)
    return (leaf, *above)


@lru_cache(256)
def _shared(issuers: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """The same octets for all whom the same authorities certified."""
    return issuers


def read_key(path: Path) -> Any:
    """A private key in a file of its own, RSA or elliptic-curve, as OpenSSL's context takes it.

    Raises Unusable, also where others than its owner, which is us, may touch the file.
    """
    try:
        key = security.read_key(path).private
    except OSError as error:
        raise Unusable(f"{path}: no readable private key: {type(error).__name__}") from error
    except security.KeyUnusable as error:
        raise Unusable(str(error)) from error
    if not isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey):
        raise Unusable(f"{path}: neither RSA nor elliptic-curve")
    return key


def own_chain(own: TlsKey) -> list[Any]:
    """The certificates that are presented, as OpenSSL's context takes them."""
    return list(own.certificates)


def read_certificates(path: Path) -> list[Any]:
    """The certificates of a PEM file, at least one, as OpenSSL's context takes them.  Raises Unusable."""
    try:
        return list(x509.load_pem_x509_certificates(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise Unusable(f"{path}: no readable certificate: {type(error).__name__}") from error


def _anchor(certificate: x509.Certificate) -> crypto.X509:
    """An OpenSSL store takes its own class only."""
    return crypto.X509.from_cryptography(certificate)
