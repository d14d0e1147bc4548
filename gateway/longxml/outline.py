"""What a document is, and what is wrong with it, told without holding it: of all that repeats the first is left."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from lxml import etree

from gateway.longxml.passage import Invalid, Taker, go_through
from gateway.longxml.watch import Odd
from gateway.safexml import XmlLimits

MAX_LEFT: Final = 50_000
"""Elements that are left when all others are let go of: more than any document's head has by far."""
_COUNT = etree.XPath("count(.//*)")


def outline(pieces: Iterable[bytes], limits: XmlLimits) -> etree._Element:
    """The root of a document that is well-formed and within its bounds: of siblings with the same name it has
    the first only.  Raises XmlRefused and Odd."""
    return go_through(pieces, limits, _first_of_each())


def faults(
    pieces: Callable[[], Iterable[bytes]], limits: XmlLimits, schema: etree.XMLSchema
) -> Invalid | None:
    """What is wrong with a well-formed document, with the lines; None where it is valid.  It is gone through twice."""
    finely: set[int] = set()
    found: Invalid | None = None
    for _ in range(2):
        try:
            go_through(pieces(), limits, _first_of_each(), schema, finely)
        except Invalid as invalid:
            found = invalid
            finely = {piece for piece, _ in invalid.fed}
    return found


def _first_of_each() -> Callable[[etree._Element], Taker]:
    return lambda root: _First(None)


class _First:
    """Leaves the first of each name; ``above``: who does so in the element around."""

    def __init__(self, above: _First | None) -> None:
        self._above = above
        self._names: set[str] = set()
        self._left = 0

    def take(self, element: etree._Element) -> bool:
        name = str(element.tag)
        if name in self._names:
            return True
        self._names.add(name)
        self._left += 1 + int(float(str(_COUNT(element))))
        if self._all() > MAX_LEFT:
            raise Odd(f"> {MAX_LEFT} names")
        return False

    def inside(self, element: etree._Element, complete: bool) -> Taker | None:
        return None if complete else _First(self)

    def _all(self) -> int:
        """Elements left here and around; of what is let go of as a whole nothing counts any more."""
        return self._left + (0 if self._above is None else self._above._all())
