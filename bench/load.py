"""A load of signed messages over TLS, from a process of its own; prints one JSON line.

Each connection sends one message, waits for its signed answer, and sends the next.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
import threading
import time
from pathlib import Path


def context(folder: Path) -> ssl.SSLContext:
    """Mutual TLS as the partner whose folder it is."""
    tls = ssl.create_default_context(cafile=str(folder / "authority.pem"))
    tls.load_cert_chain(folder / "tls.crt.pem", folder / "tls.key.pem")
    return tls


class Connection:
    """One keep-alive connection: just enough HTTP/1.1 to measure the other side, not this one."""

    def __init__(self, tls: ssl.SSLContext, port: int) -> None:
        plain = socket.create_connection(("127.0.0.1", port))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = tls.wrap_socket(plain, server_hostname="localhost")

    def post(self, body: bytes) -> tuple[int, bytes]:
        """Submit; (status, Cvan-Outcome)."""
        head = (
            b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/xml\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body)
        )
        self._socket.sendall(head + body)
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._more()
        top, _, rest = received.partition(b"\r\n\r\n")
        lines = top.split(b"\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in lines[1:])
        length = int(fields[b"content-length"])
        while len(rest) < length:
            rest += self._more()
        return int(lines[0].split()[1]), fields.get(b"cvan-outcome", b"")

    def _more(self) -> bytes:
        data = self._socket.recv(65_536)
        if not data:
            raise ConnectionError("the gateway closed the connection")
        return data


def run(
    port: int, folder: Path, messages: list[bytes], connections: int, seconds: float
) -> dict[str, object]:
    """Offer the messages for so many seconds, or until none is left."""
    tls = context(folder)
    waiting = iter(messages)
    lock = threading.Lock()
    times: list[float] = []
    wrong: list[str] = []
    ready = threading.Barrier(connections + 1)

    def one() -> None:
        connection = Connection(tls, port)
        ready.wait()
        while time.perf_counter() < stop[0]:
            with lock:
                body = next(waiting, None)
            if body is None:
                return
            began = time.perf_counter()
            status, outcome = connection.post(body)
            times.append(time.perf_counter() - began)
            if (status, outcome) != (200, b"accepted"):
                wrong.append(f"{status} {outcome.decode()}")

    stop = [float("inf")]
    threads = [threading.Thread(target=one) for _ in range(connections)]
    for thread in threads:
        thread.start()
    began = time.perf_counter()
    stop[0] = began + seconds
    ready.wait()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    times.sort()
    count = len(times)
    return {
        "count": count,
        "seconds": took,
        "rate": count / took,
        "p50_ms": times[count // 2] * 1000,
        "p99_ms": times[min(count - 1, count * 99 // 100)] * 1000,
        "wrong": wrong[:3],
    }


if __name__ == "__main__":
    port, folder, pile, connections, seconds = sys.argv[1:]
    bodies = [p.read_bytes() for p in sorted(Path(pile).iterdir())]
    print(json.dumps(run(int(port), Path(folder), bodies, int(connections), float(seconds))))
