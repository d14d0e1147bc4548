"""The ledger's tables compared with what the journal says of them: nothing altered, missing or added."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, Table, and_, func, select

from gateway.evidence import entries
from gateway.evidence.entries import Entry, sha256
from gateway.evidence.records import MessageRecord, digest
from gateway.model import Event
from gateway.storage import attesting, correcting, matching, publishing, slices, tables
from gateway.storage.auditing import Audited, Breach, Progress
from gateway.storage.codec import moment, submission_of
from gateway.storage.matching import UNREADABLE, readable
from gateway.storage.reading import outgoing_of

AT_ONCE = 200
"""Submissions in memory together."""

_j = tables.journal.c
_s, _m, _o, _d = tables.submission.c, tables.message.c, tables.outgoing.c, tables.delivery.c
_n = tables.decision.c
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


def _rows(connection: Connection, table: Table, column: Any, ids: Sequence[str]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in connection.execute(select(table).where(column.in_(ids))):
        found.setdefault(getattr(row, column.name), []).append(row)
    return found


def _submissions(connection: Connection, ids: Sequence[str]) -> Iterator[Breach]:
    told = _told(connection, ids)
    sent = [i for found in told.values() for e in found for i in e.of.sent]
    due = [i for found in told.values() for e in found for i in e.of.due]
    case = _Case(
        partial(slices.digest, connection),
        submissions=_rows(connection, tables.submission, _s.id, ids),
        messages=_rows(connection, tables.message, _m.submission, ids),
        decisions=_rows(connection, tables.decision, tables.decision.c.submission, ids),
        events=_rows(connection, tables.event, tables.event.c.submission, ids),
        outgoings=_rows(connection, tables.outgoing, _o.id, sent),
        deliveries=_rows(connection, tables.delivery, _d.id, due),
        corrections=_rows(connection, tables.correction, tables.correction.c.submission, ids),
    )
    archives = matching.archives(connection, ids)
    for identity in ids:
        found, archive = told.get(identity, []), archives.get(identity, "")
        try:
            yield from (Breach(f"submission {identity}", why) for why in case.wrong(identity, found, archive))
        except UNREADABLE as error:
            yield Breach(f"submission {identity}", f"a row cannot be read: {type(error).__name__}")


class _Case:
    """The rows of some submissions, by id."""

    def __init__(self, digest_of: Callable[[str, int], str], **rows: dict[str, list[Any]]) -> None:
        """``digest_of``: of a submission's part that is in slices."""
        self._digest = digest_of
        self._rows = rows

    def of(self, table: str, identity: str) -> list[Any]:
        return self._rows[table].get(identity, [])

    def wrong(self, identity: str, told: Sequence[Entry], archive: str) -> Iterator[str]:
        """What is not as the entries about this submission say; ``archive``: the digest of the file that the
        ledger says it is in, or ""."""
        rows = self.of("submissions", identity)
        received = [e for e in told if e.kind in (entries.RECEIVED, entries.ADOPTED)]
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
        if rows:
            yield from self._submission(rows[0], received[0], away)
        if not away:
            yield from self._parts(identity, received, told)
        yield from self._sent(told, away)
        if not away:
            yield from self._deliveries(told)
            yield from self._corrections(identity, told)

    def _submission(self, row: Any, received: Entry, away: bool) -> Iterator[str]:
        if digest(attesting.submission_record(tuple(row)[1:])) != received.of.record:
            yield "its record is not as received"
        here = sha256(row.body) if row.body else self._digest(row.id, slices.BODY)
        if row.digest != received.of.body or (not away and here != received.of.body):
            yield "its octets are not as received"
        if away and row.body:
            yield "it is archived, and yet here"

    def _parts(self, identity: str, received: Sequence[Entry], told: Sequence[Entry]) -> Iterator[str]:
        messages = sorted(self.of("messages", identity), key=lambda row: row.ordinal)
        wanted = received[0].of.messages if received else ()
        if tuple(digest(self._message(row)) for row in messages) != wanted:
            yield "its messages are not as judged"
        decisions = self.of("decisions", identity)
        decided = Counter(e.of.record for e in told if e.kind == entries.DECIDED)
        decided += Counter(d for e in told if e.kind == entries.ADOPTED for d in e.of.decisions)
        if Counter(digest(attesting.decision_record(row)) for row in decisions) != decided:
            yield "its decisions are not those that were taken"
        of_message: dict[str, list[Any]] = {}
        for row in decisions:
            of_message.setdefault(row.message, []).append(row)
        for row in messages:
            yield from _standing(row, of_message.get(f"{identity}.{row.ordinal}", []))
        lines = (
            Event(row.about, moment(row.at), row.what, row.detail) for row in self.of("events", identity)
        )
        if Counter(attesting.events_of(list(lines))) != Counter(d for e in told for d in e.of.events):
            yield "its timeline is not what happened"

    def _message(self, row: Any) -> MessageRecord:
        staged = self._digest(row.submission, row.ordinal) if row.declaration == b"" else ""
        return attesting.message_record(tuple(row), staged)

    def _sent(self, told: Sequence[Entry], away: bool) -> Iterator[str]:
        receipts = {
            i
            for e in told
            if e.kind in (entries.RECEIVED, entries.ADOPTED)
            for i in e.of.sent
            if i.endswith(".r")
        }
        fate = _Fate(told)
        for identity, wanted in ((i, d) for e in told for i, d in e.of.sent.items()):
            rows = self.of("outgoings", identity)
            if away and identity not in receipts:
                continue
            if not rows:
                yield f"outgoing {identity} is not here"
            elif digest(attesting.outgoing_record(outgoing_of(rows[0]))) != wanted:
                yield f"outgoing {identity} is not as it was sent"
            else:
                yield from fate.taken(rows[0])

    def _deliveries(self, told: Sequence[Entry]) -> Iterator[str]:
        fate = _Fate(told)
        for identity, wanted in ((i, w) for e in told for i, w in e.of.due.items()):
            rows = self.of("deliveries", identity)
            if not rows:
                yield f"delivery {identity} is not here"
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


def _archived(told: Sequence[Entry]) -> bool:
    """Whether it is away: it left once more than it came back, whatever clocks said."""
    kinds = Counter(e.kind for e in told)
    return kinds[entries.ARCHIVED] > kinds[entries.RESTORED]


def _standing(message: Any, decisions: Sequence[Any]) -> Iterator[str]:
    """A message's state is its outcome or its newest decision's."""
    newest = max((row.at for row in decisions), default=None)
    kinds = {row.kind for row in decisions if row.at == newest} or {message.outcome}
    if message.state not in kinds:
        yield f"message {message.ordinal} is {message.state}, and no decision says so"
    if message.registration and not any(f'"{message.registration}"' in row.body for row in decisions):
        yield f"message {message.ordinal} has a registration that no decision gave"


class _Fate:
    """What the entries about a submission say befell its outgoings and deliveries, by their ids: read once, for
    there may be as many of the ones as of the others."""

    def __init__(self, told: Sequence[Entry]) -> None:
        self._kinds = {e.kind for e in told}
        self._befell: dict[str, set[str]] = {}
        self._carriers: dict[str, set[str]] = {}
        for entry in told:
            for identity in entry.of.ids:
                self._befell.setdefault(identity, set()).add(entry.kind)
            for delivery, where in entry.of.due.items():
                self._carriers.setdefault(where.rpartition(" ")[2], set()).add(delivery)

    def taken(self, outgoing: Any) -> Iterator[str]:
        """What is wrong with an outgoing's mark of having been acknowledged."""
        taken = entries.ACKNOWLEDGED in self._of(outgoing.id)
        taken |= any(entries.DELIVERED in self._of(one) for one in self._carriers.get(outgoing.id, ()))
        again = bool(self._kinds & {entries.RESENT, entries.ADOPTED})
        if outgoing.acknowledged_at is not None and not taken and not again:
            yield f"outgoing {outgoing.id} is acknowledged, and no entry says so"
        if outgoing.acknowledged_at is None and taken and not again:
            yield f"outgoing {outgoing.id} was acknowledged, and stands as if it were not"

    def may_stand(self, delivery: Any) -> bool:
        """A delivery's state is one that an entry brought about."""
        befell = self._of(delivery.id) | (self._of(delivery.payload) & _OF_OUTGOINGS)
        if entries.ADOPTED in self._kinds:
            return True
        skipped = entries.SKIPPED in self._of(delivery.id)
        if delivery.state == tables.SKIPPED:
            return skipped
        if skipped and entries.RESENT not in befell:
            return False
        if delivery.state == tables.DONE:
            return bool(befell & {entries.DELIVERED, entries.ACKNOWLEDGED})
        if delivery.state == tables.DEAD:
            return entries.DEAD in befell
        ended = befell & {entries.DELIVERED, entries.ACKNOWLEDGED, entries.DEAD}
        return not ended or bool(befell & {entries.RESENT, entries.REVIVED})

    def _of(self, identity: str) -> set[str]:
        return self._befell.get(identity, set())


def _strays(connection: Connection) -> Iterator[Breach]:
    """Outgoings and deliveries of which no entry speaks."""
    published = and_(_n.id == _d.payload, _d.id == _n.id + publishing.OF_DECISION)
    joined = tables.delivery.outerjoin(tables.outgoing, _o.id == _d.payload)
    joined = joined.outerjoin(tables.decision, published)
    for table, source, about in (
        (tables.outgoing, tables.outgoing, _o.about),
        (tables.delivery, joined, func.coalesce(_n.message, _d.payload)),
    ):
        position, spoken = 0, dict[str, set[str]]()
        while True:
            page = (
                select(table.c.position, table.c.id, about.label("about"), _o.about.label("told"))
                .select_from(source)
                .where(table.c.position > position)
                .order_by(table.c.position)
                .limit(AT_ONCE)
            )
            rows = connection.execute(page).all()
            about_all = {submission_of(r.told or r.about) for r in rows}
            # Those of one submission stand together: its entries are read once, however many pages they fill.
            spoken = {one: spoken[one] for one in about_all & spoken.keys()}
            told = _told(connection, sorted(about_all - spoken.keys()))
            for one in about_all - spoken.keys():
                spoken[one] = {i for e in told.get(one, ()) for i in (*e.of.sent, *e.of.due)}
            for row in rows:
                if row.id not in spoken[submission_of(row.told or row.about)]:
                    yield Breach(f"{table.name} {row.id}", "no entry speaks of it")
            if len(rows) < AT_ONCE:
                break
            position = rows[-1].position


_REST: Mapping[str, Callable[[Connection], Iterator[Breach]]] = {
    "outgoing and delivery": _strays,
    **matching.REST,
}
