"""The seam between the gateway and a back end; all that an adapter sees of us, beside the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from gateway.model import Decision, Handover

__all__ = ["Backend", "BackendUnavailable", "Handover", "Publication", "Publisher", "Unpublishable"]


class BackendUnavailable(Exception):
    """The back end cannot take handovers now; the courier tries again with back-off."""


class Backend(Protocol):
    """What every back end does.  Calls block; the gateway makes them away from its reactor."""

    def hand_over(self, handovers: Sequence[Handover], now: datetime) -> None:
        """Take declarations durably, each once: when this returns they are committed.

        A declaration that customs refuses is not an error: it makes a decision.  The root of a very long
        declaration is a `gateway.model.shelf.Long`: it is read from the ledger in pieces whenever it is gone through,
        and `gateway.model.shelf.octets_of` gives its JSON likewise; what that raises is to be let through.
        Raises BackendUnavailable; then none of them, or some, may have been taken (keys tell).
        """

    def decisions(self, limit: int) -> Sequence[Decision]:
        """Decisions not yet confirmed, oldest first, at most ``limit``."""

    def confirm(self, decision_ids: Sequence[str]) -> None:
        """These decisions are durable at the gateway and need not be offered again."""


class Publication(NamedTuple):
    """One document for others to read.

    ``id``: what the broker, and whoever reads, deduplicates on.  ``subject``: tokens joined by points.
    ``headers``: its CloudEvents attributes, as ``ce-type``; printable ASCII.  ``again``: an earlier attempt
    may have succeeded unheard.
    """

    id: str
    subject: str
    headers: Mapping[str, str]
    payload: bytes
    again: bool = False


class Unpublishable(Exception):
    """The broker will never take the publication of this ``id``; nothing is said of the others."""

    def __init__(self, identity: str, reason: str) -> None:
        super().__init__(reason)
        self.id = identity


class Publisher(Protocol):
    """What every broker does.  Calls block; the gateway makes them away from its reactor, one at a time."""

    def largest(self) -> int:
        """Octets of a payload that the broker takes, at most: asked before a very long one is put together.

        Raises BackendUnavailable.
        """

    def publish(self, batch: Sequence[Publication]) -> None:
        """Publish durably, each once: when this returns the broker has confirmed every one.

        Raises BackendUnavailable and Unpublishable; then some may have been published (ids tell).
        """
