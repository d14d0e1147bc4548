"""Checkpoints stamped by a real time-stamp authority (``openssl ts``), and judged by openssl again."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway import security
from gateway.evidence import verify
from gateway.evidence.verify import OK, SEAL, WRONG, pack, unpack
from gateway.operations import notary
from tests.security.tsa import TimeStampAuthority

from .kit import Stage, stage

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
    sealed = notary.cover(made.ledger, made.own, made.tick, 5)
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
    notary.cover(made.ledger, made.own, made.tick, 1_000)
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
    (sealed, *_) = notary.cover(made.ledger, made.own, made.tick, 1_000)
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
