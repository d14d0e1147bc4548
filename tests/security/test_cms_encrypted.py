"""Encrypted messages: opened with our key, signed inside, and refused in one way whatever was wrong."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import pytest
from asn1crypto import cms as asn1_cms
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.security import Policy, Refused, Trust, Verified, encrypt_cms, sign_cms, sign_xml, verify
from gateway.security.cms.ciphers import KeyWrapping
from gateway.security.cms.decrypters import HeldKey
from gateway.security.policy import CIPHERS, KEY_WRAPPINGS, OLDER_CIPHERS, OLDER_KEY_WRAPPINGS

from .cms_kit import ATTACHED, DETACHED, attached
from .signing_kit import DECLARATION, EDIFACT, FAST, NOW, World, judge, run

SEALED = "application/pkcs7-mime; smime-type=authEnveloped-data"
ENVELOPED = "application/pkcs7-mime; smime-type=enveloped-data"
OLDER = Policy(ciphers=CIPHERS | OLDER_CIPHERS)
OLDEST = Policy(ciphers=CIPHERS | OLDER_CIPHERS, key_wrappings=KEY_WRAPPINGS | OLDER_KEY_WRAPPINGS)


@dataclass
class Counting:
    """A key that counts what it is asked."""

    key: HeldKey
    asked: list[KeyWrapping] = field(default_factory=list)

    @property
    def certificates(self) -> tuple[x509.Certificate, ...]:
        return self.key.certificates

    def unwrap(self, wrapped: bytes, wrapping: KeyWrapping) -> bytes:
        self.asked.append(wrapping)
        return self.key.unwrap(wrapped, wrapping)


@dataclass(frozen=True)
class Reader:
    """One who can read what is encrypted to it."""

    key: HeldKey
    key_path: Path
    certificate_path: Path

    @property
    def certificate(self) -> x509.Certificate:
        return self.key.certificates[0]


def reader(world: World, folder: Path, private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> Reader:
    certificate = world.authority.certify(private.public_key(), "CN=gateway", use="decrypt")
    key, path = folder / "reader.key", folder / "reader.pem"
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.write_bytes(certificate.public_bytes(Encoding.PEM))
    return Reader(HeldKey((certificate,), private), key, path)


@pytest.fixture(scope="module")
def ours(world: World, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    return reader(world, tmp_path_factory.mktemp("rsa"), rsa.generate_private_key(65537, 2048))


@pytest.fixture(scope="module")
def curved(world: World, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    return reader(world, tmp_path_factory.mktemp("ec"), ec.generate_private_key(ec.SECP256R1()))


def signed_entity(world: World, envelope: str = DETACHED, content: bytes = EDIFACT) -> bytes:
    media_type, body = sign_cms(content, "application/edifact", world.rsa.key, envelope, NOW)
    if envelope == ATTACHED:
        body = base64.encodebytes(body)
        return f"Content-Type: {media_type}\r\nContent-Transfer-Encoding: base64\r\n\r\n".encode() + body
    return f"Content-Type: {media_type}\r\n\r\n".encode() + body


def open_(
    body: bytes, trust: Trust, key: object, policy: Policy = FAST, media_type: str = SEALED
) -> Verified:
    return verify(body, media_type, trust, policy, NOW, (key,))  # type: ignore[arg-type]


def code(body: bytes, trust: Trust, key: object, policy: Policy = FAST, media_type: str = SEALED) -> str:
    with pytest.raises(Refused) as caught:
        open_(body, trust, key, policy, media_type)
    return caught.value.code


@pytest.mark.parametrize("envelope", [ATTACHED, DETACHED])
@pytest.mark.parametrize("who", ["ours", "curved"])
def test_signed_then_encrypted(
    world: World, trust: Trust, request: pytest.FixtureRequest, envelope: str, who: str
) -> None:
    mine: Reader = request.getfixturevalue(who)
    media_type, body = encrypt_cms(signed_entity(world, envelope), [mine.certificate])
    found = open_(body, trust, mine.key, media_type=media_type)
    assert found.content == EDIFACT
    assert found.signer.fingerprint == world.rsa.key.signer.fingerprint
    assert found.envelope == envelope
    assert open_(base64.encodebytes(body), trust, mine.key).content == EDIFACT


def test_several_recipients(world: World, trust: Trust, ours: Reader, curved: Reader) -> None:
    _, body = encrypt_cms(signed_entity(world), [curved.certificate, ours.certificate])
    for mine in (ours, curved):
        assert open_(body, trust, mine.key).content == EDIFACT


def test_signed_xml_in_an_encrypted_message(world: World, trust: Trust, ours: Reader) -> None:
    from gateway.safexml import parse

    document = sign_xml(parse(DECLARATION), world.ec.key, NOW)
    _, body = encrypt_cms(b"Content-Type: application/xml\r\n\r\n" + document, [ours.certificate])
    assert open_(body, trust, ours.key).document is not None


OPENSSL_RSA = ("-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256")


@pytest.mark.parametrize("cipher", ["-aes-128-gcm", "-aes-256-gcm", "-aes-256-cbc", "-aes-128-cbc"])
@pytest.mark.parametrize("stream", [(), ("-stream",)])
@pytest.mark.parametrize("who", ["ours", "curved"])
def test_openssl_encrypts_and_we_read(
    world: World,
    trust: Trust,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    cipher: str,
    stream: tuple[str, ...],
    who: str,
) -> None:
    mine: Reader = request.getfixturevalue(who)
    (tmp_path / "in").write_bytes(signed_entity(world))
    options = OPENSSL_RSA if who == "ours" else ("-keyopt", "ecdh_kdf_md:sha256", "-aes256-wrap")
    made = run(
        judge("openssl"), "cms", "-encrypt", "-binary", cipher, "-in", tmp_path / "in", "-outform", "DER",
        *stream, "-recip", mine.certificate_path, *options,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    sealed = cipher.endswith("gcm")
    media_type = SEALED if sealed else ENVELOPED
    assert open_(made.stdout, trust, mine.key, OLDER, media_type).content == EDIFACT
    if not sealed:
        assert code(made.stdout, trust, mine.key, media_type=media_type) == "SIG232"


@pytest.mark.parametrize("who", ["ours", "curved"])
def test_openssl_reads_what_we_encrypt(
    world: World, request: pytest.FixtureRequest, tmp_path: Path, who: str
) -> None:
    mine: Reader = request.getfixturevalue(who)
    entity = signed_entity(world)
    (tmp_path / "in").write_bytes(encrypt_cms(entity, [mine.certificate])[1])
    keys = ("-recip", mine.certificate_path, "-inkey", mine.key_path)
    done = run(
        judge("openssl"), "cms", "-decrypt", "-binary", "-inform", "DER", "-in", tmp_path / "in", *keys
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == entity


def test_rsa_pkcs1_and_plain_oaep_only_by_name(
    world: World, trust: Trust, ours: Reader, tmp_path: Path
) -> None:
    (tmp_path / "in").write_bytes(signed_entity(world))
    command = (judge("openssl"), "cms", "-encrypt", "-binary", "-aes-256-gcm", "-in", tmp_path / "in")
    out = ("-outform", "DER", "-recip", ours.certificate_path)
    old = run(*command, *out).stdout
    assert code(old, trust, ours.key) == "SIG232"
    assert open_(old, trust, ours.key, OLDEST).content == EDIFACT
    plain = run(*command, *out, "-keyopt", "rsa_padding_mode:oaep").stdout
    assert open_(plain, trust, ours.key).content == EDIFACT


@pytest.mark.parametrize("cipher", ["-des3", "-rc2"])
def test_triple_des_never(world: World, trust: Trust, ours: Reader, tmp_path: Path, cipher: str) -> None:
    (tmp_path / "in").write_bytes(signed_entity(world))
    provider = ("-provider", "legacy", "-provider", "default")
    command = (judge("openssl"), "cms", "-encrypt", "-binary", cipher, "-in", tmp_path / "in", *provider)
    body = run(*command, "-outform", "DER", "-recip", ours.certificate_path, *OPENSSL_RSA).stdout
    assert body
    assert code(body, trust, ours.key, OLDEST, ENVELOPED) == "SIG232"


def test_encrypted_to_somebody_else(world: World, trust: Trust, ours: Reader, curved: Reader) -> None:
    _, body = encrypt_cms(signed_entity(world), [ours.certificate])
    assert code(body, trust, curved.key) == "SIG231"
    with pytest.raises(Refused) as caught:
        verify(body, SEALED, trust, FAST, NOW)
    assert caught.value.code == "SIG231"


# Attacks.


def test_encrypted_only(world: World, trust: Trust, ours: Reader) -> None:
    for entity in (EDIFACT, b"Content-Type: application/edifact\r\n\r\n" + EDIFACT):
        _, body = encrypt_cms(entity, [ours.certificate])
        assert code(body, trust, ours.key) in ("SIG233", "SIG050")


def test_encrypted_by_a_stranger(world: World, trust: Trust, ours: Reader) -> None:
    media_type, inside = sign_cms(EDIFACT, "application/edifact", world.attacker.key, DETACHED, NOW)
    _, body = encrypt_cms(f"Content-Type: {media_type}\r\n\r\n".encode() + inside, [ours.certificate])
    assert code(body, trust, ours.key) == "SIG024"


def test_layers_are_bounded(world: World, trust: Trust, ours: Reader) -> None:
    entity = signed_entity(world)
    for _ in range(3):
        media_type, body = encrypt_cms(entity, [ours.certificate])
        entity = f"Content-Type: {media_type}\r\nContent-Transfer-Encoding: binary\r\n\r\n".encode() + body
    assert code(body, trust, ours.key) == "SIG234"


def test_signed_encrypted_signed(world: World, trust: Trust, ours: Reader) -> None:
    """RFC 2634's triple wrapping: the inner signature is the signer's, the outer the carrier's."""
    media_type, body = encrypt_cms(signed_entity(world), [ours.certificate])
    outer_type, outer = sign_cms(body, media_type, world.ec.key, DETACHED, NOW)
    found = open_(outer, trust, ours.key, media_type=outer_type)
    assert found.signer.fingerprint == world.rsa.key.signer.fingerprint
    assert found.carrier is not None
    assert found.carrier.fingerprint == world.ec.key.signer.fingerprint


def cbc(world: World, folder: Path, mine: Reader, entity: bytes) -> bytes:
    (folder / "in").write_bytes(entity)
    made = run(
        judge("openssl"), "cms", "-encrypt", "-binary", "-aes-128-cbc", "-in", folder / "in",
        "-outform", "DER", "-recip", mine.certificate_path, *OPENSSL_RSA,
    )  # fmt: skip
    return made.stdout


def faulty(body: bytes) -> dict[str, bytes]:
    """A message with each thing wrong that our key's use could show."""
    faults = {}
    for name in ("wrapped key", "first block", "last block", "shortened"):
        info = asn1_cms.ContentInfo.load(body)
        part = info["content"]["encrypted_content_info"]
        content = bytearray(part["encrypted_content"].native)
        if name == "wrapped key":
            entry = info["content"]["recipient_infos"][0].chosen
            entry["encrypted_key"] = entry["encrypted_key"].native[:-1] + b"\x01"
        elif name == "first block":
            content[0] ^= 1
        elif name == "last block":
            content[-17] ^= 1
        else:
            content = content[:-16]
        part["encrypted_content"] = bytes(content)
        faults[name] = bytes(info.dump(force=True))
    return faults


def test_cbc_padding_oracle(world: World, trust: Trust, ours: Reader, tmp_path: Path) -> None:
    """EFAIL, Vaudenay and Bleichenbacher live on differences: whatever is wrong, the refusal is the same,
    and our key was asked exactly once."""
    bodies = faulty(cbc(world, tmp_path, ours, signed_entity(world)))
    bodies["unsigned"] = cbc(world, tmp_path, ours, EDIFACT)
    bodies["changed inside"] = cbc(
        world, tmp_path, ours, signed_entity(world).replace(b"REF0001", b"REF0002")
    )
    told = set()
    for body in bodies.values():
        counting = Counting(ours.key)
        with pytest.raises(Refused) as caught:
            open_(body, trust, counting, OLDEST, ENVELOPED)
        told.add((caught.value.findings, len(counting.asked)))
    assert len(told) == 1
    assert next(iter(told))[0][0].code == "SIG230"


class Failing(Trust):
    """A defect of ours, wherever it is."""

    def prove(self, *arguments: object, **named: object) -> NoReturn:  # type: ignore[override]
        raise ZeroDivisionError


def test_cbc_padding_oracle_of_our_own_faults(world: World, ours: Reader, tmp_path: Path) -> None:
    """What escapes as something else than a refusal tells what stood inside just as well."""
    broken = Failing([world.authority.certificate])
    body = cbc(world, tmp_path, ours, signed_entity(world))
    assert code(body, broken, ours.key, OLDEST, ENVELOPED) == "SIG230"
    media_type, sealed = encrypt_cms(signed_entity(world), [ours.certificate])
    with pytest.raises(ZeroDivisionError):
        open_(sealed, broken, ours.key, media_type=media_type)


def test_bleichenbacher_on_pkcs1(world: World, trust: Trust, ours: Reader, tmp_path: Path) -> None:
    """Wrong paddings and right ones cost the same and say the same."""
    (tmp_path / "in").write_bytes(signed_entity(world))
    command = (judge("openssl"), "cms", "-encrypt", "-binary", "-aes-128-cbc", "-in", tmp_path / "in")
    body = run(*command, "-outform", "DER", "-recip", ours.certificate_path).stdout
    public = ours.certificate.public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

    wrapped = [public.encrypt(bytes(size), PKCS1v15()) for size in (0, 1, 16, 24, 100)]
    wrapped.append(b"\x01" * 256)
    told = set()
    for key in wrapped:
        info = asn1_cms.ContentInfo.load(body)
        info["content"]["recipient_infos"][0].chosen["encrypted_key"] = key
        with pytest.raises(Refused) as caught:
            open_(bytes(info.dump(force=True)), trust, ours.key, OLDEST, ENVELOPED)
        told.add(caught.value.findings)
    assert {f[0].code for f in told} == {"SIG230"}
    assert len(told) == 1


def test_a_wrong_key_takes_as_long_as_a_wrong_tag(world: World, trust: Trust, ours: Reader) -> None:
    """The content is decrypted in full with a key of no meaning rather than not at all."""
    _, body = encrypt_cms(signed_entity(world, content=b"UNB+" + bytes(8_000_000)), [ours.certificate])

    def taken(body: bytes) -> float:
        start = time.process_time()
        assert code(body, trust, ours.key) == "SIG230"
        return time.process_time() - start

    info = asn1_cms.ContentInfo.load(body)
    entry = info["content"]["recipient_infos"][0].chosen
    entry["encrypted_key"] = entry["encrypted_key"].native[:-1] + b"\x01"
    wrong_key = bytes(info.dump(force=True))
    wrong_tag = body[:-1] + bytes((body[-1] ^ 1,))
    pairs = [(taken(wrong_key), taken(wrong_tag)) for _ in range(9)]  # by turns: a slow moment slows both
    assert 0.5 < min(key for key, _ in pairs) / min(tag for _, tag in pairs) < 2


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 100_000), octet=st.integers(0, 255))
def test_no_changed_octet_changes_what_is_read(
    world: World, trust: Trust, ours: Reader, at: int, octet: int
) -> None:
    _, body = encrypt_cms(signed_entity(world), [ours.certificate])
    at %= len(body)
    changed = body[:at] + bytes((octet,)) + body[at + 1 :]
    try:
        found = open_(changed, trust, ours.key)
    except Refused:
        return
    assert found.content == EDIFACT


@given(cut=st.integers(0, 3_000))
def test_cut_messages_are_refused(world: World, trust: Trust, ours: Reader, cut: int) -> None:
    _, body = encrypt_cms(signed_entity(world), [ours.certificate])
    assert code(body[: min(cut, len(body) - 1)], trust, ours.key) in ("SIG040", "SIG055")


def test_compressed_data_is_refused_with_advice(world: World, trust: Trust, tmp_path: Path) -> None:
    """RFC 3274 is not read, so that there is nothing to blow up."""
    import zlib

    from gateway.security.cms.ber import enclose

    packed = zlib.compress(bytes(10_000_000))
    inner = enclose(
        b"\x30", bytes.fromhex("06092a864886f70d010701") + enclose(b"\xa0", enclose(b"\x04", packed))
    )
    algorithm = enclose(b"\x30", bytes.fromhex("060b2a864886f70d0109100308"))
    data = enclose(b"\x30", b"\x02\x01\x00" + algorithm + inner)
    body = enclose(b"\x30", bytes.fromhex("060b2a864886f70d0109100109") + enclose(b"\xa0", data))
    for media_type in ("application/pkcs7-mime; smime-type=compressed-data", "application/pkcs7-mime"):
        with pytest.raises(Refused) as caught:
            verify(body, media_type, trust, FAST, NOW)
        assert caught.value.code == "SIG235"


def test_smime_type_says_what_is_inside(world: World, trust: Trust, ours: Reader) -> None:
    _, body = encrypt_cms(signed_entity(world), [ours.certificate])
    assert (
        code(body, trust, ours.key, media_type="application/pkcs7-mime; smime-type=signed-data") == "SIG041"
    )
    assert open_(body, trust, ours.key, media_type="application/pkcs7-mime").content == EDIFACT
    with pytest.raises(Refused) as caught:
        verify(attached(world), SEALED, trust, FAST, NOW)
    assert caught.value.code == "SIG041"


def test_nobody_to_encrypt_to(world: World) -> None:
    with pytest.raises(ValueError, match="nobody"):
        encrypt_cms(EDIFACT, [])


def test_an_encrypted_interchange_is_inspected_like_any_other(tmp_path: Path, ours: Reader) -> None:
    """The keystore's keys reach the journey; what is encrypted to none of them is refused before it is read."""
    from gateway import inbound
    from gateway.security import DecryptionKey
    from tests.operations.knowledge import CARRIER, manifest
    from tests.operations.knowledge import NOW as THEN
    from tests.operations.knowledge import World as Home

    home = Home(tmp_path)
    media_type, body = home.sealed(manifest("M-SECRET"), envelope=DETACHED)
    sealed_type, sealed = encrypt_cms(
        f"Content-Type: {media_type}\r\n\r\n".encode() + body, [ours.certificate]
    )
    submission = home.submission(sealed, sealed_type, CARRIER)
    with pytest.raises(Refused) as caught:
        inbound.inspect(submission, home.handbook, THEN)
    assert caught.value.code == "SIG231"
    private = ours.key._private
    assert isinstance(private, rsa.RSAPrivateKey)
    knowing = home.handbook.with_decrypters([DecryptionKey((ours.certificate,), private)])
    inspected = inbound.inspect(submission, knowing, THEN)
    assert inspected.verdict.reference == "M-SECRET"
    assert inspected.verdict.partner == CARRIER.id


def test_the_commands_of_the_guide(world: World, trust: Trust, ours: Reader, tmp_path: Path) -> None:
    """docs/signatures.md: sign, then encrypt, with OpenSSL alone."""
    tool = judge("openssl")
    (tmp_path / "manifest.mime").write_bytes(b"Content-Type: application/edifact\r\n\r\n" + EDIFACT)
    made = run(
        tool, "cms", "-sign", "-binary", "-cades", "-md", "sha256", "-signer", world.rsa.certificate_path,
        "-inkey", world.rsa.key_path, "-in", tmp_path / "manifest.mime", "-out", tmp_path / "signed.eml",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    made = run(
        tool, "cms", "-encrypt", "-binary", "-aes-256-gcm", "-in", tmp_path / "signed.eml", "-outform", "DER",
        "-out", tmp_path / "sealed.p7m", "-recip", ours.certificate_path, *OPENSSL_RSA,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    found = open_((tmp_path / "sealed.p7m").read_bytes(), trust, ours.key)
    assert found.content == EDIFACT
    assert found.signer.level == "B"
