"""What a run found, as a table and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict

from tests.chaos.kinds import CHEAP, SLOW
from tests.chaos.run import Found


def table(found: Found) -> str:
    """For people."""
    lines = [f"{'fault':<28}{'times':>6}{'next receipt':>16}{'carried':>16}"]
    for name in [*(kind.name for kind in SLOW), *CHEAP]:
        times = found.faults.get(name, 0)
        if name in found.skipped:
            lines.append(f"{name:<28}{'-':>6}  skipped: {found.skipped[name]}")
        elif times:
            lines.append(f"{name:<28}{times:>6}{_seconds(found, name, 0):>16}{_seconds(found, name, 1):>16}")
    counted = found.count
    lines += [
        f"{'all faults':<28}{sum(found.faults.values()):>6}",
        "",
        f"acknowledged {counted.acknowledged}, stored {counted.stored}",
        f"declared {counted.declared}, registered {counted.registered}",
        f"decisions {counted.decisions}, answered {counted.answered}",
        f"lost {counted.lost}, doubled {counted.doubled}, unanswered {counted.unanswered}",
        f"longest from a receipt to the push of its registration: {found.pushed:.1f} s",
        f"told to come again: {', '.join(f'{n} x {s}' for s, n in sorted(found.refused.items())) or 'nobody'}",
        f"journal {'whole' if not found.journal else 'BROKEN: ' + found.journal}",
        *(f"an answer took {seconds} s: {what} ({fault})" for seconds, what, fault in found.waits[:8]),
        *counted.examples,
        *(f"wrong: {text}" for text in found.wrong[:20]),
        *(f"late: {text}" for text in found.late[:20]),
        f"{'GOOD' if found.good else 'NOT GOOD'}: {found.order.database}, seed {found.order.seed}, {found.took:.0f} s",
    ]
    return "\n".join(lines)


def _seconds(found: Found, name: str, which: int) -> str:
    took = found.recoveries.get(name, (0.0, 0.0))[which]
    if name in found.bounds:
        return f"{took:.1f} of {found.bounds[name][which]:.0f} s"
    return f"{took:.1f} s" if which == 0 and took else ""


def as_json(found: Found) -> str:
    """For programs."""
    return json.dumps({**asdict(found), "good": found.good}, indent=1)
