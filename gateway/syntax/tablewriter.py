"""Writes directory tables as the text files that TableSet reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import TypeVar

from gateway.model.edifact import ComponentUse, ElementUse, GroupUse
from gateway.syntax.tables import Nodes, Tables, flat
from gateway.syntax.tableset import AGENCY, DIRECTORIES, MESSAGES

T = TypeVar("T")

WIDTH = 110  # characters of a line of code values


def write_tables(folder: Path, directories: Sequence[Tables], comment: str = "") -> None:
    """Write a set of tables, oldest directory first, into a folder that exists."""
    names = [d.name if d.agency == AGENCY else f"{d.name} {d.agency}" for d in directories]
    head = [f"# {line}" for line in comment.splitlines()]
    _write(folder / DIRECTORIES, [*head, *names])
    (folder / MESSAGES).mkdir(exist_ok=True)
    order = [d.name for d in directories]
    for kind, history in _histories(directories, lambda d: d.messages).items():
        _write(folder / MESSAGES / f"{kind}.txt", _headed(history, order, node_lines))
    _blocks(folder / "segments.txt", _histories(directories, lambda d: d.segments), order, _use_lines)
    _blocks(folder / "composites.txt", _histories(directories, lambda d: d.composites), order, _part_lines)
    elements = _histories(directories, lambda d: d.elements)
    _write(folder / "elements.txt", _separated(_element_lines(n, h, order) for n, h in elements.items()))
    codes = _histories(directories, lambda d: d.codes)
    _write(folder / "codes.txt", _separated(_code_lines(n, h, order) for n, h in codes.items()))


def _write(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")


def _histories(
    directories: Sequence[Tables], part: Callable[[Tables], Mapping[str, T]]
) -> dict[str, dict[str, T]]:
    """For every key, in alphabetical order, what each directory says of it."""
    found: dict[str, dict[str, T]] = {}
    for directory in directories:
        for key, value in part(directory).items():
            found.setdefault(key, {})[directory.name] = value
    return dict(sorted(found.items()))


def ranges(names: Iterable[str], order: Sequence[str]) -> str:
    """Directories as ranges of the list: ``D.94B-D.96A D.97B``."""
    chosen = set(names)
    runs: list[list[str]] = []
    fresh = True
    for name in order:
        if name not in chosen:
            fresh = True
            continue
        if fresh:
            runs.append([])
        runs[-1].append(name)
        fresh = False
    return " ".join(run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _headed(
    history: Mapping[str, T], order: Sequence[str], lines: Callable[[T], Iterable[str]]
) -> Iterator[str]:
    """Every distinct value once, below the range that it holds for."""
    same: dict[tuple[str, ...], list[str]] = {}
    for name, value in history.items():
        same.setdefault(tuple(lines(value)), []).append(name)
    for text, names in same.items():
        yield f"[{ranges(names, order)}]"
        yield from text


def _blocks(
    path: Path,
    histories: Mapping[str, Mapping[str, T]],
    order: Sequence[str],
    lines: Callable[[T], Iterable[str]],
) -> None:
    _write(path, _separated([key, *_headed(h, order, lines)] for key, h in histories.items()))


def _separated(blocks: Iterable[list[str]]) -> Iterator[str]:
    for index, block in enumerate(blocks):
        if index:
            yield ""
        yield from block


def node_lines(nodes: Nodes) -> Iterator[str]:
    """A structure, one node a line, a group's own nodes one blank deeper."""
    for depth, node in flat(nodes):
        name = node.name if isinstance(node, GroupUse) else node.segment
        yield f"{' ' * depth}{name} {_status(node.required)}{node.repeat}"


def _status(required: bool) -> str:
    return "M" if required else "C"


def _use_lines(uses: Iterable[ElementUse]) -> Iterator[str]:
    for use in uses:
        yield f"{use.code} {_status(use.required)}{use.repeat} {use.format}".rstrip()
        yield from (f" {line}" for line in _part_lines(use.components))


def _part_lines(parts: Iterable[ComponentUse]) -> Iterator[str]:
    for part in parts:
        yield f"{part.code} {_status(part.required)} {part.format}".rstrip()


def _element_lines(number: str, history: Mapping[str, str], order: Sequence[str]) -> list[str]:
    same: dict[str, list[str]] = {}
    for name, form in history.items():
        same.setdefault(form, []).append(name)
    return [number, *(f"[{ranges(names, order)}] {form}" for form, names in same.items())]


def _code_lines(number: str, history: Mapping[str, frozenset[str]], order: Sequence[str]) -> list[str]:
    """The first directory's values, then what each later one adds and takes away."""
    lines, before = [number], frozenset[str]()
    for name in order:
        now = history.get(name, frozenset())
        if now == before:
            continue
        changes = [f"+{c}" for c in _sorted(now - before)] + [f"-{c}" for c in _sorted(before - now)]
        told = changes if len(lines) > 1 else _sorted(now)
        lines += wrap(
            f"[{name}] {' '.join(told)}",
            WIDTH,
            subsequent_indent=" ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        before = now
    return lines


def _sorted(values: Iterable[str]) -> list[str]:
    """Numbers by value, then the others."""
    return sorted(values, key=lambda v: (not v.isdecimal(), len(v) if v.isdecimal() else 0, v))
