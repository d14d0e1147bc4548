"""How many nodes, how much disk, memory and network a traffic takes, by measured figures.

    python -m bench.capacity [--declarations 700000] [--messages 5] [--peak-share 0.15] [--years 10]
                             [--year YEAR.json] [--json]

The figures are those of bench/capacity.toml, or of a run: ``python -m bench.year --database postgresql --json`` on
the machine that is planned with.  A core counts as one core of that machine.  What is asked for is the fullest hour
of the worst day; the year's total (``--a-year``) decides the disk.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.watch import SUPERVISOR, WORKER
from bench.year_report import Year

MEASURED = Path(__file__).with_name("capacity.toml")
FULL = 0.6
"""Of a core's time that is planned with: what is more makes everything wait, and leaves nothing for a restart."""
OUTAGE_HOURS = 16
GB = 1e9
TLS_SHARE = 0.05
"""Octets that TLS, TCP and IP add to what is carried."""
HEAD_OCTETS = 900
"""Of a request and its response: HTTP's fields, in and out together."""


class Cost(msgspec.Struct, frozen=True):
    """Of one declaration with all that belongs to it, measured.

    Microseconds of processor time: ``door_us``, ``courier_us``, ``database_us``.  Octets: ``body`` in, ``sent``
    out, ``database`` kept, ``wal`` of PostgreSQL's log.  ``messages``: in and out.  MiB: ``door_mib``,
    ``courier_mib``, ``worker_mib`` of a process at most.
    """

    door_us: float
    courier_us: float
    database_us: float
    body: float
    sent: float
    database: float
    wal: float
    messages: float
    door_mib: float
    courier_mib: float
    worker_mib: float
    machine: str = ""


class Traffic(msgspec.Struct, frozen=True):
    """``declarations`` of the worst day, ``peak_share`` of them in its fullest hour, each with so many
    ``messages``; ``a_year``: declarations of a whole year; ``online`` and ``years``: years in the database, and in
    all, the rest in archives."""

    declarations: int = 700_000
    messages: float = 5.0
    peak_share: float = 0.15
    a_year: int = 11_000_000
    online: float = 5.0
    years: float = 10.0


class Plan(msgspec.Struct, frozen=True):
    """What it takes.  Rates are of the fullest hour; ``nodes`` are those that carry it and one more."""

    declarations_a_second: float
    messages_a_second: float
    door_cores: float
    courier_cores: float
    database_cores: float
    doors: int
    nodes: int
    cores_a_node: int
    memory_a_node_gib: float
    network_mbit: float
    wal_mb_a_second: float
    wal_gb_a_day: float
    database_gb_a_year: float
    database_gb: float
    archive_gb: float
    behind_hours: float


def plan(traffic: Traffic, cost: Cost, cores_a_node: int = 8) -> Plan:
    """Raises ValueError where a node has too few cores for a door and the couriers, or so little comes in the
    fullest hour that it is none."""
    if traffic.peak_share * 24 < 1:
        raise ValueError("the fullest hour has at least a twenty-fourth of its day")
    if min(traffic.declarations, traffic.messages, traffic.a_year, traffic.online, traffic.years) <= 0:
        raise ValueError("declarations, messages and years are more than none")
    if traffic.peak_share > 1:
        raise ValueError("the fullest hour has at most all of its day: a share of 0.15 is 15 %")
    if cores_a_node < 2:
        raise ValueError("a node takes two cores: a door's, and the couriers'")
    a_second = traffic.declarations * traffic.peak_share / 3_600
    # Costs were measured at so many messages a declaration; more of them cost more alike.
    more = traffic.messages / cost.messages
    door, courier, database = (
        a_second * us * more / 1e6 / FULL for us in (cost.door_us, cost.courier_us, cost.database_us)
    )
    doors = max(1, math.ceil(door))
    carrying = max(1, math.ceil((door + courier) / cores_a_node), math.ceil(courier))
    nodes = carrying + 1
    doors_a_node = max(1, math.ceil(doors / carrying))
    memory = cost.courier_mib + doors_a_node * (cost.door_mib + cost.worker_mib)
    octets = (cost.body + cost.sent) * more + HEAD_OCTETS * traffic.messages
    kept = cost.database * more
    online = min(traffic.online, traffic.years)
    return Plan(
        declarations_a_second=a_second,
        messages_a_second=a_second * traffic.messages,
        door_cores=door,
        courier_cores=courier,
        database_cores=database,
        doors=doors,
        nodes=nodes,
        cores_a_node=cores_a_node,
        memory_a_node_gib=memory / 1024,
        network_mbit=a_second * octets * (1 + TLS_SHARE) * 8 / 1e6,
        wal_mb_a_second=a_second * cost.wal * more / 1e6,
        wal_gb_a_day=traffic.declarations * cost.wal * more / GB,
        database_gb_a_year=traffic.a_year * kept / GB,
        database_gb=traffic.a_year * kept * online / GB,
        archive_gb=traffic.a_year * (cost.body + cost.sent) * more * (traffic.years - online) / GB,
        behind_hours=_behind(traffic),
    )


def _behind(traffic: Traffic) -> float:
    """Hours to carry what OUTAGE_HOURS of the worst day left, while it goes on: what carries the fullest hour at
    FULL of its time carries more by 1 / FULL at all of it."""
    hourly = traffic.declarations / 24
    able = traffic.declarations * traffic.peak_share / FULL
    return OUTAGE_HOURS * hourly / (able - hourly)


def measured(path: Path = MEASURED) -> Cost:
    """The figures that come with the bench."""
    return msgspec.convert(tomllib.loads(path.read_text("utf-8")), Cost)


def of_year(year: Year) -> Cost:
    """Those of a played year.  Raises ValueError where it was not good: what loses messages is no measure."""
    if not year.good:
        raise ValueError("the year lost, doubled or left unanswered something")
    cost, mib = year.figures, 1024 * 1024
    doors = [held for role, held in year.processes.items() if role.startswith("door")]
    return Cost(
        cost.door_us,
        cost.courier_us,
        cost.database_us,
        cost.body,
        cost.sent,
        cost.ledger + cost.office,
        cost.wal,
        cost.messages,
        max(held.largest for held in doors) / mib,
        year.processes[SUPERVISOR].largest / mib,
        year.processes[WORKER].largest / mib,
    )


def text(said: Plan, asked: Traffic) -> str:
    """As people read it."""
    lines = (
        f"{asked.declarations} declarations on the worst day, {asked.peak_share:.0%} of them in its fullest hour, "
        f"{asked.messages:g} messages each:",
        f"  {said.declarations_a_second:.1f} declarations/s, {said.messages_a_second:.0f} messages/s",
        f"  cores at {FULL:.0%}: doors {said.door_cores:.1f}, couriers {said.courier_cores:.1f}, database "
        f"{said.database_cores:.1f}",
        f"  {said.nodes} nodes of {said.cores_a_node} cores (one of them to spare), {said.doors} doors in all; "
        f"{said.memory_a_node_gib:.1f} GiB of memory for a node's processes",
        f"  network {said.network_mbit:.0f} Mbit/s; log {said.wal_mb_a_second:.1f} MB/s, {said.wal_gb_a_day:.0f} GB "
        "on that day",
        f"  after {OUTAGE_HOURS} hours without a back end on such a day: carried in {said.behind_hours:.1f} h",
        f"{asked.a_year} declarations a year: database {said.database_gb_a_year:.0f} GB a year, "
        f"{said.database_gb:.0f} GB for {asked.online:g} years, archives {said.archive_gb:.0f} GB for the rest of "
        f"{asked.years:g}",
    )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Plan."""
    parser = argparse.ArgumentParser(
        prog="capacity", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    usual = Traffic()
    parser.add_argument("--declarations", type=int, default=usual.declarations, help="of the worst day")
    parser.add_argument(
        "--messages", type=float, default=usual.messages, help="of a declaration, itself included"
    )
    parser.add_argument(
        "--peak-share", type=float, default=usual.peak_share, help="of that day in its fullest hour"
    )
    parser.add_argument("--a-year", type=int, default=usual.a_year, help="declarations of a year")
    parser.add_argument("--online", type=float, default=usual.online, help="years in the database")
    parser.add_argument("--years", type=float, default=usual.years, help="in all, the rest in archives")
    parser.add_argument("--cores", type=int, default=8, help="of a node")
    parser.add_argument("--year", type=Path, help="what bench.year --json said")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    traffic = Traffic(
        given.declarations, given.messages, given.peak_share, given.a_year, given.online, given.years
    )
    try:
        cost = of_year(msgspec.json.decode(given.year.read_bytes(), type=Year)) if given.year else measured()
    except (OSError, ValueError) as error:
        parser.error(f"--year: {error}")
    try:
        said = plan(traffic, cost, given.cores)
    except ValueError as error:
        parser.error(str(error))
    print(json.dumps(msgspec.to_builtins(said), indent=2) if given.json else text(said, traffic))
    return 0


if __name__ == "__main__":
    sys.exit(main())
