"""The gate: the listening socket that the doors of a home share; where no door stands, it is shut.

A socket that listens while nobody accepts keeps its callers waiting: the kernel connects them, and they hear
nothing until a door has begun, though another node would answer them at once.  So the gate is bound first and
listens from the moment that a door is ready; where the last door has ended it refuses again.
"""

from __future__ import annotations

import contextlib
import os
import socket

BACKLOG = 512
"""Connections waiting to be accepted: a burst of partners after an outage."""


class Gate:
    """The supervisor's side.  Raises OSError where the port is taken."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = _bound(host, port)
        if not port:
            # Linux keeps a port over `shut` only where it was asked for by its number.
            chosen = _bound(*self.address)
            self._socket.close()
            self._socket = chosen
        self._socket.setblocking(False)

    @property
    def address(self) -> tuple[str, int]:
        """Where it is."""
        host, port = self._socket.getsockname()[:2]
        return host, port

    def fileno(self) -> int:
        """The descriptor that a door inherits."""
        return self._socket.fileno()

    def shut(self) -> None:
        """Nobody accepts any more: who waits is refused, who comes too, until the next ``open_gate``.

        Where a system cannot do that, callers wait.
        """
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """The supervisor needs it no more; doors keep theirs."""
        self._socket.close()


def open_gate(descriptor: int) -> None:
    """A door is ready to accept on the inherited descriptor.  Raises OSError where another program has taken
    the port meanwhile."""
    with socket.socket(fileno=os.dup(descriptor)) as shared:
        shared.listen(BACKLOG)


def _bound(host: str, port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
    except OSError as error:
        made.close()
        raise OSError(error.errno, f"{error.strerror}: {host}:{port}") from error
    return made
