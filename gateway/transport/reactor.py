"""What this room asks of a reactor, as types (Twisted's own interfaces say it to zope only), and of its sockets."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any, Protocol


class Delayed(Protocol):
    """A call that is due later."""

    def active(self) -> bool:
        """True until it was made or cancelled."""

    def cancel(self) -> None:
        """Do not make it."""


class Clock(Protocol):
    """A clock that never runs backwards, and calls later."""

    def seconds(self) -> float:
        """Now."""

    def callLater(self, delay: float, callable: Callable[..., object], *args: object) -> Delayed:  # noqa: N802
        """Make a call ``delay`` seconds from now."""


class Reactor(Clock, Protocol):
    """A clock that also listens."""

    def listenTCP(self, port: int, factory: Any, backlog: int = ..., interface: str = ...) -> Any:  # noqa: N802
        """Open a port."""


def has_more(transport: Any) -> bool:
    """Whether octets have come that are not read, since the transport is paused."""
    below = getattr(transport, "transport", transport)  # TLS lies above a socket
    try:
        return bool(below.getHandle().recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except OSError:
        return False
