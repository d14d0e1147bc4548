"""More than the gateway can take: what it still does, for whom, and how soon it says no.

    python -m bench.overload [--seconds 180] [--factor 5] [--partners 20] [--json]

One door over SQLite on this machine, and the load generator beside it.  First the best throughput is taken: many
partners, each sending the next message when it has the answer to the last.  Then so many times that is
offered: messages are due at times of their own (a Poisson process), those of one partner, the flood, as many as
of all the others; nobody heeds Retry-After.  A port asks beside them, ten times a second by turns, for its mailbox
and with an urgent message of its own.  What is due while every connection of its partner waits for an answer counts
as kept back: HTTP/1.1 can send no more.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from bench import cpu
from bench.load import context
from bench.wire import Wire
from gateway import safexml, security
from gateway.model import Partner, Role
from gateway.operations import home as homes
from gateway.operations import settings
from gateway.operations.demo import papers
from gateway.operations.demo.papers import Goods
from gateway.operations.demo.town import Gateway, configure
from gateway.storage import Ledger

PARTNERS = 20
CONNECTIONS = 16
"""Of a partner; of the flood as many as may be inside."""
FEW = 2
"""Of each partner for the best throughput: enough in all to fill the commits, too few to be refused."""
FLOOD = 64
PROBES = 10
"""Urgent calls a second, which is what a port of some thousand containers a day makes."""
PROBERS = 5
"""Connections that they are made on."""
SOME = 250
"""Messages a second signed beforehand for each partner's share of the best rate, more than a door takes: those
that are refused are sent again."""
FIRST = 0.25
"""Of the time: for the best throughput."""
PORT = "port"
GOODS = (Goods("84713020", "Portable computers, 14 inches", "CN", 48_000_000, 90, 6),)


class Told(msgspec.Struct):
    """What the generator says of one phase.

    ``accepted``: by partner, and that of the flood last.  ``answers``: by status.  ``kept_back``: due and never
    sent.  ``said_no_ms``: the median time to a refusal.  ``urgent_ms``: the probes' times, sorted.
    """

    seconds: float
    accepted: list[int]
    answers: dict[str, int]
    due: int
    kept_back: int
    said_no_ms: float
    urgent_ms: list[float]
    urgent_wrong: dict[str, int]

    @property
    def rate(self) -> float:
        """Accepted a second."""
        return sum(self.accepted) / self.seconds


def found(root: Path, partners: int) -> Path:
    """A home with so many traders, a flooding one and a port; folders of keys beside it; the home."""
    home = root / "home"
    homes.create(home)
    configure(home, per_minute="")
    path = home / "conf" / "gateway.toml"
    text = path.read_text(encoding="utf-8").replace('per_minute = ""', "per_minute = 1000000")
    # All connections come from one address, as behind a balancer.
    text = text.replace("connections_per_address = 128", "connections_per_address = 2000")
    text = text.replace("handshakes_per_address = 100", "handshakes_per_address = 200")
    path.write_text(text.replace("deliver = true", "deliver = false"), encoding="utf-8")
    ledger = Ledger.open(settings.database_url(home, "sqlite:///ledger.db"), create=True)
    for number in range(partners + 2):
        partner = trader(number) if number <= partners else port()
        subject = homes.issue_partner(home, partner, root / partner.id)
        ledger.put_partner(msgspec.structs.replace(partner, subjects=(subject,)))
    ledger.close()
    return home


def trader(number: int) -> Partner:
    """One of many; the last of them is the flood."""
    return Partner(f"trader{number}", f"Trader {number} Co.", (Role.TRADER,), (f"01001{number:05d}",))


def port() -> Partner:
    """Who has urgent messages."""
    return Partner(PORT, "Deep Water Port", (Role.PORT, Role.TRADER), ("0100199999",))


def piles(root: Path, partners: list[Partner], each: int) -> None:
    """So many signed declarations of each partner, in one file."""
    now = datetime.now(UTC)
    for partner in partners:
        folder = root / partner.id
        key = security.SigningKey.load(folder / "signing.key.pem", folder / "signing.crt.pem")
        pile = []
        for number in range(each):
            plain = papers.declaration(f"O{number:07d}", (partner.name, partner.identifiers[0]), GOODS, now)
            pile.append(security.sign_xml(safexml.parse(plain), key, now))
        (folder / "pile").write_bytes(msgspec.msgpack.encode(pile))


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
        self._pile: list[bytes] = msgspec.msgpack.decode((root / name / "pile").read_bytes())
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
            if body is None or at is None:
                return
            time.sleep(max(0.0, start + at - time.perf_counter()))
            began = time.perf_counter()
            status = wire.post(body)
            self._note(status, body, time.perf_counter() - began)

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
    start = time.perf_counter()
    threads = [
        threading.Thread(target=s.run, args=(wire, start, seconds)) for s in senders for wire in s.wires
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - start
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
    )


def phase(root: Path, address: int, partners: int, seconds: float, rate: float) -> Told:
    """One phase: the load and the probes each in a process of its own, so that neither slows the other."""
    command = [sys.executable, "-m", "bench.overload", "--at", str(address), "--root", str(root)]
    command += ["--partners", str(partners), "--seconds", str(seconds), "--rate", str(rate)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as load:
        probes = subprocess.run([*command, "--probe"], capture_output=True, check=True)
        said, _ = load.communicate()
    if load.returncode:
        raise RuntimeError("the load generator failed")
    told = msgspec.json.decode(said, type=Told)
    times, wrong = msgspec.json.decode(probes.stdout, type=tuple[list[float], dict[str, int]])
    return msgspec.structs.replace(told, urgent_ms=times, urgent_wrong=wrong)


def resident(pid: int) -> float:
    """MiB of memory of the largest of a process and those below it; 0.0 where there is no /proc."""
    largest = 0.0
    for path in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
        except OSError:
            continue  # it has ended
        if pid in (int(fields["Pid"]), int(fields["PPid"])) and "VmHWM" in fields:
            largest = max(largest, int(fields["VmHWM"].split()[0]) / 1024)
    return largest


def measured(root: Path, partners: int, seconds: float, factor: float) -> dict[str, object]:
    """Both phases, and what follows from them."""
    home = found(root, partners)
    traders = [trader(n) for n in range(partners + 1)]
    first = seconds * FIRST
    piles(root, traders, max(50, int(SOME * seconds / partners)))
    piles(root, [port()], int(seconds * PROBES) + 10)
    gateway = Gateway(home)
    try:
        address = int(gateway.wait().rpartition(":")[2])
        spent = [cpu.spent(gateway.pid)]
        best = phase(root, address, partners, first, 0)
        spent.append(cpu.spent(gateway.pid))
        memory = resident(gateway.pid)
        over = phase(root, address, partners, seconds - first, best.rate * factor)
        spent.append(cpu.spent(gateway.pid))
        grown = resident(gateway.pid)
    finally:
        gateway.stop()
    said = figures(best, over, factor, (memory, grown))
    calm, flooded = (spent[1] - spent[0]) / sum(best.accepted), (spent[2] - spent[1]) / sum(over.accepted)
    return {
        **said,
        "spent_us": (calm * 1e6, flooded * 1e6),
        "of_best_spent": calm / flooded if flooded else 0.0,
    }


def figures(best: Told, over: Told, factor: float, memory: tuple[float, float]) -> dict[str, object]:
    """What is told."""
    others, flood = over.accepted[:-1], over.accepted[-1]
    total, urgent = sum(over.accepted), over.urgent_ms
    return {
        "best": best.rate,
        "factor": factor,
        "offered": over.due / over.seconds,
        "sent": (over.due - over.kept_back) / over.seconds,
        "rate": over.rate,
        "of_best": over.rate / best.rate,
        "urgent_p50_ms": urgent[len(urgent) // 2],
        "urgent_p99_ms": urgent[min(len(urgent) - 1, len(urgent) * 99 // 100)],
        "urgent_wrong": over.urgent_wrong,
        "share_flood": flood / total,
        "share_fair": 1 / len(over.accepted),
        "share_least": min(others) / total,
        "share_most": max(others) / total,
        "answers": over.answers,
        "said_no_ms": over.said_no_ms,
        "memory_mib": memory,
    }


def main() -> None:
    """Measure and print; or be one of the generators."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=180)
    arguments.add_argument("--factor", type=float, default=5)
    arguments.add_argument("--partners", type=int, default=PARTNERS)
    arguments.add_argument("--json", action="store_true")
    for name, kind in (("--at", int), ("--root", Path), ("--rate", float)):
        arguments.add_argument(name, type=kind, help=argparse.SUPPRESS)
    arguments.add_argument("--probe", action="store_true", help=argparse.SUPPRESS)
    asked = arguments.parse_args()
    if asked.at and asked.probe:
        print(json.dumps(probe(asked.root, asked.at, time.perf_counter() + 1, asked.seconds - 1)))
        return
    if asked.at:
        told = run(asked.root, asked.at, asked.partners, asked.seconds, asked.rate)
        print(msgspec.json.encode(told).decode())
        return
    root = Path(tempfile.mkdtemp(prefix="cvan-overload-"))
    try:
        said = measured(root, asked.partners, asked.seconds, asked.factor)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    print(json.dumps(said, indent=2) if asked.json else text(said))


def text(said: dict[str, Any]) -> str:
    """As people read it."""
    return (
        "best {best:.0f} accepted/s; {factor:g} times that were due: {offered:.0f}/s; "
        "{sent:.0f}/s were sent\n"
        "accepted {rate:.0f}/s: {of_best:.0%} of the best (goal 90 %)\n"
        "processor time of the gateway for each accepted: {spent_us[0]:.0f} and {spent_us[1]:.0f} us, by which "
        "it would be {of_best_spent:.0%} on a core of its own\n"
        "class A: p50 {urgent_p50_ms:.0f} ms, p99 {urgent_p99_ms:.0f} ms (goal < 1000); "
        "other than 200: {urgent_wrong}\n"
        "shares: fair {share_fair:.1%}; the flood {share_flood:.1%}; the others {share_least:.1%} to {share_most:.1%}\n"
        "answers {answers}; a refusal took {said_no_ms:.0f} ms (median)\n"
        "memory of the largest process: {memory_mib[0]:.0f} MiB at its best, {memory_mib[1]:.0f} MiB after overload"
    ).format(**said)


if __name__ == "__main__":
    main()
