"""Archive files: rows that left the ledger, sealed so that they can be proven without it.

A zip archive as bundles are (`verify.pack`): ``records.jsonl.gz``, a row on each line; ``bodies/DIGEST.gz``,
octets by their SHA-256; ``archive.json``; the signer's certificates; MANIFEST and MANIFEST.sig.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import msgspec
from cryptography import x509

from gateway.evidence import verify
from gateway.evidence.entries import sha256
from gateway.evidence.sealing import is_signed
from gateway.evidence.signatures import pem

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


def write_archive(
    rows: Sequence[Row],
    submissions: Sequence[str],
    before: datetime,
    sign: Callable[[bytes], bytes],
    chain: Sequence[x509.Certificate],
    now: datetime,
) -> bytes:
    """The octets of an archive file."""
    files: dict[str, bytes] = {}
    lines = b"".join(_line(row, files) + b"\n" for row in rows)
    files[RECORDS] = _packed(lines)
    facts = Facts(FORMAT, now, before, tuple(submissions), len(rows))
    files[FACTS] = msgspec.json.format(msgspec.json.encode(facts), indent=1)
    for number, certificate in enumerate(chain, 1):
        files[f"certificates/{number}.pem"] = pem(certificate)
    files[verify.MANIFEST] = verify.manifest_of(files)
    files[verify.SEAL] = sign(files[verify.MANIFEST])
    return verify.pack(files)


Known = Callable[[tuple[x509.Certificate, ...], datetime], str]
"""Says why who sealed an archive at a time is not the gateway, or "" where it is."""


def read_archive(octets: bytes, known: Known) -> tuple[Facts, list[Row]]:
    """What an archive holds, every octet of it verified.  Raises NoArchive."""
    try:
        files = verify.unpack(octets)
    except verify.Damaged as damaged:
        raise NoArchive(str(damaged)) from damaged
    try:
        if files[verify.MANIFEST] != verify.manifest_of(files):
            wrong = _first_wrong(files)
            raise NoArchive(f"{wrong}: not as the manifest says")
        facts = msgspec.json.decode(files[FACTS], type=Facts)
        _check_seal(files, facts.made_at, known)
        rows = [_row(line, files) for line in _unpacked(files[RECORDS]).splitlines()]
    except (KeyError, ValueError, msgspec.MsgspecError, OSError, EOFError, zlib.error) as error:
        raise NoArchive(f"{type(error).__name__}: {error}") from error
    if len(rows) != facts.rows:
        raise NoArchive(f"{len(rows)} rows, {facts.rows} were written")
    return facts, rows


def _check_seal(files: Mapping[str, bytes], at: datetime, known: Known) -> None:
    """Raises NoArchive, KeyError, ValueError."""
    count = sum(name.startswith("certificates/") for name in files)
    pems = [files[f"certificates/{number}.pem"] for number in range(1, count + 1)]
    chain = tuple(x509.load_pem_x509_certificate(one) for one in pems)
    if not chain or not is_signed(chain[0], files[verify.SEAL], files[verify.MANIFEST]):
        raise NoArchive(f"{verify.SEAL}: not the signature of certificates/1.pem")
    stranger = known(chain, at)
    if stranger:
        raise NoArchive(f"{verify.SEAL}: {stranger}")


def _line(row: Row, files: dict[str, bytes]) -> bytes:
    told: dict[str, object] = {}
    for name, value in row.columns.items():
        if isinstance(value, bytes):
            digest = sha256(value)
            files.setdefault(f"bodies/{digest}.gz", _packed(value))
            told[name] = {"sha256": digest}
        else:
            told[name] = value
    return msgspec.json.encode({"table": row.table, "columns": told})


def _row(line: bytes, files: Mapping[str, bytes]) -> Row:
    told = msgspec.json.decode(line)
    columns: dict[str, Value] = {}
    for name, value in told["columns"].items():
        if isinstance(value, dict):
            octets = _unpacked(files[f"bodies/{value['sha256']}.gz"])
            if sha256(octets) != value["sha256"]:
                raise NoArchive(f"bodies/{value['sha256']}.gz: other octets than its name says")
            columns[name] = octets
        else:
            columns[name] = value
    return Row(told["table"], columns)


def _packed(octets: bytes) -> bytes:
    return gzip.compress(octets, mtime=0)


def _unpacked(octets: bytes) -> bytes:
    reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
    found = reader.decompress(octets, MAX_MEMBER)
    if not reader.eof or reader.unused_data:
        raise NoArchive("a member is cut off, too large, or followed by something")
    return found


def _first_wrong(files: Mapping[str, bytes]) -> str:
    lines = files[verify.MANIFEST].decode("utf-8", "replace").splitlines()
    listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    others = (n for n in sorted(files) if n not in (verify.MANIFEST, verify.SEAL))
    return next((n for n in others if listed.get(n) != sha256(files[n])), verify.MANIFEST)
