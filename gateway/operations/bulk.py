"""Large messages of a home: the spool that they come into, the lane that they are worked on in, and who ends what
another process left."""

from __future__ import annotations

import logging
import os
import secrets
import socket
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from gateway.intake import Intake, Large
from gateway.operations.repeating import repeat
from gateway.operations.server import BACKEND, Server, now
from gateway.operations.workshop import Workshop
from gateway.transport import Spool, identifier

log = logging.getLogger("gateway.large")

FOLDER = "spool"
"""In the home."""
GIVES_WAY = 10
"""Of a worker's priority: small messages go before."""
LOOK_SECONDS = 1.0
"""How soon one is taken over that nobody works on any more: within 5 s of its owner's end, its lease included."""
SWEEP_SECONDS = 600.0
LONG_SWEPT = timedelta(days=40)
"""What is older was swept: by then what was held has been settled, or refused."""
STRAY = timedelta(hours=6)
"""After this long nobody can still be about to store what he put away."""


def spool(server: Server) -> Spool:
    """The folder of large bodies.  Raises OSError."""
    limits = server.settings.limits
    found = Spool(
        server.home / FOLDER,
        over=limits.large_bytes,
        most=limits.spool_bytes,
        reserve=limits.spool_reserve_bytes,
    )
    found.make()

    def used() -> float:
        with suppress(OSError):  # the disk is away: that is told elsewhere
            return found.used()
        return 0.0

    server.metrics.spool(used, limits.spool_bytes)
    return found


def clear_spool(home: Path) -> None:
    """Before there is a door: in a container, the next ones soon have the numbers of those that were killed."""
    with suppress(OSError):  # the disk is away: doors say so
        Spool(home / FOLDER).make()


def lane(server: Server, reactor: Any, run_on: frozenset[int] = frozenset()) -> Workshop:
    """Where this process has large submissions worked on; its worker begins with the first.  ``run_on``: as of
    Workshop."""
    made = Workshop(server.home, reactor, server.settings, ready=False, nice=GIVES_WAY, run_on=run_on)
    server.on_stop(made.abandon)
    server.on_reload(made.renew)
    return made


def large(server: Server, reactor: Any, intake: Intake, workers: Workshop, spool: Spool) -> Large:
    """Large submissions of this process."""
    owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    return Large(
        intake,
        server.commits,
        lambda owner: workers.lane(owner, BACKEND),
        reactor,
        owner,
        spool,
        seconds=server.settings.limits.large_seconds,
        hold=timedelta(hours=server.settings.trust.hold_hours),
        judged=server.metrics.large_judged,
    )


def keep_ending(server: Server, reactor: Any, intake: Intake) -> None:
    """In the process that delivers: bring to its end what a door left, and drop what nobody stored."""
    workers = lane(server, reactor)
    ours = large(server, reactor, intake, workers, spool(server))

    async def look() -> None:
        while await ours.resume():
            pass

    swept = False

    async def sweep() -> None:
        """All there is at first; then what may have become one since."""
        nonlocal swept
        after, before = (
            identifier.new(now() - span, bytes(identifier.RANDOM_OCTETS)) for span in (LONG_SWEPT, STRAY)
        )
        while await server.commits.call("sweep_slices", before, after if swept else ""):
            pass
        swept = True

    server.on_stop(repeat(look, reactor, LOOK_SECONDS))
    server.on_stop(repeat(sweep, reactor, SWEEP_SECONDS))
    server.on_stop(workers.abandon)  # before the loops are waited for, which may wait for it
