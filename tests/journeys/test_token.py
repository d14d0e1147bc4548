"""A gateway whose signing key is in a token: it signs, it survives the token, and nobody waits for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway import security
from tests.journeys.conftest import Found
from tests.journeys.town import AN_PHAT, BOOKS, LINE, Town, until
from tests.softhsm import PIN, Device
from tests.softhsm import device as device


@pytest.fixture
def town(found: Found, device: Device) -> Iterator[Town]:
    made = found("sqlite")
    uri = device.uri(f"gateway-{time.time_ns()}")
    said = made.cvan("keys", "rotate", "--use", "signing", "--algorithm", "rsa-3072", "--hsm", uri)
    assert said.code == 0, said.err
    made.gateway.start()
    yield made
    made.gateway.sweep()
    if not device.tokens.exists():
        device.bring_back()


def kind_of_signer(town: Town, body: bytes, media_type: str) -> str:
    book = town.book
    return security.verify(body, media_type, book.trust, book.policy, datetime.now(UTC)).signer.fingerprint


def test_receipts_decisions_and_large_messages_are_signed_by_the_token(town: Town, device: Device) -> None:
    listed = town.cvan("keys", "list", "--json").json()
    (active,) = (k for k in listed if k["use"] == "signing" and k["state"] == "active")
    assert active["key"].startswith("pkcs11:")
    answer = town.client(AN_PHAT).submit(town.signed(AN_PHAT, BOOKS))
    assert answer.outcome == "accepted"
    assert kind_of_signer(town, answer.body, answer.media_type) == active["fingerprint"]
    (entry, *_) = town.await_entries(AN_PHAT, answer.submission, "cleared")
    fetched = town.client(AN_PHAT).fetch(entry["id"])
    assert kind_of_signer(town, fetched.body, fetched.media_type) == active["fingerprint"]
    bills = [town.bill(f"Furniture parts of wood, number {n}") for n in range(400)]
    body, media_type = town.sealed(town.manifest(bills))
    assert len(body) > 65_536
    large = town.client(LINE).submit(body, media_type)
    assert kind_of_signer(town, large.body, large.media_type) == active["fingerprint"]
    for text in (town.gateway.log(), (town.home / "keystore/own/keys.toml").read_text()):
        assert PIN not in text
    for pid in town.gateway.group():
        assert PIN not in Path(f"/proc/{pid}/cmdline").read_text()
        assert PIN not in Path(f"/proc/{pid}/environ").read_text()


def test_while_the_token_is_away_senders_are_told_to_come_again(town: Town, device: Device) -> None:
    message = town.signed(AN_PHAT, BOOKS)
    assert town.client(AN_PHAT).submit(town.signed(AN_PHAT, BOOKS)).outcome == "accepted"
    device.take_away()
    refused = town.client(AN_PHAT).submit(message)
    assert (refused.status, "retry-after" in refused.headers) == (503, True)
    assert town.client(AN_PHAT).mailbox().status == 200, "the rest goes on"
    device.bring_back()
    until(lambda: town.client(AN_PHAT).submit(message).status == 200)
    again = town.client(AN_PHAT).submit(message)
    assert (again.outcome, again.repeated) == ("accepted", True)
    town.await_entries(AN_PHAT, again.submission, "cleared")


def test_a_door_answers_others_while_the_token_signs(town: Town) -> None:
    """The reactor is not held up: a look into the mailbox takes no longer than without the signing."""
    messages = [town.signed(AN_PHAT, BOOKS) for _ in range(60)]
    clients = [town.new_client(AN_PHAT) for _ in range(4)]
    looker = town.new_client(AN_PHAT)
    looker.mailbox(limit=1)

    def send(number: int) -> None:
        for message in messages[number::4]:
            assert clients[number].submit(message).status == 200

    taken: list[float] = []
    with ThreadPoolExecutor(4) as pool:
        sending = [pool.submit(send, number) for number in range(4)]
        while not all(s.done() for s in sending):
            began = time.perf_counter()
            assert looker.mailbox(limit=1).status == 200
            taken.append(time.perf_counter() - began)
            time.sleep(0.01)
        for done in sending:
            done.result()
    assert sorted(taken)[len(taken) // 2] < 0.25, sorted(taken)
