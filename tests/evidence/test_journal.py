"""The journal's writing side: entries with what they attest, no gaps, no waiting, nothing told of content."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import select, text

from gateway.storage import Ledger, LedgerError, tables
from gateway.storage.database import Database
from gateway.storage.journal import Journal, Page
from tests.storage.making import NOW, SECOND, recorded, settlement

from .kit import clean, journal_of


@pytest.fixture
def ledger(database_url: str) -> Ledger:
    return Ledger.open(database_url)


def kinds(ledger: Ledger, about: str) -> list[str]:
    return [entry.kind for entry in journal_of(ledger) if entry.about == about]


def test_every_act_leaves_an_entry(ledger: Ledger) -> None:
    ledger.settle([settlement("a"), settlement("b")])
    ledger.refuse("VAN1", "https", "SIG001", "00", NOW)
    due = ledger.claim_due("backend:clearance", "me", NOW, SECOND, 10)
    ledger.done([due[0].id], NOW)
    ledger.dead(due[1].id, "no", NOW)
    ledger.revive([due[1].id], NOW)
    ledger.record([recorded("D1", "a.1", push=True)])
    ledger.acknowledge("VAN1", ["a.1.D1.d", "b.r"])
    ledger.resend("a.1.D1.d", NOW)
    joined = settlement("c", body=b"<MetaData>a</MetaData>", reference="REF-a", partner="VAN2")
    ledger.settle([joined])
    assert kinds(ledger, "a") == ["received", "delivered", "decided", "acknowledged", "resent", "repeated"]
    assert kinds(ledger, "b") == ["received", "delivery-dead", "delivery-revived", "acknowledged"]
    assert sorted(kinds(ledger, "")) == ["opened", "refused"]
    assert clean(ledger) == []


def test_nothing_new_leaves_nothing(ledger: Ledger) -> None:
    ledger.settle([settlement("a")])
    ledger.record([recorded("D1", "a.1")])
    ledger.acknowledge("VAN1", ["a.r"])
    before = len(journal_of(ledger))
    ledger.settle([settlement("a")])
    ledger.settle([settlement("z", body=b"<MetaData>a</MetaData>", reference="REF-a")])
    ledger.record([recorded("D1", "a.1")])
    ledger.acknowledge("VAN1", ["a.r"])
    ledger.done(["nothing"], NOW)
    assert len(journal_of(ledger)) == before


def test_no_content_is_journalled(ledger: Ledger) -> None:
    secret = "Bí mật kinh doanh"
    ledger.settle([settlement("a", body=secret.encode())])
    ledger.record([recorded("D1", "a.1")])
    texts = json.dumps([entry.text() for entry in journal_of(ledger)], ensure_ascii=False)
    assert secret not in texts
    assert "Đã nhận" not in texts
    assert "LRN-a-1" not in texts


def test_a_transaction_that_is_undone_leaves_no_gap(ledger: Ledger) -> None:
    ledger.settle([settlement("a")])
    for n in range(3):
        with pytest.raises(LedgerError):
            ledger.settle([settlement(f"new{n}"), settlement("a", body=b"other", reference="other")])
    ledger.settle([settlement("b")])
    found = journal_of(ledger)
    assert len({entry.chain for entry in found}) == 1
    assert [entry.seq for entry in found] == list(range(1, len(found) + 1))
    assert clean(ledger) == []


def test_a_commit_that_was_not_heard_of_begins_a_new_chain(database_url: str) -> None:
    """The answer to COMMIT is lost: the entries are there, and nobody may write over them."""
    database = Database(database_url)
    real = database.write
    lost = []

    def write(work):  # type: ignore[no-untyped-def]
        result = real(work)
        if len(lost) == 1:
            lost.append(True)
            raise LedgerError("the connection was lost")
        lost.append(True)
        return result

    database.write = write  # type: ignore[method-assign]
    ledger = Ledger(database)
    ledger.settle([settlement("a")])
    with pytest.raises(LedgerError):
        ledger.settle([settlement("b")])
    ledger.settle([settlement("b"), settlement("c")])
    assert len({entry.chain for entry in journal_of(ledger)}) == 2
    assert [kinds(ledger, i) for i in "abc"] == [["received"]] * 3
    assert clean(ledger) == []


def test_a_repeated_transaction_after_a_lost_commit(database_url: str) -> None:
    """Database.write repeats the work by itself: what the first time wrote stays, in its own chain."""
    database = Database(database_url)

    class Twice:
        def write(self, work):  # type: ignore[no-untyped-def]
            database.write(work)
            return database.write(work)

    journal = Journal(Twice(), lambda: NOW)  # type: ignore[arg-type]

    def work(connection: object, page: Page) -> None:
        page.add("noted", "a", page_of())

    journal.write(work)
    journal.write(work)
    assert clean(Ledger(database)) == []


def page_of():  # type: ignore[no-untyped-def]
    from gateway.evidence.entries import Attested

    return Attested(note="x")


def test_writers_at_the_same_time_have_chains_of_their_own(database_url: str) -> None:
    ledgers = [Ledger.open(database_url) for _ in range(2)]

    def work(writer: int) -> None:
        for n in range(8):
            ledgers[writer % 2].settle([settlement(f"w{writer}-{n}")])

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = journal_of(ledgers[0])
    assert sum(entry.kind == "received" for entry in found) == 48
    chains = {entry.chain for entry in found}
    assert 2 <= len(chains) <= 6
    for chain in chains:
        seqs = sorted(entry.seq for entry in found if entry.chain == chain)
        assert seqs == list(range(1, len(seqs) + 1))
    assert clean(ledgers[0]) == []


SETTLING = """
import sys
from gateway.storage import Ledger
from tests.storage.making import settlement
ledger = Ledger.open(sys.argv[1])
for n in range(100000):
    ledger.settle([settlement(f"{sys.argv[2]}-{n}-{m}") for m in range(5)])
    print(n, flush=True)
"""


def test_the_last_free_chain_is_taken_by_another_thread(ledger: Ledger) -> None:
    class Free(list[object]):
        """Has one, until somebody wants it."""

        def __len__(self) -> int:
            return 1

    vars(ledger._attest.__self__)["_free"] = Free()  # type: ignore[attr-defined]
    ledger.refuse("VAN1", "https", "SIG001", "00" * 32, NOW)
    assert ledger.counts().refusals == {"SIG001": 1}


def test_killed_anywhere_the_journal_is_whole(database_url: str, tmp_path: Path) -> None:
    """Two nodes, each killed in the midst of its work, thrice."""
    for round_ in range(3):
        nodes = [
            subprocess.Popen(
                [sys.executable, "-c", SETTLING, database_url, f"{round_}{node}"],
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            )
            for node in "ab"
        ]
        for node in nodes:
            assert node.stdout is not None
            node.stdout.readline()
        time.sleep(0.05 * (round_ + 1))
        for node in nodes:
            node.send_signal(signal.SIGKILL)
            node.wait()
            assert node.stdout is not None
            node.stdout.close()
    ledger = Ledger.open(database_url)
    assert clean(ledger) == []
    found = journal_of(ledger)
    assert len({entry.chain for entry in found}) >= 6
    with Database(database_url).engine.connect() as connection:
        stored = connection.scalar(text("SELECT count(*) FROM submission"))
        assert stored == sum(entry.kind == "received" for entry in found) > 0
        assert connection.scalar(select(tables.chain.c.covered).limit(1)) == 0
