"""Our CMS read by other implementations, and theirs by us: OpenSSL's CAdES and S/MIME, pyHanko, cryptography."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
from asn1crypto import cms as asn1_cms
from asn1crypto import keys as asn1_keys
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs7

from gateway.security import Trust, sign_cms, verify
from gateway.security.cms.signing import signed_data
from gateway.security.cms.verifying import verify_cms

from .cms_kit import ATTACHED, DETACHED, party_with
from .signing_kit import EDIFACT, FAST, NOW, PKCS7, Party, World, judge, run, verified
from .tsa import TimeStampAuthority

pyhanko = pytest.importorskip("pyhanko.sign")

T = TypeVar("T")
LINES = EDIFACT.replace(b"'", b"'\r\n")


def waited(call: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(call)


def hanko_of(party: Party) -> Any:
    from pyhanko.sign.signers import SimpleSigner
    from pyhanko_certvalidator.registry import SimpleCertificateStore

    own = asn1_x509.Certificate.load(party.der)
    private = party.key._private
    pem = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return SimpleSigner(
        signing_cert=own,
        signing_key=asn1_keys.PrivateKeyInfo.load(pem),
        cert_registry=SimpleCertificateStore(),
    )


KEYS = [
    ("h-rsa", rsa.generate_private_key(65537, 2048)),
    ("h-p256", ec.generate_private_key(ec.SECP256R1())),
    ("h-p384", ec.generate_private_key(ec.SECP384R1())),
    ("h-ed25519", ed25519.Ed25519PrivateKey.generate()),
]


@pytest.fixture(scope="module", params=KEYS, ids=[name for name, _ in KEYS])
def party(request: pytest.FixtureRequest, world: World, tmp_path_factory: pytest.TempPathFactory) -> Party:
    name, private = request.param
    return party_with(world, name, private, tmp_path_factory.mktemp(name))


@pytest.mark.parametrize("attached", [True, False])
@pytest.mark.parametrize("cades", [True, False])
def test_pyhanko_signs_and_we_read(party: Party, trust: Trust, attached: bool, cades: bool) -> None:
    from pyhanko.sign.signers.pdf_cms import PdfCMSSignedAttributes

    made = waited(
        hanko_of(party).async_sign_general_data(
            EDIFACT,
            digest_algorithm=party.key.algorithm.digest,
            detached=not attached,
            use_cades=cades,
            signed_attr_settings=PdfCMSSignedAttributes(signing_time=datetime.now(UTC)),
        )
    )
    found = verify_cms(made.dump(), None if attached else (EDIFACT,), trust, FAST, NOW)
    assert found.content == EDIFACT
    assert found.signer.fingerprint == party.key.signer.fingerprint
    assert found.signer.level == "B"


@pytest.mark.parametrize("envelope", [ATTACHED, DETACHED])
def test_pyhanko_reads_what_we_sign(party: Party, world: World, envelope: str) -> None:
    from pyhanko.sign.validation.generic_cms import async_validate_cms_signature, async_validate_detached_cms
    from pyhanko_certvalidator import ValidationContext

    at = datetime.now(UTC)
    anchor = asn1_x509.Certificate.load(world.authority.certificate.public_bytes(Encoding.DER))
    context = ValidationContext(trust_roots=[anchor], allow_fetching=False)
    media_type, body = sign_cms(EDIFACT, "application/edifact", party.key, envelope, at)
    if envelope == ATTACHED:
        signed = asn1_cms.ContentInfo.load(body)["content"]
        status = waited(async_validate_cms_signature(signed, validation_context=context))
    else:
        from gateway.security.mime import MimeLimits, body_of, read_entity, split_signed

        parts = split_signed(body, media_type.partition('boundary="')[2].rstrip('"'), MimeLimits())
        signed = asn1_cms.ContentInfo.load(body_of(read_entity(parts.second, MimeLimits())))["content"]
        status = waited(async_validate_detached_cms(parts.first, signed, signer_validation_context=context))
    assert status.intact
    assert status.valid
    assert status.trusted


def test_pyhanko_reads_our_stamp(world: World, tmp_path: Path) -> None:
    from pyhanko.sign.validation.generic_cms import async_validate_detached_cms
    from pyhanko_certvalidator import ValidationContext

    stamper = TimeStampAuthority.create(tmp_path)
    roots = [
        asn1_x509.Certificate.load(c.public_bytes(Encoding.DER))
        for c in (world.authority.certificate, stamper.root)
    ]
    body = signed_data(EDIFACT, world.rsa.key, datetime.now(UTC), detached=True, stamp=stamper.token)
    signed = asn1_cms.ContentInfo.load(body)["content"]
    context = ValidationContext(trust_roots=roots, allow_fetching=False)
    status = waited(
        async_validate_detached_cms(
            EDIFACT, signed, signer_validation_context=context, ts_validation_context=context
        )
    )
    assert status.timestamp_validity is not None
    assert status.timestamp_validity.intact
    assert status.timestamp_validity.valid
    assert status.timestamp_validity.trusted


@pytest.mark.parametrize("options", [(), ("-keyid",), ("-md", "sha512"), ("-keyopt", "rsa_padding_mode:pss")])
@pytest.mark.parametrize("attached", [("-nodetach",), ()])
def test_openssl_cades(
    world: World, trust: Trust, tmp_path: Path, options: tuple[str, ...], attached: tuple[str, ...]
) -> None:
    (tmp_path / "in").write_bytes(EDIFACT)
    made = run(
        judge("openssl"), "cms", "-sign", "-cades", "-binary", *attached, "-outform", "DER",
        "-signer", world.rsa.certificate_path, "-inkey", world.rsa.key_path, "-in", tmp_path / "in", *options,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    found = verify_cms(made.stdout, None if attached else (EDIFACT,), trust, FAST, NOW)
    assert found.signer.level == "B"


@pytest.mark.parametrize("binary", [("-binary",), ()])
@pytest.mark.parametrize("tool", ["smime", "cms"])
@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
def test_openssl_smime_both_ways(
    world: World, trust: Trust, tmp_path: Path, binary: tuple[str, ...], tool: str, encoding: str
) -> None:
    import base64
    import quopri

    body = base64.encodebytes(LINES) if encoding == "base64" else quopri.encodestring(LINES)
    head = f"Content-Type: application/edifact\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    (tmp_path / "in").write_bytes(head.encode() + body.replace(b"\n", b"\r\n").replace(b"\r\r", b"\r"))
    made = run(
        judge("openssl"), tool, "-sign", *binary, "-md", "sha256",
        "-signer", world.ec.certificate_path, "-inkey", world.ec.key_path, "-in", tmp_path / "in",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    header, _, rest = made.stdout.partition(b"\n\n")
    media_type = next(
        line.partition(b":")[2].decode().strip()
        for line in header.splitlines()
        if line.lower().startswith(b"content-type:")
    )
    assert verified(rest, trust, media_type=media_type).content == LINES


def test_openssl_smime_reads_what_we_sign(world: World, tmp_path: Path) -> None:
    media_type, body = sign_cms(EDIFACT, "application/edifact", world.rsa.key, DETACHED, datetime.now(UTC))
    (tmp_path / "m").write_bytes(f"MIME-Version: 1.0\r\nContent-Type: {media_type}\r\n\r\n".encode() + body)
    command = (judge("openssl"), "smime", "-verify", "-in", tmp_path / "m", "-CAfile", world.anchor)
    done = run(*command, "-purpose", "any")
    assert done.returncode == 0, done.stderr
    assert EDIFACT in done.stdout


@pytest.mark.parametrize("more", [(), (pkcs7.PKCS7Options.NoCapabilities,)])
@pytest.mark.parametrize("who", ["rsa", "ec"])
def test_cryptographys_pkcs7(
    world: World, trust: Trust, more: tuple[pkcs7.PKCS7Options, ...], who: str
) -> None:
    party = world.rsa if who == "rsa" else world.ec
    private = party.key._private
    assert isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    body = (
        pkcs7.PKCS7SignatureBuilder()
        .set_data(EDIFACT)
        .add_signer(party.certificate, private, hashes.SHA256())
        .sign(Encoding.DER, [pkcs7.PKCS7Options.Binary, *more])
    )
    assert verify(body, PKCS7, trust, FAST, NOW).content == EDIFACT
