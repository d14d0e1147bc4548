"""Checkpoints are made while others write, and by several processes at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from gateway.security import SigningKey
from gateway.storage import Ledger

from .making import settlement


class Slow:
    """A key, during whose signing something else happens."""

    def __init__(self, key: SigningKey, meanwhile: Callable[[], object]) -> None:
        self.der, self.signer, self._key = key.der, key.signer, key
        self._meanwhile: list[Callable[[], object]] = [meanwhile]

    def sign(self, octets: bytes, now: datetime) -> bytes:
        while self._meanwhile:
            self._meanwhile.pop()()
        return self._key.sign(octets, now)


def numbers(ledger: Ledger) -> list[tuple[int, int]]:
    """(checkpoint, entries under it) of each."""
    query = "SELECT checkpoint, sum(last - first + 1) FROM span GROUP BY checkpoint ORDER BY checkpoint"
    database: Any = ledger._database
    rows = database.read(lambda c: c.exec_driver_sql(query).all())
    return [(int(number), int(count)) for number, count in rows]


def test_others_write_while_it_is_signed(database_url: str, own: SigningKey) -> None:
    ledger, other = Ledger.open(database_url), Ledger.open(database_url)
    ledger.settle([settlement("a")])
    ledger.cover(own, datetime.now(UTC))
    ledger.settle([settlement("b")])
    slow: Any = Slow(own, lambda: other.settle([settlement("c")]))
    made = ledger.cover(slow, datetime.now(UTC))
    assert made is not None
    assert made.number == 2
    assert ledger.raw("c") is not None
    assert ledger.cover(own, datetime.now(UTC)) is not None  # what came meanwhile is under the next
    assert ledger.cover(own, datetime.now(UTC)) is None
    other.close()
    ledger.close()


def test_who_finds_another_s_checkpoint_makes_its_own_over_the_rest(
    database_url: str, own: SigningKey
) -> None:
    ledger, other = Ledger.open(database_url), Ledger.open(database_url)
    ledger.settle([settlement("a")])
    ledger.cover(own, datetime.now(UTC))
    ledger.settle([settlement("b")])

    def meanwhile() -> None:
        assert other.cover(own, datetime.now(UTC)) is not None
        other.settle([settlement("c")])

    slow: Any = Slow(own, meanwhile)
    made = ledger.cover(slow, datetime.now(UTC))
    assert made is not None
    assert made.number == 3
    assert ledger.cover(own, datetime.now(UTC)) is None
    told = numbers(ledger)
    assert [number for number, _ in told] == [1, 2, 3]
    database: Any = ledger._database
    (entries,) = database.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM journal").one())
    assert sum(count for _, count in told) == entries  # each under one, none under two
    other.close()
    ledger.close()
