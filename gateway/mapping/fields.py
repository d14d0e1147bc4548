"""Compiles the rows of a table: where a value stands, how it is converted, which WCO element it is."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.mapping.language import EdifactFile, Row, parse_position, reversed_codes
from gateway.mapping.places import Layout
from gateway.mapping.plan import KNOWN, Attribute, Chain, Conversion, Field, Rule, Shape
from gateway.model.edifact import Directory

_CONVERSIONS = {
    "text": Conversion.TEXT,
    "decimal": Conversion.DECIMAL,
    "date": Conversion.DATE,
    "code": Conversion.CODE,
    "lines": Conversion.LINES,
    "paragraph": Conversion.PARAGRAPH,
    "sequence": Conversion.SEQUENCE,
    "pointer": Conversion.POINTER,
    "derive": Conversion.DERIVE,
}
_POINTER_PARTS = ("section", "sequence", "tag")
POINTER_VALUES = ("DocumentSectionCode", "SequenceNumeric", "TagID")


class FieldCompiler:
    """Rows of one table against one directory.  ``broken`` lists every row that cannot be."""

    def __init__(self, file: EdifactFile, directory: Directory) -> None:
        self.file = file
        self.layout = Layout(directory)
        self.directory = directory
        self.broken: list[str] = []

    def _chain(self, shape: Shape, path: str, id_: str) -> tuple[Chain, Shape]:
        chain: list[int] = []
        row_id = ""
        for name in path.split("/") if path else ():
            row = shape.node.by_name.get(name)
            if row is None or row.node is None:
                raise ValueError(f"{shape.name} has no class {name} in the WCO tree")
            row_id = row.id
            slot = shape.kid(name)
            chain.append(slot)
            shape = shape.kids[slot]
        if path and id_ != row_id:
            raise ValueError(f"{path}: the WCO id is {row_id or 'none'}, not {id_ or 'none'}")
        return tuple(chain), shape

    def _field(self, row: Row, rule: Rule, shape: Shape, text: str, base: int) -> Field:
        name, _, table = row.as_.partition(" ")
        if name not in _CONVERSIONS:
            raise ValueError(f"{row.as_!r} is no conversion")
        conversion = _CONVERSIONS[name]
        field = Field(row.wco, row.wco.rpartition("/")[2], conversion)
        spot = self.layout.spot(rule.tag, parse_position(text))
        field.element, field.component, field.span = spot.element - base, spot.component, spot.span
        field.alone, field.format = spot.alone, spot.format
        if conversion in (Conversion.CODE, Conversion.DERIVE):
            field.codes = self._crosswalk(table)
            field.back = reversed_codes(field.codes)
        field.default, field.read_only = row.default, row.only == "read"
        if row.only not in ("", "read") or (field.span > 1 and name not in ("lines", "paragraph")):
            raise ValueError("only `read` may stand in only; only lines span components")
        self._tie(field, row, shape)
        field.attributes = tuple(self._attributes(row, rule, base, field, shape))
        return field

    def _crosswalk(self, table: str) -> dict[str, str]:
        if table not in self.file.codes:
            raise ValueError(f"no code table {table!r}")
        return self.file.codes[table]

    def _tie(self, field: Field, row: Row, shape: Shape) -> None:
        """Resolve the WCO path: the chain to its class and the value's slot."""
        holder, _, leaf = row.wco.rpartition("/")
        if field.conversion is Conversion.POINTER:
            field.chain, below = self._chain(shape, row.wco, row.id)
            field.slots = tuple(below.value(name) for name in POINTER_VALUES)
            return
        names = holder.split("/") if holder else []
        chain: list[int] = []
        for name in names:
            found = shape.node.by_name.get(name)
            if found is None or found.node is None:
                raise ValueError(f"{shape.name} has no class {name} in the WCO tree")
            chain.append(shape.kid(name))
            shape = shape.kids[chain[-1]]
        value = shape.node.by_name.get(leaf)
        if value is None or value.node is not None:
            raise ValueError(f"{shape.name} has no element {leaf} in the WCO tree")
        if value.id != row.id:
            raise ValueError(f"{leaf}: the WCO id is {value.id or 'none'}, not {row.id or 'none'}")
        field.chain, field.slot, field.wco_format = tuple(chain), shape.value(leaf), value.format

    def _attributes(self, row: Row, rule: Rule, base: int, field: Field, shape: Shape) -> Iterator[Attribute]:
        if field.conversion is Conversion.POINTER and sorted(row.with_) != sorted(_POINTER_PARTS):
            raise ValueError("a pointer takes section, sequence and tag")
        for slot in field.chain:
            shape = shape.kids[slot]
        for name in sorted(row.with_):
            code, _, default = row.with_[name].partition("=")
            spot = self.layout.spot(rule.tag, parse_position(code))
            if field.conversion is not Conversion.POINTER:
                allowed = shape.node.by_name[field.name].attributes
                if name not in allowed:
                    raise ValueError(f"{field.name} has no attribute {name}")
            yield Attribute(name, spot.element - base, spot.component, default, spot.format)

    def _cells(self, rule: Rule) -> None:
        """Lay out what the rule knows of each component."""
        known: dict[tuple[int, int], Field] = {}
        for field in rule.fields:
            for at in range(field.component, field.component + field.span):
                known[field.element, at] = KNOWN
            for attribute in field.attributes:
                known[attribute.element, attribute.component] = KNOWN
        for check in rule.checks:
            known[check.element, check.component] = KNOWN
        for field in rule.fields:
            field.plain = field.conversion is Conversion.TEXT and not field.chain and not field.attributes
            if field.conversion < Conversion.LINES:
                known[field.element, field.component] = field
        rule.wide = tuple(f for f in rule.fields if f.conversion >= Conversion.LINES)
        size = max((element for element, _ in known), default=-1) + 1
        rule.cells = tuple(
            tuple(known.get((e, c)) for c in range(max((k[1] for k in known if k[0] == e), default=-1) + 1))
            for e in range(size)
        )
        for number, inner in enumerate(rule.inner):
            self._cells(inner)
            for other in rule.inner[:number]:
                if other.accepts_all_of(inner):
                    self.broken.append(
                        f"{self.directory.name}: {rule.tag}: {inner.selector} is behind {other.selector}"
                    )
