"""MIME as far as signed messages need it (RFC 2045, 2046, 8551): strict, bounded, one level deep."""

from __future__ import annotations

import quopri
import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

import msgspec

from gateway.security import base64
from gateway.security.policy import MimeLimits
from gateway.security.refused import refusal

MAX_BOUNDARY = 70
"""RFC 2046, 5.1.1."""

MAX_CANDIDATES = 10_000
"""Lines that begin with the boundary and are no delimiter, as those of an inner boundary that begins alike."""
_ENOUGH = 4
"""Delimiters: one more than there may be."""
_SMALL = 65_536
"""Octets of a body that may be copied once more."""

MICALG: Mapping[str, str] = {
    "sha1": "sha-1",
    "sha256": "sha-256",
    "sha384": "sha-384",
    "sha512": "sha-512",
    "sha3-256": "sha3-256",
    "sha3-384": "sha3-384",
    "sha3-512": "sha3-512",
}
"""How multipart/signed names a digest (RFC 8551, 3.5.3.2)."""

_WORD = r"[!#$%&'*+.^_`{|}~0-9A-Za-z-]+"
_TYPE = re.compile(rf"[ \t]*({_WORD})/({_WORD})[ \t]*")
_PARAMETER = re.compile(rf';[ \t]*({_WORD})=(?:({_WORD})|"((?:[^"\\\r\n]|\\[^\r\n])*)")[ \t]*')
_LAST_SEMICOLON = re.compile(r";[ \t]*\Z")
_FIELD = re.compile(rf"({_WORD}):[ \t]*(.*)\Z")
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]*[0-9A-Za-z'()+_,./:=?-]\Z")
_LINE_END = re.compile(rb"\r?\n")
_REMEMBERED = 512
"""Octets of a header block that is remembered."""
_CONTENT_ID = re.compile(r"<([!-;=?-~]{1,256})>")
_ONCE = ("content-type", "content-transfer-encoding", "content-disposition", "content-id")


class MediaType(msgspec.Struct, frozen=True):
    """A Content-Type value: ``essence`` (lower case) and parameters by lower-case name."""

    essence: str
    parameters: Mapping[str, str]


class Entity(msgspec.Struct, frozen=True):
    """A MIME entity: its type ("" where it names none), transfer encoding, encoded body, and Content-ID
    without its angle brackets."""

    media: MediaType
    encoding: str
    body: bytes
    content_id: str = ""


class SignedParts(msgspec.Struct, frozen=True):
    """The two parts of a multipart/signed, as transmitted, without the line end that belongs to the
    delimiter."""

    first: bytes
    second: bytes


@lru_cache(maxsize=256)
def media_type(value: str) -> MediaType:
    """Read a Content-Type value.  Raises Refused (SIG050), as for doubled parameters; what is refused is not
    remembered."""
    match = _TYPE.match(value)
    if match is None or len(value) > MimeLimits().max_line:
        raise refusal("SIG050", "type/subtype", value, "Content-Type")
    essence = f"{match[1]}/{match[2]}".lower()
    parameters: dict[str, str] = {}
    at = match.end()
    while at < len(value) and _LAST_SEMICOLON.match(value, at) is None:
        found = _PARAMETER.match(value, at)
        if found is None or found[1].lower() in parameters:
            raise refusal("SIG050", "; name=value", value[at:], "Content-Type")
        quoted = re.sub(r"\\(.)", r"\1", found[3] or "")
        parameters[found[1].lower()] = found[2] or quoted
        at = found.end()
    return MediaType(essence, MappingProxyType(parameters))


def read_entity(octets: bytes, limits: MimeLimits) -> Entity:
    """Split an entity into its fields and body.  Raises Refused (SIG050, SIG051)."""
    end = _header_end(octets)
    media, encoding, content_id, start = (
        _read_header(octets, limits) if end == -1 else _known_header(octets[:end], limits)
    )
    return Entity(media, encoding, octets[start:], content_id)


def body_of(entity: Entity) -> bytes:
    """The entity's body without its transfer encoding.  Raises Refused (SIG055)."""
    if entity.encoding in ("7bit", "8bit", "binary"):
        return entity.body
    if entity.encoding == "base64":
        return from_base64(entity.body)
    if entity.encoding == "quoted-printable":
        return quopri.decodestring(entity.body)
    raise refusal("SIG055", "7bit, 8bit, binary, base64", entity.encoding, "Content-Transfer-Encoding")


def from_base64(octets: bytes) -> bytes:
    """Strict base64, broken into lines or not.  Raises Refused (SIG055)."""
    try:
        return base64.from_base64(octets)
    except ValueError:
        raise refusal("SIG055", "base64", "", "Content-Transfer-Encoding") from None


def split_signed(body: bytes, boundary: str, limits: MimeLimits) -> SignedParts:
    """The two parts of a multipart/signed (RFC 1847, 2.1).

    Raises Refused: SIG050 for a boundary that is none, SIG051 for a long preamble, SIG052 where
    there are not exactly two parts or something stands behind them.
    """
    check_boundary(boundary)
    dashes = b"--" + boundary.encode("ascii")
    usual = _usual_parts(body, dashes) if len(body) <= _SMALL else None
    if usual is not None:
        return usual
    marks = _delimiters(body, dashes)
    if [closing for _, _, closing in marks] != [False, False, True]:
        raise refusal("SIG052", "2", str(max(len(marks) - 1, 0)), "multipart/signed")
    if marks[0][0] > limits.max_preamble:
        raise refusal("SIG051", str(limits.max_preamble), str(marks[0][0]), "preamble")
    if body[marks[2][1] :].strip():
        raise refusal("SIG052", "", "octets behind the last part", "multipart/signed")
    return SignedParts(body[marks[0][1] : marks[1][0]], body[marks[1][1] : marks[2][0]])


def _usual_parts(body: bytes, dashes: bytes) -> SignedParts | None:
    """The parts of a body as most senders write it: nothing before, nothing behind, no blank after a boundary that
    stands nowhere else; None for another."""
    pieces = body.split(dashes, _ENOUGH)
    if len(pieces) != _ENOUGH or pieces[0] or pieces[3] not in (b"--\r\n", b"--"):
        return None
    first, second = pieces[1], pieces[2]
    ends = (first[:2], first[-2:], second[:2], second[-2:])
    return SignedParts(first[2:-2], second[2:-2]) if ends == (b"\r\n",) * 4 else None


def check_boundary(boundary: str) -> None:
    """Raises Refused (SIG050) for a boundary that is none."""
    if len(boundary) > MAX_BOUNDARY or _BOUNDARY.match(boundary) is None:
        raise refusal("SIG050", "boundary", boundary, "Content-Type")


def with_crlf(octets: bytes) -> bytes:
    """The octets with MIME's line ends (RFC 8551, 3.1.1): a lone LF becomes CR LF."""
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _delimiters(body: bytes, dashes: bytes) -> list[tuple[int, int, bool]]:
    """Delimiter lines: where the part before ends, where the next starts, whether it closes.

    Raises Refused (SIG052) where more lines only look like one than any inner boundary explains."""
    found: list[tuple[int, int, bool]] = []
    sought, size, count = b"\n" + dashes, len(dashes), 0
    at = 0 if body.startswith(dashes) else body.find(sought) + 1 or -1
    while at >= 0 and len(found) < _ENOUGH:
        if count == MAX_CANDIDATES:
            raise refusal("SIG052", "2", f"> {MAX_CANDIDATES} lines with the boundary", "multipart/signed")
        end = body.find(b"\n", at) + 1 or len(body)
        rest = body[at + size : end].rstrip(b" \t\r\n")
        if not rest or rest == b"--":
            before = at - 2 if body.startswith(b"\r\n", max(at - 2, 0)) else max(at - 1, 0)
            found.append((before, end, bool(rest)))
        count += 1
        at = body.find(sought, at) + 1 or -1
    return found


def _header_end(octets: bytes) -> int:
    """Where a header block ends that is short enough to be remembered; -1 where there is none."""
    if octets.startswith((b"\n", b"\r\n")):
        return octets.index(b"\n") + 1
    bare, whole = octets.find(b"\n\n", 0, _REMEMBERED), octets.find(b"\n\r\n", 0, _REMEMBERED)
    if bare == -1:
        return -1 if whole == -1 else whole + 3
    return bare + 2 if whole == -1 or bare < whole else whole + 3


def _read_header(octets: bytes, limits: MimeLimits) -> tuple[MediaType, str, str, int]:
    """An entity's type, transfer encoding and Content-ID, and where its body starts."""
    fields, start = _read_fields(octets, limits)
    value = fields.get("content-type")
    media = MediaType("", {}) if value is None else media_type(value)
    encoding = fields.get("content-transfer-encoding", "7bit").strip().lower()
    named = _CONTENT_ID.fullmatch(fields.get("content-id", "").strip())
    return media, encoding, named[1] if named else "", start


_known_header = lru_cache(maxsize=256)(_read_header)
"""A sender's headers are the same in every message; what is refused is not remembered."""


def _read_fields(octets: bytes, limits: MimeLimits) -> tuple[Mapping[str, str], int]:
    """The header fields by lower-case name, unfolded, and where the body starts."""
    fields: dict[str, str] = {}
    at, name = 0, ""
    for count, line in enumerate(_lines(octets, limits)):
        at += len(line)
        text = line.rstrip(b"\r\n")
        if not text:
            return MappingProxyType(fields), at
        if count >= limits.max_fields or len(text) > limits.max_line:
            raise refusal("SIG051", str(limits.max_fields), "", "MIME header")
        name = _add_field(fields, name, text)
    raise refusal("SIG050", "an empty line after the header", "", "MIME header")


def _lines(octets: bytes, limits: MimeLimits) -> list[bytes]:
    """The lines of the header block, with their ends, the empty one included."""
    head = octets[: limits.max_header]
    lines: list[bytes] = []
    at = 0
    for end in _LINE_END.finditer(head):
        lines.append(head[at : end.end()])
        if end.start() == at:
            return lines
        at = end.end()
    if len(octets) > limits.max_header:
        raise refusal("SIG051", str(limits.max_header), "", "MIME header")
    return lines


def _add_field(fields: dict[str, str], previous: str, text: bytes) -> str:
    """Add one line's field, or fold the line into the previous one; returns the field's name."""
    try:
        line = text.decode("ascii")
    except UnicodeDecodeError:
        raise refusal("SIG050", "ASCII", "", "MIME header") from None
    if line[0] in " \t" and previous:
        fields[previous] += " " + line.strip()
        return previous
    match = _FIELD.match(line)
    if match is None or (not line.isprintable() and "\t" not in line):
        raise refusal("SIG050", "Name: value", line, "MIME header")
    name = match[1].lower()
    if name in fields and name in _ONCE:
        raise refusal("SIG050", "1", name, "MIME header")
    fields[name] = match[2]
    return name
