"""``python -m tests.attacks``: runs every test of the attack table and prints the table.

Each line: the attack; how many cases of which tests; the findings that refused them; the most processor
time and memory that one case took; calls beyond this machine.  Exit code 1 where a case was not refused.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from typing import Any

import pytest

from tests.attacks.plugin import Cost
from tests.attacks.table import Attack, rows


class Costs:
    """Collects what the tests took."""

    def __init__(self) -> None:
        self.by_test: dict[str, list[Cost]] = defaultdict(list)
        self.failed: set[str] = set()

    def pytest_runtest_logreport(self, report: Any) -> None:
        """One test has run."""
        name = report.nodeid.partition("[")[0]
        if report.failed:
            self.failed.add(name)
        if report.when == "call":
            self.by_test[name] += [Cost(**value) for key, value in report.user_properties if key == "attack"]


def line(row: Attack, costs: Costs) -> str:
    """A row with its figures."""
    if row.elsewhere:
        return f"| {row.name} | does not apply: {row.elsewhere} | | | | |"
    seen = [cost for test in row.tests for cost in costs.by_test[test]]
    names = ", ".join(f"`{test.rpartition('::')[2]}`" for test in row.tests)
    bad = [t for t in row.tests if t in costs.failed or not costs.by_test[t]]
    verdict = (
        "NOT SHOWN: " + ", ".join(bad) if bad else ", ".join(sorted({f for c in seen for f in c.findings}))
    )
    worst = max((c.seconds for c in seen), default=0.0)
    most = max((c.mebibytes for c in seen), default=0.0)
    calls = sum(len(c.called) for c in seen)
    cells = [
        row.name,
        f"{names} ({len(seen)})",
        verdict or "(see test)",
        f"{worst * 1000:.0f}",
        f"{most:.0f}",
    ]
    return f"| {' | '.join(cells)} | {calls} |"


def main() -> int:
    """Run and print."""
    costs = Costs()
    names = sorted({test for row in rows() for test in row.tests})
    code = pytest.main(
        ["-q", "--no-header", "-p", "no:cacheprovider", *sys.argv[1:], *names], plugins=[costs]
    )
    section = ""
    for row in rows():
        if row.section != section:
            section = row.section
            print(f"\n## {section}\n\n| attack | tests (cases) | refused with | ms | MiB | calls out |")
            print("|---|---|---|---|---|---|")
        print(line(row, costs))
    shown = [row for row in rows() if row.tests]
    bad = sum(1 for row in shown if any(t in costs.failed or not costs.by_test[t] for t in row.tests))
    cases = sum(map(len, costs.by_test.values()))
    print(f"\n{len(shown)} attacks in {cases} cases: {len(shown) - bad} refused, {bad} not shown")
    return 1 if bad or code else 0


if __name__ == "__main__":
    sys.exit(main())
