"""The outbound journey: every verdict and decision becomes a valid message in the sender's syntax."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from gateway import inbound, outbound, security, syntax
from gateway.model import (
    Decision,
    DecisionKind,
    DutyLine,
    Finding,
    MandatoryDocument,
    Outcome,
    Place,
    Route,
    Severity,
)
from gateway.model.finding import worst
from gateway.outbound import About, skeletons
from gateway.outbound.response import response
from gateway.safexml import parse
from tests.operations.knowledge import NOW, World, book, declaration, manifest
from tests.test_inbound import BAD_COUNT, BAD_MODE, GOOD, inspect_edifact, inspect_xml, world

__all__ = ["world"]

DIRECTORIES = ("96B", "99B", "12B", "13A")
FINDINGS = (
    Finding("CLR001", Place(pointer="Declaration/FunctionalReferenceID"), "", "LRN-1"),
    Finding("CLR031", Place(pointer="Declaration/DutyTaxFee[2]/Payment/ReferenceID"), "", "RF00"),
    Finding("CLR035", Place(pointer="Declaration/Bank/ID"), "1", "2"),
    Finding("CLR020", Place(pointer="Declaration/Consignment[3]"), "", "BILL", Severity.NOTE),
)
XML = Route("anphat", "anphat", "https", "xml", "DEC")
EDIFACT = Route(
    partner="oceanline",
    principal="oceanline",
    channel="https",
    syntax="edifact",
    envelope="multipart/signed",
    reference="M1",
    syntax_identifier="UNOC:3",
    sender=("OCEANLINE", "ZZ"),
    recipient=("VNCUSTOMS", "ZZ"),
)


def taken(kind: DecisionKind, **more: Any) -> Decision:
    """A decision that says all it can."""
    full: dict[str, Any] = {
        "registration": "26VNDEM100000001I6",
        "version": 2,
        "statement": "Pay 48000000 VND by 2026-12-21 with the reference RF5626VNDEM100000001I6001.",
        "statement_vi": "Nộp 48000000 VND trước hết ngày 2026-12-21, ghi mã tham chiếu.",
        "limit_at": NOW + timedelta(days=30),
        "documents": (MandatoryDocument("852", "Giấy chứng nhận kiểm dịch"), MandatoryDocument("380")),
        "duties": (
            DutyLine(1, "CUD", "480000000", "10", "48000000", "VND"),
            DutyLine(1, "VAT", "528000000", "10", "52800000", "VND"),
            DutyLine(2, "ENV", "10", "2000", "20000", "VND", "LTR"),
        ),
        "amount": "48000000",
        "currency": "VND",
        "payment_reference": "RF5626VNDEM100000001I6001",
        "bank": "DEMOVNVX",
        "account": "0071000123456",
        "findings": FINDINGS,
        "office": "VNDEMO01",
    }
    return Decision("d1", "s1.1", kind, NOW, **{**full, **more})


def bare(kind: DecisionKind) -> Decision:
    """A decision that says as little as it can."""
    return Decision("d1", "s1.1", kind, NOW)


def valid_response(draft: outbound.Draft) -> etree._Element:
    """The draft's document, valid by our own schema of responses."""
    octets = draft.canonical
    if draft.document is not None:
        octets = etree.tostring(draft.document)
    document = parse(octets)
    entry = book().schemas.find(document)
    assert entry is not None
    assert entry.type == "RES"
    assert book().schemas.validate(document, entry) == ()
    return document


def sound_cusres(draft: outbound.Draft) -> syntax.Message:
    """The draft's one message, which our own reader finds nothing wrong with."""
    interchange = syntax.read(draft.interchange, book().directories)
    (message,) = interchange.messages
    assert not worst(interchange.findings + message.findings), (message.findings, draft.interchange)
    assert message.type == "CUSRES"
    assert message.tree is not None
    return message


def reads_back(message: syntax.Message) -> None:
    """Our own table reads the answer without an error."""
    table = book().mappings.edifact("CUSRES", message.version, message.release)
    assert table is not None
    assert message.tree is not None
    assert not worst(table.read(message.tree).findings)


def texts(document: etree._Element, name: str) -> list[str]:
    return [str(e.text) for e in document.iter(f"{{*}}{name}")]


# -- decisions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "vi"])
@pytest.mark.parametrize("made", [taken, bare], ids=["full", "bare"])
@pytest.mark.parametrize("kind", list(DecisionKind))
def test_every_decision_is_a_valid_response(kind: DecisionKind, made: Any, language: str) -> None:
    route = msgspec.structs.replace(XML, language=language)
    about = About("LRN-1", registration="26VNDEM100000001I6")
    document = valid_response(outbound.decision(made(kind), about, route, book(), "77", NOW))
    saying = book().sayings[kind.value]
    assert texts(document, "FunctionCode") == [saying.function]
    assert texts(document, "NameCode") == [saying.status]
    assert "LRN-1" in texts(document, "FunctionalReferenceID")
    assert "77" in texts(document, "FunctionalReferenceID")
    if made is taken:
        assert texts(document, "ValidationCode") == [f.code for f in FINDINGS]
        words = texts(document, "StatementDescription")[0]
        assert words == (taken(kind).statement_vi if language == "vi" else taken(kind).statement)
        assert {"852", "380"} <= set(texts(document, "TypeCode"))
        assert texts(document, "PaymentAmount") == ["48000000"]
    else:
        assert texts(document, "StatementDescription")[0] == (
            saying.text_vi if language == "vi" else saying.text
        )


@pytest.mark.parametrize("release", DIRECTORIES)
@pytest.mark.parametrize("made", [taken, bare], ids=["full", "bare"])
@pytest.mark.parametrize("kind", list(DecisionKind))
def test_every_decision_is_a_sound_cusres(kind: DecisionKind, made: Any, release: str) -> None:
    about = About("BILL-1", "1", "26VNDEM100000001I6", "D", release)
    draft = outbound.decision(made(kind), about, EDIFACT, book(), "77", NOW)
    message = sound_cusres(draft)
    reads_back(message)
    assert (message.version, message.release) == ("D", release)
    text = draft.interchange
    assert text.startswith(b"UNA:+.? 'UNB+UNOC:3+VNCUSTOMS:ZZ+OCEANLINE:ZZ+")
    assert b"BILL-1" in text
    assert (b"+RE'" in text) == (book().sayings[kind.value].function in ("03", "14"))
    if made is taken:
        for said in (b"26VNDEM100000001I6", b"RF5626VNDEM100000001I6001", b"DEMOVNVX", b"0071000123456"):
            assert said in text


@pytest.mark.parametrize("level", ["UNOA:1", "UNOB:2", "UNOC:3", "UNOD:3", "UNOY:4", "UNOX:4", "UNOZ:9", ":"])
@pytest.mark.parametrize("language", ["en", "vi"])
def test_our_words_fit_the_level_that_the_sender_wrote_in(level: str, language: str) -> None:
    route = msgspec.structs.replace(EDIFACT, syntax_identifier=level, language=language)
    statement = "Held: “giữ hàng”\nline two\x01"
    made = taken(DecisionKind.HELD, statement=statement, statement_vi="Tạm dừng: “đ”\nhai")
    draft = outbound.decision(made, About("BILL-1", "1", "", "D", "96B"), route, book(), "77", NOW)
    sound_cusres(draft)


def test_characters_that_no_message_holds_are_left_out() -> None:
    finding = Finding("RUL001", Place(pointer="Declaration"), "a\x00b", "c\ufffed")
    made = taken(DecisionKind.HELD, statement="Held\x0bfor\x1f\ufffe reasons", findings=(finding,))
    document = valid_response(outbound.decision(made, About("L"), XML, book(), "7", NOW))
    assert texts(document, "StatementDescription")[0] == "Held for   reasons"
    sound_cusres(outbound.decision(made, About("L", "1", "", "D", "96B"), EDIFACT, book(), "7", NOW))
    blank = valid_response(
        outbound.decision(taken(DecisionKind.HELD, statement="\x01"), About("L"), XML, book(), "7", NOW)
    )
    assert texts(blank, "StatementDescription")[0] == book().sayings["held"].text


def test_an_unknown_directory_is_answered_in_a_usual_one() -> None:
    for version, release in (("D", "77Z"), ("", ""), ("1", "921")):
        draft = outbound.decision(
            taken(DecisionKind.GREEN), About("B", "1", "", version, release), EDIFACT, book(), "7", NOW
        )
        assert sound_cusres(draft).release == "96B"


def test_moments_of_a_decision_stand_where_they_belong() -> None:
    moment = NOW.strftime("%Y%m%d%H%M%SZ")
    for kind, name in (
        (DecisionKind.REGISTERED, "AcceptanceDateTime"),
        (DecisionKind.REFUSED, "RejectionDateTime"),
        (DecisionKind.CANCELLED, "CancellationDateTime"),
        (DecisionKind.RELEASED, "ReleaseDateTime"),
        (DecisionKind.CLEARED, "ReleaseDateTime"),
    ):
        document = valid_response(outbound.decision(taken(kind), About("L"), XML, book(), "7", NOW))
        (found,) = document.iter(f"{{*}}{name}")
        assert found[0].text == moment
    held = valid_response(outbound.decision(taken(DecisionKind.HELD), About("L"), XML, book(), "7", NOW))
    assert not list(held.iter("{*}ReleaseDateTime"))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    words=st.text(st.characters(exclude_categories=["Cs"]), max_size=400),
    reference=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=35),
    vietnamese=st.booleans(),
)
def test_any_words_make_a_sound_answer(words: str, reference: str, vietnamese: bool) -> None:
    language = "vi" if vietnamese else "en"
    made = taken(DecisionKind.HELD, statement=words[:512], statement_vi=words[:512])
    for route in (XML, EDIFACT):
        own = msgspec.structs.replace(route, language=language)
        draft = outbound.decision(made, About(reference, "1", "", "D", "96B"), own, book(), "7", NOW)
        if route is EDIFACT:
            sound_cusres(draft)
        else:
            valid_response(draft)


# -- findings ----------------------------------------------------------------------------------------


def test_every_code_of_the_catalogue_can_be_said_in_both_syntaxes() -> None:
    for code, meaning in book().catalogue.meanings.items():
        finding = Finding(code, Place(pointer="Declaration/GoodsShipment"), "an..17", "x" * 600)
        assert meaning.text
        assert meaning.text_vi
        made = taken(DecisionKind.REFUSED, findings=(finding,))
        document = valid_response(outbound.decision(made, About("L"), XML, book(), "7", NOW))
        assert len(texts(document, "Description")[0]) <= 512
        about = About("L", "1", "", "D", "99B")
        assert code.encode() in outbound.decision(made, about, EDIFACT, book(), "7", NOW).interchange


@pytest.mark.parametrize(
    "place",
    [
        Place(),
        Place(pointer="Declaration"),
        Place(pointer="Declaration/No/Such/Thing[4]"),
        Place(pointer="Bank/ID"),
        Place(xpath="/MetaData/Declaration/GoodsShipment/GovernmentAgencyGoodsItem[2]", line=7),
        Place(xpath="/Document/BkToCstmrDbtCdtNtfctn", line=7),
        Place(part="signature"),
        Place(message="1", segment=4, tag="RFF", group="SG2[1]", element=1, component=2, offset=99),
    ],
)
def test_any_place_can_be_said(place: Place) -> None:
    made = taken(DecisionKind.REFUSED, findings=(Finding("RUL001", place, "a", "b"),))
    valid_response(outbound.decision(made, About("L"), XML, book(), "7", NOW))
    sound_cusres(outbound.decision(made, About("L", "1", "", "D", "96B"), EDIFACT, book(), "7", NOW))


def test_a_place_in_one_phrase() -> None:
    place = Place(segment=4, tag="RFF", element=1, component=2, offset=99)
    assert outbound.where(Finding("X", place)) == "[RFF segment 4 element 1 component 2, octet 99]"
    assert outbound.where(Finding("X", Place(xpath="/a/b", line=3))) == "[/a/b, line 3]"
    assert outbound.where(Finding("X", Place(part="body"))) == "[body]"
    assert outbound.where(Finding("X")) == ""


def test_findings_beyond_the_bound_are_left_out() -> None:
    many = tuple(
        Finding("RUL001", Place(pointer="Declaration"), str(n)) for n in range(outbound.MAX_ERRORS + 5)
    )
    made = taken(DecisionKind.REFUSED, findings=many)
    document = valid_response(outbound.decision(made, About("L"), XML, book(), "7", NOW))
    assert len(texts(document, "ValidationCode")) == outbound.MAX_ERRORS
    sound_cusres(outbound.decision(made, About("L", "1", "", "D", "96B"), EDIFACT, book(), "7", NOW))


# -- receipts and refusals ---------------------------------------------------------------------------


def test_an_accepted_declaration_is_said_to_be_received(world: World) -> None:
    inspected = inspect_xml(world, declaration("LRN-1"))
    draft = outbound.receipt(inspected.verdict, None, world.handbook, "5", NOW)
    document = valid_response(draft)
    assert texts(document, "FunctionCode") == ["02"]
    assert "LRN-1" in texts(document, "FunctionalReferenceID")
    assert texts(document, "ValidationCode") == []


@given(
    reference=st.text(st.sampled_from("AZ09-/ .;:'\"~"), min_size=1, max_size=35) | st.text(max_size=120),
    number=st.integers(1, 10**14 - 1).map(str),
    now=st.datetimes(timezones=st.just(UTC)),
    answer_by=st.none() | st.datetimes(timezones=st.timezones()),
    language=st.sampled_from(["en", "vi"]),
    name=st.sampled_from(["received", "rejected"]),
)
def test_a_skeleton_is_filled_with_what_the_long_way_writes(
    reference: str, number: str, now: datetime, answer_by: datetime | None, language: str, name: str
) -> None:
    """Octet for octet; what would need an escape goes the long way."""
    if not skeletons.fits(reference):
        assert not (reference.isascii() and reference.replace("-", "").isalnum() and len(reference) < 100)
        return
    saying = book().sayings[name]
    root = response(saying, About(reference), number, now, language, answer_by=answer_by)
    document = book().mappings.xml("RES").write(root)
    filled = skeletons.filled(saying, reference, number, now, language, answer_by, book())
    assert filled.canonical == etree.tostring(document, method="c14n", exclusive=True)


def test_a_reference_that_needs_an_escape_is_receipted_the_long_way(world: World) -> None:
    inspected = inspect_xml(world, declaration("A&amp;B"))
    draft = outbound.receipt(inspected.verdict, None, book(), "12", NOW)
    assert draft.document is not None
    assert "A&B" in texts(valid_response(draft), "FunctionalReferenceID")


def test_a_rejected_declaration_is_told_every_error(world: World) -> None:
    wrong = declaration("LRN-2").replace(b"<TotalPackageQuantity>60<", b"<TotalPackageQuantity>61<")
    inspected = inspect_xml(world, wrong)
    document = valid_response(outbound.receipt(inspected.verdict, None, world.handbook, "5", NOW))
    assert texts(document, "FunctionCode") == ["03"]
    assert texts(document, "ValidationCode") == ["RUL010"]
    assert texts(document, "TagID")[-1] == "146"
    assert "[/MetaData/Declaration/TotalPackageQuantity, line" in texts(document, "Description")[0]


def test_contrl_names_what_it_rejects_and_cusres_the_rest(world: World) -> None:
    inspected = inspect_edifact(world, manifest("M1", GOOD, BAD_MODE, BAD_COUNT))
    verdict = inspected.verdict
    beyond = [m.ordinal for m in verdict.messages if outbound.beyond_syntax(m, world.handbook)]
    assert beyond == [3]
    draft = outbound.receipt(verdict, inspected.interchange, world.handbook, "5", NOW)
    (message,) = syntax.read(draft.interchange, book().directories).messages
    told = syntax.acknowledgement(message)
    assert (told.interchange.action, [(m.reference, m.action) for m in told.messages]) == ("7", [("2", "4")])
    refusal = outbound.refusal(verdict.messages[2], verdict.route, world.handbook, "6", NOW)
    sound_cusres(refusal)
    assert b"ERC+RUL010" in refusal.interchange
    assert BAD_COUNT.number.encode() in refusal.interchange


def test_a_warning_of_syntax_does_not_hide_a_rule_s_error(world: World) -> None:
    """A message with both is acknowledged by CONTRL, so its error must be told by CUSRES."""
    inspected = inspect_edifact(world, manifest("M1", BAD_COUNT))
    (message,) = inspected.verdict.messages
    warning = Finding("EDI302", Place(segment=2, tag="BGM"), severity=Severity.WARNING)
    assert book().catalogue.meanings["EDI302"].contrl
    both = msgspec.structs.replace(message, findings=(warning, *message.findings))
    assert outbound.beyond_syntax(both, world.handbook)
    verdict = msgspec.structs.replace(inspected.verdict, messages=(both,))
    draft = outbound.receipt(verdict, inspected.interchange, world.handbook, "5", NOW)
    assert b"UCM" not in draft.interchange


def test_a_warning_does_not_reject(world: World) -> None:
    odd = manifest("M1", GOOD).replace(b"NAD+CN+++SAIGON", b"NAD+CN+++++SAIGON")
    for message in inspect_edifact(world, odd).verdict.messages:
        only_warnings = not worst(message.findings)
        assert (message.outcome is Outcome.ACCEPTED) == only_warnings


def test_the_whole_s_fault_is_told_in_uci(world: World) -> None:
    for content, code in (
        (manifest("M1", GOOD).replace(b"OCEANLINE", b"STRANGER9"), b"23"),
        (manifest("M1", GOOD).partition(b"UNZ")[0], b"13"),
    ):
        inspected = inspect_edifact(world, content)
        draft = outbound.receipt(inspected.verdict, inspected.interchange, world.handbook, "5", NOW)
        assert re.search(rb"UCI\+M1\+\w+:ZZ\+VNCUSTOMS:ZZ\+4\+" + code, draft.interchange)


def test_a_test_interchange_is_answered_as_a_test(world: World) -> None:
    content = manifest("M1", GOOD).replace(b"+M1'UNH", b"+M1++++++1'UNH", 1)
    inspected = inspect_edifact(world, content)
    assert inspected.verdict.route.test
    draft = outbound.receipt(inspected.verdict, inspected.interchange, world.handbook, "5", NOW)
    assert re.search(rb"\+5\+{6}1'UNH", draft.interchange)
    made = outbound.decision(taken(DecisionKind.GREEN), About("B"), inspected.verdict.route, book(), "7", NOW)
    assert syntax.read(made.interchange, book().directories).test


# -- sealing -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("envelope", ["multipart/signed", "application/pkcs7-mime"])
def test_edifact_is_sealed_as_the_sender_sealed(world: World, envelope: str) -> None:
    route = msgspec.structs.replace(EDIFACT, envelope=envelope)
    draft = outbound.decision(
        taken(DecisionKind.GREEN), About("B", "", "", "D", "96B"), route, book(), "7", NOW
    )
    media_type, body = outbound.seal(draft, route, world.own, NOW)
    assert media_type.startswith(envelope)
    verified = security.verify(body, media_type, world.handbook.trust, world.handbook.policy, NOW)
    assert (verified.content, verified.envelope) == (draft.interchange, envelope)
    assert verified.signer.subject == world.own.signer.subject


def test_drafting_is_pure(world: World) -> None:
    for route, about in ((XML, About("L")), (EDIFACT, About("L", "1", "", "D", "96B"))):
        drafts = [
            outbound.decision(taken(DecisionKind.RED), about, route, book(), "7", NOW) for _ in range(2)
        ]
        assert drafts[0].interchange == drafts[1].interchange
        if drafts[0].document is not None and drafts[1].document is not None:
            assert etree.tostring(drafts[0].document) == etree.tostring(drafts[1].document)


def test_inspecting_again_gives_the_same_receipt(world: World) -> None:
    media_type, body = world.sealed(manifest("M1", GOOD, BAD_MODE))
    submission = world.submission(body, media_type)
    made = []
    for _ in range(2):
        inspected = inbound.inspect(submission, world.handbook, NOW)
        made.append(outbound.receipt(inspected.verdict, inspected.interchange, world.handbook, "5", NOW))
    assert made[0].interchange == made[1].interchange
