"""CAdES: what a signature proves beyond itself, and what it only claims."""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from asn1crypto import cms as asn1_cms
from asn1crypto import core
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from gateway.model import Revocation
from gateway.security import Policy, Refused, Revocations, Trust, Verified, sign_cms, verify
from gateway.security.algorithms import ED25519
from gateway.security.certificates.crl import read_crl
from gateway.security.cms.ber import enclose
from gateway.security.policy import Legacy

from .cms_kit import (
    ARCHIVE_STAMP,
    ATTACHED,
    DETACHED,
    HASH_INDEX_V3,
    SHA256_NAME,
    SIGNATURE_STAMP,
    AnyKey,
    archived,
    attached,
    attribute,
    party_with,
    rebuilt,
    resign,
    revocation_list,
    signature_of,
    with_crls,
    with_unsigned,
    without_crls,
)
from .signing_kit import EDIFACT, FAST, NOW, PKCS7, World, judge, refused, run
from .tsa import TimeStampAuthority


@pytest.fixture(scope="module")
def stamper(tmp_path_factory: pytest.TempPathFactory) -> TimeStampAuthority:
    return TimeStampAuthority.create(tmp_path_factory.mktemp("tsa"))


@pytest.fixture(scope="module")
def stamping(world: World, stamper: TimeStampAuthority) -> Trust:
    return Trust([world.authority.certificate], stampers=stamper.trust)


def read(body: bytes, trust: Trust, policy: Policy = FAST, now: datetime = NOW) -> Verified:
    return verify(body, PKCS7, trust, policy, now)


def stamped(world: World, stamper: TimeStampAuthority) -> bytes:
    at = datetime.now(UTC)
    return sign_cms(EDIFACT, "application/edifact", world.rsa.key, ATTACHED, at, stamper.token)[1]


def test_level_b_is_what_we_sign(world: World, trust: Trust) -> None:
    found = read(attached(world), trust, Policy(level="B", signing_certificate=True))
    assert found.signer.level == "B"
    assert found.signer.stamped_at is None
    assert found.proof.certificates[0] == world.rsa.der


def test_a_signature_without_its_certificates_name_has_no_level(world: World, trust: Trust) -> None:
    info = rebuilt(attached(world))
    signer = info["content"]["signer_infos"][0]
    signer["signed_attrs"] = [
        a for a in signer["signed_attrs"] if a["type"].dotted != "1.2.840.113549.1.9.16.2.47"
    ]
    body = resign(info, world.rsa)
    assert read(body, trust).signer.level == ""
    assert refused(body, trust, Policy(signing_certificate=True), PKCS7) == "SIG210"
    assert refused(body, trust, Policy(level="B"), PKCS7) == "SIG212"


@pytest.mark.parametrize("envelope", [ATTACHED, DETACHED])
def test_level_t(world: World, stamper: TimeStampAuthority, stamping: Trust, envelope: str) -> None:
    at = datetime.now(UTC).replace(microsecond=0)
    media_type, body = sign_cms(EDIFACT, "application/edifact", world.ec.key, envelope, at, stamper.token)
    found = verify(body, media_type, stamping, Policy(level="T"), NOW)
    assert found.signer.level == "T"
    assert found.signer.signed_at == at
    assert found.signer.stamped_at is not None
    assert abs(found.signer.stamped_at - at) < timedelta(minutes=1)
    assert len(found.proof.stamps) == 1
    assert len(found.proof.stampers) == 2
    assert not found.findings


def test_openssl_verifies_what_we_stamp(world: World, stamper: TimeStampAuthority, tmp_path: Path) -> None:
    body = stamped(world, stamper)
    (tmp_path / "m").write_bytes(body)
    command = (
        judge("openssl"),
        "cms",
        "-verify",
        "-cades",
        "-inform",
        "DER",
        "-in",
        tmp_path / "m",
        "-binary",
    )
    done = run(*command, "-CAfile", world.anchor)
    assert done.returncode == 0, done.stderr
    assert done.stdout == EDIFACT
    token = rebuilt(body)["content"]["signer_infos"][0]["unsigned_attrs"][0]["values"][0].dump()
    (tmp_path / "token").write_bytes(token)
    (tmp_path / "signature").write_bytes(signature_of(body))
    verify_token = (judge("openssl"), "ts", "-verify", "-token_in", "-in", tmp_path / "token")
    root = ("-CAfile", stamper.folder / "root.pem")
    assert run(*verify_token, "-data", tmp_path / "signature", *root).returncode == 0


def test_a_stamped_signature_outlives_its_certificate(tmp_path: Path, stamper: TimeStampAuthority) -> None:
    from gateway.security import SigningKey
    from gateway.security.certificates.authority import Authority

    authority = Authority.create(tmp_path / "a", "Short")
    key, path = tmp_path / "k", tmp_path / "c"
    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=30)
    authority.issue("CN=short", key, path, not_after=soon, algorithm="p256")
    at = datetime.now(UTC)
    plain = sign_cms(EDIFACT, "x/y", SigningKey.load(key, path), ATTACHED, at)[1]
    timely = sign_cms(EDIFACT, "x/y", SigningKey.load(key, path), ATTACHED, at, stamper.token)[1]
    trust, later = Trust([authority.certificate], stampers=stamper.trust), soon + timedelta(days=30)
    with pytest.raises(Refused) as caught:
        read(plain, trust, now=later)
    assert caught.value.code == "SIG022"
    assert read(timely, trust, now=later).signer.level == "T"


def test_level_lt_and_lta(world: World, stamper: TimeStampAuthority, stamping: Trust) -> None:
    crl = revocation_list(world.authority)
    lists = with_crls(stamped(world, stamper), crl)
    found = read(lists, stamping, Policy(level="LT"))
    assert found.signer.level == "LT"
    assert found.proof.revocation is Revocation.GOOD
    assert found.proof.responses == (crl,)
    whole = archived(lists, EDIFACT, stamper)
    found = read(whole, stamping, Policy(level="LTA"))
    assert found.signer.level == "LTA"
    assert len(found.proof.stamps) == 2


def test_revocation_values_as_an_unsigned_attribute(
    world: World, stamper: TimeStampAuthority, stamping: Trust
) -> None:
    from gateway.security.cms.ber import enclose

    values = enclose(b"\x30", enclose(b"\xa0", enclose(b"\x30", revocation_list(world.authority))))
    body = with_unsigned(stamped(world, stamper), attribute("1.2.840.113549.1.9.16.2.24", values))
    assert read(body, stamping).signer.level == "LT"


def test_ocsp_responses_beside_the_certificates(
    world: World, stamper: TimeStampAuthority, stamping: Trust
) -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509 import ocsp

    from gateway.security.cms.ber import enclose

    response = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            world.rsa.certificate,
            world.authority.certificate,
            hashes.SHA256(),
            ocsp.OCSPCertStatus.GOOD,
            NOW - timedelta(hours=1),
            NOW + timedelta(hours=1),
            None,
            None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, world.authority.certificate)
        .sign(world.authority._private, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )
    name = bytes.fromhex("06082b06010505071002")
    body = with_crls(stamped(world, stamper), enclose(b"\xa1", name + response))
    found = read(body, stamping)
    assert found.signer.level == "LT"
    assert found.proof.responses == (response,)


def test_a_revoked_signer_is_refused_by_its_own_list(
    world: World, stamper: TimeStampAuthority, stamping: Trust
) -> None:
    body = with_crls(stamped(world, stamper), revocation_list(world.authority, [world.rsa.certificate]))
    assert refused(body, stamping, media_type=PKCS7) == "SIG300"


def test_an_archive_stamp_keeps_an_expired_stampers_stamp(world: World, tmp_path: Path) -> None:
    """The first stamper's certificate has expired; the second's stamp shows that its stamp was older."""
    now = datetime.now(UTC).replace(microsecond=0)
    window = (now - timedelta(days=1), now + timedelta(minutes=30))
    first = TimeStampAuthority.create(tmp_path / "first", valid=window)
    second = TimeStampAuthority.create(tmp_path / "second")
    lists = with_crls(stamped(world, first), revocation_list(world.authority))
    both = Trust([world.authority.certificate], stampers=Trust([first.root, second.root]))
    later = NOW + timedelta(days=20)
    bare = read(lists, both, now=later)
    assert bare.signer.level == "B"
    assert [f.code for f in bare.findings] == ["SIG219"]
    assert read(archived(lists, EDIFACT, second), both, now=later).signer.level == "LTA"
    value = rebuilt(lists)["content"]["signer_infos"][0]["unsigned_attrs"][0]["values"][0].dump()
    uncovered = read(archived(lists, EDIFACT, second, leave_out=value), both, now=later)
    assert uncovered.signer.level == "B", "a stamp that the archive does not cover may be newer than it says"


def test_stamp_moved_from_another_signature(
    world: World, stamper: TimeStampAuthority, stamping: Trust
) -> None:
    value = rebuilt(stamped(world, stamper))["content"]["signer_infos"][0]["unsigned_attrs"][0]["values"][
        0
    ].dump()
    other = with_unsigned(attached(world, EDIFACT + b"\r\n"), attribute(SIGNATURE_STAMP, value))
    found = read(other, stamping)
    assert found.signer.level == "B"
    assert found.signer.stamped_at is None
    assert found.findings[0].found.startswith("SIG201")
    assert refused(other, stamping, Policy(level="T"), PKCS7) == "SIG212"


def test_archive_stamp_after_something_was_taken_away(
    world: World, stamper: TimeStampAuthority, stamping: Trust
) -> None:
    whole = archived(with_crls(stamped(world, stamper), revocation_list(world.authority)), EDIFACT, stamper)
    found = read(without_crls(whole), stamping)
    assert found.signer.level == "T"
    assert found.findings[0].found.startswith("SIG213")


def test_too_many_stamps(world: World, stamper: TimeStampAuthority, stamping: Trust) -> None:
    body = attached(world)
    token = stamper.token(signature_of(body))
    many = with_unsigned(
        body, *[attribute(ARCHIVE_STAMP, token)] * 5, *[attribute(SIGNATURE_STAMP, token)] * 5
    )
    assert refused(many, stamping, media_type=PKCS7) == "SIG218"
    attributes = [attribute(f"1.2.3.{n}", b"\x05\x00") for n in range(40)]
    assert refused(with_unsigned(body, *attributes), stamping, media_type=PKCS7) == "SIG218"


def test_signing_time_after_the_stamp(world: World, stamper: TimeStampAuthority, stamping: Trust) -> None:
    body = sign_cms(EDIFACT, "x/y", world.rsa.key, ATTACHED, NOW, stamper.token)[1]
    assert refused(body, stamping, media_type=PKCS7) == "SIG216"


def test_counter_signatures_are_never_believed(world: World, trust: Trust) -> None:
    body = attached(world)
    other = rebuilt(attached(world, party=world.attacker))["content"]["signer_infos"][0].dump()
    countersigned = with_unsigned(body, attribute("1.2.840.113549.1.9.6", other))
    assert read(countersigned, trust).signer == read(body, trust).signer
    assert refused(countersigned, trust, Policy(countersignatures="refuse"), PKCS7) == "SIG217"


def test_certificate_of_the_same_key_swapped(world: World, trust: Trust, tmp_path: Path) -> None:
    """Another certificate of the same key, which may say another name: the signer named the first."""
    twin = world.authority.certify(world.rsa.certificate.public_key(), "CN=somebody else,C=VN")  # type: ignore[arg-type]
    from cryptography.hazmat.primitives.serialization import Encoding

    info = rebuilt(attached(world))
    certificate = asn1_cms.CertificateChoices.load(twin.public_bytes(Encoding.DER))
    info["content"]["certificates"] = [certificate]
    sid = {"issuer": certificate.chosen.issuer, "serial_number": certificate.chosen.serial_number}
    info["content"]["signer_infos"][0]["sid"] = asn1_cms.SignerIdentifier("issuer_and_serial_number", sid)
    assert refused(bytes(info.dump(force=True)), trust, media_type=PKCS7) == "SIG202"


@pytest.mark.parametrize(
    ("name", "private", "algorithm"),
    [
        ("p384", ec.generate_private_key(ec.SECP384R1()), "ecdsa-sha384"),
        ("p521", ec.generate_private_key(ec.SECP521R1()), "ecdsa-sha512"),
        ("ed25519", ed25519.Ed25519PrivateKey.generate(), "ed25519"),
        ("rsa3072", rsa.generate_private_key(65537, 3072), "rsa-sha256"),
    ],
)
@pytest.mark.parametrize("envelope", [ATTACHED, DETACHED])
def test_every_kind_of_key(
    world: World, trust: Trust, tmp_path: Path, name: str, private: AnyKey, algorithm: str, envelope: str
) -> None:
    party = party_with(world, name, private, tmp_path)
    media_type, body = sign_cms(EDIFACT, "application/edifact", party.key, envelope, NOW)
    found = verify(body, media_type, trust, FAST, NOW)
    assert found.signer.algorithm == algorithm
    assert found.content == EDIFACT
    if envelope == ATTACHED:
        changed = body.replace(b"REF0001", b"REF0002")
        assert refused(changed, trust, media_type=media_type) == "SIG011"


def test_ed25519_wants_sha512_beside_it(world: World, trust: Trust, tmp_path: Path) -> None:
    party = party_with(world, "ed", ed25519.Ed25519PrivateKey.generate(), tmp_path)
    body = attached(world, party=party)
    assert ED25519.digest == "sha512"
    info = rebuilt(body)
    info["content"]["signer_infos"][0]["digest_algorithm"]["algorithm"] = "sha256"
    assert refused(bytes(info.dump(force=True)), trust, media_type=PKCS7) == "SIG006"


@pytest.mark.parametrize("digest", ["sha3-256", "sha3-384", "sha3-512"])
@pytest.mark.parametrize("options", [(), ("-keyopt", "rsa_padding_mode:pss")])
def test_sha3(world: World, trust: Trust, tmp_path: Path, digest: str, options: tuple[str, ...]) -> None:
    """The library behind OpenSSL's command has no RSA with SHA-3 names; what it makes with PSS we read."""
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

    from gateway.security.algorithms import HASHES, Algorithm, pss

    class Odd:
        """A key that signs with SHA-3, which ours do not choose."""

        def __init__(self) -> None:
            self.certificates, self.der = world.rsa.key.certificates, world.rsa.key.der
            self.algorithm = pss(digest) if options else Algorithm("rsa", digest)

        def sign(self, data: bytes, now: datetime) -> bytes:
            from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS

            hashed = HASHES[digest]
            padding = PSS(MGF1(hashed), hashed.digest_size) if options else PKCS1v15()
            private = world.rsa.key._private
            assert isinstance(private, rsa.RSAPrivateKey)
            return private.sign(data, padding, hashed)

    body = sign_cms(EDIFACT, "x/y", Odd(), ATTACHED, NOW)[1]  # type: ignore[arg-type]
    assert read(body, trust).signer.algorithm == f"{'rsa-pss' if options else 'rsa'}-{digest}"


def test_sha1_only_by_a_named_profile_until_its_end(world: World, trust: Trust, tmp_path: Path) -> None:
    """As old clearance packages sign: S/MIME with micalg=sha1."""
    from .test_cms import header_and_body, openssl_sign

    message = openssl_sign(world, tmp_path, EDIFACT, "-binary", "-md", "sha1", "-outform", "SMIME")
    media_type, body = header_and_body(message)
    assert "sha1" in media_type or "sha-1" in media_type
    assert refused(body, trust, media_type=media_type) == "SIG006"
    old = Legacy("vnaccs", NOW.date())
    found = verify(body, media_type, trust, Policy(legacy=(old,)), NOW)
    assert found.signer.profile == "vnaccs"
    assert found.signer.algorithm == "rsa-sha1"
    ended = msgspec.structs.replace(old, until=NOW.date() - timedelta(days=1))
    assert refused(body, trust, Policy(legacy=(ended,)), media_type) == "SIG101"
    strong = attached(world)
    assert read(strong, trust, Policy(legacy=(old,))).signer.profile == ""


def test_a_legacy_profile_makes_no_time(world: World, stamper: TimeStampAuthority, stamping: Trust) -> None:
    body = attached(world)
    weak = with_unsigned(body, attribute(SIGNATURE_STAMP, stamper.token(signature_of(body), "sha1")))
    found = read(weak, stamping, Policy(legacy=(Legacy("vnaccs", NOW.date()),)))
    assert found.signer.level == "B"
    assert found.findings[0].found.startswith("SIG007")


def test_a_level_is_shown_by_what_came_along(
    world: World, stamper: TimeStampAuthority, stamping: Trust
) -> None:
    """What the gateway happens to know itself will not be there in ten years."""
    crl = revocation_list(world.authority)
    known = Revocations().learned({}, [read_crl(crl, world.authority.certificate, FAST, NOW)], 1)
    knowing = stamping.with_revocations(known)
    junk = enclose(b"\x30", enclose(b"\xa0", enclose(b"\x30", enclose(b"\x30", b"junk"))))
    body = with_unsigned(stamped(world, stamper), attribute("1.2.840.113549.1.9.16.2.24", junk))
    found = read(body, knowing)
    assert (found.signer.level, [f.code for f in found.findings]) == ("T", ["SIG122"])
    assert read(with_crls(stamped(world, stamper), crl), knowing).signer.level == "LT"


def test_values_that_the_archive_stamp_does_not_cover(
    world: World, stamper: TimeStampAuthority, stamping: Trust
) -> None:
    early = archived(stamped(world, stamper), EDIFACT, stamper)
    found = read(with_crls(early, revocation_list(world.authority)), stamping)
    assert (found.signer.level, [f.code for f in found.findings]) == ("LT", ["SIG220"])


def test_an_archive_stamp_over_nothing(world: World, stamper: TimeStampAuthority, stamping: Trust) -> None:
    """Its index names no certificate, no revocation value and no stamp."""
    body = with_crls(stamped(world, stamper), revocation_list(world.authority))
    signer = rebuilt(body)["content"]["signer_infos"][0]
    names = ("version", "sid", "digest_algorithm", "signed_attrs", "signature_algorithm", "signature")
    index = enclose(b"\x30", SHA256_NAME + b"\x30\x00" * 3)
    kind = core.ObjectIdentifier("1.2.840.113549.1.7.1").dump()
    pieces = (kind, hashlib.sha256(EDIFACT).digest(), *(signer[name].dump() for name in names), index)
    token = with_unsigned(stamper.token(b"".join(pieces)), attribute(HASH_INDEX_V3, index))
    found = read(with_unsigned(body, attribute(ARCHIVE_STAMP, token)), stamping)
    assert (found.signer.level, [f.code for f in found.findings]) == ("LT", ["SIG220"])


def test_stamps_of_a_stranger_cost_nothing(
    world: World, stamper: TimeStampAuthority, stamping: Trust
) -> None:
    """No content is digested, and no stamp judged, for a chain that holds at no time."""
    content = b"UNB" + b"x" * 32_000_000
    body = attached(world, content, world.attacker)
    token = stamper.token(b"anything")
    body = with_unsigned(body, *(attribute(ARCHIVE_STAMP, token) for _ in range(8)))
    began = time.process_time()
    with pytest.raises(Refused, match="SIG024"):
        read(body, stamping)
    assert time.process_time() - began < 0.5
