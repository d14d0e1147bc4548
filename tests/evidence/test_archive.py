"""Archives: what is old leaves the ledger for sealed files and comes back whole; nothing weakens meanwhile."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, text

from gateway.evidence import verify
from gateway.evidence.archives import Archive, Known, NoArchive, read_archive
from gateway.evidence.entries import ARCHIVED, FIRST, Attested, Entry, entry_hash
from gateway.model import Answer, Event
from gateway.operations import archiving
from gateway.storage import Clash, Ledger, retention, tables
from gateway.storage.slices import SLICE
from tests.storage.making import settlement

from .kit import AN_PHAT, Stage, clean, stage

LONG_AGO = datetime(2021, 6, 1, 8, 0, tzinfo=UTC)
TABLES = (
    tables.submission,
    tables.octets,
    tables.message,
    tables.outgoing,
    tables.waiting,
    tables.decision,
    tables.event,
    tables.delivery,
)


@pytest.fixture
def lived(database_url: str, tmp_path: Path) -> Stage:
    return stage(tmp_path, database_url, LONG_AGO)


def ours(chain: object, at: object) -> str:
    """The gateway's seal, and anybody's: what these tests are about is the rest."""
    return ""


def everything(made: Stage) -> dict[str, list[Any]]:
    """Every row of the journey's tables."""
    return made.ledger._read(
        lambda c: {t.name: [tuple(r) for r in c.execute(select(t).order_by(*t.primary_key))] for t in TABLES}
    )


def read(made: Stage, octets: bytes, known: Known = ours) -> Archive:
    """An archive file of these octets."""
    path = made.root / "some.zip"
    path.write_bytes(octets)
    return read_archive(path, known)


def run(made: Stage, before: datetime) -> list[archiving.Written]:
    return list(archiving.archive(made.ledger, before, made.root / "archive", made.own, lambda: made.now))


def test_there_and_back(lived: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archiving, "BATCH", 2)
    old = [lived.day() for _ in range(5)]
    wrong = lived.day(wrong=True)
    lived.seal()
    lived.now += timedelta(days=10)
    young = lived.day()
    before = everything(lived)
    made = run(lived, LONG_AGO + timedelta(days=5))
    assert sum(one.submissions for one in made) == 6
    assert len(made) == 3
    assert lived.ledger.archive_of(old[0]) == made[0].file.name
    assert lived.ledger.archive_of(young) == ""
    left = everything(lived)
    assert len(left["submission"]) == 7
    assert {m[0] for m in left["message"]} == {young}
    assert clean(lived.ledger) == []
    assert [why for _, why in archiving.check(lived.ledger, lived.root / "archive", ours)] == ["", "", ""]
    assert run(lived, LONG_AGO + timedelta(days=5)) == []

    for one in old:
        assert archiving.restore(lived.ledger, lived.root / "archive", one, ours) == [one]
    assert archiving.restore(lived.ledger, lived.root / "archive", made[-1].file.name, ours) == [wrong]
    assert everything(lived) == before
    assert lived.ledger.archives() == []
    assert clean(lived.ledger) == []
    lived.seal()
    assert {s for s, _, _ in verify.verify(lived.bundle(old[0]))} == {verify.OK}


def test_replays_are_known_as_before(lived: Stage) -> None:
    first = settlement("a", body=b"x", reference="R")
    lived.ledger.settle([first])
    lived.ledger.done([d.id for d in first.deliveries], lived.tick())
    assert run(lived, datetime.now(UTC))[0].submissions == 1
    repeated, clash = (
        lived.ledger.settle([settlement("b", body=body, reference="R")])[0] for body in (b"x", b"y")
    )
    assert isinstance(repeated, Answer)
    assert (repeated.repeated, repeated.receipt) == (True, first.receipt)
    assert isinstance(clash, Clash)


def test_what_owes_something_stays(lived: Stage) -> None:
    done, waiting = lived.day(), lived.submit(*lived.declaration())
    assert [one.submissions for one in run(lived, lived.now + timedelta(days=1))] == [1]
    assert lived.ledger.archive_of(waiting) == ""
    assert lived.ledger.archive_of(done) != ""


def test_what_was_spoilt_stays_and_keeps_no_other(lived: Stage) -> None:
    days = [lived.day() for _ in range(3)]
    spoil = text("UPDATE octets SET body = :spoilt WHERE submission = :id")
    lived.ledger._write(lambda c: c.execute(spoil, {"spoilt": b"no frame", "id": days[1]}))
    assert [one.submissions for one in run(lived, lived.now + timedelta(days=1))] == [2]
    assert [bool(lived.ledger.archive_of(day)) for day in days] == [True, False, True]


def test_a_changed_octet_of_an_archive_is_found(lived: Stage) -> None:
    lived.day()
    (made,) = run(lived, lived.now + timedelta(days=1))
    octets, chance = made.file.read_bytes(), random.Random(4)
    for _ in range(300):
        changed = bytearray(octets)
        changed[chance.randrange(len(octets))] ^= chance.randrange(1, 256)
        with pytest.raises(NoArchive):
            read(lived, bytes(changed))
    made.file.write_bytes(octets[:-1])
    assert [bool(why) for _, why in archiving.check(lived.ledger, made.file.parent, ours)] == [True]
    with pytest.raises(archiving.NotThere, match="not the file"):
        archiving.restore(lived.ledger, made.file.parent, made.file.name, ours)
    made.file.unlink()
    with pytest.raises(archiving.NotThere, match="No such file"):
        archiving.restore(lived.ledger, made.file.parent, made.file.name, ours)


def test_an_archive_of_another_key_is_not_restored(lived: Stage) -> None:
    """A forger with the database and the folder, but without the key and the journal."""
    one = lived.day()
    (made,) = run(lived, lived.now + timedelta(days=1))
    files = verify.unpack(made.file.read_bytes())
    forged = verify.pack(files | {"archive.json": files["archive.json"] + b" "})
    with pytest.raises(NoArchive, match=r"archive\.json"):
        read(lived, forged)
    other = lived.issue("Forger", lived.root / "forger")
    changed = files | {"archive.json": files["archive.json"].replace(b"archive 1", b"archive 1"), "x": b""}
    changed["certificates/1.pem"] = (lived.root / "forger" / "signing.crt.pem").read_bytes()
    changed[verify.MANIFEST] = verify.manifest_of(changed)
    changed[verify.SEAL] = other.sign(changed[verify.MANIFEST], lived.now)
    octets = verify.pack(changed)
    assert read(lived, octets)
    with pytest.raises(NoArchive, match="a stranger"):
        read(lived, octets, lambda chain, at: "" if chain[0] == lived.own.certificates[0] else "a stranger")
    made.file.write_bytes(octets)
    digest = verify.sha256(octets)
    lived.ledger._write(lambda c: c.execute(tables.archived.update().values(digest=digest)))
    with pytest.raises(archiving.NotThere, match="journal"):
        archiving.restore(lived.ledger, made.file.parent, one, ours)


def test_a_change_meanwhile_keeps_it_here(lived: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    one = lived.submit(*lived.declaration())
    lived.deliver()
    written = archiving._write

    def late(*what: Any) -> Any:
        path = written(*what)
        lived.decide(one)
        return path

    monkeypatch.setattr(archiving, "_write", late)
    assert run(lived, lived.now + timedelta(days=1)) == []
    assert list((lived.root / "archive").iterdir()) == []
    assert clean(lived.ledger) == []


ARCHIVING = """
import sys, time
from datetime import datetime, timedelta, UTC
from pathlib import Path
from gateway.operations import archiving
from gateway.security import SigningKey
from gateway.storage import Ledger
archiving.BATCH = 2
folder = Path(sys.argv[2])
key = SigningKey.load(folder / "own/signing.key.pem", folder / "own/signing.crt.pem")
ledger = Ledger.open(sys.argv[1])
at = datetime(2021, 6, 2, tzinfo=UTC)
print("ready", flush=True)
for one in archiving.archive(ledger, at, folder / "archive", key, lambda: at):
    print(one.file.name, flush=True)
"""


def test_killed_anywhere_it_can_be_begun_again(lived: Stage, python: str) -> None:
    ids = [lived.day() for _ in range(16)]
    before = everything(lived)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [python, "-c", ARCHIVING, lived.url, str(lived.root)]
    for attempt in range(3):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
        assert process.stdout is not None
        for _ in range(1 + attempt):
            process.stdout.readline()
        time.sleep(0.004 * attempt)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert clean(lived.ledger) == []
        assert {why for _, why in archiving.check(lived.ledger, lived.root / "archive", ours)} <= {""}
    assert subprocess.run(command, capture_output=True, env=environment, check=False).returncode == 0
    assert all(lived.ledger.archive_of(one) for one in ids)
    for one in lived.ledger.archives():
        archiving.restore(lived.ledger, lived.root / "archive", one.name, ours)
    assert everything(lived) == before


@pytest.mark.parametrize(
    ("at", "years", "then"),
    [
        (datetime(2026, 3, 1, tzinfo=UTC), 5, datetime(2021, 3, 1, tzinfo=UTC)),
        (datetime(2028, 2, 29, tzinfo=UTC), 5, datetime(2023, 2, 28, tzinfo=UTC)),
    ],
)
def test_years_before(at: datetime, years: int, then: datetime) -> None:
    assert archiving.years_before(at, years) == then


def test_what_came_meanwhile_does_not_bar_the_way_back(lived: Stage) -> None:
    """SQLite gives positions again whose rows are gone."""
    one = lived.day()
    (made,) = run(lived, lived.now + timedelta(days=1))
    lived.ledger.note([Event(one, lived.tick(), "noted", "after it was archived")])
    lived.day()
    assert archiving.restore(lived.ledger, made.file.parent, one, ours) == [one]
    assert clean(lived.ledger) == []


def test_a_clock_that_was_set_back_is_no_tampering(lived: Stage) -> None:
    one = lived.day()
    (first,) = run(lived, lived.now + timedelta(days=1))
    lived.now -= timedelta(minutes=1)
    assert archiving.restore(lived.ledger, first.file.parent, one, ours) == [one]
    assert clean(lived.ledger) == []
    lived.now -= timedelta(minutes=1)
    (second,) = run(lived, lived.now + timedelta(days=1))
    assert clean(lived.ledger) == []
    assert archiving.restore(lived.ledger, second.file.parent, one, ours) == [one]
    partner = lived.ledger.partner(AN_PHAT.id)
    assert partner is not None
    lived.ledger.put_partner(msgspec.structs.replace(partner, name="First"))
    lived.now -= timedelta(seconds=5)
    other = Ledger.open(lived.url)  # another node, whose clock is behind
    other.clock = lambda: lived.now
    other.put_partner(msgspec.structs.replace(partner, name="Second"))
    other.close()
    assert clean(lived.ledger) == []


def test_an_archive_that_there_is_not(lived: Stage) -> None:
    """An entry that says so, written by who has the database only, and the submission deleted."""
    one = lived.day()

    def forge(connection: Any) -> None:
        text = Entry("ff", 1, lived.now, ARCHIVED, one, Attested(record="00" * 32)).text()
        connection.execute(tables.chain.insert().values(("ff", 1, 0)))
        connection.execute(tables.journal.insert().values(("ff", 1, one, text, entry_hash(FIRST, text))))
        for table in (tables.decision, tables.event, tables.message, tables.octets):
            connection.execute(table.delete().where(table.c.submission == one))

    lived.ledger._write(forge)
    lived.seal()  # the gateway itself signs over it
    assert any("knows no such archive" in breach.why for breach in clean(lived.ledger))


def test_a_very_long_one_goes_and_comes_in_pieces(lived: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices of 10 MB that nothing compresses, and never more of them in memory than some."""
    monkeypatch.setattr(retention, "MOST_OCTETS", 41 * SLICE)
    ids = [lived.day() for _ in range(3)]
    chance = random.Random(1)
    rows = [(one, 1, n, chance.randbytes(SLICE)) for one in ids[:2] for n in range(40)]
    lived.ledger._write(lambda c: [c.execute(tables.slice.insert().values(row)) for row in rows])
    rows.clear()
    before = outline_of(lived)
    tracemalloc.start()
    try:
        made = run(lived, lived.now + timedelta(days=1))
        for one in made:
            archiving.restore(lived.ledger, one.file.parent, one.file.name, ours)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [one.submissions for one in made] == [1, 2]  # a file has no more than there may be in one
    assert outline_of(lived) == before
    assert most < 16 * SLICE, f"{most} octets"
    assert verify.members_of(*opened(made[0].file)).keys() == verify.unpack(made[0].file.read_bytes()).keys()


def test_a_slice_that_is_gone_meanwhile_keeps_it_here(lived: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    one = lived.day()
    lived.ledger._write(lambda c: c.execute(tables.slice.insert().values((one, 1, 0, b"some"))))
    written = archiving._write

    def late(*what: Any) -> Any:
        lived.ledger._write(lambda c: c.execute(tables.slice.delete()))
        return written(*what)

    monkeypatch.setattr(archiving, "_write", late)
    assert run(lived, lived.now + timedelta(days=1)) == []


def outline_of(made: Stage) -> str:
    """The digest of every slice."""
    rows = made.ledger._read(
        lambda c: c.execute(select(tables.slice).order_by(*tables.slice.primary_key)).all()
    )
    return verify.sha256(
        repr([(r.submission, r.part, r.number, verify.sha256(r.octets)) for r in rows]).encode()
    )


def opened(path: Path) -> tuple[Callable[[int, int], bytes], int]:
    octets = path.read_bytes()
    return lambda at, size: octets[at : at + size], len(octets)
