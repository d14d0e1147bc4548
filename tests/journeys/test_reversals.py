"""A bank takes a payment back: goods that it had freed are held, and everybody concerned hears of it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.operations.demo import papers
from gateway.operations.demo.papers import Paying
from tests.journeys.plain import Answer
from tests.journeys.town import ACCOUNT, AN_PHAT, BANK, BIC, LAPTOPS, VAN, Town, text_of, texts_of

DUE = "48000000"


def told(town: Town, body: bytes) -> Answer:
    """The bank's notification, taken in."""
    answer = town.client(BANK).submit(body)
    assert (answer.status, answer.outcome) == (200, "accepted")
    return answer


def debits(town: Town, payment: Paying, *, reversal: bool) -> bytes:
    """A notification that the money left customs' account again: as a reversal, or as a plain debit."""
    document = papers.credits(f"N{town.reference()}", (payment,), BIC, ACCOUNT, datetime.now(UTC))
    credit, debit = b"<CdtDbtInd>CRDT</CdtDbtInd>", b"<CdtDbtInd>DBIT</CdtDbtInd>"
    assert document.count(credit) == 2
    document = document.replace(credit, debit)
    if reversal:  # Ntry: ..., CdtDbtInd, RvslInd, Sts, ...
        document = document.replace(debit, debit + b"<RvslInd>true</RvslInd>", 1)
    return town.sign(document, BANK)


def state(town: Town, registration: str) -> tuple[str, str]:
    line = town.cvan("office", "show", registration, "--json").json()["line"]
    return line["state"], line["outstanding"]


def statement(document: bytes) -> str:
    return text_of(document, "AdditionalInformation/StatementDescription")


@pytest.mark.parametrize("reversal", [True, False], ids=["reversal", "debit"])
def test_a_payment_taken_back_holds_the_goods_until_it_is_paid_again(town: Town, reversal: bool) -> None:
    answer = town.client(AN_PHAT).submit(town.signed(AN_PHAT, LAPTOPS))
    registration, notice = town.registered(AN_PHAT, answer), town.notice(AN_PHAT, answer)
    assert notice.amount == DUE
    told(town, town.credits(notice))
    town.await_entries(AN_PHAT, answer.submission, "released", "cleared")
    assert state(town, registration) == ("cleared", "0")

    entry = notice.entry if reversal else town.reference()
    back = Paying(notice.reference, DUE, notice.payer, entry)
    reversed_by = told(town, debits(town, back, reversal=reversal))
    heard = town.await_message(BANK, reversed_by.submission, "payment-matched")
    assert registration in statement(heard)
    assert "taken back" in statement(heard)
    held = town.await_message(AN_PHAT, answer.submission, "held")
    assert text_of(held, "Response/Declaration/ID") == registration
    assert text_of(held, "DutyTaxFee/Payment/PaymentAmount") == DUE
    assert text_of(held, "DutyTaxFee/Payment/ReferenceID") == notice.reference
    assert state(town, registration) == ("held", DUE)

    again = Paying(notice.reference, DUE, notice.payer, town.reference())
    told(town, town.credits(again))
    town.await_entries(AN_PHAT, answer.submission, "released", "released", "cleared", "cleared")
    assert state(town, registration) == ("cleared", "0")


def test_a_reversal_that_is_told_twice_counts_once(town: Town) -> None:
    answer = town.client(AN_PHAT).submit(town.signed(AN_PHAT, LAPTOPS))
    registration, notice = town.registered(AN_PHAT, answer), town.notice(AN_PHAT, answer)
    told(town, town.credits(notice))
    town.await_entries(AN_PHAT, answer.submission, "cleared")
    for number in (1, 2):
        heard = told(town, debits(town, notice, reversal=True))  # a new notification of the same entry
        said = statement(town.await_message(BANK, heard.submission, "payment-matched"))
        assert ("not counted again" in said) is (number == 2)
    assert state(town, registration) == ("held", DUE)
    assert [e["kind"] for e in town.waiting(AN_PHAT, answer.submission)].count("held") == 1


def test_part_of_a_payment_taken_back_before_release_is_asked_for_again(town: Town) -> None:
    """Filed by a VAN, which is told by push; nothing was free yet, so nothing is held."""
    answer = town.client(VAN).submit(town.signed(AN_PHAT, LAPTOPS))
    registration, notice = town.registered(VAN, answer), town.notice(VAN, answer)
    part = Paying(notice.reference, "18000000", notice.payer, town.reference())
    told(town, town.credits(part))
    town.await_entries(VAN, answer.submission, "duty-notice", "duty-notice")
    heard = told(town, debits(town, part, reversal=True))
    town.await_message(BANK, heard.submission, "payment-matched")

    def asked() -> list[str]:
        came = [p for p in town.receiver.came if p.headers["cvan-submission"] == answer.submission]
        notices = [town.prove(p.body, "application/xml") for p in came if p.kind == "duty-notice"]
        return [text_of(n, "Declaration/DutyTaxFee/Payment/PaymentAmount") for n in notices]

    town.receiver.until(lambda: len(asked()) == 3)
    assert asked() == [DUE, "30000000", DUE]
    assert state(town, registration) == ("payment", DUE)
    assert not {"held", "released"} & {e["kind"] for e in town.waiting(VAN, answer.submission)}


def test_more_than_was_paid_cannot_be_taken_back(town: Town) -> None:
    answer = town.client(AN_PHAT).submit(town.signed(AN_PHAT, LAPTOPS))
    registration, notice = town.registered(AN_PHAT, answer), town.notice(AN_PHAT, answer)
    heard = told(town, debits(town, notice, reversal=True))
    said = town.await_message(BANK, heard.submission, "payment-unmatched")
    assert texts_of(said, "ValidationCode") == ["CLR038"]
    assert state(town, registration) == ("payment", DUE)
