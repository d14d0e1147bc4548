"""Checkpoints stamped by a real time-stamp authority (``openssl ts``), and judged by openssl again."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from gateway import handbook as handbooks
from gateway import safexml, security
from gateway.evidence import verify
from gateway.evidence.verify import OK, SEAL, WRONG, Tools, pack, unpack
from gateway.operations import notary
from gateway.operations.demo import papers
from gateway.operations.witnessing import Witness
from gateway.security.cms import timestamps
from tests.security.tsa import TimeStampAuthority

from .kit import AN_PHAT, GOODS, LINE, Stage, by_hand, stage

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")


@pytest.fixture
def made(tmp_path: Path) -> Stage:
    return stage(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", datetime.now(UTC) - timedelta(minutes=5))


def trusting(made: Stage, authority: TimeStampAuthority | None) -> security.Trust:
    return security.Trust([made.anchor], authority.trust if authority is not None else None)


def test_a_stamped_checkpoint(made: Stage, tmp_path: Path) -> None:
    authority = TimeStampAuthority.create(tmp_path / "tsa")
    trust, policy = trusting(made, authority), made.book.policy
    one = made.day()
    sealed = notary.cover(made.ledger, made.own, made.tick, 5, Witness(tmp_path), None)
    assert len(sealed) > 1
    with authority.serving() as url:
        newest = made.ledger.unstamped()
        assert newest is not None
        assert newest.number == sealed[-1].number
        notary.stamp(made.ledger, newest, url, trust, policy, datetime.now(UTC))
    assert made.ledger.unstamped() is None
    kept = made.ledger.checkpoint(newest.number)
    assert kept is not None
    assert notary.stamped(kept, trust, policy) == ""
    # The stamped one holds the last entries; evidence of a later day is under it.
    two = made.day()
    notary.cover(made.ledger, made.own, made.tick, 1_000, Witness(tmp_path), None)
    with authority.serving() as url:
        newest = made.ledger.unstamped()
        assert newest is not None
        notary.stamp(made.ledger, newest, url, trust, policy, datetime.now(UTC))
    for identity in (one, two):
        assert {s for s, _, _ in verify.verify(made.bundle(identity))} == {OK}
    data = made.bundle(two)
    files = unpack(data)
    stamps = [n for n in files if n.startswith("checkpoints/") and n.endswith(".tst")]
    assert stamps
    assert any(what == stamps[0] and "stamped at" in why for _, what, why in verify.verify(data))
    readme = files["README.txt"].decode()
    assert f"openssl ts -verify -token_in -in {stamps[0]}" in readme

    # The gateway itself cannot move the time: another checkpoint under the same stamp is found out.
    other = next(
        n for n in files if n.startswith("checkpoints/") and n.endswith(".sig") and n[:-4] in stamps[0]
    )
    forged = {**files, other: made.own.sign(b"another text", made.now)}
    forged[verify.MANIFEST] = verify.manifest_of(forged)
    forged[SEAL] = made.own.sign(forged[verify.MANIFEST], made.now)
    wrong = {what for state, what, _ in verify.verify(pack(forged)) if state == WRONG}
    assert {stamps[0], other} <= wrong


def test_an_authority_that_is_not_pinned_is_not_believed(made: Stage, tmp_path: Path) -> None:
    authority = TimeStampAuthority.create(tmp_path / "tsa")
    made.day()
    (sealed, *_) = notary.cover(made.ledger, made.own, made.tick, 1_000, Witness(tmp_path), None)
    with authority.serving() as url, pytest.raises(notary.NotStamped, match="SIG"):
        notary.stamp(made.ledger, sealed, url, trusting(made, None), made.book.policy, datetime.now(UTC))
    with pytest.raises(notary.NotStamped, match=r"refused|Connection"):
        notary.stamp(
            made.ledger,
            sealed,
            "http://127.0.0.1:1/tsr",
            trusting(made, authority),
            made.book.policy,
            datetime.now(UTC),
        )
    with pytest.raises(notary.NotStamped, match="neither http"):
        notary.stamp(
            made.ledger, sealed, "file:///etc/passwd", made.book.trust, made.book.policy, datetime.now(UTC)
        )
    assert made.ledger.unstamped() is not None


@pytest.mark.parametrize("form", ["xades", "multipart/signed", "application/pkcs7-mime"])
def test_the_time_that_a_message_s_own_stamp_shows(made: Stage, tmp_path: Path, form: str) -> None:
    """The certificates are judged at a time that openssl reads in the stamp, over what was signed."""
    authority = TimeStampAuthority.create(tmp_path / "tsa")
    anchors = made.town.home / "keystore" / "tsa"
    anchors.mkdir(exist_ok=True)
    (anchors / "root.pem").write_bytes(authority.root.public_bytes(Encoding.PEM))
    made.book = handbooks.load(made.town.home, made.ledger.register())
    text = safexml.parse(unsigned(made))
    key = made.keys[AN_PHAT.id]
    if form == "xades":
        body, kind = security.sign_xades(text, key, made.now, stamp=authority.token), "application/xml"
        identity = made.submit(body, kind)
    else:
        bill = papers.Bill("EOLUSGN000009", "Furniture parts", packages=100, weight=5_000)
        content = papers.manifest("M0000009", "OCEANLINE", "EOLU", (bill,), made.now, True)
        kind, body = security.sign_cms(
            content, "application/edifact", made.keys[LINE.id], form, made.now, stamp=authority.token
        )
        made.now = datetime.now(UTC)
        identity = made.submit(body, kind, partner=LINE)
    made.seal()
    data = made.bundle(identity)
    files = unpack(data)
    record = json.loads(files["submission/record.json"])
    stamped_at = record["certificate"]["stamped_at"]
    steps = verify.verify(data)
    assert {state for state, _, _ in steps} == {OK}, steps
    assert ("proof/signer/stamp1.tst", "the signature, stamped at") in [
        (what, why[:25]) for _, what, why in steps
    ]
    assert any(stamped_at[:19] in why for _, what, why in steps if what.endswith(".tst"))
    at, _, _ = Tools(tmp_path, {"t.tst": files["proof/signer/stamp1.tst"]}).stamp("t.tst")
    assert at[:19] == stamped_at[:19]
    by_hand(files, tmp_path / "unpacked")


def unsigned(made: Stage) -> bytes:
    made.now = datetime.now(UTC)
    made.serial += 1
    return papers.declaration(f"E{made.serial:07d}", (AN_PHAT.name, AN_PHAT.identifiers[0]), GOODS, made.now)


def test_the_time_of_a_checkpoint_is_the_stamp_s_own(made: Stage, tmp_path: Path) -> None:
    """What anybody else says of it counts nothing: only what the token itself says is told."""
    authority = TimeStampAuthority.create(tmp_path / "tsa")
    one = made.day()
    (*_, newest) = notary.cover(made.ledger, made.own, made.tick, 1_000, Witness(tmp_path), None)
    token = authority.token(newest.signature)
    ders = [c.public_bytes(Encoding.DER) for c in (authority.stamper, authority.root)]
    true = timestamps.stated_by(token).at
    made.ledger.stamp(newest.number, token, true - timedelta(seconds=90), ders)
    why = next(why for _, what, why in verify.verify(made.bundle(one)) if what.endswith(".tst"))
    assert f"stamped at {true:%Y-%m-%dT%H:%M:%S}" in why
