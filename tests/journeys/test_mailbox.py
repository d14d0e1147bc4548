"""The mailbox: a partner's own messages, in order, until it says that they are safely received."""

from __future__ import annotations

import base64

import pytest

from tests.journeys.plain import Answer
from tests.journeys.town import AN_PHAT, BINH_MINH, BOOKS, CUU_LONG, DAI_NAM, LAPTOPS, VAN, Town

UNKNOWN = "01m800arygz7gv1022z6z5hjak.1.x"


@pytest.fixture
def cleared(town: Town) -> Answer:
    """A declaration of An Phat's that went all the way."""
    answer = town.client(AN_PHAT).submit(town.signed(AN_PHAT, BOOKS))
    town.await_entries(AN_PHAT, answer.submission, "registered", "green", "released", "cleared")
    return answer


def ids(town: Town, answer: Answer) -> list[str]:
    return [e["id"] for e in town.waiting(AN_PHAT, answer.submission)]


def test_entries_come_in_the_order_of_the_decisions(town: Town, cleared: Answer) -> None:
    entries = town.waiting(AN_PHAT, cleared.submission)
    assert [e["kind"] for e in entries] == ["registered", "green", "released", "cleared"]
    assert [e["created_at"] for e in entries] == sorted(e["created_at"] for e in entries)
    for entry in entries:
        fetched = town.client(AN_PHAT).fetch(entry["id"])
        assert len(fetched.body) == entry["size"]
        assert fetched.media_type == entry["media_type"]
        assert fetched.headers["cvan-delivery"] == entry["id"]
        assert fetched.headers["cvan-kind"] == entry["kind"]
        assert fetched.headers["cvan-reference"] == entry["reference"]


def test_pages_join_without_gap_or_overlap(town: Town, cleared: Answer) -> None:
    whole = [e["id"] for e in town.client(AN_PHAT).entries(everything=True)]
    found, after = [], ""
    while True:
        page = town.client(AN_PHAT).mailbox(after, 3, everything=True).json()
        found += [e["id"] for e in page["entries"]]
        after = page["next"]
        if not after:
            break
        assert len(page["entries"]) == 3
    assert found[: len(whole)] == whole
    assert set(ids(town, cleared)) <= set(found)


def test_what_is_acknowledged_waits_no_more_and_stays_readable(town: Town, cleared: Answer) -> None:
    client, mine = town.client(AN_PHAT), ids(town, cleared)
    assert client.acknowledge(mine[:2]).json() == {"acknowledged": 2}
    assert client.call("POST", f"/v1/mailbox/{mine[2]}/acknowledge").json() == {"acknowledged": 1}
    waiting = [e["id"] for e in client.entries()]
    assert not set(mine[:3]) & set(waiting)
    assert mine[3] in waiting
    everything = {e["id"]: e for e in client.entries(everything=True)}
    assert everything[mine[0]]["acknowledged_at"]
    assert not everything[mine[3]].get("acknowledged_at")
    assert client.fetch(mine[0]).status == 200
    # Once more is no error: the answer to the first may have been lost.
    assert client.acknowledge(mine[:2]).json() == {"acknowledged": 2}


def test_the_receipt_waits_too_and_is_the_same(town: Town, cleared: Answer) -> None:
    client = town.client(AN_PHAT)
    receipt = client.call("GET", f"/v1/messages/{cleared.submission}/receipt")
    assert (receipt.status, receipt.body) == (200, cleared.body)
    entry = next(e for e in client.entries(everything=True) if e["about"] == cleared.submission)
    assert entry["kind"] == "receipt"
    assert client.fetch(entry["id"]).body == cleared.body


def test_another_partner_sees_nothing_of_it(town: Town, cleared: Answer) -> None:
    other = town.client(BINH_MINH)
    for identity in ids(town, cleared):
        assert (other.fetch(identity).status, other.fetch(identity).codes) == (404, ["API404"])
        assert other.call("POST", f"/v1/mailbox/{identity}/acknowledge").status == 404
        assert identity not in {e["id"] for e in other.entries(everything=True)}
    assert other.acknowledge(ids(town, cleared)).json() == {"acknowledged": 0}
    assert other.status(cleared.submission).status == 404
    assert other.call("GET", f"/v1/messages/{cleared.submission}/receipt").status == 404
    # Not even whether it exists: an id that nobody has gets the same answer.
    absent = other.fetch(UNKNOWN)
    present = other.fetch(ids(town, cleared)[0])
    assert (absent.status, absent.codes) == (present.status, present.codes)
    assert set(ids(town, cleared)) <= {e["id"] for e in town.client(AN_PHAT).entries()}


def test_who_filed_and_who_signed_both_see_the_status(town: Town) -> None:
    answer = town.client(VAN).submit(town.signed(CUU_LONG, LAPTOPS))
    assert answer.outcome == "accepted"
    by_van = town.client(VAN).status(answer.submission)
    by_trader = town.client(CUU_LONG).status(answer.submission)
    assert (by_van.status, by_trader.status) == (200, 200)
    assert town.client(DAI_NAM).status(answer.submission).status == 404


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/mailbox?limit=0", 400),
        ("/v1/mailbox?limit=1001", 400),
        ("/v1/mailbox?limit=ten", 400),
        ("/v1/mailbox?acknowledged=maybe", 400),
        ("/v1/mailbox?after=../../etc", 400),
        ("/v1/mailbox/..%2f..%2fetc", 404),
        ("/v1/messages/unknown", 404),
    ],
)
def test_nonsense_is_told(town: Town, path: str, status: int) -> None:
    answer = town.client(AN_PHAT).call("GET", path)
    assert (answer.status, answer.media_type) == (status, "application/problem+json")


@pytest.mark.parametrize("body", [b"not json", b'{"ids": []}', b"[1, 2]", b"\xff\xfe"])
def test_an_acknowledgement_that_is_no_list_of_ids(town: Town, body: bytes) -> None:
    answer = town.client(AN_PHAT).call(
        "POST", "/v1/mailbox/acknowledge", body, Content_Type="application/json"
    )
    assert (answer.status, answer.codes) == (400, ["API4002"])


def test_json_is_had_by_asking_for_it(town: Town) -> None:
    body = town.signed(AN_PHAT, BOOKS)
    as_json = town.client(AN_PHAT).submit(body, Accept="application/json")
    plain = town.client(AN_PHAT).submit(body)
    told = as_json.json()
    assert told["outcome"] == "accepted"
    assert told["repeated"] is False
    assert told["media_type"] == plain.media_type
    assert base64.b64decode(told["receipt"]) == plain.body
