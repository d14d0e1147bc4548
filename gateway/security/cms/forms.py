"""SignedData that looks as one that was proven: all its octets around the content are the same but for the content's
digest, the signing time, the signature's value, and lengths.

A sender's software writes each signature like the last.  What such a one says needs no second reading of its DER:
what was proven of the first is true of all that differ from it only in those values.  It is so because

* the octets around the values are compared one by one, lengths among them, and hold the certificates as well:
  nobody's form serves another's message;
* a value is all that a primitive element holds, whose length stands before it: whatever the value, DER has the same
  elements around it;
* that these are just the signed digest, the signing time and the signature's value is not concluded but tried, when
  a form is learnt: other values are put in their places, and the whole is read the slow way;
* the head before the content is not read but written, for a content and a tail of these lengths, and compared.

A form is learnt only from a signature that held to its end, without unsigned attributes, and only when it is met again.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from secrets import token_bytes
from typing import Final

import msgspec
from cryptography.hazmat.asn1 import decode_der, encode_der

from gateway.security.cms.ber import opening
from gateway.security.cms.claim import Claim, claim_of
from gateway.security.cms.identifiers import algorithm_of, digest_of
from gateway.security.cms.signer_info import Attributes, one_signer
from gateway.security.cms.structures import (
    DATA,
    MESSAGE_DIGEST,
    SEQUENCE,
    SET,
    SIGNED_DATA,
    SIGNING_TIME,
    ContentInfo,
    SignedData,
)
from gateway.security.policy import Policy
from gateway.security.refused import Refused

MAX_FORM: Final = 16_384
"""Octets beside the content of a SignedData whose form is remembered; three certificates take some 6,000."""

_SIGNED_DATA, _DATA = encode_der(SIGNED_DATA), encode_der(DATA)
_OCTETS, _INSIDE = b"\x04", b"\xa0"
_LENGTH: Final = rb"(?:[\0-\x7f]|\x81.|\x82..|\x83...|\x84....)"
_HEAD: Final = re.compile(
    b"".join(
        (
            *(rb"0", _LENGTH, re.escape(_SIGNED_DATA), rb"\xa0", _LENGTH, rb"0", _LENGTH),
            rb"(\x02\x01.1(?:\r0\x0b\x06\t.{9}|\x0f0\r\x06\t.{9}\x05\0))",
            *(rb"0", _LENGTH, re.escape(_DATA), rb"(?:\xa0", _LENGTH, rb"\x04(", _LENGTH, rb"))?"),
        )
    ),
    re.DOTALL,
)
"""Up to the content: version and digest algorithms (of one digest), and the content's length, if it is inside."""

_DIGEST: Final = encode_der(MESSAGE_DIGEST) + SET
_TIME: Final = encode_der(SIGNING_TIME) + SET + b"\x0f\x17\x0d"
_TIME_SIZE: Final = 13
_MOMENT: Final = re.compile(rb"[0-4][0-9]{11}Z")
"""A UTCTime before 2050: the century of later ones is left to the library."""
_MARK: Final = b"120304050607Z"

Hole = tuple[int, int]


class Known(msgspec.Struct, frozen=True):
    """SignedData of a known form: the content, if it is inside, and what its signer says."""

    content: bytes | None
    claim: Claim


class _Split(msgspec.Struct, frozen=True):
    """A ContentInfo in DER: version and digest algorithms, the content, and what stands behind it."""

    middle: bytes
    content: bytes | None
    tail: bytes


class Form(msgspec.Struct, frozen=True):
    """``size``: of the tail; ``pieces``: its octets between the holes, each with where it begins; ``attributes``:
    where the signed ones begin and end in it; ``claim``: of the message that taught it."""

    middle: bytes
    size: int
    pieces: tuple[tuple[int, bytes], ...]
    digest: Hole
    time: Hole | None
    value: Hole
    attributes: Hole
    claim: Claim

    def fits(self, split: _Split) -> bool:
        """Whether all octets are the same but for those in the holes."""
        tail = split.tail
        if len(tail) != self.size or split.middle != self.middle:
            return False
        return all(tail.startswith(piece, at) for at, piece in self.pieces)


class Forms:
    """The forms that were learnt, by their octets up to the first hole, and those that were met once; too many of
    either are forgotten."""

    def __init__(self) -> None:
        self._known: dict[bytes, Form] = {}
        self._met: set[int] = set()

    def __len__(self) -> int:
        return len(self._known)

    def read(self, body: bytes) -> Known | None:
        """What a ContentInfo says; None where its form is not known."""
        split = _split(body)
        if split is None:
            return None
        tail = split.tail
        form = self._known.get(tail[: _first_hole(tail)])
        if form is None or not form.fits(split):
            return None
        signed_at = None
        if form.time is not None:
            signed_at = _moment(tail[form.time[0] : form.time[1]])
            if signed_at is None:
                return None
        claim = form.claim
        start, end = form.attributes
        attributes = Attributes(
            tail[form.digest[0] : form.digest[1]],
            signed_at,
            claim.attributes.by_type,
            SET + tail[start + 1 : end],
        )
        value = tail[form.value[0] : form.value[1]]
        return Known(
            split.content,
            Claim(
                claim.digest, claim.algorithm, attributes, value, claim.wanted, claim.material, claim.unsigned
            ),
        )

    def learn(self, body: bytes, claim: Claim, policy: Policy) -> None:
        """The form of a ContentInfo that says this and whose signature held, where it was met before."""
        split = _split(body)
        if split is None or len(split.tail) > MAX_FORM or not policy.max_forms:
            return
        form = _form(split, claim)
        if form is None or form.pieces[0][1] != split.tail[: _first_hole(split.tail)]:
            return
        met = hash((form.middle, form.size, form.pieces))
        if met not in self._met:
            if len(self._met) >= policy.max_forms:
                self._met.clear()
            self._met.add(met)
        elif _holds(form, split.tail, policy):
            if len(self._known) >= policy.max_forms:
                self._known.clear()
            self._known[form.pieces[0][1]] = form


def _split(body: bytes) -> _Split | None:
    """The parts of a ContentInfo in DER that holds SignedData over data; None for any other, which may be good."""
    match = _HEAD.match(body)
    if match is None:
        return None
    at, size = match.end(), None
    if match[2] is not None:
        size = match[2][0] if len(match[2]) == 1 else int.from_bytes(match[2][1:], "big")
    content = None if size is None else body[at : at + size]
    tail = body[at + (size or 0) :]
    if match[0] != _head(match[1], size, len(tail)):
        return None
    return _Split(match[1], content, tail)


@lru_cache(maxsize=1_024)
def _head(middle: bytes, size: int | None, behind: int) -> bytes:
    """What stands before a content of a size (None: there is none inside) and a tail of ``behind`` octets."""
    head = b"" if size is None else opening(_OCTETS, size)
    inside = len(head) + (size or 0)
    if size is not None:
        head = opening(_INSIDE, inside) + head
        inside = len(head) + size
    head = opening(SEQUENCE, len(_DATA) + inside) + _DATA + head
    inside = len(middle) + len(head) + (size or 0) + behind
    head = opening(SEQUENCE, inside) + middle + head
    inside = len(head) + (size or 0) + behind
    head = _SIGNED_DATA + opening(_INSIDE, inside) + head
    return opening(SEQUENCE, len(head) + (size or 0) + behind) + head


def _first_hole(tail: bytes) -> int:
    """Where the first of the digest and the signing time would begin, by what stands before it."""
    digest = tail.find(_DIGEST) + len(_DIGEST) + 3
    time = tail.find(_TIME)
    return digest if time == -1 else min(digest, time + len(_TIME))


@lru_cache(maxsize=1_024)
def _moment(text: bytes) -> datetime | None:
    if _MOMENT.fullmatch(text) is None:
        return None
    year, month, day, hour, minute, second = (int(text[at : at + 2]) for at in range(0, 12, 2))
    try:
        return datetime(2000 + year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None


def _form(split: _Split, claim: Claim) -> Form | None:
    """The form of a message that says this; None where there is none to be learnt."""
    tail, said = split.tail, claim.attributes
    if claim.unsigned or claim.material.responses or not tail.endswith(claim.value):
        return None
    start, size = tail.find(_DIGEST) + len(_DIGEST) + 3, len(said.message_digest)
    digest, value = (start, start + size), (len(tail) - len(claim.value), len(tail))
    start = tail.find(_TIME) + len(_TIME)
    time = None if start < len(_TIME) else (start, start + _TIME_SIZE)
    if said.signed_at != (None if time is None else _moment(tail[time[0] : time[1]])):
        return None
    holes = sorted((digest, value) if time is None else (digest, time, value))
    pieces, at = [], 0
    for start, end in holes:
        if start < at:
            return None
        pieces.append((at, tail[at:start]))
        at = end
    start = tail.find(_INSIDE + said.octets[1:])
    others = {k: v for k, v in said.by_type.items() if k not in (MESSAGE_DIGEST, SIGNING_TIME)}
    claim = msgspec.structs.replace(claim, attributes=Attributes(b"", None, others, b""), value=b"")
    span = (start, start + len(said.octets))
    return Form(split.middle, len(tail), tuple(pieces), digest, time, value, span, claim)


def _holds(form: Form, tail: bytes, policy: Policy) -> bool:
    """Whether other values in the holes are read as such the slow way, and all else as it was."""
    marks = {form.digest: token_bytes(form.digest[1] - form.digest[0])}
    marks[form.value] = token_bytes(form.value[1] - form.value[0])
    if form.time is not None:
        marks[form.time] = _MARK
    for (start, end), mark in marks.items():
        tail = tail[:start] + mark + tail[end:]
    try:
        signed = decode_der(ContentInfo, _head(form.middle, None, len(tail)) + tail).content.parse(SignedData)
        one = one_signer(signed)
        digest = digest_of(one.digest_algorithm)
        claim = claim_of(one, digest, algorithm_of(one.signature_algorithm, digest), policy)
    except (ValueError, Refused):
        return False
    again = _form(_Split(form.middle, None, tail), claim)
    said = claim.attributes
    return (
        again is not None
        and again.claim == form.claim
        and (said.message_digest, claim.value) == (marks[form.digest], marks[form.value])
        and said.signed_at == (None if form.time is None else _moment(_MARK))
        and said.octets == SET + tail[form.attributes[0] + 1 : form.attributes[1]]
    )


FORMS: Final = Forms()
"""Those of this process."""
