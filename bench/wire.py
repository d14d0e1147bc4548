"""One keep-alive connection of an overload: it is refused often, and connects anew where it is closed."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time

AGAIN = 0.2
"""Seconds until it connects again where it was closed: a partner's program does not spin either."""
GONE = 0
"""The status of what was never answered."""


class Wire:
    """Just enough HTTP/1.1 to measure the other side."""

    def __init__(self, tls: ssl.SSLContext, port: int) -> None:
        self._tls = tls
        self._port = port
        self.handshakes = 0
        self._socket: ssl.SSLSocket | None = None
        while self._socket is None:
            with contextlib.suppress(OSError):
                self._connect()
            time.sleep(0 if self._socket else AGAIN)

    def post(self, body: bytes, *, urgent: bool = False) -> int:
        """Submit; the status."""
        priority = "Priority: u=1\r\n" if urgent else ""
        head = "POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/xml\r\n"
        return self._ask(f"{head}{priority}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    def get(self, path: str) -> int:
        """Read; the status."""
        return self._ask(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    def _ask(self, octets: bytes) -> int:
        try:
            if self._socket is None:
                self._connect()
            assert self._socket is not None
            status, fields = ask(self._socket, octets)
            if fields.get(b"connection") == b"close":
                self._leave()
            return status
        except OSError:
            self._leave()
            time.sleep(AGAIN)
            return GONE

    def _connect(self) -> None:
        plain = socket.create_connection(("127.0.0.1", self._port))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = self._tls.wrap_socket(plain, server_hostname="localhost")
        self.handshakes += 1

    def _leave(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
            self._socket = None


def ask(wire: ssl.SSLSocket, octets: bytes) -> tuple[int, dict[bytes, bytes]]:
    """One request on a connection that is kept, its answer read to its end: (status, fields in lower case).

    Raises ConnectionError where the gateway closed it.
    """
    wire.sendall(octets)
    received = b""
    while b"\r\n\r\n" not in received:
        received += _more(wire)
    top, _, rest = received.partition(b"\r\n\r\n")
    lines = top.split(b"\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in lines[1:])
    left = int(fields[b"content-length"]) - len(rest)
    while left > 0:
        left -= len(_more(wire))
    return int(lines[0].split()[1]), fields


def _more(wire: ssl.SSLSocket) -> bytes:
    data = wire.recv(65_536)
    if not data:
        raise ConnectionError("the gateway closed the connection")
    return data
