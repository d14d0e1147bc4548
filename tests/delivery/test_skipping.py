"""A delivery that an operator skips: who filed it hears so, what waited behind it goes on, all is journalled."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway import security
from gateway.delivery.backend import LEASE
from gateway.evidence import verify
from gateway.storage import Ledger
from tests.delivery.conftest import File
from tests.delivery.fakes import InlineCommits, PaperOffice, StillReactor
from tests.delivery.test_backend import Desk, due
from tests.evidence.kit import clean, stage
from tests.operations.knowledge import NOW, TRADER, World

OFFICE = "backend:office"
WHY = "unreadable at customs: file it anew"


@pytest.fixture
def desk(delivery_world: World, commits: InlineCommits, office: PaperOffice, reactor: StillReactor) -> Desk:
    return Desk(delivery_world, commits, office, reactor)


def test_who_filed_hears_that_it_was_not_handed_over(
    desk: Desk, office: PaperOffice, commits: InlineCommits, delivery_world: World, file: File
) -> None:
    filed, ledger = file(), commits.ledger
    assert ledger.skip(f"{filed.id}.1", NOW, "Mai", WHY)
    assert desk.round() is True
    assert office.batches == []
    (told,) = [e for e in ledger.mailbox(TRADER.id, "", 10) if e.kind != "receipt"]
    assert (told.kind, told.about) == ("refused", f"{filed.id}.1")
    outgoing = ledger.fetch(TRADER.id, told.id)
    assert outgoing is not None
    book = delivery_world.handbook
    verified = security.verify(outgoing.body, outgoing.media_type, book.trust, book.policy, NOW)
    assert WHY.encode() in verified.content
    status = ledger.status(TRADER.id, filed.id)
    assert status is not None
    assert status.messages[0].state == "refused"
    words = [(e.what, e.detail) for e in status.timeline]
    assert ("delivery-skipped", f"{OFFICE}: {WHY}") in words
    assert due(commits) == {f"push:{TRADER.id}": 1}
    assert desk.round() is False  # told once
    assert clean(ledger) == []


def test_what_waited_behind_it_goes_on(
    desk: Desk, office: PaperOffice, ledger: Ledger, file: File, reactor: StillReactor
) -> None:
    first, second = file(), file()
    database: Any = ledger._database
    database.write(lambda c: c.exec_driver_sql("UPDATE delivery SET lane = 'T 1'"))
    ledger.dead(f"{first.id}.1", "poison", NOW)
    desk.round()
    assert office.taken == {}
    assert ledger.ahead(ledger.delivery(f"{second.id}.1")[0]) == f"{first.id}.1"  # type: ignore[index]
    assert ledger.skip(f"{first.id}.1", NOW, "Mai", WHY)
    desk.round()
    assert list(office.taken) == [f"{second.id}.1"]


def test_only_what_waits_can_be_skipped_and_only_with_a_reason(
    desk: Desk, ledger: Ledger, file: File, reactor: StillReactor
) -> None:
    filed = file()
    name = f"{filed.id}.1"
    for reason in ("", "x" * 301):
        with pytest.raises(ValueError, match="reason"):
            ledger.skip(name, NOW, "Mai", reason)
    (held,) = ledger.claim_due(OFFICE, "me", reactor.now(), LEASE, 1)
    assert not ledger.skip(held.id, reactor.now(), "Mai", WHY)  # a courier has it
    ledger.done([held.id], NOW)
    assert not ledger.skip(held.id, NOW, "Mai", WHY)
    assert not ledger.skip("nothing", NOW, "Mai", WHY)


def test_a_refusal_that_cannot_be_said_yet_is_tried_again(
    desk: Desk, ledger: Ledger, file: File, reactor: StillReactor, caplog: pytest.LogCaptureFixture
) -> None:
    filed = file()
    ledger.skip(f"{filed.id}.1", NOW, "Mai", WHY)
    good, desk.handbook = desk.handbook, replace(desk.handbook, sayings={})
    with caplog.at_level(logging.CRITICAL, "gateway.delivery"):
        desk.round()
    assert len(ledger.due("answer:", 9)) == 1
    desk.handbook = good
    reactor.advance(2.0)
    desk.round()
    assert ledger.due("answer:", 9) == []
    assert "refused" in [e.kind for e in ledger.mailbox(TRADER.id, "", 10)]


def test_a_bundle_shows_that_it_was_skipped(tmp_path: Path) -> None:
    made = stage(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}")
    submission = made.submit(*made.declaration())
    assert made.ledger.skip(f"{submission}.1", made.tick(), "Mai", WHY)
    made.seal()
    files = verify.unpack(made.bundle(submission))
    made.ledger.close()
    states = {d["id"]: d["state"] for d in json.loads(files["deliveries.json"])}
    assert states == {f"{submission}.1": "skipped", f"{submission}.1.skipped": "due"}
    assert _wrong(files) == set()
    for forged in (b'"due"', b'"done"', b'"dead"'):
        changed = files["deliveries.json"].replace(b'"skipped"', forged)
        assert changed != files["deliveries.json"]
        assert "deliveries.json" in _wrong({**files, "deliveries.json": changed})


def _wrong(files: dict[str, bytes]) -> set[str]:
    return {what for state, what, _ in verify.verify(verify.pack(files)) if state != verify.OK}
