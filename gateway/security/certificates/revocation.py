"""What is known of revoked certificates: a snapshot that the journey looks things up in, and the ruling."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum

import msgspec

from gateway.security.certificates.crl import RevokedList
from gateway.security.certificates.statement import Link, Statement
from gateway.security.policy import Policy


class Revocations:
    """OCSP statements and CRLs, each verified before it came in here; immutable.

    ``answers``: by issuer key and serial key together.  ``lists``: by issuer key.  ``version``: the
    ledger's, of what it was made from.
    """

    __slots__ = ("_answers", "_lists", "version")

    def __init__(
        self,
        answers: Mapping[bytes, Statement] | None = None,
        lists: Mapping[bytes, tuple[RevokedList, ...]] | None = None,
        version: int = 0,
    ) -> None:
        self._answers = answers or {}
        self._lists = lists or {}
        self.version = version

    def learned(
        self,
        answers: Mapping[bytes, Statement | None],
        lists: Iterable[RevokedList],
        version: int,
    ) -> Revocations:
        """This and newer knowledge; None: an answer that is no longer known."""
        merged = {**self._answers, **{key: told for key, told in answers.items() if told is not None}}
        for key, told in answers.items():
            if told is None:
                merged.pop(key, None)
        by_issuer = dict(self._lists)
        for made in lists:
            others = tuple(o for o in by_issuer.get(made.issuer, ()) if slot_of(o) != slot_of(made))
            by_issuer[made.issuer] = (*others, made)
        return Revocations(merged, by_issuer, version)

    def statements(self, link: Link) -> Iterator[Statement]:
        """All that is said of a certificate.  A dictionary look-up, and a search of some twenty steps in
        each CRL of its issuer."""
        answer = self._answers.get(link.issuer + link.serial) if link.serial else None
        if answer is not None:
            yield answer
        yield from said_by_lists(self._lists.get(link.issuer, ()), link)

    def __len__(self) -> int:
        """Answers and lists."""
        return len(self._answers) + sum(len(lists) for lists in self._lists.values())


NOTHING_KNOWN = Revocations()


def said_by_lists(lists: tuple[RevokedList, ...], link: Link) -> Iterator[Statement]:
    """What CRLs of one issuer say of a certificate; a delta speaks through its base only."""
    for base in lists:
        if base.base is not None or not base.concerns(link):
            continue
        deltas = [d for d in lists if d.continues(base)]
        newest = max(deltas, key=lambda d: d.number, default=None)
        said = [base.say(link)] if newest is None else [base.say(link, newest), base.say(link)]
        # A delta that has ended leaves its base as it was; a revocation that only it tells stays known.
        yield from (statement for statement in said if statement is not None)


def slot_of(made: RevokedList) -> tuple[str, tuple[str, ...], bool, bool]:
    """Of one issuer's CRLs with the same slot the newest counts."""
    return made.scope, tuple(sorted(made.points)), made.partial, made.base is not None


class Status(StrEnum):
    """What is ruled of one certificate."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"
    UNCHECKED = "unchecked"


class Ruling(msgspec.Struct, frozen=True):
    """``statement``: what it rests on."""

    status: Status
    statement: Statement | None = None


def rule(link: Link, said: Iterable[Statement], policy: Policy, when: datetime, *, stamped: bool) -> Ruling:
    """What is to be held of a certificate at a time.

    ``stamped``: a time stamp proves that the signature was there at ``when``: a later revocation does not
    undo it, unless for a reason of ``policy.undoing``.  Without one, any revocation counts, whatever its
    date: nobody but the signer says when it was made.  What is said last of a hold counts; every other
    revocation is for ever, even where the statement that tells it has ended.
    """
    if link.issuer_name in policy.unchecked:
        return Ruling(Status.UNCHECKED)
    statements = sorted(said, key=lambda s: s.this_update, reverse=True)
    revoked = [s for s in statements if s.permanent] or [s for s in statements[:1] if s.revoked_at]
    for statement in revoked:
        since = statement.revoked_at
        if not stamped or since is None or since <= when or statement.reason in policy.undoing:
            return Ruling(Status.REVOKED, statement)
    if revoked:
        return Ruling(Status.GOOD, revoked[0])
    for statement in statements:
        fresh = statement.revoked_at is None and when <= statement.this_update + policy.freshness
        if fresh and statement.covers(link, when):
            return Ruling(Status.GOOD, statement)
    return Ruling(Status.UNKNOWN)
