"""Large messages of a running gateway: kept, answered later, and brought to their end by the next one after a
power cut."""

from __future__ import annotations

from gateway.operations.demo.town import configure
from tests.journeys.conftest import Found
from tests.journeys.test_large import manifest
from tests.journeys.town import LINE, Town, until

OCTETS = 40_000


def test_what_was_kept_survives_a_power_cut(found: Found) -> None:
    """Once on SQLite: it begins two gateways, and the ledger's part in it is tried on both databases."""
    town = found("sqlite")
    configure(town.home, large_bytes=OCTETS, large_seconds=0)  # type: ignore[arg-type]
    town.gateway.start()
    interchange, count = manifest(town, 2 * OCTETS)
    body, media_type = town.sealed(interchange)
    told = town.client(LINE).submit(body, media_type)
    assert (told.status, told.outcome) == (202, "held")
    assert told.json()["findings"][0]["code"] == "API202"
    town.gateway.kill()
    town.gateway.sweep()
    town.gateway.start()
    again = town.new_client(LINE).submit(body, media_type)
    assert again.submission == told.submission
    until(lambda: outcome(town, told.submission) == "accepted")
    town.await_entries(LINE, told.submission, *["registered"] * count)
    last = town.client(LINE).submit(body, media_type)
    assert (last.status, last.repeated, last.outcome) == (200, True, "accepted")
    assert b"CONTRL" in town.prove(last.body, last.media_type)
    until(lambda: not [path for path in (town.home / "spool").iterdir() if path.is_file()])
    raw = town.ledger.raw(told.submission)
    assert raw is not None
    assert raw.body == body


def outcome(town: Town, submission: str) -> str:
    """What its status says."""
    said: str = town.client(LINE).status(submission).json().get("outcome", "")
    return said
