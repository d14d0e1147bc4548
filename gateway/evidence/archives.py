"""Archive files: rows that left the ledger, sealed so that they can be proven without it.

A zip archive as bundles are (`verify.pack`): ``records.jsonl.gz``, a row on each line; ``bodies/DIGEST.gz``,
octets by their SHA-256; ``archive.json``; the signer's certificates; MANIFEST and MANIFEST.sig.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import msgspec
from cryptography import x509

from gateway.evidence import verify
from gateway.evidence.entries import sha256
from gateway.evidence.sealing import is_signed

MOST_HELD = 1 << 26
"""Octets of a member that is read as one: the manifest has a hundred for each of the others."""
PIECE = 1 << 18
"""Octets that are read at a time."""
FORMAT = "cvan archive 1"
RECORDS, FACTS = "records.jsonl.gz", "archive.json"
MAX_MEMBER = 1 << 30
"""Octets of one member, unpacked: no body is larger, and a file of somebody else's may be a bomb."""

Value = str | int | bytes | None


class Row(msgspec.Struct, frozen=True):
    """A row of a table; octets are octets here, and digests in the file."""

    table: str
    columns: dict[str, Value]


class Facts(msgspec.Struct, frozen=True):
    """What an archive holds."""

    format: str
    made_at: datetime
    before: datetime
    submissions: tuple[str, ...]
    rows: int


class NoArchive(Exception):
    """The file is no sound archive; the text says what is wrong with it."""


Known = Callable[[tuple[x509.Certificate, ...], datetime], str]
"""Says why who sealed an archive at a time is not the gateway, or "" where it is."""


class Archive:
    """An archive file that is sound, every octet of it verified.  ``rows`` reads it again, from its first."""

    def __init__(self, file: BinaryIO, known: Known) -> None:
        """Raises NoArchive."""
        self._descriptor = file.fileno()
        self._file = file  # as long as this lives
        try:
            self._members = verify.members_of(self._read, os.fstat(self._descriptor).st_size)
        except verify.Damaged as damaged:
            raise NoArchive(str(damaged)) from damaged
        try:
            self._check_manifest()
            self.facts = msgspec.json.decode(self._held(FACTS), type=Facts)
            self._check_seal(known)
            count = sum(1 for _ in self.rows())
        except _NOT_SO as error:
            raise NoArchive(f"{type(error).__name__}: {error}") from error
        if count != self.facts.rows:
            raise NoArchive(f"{count} rows, {self.facts.rows} were written")

    def rows(self) -> Iterator[Row]:
        """Each, as it was written.  Raises NoArchive, OSError, and what is no archive at all might."""
        for line in _lines(self._members[RECORDS]):
            told = msgspec.json.decode(line)
            columns = {name: self._value(value) for name, value in told["columns"].items()}
            yield Row(told["table"], columns)

    def _read(self, at: int, octets: int) -> bytes:
        return os.pread(self._descriptor, octets, at)

    def _held(self, name: str) -> bytes:
        member = self._members[name]
        if member.size > MOST_HELD:
            raise NoArchive(f"{name}: {member.size} octets")
        return b"".join(member.pieces())

    def _value(self, value: Value | dict[str, str]) -> Value:
        if not isinstance(value, dict):
            return value
        name = f"bodies/{value['sha256']}.gz"
        octets = b"".join(_unpacked(self._members[name]))
        if sha256(octets) != value["sha256"]:
            raise NoArchive(f"{name}: other octets than its name says")
        return octets

    def _check_manifest(self) -> None:
        """Raises NoArchive, KeyError."""
        told = self._held(verify.MANIFEST)
        if told == verify.manifest_of(self._members):
            return
        lines = told.decode("utf-8", "replace").splitlines()
        listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
        others = (n for n in sorted(self._members) if n not in (verify.MANIFEST, verify.SEAL))
        wrong = next((n for n in others if listed.get(n) != self._members[n].digest), verify.MANIFEST)
        raise NoArchive(f"{wrong}: not as the manifest says")

    def _check_seal(self, known: Known) -> None:
        """Raises NoArchive, KeyError, ValueError."""
        count = sum(name.startswith("certificates/") for name in self._members)
        pems = [self._held(f"certificates/{number}.pem") for number in range(1, count + 1)]
        chain = tuple(x509.load_pem_x509_certificate(one) for one in pems)
        seal, manifest = self._held(verify.SEAL), self._held(verify.MANIFEST)
        if not chain or not is_signed(chain[0], seal, manifest):
            raise NoArchive(f"{verify.SEAL}: not the signature of certificates/1.pem")
        stranger = known(chain, self.facts.made_at)
        if stranger:
            raise NoArchive(f"{verify.SEAL}: {stranger}")


_NOT_SO = (
    KeyError,
    TypeError,
    AttributeError,
    ValueError,
    msgspec.MsgspecError,
    OSError,
    EOFError,
    zlib.error,
)
"""What somebody else's file can do to who reads it."""


def read_archive(path: Path, known: Known) -> Archive:
    """An archive file.  Raises NoArchive; OSError where there is none."""
    return Archive(path.open("rb"), known)


def stretch(descriptor: int, start: int, end: int) -> Iterator[bytes]:
    """A part of a file, in pieces."""
    for at in range(start, end, PIECE):
        yield os.pread(descriptor, min(PIECE, end - at), at)


def _unpacked(member: verify.Streamed) -> Iterator[bytes]:
    reader, made = zlib.decompressobj(zlib.MAX_WBITS | 16), 0
    for piece in member.pieces():
        held = piece
        while held:
            found = reader.decompress(held, PIECE)
            made, held = made + len(found), reader.unconsumed_tail
            if made > MAX_MEMBER or reader.unused_data:
                raise NoArchive("a member is too large, or followed by something")
            yield found
            if reader.eof:
                break
    yield reader.flush()
    if not reader.eof:
        raise NoArchive("a member is cut off")


def _lines(member: verify.Streamed) -> Iterator[bytes]:
    held = b""
    for piece in _unpacked(member):
        *lines, held = (held + piece).split(b"\n")
        yield from lines
    if held:
        yield held
