"""More than the gateway can take: what it still does, for whom, and how soon it says no.

    python -m bench.overload [--seconds 180] [--factor 5] [--partners 20] [--quick] [--json]

One door over SQLite on this machine, and the load generator beside it, each on cores of its own where there are
two or more.  First the best throughput is taken: many partners, each sending the next message when it has the
answer to the last.  Then so many times that is offered: messages are due at times of their own (a Poisson
process), those of one partner, the flood, as many as of all the others; nobody heeds Retry-After.  Then the best
again: a machine that does other things is not the same for three minutes, and the mean of before and after counts.
A port asks beside them, ten times a second by turns, for its mailbox and with an urgent message of its own.  What
is due while every connection of its partner waits for an answer counts as kept back: HTTP/1.1 can send no more.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from bench import cpu
from bench.overload_load import PORT, PROBES, Told
from gateway import safexml, security
from gateway.model import Partner, Role
from gateway.operations import home as homes
from gateway.operations import settings
from gateway.operations.demo import papers
from gateway.operations.demo.papers import Goods
from gateway.operations.demo.town import Gateway, configure
from gateway.storage import Ledger

PARTNERS = 20
BEGIN_SECONDS = 90.0
"""For the gateway to begin, on a machine that does much else."""
SECONDS, QUICK_SECONDS = 180.0, 20.0
SOME = 700
"""Messages a second signed beforehand for each partner's share of the best rate, more than a door takes: those
that are refused are sent again."""
WARMING = 3.0
"""Seconds of load before anything counts: connections and caches are made."""
FIRST = 0.125
"""Of the time, for the best throughput before; as much after."""
GOODS = (Goods("84713020", "Portable computers, 14 inches", "CN", 48_000_000, 90, 6),)


class Cores(msgspec.Struct, frozen=True):
    """Who runs where."""

    gateway: frozenset[int]
    load: frozenset[int]


def cores(have: frozenset[int]) -> Cores:
    """Half of them for each; a single one for both."""
    ordered = sorted(have)
    half = len(ordered) // 2
    return Cores(frozenset(ordered[:half]), frozenset(ordered[half:])) if half else Cores(have, have)


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


def phase(root: Path, address: int, partners: int, seconds: float, rate: float) -> Told:
    """One phase: the load and the probes each in a process of its own, so that neither slows the other."""
    command = [sys.executable, "-m", "bench.overload_load", str(address), str(root), str(partners)]
    command += [str(seconds), str(rate)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as load:
        probes = subprocess.run([*command, "--probe"], capture_output=True, check=True)
        said, _ = load.communicate()
    if load.returncode:
        raise RuntimeError("the load generator failed")
    told = msgspec.json.decode(said, type=Told)
    times, wrong = msgspec.json.decode(probes.stdout, type=tuple[list[float], dict[str, int]])
    return msgspec.structs.replace(told, urgent_ms=times, urgent_wrong=wrong)


class Phase(msgspec.Struct, frozen=True):
    """What the generator says, seconds of the gateway's processor time, and the share of its cores that other
    programs had."""

    told: Told
    spent: float
    others: float

    @property
    def rate(self) -> float:
        """Accepted a second of the cores that other programs left."""
        return self.told.rate / max(0.05, 1 - self.others)


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


def measured(
    root: Path, partners: int, seconds: float, factor: float, warming: float = WARMING, some: int = SOME
) -> dict[str, Any]:
    """All phases, and what follows from them.  ``warming``: seconds; ``some``: as SOME."""
    home = found(root, partners)
    traders = [trader(n) for n in range(partners + 1)]
    piles(root, traders, max(50, int(some * seconds / partners)))
    piles(root, [port()], int((seconds + warming) * PROBES) + 10)
    before = frozenset(os.sched_getaffinity(0))
    chosen = cores(before)
    os.sched_setaffinity(0, chosen.gateway)
    gateway = Gateway(home)  # and what it begins runs where this process does at the moment
    os.sched_setaffinity(0, chosen.load)
    try:
        address = int(gateway.wait(BEGIN_SECONDS).rpartition(":")[2])

        def one(some: float, rate: float) -> Phase:
            began, idle = cpu.spent(gateway.pid), cpu.idle(chosen.gateway)
            told = phase(root, address, partners, some, rate)
            spent, idle = cpu.spent(gateway.pid) - began, cpu.idle(chosen.gateway) - idle
            others = max(0.0, 1 - (spent + idle) / told.seconds / len(chosen.gateway))
            return Phase(told, spent, others)

        one(warming, 0)
        first = one(seconds * FIRST, 0)
        memory = resident(gateway.pid)
        over = one(seconds * (1 - 2 * FIRST), first.told.rate * factor)
        grown = resident(gateway.pid)
        last = one(seconds * FIRST, 0)
    finally:
        gateway.stop()
        os.sched_setaffinity(0, before)
    return figures((first, last), over, factor, (memory, grown))


def figures(
    best: tuple[Phase, Phase], over: Phase, factor: float, memory: tuple[float, float]
) -> dict[str, Any]:
    """What is told."""
    told = over.told
    others, flood = told.accepted[:-1], told.accepted[-1]
    total, urgent = sum(told.accepted), told.urgent_ms
    calm = sum(p.spent for p in best) / sum(sum(p.told.accepted) for p in best)
    rate = sum(p.told.rate for p in best) / len(best)
    refused = sum(count for status, count in told.answers.items() if status not in ("0", "200"))
    on_refusals = max(0.0, over.spent - total * calm)
    return {
        "best": rate,
        "bests": [p.told.rate for p in best],
        "factor": factor,
        "offered": told.due / told.seconds,
        "sent": (told.due - told.kept_back) / told.seconds,
        "rate": told.rate,
        "of_best": told.rate / rate,
        "of_best_left": over.rate * len(best) / sum(p.rate for p in best),
        "urgent_p50_ms": urgent[len(urgent) // 2],
        "urgent_p99_ms": urgent[min(len(urgent) - 1, len(urgent) * 99 // 100)],
        "urgent_wrong": told.urgent_wrong,
        "share_flood": flood / total,
        "share_fair": 1 / len(told.accepted),
        "share_least": min(others) / total,
        "share_most": max(others) / total,
        "answers": told.answers,
        "said_no_ms": told.said_no_ms,
        "handshakes": told.handshakes,
        "dry": told.dry + sum(p.told.dry for p in best),
        "memory_mib": memory,
        "spent_us": (calm * 1e6, over.spent / total * 1e6),
        "of_best_spent": calm * total / over.spent if over.spent else 0.0,
        "refusal_us": on_refusals / refused * 1e6 if refused else 0.0,
        "refusals_share": on_refusals / over.spent if over.spent else 0.0,
        "busy": [p.spent / p.told.seconds for p in (best[0], over, best[1])],
        "others": [p.others for p in (best[0], over, best[1])],
        "load_busy": [p.told.spent / p.told.seconds for p in (best[0], over, best[1])],
    }


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=SECONDS)
    arguments.add_argument("--factor", type=float, default=5)
    arguments.add_argument("--partners", type=int, default=PARTNERS)
    arguments.add_argument("--quick", action="store_true", help=f"{QUICK_SECONDS:.0f} seconds")
    arguments.add_argument("--json", action="store_true")
    asked = arguments.parse_args()
    seconds = QUICK_SECONDS if asked.quick else asked.seconds
    print(f"about {seconds * 1.4 / 60 + 0.5:.1f} minutes", file=sys.stderr)
    root = Path(tempfile.mkdtemp(prefix="cvan-overload-"))
    try:
        said = measured(root, asked.partners, seconds, asked.factor)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    print(json.dumps(said, indent=2) if asked.json else text(said))


def text(said: dict[str, Any]) -> str:
    """As people read it."""
    return (
        "best {best:.0f} accepted/s ({bests[0]:.0f} before, {bests[1]:.0f} after); {factor:g} times that were due: "
        "{offered:.0f}/s; {sent:.0f}/s were sent\n"
        "accepted {rate:.0f}/s: {of_best:.0%} of the best (goal 90 %); {of_best_left:.0%} by what others left of its "
        "cores\n"
        "processor time of the gateway for each accepted: {spent_us[0]:.0f} and {spent_us[1]:.0f} us, by which "
        "it would be {of_best_spent:.0%} on a core of its own\n"
        "of that {refusals_share:.0%} for refusals, {refusal_us:.0f} us each; {handshakes} handshakes\n"
        "cores before, in and after the overload: the gateway {busy[0]:.2f}, {busy[1]:.2f}, {busy[2]:.2f}; other "
        "programs on its own {others[0]:.0%}, {others[1]:.0%}, {others[2]:.0%}; the load {load_busy[0]:.2f}, "
        "{load_busy[1]:.2f}, {load_busy[2]:.2f}\n"
        "class A: p50 {urgent_p50_ms:.0f} ms, p99 {urgent_p99_ms:.0f} ms (goal < 1000); "
        "other than 200: {urgent_wrong}\n"
        "shares: fair {share_fair:.1%}; the flood {share_flood:.1%}; the others {share_least:.1%} to {share_most:.1%}\n"
        "answers {answers}; a refusal took {said_no_ms:.0f} ms (median)\n"
        "memory of the largest process: {memory_mib[0]:.0f} MiB at its best, {memory_mib[1]:.0f} MiB after overload\n"
        "partners that had nothing left to send: {dry} (else than 0: no measurement)"
    ).format(**said)


if __name__ == "__main__":
    main()
