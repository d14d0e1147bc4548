"""Who stands still: a door, as its supervisor sees it, and the supervisor, as systemd does."""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from gateway.operations.repeating import repeat

BEAT_SECONDS = 1.0
"""Between two words of one that goes on."""
NOTIFY_SOCKET = "NOTIFY_SOCKET"
"""Where systemd listens, if it began this process: sd_notify(3)."""
READY, STOPPING, ALIVE = "READY=1", "STOPPING=1", "WATCHDOG=1"


class Watch:
    """Which of several have not been heard for so many seconds.

    Counted in turns of who listens: one who stood still himself, with a machine that slept, has heard nobody and
    holds it against nobody.
    """

    def __init__(self, seconds: float) -> None:
        self._turns = math.ceil(seconds / BEAT_SECONDS)
        self._silent: dict[int, int] = {}

    def heard(self, number: int) -> None:
        """It goes on; from the first time on it is listened to."""
        self._silent[number] = 0

    def gone(self, number: int) -> None:
        """Nothing is expected of it any more."""
        self._silent.pop(number, None)

    def turn(self) -> list[int]:
        """A beat has passed; those that stand still by now."""
        self._silent = {number: turns + 1 for number, turns in self._silent.items()}
        return [number for number, turns in self._silent.items() if turns > self._turns]


def beat(reactor: Any, tell: Callable[[], object]) -> Callable[[], Any]:
    """Tell each beat that this reactor turns; returns what ends it."""

    async def once() -> None:
        tell()

    return repeat(once, reactor, BEAT_SECONDS)


def tell_systemd(state: str) -> None:
    """Nothing, where it did not begin us; it misses a word rather than that we wait."""
    address = os.environ.get(NOTIFY_SOCKET, "")
    if not address:
        return
    if address.startswith("@"):  # of the abstract kind
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as told:
        told.setblocking(False)
        told.sendto(state.encode("ascii"), address)
