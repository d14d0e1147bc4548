"""The register at its full size: look-ups, start, memory, what one change costs, and the journey beside it.

    python -m bench.register [--partners 100000] [--mandates 1000000] [--rounds 15] [--postgresql] [--json]

The journey is measured with ten partners and with all of them in the same process, turn by turn: a VAN
files what a trader signed, by a mandate, and settles it.  The ratio of the two is what size costs.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from gateway import safexml, security
from gateway.intake import Numbers, settlement, work
from gateway.model import Answer, Credential, Form, Mandate, Partner, Register, Role, Signer, Submission, Use
from gateway.operations.demo import papers
from gateway.storage import Ledger
from tests.operations.knowledge import LAPTOPS, TRADER, VAN, World
from tests.postgres import PostgresServer, postgres_binaries

AT_ONCE = 1_000
MESSAGES = 60
"""Messages of one turn of the journey."""
LOOKUPS = 50_000
SEED = 20261122
KINDS = (("IM",), ("EX",), ("IM", "EX"), ("IM", "EX", "TRT"), ())
OFFICES = ((), (), ("18A3",), ("02CI", "02CX"), ("18A3", "18B1", "18BC"))


def partners(count: int) -> Iterator[Partner]:
    """Traders, and an agent for each fifty of them; each with a certificate of its own."""
    ends = datetime.now(UTC) + timedelta(days=400)
    for n in range(count):
        name = f"CN=Công ty TNHH Thương mại và Dịch vụ {n},O=p{n:06d},C=VN"
        own = Credential(digest(n), (Use.TLS, Use.SIGN), subject=name, expires_at=ends)
        role = Role.VAN if n % 50 == 0 else Role.TRADER
        yield Partner(
            f"p{n:06d}",
            f"Công ty TNHH Thương mại và Dịch vụ {n}",
            (role,),
            (f"{n:010d}",),
            (name,),
            credentials=(own,),
        )


def mandates(count: int, of: int) -> Iterator[Mandate]:
    """Of agents for traders, some ended, in a few hundred combinations of terms."""
    now, chance = datetime.now(UTC), random.Random(SEED)
    for n in range(count):
        agent, principal = chance.randrange(of) // 50 * 50, chance.randrange(of)
        if agent == principal:
            principal = (principal + 1) % of
        yield Mandate(
            f"p{agent:06d}.p{principal:06d}.{n:08x}",
            f"p{agent:06d}",
            f"p{principal:06d}",
            chance.choice(KINDS),
            now - timedelta(days=chance.randrange(900)),
            now + timedelta(days=chance.randrange(900)) if n % 3 else None,
            now - timedelta(days=chance.randrange(300)) if n % 10 == 0 else None,
            chance.choice(OFFICES),
            chance.choice(tuple(Form)),
        )


def digest(n: int) -> str:
    return hashlib.sha256(str(n).encode()).hexdigest()


def batches(values: Iterator[Partner] | Iterator[Mandate]) -> Iterator[Sequence[Partner | Mandate]]:
    while batch := list(itertools.islice(values, AT_ONCE)):
        yield batch


def filled(url: str, world: World, many_partners: int, many_mandates: int) -> float:
    """Put everything into the ledger; the seconds that took."""
    ledger = Ledger.open(url, create=True)
    began = time.perf_counter()
    ledger.put_all(lambda: batches(iter(world.partners.values())))
    ledger.put_all(lambda: batches(partners(many_partners)))
    ledger.put_all(lambda: batches(mandates(many_mandates, many_partners)))
    ledger.put_mandate(Mandate("the-one", VAN.id, TRADER.id, ("IM",)))
    took = time.perf_counter() - began
    ledger.close()
    return took


STARTING = """
import json, os, resource, sys, time
from pathlib import Path
from gateway import handbook
from gateway.storage import Ledger
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
root, url = Path(sys.argv[1]), sys.argv[2]
handbook.load(root)
ledger = Ledger.open(url)
before, began, worked = resident(), time.perf_counter(), time.process_time()
register = ledger.register()
told = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - worked}
told |= {"mandates": register.mandate_count}
told |= {"before_mb": before, "after_mb": resident()}
told["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
print(json.dumps(told))
"""


def started(root: Path, url: str) -> dict[str, float]:
    """A process that loads all knowledge, then the register, as a door does."""
    done = subprocess.run(
        [sys.executable, "-c", STARTING, str(root), url], capture_output=True, text=True, check=True
    )
    told: dict[str, float] = json.loads(done.stdout)
    return told


def lookups(register: Register, many: int, mandated: Sequence[Mandate]) -> dict[str, float]:
    """Microseconds of each kind of look-up, at random over the whole register."""
    chance, now = random.Random(SEED), datetime.now(UTC)
    numbers = [chance.randrange(many) for _ in range(LOOKUPS)]
    at_work = [chance.randrange(2_000) for _ in range(LOOKUPS)]
    signers = [Signer(f"CN={n}", "CN=CA", "01", digest(n), "ed25519") for n in range(2_000)]
    pairs = [chance.choice(mandated) for _ in range(LOOKUPS)]
    fingerprints = [digest(n) for n in numbers]
    identifiers = [f"{n:010d}" for n in numbers]
    return {
        "signer by certificate, at work": timed(lambda i: register.by_signer(signers[at_work[i]], now)),
        "signer by certificate, any": timed(
            lambda i: register.by_certificate(Use.SIGN, "CN=x", fingerprints[i], now)
        ),
        "declarant by tax code, any": timed(lambda i: register.by_identifier(identifiers[i])),
        "mandate of a pair": timed(lambda i: next(register.between(pairs[i].agent, pairs[i].principal))),
        "no mandate": timed(lambda i: next(register.between(pairs[i].agent, "p000001"), None)),
    }


def timed(look: Callable[[int], object]) -> float:
    """Of the processor's time: what else runs on the machine does not count."""
    began = time.process_time()
    for i in range(LOOKUPS):
        look(i)
    return (time.process_time() - began) / LOOKUPS * 1e6


def journeys(
    world: World, large: Register, ledgers: Sequence[Ledger], rounds: int
) -> tuple[float, list[float]]:
    """(median ratio of the large register's speed to the small one's, messages a second of each)."""
    small = ledgers[0].register()
    books = [world.handbook.with_register(register) for register in (small, large)]
    now = datetime.now(UTC)
    trader = (TRADER.name, TRADER.identifiers[0])
    turns = rounds * MESSAGES * 2
    bodies = [
        security.sign_xml(
            safexml.parse(papers.declaration(f"B{n:06d}", trader, LAPTOPS, now)), world.keys[TRADER.id], now
        )
        for n in range(turns)
    ]
    numbers = [Numbers(ledger) for ledger in ledgers]
    left = iter(bodies)
    speeds: list[list[float]] = [[], []]
    for turn in range(rounds):
        for which in (0, 1) if turn % 2 else (1, 0):
            some = [world.submission(next(left), by=VAN) for _ in range(MESSAGES)]
            began = time.perf_counter()
            for submission in some:
                taken(submission, books[which], world, ledgers[which], numbers[which])
            speeds[which].append(MESSAGES / (time.perf_counter() - began))
    ratios = [b / a for a, b in zip(*speeds, strict=True)]
    return statistics.median(ratios), [statistics.median(s) for s in speeds]


def taken(submission: Submission, book: object, world: World, ledger: Ledger, numbers: Numbers) -> None:
    """One message, from its octets to its commit."""
    now = datetime.now(UTC)
    worked = work(submission, book, world.own, numbers.take, now)  # type: ignore[arg-type]
    (answer,) = ledger.settle([settlement(submission, worked, "clearance", now, claim=True)])
    if not isinstance(answer, Answer) or answer.outcome != "accepted":
        raise RuntimeError(f"not accepted: {answer}, {worked.verdict.findings}")


def changed(ledger: Ledger, register: Register) -> dict[str, float]:
    """Milliseconds from one change to a register that has it, and of a look that finds none."""
    found: dict[str, float] = {}
    ledger.revoke_mandate("the-one", datetime.now(UTC) + timedelta(days=1))
    for name in ("one change", "no change"):
        began = time.perf_counter()
        register = ledger.refreshed(register)
        found[name] = (time.perf_counter() - began) * 1e3
    return found


def measure(name: str, url: str, small: str, asked: argparse.Namespace, root: Path) -> dict[str, object]:
    """Everything about one database."""
    world = World(Path(tempfile.mkdtemp(dir=root)))
    put = filled(url, world, asked.partners, asked.mandates)
    filled(small, world, 10, 10)
    begun = started(Path(__file__).resolve().parents[1], url)
    ledgers = [Ledger.open(small), Ledger.open(url)]
    large = ledgers[1].register()
    some = [m for m, _ in zip(mandates(2_000, asked.partners), range(2_000), strict=False)]
    looked = lookups(large, asked.partners, some)
    ratio, speeds = journeys(world, large, ledgers, asked.rounds)
    change = changed(ledgers[1], large)
    for ledger in ledgers:
        ledger.close()
    return {
        "database": name,
        "put_seconds": put,
        "start": begun,
        "lookups_us": looked,
        "refresh_ms": change,
        "journeys_per_second": speeds,
        "ratio": ratio,
    }


def main() -> None:
    """Run and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--partners", type=int, default=100_000)
    arguments.add_argument("--mandates", type=int, default=1_000_000)
    arguments.add_argument("--rounds", type=int, default=15)
    arguments.add_argument("--postgresql", action="store_true")
    arguments.add_argument("--json", action="store_true")
    asked = arguments.parse_args()
    root = Path(tempfile.mkdtemp(prefix="cvan-bench-"))
    found = []
    try:
        urls = [("SQLite", f"sqlite:///{root / 'large.db'}", f"sqlite:///{root / 'small.db'}")]
        server: PostgresServer | None = None
        binaries = postgres_binaries()
        if asked.postgresql and binaries is not None:
            server = PostgresServer(binaries)
            urls.append(("PostgreSQL", server.url(server.create()), server.url(server.create())))
        for name, url, small in urls:
            found.append(measure(name, url, small, asked, root))
            if not asked.json:
                told(found[-1], asked)
        if server is not None:
            server.close()
    finally:
        shutil.rmtree(root, ignore_errors=True)
    if asked.json:
        print(json.dumps(found, indent=2))


def told(figures: dict[str, object], asked: argparse.Namespace) -> None:
    """For a person."""
    start = msgspec.convert(figures["start"], dict[str, float])
    print(f"{figures['database']}: {asked.partners:,} partners, {asked.mandates:,} mandates")
    print(f"  put in {float(str(figures['put_seconds'])):.0f} s")
    print(
        f"  read in {start['seconds']:.1f} s ({start['cpu_seconds']:.1f} s of the processor); "
        f"a process holds {start['after_mb']:.0f} MB, "
        f"{start['after_mb'] - start['before_mb']:.0f} MB of it the register; peak {start['peak_mb']:.0f} MB"
    )
    for name, cost in msgspec.convert(figures["lookups_us"], dict[str, float]).items():
        print(f"  {cost:6.2f} us  {name}")
    for name, cost in msgspec.convert(figures["refresh_ms"], dict[str, float]).items():
        print(f"  {cost:6.2f} ms  refresh after {name}")
    few, many = msgspec.convert(figures["journeys_per_second"], list[float])
    print(f"  journeys: {few:.0f}/s with ten partners, {many:.0f}/s with all: ratio {figures['ratio']:.3f}")


if __name__ == "__main__":
    main()
