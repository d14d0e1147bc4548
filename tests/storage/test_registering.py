"""Partners, mandates and numbers."""

from __future__ import annotations

import threading

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.model import Channel, Credential, Limits, Mandate, Partner, Role, Terms, Use
from gateway.storage import Ledger, Taken

from .making import NOW, SECOND

VAN = Partner(
    "VAN1",
    "Công ty VAN Một",
    (Role.VAN,),
    ("0101234567",),
    ("CN=VAN One,O=Một\\, Hai",),
    "ab" * 32,
    Channel.PUSH,
    "https://van.example/in",
    ("IM", "CUSCAR"),
    Limits(per_minute=60),
    "vi",
)
MANDATE = Mandate("M1", "VAN1", "TRADER1", ("IM",), NOW, NOW + 100 * SECOND)


def test_partners_come_back_as_they_were(ledger: Ledger) -> None:
    ledger.put_partner(Partner("B", "Bank", (Role.BANK,)))
    ledger.put_partner(VAN)
    assert ledger.partners() == [Partner("B", "Bank", (Role.BANK,)), VAN]
    assert ledger.register().by_subject(VAN.subjects[0]) == VAN


def test_replacing_a_partner_frees_what_it_gave_up(ledger: Ledger) -> None:
    ledger.put_partner(VAN)
    renewed = msgspec.structs.replace(VAN, subjects=("CN=new",), token_digest="")
    ledger.put_partner(renewed)
    ledger.put_partner(Partner("T", "Trader", subjects=VAN.subjects, token_digest=VAN.token_digest))
    assert ledger.register().by_subject("CN=new") == renewed


@pytest.mark.parametrize(
    "other",
    [
        Partner("X", "X", subjects=VAN.subjects),
        Partner("X", "X", identifiers=VAN.identifiers),
        Partner("X", "X", token_digest=VAN.token_digest),
    ],
)
def test_what_proves_one_partner_proves_no_other(ledger: Ledger, other: Partner) -> None:
    ledger.put_partner(VAN)
    before = ledger.register_version()
    with pytest.raises(Taken) as taken:
        ledger.put_partner(other)
    assert taken.value.partner == "VAN1"
    assert VAN.token_digest not in str(taken.value)
    assert ledger.partners() == [VAN]
    assert ledger.register_version() == before


def test_mandates_are_put_and_revoked(ledger: Ledger) -> None:
    ledger.put_mandate(MANDATE)
    assert ledger.register().may("VAN1", "TRADER1", "IM", NOW)
    assert ledger.revoke_mandate("M1", NOW + 5 * SECOND)
    assert ledger.revoke_mandate("M1", NOW + 9 * SECOND)
    assert not ledger.revoke_mandate("M2", NOW)
    (mandate,) = ledger.mandates()
    assert mandate == msgspec.structs.replace(MANDATE, revoked_at=NOW + 5 * SECOND)
    assert not ledger.register().may("VAN1", "TRADER1", "IM", NOW + 5 * SECOND)


def test_every_change_raises_the_version_for_other_processes(database_url: str, ledger: Ledger) -> None:
    other = Ledger.open(database_url)
    versions = [other.register_version()]
    for change in (
        lambda: ledger.put_partner(VAN),
        lambda: ledger.put_mandate(MANDATE),
        lambda: ledger.revoke_mandate("M1", NOW),
        lambda: ledger.references("register", 5),
        lambda: ledger.revoke_mandate("M1", NOW + SECOND),
    ):
        change()
        versions.append(other.register_version())
    other.close()
    assert versions == [0, 1, 2, 3, 3, 3]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(blocks=st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 10_000)), max_size=12))
def test_blocks_of_numbers_never_overlap(ledger: Ledger, blocks: list[tuple[str, int]]) -> None:
    taken: dict[str, range] = {}
    for name, count in blocks:
        block = ledger.references(name, count)
        assert len(block) == count
        assert block.start > 0
        if name in taken:
            assert block.start == taken[name].stop
        taken[name] = block


def test_numbers_are_unique_between_threads_and_outlive_the_ledger(database_url: str) -> None:
    blocks: list[range] = []

    def work() -> None:
        mine = Ledger.open(database_url)
        blocks.extend(mine.references("outgoing", 3) for _ in range(20))
        mine.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(n for block in blocks for n in block) == list(range(1, 181))


def test_an_empty_block_is_refused(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="block"):
        ledger.references("outgoing", 0)


def test_certificates_that_messages_name_are_in_the_register(ledger: Ledger) -> None:
    """Only of partners that agreed on EDIFACT's own security, and only those to sign with; also where they are
    not given again."""
    signs = Credential("ab" * 32, (Use.SIGN,), certificate=b"signs", names=("1A",))
    calls = Credential("cd" * 32, (Use.TLS,), certificate=b"calls", names=("1B",))
    plain = Partner("p", "P", credentials=(signs, calls))
    ledger.put_partner(plain)
    assert ledger.register().signers("1A") == ()
    agreed = msgspec.structs.replace(plain, terms=Terms(envelopes=("edifact",)))
    bare = tuple(msgspec.structs.replace(c, certificate=b"") for c in (signs, calls))
    known = ledger.register()
    ledger.put_partner(msgspec.structs.replace(agreed, credentials=bare))
    for register in (ledger.register(), ledger.refreshed(known)):
        assert register.signers("1A") == register.signers("AB" * 16) == (b"signs",)
        assert register.signers("1B") == ()
    assert ledger.partner("p") == agreed
