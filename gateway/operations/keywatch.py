"""How long the gateway's own certificates last: a figure for each use, and a word in the log in good time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from twisted.internet.task import LoopingCall

from gateway.security import KEY_USES, Keystore, KeyUse
from gateway.transport import Metrics

log = logging.getLogger("gateway.keys")

WARNING_DAYS = (60, 30, 7)
"""A new certificate of a public authority takes days to weeks to come."""
LOOK_SECONDS = 3_600.0
NONE_LEFT = float("nan")
"""A use without any certificate: nothing expires."""


def days_warned(left: timedelta) -> int | None:
    """The last of WARNING_DAYS that has been reached, 0 after the end; None while there is time."""
    if left <= timedelta(0):
        return 0
    reached = [days for days in WARNING_DAYS if left <= timedelta(days=days)]
    return min(reached, default=None)


def seconds_left(keys: Keystore, use: KeyUse, now: datetime) -> float:
    """Until the use has no valid certificate, successors that wait counted in; negative when that is past."""
    until = keys.covered_until(use, now)
    return NONE_LEFT if until is None else (until - now).total_seconds()


def gauge(metrics: Metrics, keys: Callable[[], Keystore], now: Callable[[], datetime]) -> None:
    """``cvan_certificate_expires_seconds`` of each use, told when the figures are asked for."""

    def follow(use: KeyUse) -> None:
        metrics.own_certificate(use, lambda: seconds_left(keys(), use, now()))

    for use in KEY_USES:
        follow(use)


class KeyWatch:
    """Says in the log, once for each step, that a use will be without a certificate, and which keys are
    broken; for the one process of a home that supervises."""

    def __init__(self, keys: Callable[[], Keystore], now: Callable[[], datetime]) -> None:
        self._keys = keys
        self._now = now
        self._told: dict[str, object] = {}

    def keep(self, reactor: Any) -> Callable[[], None]:
        """Look now and every hour while the reactor runs; returns what ends it."""
        loop = LoopingCall(self.look)
        loop.clock = reactor
        reactor.callWhenRunning(loop.start, LOOK_SECONDS, now=True)
        return lambda: loop.stop() if loop.running else None

    def look(self) -> None:
        """Tell what is new."""
        keys, now = self._keys(), self._now()
        for use in KEY_USES:
            until = keys.covered_until(use, now)
            if until is not None:
                self._tell_expiry(use, until, now)
        for generation in keys.generations:
            if generation.fault and self._is_new(f"fault {generation.entry.name}", generation.fault):
                log.error("own key %s cannot be used: %s", generation.entry.name, generation.fault)

    def _tell_expiry(self, use: KeyUse, until: datetime, now: datetime) -> None:
        days = days_warned(until - now)
        if days is None or not self._is_new(use, (days, until)):
            return
        event = {"use": use, "expires_at": until.isoformat(), "days": (until - now).days}
        state = f"ends at {until:%Y-%m-%d %H:%M}Z" if days else f"ended at {until:%Y-%m-%d %H:%M}Z"
        level = logging.WARNING if days > WARNING_DAYS[-1] else logging.ERROR
        log.log(level, "own %s certificate %s; do: cvan keys rotate --use %s", use, state, use, extra=event)

    def _is_new(self, about: str, what: object) -> bool:
        if self._told.get(about) == what:
            return False
        self._told[about] = what
        return True
