"""Check digits and formats, against known numbers, against python-stdnum, and against corrupted numbers."""

from __future__ import annotations

import string
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from stdnum import bic, iban, imo, iso6346, iso11649, lei
from stdnum.iso7064 import mod_97_10
from stdnum.vn import mst

from gateway.model import checkdigits
from gateway.rules import identifiers
from gateway.rules.identifiers import IDENTIFIERS, Defect, Fault

GOOD = {
    "bic": ["CITIGB2LXXX", "BFTVVNVX", "DEUTDEFF500"],
    "bill-of-lading": ["MAEU123456789", "A", "x" * 35, "ONE/LINE 12"],
    "container": ["CSQU3054383", "TRCU3382910"],
    "creditor-reference": ["RF18539007547034"],
    "flight": ["VN123", "VNA1", "5X9999", "QH8A", "LH4711B"],
    "iban": ["GB82WEST12345698765432", "GR1601101050000010547023795", "NO9386011117947"],
    "imo": ["9074729", "9319466", "IMO9074729"],
    "lei": ["213800KUD8LAJWSQ9D15", "5493001KJTIIGC8Y1R12"],
    "locode": ["DEHAM", "VNSGN", "US23A"],
    "mrn": [
        "19GBCKKCQSXV2FGVA8",
        "20GB1NA4Y2YSRFGVR6",
        "23GBCXDLLRXMOCTAA4",
        "24GBDIRIGZ7QLCPAA8",
        "09SEE7JPUV5HC06IC6",
        "18GBJCVR76A6U7WD53",
    ],
    "scac": ["MAEU", "UP"],
    "tariff": ["830110", "83011000", "980100", "123456789012"],
    "ucr": ["5VN0100109106-000017", "9GB123456789000-INV", "5DEA"],
    "undg": ["1263", "0004", "3549"],
    "vn-tax": ["0100109106", "0100233488", "0314409058-002", "0314409058002", "001085012345"],
    "waybill": ["082-12345675", "083-01203226", "08212345675"],
}
BAD = {
    "bic": [("CITIGB2", "format"), ("CITI3B2L", "format"), ("citigb2l", "format"), ("CITIGB2LXX", "format")],
    "bill-of-lading": [
        ("", "format"),
        (" A", "format"),
        ("A ", "format"),
        ("x" * 36, "format"),
        ("A\n", "format"),
    ],
    "container": [
        ("MSKU7892345", "check"),
        ("CSQU305438", "format"),
        ("CSQX3054383", "format"),
        ("csqu3054383", "format"),
        ("CSQU305438٣", "format"),
        ("CSQU3054383\n", "format"),
    ],
    "creditor-reference": [("RF19539007547034", "check"), ("RF18", "format"), ("RG18539007547034", "format")],
    "flight": [("12123", "format"), ("VN", "format"), ("VN12345", "format"), ("V N1", "format")],
    "iban": [
        ("GB83WEST12345698765432", "check"),
        ("GB82WEST1234569876543", "format"),
        ("VN82WEST12345698765432", "range"),
        ("GB82 WEST 1234 5698 7654 32", "format"),
    ],
    "imo": [
        ("9074728", "check"),
        ("907472", "format"),
        ("IMO 9074729", "format"),
        ("９０７４７２９", "format"),
    ],
    "lei": [("213800KUD8LAJWSQ9D16", "check"), ("213800KUD8LAJWSQ9D1", "format")],
    "locode": [("DEHA", "format"), ("DEHA1", "format"), ("D1HAM", "format")],
    "mrn": [
        ("19GBCKKCQSXV2FGVA9", "check"),
        ("19GBCKKCQSXV2FGVA", "format"),
        ("1XGBCKKCQSXV2FGVA8", "format"),
    ],
    "scac": [("M", "format"), ("MAEUX", "format"), ("M4EU", "format")],
    "tariff": [("83011", "format"), ("770110", "range"), ("000110", "range"), ("8301.10", "format")],
    "ucr": [("VN0100109106", "format"), ("5VN", "format"), ("5VN" + "A" * 33, "format"), ("5VN-1", "format")],
    "undg": [("126", "format"), ("0001", "range"), ("UN1263", "format")],
    "vn-tax": [
        ("0100233480", "check"),
        ("010010910", "format"),
        ("0100000000", "range"),
        ("0100109106-000", "range"),
        ("0100109106000", "range"),
        ("0100109106-0012", "format"),
    ],
    "waybill": [("082-12345676", "check"), ("82-12345675", "format"), ("082 12345675", "format")],
}


def test_every_identifier_has_good_and_bad_numbers() -> None:
    assert set(GOOD) == set(BAD) == set(IDENTIFIERS)


@pytest.mark.parametrize(("kind", "text"), [(k, t) for k, texts in GOOD.items() for t in texts])
def test_good(kind: str, text: str) -> None:
    assert IDENTIFIERS[kind](text) is None


@pytest.mark.parametrize(("kind", "text", "defect"), [(k, t, d) for k, rows in BAD.items() for t, d in rows])
def test_bad(kind: str, text: str, defect: str) -> None:
    fault = IDENTIFIERS[kind](text)
    assert fault is not None
    assert fault.defect.value == defect
    assert fault.expected
    assert fault.found == text if defect == "format" else fault.found in text


def test_a_check_digit_fault_says_what_the_digit_is() -> None:
    assert identifiers.container("MSKU7892345") == Fault(Defect.CHECK, "7", "5")
    assert identifiers.iban("GB83WEST12345698765432") == Fault(Defect.CHECK, "82", "83")
    assert identifiers.vn_tax("0100233480") == Fault(Defect.CHECK, "8", "0")


DIGITS = st.text(string.digits, min_size=1, max_size=40)
CAPITALS = string.ascii_uppercase
ALNUM = string.digits + CAPITALS


def digits(size: int) -> st.SearchStrategy[str]:
    return st.text(string.digits, min_size=size, max_size=size)


# Numbers that are right in all but, perhaps, the check digit; and python-stdnum's verdict on them.
CONTAINERS = st.builds("{}{}".format, st.sampled_from(["CSQU", "TRCJ", "HLXZ", "XYZU"]), digits(7))
CHECKS = st.integers(2, 98).map("{:02d}".format)
REFERENCES = st.builds("RF{}{}".format, CHECKS, st.text(ALNUM, min_size=1, max_size=21))
LEIS = st.builds("{}{}".format, st.text(ALNUM, min_size=18, max_size=18), CHECKS)
BICS = st.from_regex(r"[A-Z]{4}(GB|VN|DE)[0-9A-Z]{2}([0-9A-Z]{1,4})?", fullmatch=True)
JUDGED: list[tuple[str, st.SearchStrategy[str], Callable[[str], bool]]] = [
    ("container", CONTAINERS, iso6346.is_valid),
    ("imo", digits(7), imo.is_valid),
    ("vn-tax", digits(10), mst.is_valid),
    ("vn-tax", digits(13), mst.is_valid),
    ("bic", BICS, bic.is_valid),
    ("lei", LEIS, lei.is_valid),
    ("creditor-reference", REFERENCES, iso11649.is_valid),
]


@pytest.mark.parametrize(("kind", "numbers", "judge"), JUDGED)
def test_the_outside_judge_agrees(
    kind: str, numbers: st.SearchStrategy[str], judge: Callable[[str], bool]
) -> None:
    @given(numbers)
    def agree(text: str) -> None:
        assert (IDENTIFIERS[kind](text) is None) == judge(text)

    agree()


@given(st.sampled_from(sorted(identifiers.IBAN_LENGTHS)), st.data())
def test_iban_agrees_with_the_outside_judge(country: str, data: st.DataObject) -> None:
    length = identifiers.IBAN_LENGTHS[country]
    account = data.draw(digits(length - 4))
    text = country + checkdigits.iban_check(country, account) + account
    assert identifiers.iban(text) is None
    assert mod_97_10.is_valid(text[4:] + text[:4])
    assert iban.calc_check_digits(text) == text[2:4]
    wrong = f"{(int(text[2:4]) + 1) % 97 + 2:02d}"
    assume(wrong != text[2:4])
    assert identifiers.iban(country + wrong + account) is not None


def test_iban_lengths_are_those_of_the_outside_judge() -> None:
    for first, second in [(a, b) for a in CAPITALS for b in CAPITALS]:
        country = first + second
        for length in (14, 15, *range(16, 35)):
            text = country + "00" + "1" * (length - 4)
            fault = identifiers.iban(country + checkdigits.iban_check(country, text[4:]) + text[4:])
            known = iban._ibandb.info(text)[0][1]
            if not known:
                assert fault is not None
                continue
            sizes = [int(part.rstrip("!nac")) for part in _parts(known["bban"])]
            assert (fault is None) == (sum(sizes) + 4 == length), country


def _parts(structure: str) -> list[str]:
    ends = [0, *(i + 1 for i, c in enumerate(structure) if c in "nac")]
    return [structure[a:b] for a, b in pairwise(ends)]


# Numbers made with their check digit, and what a corrupted character does to them.
MADE: dict[str, tuple[st.SearchStrategy[str], Callable[[str], str]]] = {
    "container": (digits(6), lambda b: "CSQU" + b + checkdigits.container_check("CSQU" + b)),
    "mrn": (digits(13).map("25VN{}".format), lambda b: b + checkdigits.mrn_check(b)),
    "imo": (digits(6), lambda b: b + checkdigits.imo_check(b)),
    "waybill": (digits(7), lambda b: "082-" + b + checkdigits.waybill_check(b)),
    "creditor-reference": (st.text(ALNUM, min_size=1, max_size=21), checkdigits.rf_reference),
    "lei": (st.text(ALNUM, min_size=18, max_size=18), lambda b: b + checkdigits.mod97_check(b)),
    "vn-tax": (digits(7).filter(int).map("01{}".format), lambda b: b + (checkdigits.tax_check(b) or "x")),
}


@pytest.mark.parametrize("kind", MADE)
def test_what_is_made_passes(kind: str) -> None:
    bodies, make = MADE[kind]

    @given(bodies)
    def passes(body: str) -> None:
        text = make(body)
        assume("x" not in text)
        assert IDENTIFIERS[kind](text) is None

    passes()


@given(st.text(ALNUM, min_size=1, max_size=21), st.data())
def test_mod97_finds_every_changed_character_and_exchanged_neighbours(body: str, data: st.DataObject) -> None:
    text = checkdigits.rf_reference(body)
    at = data.draw(st.integers(4, len(text) - 1))
    same_class = string.digits if text[at].isdigit() else CAPITALS
    other = data.draw(st.sampled_from(same_class).filter(lambda c: c != text[at]))
    assert identifiers.creditor_reference(text[:at] + other + text[at + 1 :]) is not None
    swapped = text[: at - 1] + text[at] + text[at - 1] + text[at + 1 :]
    if at > 4 and text[at] != text[at - 1] and text[at].isdigit() and text[at - 1].isdigit():
        assert identifiers.creditor_reference(swapped) is not None


@given(digits(7).filter(int), st.data())
def test_tax_code_finds_every_changed_digit(serial: str, data: st.DataObject) -> None:
    body = "01" + serial
    check = checkdigits.tax_check(body)
    assume(check is not None)
    text = body + str(check)
    at = data.draw(st.integers(0, 9))
    other = data.draw(st.sampled_from(string.digits).filter(lambda c: c != text[at]))
    assert identifiers.vn_tax(text[:at] + other + text[at + 1 :]) is not None


@given(digits(6), st.data())
def test_container_finds_every_changed_digit_but_the_confusion_of_10_with_0(
    serial: str, data: st.DataObject
) -> None:
    body = "CSQU" + serial
    at = data.draw(st.integers(4, 9))
    other = data.draw(st.sampled_from(string.digits).filter(lambda c: c != body[at]))
    change = (int(other) - int(body[at])) * 2**at % 11
    text = body + checkdigits.container_check(body)
    # A check digit 0 stands for remainder 0 and 10: a change from one to the other (by 1 or 10) is not seen.
    assume(text[10] != "0" or change not in (1, 10))
    assert identifiers.container(text[:at] + other + text[at + 1 :]) is not None
    wrong = data.draw(st.sampled_from(string.digits).filter(lambda c: c != text[10]))
    assert identifiers.container(body + wrong) is not None


@given(digits(6), st.data())
def test_imo_finds_changed_digits_where_the_weight_is_prime_to_ten(body: str, data: st.DataObject) -> None:
    text = body + checkdigits.imo_check(body)
    at = data.draw(st.sampled_from([0, 4, 6]))
    other = data.draw(st.sampled_from(string.digits).filter(lambda c: c != text[at]))
    assert identifiers.imo(text[:at] + other + text[at + 1 :]) is not None


@given(digits(7), st.data())
def test_waybill_finds_changed_digits_that_differ_by_other_than_seven(
    serial: str, data: st.DataObject
) -> None:
    text = "08" + "2" + serial + checkdigits.waybill_check(serial)
    at = data.draw(st.integers(3, 9))
    other = data.draw(st.sampled_from(string.digits).filter(lambda c: (int(c) - int(text[at])) % 7 != 0))
    assert identifiers.waybill(text[:at] + other + text[at + 1 :]) is not None


@given(st.text(max_size=40))
def test_any_text_gets_a_verdict(text: str) -> None:
    for check in IDENTIFIERS.values():
        fault = check(text)
        assert fault is None or (fault.expected and len(fault.found) <= identifiers.MAX_FOUND)
        assert fault is not None or text.isascii()


@pytest.mark.parametrize(
    ("make", "body"),
    [
        (checkdigits.container_check, "CSQU30543"),
        (checkdigits.container_check, "csqu305438"),
        (checkdigits.mrn_check, "25VN"),
        (checkdigits.imo_check, "٩07472"),
        (checkdigits.waybill_check, "123456"),
        (checkdigits.tax_check, "01001O910"),
        (checkdigits.rf_reference, ""),
        (checkdigits.rf_reference, "A" * 22),
        (checkdigits.rf_reference, "a1"),
        (checkdigits.mod97, ""),
        (checkdigits.mod97, "A-1"),
    ],
)
def test_makers_refuse_what_they_do_not_protect(make: Callable[[str], object], body: str) -> None:
    with pytest.raises(ValueError, match="not"):
        make(body)
