"""The VAN's own HTTPS address: where the gateway pushes its messages."""

# mypy: disallow-untyped-calls=False
# (Twisted's web and TLS classes are only partly typed.)

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.ssl import CertificateOptions, KeyPair, PrivateCertificate
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.resource import Resource
from twisted.web.server import Site

from gateway.operations import home as homes
from gateway.operations.demo.town import VAN


@dataclass(frozen=True, slots=True)
class Pushed:
    """One message as it was pushed."""

    delivery: str
    kind: str
    submission: str
    reference: str
    media_type: str
    body: bytes


class Receiver(Resource):
    """Takes pushed messages once each, by their Cvan-Delivery header."""

    isLeaf = True  # noqa: N815

    def __init__(self, reactor: Any) -> None:
        super().__init__()
        self.pushed: dict[str, Pushed] = {}
        self._reactor = reactor
        self._waiting: list[tuple[Callable[[], bool], Deferred[None]]] = []
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._socket.setblocking(False)
        self._port: Any = None
        self.url = f"https://localhost:{self._socket.getsockname()[1]}/customs"

    def open(self, folder: Path, home: Path) -> None:
        """Serve with a certificate from the town's authority."""
        key, certificate = folder / "receiver.key.pem", folder / "receiver.crt.pem"
        homes.authority(home).issue(
            homes.subject("localhost", VAN.id, "VN"), key, certificate, use="tls", server_names=("localhost",)
        )
        own = PrivateCertificate.loadPEM(certificate.read_bytes() + key.read_bytes())
        pair: KeyPair = own.privateKey
        options = CertificateOptions(privateKey=pair.original, certificate=own.original)
        site: Any = Site(self)
        tls: Any = options
        factory = TLSMemoryBIOFactory(tls, False, site)
        self._port = self._reactor.adoptStreamPort(self._socket.fileno(), socket.AF_INET, factory)

    def render_POST(self, request: Any) -> bytes:  # noqa: N802
        """Take one message."""

        def header(name: str) -> str:
            return str(request.getHeader(name) or "")

        delivery = header("cvan-delivery")
        self.pushed[delivery] = Pushed(
            delivery=delivery,
            kind=header("cvan-kind"),
            submission=header("cvan-submission"),
            reference=header("cvan-reference"),
            media_type=header("content-type"),
            body=request.content.read(),
        )
        for waiting in [w for w in self._waiting if w[0]()]:
            self._waiting.remove(waiting)
            waiting[1].callback(None)
        request.setResponseCode(204)
        return b""

    def of(self, reference: str, kind: str) -> Pushed | None:
        """The message of a kind about a reference, if it came."""
        found = (p for p in self.pushed.values() if p.reference == reference and p.kind == kind)
        return next(found, None)

    def until(self, condition: Callable[[], bool], seconds: float = 20.0) -> Deferred[None]:
        """Fires when the condition holds; fails after so many seconds."""
        waiting: Deferred[None] = Deferred()
        if condition():
            waiting.callback(None)
        else:
            self._waiting.append((condition, waiting))
            waiting.addTimeout(seconds, self._reactor)
        return waiting

    async def close(self) -> None:
        """Take nothing more."""
        if self._port is not None:
            await maybeDeferred(self._port.stopListening)
        self._socket.close()
