"""Registered certificates at both ends of TLS: who connects to us, and to whom we push."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from gateway.model import Credential, Partner, Register, Use
from gateway.transport import PushFailed
from gateway.transport.authentication import unproven
from gateway.transport.call import Head

from .test_push import message, partner, push, receiver

__all__ = ["push", "receiver"]  # fixtures

STATUS = b"GET /v1/mailbox HTTP/1.1\r\nHost: x\r\n\r\n"
DAY = timedelta(days=1)


def fingerprint(authority, name: str) -> str:
    pem = (authority.folder / f"{name}.pem").read_bytes()
    return x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256()).hex()


def now() -> datetime:
    return datetime.now(UTC)


# -- who connects ------------------------------------------------------------------------------------------


def registered(gateway, *credentials: Credential) -> None:
    """VAN1 has these certificates; its subject, that of ``van``, stays registered."""
    known = [
        msgspec.structs.replace(p, credentials=credentials) if p.id == "VAN1" else p
        for p in gateway.office.register.partners.values()
    ]
    gateway.office.register = Register(known, [])


def status_of(gateway, name: str) -> bytes:
    with gateway.connect(name) as wire:
        wire.sendall(STATUS)
        return wire.recv(65_536)[9:12]


def test_with_registered_certificates_only_these_connect(gateway, authority):
    assert status_of(gateway, "van") == b"200"
    registered(gateway, Credential("ab" * 32, (Use.TLS,)))
    assert status_of(gateway, "van") == b"401"
    registered(
        gateway, Credential("ab" * 32, (Use.TLS,)), Credential(fingerprint(authority, "van"), (Use.TLS,))
    )
    assert status_of(gateway, "van") == b"200"
    registered(gateway, Credential("ab" * 32, (Use.SIGN,)))
    assert status_of(gateway, "van") == b"200"


def test_a_renewed_certificate_connects_beside_the_old_one(gateway, authority):
    """Roll-over: both at once, whatever the new one's subject."""
    both = (Credential(fingerprint(authority, "van")), Credential(fingerprint(authority, "nobody")))
    registered(gateway, *both)
    assert [status_of(gateway, name) for name in ("van", "nobody")] == [b"200", b"200"]


def test_a_window_that_ends_ends_on_a_standing_connection(gateway, authority):
    mine = Credential(fingerprint(authority, "van"), active_to=now() + DAY)
    registered(gateway, mine)
    with gateway.connect("van") as wire:
        wire.sendall(STATUS)
        assert b" 200 " in wire.recv(65_536)
        registered(gateway, msgspec.structs.replace(mine, active_to=now()))
        wire.sendall(STATUS)
        assert b" 401 " in wire.recv(65_536)


def test_the_operator_learns_which_certificate_was_expected(gateway, authority):
    """The caller learns nothing: failures of authentication look alike."""
    expected = "cd" * 32
    registered(gateway, Credential(expected, (Use.TLS,), expires_at=now() + DAY))
    assert status_of(gateway, "van") == b"401"
    subject = gateway.office.register.partners["VAN1"].subjects[0]
    head = Head("GET", "/", {}, subject=subject, fingerprint=fingerprint(authority, "van"))
    why = unproven(head, gateway.office.register, now())
    assert why.startswith("PAR103: expected " + expected[:16])
    assert fingerprint(authority, "van")[:16] in why
    assert unproven(Head("GET", "/", {}), gateway.office.register, now()) == ""


# -- to whom we push ---------------------------------------------------------------------------------------


def pinned(url: str, *credentials: Credential) -> Partner:
    return msgspec.structs.replace(partner(url), credentials=credentials)


def pin(name: str, authority, **more) -> Credential:
    return Credential(fingerprint(authority, name), (Use.PUSH,), **more)


@pytest.fixture
def other(authority):
    return authority.issue("server-renewed", "/CN=gateway-renewed", server=True).name


def test_a_receiver_with_a_registered_certificate_is_pushed_to(loop, push, receiver, authority, other):
    old, new = receiver(), receiver(name=other)
    both = (pin("server", authority), pin(other, authority))
    for server in (old, new):
        loop(push.send, message(), pinned(server.url, *both))
        assert len(server.got) == 1


def test_another_certificate_of_the_right_name_and_authority_gets_nothing(
    loop, push, receiver, authority, other
):
    """A receiver impersonated with a mis-issued certificate."""
    server = receiver(name=other)
    with pytest.raises(PushFailed) as told:
        loop(push.send, message(), pinned(server.url, pin("server", authority)))
    assert (told.value.finding.code, told.value.retry) == ("API603", True)
    assert fingerprint(authority, "server")[:16] in told.value.finding.found
    assert server.got == []
    loop(push.send, message(), partner(server.url))  # without a pin the name is enough


def test_connections_of_others_are_not_used_for_who_pins(loop, push, receiver, authority):
    server = receiver()
    loop(push.send, message(), partner(server.url))
    with pytest.raises(PushFailed):
        loop(push.send, message(), pinned(server.url, Credential("ab" * 32, (Use.PUSH,))))
    assert len(server.got) == 1


@pytest.mark.parametrize(
    "window",
    [{"active_to": datetime(2026, 1, 1, tzinfo=UTC)}, {"active_from": datetime(2099, 1, 1, tzinfo=UTC)}],
)
def test_a_pin_out_of_its_window_is_none_and_nothing_is_sent(loop, push, receiver, authority, window):
    server = receiver()
    with pytest.raises(PushFailed) as told:
        loop(push.send, message(), pinned(server.url, pin("server", authority, **window)))
    assert "no certificate is active" in told.value.finding.found
    assert server.got == []


def test_certificates_for_other_uses_pin_nothing(loop, push, receiver):
    server = receiver()
    loop(push.send, message(), pinned(server.url, Credential("ab" * 32, (Use.TLS, Use.SIGN))))
    assert len(server.got) == 1


def test_a_pin_does_not_replace_the_authority(loop, push, receiver, authority):
    strange = authority.issue("strange-server", "/CN=x", server=True, issuer="strangers").name
    server = receiver(name=strange)
    with pytest.raises(PushFailed):
        loop(push.send, message(), pinned(server.url, pin(strange, authority)))
    assert server.got == []


def test_the_fingerprint_is_of_what_was_presented(authority):
    der = ssl.PEM_cert_to_DER_cert((authority.folder / "van.pem").read_text())
    digest = hashes.Hash(hashes.SHA256())
    digest.update(der)
    assert digest.finalize().hex() == fingerprint(authority, "van")
