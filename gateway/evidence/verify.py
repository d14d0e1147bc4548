#!/usr/bin/env python3
"""Verify an evidence bundle with nothing but Python's standard library, openssl and xmlsec1.

    python3 verify.py BUNDLE.zip [--trust FILE-OR-FINGERPRINT ...] [--json]
    python3 verify.py --xml CERTIFICATE.pem DOCUMENT.xml

--trust names what you know by another way than this bundle: a certificate file (PEM), or the SHA-256
fingerprint of a certificate in hex, of the gateway or of any authority.  Without it, everything is still
verified, but whose the keys are is only what the bundle itself says.

Exit code: 0 all verified, 1 something is wrong, 2 something could not be verified here.

A verifier out of the bundle proves as much as the bundle: take this file from another source, or follow
README.txt by hand; both do the same.
"""

from __future__ import annotations

import argparse
import base64
import calendar
import hashlib
import json
import re
import shutil
import ssl
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from email import message_from_bytes
from functools import cached_property
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import canonicalize
from xml.parsers.expat import ExpatError, ParserCreate
from xml.sax.saxutils import escape

MANIFEST, SEAL, INDEX = "MANIFEST", "MANIFEST.sig", "evidence.json"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(?:[./][A-Za-z0-9_-]+)*")
"""A member's name: nothing that a file system or a shell takes for something else."""
MOST_OCTETS = 0xFFFF_FFFF
MOST_MEMBERS = 0xFFFF
CONTAINER = "the container"
TOOL_SECONDS = 120
OK, WRONG, UNKNOWN = "ok", "wrong", "unknown"
XADES = "http://uri.etsi.org/01903/v1.3.2#:SignedProperties"
DSIG = "http://www.w3.org/2000/09/xmldsig#"

# -- the container: one writer, so that every octet of a file is what it would write ---------------------

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
    told, at = list(_directory(data)), 0
    listed = files.get(MANIFEST, b"") + f"  {MANIFEST}\n  {SEAL}\n".encode()
    for name, octets in files.items():
        other = dict(told).get(at, name)
        if other != name:
            return next((n for n in (name, other) if f"  {n}\n".encode() in listed), name)
        at += _LOCAL.size + len(name) + len(octets)
    if len(again) == len(data) and place >= at:
        ends = accumulate((_CENTRAL.size + len(name) for name in files), initial=at)
        return next((name for end, name in zip(list(ends)[1:], files, strict=True) if place < end), CONTAINER)
    starts = [name for start, name in told if start <= place]
    return starts[-1] if starts else CONTAINER


def _directory(data: bytes) -> Iterator[tuple[int, str]]:
    """Where members begin, as the archive's directory says; nothing of it is believed."""
    at = _END.unpack(data[-_END.size :])[6] if len(data) >= _END.size else len(data)
    while data[at : at + 4] == b"PK\x01\x02" and at + _CENTRAL.size <= len(data):
        fields = _CENTRAL.unpack_from(data, at)
        label = data[at + _CENTRAL.size : at + _CENTRAL.size + fields[10]]
        yield fields[16], label.decode("ascii", "replace")
        at += _CENTRAL.size + fields[10]


# -- hashes ----------------------------------------------------------------------------------------------


def sha256(octets: bytes) -> str:
    """Hex SHA-256."""
    return hashlib.sha256(octets).hexdigest()


def manifest_of(files: Mapping[str, bytes]) -> bytes:
    """What ``sha256sum`` prints for every file that is not the manifest or its signature."""
    named = sorted(name for name in files if name not in (MANIFEST, SEAL))
    return "".join(f"{sha256(files[name])}  {name}\n" for name in named).encode()


def climb(entry: bytes, path: str) -> str:
    """The root to which a journal entry's file and its path lead."""
    found = sha256(b"leaf\n%s\n" % sha256(entry).encode())
    for line in path.splitlines():
        side, _, sibling = line.partition(" ")
        pair = (sibling, found) if side == "left" else (found, sibling)
        found = sha256("node\n{}\n{}\n".format(*pair).encode())
    return found


# -- tools -----------------------------------------------------------------------------------------------


class Tools:
    """openssl and xmlsec1 over the members, written to a folder."""

    def __init__(self, folder: Path, files: Mapping[str, bytes]) -> None:
        self.folder = folder
        for name, octets in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(octets)

    def run(self, tool: str, *arguments: str) -> tuple[bool, str]:
        """Whether it said yes, and its words."""
        found = shutil.which(tool)
        if found is None:
            return False, f"{tool} is not installed"
        try:
            done = subprocess.run(  # noqa: S603 - our own arguments; names are checked by NAME
                [found, *arguments], cwd=self.folder, capture_output=True, timeout=TOOL_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return False, f"{tool} took too long"
        words = (done.stdout + b"\n" + done.stderr).decode("utf-8", "replace").strip()
        return done.returncode == 0, words

    def public_key(self, certificate: str) -> tuple[str, str]:
        """The file of a certificate's public key, and its kind: rsa, ec or ed25519."""
        target = certificate.replace("/", "-") + ".pub"
        self.run("openssl", "x509", "-in", certificate, "-pubkey", "-noout", "-out", target)
        _, words = self.run("openssl", "pkey", "-pubin", "-in", target, "-noout", "-text")
        kind = "ed25519" if "ED25519" in words else "rsa" if "Modulus" in words else "ec"
        size = re.search(r"\((\d+) bit\)", words)
        return target, kind + (size[1] if size and kind == "ec" else "")

    def signed(self, certificate: str, signature: str, octets: str) -> tuple[bool, str]:
        """Whether a raw signature is the certificate's key's over a file."""
        key, kind = self.public_key(certificate)
        if kind == "ed25519":
            return self.run(
                "openssl", "pkeyutl", "-verify", "-pubin", "-inkey", key, "-rawin", "-in", octets,
                "-sigfile", signature,
            )  # fmt: skip
        digest = {"ec384": "-sha384", "ec521": "-sha512"}.get(kind, "-sha256")
        plain = ("openssl", "dgst", digest, "-verify", key, "-signature", signature, octets)
        good, words = self.run(*plain)
        if good or kind != "rsa":
            return good, words
        pss = ("-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest")
        return self.run("openssl", "dgst", digest, *pss, *plain[3:])

    def chained(self, chain: Sequence[str], at: str) -> tuple[bool, str]:
        """Whether the first certificate reaches the last one, all being valid at a time."""
        between = [word for one in chain[1:-1] for word in ("-untrusted", one)]
        return self.run(
            "openssl", "verify", "-attime", str(epoch(at)), "-no-CAfile", "-no-CApath", "-partial_chain",
            "-trusted", chain[-1], *between, chain[0],
        )  # fmt: skip

    def xml_signed(self, certificate: str, document: str) -> tuple[bool, str]:
        """Whether the document's signature is the key's of that certificate and of no other."""
        ids = [w for n in (XADES, f"{DSIG}:Object", f"{DSIG}:KeyInfo") for w in ("--id-attr:Id", n)]
        return self.run(
            "xmlsec1", "--verify", "--enabled-key-data", "key-name", "--pubkey-cert-pem", certificate,
            *ids, document,
        )  # fmt: skip

    def cms_signed(self, certificate: str, body: str, form: str, out: str) -> tuple[bool, str]:
        """Whether a CMS signature is the key's of that certificate; what it signed goes to ``out``."""
        binary = ("-binary",) if form == "DER" else ()
        return self.run(
            "openssl", "cms", "-verify", "-inform", form, "-in", body, "-nointern", "-certfile", certificate,
            "-noverify", *binary, "-out", out,
        )  # fmt: skip

    def joined(self, head: str, body: str) -> str:
        """A file of a MIME header and its body."""
        target = body.replace("/", "-") + ".eml"
        octets = (self.folder / head).read_bytes() + (self.folder / body).read_bytes()
        (self.folder / target).write_bytes(octets)
        return target

    def bare(self, name: str) -> None:
        """Take the MIME header and transfer encoding off what a CMS signature held, where it has one."""
        octets = (self.folder / name).read_bytes()
        if re.match(rb"\s*(content|mime)-", octets, re.IGNORECASE):
            inside = message_from_bytes(octets).get_payload(decode=True)
            (self.folder / name).write_bytes(inside if isinstance(inside, bytes) else octets)


def epoch(at: str) -> int:
    """Seconds since 1970 of a time as the records write it."""
    return calendar.timegm(time.strptime(at[:19], "%Y-%m-%dT%H:%M:%S"))


def fingerprint(pem: bytes) -> str:
    """Hex SHA-256 of a PEM certificate's DER.  Raises ValueError where it is none."""
    return sha256(ssl.PEM_cert_to_DER_cert(pem.decode("ascii")))


# -- XML signatures by hand, where xmlsec1 does not know an algorithm (RSA-PSS before 1.3) ----------------

EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED = f"{DSIG}enveloped-signature"
_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
_MORE_2007 = "http://www.w3.org/2007/05/xmldsig-more#"
_XMLENC = "http://www.w3.org/2001/04/xmlenc#"
DIGESTS = {
    f"{_XMLENC}sha256": "sha256",
    f"{_MORE}sha384": "sha384",
    f"{_XMLENC}sha512": "sha512",
    **{f"{_MORE_2007}sha3-{size}": f"sha3_{size}" for size in (256, 384, 512)},
}
SIGNATURES = {
    **{f"{_MORE}rsa-sha{n}": ("rsa", f"sha{n}", "") for n in (256, 384, 512)},
    **{f"{_MORE_2007}sha{n}-rsa-MGF1": ("rsa", f"sha{n}", "pss") for n in (256, 384, 512)},
    **{f"{_MORE_2007}sha3-{n}-rsa-MGF1": ("rsa", f"sha3-{n}", "pss") for n in (256, 384, 512)},
    **{f"{_MORE}ecdsa-sha{n}": ("ec", f"sha{n}", "") for n in (256, 384, 512)},
    "http://www.w3.org/2021/04/xmldsig-more#eddsa-ed25519": ("ed25519", "", ""),
}


class NotByHand(Exception):
    """The signature is of a shape that is not verified here; nothing is shown, neither good nor bad."""


class Xml:
    """A document with one enveloped signature in exclusive canonical form (XML-Exc-C14N), and where in its
    octets the signed things stand."""

    def __init__(self, octets: bytes) -> None:
        if b"<!DOCTYPE" in octets:
            raise NotByHand("a document type")
        self.octets = octets
        self._places: dict[str, list[tuple[int, int, dict[str, str]]]] = {}
        self._open: list[tuple[list[str], int, dict[str, str]]] = []
        self._scopes: list[dict[str, str]] = [{}]
        self._fresh: dict[str, str] = {}
        parser = ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartNamespaceDeclHandler = self._declared
        parser.StartElementHandler = lambda name, given: self._began(name, given, parser.CurrentByteIndex)
        parser.EndElementHandler = lambda name: self._ended(name, parser.CurrentByteIndex)
        try:
            parser.Parse(octets, True)
        except ExpatError as error:
            raise NotByHand(str(error)) from error

    def _declared(self, prefix: str | None, uri: str | None) -> None:
        self._fresh[prefix or ""] = uri or ""

    def _began(self, name: str, given: Mapping[str, str], at: int) -> None:
        scope = {**self._scopes[-1], **self._fresh} if self._fresh else self._scopes[-1]
        self._fresh = {}
        self._scopes.append(scope)
        keys = [name] if name.startswith(DSIG) else []
        keys += [f"#{given[word]}" for word in ("Id", "ID", "id") if word in given]
        self._open.append((keys, at, scope))

    def _ended(self, name: str, at: int) -> None:
        self._scopes.pop()
        keys, start, scope = self._open.pop()
        for key in keys:
            end = self.octets.index(b">", at) + 1
            self._places.setdefault(key, []).append((start, end, scope))

    def one(self, key: str) -> tuple[int, int, dict[str, str]]:
        """The one place of an element.  Raises NotByHand."""
        places = self._places.get(key, [])
        if len(places) != 1:
            raise NotByHand(f"{len(places)} times {key}")
        return places[0]

    def canonical(self, key: str) -> bytes:
        """An element by itself in canonical form."""
        start, end, scope = self.one(key)
        text = self.octets[start:end].decode("utf-8")
        head = re.match(r"<[^\s/>]+", text)
        if head is None:
            raise NotByHand(f"no element: {key}")
        tag = text[: text.index(">") + 1]
        missing = (
            f' xmlns{":" if prefix else ""}{prefix}="{escape(uri, {chr(34): "&quot;"})}"'
            for prefix, uri in scope.items()
            if not re.search(rf"\sxmlns{':' if prefix else ''}{re.escape(prefix)}\s*=", tag)
        )
        return canonicalize(text[: head.end()] + "".join(missing) + text[head.end() :]).encode()

    def enveloping(self) -> bytes:
        """The document without its signature, in canonical form."""
        start, end, _ = self.one(f"{DSIG} Signature")
        return canonicalize((self.octets[:start] + self.octets[end:]).decode("utf-8-sig")).encode()


def by_hand(tools: Tools, certificate: str, name: str) -> tuple[bool, str]:
    """As Tools.xml_signed, by Python's canonical form, hashlib and openssl.  Raises NotByHand."""
    octets = (tools.folder / name).read_bytes()
    document = Xml(octets)
    signed_info = document.canonical(f"{DSIG} SignedInfo")
    told = ElementTree.fromstring(signed_info)  # noqa: S314 - no document type, and verified octets
    for reference in told.findall(f"{{{DSIG}}}Reference"):
        found, wanted = _referenced(document, reference)
        if found != wanted:
            return False, f"{name}: the digest of {reference.get('URI')!r} is another"
    method = _algorithm(told, "SignatureMethod")
    if _algorithm(told, "CanonicalizationMethod") != EXCLUSIVE or method not in SIGNATURES:
        raise NotByHand(f"{method}, {_algorithm(told, 'CanonicalizationMethod')}")
    value = ElementTree.fromstring(document.canonical(f"{DSIG} SignatureValue"))  # noqa: S314
    signature = base64.b64decode("".join((value.text or "").split()))
    return _raw_by_hand(tools, certificate, SIGNATURES[method], signature, signed_info)


def _referenced(document: Xml, reference: ElementTree.Element) -> tuple[bytes, bytes]:
    """The digest that a reference's octets have, and the one that it says."""
    transforms = [t.get("Algorithm", "") for t in reference.iter(f"{{{DSIG}}}Transform") if not len(t)]
    uri = reference.get("URI")
    if uri == "" and transforms == [ENVELOPED, EXCLUSIVE]:
        octets = document.enveloping()
    elif uri and uri.startswith("#") and transforms == [EXCLUSIVE]:
        octets = document.canonical(uri)
    else:
        raise NotByHand(f"reference {uri!r} by {transforms}")
    digest = DIGESTS.get(_algorithm(reference, "DigestMethod"))
    said = reference.findtext(f"{{{DSIG}}}DigestValue")
    if digest is None or said is None:
        raise NotByHand("digest")
    return hashlib.new(digest, octets).digest(), base64.b64decode(said)


def _algorithm(parent: ElementTree.Element, name: str) -> str:
    found = parent.find(f"{{{DSIG}}}{name}")
    return "" if found is None or len(found) else found.get("Algorithm", "")


def _raw_by_hand(
    tools: Tools, certificate: str, method: tuple[str, str, str], signature: bytes, octets: bytes
) -> tuple[bool, str]:
    scheme, digest, padding = method
    key, kind = tools.public_key(certificate)
    if not kind.startswith(scheme):
        return False, f"{certificate}: its key does not sign so"
    if scheme == "ec":
        signature = _der(signature)
    (tools.folder / "by-hand.sig").write_bytes(signature)
    (tools.folder / "by-hand.xml").write_bytes(octets)
    if scheme == "ed25519":
        return tools.run(
            "openssl", "pkeyutl", "-verify", "-pubin", "-inkey", key, "-rawin", "-in", "by-hand.xml",
            "-sigfile", "by-hand.sig",
        )  # fmt: skip
    pss = ("-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest") if padding else ()
    return tools.run(
        "openssl", "dgst", f"-{digest}", *pss, "-verify", key, "-signature", "by-hand.sig", "by-hand.xml"
    )


def _der(pair: bytes) -> bytes:
    """An ECDSA signature as openssl reads it, out of two numbers side by side."""
    half = len(pair) // 2
    numbers = b""
    for number in (pair[:half], pair[half:]):
        octets = number.lstrip(b"\0") or b"\0"
        octets = b"\0" + octets if octets[0] & 0x80 else octets
        numbers += bytes((2, len(octets))) + octets
    length = bytes((len(numbers),)) if len(numbers) < 0x80 else bytes((0x81, len(numbers)))
    return b"\x30" + length + numbers


# -- the verification ------------------------------------------------------------------------------------

Step = tuple[str, str, str]
"""ok, wrong or unknown; what; why."""


class Bundle:
    """A bundle whose container is whole, and what is verified of it."""

    def __init__(self, files: Mapping[str, bytes], tools: Tools) -> None:
        self.files = files
        self.tools = tools

    @cached_property
    def index(self) -> dict[str, Any]:
        """What there is."""
        told: dict[str, Any] = json.loads(self.files[INDEX])
        return told

    def steps(self) -> Iterator[Step]:
        """All but the manifest and its seal, in the order in which one thing rests on the other."""
        entries = self.journal_files()
        yield from self.checkpoints()
        yield from self.journal(entries)
        yield from self.contents([json.loads(octets.split(b"\n")[1]) for octets in entries.values()])
        for layer in self.index["layers"]:
            yield from self.layer(layer)
        for sent in self.index["sent"]:
            yield from self.sent(sent)

    def chain(self, folder: str) -> list[str]:
        """A folder's certificates, the signer's first."""
        found = [n for n in self.files if n.startswith(f"{folder}/") and n.endswith(".pem")]
        return sorted(found, key=lambda n: int(Path(n).stem))

    def manifest(self) -> Iterator[Step]:
        """Every file is as the manifest says, and there is no other."""
        told = manifest_of(self.files)
        if told == self.files.get(MANIFEST):
            yield OK, MANIFEST, f"{len(self.files)} files"
            return
        lines = self.files[MANIFEST].decode("utf-8", "replace").splitlines()
        listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
        wrong = [
            n for n in self.files if n not in (MANIFEST, SEAL) and listed.get(n) != sha256(self.files[n])
        ]
        missing = sorted(set(listed) - set(self.files))
        for name in (*wrong, *missing):
            yield WRONG, name, "not as the manifest says"
        if not wrong and not missing:
            yield WRONG, MANIFEST, "not written as a manifest is"

    def seal(self) -> Iterator[Step]:
        """The manifest's signature is the gateway's, and its certificate was valid when it was made."""
        made = self.index["made_at"]
        steps = list(self._signed(SEAL, MANIFEST, self.index["gateway"], made))
        yield from steps
        if (WRONG, SEAL) in ((state, what) for state, what, _ in steps):
            yield WRONG, MANIFEST, "not what was sealed, or sealed by another key"

    def _signed(self, signature: str, octets: str, folder: str, at: str) -> Iterator[Step]:
        chain = self.chain(folder)
        if not chain:
            yield WRONG, signature, f"no certificate in {folder}"
            return
        good, words = self.tools.signed(chain[0], signature, octets)
        yield (OK if good else WRONG), signature, f"signature of {chain[0]}" if good else words
        yield from self._chained(chain, at)

    def _chained(self, chain: Sequence[str], at: str) -> Iterator[Step]:
        good, words = self.tools.chained(chain, at)
        yield (OK if good else WRONG), chain[0], f"certificate valid at {at}" if good else words

    # -- journal ---------------------------------------------------------------------------------------

    def journal_files(self) -> dict[str, bytes]:
        """Entries by name."""
        return {n: self.files[n] for n in sorted(self.files) if re.fullmatch(r"journal/\d+\.txt", n)}

    def checkpoints(self) -> Iterator[Step]:
        """Every checkpoint's signature, and its time stamp where it has one."""
        for one in self.index["checkpoints"]:
            name = f"checkpoints/{one['number']}"
            text = self.files[f"{name}.txt"].decode()
            said = dict(line.split(": ", 1) for line in text.splitlines()[1:7])
            if said["number"] != str(one["number"]):
                yield WRONG, f"{name}.txt", "another number"
            own = self.chain(one["gateway"])
            if not own or fingerprint(self.files[own[0]]) != said["key"]:
                yield WRONG, f"{name}.txt", "names another key"
            yield from self._signed(f"{name}.sig", f"{name}.txt", one["gateway"], said["at"])
            if f"{name}.tst" in self.files:
                yield from self.stamp(name, one)

    def stamp(self, name: str, one: Mapping[str, Any]) -> Iterator[Step]:
        """A time stamp over a checkpoint's signature."""
        chain = self.chain(one["stampers"])
        if not chain:
            yield UNKNOWN, f"{name}.tst", "no certificates of the time-stamp authority"
            return
        between = [word for certificate in chain[:-1] for word in ("-untrusted", certificate)]
        good, words = self.tools.run(
            "openssl", "ts", "-verify", "-token_in", "-in", f"{name}.tst", "-data", f"{name}.sig",
            "-CAfile", chain[-1], *between, "-partial_chain", "-attime", str(epoch(one["stamped_at"])),
        )  # fmt: skip
        yield (OK if good else WRONG), f"{name}.tst", f"stamped at {one['stamped_at']}" if good else words

    def journal(self, entries: Mapping[str, bytes]) -> Iterator[Step]:
        """Every entry is under the root of its checkpoint."""
        for name, octets in entries.items():
            under = self.index["journal"].get(name, 0)
            if not under:
                yield UNKNOWN, name, "no checkpoint holds it yet"
                continue
            text = self.files[f"checkpoints/{under}.txt"].decode()
            path = self.files[name.replace(".txt", ".path")].decode()
            root = next(line[6:] for line in text.splitlines() if line.startswith("root: "))
            entry = json.loads(octets.split(b"\n")[1])
            if climb(octets, path) != root or not _spanned(text, entry["chain"], entry["seq"]):
                yield WRONG, name, f"not under checkpoint {under}"
            else:
                yield OK, name, f"under checkpoint {under}"

    # -- what the entries vouch for --------------------------------------------------------------------

    def contents(self, entries: Sequence[Mapping[str, Any]]) -> Iterator[Step]:
        """Every file of the message's history is vouched for by an entry, and nothing is missing."""
        told = [e["of"] for e in entries]
        about = [e for e in entries if e["kind"] in ("received", "adopted")]
        if len(about) != 1:
            yield WRONG, "journal", "no entry of the receipt, or several"
            return
        of = about[0]["of"]
        wanted = {
            "submission/record.json": {of.get("record", "")},
            "submission/body": {of.get("body", "")},
            "submission/digest": {json.loads(self.files["submission/record.json"])["digest"]},
        }
        if wanted["submission/digest"] != wanted["submission/body"]:
            yield WRONG, "submission/record.json", "another digest than the entry"
        del wanted["submission/digest"]
        for ordinal, digest in enumerate(of.get("messages", ()), 1):
            wanted[f"messages/{ordinal}/record.json"] = {digest}
        yield from self._vouched(wanted)
        sent = {i: d for o in told for i, d in o.get("sent", {}).items()}
        yield from self._records("sent", {*sent.values()}, "body")
        decided = {e["of"]["record"] for e in entries if e["kind"] == "decided"}
        decided |= {d for o in told for d in o.get("decisions", ())}
        yield from self._records("decisions", decided, "")
        yield from self._events({d for o in told for d in o.get("events", ())})
        yield from self._declarations()
        yield from self._exhibits(of)

    def _vouched(self, wanted: Mapping[str, set[str]]) -> Iterator[Step]:
        for name, digests in wanted.items():
            good = name in self.files and sha256(self.files[name]) in digests
            yield (OK if good else WRONG), name, "as the journal says" if good else "not as the journal says"

    def _records(self, folder: str, digests: set[str], body: str) -> Iterator[Step]:
        """A folder's records are those that entries name, each once, and bodies are theirs."""
        names = [n for n in sorted(self.files) if n.startswith(f"{folder}/") and n.endswith(".json")]
        yield from self._vouched(dict.fromkeys(names, digests))
        if {sha256(self.files[n]) for n in names} != digests:
            yield WRONG, folder, "not all that the journal names"
        for name in names if body else ():
            content = name.rpartition("/")[0] + f"/{body}"
            good = sha256(self.files.get(content, b"")) == json.loads(self.files[name])["digest"]
            yield (OK if good else WRONG), content, "as its record says" if good else "not as its record says"

    def _events(self, digests: set[str]) -> Iterator[Step]:
        lines = self.files["timeline.jsonl"].splitlines()
        good = {sha256(line) for line in lines} == digests
        yield (OK if good else WRONG), "timeline.jsonl", f"{len(lines)} lines"

    def _declarations(self) -> Iterator[Step]:
        for name in [n for n in sorted(self.files) if n.endswith("/declaration.json")]:
            record = json.loads(self.files[name.replace("declaration.json", "record.json")])
            good = sha256(self.files[name]) == record["declaration"]
            yield (OK if good else WRONG), name, "as its record says" if good else "not as its record says"

    def _exhibits(self, of: Mapping[str, Any]) -> Iterator[Step]:
        """Certificates and responses of the proofs are those that the entry names."""
        for proof, folder in (("proof", "signer"), ("carrier_proof", "carrier")):
            kept = of.get(proof) or {}
            pems = [fingerprint(self.files[n]) for n in self.chain(f"certificates/{folder}")]
            others = [n for n in self.files if n.startswith(f"proof/{folder}/")]
            found = {sha256(self.files[n]) for n in others}
            rest = {d for field in ("responses", "stamps", "stampers") for d in kept.get(field, ())}
            if kept and (pems != kept["certificates"] or found != rest):
                yield WRONG, f"certificates/{folder}", "not those that the journal names"
            elif kept:
                yield OK, f"certificates/{folder}", "as the journal says"

    # -- signatures of messages ------------------------------------------------------------------------

    def layer(self, layer: Mapping[str, Any]) -> Iterator[Step]:
        """A signature of the message as received, its certificates at the time of receipt, and what was
        known of their revocation."""
        at, chain = layer["at"], self.chain(f"certificates/{layer['who']}")
        if not chain:
            yield UNKNOWN, layer["file"], "no certificates were kept"
            return
        yield from self._message(layer, chain[0])
        yield from self._chained(chain, at)
        yield from self.revocation(f"proof/{layer['who']}", chain, sorted({at, layer["received"]}))

    def sent(self, sent: Mapping[str, Any]) -> Iterator[Step]:
        """A message that the gateway signed."""
        chain = self.chain(sent["gateway"])
        if not chain:
            yield UNKNOWN, sent["file"], "the gateway's certificate of that time is not here"
            return
        yield from self._message(sent, chain[0])
        yield from self._chained(chain, sent["at"])

    def _message(self, told: Mapping[str, Any], certificate: str) -> Iterator[Step]:
        name, form, out = told["file"], told["form"], told.get("out", "content")
        # The index is the bundle's own word: it names files of the bundle, and nothing else of this machine.
        named = {name, told["head"]} if told.get("head") else {name}
        if not named <= {*self.files, *INSIDE} or out not in INSIDE:
            yield WRONG, INDEX, "it names a file that is not in the bundle"
            return
        if form == "xml":
            good, words = xml_signed(self.tools, certificate, name)
        elif form in ("SMIME", "DER"):
            whole = self.tools.joined(told["head"], name) if told.get("head") else name
            good, words = self.tools.cms_signed(certificate, whole, form, out)
            if good and "out" in told:
                self.tools.bare(out)
        else:
            yield UNKNOWN, name, "a form of signature that only the gateway's own command verifies"
            return
        state = OK if good else UNKNOWN if any(sign in words for sign in _LACKING) else WRONG
        yield state, name, f"signature of {certificate}" if good else words

    def revocation(self, folder: str, chain: Sequence[str], times: Sequence[str]) -> Iterator[Step]:
        """OCSP responses and CRLs that were relied on, as they stood when the signature was made (as a
        time stamp says) or received: ``times``, in order."""
        for name in sorted(n for n in self.files if n.startswith(f"{folder}/")):
            if name.endswith(".ocsp"):
                yield from self._ocsp(name, chain, times)
            elif name.endswith(".crl"):
                yield from self._crl(name, chain, times)

    def _ocsp(self, name: str, chain: Sequence[str], times: Sequence[str]) -> Iterator[Step]:
        told = []
        for certificate, issuer in pairwise(chain):
            good, words = self.tools.run(
                "openssl", "ocsp", "-respin", name, "-issuer", issuer, "-cert", certificate, "-no_nonce",
                "-CAfile", chain[-1], "-partial_chain", "-attime", str(epoch(times[0])),
                "-validity_period", "2000000000",
            )  # fmt: skip
            good = good and "Response verify OK" in words and f"{certificate}: good" in words
            if good and _timely(words, times):
                yield OK, name, f"{certificate}: good"
                return
            told.append("it was of another time" if good else words)
        yield WRONG, name, "; ".join(told)

    def _crl(self, name: str, chain: Sequence[str], times: Sequence[str]) -> Iterator[Step]:
        pem = name.replace("/", "-") + ".pem"
        self.tools.run("openssl", "crl", "-inform", "DER", "-in", name, "-out", pem)
        words = ""
        for depth, at in ((depth, at) for depth in range(len(chain) - 1) for at in times):
            between = [word for one in chain[depth + 1 : -1] for word in ("-untrusted", one)]
            good, words = self.tools.run(
                "openssl", "verify", "-attime", str(epoch(at)), "-crl_check", "-CRLfile", pem, "-partial_chain",
                "-no-CAfile", "-no-CApath", "-trusted", chain[-1], *between, chain[depth],
            )  # fmt: skip
            if good:
                yield OK, name, f"{chain[depth]}: not in the list"
                return
        yield WRONG, name, words


INSIDE = ("content", "inner")
"""What a signature is found to hold, taken out of it."""

CLOCKS = 300
"""Seconds that clocks may differ."""


def _timely(words: str, times: Sequence[str]) -> bool:
    """Whether what openssl tells of a response's window has the signature, or its receipt, in it."""
    found = dict(re.findall(r"(This|Next) Update: (.*) GMT", words))
    moments = {name: calendar.timegm(time.strptime(at, "%b %d %H:%M:%S %Y")) for name, at in found.items()}
    first, last = epoch(times[0]), epoch(times[-1])
    return moments["This"] <= last + CLOCKS and moments.get("Next", first) >= first - CLOCKS


_LACKING = ("not installed", "xmlSecTransformIdListFindByHref")
"""What the tools say that do not know an algorithm: then nothing is shown, neither good nor bad."""


def xml_signed(tools: Tools, certificate: str, name: str) -> tuple[bool, str]:
    """By xmlsec1, and by hand where it does not know the algorithm."""
    good, words = tools.xml_signed(certificate, name)
    if good or not any(sign in words for sign in _LACKING):
        return good, words
    try:
        return by_hand(tools, certificate, name)
    except NotByHand as error:
        return False, f"{words}; and not by hand: {error}"


def _spanned(text: str, chain: str, seq: int) -> bool:
    lines = [line.split(" ") for line in text.splitlines() if line.startswith(f"chain: {chain} ")]
    return any(int(line[2]) <= seq <= int(line[3]) for line in lines)


def known(files: Mapping[str, bytes], trust: Sequence[str]) -> Iterator[Step]:
    """Which chains end at, or hold, a certificate that the caller knows."""
    given = set()
    for one in trust:
        path = Path(one)
        given.add(fingerprint(path.read_bytes()) if path.is_file() else one.replace(":", "").lower())
    folders = sorted(
        {n.rpartition("/")[0] for n in files if n.startswith("certificates/") and n.endswith(".pem")}
    )
    for folder in folders:
        own = [n for n in files if n.rpartition("/")[0] == folder and n.endswith(".pem")]
        prints = {fingerprint(files[n]) for n in own}
        last = max(own, key=lambda n: int(Path(n).stem))
        if prints & given:
            yield OK, folder, "reaches what you trust"
        elif given:
            yield UNKNOWN, folder, f"reaches nothing that you named; its last is {fingerprint(files[last])}"
        else:
            yield OK, folder, f"not compared with anything outside this bundle; {fingerprint(files[last])}"


def verify(data: bytes, trust: Sequence[str] = ()) -> list[Step]:
    """Every step of a bundle's verification."""
    try:
        files = unpack(data)
    except Damaged as damaged:
        return [(WRONG, damaged.name, damaged.reason)]
    if not {MANIFEST, SEAL, INDEX} <= set(files):
        return [(WRONG, CONTAINER, "no evidence bundle")]
    with tempfile.TemporaryDirectory(prefix="evidence-") as folder:
        steps: list[Step] = []
        try:
            for step in _steps(files, Tools(Path(folder), files), trust):
                steps.append(step)
        except (KeyError, IndexError, ValueError, TypeError, AttributeError, StopIteration) as error:
            steps.append((WRONG, INDEX, f"not as a bundle has it: {type(error).__name__} {error}"))
        return steps


def _steps(files: Mapping[str, bytes], tools: Tools, trust: Sequence[str]) -> Iterator[Step]:
    bundle = Bundle(files, tools)
    manifest = list(bundle.manifest())
    yield from manifest
    # Is it the file or the manifest that was changed?  The signature tells.
    sealed = list(bundle.seal())
    yield from sealed
    if any(state == WRONG for state, _, _ in (*manifest, *sealed)):
        return
    yield from bundle.steps()
    yield from known(files, trust)


def code_of(steps: Sequence[Step]) -> int:
    """The exit code."""
    states = {state for state, _, _ in steps}
    return 1 if WRONG in states else 2 if UNKNOWN in states else 0


def lines(steps: Sequence[Step]) -> list[str]:
    """For a person."""
    told = [f"{state:8}{what}: {' '.join(why.split())}" for state, what, why in steps]
    return [*told, ("VERIFIED", "WRONG", "NOT ALL VERIFIED")[code_of(steps)]]


def main() -> int:
    """Verify and print; the exit code."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("bundle", type=Path)
    asked.add_argument("--trust", action="append", default=[], metavar="FILE-OR-FINGERPRINT")
    asked.add_argument("--json", action="store_true")
    asked.add_argument(
        "--xml", metavar="CERTIFICATE", help="BUNDLE is an XML document: is it signed by the key of this?"
    )
    given = asked.parse_args()
    if given.xml:
        tools = Tools(Path(), {})
        tools.bare(str(given.bundle))
        good, words = xml_signed(tools, given.xml, str(given.bundle))
        print("OK" if good else words)  # noqa: T201
        return 0 if good else 1
    steps = verify(given.bundle.read_bytes(), given.trust)
    if given.json:
        told = [{"state": state, "what": what, "why": why} for state, what, why in steps]
        print(json.dumps({"code": code_of(steps), "steps": told}, indent=2))  # noqa: T201
    else:
        print("\n".join(lines(steps)))  # noqa: T201
    return code_of(steps)


if __name__ == "__main__":
    sys.exit(main())
