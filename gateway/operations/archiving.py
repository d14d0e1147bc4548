"""Archiving: old submissions go to sealed files, which are read back before anything is deleted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from cryptography import x509

from gateway import security
from gateway.evidence.archives import Archive, Known, NoArchive, Row, read_archive
from gateway.evidence.packing import Packing, write_archive
from gateway.operations.repeating import repeat
from gateway.operations.writing import digest_of, rename_durably, write_whole
from gateway.storage import GroupCommit, Ledger, LedgerError, LedgerUnavailable, Overloaded
from gateway.storage.retention import Changed, outline

log = logging.getLogger("gateway.archive")

BATCH = 200
"""Submissions in one file and in one transaction: some megabytes, and a second's work."""
DAY = timedelta(days=1)
LOOK_SECONDS = 5.0
"""How soon a node that takes over from another one begins."""


class Written(msgspec.Struct, frozen=True):
    """An archive file that was made."""

    file: Path
    digest: str
    submissions: int


class NotThere(Exception):
    """An archive file is missing or is not the one that was written; the text says which and why."""


def years_before(at: datetime, years: int) -> datetime:
    """The same day so many years earlier; of 29 February, 28 February."""
    try:
        return at.replace(year=at.year - years)
    except ValueError:
        return at.replace(year=at.year - years, day=28)


def archive(
    ledger: Ledger,
    before: datetime,
    folder: Path,
    key: security.SigningKey,
    now: Callable[[], datetime],
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Written]:
    """Move what was received before a time into files of the folder, a batch at a time.

    May be ended at any moment and begun again: a file is whole before it has its name, it is read back
    before its rows are deleted, and they are deleted together, on PostgreSQL with their month.  Raises OSError,
    LedgerError, NoArchive; KeyUnusable where the key cannot sign.
    """
    folder.mkdir(parents=True, exist_ok=True)
    after, more = "", True
    while more and not stop():
        ids, after = ledger.old(before, after, BATCH)
        more = bool(after)
        if not ids:
            continue
        at = now()
        ids, packing = _packed(ledger, ids, folder)
        if not ids:
            continue
        pieces = write_archive(packing, ids, before, partial(key.sign, now=at), key.certificates, at)
        path, digest = _write(folder, ids[0], pieces)
        kept = outline(_read(path, digest, _just_signed).rows())
        try:
            ledger.remove(ids, kept, path.name, digest)
        except Changed:
            # It is not old enough to be left alone; the next run takes it.
            path.unlink()
            continue
        log.info("archived %d submissions in %s", len(ids), path.name)
        yield Written(path, digest, len(ids))
    if not stop():
        _depart(ledger)


def _packed(ledger: Ledger, ids: list[str], folder: Path) -> tuple[list[str], Packing]:
    """Those whose rows can be read, with these: what was spoilt stays where the journal tells of it, and keeps
    nobody else."""

    def pack(rows: Iterator[Row]) -> Packing:
        return Packing(folder).put(rows)

    try:
        return ids, ledger.dumped(ids, pack)
    except ValueError:
        log.warning("something stored cannot be read; each alone")
    sound = []
    for identity in ids:
        try:
            ledger.dumped([identity], pack)
        except ValueError as error:
            log.error("cannot be archived: %s", error, extra={"submission": identity})
        else:
            sound.append(identity)
    return sound, ledger.dumped(sound, pack) if sound else Packing(folder)


def _depart(ledger: Ledger) -> None:
    """On PostgreSQL: drop the partitions of months that are wholly archived by now."""
    for month in ledger.archived_months():
        try:
            if ledger.depart(month):
                log.info("the month %s is archived whole, and its partitions are dropped", month)
        except LedgerUnavailable as error:
            log.warning("the month %s stays for now: %s", month, error)


def _just_signed(chain: tuple[x509.Certificate, ...], at: datetime) -> str:
    """What was written here a moment ago has our own seal."""
    return ""


def check(ledger: Ledger, folder: Path, known: Known) -> Iterator[tuple[str, str]]:
    """Every archive file that the ledger knows, and why it is not sound, or ""."""
    for one in ledger.archives():
        try:
            _read(folder / one.name, one.digest, known)
        except NotThere as error:
            yield one.name, str(error)
        else:
            yield one.name, ""


def restore(ledger: Ledger, folder: Path, wanted: str, known: Known) -> list[str]:
    """Bring back one submission, or all of an archive file; the ids of those that were away.

    Raises NotThere, LedgerError.
    """
    name = ledger.archive_of(wanted) or wanted
    digests = {one.name: one.digest for one in ledger.archives()}
    if name not in digests:
        raise NotThere(f"{wanted} is in no archive")
    found = _read(folder / name, digests[name], known)
    ids = [wanted] if name != wanted else list(found.facts.submissions)
    if not all(digests[name] in ledger.attested_digests(identity) for identity in ids):
        raise NotThere(f"{name}: the journal has another digest")
    return ledger.restore(ids, found.rows)


def _write(folder: Path, first: str, pieces: Iterable[bytes]) -> tuple[Path, str]:
    """An archive file that begins with a submission, called by that and by its own digest; and this."""
    unnamed = folder / f"{first}.zip.new"
    digest = write_whole(unnamed, pieces)
    path = folder / f"{first}-{digest[:12]}.zip"
    rename_durably(unnamed, path)
    return path, digest


def _read(path: Path, digest: str, known: Known) -> Archive:
    try:
        if digest_of(path) != digest:
            raise NotThere(f"{path}: not the file that was written; {_where(path, known)}")
        return read_archive(path, known)
    except OSError as error:
        raise NotThere(f"{path}: {error.strerror}") from error
    except NoArchive as error:
        raise NotThere(f"{path}: {error}") from error


def _where(path: Path, known: Known) -> str:
    try:
        read_archive(path, known)
    except NoArchive as error:
        return str(error)
    return "another archive"


class Daily:
    """Archives once a day what is older than so many years, in a thread, while the reactor runs."""

    def __init__(
        self,
        commits: GroupCommit,
        key: Callable[[], security.SigningKey],
        folder: Path,
        years: int,
        now: Callable[[], datetime],
        on_duty: Callable[[], bool] = lambda: True,
    ) -> None:
        self._on_duty = on_duty
        self._commits = commits
        self._key = key
        self._folder = folder
        self._years = years
        self._now = now
        self._stopping = False
        self._did_at: datetime | None = None

    def start(self, reactor: Any) -> Callable[[], object]:
        """Begin now; returns what ends it, after the batch that it is at."""
        end = repeat(self.look, reactor, LOOK_SECONDS)

        def stop() -> object:
            self._stopping = True
            return end()

        return stop

    async def look(self) -> None:
        """Begin the day's, where it is this node that does it and has not done it today."""
        now = self._now()
        if self._on_duty() and (self._did_at is None or now - self._did_at >= DAY):
            self._did_at = now
            await self.round()

    async def round(self) -> None:
        """One day's; what fails is tried again the next day."""
        try:
            await self._commits.with_ledger(self._archive)
        except (LedgerError, Overloaded, NoArchive, NotThere, OSError, ValueError) as error:
            log.error("not archived: %s", error)

    def _archive(self, ledger: Ledger) -> None:
        before = years_before(self._now(), self._years)
        for _ in archive(
            ledger,
            before,
            self._folder,
            self._key(),
            self._now,
            lambda: self._stopping or not self._on_duty(),
        ):
            pass
