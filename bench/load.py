"""A load of signed messages over TLS, from a process of its own; prints one JSON line.

    python -m bench.load PORT PARTNER PILE CONNECTIONS SECONDS [--type T] [--rate R]

Each connection sends one message, waits for its signed answer, and sends the next (a closed loop: as fast
as the gateway can).  With ``--rate`` messages are due at times of their own, so many a second on the average
and as irregularly as partners send (an open loop): the time of each counts from when it was due, whether or
not a connection was free then.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from pathlib import Path
from typing import Protocol


def context(folder: Path) -> ssl.SSLContext:
    """Mutual TLS as the partner whose folder it is."""
    tls = ssl.create_default_context(cafile=str(folder / "authority.pem"))
    tls.load_cert_chain(folder / "tls.crt.pem", folder / "tls.key.pem")
    return tls


class Octets(Protocol):
    """A signed message: a file, or what is signed when it is wanted."""

    def read_bytes(self) -> bytes:
        """All of it."""


class Connection:
    """One keep-alive connection: just enough HTTP/1.1 to measure the other side, not this one."""

    def __init__(self, tls: ssl.SSLContext, port: int, media_type: str = "application/xml") -> None:
        plain = socket.create_connection(("127.0.0.1", port))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = tls.wrap_socket(plain, server_hostname="localhost")
        self._head = (
            f"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media_type}\r\n".encode()
        )

    def post(self, body: bytes) -> tuple[int, bytes]:
        """Submit; (status, Cvan-Outcome)."""
        self._socket.sendall(b"%sContent-Length: %d\r\n\r\n%s" % (self._head, len(body), body))
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


def arrivals(rate: float, seconds: float) -> Iterator[float]:
    """When messages are due, in seconds from the beginning: a Poisson process, the same at each run."""
    chance, due = random.Random(1), 0.0
    while (due := due + chance.expovariate(rate)) < seconds:
        yield due


def run(
    port: int,
    folder: Path,
    pile: Iterable[Octets],
    connections: int,
    seconds: float,
    rate: float = 0.0,
    media_type: str = "application/xml",
) -> dict[str, object]:
    """Offer the messages for so many seconds, or until none is left.  Raises ConnectionError."""
    begun, times, wrong = offered(port, folder, pile, connections, seconds, rate, media_type)
    took = time.perf_counter() - begun
    count, sorted_ = len(times), sorted(spent for _, spent in times)
    return {
        "count": count,
        "seconds": took,
        "rate": count / took,
        "p50_ms": percentile(sorted_, 50) * 1000,
        "p99_ms": percentile(sorted_, 99) * 1000,
        "wrong": wrong[:3],
    }


def percentile(ordered: Sequence[float], percent: int) -> float:
    """Of values in order; the largest where there are few.  Raises IndexError where there is none."""
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def offered(
    port: int,
    folder: Path,
    pile: Iterable[Octets],
    connections: int,
    seconds: float,
    rate: float = 0.0,
    media_type: str = "application/xml",
) -> tuple[float, list[tuple[float, float]], list[str]]:
    """As `run`: when it began (``time.perf_counter``), for each message when it was due or sent, in seconds from
    then, and what its answer took; and what answers were wrong."""
    tls = context(folder)
    due = arrivals(rate, seconds) if rate else repeat(0.0)
    waiting = zip(due, pile, strict=False)
    lock = threading.Lock()
    times: list[tuple[float, float]] = []
    wrong: list[str] = []
    start, stop = [0.0], [float("inf")]

    def begin() -> None:
        start[0] = time.perf_counter()
        stop[0] = start[0] + seconds

    ready = threading.Barrier(connections, begin)

    def one() -> None:
        connection = Connection(tls, port, media_type)
        ready.wait()
        while time.perf_counter() < stop[0]:
            with lock:
                at, path = next(waiting, (0.0, None))
            if path is None:
                return
            body = path.read_bytes()
            if rate:
                time.sleep(max(0.0, start[0] + at - time.perf_counter()))
            began = start[0] + at if rate else time.perf_counter()
            status, outcome = connection.post(body)
            times.append((began - start[0], time.perf_counter() - began))
            if (status, outcome) != (200, b"accepted"):
                wrong.append(f"{status} {outcome.decode()}")

    threads = [threading.Thread(target=one) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if not times:
        raise ConnectionError("nothing was answered")
    return start[0], times, wrong


def main() -> None:
    """Load, and say how it went."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("port", type=int)
    arguments.add_argument("partner", type=Path)
    arguments.add_argument("pile", type=Path)
    arguments.add_argument("connections", type=int)
    arguments.add_argument("seconds", type=float)
    arguments.add_argument("--type", default="application/xml")
    arguments.add_argument("--rate", type=float, default=0.0)
    asked = arguments.parse_args()
    pile = sorted(asked.pile.iterdir())
    figures = run(asked.port, asked.partner, pile, asked.connections, asked.seconds, asked.rate, asked.type)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
