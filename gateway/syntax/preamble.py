"""The first octets of an interchange: blanks, UNA, and UNB's S001, which say how to read the rest."""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec
from msgspec.structs import replace

from gateway.model.finding import Finding, Place, Severity
from gateway.syntax.characters import (
    DEFAULT,
    DEFAULT_4,
    ENCODINGS,
    LEVEL_B,
    Repertoire,
    Separators,
    codec_of,
    repertoire_of,
    separators_of,
)
from gateway.syntax.elements import quote
from gateway.syntax.ends import first_end
from gateway.syntax.limits import EdifactLimits
from gateway.syntax.split import splitter_of

VERSIONS = ("1", "2", "3", "4")

_BLANKS = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"
_FOREIGN = {
    "UTF-16": re.compile(rb"(?:\xff\xfe|\xfe\xff)?\x00?U\x00N"),
    "EBCDIC": re.compile(rb"\xe4\xd5[\xc1\xc2]"),
}
_UNA = 9  # octets, never an octet more or less
_USUAL = re.compile(rb"(?:UNA:\+[.,]\?[ *]')?UNB\+[A-Z]{4}:[1-4]\+")


class Opening(msgspec.Struct, frozen=True):
    """How to read an interchange, and what is wrong with its beginning.

    ``skip``: octets before UNB.  ``announced``: there was a UNA.  ``syntax``: 0001 and 0002 as sent.
    ``repertoire`` is None where nothing can be read.  ``offset``: octets before the interchange.
    """

    skip: int
    findings: tuple[Finding, ...]
    separators: Separators = DEFAULT
    announced: bool = False
    syntax: tuple[str, str] = ("", "")
    repertoire: Repertoire | None = None
    offset: int = 0


def open_interchange(data: bytes, last: bool, limits: EdifactLimits) -> Opening | None:
    """Read the beginning; None asks for more octets (never where ``last``).  Offsets count from ``data``."""
    usual = _USUAL.match(data)
    return _open_exactly(data, last, limits) if usual is None else _remembered(usual[0])


@lru_cache(maxsize=256)
def _remembered(head: bytes) -> Opening | None:
    """A beginning that many interchanges share; S001 is whole, and what follows it changes nothing."""
    return _open_exactly(head + DEFAULT.terminator.encode(), True, EdifactLimits())


def _open_exactly(data: bytes, last: bool, limits: EdifactLimits) -> Opening | None:
    mark = len(_BOM) if data.startswith(_BOM) else 0
    blanks = len(data) - mark - len(data[mark:].lstrip(_BLANKS))
    start = mark + blanks
    if start > limits.preamble:
        begins = show(data[mark : mark + _UNA])
        many = Finding("EDI102", Place(offset=mark), found=f"> {limits.preamble}", severity=Severity.WARNING)
        return Opening(mark, (many, Finding("EDI103", Place(offset=mark), "UNA, UNB", begins)))
    head = data[start : start + _UNA]
    if not last and (len(head) < _UNA or len(data) < len(_BOM)):
        return None
    findings = []
    if mark:
        findings.append(Finding("EDI101", Place(offset=0), severity=Severity.WARNING))
    if blanks:
        findings.append(Finding("EDI102", Place(offset=mark), found=str(blanks), severity=Severity.WARNING))
    announced = head[:3] == b"UNA" and len(head) == _UNA
    found = _announced(head, start) if announced else _presumed(head, start)
    if isinstance(found, Finding):
        return Opening(start, (*findings, found), announced=announced)
    return _header(data, start + (_UNA if announced else 0), last, limits, found, announced, tuple(findings))


def _announced(head: bytes, start: int) -> Separators | Finding:
    try:
        return separators_of(head[3:].decode("latin-1"))
    except ValueError as error:
        return Finding("EDI020", Place(tag="UNA", offset=start), found=quote(str(error)))


def _presumed(head: bytes, start: int) -> Separators | Finding:
    if head[:3] != b"UNB" or len(head) < 4:
        encoding = next((f"{name}: " for name, begins in _FOREIGN.items() if begins.match(head)), "")
        return Finding("EDI103", Place(offset=start), "UNA, UNB", encoding + show(head))
    if head[3:4] == LEVEL_B.element.encode():
        return LEVEL_B
    if head[3:4] != DEFAULT.element.encode():
        return Finding("EDI104", Place(tag="UNB", offset=start + 3), DEFAULT.element, show(head[3:4]))
    return DEFAULT


def _header(
    data: bytes,
    start: int,
    last: bool,
    limits: EdifactLimits,
    separators: Separators,
    announced: bool,
    findings: tuple[Finding, ...],
) -> Opening | None:
    """UNB's S001: version, repertoire and encoding, in ISO 646 whatever follows."""
    end = first_end(data, separators, start)
    if end < 0:
        if len(data) - start > limits.segment:
            bound = Finding(
                "EDI115", Place(tag="UNB", offset=start), str(limits.segment), str(len(data) - start)
            )
            return Opening(start, (*findings, bound), separators, announced)
        if not last:
            return None
        end = len(data)
    noise = data[start : end - len(data[start:end].lstrip(_BLANKS))]
    if noise.strip(b"\r\n"):
        blank = Finding("EDI102", Place(offset=start), found=str(len(noise)), severity=Severity.WARNING)
        findings = (*findings, blank)
    start += len(noise)
    tag, elements, _ = splitter_of(separators).cut(data[start:end].decode("latin-1"))
    if tag != "UNB":
        wrong = Finding("EDI103", Place(offset=start), "UNB", show(data[start : min(start + 9, end)]))
        return Opening(start, (*findings, wrong), separators, announced)
    s001 = (*(elements[0] if elements else ()), "", "", "", "")
    return _settle(start, findings, separators, announced, s001)


def _settle(
    start: int, findings: tuple[Finding, ...], separators: Separators, announced: bool, s001: tuple[str, ...]
) -> Opening:
    """Choose by S001; what is not supported is told, and read as well as it can be."""
    identifier, version, encoding = s001[0], s001[1], s001[3]
    at = Place(tag="UNB", element=1, component=1, offset=start)
    if version not in VERSIONS:
        findings += (Finding("EDI002", replace(at, component=2), ", ".join(VERSIONS), quote(version)),)
    codec = codec_of(identifier, encoding)
    if codec is None:
        known = codec_of(identifier, "") is not None
        code, expected = (
            ("EDI046", ", ".join(filter(None, ENCODINGS))) if known else ("EDI002", "UNOA ... UNOY")
        )
        place = replace(at, component=4) if known else at
        findings += (Finding(code, place, expected, quote(encoding if known else identifier)),)
    if version != "4":
        separators = replace(separators, repetition="")
    elif not announced and separators == DEFAULT:
        separators = DEFAULT_4
    repertoire = repertoire_of(identifier, codec or "iso8859_1", separators)
    return Opening(start, findings, separators, announced, (identifier, version), repertoire)


def show(octets: bytes) -> str:
    """Octets as text for a finding: what cannot be printed is escaped."""
    return quote(repr(octets)[2:-1])
