"""Client certificates that TLS proved, and were revoked: on the wire, whatever else is shown, also on a
resumed session."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL
from twisted.internet.defer import succeed

from gateway.operations.revoking import Callers
from gateway.security import Policy, Revocations, Trust
from gateway.security.certificates.statement import Statement, link_of
from gateway.transport import ServerTls
from gateway.transport.tls import Unusable, peer_of
from tests.security.authorities import DAY, NOW, Party, usage

CLIENT = [(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)]


class Wire:
    """As Twisted's transport offers a connection whose handshake is done."""

    def __init__(self, connection: SSL.Connection) -> None:
        self.getPeerCertificate = connection.get_peer_certificate
        self.getHandle = lambda: connection


class Door:
    """A server's TLS on a loopback port, and what its callers come to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = Party("CN=Root", ca=True)
        self.issuing = Party("CN=Issuing", self.root, ca=True)
        self.caller = Party("CN=Caller", self.issuing, extra=CLIENT)
        server = Party("CN=localhost", self.root)
        (folder / "trust").mkdir()
        (folder / "trust" / "root.pem").write_bytes(pem(self.root))
        self.tls = ServerTls.of_files(
            secret(folder / "server.key", server), written(folder / "server.pem", server), folder / "trust"
        )
        self.trust = Trust([self.root.certificate])
        self.policy = Policy(revocation="hold")
        self.revoked: dict[bytes, Statement] = {}
        self.sighted: list[Any] = []
        chosen = SimpleNamespace(revocation="hold", tls="soft")
        self.server: Any = SimpleNamespace(
            settings=SimpleNamespace(trust=chosen), handbook=self.handbook, commits=self
        )
        self.callers = Callers(self.server, lambda: NOW)

    def call(self, name: str, met: list[Any], now: object) -> Any:
        self.sighted += met
        return succeed(None)

    def handbook(self) -> Any:
        trust = self.trust.with_revocations(Revocations(self.revoked))
        return SimpleNamespace(policy=self.policy, trust=trust)

    def revoke(self, party: Party, issuer: Party) -> None:
        link = link_of(party.certificate, issuer.certificate)
        said = Statement(NOW, NOW + DAY, (), NOW - DAY, "key_compromise")
        self.revoked[link.issuer + link.serial] = said

    def client(self, version: ssl.TLSVersion, *shown: Party) -> Callable[[], str]:
        """Calls with these certificates; each call after the first resumes, and tells what it came to."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = context.maximum_version = version
        chain = written(self.folder / "client.pem", *shown)
        context.load_cert_chain(chain, secret(self.folder / "client.key", shown[0]))
        sessions: list[ssl.SSLSession] = []

        def call() -> str:
            came: list[str] = []
            with socket.create_server(("127.0.0.1", 0)) as listening:
                serving = threading.Thread(target=self._serve, args=(listening, came))
                serving.start()
                session = sessions[-1] if sessions else None
                raw = socket.create_connection(listening.getsockname(), timeout=10)
                with context.wrap_socket(raw, session=session) as wire:
                    wire.recv(1)
                    assert wire.session_reused is bool(sessions)
                    assert wire.session is not None
                    sessions.append(wire.session)
                    wire.sendall(b".")
                serving.join()
            return came[0]

        return call

    def _serve(self, listening: socket.socket, came: list[str]) -> None:
        accepted, _ = listening.accept()
        options: Any = self.tls._options
        connection = SSL.Connection(options.getContext(), accepted)
        connection.set_accept_state()
        connection.do_handshake()
        came.append(self.callers.unfit(peer_of(Wire(connection)).certificates))
        connection.send(b".")
        connection.recv(1)
        connection.close()


def pem(*parties: Party) -> bytes:
    return b"".join(p.certificate.public_bytes(Encoding.PEM) for p in parties)


def written(path: Path, *parties: Party) -> Path:
    path.write_bytes(pem(*parties))
    return path


def secret(path: Path, party: Party) -> Path:
    path.write_bytes(party.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)
    return path


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_revoked_caller_is_found_whatever_else_it_shows(door: Door, version: ssl.TLSVersion) -> None:
    stranger = Party("CN=Stranger")
    assert door.client(version, door.caller, door.issuing, stranger)() == ""
    door.revoke(door.caller, door.issuing)
    for more in ((), (stranger,), (stranger, door.root)):
        assert door.client(version, door.caller, door.issuing, *more)().startswith("SIG305: SIG300 CN=Caller")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_revoked_caller_is_found_on_a_session_that_resumes(door: Door, version: ssl.TLSVersion) -> None:
    """A resumed session shows the leaf alone; its issuers are those of the handshake that began it."""
    call = door.client(version, door.caller, door.issuing)
    assert call() == ""
    assert call() == ""
    door.revoke(door.caller, door.issuing)
    assert call().startswith("SIG305: SIG300 CN=Caller")


def test_a_revoked_issuer_is_found_too(door: Door) -> None:
    door.revoke(door.issuing, door.root)
    assert door.client(VERSIONS[1], door.caller, door.issuing)().startswith("SIG305: SIG300 CN=Issuing")


def test_a_caller_whose_issuers_nobody_remembers_cannot_be_judged(door: Door) -> None:
    assert door.callers.unfit((door.caller.der,)).startswith("SIG305: SIG024")


def test_what_tls_proved_is_asked_after(door: Door) -> None:
    """Also a chain that message signatures would not be believed by: TLS proved it, revocation is judged."""
    door.policy = Policy(revocation="hold", curves=frozenset())
    assert door.client(VERSIONS[1], door.caller, door.issuing)() == ""
    assert [s.subject for s in door.sighted] == ["CN=Caller", "CN=Issuing"]


def test_hard_wants_to_hear_of_every_caller(door: Door) -> None:
    door.server.settings.trust.tls = "hard"
    assert door.client(VERSIONS[1], door.caller, door.issuing)().startswith("SIG305: SIG301")
    for party, issuer in ((door.caller, door.issuing), (door.issuing, door.root)):
        link = link_of(party.certificate, issuer.certificate)
        door.revoked[link.issuer + link.serial] = Statement(NOW, NOW + timedelta(days=1), ())
    assert door.client(VERSIONS[1], door.caller, door.issuing)() == ""


def test_every_anchor_that_counts_for_signatures_counts_for_connections(tmp_path: Path) -> None:
    """One reader: ``*.crt``, public authorities, and partners' own certificates, pinned as they are."""
    trust = tmp_path / "trust"
    others = [Party(f"CN=Root {name}", ca=True) for name in ("crt", "public")]
    pinned = Party("CN=Pinned", Party("CN=Unknown", ca=True), extra=CLIENT)
    door = Door(tmp_path)
    for folder, party, name in (
        (trust, others[0], "other.crt"),
        (trust / "public", others[1], "public.pem"),
        (trust / "partners", pinned, "pinned.pem"),
    ):
        folder.mkdir(exist_ok=True)
        written(folder / name, party)
    door.tls.reload()
    door.trust = Trust.load(trust)
    for root in others:
        assert door.client(VERSIONS[1], Party("CN=Caller", root, extra=CLIENT))() == ""
    assert door.client(VERSIONS[1], pinned)() == ""
    assert [a.subject.rfc4514_string() for a in door.trust.anchors] == [
        *("CN=Root crt", "CN=Root", "CN=Root public", "CN=Pinned")
    ]
    (trust / "broken.crt").write_text("-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n")
    with pytest.raises(Unusable, match=r"broken\.crt"):
        door.tls.reload()


@pytest.mark.parametrize("policy", ["off", "hold"])
def test_whom_a_pinned_partner_certified_does_not_connect(tmp_path: Path, policy: str) -> None:
    """openssl makes certificates with cA TRUE where nothing else is asked for."""
    door = Door(tmp_path)
    pinned = Party("CN=Partner A", ca=True, use=usage("digital_signature", "key_cert_sign"), extra=CLIENT)
    (tmp_path / "trust" / "partners").mkdir()
    written(tmp_path / "trust" / "partners" / "a.pem", pinned)
    door.tls.reload()
    door.trust = Trust.load(tmp_path / "trust")
    door.server.settings.trust.revocation = policy
    assert door.client(VERSIONS[1], pinned)() == ""
    other = Party("CN=Partner B", pinned, extra=CLIENT)
    assert door.client(VERSIONS[1], other, pinned)() == "SIG305: SIG024 CN=Partner A"
