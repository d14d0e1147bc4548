"""The kinds of faults: how many of each, what one costs, how soon everything must go on after it."""

from __future__ import annotations

import random
from dataclasses import dataclass

BOTH = ("sqlite", "postgresql")
TAKEOVER = 5.0
"""Seconds after which what a dead process had under way is taken over by one that lives."""
AT_ONCE = 5.0
"""Seconds to the next receipt where a process that can give one lives."""
EACH = 0.04
"""Seconds more to carry for each that was under way at the fault, on a machine that has nothing to spare: that is
no takeover, but a backlog."""
BEGUN = 45.0
"""Seconds to the next receipt where a process must begin first: on a quiet core 3, on a busy one 20."""


@dataclass(frozen=True)
class Kind:
    """One kind of fault.

    ``seconds``: what one takes, its recovery included; 0: it is made by the clients as they go, as many as
    are wanted.  ``weight``: of the kinds that take time.  ``answers``: seconds, from its end, to the next
    receipt; ``carried``: from that to the last registration of what was acknowledged before it.
    ``elsewhere``: another node, where there is one, answers AT_ONCE, and has taken over what was under way
    ``carried`` seconds after the fault.
    """

    name: str
    seconds: float = 0.0
    weight: int = 1
    answers: float = AT_ONCE
    carried: float = TAKEOVER
    databases: tuple[str, ...] = BOTH
    preloaded: bool = False
    elsewhere: bool = False


SLOW = (
    Kind("node killed", 11, 5, BEGUN, elsewhere=True),
    Kind("supervisor killed", 11, 3, BEGUN, elsewhere=True),
    Kind("door killed", 6, 6, BEGUN, elsewhere=True),
    Kind("worker killed", 3, 6, BEGUN),
    Kind("worker without memory", 4, 3, BEGUN),
    Kind("poison message", 15, 2, BEGUN),
    Kind("database killed", 8, 6, databases=("postgresql",)),
    Kind("power cut", 12, 3, BEGUN, databases=("sqlite",), preloaded=True),
    Kind("disk full", 6, 4, AT_ONCE, preloaded=True),
    Kind("disk read-only", 6, 4, AT_ONCE, databases=("sqlite",), preloaded=True),
    Kind("database read-only", 6, 4, databases=("postgresql",)),
    Kind("database locked", 5, 3),
    Kind("clock jump", 5, 3, preloaded=True),
    Kind("node stopped for a while", 5, 2),
)
CHEAP = {
    "request cut": 6,
    "response cut": 6,
    "duplicates at once": 4,
    "out of order": 2,
    "push cut": 2,
}
"""Made by the clients and the receiver as they go, by weight."""


def bounds(kind: Kind, nodes: int) -> tuple[float, float]:
    """(seconds to the next receipt, seconds to carry) where so many nodes share the work."""
    return (AT_ONCE if kind.elsewhere and nodes > 1 else kind.answers), kind.carried


@dataclass(frozen=True)
class Plan:
    """What is to happen: slow faults one after the other, cheap ones meanwhile."""

    slow: tuple[Kind, ...]
    cheap: tuple[str, ...]


def plan(seed: int, faults: int, seconds: float, kinds: tuple[Kind, ...]) -> Plan:
    """As many slow faults as fit into the seconds, each kind at least once; the rest cheap ones."""
    chance = random.Random(seed)
    slow = list(kinds)
    spent = sum(kind.seconds for kind in slow)
    while slow and len(slow) < faults:
        kind = chance.choices(kinds, [k.weight for k in kinds])[0]
        spent += kind.seconds
        if spent > seconds:
            break
        slow.append(kind)
    chance.shuffle(slow)
    cheap = chance.choices(list(CHEAP), list(CHEAP.values()), k=max(0, faults - len(slow)))
    return Plan(tuple(slow), tuple(cheap))
