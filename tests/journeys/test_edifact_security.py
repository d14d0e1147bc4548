"""An interchange signed by its own security segments alone, from the door to its answer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway import security, syntax
from gateway.handbook import EDIFACT_PROFILE
from tests.docs.pages import ROOT
from tests.journeys.plain import Answer
from tests.journeys.town import LINE, Town, until

PROFILE = security.EdifactProfile.load(ROOT / EDIFACT_PROFILE)
DIRECTORIES = syntax.Directories.load(ROOT / "xsd" / "edifact")
BARE = "application/edifact"


@pytest.fixture
def agreed(town: Town) -> Iterator[None]:
    """The line may sign so, and send its certificate in a package."""
    envelopes = [
        o for e in ("edifact", "multipart/signed", "application/pkcs7-mime") for o in ("--envelope", e)
    ]
    assert town.cvan("partner", "terms", LINE.id, *envelopes).code == 0
    assert town.cvan("partner", "agree", LINE.id, "--packages").code == 0
    yield
    assert town.cvan("partner", "terms", LINE.id).code == 0
    assert town.cvan("partner", "agree", LINE.id).code == 0


def secured(town: Town, response: str = "1") -> bytes:
    """A manifest of syntax 4 with the line's certificate, each message signed."""
    key = town.key(LINE)
    read = syntax.read(town.manifest([town.bill(), town.bill()]), DIRECTORIES)
    der = key.certificates[0].public_bytes(Encoding.DER)
    package = syntax.OutPackage("C1", (("1", "signer"),), (("62", "X509"),), der)
    plain = syntax.write(
        [*(syntax.forwarded(m) for m in read.messages), package],
        syntax=("UNOC", "4"),
        sender=read.sender,
        recipient=read.recipient,
        reference=read.reference,
        now=datetime.now(UTC),
    )
    manner = security.Manner(response=response)
    return syntax.secure(plain, security.EdifactSigner(key, PROFILE, manner, datetime.now(UTC)))


def sent(town: Town, body: bytes) -> Answer:
    return town.client(LINE).submit(body, BARE)


def test_a_bare_interchange_and_its_answer(town: Town, agreed: None) -> None:
    until(lambda: sent(town, secured(town)).outcome == "accepted", what="the agreement is known")
    body = secured(town, response="2")
    answer = sent(town, body)
    assert (answer.status, answer.outcome, answer.media_type) == (200, "accepted", BARE)
    assert sent(town, body).body == answer.body, "the same octets get the same answer"
    read = syntax.read(answer.body, DIRECTORIES)
    assert [m.type for m in read.messages] == ["CONTRL", "AUTACK"]
    own = next((town.home / "keystore").rglob("signing*.crt.pem"))
    (chain,) = x509.load_pem_x509_certificates(own.read_bytes())
    lookup = security.Certificates([chain.public_bytes(Encoding.DER)])
    trust, policy = security.Trust.load(town.anchor), security.Policy()
    proof = security.prove_edifact(
        answer.body, syntax.survey([answer.body]), PROFILE, lookup, trust, policy, datetime.now(UTC)
    )
    assert (proof.refused, sorted(proof.proven)) == ({}, [1])


def test_a_spoilt_message_is_refused_alone(town: Town, agreed: None) -> None:
    until(lambda: sent(town, secured(town)).outcome == "accepted", what="the agreement is known")
    body = secured(town)
    at = body.rindex(b"BGM+")
    answer = sent(town, body[:at] + b"BGM+86+" + body[at + 7 :])
    contrl = syntax.read(answer.body, DIRECTORIES).messages[0]
    told = syntax.acknowledgement(contrl)
    assert (answer.status, answer.outcome) == (200, "partly"), told


def test_nothing_signed_at_all(town: Town, agreed: None) -> None:
    plain = town.manifest([town.bill()])
    answer = sent(town, plain)
    assert (answer.status, b"SIG002" in answer.body) == (403, True)
