"""One submission over a connection that ends where it should not."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from pathlib import Path

SECONDS = 10.0


def context(anchor: Path, folder: Path) -> ssl.SSLContext:
    """Mutual TLS as the partner whose folder it is."""
    tls = ssl.create_default_context(cafile=str(anchor))
    tls.load_cert_chain(folder / "tls.crt.pem", folder / "tls.key.pem")
    return tls


def cut(connection: socket.socket) -> None:
    """End a connection as a broken line does: a reset, nothing said."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with contextlib.suppress(OSError):
        socket.socket.close(connection)


def cut_request(tls: ssl.SSLContext, port: int, body: bytes, media_type: str, share: float) -> None:
    """Send so much of a submission, then cut.  Raises OSError where nobody is there."""
    whole = _request(body, media_type)
    with socket.create_connection(("127.0.0.1", port), SECONDS) as plain:
        if share < 0.05:  # in the middle of the handshake
            plain.sendall(b"\x16\x03\x01\x02\x00")
            cut(plain)
            return
        secure = tls.wrap_socket(plain, server_hostname="localhost")
        secure.sendall(whole[: int(len(whole) * share)])
        cut(secure)


def cut_response(tls: ssl.SSLContext, port: int, body: bytes, media_type: str, octets: int) -> None:
    """Send all of a submission, hear so many octets of the answer, then cut.  Raises OSError."""
    with socket.create_connection(("127.0.0.1", port), SECONDS) as plain:
        secure = tls.wrap_socket(plain, server_hostname="localhost")
        secure.sendall(_request(body, media_type))
        if octets:
            secure.recv(octets)
        cut(secure)


def _request(body: bytes, media_type: str) -> bytes:
    head = (
        f"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media_type}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
