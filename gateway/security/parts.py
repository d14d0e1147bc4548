"""The two parts of a multipart/signed that stays in its file (RFC 1847, 2.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gateway.security.mime import MAX_CANDIDATES, check_boundary
from gateway.security.policy import MimeLimits
from gateway.security.refused import refusal
from gateway.security.stretch import Stretch, overlapping

_ENOUGH = 4
"""Delimiters: one more than there may be."""
MAX_DELIMITER = 2_048
"""Octets of a delimiter line with its padding (RFC 2046, 5.1.1: linear white space): more is no delimiter."""


def split_parts(body: Stretch, boundary: str, limits: MimeLimits) -> tuple[Stretch, Stretch]:
    """As ``mime.split_signed``, of a stretch of one span.  Raises Refused (SIG050, SIG051, SIG052)."""
    check_boundary(boundary)
    marks = _delimiters(body, b"--" + boundary.encode("ascii"))
    if [closing for _, _, closing in marks] != [False, False, True]:
        raise refusal("SIG052", "2", str(max(len(marks) - 1, 0)), "multipart/signed")
    if marks[0][0] > limits.max_preamble:
        raise refusal("SIG051", str(limits.max_preamble), str(marks[0][0]), "preamble")
    behind = body.cut((marks[2][1], body.size))
    if any(piece.strip() for piece in behind.pieces()):
        raise refusal("SIG052", "", "octets behind the last part", "multipart/signed")
    return body.cut((marks[0][1], marks[1][0])), body.cut((marks[1][1], marks[2][0]))


def in_crlf(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The octets with MIME's line ends (RFC 8551, 3.1.1), as ``mime.with_crlf``."""
    kept = b""
    for piece in pieces:
        piece = kept + piece
        kept = b"\r" if piece.endswith(b"\r") else b""  # its LF may come with the next
        piece = piece[: len(piece) - len(kept)]
        yield piece.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    yield kept


def _delimiters(body: Stretch, dashes: bytes) -> list[tuple[int, int, bool]]:
    """Delimiter lines: where the part before ends, where the next starts, whether it closes."""
    found: list[tuple[int, int, bool]] = []
    for count, at in enumerate(_candidates(body, dashes)):
        if len(found) == _ENOUGH:
            break
        if count == MAX_CANDIDATES:
            raise refusal("SIG052", "2", f"> {MAX_CANDIDATES} lines with the boundary", "multipart/signed")
        line = body.read(at, MAX_DELIMITER)
        end = line.find(b"\n") + 1 or len(line)
        rest = line[len(dashes) : end].rstrip(b" \t\r\n")
        if rest in (b"", b"--"):
            before = at - 2 if body.read(max(at - 2, 0), 2) == b"\r\n" else max(at - 1, 0)
            found.append((before, at + end, rest == b"--"))
    return found


def _candidates(body: Stretch, dashes: bytes) -> Iterator[int]:
    """Where the lines begin that begin with the boundary."""
    if body.read(0, len(dashes)) == dashes:
        yield 0
    sought = b"\n" + dashes
    for start, window in overlapping(body, len(sought) - 1):
        at = window.find(sought)
        while at != -1:
            yield start + at + 1
            at = window.find(sought, at + 1)
