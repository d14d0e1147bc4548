"""What a PromQL expression reads: the metrics of the gateway, and the labels that it asks them for."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SELECTOR = re.compile(r"\b(cvan_\w+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"([^"]*)"')
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")

OF_THE_SCRAPE = {"job", "instance", "node", "process"}
"""Labels that prometheus.yml gives; no process tells them of itself."""


@dataclass(frozen=True)
class Selector:
    """A metric, and what it is matched by: label, operator, text."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...]


def selectors(expression: str) -> list[Selector]:
    """Every metric of the gateway in the expression."""
    return [
        Selector(m[1], tuple((x[1], x[2], x[3]) for x in _MATCHER.finditer(m[2] or "")))
        for m in _SELECTOR.finditer(expression)
    ]


def grouped(expression: str) -> set[str]:
    """Labels that the expression groups or joins by."""
    names = (name.strip() for m in _GROUPING.finditer(expression) for name in m[1].split(","))
    return {name for name in names if name}
