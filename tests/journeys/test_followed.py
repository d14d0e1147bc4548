"""Who may follow what: a VAN that sends what its trader had sent, and messages that were pushed."""

from __future__ import annotations

import pytest

from gateway.model import Channel, Mandate, Partner, Role
from tests.journeys.town import AN_PHAT, BOOKS, DAI_NAM, VAN, Town, until

KINDS = ["registered", "green", "released", "cleared"]


def test_a_van_follows_what_its_trader_had_filed_already(town: Town) -> None:
    reference = town.reference()
    body = town.signed(AN_PHAT, BOOKS, reference)
    first = town.client(AN_PHAT).submit(body)
    assert town.client(VAN).call("GET", first.headers["location"]).status == 404
    again = town.client(VAN).submit(body)
    assert (again.status, again.repeated, again.body) == (200, True, first.body)
    assert again.headers["location"] == first.headers["location"]
    told = town.client(VAN).call("GET", again.headers["location"])
    assert told.status == 200
    (message,) = told.json()["messages"]
    assert (message["lrn"], message["outcome"]) == (reference, "accepted")
    receipt = town.client(VAN).call("GET", f"{again.headers['location']}/receipt")
    assert (receipt.status, receipt.body) == (200, first.body)
    town.await_entries(AN_PHAT, first.submission, *KINDS)
    (message,) = town.client(VAN).status(first.submission).json()["messages"]
    assert message["decision"] == "cleared"
    # The decisions went to who filed; the trader sees who else sent it.
    assert [e for e in town.client(VAN).entries(everything=True) if e["reference"] == reference] == []
    timeline = town.client(AN_PHAT).status(first.submission).json()["timeline"]
    assert [e["detail"] for e in timeline if e["what"] == "joined"] == [VAN.id]


def test_a_van_without_a_mandate_follows_nothing(town: Town) -> None:
    body = town.signed(DAI_NAM, BOOKS)
    first = town.client(DAI_NAM).submit(body)
    own = town.client(VAN).submit(body)
    assert (own.outcome, own.repeated) == ("rejected", False)
    assert own.submission != first.submission
    for path in (first.headers["location"], f"{first.headers['location']}/receipt"):
        assert town.client(VAN).call("GET", path).status == 404
        assert town.client(DAI_NAM).call("GET", path).status == 200


def test_a_mandate_that_came_later_opens_what_is_sent_again(town: Town) -> None:
    """From then on the VAN may also send what its principal filed before, and follow it."""
    trader = Partner("latecomer", "Latecomer Trading Co.", (Role.TRADER,), ("0101255205",))
    town.enrol(trader)
    until(lambda: town.client(trader).mailbox().status == 200)
    body = town.signed(trader, BOOKS)
    first = town.client(trader).submit(body)
    town.ledger.put_mandate(Mandate("late", VAN.id, trader.id, ("IM",)))
    until(lambda: town.client(VAN).submit(town.signed(trader, BOOKS)).outcome == "accepted")
    again = town.client(VAN).submit(body)
    assert (again.submission, again.repeated) == (first.submission, True)
    assert town.client(VAN).status(first.submission).status == 200


@pytest.mark.parametrize("answer", [204, 503])
def test_a_push_that_was_taken_waits_in_no_mailbox(town: Town, answer: int) -> None:
    """And one that was not taken waits there until it is acknowledged; then it is pushed no more."""
    path, number = f"/taken{answer}", {204: "0101256216", 503: "0101257227"}[answer]
    name = f"taken{answer}"
    partner = Partner(name, f"{name} Co.", (Role.TRADER,), (number,), channel=Channel.PUSH)
    town.receiver.answers[path] = answer
    town.enrol(partner, town.receiver.url(path))
    client = town.client(partner)
    until(lambda: client.mailbox().status == 200)
    sent = client.submit(town.signed(partner, BOOKS))
    town.await_entries(partner, sent.submission, *KINDS)

    def waiting() -> list[str]:
        return [e["kind"] for e in client.entries() if e["kind"] != "receipt"]

    def due() -> int:
        return len(town.ledger.due(f"push:{name}", 99))

    if answer == 204:
        until(lambda: waiting() == [])
        kept = [e for e in client.entries(everything=True) if e["kind"] != "receipt"]
        assert [e["kind"] for e in kept] == KINDS
        assert all(e["acknowledged_at"] for e in kept)
        return
    town.receiver.until(lambda: bool(town.receiver.taken(path)))  # the others wait for this one
    assert waiting() == KINDS
    assert due() == len(KINDS)
    client.acknowledge([e["id"] for e in client.entries()])
    assert (waiting(), due()) == ([], 0)
