"""The container: one writer, so that every octet of a file is what it would write."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator, Mapping
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
_DATE = 0x21  # 1980-01-01
_MODE = 0o100644 << 16


class Damaged(Exception):
    """The container is not what its writer makes of its members; ``name``: the member that is hit."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


def pack(files: Mapping[str, bytes]) -> bytes:
    """A zip archive: members stored, in order of name, without times, comments or extra fields.

    Raises ValueError for a name or a size that it cannot hold.
    """
    body, central = bytearray(), bytearray()
    if len(files) > MOST_MEMBERS:
        raise ValueError(f"{len(files)} members")
    for name in sorted(files):
        octets = files[name]
        if NAME.fullmatch(name) is None or len(octets) + len(body) > MOST_OCTETS:
            raise ValueError(f"cannot be a member: {name}, {len(octets)} octets")
        check, size, label = zlib.crc32(octets), len(octets), name.encode("ascii")
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
            len(body),
        )
        central += label
        body += _LOCAL.pack(b"PK\x03\x04", 20, 0, 0, 0, _DATE, check, size, size, len(label), 0)
        body += label + octets
    end = _END.pack(b"PK\x05\x06", 0, 0, len(files), len(files), len(central), len(body), 0)
    return bytes(body + central + end)


def unpack(data: bytes) -> dict[str, bytes]:
    """The members of an archive that ``pack`` made.  Raises Damaged, naming the member that is not as it
    would be: the members are read from the front, and the whole is written again and compared."""
    files: dict[str, bytes] = {}
    at, last = 0, ""
    while data[at : at + 4] == b"PK\x03\x04" and at + _LOCAL.size <= len(data):
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
        raise Damaged(_member_at(files, again, data, place), f"octet {place} of the container")
    return files


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
