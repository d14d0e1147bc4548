"""Months: on PostgreSQL what is written about submissions is cut into a partition a month, by their ids.

An id begins with ten characters of milliseconds, so that a month is a range of ids.  What is before EARLIEST,
behind LATEST, or no id of ours at all, has a partition of its own: nothing is ever refused for where it belongs.

No lock is taken here that anybody feels.  ``CREATE TABLE ... PARTITION OF`` and plain ``DETACH`` lock the whole
table against everybody; a table made apart and attached, and ``DETACH ... CONCURRENTLY``, let reading and
writing go on.  What has to wait all the same waits LOCK_MS, gives up, and tries again: whoever would queue behind it
goes on meanwhile.  There is no default partition, as that would be searched, and locked, for each of these.
"""

from __future__ import annotations

import bisect
import logging
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
from sqlalchemy import Connection, text

from gateway.storage import tables
from gateway.storage.database import Database
from gateway.storage.faults import LedgerError, LedgerUnavailable, sqlstate

T = TypeVar("T")
log = logging.getLogger("gateway.months")

EARLIEST, LATEST = 2020, 2200
"""Years from and before which there are months."""
AHEAD = 3
"""Months that are there before anything is written into them: nodes may be down, or clocks ahead, for a quarter."""
LOCK_MS = 200
"""How long a change of partitions waits for a lock, and so the most that a statement waits behind it."""
TRIES = 50
"""Before it is given up for now: a backup or an audit may hold what is wanted for a while."""
PAUSE_SECONDS = 0.1
LOCK = 0x6376616D
"""PostgreSQL advisory lock: who has it makes months or takes them out.  It ends with its transaction, or with the
connection of who had it; nobody leads."""

CUT = tuple(table.name for table in tables.metadata.sorted_tables if "by_month" in table.info)
"""The tables that are cut."""
LEAVING = tuple(name for name in CUT if name != "submission")
"""Those whose months are taken out when they are archived."""

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_LOCKED = "55P03"
_ATTACHED = text(
    "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
    "JOIN pg_class p ON p.oid = i.inhparent "
    "WHERE p.relkind = 'p' AND NOT i.inhdetachpending AND pg_table_is_visible(p.oid)"
)


def id_at(at: datetime) -> str:
    """What ids of that millisecond begin with."""
    number = int(at.timestamp() * 1000)
    return "".join(_DIGITS[number >> shift & 31] for shift in range(45, -1, -5))


class Month(msgspec.Struct, frozen=True, order=True):
    """A month of UTC."""

    year: int
    month: int

    @property
    def next(self) -> Month:
        """The one after it."""
        return Month(self.year + self.month // 12, self.month % 12 + 1)

    @property
    def begins(self) -> str:
        """What the ids of its first millisecond begin with: none of an earlier one sorts behind that."""
        return id_at(datetime(self.year, self.month, 1, tzinfo=UTC))

    def __str__(self) -> str:
        return f"{self.year:04d}_{self.month:02d}"


_MONTHS = [Month(year, month) for year in range(EARLIEST, LATEST) for month in range(1, 13)]
_BEGINS = [month.begins for month in _MONTHS]
END = Month(LATEST, 1).begins


def month_of(key: str) -> Month | None:
    """The month in which an id, or what begins with one, is kept; None where that is in none."""
    if not _BEGINS[0] <= key < END:
        return None
    return _MONTHS[bisect.bisect_right(_BEGINS, key) - 1]


def kept(connection: Connection, table: str, before: datetime) -> list[tuple[str, str]]:
    """Ranges (from, to) of the ids before a time that may have rows in a table: not those whose months left it.
    "" is no bound.

    Who asks by another column than the id would look at every row of every month there ever was.
    """
    least, most = _BEGINS[0], id_at(before)
    if connection.dialect.name == "postgresql":
        months = (name.removeprefix(f"{table}_") for name in attached(connection) if name.startswith(table))
        here = sorted(name for name in months if name[0].isdigit())
        least = Month(int(here[0][:4]), int(here[0][5:])).begins if here else END
    return [("", _BEGINS[0]), (least, most), (END, "")]


def coming(now: datetime) -> list[Month]:
    """The month of a time, and those that are made ahead."""
    at = now.astimezone(UTC)
    months = [Month(at.year, at.month)]
    while len(months) <= AHEAD:
        months.append(months[-1].next)
    return months


def partition(table: str, month: Month) -> str:
    """What the partition of a month is called."""
    return f"{table}_{month}"


def attached(connection: Connection) -> set[str]:
    """The names of all partitions that are in their tables."""
    return set(connection.scalars(_ATTACHED))


def make(database: Database, months: Iterable[Month], wanting: str = "") -> int:
    """Make what is missing of these months; how many partitions that were.  ``wanting``: the table that cannot do
    without; where another one's is just being taken out, that is not waited for.

    Raises LedgerUnavailable where locks were never free, LedgerError where the database refuses.
    """
    wanted = {partition(table, month): (table, month) for month in months for table in CUT}
    if database.dialect != "postgresql":
        return 0
    missing = wanted.keys() - database.read(attached)
    if not missing:
        return 0
    these = [wanted[name] for name in sorted(missing)]
    made = patiently(lambda: database.write(lambda c: _make(c, these, wanting)))
    log.info("%d partitions made: %s", made, ", ".join(sorted({str(wanted[name][1]) for name in missing})))
    return made


def _make(connection: Connection, wanted: Iterable[tuple[str, Month]], wanting: str) -> int:
    hold(connection)
    there, going, count = attached(connection), pending_partitions(connection), 0
    for table, month in wanted:
        name = partition(table, month)
        if name in there or (name in going and table != wanting):
            continue
        if existing(connection, [name]):  # it is being taken out, and who does that has not come further
            detach(connection, table, month)
        connection.execute(text(f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL)"))
        connection.execute(
            text(
                f"ALTER TABLE {table} ATTACH PARTITION {name} "
                f"FOR VALUES FROM ('{month.begins}') TO ('{month.next.begins}')"
            )
        )
        count += 1
    return count


def leaving(table: str, month: Month) -> str:
    """What a partition is called that was taken out and is not dropped yet."""
    return f"{table}_{month}_leaving"


def existing(connection: Connection, names: Iterable[str]) -> list[str]:
    """Of these names those of tables, attached or not."""
    found = text("SELECT relname FROM pg_class WHERE relname = ANY(:names) AND pg_table_is_visible(oid)")
    return sorted(connection.scalars(found, {"names": list(names)}))


def pending_partitions(connection: Connection) -> set[str]:
    """Those whose detaching was begun and not ended."""
    found = (
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhdetachpending"
    )
    return set(connection.scalars(text(found)))


def detach(connection: Connection, table: str, month: Month) -> None:
    """Take a partition out, or go on where somebody began to; it is then called `leaving`.  What was taken out
    before is left alone, and what there is under its name since."""
    name, gone = partition(table, month), leaving(table, month)
    if existing(connection, [gone]):
        return
    pending = name in pending_partitions(connection)
    if pending or name in attached(connection):
        if not pending and _is_read(connection, name):
            raise LedgerUnavailable(f"{name} is read by somebody")
        how = "FINALIZE" if pending else "CONCURRENTLY"
        connection.execute(text(f"ALTER TABLE {table} DETACH PARTITION {name} {how}"))
    if existing(connection, [name]):
        connection.execute(text(f"ALTER TABLE {name} RENAME TO {gone}"))


def _is_read(connection: Connection, name: str) -> bool:
    """Whether somebody has it open, as a backup has: once begun, detaching would wait for that one's end, and who
    writes into the month would wait too."""
    open_ = text(
        "SELECT 1 FROM pg_locks WHERE relation = to_regclass(:name) AND pid <> pg_backend_pid() LIMIT 1"
    )
    return connection.scalar(open_, {"name": name}) is not None


def hold(connection: Connection) -> None:
    """Until the transaction ends nobody else changes months; what has to be waited for is given up soon."""
    connection.execute(text(f"SET LOCAL lock_timeout = {LOCK_MS}"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})


def patiently(work: Callable[[], T]) -> T:
    """Work that gives up waiting for a lock is tried again."""
    for _ in range(TRIES - 1):
        try:
            return work()
        except LedgerError as error:
            if sqlstate(error) not in (_LOCKED, "") or not isinstance(error, LedgerUnavailable):
                raise
        time.sleep(PAUSE_SECONDS)
    return work()


def mend(database: Database, table: str, key: str) -> None:
    """Make the month that a row is for which found none: a clock was ahead, or the month is long gone."""
    month = month_of(key)
    if month is None:
        raise LedgerError(f"no partition takes {key[:40]}")
    make(database, [month], wanting=table)


def keep_ahead(database: Database, now: datetime) -> int:
    """Make the coming months where they are not; how many partitions.  What hinders that is logged: nothing
    fails for want of a month, as whoever finds none makes it."""
    try:
        return make(database, coming(now))
    except LedgerError as error:
        said = log.info if isinstance(error, LedgerUnavailable) else log.error
        said("no months made ahead: %s", error)
        return 0
