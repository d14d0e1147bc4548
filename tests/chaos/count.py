"""The count: what clients hold against what the databases have, one by one."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import zstandard

from tests.chaos.clients import Held
from tests.chaos.databases import Books
from tests.chaos.receiver import Taken


@dataclass
class Count:
    """What was counted; ``examples``: the first few of what is wrong."""

    acknowledged: int = 0
    stored: int = 0
    declared: int = 0
    registered: int = 0
    decisions: int = 0
    answered: int = 0
    lost: int = 0
    doubled: int = 0
    unanswered: int = 0
    examples: list[str] = field(default_factory=list)

    def note(self, what: str, texts: Iterable[str]) -> int:
        """How many there are; the first five are kept."""
        found = sorted(texts)
        self.examples += [f"{what}: {text}" for text in found[:5]]
        return len(found)


def count(
    held: Iterable[Held], books: Books, fetched: Mapping[str, Mapping[str, Any]], pushed: Mapping[str, Taken]
) -> Count:
    """All of it.  ``fetched``: mailbox entries by id with the ``digest`` of what was fetched; ``pushed``: by
    delivery id."""
    made = Count()
    holds = list(held)
    made.acknowledged = len(holds)
    _stored(made, holds, books)
    accepted = [h for h in holds if h.outcome == "accepted"]
    _registered(made, accepted, books)
    _answered(made, accepted, books, fetched, pushed)
    return made


def _stored(made: Count, holds: list[Held], books: Books) -> None:
    """Every acknowledged submission is there as it was sent, once, with the receipt as it was sent."""
    query = "select s.id, partner, body, receipt from submission s join octets o on o.submission = s.id"
    rows = books.each(books.ledger, query)
    kept = {i: (partner, _kept(body), _kept(receipt)) for i, partner, body, receipt in rows}
    lost, whole = [], 0
    for one in holds:
        partner, digest, receipt = kept.get(one.submission, ("", "", ""))
        if digest != one.paper.digest or receipt != one.receipt:
            lost.append(f"{one.submission} of {one.paper.sender.id} ({'differs' if digest else 'not there'})")
        whole += digest == one.paper.digest and partner == one.paper.sender.id
    made.stored = whole
    made.lost += made.note("acknowledged and not stored as acknowledged", lost)
    twice = Counter((partner, digest) for partner, digest, _ in kept.values())
    made.doubled += made.note("stored twice", (str(k) for k, n in twice.items() if n > 1))


def _registered(made: Count, accepted: list[Held], books: Books) -> None:
    """Every declared reference has one case at the office; every message was taken over once."""
    references = Counter(r for one in accepted for r in one.paper.references)
    made.declared = len(references)
    cases = Counter(lrn for (lrn,) in books.each(books.office, "select lrn from clearance_case"))
    made.registered = sum(1 for reference in references if cases[reference] == 1)
    made.lost += made.note("acknowledged and not registered", (r for r in references if not cases[r]))
    made.doubled += made.note("registered twice", (lrn for lrn, n in cases.items() if n > 1))
    messages = {f"{one.submission}.{n}" for one in accepted for n in range(1, one.paper.messages + 1)}
    query = "select message, registration from clearance_handover"
    taken = books.each(books.office, query)
    times = Counter(message for message, _ in taken)
    made.lost += made.note("acknowledged and not handed over", (m for m in messages if not times[m]))
    made.doubled += made.note("handed over twice", (m for m, n in times.items() if n > 1))
    said = "select body from clearance_decision where kind = 'registered'"
    spoken = Counter(json.loads(body)["message"] for (body,) in books.each(books.office, said))
    made.doubled += made.note("registered by two decisions", (m for m, n in spoken.items() if n > 1))
    versions = Counter(m for (m,) in books.each(books.office, "select message from clearance_version"))
    made.doubled += made.note("two versions by one message", (m for m, n in versions.items() if n > 1))


def _answered(
    made: Count,
    accepted: list[Held],
    books: Books,
    fetched: Mapping[str, Mapping[str, Any]],
    pushed: Mapping[str, Taken],
) -> None:
    """Every decision reached whom it is for, always with the same content; every message has one."""
    query = "select id, body from clearance_decision"
    taken = {id_: json.loads(body) for id_, body in books.each(books.office, query)}
    made.decisions = len(taken)
    query = (
        "select d.id, o.submission || '.' || o.name, o.body from decision d "
        "join outgoing o on o.submission = d.submission and o.name = d.outgoing"
    )
    sent = {id_: (out, _kept(body)) for id_, out, body in books.each(books.ledger, query)}
    missing, reached = [], set()
    for id_, decision in taken.items():
        out, digest = sent.get(id_, ("", ""))
        digests = set(pushed[out].digests) if out in pushed else set()
        if out in fetched:
            digests.add(str(fetched[out]["digest"]))
        if digests == {digest}:
            reached.add(decision["message"])
            made.answered += 1
        else:
            missing.append(f"{id_} {decision['kind']} ({'differs' if digests else 'never came'})")
    made.unanswered += made.note("decided and not told", missing)
    messages = {f"{one.submission}.{n}" for one in accepted for n in range(1, one.paper.messages + 1)}
    made.unanswered += made.note("no decision came", messages - reached)
    recorded = Counter(id_ for (id_,) in books.each(books.ledger, "select id from decision"))
    made.doubled += made.note("a decision recorded twice", (i for i, n in recorded.items() if n > 1))
    strangers = recorded.keys() - taken.keys()
    made.doubled += made.note("a decision that the office never took", strangers)


def _kept(frame: bytes) -> str:
    """The digest of what a compressed column holds."""
    return hashlib.sha256(zstandard.ZstdDecompressor().decompress(bytes(frame))).hexdigest()
