"""Checkpoints: a signed text over everything that was journalled since the one before."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from gateway.evidence.entries import FIRST, sha256

TITLE = "cvan journal checkpoint 1"
"""The first line: the format and its version."""

_HEX = "[0-9a-f]{64}"
_SPAN = re.compile(rf"chain: ([0-9a-f]+) ([0-9]+) ([0-9]+) ({_HEX})")
_MOMENT = "%Y-%m-%dT%H:%M:%S.%fZ"


class Span(msgspec.Struct, frozen=True):
    """The entries ``first`` to ``last`` of a chain, and the last one's hash."""

    chain: str
    first: int
    last: int
    head: str

    def __len__(self) -> int:
        return self.last - self.first + 1


class Checkpoint(msgspec.Struct, frozen=True):
    """``number`` from 1; ``previous``: the digest of the previous checkpoint's text; ``root``: of the
    Merkle tree over the hashes of all entries of ``spans``, in their order; ``key``: the fingerprint
    (hex SHA-256 of the DER) of the certificate that signs."""

    number: int
    at: datetime
    previous: str
    root: str
    key: str
    spans: tuple[Span, ...]

    def text(self) -> str:
        """As it is signed: fixed lines, each ended by a newline."""
        lines = [
            TITLE,
            f"number: {self.number}",
            f"at: {self.at.astimezone(UTC).strftime(_MOMENT)}",
            f"previous: {self.previous}",
            f"entries: {sum(len(span) for span in self.spans)}",
            f"root: {self.root}",
            f"key: {self.key}",
            *(f"chain: {s.chain} {s.first} {s.last} {s.head}" for s in self.spans),
        ]
        return "".join(f"{line}\n" for line in lines)


def read_checkpoint(text: str) -> Checkpoint:
    """The checkpoint of a text.  Raises ValueError where another text would say the same, or it says
    none."""
    head, spans = text.split("\n")[:7], text.split("\n")[7:-1]
    named = [line.partition(": ") for line in head[1:]]
    if head[0] != TITLE or [n for n, _, _ in named] != [
        "number",
        "at",
        "previous",
        "entries",
        "root",
        "key",
    ]:
        raise ValueError("no checkpoint")
    number, at, previous, _, root, key = (value for _, _, value in named)
    found = Checkpoint(
        int(number),
        datetime.strptime(at, _MOMENT).replace(tzinfo=UTC),
        previous,
        root,
        key,
        tuple(_span(line) for line in spans),
    )
    if found.text() != text:
        raise ValueError("not written as a checkpoint is")
    return found


def previous_of(text: str | None) -> str:
    """What the next checkpoint says of the one before, given its text; None before the first."""
    return FIRST if text is None else sha256(text.encode())


def position(spans: Sequence[Span], chain: str, seq: int) -> int:
    """Which leaf an entry is.  Raises LookupError where the checkpoint does not hold it."""
    before = 0
    for span in spans:
        if span.chain == chain and span.first <= seq <= span.last:
            return before + seq - span.first
        before += len(span)
    raise LookupError(f"{chain}:{seq}")


def _span(line: str) -> Span:
    found = _SPAN.fullmatch(line)
    if found is None:
        raise ValueError(f"no chain: {line}")
    return Span(found[1], int(found[2]), int(found[3]), found[4])
