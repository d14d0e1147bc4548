"""Archive files made: rows as they come, in a file of their own until all are there."""

from __future__ import annotations

import os
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

import msgspec
from cryptography import x509

from gateway.evidence import verify
from gateway.evidence.archives import FACTS, FORMAT, RECORDS, Facts, Row, stretch
from gateway.evidence.entries import sha256
from gateway.evidence.signatures import pem

LEVEL = 9


class Packing:
    """The members of an archive as rows come, compressed, in a file without a name.

    ``folder``: where that is, with room for all of it.  Raises OSError.
    """

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - as long as its members are wanted
        self._members: dict[str, tuple[int, int]] = {}
        self._records = _packer()
        self._packed: list[bytes] = []
        self.rows = 0

    def put(self, rows: Iterable[Row]) -> Packing:
        """More of them; itself."""
        for row in rows:
            line = _line(row, self._keep)
            self._packed.append(self._records.compress(line + b"\n"))
            self.rows += 1
        return self

    def _keep(self, octets: bytes) -> str:
        digest = sha256(octets)
        name = f"bodies/{digest}.gz"
        if name not in self._members:
            self._members[name] = self._add(_packed(octets))
        return digest

    def _add(self, octets: bytes) -> tuple[int, int]:
        start = self._file.seek(0, os.SEEK_END)
        self._file.write(octets)
        return start, start + len(octets)

    def members(self) -> dict[str, verify.Octets]:
        """All of them, by name."""
        self._packed.append(self._records.flush())
        self._file.flush()
        files: dict[str, verify.Octets] = {n: self._streamed(*at) for n, at in self._members.items()}
        files[RECORDS] = b"".join(self._packed)
        return files

    def _streamed(self, start: int, end: int) -> verify.Streamed:
        return verify.Streamed(partial(stretch, self._file.fileno(), start, end))


def write_archive(
    packing: Packing,
    submissions: Sequence[str],
    before: datetime,
    sign: Callable[[bytes], bytes],
    chain: Sequence[x509.Certificate],
    now: datetime,
) -> Iterator[bytes]:
    """The octets of an archive file, in pieces."""
    files = packing.members()
    facts = Facts(FORMAT, now, before, tuple(submissions), packing.rows)
    files[FACTS] = msgspec.json.format(msgspec.json.encode(facts), indent=1)
    for number, certificate in enumerate(chain, 1):
        files[f"certificates/{number}.pem"] = pem(certificate)
    files[verify.MANIFEST] = manifest = verify.manifest_of(files)
    files[verify.SEAL] = sign(manifest)
    return verify.packed(files)


def _line(row: Row, keep: Callable[[bytes], str]) -> bytes:
    told: dict[str, object] = {}
    for name, value in row.columns.items():
        told[name] = {"sha256": keep(value)} if isinstance(value, bytes) else value
    return msgspec.json.encode({"table": row.table, "columns": told})


def _packer() -> zlib._Compress:
    """As gzip, without a time: the same octets for the same."""
    return zlib.compressobj(LEVEL, wbits=zlib.MAX_WBITS | 16)


def _packed(octets: bytes) -> bytes:
    packer = _packer()
    return packer.compress(octets) + packer.flush()
