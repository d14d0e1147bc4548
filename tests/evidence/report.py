"""Many bundles of a journey, each verified by its own verify.pyz, and many spoilt ones, each to be found out.

    python -m tests.evidence.report [--bundles 1000] [--mutations 5000] [--json]

The gateway of the journey lived years ago: every certificate has expired.  Each verifier is a process of its
own with nothing but Python's standard library, openssl and xmlsec1.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from gateway.evidence import verify

from .kit import LINE, Stage, stage
from .mutations import flips, repacked, resealed, slack, unfound

LONG_AGO = datetime(2021, 6, 1, 8, 0, tzinfo=UTC)


def journey(made: Stage, count: int) -> list[str]:
    """So many submissions of all kinds."""
    ids = []
    for number in range(count):
        kind = number % 8
        if kind == 5:
            ids.append(made.day(wrong=True))
        elif kind in (6, 7):
            envelope = "multipart/signed" if kind == 6 else "application/pkcs7-mime"
            ids.append(made.submit(*made.manifest(envelope), partner=LINE))
        else:
            ids.append(made.day())
    made.seal(limit=1_000)
    return ids


def verified(path: Path, folder: Path) -> bool:
    """What the bundle's own verifier says, as a process that knows nothing of us."""
    script = folder / "verify.pyz"
    script.write_bytes(verify.unpack(path.read_bytes())["verify.pyz"])
    command = [sys.executable, "-I", "-S", str(script), str(path)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def report(root: Path, bundles: int, mutations: int) -> dict[str, float | int | list[str]]:
    """Figures; ``unverified`` and ``missed`` are to be empty."""
    made = stage(root, f"sqlite:///{root / 'ledger.db'}", LONG_AGO)
    ids = journey(made, bundles)
    unverified, sizes, files = [], 0, []
    making = verifying = 0.0
    for identity in ids:
        path = root / "bundle.zip"
        begun = time.perf_counter()
        path.write_bytes(made.bundle(identity))
        making += time.perf_counter() - begun
        begun = time.perf_counter()
        if not verified(path, root):
            unverified.append(identity)
        verifying += time.perf_counter() - begun
        sizes += path.stat().st_size
        if len(files) < max(1, min(8, bundles // 8)):
            files.append(path.read_bytes())
    chance, missed, tried = random.Random(7), [], 0
    for data in files:
        share = mutations // len(files)
        for spoilt in (
            list(flips(data, chance, share * 8 // 10)),
            list(slack(data)),
            list(repacked(data, chance, share * 2 // 10)),
            list(resealed(data, chance, max(1, share // 100))),
        ):
            tried += len(spoilt)
            missed += unfound(iter(spoilt))
    made.ledger.close()
    return {
        "bundles": len(ids),
        "unverified": unverified,
        "octets each": sizes // len(ids),
        "ms to make one": round(making / len(ids) * 1e3, 1),
        "ms to verify one": round(verifying / len(ids) * 1e3, 1),
        "mutations": tried,
        "missed": missed,
    }


def main() -> None:
    """Run and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--bundles", type=int, default=1_000)
    arguments.add_argument("--mutations", type=int, default=5_000)
    arguments.add_argument("--json", action="store_true")
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="cvan-evidence-") as root:
        figures = report(Path(root), asked.bundles, asked.mutations)
    if asked.json:
        print(json.dumps(figures, indent=2))
    for name, value in () if asked.json else figures.items():
        print(f"{name:18} {len(value) if isinstance(value, list) else value}")
    sys.exit(1 if figures["unverified"] or figures["missed"] else 0)


if __name__ == "__main__":
    main()
