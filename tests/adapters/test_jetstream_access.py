"""How the gateway and the broker prove themselves to each other: by files, over TLS, and not otherwise."""

from __future__ import annotations

import logging
import socket
import threading
from pathlib import Path

import pytest

from adapters.jetstream import Access, AccessBroken, JetStream, Wanted
from gateway.adapter import BackendUnavailable, Publication
from gateway.security.certificates.authority import Authority
from tests.broker import broker

SECRET = "a-secret-that-no-log-has"
ONE = [Publication("a", "cvan.decision.red", {}, b"{}")]


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "credentials"
    path.write_text(f"gateway\n{SECRET}\n", "utf-8")
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates of the broker, of the gateway, and of an authority that nobody trusts."""
    folder = tmp_path_factory.mktemp("papers")
    for name in ("own", "strange"):
        own = Authority.create(folder / name, f"CN={name}")
        for use in ("server", "client"):
            key, certificate = folder / f"{name}.{use}.key.pem", folder / f"{name}.{use}.crt.pem"
            names = ("127.0.0.1", "localhost") if use == "server" else ()
            own.issue(f"CN={use}", key, certificate, algorithm="p256", use="tls", server_names=names)
        (folder / f"{name}.pem").write_bytes(own.certificate_path.read_bytes())
    return folder


def published(access: Access) -> None:
    made = JetStream(access, Wanted(create=True))
    try:
        made.publish(ONE)
    finally:
        made.close()


def test_a_user_and_its_password_come_from_a_file(secret: Path, caplog: pytest.LogCaptureFixture) -> None:
    users = f'authorization {{ users: [{{ user: gateway, password: "{SECRET}" }}] }}\n'
    with broker(users, user="gateway", password=SECRET) as server, caplog.at_level(logging.DEBUG):
        published(Access((server.url,), credentials=secret))
        assert server.ids() == ["a"]
        with pytest.raises(BackendUnavailable, match=r"(?i)authorization"):
            published(Access((server.url,)))
        assert SECRET not in server.log()
    assert SECRET not in caplog.text


def test_a_token_comes_from_a_file(secret: Path) -> None:
    secret.write_text(SECRET, "utf-8")
    with broker(f'authorization {{ token: "{SECRET}" }}\n', token=SECRET) as server:
        published(Access((server.url,), credentials=secret))
        assert server.ids() == ["a"]


def test_a_subject_that_is_not_permitted_is_told(secret: Path) -> None:
    allowed = 'permissions: { publish: { allow: ["$JS.API.>"] }, subscribe: "_INBOX.>" }'
    users = f'authorization {{ users: [{{ user: gateway, password: "{SECRET}", {allowed} }}] }}\n'
    with (
        broker(users, user="gateway", password=SECRET) as server,
        pytest.raises(BackendUnavailable, match=r"(?i)permissions violation.*cvan.decision.red"),
    ):
        published(Access((server.url,), credentials=secret))


def test_tls_with_certificates_on_both_sides(papers: Path) -> None:
    tls = (
        f"tls {{ cert_file: {papers}/own.server.crt.pem, key_file: {papers}/own.server.key.pem, "
        f"ca_file: {papers}/own.pem, verify: true }}\n"
    )
    with broker(tls) as server:
        url = server.url.replace("nats://", "tls://")
        own = {"certificate": papers / "own.client.crt.pem", "key": papers / "own.client.key.pem"}
        published(Access((url,), papers / "own.pem", **own))
        with pytest.raises(BackendUnavailable):  # nobody vouches for the server
            published(Access((url,), papers / "strange.pem", **own))
        with pytest.raises(BackendUnavailable):  # the server does not know us
            published(Access((url,), papers / "own.pem"))
        with pytest.raises(BackendUnavailable):  # plain, to a server that wants TLS
            published(Access((server.url,), **own))


def test_no_credential_is_said_in_plain_where_tls_was_asked_for(secret: Path) -> None:
    """A server, or who is in between, that says it speaks no TLS hears nothing more."""
    heard: list[bytes] = []
    door = socket.create_server(("127.0.0.1", 0))

    def listen() -> None:
        connection, _ = door.accept()
        connection.settimeout(3)
        info = b'INFO {"server_id":"x","version":"2.9.10","max_payload":1048576,"auth_required":true}\r\n'
        connection.sendall(info)
        try:
            while octets := connection.recv(4096):
                heard.append(octets)
        except TimeoutError:
            pass
        connection.close()

    listener = threading.Thread(target=listen)
    listener.start()
    url = f"tls://127.0.0.1:{door.getsockname()[1]}"
    with pytest.raises(BackendUnavailable, match="does not speak TLS"):
        published(Access((url,), credentials=secret))
    listener.join()
    door.close()
    assert heard == []


@pytest.mark.parametrize(
    ("server", "told"),
    [
        ("nats://user:word@127.0.0.1:4222", "from a file"),
        ("tls://token@broker.example:4222", "from a file"),
        ("nats://broker.example:4222", "only tls://"),
        ("nats://10.0.0.1:4222", "only tls://"),
        ("tls://broker.example", "HOST:PORT"),
        ("http://broker.example:4222", "HOST:PORT"),
        ("tls://broker.example:4222/path", "HOST:PORT"),
        ("tls://broker.example:99999", "cannot be read"),
        ("", "HOST:PORT"),
    ],
)
def test_an_address_that_cannot_be_used(server: str, told: str) -> None:
    with pytest.raises(AccessBroken, match=told) as refused:
        JetStream(Access((server,)), Wanted())
    assert "word" not in str(refused.value)
    assert "token" not in str(refused.value).partition("credentials")[0]


def test_a_file_that_cannot_be_used(secret: Path, papers: Path, tmp_path: Path) -> None:
    def refused(told: str, **files: Path) -> None:
        with pytest.raises(AccessBroken, match=told) as broken:
            JetStream(Access(("tls://broker.example:4222",), **files), Wanted())  # type: ignore[arg-type]
        assert SECRET not in str(broken.value)

    refused("No such file", credentials=tmp_path / "nowhere")
    refused("TLS to the broker", trust=tmp_path / "nowhere")
    refused("come together", certificate=papers / "own.client.crt.pem")
    secret.chmod(0o640)
    refused("others may read it", credentials=secret)
    secret.chmod(0o600)
    for text in ("", "one\ntwo\nthree\n", "\n\n"):
        secret.write_text(text, "utf-8")
        refused("neither", credentials=secret)
    secret.write_bytes(b"\xff\xfe")
    refused("no text", credentials=secret)
    open_key = tmp_path / "key.pem"
    open_key.write_bytes((papers / "own.client.key.pem").read_bytes())
    open_key.chmod(0o644)
    refused("others may read it", certificate=papers / "own.client.crt.pem", key=open_key)
