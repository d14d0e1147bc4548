"""``python -m tests.drills.failover``: the primary is killed under load, its standby takes over, and all is counted.

Two PostgreSQL servers, two nodes over them, clients that send again what is not acknowledged.  In each round
the line to the standby stands still for a moment, the primary is killed with all of its processes, the
standby is promoted, and later the killed one is rebuilt as the standby of the other.  Then what clients hold
is counted against ledger, office, mailboxes and receiver.  Exit code 1 where anything acknowledged is lost,
doubled or unanswered.  ``--replication asynchronous`` shows what it costs not to wait: there it loses.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

from tests.chaos.databases import AWAY
from tests.chaos.run import Found, Order, Run
from tests.chaos.stage import Stage
from tests.drills.pair import Pair
from tests.postgres import postgres_required

SYNCHRONOUS, ASYNCHRONOUS = "synchronous", "asynchronous"
ROUND_SECONDS = 20.0
"""About what a round takes on a quiet machine."""
QUIET_SECONDS = 3.0
"""Unless told otherwise: load before the first disaster, and after each repair."""
LAG_SECONDS = 2.0
"""So long the line to the standby stands still before the primary dies."""
RETURN_SECONDS = 30.0
"""Within so long from the promotion there has to be a receipt."""


@dataclass
class Outage:
    """One failover, in seconds.  ``promotion``: of the standby; ``silence``: the longest without any
    receipt, while the line stood still or after; ``service``: from the primary's end to the end of that;
    ``rebuild``: until there was a standby again, with the service going on.  ``died``: octets of log that only
    the primary had."""

    promotion: float
    silence: float
    service: float
    died: int
    rebuild: float = 0.0


@dataclass
class Drilled:
    """What came of it."""

    replication: str
    found: Found
    outages: list[Outage] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Nothing lost, doubled or unanswered, and the service came back each time."""
        return self.found.good and bool(self.outages)


class PairStage(Stage):
    """The stage of the chaos, over a primary and its standby."""

    pair: Pair
    synchronous = True

    def _databases(self) -> tuple[str, str]:
        self.pair = Pair(postgres_required(), synchronous=self.synchronous)
        url = self.pair.url(self.pair.primary.create())
        return url, url

    def close(self) -> None:
        """End all of it."""
        super().close()
        self.pair.close()


class WaitingForNobody(PairStage):
    """The same, with commits that do not wait for the standby."""

    synchronous = False


class Drill(Run):
    """A run whose only disasters are failovers."""

    _stage: PairStage

    def __init__(
        self, root: Path, replication: str, rounds: int, seed: int, quiet: float = QUIET_SECONDS
    ) -> None:
        """``quiet``: seconds of load before the first disaster, and after each repair."""
        order = Order("postgresql", faults=0, seconds=0, seed=seed, plants="", pause=0.2, bounded=False)
        super().__init__(order, root, PairStage if replication == SYNCHRONOUS else WaitingForNobody)
        self.drilled = Drilled(replication, self.found)
        self._rounds, self._lull = rounds, quiet

    def drill(self) -> Drilled:
        """All of it."""
        self.go()
        return self.drilled

    def _spoil(self) -> None:
        time.sleep(self._lull)
        for number in range(1, self._rounds + 1):
            self._record.fault = f"failover {number}"
            outage = self._fail_over()
            self.drilled.outages.append(outage)
            time.sleep(self._lull)
            if number < self._rounds:
                outage.rebuild = self._stage.pair.rebuild()
            print(f"{number}/{self._rounds}: {_said(outage)}", file=sys.stderr, flush=True)
            time.sleep(self._lull)

    def _fail_over(self) -> Outage:
        pair = self._stage.pair
        pair.lag(LAG_SECONDS)
        ended = time.monotonic()
        promotion = pair.fail_over()
        promoted = time.monotonic()
        died = pair.died()
        while not (after := [at for at in self._receipts() if at > promoted]):
            if time.monotonic() > promoted + RETURN_SECONDS:
                self._record.problem(f"no receipt for {RETURN_SECONDS:.0f} s after the promotion")
                return Outage(promotion, RETURN_SECONDS, RETURN_SECONDS, died)
            time.sleep(0.02)
        around = sorted(at for at in self._receipts() if ended - 2 * LAG_SECONDS < at <= min(after))
        silence, again = max(
            (later - at, later) for at, later in pairwise([ended - 2 * LAG_SECONDS, *around])
        )
        return Outage(promotion, silence, max(0.0, again - ended), died)

    def _receipts(self) -> list[float]:
        with self._record.lock:
            return [held.at for held in self._record.held.values()]

    def _settle(self) -> None:
        with suppress(*AWAY):
            super()._settle()


def table(drilled: Drilled) -> str:
    """For people."""
    found, counted = drilled.found, drilled.found.count
    lines = [
        f"{drilled.replication} replication, {len(drilled.outages)} failovers, {found.took:.0f} s",
        *(_said(outage) for outage in drilled.outages),
        f"acknowledged {counted.acknowledged}, stored {counted.stored}",
        f"declared {counted.declared}, registered {counted.registered}",
        f"decisions {counted.decisions}, answered {counted.answered}",
        f"lost {counted.lost}, doubled {counted.doubled}, unanswered {counted.unanswered}",
        f"told to come again: {', '.join(f'{n} x {s}' for s, n in sorted(found.refused.items())) or 'nobody'}",
        f"journal {'whole' if not found.journal else 'BROKEN: ' + found.journal}",
        *counted.examples,
        *(f"wrong: {text}" for text in found.wrong[:20]),
        "GOOD" if drilled.good else "NOT GOOD",
    ]
    return "\n".join(lines)


def _said(outage: Outage) -> str:
    rebuilt = f", standby rebuilt in {outage.rebuild:.1f} s" if outage.rebuild else ""
    return (
        f"promoted in {outage.promotion:.1f} s, next receipt {outage.service:.1f} s after the primary's end, "
        f"{outage.silence:.1f} s without a receipt, {outage.died} octets of log died with it{rebuilt}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="failover", description=__doc__)
    parser.add_argument(
        "--seconds", type=float, default=120.0, help="about; decides how many rounds there are"
    )
    parser.add_argument("--replication", choices=(SYNCHRONOUS, ASYNCHRONOUS), default=SYNCHRONOUS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", type=Path, help="leave logs in this folder")
    given = parser.parse_args(arguments)
    folder = given.keep or Path(tempfile.mkdtemp(prefix="cvan-failover-"))
    rounds = max(1, round(given.seconds / ROUND_SECONDS))
    try:
        drilled = Drill(folder, given.replication, rounds, given.seed).drill()
    finally:
        if given.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps({**asdict(drilled), "good": drilled.good}, indent=1) if given.json else table(drilled))
    return 0 if drilled.good else 1


if __name__ == "__main__":
    sys.exit(main())
