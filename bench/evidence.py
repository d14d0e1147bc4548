"""What the journal costs: the ledger's work on a message with it and without it, against the whole journey.

    python -m bench.evidence [--messages 2000] [--rounds 5]

CPU time of this process, which does what a door and the courier do for one declaration: settle, hand over,
three decisions, acknowledge.  The journey beside it: inspect, draft, sign, as a door does.  Then how long
checkpoints, bundles and the audit take.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from gateway import outbound
from gateway.intake import settlement, work
from gateway.model import Decision, DecisionKind, Submission
from gateway.storage import Ledger, Settlement, attesting
from tests.evidence.kit import AN_PHAT, Stage, stage
from tests.storage.making import recorded

BATCH = 20
"""Settlements in one transaction, as group commit makes them under load."""
DECISIONS = (DecisionKind.REGISTERED, DecisionKind.GREEN, DecisionKind.CLEARED)


def prepared(made: Stage, count: int) -> list[Settlement]:
    """Settlements of one real declaration, each with an id, octets and a reference of its own."""
    body, media_type = made.declaration()
    taken = Submission("x", AN_PHAT.id, "https", media_type, body, "d", made.now)
    worked = work(taken, made.book, made.own, made.numbers, made.now)
    found = []
    for n in range(count):
        own = msgspec.structs.replace(taken, id=f"B{n:09d}", digest=f"{n:064x}")
        one = settlement(own, worked, "clearance", made.now, claim=True)
        verdict = msgspec.structs.replace(one.verdict, claim=f"IM:{n}")
        found.append(msgspec.structs.replace(one, verdict=verdict))
    return found


def lived(ledger: Ledger, settlements: Sequence[Settlement], now: datetime) -> tuple[float, float]:
    """CPU seconds: of a door's ledger work, and of all of it."""
    begun = time.process_time()
    for start in range(0, len(settlements), BATCH):
        ledger.settle(settlements[start : start + BATCH])
    door = time.process_time() - begun
    while due := ledger.claim_due("backend:clearance", "b", now, timedelta(seconds=60), 50):
        ledger.done([d.id for d in due], now)
    ids = [s.submission.id for s in settlements]
    for start in range(0, len(ids), BATCH):
        some = ids[start : start + BATCH]
        ledger.record([recorded(f"D{k}-{i}", f"{i}.1", k) for i in some for k in DECISIONS])
        ledger.acknowledge(AN_PHAT.id, [f"{i}.r" for i in some])
    return door, time.process_time() - begun


def without(run: Callable[[], tuple[float, float]]) -> tuple[float, float]:
    """The same without a journal: nothing is digested, encoded, hashed or stored for it."""
    kept = attesting.attested, attesting.received, attesting.decided, attesting.happened
    nothing = lambda *given, **named: None  # noqa: E731
    attesting.attested = attesting.received = attesting.decided = attesting.happened = nothing
    try:
        return run()
    finally:
        attesting.attested, attesting.received, attesting.decided, attesting.happened = kept


def main() -> None:
    """Run and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--messages", type=int, default=2_000)
    arguments.add_argument("--rounds", type=int, default=5)
    asked = arguments.parse_args()
    root = Path(tempfile.mkdtemp(prefix="cvan-bench-"))
    made = stage(root, f"sqlite:///{root / 'stage.db'}")
    settlements = prepared(made, asked.messages)
    body, media_type = made.declaration()
    taken = Submission("x", AN_PHAT.id, "https", media_type, body, "d", made.now)
    begun = time.process_time()
    for _ in range(200):
        work(taken, made.book, made.own, made.numbers, made.now)
    journey = (time.process_time() - begun) / 200
    answering = _answering(made)
    costs: dict[str, list[float]] = {"door": [], "all": [], "door without": [], "all without": []}
    for number in range(asked.rounds):
        for name, wrap in (("", lambda run: run()), (" without", without)):
            ledger = Ledger.open(f"sqlite:///{root / f'{number}{name.strip()}.db'}", create=True)
            door, everything = wrap(lambda ledger=ledger: lived(ledger, settlements, made.now))
            costs["door" + name].append(door / asked.messages)
            costs["all" + name].append(everything / asked.messages)
    median = {name: statistics.median(found) for name, found in costs.items()}
    door = median["door"] - median["door without"]
    everything = median["all"] - median["all without"]
    whole = journey + len(DECISIONS) * answering + median["all without"]
    print(f"journey in a door {journey * 1e6:7.0f} us, its ledger {median['door without'] * 1e6:5.0f} us")
    print(f"journal in a door {door * 1e6:7.1f} us: {door / (journey + median['door without']):.1%} of both")
    print(
        f"journal in all    {everything * 1e6:7.1f} us, 6 entries: {everything / whole:.1%} of {whole * 1e6:.0f} us"
    )
    _later(made, Ledger.open(f"sqlite:///{root / '0.db'}"), asked.messages)


def _answering(made: Stage) -> float:
    """CPU seconds to draft and sign one decision; customs' own work on it is left aside."""
    identity = made.submit(*made.declaration())
    to = made.ledger.routes([f"{identity}.1"])[f"{identity}.1"]
    taken = Decision("D", f"{identity}.1", DecisionKind.REGISTERED, made.now, "R1")
    about = outbound.About(to.lrn, to.reference, "R1")
    begun = time.process_time()
    for _ in range(100):
        draft = outbound.decision(taken, about, to.route, made.book, "1", made.now)
        outbound.seal(draft, to.route, made.own, made.now)
    return (time.process_time() - begun) / 100


def _later(made: Stage, ledger: Ledger, messages: int) -> None:
    begun = time.perf_counter()
    entries = 0
    while ledger.cover(made.own, datetime.now(UTC)) is not None:
        entries += 1
    covering = time.perf_counter() - begun
    begun = time.perf_counter()
    audited = ledger.audit(lambda breach: None, lambda c, k: "", lambda s: "")
    auditing = time.perf_counter() - begun
    begun = time.perf_counter()
    for n in range(20):
        ledger.gather(f"B{n:09d}")
    gathering = (time.perf_counter() - begun) / 20
    print(
        f"checkpoints       {covering / audited.entries * 1e6:7.1f} us an entry, {audited.checkpoints} in all"
    )
    print(f"audit             {auditing / messages * 1e6:7.0f} us a message")
    print(f"evidence gathered {gathering * 1e3:7.1f} ms a submission")


if __name__ == "__main__":
    main()
