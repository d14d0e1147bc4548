"""Declarations made from a compiled table: whatever the table says that a message can carry."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import strategies as st

from gateway.mapping.convert import width
from gateway.mapping.edifact import EdifactTable
from gateway.mapping.plan import Conversion, Entry, Field, Rule, Shape
from gateway.model import Entity, Value

CODE = "ABCXYZ019"
TEXT = CODE + "abxyz-./(),&'+:?"
WORDS = st.lists(st.text(TEXT, min_size=1, max_size=45), min_size=1, max_size=7).map(" ".join)
DATES = st.datetimes()
# The classes from the root to here, and which occurrence of each.
Trail = tuple[tuple[int, int], ...]
FORMS = {"102": "%Y%m%d", "203": "%Y%m%d%H%M", "204": "%Y%m%d%H%M%S"}


class Content:
    """What each class may hold: fields of every occurrence, fields of the first only, repeated classes."""

    def __init__(self, table: EdifactTable) -> None:
        self.each: dict[int, dict[int, tuple[Field, Rule]]] = {}
        self.first: dict[int, dict[int, tuple[Field, Rule, int]]] = {}
        self.repeats: set[tuple[int, int]] = set()
        self.required: set[tuple[int, int]] = set()
        self.pointers: dict[int, tuple[int, Field]] = {}
        self.root = table._plan.shape
        self.triggers: dict[int, list[Rule]] = {}
        plans = [table._plan]
        while plans:
            plan = plans.pop()
            for step in plan.steps:
                for entry in step.entries:
                    self.block(entry, plan.shape, step.required)
                    plans.append(entry.plan)
                    self.alternatives(entry)
                for rule in step.rules:
                    self.block(rule, plan.shape, False)
                    for inner in rule.inner:
                        self.block(inner, plan.shape, False)
        plans = [table._plan]
        while plans:
            plan = plans.pop()
            for step in plan.steps:
                plans.extend(entry.plan for entry in step.entries)
                for rule in step.rules:
                    for each in (rule, *rule.inner):
                        self.fields(each, plan.shape)

    def alternatives(self, entry: Entry) -> None:
        """A group that must hold more than its trigger has one trigger: one of its rules."""
        first, *rest = entry.plan.steps
        rules = [rule for rule in first.rules if rule.fields]
        if len(rules) > 1 and any(step.required for step in rest):
            self.triggers[id(entry.plan.shape)] = rules

    def block(self, block: Rule | Entry, shape: Shape, required: bool) -> None:
        if not block.chain:
            return
        for slot in block.chain[:-1]:
            if required:
                self.required.add((id(shape), slot))
            shape = shape.kids[slot]
        key = (id(shape), block.chain[-1])
        if required:
            self.required.add(key)
        if block.repeat:
            self.repeats.add(key)
            if block.sequence is not None and block.sequence.element < 0:
                below = shape.kids[block.chain[-1]]
                self.each.setdefault(id(below), {})[block.sequence.slot] = (block.sequence, Rule("", ""))

    def fields(self, rule: Rule, shape: Shape) -> None:
        """``first``: fields that a chain ties to the first occurrence, and the class it starts from."""
        owner, first = shape, False
        for slot in rule.chain:
            repeated = (id(shape), slot) in self.repeats
            own = slot == rule.chain[-1] and rule.repeat
            shape = shape.kids[slot]
            if own:
                owner, first = shape, False
            first = first or (repeated and not own)
        for field in rule.fields:
            self.note(field, rule, shape, owner, first)

    def note(self, field: Field, rule: Rule, shape: Shape, owner: Shape, first: bool) -> None:
        if field.read_only or field.conversion is Conversion.DERIVE:
            return
        if field.conversion is Conversion.POINTER:
            self.pointers[id(shape)] = (field.chain[0], field)
            return
        for slot in field.chain:
            first = first or (id(shape), slot) in self.repeats
            shape = shape.kids[slot]
        if first:
            self.first.setdefault(id(shape), {})[field.slot] = (field, rule, id(owner))
        else:
            self.each.setdefault(id(shape), {})[field.slot] = (field, rule)


@st.composite
def trees(draw: st.DrawFn, table: EdifactTable) -> Entity:
    """A tree that the table can carry, values and classes in WCO order."""
    content = Content(table)
    return entity(draw, content, content.root, ((id(content.root), 1),))


def entity(
    draw: st.DrawFn,
    content: Content,
    shape: Shape,
    trail: Trail,
    only: frozenset[int] | None = None,
) -> Entity:
    own = content.each.get(id(shape), {})
    number = trail[-1][1]
    leading = {
        slot: (field, rule)
        for slot, (field, rule, owner) in content.first.get(id(shape), {}).items()
        if all(n == 1 for _, n in trail[[s for s, _ in trail].index(owner) + 1 :])
    }
    fields = {**leading, **own}
    if only is not None:
        fields = {slot: fields[slot] for slot in fields if slot in only}
    wanted = draw(st.sets(st.sampled_from(sorted(fields)))) if fields else set()
    real = sorted(s for s, (f, _) in own.items() if s in fields and f.conversion is not Conversion.SEQUENCE)
    if real:
        wanted = wanted | {draw(st.sampled_from(real))}
    if shape is content.root:
        wanted.add(shape.value_names.index("FunctionCode"))
    values = {}
    for slot, (field, rule) in fields.items():
        must = field.default or field.conversion is Conversion.SEQUENCE or chooses(field, rule)
        if slot in wanted or must:
            values[slot] = value(draw, field, rule, number)
    kids: list[Entity] = []
    chosen = draw(st.sampled_from(content.triggers[id(shape)])) if id(shape) in content.triggers else None
    for slot in shape.kid_order:
        kids.extend(classes(draw, content, shape, slot, trail, chosen))
    return Entity(shape.name, tuple(values[s] for s in shape.value_order if s in values), tuple(kids))


def classes(
    draw: st.DrawFn, content: Content, shape: Shape, slot: int, trail: Trail, chosen: Rule | None
) -> Iterator[Entity]:
    below = shape.kids[slot]
    if content.pointers.get(id(shape), (-1, None))[0] == slot:
        yield from pointers(draw)
        return
    key = (id(shape), slot)
    # Two of each: several classes may share one segment's places (five C246 in a CST).
    most = 2 if key in content.repeats else 1
    only = None
    if chosen is not None and slot in {kid_of(rule) for rule in content.triggers[id(shape)]}:
        only = frozenset(field.slot for field in chosen.fields)
        most = 1 if kid_of(chosen) == slot else 0
    count = draw(st.integers(1 if key in content.required else 0, most))
    for number in range(1, count + 1):
        made = entity(draw, content, below, (*trail, (id(below), number)), only)
        if made.values or made.entities:
            yield made


def kid_of(rule: Rule) -> int:
    """The class below the group's own that the rule's values go to."""
    return (rule.chain or rule.fields[0].chain)[0]


def chooses(field: Field, rule: Rule) -> bool:
    """True where the value decides which segment it is."""
    return any((c.element, c.component) == (field.element, field.component) for c in rule.checks)


def pointers(draw: st.DrawFn) -> Iterator[Entity]:
    for _ in range(draw(st.integers(0, 3))):
        values = [Value("DocumentSectionCode", draw(st.sampled_from(("42A", "67A", "68A", "23A"))))]
        if draw(st.booleans()):
            values.insert(0, Value("SequenceNumeric", str(draw(st.integers(1, 99)))))
        if draw(st.booleans()):
            values.append(Value("TagID", draw(st.sampled_from(("145", "R144", "017")))))
        yield Entity("Pointer", tuple(values))
    if draw(st.booleans()):
        found = [("SequenceNumeric", "17"), ("DocumentSectionCode", "2"), ("TagID", "NAD")]
        yield Entity("Pointer", tuple(Value(n, t) for n, t in found))


def value(draw: st.DrawFn, field: Field, rule: Rule, number: int) -> Value:
    attributes = {}
    for attribute in field.attributes:
        if attribute.default or attribute.name in ("unitCode", "currencyID") or draw(st.booleans()):
            attributes[attribute.name] = draw(st.text(CODE, min_size=1, max_size=3))
    size = width(field.format)
    if field.conversion is Conversion.SEQUENCE:
        text = str(number)
    elif field.conversion is Conversion.DATE:
        form = draw(st.sampled_from(("102", "203", "204", "304")))
        moment = draw(DATES)
        zone = draw(st.sampled_from(("Z", "+07", "-11", ""))) if form == "304" else ""
        text = moment.strftime(FORMS.get(form, FORMS["204"])).rjust(8, "0") + zone
        attributes["formatCode"] = form
    elif field.conversion is Conversion.CODE:
        text = draw(st.sampled_from(sorted(field.back)))
    elif field.conversion in (Conversion.LINES, Conversion.PARAGRAPH):
        text = draw(WORDS)[: size * field.span // 2].strip() or "X"
    elif field.conversion is Conversion.DECIMAL:
        whole, part = draw(st.integers(0, 99_999)), draw(st.integers(0, 999))
        text = f"{whole}.{part}" if part and size > 8 else str(whole)
    elif field.format.startswith("n"):
        text = str(draw(st.integers(1, 9))).rjust(size if ".." not in field.format else 1, "0")
    else:
        text = draw(st.text(TEXT, min_size=1, max_size=min(size, 20)))
    return Value(field.name, text, tuple(sorted(attributes.items())))
