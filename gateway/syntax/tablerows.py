"""The rows of a directory table: a structure, a segment, a composite, a format, a change of a code list."""

from __future__ import annotations

import re

from gateway.model.edifact import ComponentUse, ElementUse, GroupUse, SegmentUse
from gateway.syntax.tablefile import Block
from gateway.syntax.tables import Nodes, is_composite

_NODE = re.compile(r"( *)([A-Z0-9]{3,6}) ([MC])([1-9][0-9]{0,7})")
_GROUP = re.compile(r"SG[0-9]{1,4}")
_USE = re.compile(r"([0-9]{4}|[A-Z][0-9]{3}) ([MC])([1-9][0-9]{0,4})(?: ((?:an|a|n)(?:\.\.)?[0-9]{1,4}))?")
_PART = re.compile(r" ?([0-9]{4}) ([MC])(?: ((?:an|a|n)(?:\.\.)?[0-9]{1,4}))?")
_FORMAT = re.compile(r"(?:an|a|n)(?:\.\.)?[0-9]{1,4}")


def read_nodes(block: Block, lines: range, rest: str) -> Nodes:
    """Nodes by their indentation: a group's own are one deeper."""
    open_groups: list[tuple[str, bool, int]] = []
    children: list[list[SegmentUse | GroupUse]] = [[]]
    for index in lines:
        node = _NODE.fullmatch(block.lines[index])
        if node is None or len(node[1]) > len(open_groups):
            raise block.fault(index, f"{block.lines[index]!r} is no node of a structure here")
        _close(block, index, len(node[1]), open_groups, children)
        required, repeat = node[3] == "M", int(node[4])
        if _GROUP.fullmatch(node[2]):
            open_groups.append((node[2], required, repeat))
            children.append([])
        else:
            children[-1].append(SegmentUse(node[2], required, repeat))
    _close(block, lines.stop - 1, 0, open_groups, children)
    if rest or not children[0]:
        raise block.fault(lines.start - 1, "a structure is expected on the lines below")
    return tuple(children[0])


def _close(
    block: Block,
    index: int,
    depth: int,
    open_groups: list[tuple[str, bool, int]],
    children: list[list[SegmentUse | GroupUse]],
) -> None:
    while len(open_groups) > depth:
        nodes = tuple(children.pop())
        if not nodes or not isinstance(nodes[0], SegmentUse):
            raise block.fault(index, f"{open_groups[-1][0]} has no segment to begin with")
        children[-1].append(GroupUse(*open_groups.pop(), nodes))


def read_uses(block: Block, lines: range, rest: str) -> tuple[ElementUse, ...]:
    uses: list[ElementUse] = []
    for index in lines:
        line = block.lines[index]
        if line.startswith(" ") and uses and is_composite(uses[-1].code):
            last = uses[-1]
            parts = (*last.components, _part(block, index))
            uses[-1] = ElementUse(last.code, last.required, last.repeat, "", parts)
            continue
        use = _USE.fullmatch(line)
        if use is None or rest or (use[4] and is_composite(use[1])):
            raise block.fault(index, f"{line!r} is no element of a segment")
        uses.append(ElementUse(use[1], use[2] == "M", int(use[3]), use[4] or ""))
    return tuple(uses)


def read_parts(block: Block, lines: range, rest: str) -> tuple[ComponentUse, ...]:
    if rest or not lines:
        raise block.fault(lines.start - 1, "components are expected on the lines below")
    return tuple(_part(block, index) for index in lines)


def _part(block: Block, index: int) -> ComponentUse:
    part = _PART.fullmatch(block.lines[index])
    if part is None:
        raise block.fault(index, f"{block.lines[index]!r} is no component of a composite")
    return ComponentUse(part[1], part[2] == "M", part[3] or "")


def read_format(block: Block, lines: range, rest: str) -> str:
    if lines or not _FORMAT.fullmatch(rest):
        raise block.fault(lines.start - 1, "a format is expected, and nothing else")
    return rest


def change(block: Block, index: int, changes: str, values: set[str]) -> None:
    for change in changes.split():
        sign, value = change[0], change[1:]
        if sign not in "+-" or not value or (value in values) is (sign == "+"):
            raise block.fault(index, f"{change!r} changes nothing")
        (values.add if sign == "+" else values.remove)(value)
