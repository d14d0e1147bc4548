"""Time stamps: OpenSSL's are read, ours are asked for, and each way to forge one is refused."""

from __future__ import annotations

import hashlib
import secrets
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from asn1crypto import cms as asn1_cms
from asn1crypto import tsp
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.security import Policy, Refused, Trust
from gateway.security.cms.timestamps import Stamp, read_answer, read_token, request, stated_by

from .signing_kit import FAST, NOW, World, judge, run
from .tsa import TimeStampAuthority

OCTETS = b"what is stamped"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TimeStampAuthority:
    return TimeStampAuthority.create(tmp_path_factory.mktemp("tsa"))


@pytest.fixture(scope="module")
def token(authority: TimeStampAuthority) -> bytes:
    return authority.token(OCTETS)


@pytest.fixture(scope="module")
def stamping(world: World, authority: TimeStampAuthority) -> Trust:
    return Trust([world.authority.certificate], stampers=authority.trust)


def read(token: bytes, trust: Trust, octets: bytes = OCTETS, now: datetime = NOW) -> Stamp:
    return read_token(token, octets, trust, FAST, now)


def code(token: bytes, trust: Trust, octets: bytes = OCTETS, now: datetime = NOW) -> str:
    with pytest.raises(Refused) as caught:
        read(token, trust, octets, now)
    return caught.value.code


def test_a_token_of_openssl_is_read(token: bytes, stamping: Trust, authority: TimeStampAuthority) -> None:
    stamp = read(token, stamping)
    assert abs(stamp.at - datetime.now(UTC)) < timedelta(minutes=10)
    assert stamp.accuracy == timedelta(seconds=1, milliseconds=500, microseconds=100)
    assert stamp.policy_oid == "1.2.3.4.1"
    assert stamp.nonce == 4711
    assert stamp.token == token
    assert len(stamp.certificates) == 2
    assert stated_by(token).at == stamp.at


@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_every_digest(stamping: Trust, authority: TimeStampAuthority, digest: str) -> None:
    assert read(authority.token(OCTETS, digest), stamping).serial > 0


def test_a_certificate_named_by_its_old_attribute(tmp_path: Path) -> None:
    old = TimeStampAuthority.create(tmp_path, ess="sha1")
    assert read(old.token(OCTETS), Trust([], stampers=old.trust)).serial > 0


def test_openssl_reads_our_request(authority: TimeStampAuthority, tmp_path: Path) -> None:
    nonce = secrets.randbits(62) | 1 << 62
    query = request(hashlib.sha512(OCTETS).digest(), "sha512", nonce, "1.2.3.4.5")
    (tmp_path / "q").write_bytes(query)
    said = run(judge("openssl"), "ts", "-query", "-in", tmp_path / "q", "-text").stdout.decode()
    for text in ("Hash Algorithm: sha512", "Policy OID: 1.2.3.4.5", f"Nonce: 0x{nonce:016X}"):
        assert text in said
    assert "Certificate required: yes" in said


def test_an_authority_is_asked_over_http(stamping: Trust, authority: TimeStampAuthority) -> None:
    nonce = secrets.randbits(63)
    query = request(hashlib.sha256(OCTETS).digest(), "sha256", nonce)
    headers = {"Content-Type": "application/timestamp-query"}
    with authority.serving() as url:
        asked = urllib.request.Request(url, query, headers)
        answer = urllib.request.urlopen(asked, timeout=20).read()
    token = read_answer(answer, OCTETS, "sha256", nonce, stamping, FAST, NOW)
    assert read(token, stamping).nonce == nonce


def test_openssl_and_we_agree_on_an_answer(authority: TimeStampAuthority, tmp_path: Path) -> None:
    query = request(hashlib.sha256(OCTETS).digest(), "sha256", 1)
    (tmp_path / "q").write_bytes(query)
    (tmp_path / "a").write_bytes(authority.answer(query))
    command = (judge("openssl"), "ts", "-verify", "-queryfile", tmp_path / "q", "-in", tmp_path / "a")
    assert run(*command, "-CAfile", authority.folder / "root.pem").returncode == 0


def test_another_answer_is_refused(stamping: Trust, authority: TimeStampAuthority) -> None:
    answer = authority.answer(request(hashlib.sha256(OCTETS).digest(), "sha256", 5))
    for octets, digest, nonce, expected in (
        (OCTETS, "sha256", 6, "SIG206"),
        (OCTETS, "sha512", 5, "SIG206"),
        (b"else", "sha256", 5, "SIG201"),
    ):
        with pytest.raises(Refused) as caught:
            read_answer(answer, octets, digest, nonce, stamping, FAST, NOW)
        assert caught.value.code == expected
    for broken in (b"", answer[:-1], answer + b"\0", b"0\0" * 40_000):
        with pytest.raises(Refused) as caught:
            read_answer(broken, OCTETS, "sha256", 5, stamping, FAST, NOW)
        assert caught.value.code == "SIG200"


def test_a_declined_request_says_why(stamping: Trust, authority: TimeStampAuthority) -> None:
    answer = authority.answer(request(hashlib.sha256(OCTETS).digest(), "sha256", 5, "1.9.9"))
    with pytest.raises(Refused) as caught:
        read_answer(answer, OCTETS, "sha256", 5, stamping, FAST, NOW)
    assert caught.value.code == "SIG207"
    assert "unacceptedPolicy" in caught.value.findings[0].found


def test_wrong_imprints_lengths_are_ours_to_see() -> None:
    with pytest.raises(ValueError, match="imprint"):
        request(b"short", "sha256", 1)


# Attacks.


def test_stamp_over_other_octets(token: bytes, stamping: Trust) -> None:
    assert code(token, stamping, b"other") == "SIG201"


def test_stamp_where_no_authority_is_pinned(token: bytes, trust: Trust) -> None:
    assert code(token, trust) == "SIG204"


def test_stamp_of_a_partners_authority(token: bytes, authority: TimeStampAuthority, world: World) -> None:
    """A message anchor makes no time, not even for itself."""
    assert code(token, Trust([authority.root], stampers=Trust([world.authority.certificate]))) == "SIG024"


@pytest.mark.parametrize(
    ("purposes", "critical", "expected"),
    [
        ((), True, "SIG203"),
        ((ExtendedKeyUsageOID.TIME_STAMPING,), False, "SIG203"),
        ((ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.EMAIL_PROTECTION), True, "SIG203"),
        ((ExtendedKeyUsageOID.EMAIL_PROTECTION,), True, "SIG027"),
    ],
)
def test_stamper_with_another_purpose(
    tmp_path: Path, authority: TimeStampAuthority, purposes: tuple[object, ...], critical: bool, expected: str
) -> None:
    other = TimeStampAuthority.create(tmp_path, purposes=purposes, critical=critical)  # type: ignore[arg-type]
    forged = resigned(authority.token(OCTETS), other, named=True)
    assert code(forged, Trust([], stampers=other.trust)) == expected


def resigned(token: bytes, other: TimeStampAuthority, *, named: bool) -> bytes:
    """The token signed by another stamper, who is named by the signed attributes or not."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding

    der = other.stamper.public_bytes(Encoding.DER)
    info = asn1_cms.ContentInfo.load(token)
    signed = info["content"]
    certificate = asn1_cms.CertificateChoices.load(der)
    signed["certificates"] = [certificate]
    signer = signed["signer_infos"][0]
    sid = {"issuer": certificate.chosen.issuer, "serial_number": certificate.chosen.serial_number}
    signer["sid"] = asn1_cms.SignerIdentifier("issuer_and_serial_number", sid)
    if named:
        attributes = [a for a in signer["signed_attrs"] if a["type"].native != "signing_certificate_v2"]
        ess = tsp.ESSCertIDv2({"cert_hash": hashlib.sha256(der).digest()})
        value = tsp.SigningCertificateV2({"certs": [ess]})
        attributes.append(
            asn1_cms.CMSAttribute({"type": "signing_certificate_v2", "values": [value]}),
        )
        signer["signed_attrs"] = attributes
    assert isinstance(other.stamper_key, RSAPrivateKey)
    octets = signer["signed_attrs"].untag().dump(force=True)
    signer["signature"] = other.stamper_key.sign(octets, PKCS1v15(), hashes.SHA256())
    return bytes(info.dump(force=True))


def test_stamper_swapped_for_another_of_the_same_name(tmp_path: Path, authority: TimeStampAuthority) -> None:
    other = TimeStampAuthority.create(tmp_path)
    token = authority.token(OCTETS)
    assert read(resigned(token, other, named=True), Trust([], stampers=other.trust)).serial > 0
    assert code(resigned(token, other, named=False), Trust([], stampers=other.trust)) == "SIG202"


def test_stamp_from_the_future(token: bytes, stamping: Trust) -> None:
    at = read(token, stamping).at
    assert code(token, stamping, now=at - timedelta(minutes=6)) == "SIG205"
    assert read(token, stamping, now=at - timedelta(minutes=4)).at == at


def test_stamper_expired_at_verification(token: bytes, stamping: Trust) -> None:
    assert code(token, stamping, now=NOW + timedelta(days=4_000)) == "SIG022"


def test_stamp_older_than_its_stamper(tmp_path: Path, authority: TimeStampAuthority) -> None:
    ahead = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=30)
    other = TimeStampAuthority.create(tmp_path, valid=(ahead, ahead + timedelta(days=9)))
    forged = resigned(authority.token(OCTETS), other, named=True)
    assert code(forged, Trust([], stampers=other.trust)) == "SIG023"


def test_weak_digests_of_a_stamp(authority: TimeStampAuthority, stamping: Trust) -> None:
    assert code(authority.token(OCTETS, "sha1"), stamping) == "SIG007"


def test_signed_message_passed_off_as_a_stamp(stamping: Trust, world: World) -> None:
    from gateway.security import sign_cms

    _, body = sign_cms(OCTETS, "x/y", world.rsa.key, "application/pkcs7-mime", NOW)
    assert code(body, stamping) == "SIG200"


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 10_000), octet=st.integers(0, 255))
def test_no_changed_octet_changes_the_time(token: bytes, stamping: Trust, at: int, octet: int) -> None:
    at %= len(token)
    changed = token[:at] + bytes((octet,)) + token[at + 1 :]
    try:
        found = read(changed, stamping)
    except Refused:
        return
    original = read(token, stamping)
    assert (found.at, found.serial, found.certificates) == (
        original.at,
        original.serial,
        original.certificates,
    )


@given(octets=st.binary(max_size=300))
def test_any_octets_are_a_stamp_or_refused(stamping: Trust, octets: bytes) -> None:
    assert code(octets, stamping) == "SIG200"


def test_cut_tokens_are_refused(token: bytes, stamping: Trust) -> None:
    for end in range(0, len(token), 7):
        assert code(token[:end], stamping) == "SIG200"


def test_the_policys_algorithms_hold_for_stamps(token: bytes, stamping: Trust) -> None:
    with pytest.raises(Refused) as caught:
        read_token(token, OCTETS, stamping, Policy(algorithms=frozenset({"ecdsa-sha256"})), NOW)
    assert caught.value.code == "SIG006"
