"""A reactor in a thread, certificates made by openssl, and gateways on loopback ports."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from twisted.internet import reactor as installed
from twisted.internet.threads import blockingCallFromThread

from gateway.model import Catalogue, Limits, Meaning, Partner
from gateway.model.finding import load_catalogue
from gateway.transport import (
    AccessLog,
    Bounds,
    Client,
    ClientTls,
    Door,
    DoorSettings,
    Listener,
    Metrics,
    ServerTls,
    Spool,
    listen,
)

from .office import Office, now

TOKEN = "t0ken-of-the-trader-0123456789abcdef"
OTHER_TOKEN = "t0ken-of-the-carrier-0123456789abcde"


class Loop:
    """The reactor, run in a thread of its own as long as the tests run."""

    def __init__(self) -> None:
        self.reactor = installed
        if not installed.running:
            threading.Thread(target=installed.run, args=(False,), daemon=True).start()

    def __call__(self, call: Callable, *args: object, **named: object):
        """Call in the reactor's thread and wait for the result (or the Deferred's)."""
        return blockingCallFromThread(self.reactor, call, *args, **named)


@pytest.fixture(scope="session")
def loop() -> Loop:
    return Loop()


@dataclass
class Authority:
    """Certificates by openssl: a judge of our TLS that shares no code with it."""

    folder: Path
    made: dict[str, Path] = field(default_factory=dict)

    def issue(
        self, name: str, subject: str, *, server: bool = False, days: int = 30, issuer: str = "ca"
    ) -> Path:
        """``name``.key.pem and ``name``.pem in the folder; gives the path without suffix."""
        base = self.folder / name
        if name in self.made:
            return base
        usage = "serverAuth" if server else "clientAuth"
        extension = f"extendedKeyUsage={usage}\n"
        if server:
            extension += "subjectAltName=DNS:localhost,IP:127.0.0.1\n"
        (self.folder / f"{name}.ext").write_text(extension)
        _openssl("req", "-new", *_KEY, "-keyout", f"{base}.key.pem", "-out", f"{base}.csr", "-subj", subject)
        signer = self.folder / issuer
        _openssl(
            *("x509", "-req", "-in", f"{base}.csr", "-CA", f"{signer}.pem", "-CAkey", f"{signer}.key.pem"),
            *("-CAcreateserial", "-days", str(days), "-extfile", f"{base}.ext", "-out", f"{base}.pem"),
        )
        os.chmod(f"{base}.key.pem", 0o600)
        self.made[name] = base
        return base

    def root(self, name: str) -> Path:
        base = self.folder / name
        _openssl(
            *("req", "-x509", "-new", *_KEY, "-keyout", f"{base}.key.pem", "-out", f"{base}.pem"),
            *("-days", "30", "-subj", f"/CN={name}", "-addext", "keyUsage=keyCertSign"),
        )
        return base


_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def _openssl(*args: str) -> None:
    subprocess.run(["openssl", *args], check=True, capture_output=True)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("certificates"))
    made.root("ca")
    made.root("strangers")
    made.issue("server", "/CN=gateway", server=True)
    made.issue("van", "/C=VN/O=VAN One/CN=van-1")
    made.issue("carrier", "/C=VN/O=Carrier/CN=carrier-1")
    made.issue("nobody", "/C=VN/O=Nobody/CN=nobody")
    made.issue("stranger", "/C=VN/O=VAN One/CN=van-1", issuer="strangers")
    trust = made.folder / "trust"
    trust.mkdir()
    shutil.copy(made.folder / "ca.pem", trust / "ca.pem")
    return made


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def partners(limits: Limits) -> list[Partner]:
    return [
        Partner("VAN1", "VAN One", subjects=("CN=van-1,O=VAN One,C=VN",), limits=limits),
        Partner("TRADER1", "Trader", token_digest=digest(TOKEN), language="vi", limits=limits),
        Partner(
            "CARRIER1",
            "Carrier",
            subjects=("CN=carrier-1,O=Carrier,C=VN",),
            token_digest=digest(OTHER_TOKEN),
            limits=limits,
        ),
        Partner("GONE", "Inactive", token_digest=digest("gone"), active=False),
    ]


class Lines(logging.Handler):
    """Keeps what the access log wrote."""

    def __init__(self) -> None:
        super().__init__()
        self.raw: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.raw.append(record.getMessage())

    @property
    def events(self) -> list[dict]:
        return [json.loads(line) for line in list(self.raw)]


@dataclass
class Gateway:
    """A gateway on a loopback port, and ways to reach it."""

    loop: Loop
    authority: Authority
    office: Office
    door: Door
    listener: Listener
    lines: Lines
    metrics: Metrics
    tls: ServerTls
    clients: list[Client] = field(default_factory=list)

    @property
    def base(self) -> str:
        return f"https://localhost:{self.listener.port}"

    def client(self, name: str = "", token: str = "") -> Client:
        folder = self.authority.folder
        own = (folder / f"{name}.key.pem", folder / f"{name}.pem") if name else ()
        tls = ClientTls(folder / "ca.pem", *own)
        made = self.loop(Client, self.loop.reactor, self.base, tls, token)
        self.clients.append(made)
        return made

    def context(self, name: str = "") -> ssl.SSLContext:
        folder = self.authority.folder
        context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        if name:
            context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key.pem")
        return context

    def connect(self, name: str = "", **options: object) -> ssl.SSLSocket:
        """A bare TLS socket, to say what no client library would."""
        raw = socket.create_connection(("127.0.0.1", self.listener.port), timeout=10)
        return self.context(name).wrap_socket(raw, server_hostname="localhost", **options)

    def say(self, octets: bytes, name: str = "") -> bytes:
        """Send, then read until the gateway closes or has been silent for a while."""
        with self.connect(name) as wire:
            wire.sendall(octets)
            return hear(wire)

    def curl(self, *args: str, name: str = "", body: bytes = b"") -> subprocess.CompletedProcess:
        folder = self.authority.folder
        own = ("--cert", f"{folder / name}.pem", "--key", f"{folder / name}.key.pem") if name else ()
        command = ["curl", "-sS", "-i", "--max-time", "20", "--cacert", str(folder / "ca.pem"), *own, *args]
        return subprocess.run(command, input=body, capture_output=True, timeout=30)


def hear(wire: socket.socket, silence: float = 3.0) -> bytes:
    wire.settimeout(silence)
    heard = b""
    try:
        while chunk := wire.recv(65_536):
            heard += chunk
    except (TimeoutError, ConnectionError, ssl.SSLError):
        pass
    return heard


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory) -> Catalogue:
    """This room's own findings, and one of another room's kind."""
    folder = tmp_path_factory.mktemp("findings")
    shutil.copy(Path(__file__).parents[2] / "mappings" / "findings" / "transport.toml", folder)
    other = Meaning("Unproven: {found}", "Chưa chứng thực: {found}")
    return Catalogue({**load_catalogue(folder).meanings, "TST001": other})


@pytest.fixture
def open_gateway(loop, authority, catalogue) -> Iterator[Callable[..., Gateway]]:
    """Opens gateways with the bounds and limits that a test wants; closes them after it."""
    opened: list[Gateway] = []

    def make(
        bounds: Bounds | None = None,
        limits: Limits | None = None,
        clock=now,
        metrics=None,
        spool: Spool | None = None,
        **named: object,
    ) -> Gateway:
        office = Office(loop.reactor, partners(limits or Limits()), catalogue)
        logger = logging.Logger(f"test-{len(opened)}", logging.INFO)
        lines = Lines()
        logger.addHandler(lines)
        metrics = metrics or Metrics()
        folder = authority.folder
        tls = ServerTls.of_files(folder / "server.key.pem", folder / "server.pem", folder / "trust")
        door = Door(
            office,
            metrics,
            AccessLog(logger),
            now=now,
            seconds=loop.reactor.seconds,
            randomness=os.urandom,
            later=lambda call: loop.reactor.callLater(0, call),
            settings=DoorSettings(bounds=bounds or Bounds(), **named),
            spool=spool,
        )
        listener = loop(listen, loop.reactor, door, tls, now=clock, port=0, interface="127.0.0.1")
        gateway = Gateway(loop, authority, office, door, listener, lines, metrics, tls)
        opened.append(gateway)
        return gateway

    yield make
    for gateway in opened:
        for client in gateway.clients:
            loop(client.close)
        loop(gateway.listener.stop, 1.0)


@pytest.fixture
def gateway(open_gateway) -> Gateway:
    return open_gateway()


def eventually(true: Callable[[], bool], seconds: float = 5.0) -> bool:
    """True as soon as it is, False when it is not in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if true():
            return True
        time.sleep(0.01)
    return true()
