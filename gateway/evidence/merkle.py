"""Merkle trees of the shape of RFC 6962, 2.1, over texts: every step is a SHA-256 of readable lines.

A leaf is the hash of ``leaf``, newline, the entry's hash in hex, newline; an inner node that of ``node``
and the hashes of both sides, each on its line.  The words keep leaves and nodes apart as the octets 00 and
01 of RFC 6962 do, and a person with nothing but ``openssl dgst`` can follow each step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def leaf(entry_hash: str) -> str:
    """The leaf of an entry's hash."""
    return hashlib.sha256(f"leaf\n{entry_hash}\n".encode()).hexdigest()


def node(left: str, right: str) -> str:
    """The node over two subtrees."""
    return hashlib.sha256(f"node\n{left}\n{right}\n".encode()).hexdigest()


class Tree:
    """The tree over entry hashes in order.  Raises ValueError where there is none."""

    def __init__(self, hashes: Sequence[str]) -> None:
        self._levels = _levels(hashes)

    @property
    def root(self) -> str:
        """What all leaves lead to."""
        return self._levels[-1][0]

    def path(self, index: int) -> tuple[tuple[str, str], ...]:
        """From the leaf at ``index`` to the root: on which side the sibling stands, and its hash."""
        steps: list[tuple[str, str]] = []
        for level in self._levels[:-1]:
            sibling = index ^ 1
            if sibling < len(level):
                steps.append(("left" if sibling < index else "right", level[sibling]))
            index //= 2
        return tuple(steps)


def climb(entry_hash: str, steps: Sequence[tuple[str, str]]) -> str:
    """The root that an entry's hash and its path lead to.  Raises ValueError for another side."""
    found = leaf(entry_hash)
    for side, sibling in steps:
        if side not in ("left", "right"):
            raise ValueError(f"no side: {side}")
        found = node(sibling, found) if side == "left" else node(found, sibling)
    return found


def _levels(hashes: Sequence[str]) -> list[list[str]]:
    """Every level from the leaves up; a last one without a neighbour moves up as it is, which gives the
    tree of RFC 6962 (a split at the largest power of two)."""
    if not hashes:
        raise ValueError("a tree over nothing")
    levels = [[leaf(h) for h in hashes]]
    while len(levels[-1]) > 1:
        below = levels[-1]
        above = [node(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)]
        if len(below) % 2:
            above.append(below[-1])
        levels.append(above)
    return levels
