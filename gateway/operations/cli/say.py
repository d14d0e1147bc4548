"""How the command speaks: plain lines for people, one JSON value for programs."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec
from click.core import ParameterSource

from gateway.model import Catalogue, Finding, Place
from gateway.model.finding import Severity
from gateway.model.stored import Stored
from gateway.transport import Said

ALIKE = 5
"""Findings that are alike and are told one by one to a person."""

LANGUAGES = ("en", "vi")

F = TypeVar("F", bound=Callable[..., Any])


class Trouble(Exception):
    """Something the person at the keyboard can mend; the text says what."""


class Written(click.Path):
    """A file that the command writes in the end: a place where it cannot be is told before anything is done."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, writable=True, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path.  Raises Trouble."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if not path.parent.is_dir():
            raise Trouble(f"{path} cannot be written: there is no folder {path.parent}")
        if not path.exists() and not os.access(path.parent, os.W_OK):
            raise Trouble(f"{path} cannot be written: the folder {path.parent} lets you write nothing")
        return path


def complaint(error: Exception) -> str:
    """What an error says to a person: of one of the system's the file and why, not its number."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    return str(error)


def as_json(command: F) -> F:
    """Add ``--json`` to a command."""
    return click.option("--json", "in_json", is_flag=True, help="Print one JSON value instead.")(command)


def in_language(command: F) -> F:
    """Add ``--language`` to a command: the language in which said_lines and finding_lines speak."""
    return click.option(
        "--language",
        type=click.Choice(LANGUAGES),
        default=LANGUAGES[0],
        envvar="CVAN_LANGUAGE",
        expose_value=False,
        callback=_speak,
        help="Language of the texts; or set CVAN_LANGUAGE.",
    )(command)


def _speak(context: click.Context, option: click.Parameter, language: str) -> None:
    if context.get_parameter_source(str(option.name)) is not ParameterSource.DEFAULT:
        context.meta[__name__] = language  # of a group it holds for its commands


def spoken() -> str:
    """The language that the command was asked to speak."""
    context = click.get_current_context(silent=True)
    return LANGUAGES[0] if context is None else context.meta.get(__name__, LANGUAGES[0])


def emit(in_json: bool, value: object, lines: Iterable[str]) -> None:
    """Print the value as JSON, or the lines."""
    if in_json:
        encoded = msgspec.json.encode(value, enc_hook=_plain)
        click.echo(msgspec.json.format(encoded, indent=2).decode())
        return
    for line in lines:
        click.echo(line)


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Stored):
        return list(value)
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


def folded_lines(findings: Sequence[Finding], catalogue: Catalogue) -> Iterator[str]:
    """Findings for a person; of those that are alike, the first few and how many more.

    Errors are alike that differ in their segment only; warnings also where what was found differs.
    """
    met: Counter[tuple[str, ...]] = Counter()
    for finding in sorted(findings, key=lambda finding: finding.place.offset):
        met[_kind(finding)] += 1
        if met[_kind(finding)] <= ALIKE:
            yield from finding_lines(finding, catalogue)
    for (code, tag, *_), number in met.items():
        if number > ALIKE:
            yield f"          ... and {number - ALIKE} more {code} like this in {tag}"


def _kind(finding: Finding) -> tuple[str, ...]:
    place = finding.place
    where_ = f"{place.tag} {place.element}.{place.component}" if place.element else place.tag
    return finding.code, where_, finding.expected, finding.found if finding.severity is Severity.ERROR else ""


def finding_lines(finding: Finding, catalogue: Catalogue) -> list[str]:
    """A finding for a person: severity, code and place on one line, the sentence below."""
    return [
        f"  {finding.severity.value:7} {finding.code:8} {where(finding.place)}".rstrip(),
        f"          {catalogue.say(finding, spoken())}",
    ]


def said_lines(said: Said) -> list[str]:
    """A finding that a gateway told, as finding_lines prints our own."""
    return [
        f"  {said.severity.value:7} {said.code:8} {where(said.place)}".rstrip(),
        f"          {said.text_vi if spoken() == 'vi' else said.text}",
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
