"""Messages to partners by their ids: answers from their table, receipts from the submissions that they answer.

An id begins with the id of the submission that the message is about: who asks for one asks in one month only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, LargeBinary, and_, delete, func, literal, select, text, tuple_

from gateway.model import Delivery, Outgoing
from gateway.storage import arrival, tables
from gateway.storage.codec import OF_RECEIPT, micros, moment, part_of, receipt_id, submission_of
from gateway.storage.compression import FRAME_HEAD, size_of
from gateway.storage.records import Settlement
from gateway.storage.rows import Rows, in_lots

RECEIPT = "receipt"
OF_PUSH = ".p"
"""How the id of the delivery ends that pushes an outgoing; before it stands the outgoing's."""

_s, _o, _w = tables.submission.c, tables.outgoing.c, tables.waiting.c
_outgoings = Rows(tables.outgoing)
_waiting = Rows(tables.waiting, on_conflict_do_nothing=True)


Columns = Callable[[Iterable[Any]], list[Any]]


class Sent(msgspec.Struct, frozen=True):
    """A message to a partner without its body; ``position``: in the partner's mailbox."""

    id: str
    partner: str
    about: str
    position: int


def push_id(outgoing: str) -> str:
    """The id of the delivery that pushes a message to its partner."""
    return f"{outgoing}{OF_PUSH}"


def check_receipt(settlement: Settlement) -> None:
    """Raises ValueError for a receipt that is not the submission's own, to who filed it: it is stored as that."""
    submission, receipt, verdict = settlement.submission, settlement.receipt, settlement.verdict
    found = (receipt.id, receipt.partner, receipt.kind, receipt.about, receipt.reference)
    wanted = (receipt_id(submission.id), verdict.route.partner, RECEIPT, submission.id, verdict.reference)
    if found != wanted:
        raise ValueError(f"the receipt of {submission.id} is {found}")


def copied(receipt: Outgoing, kept: str, partner: str, now: datetime) -> Outgoing:
    """The receipt of octets that were settled before, for another partner whose same ones were kept under an id of
    their own: he may have heard no more than that."""
    name = f"{receipt.about}.{kept}.{OF_RECEIPT}"
    return msgspec.structs.replace(receipt, id=name, partner=partner, created_at=now)


def push_of(one: Outgoing, lane: str = "") -> Delivery:
    """The delivery that pushes a message to its partner, due from when that was made."""
    return Delivery(push_id(one.id), f"push:{one.partner}", one.id, one.created_at, lane=lane)


def insert_outgoings(connection: Connection, outgoings: Iterable[Outgoing]) -> None:
    """Store answers; they are in the mailboxes from the commit on.

    Raises ValueError for one whose id does not begin with what it is about.
    """
    for some in in_lots(outgoings):
        placed = list(zip(some, arrival.take(len(some)), strict=True))
        _outgoings.insert(connection, [_row(one, nth) for one, nth in placed])
        wait(connection, [(one.partner, nth, one.id) for one, nth in placed])


def wait(connection: Connection, entries: Sequence[tuple[str, int, str]]) -> None:
    """Put (partner, position, outgoing id) among what mailboxes hold unacknowledged."""
    _waiting.insert(connection, entries)


def acknowledged(connection: Connection, outgoings: Iterable[Sent]) -> frozenset[str]:
    """Take these out of what waits; the ids of those that did."""
    keys = [(one.partner, one.position, one.id) for one in outgoings]
    if not keys:
        return frozenset()
    gone = delete(tables.waiting).where(
        # SQLite finds no index for triples: the first of them leads it there.
        _w.partner.in_({partner for partner, _, _ in keys}),
        _w.position.in_([position for _, position, _ in keys]),
        tuple_(_w.partner, _w.position, _w.outgoing).in_(keys),
    )
    return frozenset(connection.scalars(gone.returning(_w.outgoing)))


def waits(connection: Connection, outgoings: Sequence[Sent]) -> frozenset[str]:
    """The ids of those that nobody acknowledged."""
    if not outgoings:
        return frozenset()
    found = select(_w.outgoing).where(
        _w.partner.in_({one.partner for one in outgoings}),
        _w.position.in_([one.position for one in outgoings]),
    )
    return frozenset(connection.scalars(found)) & {one.id for one in outgoings}


def sent(connection: Connection, ids: Iterable[str]) -> dict[str, Sent]:
    """What is known of messages to partners, by id; ids of none are left out."""
    answers, receipts = _split(ids)
    found = {}
    columns = (_o.submission, _o.name, _o.partner, _o.about, _o.position)
    for row in _answers(connection, columns, answers):
        identity = f"{row.submission}.{row.name}"
        found[identity] = Sent(identity, row.partner, row.submission + row.about, row.position)
    for row in _receipts(connection, (_s.id, _s.filer, _s.position), receipts):
        identity = receipt_id(row.id)
        found[identity] = Sent(identity, row.filer, row.id, row.position)
    return found


def outgoings(connection: Connection, ids: Iterable[str]) -> dict[str, Outgoing]:
    """Messages to partners, by id; ids of none are left out."""
    answers, receipts = _split(ids)
    columns = tuple(tables.outgoing.c)
    told = [outgoing_of(row) for row in _answers(connection, columns, answers)]
    told += [receipt_of(row) for row in _receipts(connection, RECEIPT_COLUMNS, receipts)]
    return {one.id: one for one in told}


def without_bodies(connection: Connection, ids: Iterable[str]) -> Iterator[tuple[Outgoing, int]]:
    """Messages to partners with empty bodies, and how many octets these have; 0 where somebody spoilt them: who
    fetches that one hears of it, and the others are listed."""
    answers, receipts = _split(ids)
    head = func.substr(_o.body, text("1"), text(str(FRAME_HEAD)), type_=LargeBinary).label("head")
    columns = [c if c.name != "body" else literal(b"").label("body") for c in tables.outgoing.c]
    for row in _answers(connection, (*columns, head), answers):
        yield outgoing_of(row), _size(row)
    head = func.substr(_s.receipt, text("1"), text(str(FRAME_HEAD)), type_=LargeBinary).label("head")
    columns = [c if c.name != "receipt" else literal(b"").label("receipt") for c in RECEIPT_COLUMNS]
    for row in _receipts(connection, (*columns, head), receipts):
        yield receipt_of(row), _size(row)


def _size(row: Any) -> int:
    try:
        return size_of(bytes(row.head))
    except ValueError:
        return 0


def of_submissions(
    connection: Connection, ids: Sequence[str], columns: Columns = list
) -> Iterator[tuple[Outgoing, int]]:
    """All that was sent about submissions, each with its position.  ``columns``: how they are read
    (`compression.as_found`)."""
    for row in connection.execute(select(*columns(tables.outgoing.c)).where(_o.submission.in_(ids))):
        yield outgoing_of(row), row.position
    for row in connection.execute(select(*columns(RECEIPT_COLUMNS)).where(_s.id.in_(ids))):
        yield receipt_of(row), row.position


RECEIPT_COLUMNS = (
    _s.id,
    _s.filer,
    _s.reference,
    _s.receipt_type,
    _s.receipt,
    _s.receipt_at,
    _s.position,
)


def outgoing_of(row: Any) -> Outgoing:
    """The message to a partner that a whole row of its table holds."""
    return Outgoing(
        id=f"{row.submission}.{row.name}",
        partner=row.partner,
        kind=row.kind,
        about=row.submission + row.about,
        reference=row.reference,
        media_type=row.media_type,
        body=row.body,
        created_at=moment(row.created_at),
    )


def receipt_of(row: Any) -> Outgoing:
    """The receipt that a row of submissions holds (RECEIPT_COLUMNS at least)."""
    return Outgoing(
        id=receipt_id(row.id),
        partner=row.filer,
        kind=RECEIPT,
        about=row.id,
        reference=row.reference,
        media_type=row.receipt_type,
        body=row.receipt,
        created_at=moment(row.receipt_at),
    )


def _row(one: Outgoing, position: int) -> tuple[Any, ...]:
    submission, _, name = one.id.partition(".")
    if submission_of(one.about) != submission or not name or name == OF_RECEIPT:
        raise ValueError(f"outgoing {one.id} is about {one.about}")
    return (
        submission,
        name,
        one.partner,
        one.kind,
        part_of(one.about),
        one.reference,
        one.media_type,
        one.body,
        micros(one.created_at),
        position,
    )


def _split(ids: Iterable[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Keys of answers, and the submissions of receipts."""
    keys = {(submission, name) for submission, _, name in (one.partition(".") for one in ids)}
    receipts = sorted(submission for submission, name in keys if name == OF_RECEIPT)
    return sorted(key for key in keys if key[1] != OF_RECEIPT), receipts


def _answers(
    connection: Connection, columns: Sequence[Any], keys: Sequence[tuple[str, str]]
) -> Iterable[Any]:
    if not keys:
        return ()
    these = and_(_o.submission.in_({s for s, _ in keys}), tuple_(_o.submission, _o.name).in_(keys))
    return connection.execute(select(*columns).where(these)).all()


def _receipts(connection: Connection, columns: Sequence[Any], submissions: Sequence[str]) -> Iterable[Any]:
    if not submissions:
        return ()
    return connection.execute(select(*columns).where(_s.id.in_(submissions))).all()
