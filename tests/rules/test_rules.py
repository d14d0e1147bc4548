"""Every rule that the package ships: one declaration keeps it, the same broken in one place does not."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.model import Declaration, Finding, Kind, Severity
from gateway.model.finding import load_catalogue
from gateway.rules import RuleBook, judge

from .conftest import MAPPINGS
from .trees import NOW, cargo, changed, goods, mrn, sample

IM, CRI = Kind.IMPORT, Kind.CARGO_IMPORT
MEANS = "BorderTransportMeans"


class Break(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row of breaks.toml."""

    rule: str
    kind: Kind
    edits: list[tuple[str, Any]]
    code: str
    severity: Severity = Severity.ERROR
    profile: str = ""
    pointer: str = ""
    expected: str | None = None
    found: str | None = None


ROWS = tomllib.loads((Path(__file__).parent / "breaks.toml").read_text(encoding="utf-8"))
BREAKS = msgspec.convert(ROWS["break"], list[Break])
# What is missing was not found.
MISSING = {"RUL001", "RUL002", "RUL070", "RUL071", "RUL081"}


def broken(case: Break) -> Declaration:
    root = sample(case.kind).root
    for pointer, new in case.edits:
        root = changed(root, pointer, None if new == [] else new)
    return Declaration(case.kind, root)


def check(case: Break, book: RuleBook) -> None:
    findings = judge(broken(case), book, NOW)
    pointer = f"Declaration/{case.pointer or case.edits[0][0]}"
    hits = [f for f in findings if f.code == case.code and f.place.pointer == pointer]
    assert len(hits) == 1, findings
    assert hits[0].severity is case.severity
    if case.expected is not None:
        assert hits[0].expected == case.expected
    if case.found is not None:
        assert hits[0].found == case.found
    assert bool(hits[0].found) is (case.code not in MISSING)
    rule = next(r for r in book.rules if r.name == case.rule)
    assert case.code in rule.codes
    others = [r for r in book.rules if r is not rule and case.code in r.codes]
    without = RuleBook(others, book.codes, book.zone)
    assert hits[0] not in judge(broken(case), without, NOW), "another rule found it"


@pytest.mark.parametrize("case", BREAKS, ids=lambda case: case.rule)
def test_the_rule_finds_the_fault_at_its_place(case: Break, book: RuleBook, vn_book: RuleBook) -> None:
    check(case, vn_book if case.profile else book)


def test_every_shipped_rule_is_broken_here(book: RuleBook, vn_book: RuleBook) -> None:
    rules = {rule.name for rule in (*book.rules, *vn_book.rules)}
    assert {case.rule for case in BREAKS} | {"vn-items"} == rules


@pytest.mark.parametrize("kind", list(Kind))
def test_a_right_declaration_has_no_findings(kind: Kind, book: RuleBook, vn_book: RuleBook) -> None:
    assert judge(sample(kind), book, NOW) == ()
    assert judge(sample(kind), vn_book, NOW) == ()


@pytest.mark.parametrize("kind", [k for k in Kind if k is not Kind.PAYMENT])
def test_cancellation_and_amendment_ask_for_little(kind: Kind, book: RuleBook) -> None:
    root = changed(sample(kind).root, "FunctionCode", "1")
    for name in {e.name for e in root.entities}:
        while root.entity(name):
            root = changed(root, name, None)
    assert [f.code for f in judge(Declaration(kind, root), book, NOW)] == ["RUL070", "RUL071"]
    root = changed(root, "ID", mrn(7))
    root = changed(root, "AdditionalInformation", {"StatementDescription": "Filed twice"})
    assert judge(Declaration(kind, root), book, NOW) == ()
    root = changed(changed(root, "FunctionCode", "4"), "AdditionalInformation", None)
    assert judge(Declaration(kind, root), book, NOW) == ()


def test_the_profile_bounds_the_lines(vn_book: RuleBook) -> None:
    assert judge(goods(IM, 50), vn_book, NOW) == ()
    (finding,) = judge(goods(IM, 52), vn_book, NOW)
    assert (finding.code, finding.expected, finding.found) == ("RUL005", "<= 50", "52")
    assert finding.place.pointer == "Declaration/GoodsShipment/GovernmentAgencyGoodsItem[51]"


@pytest.mark.parametrize(
    ("mode", "arrival", "departure", "late"),
    [
        ("1", "202508201458", "202508180000", True),
        ("1", "202508201501", "202508180000", False),
        ("1", "202508202200", "202508151500", True),
        ("1", "202508202200", "202508160300", False),
        ("4", "202508200559", "202508191200", False),
        ("4", "202508200558", "202508191200", True),
        ("4", "202508200330", "202508200130", False),
        ("4", "202508200328", "202508200130", True),
        ("3", "202508200301", "202508200130", False),
    ],
)
def test_deadlines(mode: str, arrival: str, departure: str, late: bool, book: RuleBook) -> None:
    root = changed(cargo(CRI).root, f"{MEANS}/ModeCode", mode)
    root = changed(root, f"{MEANS}/JourneyID", "VN30")
    root = changed(root, f"{MEANS}/ArrivalDateTime", (arrival, "203"))
    root = changed(root, f"{MEANS}/DepartureDateTime", (departure, "203"))
    assert [f.code for f in judge(Declaration(CRI, root), book, NOW)] == ["RUL043"] * late


def test_a_day_without_time_has_the_benefit_of_the_doubt(book: RuleBook) -> None:
    def codes(day: str) -> list[str]:
        root = changed(cargo(CRI).root, f"{MEANS}/ArrivalDateTime", (day, "102"))
        root = changed(root, f"{MEANS}/DepartureDateTime", None)
        return [f.code for f in judge(Declaration(CRI, root), book, NOW)]

    assert codes("20250820") == []
    assert codes("20250819") == ["RUL043"]


def test_local_times_are_the_offices(book: RuleBook, vn_book: RuleBook) -> None:
    root = changed(cargo(CRI).root, f"{MEANS}/ArrivalDateTime", ("202508210930", "203"))
    assert judge(Declaration(CRI, root), book, NOW) == ()
    (finding,) = judge(Declaration(CRI, root), vn_book, NOW)
    assert finding.expected == "<= 2025-08-20T02:31+00:00"


def test_every_code_has_its_meaning_in_both_languages(book: RuleBook, vn_book: RuleBook) -> None:
    catalogue = load_catalogue(MAPPINGS / "findings")
    raised = {code for rule in (*book.rules, *vn_book.rules) for code in rule.codes} | {"RUL099"}
    declared = {code for code in catalogue.meanings if code.startswith("RUL")}
    assert raised == declared
    for code in raised:
        meaning = catalogue.meanings[code]
        assert all((meaning.text, meaning.text_vi, meaning.remedy, meaning.remedy_vi))
        assert re.search("[ăâđêôơưạảấầẩậắặẹẻếềệỉịọỏốồổộớờợụủứừựỳỹ]", meaning.text_vi + meaning.remedy_vi)
        holes = [set(re.findall(r"\{(\w+)\}", text)) for text in (meaning.text, meaning.text_vi)]
        assert holes[0] == holes[1] <= {"expected", "found"}
        said = catalogue.say(Finding(code, expected="EXP", found="FND"), "vi")
        assert "{" not in said


def test_the_listing_is_sorted_and_whole(book: RuleBook) -> None:
    lines = book.describe()
    assert [line.name for line in lines] == sorted(rule.name for rule in book.rules)
    line = next(line for line in lines if line.name == "cancellation-reason")
    assert (line.check, line.functions, line.codes, line.severity) == (
        "required",
        ("1",),
        ("RUL071",),
        "error",
    )
    assert line.kinds == ("IM", "EX", "TRT", "CRI", "CRE", "CONV")
    assert all(line.text.endswith(".") for line in lines)
