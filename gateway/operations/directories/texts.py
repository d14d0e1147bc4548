"""The text files of a release, one function for each kind of file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from gateway.model.edifact import ComponentUse, ElementUse, GroupUse, SegmentUse
from gateway.syntax.tables import Nodes, flat

_MARKS = r"[ +*#|X-]"  # indicators of what changed since the release before
_TABLE_HEAD = re.compile(r"^\W*Pos\W+Tag\W+Name.*$", re.MULTILINE)
_TABLE_ROW = re.compile(
    rf"^\d{{4,5}}{_MARKS}+(?:(?P<tag>[A-Z]{{3}}) |\W*Segment group (?P<group>\d+)).*?"
    r"\b(?P<status>[CM]) +(?P<repeat>\d+)(?P<frame>.*)$",
    re.MULTILINE,
)
_ENDS = re.compile("[┘┴+]")  # where a frame ends
_BARS = re.compile("[│|]")  # frames that go on: those of the groups still open
_SEGMENT_HEAD = re.compile(rf"^{_MARKS}{{5,8}}([A-Z]{{3}}) {{2,4}}(?!.*:)\S")
_COMPOSITE_HEAD = re.compile(rf"^{_MARKS}{{5,8}}(C\d{{3}}) {{1,3}}(?!.*:)\S")
_ELEMENT_ROW = re.compile(rf"^\d{{3}}{_MARKS}{{1,4}}([CES\d]\d{{3}}) ")
_INNER_ROW = re.compile(rf"^{_MARKS}{{5,8}}(\d{{4}}) ")
_ROW_END = re.compile(r" ([CM])(?: +(\d+))?(?: +((?:an|a|n)(?:\.\.)?\d+))?$")
_RULE = re.compile(r"^\W{60,}$")
_NUMBER_HEAD = re.compile(rf"^{_MARKS}{{1,7}}(\d{{4}}) +\S")
_FORMAT = re.compile(r"^ +Repr: *((?:an|a|n)(?:\.\.)?) *(\d+)")
_CODE = re.compile(rf"^{_MARKS}{{3}} *(\S+)(?:\s+\S|$)")
_CODE_COLUMNS = 10  # a code begins before this column, names and explanations after it


def is_batch_message(text: str) -> bool:
    """True for a batch message, false for an interactive one or any other text."""
    first = _TABLE_ROW.search(text, _table_start(text))
    return first is not None and first["tag"] == "UNH"


def _table_start(text: str) -> int:
    heads = list(_TABLE_HEAD.finditer(text))
    return heads[-1].end() if heads else len(text)


class _Open(NamedTuple):
    """A group whose frame is open."""

    name: str
    required: bool
    repeat: int
    nodes: list[SegmentUse | GroupUse]


def message(text: str) -> Nodes:
    """The structure from a message's segment table.  Raises ValueError where the table is broken."""
    rows: list[re.Match[str]] = []
    for row in _TABLE_ROW.finditer(text, _table_start(text)):
        rows.append(row)
        if row["tag"] == "UNT":
            break
    stack = [_Open("", True, 1, [])]
    for row in rows:
        required, repeat = row["status"] == "M", int(row["repeat"])
        if row["group"]:
            stack.append(_Open(f"SG{row['group']}", required, repeat, []))
            continue
        stack[-1].nodes.append(SegmentUse(row["tag"], required, repeat))
        bars = len(_BARS.findall(row["frame"])) if _ENDS.search(row["frame"]) else len(stack)
        while len(stack) > bars + 1:
            done = stack.pop()
            stack[-1].nodes.append(GroupUse(done.name, done.required, done.repeat, tuple(done.nodes)))
    if not rows or rows[-1]["tag"] != "UNT" or len(stack) != 1:
        raise ValueError("the segment table does not end, or a group in it does not")
    return tuple(stack[0].nodes)


def tags(nodes: Nodes) -> Iterator[str]:
    """Tags of the segments in a structure."""
    return (node.segment for _, node in flat(nodes) if isinstance(node, SegmentUse))


def segments(text: str) -> dict[str, tuple[ElementUse, ...]]:
    """Layouts by tag, composites written out, from the segment file."""
    found: dict[str, list[ElementUse]] = {}
    for head, code, inner, end in _rows(text, _SEGMENT_HEAD):
        uses = found.setdefault(head, [])
        required, form = end[1] == "M", end[3] or ""
        if inner:
            last = uses[-1]
            parts = (*last.components, ComponentUse(code, required, form))
            uses[-1] = ElementUse(last.code, last.required, last.repeat, "", parts)
        elif code:
            uses.append(ElementUse(code, required, int(end[2] or 1), form))
    return {tag: tuple(uses) for tag, uses in found.items()}


def composites(text: str) -> dict[str, tuple[ComponentUse, ...]]:
    """Components by composite, from the composite file."""
    found: dict[str, list[ComponentUse]] = {}
    for head, code, _, end in _rows(text, _COMPOSITE_HEAD):
        found.setdefault(head, []).append(ComponentUse(code, end[1] == "M", end[3] or ""))
    return {code: tuple(parts) for code, parts in found.items()}


def _rows(text: str, heading: re.Pattern[str]) -> Iterator[tuple[str, str, bool, re.Match[str]]]:
    """(heading, code, whether it is a component within a segment, end of the row) for every row."""
    head, code, inner, row = "", "", False, ""
    for line in map(str.rstrip, text.splitlines()):
        begun = heading.match(line)
        if begun:
            head, code = begun[1], ""
            continue
        element = _ELEMENT_ROW.match(line)
        component = None if element else _INNER_ROW.match(line)
        start = element or component
        if start and head:
            code, inner, row = start[1], component is not None, line
        elif code:
            row += " " + line.strip()  # a long name goes on in the next line
        end = _ROW_END.search(row) if code else None
        if end:
            yield head, code, inner, end
            code = ""


def elements(text: str) -> dict[str, str]:
    """Formats by data element, from the element file."""
    found: dict[str, str] = {}
    for number, lines in _numbers(text):
        form = next((m for m in map(_FORMAT.match, lines) if m), None)
        if form is not None:
            found[number] = form[1] + form[2]
    return found


def codes(text: str) -> dict[str, frozenset[str]]:
    """Values by data element, from the code list file."""
    found: dict[str, frozenset[str]] = {}
    for number, lines in _numbers(text):
        values = frozenset(_values(lines))
        if values:
            found[number] = values
    return found


def _numbers(text: str) -> Iterator[tuple[str, list[str]]]:
    """The parts between two rules: number of the data element, lines after its heading."""
    lines: list[str] = []
    number, fresh = "", False
    for line in map(str.rstrip, text.splitlines()):
        if _RULE.match(line):
            fresh = True
        elif fresh and line:
            if number:
                yield number, lines
            head = _NUMBER_HEAD.match(line)
            number, lines, fresh = head[1] if head else "", [], False
        else:
            lines.append(line)
    if number:
        yield number, lines


def _values(lines: list[str]) -> Iterator[str]:
    """Code values: what stands in the code columns after the format."""
    begun = False
    for line in lines:
        if _FORMAT.match(line):
            begun = True
        elif begun:
            code = _CODE.match(line)
            if code and code.start(1) < _CODE_COLUMNS and not code[1].endswith(":"):
                yield code[1]
