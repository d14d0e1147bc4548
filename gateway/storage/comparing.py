"""The ledger's tables compared with what the journal says of them: nothing altered, missing or added."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, Table, and_, select, true, tuple_

from gateway.evidence import entries
from gateway.evidence.entries import Entry, sha256
from gateway.evidence.records import MessageRecord, digest
from gateway.model import Decision, Event
from gateway.storage import attesting, correcting, matching, sending, slices, tables
from gateway.storage.auditing import Audited, Breach, Progress
from gateway.storage.codec import micros, moment, submission_of, unpacked
from gateway.storage.compression import as_found
from gateway.storage.matching import UNREADABLE, readable
from gateway.storage.sending import Sent

AT_ONCE = 200
"""Submissions in memory together."""

_j = tables.journal.c
_s, _o, _d, _w = tables.submission.c, tables.outgoing.c, tables.delivery.c, tables.waiting.c
Entries = Mapping[str, Sequence[Entry]]


def breaches(connection: Connection, audited: Audited, progress: Progress) -> Iterator[Breach]:
    """Everything that is not as the journal says; counts what was looked at."""
    for ids in _pages(connection):
        yield from _submissions(connection, ids)
        audited.records += len(ids)
        progress(audited.records)
    for name, rest in _REST.items():
        try:
            yield from rest(connection)
        except UNREADABLE as error:
            yield Breach(name, f"a row cannot be read: {type(error).__name__}")


def _pages(connection: Connection) -> Iterator[list[str]]:
    """Ids of all submissions, and of those that only entries, decisions or timelines speak of."""
    after, upper = "", ""
    while upper or not after:
        page = select(_s.id).where(_s.id > after).order_by(_s.id).limit(AT_ONCE)
        ids = set(connection.scalars(page))
        upper = max(ids) if len(ids) == AT_ONCE else ""
        beside_it = (tables.decision, tables.event, tables.correction)
        for column in (_j.about, *(table.c.submission for table in beside_it)):
            beside = select(column).distinct().where(column > after)
            ids.update(connection.scalars(beside.where(column <= upper) if upper else beside))
        yield sorted(i for i in ids if ":" not in i)
        after = upper or "end"


def _told(connection: Connection, abouts: Sequence[str]) -> dict[str, list[Entry]]:
    told: dict[str, list[Entry]] = {}
    for entry in readable(connection.scalars(select(_j.entry).where(_j.about.in_(abouts)))):
        told.setdefault(entry.about, []).append(entry)
    for found in told.values():
        found.sort(key=lambda e: (e.at, e.chain, e.seq))
    return told


def _rows(connection: Connection, table: Table, column: str, ids: Sequence[str]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in connection.execute(select(*as_found(table.c)).where(table.c[column].in_(ids))):
        found.setdefault(getattr(row, column), []).append(row)
    return found


def _submissions(connection: Connection, ids: Sequence[str]) -> Iterator[Breach]:
    told = _told(connection, ids)
    sent = [i for found in told.values() for e in found for i in e.of.sent]
    due = [i for found in told.values() for e in found for i in e.of.due]
    of = dict(sending.of_submissions(connection, sorted({*ids, *map(submission_of, sent)}), as_found))
    case = _Case(
        partial(slices.digest, connection),
        sending.waits(connection, [Sent(o.id, o.partner, o.about, nth) for o, nth in of.items()]),
        submissions=_rows(connection, tables.submission, "id", ids),
        octets=_rows(connection, tables.octets, "submission", ids),
        messages=_rows(connection, tables.message, "submission", ids),
        decisions=_rows(connection, tables.decision, "submission", ids),
        events=_rows(connection, tables.event, "submission", ids),
        outgoings={one.id: [one] for one in of},
        deliveries=_rows(connection, tables.delivery, "id", due),
        corrections=_rows(connection, tables.correction, "submission", ids),
    )
    archives = matching.archives(connection, ids)
    for identity in ids:
        found, archive = told.get(identity, []), archives.get(identity, "")
        try:
            yield from (Breach(f"submission {identity}", why) for why in case.wrong(identity, found, archive))
        except UNREADABLE as error:
            yield Breach(f"submission {identity}", f"a row cannot be read: {type(error).__name__}")


class _Case:
    """The rows of some submissions, by id; ``waiting``: what of their outgoings nobody acknowledged;
    ``digest_of``: of a submission's part that is in slices."""

    def __init__(
        self,
        digest_of: Callable[[str, int], str],
        waiting: frozenset[str],
        **rows: dict[str, list[Any]],
    ) -> None:
        self._digest = digest_of
        self._waiting = waiting
        self._rows = rows

    def of(self, table: str, identity: str) -> list[Any]:
        return self._rows[table].get(identity, [])

    def wrong(self, identity: str, told: Sequence[Entry], archive: str) -> Iterator[str]:
        """What is not as the entries about this submission say; ``archive``: the digest of the file that the
        ledger says it is in, or ""."""
        rows = self.of("submissions", identity)
        received = [e for e in told if e.kind == entries.RECEIVED]
        if rows and not received:
            yield "no entry speaks of it"
            return
        if received and not rows:
            yield "it is not here"
            return
        if len(received) > 1:
            yield "several entries received it"
        away = _archived(told)
        if away and archive not in [e.of.record for e in told if e.kind == entries.ARCHIVED]:
            yield "an entry says that it is archived, and the ledger knows no such archive"
        if archive and not away:
            yield "the ledger says that it is archived, and no entry does"
        # What is archived goes when all of its month is: until then it is here, and as it was.
        octets = self.of("octets", identity)
        away = away and not octets
        if rows:
            yield from self._submission(rows[0], received[0], octets, away)
        if not away:
            yield from self._parts(identity, received, told)
        yield from self._sent(told, away)
        if not away:
            yield from self._deliveries(told)
            yield from self._corrections(identity, told)

    def _submission(self, row: Any, received: Entry, octets: Sequence[Any], away: bool) -> Iterator[str]:
        if digest(attesting.submission_record(tuple(row))) != received.of.record:
            yield "its record is not as received"
        if not away and not octets:
            yield "its octets are not here"
        here = {sha256(o.body) if o.body else self._digest(row.id, slices.BODY) for o in octets}
        if {row.digest, *here} != {received.of.body}:
            yield "its octets are not as received"

    def _parts(self, identity: str, received: Sequence[Entry], told: Sequence[Entry]) -> Iterator[str]:
        messages = sorted(self.of("messages", identity), key=lambda row: row.ordinal)
        wanted = received[0].of.messages if received else ()
        if tuple(digest(self._message(row)) for row in messages) != wanted:
            yield "its messages are not as judged"
        decisions = self.of("decisions", identity)
        decided = Counter(e.of.record for e in told if e.kind == entries.DECIDED)
        if Counter(digest(attesting.decision_record(row)) for row in decisions) != decided:
            yield "its decisions are not those that were taken"
        for row in decisions:
            body = unpacked(row.body, Decision)
            said = (body.id, body.message, body.kind.value, micros(body.at), body.registration)
            if (row.id, identity + row.about, row.kind, row.at, row.registration) != said:
                yield f"decision {row.id} is listed as another than it is"
        lines = (
            Event(identity + row.about, moment(row.at), row.what, row.detail)
            for row in self.of("events", identity)
        )
        if Counter(attesting.events_of(list(lines))) != Counter(d for e in told for d in e.of.events):
            yield "its timeline is not what happened"

    def _message(self, row: Any) -> MessageRecord:
        staged = self._digest(row.submission, row.ordinal) if row.declaration == b"" else ""
        return attesting.message_record(tuple(row), staged)

    def _sent(self, told: Sequence[Entry], away: bool) -> Iterator[str]:
        receipts = {i for e in told if e.kind == entries.RECEIVED for i in e.of.sent if i.endswith(".r")}
        fate = _Fate(told)
        for identity, wanted in ((i, d) for e in told for i, d in e.of.sent.items()):
            rows = self.of("outgoings", identity)
            if away and identity not in receipts:
                continue
            if not rows:
                yield f"outgoing {identity} is not here"
            elif digest(attesting.outgoing_record(rows[0])) != wanted:
                yield f"outgoing {identity} is not as it was sent"
            else:
                yield from fate.taken(identity, identity in self._waiting)

    def _deliveries(self, told: Sequence[Entry]) -> Iterator[str]:
        fate = _Fate(told)
        for identity, wanted in ((i, w) for e in told for i, w in e.of.due.items()):
            rows = self.of("deliveries", identity)
            if not rows:
                if not fate.may_be_over(identity, wanted.rpartition(" ")[2]):
                    yield f"delivery {identity} is not here, and no entry says that it is over"
            elif f"{rows[0].destination} {rows[0].payload}" != wanted:
                yield f"delivery {identity} goes elsewhere"
            elif not fate.may_stand(rows[0]):
                yield f"delivery {identity} is {rows[0].state}, and no entry says so"

    def _corrections(self, identity: str, told: Sequence[Entry]) -> Iterator[str]:
        made = Counter(digest(correcting.record(row._mapping)) for row in self.of("corrections", identity))
        if made != Counter(e.of.record for e in told if e.kind == entries.CORRECTED):
            yield "its corrections are not those that were made"


_OF_OUTGOINGS = {entries.ACKNOWLEDGED, entries.RESENT}
"""What befalls a message to a partner and so its push.  The rest befell the hand-over that a message's id also
names: its own matter, and no other delivery's that carries the same message."""

_OVER = frozenset({entries.DELIVERED, entries.ACKNOWLEDGED, entries.SKIPPED})


def _archived(told: Sequence[Entry]) -> bool:
    """Whether it is away: it left once more than it came back, whatever clocks said."""
    kinds = Counter(e.kind for e in told)
    return kinds[entries.ARCHIVED] > kinds[entries.RESTORED]


class _Fate:
    """What the entries about a submission say befell its outgoings and deliveries, by their ids: read once, for
    there may be as many of the ones as of the others."""

    def __init__(self, told: Sequence[Entry]) -> None:
        self._kinds = {e.kind for e in told}
        self._archived = _archived(told)
        self._befell: dict[str, set[str]] = {}
        self._carriers: dict[str, set[str]] = {}
        for entry in told:
            for identity in entry.of.ids:
                self._befell.setdefault(identity, set()).add(entry.kind)
            for delivery, where in entry.of.due.items():
                self._carriers.setdefault(where.rpartition(" ")[2], set()).add(delivery)

    def taken(self, outgoing: str, waits: bool) -> Iterator[str]:
        """What is wrong with an outgoing's waiting to be acknowledged, or not."""
        taken = not self._of(outgoing).isdisjoint((entries.ACKNOWLEDGED, entries.RECEIVED))
        taken |= any(entries.DELIVERED in self._of(one) for one in self._carriers.get(outgoing, ()))
        again = entries.RESENT in self._kinds
        if not waits and not taken and not self._archived:
            yield f"outgoing {outgoing} is acknowledged, and no entry says so"
        if waits and taken and not again:
            yield f"outgoing {outgoing} was acknowledged, and stands as if it were not"

    def may_be_over(self, delivery: str, payload: str) -> bool:
        """A delivery that has no row arrived, or was skipped, as an entry says."""
        return bool(self._of_delivery(delivery, payload) & _OVER)

    def may_stand(self, delivery: Any) -> bool:
        """A delivery's state is one that an entry brought about."""
        befell = self._of_delivery(delivery.id, delivery.payload)
        if delivery.state == tables.DEAD:
            return entries.DEAD in befell
        ended = befell & {entries.DEAD, *_OVER}
        return delivery.state == tables.DUE and (
            not ended or bool(befell & {entries.RESENT, entries.REVIVED})
        )

    def _of_delivery(self, delivery: str, payload: str) -> set[str]:
        return self._of(delivery) | (self._of(payload) & _OF_OUTGOINGS)

    def _of(self, identity: str) -> set[str]:
        return self._befell.get(identity, set())


def _strays(connection: Connection) -> Iterator[Breach]:
    """Outgoings and deliveries of which no entry speaks; entries of mailboxes that hold nothing."""
    outgoing = (_o.submission, _o.name)
    for table, key, identity in (
        (tables.outgoing, outgoing, _o.submission + "." + _o.name),
        (tables.delivery, (_d.id,), _d.id),
        (tables.waiting, (_w.partner, _w.position, _w.outgoing), _w.outgoing),
    ):
        after: tuple[Any, ...] | None = None
        spoken = dict[str, set[str]]()
        while True:
            page = select(*key, identity.label("identity")).order_by(*key).limit(AT_ONCE)
            rows = connection.execute(
                page if after is None else page.where(tuple_(*key) > tuple_(*after))
            ).all()
            abouts = {submission_of(r.identity) for r in rows}
            # Those of one submission stand together: its entries are read once, however many pages they fill.
            spoken = {one: spoken[one] for one in abouts & spoken.keys()}
            told = _told(connection, sorted(abouts - spoken.keys()))
            for one in abouts - spoken.keys():
                spoken[one] = {i for e in told.get(one, ()) for i in (*e.of.sent, *e.of.due)}
            for row in rows:
                if row.identity not in spoken[submission_of(row.identity)]:
                    yield Breach(f"{table.name} {row.identity}", "no entry speaks of it")
            if len(rows) < AT_ONCE:
                break
            after = tuple(rows[-1])[:-1]


def _unique(connection: Connection) -> Iterator[Breach]:
    """What must be unique over all time is held by the submissions that have it, and by no other."""
    t, c = tables.taken.c, tables.claim.c
    for table, key, same in (
        (tables.taken, (t.digest, t.partner), and_(t.digest == _s.digest, t.partner == _s.partner)),
        (tables.claim, (c.signer, c.claim), and_(c.signer == _s.signer, c.claim == _s.claim)),
    ):
        held = and_(table.c.submission == _s.id, same)
        for row in connection.execute(
            select(*key, table.c.submission).outerjoin(tables.submission, held).where(_s.id.is_(None))
        ):
            yield Breach(f"{table.name} {row[0]} {row[1]}", f"is not what submission {row[2]} has")
        has = _s.claim.is_not(None) if table is tables.claim else true()
        free = select(_s.id).outerjoin(table, held).where(table.c.submission.is_(None), has)
        for identity in connection.scalars(free):
            yield Breach(f"submission {identity}", f"its {table.name} is free for others")


_REST: Mapping[str, Callable[[Connection], Iterator[Breach]]] = {
    "outgoing and delivery": _strays,
    "taken and claim": _unique,
    **matching.REST,
}
