"""``python -m tests.drills.restore``: a home is put away under load and brought back elsewhere, on both
databases; a database is recovered to a marked time; a standby is read, promoted, and serves.

Exit code 1 where a receipt's submission is missing from what should have it, a journal is not whole, or
partners that send again do not end with one registration each.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.operations import settings
from tests.chaos.databases import Books
from tests.drills.clusters import Clone, Primary
from tests.drills.load import (
    Held,
    Load,
    await_registered,
    checkpoints_often,
    pointed,
    resend,
    stored,
)
from tests.journeys.process import Process
from tests.journeys.town import Town
from tests.operations.shell import Said, cvan, cvan_alone
from tests.postgres import PostgresServer, postgres_required


@dataclass
class Told:
    """What a drill found: ``before``: receipts that had to be there; ``after``: those of later."""

    drill: str
    before: int = 0
    after: int = 0
    known: int = 0
    fresh: int = 0
    seconds: float = 0.0
    slowest: float = 0.0

    def line(self) -> str:
        return (
            f"{self.drill:24} {self.before:5} before, {self.after:4} after; sent again: {self.known} known, "
            f"{self.fresh} new; {self.seconds:.1f} s; slowest answer {self.slowest:.2f} s"
        )


def backup_under_load(root: Path, server: Primary | None, count: int) -> Told:
    """`cvan backup` while traders declare; `cvan restore` elsewhere; everybody sends again."""
    drill = Told(f"backup, {'postgresql' if server else 'sqlite'}")
    with _gateway(root, server) as (town, load):
        load.until(count)
        began, clock = time.time(), time.monotonic()
        made = _good(cvan_alone("backup", root / "home.tar", "--with-keys", "--json", home=town.home)).json()
        drill.seconds, ended = time.monotonic() - clock, time.time()
        load.until(count)
        while _checkpoint(town.home) <= made["position"]["checkpoint"]:
            time.sleep(0.1)
        load.end()
        town.gateway.kill()
        given = _given(_books(town.home))
        witness = town.home / "journal.json"
        elsewhere = root / "elsewhere"
        more = ("--database", server.url(server.create())) if server else ()
        back = cvan_alone("restore", root / "home.tar", elsewhere, "--witness", witness, *more, "--json")
        assert _good(back).json()["breaches"] == []
        assert back.json()["checkpoints_after"] > 0
        books = _books(elsewhere)
        there = stored(books)
        _split(drill, load, there, lambda one: one.answered < began, lambda one: one.sent > ended)
        _go_on(drill, town, elsewhere, load, books)
        _never_twice(given, books)
    return drill


def point_in_time(root: Path, server: Primary, count: int) -> Told:
    """Base backup, load, a marked time, load, the server's disk lost; a new server as of that time."""
    drill = Told("point in time")
    clone = Clone(server.binaries)
    try:
        with _gateway(root, server) as (town, load):
            server.base_backup(clone.data, "--wal-method=stream")
            load.until(count)
            marked = time.time()
            load.until(count)
            server.archived()
            load.end()
            town.gateway.kill()
            given = _given(_books(town.home))
            server.crash()
            shutil.rmtree(server.folder / "data")
            clock = time.monotonic()
            moment = datetime.fromtimestamp(marked, UTC).isoformat()
            clone.recover(server.archive, moment)
            drill.seconds = time.monotonic() - clock
            pointed(town.home, str(server.folder), str(clone.folder))
            books = _books(town.home)
            _split(
                drill, load, stored(books), lambda one: one.answered < marked, lambda one: one.sent > marked
            )
            _good(cvan_alone("partner", "list", home=town.home))
            newer = cvan_alone("journal", "verify", home=town.home)
            assert newer.code == 1, newer.text
            assert "journal.json" in newer.text.splitlines()[0], newer.text
            _good(cvan_alone("skip-numbers", "1000000", home=town.home))
            _go_on(drill, town, town.home, load, books)
            _never_twice(given, books)
    finally:
        clone.discard()
    return drill


READING = (
    ("journal", "verify"),
    ("deliveries", "list"),
    ("partner", "list"),
    ("mandate", "list"),
    ("archive", "list"),
)
"""What reads the ledger and nothing else."""


def standby(root: Path, server: Primary, count: int) -> Told:
    """A synchronous standby: read while it follows, then the primary dies, it is promoted, and serves."""
    drill = Told("standby")
    clone = Clone(server.binaries)
    try:
        with _gateway(root, server) as (town, load):
            slot = ("--write-recovery-conf", "--create-slot", "--slot=reading")
            server.base_backup(clone.data, *slot, name="reading")
            clone.follow()
            server.set("synchronous_standby_names", "reading")
            load.until(count)
            reading = root / "reading"
            shutil.copytree(town.home, reading, ignore=shutil.ignore_patterns("run", "*.log"))
            pointed(reading, str(server.folder), str(clone.folder))
            _read(reading, root)
            load.until(count)
            load.end()
            server.crash()
            town.gateway.kill()
            clock = time.monotonic()
            clone.promote()
            drill.seconds = time.monotonic() - clock
            pointed(town.home, str(server.folder), str(clone.folder))
            books = _books(town.home)
            _split(drill, load, stored(books), lambda one: True, lambda one: False)
            _good(cvan("journal", "verify", home=town.home))
            _go_on(drill, town, town.home, load, books)
    finally:
        clone.discard()
    return drill


def _read(home: Path, root: Path) -> None:
    """The reading commands, and a backup, work at a standby; what writes is refused in one line."""
    for command in READING:
        _good(cvan(*command, home=home))
    _good(cvan_alone("backup", root / "standby.tar", home=home))
    for command in (("journal", "checkpoint"), ("partner", "suspend", "anphat")):
        refused = cvan(*command, home=home)
        assert refused.code == 2, (command, refused)
        assert "ReadOnlySqlTransaction" in refused.err, refused.err
        assert "Traceback" not in refused.err


def _split(
    drill: Told,
    load: Load,
    there: set[str],
    before: Callable[[Held], bool],
    after: Callable[[Held], bool],
) -> None:
    """What was answered before is there, what was sent after is not; between, either."""
    lost = [one.submission for one in load.held if before(one) and one.submission not in there]
    assert not lost, f"acknowledged before, and not there: {lost[:5]} of {len(lost)}"
    early = [one.submission for one in load.held if after(one) and one.submission in there]
    assert not early, f"sent after, and there: {early[:5]} of {len(early)}"
    drill.before = sum(before(one) for one in load.held)
    drill.after = sum(after(one) for one in load.held)
    drill.slowest = load.slowest
    assert drill.before, "nothing was acknowledged in time"


def _go_on(drill: Told, town: Town, home: Path, load: Load, books: Books) -> None:
    """Somebody vouches for the ledger, it serves, everybody sends again: one registration for each."""
    _good(cvan_alone("journal", "checkpoint", "--restored", home=home))
    _good(cvan("journal", "verify", home=home))
    gateway = Process(home)
    try:
        gateway.start()
        sent = resend(town, gateway, load.held)
        assert not sent.wrong, sent.wrong[:3]
        drill.known, drill.fresh = sent.known, sent.fresh
        assert drill.known >= drill.before
        assert drill.fresh >= drill.after
        await_registered(books, load.held)
    finally:
        gateway.sweep()
    _good(cvan("journal", "verify", home=home))


def _given(books: Books) -> dict[str, str]:
    """Registration numbers, and for which declaration each was given."""
    return dict(books.ask(books.office, "select registration, lrn from clearance_case"))


def _never_twice(given: dict[str, str], books: Books) -> None:
    """No number of before the disaster is another declaration's after it."""
    now = _given(books)
    twice = [number for number, lrn in given.items() if now.get(number, lrn) != lrn]
    assert not twice, f"given twice: {twice[:5]} of {len(twice)}"


@contextmanager
def _gateway(root: Path, server: PostgresServer | None) -> Iterator[tuple[Town, Load]]:
    """A town whose gateway serves, under load."""
    urls = ("sqlite:///ledger.db", "sqlite:///clearance.db")
    if server is not None:
        urls = (server.url(server.create()),) * 2
    town = Town(root, *urls)
    load = Load(town, town.gateway)
    try:
        town.ledger.close()
        checkpoints_often(town.home)
        town.gateway.start()
        load.begin()
        yield town, load
    finally:
        load.end()
        town.close()


def _books(home: Path) -> Books:
    chosen = settings.load(home).database
    return Books(settings.database_url(home, chosen.ledger), settings.database_url(home, chosen.clearance))


def _checkpoint(home: Path) -> int:
    noted: dict[str, Any] = json.loads((home / "journal.json").read_bytes())
    return int(noted["number"])


def _good(said: Said) -> Said:
    assert said.code == 0, (said.code, said.text[-2000:], said.err[-2000:])
    return said


DRILLS: dict[str, Callable[[Path, Primary | None, int], Told]] = {
    "sqlite": lambda root, server, count: backup_under_load(root, None, count),
    "postgresql": backup_under_load,
    "point-in-time": point_in_time,  # type: ignore[dict-item]
    "standby": standby,  # type: ignore[dict-item]
}


def drill(name: str, root: Path, count: int) -> Told:
    """One of DRILLS, on a server of its own; ``count``: declarations in each half of the load."""
    if name == "sqlite":
        return DRILLS[name](root, None, count)
    server = Primary(postgres_required())
    try:
        return DRILLS[name](root, server, count)
    finally:
        server.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog="restore", description=__doc__)
    parser.add_argument("drills", nargs="*", default=list(DRILLS), metavar="DRILL", help=", ".join(DRILLS))
    parser.add_argument("--count", type=int, default=200, help="declarations before, and after")
    given = parser.parse_args()
    unknown = [name for name in given.drills if name not in DRILLS]
    if unknown:
        parser.error(f"no drill {', '.join(unknown)}; there are {', '.join(DRILLS)}")
    failed = False
    for name in given.drills:
        root = Path(tempfile.mkdtemp(prefix="cvan-drill-"))
        try:
            print(drill(name, root, given.count).line(), flush=True)
        except AssertionError as error:
            failed = True
            print(f"{name}: FAILED: {error}", flush=True)
        finally:
            shutil.rmtree(root, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
