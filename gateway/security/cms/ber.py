"""BER to DER: definite lengths and whole octet strings, for senders that stream their signatures.

Only used where strict DER reading failed; what comes out is read strictly again.
"""

from __future__ import annotations

from collections.abc import Iterator

_MAX_DEPTH = 32
"""SignedData with a certificate's general names is 16 deep."""
_MAX_ELEMENTS = 200_000
"""A streamed octet string of 64 MB comes in pieces of 1,000 octets from some libraries."""
_OCTET_STRING = 0x04
_CONSTRUCTED = 0x20
_LONG_TAG = 0x1F
_OCTET = tuple(bytes((octet,)) for octet in range(256))


class NotBer(ValueError):
    """The octets are not BER, or nested or split beyond the bounds."""


def to_der(data: bytes) -> bytes:
    """The one element that the data hold, with every length definite and minimal and every
    constructed OCTET STRING joined.  Raises NotBer."""
    reader = _Reader(data)
    der, end = reader.element(0, len(data), 0)
    if end != len(data):
        raise NotBer("octets behind the element")
    return der


def enclose(tag: bytes, content: bytes) -> bytes:
    """A DER element."""
    return opening(tag, len(content)) + content


def opening(tag: bytes, size: int) -> bytes:
    """A DER element's tag and length, before ``size`` octets of content."""
    if size < 0x80:
        return tag + _OCTET[size]
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return tag + _OCTET[0x80 | len(octets)] + octets


def each_in(der: bytes, at: int) -> Iterator[tuple[int, int]]:
    """Where the elements inside the constructed element at an offset begin and end.

    For DER that was read already: nothing but tags of several octets is looked for.  Raises ValueError.
    """
    size, at = der[at + 1], at + 2
    if size > 0x7F:
        octets = size - 0x80
        size, at = int.from_bytes(der[at : at + octets], "big"), at + octets
    end = at + size
    while at < end:
        start = at
        if der[at] & _LONG_TAG == _LONG_TAG:
            raise NotBer("long tag")
        size, at = der[at + 1], at + 2
        if size > 0x7F:
            octets = size - 0x80
            size, at = int.from_bytes(der[at : at + octets], "big"), at + octets
        at += size
        yield start, at


def elements_in(der: bytes, at: int) -> list[tuple[int, int]]:
    """As ``each_in``, all of them."""
    return list(each_in(der, at))


def parts_of(der: bytes, at: int = 0) -> tuple[bytes, ...]:
    """The elements inside the constructed element at an offset, as they stand there."""
    return tuple([der[start:end] for start, end in elements_in(der, at)])


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._elements = 0

    def element(self, at: int, limit: int, depth: int) -> tuple[bytes, int]:
        """The element at an offset in DER, and where it ended; ``limit``: where its parent ends."""
        self._elements += 1
        if depth > _MAX_DEPTH or self._elements > _MAX_ELEMENTS:
            raise NotBer("too deep or too many elements")
        if at + 2 > limit:
            raise NotBer("truncated")
        tag = self._data[at]
        if tag & _LONG_TAG == _LONG_TAG:
            raise NotBer("long tag")
        start, end = self._length(at + 1, limit)
        if not tag & _CONSTRUCTED:
            if end is None:
                raise NotBer("primitive of indefinite length")
            return enclose(bytes((tag,)), self._data[start:end]), end
        parts, after = self._children(start, limit if end is None else end, end is None, depth)
        if tag == _OCTET_STRING | _CONSTRUCTED:
            return enclose(bytes((_OCTET_STRING,)), b"".join(map(_octets, parts))), after
        return enclose(bytes((tag,)), b"".join(parts)), after

    def _children(self, at: int, limit: int, open_ended: bool, depth: int) -> tuple[list[bytes], int]:
        parts: list[bytes] = []
        while open_ended or at < limit:
            if open_ended and self._data[at : at + 2] == b"\0\0" and at + 2 <= limit:
                return parts, at + 2
            part, at = self.element(at, limit, depth + 1)
            parts.append(part)
        return parts, at

    def _length(self, at: int, limit: int) -> tuple[int, int | None]:
        """Where the content starts and ends; None where the length is indefinite."""
        first = self._data[at]
        at += 1
        if first == 0x80:
            return at, None
        if first > 0x80:
            size = first & 0x7F
            if size > 4 or at + size > limit:
                raise NotBer("length")
            length = int.from_bytes(self._data[at : at + size], "big")
            at += size
        else:
            length = first
        if at + length > limit:
            raise NotBer("truncated")
        return at, at + length


def _octets(part: bytes) -> bytes:
    """The content of a primitive OCTET STRING."""
    if part[0] != _OCTET_STRING:
        raise NotBer("a piece of an octet string is something else")
    return part[2 + (part[1] & 0x7F if part[1] > 0x80 else 0) :]
