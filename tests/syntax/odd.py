"""The interchanges of tests/samples/odd and what is right to do with each: read once, for tests and benches."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

import msgspec

from gateway.model.finding import Finding

FOLDER = Path(__file__).parents[1] / "samples" / "odd"

Right = Literal["accept", "tell", "refuse"]


class Told(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A finding as expected.toml gives it; fields that are not given are not compared."""

    code: str
    severity: str = "error"
    message: str | None = None
    segment: int | None = None
    tag: str | None = None
    group: str | None = None
    element: int | None = None
    component: int | None = None
    line: int | None = None
    column: int | None = None
    at: str | None = None
    expected: str | None = None
    found: str | None = None

    def differs(self, finding: Finding, octets: bytes) -> list[str]:
        """What a finding says otherwise; empty where it is the one meant."""
        place = finding.place
        wrong = []
        for name in ("message", "segment", "tag", "group", "element", "component", "line", "column"):
            wanted, got = getattr(self, name), getattr(place, name)
            if wanted is not None and wanted != got:
                wrong.append(f"{name} is {got!r}, not {wanted!r}")
        for name in ("code", "severity", "expected", "found"):
            wanted, got = getattr(self, name), str(getattr(finding, name))
            if wanted is not None and wanted != got:
                wrong.append(f"{name} is {got!r}, not {wanted!r}")
        if self.at is not None and not _stands(self.at, octets, place.offset):
            wrong.append(f"at octet {place.offset} does not stand {self.at!r}")
        return wrong


class Odd(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One interchange; see the head of expected.toml for its fields."""

    says: str
    right: Right
    text: str = ""
    ours: bool = False
    several: bool = False
    rejected: tuple[int, ...] = ()
    findings: tuple[Told, ...] = ()
    name: str = ""

    @property
    def path(self) -> Path:
        return FOLDER / f"{self.name}.edi"

    @property
    def octets(self) -> bytes:
        return self.path.read_bytes()


def load() -> tuple[Odd, ...]:
    """Every interchange of the folder, in the order of their names.

    Raises ValueError where the folder and its table differ.
    """
    table = tomllib.loads((FOLDER / "expected.toml").read_text(encoding="utf-8"))
    files = {path.stem for path in FOLDER.glob("*.edi")}
    if files != set(table):
        raise ValueError(f"{FOLDER}: {sorted(files ^ set(table))} are in the folder or in the table only")
    return tuple(msgspec.convert(table[name] | {"name": name}, Odd) for name in sorted(table))


def _stands(text: str, octets: bytes, offset: int) -> bool:
    if offset < 0 or offset > len(octets):
        return False
    if not text:
        return offset == len(octets)
    return octets.startswith((text.encode(), text.encode("latin-1", "replace")), offset)
