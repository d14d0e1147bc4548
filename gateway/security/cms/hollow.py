"""CMS SignedData whose content stays in its file: the structure around it, and where it lies.

A signature with its content inside becomes one with its content beside it: what is proven of the one is
proven of the other, and nothing but the structure is held.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Final

from cryptography.hazmat.asn1 import decode_der
from cryptography.x509 import ObjectIdentifier

from gateway.security.cms.ber import NotBer, enclose
from gateway.security.cms.structures import SEQUENCE, SIGNED_DATA
from gateway.security.cms.verifying import MAX_AROUND
from gateway.security.refused import refusal
from gateway.security.stretch import Stretch

MAX_PIECES: Final = 200_000
LEAST_PIECE: Final = 256
"""Pieces of a streamed octet string: so many, and one more for each so many octets."""
_MAX_DEPTH: Final = 32
_WINDOW: Final = 65_536
_EXPLICIT: Final = b"\xa0"
_OCTETS: Final = 0x04
_OCTETS_IN_PIECES: Final = 0x24
_LONG_TAG: Final = 0x1F


def hollow(body: Stretch) -> tuple[bytes, Stretch | None] | None:
    """(ContentInfo without the content of its SignedData, that content); None where it is no SignedData.

    ``body``: of one span, DER or BER.  The content is None where there is none inside.  Raises Refused
    (SIG040, SIG218).
    """
    try:
        return _hollow(body)
    except (NotBer, ValueError):
        raise refusal("SIG040", "DER", "", "ContentInfo") from None


def _hollow(body: Stretch) -> tuple[bytes, Stretch | None] | None:
    at = _Cursor(body)
    at.enter(SEQUENCE)
    kind = at.take()
    if decode_der(ObjectIdentifier, kind) != SIGNED_DATA:
        return None
    at.enter(_EXPLICIT)
    at.enter(SEQUENCE)
    before = at.take() + at.take()
    at.enter(SEQUENCE)
    content_type, offsets = at.take(), array("Q")
    inside = at.more()
    if inside:
        at.enter(_EXPLICIT)
        for span in at.octet_string():
            offsets.extend(span)
        at.leave()
    at.leave()
    behind = b"".join(at.all_left())
    for _ in range(3):
        at.leave()
    at.end()
    signed = enclose(SEQUENCE, before + enclose(SEQUENCE, content_type) + behind)
    info = enclose(SEQUENCE, kind + enclose(_EXPLICIT, signed))
    return info, body.cut(offsets) if inside else None


class _Cursor:
    """A place in BER that is read from its beginning to its end."""

    def __init__(self, body: Stretch) -> None:
        self._body = body
        self._at = 0
        self._ends: list[int | None] = [body.size]  # of the elements that are open; None: indefinite
        self._window, self._from = b"", 0
        self._around = 0
        self._pieces = MAX_PIECES + body.size // LEAST_PIECE  # that there may still be

    def enter(self, tag: bytes) -> None:
        """Into the constructed element here, which must have this tag."""
        if self._octets(self._at, 1) != tag:
            raise NotBer("another tag")
        self._at, end = self._length(self._at + 1)
        self._ends.append(end)

    def leave(self) -> None:
        """Out of the innermost open element, of which nothing may be left."""
        if self.more():
            raise NotBer("more than there may be")
        if self._ends.pop() is None:
            self._at += 2

    def end(self) -> None:
        """Nothing may be left of all."""
        if self.more():
            raise NotBer("octets behind the element")

    def more(self) -> bool:
        """Whether the innermost open element has more in it."""
        end = self._ends[-1]
        return self._at < end if end is not None else self._octets(self._at, 2) != b"\0\0"

    def take(self) -> bytes:
        """The whole element here, as it stands there.  Raises Refused (SIG218) where that is too much."""
        start = self._at
        self._at = self._behind(start, 0)
        self._around += self._at - start
        if self._around > MAX_AROUND:
            raise refusal("SIG218", f"<= {MAX_AROUND} octets", f"{self._around} octets", "SignedData")
        return self._body.read(start, self._at - start)

    def all_left(self) -> Iterator[bytes]:
        """The elements that are left in the innermost open one."""
        while self.more():
            yield self.take()

    def octet_string(self, depth: int = 0) -> Iterator[tuple[int, int]]:
        """Where the octets of the octet string here lie, which may come in pieces."""
        tag = self._octets(self._at, 1)[0]
        self._pieces -= 1
        if tag not in (_OCTETS, _OCTETS_IN_PIECES) or depth > _MAX_DEPTH or self._pieces < 0:
            raise NotBer("no octet string, or one in too many pieces")
        self._at, end = self._length(self._at + 1)
        if tag == _OCTETS:
            if end is None:
                raise NotBer("primitive of indefinite length")
            yield self._at, end
            self._at = end
            return
        self._ends.append(end)
        while self.more():
            yield from self.octet_string(depth + 1)
        self.leave()

    def _behind(self, at: int, depth: int) -> int:
        """Where the element at an offset ends; one that is too much is not walked through."""
        tag = self._octets(at, 1)[0]
        start, end = self._length(at + 1)
        if end is not None:
            return end
        if depth > _MAX_DEPTH or tag & _LONG_TAG == _LONG_TAG or start - self._at > MAX_AROUND:
            raise NotBer("too deep or too large")
        while self._octets(start, 2) != b"\0\0":
            start = self._behind(start, depth + 1)
        return start + 2

    def _length(self, at: int) -> tuple[int, int | None]:
        """Where the content starts and ends; None where the length is indefinite."""
        first = self._octets(at, 1)[0]
        if first == 0x80:
            return at + 1, None
        size, start = first, at + 1
        if first > 0x80:
            octets = self._octets(start, min(first & 0x7F, 9))
            if len(octets) > 8:
                raise NotBer("length")
            size, start = int.from_bytes(octets, "big"), start + len(octets)
        limit = next(end for end in reversed(self._ends) if end is not None)
        if start + size > limit:
            raise NotBer("truncated")
        return start, start + size

    def _octets(self, at: int, size: int) -> bytes:
        """Octets of a header.  Raises NotBer where they are not there."""
        if not self._from <= at <= at + size <= self._from + len(self._window):
            self._window, self._from = self._body.read(at, _WINDOW), at
        found = self._window[at - self._from : at - self._from + size]
        if len(found) < size:
            raise NotBer("truncated")
        return found
