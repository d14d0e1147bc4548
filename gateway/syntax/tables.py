"""What the tables of one directory say, before composites and formats are looked up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from gateway.model.edifact import ComponentUse, ElementUse, GroupUse, SegmentUse

Nodes = tuple[SegmentUse | GroupUse, ...]


class Tables(msgspec.Struct, frozen=True):
    """One directory: messages by type, segments by tag, composites, formats and code values by number.

    ``name``: ``D.96B``; the syntax versions are ``S.1`` to ``S.4``.  A use without format has that of its
    data element; one of a composite without components has the composite's own.
    """

    name: str
    agency: str = "UN"
    messages: Mapping[str, Nodes] = {}
    segments: Mapping[str, tuple[ElementUse, ...]] = {}
    composites: Mapping[str, tuple[ComponentUse, ...]] = {}
    elements: Mapping[str, str] = {}
    codes: Mapping[str, frozenset[str]] = {}


def is_composite(code: str) -> bool:
    """``C002``, ``S009``: a letter first; data elements are four digits."""
    return not code.isdigit()


def flat(nodes: Nodes, depth: int = 0) -> Iterator[tuple[int, SegmentUse | GroupUse]]:
    """Every node with its depth, a group before its own nodes."""
    for node in nodes:
        yield depth, node
        if isinstance(node, GroupUse):
            yield from flat(node.nodes, depth + 1)


def plain(
    segments: Mapping[str, tuple[ElementUse, ...]],
    composites: Mapping[str, tuple[ComponentUse, ...]],
    elements: Mapping[str, str],
) -> tuple[dict[str, tuple[ElementUse, ...]], dict[str, tuple[ComponentUse, ...]]]:
    """The same without what a reference to the composite or the element says already."""
    short = {code: tuple(_plain_part(part, elements) for part in parts) for code, parts in composites.items()}
    return {
        tag: tuple(_plain_use(use, short, elements) for use in uses) for tag, uses in segments.items()
    }, short


def _plain_part(part: ComponentUse, elements: Mapping[str, str]) -> ComponentUse:
    known = elements.get(part.code) == part.format
    return ComponentUse(part.code, part.required, "") if known else part


def _plain_use(
    use: ElementUse, composites: Mapping[str, tuple[ComponentUse, ...]], elements: Mapping[str, str]
) -> ElementUse:
    if not is_composite(use.code):
        known = elements.get(use.code) == use.format
        return ElementUse(use.code, use.required, use.repeat, "" if known else use.format)
    parts = tuple(_plain_part(part, elements) for part in use.components)
    if parts == composites.get(use.code):
        parts = ()
    return ElementUse(use.code, use.required, use.repeat, "", parts)
