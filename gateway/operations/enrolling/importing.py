"""Bringing a file of partners or mandates into the register: checked whole first, then written.

The file is read twice and never held: once to find every broken row, once to write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice

import msgspec

from gateway.model import Mandate, Partner
from gateway.model.register import TOKEN, keys_of
from gateway.operations.enrolling.checks import Broken, checked_mandate, checked_partner
from gateway.operations.enrolling.files import Row
from gateway.storage import Ledger, Written

AT_ONCE = 500
"""Rows that are checked against the ledger, or put into it, together."""

TOLD_EVERY = 10_000
"""Rows between two words on how far it is."""

Rows = Callable[[], Iterator[Row]]
"""Reads the file from its beginning."""

Told = Callable[[int], None]
"""Is told how many rows are done."""


class Survey(msgspec.Struct):
    """What a file would do: rows in all, those that are new, and the broken ones with their reasons.

    ``resumed``: ids of partners whose rows say that they are active.  ``standing``: what would stay revoked or
    suspended.
    """

    rows: int = 0
    new: int = 0
    broken: list[tuple[int, str]] = []
    resumed: set[str] = set()
    standing: Written = Written()


class Outcome(msgspec.Struct, frozen=True):
    """What was done: how many were added, how many replaced, how many broken rows were left out; and how many
    mandates stay revoked, and partners suspended, whatever their rows say."""

    added: int
    replaced: int
    skipped: int
    stay_revoked: int
    stay_suspended: int


def survey(ledger: Ledger, rows: Rows, told: Told = lambda _: None) -> Survey:
    """Check every row: by itself, against the others of the file, against the ledger."""
    found = Survey()
    ids: set[str] = set()
    owners: dict[tuple[str, str], str] = {}
    for batch in _batches(rows()):
        sound: list[tuple[int, Partner | Mandate]] = []
        for row in batch:
            found.rows += 1
            why = _fault(row, ids, owners)
            if isinstance(why, str):
                found.broken.append((row.line, why))
            else:
                sound.append((row.line, why))
                if row.resumes:
                    found.resumed.add(why.id)
        refused = dict(_against_ledger(ledger, sound))
        found.broken += refused.items()
        values = [value for line, value in sound if line not in refused]
        found.new += len(_unknown(ledger, values))
        found.standing += ledger.would_stand(values, found.resumed)
        if found.rows % TOLD_EVERY == 0:
            told(found.rows)
    found.broken.sort()
    return found


def bring_in(ledger: Ledger, rows: Rows, surveyed: Survey, told: Told = lambda _: None) -> Outcome:
    """Write what the survey found sound.

    Without broken rows in one transaction: all, or nothing.  With some, which are left out, in one for each
    AT_ONCE rows, so that nobody waits long.  Raises storage.Taken where somebody else was quicker.
    """
    left_out = {line for line, _ in surveyed.broken}

    def batches() -> Iterator[Sequence[Partner | Mandate]]:
        count = 0
        for batch in _batches(row for row in rows() if row.line not in left_out):
            yield [_checked(row) for row in batch]
            count += len(batch)
            if count % TOLD_EVERY == 0:
                told(count)

    if left_out:
        done = Written()
        for batch in batches():
            done += ledger.put_all(partial(_alone, batch), surveyed.resumed)
    else:
        done = ledger.put_all(batches, surveyed.resumed)
    replaced = done.count - surveyed.new
    return Outcome(surveyed.new, replaced, len(left_out), done.stay_revoked, done.stay_suspended)


def _alone(batch: Sequence[Partner | Mandate]) -> list[Sequence[Partner | Mandate]]:
    return [batch]


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    each = iter(rows)
    while batch := list(islice(each, AT_ONCE)):
        yield batch


def _checked(row: Row) -> Partner | Mandate:
    if row.value is None:
        raise Broken(row.why)
    return checked_partner(row.value) if isinstance(row.value, Partner) else checked_mandate(row.value)


def _fault(row: Row, ids: set[str], owners: dict[tuple[str, str], str]) -> str | Partner | Mandate:
    """What is wrong with a row by itself or beside those before it; else its value."""
    try:
        value = _checked(row)
    except Broken as broken:
        return str(broken)
    if value.id in ids:
        return f"{value.id} is in the file already"
    if isinstance(value, Partner):
        for key in keys_of(value):
            if owners.get(key, value.id) != value.id:
                return f"{key[0]} {'' if key[0] == TOKEN else key[1]} is {owners[key]}'s, further up"
        owners.update((key, value.id) for key in keys_of(value))
    ids.add(value.id)
    return value


def _against_ledger(ledger: Ledger, sound: list[tuple[int, Partner | Mandate]]) -> Iterator[tuple[int, str]]:
    """Rows that the ledger would refuse."""
    partners = [(line, value) for line, value in sound if isinstance(value, Partner)]
    mandates = [(line, value) for line, value in sound if isinstance(value, Mandate)]
    held = ledger.owners([key for _, value in partners for key in keys_of(value)]) if partners else {}
    for line, value in partners:
        others = [key for key in keys_of(value) if held.get(key, value.id) != value.id]
        if others:
            kind, text = others[0]
            yield line, f"{kind} {'' if kind == TOKEN else text} belongs to partner {held[others[0]]}"
    named = {party for _, value in mandates for party in (value.agent, value.principal)}
    strangers = ledger.unregistered(sorted(named)) if named else set()
    for line, value_ in mandates:
        missing = [party for party in (value_.agent, value_.principal) if party in strangers]
        if missing:
            yield line, f"not registered: {', '.join(missing)}"


def _unknown(ledger: Ledger, values: Sequence[Partner | Mandate]) -> set[str]:
    """The ids of those that are new."""
    ids = [value.id for value in values]
    if not ids:
        return set()
    if isinstance(values[0], Partner):
        return ledger.unregistered(ids)
    return ledger.unknown_mandates(ids)
