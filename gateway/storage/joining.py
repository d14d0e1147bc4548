"""Joining: who sent octets that another had filed, and was answered with that one's receipt.

The answer names the other's submission, so its sender may follow it there: the messages that it could
itself have filed at that moment, and no other.  It stays so when a mandate ends later, as for those who
filed.
"""

from __future__ import annotations

from sqlalchemy import Connection, select

from gateway.evidence import entries
from gateway.model import Event
from gateway.storage import arrival, attesting, tables
from gateway.storage.codec import message_id, micros, part_of
from gateway.storage.journal import Page
from gateway.storage.records import Settlement
from gateway.storage.rows import Rows

JOINED = "joined"
"""The timeline's word: about the submission where all messages are meant, else about each; its detail is
the transport partner."""

_e = tables.event.c
_events = Rows(tables.event)


def join(connection: Connection, submission: str, settlement: Settlement, page: Page) -> None:
    """Note that the sender of this settlement was answered with another's submission; once is enough."""
    sender = settlement.submission.partner
    known = joined(connection, sender, submission)
    at = settlement.submission.received_at
    lines = [
        Event(about, at, JOINED, sender)
        for about in _abouts(submission, settlement)
        if about not in known and submission not in known
    ]
    if lines:
        rows = [
            (submission, nth, part_of(e.about), micros(at), JOINED, sender)
            for e, nth in zip(lines, arrival.take(len(lines)), strict=True)
        ]
        _events.insert(connection, rows)
        attesting.happened(page, entries.REPEATED, submission, (), lines)


def joined(connection: Connection, partner: str, submission: str) -> frozenset[str]:
    """What a partner joined: the submission's id for all of it, or the ids of messages; else nothing."""
    of_partner = (_e.submission == submission, _e.what == JOINED, _e.detail == partner)
    return frozenset(submission + about for about in connection.scalars(select(_e.about).where(*of_partner)))


def _abouts(submission: str, settlement: Settlement) -> list[str]:
    if len(settlement.entitled) == len(settlement.verdict.messages):
        return [submission]
    return [message_id(submission, ordinal) for ordinal in settlement.entitled]
