"""Publishing: which deliveries carry what, and the decisions among it; how what carries a decision is called.

A delivery to ``publish:NAME`` carries a message's id (its declaration) or a decision's id; its own id says
which, as a back end may call a decision as it likes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from gateway.model import Decision, Delivery
from gateway.storage import sending, tables
from gateway.storage.codec import part_of, submission_of, unpacked

PREFIX, PUSH = "publish:", "push:"
OF_DECLARATION, OF_ANSWER, OF_DECISION = ".pub", ".d", ".d.pub"
"""How ids end; a message's id ends with its ordinal, so that no two are alike."""

_NAME = re.compile(r"[0-9A-Za-z._:-]{1,40}\Z")
"""What of a back end's word for a decision goes into an id as it is: an id has 80 characters in all."""

_n = tables.decision.c


def answer_id(message: str, decision: str) -> str:
    """The id of the message to a partner that tells a decision on a message."""
    name = decision if _NAME.match(decision) else hashlib.sha256(decision.encode()).hexdigest()[:40]
    return f"{message}.{name}{OF_ANSWER}"


def declaration_due(broker: str, message: str, at: datetime) -> Delivery:
    """The delivery of an accepted declaration to a broker."""
    return Delivery(f"{message}{OF_DECLARATION}", f"{PREFIX}{broker}", message, at)


def decision_due(broker: str, message: str, decision: str, at: datetime) -> Delivery:
    """The delivery of a decision on a message to a broker."""
    return Delivery(_delivery_id(message, decision), f"{PREFIX}{broker}", decision, at)


def carries_decision(delivery_id: str) -> bool:
    """True where the payload is a decision's id, False where it is a message's."""
    return delivery_id.endswith(OF_DECISION)


def message_decided(delivery: str, decision: str) -> str:
    """What a decision is about, by the id of the delivery that carries it."""
    return delivery.removesuffix(_delivery_id("", decision))


def _delivery_id(message: str, decision: str) -> str:
    return answer_id(message, decision).removesuffix(OF_ANSWER) + OF_DECISION


def abouts(connection: Connection, rows: Sequence[Any]) -> dict[str, str]:
    """What the outgoings and decisions among the payloads of deliveries (``id``, ``destination``, ``payload``) are
    about, by their ids."""
    decided = {r.payload: r.id for r in rows if carries_decision(r.id)}
    pushed = [row.payload for row in rows if row.destination.startswith(PUSH)]
    about = {identity: told.about for identity, told in sending.sent(connection, pushed).items()}
    return about | {d: message_decided(identity, d) for d, identity in decided.items()}


def published_decisions(connection: Connection, deliveries: Sequence[Delivery]) -> dict[str, Decision]:
    """The decisions that these deliveries carry, by their ids; deliveries of others are passed over."""
    wanted = {d.payload: message_decided(d.id, d.payload) for d in deliveries if carries_decision(d.id)}
    if not wanted:
        return {}
    rows = connection.execute(
        select(_n.id, _n.body).where(
            _n.submission.in_({submission_of(message) for message in wanted.values()}),
            _n.about.in_({part_of(message) for message in wanted.values()}),
            _n.id.in_(list(wanted)),
        )
    )
    return {row.id: unpacked(row.body, Decision) for row in rows}
