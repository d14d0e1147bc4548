"""How the command speaks: plain lines for people, one JSON value for programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from gateway.model import Catalogue, Finding, Place
from gateway.transport import Said

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
    raise NotImplementedError(type(value).__name__)


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
        told.append(f"message {place.message}")
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
        told.append(f"line {place.line}")
    if place.part:
        told.append(place.part)
    return ", ".join(told)
