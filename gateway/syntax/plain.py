"""Segments of texts that need no look: inside a message, an ordinary tag, nothing released or repeated.

The same in two ways: ``_plain.c`` where there was a compiler at installation, and here.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
Elements = tuple[tuple[str, ...], ...]


def cut(
    make: Callable[[str, Elements, int, int], T],
    texts: list[str],
    offsets: list[int],
    index: int,
    element: str,
    component: str,
    tags: set[str],
    number: int,
    most: int,
) -> list[T]:
    """The segments of ``texts`` from ``index`` on, up to the first whose tag is not among ``tags``.

    ``make`` is called with tag, elements, number and offset.  ``number``: that of the segment before.
    ``most``: how many are made at a time.
    """
    made: list[T] = []
    for text, offset in zip(islice(texts, index, index + most), islice(offsets, index, None), strict=False):
        parts = text.split(element)
        tag = parts.pop(0)
        if tag not in tags:
            break
        number += 1
        split = tuple([tuple(p.split(component)) if component in p else (p,) for p in parts])
        made.append(make(tag, split, number, offset))
    return made


try:
    from gateway.syntax._plain import cut as _compiled
except ImportError:  # nothing was compiled at installation
    _compiled = cut
quick = _compiled
