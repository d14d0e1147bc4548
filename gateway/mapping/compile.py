"""Compiles a table file against one directory, checking every row; collects all that is broken."""

from __future__ import annotations

from gateway.mapping.apart import alone
from gateway.mapping.fields import FieldCompiler
from gateway.mapping.language import (
    Block,
    EdifactFile,
    Row,
    Wanted,
    parse_at,
    parse_composite,
    parse_position,
    parse_selector,
)
from gateway.mapping.places import LayoutError
from gateway.mapping.plan import (
    Check,
    Conversion,
    Entry,
    Field,
    Plan,
    Rule,
    Shape,
    Step,
)
from gateway.mapping.tree_rows import UNBOUNDED, Outline
from gateway.model.edifact import Directory, GroupUse, MessageTable, SegmentUse

# What the section separators of a message say, one after the other.
SECTIONS = ("D", "S")


class Frame:
    """Where rows of a block go: the plan of its group, the class, and the rule where it is a segment."""

    def __init__(self, plan: Plan, shape: Shape, nodes: tuple[SegmentUse | GroupUse, ...]) -> None:
        self.plan = plan
        self.shape = shape
        self.nodes = nodes
        self.rules: dict[str, Rule] = {}
        self.entry: Entry | None = None


class Compiler(FieldCompiler):
    """One table against one directory.  ``broken`` lists every row that cannot be."""

    def __init__(
        self, file: EdifactFile, outline: Outline, message: MessageTable, directory: Directory
    ) -> None:
        super().__init__(file, directory)
        assert outline.body.node is not None
        self.root = Shape(file.root, outline.body.node)
        self.plan = self._plan(self.root, message.nodes)
        self.frames = {"": Frame(self.plan, self.root, message.nodes)}
        if file.root != outline.body.name:
            self.broken.append(f"root: the tree's body is {outline.body.name}, not {file.root}")

    def compile(self) -> Plan:
        """The plan of the whole message."""
        for number, block in enumerate(self.file.block, 1):
            if not block.serves or self.directory.name in block.serves:
                self._guard(f"block {number} ({block.group or self.file.message})", self._block, block)
        for path, frame in self.frames.items():
            self._trigger(frame)
            for rule in frame.rules.values():
                self._cells(rule)
            for hidden, by in frame.plan.shadowed():
                self.broken.append(
                    f"{self.directory.name}: {path or self.file.message}: {hidden} is behind {by}"
                )
        self.root.settle()
        self.plan.alone = alone(self.plan)
        self.plan.apart = frozenset(entry.chain[0] for entry in self.plan.alone if len(entry.chain) == 1)
        return self.plan

    def _guard(self, where: str, act: object, *arguments: object) -> None:
        try:
            act(*arguments)  # type: ignore[operator]
        except LayoutError as error:
            self.broken.extend(f"{self.directory.name}: {where}: {line}" for line in error.lines)
        except ValueError as error:
            self.broken.append(f"{self.directory.name}: {where}: {error}")

    def _trigger(self, frame: Frame) -> None:
        """A group chosen by its trigger's values reads its trigger even where no row does."""
        entry = frame.entry
        if entry is None or not entry.trigger.checks:
            return
        if not any(rule.tag == entry.trigger.tag for rule in frame.rules.values()):
            entry.trigger.shape = frame.shape
            frame.plan.add(entry.trigger)
            frame.rules[entry.trigger.selector] = entry.trigger

    def _plan(self, shape: Shape, nodes: tuple[SegmentUse | GroupUse, ...]) -> Plan:
        plan = Plan(shape)
        sections = iter(SECTIONS)
        for node in nodes:
            if isinstance(node, GroupUse):
                plan.steps.append(Step(node.name, node.repeat, node.required, True))
            elif node.segment not in ("UNH", "UNT"):
                step = Step(node.segment, node.repeat, node.required, False)
                if node.segment == "UNS":
                    step.constant = (next(sections, "S"),)
                plan.steps.append(step)
        return plan

    def _block(self, block: Block) -> None:
        parent, _, step = block.group.rpartition("/")
        if block.segment:
            frame = self._frame(block.group)
            rule = self._segment_block(frame, block)
            self._rows(block, frame, rule)
        elif not step:
            self._rows(block, self._frame(""), None)
        else:
            frame = self._group(self._frame(parent), block.group, step, block)
            self._rows(block, frame, None)

    def _frame(self, path: str) -> Frame:
        """The frame of a group; a group that no block names stands for its holder's class."""
        if path not in self.frames:
            parent, _, step = path.rpartition("/")
            self._group(self._frame(parent), path, step, Block())
        return self.frames[path]

    def _group(self, holder: Frame, path: str, step: str, block: Block) -> Frame:
        if path in self.frames:
            if block.entity or block.otherwise:
                raise ValueError("the group is tied to a class twice")
            return self.frames[path]
        selector = parse_selector(step)
        use = self._use(holder, selector.tag)
        chain, shape = self._chain(holder.shape, block.entity, block.id)
        trigger = Rule(selector.tag, step)
        trigger.checks = self._checks(selector.tag, selector.first, selector.more)
        entry = Entry(trigger, self._plan(shape, use.nodes))
        entry.chain, entry.repeat = chain, self._repeats(block, holder.shape)
        if block.otherwise:
            other = parse_selector(block.otherwise)
            if other.tag != selector.tag:
                raise ValueError(f"otherwise: the trigger is {selector.tag}, not {other.tag}")
            entry.otherwise = self._checks(other.tag, other.first, other.more)
            blank = Rule(other.tag, block.otherwise)
            blank.checks = entry.otherwise
        holder.plan.groups.setdefault(use.name, []).append(entry)
        holder.plan.step(use.name, True).entries.append(entry)
        frame = self.frames[path] = Frame(entry.plan, shape, use.nodes)
        frame.entry = entry
        if block.otherwise:
            entry.plan.add(blank)
            frame.rules[block.otherwise] = blank
        return frame

    def _use(self, holder: Frame, trigger: str) -> GroupUse:
        groups = [n for n in holder.nodes if isinstance(n, GroupUse)]
        found = [g for g in groups if isinstance(g.nodes[0], SegmentUse) and g.nodes[0].segment == trigger]
        if len(found) != 1:
            raise ValueError(f"{len(found)} groups here begin with {trigger}, one is needed")
        return found[0]

    def _segment_block(self, frame: Frame, block: Block) -> Rule:
        if not block.composite:
            rule = self._rule(frame, block.segment, fresh=True)
            rule.chain, rule.shape = self._chain(frame.shape, block.entity, block.id)
            rule.repeat = self._repeats(block, frame.shape)
            return rule
        outer = self._rule(frame, block.segment)
        code, wanted = parse_composite(block.composite)
        places = self.layout.composites(outer.tag, code)
        if outer.places and outer.places != places:
            raise ValueError(f"{outer.tag}: rows for two composites")
        rule = Rule(outer.tag, block.composite)
        rule.checks = tuple(
            Check(0, self.layout.component(outer.tag, places[0], w.element), _accepted(w), _written(w))
            for w in wanted
        )
        rule.chain, rule.shape = self._chain(frame.shape, block.entity, block.id)
        rule.repeat = self._repeats(block, frame.shape)
        outer.places = places
        outer.inner.append(rule)
        return rule

    def _repeats(self, block: Block, shape: Shape) -> bool:
        if not block.repeat:
            return False
        names = block.entity.split("/")
        node = shape.node
        for name in names[:-1]:
            node = node.by_name[name].node or node
        row = node.by_name[names[-1]]
        if row.repeat != UNBOUNDED and row.repeat < 2:
            raise ValueError(f"{block.entity} does not repeat in the WCO tree")
        return True

    def _rule(self, frame: Frame, text: str, fresh: bool = False) -> Rule:
        """The frame's rule of that selector."""
        if text in frame.rules:
            if fresh:
                raise ValueError(f"{text} is tied twice")
            return frame.rules[text]
        selector = parse_selector(text)
        rule = Rule(selector.tag, text)
        rule.checks = self._checks(selector.tag, selector.first, selector.more)
        rule.shape = frame.shape
        if frame.entry is not None and frame.entry.trigger.tag == selector.tag and selector.first is None:
            rule.checks = (*frame.entry.trigger.checks, *rule.checks)
        try:
            frame.plan.add(rule)
        except KeyError:
            raise ValueError(f"{selector.tag} is not in the group") from None
        frame.rules[text] = rule
        return rule

    def _checks(self, tag: str, first: Wanted | None, more: tuple[Wanted, ...]) -> tuple[Check, ...]:
        checks = []
        if first is not None:
            code = self.layout.code(tag, 0, 0)
            self._known(code, first)
            checks.append(Check(0, 0, _accepted(first), _written(first)))
        for wanted in more:
            spot = self.layout.spot(tag, parse_position(wanted.element))
            self._known(spot.code, wanted)
            checks.append(Check(spot.element, spot.component, _accepted(wanted), _written(wanted)))
        return tuple(checks)

    def _known(self, code: str, wanted: Wanted) -> None:
        """The value that is written is in the directory's code list, where it has one."""
        listed = self.directory.codes.get(code)
        if listed and wanted.values and wanted.values[0] not in listed:
            raise ValueError(f"{wanted.values[0]} is not in the code list {code}")

    def _rows(self, block: Block, frame: Frame, rule: Rule | None) -> None:
        rows = list(block.rows)
        for name in block.use:
            if name not in self.file.parts:
                self.broken.append(f"{self.directory.name}: no part {name}")
            rows.extend(self.file.parts.get(name, ()))
        for row in rows:
            where = f"{block.group or self.file.message}: {row.at} = {row.wco}"
            self._guard(where, self._row, row, block, frame, rule)

    def _row(self, row: Row, block: Block, frame: Frame, rule: Rule | None) -> None:
        if not row.at:
            self._numbering(row, frame, rule)
            return
        base = 0
        if rule is None:
            place = parse_at(row.at)
            path = block.group
            for group in place.groups:
                path = f"{path}/{group}" if path else group
                frame = self._frame(path)
            rule, text, shape = self._rule(frame, place.selector), place.position, frame.shape
            if rule.chain:
                raise ValueError(f"{place.selector} is tied to a class of its own")
        else:
            text = row.at
            assert rule.shape is not None
            shape = rule.shape
            if block.composite:
                base = self.layout.composites(rule.tag, parse_composite(block.composite)[0])[0]
                text = f"{parse_composite(block.composite)[0]}.{row.at}"
        if text:
            field = self._field(row, rule, shape, text, base)
            rule.fields.append(field)
            self._counted(frame, rule, field)

    def _numbering(self, row: Row, frame: Frame, rule: Rule | None) -> None:
        holder = rule or frame.entry
        if row.as_ != "sequence" or holder is None or not holder.repeat:
            raise ValueError("only a sequence of a block that repeats has no place")
        shape = frame.shape if rule is None else rule.shape
        assert shape is not None
        field = Field(row.wco, row.wco, Conversion.SEQUENCE)
        self._tie(field, row, shape)
        holder.sequence = field

    def _counted(self, frame: Frame, rule: Rule, field: Field) -> None:
        """A sequence with a place counts too, where the sender left the place empty."""
        if field.conversion is Conversion.SEQUENCE and not field.chain:
            if rule.repeat and rule.sequence is None:
                rule.sequence = field
            elif frame.entry is not None and frame.entry.repeat and not rule.chain:
                frame.entry.sequence = frame.entry.sequence or field


def _accepted(wanted: Wanted) -> frozenset[str] | None:
    return None if wanted.any else frozenset(wanted.values)


def _written(wanted: Wanted) -> str:
    return wanted.values[0] if wanted.values else ""
