"""Hashes: of files, of the manifest, of the journal's tree."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from .container import MANIFEST, SEAL, Octets, Streamed


def sha256(octets: bytes) -> str:
    """Hex SHA-256."""
    return hashlib.sha256(octets).hexdigest()


def digest_of(octets: Octets) -> str:
    """Hex SHA-256, of a member."""
    return octets.digest if isinstance(octets, Streamed) else sha256(octets)


def manifest_of(files: Mapping[str, Octets]) -> bytes:
    """What ``sha256sum`` prints for every file that is not the manifest or its signature."""
    named = sorted(name for name in files if name not in (MANIFEST, SEAL))
    return "".join(f"{digest_of(files[name])}  {name}\n" for name in named).encode()


def climb(entry: bytes, path: str) -> str:
    """The root to which a journal entry's file and its path lead."""
    found = sha256(b"leaf\n%s\n" % sha256(entry).encode())
    for line in path.splitlines():
        side, _, sibling = line.partition(" ")
        pair = (sibling, found) if side == "left" else (found, sibling)
        found = sha256("node\n{}\n{}\n".format(*pair).encode())
    return found
