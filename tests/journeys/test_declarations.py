"""Declarations through a VAN or by the trader itself: channels, officers, duty, payment, correction."""

from __future__ import annotations

import msgspec
import pytest

from gateway.model import Partner
from gateway.operations.demo.papers import Goods, Paying
from tests.journeys.plain import Answer
from tests.journeys.town import (
    AN_PHAT,
    BANK,
    BEEF,
    BINH_MINH,
    BOOKS,
    CLOTH,
    CUU_LONG,
    DAI_NAM,
    LAPTOPS,
    SCRAP,
    VAN,
    Town,
    text_of,
    texts_of,
)


def filed(town: Town, body: bytes, by: Partner) -> Answer:
    answer = town.client(by).submit(body)
    assert answer.status == 200
    return answer


def paid(town: Town, *payments: Paying) -> Answer:
    """The bank's notification, taken in."""
    answer = filed(town, town.credits(*payments), BANK)
    assert answer.outcome == "accepted"
    return answer


def codes(document: bytes) -> list[str]:
    return texts_of(document, "ValidationCode")


# -- channels and officers --------------------------------------------------------------------------


def test_green_goes_through_a_van_and_is_pushed_to_it(town: Town) -> None:
    reference = town.reference()
    answer = filed(town, town.signed(AN_PHAT, LAPTOPS, reference), VAN)
    assert answer.outcome == "accepted"
    receipt = town.prove(answer.body, answer.media_type)
    assert text_of(receipt, "Response/FunctionCode") == "02"
    assert text_of(receipt, "Response/Declaration/FunctionalReferenceID") == reference

    def of_this() -> dict[str, bytes]:
        came = town.receiver.taken("/vanlink").values()
        return {p.kind: p.body for p in came if p.reference == reference}

    wanted = {"registered", "green", "duty-notice"}
    town.receiver.until(lambda: wanted <= of_this().keys())
    assert of_this().keys() == wanted
    for kind, body in of_this().items():
        said = town.prove(body, "application/xml")
        assert text_of(said, "Response/Declaration/FunctionalReferenceID") == reference, kind
    assert text_of(of_this()["green"], "Response/FunctionCode") == "04"


def test_pushed_headers_say_what_the_message_is(town: Town) -> None:
    reference = town.reference()
    answer = filed(town, town.signed(AN_PHAT, BOOKS, reference), VAN)
    kinds = {"registered", "green", "released", "cleared"}

    def came() -> list[str]:
        return [p.kind for p in town.receiver.taken("/vanlink").values() if p.reference == reference]

    town.receiver.until(lambda: set(came()) >= kinds)
    for pushed in town.receiver.taken("/vanlink").values():
        if pushed.reference == reference:
            assert pushed.headers["cvan-submission"] == answer.submission
            assert pushed.headers["cvan-message"] == f"{answer.submission}.1"
            assert pushed.headers["content-type"] == "application/xml"
    assert sorted(came()) == sorted(kinds)


def test_yellow_waits_for_the_officer_s_look_at_documents(town: Town) -> None:
    answer = filed(town, town.signed(BINH_MINH, BEEF), BINH_MINH)
    registration = town.registered(BINH_MINH, answer)
    yellow = town.await_message(BINH_MINH, answer.submission, "yellow")
    assert "852" in texts_of(yellow, "TypeCode")
    assert text_of(yellow, "AdditionalInformation/LimitDateTime/DateTimeString")
    case = town.officer("accept-documents", registration, "--reason", "the certificate is in order")
    assert case["state"] == "payment"
    notice = town.notice(BINH_MINH, answer)
    assert notice.amount == "136500000"
    paid(town, notice)
    town.await_entries(BINH_MINH, answer.submission, "released", "cleared")


def test_red_waits_for_the_inspection(town: Town) -> None:
    answer = filed(town, town.signed(CUU_LONG, SCRAP), CUU_LONG)
    registration = town.registered(CUU_LONG, answer)
    red = town.await_message(CUU_LONG, answer.submission, "red")
    assert text_of(red, "Response/Status/NameCode") == "5"
    too_early = town.cvan("office", "accept-documents", registration, "--officer", "Mai")
    assert too_early.code == 2
    assert too_early.err.startswith("cvan: ")
    assert len(too_early.err.splitlines()) == 1
    case = town.officer("pass-inspection", registration, "--reason", "bundles opened")
    assert case["state"] == "payment"


def test_an_officer_holds_and_lets_go(town: Town) -> None:
    answer = filed(town, town.signed(AN_PHAT, LAPTOPS), AN_PHAT)
    registration = town.registered(AN_PHAT, answer)
    assert town.officer("hold", registration, "--reason", "Giữ lại để xác minh")["state"] == "held"
    held = town.await_message(AN_PHAT, answer.submission, "held")
    assert "Giữ lại để xác minh" in text_of(held, "AdditionalInformation/StatementDescription")
    case = town.officer("release-hold", registration, "--reason", "verified")
    assert case["state"] != "held"


def test_an_officer_asks_for_documents_and_an_amendment(town: Town) -> None:
    answer = filed(town, town.signed(AN_PHAT, LAPTOPS), AN_PHAT)
    registration = town.registered(AN_PHAT, answer)
    wanted = ("--document", "861=Certificate of origin", "--days", "3", "--reason", "origin unclear")
    assert town.officer("ask-documents", registration, *wanted)["state"] == "documents"
    asked = town.await_message(AN_PHAT, answer.submission, "yellow")
    assert "861" in texts_of(asked, "TypeCode")
    path = "Declaration/GoodsShipment/GovernmentAgencyGoodsItem/Origin/CountryCode"
    town.officer("request-amendment", registration, "--of", path, "--reason", "the origin is wrong")
    wanted_change = town.await_message(AN_PHAT, answer.submission, "amendment-wanted")
    assert "the origin is wrong" in text_of(wanted_change, "AdditionalInformation/StatementDescription")
    assert texts_of(wanted_change, "TagID")


def test_an_officer_refuses_for_good(town: Town) -> None:
    answer = filed(town, town.signed(AN_PHAT, LAPTOPS), AN_PHAT)
    registration = town.registered(AN_PHAT, answer)
    assert town.officer("refuse", registration, "--reason", "not importable")["state"] == "refused"
    refused = town.await_message(AN_PHAT, answer.submission, "refused")
    assert text_of(refused, "Declaration/RejectionDateTime/DateTimeString")


# -- authority ---------------------------------------------------------------------------------------


def test_without_a_mandate_a_van_cannot_file(town: Town) -> None:
    reference = town.reference()
    answer = filed(town, town.signed(DAI_NAM, CLOTH, reference), VAN)
    assert answer.outcome == "rejected"
    assert codes(town.prove(answer.body, answer.media_type)) == ["PAR003"]
    # The trader may file the same reference itself: a rejection does not use it up.
    assert filed(town, town.signed(DAI_NAM, CLOTH, reference), DAI_NAM).outcome == "accepted"


def test_a_declarant_that_nobody_knows_is_named(town: Town) -> None:
    document = town.declaration(AN_PHAT, LAPTOPS).replace(b"0100109106", b"0101243150")
    answer = filed(town, town.sign(document, AN_PHAT), AN_PHAT)
    assert answer.outcome == "rejected"
    assert codes(town.prove(answer.body, answer.media_type)) == ["PAR005"]


def test_a_bank_declares_no_goods(town: Town) -> None:
    as_bank = msgspec.structs.replace(AN_PHAT, name=BANK.name, identifiers=BANK.identifiers)
    answer = filed(town, town.sign(town.declaration(as_bank, LAPTOPS), BANK), BANK)
    assert answer.outcome == "rejected"
    assert "PAR004" in codes(town.prove(answer.body, answer.media_type))


def test_a_declaration_that_breaks_rules_lists_every_break(town: Town) -> None:
    document = town.declaration(AN_PHAT, LAPTOPS)
    document = document.replace(b"<TotalPackageQuantity>60<", b"<TotalPackageQuantity>61<")
    origin = b"<Origin>\n          <CountryCode>%s</CountryCode>"
    assert origin % b"CN" in document
    document = document.replace(origin % b"CN", origin % b"ZZ")
    answer = filed(town, town.sign(document, AN_PHAT), AN_PHAT)
    assert answer.outcome == "rejected"
    said = town.prove(answer.body, answer.media_type)
    assert len(codes(said)) == 2
    assert all(code.startswith("RUL") for code in codes(said))
    words = texts_of(said, "Description")
    assert any("line" in text and "/MetaData/Declaration" in text for text in words)
    assert texts_of(said, "DocumentSectionCode")


def test_a_declaration_that_breaks_the_schema_is_told_where(town: Town) -> None:
    document = town.declaration(AN_PHAT, LAPTOPS).replace(b"<TypeCode>929", b"<TipeCode>929", 1)
    document = document.replace(b"929</TypeCode>", b"929</TipeCode>", 1)
    answer = filed(town, town.sign(document, AN_PHAT), AN_PHAT)
    assert answer.outcome == "rejected"
    assert codes(town.prove(answer.body, answer.media_type))[0].startswith("XML")


# -- payment -----------------------------------------------------------------------------------------


@pytest.fixture
def owing(town: Town) -> tuple[Answer, Paying]:
    """A declaration that waits for its duty: 48,000,000."""
    answer = filed(town, town.signed(AN_PHAT, LAPTOPS), AN_PHAT)
    return answer, town.notice(AN_PHAT, answer)


def test_an_exact_payment_releases_and_clears(town: Town, owing: tuple[Answer, Paying]) -> None:
    answer, notice = owing
    payment = paid(town, notice)
    matched = town.await_message(BANK, payment.submission, "payment-matched")
    assert "nothing remains" in text_of(matched, "AdditionalInformation/StatementDescription")
    entries = town.await_entries(AN_PHAT, answer.submission, "released", "cleared")
    kinds = [e["kind"] for e in entries]
    assert kinds == ["registered", "green", "duty-notice", "released", "cleared"]


def test_a_partial_payment_releases_nothing_until_the_rest(town: Town, owing: tuple[Answer, Paying]) -> None:
    answer, notice = owing
    first = paid(town, Paying(notice.reference, "18000000", notice.payer, town.reference()))
    matched = town.await_message(BANK, first.submission, "payment-matched")
    assert codes(matched) == ["CLR040"]
    reminder = town.await_entries(AN_PHAT, answer.submission, "duty-notice", "duty-notice")
    assert "released" not in {e["kind"] for e in reminder}
    rest = town.notice(AN_PHAT, answer)
    assert rest.amount == "30000000"
    paid(town, rest)
    town.await_entries(AN_PHAT, answer.submission, "released", "cleared")


def test_an_overpayment_clears_and_is_noted(town: Town, owing: tuple[Answer, Paying]) -> None:
    answer, notice = owing
    payment = paid(town, Paying(notice.reference, "50000000", notice.payer, town.reference()))
    matched = town.await_message(BANK, payment.submission, "payment-matched")
    assert codes(matched) == ["CLR041"]
    town.await_entries(AN_PHAT, answer.submission, "cleared")


def test_one_notification_with_good_and_unknown_references(town: Town, owing: tuple[Answer, Paying]) -> None:
    answer, notice = owing
    unknown = Paying("RF18539007547034", "1000", "Nobody", town.reference())
    payment = paid(town, unknown, notice)
    unmatched = town.await_message(BANK, payment.submission, "payment-unmatched")
    assert codes(unmatched) == ["CLR031"]
    town.await_entries(BANK, payment.submission, "payment-matched", "payment-unmatched")
    town.await_entries(AN_PHAT, answer.submission, "cleared")


def test_an_entry_reported_twice_counts_once(town: Town, owing: tuple[Answer, Paying]) -> None:
    answer, notice = owing
    part = Paying(notice.reference, "18000000", notice.payer, town.reference())
    for _ in range(2):
        payment = paid(town, part)
        town.await_entries(BANK, payment.submission, "payment-matched")
    registration = town.registered(AN_PHAT, answer)
    case = town.cvan("office", "show", registration, "--json").json()["line"]
    assert case["outstanding"] == "30000000"


# -- correction --------------------------------------------------------------------------------------


def test_an_amendment_makes_a_second_version(town: Town, owing: tuple[Answer, Paying]) -> None:
    answer, _ = owing
    registration = town.registered(AN_PHAT, answer)
    fewer = (Goods("84713020", "Portable computers", "CN", 240_000_000, 450, 30),)
    amendment = town.declaration(AN_PHAT, fewer, function="4", registration=registration)
    amending = filed(town, with_reason(town, amendment), AN_PHAT)
    assert amending.outcome == "accepted"
    amended = town.await_message(AN_PHAT, amending.submission, "amended")
    assert text_of(amended, "Declaration/VersionID") == "2"
    assert text_of(amended, "Declaration/ID") == registration
    assert town.notice(AN_PHAT, amending).amount == "24000000"


def test_a_cancellation_ends_a_declaration(town: Town, owing: tuple[Answer, Paying]) -> None:
    answer, notice = owing
    registration = town.registered(AN_PHAT, answer)
    cancelling = filed(
        town,
        with_reason(town, town.declaration(AN_PHAT, LAPTOPS, function="1", registration=registration)),
        AN_PHAT,
    )
    assert cancelling.outcome == "accepted"
    cancelled = town.await_message(AN_PHAT, cancelling.submission, "cancelled")
    assert text_of(cancelled, "Declaration/CancellationDateTime/DateTimeString")
    payment = paid(town, notice)
    matched = town.await_message(BANK, payment.submission, "payment-matched")
    assert codes(matched) == ["CLR042"]


def test_an_amendment_of_somebody_else_s_declaration_is_refused(
    town: Town, owing: tuple[Answer, Paying]
) -> None:
    answer, _ = owing
    registration = town.registered(AN_PHAT, answer)
    document = town.declaration(BINH_MINH, LAPTOPS, function="4", registration=registration)
    amending = filed(town, with_reason(town, document, BINH_MINH), BINH_MINH)
    assert amending.outcome == "accepted"
    refused = town.await_message(BINH_MINH, amending.submission, "refused")
    assert codes(refused) == ["CLR005"]
    assert not text_of(refused, "Declaration/ID")


def with_reason(town: Town, document: bytes, by: Partner = AN_PHAT) -> bytes:
    """The declaration, signed, with a reason for its change."""
    reason = (
        b"<AdditionalInformation><StatementDescription>Counted again</StatementDescription>"
        b"</AdditionalInformation><Amendment><ChangeReasonCode>1</ChangeReasonCode></Amendment>"
    )
    place = b"<BorderTransportMeans>"
    assert document.count(place) == 1
    return town.sign(document.replace(place, reason + place), by)
