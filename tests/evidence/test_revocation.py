"""What was known of revocation at receipt is in the bundle, and openssl verifies it as of then."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import ocsp

from gateway.evidence.verify import OK, WRONG, code_of, unpack, verify

from .kit import AN_PHAT, Stage, by_hand, stage

pytestmark = pytest.mark.skipif(
    not (shutil.which("openssl") and shutil.which("xmlsec1")), reason="openssl and xmlsec1 are not installed"
)
LONG_AGO = datetime(2021, 6, 1, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def made(tmp_path: Path) -> Stage:
    return stage(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", LONG_AGO)


def private(made: Stage):  # type: ignore[no-untyped-def]
    files = (path.read_bytes() for path in made.authority.folder.iterdir())
    return load_pem_private_key(next(f for f in files if b"PRIVATE KEY" in f), None)


def response(made: Stage, certificate: x509.Certificate, status: ocsp.OCSPCertStatus) -> bytes:
    revoked = status is ocsp.OCSPCertStatus.REVOKED
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            cert=certificate,
            issuer=made.anchor,
            algorithm=hashes.SHA1(),
            cert_status=status,
            this_update=made.now - HOUR,
            next_update=made.now + HOUR,
            revocation_time=made.now - HOUR if revoked else None,
            revocation_reason=None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.NAME, made.anchor)
    )
    return builder.sign(private(made), hashes.SHA256()).public_bytes(Encoding.DER)


def revoked_list(made: Stage, *serials: int) -> bytes:
    builder = x509.CertificateRevocationListBuilder(made.anchor.subject, made.now - HOUR, made.now + HOUR)
    for serial in serials:
        one = x509.RevokedCertificateBuilder(serial, made.now - HOUR).build()
        builder = builder.add_revoked_certificate(one)
    return builder.sign(private(made), hashes.SHA256()).public_bytes(Encoding.DER)


def steps_of(made: Stage, *responses: bytes, hand: bool = True) -> dict[str, str]:
    """``hand``: by hand the same is found (of a response's window, openssl prints the times only)."""
    identity = made.submit(*made.declaration(), responses=responses)
    made.seal()
    data = made.bundle(identity)
    files = unpack(data)
    assert {n for n in files if n.startswith("proof/")}
    if hand:
        by_hand(files, made.root / f"unpacked-{made.serial}", code_of(verify(data)) == 0)
    return {what: state for state, what, _ in verify(data) if what.startswith("proof/") or state != OK}


def test_good_then_is_good_now(made: Stage) -> None:
    own = made.keys[AN_PHAT.id].certificates[0]
    good, listed = response(made, own, ocsp.OCSPCertStatus.GOOD), revoked_list(made, 4711)
    assert steps_of(made, good, listed) == {
        "proof/signer/response1.ocsp": OK,
        "proof/signer/response2.crl": OK,
    }


def test_what_does_not_say_good_is_found(made: Stage) -> None:
    own = made.keys[AN_PHAT.id].certificates[0]
    other = made.own.certificates[0]
    assert set(steps_of(made, response(made, own, ocsp.OCSPCertStatus.REVOKED)).values()) == {WRONG}
    assert set(steps_of(made, response(made, other, ocsp.OCSPCertStatus.GOOD)).values()) == {WRONG}
    assert set(steps_of(made, revoked_list(made, own.serial_number)).values()) == {WRONG}


def test_a_response_of_another_time_is_found(made: Stage) -> None:
    own = made.keys[AN_PHAT.id].certificates[0]
    later = response(made, own, ocsp.OCSPCertStatus.GOOD)
    made.now += 3 * HOUR
    assert steps_of(made, later, hand=False) == {"proof/signer/response1.ocsp": WRONG}
