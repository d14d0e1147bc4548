"""The seam between the gateway and a back end; all that an adapter sees of us, beside the model."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from gateway.model import Decision, Handover

__all__ = ["Backend", "BackendUnavailable", "Handover"]


class BackendUnavailable(Exception):
    """The back end cannot take handovers now; the courier tries again with back-off."""


class Backend(Protocol):
    """What every back end does.  Calls block; the gateway makes them away from its reactor."""

    def hand_over(self, handovers: Sequence[Handover], now: datetime) -> None:
        """Take declarations durably, each once: when this returns they are committed.

        A declaration that customs refuses is not an error: it makes a decision.
        Raises BackendUnavailable; then none of them, or some, may have been taken (keys tell).
        """

    def decisions(self, limit: int) -> Sequence[Decision]:
        """Decisions not yet confirmed, oldest first, at most ``limit``."""

    def confirm(self, decision_ids: Sequence[str]) -> None:
        """These decisions are durable at the gateway and need not be offered again."""
