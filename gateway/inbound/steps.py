"""Work in steps, so that several may go abreast: all their first steps, then all their second, and so on.

A step finds a processor's caches as the step before left them.  Done by eight, one after the other, it finds
its own there; in the middle of a message it finds another's (docs/decisions/0032).
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")

Steps = Generator[None, None, T]
"""Rests between its steps, and returns what they made."""


def at_once(steps: Steps[T]) -> T:
    """What the steps make, one after the other.  Raises what they raise."""
    try:
        while True:
            next(steps)
    except StopIteration as done:
        made: T = done.value
        return made
