"""The bench measures what it says: its messages are accepted, its cases are told apart, its arrivals are as asked."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from bench import cases
from bench.load import arrivals
from gateway import handbook as handbooks
from gateway.inbound import inspect
from gateway.model import Outcome, Submission
from gateway.operations import settings
from gateway.operations.demo.town import found
from gateway.storage import Ledger


def test_names_say_which_case_and_part_of_a_name_says_which_of_them() -> None:
    names = [case.name for case in cases.CASES]
    assert len(set(names)) == len(names)
    assert [case.name for case in cases.chosen(["xml5-rsa-sqlite-2"])] == ["xml5-rsa-sqlite-2"]
    assert {case.key for case in cases.chosen(["xml10-p256", "cuscar10-p256"])} == {"p256"}
    assert len(cases.chosen(["all"])) == len(cases.CASES)
    assert {case.name for case in cases.chosen([])} == set(cases.USUAL)
    assert cases.chosen(["json"]) == ()


@pytest.mark.parametrize("rate", [20.0, 500.0])
def test_arrivals_are_as_many_as_asked_in_order_and_not_even(rate: float) -> None:
    due = list(arrivals(rate, 20))
    assert due == sorted(due)
    assert due == list(arrivals(rate, 20))
    assert len(due) == pytest.approx(20 * rate, rel=0.15)
    gaps = [late - early for early, late in pairwise(due)]
    assert max(gaps) > 3 / rate > 0.3 / rate > min(gaps)


def test_every_kind_of_message_is_accepted_under_either_key_and_of_its_size(tmp_path: Path) -> None:
    town = found(tmp_path, "https://localhost:1/none")
    ledger = Ledger.open(settings.database_url(town.home, "sqlite:///ledger.db"))
    sizes = {}
    for case in cases.chosen(["xml5-rsa-sqlite-1", "xml10-rsa-sqlite-1", "cuscar10-p256-sqlite-1"]):
        cases.rekey(town, case)
        book = handbooks.load(town.home, ledger.register())
        now = datetime.now(UTC)
        media_type, body = cases.signed(case, "B1", town.key(case.partner), now)
        digest = hashlib.sha256(body).hexdigest()
        submission = Submission("s1", case.partner.id, "https", media_type, body, digest, now)
        verdict = inspect(submission, book, datetime.now(UTC)).verdict
        assert verdict.outcome is Outcome.ACCEPTED
        assert verdict.messages[0].lrn == "B1"
        sizes[case.message] = len(body)
    ledger.close()
    assert 4_500 < sizes["xml5"] < 5_500
    assert all(9_500 < sizes[name] < 11_000 for name in ("xml10", "cuscar10"))
