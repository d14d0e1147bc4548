"""Messages pushed to partners' own addresses: again where they fail, and nobody waits for another."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.model import Channel, Partner, Role
from tests.journeys.receiver import Pushed, Receiver
from tests.journeys.town import AN_PHAT, BOOKS, VAN, Town, until

KINDS = {"registered", "green", "released", "cleared"}


@pytest.fixture
def elsewhere(town: Town) -> Iterator[Receiver]:
    """A second address, which the test may take away."""
    second = town.new_receiver()
    yield second
    second.close()


def enrol(town: Town, name: str, identifier: str, url: str) -> Partner:
    """A trader that is pushed to, known to the running gateway."""
    role = (Role.TRADER,)
    partner = Partner(name, f"{name} Trading Co.", role, (identifier,), channel=Channel.PUSH)
    partner = town.enrol(partner, url)
    until(lambda: town.client(partner).mailbox().status == 200)
    return partner


def test_a_receiver_that_was_away_gets_everything_once_it_is_back(town: Town, elsewhere: Receiver) -> None:
    partner = enrol(town, "wasaway", "0101251160", elsewhere.url("/away"))
    elsewhere.close()
    answer = town.client(partner).submit(town.signed(partner, BOOKS))
    assert answer.outcome == "accepted"
    town.await_entries(partner, answer.submission, *KINDS)  # in the mailbox it is at once
    time.sleep(0.3)
    elsewhere.open()
    elsewhere.until(lambda: {p.kind for p in elsewhere.taken("/away").values()} >= KINDS)
    ids = {e["id"] for e in town.waiting(partner, answer.submission)}
    assert set(elsewhere.taken("/away")) == ids


def test_a_receiver_that_fails_is_tried_again_with_the_same_delivery(town: Town) -> None:
    partner = enrol(town, "fails", "0101252170", town.receiver.url("/fails"))
    town.receiver.answers["/fails"] = 503
    town.client(partner).submit(town.signed(partner, BOOKS))

    def answered(status: int) -> list[Pushed]:
        return [p for p in list(town.receiver.came) if p.path == "/fails" and p.answered == status]

    # Fewer failures in a row than those after which it is left alone, for some 16 s.
    town.receiver.until(lambda: len(answered(503)) == 1)  # what follows waits for it
    town.receiver.answers["/fails"] = 204
    town.receiver.until(lambda: {p.kind for p in answered(204)} >= KINDS, seconds=60)
    assert {p.delivery for p in answered(503)} == {answered(204)[0].delivery}
    assert len(town.receiver.taken("/fails")) == len(KINDS)
    # What follows waited for it: all came in the order in which it was decided.
    made = [p.headers["cvan-created"] for p in answered(204)]
    assert made == sorted(set(made))


def test_a_receiver_that_says_never_is_not_asked_again(town: Town) -> None:
    partner = enrol(town, "never", "0101253180", town.receiver.url("/never"))
    town.receiver.answers["/never"] = 400
    answer = town.client(partner).submit(town.signed(partner, BOOKS))
    town.await_entries(partner, answer.submission, *KINDS)

    def dead() -> list[dict[str, Any]]:
        listed = town.cvan("deliveries", "list", "--dead", "--json").json()["deliveries"]
        return [d for d in listed if d["destination"] == "push:never"]

    def came() -> list[str]:
        return [p.delivery for p in town.receiver.came if p.path == "/never"]

    until(lambda: len(dead()) == len(KINDS))
    assert len(came()) == len(KINDS)
    letter = dead()[0]
    assert "400" in letter["error"]
    # An operator who knows better lets it go again, or has a message sent once more.
    town.receiver.answers["/never"] = 204
    assert town.cvan("deliveries", "again", letter["id"]).code == 0
    town.receiver.until(lambda: len(came()) == len(KINDS) + 1)
    assert came()[-1] == letter["payload"]
    until(lambda: len(dead()) == len(KINDS) - 1)
    assert town.cvan("deliveries", "resend", letter["payload"]).code == 0
    town.receiver.until(lambda: came()[-1] == letter["payload"] and len(came()) == len(KINDS) + 2)
    assert town.cvan("deliveries", "resend", "nothing").code == 2


def test_a_failing_partner_does_not_delay_another(town: Town, elsewhere: Receiver) -> None:
    """One partner's address takes connections and never answers; the VAN's messages pass it by."""
    hanging = enrol(town, "hangs", "0101254190", elsewhere.url("/hangs"))
    elsewhere.hang()
    try:
        for _ in range(3):
            assert town.client(hanging).submit(town.signed(hanging, BOOKS)).outcome == "accepted"
        elsewhere.until(lambda: elsewhere.hanging > 0)
        reference, began = town.reference(), time.monotonic()
        town.client(VAN).submit(town.signed(AN_PHAT, BOOKS, reference))

        def came() -> set[str]:
            return {p.kind for p in town.receiver.taken("/vanlink").values() if p.reference == reference}

        town.receiver.until(lambda: came() >= KINDS)
        assert time.monotonic() - began < 10  # an attempt at the other one takes 30 seconds to fail
        assert not elsewhere.taken("/hangs")
    finally:
        elsewhere.let_go()
    elsewhere.until(lambda: {p.kind for p in elsewhere.taken("/hangs").values()} >= KINDS)


def test_a_rejection_by_cusres_is_pushed_too(town: Town) -> None:
    line = Partner("pushline", "Pushed Line", (Role.CARRIER,), ("PUSHLINE", "PULU"), channel=Channel.PUSH)
    line = town.enrol(line)
    until(lambda: town.client(line).mailbox().status == 200)
    bills = [town.bill(packages=50, gid_packages=40), town.bill()]
    body, media_type = town.sealed(town.manifest(bills, sender="PUSHLINE", carrier="PULU"), line)
    answer = town.client(line).submit(body, media_type)
    assert answer.outcome == "partly"
    town.receiver.until(
        lambda: {p.kind for p in town.receiver.taken("/pushline").values()} == {"rejected", "registered"}
    )
    for pushed in town.receiver.taken("/pushline").values():
        assert town.prove(pushed.body, pushed.headers["content-type"]).count(b"CUSRES") == 1
