"""The account of a writing: what of the tree reached a segment, and what no row could carry."""

from __future__ import annotations

from gateway.mapping.plan import Shape
from gateway.mapping.source import Source
from gateway.model import Finding, Place, Severity


class Losses:
    """One writing's account.  ``findings`` holds what was lost."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self._used: list[tuple[int, int]] = []

    def use(self, source: Source, slot: int) -> None:
        """The value in the slot is written."""
        self._used.append((id(source), slot))

    def mark(self) -> int:
        """A point of the account to go back to."""
        return len(self._used)

    def back_to(self, mark: int) -> None:
        """What was used since the mark is not written after all."""
        del self._used[mark:]

    def report(self, code: str, path: str, expected: str, found: str) -> None:
        """A warning at a place of the tree."""
        self.findings.append(Finding(code, Place(pointer=path), expected, found, Severity.WARNING))

    def close(self, root: Source, shape: Shape) -> None:
        """Report what was not written: a class as one where nothing of it was."""
        self._left(root, shape, frozenset(self._used), True)

    def _left(self, source: Source, shape: Shape, used: frozenset[tuple[int, int]], root: bool) -> None:
        if source.quiet:
            return
        if not root and not _touched(source, used):
            self.report("MAP005", source.path, "", shape.name)
            return
        for slot, value in enumerate(source.values):
            if value is not None and (id(source), slot) not in used:
                self.report("MAP005", f"{source.path}/{value.name}", "", value.text[:70])
        for value in source.extra:
            self.report("MAP005", f"{source.path}/{value.name}", "", value.text[:70])
        for path in source.others:
            self.report("MAP005", path, "", path.rpartition("/")[2])
        for slot, kids in enumerate(source.kids):
            for kid in kids:
                self._left(kid, shape.kids[slot], used, False)


def _touched(source: Source, used: frozenset[tuple[int, int]]) -> bool:
    """True where something of the class, or below it, was written or is reported already."""
    return (
        any((id(source), slot) in used for slot in range(len(source.values)))
        or any(_touched(kid, used) for kids in source.kids for kid in kids)
        or any(kid.quiet for kids in source.kids for kid in kids)
    )
