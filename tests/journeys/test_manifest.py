"""A shipping line's manifests: CUSCAR in, CONTRL at once, CUSRES for each bill of lading."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from gateway.model import Partner
from gateway.syntax import Directories, acknowledgement, read
from tests.journeys.plain import Answer
from tests.journeys.town import BANK, FEEDER, LINE, Town

DANGEROUS = "Ammonium nitrate in bags"


def filed(town: Town, interchange: bytes, partner: Partner = LINE) -> Answer:
    body, media_type = town.sealed(interchange, partner)
    answer = town.client(partner).submit(body, media_type)
    assert answer.status == 200
    return answer


def contrl(town: Town, answer: Answer) -> bytes:
    """The CONTRL that an answer is, proven."""
    content = town.prove(answer.body, answer.media_type)
    assert content.count(b"CONTRL") == 1
    return content


def rewritten(interchange: bytes, registration: str, function: str) -> bytes:
    """An interchange of one bill made the amendment or cancellation of a registered one."""
    changed = re.sub(rb"(BGM\+785\+\w+\+)9'", rb"\g<1>" + function.encode() + b"'", interchange)
    reference = f"102'RFF+ABT:{registration}'".encode()
    changed = re.sub(rb"(DTM\+137:\d+:)102'", rb"\g<1>" + reference, changed)
    changed = changed.replace(b"NAD+MS+EOLU'", b"NAD+MS+EOLU'FTX+AAI+++Booked on another vessel'")
    return re.sub(rb"UNT\+(\d+)\+", lambda found: b"UNT+%d+" % (int(found[1]) + 2), changed)


def codes_of(cusres: bytes) -> list[str]:
    """The finding codes in a CUSRES: ERC C901.9321."""
    return [code.decode() for code in re.findall(rb"ERC\+(\w+)", cusres)]


def test_every_bill_of_a_manifest_has_its_own_fate(town: Town) -> None:
    unreadable = town.bill(mode="SEA TRANSPORT")
    miscounted = town.bill(packages=50, gid_packages=40)
    dangerous = town.bill(DANGEROUS)
    good = [town.bill() for _ in range(4)]
    bills = [good[0], unreadable, good[1], miscounted, dangerous, *good[2:]]
    answer = filed(town, town.manifest(bills))
    assert answer.outcome == "partly"
    assert not answer.repeated

    said = contrl(town, answer)
    assert re.findall(rb"UCI\+.*?\+7'", said)
    assert re.findall(rb"UCM\+(\d+)\+CUSCAR:D:95B:UN\+4'", said) == [b"2"]
    # 8051 is too long: the first element of TDT, and 0098 counts the tag too.
    assert re.findall(rb"UCS\+5'UCD\+39\+2'", said)

    entries = town.await_entries(LINE, answer.submission, *["registered"] * 5, "rejected", "do-not-load")
    by_about = Counter((e["about"].rpartition(".")[2], e["kind"]) for e in entries)
    expected = Counter((str(n), "registered") for n in (1, 3, 5, 6, 7))
    assert by_about == expected + Counter([("4", "rejected"), ("5", "do-not-load")])
    references = {e["kind"]: e["reference"] for e in entries}
    assert references["rejected"] == miscounted.number
    assert references["do-not-load"] == dangerous.number

    rejected = town.await_message(LINE, answer.submission, "rejected")
    assert codes_of(rejected) == ["RUL010"]
    stopped = town.await_message(LINE, answer.submission, "do-not-load")
    assert b"GIS+25" in stopped
    assert b"permit" in stopped


def test_the_status_tells_each_message_and_its_timeline(town: Town) -> None:
    answer = filed(town, town.manifest([town.bill(), town.bill(mode="SEA TRANSPORT")]))
    town.await_entries(LINE, answer.submission, "registered")
    told = town.client(LINE).status(answer.submission).json()
    assert told["outcome"] == "partly"
    first, second = told["messages"]
    assert (first["outcome"], first["decision"]) == ("accepted", "registered")
    assert re.fullmatch(r"\d\dVNDEM1\w{10}", first["registration"])
    assert (second["outcome"], second.get("registration")) == ("rejected", None)
    assert [f["code"] for f in second["findings"]] == ["EDI039"]
    happened = [e["what"] for e in told["timeline"]]
    assert happened[:2] == ["received", "partly"]
    assert "registered" in happened[2:]  # and, before it or after it, that it was delivered to the office


def test_a_large_number_of_bills_is_answered_one_by_one(town: Town) -> None:
    bills = [town.bill() for _ in range(60)]
    answer = filed(town, town.manifest(bills))
    assert answer.outcome == "accepted"
    entries = town.await_entries(LINE, answer.submission, *["registered"] * len(bills))
    assert {e["reference"] for e in entries} == {b.number for b in bills}
    assert len(entries) == len(bills)


def test_a_truncated_interchange_is_rejected_whole(town: Town) -> None:
    answer = filed(town, town.manifest([town.bill()], whole=False))
    assert answer.outcome == "rejected"
    assert re.search(rb"UCI\+\w+\+OCEANLINE:ZZ\+VNCUSTOMS:ZZ\+4\+13\+UNZ'", contrl(town, answer))
    assert town.waiting(LINE, answer.submission) == []


def test_a_sender_that_is_not_the_signer_is_rejected(town: Town) -> None:
    answer = filed(town, town.manifest([town.bill()], sender="DELTAFEED"))
    assert answer.outcome == "rejected"
    assert re.search(rb"UCI\+\w+\+DELTAFEED:ZZ\+VNCUSTOMS:ZZ\+4\+23\+UNB\+3:1'", contrl(town, answer))
    told = town.client(LINE).status(answer.submission).json()
    assert [m["outcome"] for m in told["messages"]] == ["rejected"]
    assert town.waiting(LINE, answer.submission) == []


def test_a_message_type_that_is_not_in_use_is_named(town: Town) -> None:
    interchange = town.manifest([town.bill()]).replace(b"CUSCAR:D:95B:UN", b"PAXLST:D:95B:UN")
    answer = filed(town, interchange)
    assert answer.outcome == "rejected"
    assert b"UCM+1+PAXLST:D:95B:UN+4+14+UNH" in contrl(town, answer)


def test_an_answer_of_customs_sent_back_to_customs_is_no_declaration(town: Town) -> None:
    filing = filed(town, town.manifest([town.bill()]))
    cusres = town.await_message(LINE, filing.submission, "registered")
    back = re.sub(
        rb"UNB\+UNOC:3\+VNCUSTOMS:ZZ\+OCEANLINE:ZZ", b"UNB+UNOC:3+OCEANLINE:ZZ+VNCUSTOMS:ZZ", cusres
    )
    answer = filed(town, back)
    assert answer.outcome == "rejected"
    assert b"UCM+1+CUSRES:D:96B:UN+4+14+UNH" in contrl(town, answer)


def test_a_contrl_is_neither_taken_nor_answered(town: Town) -> None:
    said = contrl(town, filed(town, town.manifest([town.bill()])))
    body, media_type = town.sealed(said.replace(b"VNCUSTOMS", b"OCEANLINE"))
    answer = town.client(LINE).submit(body, media_type)
    assert answer.status == 422
    assert answer.codes[0] == "PAR008"
    assert "cvan-submission" not in answer.headers


def test_the_same_octets_get_the_same_receipt_and_have_one_effect(town: Town) -> None:
    body, media_type = town.sealed(town.manifest([town.bill()]), envelope="multipart/signed")
    first = town.client(LINE).submit(body, media_type)
    again = town.client(LINE).submit(body, media_type)
    assert (first.repeated, again.repeated) == (False, True)
    assert (again.body, again.media_type) == (first.body, first.media_type)
    assert again.submission == first.submission
    entries = town.await_entries(LINE, first.submission, "registered")
    assert [e["kind"] for e in entries] == ["registered"]


def test_a_reference_used_twice_for_other_bills_is_refused_by_contrl(town: Town) -> None:
    reference = town.reference()
    first = filed(town, town.manifest([town.bill()], reference))
    clash = filed(town, town.manifest([town.bill()], reference))
    assert (first.outcome, clash.outcome) == ("accepted", "rejected")
    assert re.search(rb"UCI\+" + reference.encode() + rb"\+.*?\+4\+26", contrl(town, clash))
    told = town.client(LINE).status(clash.submission).json()
    assert told["messages"][0]["outcome"] == "rejected"
    assert town.waiting(LINE, clash.submission) == []


def test_the_same_reference_of_another_line_is_no_clash(town: Town) -> None:
    reference = town.reference()
    assert filed(town, town.manifest([town.bill()], reference)).outcome == "accepted"
    other = town.manifest([town.bill()], reference, sender="DELTAFEED", carrier="DFLU")
    assert filed(town, other, FEEDER).outcome == "accepted"


def test_a_rejected_reference_may_be_used_for_the_corrected_interchange(town: Town) -> None:
    reference, bill = town.reference(), town.bill()
    assert filed(town, town.manifest([bill], reference, whole=False)).outcome == "rejected"
    assert filed(town, town.manifest([bill], reference)).outcome == "accepted"


def test_a_bill_filed_twice_under_new_references_is_registered_once(town: Town) -> None:
    bill = town.bill()
    first = filed(town, town.manifest([bill]))
    town.await_entries(LINE, first.submission, "registered")
    second = filed(town, town.manifest([bill]))
    assert second.outcome == "accepted"  # the gateway knows the interchange, customs knows the bill
    refused = town.await_message(LINE, second.submission, "refused")
    assert codes_of(refused) == ["CLR001"]


def test_an_amended_bill_is_released_from_its_order(town: Town) -> None:
    bill = town.bill("Said to contain")
    interchange = town.manifest([bill])
    filing = filed(town, interchange)
    town.await_entries(LINE, filing.submission, "registered", "do-not-load")
    registration = town.client(LINE).status(filing.submission).json()["messages"][0]["registration"]
    better = town.manifest([bill]).replace(b"Said to contain", b"Furniture parts")
    amending = filed(town, rewritten(better, registration, "4"))
    assert amending.outcome == "accepted"
    entries = town.await_entries(LINE, amending.submission, "amended", "released")
    assert {e["reference"] for e in entries} == {bill.number}


def test_a_bill_is_withdrawn(town: Town) -> None:
    bill = town.bill()
    filing = filed(town, town.manifest([bill]))
    town.await_entries(LINE, filing.submission, "registered")
    registration = town.client(LINE).status(filing.submission).json()["messages"][0]["registration"]
    withdrawing = filed(town, rewritten(town.manifest([bill]), registration, "1"))
    assert withdrawing.outcome == "accepted"
    town.await_entries(LINE, withdrawing.submission, "cancelled")
    case = town.cvan("office", "show", registration, "--json").json()
    assert case["line"]["state"] == "cancelled"


@pytest.mark.parametrize("envelope", ["multipart/signed", "application/pkcs7-mime"])
def test_answers_come_in_the_sender_s_own_envelope(town: Town, envelope: str) -> None:
    body, media_type = town.sealed(town.manifest([town.bill()]), envelope=envelope)
    answer = town.client(LINE).submit(body, media_type)
    assert answer.media_type.startswith(envelope)
    entry = town.await_entries(LINE, answer.submission, "registered")[0]
    assert entry["media_type"].startswith(envelope)


def test_only_a_carrier_reports_cargo(town: Town) -> None:
    interchange = town.manifest([town.bill()], sender="DEMOVNVX", carrier="DEMOVNVX")
    answer = filed(town, interchange, BANK)
    assert answer.outcome == "rejected"
    rejected = town.await_message(BANK, answer.submission, "rejected")
    assert codes_of(rejected) == ["PAR004"]


def test_the_contrl_is_read_back_by_our_own_reader(town: Town) -> None:
    answer = filed(town, town.manifest([town.bill(), town.bill(mode="SEA TRANSPORT")]))
    interchange = read(contrl(town, answer), Directories.load(town.home / "xsd" / "edifact"))
    assert not interchange.rejected
    told = acknowledgement(interchange.messages[0])
    assert told.interchange.action == "7"
    assert [(m.reference, m.action) for m in told.messages] == [("2", "4")]
