"""Reads a structured EDIFACT message into the WCO tree: one walk, every piece of content accounted for."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from gateway.mapping.convert import date_read, decimal_read, join, pointer_read, width
from gateway.mapping.groups import NOT_PLAIN, Read, never_plain
from gateway.mapping.parts import Part, parts
from gateway.mapping.plan import KNOWN, SERVICE, Conversion, Field, Plan, Rule
from gateway.mapping.target import Target
from gateway.model import Finding, Place, Severity, Value
from gateway.model.edifact import Group, Segment

_TEXT, _CODE = Conversion.TEXT, Conversion.CODE
# A later value of these takes the place of an earlier one: it is the same one, complete or confirmed.
_REPLACES = (Conversion.SEQUENCE, Conversion.PARAGRAPH)
Elements = tuple[tuple[str, ...], ...]
Attributes = tuple[tuple[str, str], ...]
Taken = Callable[[int, Target], None]
"""Is given a class that is filled, by its slot, and lets go of it."""

# Where a value came from: segment, element and component from 1 (component 0: stands alone).
Mark = tuple[Segment, int, int]


# A manifest may repeat one unknown element ten thousand times; the sender needs the first of them.
MAX_FINDINGS = 500


class Reader:
    """One reading.  With ``track`` it also remembers where every value came from.

    ``plain``: reads groups of which nothing has to be told, in less time; nothing is remembered of these.
    ``findings``: the first MAX_FINDINGS, all of them warnings; ``told``: how many there were.
    """

    def __init__(self, track: bool = False, plain: Read = never_plain) -> None:
        self._plain = plain
        self.findings: list[Finding] = []
        self.told = 0
        self.tails: dict[tuple[int, int], int] = {}
        self.marks: dict[tuple[int, int], Mark] | None = {} if track else None
        self._found: list[tuple[Segment, Finding]] = []  # in the part at hand

    def read(self, plan: Plan, tree: Group, taken: Taken | None = None) -> Target:
        """Walk the message part by part.

        ``taken``: called with each class that is one group's alone, as soon as it is filled.
        """
        root = Target(plan.shape)
        for part in parts(tree):
            self.read_part(plan, part, root, taken)
        return root

    def read_part(self, plan: Plan, part: Part, root: Target, taken: Taken | None = None) -> None:
        """What the message itself holds at one place."""
        if isinstance(part.child, Segment):
            self._own(plan, part.child, root)
        else:
            self._top(plan, part.child, root, taken)
        if self._found:
            self._place(part)

    def _top(self, plan: Plan, group: Group, root: Target, taken: Taken | None) -> None:
        """A group of those that the message itself holds."""
        trigger = group.children[0]
        entry = plan.entry(group.name, trigger.elements) if type(trigger) is Segment else None
        if entry is None:
            self._unread_group(group)
            return
        holder = root.at(entry.chain, entry.repeat, entry.sequence)
        if entry.chain and self.marks is not None:
            self._mark(holder, -1, trigger, 0, 0)
        whole = self._plain(entry, group, holder.ordinal) if entry in plan.alone else NOT_PLAIN
        if whole is not NOT_PLAIN:
            holder.whole = whole
        elif taken is not None and plan.is_apart(entry):
            outer, self.tails = self.tails, {}  # by identities, which are given anew once the class is let go
            self._group(entry.plan, group, holder)
            self.tails = outer
        else:
            self._group(entry.plan, group, holder)
        if taken is not None and plan.is_apart(entry):
            taken(entry.chain[0], holder)
            root.let_go(entry.chain[0])

    def _place(self, part: Part) -> None:
        """Findings of a part, with the group path of their segments; of very many, the first."""
        found, self._found = self._found, []
        room = MAX_FINDINGS - len(self.findings)
        self.told += len(found)
        paths = part.paths() if room > 0 else {}
        for segment, finding in found[: max(room, 0)]:
            place = replace(finding.place, group=paths.get(id(segment), ""))
            self.findings.append(replace(finding, place=place))

    def _own(self, plan: Plan, segment: Segment, target: Target) -> None:
        rule = plan.choose(segment)
        if rule is not None:
            self._segment(rule, segment, target)
        elif segment.tag not in SERVICE:
            self._unread(segment)

    def _group(self, plan: Plan, group: Group, target: Target) -> None:
        choose, segment_read = plan.choose, self._segment
        for child in group.children:
            if type(child) is Segment:
                rule = choose(child)
                if rule is not None:
                    segment_read(rule, child, target)
                elif child.tag not in SERVICE:
                    self._unread(child)
            elif type(child) is Group:
                trigger = child.children[0]
                entry = plan.entry(child.name, trigger.elements) if type(trigger) is Segment else None
                if entry is None:
                    self._unread_group(child)
                else:
                    holder = target.at(entry.chain, entry.repeat, entry.sequence)
                    if entry.chain and self.marks is not None:
                        self._mark(holder, -1, trigger, 0, 0)
                    self._group(entry.plan, child, holder)

    def _segment(self, rule: Rule, segment: Segment, target: Target) -> None:
        if rule.chain:
            target = target.at(rule.chain, rule.repeat, rule.sequence)
            if self.marks is not None:
                self._mark(target, -1, segment, 0, 0)
        elements, places, cells = segment.elements, rule.places, rule.cells
        known, values, track = len(cells), target.values, self.marks is not None
        for at, components in enumerate(elements):
            if places and at in places:
                self._composite(rule, segment, elements, at, target)
                continue
            row = cells[at] if at < known else ()
            size = len(row)
            for spot, text in enumerate(components):
                if text:
                    field = row[spot] if spot < size else None
                    if field is KNOWN:
                        continue
                    if field is None:
                        self._lost(segment, at, spot, components)
                    elif field.plain and values[field.slot] is None and not track:
                        values[field.slot] = Value(field.name, text)
                    else:
                        self._value(field, segment, elements, at, text, target)
        for field in rule.wide:
            at = field.element
            if (at < len(elements) and any(elements[at])) or field.attributes:
                self._wide(field, segment, elements, 0, target)
        if segment.repeats:
            self._repeats(rule, segment, target)

    def _repeats(self, rule: Rule, segment: Segment, target: Target) -> None:
        """Syntax 4 repetitions: of a composite with rules of its own, one more; else not carried."""
        for element, occurrences in segment.repeats:
            for number, components in enumerate(occurrences, 2):
                if element - 1 in rule.places:
                    line = ((),) * (element - 1) + (components,)
                    self._composite(rule, segment, line, element - 1, target)
                elif any(components):
                    place = replace(_place(segment, element, 0), repetition=number)
                    self._report(segment, "MAP002", found=":".join(components)[:70], place=place)

    def _composite(self, rule: Rule, segment: Segment, elements: Elements, at: int, target: Target) -> None:
        components = elements[at]
        if not any(components):
            return
        inner = next((r for r in rule.inner if r.matches(elements, at)), None)
        if inner is None:
            self._report(segment, "MAP002", found=":".join(components)[:70], place=_place(segment, at + 1, 0))
            return
        if inner.chain:
            target = target.at(inner.chain, inner.repeat, inner.sequence)
            self._mark(target, -1, segment, at + 1, 0)
        row = inner.cells[0] if inner.cells else ()
        for spot, text in enumerate(components):
            if text:
                field = row[spot] if spot < len(row) else None
                if field is None:
                    self._lost(segment, at, spot, components)
                elif field is not KNOWN:
                    self._value(field, segment, elements, at, text, target)
        for field in inner.wide:
            self._wide(field, segment, elements, at, target)

    def _value(
        self, field: Field, segment: Segment, elements: Elements, at: int, text: str, target: Target
    ) -> None:
        """Set a value that one component gives."""
        attributes = _attributes(field, elements, at - field.element) if field.attributes else ()
        conversion = field.conversion
        if conversion is _CODE and text in field.codes:
            text = field.codes[text]
        elif conversion is not _TEXT:
            text = self._convert(field, segment, text, attributes, at)
            if not text:
                return
        self._set(field, segment, at, text, attributes, target)

    def _set(
        self, field: Field, segment: Segment, at: int, text: str, attributes: Attributes, target: Target
    ) -> None:
        for slot in field.chain:
            target = target.first(slot)
        slot, values = field.slot, target.values
        old = values[slot]
        if old is None and self.marks is None:
            values[slot] = Value(field.name, text, attributes)
            return
        component = 0 if field.alone else field.component + 1
        if old is not None and old.text != text and field.conversion not in _REPLACES:
            self._report(segment, "MAP003", old.text[:70], text[:70], _place(segment, at + 1, component))
            return
        values[slot] = Value(field.name, text, attributes)
        if self.marks is not None:
            self._mark(target, slot, segment, at + 1, component)

    def _wide(self, field: Field, segment: Segment, elements: Elements, base: int, target: Target) -> None:
        """Set what several components give together."""
        at = base + field.element
        components = elements[at] if at < len(elements) else ()
        conversion = field.conversion
        if conversion is Conversion.POINTER:
            self._pointer(field, segment, components, target, at)
        elif conversion is Conversion.DERIVE:
            text = components[field.component] if field.component < len(components) else ""
            if text and text not in field.codes.values():
                expected = " ".join(dict.fromkeys(field.codes.values()))
                self._report(segment, "MAP004", expected, text, _place(segment, at + 1, field.component + 1))
        else:
            lines = components[field.component : field.component + field.span]
            text = lines[0] if len(lines) == 1 else join(lines, width(field.format)) if lines else ""
            if text and conversion is Conversion.PARAGRAPH:
                text = self._paragraph(field, lines, text, target)
            if text:
                attributes = _attributes(field, elements, base) if field.attributes else ()
                self._set(field, segment, at, text, attributes, target)

    def _convert(self, field: Field, segment: Segment, text: str, attributes: Attributes, at: int) -> str:
        conversion = field.conversion
        if conversion is Conversion.DECIMAL:
            return decimal_read(text)
        if conversion is Conversion.CODE:
            return self._code(field, segment, text, at)
        if conversion is Conversion.DATE:
            text, understood = date_read(text, attributes[0][1] if attributes else "")
            if not understood:
                place = _place(segment, at + 1, field.component + 1)
                self._report(segment, "MAP013", "Z or +hh or -hh", text, place)
        return text

    def _code(self, field: Field, segment: Segment, text: str, at: int) -> str:
        found = field.codes.get(text, "")
        if not found:
            place = _place(segment, at + 1, 0 if field.alone else field.component + 1)
            self._report(segment, "MAP004", " ".join(field.codes), text, place)
        return found

    def _paragraph(self, field: Field, lines: tuple[str, ...], text: str, target: Target) -> str:
        """The text so far and this segment's lines, joined as if they were one segment's."""
        for slot in field.chain:
            target = target.first(slot)
        key = (id(target), field.slot)
        old = target.values[field.slot]
        if old is not None:
            full = self.tails.get(key, 0) >= width(field.format)
            text = old.text + ("" if full else " ") + text
        self.tails[key] = len(next(line for line in reversed(lines) if line))
        return text

    def _pointer(
        self, field: Field, segment: Segment, components: tuple[str, ...], target: Target, at: int
    ) -> None:
        text = components[field.component] if field.component < len(components) else ""
        levels = pointer_read(text) if text else ()
        if levels is None:
            place = _place(segment, at + 1, field.component + 1)
            self._report(segment, "MAP004", "42A/68A:2#006", text, place)
            levels = ()
        own = dict(_attributes(field, segment.elements, 0))
        last = (own.get("section", ""), own.get("sequence", ""), own.get("tag", ""))
        for level in (*levels, last):
            if any(level):
                pointer = target.at(field.chain, True, None)
                for slot, part in zip(field.slots, level, strict=True):
                    if part:
                        pointer.values[slot] = Value(pointer.shape.value_names[slot], part)

    def _mark(self, target: Target, slot: int, segment: object, element: int, component: int) -> None:
        if self.marks is not None and isinstance(segment, Segment):
            self.marks.setdefault((id(target), slot), (segment, element, component))

    def _unread(self, segment: Segment) -> None:
        if any(any(components) for components in segment.elements):
            shown = "+".join(":".join(components) for components in segment.elements)
            self._report(segment, "MAP001", found=f"{segment.tag}+{shown}"[:70], place=_place(segment, 0, 0))

    def _unread_group(self, group: Group) -> None:
        for child in group.children:
            if isinstance(child, Segment):
                self._unread(child)
            else:
                self._unread_group(child)

    def _lost(self, segment: Segment, at: int, spot: int, components: tuple[str, ...]) -> None:
        place = _place(segment, at + 1, spot + 1 if len(components) > 1 else 0)
        self._report(segment, "MAP002", found=components[spot][:70], place=place)

    def _report(
        self, segment: Segment, code: str, expected: str = "", found: str = "", place: Place | None = None
    ) -> None:
        place = place or _place(segment, 0, 0)
        self._found.append((segment, Finding(code, place, expected, found, Severity.WARNING)))


def _place(segment: Segment, element: int, component: int) -> Place:
    return Place(
        segment=segment.number, tag=segment.tag, element=element, component=component, offset=segment.offset
    )


def _attributes(field: Field, elements: Elements, base: int) -> Attributes:
    if not field.attributes:
        return ()
    found: list[tuple[str, str]] = []
    for attribute in field.attributes:
        at, spot = base + attribute.element, attribute.component
        if at < len(elements):
            components = elements[at]
            if spot < len(components) and components[spot]:
                found.append((attribute.name, components[spot]))
    return tuple(found)
