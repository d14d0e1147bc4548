"""Ways to spoil a bundle, and who finds out."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

from gateway.evidence import verify
from gateway.evidence.verify import CONTAINER, INDEX, MANIFEST, SEAL, pack, unpack

Spoilt = tuple[str, str, bytes]
"""What was done, the member that is hit, the file."""


def regions(data: bytes) -> Iterator[tuple[str, str, int, int]]:
    """Every stretch of the container: what it is, whose it is, from where to where."""
    at = 0
    while data[at : at + 4] == b"PK\x03\x04":
        size, length = struct.unpack_from("<L", data, at + 18)[0], struct.unpack_from("<H", data, at + 26)[0]
        name = data[at + 30 : at + 30 + length].decode()
        yield "header", name, at, at + 30
        yield "name", name, at + 30, at + 30 + length
        if size:
            yield "content", name, at + 30 + length, at + 30 + length + size
        at += 30 + length + size
    while data[at : at + 4] == b"PK\x01\x02":
        length = struct.unpack_from("<H", data, at + 28)[0]
        name = data[at + 46 : at + 46 + length].decode()
        yield "directory", name, at, at + 46 + length
        at += 46 + length
    yield "end", CONTAINER, at, len(data)


def flips(data: bytes, chance: random.Random, count: int) -> Iterator[Spoilt]:
    """One octet changed, in every region at least once while the count lasts."""
    found = list(regions(data))
    chance.shuffle(found)
    for number in range(count):
        what, name, start, end = found[number % len(found)]
        place = chance.randrange(start, end)
        changed = bytearray(data)
        changed[place] ^= chance.randrange(1, 256)
        yield f"octet {place} ({what})", name, bytes(changed)


def slack(data: bytes) -> Iterator[Spoilt]:
    """Octets that readers of zip archives pass over."""
    yield "an octet after the end", CONTAINER, data + b"\0"
    yield "an octet before the beginning", CONTAINER, b"\0" + data
    yield "the last octet less", CONTAINER, data[:-1]
    comment = data[:-2] + struct.pack("<H", 4) + b"nice"
    yield "a comment", CONTAINER, comment
    end = len(data) - 22
    start = struct.unpack_from("<L", data, end + 16)[0]
    hole = bytearray(data[:start] + b"hole" + data[start:])
    struct.pack_into("<L", hole, end + 4 + 16, start + 4)
    yield "octets between members and directory", CONTAINER, bytes(hole)
    length = struct.unpack_from("<H", data, 26)[0]
    size = struct.unpack_from("<L", data, 18)[0]
    first = data[: 30 + length + size]
    yield "a member twice", CONTAINER, first + data


def repacked(data: bytes, chance: random.Random, count: int) -> Iterator[Spoilt]:
    """A member changed, and the container made anew around it."""
    files = unpack(data)
    names = [n for n in sorted(files) if files[n]]
    for number in range(count):
        name = names[number % len(names)]
        octets = bytearray(files[name])
        octets[chance.randrange(len(octets))] ^= chance.randrange(1, 256)
        yield f"{name}, repacked", name, pack({**files, name: bytes(octets)})
    yield "a member more", "extra", pack({**files, "extra": b"x"})
    yield "a member less", "README.txt", pack({n: o for n, o in files.items() if n != "README.txt"})
    yield "an empty member", "verify.pyz", pack({**files, "verify.pyz": b""})


def resealed(data: bytes, chance: random.Random, count: int) -> Iterator[Spoilt]:
    """A member changed, and the manifest made anew too: only the signature is left to say so."""
    files = unpack(data)
    names = [n for n in sorted(files) if files[n] and n not in (MANIFEST, SEAL)]
    for number in range(count):
        name = names[number % len(names)]
        octets = bytearray(files[name])
        octets[chance.randrange(len(octets))] ^= chance.randrange(1, 256)
        changed = {**files, name: bytes(octets)}
        changed[MANIFEST] = verify.manifest_of(changed)
        # Where even the index cannot be read, it is blamed itself.
        yield f"{name}, with a manifest of its own", name if name == INDEX else SEAL, pack(changed)


def unfound(spoilt: Iterator[Spoilt]) -> list[str]:
    """Those that a verification lets pass, or blames on something else."""
    missed = []
    for what, name, data in spoilt:
        steps = verify.verify(data)
        blamed = {w for state, w, _ in steps if state == verify.WRONG}
        if not blamed:
            missed.append(f"{what}: not found")
        elif name not in blamed and name != CONTAINER and not (name == INDEX and SEAL in blamed):
            missed.append(f"{what}: blamed on {sorted(blamed)}, not on {name}")
    return missed
