"""What the gateway refuses at the door: no receipt, no submission, a reason in two languages."""

from __future__ import annotations

import contextlib
import http.client
import random
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from lxml import etree

from gateway import safexml, security
from gateway.model import Partner, Role
from gateway.security import SigningKey
from gateway.security.certificates.authority import Authority
from tests.journeys.plain import Answer, Plain
from tests.journeys.town import AN_PHAT, FEEDER, LAPTOPS, LINE, Town, until

ENVELOPES = ("multipart/signed", "application/pkcs7-mime")
STRANGER = Partner("stranger", "Stranger Trading Co.", (Role.TRADER,), ("0101243150",))


def refused(answer: Answer, status: int, code: str) -> dict[str, str]:
    """The first finding of a refusal, held against what it should be."""
    assert (answer.status, answer.codes[:1]) == (status, [code])
    assert answer.media_type == "application/problem+json"
    assert "cvan-submission" not in answer.headers
    first: dict[str, str] = answer.json()["findings"][0]
    assert len(first["text"]) > 20
    assert len(first["text_vi"]) > 20
    assert first["text"] != first["text_vi"]
    return first


@pytest.fixture
def unchanged(town: Town) -> object:
    """Fails where the test left anything in An Phat's mailbox."""
    before = len(list(town.client(AN_PHAT).entries(everything=True)))
    yield
    assert len(list(town.client(AN_PHAT).entries(everything=True))) == before


@pytest.mark.usefixtures("unchanged")
class TestUnproven:
    """Nothing of what came may be believed."""

    def test_a_tampered_value(self, town: Town) -> None:
        signed = town.signed(AN_PHAT, LAPTOPS)
        tampered = signed.replace(b"480000000", b"180000000", 1)
        assert tampered != signed
        refused(town.client(AN_PHAT).submit(tampered), 403, "SIG011")

    def test_a_tampered_interchange(self, town: Town) -> None:
        body, media_type = town.sealed(town.manifest([town.bill()]), envelope="multipart/signed")
        tampered = body.replace(b"MEA+WT+G+KGM:5000", b"MEA+WT+G+KGM:1000")
        assert tampered != body
        answer = town.client(LINE).submit(tampered, media_type)
        assert (answer.status, answer.codes[0][:3]) == (403, "SIG")

    def test_an_expired_certificate(self, town: Town) -> None:
        late = town.late_key(AN_PHAT)
        then = late.certificates[0].not_valid_before_utc
        signed = security.sign_xml(safexml.parse(town.declaration(AN_PHAT, LAPTOPS)), late, then)
        refused(town.client(AN_PHAT).submit(signed), 403, "SIG022")

    def test_an_entity_bomb(self, town: Town) -> None:
        entities = "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(9))
        bomb = f'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY e0 "aaaaaaaaaa">{entities}]><d>&e9;</d>'
        refused(town.client(AN_PHAT).submit(bomb.encode()), 403, "XML004")

    def test_an_unsigned_declaration(self, town: Town) -> None:
        refused(town.client(AN_PHAT).submit(town.declaration(AN_PHAT, LAPTOPS)), 403, "SIG001")

    def test_an_unsigned_interchange(self, town: Town) -> None:
        plain = town.manifest([town.bill()])
        refused(town.client(LINE).submit(plain, "application/edifact"), 403, "SIG002")

    def test_a_signer_that_is_not_registered(self, town: Town) -> None:
        name = town.issue(STRANGER)
        document = town.declaration(STRANGER, LAPTOPS)
        answer = town.client(AN_PHAT).submit(town.sign(document, STRANGER))
        assert refused(answer, 403, "PAR001")["found"] == name

    def test_a_signer_of_another_authority(self, town: Town, tmp_path: Path) -> None:
        foreign = Authority.create(tmp_path / "authority", "Foreign authority")
        key, certificate = tmp_path / "key.pem", tmp_path / "crt.pem"
        foreign.issue(town.key(AN_PHAT).signer.subject, key, certificate, algorithm="p256")
        signing = SigningKey.load(key, certificate)
        document = safexml.parse(town.declaration(AN_PHAT, LAPTOPS))
        answer = town.client(AN_PHAT).submit(security.sign_xml(document, signing, datetime.now(UTC)))
        assert (answer.status, answer.codes[0][:4]) == (403, "SIG0")

    def test_a_signature_of_octets_that_are_no_cms(self, town: Town) -> None:
        answer = town.client(LINE).submit(b"0\x82\x01\x00nothing at all", "application/pkcs7-mime")
        assert (answer.status, answer.codes[0][:3]) == (403, "SIG")

    def test_each_is_noted_for_audit(self, town: Town) -> None:
        before = town.ledger.counts().refusals.get("SIG001", 0)
        town.client(AN_PHAT).submit(town.declaration(AN_PHAT, LAPTOPS))
        assert town.ledger.counts().refusals["SIG001"] == before + 1


def test_no_mutilated_body_is_an_error_of_the_gateway(town: Town) -> None:
    """Octets changed, lost and added anywhere; what was signed is accepted as it was signed or not at all."""
    chance = random.Random(town.reference())
    interchange, signed = town.manifest([town.bill()]), town.signed(AN_PHAT, LAPTOPS)
    sealed = [(*town.sealed(interchange, envelope=e), LINE) for e in ENVELOPES]
    log = len(town.gateway.log())
    for body, media_type, partner in (*sealed, (signed, "application/xml", AN_PHAT)):
        statuses: list[int] = []
        for _ in range(30):
            at, lost = chance.randrange(len(body)), chance.choice((0, 1, 1, 40, 4000))
            mutilated = body[:at] + chance.randbytes(chance.choice((0, 1, 1, 8))) + body[at + lost :]
            answer = town.client(partner).submit(mutilated, media_type)
            statuses.append(answer.status)
            assert answer.status in (200, 403, 413, 422), (answer, at)
            if answer.status == 200 and answer.outcome == "accepted":
                same = (
                    canonical(mutilated) == canonical(signed)
                    if partner is AN_PHAT
                    else interchange in mutilated
                )
                assert same, (at, mutilated)
        assert 403 in statuses, media_type
    assert "Traceback" not in town.gateway.log()[log:]


def canonical(document: bytes) -> bytes:
    """The document without its signature, of which more than one writing is the same."""
    root = etree.fromstring(document)
    root.remove(root[-1])
    return etree.tostring(root, method="c14n")


class TestUnreadable:
    """The sender is proven; what it sent cannot be answered in its own syntax."""

    def test_xml_of_a_root_that_nobody_knows(self, town: Town) -> None:
        signed = town.sign(b'<Bestellung xmlns="urn:example:other"><Nr>1</Nr></Bestellung>', AN_PHAT)
        first = refused(town.client(AN_PHAT).submit(signed), 422, "XML020")
        assert first["found"] == "{urn:example:other}Bestellung"

    def test_a_wco_type_that_nobody_knows(self, town: Town) -> None:
        document = town.declaration(AN_PHAT, LAPTOPS).replace(b"TypeName>IM<", b"TypeName>XX<")
        refused(town.client(AN_PHAT).submit(town.sign(document, AN_PHAT)), 422, "XML036")

    def test_signed_octets_that_are_no_interchange(self, town: Town) -> None:
        body, media_type = town.sealed(b"UNB+this is not an interchange")
        answer = town.client(LINE).submit(body, media_type)
        assert (answer.status, answer.codes[0][:3]) == (422, "EDI")

    def test_a_response_is_no_declaration(self, town: Town) -> None:
        filing = town.client(AN_PHAT).submit(town.signed(AN_PHAT, LAPTOPS))
        said = town.await_message(AN_PHAT, filing.submission, "registered")
        answer = town.client(AN_PHAT).submit(town.sign(said, AN_PHAT))
        assert answer.outcome == "rejected"
        assert b">PAR006<" in town.prove(answer.body, answer.media_type)


class TestDoor:
    """What is no submission at all."""

    def test_a_wrong_media_type(self, town: Town) -> None:
        first = refused(town.client(AN_PHAT).submit(b"{}", "application/json"), 415, "API415")
        assert "application/xml" in first["expected"]

    def test_an_empty_body(self, town: Town) -> None:
        refused(town.client(AN_PHAT).submit(b""), 400, "API4003")

    def test_a_path_and_a_method_that_are_not_there(self, town: Town) -> None:
        refused(town.client(AN_PHAT).call("GET", "/v1/nothing"), 404, "API404")
        answer = town.client(AN_PHAT).call("DELETE", "/v1/messages")
        refused(answer, 405, "API405")
        assert answer.headers["allow"] == "POST"

    def test_vietnamese_first_where_it_is_asked_for(self, town: Town) -> None:
        answer = town.client(AN_PHAT).submit(b"<a/>", Accept_Language="vi-VN,vi;q=0.9")
        assert answer.json()["detail"] == answer.json()["findings"][0]["text_vi"]

    def test_more_than_the_default_is_refused_before_it_is_read(self, town: Town) -> None:
        """10 MB and one octet, announced and not sent."""
        client = town.new_client(FEEDER)
        refused(client.announce(10 * 1024 * 1024 + 1, "application/pkcs7-mime"), 413, "API413")

    def test_chunks_beyond_the_default_are_refused(self, town: Town) -> None:
        """10 MB and more, sent without saying how much it will be."""
        client, log = town.new_client(FEEDER), len(town.gateway.log())
        chunks = (bytes(1 << 20) for _ in range(12))
        # The gateway may close while we are still sending: as good a refusal, which its log proves.
        with contextlib.suppress(OSError):
            answer = client.call("POST", "/v1/messages", chunks, Content_Type="application/xml")  # type: ignore[arg-type]
            assert answer.status == 413
        until(lambda: '"API413"' in town.gateway.log()[log:])


class TestWho:
    """Who is at the door."""

    def test_nobody(self, town: Town) -> None:
        nobody = Plain(lambda: town.gateway.port, town.anchor)
        refused(nobody.submit(b"<a/>"), 401, "API401")
        assert nobody.call("GET", "/health/live").status == 200

    def test_a_certificate_of_nobody_registered(self, town: Town) -> None:
        town.issue(STRANGER)
        refused(town.new_client(STRANGER).submit(b"<a/>"), 401, "API401")

    def test_a_certificate_of_another_authority_ends_the_handshake(self, town: Town, tmp_path: Path) -> None:
        foreign = Authority.create(tmp_path / "authority", "Foreign authority")
        subject = town.key(AN_PHAT).signer.subject
        foreign.issue(
            subject, tmp_path / "tls.key.pem", tmp_path / "tls.crt.pem", algorithm="p256", use="tls"
        )
        impostor = Plain(lambda: town.gateway.port, town.anchor, tmp_path)
        with pytest.raises((OSError, http.client.HTTPException)):
            impostor.submit(b"<a/>")

    def test_a_wrong_token(self, town: Town) -> None:
        refused(town.token_client("not-the-token").mailbox(), 401, "API401")


def test_the_log_has_no_content_and_no_traceback(town: Town) -> None:
    """After all these refusals, and whatever came before in this town."""
    town.client(AN_PHAT).submit(town.signed(AN_PHAT, LAPTOPS).replace(b"480000000", b"180000000", 1))
    log = town.gateway.log()
    assert "Traceback" not in log
    assert not re.search(r"Portable computers|EOLUSGN|<Declaration|BEGIN", log)
