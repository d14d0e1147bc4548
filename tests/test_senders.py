"""Who sent a submission: certificates in their windows, agreed forms, and who may sign around."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from gateway import inbound, routing, security
from gateway.inbound.senders import senders
from gateway.intake import settlement, work
from gateway.model import (
    Credential,
    Declaration,
    Entity,
    Form,
    Kind,
    Mandate,
    Outcome,
    Partner,
    Register,
    Signer,
    Submission,
    Terms,
    Use,
    Value,
)
from gateway.security.verified import SEAL, XMLDSIG, Verified
from tests.operations.knowledge import CARRIER, NOW, OTHER, TRADER, VAN, World, declaration, manifest

DAY = timedelta(days=1)


def signer(name: str, **more: Any) -> Signer:
    """A signer of its own certificate: the fingerprint is made of the name."""
    return Signer(f"CN={name}", "CN=CA", "01", name.encode().hex().ljust(64, "0"), "rsa-pss-sha256", **more)


def credential(name: str, **more: Any) -> Credential:
    return Credential(signer(name).fingerprint, **more)


def verified(inner: Signer, outer: Signer | None = None, envelope: str = XMLDSIG) -> Verified:
    return Verified(b"", "application/xml", None, inner, envelope, carrier=outer, seal=SEAL)


def sent(by: str = "t", channel: str = "https") -> Submission:
    return Submission("s1", by, channel, "application/xml", b"", "", NOW)


def refusal(
    partner: Partner, by: Verified, *others: Partner, channel: str = "https"
) -> list[tuple[str, ...]]:
    register = Register([partner, *others])
    with pytest.raises(security.Refused) as refused:
        senders(sent(partner.id, channel), by, register, NOW)
    return [(f.code, f.expected, f.found) for f in refused.value.findings]


T = Partner("t", "Trader", subjects=("CN=t",))
V = Partner("v", "VAN", subjects=("CN=v",))


def with_(*credentials: Credential, **terms: Any) -> Partner:
    return msgspec.structs.replace(T, credentials=credentials, terms=Terms(**terms))


def test_a_subject_proves_where_nothing_else_is_registered() -> None:
    found = senders(sent(), verified(signer("t")), Register([T]), NOW)
    assert (found.filer, found.signer, found.carried) == (T, T, False)


def test_refusals_say_which_certificate_was_expected_and_until_when() -> None:
    """Roll-over: the next one is not active yet, the last one is no more, a third is nobody's."""
    now_ = credential("new", active_from=NOW - DAY, expires_at=NOW + 9 * DAY)
    soon = credential("soon", active_from=NOW + DAY)
    gone = credential("gone", active_to=NOW - DAY)
    tls = credential("tls", uses=(Use.TLS,))
    partner = with_(now_, soon, gone, tls)
    head = now_.fingerprint[:16]
    window = f"{head} ({NOW - DAY:%Y-%m-%d %H:%M}Z .. {NOW + 9 * DAY:%Y-%m-%d %H:%M}Z)"
    for name, code in (("soon", "PAR101"), ("gone", "PAR102"), ("t", "PAR103")):
        ((found, expected, shown),) = refusal(partner, verified(signer(name)))
        assert (found, window in expected) == (code, True)
        assert shown.startswith(signer(name).fingerprint[:16])
    ((code, expected, shown),) = refusal(partner, verified(signer("tls")))
    assert (code, expected, shown.startswith("tls: ")) == ("PAR105", "sign", True)
    assert refusal(partner, verified(signer("stranger")))[0][0] == "PAR001"
    assert senders(sent(), verified(signer("new")), Register([partner]), NOW).signer is not None


def test_a_key_signs_with_what_it_is_bound_to() -> None:
    """Algorithm substitution: the policy takes it, the key may not."""
    bound = with_(credential("k", algorithms=("ecdsa-sha256",)))
    assert refusal(bound, verified(signer("k"))) == [("PAR104", "ecdsa-sha256", "rsa-pss-sha256")]
    free = with_(credential("k", algorithms=("ecdsa-sha256", "rsa-pss-sha256")))
    senders(sent(), verified(signer("k")), Register([free]), NOW)


def test_legacy_profiles_envelopes_and_channels_are_agreed() -> None:
    old = verified(signer("t", profile="v5"))
    assert refusal(T, old) == [("PAR106", "no legacy profile", "v5")]
    senders(sent(), old, Register([with_(profiles=("v5",))]), NOW)
    agreed = with_(envelopes=("multipart/signed",), channels=("as4",))
    codes = [f[0] for f in refusal(agreed, verified(signer("t")))]
    assert codes == ["PAR109", "PAR107"]


def test_a_tax_code_proves_in_a_public_certificate_only() -> None:
    """Impersonation: anybody's authority could write another's tax code into a subject."""
    partner = Partner("t", "Trader", identifiers=("0100109106",))
    subject = "UID=MST:0100109106,CN=An Phat,C=VN"
    public = msgspec.structs.replace(signer("x", public=True), subject=subject)
    assert senders(sent(), verified(public), Register([partner]), NOW).signer == partner
    private = msgspec.structs.replace(public, public=False)
    assert refusal(partner, verified(private))[0][0] == "PAR001"


def test_only_the_filer_signs_around() -> None:
    """Carrier confusion: a VAN's envelope, sent on by another partner."""
    register = Register([T, V])
    found = senders(sent("v"), verified(signer("t"), signer("v")), register, NOW)
    assert (found.filer.id, found.signer.id, found.carried) == ("v", "t", True)
    assert refusal(T, verified(signer("t"), signer("v")), V) == [("PAR112", "t", "v")]
    assert refusal(V, verified(signer("t"), signer("nobody")), T)[0][0] == "PAR001"
    bound = msgspec.structs.replace(V, credentials=(credential("v", algorithms=("ed25519",)),))
    assert refusal(bound, verified(signer("t"), signer("v")), T)[0][0] == "PAR104"


def test_a_filer_suspended_since_it_was_let_in_is_refused() -> None:
    assert refusal(msgspec.structs.replace(T, active=False), verified(signer("v")), V)[0][0] == "PAR113"


# -- forms ------------------------------------------------------------------------------------------------


def declared(kind: Kind = Kind.IMPORT, office: str = "", by: Partner = TRADER) -> Declaration:
    values = (Value("DeclarationOfficeID", office),) if office else ()
    declarant = Entity("Declarant", (Value("ID", by.identifiers[0]),))
    return Declaration(kind, Entity("Declaration", values, (declarant,)))


def admitted(
    form: Form, filer: Partner, signer_: Partner, carried: bool = False, **more: Any
) -> routing.Admission:
    mandate = Mandate("m", VAN.id, TRADER.id, form=form, **more)
    register = Register([TRADER, VAN, OTHER], [mandate])
    return routing.admission(declared(), filer, signer_, register, NOW, carried=carried)


@pytest.mark.parametrize(
    ("agreed", "filer", "by", "carried", "admits"),
    [
        (Form.BOTH, VAN, TRADER, True, "both"),
        (Form.BOTH, VAN, TRADER, False, ""),
        (Form.BOTH, VAN, VAN, False, ""),
        (Form.BOTH, VAN, VAN, True, ""),  # twice by the agent is not by both
        (Form.PRINCIPAL, VAN, TRADER, True, "both"),
        (Form.PRINCIPAL, VAN, TRADER, False, "principal"),
        (Form.PRINCIPAL, VAN, VAN, False, ""),
        (Form.AGENT, VAN, TRADER, True, "both"),
        (Form.AGENT, VAN, TRADER, False, "principal"),
        (Form.AGENT, VAN, VAN, False, "agent"),
    ],
)
def test_the_agreed_form_of_signatures_or_a_stronger_one(
    agreed: Form, filer: Partner, by: Partner, carried: bool, admits: str
) -> None:
    found = admitted(agreed, filer, by, carried)
    assert [f.code for f in found.findings] == ([] if admits else ["PAR110"])
    assert (found.form, found.mandates) == (admits, ("m",) if admits else ())


def test_a_weaker_mandate_beside_a_stronger_one_is_enough() -> None:
    mandates = [Mandate("strong", VAN.id, TRADER.id, form=Form.BOTH), Mandate("weak", VAN.id, TRADER.id)]
    for some in (mandates, mandates[::-1]):
        found = routing.admission(declared(), VAN, TRADER, Register([TRADER, VAN], some), NOW)
        assert found.mandates == ("weak",)


@pytest.mark.parametrize(("office", "codes"), [("18A3", []), ("02CI", ["PAR003"]), ("", ["PAR003"])])
def test_a_mandate_for_an_office_is_for_no_other(office: str, codes: list[str]) -> None:
    register = Register([TRADER, VAN], [Mandate("m", VAN.id, TRADER.id, offices=("18A3",))])
    found = routing.admission(declared(office=office), VAN, TRADER, register, NOW)
    assert [f.code for f in found.findings] == codes
    if codes:
        assert "m is for every kind at 18A3" in found.findings[0].found


@pytest.mark.parametrize(
    ("bounds", "why"),
    [
        ({"revoked_at": NOW - DAY}, "was revoked at"),
        ({"valid_to": NOW - DAY}, "ended at"),
        ({"valid_from": NOW + DAY}, "begins at"),
    ],
)
def test_a_finding_says_what_became_of_the_mandate(bounds: dict[str, Any], why: str) -> None:
    (finding,) = admitted(Form.PRINCIPAL, VAN, TRADER, **bounds).findings
    assert (finding.code, f"m {why}" in finding.found) == ("PAR003", True)


def test_a_declarant_s_mandate_for_something_else_is_named() -> None:
    register = Register([TRADER, VAN], [Mandate("m", VAN.id, TRADER.id, ("EX",), form=Form.AGENT)])
    (finding,) = routing.admission(declared(), VAN, VAN, register, NOW).findings
    assert (finding.code, "m is for EX" in finding.found) == ("PAR111", True)


def test_a_revocation_counts_for_what_is_judged_as_of_before_it() -> None:
    """A submission that was held is judged as of its receipt, but by no mandate revoked meanwhile."""
    mandate = Mandate("m", VAN.id, TRADER.id, revoked_at=NOW)
    register = Register([TRADER, VAN], [mandate])
    before = NOW - DAY
    assert routing.admission(declared(), VAN, TRADER, register, before).findings == ()
    late = routing.admission(declared(), VAN, TRADER, register, before, revoked_by=NOW)
    assert [f.code for f in late.findings] == ["PAR003"]


# -- the whole journey ------------------------------------------------------------------------------------


def known(world: World, *mandates: Mandate, **changes: Partner) -> Register:
    return Register([changes.get(p.id, p) for p in world.partners.values()], mandates)


def test_what_admitted_a_message_is_recorded(world: World) -> None:
    book = world.handbook.with_register(known(world, Mandate("m", VAN.id, TRADER.id, ("IM",))))
    submission = world.submission(world.signed(declaration("REC-1")), by=VAN)
    worked = work(submission, book, world.own, lambda n: ["1"] * n, NOW)
    (message,) = worked.verdict.messages
    assert (message.outcome, message.mandates, message.form) == (Outcome.ACCEPTED, ("m",), "principal")
    settled = settlement(submission, worked, "clearance", NOW, claim=True)
    assert [(e.about, e.detail) for e in settled.events if e.what == "mandated"] == [
        (submission.id, "m (principal)")
    ]
    own = work(
        world.submission(world.signed(declaration("REC-2"))), book, world.own, lambda n: ["1"] * n, NOW
    )
    assert (own.verdict.messages[0].mandates, own.verdict.messages[0].form) == ((), "")


@pytest.mark.parametrize("form", Form)
def test_both_signatures_are_read_and_recorded(world: World, form: Form) -> None:
    """The trader signs inside, the VAN around; by another VAN's hand it is refused."""
    signed = world.signed(declaration(f"BOTH-{form.value}"))
    kind, body = security.sign_cms(
        signed, "application/xml", world.keys[VAN.id], "application/pkcs7-mime", NOW
    )
    book = world.handbook.with_register(known(world, Mandate("m", VAN.id, TRADER.id, form=form)))
    verdict = inbound.inspect(world.submission(body, kind, VAN), book, NOW).verdict
    assert verdict.outcome is Outcome.ACCEPTED
    assert (verdict.messages[0].form, verdict.messages[0].mandates) == ("both", ("m",))
    assert verdict.carrier is not None
    assert verdict.carrier.fingerprint == world.keys[VAN.id].signer.fingerprint
    with pytest.raises(security.Refused) as refused:
        inbound.inspect(world.submission(body, kind, OTHER), book, NOW)
    assert [f.code for f in refused.value.findings] == ["PAR112"]


def test_a_registered_certificate_is_wanted_from_then_on(world: World) -> None:
    signed = world.signed(declaration("CERT-1"))
    fingerprint = world.keys[TRADER.id].signer.fingerprint
    mine = world.partners[TRADER.id]
    other = msgspec.structs.replace(mine, credentials=(Credential("ab" * 32),))
    with pytest.raises(security.Refused) as refused:
        inbound.inspect(
            world.submission(signed), world.handbook.with_register(known(world, **{TRADER.id: other})), NOW
        )
    assert refused.value.findings[0].code == "PAR103"
    both = msgspec.structs.replace(mine, credentials=(Credential("ab" * 32), Credential(fingerprint)))
    book = world.handbook.with_register(known(world, **{TRADER.id: both}))
    assert inbound.inspect(world.submission(signed), book, NOW).verdict.outcome is Outcome.ACCEPTED


@pytest.mark.parametrize(
    ("agreed", "accepted"),
    [("IM", True), ("EX", False), ("CUSCAR", False)],
)
def test_xml_types_are_agreed(world: World, agreed: str, accepted: bool) -> None:
    mine = msgspec.structs.replace(world.partners[TRADER.id], terms=Terms(messages=(agreed,)))
    book = world.handbook.with_register(known(world, **{TRADER.id: mine}))
    verdict = inbound.inspect(world.submission(world.signed(declaration("TERMS"))), book, NOW).verdict
    assert (verdict.outcome is Outcome.ACCEPTED) is accepted
    assert [f.code for f in verdict.messages[0].findings] == ([] if accepted else ["PAR108"])


@pytest.mark.parametrize(
    ("agreed", "accepted"),
    [("CUSCAR", True), ("CUSCAR:D:95B", True), ("CRI", True), ("CUSCAR:D:96B", False), ("CUSDEC", False)],
)
def test_interchange_types_and_versions_are_agreed(world: World, agreed: str, accepted: bool) -> None:
    mine = msgspec.structs.replace(world.partners[CARRIER.id], terms=Terms(messages=(agreed,)))
    book = world.handbook.with_register(known(world, **{CARRIER.id: mine}))
    kind, body = world.sealed(manifest("T1"))
    submission = world.submission(body, kind, CARRIER)
    worked = work(submission, book, world.own, lambda n: [str(i + 1) for i in range(n)], NOW)
    assert (worked.verdict.outcome is Outcome.ACCEPTED) is accepted
    told = [f.code for m in worked.verdict.messages for f in m.findings]
    assert ("PAR108" in told) is not accepted
    assert bool(worked.refusals) is not accepted  # told by a CUSRES of its own


def test_every_finding_has_its_words(world: World) -> None:
    for number in range(101, 116):
        meaning = world.handbook.catalogue.meanings[f"PAR{number}"]
        assert meaning.text
        assert meaning.text_vi != meaning.text
        assert meaning.remedy_vi
