"""Components on their way to a segment: a class's values, converted, each in its element."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.mapping.convert import date_write, fits, pointer_write, width, wrap
from gateway.mapping.losses import Losses
from gateway.mapping.plan import Attribute, Check, Conversion, Field, Rule
from gateway.mapping.source import Source
from gateway.model import Value

Cells = dict[tuple[int, int], str]
"""Text by element and component."""

Elements = tuple[tuple[str, ...], ...]


class Filling:
    """One segment, or one composite of it at element ``base``, being filled."""

    __slots__ = ("_base", "_losses", "cells")

    def __init__(self, losses: Losses, base: int = 0) -> None:
        self.cells: Cells = {}
        self._losses = losses
        self._base = base

    def fill(self, rule: Rule, source: Source, room: int) -> list[Cells]:
        """Take the source's values; further segments of the rule where a paragraph runs on."""
        rest: list[Cells] = []
        for field in rule.fields:
            if field.read_only:
                continue
            if field.conversion is Conversion.POINTER:
                self._pointers(field, source)
                continue
            holder = source.down(field.chain)
            value = None if holder is None else holder.values[field.slot]
            if holder is None or value is None:
                continue
            at = (self._base + field.element, field.component)
            if field.conversion is Conversion.DERIVE:
                self.cells[at] = field.codes.get(value.text) or field.codes.get("*", "")
                continue
            self._losses.use(holder, field.slot)
            path = f"{holder.path}/{field.name}"
            if field.conversion in (Conversion.LINES, Conversion.PARAGRAPH):
                rest.extend(self._lines(field, value, path, room))
            elif not self._put(field, value, path, at):
                continue
            self._attributes(field, value, path)
        return rest

    def complete(self, rule: Rule) -> None:
        """Add what the rule writes whatever the values are: its defaults and its fixed values."""
        for field in rule.fields:
            if field.default:
                self.cells.setdefault((self._base + field.element, field.component), field.default)
        constants(self.cells, rule.checks, self._base)

    def _put(self, field: Field, value: Value, path: str, at: tuple[int, int]) -> bool:
        text = value.text
        if field.conversion is Conversion.CODE:
            text = field.back.get(value.text, "")
            if not text:
                self._losses.report("MAP009", path, " ".join(field.back), value.text)
                return False
        elif field.conversion is Conversion.DATE:
            text, understood = date_write(text, value.attribute("formatCode"))
            if not understood:
                self._losses.report("MAP013", path, "Z or +hh or -hh", text)
        if not fits(text, field.format):
            self._losses.report("MAP006", path, field.format, text)
            return False
        self.cells[at] = text
        return True

    def _lines(self, field: Field, value: Value, path: str, room: int) -> Iterator[Cells]:
        text = " ".join(value.text.split("\n")) if "\n" in value.text else value.text
        lines = wrap(text, width(field.format))
        segments = room if field.conversion is Conversion.PARAGRAPH else 1
        if len(lines) > field.span * segments:
            lines = lines[: field.span * segments]
            self._losses.report(
                "MAP007", path, str(field.span * segments * width(field.format)), str(len(text))
            )
        if text != value.text:
            self._losses.report("MAP007", path, "one line", "several lines")
        for start in range(0, len(lines), field.span):
            part = self.cells if start == 0 else {}
            for at, line in enumerate(lines[start : start + field.span]):
                part[(self._base + field.element, field.component + at)] = line
            if start:
                yield part

    def _attributes(self, field: Field, value: Value, path: str) -> None:
        carried = {attribute.name: attribute for attribute in field.attributes}
        for name, text in value.attributes:
            attribute = carried.get(name)
            if attribute is None:
                self._losses.report("MAP012", path, "", f"{name}={text}")
            elif fits(text, attribute.format):
                self.cells[(self._base + attribute.element, attribute.component)] = text
            else:
                self._losses.report("MAP006", path, attribute.format, text)
        for attribute in field.attributes:
            if attribute.default:
                self.cells.setdefault(
                    (self._base + attribute.element, attribute.component), attribute.default
                )

    def _pointers(self, field: Field, source: Source) -> None:
        """Pointer levels; a last level in the 1049 code list's own terms goes to its own elements."""
        levels: list[tuple[str, str, str]] = []
        for pointer in source.each(field.chain, True):
            texts = []
            for slot in field.slots:
                value = pointer.values[slot]
                texts.append("" if value is None else value.text)
                self._losses.use(pointer, slot)
            levels.append((texts[0], texts[1], texts[2]))
        if not levels:
            return
        own = {attribute.name: attribute for attribute in field.attributes}
        if _syntactic(levels[-1], own):
            for part, text in zip(("section", "sequence", "tag"), levels.pop(), strict=True):
                attribute = own[part]
                if text:
                    self.cells[(attribute.element, attribute.component)] = text
        if levels:
            text = pointer_write(levels)
            if fits(text, field.format):
                self.cells[(field.element, field.component)] = text
            else:
                self._losses.report("MAP006", f"{source.path}/Pointer", field.format, text)


def _syntactic(level: tuple[str, str, str], own: dict[str, Attribute]) -> bool:
    """True for a level that names a segment: section of 1049 in digits, a tag of three characters."""
    section, sequence, tag = level
    return section.isdigit() and fits(tag, own["tag"].format) and fits(sequence, own["sequence"].format)


def constants(cells: Cells, checks: tuple[Check, ...], base: int = 0) -> None:
    """Put in the values that the checks want written."""
    for check in checks:
        if check.write:
            cells.setdefault((base + check.element, check.component), check.write)


def elements_of(cells: Cells) -> Elements:
    """Cells as elements: gaps are empty, nothing trails."""
    rows: dict[int, dict[int, str]] = {}
    for (element, component), text in cells.items():
        if text:
            rows.setdefault(element, {})[component] = text
    size = max(rows, default=-1) + 1
    return tuple(
        tuple(row.get(i, "") for i in range(max(row) + 1)) if (row := rows.get(at)) else ("",)
        for at in range(size)
    )
