"""A correction of what is handed over: an operator's, beside the original, which stays as it was signed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum

import msgspec

from gateway.model.tree import Declaration, Entity


class How(StrEnum):
    """Where a correction came from: an operator's words, the original read by today's knowledge, or another
    address for a message that is pushed."""

    EDITED = "edited"
    REREAD = "reread"
    ADDRESS = "address"


class Change(msgspec.Struct, frozen=True):
    """One place that differs: a pointer to an element (its attribute behind ``@``) or to a class that holds
    none; ``before`` or ``after`` is None where there is nothing."""

    pointer: str
    before: str | None
    after: str | None


class Correction(msgspec.Struct, frozen=True):
    """What the back end is told beside a corrected declaration.

    ``number``: from 1 for each delivery, the last one counts.  ``who`` and ``why``: the operator's.
    ``original``: hex SHA-256 of the accepted declaration's JSON as the gateway stored it.
    """

    number: int
    how: How
    at: datetime
    who: str
    why: str
    original: str
    changes: tuple[Change, ...]


def differences(before: Declaration, after: Declaration) -> tuple[Change, ...]:
    """Every place in which two declarations differ, in order of pointers as they first come."""
    old, new = dict(_places(before.root)), dict(_places(after.root))
    return tuple(
        Change(where, old.get(where), new.get(where))
        for where in {**old, **new}
        if old.get(where) != new.get(where)
    )


def _places(entity: Entity, path: str = "") -> Iterator[tuple[str, str]]:
    """Pointer and text of each element and attribute, and of each class that holds nothing ("")."""
    path = path or entity.name
    met: Counter[str] = Counter()
    if not entity.values and not entity.entities:
        yield path, ""
    for value in entity.values:
        where = _step(path, value.name, met)
        yield where, value.text
        for name, text in value.attributes:
            yield f"{where}@{name}", text
    for child in entity.entities:
        yield from _places(child, _step(path, child.name, met))


def _step(path: str, name: str, met: Counter[str]) -> str:
    met[name] += 1
    return f"{path}/{name}" if met[name] == 1 else f"{path}/{name}[{met[name]}]"
