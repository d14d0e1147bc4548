"""Outside judges: xmlsec1, openssl, pydifact and curl agree with what goes out and come in themselves."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.journeys import judges
from tests.journeys.town import (
    ACCOUNT,
    AN_PHAT,
    BANK,
    BEEF,
    BIC,
    BINH_MINH,
    LAPTOPS,
    LINE,
    Town,
    text_of,
)

ENVELOPES = ("multipart/signed", "application/pkcs7-mime")


def test_xmlsec1_verifies_receipts_and_every_decision(town: Town, tmp_path: Path) -> None:
    answer = town.client(BINH_MINH).submit(town.signed(BINH_MINH, BEEF))
    assert judges.xmlsec1_verifies(answer.body, town.anchor, tmp_path)
    registration = town.registered(BINH_MINH, answer)
    town.officer("accept-documents", registration)
    payment = town.client(BANK).submit(town.credits(town.notice(BINH_MINH, answer)))
    town.await_entries(BINH_MINH, answer.submission, "cleared")
    town.await_entries(BANK, payment.submission, "payment-matched")
    seen = set()
    for partner, submission in ((BINH_MINH, answer.submission), (BANK, payment.submission)):
        for entry in town.waiting(partner, submission):
            body = town.client(partner).fetch(entry["id"]).body
            assert judges.xmlsec1_verifies(body, town.anchor, tmp_path), entry["kind"]
            assert not judges.xmlsec1_verifies(
                body.replace(b"NameCode>", b"NameCode> ", 1), town.anchor, tmp_path
            )
            seen.add(entry["kind"])
    assert seen >= {"registered", "yellow", "duty-notice", "released", "cleared", "payment-matched"}


def test_what_xmlsec1_signs_is_accepted(town: Town, tmp_path: Path) -> None:
    document = town.declaration(AN_PHAT, LAPTOPS)
    signed = judges.xmlsec1_signs(document, town.folder(AN_PHAT), tmp_path)
    answer = town.client(AN_PHAT).submit(signed)
    assert answer.outcome == "accepted"
    town.await_entries(AN_PHAT, answer.submission, "registered")


@pytest.mark.parametrize("envelope", ENVELOPES)
def test_openssl_verifies_contrl_and_cusres(town: Town, tmp_path: Path, envelope: str) -> None:
    bills = [town.bill(), town.bill(packages=50, gid_packages=40)]
    body, media_type = town.sealed(town.manifest(bills), envelope=envelope)
    answer = town.client(LINE).submit(body, media_type)
    contrl = judges.openssl_content(answer.body, answer.media_type, town.anchor, tmp_path)
    assert contrl == town.prove(answer.body, answer.media_type)
    assert b"CONTRL" in contrl
    for entry in town.await_entries(LINE, answer.submission, "registered", "rejected"):
        fetched = town.client(LINE).fetch(entry["id"])
        cusres = judges.openssl_content(fetched.body, fetched.media_type, town.anchor, tmp_path)
        assert cusres is not None
        assert b"CUSRES:D:96B:UN" in cusres
        spoiled = fetched.body.replace(b"CUSRES:D:96B", b"CUSRES:D:96C")
        assert judges.openssl_content(spoiled, fetched.media_type, town.anchor, tmp_path) is None


@pytest.mark.parametrize(
    "options",
    [
        ("-nodetach", "-outform", "DER"),
        ("-nodetach", "-outform", "SMIME"),
        ("-outform", "SMIME"),
    ],
    ids=" ".join,
)
def test_what_openssl_signs_is_accepted(town: Town, tmp_path: Path, options: tuple[str, ...]) -> None:
    interchange = town.manifest([town.bill()])
    made = judges.openssl_signs(interchange, town.folder(LINE), tmp_path, *options)
    media_type = "application/pkcs7-mime; smime-type=signed-data"
    if "SMIME" in options:
        head, _, made = made.partition(b"\n\n")
        found = re.search(rb"(?im)^content-type: (.*)$", head)
        assert found is not None
        media_type = found[1].decode()
    answer = town.client(LINE).submit(made, media_type)
    assert answer.outcome == "accepted"
    assert answer.media_type.partition(";")[0] == media_type.partition(";")[0]
    town.await_entries(LINE, answer.submission, "registered")


def test_pydifact_reads_contrl_and_cusres(town: Town) -> None:
    bills = [town.bill(), town.bill(mode="SEA TRANSPORT"), town.bill(packages=50, gid_packages=40)]
    reference = town.reference()
    body, media_type = town.sealed(town.manifest(bills, reference))
    answer = town.client(LINE).submit(body, media_type)
    ((kind, segments),) = judges.pydifact_reads(town.prove(answer.body, answer.media_type))
    assert kind == "CONTRL"
    uci, ucm, ucs, ucd = segments
    assert uci == ("UCI", [reference, ["OCEANLINE", "ZZ"], ["VNCUSTOMS", "ZZ"], "7"])
    assert ucm == ("UCM", ["2", ["CUSCAR", "D", "95B", "UN"], "4"])
    assert (ucs, ucd) == (("UCS", ["5"]), ("UCD", ["39", "2"]))

    town.await_entries(LINE, answer.submission, "registered", "rejected")
    ((kind, segments),) = judges.pydifact_reads(town.await_message(LINE, answer.submission, "rejected"))
    assert kind == "CUSRES"
    said = dict(segments)
    assert said["RFF"] == [["ABE", bills[2].number]]
    assert said["ERC"] == ["RUL010"]
    assert said["GIS"] == [["2", "120"]]
    ((_, segments),) = judges.pydifact_reads(town.await_message(LINE, answer.submission, "registered"))
    numbers = [elements[0][1] for tag, elements in segments if tag == "RFF" and elements[0][0] == "ABT"]
    told = town.client(LINE).status(answer.submission).json()
    assert numbers == [told["messages"][0]["registration"]]


def test_pydifact_reads_a_duty_notice(town: Town) -> None:
    """An EDIFACT declaration's notice: what is to be paid, where, until when."""
    declaration = cusdec(town)
    body, media_type = town.sealed(declaration, BINH_MINH)
    answer = town.client(BINH_MINH).submit(body, media_type)
    assert answer.outcome == "accepted", town.client(BINH_MINH).status(answer.submission).json()
    notice = town.await_message(BINH_MINH, answer.submission, "duty-notice")
    ((kind, segments),) = judges.pydifact_reads(notice)
    assert kind == "CUSRES"
    references = {e[0][0]: e[0][1] for tag, e in segments if tag == "RFF"}
    assert references["ABI"].startswith("RF")
    assert references["ADE"] == ACCOUNT
    banks = [e for tag, e in segments if tag == "NAD"]
    assert banks[0][:2] == ["RB", BIC]
    taxes = [e for tag, e in segments if tag == "TAX"]
    assert taxes


def cusdec(town: Town) -> bytes:
    """An import declaration of one item in CUSDEC D.96B, its origin known, its duty due."""
    reference = town.reference()
    segments = (
        "UNH+1+CUSDEC:D:96B:UN",
        f"BGM+929+{reference}+9",
        "LOC+22+VNDEMO01",
        "LOC+9+CNSHA",
        "LOC+11+VNSGN",
        "LOC+35+CN",
        f"DTM+137:{datetime.now(UTC):%Y%m%d}:102",
        "MEA+WT+AAD+KGM:900",
        "TDT+11+612E+1+++++9319466:146:11:MV SONG HAN",
        "NAD+DT+0100233488++BINH MINH FOODS CO",
        "NAD+IM+0100233488++BINH MINH FOODS CO",
        "NAD+CN+0100233488++BINH MINH FOODS CO",
        "NAD+SE+++PEARL RIVER TRADING+88 ZHONGSHAN RD+SHANGHAI+++CN",
        "TOD+++CIF",
        "LOC+1+VNSGN",
        "MOA+39:480000000:VND",
        "UNS+D",
        "CST+1+84713020:122+A11:117",
        "FTX+AAA+++PORTABLE COMPUTERS",
        "LOC+27+CN",
        "MEA+WT+AAB+KGM:900",
        "MEA+WT+AAF+KGM:810",
        "PAC+60++CT",
        "PCI+24+NO MARKS",
        "MOA+40:480000000:VND",
        "MOA+38:480000000:VND",
        "UNS+S",
        "CNT+5:1",
        "CNT+11:60",
    )
    message = "'".join((*segments, f"UNT+{len(segments) + 1}+1"))
    return (
        f"UNB+UNOC:3+0100233488:ZZ+VNCUSTOMS:ZZ+261121:1200+{reference}'{message}'UNZ+1+{reference}'".encode()
    )


def curl(town: Town, *arguments: object) -> tuple[int, bytes]:
    """(status, body) of a request by An Phat's own command line."""
    folder = town.folder(AN_PHAT)
    proof = ("--cacert", town.anchor, "--cert", folder / "tls.crt.pem", "--key", folder / "tls.key.pem")
    done = judges.run("curl", "--silent", "--show-error", "--write-out", "\n%{http_code}", *proof, *arguments)
    assert done.returncode == 0, done.stderr
    body, _, status = done.stdout.rpartition(b"\n")
    return int(status), body


def test_curl_submits_with_mutual_tls(town: Town, tmp_path: Path) -> None:
    (tmp_path / "signed.xml").write_bytes(town.signed(AN_PHAT, LAPTOPS))
    url = f"https://localhost:{town.gateway.port}/v1"
    send = ("--data-binary", f"@{tmp_path / 'signed.xml'}", "--header", "Content-Type: application/xml")
    status, receipt = curl(town, *send, f"{url}/messages")
    assert status == 200
    town.prove(receipt, "application/xml")
    reference = text_of(receipt, "Declaration/FunctionalReferenceID")
    status, listed = curl(town, f"{url}/mailbox?limit=1000")
    assert status == 200
    assert reference.encode() in listed


def test_curl_hears_why_ten_megabytes_are_too_many(town: Town, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(10 * 1024 * 1024 + 1))
    url = f"https://localhost:{town.gateway.port}/v1/messages"
    send = ("--data-binary", f"@{tmp_path / 'large'}", "--header", "Content-Type: application/xml")
    status, body = curl(town, *send, url)
    assert status == 413
    assert b"API413" in body
