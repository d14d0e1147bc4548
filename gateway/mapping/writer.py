"""Writes a WCO tree as the segments of an EDIFACT message; what no row can carry is reported."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.mapping.convert import date_write, fits, pointer_write, width, wrap
from gateway.mapping.plan import Conversion, Entry, Field, Plan, Rule, Shape, Step
from gateway.mapping.source import Cells, Source, constants, elements_of, syntactic, touched
from gateway.model import Entity, Finding, Place, Severity, Value
from gateway.model.edifact import Segment


class Writer:
    """One writing.  ``findings`` holds what was lost."""

    def __init__(self, plan: Plan, root: Entity) -> None:
        self.plan = plan
        self.source = Source(root, plan.shape, root.name)
        self.findings: list[Finding] = []
        self.used: list[tuple[int, int]] = []

    def write(self) -> tuple[Segment, ...]:
        """The segments without UNH and UNT."""
        lines = self._steps(self.plan, self.plan.steps, self.source)
        done = set(self.used)
        self._left(self.source, self.plan.shape, done, True)
        return tuple(lines)

    def _steps(self, plan: Plan, steps: list[Step], source: Source, present: bool = False) -> list[Segment]:
        """What the steps give; where there is a group at all, what it must have and has not is reported."""
        lines: list[Segment] = []
        missing: list[str] = []
        for step in steps:
            if step.constant:
                lines.append(Segment(step.name, (step.constant,)))
                continue
            more = self._groups(plan, step, source) if step.is_group else self._segments(plan, step, source)
            if step.required and not more:
                missing.append(step.name)
            lines.extend(more)
        if lines or present:
            for name in missing:
                self._report("MAP015", source.path, name, "")
        return lines

    def _groups(self, plan: Plan, step: Step, source: Source) -> list[Segment]:
        lines: list[Segment] = []
        room = step.limit
        for entry in step.entries:
            for number, target in enumerate(source.each(entry.chain, entry.repeat), 1):
                before = len(self.used)
                written = self._occurrences(plan, step.name, entry, target, room)
                if not written:
                    continue
                if room <= 0:
                    del self.used[before:]
                    target.quiet = True
                    self._report("MAP008", target.path, str(step.limit), step.name)
                    continue
                room -= len(written)
                self._number(entry.sequence, target, number)
                for occurrence in written:
                    lines.extend(occurrence)
        return lines

    def _occurrences(
        self, plan: Plan, name: str, entry: Entry, source: Source, room: int
    ) -> list[list[Segment]]:
        """A group for one class: one occurrence, and one more for each further trigger."""
        inside = entry.plan
        before = len(self.used)
        # A further trigger is a group of its own: not possible where the group must hold more than it.
        bare = not any(step.required for step in inside.steps[1:])
        triggers = self._segments(inside, inside.steps[0], source, max(room, 1) if bare else 1)
        body = self._steps(inside, inside.steps[1:], source, bool(triggers) or entry.repeat)
        if not triggers:
            if not body and not entry.repeat:
                return []
            triggers = [self._trigger(entry)]
        if plan.entry(name, triggers[0].elements) is not entry:
            del self.used[before:]
            source.quiet = True
            self._report("MAP010", source.path, entry.trigger.selector, triggers[0].get(1))
            return []
        return [[triggers[0], *body], *([t] for t in triggers[1:])]

    def _trigger(self, entry: Entry) -> Segment:
        """The trigger where no row gives one: the declared one, or its fixed values."""
        step = entry.plan.steps[0]
        checks = entry.otherwise or entry.trigger.checks or (step.rules[0].checks if step.rules else ())
        cells: Cells = {}
        constants(cells, checks)
        return Segment(step.name, elements_of(cells))

    def _segments(self, plan: Plan, step: Step, source: Source, limit: int | None = None) -> list[Segment]:
        lines: list[Segment] = []
        room = step.limit if limit is None else limit
        for rule in step.rules:
            done = 0
            for number, target in enumerate(source.each(rule.chain, rule.repeat), 1):
                before = len(self.used)
                written = self._segment(plan, rule, target, room - len(lines))
                if not written:
                    continue
                if len(lines) >= room:
                    del self.used[before:]
                    target.quiet = target is not source
                    self._report("MAP008", target.path, str(room), step.name)
                    continue
                done += 1
                self._moved(rule.repeat, target, done, number)
                self._number(rule.sequence, target, number)
                lines.extend(written)
        return lines

    def _moved(self, repeat: bool, source: Source, done: int, number: int) -> None:
        """Where an earlier occurrence has no segment of its own, this one is read in its place."""
        if repeat and done != number:
            self._report("MAP011", source.path, str(done), str(number))

    def _number(self, sequence: Field | None, source: Source, number: int) -> None:
        """A sequence number that has no place: right as long as it is the count."""
        if sequence is None or sequence.element >= 0:
            return
        value = source.values[sequence.slot]
        if value is not None:
            self.used.append((id(source), sequence.slot))
            if value.text != str(number):
                self._report("MAP011", f"{source.path}/{sequence.name}", str(number), value.text)

    def _segment(self, plan: Plan, rule: Rule, source: Source, room: int) -> list[Segment]:
        """The rule's segment for a class; several where a paragraph runs on; none where it has no value."""
        before = len(self.used)
        cells: Cells = {}
        rest = self._cells(rule, source, cells, 0, max(room, 1))
        filled = bool(cells)
        for inner in rule.inner:
            filled = self._composites(rule, inner, source, cells) or filled
        if not filled:
            return []
        self._defaults(rule, cells, 0)
        constants(cells, rule.checks)
        lines = [Segment(rule.tag, elements_of(cells))]
        for more in rest:
            constants(more, rule.checks)
            lines.append(Segment(rule.tag, elements_of(more)))
        if plan.choose(lines[0]) is not rule:
            del self.used[before:]
            shown = "+".join(":".join(components) for components in lines[0].elements)
            self._report("MAP010", source.path, rule.selector, shown[:70])
            source.quiet = bool(rule.chain)
            return []
        return lines

    def _composites(self, rule: Rule, inner: Rule, source: Source, cells: Cells) -> bool:
        """Fill free occurrences of the composite; True where any was filled."""
        any_filled = False
        done = 0
        for number, target in enumerate(source.each(inner.chain, inner.repeat), 1):
            taken = {element for element, _ in cells}
            free = next((place for place in rule.places if place not in taken), None)
            own: Cells = {}
            before = len(self.used)
            self._cells(inner, target, own, free or 0, 1)
            if not own:
                continue
            base = free or 0
            self._defaults(inner, own, base)
            constants(own, inner.checks, base)
            line = elements_of(own)
            chosen = next((r for r in rule.inner if r.matches(line, base)), None)
            if free is None or chosen is not inner:
                del self.used[before:]
                target.quiet = bool(inner.chain)
                code = "MAP008" if free is None else "MAP010"
                self._report(code, target.path, str(len(rule.places)), inner.selector)
                continue
            cells.update(own)
            done += 1
            self._moved(inner.repeat, target, done, number)
            self._number(inner.sequence, target, number)
            any_filled = True
        return any_filled

    def _cells(self, rule: Rule, source: Source, cells: Cells, base: int, room: int) -> list[Cells]:
        """The components that the source's values fill; further segments where a paragraph runs on."""
        rest: list[Cells] = []
        for field in rule.fields:
            if field.read_only:
                continue
            holder = source.down(field.chain) if field.conversion is not Conversion.POINTER else source
            if holder is None:
                continue
            if field.conversion is Conversion.POINTER:
                self._pointers(field, source, cells)
                continue
            value = holder.values[field.slot]
            if value is None:
                continue
            at = (base + field.element, field.component)
            path = f"{holder.path}/{field.name}"
            if field.conversion is Conversion.DERIVE:
                cells[at] = field.codes.get(value.text) or field.codes.get("*", "")
                continue
            self.used.append((id(holder), field.slot))
            if field.conversion in (Conversion.LINES, Conversion.PARAGRAPH):
                rest.extend(self._lines(field, value, path, cells, base, room))
            elif not self._put(field, value, path, cells, at):
                continue
            self._attributes(field, value, path, cells, base)
        return rest

    def _put(self, field: Field, value: Value, path: str, cells: Cells, at: tuple[int, int]) -> bool:
        text = value.text
        if field.conversion is Conversion.CODE:
            text = field.back.get(value.text, "")
            if not text:
                self._report("MAP009", path, " ".join(field.back), value.text)
                return False
        elif field.conversion is Conversion.DATE:
            text, understood = date_write(text, value.attribute("formatCode"))
            if not understood:
                self._report("MAP013", path, "Z or +hh or -hh", text)
        if not fits(text, field.format):
            self._report("MAP006", path, field.format, text)
            return False
        cells[at] = text
        return True

    def _lines(
        self, field: Field, value: Value, path: str, cells: Cells, base: int, room: int
    ) -> Iterator[Cells]:
        text = " ".join(value.text.split("\n")) if "\n" in value.text else value.text
        lines = wrap(text, width(field.format))
        segments = room if field.conversion is Conversion.PARAGRAPH else 1
        if len(lines) > field.span * segments:
            lines = lines[: field.span * segments]
            self._report("MAP007", path, str(field.span * segments * width(field.format)), str(len(text)))
        if text != value.text:
            self._report("MAP007", path, "one line", "several lines")
        for start in range(0, len(lines), field.span):
            part = cells if start == 0 else {}
            for at, line in enumerate(lines[start : start + field.span]):
                part[(base + field.element, field.component + at)] = line
            if start:
                yield part

    def _attributes(self, field: Field, value: Value, path: str, cells: Cells, base: int) -> None:
        carried = {attribute.name: attribute for attribute in field.attributes}
        for name, text in value.attributes:
            attribute = carried.get(name)
            if attribute is None:
                self._report("MAP012", f"{path}", "", f"{name}={text}")
            elif fits(text, attribute.format):
                cells[(base + attribute.element, attribute.component)] = text
            else:
                self._report("MAP006", path, attribute.format, text)
        for attribute in field.attributes:
            if attribute.default:
                cells.setdefault((base + attribute.element, attribute.component), attribute.default)

    def _defaults(self, rule: Rule, cells: Cells, base: int) -> None:
        for field in rule.fields:
            if field.default:
                cells.setdefault((base + field.element, field.component), field.default)

    def _pointers(self, field: Field, source: Source, cells: Cells) -> None:
        """Pointer levels; a last level in the 1049 code list's own terms goes to its own elements."""
        levels: list[tuple[str, str, str]] = []
        for pointer in source.each(field.chain, True):
            texts = []
            for slot in field.slots:
                value = pointer.values[slot]
                texts.append("" if value is None else value.text)
                self.used.append((id(pointer), slot))
            levels.append((texts[0], texts[1], texts[2]))
        if not levels:
            return
        own = {attribute.name: attribute for attribute in field.attributes}
        if syntactic(levels[-1], own):
            for part, text in zip(("section", "sequence", "tag"), levels.pop(), strict=True):
                attribute = own[part]
                if text:
                    cells[(attribute.element, attribute.component)] = text
        if levels:
            text = pointer_write(levels)
            if fits(text, field.format):
                cells[(field.element, field.component)] = text
            else:
                self._report("MAP006", f"{source.path}/Pointer", field.format, text)

    def _left(self, source: Source, shape: Shape, used: set[tuple[int, int]], root: bool) -> None:
        """Report what was not written: a class as one where nothing of it was."""
        if source.quiet:
            return
        if not root and not touched(source, used):
            self._report("MAP005", source.path, "", shape.name)
            return
        for slot, value in enumerate(source.values):
            if value is not None and (id(source), slot) not in used:
                self._report("MAP005", f"{source.path}/{value.name}", "", value.text[:70])
        for value in source.extra:
            self._report("MAP005", f"{source.path}/{value.name}", "", value.text[:70])
        for path in source.others:
            self._report("MAP005", path, "", path.rpartition("/")[2])
        for slot, kids in enumerate(source.kids):
            for kid in kids:
                self._left(kid, shape.kids[slot], used, False)

    def _report(self, code: str, path: str, expected: str, found: str) -> None:
        self.findings.append(Finding(code, Place(pointer=path), expected, found, Severity.WARNING))
