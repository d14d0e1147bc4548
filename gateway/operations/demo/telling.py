"""Tells the day as it happens, holds each step against what should happen, and sums up."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click


class Teller:
    """Prints the story; ``failures`` lists what went otherwise than it should.

    ``ended``: the day was told to its end; facts of half a day prove nothing.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.failures: list[str] = []
        self.checks = 0
        self.ended = False
        self.counts: dict[str, int] = {}
        self.latencies: dict[str, list[float]] = {}
        self._quiet = quiet
        self._began = time.perf_counter()

    def chapter(self, title: str) -> None:
        """A new part of the day."""
        self._print("")
        self._print(click.style(title, bold=True))

    def say(self, text: str) -> None:
        """One thing that happened."""
        self._print(f"{time.perf_counter() - self._began:7.2f} s  {text}")

    def expect(self, what: str, found: object, wanted: object) -> bool:
        """Hold a fact, told as a sentence, against what it should be; True where they agree."""
        self.checks += 1
        if found == wanted:
            self.say(f"{click.style('ok', fg='green')}  {what}")
            return True
        self.failures.append(f"{what}: {found!r}, should be {wanted!r}")
        self.say(f"{click.style('WRONG', fg='red', bold=True)}  {what}: {found!r}, should be {wanted!r}")
        return False

    def count(self, what: str, number: int = 1) -> None:
        """Add to the table at the end."""
        self.counts[what] = self.counts.get(what, 0) + number

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Take the time of one exchange."""
        began = time.perf_counter()
        yield
        self.latencies.setdefault(what, []).append(time.perf_counter() - began)

    @property
    def passed(self) -> bool:
        """The whole day was told, and everything went as it should."""
        return self.ended and not self.failures

    def table(self) -> None:
        """Counts and latencies."""
        self.chapter("The day in figures")
        for what, number in self.counts.items():
            self._print(f"  {number:6}  {what}")
        self._print("")
        self._print("   exchanges   median      max   (milliseconds, submit to signed answer)")
        for what, times in self.latencies.items():
            middle, most = statistics.median(times) * 1000, max(times) * 1000
            self._print(f"  {len(times):6}   {middle:9.1f} {most:9.1f}   {what}")
        self._print("")
        verdict = f"{self.checks} facts held against what should happen, {len(self.failures)} differ"
        if not self.ended:
            verdict += "; the day did not reach its end"
        self._print(click.style(verdict, fg="green" if self.passed else "red", bold=True))
        for failure in self.failures:
            self._print(f"  {failure}")

    def value(self) -> dict[str, object]:
        """The same for programs."""
        return {
            "ok": self.passed,
            "ended": self.ended,
            "checks": self.checks,
            "failures": self.failures,
            "counts": self.counts,
            "latency_ms": {
                what: {
                    "count": len(times),
                    "median": round(statistics.median(times) * 1000, 2),
                    "max": round(max(times) * 1000, 2),
                }
                for what, times in self.latencies.items()
            },
            "seconds": round(time.perf_counter() - self._began, 2),
        }

    def _print(self, text: str) -> None:
        if not self._quiet:
            click.echo(text)
