"""What may be in a bundle, and what each step says of it."""

from __future__ import annotations

import base64
import json
import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from .container import MANIFEST, SEAL
from .hashes import sha256
from .tools import Tools

INDEX = "evidence.json"
RECORD = "submission/record.json"
BODY = "submission/body"
OK, WRONG, UNKNOWN = "ok", "wrong", "unknown"
Step = tuple[str, str, str]
"""ok, wrong or unknown; what; why."""
FACTS = ("id", "reference", "outcome", "partner", "signer", "filer", "principal", "received_at")
"""What the index repeats of the submission's record, for who reads only one file."""

_NUMBER = "[1-9][0-9]{0,5}"
_MEMBER = re.compile(
    rf"""MANIFEST | MANIFEST\.sig | evidence\.json | README\.txt | verify\.(sh|pyz)
    | submission/(record\.json | body | head\.txt)
    | messages/{_NUMBER}/(record|declaration)\.json
    | sent/[0-9]{{4,6}}/(record\.json | body | head\.txt)
    | corrections/[0-9]{{4,6}}/(record|declaration)\.json
    | decisions/[0-9]{{4,6}}\.json | deliveries\.json | timeline\.jsonl
    | journal/[0-9]{{4,6}}\.(txt|path)
    | checkpoints/{_NUMBER}\.(txt|sig|tst)
    | certificates/[a-z]+(-([a-z]+|{_NUMBER}))?/{_NUMBER}\.pem
    | proof/(signer|carrier)/(response{_NUMBER}\.(ocsp|crl) | stamp{_NUMBER}\.tst)""",
    re.VERBOSE,
)


def stray(files: Mapping[str, bytes]) -> Iterator[Step]:
    """Members that no bundle has: nothing would be said of them, and they are not even written out."""
    for name in files:
        if _MEMBER.fullmatch(name) is None:
            yield WRONG, name, "a bundle has no such member"


def fingerprint(pem: bytes) -> str:
    """Hex SHA-256 of the DER of a certificate in PEM.  Raises ValueError unless the file is that certificate
    and nothing else, written in the one way in which openssl writes it: so all read the same in it."""
    text = pem.decode("ascii")
    der = base64.b64decode("".join(text.splitlines()[1:-1]), validate=True)
    if ssl.DER_cert_to_PEM_cert(der) != text or _length(der) != len(der):
        raise ValueError("not one certificate in PEM and nothing else")
    return sha256(der)


def _length(der: bytes) -> int:
    """Of the first element, with its head; 0 where it has no definite length."""
    if len(der) < 2 or der[0] != 0x30:
        return 0
    if der[1] < 0x80:
        return 2 + der[1]
    octets = der[1] & 0x7F
    return 2 + octets + int.from_bytes(der[2 : 2 + octets], "big")


class Bundle:
    """A bundle whose container is whole, its members written out for the tools."""

    def __init__(self, files: Mapping[str, bytes], tools: Tools) -> None:
        self.files = files
        self.tools = tools
        self.used: dict[str, set[str]] = {}
        """Folders of certificates on which something was found to rest, and the times at which it did."""

    @cached_property
    def index(self) -> dict[str, Any]:
        """When it was made, whose seal it has, and what repeats the record."""
        told: dict[str, Any] = json.loads(self.files[INDEX])
        return told

    @cached_property
    def record(self) -> dict[str, Any]:
        """Of the submission."""
        told: dict[str, Any] = json.loads(self.files[RECORD])
        return told

    @cached_property
    def entries(self) -> dict[str, dict[str, Any]]:
        """Journal entries by the name of their file."""
        names = [n for n in sorted(self.files) if n.startswith("journal/") and n.endswith(".txt")]
        return {n: json.loads(self.files[n].split(b"\n")[1]) for n in names}

    @cached_property
    def _chains(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name in self.files:
            folder, _, last = name.rpartition("/")
            if folder.startswith("certificates/"):
                found.setdefault(folder, []).append(last)
        by_number = {f: sorted(names, key=lambda n: int(n[:-4])) for f, names in found.items()}
        return {f: [f"{f}/{n}" for n in names] for f, names in by_number.items()}

    @cached_property
    def prints(self) -> dict[str, str]:
        """The fingerprint of every certificate file that is one."""
        found = {}
        for name in (n for names in self._chains.values() for n in names):
            try:
                found[name] = fingerprint(self.files[name])
            except ValueError:
                continue
        return found

    def chain(self, folder: str) -> list[str]:
        """The certificates of a folder, the signer's first; [] where there is none."""
        return self._chains.get(f"certificates/{folder}", [])

    def own(self, key: str) -> str:
        """The folder of the gateway's chain whose first certificate has this fingerprint, or ""."""
        folders = [
            f.rpartition("/")[2] for f in sorted(self._chains) if f.startswith("certificates/gateway-")
        ]
        return next((f for f in folders if self.prints.get(self.chain(f)[0]) == key), "")

    def rests(self, folder: str, at: str) -> Iterator[Step]:
        """Something rests on a chain, whose certificates have to be valid at a time."""
        chain = self.chain(folder)
        self.used.setdefault(folder, set()).add(at)
        good, words = self.tools.chained(chain[0], chain[1:-1], chain[-1:], at)
        yield (OK if good else WRONG), chain[0], f"certificate valid at {at}" if good else words

    def certificates(self) -> Iterator[Step]:
        """Every certificate's file is one certificate; certificates on which nothing rests are told."""
        for folder, names in sorted(self._chains.items()):
            for name in names:
                if name not in self.prints:
                    yield WRONG, name, "not one certificate in PEM and nothing else"
            if folder.rpartition("/")[2] not in self.used:
                yield WRONG, folder, "nothing rests on these certificates"

    def facts(self) -> Iterator[Step]:
        """The index says what the record says, and nothing else."""
        known = {"format", "made_at", "sealed_by", "sent", *FACTS}
        if set(self.index) != known or any(self.index[fact] != self.record[fact] for fact in FACTS):
            yield WRONG, INDEX, "not what the record says"
        else:
            yield OK, INDEX, "as the record says"

    def manifest(self) -> Iterator[Step]:
        """Every file is as the manifest says, and there is no other."""
        told = "".join(f"{sha256(self.files[n])}  {n}\n" for n in self.unsealed()).encode()
        if told == self.files.get(MANIFEST):
            yield OK, MANIFEST, f"{len(self.files)} files"
            return
        lines = self.files[MANIFEST].decode("utf-8", "replace").splitlines()
        listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
        wrong = [n for n in self.unsealed() if listed.get(n) != sha256(self.files[n])]
        missing = sorted(set(listed) - set(self.files))
        for name in (*wrong, *missing):
            yield WRONG, name, "not as the manifest says"
        if not wrong and not missing:
            yield WRONG, MANIFEST, "not written as a manifest is"

    def unsealed(self) -> Sequence[str]:
        """The members that the manifest names, in its order."""
        return sorted(name for name in self.files if name not in (MANIFEST, SEAL))
