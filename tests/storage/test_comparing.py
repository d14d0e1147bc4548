"""The ledger beside its journal: one submission may have as many entries as it has answers."""

from __future__ import annotations

import time
from datetime import timedelta
from types import SimpleNamespace

from gateway.evidence import entries
from gateway.evidence.entries import Attested, Entry
from gateway.storage import past, tables
from gateway.storage.comparing import _Fate

from .making import NOW

MANY = 20_000


def entry(seq: int, kind: str, **of: object) -> Entry:
    return Entry("c", seq, NOW + timedelta(seconds=seq), kind, "s", Attested(**of))  # type: ignore[arg-type]


def test_entries_and_answers_are_compared_in_one_walk_each() -> None:
    due = {f"d{n}": f"push:p s.{n}.x" for n in range(MANY)}
    told = [entry(1, entries.RECEIVED, due=due)]
    told += [entry(n + 2, entries.DELIVERED, ids=(f"d{n}",)) for n in range(MANY)]
    began = time.process_time()
    fate = _Fate(told)
    for n in range(MANY):
        assert fate.may_be_over(f"d{n}", f"s.{n}.x")
        assert not list(fate.taken(f"s.{n}.x", waits=False))
    assert len([one for one in past.deliveries(told).values() if one.state == tables.DONE]) == MANY
    assert time.process_time() - began < 3.0  # 400 million comparisons would take minutes


def test_what_no_entry_brought_about_is_told() -> None:
    fate = _Fate([entry(1, entries.RECEIVED, due={"d": "push:p o"}), entry(2, entries.DEAD, ids=("d",))])
    assert not fate.may_be_over("d", "o")
    assert fate.may_stand(SimpleNamespace(id="d", payload="o", state=tables.DEAD))
    assert not fate.may_stand(SimpleNamespace(id="d", payload="o", state=tables.DUE))
    assert list(fate.taken("o", waits=False))
    assert not list(fate.taken("o", waits=True))
