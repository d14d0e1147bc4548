"""EDIFACT's own security on the journey: who is believed, what is refused message by message, how it is answered."""

from __future__ import annotations

import copy
import dataclasses
import re
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from gateway import inbound, outbound, security, syntax
from gateway.inbound import Inspected
from gateway.intake import work
from gateway.model import Credential, Mandate, Outcome, Partner, Register, Terms, Use
from gateway.model.register import body_of
from gateway.model.secured import NamedCertificate, SecurityGroup, SecurityParty
from gateway.operations.demo import papers
from gateway.operations.enrolling.checks import checked_credential
from gateway.security import EdifactSigner, Manner, Refused
from tests.operations.knowledge import CARRIER, NOW, OTHER, VAN, World, book, manifest
from tests.security.authorities import Party

BILLS = tuple(papers.Bill(f"EOLUSGN00000{n}", "Furniture parts", 100, 5_000) for n in (1, 2))
BARE = "application/edifact"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Everybody may sign by EDIFACT's own means but OTHER."""
    made = World(tmp_path_factory.mktemp("world"), [Mandate("m", VAN.id, CARRIER.id)])
    terms = Terms(envelopes=("edifact", "multipart/signed", "application/pkcs7-mime"))
    partners = [
        p if p.id == OTHER.id else msgspec.structs.replace(p, terms=terms) for p in made.partners.values()
    ]
    register = Register(partners, [Mandate("m", VAN.id, CARRIER.id)])
    known = [c.public_bytes(Encoding.DER) for key in made.keys.values() for c in key.certificates]
    signers = security.Certificates(known)
    made.handbook = dataclasses.replace(made.handbook, register=register, signers=signers)
    return made


def fourth(octets: bytes) -> bytes:
    """The interchange under syntax 4."""
    read = syntax.read(octets, book().directories)
    return syntax.write(
        [syntax.forwarded(m) for m in read.messages],
        syntax=("UNOC", "4"),
        sender=read.sender,
        recipient=read.recipient,
        reference=read.reference,
        now=NOW,
    )


def signer(world: World, partner: Partner = CARRIER, manner: Manner | None = None) -> EdifactSigner:
    key = world.keys[partner.id]
    return EdifactSigner(key, world.handbook.edifact_security, manner or Manner(), NOW)


def secured(world: World, reference: str, partner: Partner = CARRIER, manner: Manner | None = None) -> bytes:
    return syntax.secure(fourth(manifest(reference, *BILLS)), signer(world, partner, manner))


def inspect(world: World, body: bytes, media_type: str = BARE, by: Partner = CARRIER) -> Inspected:
    return inbound.inspect(world.submission(body, media_type, by), world.handbook, NOW)


def refused(world: World, body: bytes, by: Partner = CARRIER) -> list[str]:
    with pytest.raises(Refused) as caught:
        inspect(world, body, by=by)
    return [f.code for f in caught.value.findings]


def codes(inspected: Inspected, ordinal: int) -> list[str]:
    (message,) = [m for m in inspected.verdict.messages if m.ordinal == ordinal]
    return [f.code for f in message.findings]


def test_a_bare_interchange_is_proven_by_its_own_security(world: World) -> None:
    inspected = inspect(world, secured(world, "E1"))
    verdict = inspected.verdict
    assert (verdict.outcome, verdict.partner, verdict.claim) == (Outcome.ACCEPTED, CARRIER.id, "UNB:E1")
    assert verdict.signer is not None
    assert verdict.signer.subject == world.keys[CARRIER.id].signer.subject
    assert verdict.proof.certificates
    assert verdict.route.envelope == "edifact"
    assert [m.findings for m in verdict.messages] == [(), ()]


def test_by_reference_too(world: World) -> None:
    plain = fourth(manifest("E2", *BILLS))
    body = syntax.refer(plain, signer(world, manner=Manner("7", "3")))
    verdict = inspect(world, body).verdict
    assert (verdict.outcome, [m.type for m in verdict.messages]) == (Outcome.ACCEPTED, ["CUSCAR", "CUSCAR"])
    stripped = re.sub(rb"UNH\+AUTACK.*?UNT[^']*'", b"", body).replace(b"UNZ+3", b"UNZ+2")
    assert refused(world, stripped) == ["SIG002"], "without the AUTACK nothing is signed"


def test_no_agreement_no_bare_interchange(world: World) -> None:
    body = syntax.secure(fourth(manifest("E3", *BILLS)), signer(world, OTHER))
    assert refused(world, body, by=OTHER) == ["SIG400"]


def test_what_is_not_proven_is_refused_message_by_message(world: World) -> None:
    body = secured(world, "E4").replace(b"EOLUSGN000002", b"EOLUSGN000009")
    inspected = inspect(world, body)
    assert inspected.verdict.outcome is Outcome.PARTLY
    assert codes(inspected, 1) == []
    assert codes(inspected, 2) == ["SIG417"]
    assert inspected.verdict.messages[1].declaration is None
    assert inspected.verdict.messages[1].lrn == "", "what nobody signed is not read"


def test_nobody_is_proven(world: World) -> None:
    body = secured(world, "E5").replace(b"EOLUSGN", b"EOLUSGX")
    assert refused(world, body) == ["SIG417", "SIG417"]


def test_security_hidden_in_a_released_tag_is_none(world: World) -> None:
    """In a CMS envelope: the segments are seen by the reader, so they must prove something."""
    octets = fourth(manifest("E6", *BILLS)).replace(b"UNT+", b"U?ST+1+2'UNT+", 1)
    media_type, body = world.sealed(octets)
    inspected = inspect(world, body, media_type)
    assert "SIG438" in codes(inspected, 1)
    assert codes(inspected, 2) == []


def test_a_carrier_around_the_trader_s_own_signatures(world: World) -> None:
    media_type, body = world.sealed(secured(world, "E7"), VAN)
    verdict = inspect(world, body, media_type, VAN).verdict
    assert (verdict.outcome, verdict.partner) == (Outcome.ACCEPTED, CARRIER.id)
    assert verdict.carrier is not None
    assert verdict.carrier.subject == world.keys[VAN.id].signer.subject
    assert verdict.route.envelope == "application/pkcs7-mime"


def test_inner_security_that_fails_is_told_to_the_carrier(world: World) -> None:
    spoilt = secured(world, "E8").replace(b"EOLUSGN", b"EOLUSGX")
    media_type, body = world.sealed(spoilt)
    inspected = inspect(world, body, media_type)
    assert inspected.verdict.outcome is Outcome.REJECTED
    assert (codes(inspected, 1), codes(inspected, 2)) == (["SIG417"], ["SIG417"])
    assert inspected.verdict.signer is not None
    assert inspected.verdict.signer.subject == world.keys[CARRIER.id].signer.subject


def test_contrl_names_the_security_segment(world: World) -> None:
    body = secured(world, "E9").replace(b"EOLUSGN000002", b"EOLUSGN000009")
    inspected = inspect(world, body)
    draft = outbound.receipt(inspected.verdict, inspected.interchange, world.handbook, "77", NOW)
    ucm = next(s for s in syntax.segments([draft.interchange]) if s.tag == "UCM")
    assert (ucm.get(1), ucm.get(3), ucm.get(4), ucm.get(5)) == ("2", "4", "27", "UST")
    assert (ucm.get(9), ucm.get(10)) == ("1", "1"), "0534 and the segment's position in its group"


def test_answers_are_signed_as_the_question_was(world: World) -> None:
    body = secured(world, "E10", manner=Manner(response="2"))
    submission = world.submission(body, BARE, CARRIER)
    numbers = iter(str(n) for n in range(100, 200))
    worked = work(submission, world.handbook, world.own, lambda n: [next(numbers) for _ in range(n)], NOW)
    media_type, answer = worked.receipt
    assert media_type == BARE
    own = security.Certificates([c.public_bytes(Encoding.DER) for c in world.own.certificates])
    survey = syntax.survey([answer])
    book_ = world.handbook
    proof = security.prove_edifact(
        answer, survey, book_.edifact_security, own, book_.trust, book_.policy, NOW
    )
    assert (proof.refused, sorted(proof.proven)) == ({}, [1])
    read = syntax.read(answer, book_.directories)
    assert [m.type for m in read.messages] == ["CONTRL", "AUTACK"]
    assert not read.rejected
    assert not any(m.rejected for m in read.messages)
    (autack,) = [s.autack for s in survey.structures if s.autack]
    assert [(r.interchange, r.message) for r in autack.references] == [("E10", "1"), ("E10", "2")]


def test_an_unproven_neighbour_gets_its_answer_under_its_own_number(world: World) -> None:
    """An AUTACK before the messages is none of them: refusals find theirs by ordinal."""
    bad = papers.Bill("EOLUSGN000003", "Plastic toys", 50, 1_200, gid_packages=40)
    plain = fourth(manifest("E11", BILLS[0], bad))
    body = syntax.refer(plain, signer(world, manner=Manner("7", "3")))
    first = re.search(rb"UNH\+AUTACK.*?UNT[^']*'", body)
    assert first is not None
    body = body.replace(first[0], b"").replace(b"UNH+1+", first[0] + b"UNH+1+", 1)
    numbers = iter(str(n) for n in range(100, 200))
    submission = world.submission(body, BARE, CARRIER)
    worked = work(submission, world.handbook, world.own, lambda n: [next(numbers) for _ in range(n)], NOW)
    assert [m.ordinal for m in worked.verdict.messages] == [2, 3]
    assert [ordinal for ordinal, _, _ in worked.refusals] == [3]
    assert worked.verdict.messages[1].lrn == bad.number


# -- certificates that partners registered ---------------------------------------------------------------


class Naming(EdifactSigner):
    """Names its certificate as a USC of others would."""

    naming: dict[str, object] = {}  # noqa: RUF012 - of the test

    def header(self, around: Any) -> SecurityGroup:
        group = super().header(around)
        (named,) = group.certificates
        return msgspec.structs.replace(group, certificates=(msgspec.structs.replace(named, **self.naming),))


def registered(world: World, terms: Terms, **changes: Any) -> World:
    """The carrier's signing certificate stands in the register, and nowhere else."""
    (own, *_) = world.keys[CARRIER.id].certificates
    mine = checked_credential(Credential("", uses=(Use.SIGN,), certificate=own.public_bytes(Encoding.DER)))
    mine = msgspec.structs.replace(mine, **changes.pop("credential", {}))
    carrier = msgspec.structs.replace(world.partners[CARRIER.id], terms=terms, credentials=(mine,), **changes)
    others = [p for p in world.partners.values() if p.id != CARRIER.id]
    handbook = dataclasses.replace(
        world.handbook, register=Register([carrier, *others]), signers=security.Certificates()
    )
    made = copy.copy(world)
    made.handbook = handbook
    return made


def naming(world: World, how: str) -> dict[str, object]:
    (own, *_) = world.keys[CARRIER.id].certificates
    key_id = own.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest.hex().upper()
    names: dict[str, dict[str, object]] = {
        "fingerprint": {"reference": own.fingerprint(hashes.SHA256()).hex()[:32].upper()},
        "key": {"reference": key_id[:32]},
        "key name": {"reference": "", "parties": (SecurityParty("3", key=key_id[:32]),)},
        "digits without end": {"reference": "9" * 5_000},
        "nobody's": {"reference": "AB" * 16},
        "nothing": {"reference": ""},
    }
    return names[how]


def sent_by_name(world: World, how: str, reference: str) -> bytes:
    signing = Naming(world.keys[CARRIER.id], world.handbook.edifact_security, Manner(), NOW)
    signing.naming = naming(world, how)
    return syntax.secure(fourth(manifest(reference, *BILLS)), signing)


AGREED = Terms(envelopes=("edifact",))


@pytest.mark.parametrize("how", ["fingerprint", "key", "key name"])
def test_a_certificate_that_is_only_named_is_looked_up_in_the_register(world: World, how: str) -> None:
    here = registered(world, AGREED)
    verdict = inspect(here, sent_by_name(here, how, f"N-{how[:9]}")).verdict
    assert (verdict.outcome, verdict.partner) == (Outcome.ACCEPTED, CARRIER.id)


@pytest.mark.parametrize("how", ["nobody's", "nothing", "digits without end"])
def test_a_name_that_is_none_of_the_register_s(world: World, how: str) -> None:
    here = registered(world, AGREED)
    assert set(refused(here, sent_by_name(here, how, "N9"))) <= {"SIG414", "SIG415"}


def test_a_named_certificate_proves_as_it_is_registered(world: World) -> None:
    """Found is not believed: its use, its window and its partner's standing are asked of the register."""
    octets = sent_by_name(world, "fingerprint", "N10")
    assert set(refused(registered(world, Terms()), octets)) == {"SIG415"}, "no agreement on EDIFACT security"
    elsewhere = registered(world, AGREED, credential={"uses": (Use.TLS,)})
    assert set(refused(elsewhere, octets)) == {"SIG415"}
    ended = {"active_to": NOW - timedelta(days=1)}
    assert refused(registered(world, AGREED, credential=ended), octets) == ["PAR102"]
    away = registered(world, AGREED, active=False)
    assert set(refused(away, octets, by=VAN)) == {"SIG415"}


def test_a_change_of_the_register_counts_at_once(world: World) -> None:
    here = registered(world, AGREED)
    carrier = here.handbook.register.partners[CARRIER.id]
    without = Register([msgspec.structs.replace(carrier, credentials=())])
    (own,) = carrier.credentials
    name = own.fingerprint[:32].upper()
    assert without.signers(name) == ()
    later = without.changed(1, [body_of(carrier)], ())
    assert later.signers(name) == (own.certificate,)
    assert (
        later.changed(2, [body_of(msgspec.structs.replace(carrier, terms=Terms()))], ()).signers(name) == ()
    )


def test_serial_numbers_and_issuers(world: World) -> None:
    """As other makers of USC name a certificate: its serial number, and whose; several may be alike."""
    one, two = (Party(f"CN=CA {n},O=Authority {n}", ca=True) for n in (1, 2))
    mine, other = Party("CN=Mine", one), Party("CN=Other", two)
    serial = mine.serial
    again = checked_credential(Credential("", certificate=other.der))
    again = msgspec.structs.replace(again, names=(f"{serial:X}",))  # as if it had the same number
    known = [
        Partner(
            "a", "A", credentials=(checked_credential(Credential("", certificate=mine.der)),), terms=AGREED
        ),
        Partner("b", "B", credentials=(again,), terms=AGREED),
    ]
    handbook = dataclasses.replace(world.handbook, register=Register(known), signers=security.Certificates())
    lookup = inbound.proof.certificates_named(handbook)
    issuer = SecurityParty("4", names=("Authority 1",))
    for reference in (f"{serial:X}", f"{serial:x}", f"00{serial:X}", str(serial)):
        assert lookup(NamedCertificate(reference)) == (mine.der,), reference
        assert lookup(NamedCertificate(reference, (issuer,))) == (mine.der,)
        assert lookup(NamedCertificate(reference, (SecurityParty("4", id="Authority 2"),))) == ()
    key = NamedCertificate("", (SecurityParty("3", key=str(serial)), issuer))
    assert lookup(key) == (mine.der,)
    assert lookup(NamedCertificate("")) == ()
