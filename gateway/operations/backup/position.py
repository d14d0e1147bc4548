"""Where a ledger stands: read in the transaction, or from the file, that the backup is of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.evidence.entries import sha256
from gateway.operations.backup.manifest import Archive, Position

Ask = Callable[[str], list[tuple[Any, ...]]]
"""All rows of a query: both drivers have one, and no statement here has a parameter."""

_ENTRIES = """
SELECT coalesce(sum(n), 0), coalesce(sum(n - covered), 0) FROM (
    SELECT c.covered, coalesce((SELECT max(j.seq) FROM journal j WHERE j.chain = c.id), 0) AS n FROM chain c
) AS each
"""
"""A chain's entries are numbered from 1 without a gap; counting them one by one would take its time."""


def position(ledger: Ask, office: int) -> Position:
    """Of a ledger, with the version of the office's tables."""
    checkpoint = ledger("SELECT number, text FROM checkpoint ORDER BY number DESC LIMIT 1")
    ((entries, uncovered),) = ledger(_ENTRIES)
    newest = ledger("SELECT id FROM submission ORDER BY id DESC LIMIT 1")
    ((revision,),) = ledger("SELECT version_num FROM alembic_version")
    return Position(
        ledger=revision,
        clearance=office,
        checkpoint=checkpoint[0][0] if checkpoint else 0,
        digest=sha256(checkpoint[0][1].encode()) if checkpoint else "",
        entries=int(entries),
        uncovered=int(uncovered),
        submission=newest[0][0] if newest else "",
    )


def office_version(ask: Ask) -> int:
    """Of the tables that the office has made in a database, where it has."""
    return int(ask("SELECT coalesce(max(version), 0) FROM clearance_schema")[0][0])


def archives(ask: Ask) -> list[Archive]:
    """Archive files in which something is."""
    found = ask("SELECT DISTINCT archive, digest FROM archived ORDER BY archive")
    return [Archive(name, digest, included=False) for name, digest in found]
