"""The load of an overload and the port beside it, each in a process of its own; prints one JSON value.

    python -m bench.overload_load PORT ROOT PARTNERS SECONDS RATE [--probe]

``ROOT`` has a folder of keys and a pile of signed messages for each partner (bench.overload makes them).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bench import cpu
from bench.load import context
from bench.wire import Wire

CONNECTIONS = 16
"""Of a partner; of the flood as many as may be inside."""
FEW = 2
"""Of each partner for the best throughput: enough in all to fill the commits, too few to be refused."""
FLOOD = 64
PROBES = 10
"""Urgent calls a second, which is what a port of some thousand containers a day makes."""
PROBERS = 5
"""Connections that they are made on."""
PORT = "port"


class Told(msgspec.Struct):
    """What the generator says of one phase.

    ``accepted``: by partner, and that of the flood last.  ``answers``: by status.  ``kept_back``: due and never
    sent.  ``said_no_ms``: the median time to a refusal.  ``urgent_ms``: the probes' times, sorted.
    ``handshakes``: connections made; ``spent``: seconds of its own processor time while it loaded; ``dry``: partners
    that had no message left before the end.
    """

    seconds: float
    accepted: list[int]
    answers: dict[str, int]
    due: int
    kept_back: int
    said_no_ms: float
    urgent_ms: list[float]
    urgent_wrong: dict[str, int]
    handshakes: int
    spent: float
    dry: int

    @property
    def rate(self) -> float:
        """Accepted a second."""
        return sum(self.accepted) / self.seconds


def due(rate: float, seconds: float, seed: int) -> Iterator[float]:
    """When messages are due, in seconds from the beginning."""
    chance, at = random.Random(seed), 0.0
    while (at := at + chance.expovariate(rate)) < seconds:
        yield at


class Sender:
    """One partner: its messages, each accepted once, and its connections, each a thread."""

    def __init__(self, root: Path, name: str, address: int, connections: int, rate: float) -> None:
        self.accepted = 0
        self.answers: Counter[int] = Counter()
        self.refused: list[float] = []
        self.due = self.sent = 0
        self._file = root / name / "pile"
        self._pile: list[bytes] = msgspec.msgpack.decode(self._file.read_bytes())
        self.dry = False
        self._lock = threading.Lock()
        self._rate = rate
        tls = context(root / name)
        self.wires = [Wire(tls, address) for _ in range(connections)]
        self._due: Iterator[float] = iter(())

    def begin(self, seconds: float, seed: int) -> None:
        """All that is to come is settled."""
        if self._rate:
            self._due = due(self._rate, seconds, seed)
            self.due = sum(1 for _ in due(self._rate, seconds, seed))

    def run(self, wire: Wire, start: float, seconds: float) -> None:
        """One connection's thread: what is due next, or the next at once."""
        while (now := time.perf_counter() - start) < seconds:
            with self._lock:
                at = next(self._due, None) if self._rate else now
                # What fell due while no connection was free is kept back, and the next is taken.
                while self._rate and at is not None and at < now - 1 / self._rate:
                    at = next(self._due, None)
                body = self._pile.pop() if self._pile and at is not None else None
                self.dry = self.dry or not self._pile
            if body is None or at is None:
                return
            time.sleep(max(0.0, start + at - time.perf_counter()))
            began = time.perf_counter()
            status = wire.post(body)
            self._note(status, body, time.perf_counter() - began)

    def put_back(self) -> None:
        """What was not accepted is there for the next phase: the same octets again would be another thing."""
        self._file.write_bytes(msgspec.msgpack.encode(self._pile))

    def _note(self, status: int, body: bytes, took: float) -> None:
        with self._lock:
            self.sent += 1
            self.answers[status] += 1
            if status == 200:
                self.accepted += 1
            else:
                self._pile.append(body)
                self.refused.append(took)


def probe(root: Path, address: int, start: float, seconds: float) -> tuple[list[float], Counter[str]]:
    """A port's calls, each due at its time: their times in milliseconds, sorted, and what went wrong."""
    tls = context(root / PORT)
    pile: list[bytes] = msgspec.msgpack.decode((root / PORT / "pile").read_bytes())
    times: list[float] = []
    wrong: Counter[str] = Counter()

    def one(first: int) -> None:
        wire = Wire(tls, address)
        for number in range(first, int(seconds * PROBES), PROBERS):
            at = start + number / PROBES
            time.sleep(max(0.0, at - time.perf_counter()))
            reads = number // PROBERS % 2
            status = wire.get("/v1/mailbox?limit=10") if reads else wire.post(pile[number], urgent=True)
            times.append((time.perf_counter() - at) * 1000)
            if status != 200:
                wrong[str(status)] += 1

    threads = [threading.Thread(target=one, args=(first,)) for first in range(PROBERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (root / PORT / "pile").write_bytes(msgspec.msgpack.encode(pile[int(seconds * PROBES) :]))
    return sorted(times), wrong


def run(root: Path, address: int, partners: int, seconds: float, rate: float) -> Told:
    """One phase in this process.  ``rate``: offered in all, 0 for as much as is answered."""
    shares = [rate / 2 / partners] * partners + [rate / 2]
    senders = [
        Sender(root, f"trader{n}", address, (FLOOD if n == partners else CONNECTIONS) if rate else FEW, share)
        for n, share in enumerate(shares)
    ]
    for number, sender in enumerate(senders):
        sender.begin(seconds, number)
    start, spent = time.perf_counter(), cpu.of(os.getpid())
    threads = [
        threading.Thread(target=s.run, args=(wire, start, seconds)) for s in senders for wire in s.wires
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - start
    for sender in senders:
        sender.put_back()
    refused = [t for s in senders for t in s.refused]
    return Told(
        took,
        [s.accepted for s in senders],
        {str(k): v for k, v in sorted(sum((s.answers for s in senders), Counter()).items())},
        sum(s.due for s in senders),
        sum(max(0, s.due - s.sent) for s in senders),
        statistics.median(refused) * 1000 if refused else 0.0,
        [],
        {},
        sum(wire.handshakes for sender in senders for wire in sender.wires),
        cpu.of(os.getpid()) - spent,
        sum(sender.dry for sender in senders),
    )


def main() -> None:
    """Be the load, or the port."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("root", type=Path)
    parser.add_argument("partners", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("rate", type=float)
    parser.add_argument("--probe", action="store_true")
    asked = parser.parse_args()
    if asked.probe:
        print(json.dumps(probe(asked.root, asked.port, time.perf_counter() + 1, asked.seconds - 1)))
        return
    told = run(asked.root, asked.port, asked.partners, asked.seconds, asked.rate)
    print(msgspec.json.encode(told).decode())


if __name__ == "__main__":
    main()
