"""Replacement and change of what customs has registered: filed by whoever may, answered where it came from."""

from __future__ import annotations

import re

import pytest

from gateway.model import Partner
from gateway.model.checkdigits import mrn_check
from gateway.operations.demo.papers import Goods
from tests.journeys.judges import pydifact_reads
from tests.journeys.plain import Answer
from tests.journeys.town import AN_PHAT, BANK, LINE, VAN, Town, text_of, texts_of

TWO = (
    Goods("84713020", "Portable computers", "CN", 480_000_000, 900, 60),
    Goods("52081100", "Cotton cloth, unbleached", "CN", 120_000_000, 2_000, 80),
)
ONE = (Goods("84713020", "Portable computers", "CN", 240_000_000, 450, 30),)
REASON = b"<AdditionalInformation><StatementDescription>Counted again</StatementDescription></AdditionalInformation>"


def filed(town: Town, body: bytes, by: Partner) -> Answer:
    answer = town.client(by).submit(body)
    assert (answer.status, answer.outcome) == (200, "accepted")
    return answer


def case(town: Town, registration: str) -> dict[str, str]:
    """How the office sees it."""
    line: dict[str, str] = town.cvan("office", "show", registration, "--json").json()["line"]
    return line


def replacement(town: Town, registration: str, reference: str = "") -> bytes:
    """All of the declaration as it should have been, with one of the two goods, and fewer of them."""
    document = town.declaration(AN_PHAT, ONE, reference, function="5", registration=registration)
    place = b"<BorderTransportMeans>"
    assert document.count(place) == 1
    return town.sign(document.replace(place, REASON + place), AN_PHAT)


def change(town: Town, registration: str, reference: str, value: int) -> bytes:
    """One value of one item, and nothing else: what function 4 is for."""
    document = town.declaration(AN_PHAT, ONE, reference, function="4", registration=registration)
    tag = re.search(rb"<Declaration[^>]*>", document)
    assert tag is not None
    kept = b"".join(
        re.search(rb"<%s>.*?</%s>" % (name, name), document, re.DOTALL)[0]  # type: ignore[index]
        for name in (b"FunctionCode", b"FunctionalReferenceID", b"ID", b"IssueDateTime", b"TypeCode")
    )
    office = re.search(rb"<DeclarationOfficeID>.*?</DeclarationOfficeID>", document)
    assert office is not None
    item = (
        b"<GoodsShipment><GovernmentAgencyGoodsItem>"
        b'<CustomsValueAmount currencyID="VND">%d</CustomsValueAmount><SequenceNumeric>1</SequenceNumeric>'
        b"</GovernmentAgencyGoodsItem></GoodsShipment>" % value
    )
    declarant = b"<Declarant><ID>%s</ID></Declarant>" % AN_PHAT.identifiers[0].encode()
    end = document.index(b"</Declaration>")
    whole = document[: tag.end()] + kept + office[0] + REASON + declarant + item + document[end:]
    return town.sign(whole, AN_PHAT)


def test_a_replacement_takes_the_place_of_the_whole_declaration(town: Town) -> None:
    answer = filed(town, town.signed(AN_PHAT, TWO), AN_PHAT)
    registration = town.registered(AN_PHAT, answer)
    first = town.notice(AN_PHAT, answer)
    assert first.amount == "75840000"  # of both goods
    reference = town.reference()
    replacing = filed(town, replacement(town, registration, reference), AN_PHAT)
    amended = town.await_message(AN_PHAT, replacing.submission, "amended")
    assert text_of(amended, "Response/Declaration/ID") == registration
    assert text_of(amended, "Response/Declaration/VersionID") == "2"
    assert text_of(amended, "Response/Declaration/FunctionalReferenceID") == reference
    second = town.notice(AN_PHAT, replacing)
    assert second.amount == "24000000"  # what was not said again is gone
    assert second.reference != first.reference
    # The answers are about the replacement from now on, and the case is still one.
    assert "released" not in {e["kind"] for e in town.waiting(AN_PHAT, answer.submission)}
    town.client(BANK).submit(town.credits(second))
    entries = town.await_entries(AN_PHAT, replacing.submission, "released", "cleared")
    assert {e["reference"] for e in entries} == {reference}
    assert case(town, registration)["state"] == "cleared"


def test_a_change_of_one_value_through_a_van_is_answered_to_the_van(town: Town) -> None:
    answer = filed(town, town.signed(AN_PHAT, TWO), VAN)
    registration = town.registered(VAN, answer)
    town.await_entries(VAN, answer.submission, "duty-notice")
    reference = town.reference()
    changing = filed(town, change(town, registration, reference, 470_000_000), VAN)

    def pushed() -> dict[str, bytes]:
        came = town.receiver.taken("/vanlink").values()
        return {p.kind: p.body for p in came if p.reference == reference}

    town.receiver.until(lambda: pushed().keys() >= {"amended", "duty-notice"})
    amended = town.prove(pushed()["amended"], "application/xml")
    assert text_of(amended, "Response/Declaration/ID") == registration
    assert text_of(amended, "Response/Declaration/VersionID") == "2"
    notice = town.prove(pushed()["duty-notice"], "application/xml")
    # Ten per cent less of ten millions; the other goods are as they were declared.
    assert text_of(notice, "Declaration/DutyTaxFee/Payment/PaymentAmount") == "74840000"
    assert texts_of(notice, "AdValoremTaxBaseAmount")[0] == "470000000"
    told = town.client(AN_PHAT).status(changing.submission).json()["messages"]
    assert [m["registration"] for m in told] == [registration]  # the trader sees what its VAN filed


def test_a_replacement_of_nothing_is_refused_at_customs(town: Town) -> None:
    answer = filed(town, town.signed(AN_PHAT, ONE), AN_PHAT)
    registration = town.registered(AN_PHAT, answer)
    body = registration[:8] + "9" + registration[9:-1]
    replacing = filed(town, replacement(town, body + mrn_check(body)), AN_PHAT)
    refused = town.await_message(AN_PHAT, replacing.submission, "refused")
    assert texts_of(refused, "ValidationCode") == ["CLR005"]
    assert case(town, registration)["version"] == 1


def test_two_replacements_at_once_are_two_versions(town: Town) -> None:
    answer = filed(town, town.signed(AN_PHAT, TWO), AN_PHAT)
    registration = town.registered(AN_PHAT, answer)
    replacing = [filed(town, replacement(town, registration), AN_PHAT) for _ in range(2)]
    said = [town.await_message(AN_PHAT, r.submission, "amended") for r in replacing]
    assert [text_of(s, "Declaration/VersionID") for s in said] == ["2", "3"]


@pytest.mark.parametrize("envelope", ["application/pkcs7-mime", "multipart/signed"])
def test_a_bill_is_replaced_in_edifact_and_answered_by_cusres(town: Town, envelope: str) -> None:
    bill = town.bill(packages=100)
    body, kind = town.sealed(town.manifest([bill]), LINE, envelope)
    first = town.client(LINE).submit(body, kind)
    assert first.outcome == "accepted"
    registration = cusres(town, first, "registered")["RFF+ABT"]
    content = town.manifest([town.bill(packages=90, weight=4_500)])
    content = content.replace(b"+9'DTM+137", b"+5'DTM+137")
    content = content.replace(b"NAD+MS+EOLU'", b"RFF+ABT:%s'NAD+MS+EOLU'" % registration.encode(), 1)
    content = counted(content)
    body, kind = town.sealed(content, LINE, envelope)
    second = town.client(LINE).submit(body, kind)
    assert second.outcome == "accepted", town.prove(second.body, second.media_type)
    said = cusres(town, second, "amended")
    assert said["RFF+ABT"] == registration
    assert said["BGM version"] == "2"


def counted(interchange: bytes) -> bytes:
    """The interchange of one message with its segments counted anew."""
    count = interchange[interchange.index(b"UNH") : interchange.index(b"UNZ")].count(b"'")
    return re.sub(rb"UNT\+\d+\+", b"UNT+%d+" % count, interchange)


def cusres(town: Town, answer: Answer, kind: str) -> dict[str, str]:
    """What a CUSRES about a submission says: registration number, version."""
    ((_, segments),) = pydifact_reads(town.await_message(LINE, answer.submission, kind))
    said = {f"RFF+{e[0][0]}": e[0][1] for tag, e in segments if tag == "RFF"}
    (bgm,) = (e for tag, e in segments if tag == "BGM")
    return {**said, "BGM version": bgm[1][1] if isinstance(bgm[1], list) and len(bgm[1]) > 1 else ""}
