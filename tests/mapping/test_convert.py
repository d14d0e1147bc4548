"""The named conversions."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.mapping.convert import (
    date_read,
    date_write,
    decimal_read,
    fits,
    join,
    pointer_read,
    pointer_write,
    width,
    wrap,
)
from gateway.mapping.iso_dates import from_iso, to_iso
from gateway.mapping.references import find_reference, is_reference


@given(st.text("ab cde", max_size=300), st.integers(2, 70))
def test_wrapped_lines_join_to_the_text(text, room):
    lines = wrap(text, room)
    assert all(len(line) <= room for line in lines)
    assert join(lines, room) == text


@given(st.lists(st.text("abcdefgh", min_size=1, max_size=10), min_size=1).map(" ".join))
def test_words_are_kept_whole(text):
    broken = [line for line in wrap(text, 35)[:-1] if len(line) == 35]
    assert not broken or any(len(word) >= 1 for word in broken)
    assert " ".join(wrap(text, 35)).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize(
    ("sent", "read"),
    [("12,5", "12.5"), ("-0,75", "-0.75"), ("12.5", "12.5"), ("1,2,3", "1,2,3"), ("A,5", "A,5")],
)
def test_decimal_comma(sent, read):
    assert decimal_read(sent) == read


@given(st.datetimes(), st.sampled_from(("Z", "+07", "-11", "")))
def test_zones_return(moment, zone):
    text = moment.strftime("%Y%m%d%H%M%S").rjust(14, "0") + zone
    written, understood = date_write(text, "304")
    assert understood
    assert date_read(written, "304") == (text, True)


@pytest.mark.parametrize(
    ("text", "form", "right"),
    [
        ("ABC", "an..3", True),
        ("ABCD", "an..3", False),
        ("1845", "n4", True),
        ("184", "n4", False),
        ("-12.50", "n..4", True),
        ("-12.505", "n..4", False),
        ("1e5", "n..18", False),
        ("", "n..18", False),
        ("USD", "a3", True),
        ("US1", "a3", False),
        ("anything", "", True),
    ],
)
def test_formats(text, form, right):
    assert fits(text, form) is right


def test_widths():
    assert (width("an..70"), width("n4"), width("")) == (70, 4, 0)


LEVELS = st.tuples(
    st.text("0123456789ABC", min_size=1, max_size=3),
    st.one_of(st.just(""), st.integers(1, 99999).map(str)),
    st.one_of(st.just(""), st.text("R0123456789", min_size=1, max_size=4)),
)


@given(st.lists(LEVELS, min_size=1, max_size=6))
def test_pointers_return(levels):
    assert pointer_read(pointer_write(levels)) == tuple(levels)


@pytest.mark.parametrize("text", ["", "/", "42A/", "42A:", "toolong", "42A#12345", "42a"])
def test_no_pointer(text):
    assert pointer_read(text) is None


@given(st.datetimes(), st.sampled_from(("102", "204", "304")), st.sampled_from(("Z", "+07", "-11")))
def test_iso_dates_return(moment, form, zone):
    text = moment.strftime("%Y%m%d%H%M%S").rjust(14, "0")
    text = {"102": text[:8], "204": text, "304": text + zone}[form]
    iso = to_iso(text, form)
    assert iso is not None
    assert from_iso(iso) == (text, form)


@pytest.mark.parametrize(
    "text", ["", "2026-11-21T09:30", "2026-11-21T09:30:00+05:30", "2026-11-21T09:30:00.250Z", "x"]
)
def test_iso_dates_that_cannot_be_said(text):
    assert from_iso(text) is None


@pytest.mark.parametrize(
    ("text", "form"), [("20261121", "204"), ("2026", "102"), ("20261121", ""), ("20261121093000", "304")]
)
def test_wco_dates_that_are_not_of_their_form(text, form):
    assert to_iso(text, form) is None


def reference(body: str) -> str:
    number = int("".join(str(int(c, 36)) for c in body + "RF00"))
    return f"RF{98 - number % 97:02}{body}"


@given(st.text("0123456789ABCXYZ", min_size=1, max_size=21), st.sampled_from(("", "DUTY ", "pay: ")))
def test_a_creditor_reference_is_found_in_free_text(body, before):
    own = reference(body)
    assert is_reference(own)
    printed = " ".join(own[i : i + 4] for i in range(0, len(own), 4))
    assert find_reference(f"{before}{own}.") == own
    assert find_reference(f"{before}{printed}") == own


@given(st.text("0123456789", min_size=2, max_size=21), st.integers(0, 20))
def test_a_mistyped_reference_is_none(body, at):
    own = reference(body)
    assume(at < len(body))
    typo = own[: 4 + at] + str((int(own[4 + at]) + 1) % 10) + own[5 + at :]
    assert not is_reference(typo)
    assert find_reference(typo) != typo
