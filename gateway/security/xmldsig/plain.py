"""Documents whose octets are canonical as they came, all but the signature: then nothing is written anew to be
digested, and the signature can be read by its own octets.

``_plain.c`` finds them, where there was a compiler at installation.  What it does not find, or nobody looked for,
the library canonicalises: the octets are the same either way, and that is the definition.
"""

from __future__ import annotations

from typing import Final

import msgspec
from lxml import etree

from gateway.security.stretch import PIECE, Stretch
from gateway.security.xmldsig.canonical import EXCLUSIVE

try:
    from gateway.security.xmldsig import _plain as compiled
except ImportError:  # nothing was compiled at installation
    compiled = None  # type: ignore[assignment]


class Plain(msgspec.Struct, frozen=True):
    """A body that is a plain document: where the document begins, its Signature (the root's last child) begins and
    ends, and the document ends.  ``idle``: it declares namespaces where nothing uses them."""

    body: bytes
    opening: int
    start: int
    end: int
    closing: int
    idle: bool

    def signature(self) -> bytes:
        """The Signature element as it was received."""
        return self.body[self.start : self.end]

    def is_canonical(self, method: str) -> bool:
        """Whether `content` is what a method makes of it: the exclusive one keeps no idle namespaces."""
        return not (self.idle and method == EXCLUSIVE)

    def content(self) -> bytes:
        """The document in its canonical octets, without the signature."""
        return self.body[self.opening : self.start] + self.body[self.end : self.closing]


def plain_of(body: bytes, root: etree._Element, signature: etree._Element) -> Plain | None:
    """``root``: what ``safexml.parse`` made of the body; ``signature``: the only one in it.  None for a body that is
    not plain, or not certainly so."""
    found = None if compiled is None or len(root) == 0 or root[-1] is not signature else compiled.find(body)
    return None if found is None else Plain(body, *found)


MAX_BEHIND: Final = 1_048_576
"""Octets of a document in a file from its signature on: some thousand."""
MAX_LINES: Final = 4_000_000
"""Before a signature: half of what one text may have.  Behind them its lines are not told right."""


class PlainStretch(msgspec.Struct, frozen=True):
    """A body in a file that is a plain document; ``inside``: where the root's start tag ends; else as of a Plain."""

    body: Stretch
    opening: int
    inside: int
    start: int
    end: int
    closing: int
    idle: bool

    def hollow(self) -> bytes:
        """The root with its signature alone, on the lines that they are on; of what is between nothing is left."""
        lines = sum(piece.count(b"\n") for piece in self.body.cut((self.inside, self.start)).pieces())
        head = self.body.read(0, self.inside)
        return head + b"\n" * min(lines, MAX_LINES) + self.body.read(self.start, self.closing - self.start)

    def is_canonical(self, method: str) -> bool:
        """As of a Plain."""
        return not (self.idle and method == EXCLUSIVE)

    def content(self) -> Stretch:
        """The document in its canonical octets, without the signature."""
        return self.body.cut((self.opening, self.start, self.end, self.closing))

    def unsigned(self) -> Stretch:
        """The same with what stands around the document: no content, but lines are counted by it."""
        return self.body.cut((0, self.start, self.end, self.body.size))


def plain_in(body: Stretch, size: int = PIECE) -> PlainStretch | None:
    """Of a stretch of one span that is a well-formed document.  None for a body that is not plain, or not certainly
    so, or has another signature than as its root's last child.  ``size``: octets read at a time."""
    if compiled is None:
        return None
    scan, at = compiled.begin(), 0
    while at < body.size:
        window = body.read(at, size)
        whole = at + len(window) == body.size
        window = window if whole else window[: window.rfind(b"<")]
        gone = compiled.go(scan, window) if window else None
        if gone is None:
            return None
        at += gone
        if gone < len(window):
            return _plain_to_its_end(scan, body, at)
    return None


def _plain_to_its_end(scan: object, body: Stretch, start: int) -> PlainStretch | None:
    if body.size - start > MAX_BEHIND:
        return None
    found = compiled.end(scan, body.read(start, MAX_BEHIND))
    if found is None:
        return None
    opening, inside, end, closing, idle = found
    return PlainStretch(body, opening, inside, start, start + end, start + closing, idle)
