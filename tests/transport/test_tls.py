"""TLS, judged by openssl and Python's ssl: versions, resumption, client certificates, keys, switch-over."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
from datetime import timedelta

import pytest

from gateway.security import subject_of
from gateway.transport import ClientTls, ServerTls
from gateway.transport.tls import Unusable

from .conftest import TOKEN, hear
from .office import now

CLOSING = b"GET /v1/mailbox HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
STATUS = b"GET /v1/mailbox HTTP/1.1\r\nHost: localhost\r\n\r\n"


def s_client(gateway, *args, text="Q\n"):
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{gateway.listener.port}", *args]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=20)


def test_tls_1_1_is_refused_and_1_2_and_1_3_are_not(gateway):
    old = s_client(gateway, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
    assert "Cipher is (NONE)" in old.stdout
    assert "Protocol  : TLSv1.2" in s_client(gateway, "-tls1_2").stdout
    assert "TLSv1.3" in s_client(gateway, "-tls1_3").stdout


def test_without_forward_secrecy_there_is_no_connection(gateway):
    assert (
        "Cipher is (NONE)" in s_client(gateway, "-tls1_2", "-cipher", "AES128-GCM-SHA256:AES256-SHA").stdout
    )
    assert "Cipher is (NONE)" in s_client(gateway, "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA").stdout
    assert "ECDHE-ECDSA-AES128-GCM" in s_client(gateway, "-tls1_2").stdout


def test_openssl_resumes_its_session(gateway):
    told = s_client(gateway, "-tls1_2", "-reconnect", text="").stdout
    assert told.count("Reused, TLSv1.2") == 5


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_resumed_session_is_still_the_same_partners(gateway, version):
    context = gateway.context("van")
    context.minimum_version = context.maximum_version = version
    port = gateway.listener.port

    def ask(session):
        import socket

        raw = socket.create_connection(("127.0.0.1", port), timeout=10)
        with context.wrap_socket(raw, server_hostname="localhost", session=session) as wire:
            wire.sendall(STATUS)
            heard = wire.recv(65_536)
            return heard, wire.session, wire.session_reused

    first, session, reused = ask(None)
    assert b"200 OK" in first
    assert not reused
    second, _, reused = ask(session)
    assert b"200 OK" in second
    assert reused
    assert [e["partner"] for e in gateway.lines.events] == ["VAN1", "VAN1"]


def test_a_certificate_of_another_authority_is_refused_in_the_handshake(gateway):
    assert gateway.say(STATUS, "stranger") == b""
    assert gateway.lines.events == []


def test_a_proven_certificate_of_nobody_is_unauthorised(gateway):
    assert gateway.say(CLOSING, "nobody").startswith(b"HTTP/1.1 401 ")


def test_a_certificate_for_servers_does_not_prove_a_client(gateway):
    assert gateway.say(STATUS, "server") == b""
    assert gateway.lines.events == []


def test_a_certificate_that_has_expired_since_the_handshake_ends_the_connection(open_gateway):
    gateway = open_gateway(clock=lambda: now() + timedelta(days=40))
    assert gateway.say(STATUS, "van") == b""
    assert gateway.lines.events == []


def test_a_certificate_that_expires_on_a_standing_connection_ends_it(open_gateway):
    later = [timedelta()]
    gateway = open_gateway(clock=lambda: now() + later[0])
    with gateway.connect("van") as wire:
        wire.sendall(STATUS)
        assert b"200 OK" in wire.recv(65_536)
        later[0] = timedelta(days=40)
        wire.sendall(STATUS)
        assert hear(wire) == b""


def test_a_key_that_others_may_read_is_refused(authority, tmp_path):
    folder = authority.folder
    key = tmp_path / "key.pem"
    shutil.copy(folder / "server.key.pem", key)
    os.chmod(key, 0o640)
    with pytest.raises(Unusable, match="0600"):
        ServerTls.of_files(key, folder / "server.pem", folder / "trust")
    os.chmod(key, 0o600)
    ServerTls.of_files(key, folder / "server.pem", folder / "trust")


def test_unusable_files_are_named(authority, tmp_path):
    folder = authority.folder
    (tmp_path / "none").mkdir()
    with pytest.raises(Unusable, match="no trust anchor"):
        ServerTls.of_files(folder / "server.key.pem", folder / "server.pem", tmp_path / "none")
    with pytest.raises(Unusable, match="not the key"):
        ServerTls.of_files(folder / "van.key.pem", folder / "server.pem", folder / "trust")
    with pytest.raises(Unusable, match=r"server\.key\.pem: no readable certificate"):
        ServerTls.of_files(folder / "server.key.pem", folder / "server.key.pem", folder / "trust")
    no_key = tmp_path / "no-key.pem"
    no_key.touch(0o600)
    with pytest.raises(Unusable, match="no readable private key"):
        ServerTls.of_files(no_key, folder / "server.pem", folder / "trust")
    with pytest.raises(Unusable, match="missing"):
        ClientTls(folder / "missing.pem")


def test_certificates_are_switched_over_without_an_outage(gateway, authority, tmp_path):
    folder = authority.folder
    authority.issue("renewed", "/CN=gateway-renewed", server=True)
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    shutil.copy(folder / "server.key.pem", key)
    shutil.copy(folder / "server.pem", certificate)
    gateway.tls._own.files = (key, certificate)

    def served():
        with gateway.connect() as wire:
            return dict(pair[0] for pair in wire.getpeercert()["subject"])["commonName"]

    with gateway.connect("van") as standing:
        gateway.loop(gateway.tls.reload)
        assert served() == "gateway"
        shutil.copy(folder / "renewed.key.pem", key)
        with pytest.raises(Unusable):
            gateway.loop(gateway.tls.reload)
        assert served() == "gateway"
        shutil.copy(folder / "renewed.pem", certificate)
        gateway.loop(gateway.tls.reload)
        assert served() == "gateway-renewed"
        standing.sendall(CLOSING)
        assert hear(standing).startswith(b"HTTP/1.1 200 ")


def test_a_client_that_may_not_trust_the_server_says_nothing(gateway, authority):
    from gateway.transport import Client, Unreachable

    tls = ClientTls(authority.folder / "strangers.pem")
    client = gateway.loop(Client, gateway.loop.reactor, gateway.base, tls, TOKEN)
    with pytest.raises(Unreachable, match="tls"):
        gateway.loop(client.mailbox)
    assert gateway.lines.events == []


def test_the_subject_is_the_one_that_signatures_are_known_by(gateway, authority):
    pem = (authority.folder / "van.pem").read_text()
    (owner,) = [p for p in gateway.office.register.partners.values() if p.id == "VAN1"]
    assert subject_of(ssl.PEM_cert_to_DER_cert(pem)) in owner.subjects
