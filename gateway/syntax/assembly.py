"""A directory put together from what one or more sets of tables say of it, piece by piece when asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

from gateway.model.edifact import ComponentUse, Directory, ElementUse, MessageTable, SegmentTable
from gateway.syntax.tables import is_composite
from gateway.syntax.tableset import TableSet

T = TypeVar("T")

# Service messages carry the syntax version as their version and release (ISO 9735 part 4).
SERVICE = {("D", "1"): "S.1", ("D", "2"): "S.2", ("D", "3"): "S.3", ("4", "1"): "S.4"}


class Key(NamedTuple):
    """What a directory is known by: its name (0052 and 0054: ``D.96B``) and its agency (0051)."""

    name: str
    agency: str


class Lazy(Mapping[str, T]):
    """A mapping whose values are made when first asked for; the answers are kept.

    ``exact``: all the keys are there; else some may not be, which is seen when they are asked for.
    """

    def __init__(
        self, keys: Callable[[], Iterable[str]], make: Callable[[str], T | None], exact: bool = False
    ) -> None:
        self._exact = exact
        self._keys = keys
        self._make = make
        self._made: dict[str, T] = {}
        self._all: tuple[str, ...] | None = None

    def __getitem__(self, key: str) -> T:
        found = self._made.get(key)
        if found is None:
            found = self._make(key)
            if found is None:  # not remembered: keys are the sender's, and there are many
                raise KeyError(key)
            self._made[key] = found
        return found

    def candidates(self) -> Iterable[str]:
        """Keys that may be there: which of them are is seen only when they are asked for."""
        return self._keys()

    def __iter__(self) -> Iterator[str]:
        if self._all is None:
            self._all = tuple(key for key in self._keys() if self._exact or key in self)
        return iter(self._all)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class _Source:
    """What the sets say of one directory; the first that says anything is believed."""

    def __init__(self, key: Key, sets: Sequence[TableSet]) -> None:
        self._key = key
        self._sets = sets

    def types(self) -> Iterable[str]:
        return sorted({kind for tables in self._sets for kind in tables.types() if self._holds(tables, kind)})

    def _holds(self, tables: TableSet, kind: str) -> bool:
        return self._key.name in tables.holding(kind)

    def keys(self, part: str) -> Iterable[str]:
        return sorted({key for tables in self._sets for key in tables.keys(part)})

    def first(self, ask: Callable[[TableSet], T | None]) -> T | None:
        return next((found for found in map(ask, self._sets) if found is not None), None)

    def message(self, kind: str) -> MessageTable | None:
        nodes = self.first(lambda tables: tables.message(kind, self._key.name))
        if nodes is None:
            return None
        version, _, release = self._key.name.partition(".")
        if version == "S":
            version, release = next(pair for pair, name in SERVICE.items() if name == self._key.name)
        return MessageTable(kind, version, release, nodes, self._key.agency)

    def segment(self, tag: str) -> SegmentTable | None:
        uses = self.first(lambda tables: tables.segment(tag, self._key.name))
        if uses is None:
            return None
        return SegmentTable(tag, tuple(self._whole(tag, use) for use in uses))

    def _whole(self, tag: str, use: ElementUse) -> ElementUse:
        if not is_composite(use.code):
            return ElementUse(use.code, use.required, use.repeat, use.format or self._format(tag, use.code))
        parts = use.components or self.first(lambda tables: tables.composite(use.code, self._key.name))
        if not parts:
            raise ValueError(f"{self._where()}: {tag} uses {use.code}, which composites.txt has not")
        whole = (ComponentUse(p.code, p.required, p.format or self._format(tag, p.code)) for p in parts)
        return ElementUse(use.code, use.required, use.repeat, "", tuple(whole))

    def _format(self, tag: str, number: str) -> str:
        form = self.first(lambda tables: tables.format(number, self._key.name))
        if form is None:
            raise ValueError(f"{self._where()}: {tag} uses {number}, which elements.txt has not")
        return form

    def _where(self) -> str:
        return f"{self._sets[0].folder}: {self._key.name}"

    def codes(self, number: str) -> frozenset[str] | None:
        return self.first(lambda tables: tables.codes(number, self._key.name))


def assemble(key: Key, sets: Sequence[TableSet]) -> Directory:
    source = _Source(key, sets)
    return Directory(
        name=key.name,
        messages=Lazy(source.types, source.message, exact=True),
        segments=Lazy(partial(source.keys, "segments"), source.segment),
        codes=Lazy(partial(source.keys, "codes"), source.codes),
        agency=key.agency,
    )
