"""How the command speaks: plain lines for people, one JSON value for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from gateway.model import Catalogue, Finding, Place
from gateway.model.finding import Severity
from gateway.transport import Said

ALIKE = 5
"""Findings that are alike and are told one by one to a person."""

F = TypeVar("F", bound=Callable[..., Any])


class Trouble(Exception):
    """Something the person at the keyboard can mend; the text says what."""


def as_json(command: F) -> F:
    """Add ``--json`` to a command."""
    return click.option("--json", "in_json", is_flag=True, help="Print one JSON value instead.")(command)


def emit(in_json: bool, value: object, lines: Iterable[str]) -> None:
    """Print the value as JSON, or the lines."""
    if in_json:
        encoded = msgspec.json.encode(value, enc_hook=_path)
        click.echo(msgspec.json.format(encoded, indent=2).decode())
        return
    for line in lines:
        click.echo(line)


def _path(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"no JSON is made of a {type(value).__name__}")


def need_home(context: click.Context) -> Path:
    """The home that the command works in.  Raises Trouble where none is named."""
    home: Path | None = context.obj
    if home is None:
        raise Trouble(
            "say where the home is: cvan --home HOME ..., or set CVAN_HOME; make one: cvan init HOME"
        )
    return home


def finding_json(finding: Finding, catalogue: Catalogue) -> dict[str, object]:
    """A finding as the command and the HTTP API print it."""
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "place": msgspec.to_builtins(finding.place),
        "expected": finding.expected,
        "found": finding.found,
        "text": catalogue.say(finding),
        "text_vi": catalogue.say(finding, "vi"),
    }


def folded_lines(findings: Sequence[Finding], catalogue: Catalogue, language: str = "en") -> Iterator[str]:
    """Findings for a person; of those that are alike, the first few and how many more.

    Errors are alike that differ in their segment only; warnings also where what was found differs.
    """
    met: Counter[tuple[str, ...]] = Counter()
    for finding in sorted(findings, key=lambda finding: finding.place.offset):
        met[_kind(finding)] += 1
        if met[_kind(finding)] <= ALIKE:
            yield from finding_lines(finding, catalogue, language)
    for (code, tag, *_), number in met.items():
        if number > ALIKE:
            yield f"          ... and {number - ALIKE} more {code} like this in {tag}"


def _kind(finding: Finding) -> tuple[str, ...]:
    place = finding.place
    where_ = f"{place.tag} {place.element}.{place.component}" if place.element else place.tag
    return finding.code, where_, finding.expected, finding.found if finding.severity is Severity.ERROR else ""


def finding_lines(finding: Finding, catalogue: Catalogue, language: str = "en") -> list[str]:
    """A finding for a person: severity, code and place on one line, the sentence below."""
    return [
        f"  {finding.severity.value:7} {finding.code:8} {where(finding.place)}".rstrip(),
        f"          {catalogue.say(finding, language)}",
    ]


def said_lines(said: Said) -> list[str]:
    """A finding that a gateway told, as finding_lines prints our own."""
    return [
        f"  {said.severity.value:7} {said.code:8} {where(said.place)}".rstrip(),
        f"          {said.text}",
    ]


def where(place: Place) -> str:
    """Everything that is known of a place, in one line."""
    told = []
    if place.message:
        whole = not place.segment and not place.pointer and place.tag[:2] in ("", "UN")
        told.append(f"{'interchange' if whole else 'message'} {place.message}")
    if place.tag:
        told.append(f"{place.tag} (segment {place.segment})" if place.segment else place.tag)
    if place.group:
        told.append(place.group)
    if place.element:
        told.append(f"element {place.element}" + (f".{place.component}" if place.component else ""))
    if place.offset >= 0:
        told.append(f"octet {place.offset}")
    if place.xpath:
        told.append(place.xpath)
    if place.line:
        told.append(f"line {place.line}" + (f", column {place.column}" if place.column else ""))
    if place.part:
        told.append(place.part)
    return ", ".join(told)
