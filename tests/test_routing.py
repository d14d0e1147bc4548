"""Who may file what for whom, and how an answer finds its way back."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from gateway import routing
from gateway.model import (
    Declaration,
    Entity,
    Finding,
    Form,
    Kind,
    Mandate,
    Partner,
    Place,
    Register,
    Role,
    Submission,
    Value,
)
from gateway.syntax import Interchange
from tests.operations.knowledge import BANK, CARRIER, NOW, OTHER, TRADER, VAN

EVERYBODY = (TRADER, OTHER, CARRIER, VAN, BANK)


def declares(kind: Kind, declarant: str = "", submitter: str = "") -> Declaration:
    named = [Entity("Declarant", (Value("ID", declarant),))] if declarant else []
    named += [Entity("Submitter", (Value("ID", submitter),))] if submitter else []
    return Declaration(kind, Entity("Declaration", (Value("FunctionCode", "9"),), tuple(named)))


def codes(
    declaration: Declaration,
    filer: Partner,
    signer: Partner,
    *mandates: Mandate,
    known: tuple[Partner, ...] = (),
) -> list[str]:
    register = Register((*EVERYBODY, *known), mandates)
    return [f.code for f in routing.authority(declaration, filer, signer, register, NOW)]


def mandate(agent: Partner, principal: Partner, *kinds: Kind, **more: object) -> Mandate:
    types = tuple(k.value for k in kinds)
    return Mandate(f"{agent.id}.{principal.id}", agent.id, principal.id, types, **more)  # type: ignore[arg-type]


def alone(agent: Partner, principal: Partner) -> Mandate:
    """A mandate by which the agent's signature is enough."""
    return mandate(agent, principal, form=Form.AGENT)


MINE = declares(Kind.IMPORT, TRADER.identifiers[0])


def test_a_trader_declares_for_itself() -> None:
    assert codes(MINE, TRADER, TRADER) == []
    assert codes(declares(Kind.EXPORT), TRADER, TRADER) == []
    assert codes(declares(Kind.TRANSIT, submitter=TRADER.identifiers[0]), TRADER, TRADER) == []


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("partner", EVERYBODY, ids=lambda p: p.id)
def test_roles_allow_their_kinds_and_no_others(kind: Kind, partner: Partner) -> None:
    allowed = {k for role in partner.roles for k in routing.ROLE_KINDS[role]}
    expected = [] if kind in allowed else ["PAR004"]
    assert codes(declares(kind, partner.identifiers[0]), partner, partner) == expected


def test_every_role_is_in_the_table() -> None:
    assert routing.ROLE_KINDS.keys() == set(Role)


def test_types_of_a_partner_narrow_and_widen_its_roles() -> None:
    only = msgspec.structs.replace(TRADER, types=("EX",))
    assert codes(MINE, only, only, known=(only,)) == ["PAR004"]
    assert codes(declares(Kind.EXPORT, only.identifiers[0]), only, only, known=(only,)) == []


def test_a_van_needs_the_signer_s_mandate() -> None:
    assert codes(MINE, VAN, TRADER) == ["PAR003"]
    assert codes(MINE, VAN, TRADER, mandate(VAN, TRADER)) == []
    assert codes(MINE, VAN, TRADER, mandate(VAN, TRADER, Kind.IMPORT)) == []
    assert codes(MINE, VAN, TRADER, mandate(VAN, TRADER, Kind.EXPORT)) == ["PAR003"]
    assert codes(MINE, VAN, TRADER, mandate(VAN, OTHER)) == ["PAR003"]
    assert codes(MINE, VAN, TRADER, mandate(TRADER, VAN)) == ["PAR003"]


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({"valid_from": NOW}, []),
        ({"valid_from": NOW + timedelta(seconds=1)}, ["PAR003"]),
        ({"valid_to": NOW}, ["PAR003"]),
        ({"valid_to": NOW + timedelta(seconds=1)}, []),
        ({"revoked_at": NOW}, ["PAR003"]),
        ({"revoked_at": NOW + timedelta(minutes=5)}, ["PAR003"]),  # by a clock that is ahead of ours
        ({"revoked_at": NOW + timedelta(minutes=5, seconds=1)}, []),
    ],
)
def test_a_mandate_holds_in_its_time(bounds: dict[str, object], expected: list[str]) -> None:
    assert codes(MINE, VAN, TRADER, mandate(VAN, TRADER, **bounds)) == expected


def test_one_mandate_that_holds_is_enough() -> None:
    ended = mandate(VAN, TRADER, revoked_at=NOW)
    again = msgspec.structs.replace(mandate(VAN, TRADER), id="again")
    assert codes(MINE, VAN, TRADER, ended, again) == []


def test_the_declarant_inside_is_the_signer_or_mandated_it() -> None:
    others = declares(Kind.IMPORT, OTHER.identifiers[0])
    assert codes(others, TRADER, TRADER) == ["PAR005"]
    assert codes(others, TRADER, TRADER, alone(TRADER, OTHER)) == []
    assert codes(declares(Kind.IMPORT, "9999999999"), TRADER, TRADER) == ["PAR005"]
    gone = msgspec.structs.replace(OTHER, active=False)
    assert codes(others, TRADER, TRADER, alone(TRADER, OTHER), known=(gone,)) == ["PAR005"]


def test_the_declarant_goes_before_the_submitter() -> None:
    both = declares(Kind.IMPORT, TRADER.identifiers[0], OTHER.identifiers[0])
    assert codes(both, TRADER, TRADER) == []


def test_a_van_that_signs_itself_needs_the_declarant_s_mandate() -> None:
    assert codes(MINE, VAN, VAN) == ["PAR005"]
    assert codes(MINE, VAN, VAN, alone(VAN, TRADER)) == []


def test_a_mandate_hands_on_no_more_than_its_principal_has() -> None:
    everything = alone(VAN, TRADER)
    cargo = declares(Kind.CARGO_IMPORT, TRADER.identifiers[0])
    assert codes(cargo, VAN, VAN, everything) == ["PAR004"]
    assert codes(cargo, VAN, TRADER, everything) == ["PAR004"]
    payment = declares(Kind.PAYMENT, submitter=TRADER.identifiers[0])
    assert codes(payment, VAN, VAN, everything) == ["PAR004"]
    # And an agent may do for a bank what it may not do itself.
    assert codes(declares(Kind.PAYMENT, BANK.identifiers[0]), VAN, VAN, alone(VAN, BANK)) == []


def test_all_that_is_lacking_is_told() -> None:
    others = declares(Kind.PAYMENT, OTHER.identifiers[0])
    assert codes(others, VAN, TRADER) == ["PAR003", "PAR005"]


def test_findings_say_where_and_what() -> None:
    others = declares(Kind.IMPORT, OTHER.identifiers[0])
    (finding,) = routing.authority(others, TRADER, TRADER, Register(EVERYBODY, ()), NOW)
    assert finding.place.pointer == "Declaration/Declarant/ID"
    assert (finding.expected, finding.found) == (TRADER.name, OTHER.identifiers[0])
    by_submitter = declares(Kind.IMPORT, submitter="1")
    assert routing.declarant_place(by_submitter).pointer == "Declaration/Submitter/ID"


# -- EDIFACT's own names -----------------------------------------------------------------------------


def interchange(sender: str) -> Interchange:
    return Interchange(
        reference="R1", sender=(sender, "ZZ"), recipient=("VNCUSTOMS", "ZZ"), syntax=("UNOC", "3"), test=True
    )


def test_the_interchange_names_the_signer_or_the_filer() -> None:
    assert routing.sender(interchange("OCEANLINE"), CARRIER, CARRIER) == ()
    assert routing.sender(interchange("VANLINK"), VAN, CARRIER) == ()
    assert routing.sender(interchange("EOLU"), VAN, CARRIER) == ()
    (finding,) = routing.sender(interchange("VANLINK"), CARRIER, CARRIER)
    assert (finding.code, finding.found) == ("PAR002", "VANLINK")
    place = finding.place
    assert (place.message, place.tag, place.element, place.component) == ("R1", "UNB", 2, 1)


# -- the way back ------------------------------------------------------------------------------------

SUBMISSION = Submission("s1", VAN.id, "https", "application/xml", b"", "", NOW)


def test_the_way_back_leads_to_who_filed() -> None:
    vietnamese = msgspec.structs.replace(VAN, language="vi")
    route = routing.xml_route(SUBMISSION, vietnamese, TRADER, "DEC")
    assert (route.partner, route.principal, route.syntax, route.table) == (VAN.id, TRADER.id, "xml", "DEC")
    assert (route.channel, route.language) == ("https", "vi")


def test_the_way_back_of_an_interchange_keeps_what_the_sender_wrote() -> None:
    route = routing.edifact_route(SUBMISSION, VAN, CARRIER, interchange("EOLU"), "multipart/signed")
    assert (route.sender, route.recipient) == (("EOLU", "ZZ"), ("VNCUSTOMS", "ZZ"))
    assert (route.syntax_identifier, route.reference, route.test) == ("UNOC:3", "R1", True)
    assert (route.envelope, route.partner, route.principal) == ("multipart/signed", VAN.id, CARRIER.id)


def test_a_finding_gets_the_sender_s_place_beside_its_pointer() -> None:
    finding = Finding("RUL001", Place(pointer="Declaration/ID"), "a", "b")
    source = Place(segment=3, tag="RFF", element=1, component=2, offset=77)
    placed = routing.within(routing.placed(finding, source), "12")
    assert placed.place == msgspec.structs.replace(source, pointer="Declaration/ID", message="12")
    assert (placed.code, placed.expected, placed.found) == ("RUL001", "a", "b")
