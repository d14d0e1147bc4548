"""Writes a WCO tree as the segments of an EDIFACT message; what no row can carry is reported."""

from __future__ import annotations

from gateway.mapping.cells import Cells, Filling, constants, elements_of
from gateway.mapping.losses import Losses
from gateway.mapping.plan import Entry, Field, Plan, Rule, Step
from gateway.mapping.source import Source
from gateway.model import Entity, Finding
from gateway.model.edifact import Segment


class Writer:
    """One writing."""

    def __init__(self, plan: Plan, root: Entity) -> None:
        self._plan = plan
        self._source = Source(root, plan.shape, root.name)
        self._losses = Losses()

    @property
    def findings(self) -> list[Finding]:
        """What was lost."""
        return self._losses.findings

    def write(self) -> tuple[Segment, ...]:
        """The segments without UNH and UNT."""
        lines = self._steps(self._plan, self._plan.steps, self._source)
        self._losses.close(self._source, self._plan.shape)
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
                self._losses.report("MAP015", source.path, name, "")
        return lines

    def _groups(self, plan: Plan, step: Step, source: Source) -> list[Segment]:
        lines: list[Segment] = []
        room = step.limit
        for entry in step.entries:
            for number, target in enumerate(source.each(entry.chain, entry.repeat), 1):
                before = self._losses.mark()
                written = self._occurrences(plan, step.name, entry, target, room)
                if not written:
                    continue
                if room <= 0:
                    self._losses.back_to(before)
                    target.quiet = True
                    self._losses.report("MAP008", target.path, str(step.limit), step.name)
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
        before = self._losses.mark()
        # A further trigger is a group of its own: not possible where the group must hold more than it.
        bare = not any(step.required for step in inside.steps[1:])
        triggers = self._segments(inside, inside.steps[0], source, max(room, 1) if bare else 1)
        body = self._steps(inside, inside.steps[1:], source, bool(triggers) or entry.repeat)
        if not triggers:
            if not body and not entry.repeat:
                return []
            triggers = [self._trigger(entry)]
        if plan.entry(name, triggers[0].elements) is not entry:
            self._losses.back_to(before)
            source.quiet = True
            self._losses.report("MAP010", source.path, entry.trigger.selector, triggers[0].get(1))
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
                before = self._losses.mark()
                written = self._segment(plan, rule, target, room - len(lines))
                if not written:
                    continue
                if len(lines) >= room:
                    self._losses.back_to(before)
                    target.quiet = target is not source
                    self._losses.report("MAP008", target.path, str(room), step.name)
                    continue
                done += 1
                self._moved(rule.repeat, target, done, number)
                self._number(rule.sequence, target, number)
                lines.extend(written)
        return lines

    def _moved(self, repeat: bool, source: Source, done: int, number: int) -> None:
        """Where an earlier occurrence has no segment of its own, this one is read in its place."""
        if repeat and done != number:
            self._losses.report("MAP011", source.path, str(done), str(number))

    def _number(self, sequence: Field | None, source: Source, number: int) -> None:
        """A sequence number that has no place: right as long as it is the count."""
        if sequence is None or sequence.element >= 0:
            return
        value = source.values[sequence.slot]
        if value is not None:
            self._losses.use(source, sequence.slot)
            if value.text != str(number):
                self._losses.report("MAP011", f"{source.path}/{sequence.name}", str(number), value.text)

    def _segment(self, plan: Plan, rule: Rule, source: Source, room: int) -> list[Segment]:
        """The rule's segment for a class; several where a paragraph runs on; none where it has no value."""
        before = self._losses.mark()
        filling = Filling(self._losses)
        rest = filling.fill(rule, source, max(room, 1))
        filled = bool(filling.cells)
        for inner in rule.inner:
            filled = self._composites(rule, inner, source, filling.cells) or filled
        if not filled:
            return []
        filling.complete(rule)
        for more in rest:
            constants(more, rule.checks)
        lines = [Segment(rule.tag, elements_of(cells)) for cells in (filling.cells, *rest)]
        if plan.choose(lines[0]) is not rule:
            self._losses.back_to(before)
            shown = "+".join(":".join(components) for components in lines[0].elements)
            self._losses.report("MAP010", source.path, rule.selector, shown[:70])
            source.quiet = bool(rule.chain)
            return []
        return lines

    def _composites(self, rule: Rule, inner: Rule, source: Source, cells: Cells) -> bool:
        """Fill free occurrences of the composite; True where any was filled."""
        done = 0
        for number, target in enumerate(source.each(inner.chain, inner.repeat), 1):
            if not self._composite(rule, inner, target, cells):
                continue
            done += 1
            self._moved(inner.repeat, target, done, number)
            self._number(inner.sequence, target, number)
        return done > 0

    def _composite(self, rule: Rule, inner: Rule, source: Source, cells: Cells) -> bool:
        """Fill the next free occurrence of the composite; True where it could be."""
        taken = {element for element, _ in cells}
        free = next((place for place in rule.places if place not in taken), None)
        before = self._losses.mark()
        own = Filling(self._losses, free or 0)
        own.fill(inner, source, 1)
        if not own.cells:
            return False
        own.complete(inner)
        line = elements_of(own.cells)
        chosen = next((r for r in rule.inner if r.matches(line, free or 0)), None)
        if free is None or chosen is not inner:
            self._losses.back_to(before)
            source.quiet = bool(inner.chain)
            code = "MAP008" if free is None else "MAP010"
            self._losses.report(code, source.path, str(len(rule.places)), inner.selector)
            return False
        cells.update(own.cells)
        return True
