"""The gateway's own keys, and the development authority that makes them."""

from __future__ import annotations

import os
import ssl
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.security import SigningKey
from gateway.security.certificates.authority import Authority
from gateway.security.keystore.keys import write_private

from .signing_kit import NOW, World, judge, run


def test_keys_are_loaded_and_never_shown(world: World) -> None:
    key = SigningKey.load(world.rsa.key_path, world.rsa.certificate_path)
    assert key.algorithm.name == "rsa-sha256"
    assert "PRIVATE" not in repr(key)
    assert "_private" not in repr(key)
    assert world.ec.key.algorithm.name == "ecdsa-sha256"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o777, 0o601])
def test_wide_modes_are_refused(world: World, tmp_path: Path, mode: int) -> None:
    copy = tmp_path / "key"
    copy.write_bytes(world.rsa.key_path.read_bytes())
    copy.chmod(mode)
    with pytest.raises(ValueError, match="wider than 0600"):
        SigningKey.load(copy, world.rsa.certificate_path)
    copy.chmod(0o400)
    SigningKey.load(copy, world.rsa.certificate_path)


def test_other_owners_are_refused(world: World, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    copy = tmp_path / "key"
    copy.write_bytes(world.rsa.key_path.read_bytes())
    copy.chmod(0o600)
    os.chown(copy, 12_345, -1)
    with pytest.raises(ValueError, match="belongs to user 12345"):
        SigningKey.load(copy, world.rsa.certificate_path)


def test_folders_and_pipes_are_no_keys(world: World, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="directory"):
        SigningKey.load(tmp_path, world.rsa.certificate_path)
    with pytest.raises(ValueError, match="not a regular file"):
        SigningKey.load(Path(os.devnull), world.rsa.certificate_path)


def test_a_certificate_of_another_key_is_refused(world: World) -> None:
    with pytest.raises(ValueError, match="not the certificate of"):
        SigningKey.load(world.rsa.key_path, world.ec.certificate_path)


def test_the_chain_may_follow_the_certificate(world: World, tmp_path: Path) -> None:
    both = tmp_path / "chain.pem"
    both.write_bytes(world.ec.certificate_path.read_bytes() + world.anchor.read_bytes())
    assert len(SigningKey.load(world.ec.key_path, both).der) == 2


def test_secrets_are_written_for_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    old = os.umask(0)
    try:
        write_private(path, b"one")
        write_private(path, b"two")
    finally:
        os.umask(old)
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_an_authority_is_made_once_and_loaded_again(tmp_path: Path) -> None:
    made = Authority.create(tmp_path / "ca", "Development")
    assert stat.S_IMODE((tmp_path / "ca" / "authority.key").stat().st_mode) == 0o600
    assert Authority.load(tmp_path / "ca").certificate == made.certificate
    with pytest.raises(FileExistsError):
        Authority.create(tmp_path / "ca", "Development")


def test_certificates_for_tls(tmp_path: Path, world: World) -> None:
    key, pem = tmp_path / "k", tmp_path / "c"
    certificate = world.authority.issue("CN=gateway", key, pem, 30, "p256", ("localhost", "127.0.0.1", "::1"))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert len(names.get_values_for_type(x509.IPAddress)) == 2
    purposes = set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    assert purposes == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert not usage.content_commitment
    ssl.create_default_context(cafile=str(world.anchor)).load_cert_chain(pem, key)
    client = world.authority.issue("CN=client", tmp_path / "k2", tmp_path / "c2", use="tls")
    assert list(client.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.CLIENT_AUTH
    ]


def test_validity_can_be_given(tmp_path: Path, world: World) -> None:
    start, end = NOW - timedelta(days=10), NOW - timedelta(days=1)
    made = world.authority.issue("CN=old", tmp_path / "k", tmp_path / "c", not_before=start, not_after=end)
    assert (made.not_valid_before_utc, made.not_valid_after_utc) == (start, end)


@pytest.mark.parametrize("purpose", ["smimesign", "sslserver"])
def test_openssl_accepts_what_the_authority_issues(tmp_path: Path, world: World, purpose: str) -> None:
    tool = judge("openssl")
    names = ("localhost",) if purpose == "sslserver" else ()
    world.authority.issue("CN=x", tmp_path / "k", tmp_path / "c", server_names=names)
    done = run(tool, "verify", "-x509_strict", "-purpose", purpose, "-CAfile", world.anchor, tmp_path / "c")
    assert done.returncode == 0, done.stderr
