"""What grows is told from what does not; a process that keeps what it made is found."""

from __future__ import annotations

import random
import subprocess
import sys
import time

import pytest

from bench import slope
from bench.slope import FLAT, GROWS, UNCLEAR
from bench.soak import beside, growth, lines
from bench.watch import SUPERVISOR, Sample, Watch, held

MIB = 1024 * 1024


def noisy(each: float, noise: float, count: int = 30) -> list[tuple[float, float]]:
    chance = random.Random(5)
    return [(float(n), 1_000 + each * n + chance.gauss(0, noise)) for n in range(count)]


@pytest.mark.parametrize(
    ("each", "noise", "verdict"), [(0.0, 5.0, FLAT), (10.0, 5.0, GROWS), (1.0, 200.0, UNCLEAR)]
)
def test_a_slope_is_told_with_its_error(each: float, noise: float, verdict: str) -> None:
    found = slope.slope(noisy(each, noise))
    assert found.each == pytest.approx(each, abs=3 * found.error)
    assert found.verdict(bound=2.0) == verdict


def test_few_measures_tell_nothing() -> None:
    with pytest.raises(ValueError, match="4 measures"):
        slope.slope([(float(n), 1.0) for n in range(4)])


def test_what_is_borrowed_for_a_moment_is_no_growth() -> None:
    assert slope.floors([(0.0, 3.0), (1.0, 1.0), (10.0, 5.0)], 10) == [(5.0, 1.0), (15.0, 5.0)]


def test_a_process_that_keeps_what_it_made_is_found_and_one_that_does_not_is_not() -> None:
    keeps = "import time\nkept = []\nwhile True: kept.append(bytearray(300_000)); time.sleep(0.01)"
    rests = "import time\nwhile True: bytearray(300_000); time.sleep(0.01)"
    grown = {}
    for name, text in (("keeps", keeps), ("rests", rests)):
        with subprocess.Popen([sys.executable, "-c", text]) as process:
            watch = Watch(lambda pid=process.pid: [pid], 0.05)  # type: ignore[misc]
            watch.start()
            time.sleep(1.6)
            watch.close()
            process.kill()
        grown[name] = growth(watch.samples, 1_000, 0.1, 0.5)[SUPERVISOR]
        assert held(watch.samples)[SUPERVISOR].files >= 3
    assert grown["keeps"].verdict == GROWS
    assert grown["rests"].verdict == FLAT


def test_a_role_goes_on_in_another_process_and_its_time_is_added() -> None:
    def one(at: float, pid: int, rss: int, spent: float) -> Sample:
        return Sample(at, "door 1", pid, rss, rss, 5, 2, spent)

    of = held([one(0, 1, 10, 3.0), one(1, 1, 30, 5.0), one(2, 2, 12, 1.0), one(3, 2, 15, 1.5)])["door 1"]
    assert (of.begin, of.largest, of.end) == (10, 30, 15)
    assert of.spent == 2.5


def test_times_are_told_by_the_step_and_beside_what_is_large() -> None:
    times = [(float(n), 0.010 if n < 50 else 0.030) for n in range(100)]
    told = lines(times, 25)
    assert [line.count for line in told] == [25] * 4
    assert [round(line.p99_ms) for line in told] == [10, 10, 30, 30]
    assert [round(p) for p in beside(times, 50, 60)] == [10, 30, 30]
