"""The register in memory says what a plain look at all partners and mandates would say."""

from __future__ import annotations

import dataclasses
import random
import time
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model import Credential, Form, Mandate, Partner, Register, Role, Signer, Use
from gateway.model.grants import MAX_PARTIES, Draft, mandate_of, row_of
from gateway.model.index import MAX_ROWS, Index, packed
from gateway.model.register import Filling, body_of, keys_of

from .strategies import MANDATES, NOW, PARTNERS, fingerprint


class Plain:
    """The slow and obvious register."""

    def __init__(self) -> None:
        self.partners: dict[str, Partner] = {}
        self.mandates: dict[str, Mandate] = {}

    def put(self, partners: list[Partner], mandates: list[Mandate]) -> None:
        """What proves one partner proves no other: as in the ledger, who would take it is left out."""
        for partner in partners:
            others = [p for p in self.partners.values() if p.id != partner.id]
            if not {key for p in others for key in keys_of(p)} & set(keys_of(partner)):
                self.partners[partner.id] = bare(partner)
        self.mandates |= {m.id: m for m in mandates}

    def by_key(self, kind: str, text: str) -> Partner | None:
        found = [p for p in self.partners.values() if (kind, text) in keys_of(p)]
        return found[0] if found and found[0].active else None


def bare(partner: Partner) -> Partner:
    """As the register keeps it: without the certificates themselves."""
    kept = tuple(msgspec.structs.replace(c, certificate=b"") for c in partner.credentials)
    return msgspec.structs.replace(partner, credentials=kept)


def agree(register: Register, plain: Plain) -> None:
    assert dict(register.partners) == plain.partners
    assert len(register.partners) == len(plain.partners)
    for partner in plain.partners.values():
        for kind, text in keys_of(partner):
            assert register.partners.by_key(kind, text) == plain.by_key(kind, text)
    for kind in ("subject", "identifier", "token", "certificate"):
        assert register.partners.by_key(kind, "nobody's") is None
    ids = [f"p{n}" for n in range(6)]
    for agent in ids:
        for principal in ids:
            expected = [m for m in plain.mandates.values() if (m.agent, m.principal) == (agent, principal)]
            assert sorted(register.mandates(agent, principal), key=lambda m: m.id) == sorted(
                expected, key=lambda m: m.id
            )
    assert register.mandate_count == len(plain.mandates)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(
        st.tuples(st.lists(PARTNERS, max_size=4), st.lists(MANDATES, max_size=5)), min_size=1, max_size=4
    )
)
def test_whatever_changes_it_says_what_is(changes: list[tuple[list[Partner], list[Mandate]]]) -> None:
    plain = Plain()
    plain.put(*changes[0])
    register = Register(plain.partners.values(), plain.mandates.values())
    agree(register, plain)
    for version, (partners, mandates) in enumerate(changes[1:], 1):
        old, count = register, len(plain.partners)
        before = dict(plain.partners)
        plain.put(partners, mandates)
        bodies = [body_of(p) for i, p in plain.partners.items() if before.get(i) is not p]
        register = register.changed(
            version, bodies, [row_of(m) for m in {m.id: m for m in mandates}.values()]
        )
        agree(register, plain)
        assert register.version == version
        assert len(old.partners) == count  # who still reads the old one is not disturbed


@given(MANDATES)
def test_a_mandate_is_its_row(mandate: Mandate) -> None:
    assert mandate_of(row_of(mandate)) == mandate


def test_a_time_without_a_zone_is_no_row() -> None:
    with pytest.raises(ValueError, match="zone"):
        row_of(Mandate("m", "a", "p", valid_to=NOW.replace(tzinfo=None)))


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 30)), unique=True), st.integers(0, 9))
def test_an_index_finds_all_rows_of_a_key(entries: list[tuple[int, int]], cut: int) -> None:
    index = Index(packed(*e) for e in entries[:cut]).with_more(entries[cut:])
    for key in range(8):
        assert sorted(index.rows(key)) == sorted(row for k, row in entries if k == key)


def test_bounds_are_kept() -> None:
    with pytest.raises(OverflowError):
        packed(1, MAX_ROWS)
    filling = Filling()
    filling._numbers = {f"x{n}": n for n in range(3)}
    filling._bodies = [b""] * MAX_PARTIES
    with pytest.raises(OverflowError):
        filling.partner(body_of(Partner("one more", "n")))


# -- who a certificate proves --------------------------------------------------------------------------

DAY = timedelta(days=1)
OLD = Credential(fingerprint(1), active_to=NOW + DAY)
NEW = Credential(fingerprint(2), active_from=NOW - DAY)
SIGNING = Credential(fingerprint(3), uses=(Use.SIGN,))
PARTNER = Partner("p", "P", (Role.TRADER,), ("0100109106",), ("CN=P",))


def proven(
    partner: Partner, subject: str, number: int, use: Use = Use.SIGN, codes: tuple[str, ...] = ()
) -> bool:
    found = Register([partner]).by_certificate(use, subject, fingerprint(number), NOW, codes)
    return found is not None and found.id == partner.id


def with_(*credentials: Credential, **more: object) -> Partner:
    return msgspec.structs.replace(PARTNER, credentials=credentials, **more)


def test_without_credentials_a_subject_proves() -> None:
    assert proven(PARTNER, "CN=P", 9)
    assert not proven(PARTNER, "CN=Q", 9)
    assert not proven(msgspec.structs.replace(PARTNER, active=False), "CN=P", 9)


def test_a_tax_code_of_a_public_subject_proves() -> None:
    assert proven(PARTNER, "CN=Anybody", 9, codes=("0100233488", "0100109106"))
    assert not proven(with_(SIGNING), "CN=Anybody", 9, codes=("0100109106",))
    assert proven(with_(SIGNING), "CN=Anybody", 9, Use.TLS, codes=("0100109106",))


def test_with_credentials_only_they_prove_and_several_at_once() -> None:
    both = with_(OLD, NEW)
    for use in (Use.TLS, Use.SIGN):
        assert proven(both, "CN=P", 1, use)
        assert proven(both, "CN=anything", 2, use)
        assert not proven(both, "CN=P", 9, use)


def test_credentials_of_one_use_leave_the_other_to_the_subject() -> None:
    assert not proven(with_(SIGNING), "CN=P", 9)
    assert proven(with_(SIGNING), "CN=P", 9, Use.TLS)


@pytest.mark.parametrize(
    ("window", "holds"),
    [
        ({"active_from": NOW}, True),
        ({"active_from": NOW + timedelta(microseconds=1)}, False),
        ({"active_to": NOW}, False),
        ({"active_to": NOW + timedelta(microseconds=1)}, True),
    ],
)
def test_a_credential_proves_in_its_window(window: dict[str, object], holds: bool) -> None:
    assert proven(with_(msgspec.structs.replace(SIGNING, **window)), "CN=P", 3) is holds


def test_a_signer_is_known_by_its_fingerprint() -> None:
    signer = Signer("CN=new name", "CN=CA", "01", fingerprint(3), "ed25519")
    found = Register([with_(SIGNING)]).by_signer(signer, NOW)
    assert found is not None
    assert found.id == "p"


def test_what_takes_over_is_known() -> None:
    ending = msgspec.structs.replace(OLD, active_to=NOW + DAY)
    assert not with_(ending).replaced(ending.fingerprint)
    assert with_(ending, NEW).replaced(ending.fingerprint)
    later = msgspec.structs.replace(NEW, active_from=NOW + 2 * DAY)
    assert not with_(ending, later).replaced(ending.fingerprint)
    half = msgspec.structs.replace(NEW, uses=(Use.SIGN,))
    assert not with_(ending, half).replaced(ending.fingerprint)


@pytest.mark.parametrize("met", Form)
@pytest.mark.parametrize("agreed", Form)
def test_a_stronger_form_meets_a_weaker_one(met: Form, agreed: Form) -> None:
    strength = ["agent", "principal", "both"]
    assert met.meets(agreed) is (strength.index(met) >= strength.index(agreed))


# -- size ------------------------------------------------------------------------------------------------


def test_many_are_small() -> None:
    """A hundredth of what it is made for; the bench measures the rest."""
    filling = Filling()
    for n in range(1_000):
        filling.partner(body_of(Partner(f"p{n}", f"Company {n}", identifiers=(f"{n:010d}",))))
    filling.mandates(
        row_of(Mandate(f"m{n}", f"p{n % 50}", f"p{n % 1_000}", ("IM", "EX"))) for n in range(10_000)
    )
    register = filling.register(7)
    grants = register._grants
    assert (len(grants.rows) + len(grants.ids)) / 10_000 < 60
    assert len(grants.terms) == 1
    some = [random.Random(n).randrange(1_000) for n in range(2_000)]
    began = time.process_time()
    for n in some:
        assert register.by_identifier(f"{n:010d}") is not None
    assert (time.process_time() - began) / len(some) < 0.001
    assert dataclasses.is_dataclass(Draft().grants())
