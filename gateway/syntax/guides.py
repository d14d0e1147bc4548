"""Implementation guides: what a partner or a country allows of a message, as data over its directory.

A guide is a TOML file that only narrows: fewer repeats, elements required or not used, allowed codes, and
variants of a segment by its qualifier.  A component that is required is so where its composite is sent.

.. code-block:: toml

    [guide]
    name = "harbour-manifest"
    message = "CUSCAR:D:95B:UN"    # S009 without the association's code
    association = "HARB01"         # 0057 that chooses it; without one, a partner's agreement does

    [[node]]
    path = "SG4/SG5/SG7/NAD"       # groups, outermost first, and the segment
    repeat = 4

    [node.elements]                # position in the segment, and component
    "1" = { codes = ["CN", "CZ", "NI"] }
    "3" = { used = false }
    "4" = { required = true }
    "4.1" = { required = true, format = "an..35" }

    [[node.variant]]
    when = "CN"                    # the first element's first component
    required = true
    repeat = 1
    elements = { "2" = { required = true } }
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from gateway.model.edifact import Directory, GroupUse, MessageTable, SegmentUse

Nodes = tuple[SegmentUse | GroupUse, ...]
Node = TypeVar("Node", SegmentUse, GroupUse)


class ElementRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a guide says of a data element; what it leaves out stays as the directory has it."""

    required: bool | None = None
    used: bool = True
    format: str = ""
    codes: tuple[str, ...] = ()


class Variant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A segment with one qualifier: how often it may come where its node may, and its elements.

    ``repeat``: 0 leaves it to the node.
    """

    when: str
    required: bool = False
    repeat: int = 0
    elements: dict[str, ElementRule] = {}


class NodeRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a guide says of a segment's place; for a group's first segment, of the group."""

    path: str
    used: bool = True
    required: bool | None = None
    repeat: int = 0
    elements: dict[str, ElementRule] = {}
    variant: tuple[Variant, ...] = ()


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A guide's name, the message it is for, and 0057 that chooses it."""

    name: str
    message: str
    association: str = ""


class Guide(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One guide; ``node``: its rules by path."""

    guide: Head
    node: tuple[NodeRule, ...] = ()

    def rules(self) -> Mapping[str, NodeRule]:
        """The rules by their path."""
        return {rule.path: rule for rule in self.node}


class Guides:
    """The guides at hand."""

    def __init__(self, guides: Iterable[Guide] = ()) -> None:
        self._guides = tuple(guides)

    @classmethod
    def load(cls, folders: Iterable[Path]) -> Guides:
        """Read every ``*.toml`` of the folders.  Raises ValueError naming every broken or doubled one."""
        found: dict[str, Guide] = {}
        broken: list[str] = []
        for path in (p for folder in folders for p in sorted(folder.glob("*.toml"))):
            try:
                guide = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Guide)
            except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
                broken.append(f"{path}: {error}")
                continue
            if guide.guide.name in found:
                broken.append(f"{path}: there is a guide {guide.guide.name!r} already")
            found[guide.guide.name] = guide
        if broken:
            raise ValueError("; ".join(broken))
        return cls(found.values())

    def __iter__(self) -> Iterator[Guide]:
        return iter(self._guides)

    def chosen(self, name: str, message: str, association: str) -> Guide | None:
        """The guide for a message (``CUSCAR:D:95B:UN``): by its association's code, or by an agreement's name."""
        mine = [guide for guide in self._guides if guide.guide.message == message]
        for guide in mine:
            if association and guide.guide.association == association:
                return guide
        return next((guide for guide in mine if name and guide.guide.name == name), None)


def narrowed(table: MessageTable, guide: Guide) -> MessageTable:
    """The message as the guide has it: nodes not used are left out, the others narrowed."""
    return replace(table, nodes=_narrowed(table.nodes, (), guide.rules()))


def _narrowed(nodes: Nodes, groups: tuple[str, ...], rules: Mapping[str, NodeRule]) -> Nodes:
    made: list[SegmentUse | GroupUse] = []
    for position, node in enumerate(nodes):
        trigger = bool(groups) and position == 0
        if isinstance(node, GroupUse):
            inner = (*groups, node.name)
            first = node.nodes[0]
            rule = rules.get(path_of(inner, first.segment)) if isinstance(first, SegmentUse) else None
            if rule is None or rule.used:
                made.append(replace(_bounded(node, rule), nodes=_narrowed(node.nodes, inner, rules)))
            continue
        rule = None if trigger else rules.get(path_of(groups, node.segment))
        if rule is None or rule.used:
            made.append(_bounded(node, rule))
    return tuple(made)


def _bounded(node: Node, rule: NodeRule | None) -> Node:
    if rule is None:
        return node
    required = node.required if rule.required is None else rule.required
    return replace(node, required=required, repeat=rule.repeat or node.repeat)


def path_of(groups: Iterable[str], tag: str) -> str:
    """``SG4/SG5/NAD``."""
    return "/".join((*groups, tag))


def faults(guide: Guide, table: MessageTable | None, directory: Directory | None) -> Iterator[str]:
    """What makes a guide none: unknown places, and anything that is wider than the directory."""
    if table is None or directory is None:
        yield f"{guide.guide.message} is in no directory here"
        return
    places = dict(_places(table.nodes, ()))
    for rule in guide.node:
        place = places.get(rule.path)
        if place is None:
            yield f"{rule.path}: no such place in {guide.guide.message}"
            continue
        yield from (f"{rule.path}: {fault}" for fault in _widening(rule, place))
        segment = directory.segments[rule.path.rpartition("/")[2]]
        width = len(segment.elements)
        for elements in (rule.elements, *(variant.elements for variant in rule.variant)):
            for position in elements:
                element, _, component = position.partition(".")
                if not element.isdigit() or not 1 <= int(element) <= width:
                    yield f"{rule.path}: {segment.tag} has no element {position!r}"
                elif component and not _has_component(
                    segment.elements[int(element) - 1].components, component
                ):
                    yield f"{rule.path}: {segment.tag} has no component {position!r}"


def _has_component(components: tuple[object, ...], component: str) -> bool:
    return component.isdigit() and 1 <= int(component) <= max(len(components), 1)


def _widening(rule: NodeRule, place: SegmentUse | GroupUse) -> Iterator[str]:
    if rule.repeat > place.repeat:
        yield f"repeat {rule.repeat} is more than the directory's {place.repeat}"
    if place.required and (rule.required is False or not rule.used):
        yield "the directory requires it"


def _places(nodes: Nodes, groups: tuple[str, ...]) -> Iterator[tuple[str, SegmentUse | GroupUse]]:
    for position, node in enumerate(nodes):
        if isinstance(node, GroupUse):
            first = node.nodes[0]
            if isinstance(first, SegmentUse):
                yield path_of((*groups, node.name), first.segment), node
            yield from _places(node.nodes, (*groups, node.name))
        elif not (groups and position == 0):
            yield path_of(groups, node.segment), node
