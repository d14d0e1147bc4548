"""The whole journey: signed WCO declaration in, durable commit, signed acknowledgement out.

    python -m bench.journey [--seconds 10] [--json]

Everything is on this machine: load generator, gateway, database; TLS is on.  The limit is the sum of
the unavoidable costs of one message on one core (parse, canonicalise, hash, one verify, one XSD
validation, one sign, one durable commit shared by ten), measured in the same run.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from bench import limit
from gateway import handbook as handbooks
from gateway import safexml, security
from gateway.operations import settings
from gateway.operations.demo import papers
from gateway.operations.demo.papers import Goods
from gateway.operations.demo.town import AN_PHAT, Gateway, Town, found
from gateway.storage import Ledger
from tests.postgres import PostgresServer, postgres_binaries

CONNECTIONS = 16
ROUNDS = 3
"""Of each configuration; the machine's speed drifts, so the median of ratios counts."""
PER_SECOND = 1_500
"""Messages signed beforehand for each second: more than the gateway can take."""
GOODS = tuple(
    Goods("84713020", f"Portable computers, model {n}, 14 inches", "CN", 48_000_000, 90, 6) for n in range(6)
)


def document(reference: str) -> bytes:
    """A declaration that is 10 KB once signed."""
    return papers.declaration(reference, (AN_PHAT.name, AN_PHAT.identifiers[0]), GOODS, datetime.now(UTC))


def pile(folder: Path, key: security.SigningKey, count: int) -> None:
    """Signed declarations, each with a reference of its own."""
    folder.mkdir()
    now = datetime.now(UTC)
    for number in range(count):
        signed = security.sign_xml(safexml.parse(document(f"B{number:07d}")), key, now)
        (folder / f"{number:07d}.xml").write_bytes(signed)


def measure(
    root: Path, postgres: PostgresServer | None, processes: int, seconds: float, deliver: bool
) -> dict[str, object]:
    """One gateway under load; its figures and the limit beside it."""
    town = found(root, "https://localhost:1/none")
    urls = ("", "")
    if postgres is not None:
        urls = (postgres.url(postgres.create()), postgres.url(postgres.create()))
    _configure(town, processes, deliver, urls)
    pile(root / "pile", town.key(AN_PHAT), int(seconds * PER_SECOND))
    before = _limit(town, urls[0])
    gateway = Gateway(town.home)
    try:
        port = gateway.wait().rpartition(":")[2]
        command = [sys.executable, "-m", "bench.load", port, str(town.folder(AN_PHAT)), str(root / "pile")]
        done = subprocess.run(
            [*command, str(CONNECTIONS), str(seconds)], capture_output=True, text=True, check=True
        )
    finally:
        gateway.stop()
    figures: dict[str, object] = json.loads(done.stdout)
    after = _limit(town, urls[0])
    figures["limit"] = {name: (before[name] + after[name]) / 2 for name in before}
    figures["ratio"] = float(str(figures["rate"])) * sum(figures["limit"].values())
    return figures


def _round(
    postgres: PostgresServer | None, processes: int, seconds: float, deliver: bool
) -> dict[str, object]:
    root = Path(tempfile.mkdtemp(prefix="cvan-bench-"))
    try:
        return measure(root, postgres, processes, seconds, deliver)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _configure(town: Town, processes: int, deliver: bool, urls: tuple[str, str]) -> None:
    path = town.home / "conf" / "gateway.toml"
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"^processes = \d+", f"processes = {processes}", text, flags=re.MULTILINE)
    text = re.sub(r"^deliver = \w+", f"deliver = {str(deliver).lower()}", text, flags=re.MULTILINE)
    text = re.sub(r"^per_minute = \d+", "per_minute = 1000000", text, flags=re.MULTILINE)
    if urls[0]:
        text = text.replace("sqlite:///ledger.db", urls[0]).replace("sqlite:///clearance.db", urls[1])
        ledger = Ledger.open(settings.database_url(town.home, "sqlite:///ledger.db"))
        there = Ledger.open(urls[0], create=True)
        for partner in ledger.partners():
            there.put_partner(partner)
        ledger.close()
        there.close()
    path.write_text(text, encoding="utf-8")


def _limit(town: Town, postgres: str) -> limit.Costs:
    key, now = town.key(AN_PHAT), datetime.now(UTC)
    signed = [security.sign_xml(safexml.parse(document(f"L{n:04d}")), key, now) for n in range(300)]
    xsd = town.home / "xsd" / "wco" / "goods-declaration.xsd"
    return limit.unavoidable(signed, xsd, signed[0][:2500], postgres)


def _stages(root: Path) -> tuple[limit.Costs, int]:
    town = found(root, "https://localhost:1/none")
    ledger = Ledger.open(settings.database_url(town.home, "sqlite:///ledger.db"))
    book = handbooks.load(town.home, ledger.register())
    ledger.close()
    key = settings.signing_key(town.home, settings.load(town.home))
    signed = security.sign_xml(safexml.parse(document("S")), town.key(AN_PHAT), datetime.now(UTC))
    return limit.stages(signed, book, AN_PHAT.id, key), len(signed)


def main() -> None:
    """Run and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=10)
    arguments.add_argument("--json", action="store_true")
    asked = arguments.parse_args()
    binaries = postgres_binaries()
    postgres = PostgresServer(binaries) if binaries else None
    rows = []
    try:
        for name, server in (("SQLite", None), ("PostgreSQL", postgres)):
            if name == "PostgreSQL" and server is None:
                print("PostgreSQL: not installed, not measured")
                continue
            for processes, deliver in ((1, False), (2, False), (1, True)):
                rounds = sorted(
                    (_round(server, processes, asked.seconds, deliver) for _ in range(ROUNDS)),
                    key=lambda figures: float(str(figures["ratio"])),
                )
                middle = rounds[ROUNDS // 2]
                spread = [round(float(str(r["ratio"])), 2) for r in rounds]
                rows.append(
                    {"database": name, "doors": processes, "delivering": deliver, **middle, "ratios": spread}
                )
                if not asked.json:
                    _print(rows[-1])
    finally:
        if postgres is not None:
            postgres.close()
    root = Path(tempfile.mkdtemp(prefix="cvan-bench-"))
    costs, size = _stages(root)
    shutil.rmtree(root, ignore_errors=True)
    if asked.json:
        print(json.dumps({"rows": rows, "stages_us": {k: v * 1e6 for k, v in costs.items()}}, indent=2))
        return
    total = sum(costs.values())
    print(f"\nstages of the journey in one process, {size:,} octets, RSA-2048 (microseconds, share)")
    for name, cost in costs.items():
        print(f"  {cost * 1e6:8.0f}  {cost / total:5.0%}  {name}")
    print(f"  {total * 1e6:8.0f}         together")


def _print(row: dict[str, object]) -> None:
    costs = row["limit"]
    if not isinstance(costs, dict):
        raise TypeError("the limit is a table")
    ceiling = 1 / sum(costs.values())
    parts = ", ".join(f"{k} {v * 1e6:.0f}" for k, v in costs.items())
    print(
        f"{row['database']:10} {row['doors']} door(s){', back end at work' if row['delivering'] else '':18} "
        f"{row['rate']:7.0f} msg/s  p50 {row['p50_ms']:6.1f} ms  p99 {row['p99_ms']:6.1f} ms  "
        f"{row['ratio']:.2f} of the limit, rounds {row['ratios']} ({ceiling:.0f}/s: {parts} us)"
        + (f"  WRONG: {row['wrong']}" if row["wrong"] else "")
    )


if __name__ == "__main__":
    main()
