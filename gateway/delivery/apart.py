"""What is tried apart from others: deliveries that may end their courier, and rows that cannot be read."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TypeVar

from gateway.delivery.backoff import GIVE_UP_AFTER, delay
from gateway.delivery.courier import log
from gateway.model import Delivery
from gateway.storage import GroupCommit, LedgerError, Overloaded

T = TypeVar("T")
R = TypeVar("R")

SUSPECT_AFTER = 2
"""Attempts after which a delivery is tried apart from others: what ends its courier, or spoils what it goes
with, then does so alone."""
ENDED = "its courier ended"
"""The error of what was tried, of which nothing was heard."""


def is_suspect(delivery: Delivery) -> bool:
    """True where it was attempted before without arriving, or without an end."""
    return delivery.attempts > SUSPECT_AFTER


async def may_begin(commits: GroupCommit, owner: str, delivery: Delivery, now: datetime) -> bool:
    """Note beforehand when a suspect is tried again, should its attempt end the courier.  False where it is
    given up, or no longer the owner's."""
    error = delivery.error or ENDED
    if delivery.attempts >= GIVE_UP_AFTER:
        await commits.call("dead", delivery.id, error, now, owner)
        return False
    due_at = now + delay(delivery.attempts, random.random())  # noqa: S311 - jitter, not a secret
    held: bool = await commits.call("suspect", owner, delivery.id, due_at, error)
    return held


async def each_readable(
    ask: Callable[[Sequence[T]], Awaitable[R]], of: Sequence[T]
) -> tuple[list[R], list[tuple[T, str]]]:
    """What the ledger has on these; of what it has and this version cannot read: which, and why.

    One row of a newer version, or a damaged one, holds up no other: then each is asked for by itself.
    """
    if not of:
        return [], []
    try:
        return [await ask(of)], []
    except (LedgerError, Overloaded):
        raise
    except Exception:  # noqa: BLE001 - whatever it is that cannot be read
        log.warning("something stored cannot be read; each alone")
    read: list[R] = []
    unread: list[tuple[T, str]] = []
    for one in of:
        try:
            read.append(await ask([one]))
        except (LedgerError, Overloaded):
            raise
        except Exception as error:  # noqa: BLE001
            unread.append((one, f"unreadable: {type(error).__name__}"))
    return read, unread
