"""Code lists: which codes there are, when they are valid, and the one number that some carry."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path

import msgspec

FEW = 12
"""Codes that a finding names one by one; of a longer list it gives the title."""


class Period(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"start": "from", "end": "to"}):
    """When a code is valid, both days included."""

    start: date = date.min
    end: date = date.max


class CodeList(msgspec.Struct, frozen=True):
    """One list.  ``always``: codes without an end; ``periods``: the others.

    ``numbers``: a code's number, ``number`` for codes that have none of their own (digits after the
    point of a currency, kilograms in a unit of mass).
    """

    name: str
    title: str
    edition: str
    always: frozenset[str]
    periods: Mapping[str, Period]
    numbers: Mapping[str, Decimal]
    number: Decimal | None = None

    @property
    def told(self) -> str:
        """What a finding says was expected: the codes, where they are few and always valid."""
        few = len(self.always) <= FEW and not self.periods
        return " | ".join(sorted(self.always)) if few else self.title

    def period(self, code: str) -> Period | None:
        """When the code is valid; None where there is no such code."""
        return Period() if code in self.always else self.periods.get(code)

    def number_of(self, code: str) -> Decimal | None:
        """The code's number; None where the code is unknown or has none."""
        return self.numbers.get(code, self.number) if self.period(code) else None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: str
    edition: str
    codes: str
    user: str = ""
    number: Decimal | None = None
    numbers: Mapping[str, Decimal] = {}
    valid: Mapping[str, Period] = {}


def read_codes(folder: Path, broken: list[str]) -> dict[str, CodeList]:
    """Every ``*.toml`` of the folder, by the file's name without its ending.

    A file holds ``codes`` (and ``user``, those of ISO's user range that this gateway takes) parted by
    blanks; ``[valid]`` gives periods, of those codes or of further ones.  What is wrong goes to ``broken``.
    """
    lists: dict[str, CodeList] = {}
    for path in sorted(folder.glob("*.toml")):
        try:
            file = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _File)
        except (msgspec.ValidationError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            broken.append(f"{path.name}: {error}")
            continue
        lists[path.stem] = _list_of(path.stem, file)
        broken.extend(f"{path.name}: {fault}" for fault in _faults(file))
    return lists


def _list_of(name: str, file: _File) -> CodeList:
    codes = frozenset((file.codes + " " + file.user).split())
    return CodeList(
        name=name,
        title=file.title,
        edition=file.edition,
        always=codes - file.valid.keys(),
        periods=file.valid,
        numbers=file.numbers,
        number=file.number,
    )


def _faults(file: _File) -> list[str]:
    codes = (file.codes + " " + file.user).split()
    known = {*codes, *file.valid}
    faults = [f"{code} stands twice" for code, times in sorted(Counter(codes).items()) if times > 1]
    faults += [f"{code} has a number and is not in the list" for code in sorted(file.numbers.keys() - known)]
    faults += [f"{code} ends before it begins" for code, p in sorted(file.valid.items()) if p.end < p.start]
    if not known:
        faults.append("no codes")
    return faults
