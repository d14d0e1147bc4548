"""Own certificates that end: told in the log in good time, and as a figure."""

from __future__ import annotations

import logging
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.operations import home as homes
from gateway.operations.keywatch import KeyWatch, days_warned, gauge
from gateway.security import Keystore
from gateway.security.keystore import making
from gateway.transport import Metrics

DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("days", "told"), [(61, None), (60, 60), (31, 60), (30, 30), (8, 30), (7, 7), (0.1, 7), (0, 0), (-5, 0)]
)
def test_the_step_that_was_reached(days: float, told: int | None) -> None:
    assert days_warned(timedelta(days=days)) == told


def signing_until(home: Path, end: datetime) -> Keystore:
    files = home / "keystore/own/signing.key.pem", home / "keystore/own/signing.crt.pem"
    homes.authority(home).issue("CN=Gateway signing", *files, algorithm="p256", not_after=end)
    return Keystore.load(home / "keystore/own")


def test_each_step_is_told_once_and_a_successor_silences(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    start = datetime.now(UTC).replace(microsecond=0)
    end = start + 100 * DAY
    keys = [signing_until(home, end)]
    now = [start]
    watch = KeyWatch(lambda: keys[0], lambda: now[0])

    def told(at: datetime) -> list[tuple[int, int]]:
        caplog.clear()
        now[0] = at
        watch.look()
        watch.look()
        return [(r.levelno, r.days) for r in caplog.records if "signing" in r.message]  # type: ignore[attr-defined]

    assert told(start) == []
    assert told(end - 60 * DAY) == [(logging.WARNING, 60)]
    assert told(end - 45 * DAY) == []
    assert told(end - 29 * DAY) == [(logging.WARNING, 29)]
    assert told(end - 6 * DAY) == [(logging.ERROR, 6)]
    assert "cvan keys rotate --use signing" in caplog.text
    made, store = making.new(keys[0], making.Asked("signing", "p256"))
    certificate = homes.certify(home, made, "CN=Gateway signing", ())
    _, keys[0] = making.certified(store, "signing", certificate)
    assert told(end - 5 * DAY) == []


def test_the_figure_counts_what_waits(home: Path) -> None:
    now = datetime.now(UTC)
    keys = signing_until(home, now + 10 * DAY)
    metrics = Metrics()
    gauge(metrics, lambda: keys, lambda: now)
    figures = {
        line.partition('use="')[2].partition('"')[0]: float(line.split()[-1])
        for line in metrics.exposition().decode().splitlines()
        if line.startswith("cvan_certificate_expires_seconds{")
    }
    assert abs(figures["signing"] - 10 * 86_400) < 2
    assert figures["tls"] > 300 * 86_400
    assert math.isnan(figures["decryption"])


def test_a_key_that_cannot_be_used_is_told(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    (home / "keystore/own/tls.key.pem").chmod(0o644)
    keys = Keystore.load(home / "keystore/own")
    KeyWatch(lambda: keys, lambda: datetime.now(UTC)).look()
    assert "own key tls 1 cannot be used" in caplog.text
    assert "chmod 600" in caplog.text
