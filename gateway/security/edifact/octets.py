"""Digests over ranges of an interchange's octets as transmitted: nothing is copied, whatever its size."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from gateway.model.secured import Span
from gateway.security.algorithms import DIGESTERS

_RIPEMD160 = "ripemd160"


class Content:
    """An interchange's octets."""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self._view = memoryview(octets)
        self._states: dict[tuple[Span, ...], Any] = {}
        self._digests: dict[tuple[tuple[Span, ...], str], bytes] = {}

    def pieces(self, spans: Iterable[Span]) -> list[memoryview]:
        """The ranges, without a copy."""
        return [self._view[span.start : span.end] for span in spans]

    def digest(self, spans: Iterable[Span], name: str) -> bytes:
        """The digest of the ranges one after the other; made once, however often it is asked for."""
        key = (tuple(spans), name)
        found = self._digests.get(key)
        if found is None:
            found = self._digests[key] = self._digested(*key)
        return found

    def _digested(self, spans: tuple[Span, ...], name: str) -> bytes:
        made = hashlib.new(_RIPEMD160) if name == _RIPEMD160 else DIGESTERS[name](b"")
        for piece in self.pieces(spans):
            made.update(piece)
        return made.digest()

    def is_ascii(self, spans: Iterable[Span]) -> bool:
        """True where the ranges hold ISO 646 alone."""
        return self.octets.isascii() or all(bytes(piece).isascii() for piece in self.pieces(spans))

    def followed(self, spans: Sequence[Span]) -> bytes:
        """The SHA-256 of ranges of which all but the last are those of many: these are digested once."""
        *before, last = spans
        made = self._begun(tuple(before)).copy()
        made.update(self._view[last.start : last.end])
        digest: bytes = made.digest()
        return digest

    def _begun(self, spans: tuple[Span, ...]) -> Any:
        found = self._states.get(spans)
        if found is None:
            found = self._states[spans] = hashlib.sha256()
            for piece in self.pieces(spans):
                found.update(piece)
        return found


def binding(content: Content, around: Sequence[Span]) -> str:
    """What binds a signature to the headers before it: the first 32 hexadecimal digits of their SHA-256."""
    return content.followed(around).hex()[:32].upper()
