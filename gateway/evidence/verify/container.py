"""The container: one writer, so that every octet of a file is what it would write."""

from __future__ import annotations

import hashlib
import re
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate

MANIFEST, SEAL = "MANIFEST", "MANIFEST.sig"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(?:[./][A-Za-z0-9_-]+)*")
"""A member's name: nothing that a file system or a shell takes for something else."""
MOST_OCTETS = 0xFFFF_FFFF
MOST_MEMBERS = 0xFFFF
CONTAINER = "the container"

_LOCAL = struct.Struct("<4sHHHHHLLLHH")
_CENTRAL = struct.Struct("<4sHHHHHHLLLHHHHHLL")
_END = struct.Struct("<4sHHHHLLH")
_MAGIC = b"PK\x03\x04"
_DATE = 0x21  # 1980-01-01
_MODE = 0o100644 << 16
_PIECE = 1 << 18


class Damaged(Exception):
    """The container is not what its writer makes of its members; ``name``: the member that is hit."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


class Streamed:
    """Octets of a member that are not held: gone through piece by piece, the same each time.

    ``size``: how many; ``check``: their CRC-32; ``digest``: hex SHA-256.
    """

    def __init__(self, pieces: Callable[[], Iterable[bytes]]) -> None:
        self.pieces = pieces
        self.size, self.check, digest = 0, 0, hashlib.sha256()
        for piece in pieces():
            self.size += len(piece)
            self.check = zlib.crc32(piece, self.check)
            digest.update(piece)
        self.digest = digest.hexdigest()


Octets = bytes | Streamed


def pack(files: Mapping[str, Octets]) -> bytes:
    """As `packed`, in one."""
    return b"".join(packed(files))


def packed(files: Mapping[str, Octets]) -> Iterator[bytes]:
    """A zip archive: members stored, in order of name, without times, comments or extra fields; in pieces.

    Raises ValueError for a name or a size that it cannot hold, or where a member is not the same twice.
    """
    central, at = bytearray(), 0
    if len(files) > MOST_MEMBERS:
        raise ValueError(f"{len(files)} members")
    for name in sorted(files):
        octets = files[name]
        size, check = _measured(octets)
        if NAME.fullmatch(name) is None or size + at > MOST_OCTETS:
            raise ValueError(f"cannot be a member: {name}, {size} octets")
        label = name.encode("ascii")
        central += _CENTRAL.pack(
            b"PK\x01\x02",
            0x314,
            20,
            0,
            0,
            0,
            _DATE,
            check,
            size,
            size,
            len(label),
            0,
            0,
            0,
            0,
            _MODE,
            at,
        )
        central += label
        local = _LOCAL.pack(_MAGIC, 20, 0, 0, 0, _DATE, check, size, size, len(label), 0)
        yield local + label
        yield from _pieces(name, octets)
        at += len(local) + len(label) + size
    end = _END.pack(b"PK\x05\x06", 0, 0, len(files), len(files), len(central), at, 0)
    yield bytes(central + end)


def _measured(octets: Octets) -> tuple[int, int]:
    """How many, and their CRC-32."""
    if isinstance(octets, Streamed):
        return octets.size, octets.check
    return len(octets), zlib.crc32(octets)


def _pieces(name: str, octets: Octets) -> Iterator[bytes]:
    if not isinstance(octets, Streamed):
        yield octets
        return
    check, size = 0, 0
    for piece in octets.pieces():
        check, size = zlib.crc32(piece, check), size + len(piece)
        yield piece
    if (check, size) != (octets.check, octets.size):
        raise ValueError(f"{name}: other octets than a moment before")


def members_of(read: Callable[[int, int], bytes], size: int) -> dict[str, Streamed]:
    """The members of an archive of so many octets, as `unpack`, and not held: ``read`` gives octets from a place.

    Raises Damaged.
    """
    files: dict[str, Streamed] = {}
    starts: list[tuple[int, str]] = []
    at, last = 0, ""
    while (local := read(at, _LOCAL.size))[:4] == _MAGIC and len(local) == _LOCAL.size:
        fields = _LOCAL.unpack(local)
        start = at + _LOCAL.size + fields[9]
        name = read(at + _LOCAL.size, fields[9]).decode("ascii", "replace")
        if NAME.fullmatch(name) is None or name <= last or start + fields[8] > size:
            break
        starts.append((at, name))
        files[name], last = Streamed(_part(read, start, start + fields[8])), name
        at = start + fields[8]
    place = 0
    for piece in packed(files):
        if read(place, len(piece)) != piece:
            before = [name for begin, name in starts if begin <= place]
            raise Damaged(before[-1] if before and place < at else CONTAINER, _octet(place, read(0, 4)))
        place += len(piece)
    if place != size:
        raise Damaged(CONTAINER, _octet(place, read(0, 4)))
    return files


def _part(read: Callable[[int, int], bytes], start: int, end: int) -> Callable[[], Iterator[bytes]]:
    return lambda: (read(at, min(_PIECE, end - at)) for at in range(start, end, _PIECE))


def unpack(data: bytes) -> dict[str, bytes]:
    """The members of an archive that ``pack`` made.  Raises Damaged, naming the member that is not as it
    would be: the members are read from the front, and the whole is written again and compared."""
    files: dict[str, bytes] = {}
    at, last = 0, ""
    while data[at : at + 4] == _MAGIC and at + _LOCAL.size <= len(data):
        fields = _LOCAL.unpack_from(data, at)
        start = at + _LOCAL.size + fields[9]
        name = data[at + _LOCAL.size : start].decode("ascii", "replace")
        if NAME.fullmatch(name) is None or name <= last or start + fields[8] > len(data):
            break
        files[name], last = data[start : start + fields[8]], name
        at = start + fields[8]
    again = pack(files)
    if again != data:
        shared = min(len(again), len(data))
        place = next((i for i in range(shared) if again[i] != data[i]), shared)
        raise Damaged(_member_at(files, again, data, place), _octet(place, data[:4]))
    return files


def _octet(place: int, begins: bytes) -> str:
    """What is told of the first octet that is not as it would be written; ``begins``: the first four."""
    told = f"octet {place} of the container"
    return told if begins == _MAGIC else f"{told}: no ZIP file, so not as cvan evidence make wrote it"


def _member_at(files: Mapping[str, bytes], again: bytes, data: bytes, place: int) -> str:
    """Whose octet it is.  Members are named twice: of what is damaged in one place, the other tells."""
    told, at = dict(_directory(data)), 0
    listed = files.get(MANIFEST, b"") + f"  {MANIFEST}\n  {SEAL}\n".encode()
    for name, octets in files.items():
        other = told.get(at, name)
        if other != name:
            once = list(told.values()).count(other) == 1
            return other if once and f"  {other}\n".encode() in listed else name
        at += _LOCAL.size + len(name) + len(octets)
    if len(again) == len(data) and place >= at:
        ends = accumulate((_CENTRAL.size + len(name) for name in files), initial=at)
        return next((name for end, name in zip(list(ends)[1:], files, strict=True) if place < end), CONTAINER)
    before = [start for start in told if start <= place]
    return told[before[-1]] if before else CONTAINER


def _directory(data: bytes) -> Iterator[tuple[int, str]]:
    """Where members begin, as the archive's directory says; nothing of it is believed."""
    at = _END.unpack(data[-_END.size :])[6] if len(data) >= _END.size else len(data)
    while data[at : at + 4] == b"PK\x01\x02" and at + _CENTRAL.size <= len(data):
        fields = _CENTRAL.unpack_from(data, at)
        label = data[at + _CENTRAL.size : at + _CENTRAL.size + fields[10]]
        yield fields[16], label.decode("ascii", "replace")
        at += _CENTRAL.size + fields[10]
