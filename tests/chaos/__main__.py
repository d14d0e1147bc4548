"""``python -m tests.chaos``: exit code 1 where anything was lost, doubled, unanswered, wrong or late."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos import report
from tests.chaos.run import Order, Run


def main() -> int:
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--faults", type=int, default=2_000)
    parser.add_argument("--seconds", type=float, default=1_000.0, help="for the slow faults, about")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--seed", type=int, default=None, help="to have the same decisions again")
    parser.add_argument("--pause", type=float, default=0.8, help="seconds between two papers of a client")
    parser.add_argument("--only", action="append", default=[], help="of the slow faults, this kind")
    parser.add_argument("--plant", default="poison", help="what launch/sitecustomize.py plants")
    parser.add_argument(
        "--durable", default="yes", help="'lie' for a disk that loses what it was told to keep"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", type=Path, help="leave databases and logs in this folder")
    given = parser.parse_args()
    seed = random.randrange(1 << 32) if given.seed is None else given.seed
    print(f"seed {seed}", file=sys.stderr)
    order = Order(
        given.database,
        given.faults,
        given.seconds,
        seed,
        given.plant,
        given.durable,
        given.pause,
        tuple(given.only),
    )
    folder = given.keep or Path(tempfile.mkdtemp(prefix="cvan-chaos-"))
    try:
        found = Run(order, folder).go()
    finally:
        if given.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    print(report.as_json(found) if given.json else report.table(found))
    return 0 if found.good else 1


if __name__ == "__main__":
    sys.exit(main())
