"""A million mandates in memory: fixed rows of octets, decoded when they are asked for."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import Any, NamedTuple

import msgspec

from gateway.model.index import Index, key_of, packed
from gateway.model.partner import Form, Mandate

PARTY_BITS = 20
MAX_PARTIES = 1 << PARTY_BITS
"""Parties that a key of two can name: ten times the hundred thousand that it is made for."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NEVER = (1 << 63) - 1
_ALWAYS = -_NEVER
# Agent, principal, valid from, valid to, revoked at, terms, where the id begins and its length.
_ROW = Struct("<IIqqqIII")


class MandateRow(NamedTuple):
    """A mandate as the ledger's table has it: times in microseconds since 1970, ``terms`` in JSON."""

    id: str
    agent: str
    principal: str
    valid_from: int | None
    valid_to: int | None
    revoked_at: int | None
    terms: str


class MandateTerms(msgspec.Struct, frozen=True, omit_defaults=True):
    """What many mandates have in common, kept once."""

    types: tuple[str, ...] = ()
    offices: tuple[str, ...] = ()
    form: Form = Form.PRINCIPAL


_terms_reader = msgspec.json.Decoder(MandateTerms)
_terms_writer = msgspec.json.Encoder()


def row_of(mandate: Mandate) -> MandateRow:
    """A mandate as a row.  Raises ValueError for a time without a zone."""
    terms = MandateTerms(mandate.types, mandate.offices, mandate.form)
    return MandateRow(
        mandate.id,
        mandate.agent,
        mandate.principal,
        _number(mandate.valid_from),
        _number(mandate.valid_to),
        _number(mandate.revoked_at),
        _terms_writer.encode(terms).decode(),
    )


def mandate_of(row: MandateRow) -> Mandate:
    """The mandate of a row."""
    terms = _terms_reader.decode(row.terms)
    return Mandate(
        row.id,
        row.agent,
        row.principal,
        terms.types,
        _moment(row.valid_from),
        _moment(row.valid_to),
        _moment(row.revoked_at),
        terms.offices,
        terms.form,
    )


def _number(at: datetime | None) -> int | None:
    if at is None:
        return None
    if at.tzinfo is None:
        raise ValueError(f"a time without a zone: {at.isoformat()}")
    return (at - _EPOCH) // _MICROSECOND


def _moment(number: int | None) -> datetime | None:
    return None if number is None else _EPOCH + timedelta(microseconds=number)


class Draft:
    """Mandates on their way into memory: ``add`` them, then ``grants``."""

    def __init__(self) -> None:
        self._rows = bytearray()
        self._ids = bytearray()
        self._pairs = array("Q")
        self._by_id = array("Q")
        self._terms: dict[str, int] = {}
        self._count = 0

    def add(self, rows: Iterable[Sequence[Any]], number: Callable[[str], int]) -> None:
        """Mandates as the table has them (the fields of a MandateRow), each id once; ``number``: of a party.

        A million of them are read when a process starts: one loop, and nothing is made for each.
        """
        numbers: dict[str, int] = {}
        terms_of, laid_out, ids, pack = self._terms, self._rows, self._ids, _ROW.pack
        for identity, agent, principal, since, until, revoked, terms in rows:
            first = numbers.get(agent)
            if first is None:
                first = numbers[agent] = number(agent)
            second = numbers.get(principal)
            if second is None:
                second = numbers[principal] = number(principal)
            name = identity.encode()
            laid_out += pack(
                first,
                second,
                _ALWAYS if since is None else since,
                _NEVER if until is None else until,
                _NEVER if revoked is None else revoked,
                terms_of.setdefault(terms, len(terms_of)),
                len(ids),
                len(name),
            )
            ids += name
            self._pairs.append(packed(first << PARTY_BITS | second, self._count))
            self._by_id.append(packed(key_of(identity), self._count))
            self._count += 1

    def grants(self) -> Grants:
        """What was added, frozen."""
        terms = tuple(_terms_reader.decode(text) for text in self._terms)
        by_pair, by_id = Index(self._pairs), Index(self._by_id)
        return Grants(self._rows, self._ids, by_pair, by_id, terms, self._count)


@dataclass(frozen=True, slots=True)
class Grants:
    """Mandates by their two parties, and by id.

    ``later``: by row, what changed or was added since the rows were laid out: (row, agent, principal).
    """

    rows: bytearray
    ids: bytearray
    by_pair: Index
    by_id: Index
    terms: tuple[MandateTerms, ...]
    count: int
    later: Mapping[int, tuple[MandateRow, int, int]] | None = None

    def between(self, agent: int, principal: int, names: tuple[str, str]) -> Iterator[Mandate]:
        """Every mandate, valid or not, between two parties; ``names``: their ids."""
        later = self.later or {}
        for row in self.by_pair.rows(_pair(agent, principal)):
            changed = later.get(row)
            if changed is None:
                yield self._decoded(row, names)
            elif changed[1:] == (agent, principal):
                yield mandate_of(changed[0])

    def changed(self, rows: Iterable[tuple[MandateRow, int, int]]) -> Grants:
        """The same with some mandates put anew: (row, number of the agent, of the principal)."""
        later = dict(self.later or {})
        count = self.count
        pairs: list[tuple[int, int]] = []
        ids: list[tuple[int, int]] = []
        placed: dict[str, int] = {}
        for row, agent, principal in rows:
            at = placed.get(row.id)
            at = self._row(row.id) if at is None else at
            if at is None:
                at, count = count, count + 1
                ids.append((key_of(row.id), at))
            placed[row.id] = at
            packed(0, at)
            later[at] = (row, agent, principal)
            if not self._laid_out(at, agent, principal):
                pairs.append((_pair(agent, principal), at))
        return replace(
            self,
            by_pair=self.by_pair.with_more(pairs),
            by_id=self.by_id.with_more(ids),
            count=count,
            later=later,
        )

    def __len__(self) -> int:
        return self.count

    def _row(self, identity: str) -> int | None:
        later = self.later or {}
        for row in self.by_id.rows(key_of(identity)):
            if (later[row][0].id if row in later else self._name(row)) == identity:
                return row
        return None

    def _laid_out(self, row: int, agent: int, principal: int) -> bool:
        """True where the sorted part of the index has the row under these two."""
        start = row * _ROW.size
        return start < len(self.rows) and _ROW.unpack_from(self.rows, start)[:2] == (agent, principal)

    def _name(self, row: int) -> str:
        *_, start, length = _ROW.unpack_from(self.rows, row * _ROW.size)
        return self.ids[start : start + length].decode()

    def _decoded(self, row: int, names: tuple[str, str]) -> Mandate:
        _, _, since, until, revoked, terms, start, length = _ROW.unpack_from(self.rows, row * _ROW.size)
        common = self.terms[terms]
        return Mandate(
            self.ids[start : start + length].decode(),
            *names,
            common.types,
            None if since == _ALWAYS else _moment(since),
            None if until == _NEVER else _moment(until),
            None if revoked == _NEVER else _moment(revoked),
            common.offices,
            common.form,
        )


def _pair(agent: int, principal: int) -> int:
    return agent << PARTY_BITS | principal
