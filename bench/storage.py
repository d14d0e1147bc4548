"""What a message costs in the ledger: octets kept, rows and log written, and how fast commits are.

    python -m bench.storage [--messages 20000] [--only sqlite|postgresql] [--rounds 5] [--json]

A few declarations go through the whole journey, with real signatures and mapping; what it made of them is
renumbered until there are enough.  Each then lives its life: settled, handed over, decided four times with a
signed answer each, everything acknowledged.  What is kept is counted from the database's own books and scaled to
a million submissions.  Commits alone are timed on an empty ledger; the best of the rounds counts.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from sqlalchemy import Connection, event

from gateway import outbound
from gateway.intake import settlement, work
from gateway.model import Answer, Decision, DecisionKind, Event, Outgoing, Submission
from gateway.storage import Ledger, Recorded, Settlement
from gateway.transport import identifier
from tests.evidence.kit import AN_PHAT, Stage, stage
from tests.postgres import PostgresServer, postgres_binaries

KINDS = (DecisionKind.REGISTERED, DecisionKind.GREEN, DecisionKind.RELEASED, DecisionKind.CLEARED)
ORIGINALS = 8
"""Declarations that go through the journey; all that follows is made of these."""
BATCHES = (10, 100)
"""Settlements in one commit, as a door makes them at ease and under load."""
TIMED = 2_000
"""Settlements that are timed in one round."""
COURIER = 50
"""Deliveries, decisions and acknowledgements in one commit."""
MILLION = 1_000_000
LEASE = timedelta(seconds=60)


class Figures(msgspec.Struct):
    """``kept``: octets of one submission's life by table or index; ``rows``, ``log``: written for one life;
    ``settled``: rows and octets of log for the settlement alone; ``rates``: settlements a second by batch;
    ``lives``: whole lives a second."""

    kept: dict[str, float]
    rows: float
    log: float
    settled: tuple[float, float]
    rates: dict[int, float]
    lives: float


class Originals:
    """What the journey made of a few declarations, renumbered for as many as are wanted."""

    def __init__(self, made: Stage) -> None:
        self._now = made.now
        self._settled: list[Settlement] = []
        for number in range(ORIGINALS):
            body, media_type = made.declaration()
            taken = Submission(f"x{number}", AN_PHAT.id, "https", media_type, body, "d", made.now)
            worked = work(taken, made.book, made.own, made.numbers, made.now)
            self._settled.append(settlement(taken, worked, "clearance", made.now, claim=True))
        self._answers = _answers(made)

    def settlement(self, number: int) -> Settlement:
        """The one of this number, with an id, octets' digest and references of its own."""
        one = self._settled[number % ORIGINALS]
        at = self._now + timedelta(milliseconds=number)
        identity = identifier.new(at, os.urandom(identifier.RANDOM_OCTETS))
        digest, reference = hashlib.sha256(identity.encode()).hexdigest(), f"VN{number:012d}"
        verdict = msgspec.structs.replace(
            one.verdict,
            claim=f"IM:{reference}",
            reference=reference,
            messages=tuple(msgspec.structs.replace(m, lrn=reference) for m in one.verdict.messages),
        )
        message = f"{identity}.1"
        return msgspec.structs.replace(
            one,
            submission=msgspec.structs.replace(one.submission, id=identity, digest=digest, received_at=at),
            verdict=verdict,
            receipt=msgspec.structs.replace(
                one.receipt, id=f"{identity}.r", about=identity, reference=reference
            ),
            deliveries=tuple(
                msgspec.structs.replace(d, id=message, payload=message, lane=f"{AN_PHAT.id} {reference}")
                for d in one.deliveries
            ),
            events=tuple(msgspec.structs.replace(e, about=identity) for e in one.events),
        )

    def answer(self, submission: str, number: int, kind: DecisionKind) -> Recorded:
        """A decision on a submission's message, with its signed answer."""
        message, nth = f"{submission}.1", KINDS.index(kind)
        identity = f"26VN{number:014d}-{nth:04d}"
        told = msgspec.structs.replace(self._answers[kind], id=f"{message}.{identity}.d", about=message)
        decision = Decision(identity, message, kind, self._now, f"26VN{number:014d}")
        return Recorded(decision, told, None, (Event(message, self._now, kind.value, decision.registration),))


def _answers(made: Stage) -> dict[DecisionKind, Outgoing]:
    message = f"{made.submit(*made.declaration())}.1"
    to = made.ledger.routes([message])[message]
    about = outbound.About(to.lrn, to.reference, "26VN00000000000001")
    found = {}
    for kind in KINDS:
        taken = Decision("D", message, kind, made.now, about.registration)
        draft = outbound.decision(taken, about, to.route, made.book, "1", made.now)
        media_type, body = outbound.seal(draft, to.route, made.own, made.now)
        found[kind] = Outgoing("", AN_PHAT.id, kind.value, "", to.lrn, media_type, body, made.now)
    return found


def live(ledger: Ledger, of: Originals, numbers: Sequence[int], now: datetime, batch: int) -> None:
    """Settled, handed over, decided, everything acknowledged."""
    ids = []
    for start in range(0, len(numbers), batch):
        answers = ledger.settle([of.settlement(n) for n in numbers[start : start + batch]])
        ids += [a.submission for a in answers if isinstance(a, Answer)]
    while due := ledger.claim_due("backend:clearance", "bench", now, LEASE, COURIER):
        ledger.done([d.id for d in due], now)
    for start in range(0, len(ids), COURIER):
        some = list(zip(ids, numbers, strict=True))[start : start + COURIER]
        told = [f"{i}.r" for i, _ in some]
        for kind in KINDS:
            batch_ = [of.answer(i, n, kind) for i, n in some]
            ledger.record(batch_)
            told += [one.outgoing.id for one in batch_ if one.outgoing is not None]
        ledger.acknowledge(AN_PHAT.id, told)


def rate(ledger: Ledger, of: Originals, first: int, batch: int, rounds: int) -> float:
    """Settlements a second, the best of some rounds."""
    best = 0.0
    for nth in range(rounds):
        begin = first + nth * TIMED
        piles = [
            [of.settlement(n) for n in range(start, start + batch)]
            for start in range(begin, begin + TIMED, batch)
        ]
        begun = time.perf_counter()
        for pile in piles:
            ledger.settle(pile)
        best = max(best, TIMED / (time.perf_counter() - begun))
    return best


# -- what the databases say ------------------------------------------------------------------------------


class Books:
    """What a database says of itself."""

    def __init__(self, ledger: Ledger) -> None:
        self._database = ledger._database
        self._changes: list[int] = []
        self._log = Path(str(self._database.engine.url.database) + "-wal")
        if self._database.dialect == "sqlite":
            event.listen(self._database.engine, "connect", _without_checkpoints)
            self._database.engine.dispose()  # the connections to come hear of it

    def kept(self) -> dict[str, int]:
        """Octets by table and index; of a partitioned one, of all its partitions together."""
        return self._database.write(_kept)

    def written(self) -> tuple[int, int]:
        """Rows inserted, changed and deleted so far, and octets of log."""
        if self._database.dialect == "sqlite":
            changed: int = self._database.write(lambda c: c.connection.total_changes)  # type: ignore[attr-defined]
            return changed, self._log.stat().st_size if self._log.exists() else 0
        self._database.write(lambda c: c.exec_driver_sql("SELECT pg_stat_force_next_flush()").all())
        return self._database.write(_written)


def _without_checkpoints(dbapi: object, _record: object) -> None:
    dbapi.execute("PRAGMA wal_autocheckpoint=0")  # type: ignore[attr-defined]


def _kept(connection: Connection) -> dict[str, int]:
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql("SELECT name, sum(pgsize) FROM dbstat GROUP BY name")
        return {row[0]: row[1] for row in rows}
    rows = connection.exec_driver_sql(
        "SELECT regexp_replace(relname, '(_[0-9]{4}_[0-9]{2}|_early|_late)', ''), pg_table_size(c.oid) "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
        "WHERE relkind IN ('r', 'i') AND nspname = 'public'"
    )
    found: dict[str, int] = {}
    for name, size in rows:
        found[name] = found.get(name, 0) + size
    return found


def _written(connection: Connection) -> tuple[int, int]:
    rows = connection.exec_driver_sql(
        "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables"
    ).scalar()
    log = connection.exec_driver_sql("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn").scalar()
    return int(rows or 0), int(log or 0)


@contextmanager
def database(kind: str, root: Path) -> Iterator[str]:
    """The URL of an empty one."""
    if kind == "sqlite":
        yield f"sqlite:///{root / 'ledger.db'}"
        return
    binaries = postgres_binaries()
    if binaries is None:
        raise SystemExit("PostgreSQL's initdb and postgres are not installed")
    server = PostgresServer(binaries)
    try:
        yield server.url(server.create())
    finally:
        server.close()


def measured(kind: str, of: Originals, messages: int, rounds: int) -> Figures:
    """All figures of one database."""
    with tempfile.TemporaryDirectory(prefix="cvan-bench-") as folder, database(kind, Path(folder)) as url:
        ledger = Ledger.open(url, create=True)
        rates = {
            batch: rate(ledger, of, (nth + 1) * 10_000_000, batch, rounds)
            for nth, batch in enumerate(BATCHES)
        }
        ledger.close()
    with tempfile.TemporaryDirectory(prefix="cvan-bench-") as folder, database(kind, Path(folder)) as url:
        ledger = Ledger.open(url, create=True)
        books = Books(ledger)
        empty, few = books.kept(), min(messages, TIMED)
        before = books.written()
        for start in range(0, few, 10):
            ledger.settle([of.settlement(n) for n in range(start, start + 10)])
        settled = books.written()
        now = datetime.now(UTC)
        while due := ledger.claim_due("backend:clearance", "bench", now, LEASE, COURIER):
            ledger.done([d.id for d in due], now)
        lived = books.written()
        begun = time.perf_counter()
        for start in range(few, messages, TIMED):
            live(ledger, of, range(start, min(start + TIMED, messages)), now, 10)
            if start == few:
                once = books.written()
        lives = (messages - few) / (time.perf_counter() - begun)
        after = books.kept()
        ledger.close()
    count = min(TIMED, messages - few)
    return Figures(
        kept={n: (size - empty.get(n, 0)) / messages for n, size in sorted(after.items())},
        rows=(once[0] - lived[0]) / count,
        log=(once[1] - lived[1]) / count,
        settled=((settled[0] - before[0]) / few, (settled[1] - before[1]) / few),
        rates=rates,
        lives=lives,
    )


def told(kind: str, figures: Figures) -> str:
    """Figures to read."""
    lines = [f"{kind}: settlements a second"]
    lines += [f"  {rate:9.0f} at {batch} in a commit" for batch, rate in figures.rates.items()]
    lines.append(f"  {figures.lives:9.0f} whole lives")
    lines.append(
        f"written for a settlement: {figures.settled[0]:.1f} rows, {figures.settled[1]:.0f} octets of log"
    )
    lines.append(f"written for a whole life: {figures.rows:.1f} rows, {figures.log:.0f} octets of log")
    lines.append("kept of a million submissions, MB")
    for name, size in sorted(figures.kept.items(), key=lambda item: -item[1]):
        if size * MILLION >= 1_000_000:
            lines.append(f"  {size:9.0f} {name}")
    lines.append(f"  {sum(figures.kept.values()):9.0f} in all")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--messages", type=int, default=20_000, help="more than 2,000")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--only", choices=("sqlite", "postgresql"))
    arguments.add_argument("--json", action="store_true")
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="cvan-bench-") as folder:
        made = stage(Path(folder), f"sqlite:///{Path(folder) / 'stage.db'}", algorithm="rsa")
        of = Originals(made)
        for kind in (asked.only,) if asked.only else ("sqlite", "postgresql"):
            figures = measured(kind, of, asked.messages, asked.rounds)
            print(
                json.dumps({kind: msgspec.to_builtins(figures, str_keys=True)})
                if asked.json
                else told(kind, figures)
            )
        made.ledger.close()


if __name__ == "__main__":
    main()
