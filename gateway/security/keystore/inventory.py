"""``keys.toml``: which own keys there are, for what use, and from when until when.

A folder that never had one has one generation for each use whose files are there under their plain names.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import stat
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from gateway.security.keystore.files import KeyUnusable, write_whole

Use = Literal["signing", "tls", "decryption"]
USES: tuple[Use, ...] = ("signing", "tls", "decryption")
INVENTORY = "keys.toml"
PKCS11 = "pkcs11:"
MAX_GENERATION = 9_999
"""More than a key a day for twenty-five years."""
_HEAD = "# The gateway's own keys, one table for each generation.  `cvan keys` writes this file.\n"
_IN_NAME = re.compile(r"(?:signing|tls|decryption)(?:\.([0-9]{1,4}))?\.")


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One generation of one use.

    ``key``: a file beside keys.toml (PEM, or PKCS #12 by its suffix), an absolute path, or a pkcs11: URI.
    ``certificate``: a PEM file with its chain; "" while it is awaited, or where the key file has it.
    ``passphrase_file``: of an encrypted file: a path, or ``credential:NAME``.  ``activates_at``: when it
    takes over; None: when its certificate begins.  ``retired_at``: from when it signs no more.
    """

    use: Use
    generation: Annotated[int, msgspec.Meta(ge=1, le=MAX_GENERATION)]
    key: str
    certificate: str = ""
    padding: Literal["pkcs1", "pss"] = "pkcs1"
    passphrase_file: str = ""
    activates_at: datetime | None = None
    retired_at: datetime | None = None

    @property
    def name(self) -> str:
        """As messages name it: ``signing 2``."""
        return f"{self.use} {self.generation}"

    @property
    def remote(self) -> bool:
        """True where the key is in a token."""
        return self.key.startswith(PKCS11)


class _Inventory(msgspec.Struct, forbid_unknown_fields=True):
    key: list[Entry] = []


def stem(use: Use, generation: int) -> str:
    """What a generation's files are called: ``signing``, then ``signing.2``."""
    return use if generation == 1 else f"{use}.{generation}"


def read(folder: Path) -> tuple[Entry, ...]:
    """The generations, by use and number.  Raises KeyUnusable where keys.toml cannot be used."""
    path = folder / INVENTORY
    try:
        _check_folder(folder)
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return _without(folder)
    except (OSError, UnicodeDecodeError) as error:
        raise KeyUnusable(f"{path}: cannot be read: {error}") from None
    try:
        found = msgspec.convert(tomllib.loads(text), _Inventory).key
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise KeyUnusable(f"{path}: {error}") from None
    for entry in found:
        _check(path, entry)
    if len({(e.use, e.generation) for e in found}) < len(found):
        raise KeyUnusable(f"{path}: a generation is listed twice")
    return tuple(sorted(found, key=_order))


def _order(entry: Entry) -> tuple[int, int]:
    return USES.index(entry.use), entry.generation


def _check_folder(folder: Path) -> None:
    """Who may write in the folder may put a key of theirs in the place of ours."""
    status = folder.stat()
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise KeyUnusable(f"{folder}: others may write in it; do: chmod 700 {folder}")


def _check(path: Path, entry: Entry) -> None:
    for moment in (entry.activates_at, entry.retired_at):
        if moment is not None and moment.tzinfo is None:
            raise KeyUnusable(f"{path}: {entry.name}: times need a zone, as 2027-01-31T00:00:00Z")
    if entry.use == "tls" and entry.remote:
        raise KeyUnusable(f"{path}: {entry.name}: TLS keys are files; a token can hold signing, decryption")


def _without(folder: Path) -> tuple[Entry, ...]:
    """First generations, where their files are.

    Raises KeyUnusable where there are later ones: what was retired would come back.
    """
    later = sorted(p.name for p in folder.iterdir() if (named := _IN_NAME.match(p.name)) and named[1])
    if later:
        raise KeyUnusable(
            f"{folder / INVENTORY} is missing, but {later[0]} is there: it says which keys are retired. Put it back "
            f"from a backup; or, to begin with the first keys again, move later files ({later[0]} ...) elsewhere"
        )
    first = (Entry(use, 1, f"{use}.key.pem", f"{use}.crt.pem") for use in USES)
    return tuple(entry for entry in first if (folder / entry.key).exists())


def write(folder: Path, entries: Sequence[Entry]) -> None:
    """Put the list in the place of the old one, whole or not at all."""
    tables = "".join(f"\n[[key]]\n{_table(entry)}" for entry in sorted(entries, key=_order))
    write_whole(folder / INVENTORY, (_HEAD + tables).encode(), 0o600)


def begin(folder: Path, entries: Sequence[Entry]) -> None:
    """Have a list, before the first file that could not be told from a later generation's without one."""
    if not (folder / INVENTORY).exists():
        write(folder, entries)


def _table(entry: Entry) -> str:
    fields = msgspec.to_builtins(entry, builtin_types=(datetime,))
    return "".join(f"{name} = {_value(value)}\n" for name, value in fields.items())


def _value(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    # JSON's escapes are TOML's (basic strings); a name beyond ASCII stays readable.
    return json.dumps(value, ensure_ascii=False)


def next_generation(folder: Path, entries: Sequence[Entry], use: Use) -> int:
    """A number that no generation of the use has, nor a file that a killed command left behind."""
    known = [e.generation for e in entries if e.use == use]
    left = [
        int(found[1] or 1)
        for path in folder.glob(f"{use}.*")
        if (found := _IN_NAME.match(path.name)) is not None
    ]
    return max((*known, *left), default=0) + 1


@contextmanager
def changing(folder: Path) -> Iterator[None]:
    """Nobody else changes the folder meanwhile; the kernel lets go whatever ends us."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
