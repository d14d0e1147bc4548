"""Whether something grows: the slope of measures over time, with its error; no clock, no process."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

FLAT, GROWS, UNCLEAR = "flat", "grows", "unclear"
SURE = 2.0
"""Standard errors that a slope has to be away from a bound: 19 times in 20."""
FEWEST = 5
"""Measures by which a slope has an error at all that says something."""


class Slope(msgspec.Struct, frozen=True):
    """``each``: units a second; ``error``: its standard error; ``mean``: of the measures."""

    each: float
    error: float
    mean: float

    def verdict(self, bound: float) -> str:
        """``grows`` where it is surely more than the bound (units a second), ``flat`` where it is surely less,
        ``unclear`` where the measures do not tell."""
        if self.each - SURE * self.error > bound:
            return GROWS
        return FLAT if self.each + SURE * self.error < bound else UNCLEAR


def slope(measures: Sequence[tuple[float, float]]) -> Slope:
    """The straight line through (seconds, value) by least squares.  Raises ValueError for fewer than FEWEST."""
    count = len(measures)
    if count < FEWEST:
        raise ValueError(f"{count} measures tell no slope")
    middle = sum(x for x, _ in measures) / count
    mean = sum(y for _, y in measures) / count
    spread = sum((x - middle) ** 2 for x, _ in measures)
    each = sum((x - middle) * (y - mean) for x, y in measures) / spread
    left = sum((y - mean - each * (x - middle)) ** 2 for x, y in measures)
    return Slope(each, math.sqrt(left / (count - 2) / spread), mean)


def floors(samples: Sequence[tuple[float, float]], seconds: float) -> list[tuple[float, float]]:
    """The least of each so many seconds, at their middle: what is borrowed for a moment is given back within them,
    what leaks is not.  Neighbouring samples say nearly the same, and would make an error look smaller than it is."""
    by: dict[int, float] = {}
    for at, value in samples:
        by[int(at / seconds)] = min(value, by.get(int(at / seconds), value))
    return [((step + 0.5) * seconds, least) for step, least in sorted(by.items())]
