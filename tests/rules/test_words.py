"""Code lists, date-times, numbers, and the paths of the rule files."""

from __future__ import annotations

import csv
import os
import re
import tomllib
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model import Kind, Value
from gateway.rules import RuleBook
from gateway.rules.moments import span_of, zone_of
from gateway.rules.numbers import decimals_of, in_one_unit, number_of, plain, quick_form, total

from .conftest import MAPPINGS

CORPUS = Path(os.environ.get("CVAN_CORPUS") or MAPPINGS.parents[1] / "shared" / "corpus") / "codelists"
DEC = MAPPINGS / "wco" / "dec.toml"


# Code lists


def rows(path: str) -> list[dict[str, str]]:
    if not CORPUS.is_dir():
        pytest.skip(f"no corpus at {CORPUS}; set CVAN_CORPUS")
    with (CORPUS / path).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_countries_are_all_of_iso_3166(book: RuleBook) -> None:
    codes = {row["ISO3166-1-Alpha-2"] for row in rows("iso3166/data/country-codes.csv")}
    assert book.codes["countries"].always == codes | {"XI", "XK", "XZ"}


def test_exponents_are_those_of_iso_4217(book: RuleBook) -> None:
    currencies = book.codes["currencies"]
    for row in rows("iso4217/data/codes-all.csv"):
        code = row["AlphabeticCode"]
        if code in ("", "XXX", "XTS") or row["WithdrawalDate"]:
            continue
        exponent = row["MinorUnit"] if row["MinorUnit"] != "-" else "6"
        assert currencies.number_of(code) == Decimal(exponent), code


def test_units_and_packages_are_those_of_the_recommendations(book: RuleBook) -> None:
    units = {row["CommonCode"] for row in rows("rec20/data/units-of-measure.csv") if row["Status"] != "X"}
    assert book.codes["units"].always == units
    packages = {row["Code"] for row in rows("rec21/data/data.csv") if row["Status"] != "X"}
    assert book.codes["packages"].always == packages


def test_chapters_are_those_of_the_harmonized_system(book: RuleBook) -> None:
    chapters = {row["hscode"][:2] for row in rows("hs/data/harmonized-system.csv") if row["level"] == "2"}
    assert chapters - {"99"} <= book.codes["hs-chapters"].always
    assert book.codes["hs-chapters"].always - chapters <= {"98", "99"}


def test_lists_agree_among_themselves(book: RuleBook) -> None:
    codes = book.codes
    assert codes["masses"].always <= codes["units"].always
    assert codes["bulk-packages"].always <= codes["packages"].always
    assert codes["transport-documents"].always <= codes["document-names"].always
    assert codes["currencies"].number_of("VND") == 0
    assert codes["currencies"].number_of("KWD") == 3
    assert codes["currencies"].number_of("XXX") is None
    bulk = next(r for r in book.rules if r.name == "item-package-quantity").when[0].outside
    assert bulk == codes["bulk-packages"].always


# Date-times


def when(text: str, code: str) -> Value:
    return Value("IssueDateTime", text, (("formatCode", code),))


@given(
    st.datetimes(datetime(1800, 1, 1), datetime(2999, 12, 31)),  # noqa: DTZ001
    st.integers(-14 * 4, 14 * 4).map(lambda quarters: timedelta(minutes=15 * quarters)),
)
def test_date_times_are_read_as_written(moment: datetime, offset: timedelta) -> None:
    zone = timezone(offset)
    moment = moment.replace(microsecond=0, tzinfo=zone)
    texts = {"102": "%Y%m%d", "203": "%Y%m%d%H%M", "204": "%Y%m%d%H%M%S", "304": "%Y%m%d%H%M%S%z"}
    for code, form in texts.items():
        span = span_of(when(moment.strftime(form), code), zone if code != "304" else UTC)
        assert span is not None
        assert span.start <= moment < span.end
    assert span_of(when(moment.strftime("%Y%m%d%H%M%SZ"), "304"), zone) == (
        moment.replace(tzinfo=UTC),
        moment.replace(tzinfo=UTC) + timedelta(seconds=1),
    )


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("20250230", "102"),
        ("202508202460", "203"),
        ("202508202400", "203"),
        ("2025-08-20", "102"),
        ("00010101", "102"),
        ("99991231", "102"),
        ("20250820", ""),
        ("20250820", "101"),
        ("20250820000000", "304"),
        ("20250820000000+99", "304"),
        ("20250820\n", "102"),
        ("２０２５0820", "102"),
    ],
)
def test_no_date_times(text: str, code: str) -> None:
    assert span_of(when(text, code), UTC) is None


def test_zones() -> None:
    summer = datetime(2025, 8, 20)  # noqa: DTZ001
    assert zone_of("+07:00").utcoffset(None) == zone_of("+07").utcoffset(None) == timedelta(hours=7)
    assert zone_of("-0330").utcoffset(None) == timedelta(hours=-3.5)
    assert zone_of("Europe/Berlin").utcoffset(summer) == timedelta(hours=2)
    for name in ("Mars/Base", "+24", "7", "../x", ""):
        with pytest.raises(ValueError, match="not a"):
            zone_of(name)


# Numbers


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**17), max_value=10**17, places=6))
def test_numbers_are_read_exactly_and_written_plainly(number: Decimal) -> None:
    text = format(number, "f")
    assert number_of(text) == number
    assert number_of(plain(number)) == number
    assert decimals_of(text) == max(0, -int(number.normalize().as_tuple().exponent))


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "-",
        "1e3",
        "NaN",
        "Infinity",
        "1_000",
        "1,5",
        " 1",
        "1\n",
        "١",
        "9" * 19,
        "0." + "1" * 10,
        "+-1",
    ],
)
def test_no_numbers(text: str) -> None:
    assert number_of(text) is None


BOUNDS = st.sampled_from([None, Decimal(0), Decimal(1), Decimal(5)])


@given(
    BOUNDS, BOUNDS, st.sampled_from([None, *map(Decimal, (9, 10, 99, 12345))]), st.integers(0, 3), st.data()
)
def test_the_quick_form_lets_nothing_pass_that_is_out_of_bounds(
    above: Decimal | None, least: Decimal | None, most: Decimal | None, decimals: int, data: st.DataObject
) -> None:
    text = data.draw(st.from_regex(r"[0-9]{1,6}(\.[0-9]{0,4})?", fullmatch=True))
    if quick_form(above, least, most, decimals).fullmatch(text):
        number = number_of(text)
        assert number is not None
        assert above is None or number > above
        assert least is None or number >= least
        assert most is None or number <= most
        assert decimals_of(text) <= decimals


def test_masses_come_together_in_kilograms(book: RuleBook) -> None:
    masses = book.codes["masses"]

    def mass(text: str, unit: str) -> Value:
        return Value("GrossMassMeasure", text, (("unitCode", unit),) if unit else ())

    assert in_one_unit([mass("1", "TNE"), mass("2", ""), mass("3", "KGM"), mass("4", "GRM")], masses) == [
        1000,
        2,
        3,
        Decimal("0.004"),
    ]
    assert in_one_unit([mass("1", "TNE"), mass("2", "MTR")], masses) == []
    assert in_one_unit([mass("1", "TNE"), mass("x", "TNE")], masses) == []
    assert in_one_unit([mass("1", "TNE"), mass("2", "KGM")], None) == []
    assert total([Decimal("0.000000001")] * 3 + [Decimal(10**18)]) == Decimal("1000000000000000000.000000003")


# Paths


@pytest.mark.skipif(not DEC.is_file(), reason="no declaration table")
def test_every_path_of_every_rule_is_in_the_declaration_tree(book: RuleBook, vn_book: RuleBook) -> None:
    classes: dict[str, list[str]] = tomllib.loads(DEC.read_text(encoding="utf-8"))["classes"]
    missing = set()
    for rule in (*book.rules, *vn_book.rules):
        for path, everywhere in paths_of(rule).items():
            kinds = {kind for kind in rule.kinds if resolves(classes, path, kind)}
            if not kinds or (everywhere and kinds != set(rule.kinds)):
                missing.add(f"{rule.name}: {path}: {sorted(set(rule.kinds) - kinds)}")
    assert missing == set()


def paths_of(rule: object) -> dict[str, bool]:
    """Every path of a rule, from the root, and whether every kind of declaration has to know it: a path
    that stands beside others may be one kind's only."""
    each = getattr(rule, "each", "")
    found: dict[str, bool] = {each: True} if each else {}
    for name in ("path", "paths", "any_of", "of", "to", "limit", "until", "departure"):
        part = getattr(rule, name, None) or ()
        for path in [part] if isinstance(part, str) else part:
            found["/".join(filter(None, [each, path.partition("@")[0]]))] = isinstance(part, str)
    for condition in getattr(rule, "when", ()):
        absolute = condition.path.startswith("/")
        found[condition.path[1:] if absolute else "/".join(filter(None, [each, condition.path]))] = True
    return found


LETTERS = {Kind.IMPORT: "I", Kind.EXPORT: "E", Kind.CARGO_IMPORT: "R", Kind.CARGO_EXPORT: "X"}
LETTERS |= {Kind.CONVEYANCE: "V", Kind.TRANSIT: "T", Kind.PAYMENT: "P"}


def resolves(classes: dict[str, list[str]], path: str, kind: Kind) -> bool:
    here = "Declaration"
    for step in path.split("/"):
        found = [fields for fields in map(str.split, classes.get(here, ())) if fields[0] == step]
        if not found or (len(found[0]) > 4 and LETTERS[kind] not in found[0][4]):
            return False
        shape = re.match(r"@([A-Za-z]+)", found[0][2])
        here = shape[1] if shape else ""
    return True
