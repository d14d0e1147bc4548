"""Registration numbers and creditor references, judged by published samples and python-stdnum."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import iso11649

from adapters.clearance import identifiers
from adapters.clearance.states import LETTERS, family_of
from gateway.model import Kind

SAMPLES = (
    "19GBCKKCQSXV2FGVA8",
    "20GB1NA4Y2YSRFGVR6",
    "23GBCXDLLRXMOCTAA4",
    "24GBDIRIGZ7QLCPAA8",
    "09SEE7JPUV5HC06IC6",
    "18GBJCVR76A6U7WD53",
)


@pytest.mark.parametrize("number", SAMPLES)
def test_public_registration_numbers_hold(number: str) -> None:
    assert identifiers.is_registration_number(number)
    wrong = str((int(number[17]) + 1) % 10)
    assert not identifiers.is_registration_number(number[:17] + wrong)


@given(
    st.integers(2000, 2199),
    st.from_regex(r"[A-Z]{2}", fullmatch=True),
    st.from_regex(r"[A-Z0-9]{4}", fullmatch=True),
    st.integers(0, identifiers.MAX_RUNNING),
    st.sampled_from("IETCXV"),
    st.integers(1, 999),
)
def test_numbers_given_are_well_formed(
    year: int, country: str, office: str, running: int, letter: str, version: int
) -> None:
    number = identifiers.registration_number(year, country, office, running, letter)
    assert len(number) == 18
    assert identifiers.is_registration_number(number)
    reference = identifiers.creditor_reference(number, version)
    assert len(reference) == 25
    assert identifiers.is_creditor_reference(reference)
    assert iso11649.is_valid(reference)


@given(st.text(max_size=30))
def test_any_text_can_be_asked(text: str) -> None:
    assert identifiers.is_creditor_reference(text) in (True, False)
    assert identifiers.is_registration_number(text) in (True, False)
    assert not identifiers.is_registration_number(text + "\n")


def test_numbers_end() -> None:
    with pytest.raises(OverflowError, match="2026"):
        identifiers.registration_number(2026, "VN", "DEM1", identifiers.MAX_RUNNING + 1, "I")
    with pytest.raises(OverflowError, match="1000"):
        identifiers.creditor_reference(SAMPLES[0], 1000)


def test_every_registered_kind_has_a_letter_of_its_own() -> None:
    assert set(LETTERS) == set(Kind) - {Kind.PAYMENT}
    assert len(set(LETTERS.values())) == len(LETTERS)
    with pytest.raises(ValueError, match="not registered"):
        family_of(Kind.PAYMENT)
