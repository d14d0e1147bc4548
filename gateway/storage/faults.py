"""What a database can refuse, and which of its words mean that it is away, or that a transaction may be repeated."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

_AGAIN = frozenset({"40001", "40P01"})  # PostgreSQL: serialization failure, deadlock detected
READ_ONLY = "25006"  # a standby, or a server that was told to take nothing
_AWAY = frozenset({READ_ONLY, "25P03", "57P01", "57P02", "57P03", "57P05"})
"""Likewise where it ended the session for idling, is stopping, crashed, or is not there yet."""
_AWAY_CLASSES = ("08", "53", "58")  # connection; no room, memory or connections; the machine's own fault
_CHECK = "23514"  # of a constraint, which is then named; or of the bounds of partitions
_DAMAGED = frozenset({11, 26})  # SQLite: SQLITE_CORRUPT, SQLITE_NOTADB
_KEY = re.compile(r"\((?:submission|id)\) = \((.*)\)", re.DOTALL)


class LedgerError(Exception):
    """The ledger refused to store or read something; nothing of the transaction was kept."""


class LedgerUnavailable(LedgerError):
    """The database cannot be reached or written now (down, locked, disk full): try again later."""


class LedgerDamaged(LedgerUnavailable):
    """An SQLite file does not hold what was written to it: it is to be restored, and the process begun anew."""


class LedgerMissing(LedgerError):
    """There is no database at the URL, or it has no ledger in it."""


def passing(error: DBAPIError) -> bool:
    """Whether the same transaction may succeed at once: it lost a deadlock, or its connection."""
    return error.connection_invalidated or state_of(error) in _AGAIN


def state_of(error: DBAPIError) -> str:
    """PostgreSQL's word for what happened, "" where it gave none."""
    return getattr(error.orig, "sqlstate", None) or ""


def sqlstate(error: LedgerError) -> str:
    """The same of an error that came of it."""
    return state_of(error.__cause__) if isinstance(error.__cause__, DBAPIError) else ""


def homeless_key(error: DBAPIError) -> tuple[str, str] | None:
    """Table and key of a row that belongs into no partition; None where it is not that."""
    told: Any = getattr(error.orig, "diag", None)
    if state_of(error) != _CHECK or told is None or told.constraint_name:
        return None
    # In whatever language the rest is: the column and the value stand in parentheses.
    found = _KEY.search(told.message_detail or "")
    return (str(told.table_name), found[1]) if found else None


def translated(error: DBAPIError) -> LedgerError:
    """The error as the ledger's own: LedgerUnavailable where the database is away, LedgerDamaged for good."""
    # The statement's parameters (message content) stay out of the text, which ends in logs.
    told = f"{type(error.orig).__name__}: {' '.join(str(error.orig).split())}"
    if getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
        return LedgerDamaged(f"the ledger is damaged; stop the gateway and restore a backup ({told})")
    away = state_of(error) in _AWAY or state_of(error).startswith(_AWAY_CLASSES)
    if away or isinstance(error, OperationalError | InterfaceError):
        return LedgerUnavailable(told)
    return LedgerError(told)
