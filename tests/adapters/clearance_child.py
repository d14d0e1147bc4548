"""Hands over the same declarations, batch by batch, until it is killed."""

from __future__ import annotations

import sys

from clearance_samples import CONF, NOW, goods, item

from adapters.clearance import Clearance
from gateway.adapter import Handover

BATCH = 5
TOTAL = 200


def handovers() -> list[Handover]:
    free = item(1, "49011000", 2000, "USD")
    return [Handover(f"d{n}", f"m{n}", "van", "importer", NOW, goods(f"L{n}", free)) for n in range(TOTAL)]


def main(url: str) -> None:
    clearance = Clearance.open(url, CONF)
    everything = handovers()
    for start in range(0, TOTAL, BATCH):
        clearance.hand_over(everything[start : start + BATCH], NOW)
        print(start, flush=True)
    print("done", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
