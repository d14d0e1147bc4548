"""Publishing: which deliveries carry what, and the decisions among it.

A delivery to ``publish:NAME`` carries a message's id (its declaration) or a decision's id; its own id says
which, as a back end may call a decision as it likes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, select

from gateway.model import Decision, Delivery
from gateway.storage import tables
from gateway.storage.codec import unpacked

PREFIX = "publish:"
OF_DECLARATION, OF_DECISION = ".pub", ".d.pub"
"""How ids end; a message's id ends with its ordinal, so that no two are alike."""

_n = tables.decision.c


def declaration_due(broker: str, message: str, at: datetime) -> Delivery:
    """The delivery of an accepted declaration to a broker."""
    return Delivery(f"{message}{OF_DECLARATION}", f"{PREFIX}{broker}", message, at)


def decision_due(broker: str, decision: str, at: datetime) -> Delivery:
    """The delivery of a decision to a broker."""
    return Delivery(f"{decision}{OF_DECISION}", f"{PREFIX}{broker}", decision, at)


def carries_decision(delivery_id: str) -> bool:
    """True where the payload is a decision's id, False where it is a message's."""
    return delivery_id.endswith(OF_DECISION)


def published_decisions(connection: Connection, deliveries: Sequence[Delivery]) -> dict[str, Decision]:
    """The decisions that these deliveries carry, by their ids; deliveries of others are passed over."""
    wanted = [d.payload for d in deliveries if carries_decision(d.id)]
    if not wanted:
        return {}
    rows = connection.execute(select(_n.id, _n.body).where(_n.id.in_(wanted)))
    return {row.id: unpacked(row.body, Decision) for row in rows}


def messages_decided(connection: Connection, decisions: Sequence[str]) -> dict[str, str]:
    """What decisions are about, by their ids."""
    if not decisions:
        return {}
    return {
        row.id: row.message
        for row in connection.execute(select(_n.id, _n.message).where(_n.id.in_(decisions)))
    }
