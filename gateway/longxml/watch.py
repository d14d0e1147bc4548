"""What octets tell of a document before they are parsed."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from typing import Final

from gateway.model import Place
from gateway.safexml import DECLARED, MAX_BYTES, XmlLimits, check_encoding, has_long_tag, refuse

HEAD: Final = 4_096
"""Octets that come first, with the XML declaration in them."""
_MARK: Final = len("<!DOCTYPE") - 1


class Odd(Exception):
    """What can be read only where the whole is held; ``what``: in a few words of the sender's."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class Watch:
    """What octets tell before they are parsed; ``waiting``: how many are in what is not complete yet."""

    def __init__(self, limits: XmlLimits) -> None:
        self.limits = limits
        self.waiting = 0
        self._piece = 0
        self._size = 0
        self._lines = 1
        self._text = codecs.getincrementaldecoder("utf-8")()
        self._before = b""
        self._tags = 0
        self._signs = 0
        self._in_tag = 0  # equals signs since the last "<"

    def through(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Each piece, once it was looked at.  Raises XmlRefused and Odd."""
        for piece in _with_head(pieces):
            self._see(piece)
            yield piece
        self._decode(b"", True)
        self._few(self._in_tag)

    def completed(self) -> None:
        """Something is: what is not began in this piece."""
        self.waiting = self._piece
        self._tags = self._signs = 0

    def _see(self, piece: bytes) -> None:
        first = self._size == 0
        self._size += len(piece)
        if self._size > self.limits.max_bytes:
            refuse("XML001", None, str(self.limits.max_bytes), f"> {self.limits.max_bytes}")
        self._decode(piece, False)
        start = _declaration(piece) if first else 0
        joined = self._before + piece
        self._before = joined[-_MARK:]
        if b"!" in joined and b"<!DOCTYPE" in joined:
            refuse("XML004", Place(line=self._lines), found="<!DOCTYPE")
        if joined.find(b"<?", start) != -1:
            refuse("XML006", Place(line=self._lines), found="<?")
        self._attributes(piece)
        self._lines += piece.count(b"\n")
        self._piece = len(piece)
        self.waiting += len(piece)
        self._tags += piece.count(b"<")
        self._signs += piece.count(b"=")
        most = self.limits.max_nodes
        if self.waiting > MAX_BYTES or self._tags > 2 * most + 1 or self._signs > most:
            raise Odd(f"> {MAX_BYTES} octets in one element")

    def _decode(self, piece: bytes, ended: bool) -> None:
        if piece.isascii() and not ended and not self._text.getstate()[0]:
            return
        try:
            self._text.decode(piece, ended)
        except UnicodeDecodeError as error:
            line = self._lines + bytes(error.object).count(b"\n", 0, error.start)
            refuse(
                "XML002", Place(line=line), "UTF-8", bytes(error.object)[error.start : error.start + 1].hex()
            )

    def _attributes(self, piece: bytes) -> None:
        """Refuse what could be a tag with too many attributes."""
        most, start, end = self.limits.max_attributes, piece.find(b"<"), piece.rfind(b"<")
        if start == -1:
            self._in_tag += piece.count(b"=")
            return
        self._few(self._in_tag + piece.count(b"=", 0, start))
        self._few(most + 1 if has_long_tag(piece[start:end], most) else 0)
        self._in_tag = piece.count(b"=", end)

    def _few(self, signs: int) -> None:
        most = self.limits.max_attributes
        if signs > most:
            refuse("XML009", Place(line=self._lines), str(most), f"> {most}")


def _with_head(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same octets; the first piece has the XML declaration whole, where there is one."""
    head, source = b"", iter(pieces)
    for piece in source:
        head += piece
        if len(head) >= HEAD:
            break
    yield head
    yield from source


def _declaration(head: bytes) -> int:
    """Where the XML declaration ends.  Raises XmlRefused where it names another encoding, or has no end."""
    start = check_encoding(head)
    declared = DECLARED.match(head)
    if declared is None and head.startswith(b"<?", start):
        refuse("XML006", found="<?")
    return start if declared is None else declared.end()
