"""Where a data element stands in a segment, by one directory's layouts."""

from __future__ import annotations

import msgspec

from gateway.mapping.language import Position
from gateway.model.edifact import Directory, ElementUse


class LayoutError(ValueError):
    """A place that the directory does not have."""

    def __init__(self, *lines: str) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


class Spot(msgspec.Struct, frozen=True):
    """A place from 0: element, component, how many components, whether it stands alone."""

    element: int
    component: int
    span: int
    alone: bool
    format: str
    code: str


class Layout:
    """Segment layouts of one directory."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def elements(self, tag: str) -> tuple[ElementUse, ...]:
        """The segment's elements.  Raises LayoutError where the directory has no such segment."""
        table = self._directory.segments.get(tag)
        if table is None:
            raise LayoutError(f"the directory has no segment {tag}")
        return table.elements

    def code(self, tag: str, element: int, component: int) -> str:
        """The data element's number at a place."""
        use = self.elements(tag)[element]
        return use.components[component].code if use.components else use.code

    def composites(self, tag: str, code: str) -> tuple[int, ...]:
        """Every place where the composite stands."""
        places = tuple(i for i, use in enumerate(self.elements(tag)) if use.code == code)
        if not places:
            raise LayoutError(f"{tag} has no {code}")
        return places

    def component(self, tag: str, element: int, code: str) -> int:
        """The component of a composite by its data element number."""
        for at, use in enumerate(self.elements(tag)[element].components):
            if use.code == code:
                return at
        raise LayoutError(f"{tag} has no {code} in {self.elements(tag)[element].code}")

    def spot(self, tag: str, position: Position) -> Spot:
        """Where the position is.  Raises LayoutError where the segment has no such place."""
        for code in position.codes:
            found = self._spot(tag, position, code)
            if found is not None:
                return found
        named = f"{position.composite}." if position.composite else ""
        raise LayoutError(f"{tag} has no {named}{'|'.join(position.codes)}")

    def _spot(self, tag: str, position: Position, code: str) -> Spot | None:
        elements = self.elements(tag)
        if not position.composite:
            for at, use in enumerate(elements):
                if use.code == code and not use.components:
                    return Spot(at, 0, 1, True, use.format, code)
        count = 0
        for at, use in enumerate(elements):
            if not use.components or position.composite not in ("", use.code):
                continue
            places = [i for i, component in enumerate(use.components) if component.code == code]
            if not places:
                continue
            count += 1
            if count < position.which:
                continue
            if len(places) < position.end:
                return None
            first = places[position.start - 1]
            span = position.end - position.start + 1
            return Spot(at, first, span, False, use.components[first].format, code)
        return None
