"""The rule book is checked whole at load, profiles change it, and judging never fails on any tree."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model import Declaration, Entity, Kind, Severity, Value, parse_pointer
from gateway.rules import RuleBook, judge, load
from gateway.rules.judgement import MAX_FINDINGS, Judgement
from gateway.rules.plan import Node
from gateway.rules.row import When

from .conftest import MAPPINGS
from .trees import NOW, cargo, changed, consignment, entity, goods, sample

RULE = """
[[rule]]
name = "{name}"
kinds = ["IM"]
text = "A rule."
"""


def rule(name: str, lines: str) -> str:
    return RULE.format(name=name) + lines


def load_text(tmp_path: Path, text: str, codes: str = "", profile: str = "") -> RuleBook:
    for folder in ("rules/profiles", "codes"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "rules" / "some.toml").write_text(text, encoding="utf-8")
    if profile:
        (tmp_path / "rules" / "profiles" / "own.toml").write_text(profile, encoding="utf-8")
    for path in (MAPPINGS / "codes").glob("*.toml"):
        (tmp_path / "codes" / path.name).write_bytes(path.read_bytes())
    if codes:
        (tmp_path / "codes" / "own.toml").write_text(codes, encoding="utf-8")
    return load(tmp_path / "rules", tmp_path / "codes", "own" if profile else "")


BROKEN = {
    "no-such-check": ('check = "magic"', "magic"),
    "unknown-field": ('check = "required"\npath = "ID"\npaht = "ID"', "paht"),
    "bad-path": ('check = "required"\npath = "a//b"', "regex"),
    "bad-each": ('check = "required"\npath = "ID"\neach = "x"', "regex"),
    "both-paths": ('check = "required"\npath = "ID"\nany_of = ["ID"]', "path and any_of"),
    "no-path": ('check = "required"', "path and any_of"),
    "no-list": ('check = "coded"\npaths = ["ID"]\nlist = "colours"', "no code list colours"),
    "two-lists": ('check = "coded"\npaths = ["ID"]\nlist = "countries"\none_of = ["A"]', "list and one_of"),
    "no-identifier": ('check = "identifier"\npaths = ["ID"]\ntype = "passport"', "no identifier passport"),
    "bad-pattern": ('check = "pattern"\npaths = ["ID"]\npattern = "("\nformat = "n1"', "unterminated"),
    "no-bounds": ('check = "number"\npaths = ["ID"]\nabove = "5"\nmost = "1"', "no number"),
    "no-number": ('check = "number"\npaths = ["ID"]\nabove = "five"', "decimal"),
    "no-times": ('check = "occurs"\npaths = ["Consignment"]', "least and most"),
    "below-zero": ('check = "sum"\npath = "ID"\nof = "ID"\ntolerance = "-1"', "tolerance"),
    "bad-unit": ('check = "sum"\npath = "ID"\nof = "ID"\nunit = "lengths"', "lengths"),
    "no-departure": (
        'check = "deadline"\npath = "ID"\nnotice_hours = 1\nlong = { journey_hours = 1, notice_hours = 1 }',
        "departure",
    ),
    "no-question": ('check = "required"\npath = "ID"\nwhen = [{ path = "ID" }]', "nothing is asked"),
    "bad-when": ('check = "required"\npath = "ID"\nwhen = [{ path = "ID", matches = "[" }]', "unterminated"),
    "bad-severity": ('check = "required"\npath = "ID"\nseverity = "fatal"', "fatal"),
    "bad-function": ('check = "required"\npath = "ID"\nfunctions = ["10"]', "10"),
    "bad-code": ('check = "required"\npath = "ID"\ncode = "XYZ1"', "regex"),
    "no-currency-list": ('check = "amount"\npaths = ["ID"]\nlist = "coins"', "coins"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_named(name: str, tmp_path: Path) -> None:
    lines, told = BROKEN[name]
    with pytest.raises(ValueError, match=f"some.toml: {name}: ") as raised:
        load_text(tmp_path, rule(name, lines))
    assert told in str(raised.value)


def test_everything_broken_is_told_at_once(tmp_path: Path) -> None:
    text = "".join(rule(name, lines) for name, (lines, _) in BROKEN.items())
    text += rule("twice", 'check = "required"\npath = "ID"') * 2
    codes = 'title = ""\nedition = ""\ncodes = "A A B"\n[numbers]\nC = 1\n'
    codes += "[valid]\nD = { from = 2020-01-02, to = 2020-01-01 }"
    with pytest.raises(ValueError, match="twice: the name stands 2 times") as raised:
        load_text(tmp_path, 'zone = "Mars/Base"\n' + text, codes)
    told = str(raised.value)
    assert all(f"some.toml: {name}: " in told for name in BROKEN)
    for fault in ("A stands twice", "C has a number", "D ends before", "Mars/Base"):
        assert fault in told


@pytest.mark.parametrize("text", ["", "[[rule", "zone = 1", "colour = 'red'"])
def test_files_that_are_none(text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"some\.toml|no rules"):
        load_text(tmp_path, text)


@pytest.mark.parametrize("codes", ["codes = 1", "title = 'T'\nedition = '1'\ncodes = ''", "x", "a = \x00"])
def test_code_files_that_are_none(codes: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"own\.toml"):
        load_text(tmp_path, rule("one", 'check = "required"\npath = "ID"'), codes)


def test_a_missing_profile_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere\.toml"):
        load(MAPPINGS / "rules", MAPPINGS / "codes", "nowhere")


def test_a_profile_replaces_adds_and_drops(tmp_path: Path) -> None:
    general = rule("one", 'check = "required"\npath = "ID"') + rule(
        "two", 'check = "required"\npath = "TypeCode"'
    )
    own = 'drop = ["two"]\n' + rule("one", 'check = "required"\npath = "ID"\nseverity = "note"')
    own += rule("three", 'check = "required"\npath = "IssueLocationID"')
    book = load_text(tmp_path, general, profile=own)
    findings = judge(Declaration(Kind.IMPORT, Entity("Declaration")), book, NOW)
    assert [(f.place.pointer, f.severity) for f in findings] == [
        ("Declaration/ID", Severity.NOTE),
        ("Declaration/IssueLocationID", Severity.ERROR),
    ]
    assert judge(Declaration(Kind.EXPORT, Entity("Declaration")), book, NOW) == ()


def test_a_profile_cannot_drop_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no rule nine to drop"):
        load_text(tmp_path, rule("one", 'check = "required"\npath = "ID"'), profile='drop = ["nine"]')


def test_a_rule_applies_to_its_functions_only(tmp_path: Path) -> None:
    book = load_text(tmp_path, rule("one", 'check = "required"\npath = "ID"\nfunctions = ["4"]'))

    def findings(function: str) -> int:
        root = entity("Declaration", {"FunctionCode": function})
        return len(judge(Declaration(Kind.IMPORT, root), book, NOW))

    assert [findings(f) for f in ("9", "5", "4", "1", "13", "")] == [0, 0, 1, 0, 0, 0]


def test_required_in_every_occurrence_and_at_every_depth(tmp_path: Path) -> None:
    book = load_text(tmp_path, rule("one", 'check = "required"\npath = "GoodsShipment/Invoice/ID"'))

    def pointers(root: Entity) -> list[str]:
        return [f.place.pointer for f in judge(Declaration(Kind.IMPORT, root), book, NOW)]

    assert pointers(Entity("Declaration")) == ["Declaration/GoodsShipment/Invoice/ID"]
    root = entity("Declaration", {"GoodsShipment": [{"Invoice": [{"ID": "1"}, {}, {"ID": " "}]}, {}]})
    assert pointers(root) == [
        "Declaration/GoodsShipment/Invoice[2]/ID",
        "Declaration/GoodsShipment/Invoice[3]/ID",
        "Declaration/GoodsShipment[2]/Invoice/ID",
    ]


def test_a_value_that_is_repeated_has_its_occurrence(tmp_path: Path) -> None:
    book = load_text(tmp_path, rule("one", 'check = "coded"\npaths = ["ID"]\none_of = ["A"]'))
    root = entity("Declaration", {"ID": ["A", "B", "A", "B"]})
    pointers = [f.place.pointer for f in judge(Declaration(Kind.IMPORT, root), book, NOW)]
    assert pointers == ["Declaration/ID[2]", "Declaration/ID[4]"]


def test_codes_have_their_time(tmp_path: Path) -> None:
    codes = 'title = "T"\nedition = "1"\ncodes = "A"\n[valid]\nB = { to = 2025-08-19 }\nC = { from = 2025-08-20 }\n'
    text = 'zone = "{}"\n' + rule("one", 'check = "coded"\npaths = ["TypeCode"]\nlist = "own"')
    book = load_text(tmp_path / "utc", text.format("+00:00"), codes)
    west = load_text(tmp_path / "west", text.format("-05:00"), codes)

    def codes_of(book: RuleBook, code: str) -> list[tuple[str, str]]:
        root = entity("Declaration", {"TypeCode": code})
        return [(f.code, f.expected) for f in judge(Declaration(Kind.IMPORT, root), book, NOW)]

    assert codes_of(book, "A") == codes_of(book, "C") == codes_of(west, "B") == []
    assert codes_of(book, "B") == [("RUL021", "0001-01-01..2025-08-19")]
    assert codes_of(west, "C") == [("RUL021", "2025-08-20..9999-12-31")]
    assert codes_of(book, "D") == [("RUL020", "T")]


def test_findings_are_bounded_and_the_last_says_so(book: RuleBook) -> None:
    root = cargo(Kind.CARGO_IMPORT, 1).root
    again = entity("Declaration", {"Consignment": [consignment(1)] * 5_000})
    root = Entity(root.name, root.values, (*root.entities, *again.entities))
    findings = judge(Declaration(Kind.CARGO_IMPORT, root), book, NOW)
    assert len(findings) == MAX_FINDINGS + 1
    assert findings[-1].code == "RUL099"
    assert findings[-1].severity is Severity.NOTE
    assert len(set(findings)) == len(findings)


def test_found_is_short(book: RuleBook) -> None:
    root = changed(goods(Kind.IMPORT).root, "BorderTransportMeans/ModeCode", "9" * 100_000)
    assert max(len(f.found) for f in judge(Declaration(Kind.IMPORT, root), book, NOW)) <= 70


NAMES = st.sampled_from(
    [
        "Amendment",
        "BorderTransportMeans",
        "Commodity",
        "Consignment",
        "ConsignmentItem",
        "Declarant",
        "DutyTaxFee",
        "GoodsMeasure",
        "GoodsShipment",
        "GovernmentAgencyGoodsItem",
        "Itinerary",
        "Packaging",
        "Payment",
        "TransportEquipment",
        "TransportContractDocument",
    ]
)
LEAVES = st.sampled_from(
    [
        "ArrivalDateTime",
        "CustomsValueAmount",
        "DepartureDateTime",
        "FunctionCode",
        "GoodsItemQuantity",
        "GrossMassMeasure",
        "ID",
        "IssueDateTime",
        "ModeCode",
        "NetNetWeightMeasure",
        "PaymentAmount",
        "QuantityQuantity",
        "SequenceNumeric",
        "TotalGrossMassMeasure",
        "TotalPackageQuantity",
        "TypeCode",
    ]
)
ODD = [
    "9",
    "1",
    "4",
    "-0",
    "1e9",
    "NaN",
    "999999999999999999.999999999",
    "00010101",
    "20250229",
    "Infinity",
    "١",
]
TEXTS = st.sampled_from(ODD) | st.text(max_size=12) | st.integers().map(str)
ATTRIBUTES = st.sampled_from(["unitCode", "currencyID", "formatCode"])
PAIRS = st.lists(
    st.tuples(ATTRIBUTES, st.sampled_from(["KGM", "TNE", "VND", "203", "102", "304", ""])), max_size=2
)
VALUES = st.lists(st.builds(lambda n, t, a: Value(n, t, tuple(a)), LEAVES, TEXTS, PAIRS), max_size=6).map(
    tuple
)
TREES = st.recursive(
    st.builds(lambda n, v: Entity(n, v), NAMES, VALUES),
    lambda below: st.builds(
        lambda n, v, e: Entity(n, v, tuple(e)), NAMES, VALUES, st.lists(below, max_size=4)
    ),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(list(Kind)), VALUES, st.lists(TREES, max_size=5))
def test_any_tree_gets_findings_with_places(
    book: RuleBook, vn_book: RuleBook, kind: Kind, values: tuple[Value, ...], entities: list[Entity]
) -> None:
    declaration = Declaration(kind, Entity("Declaration", values, tuple(entities)))
    for rules in (book, vn_book):
        findings = judge(declaration, rules, NOW)
        assert findings == judge(declaration, rules, NOW)
        for finding in findings:
            steps = parse_pointer(finding.place.pointer)
            assert steps[0].name == "Declaration"
            assert finding.expected or finding.code == "RUL060"
        assert len({(f.code, f.place.pointer) for f in findings}) == len(findings)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(list(Kind)), st.data(), TEXTS)
def test_a_corrupted_value_is_found_where_it_stands(
    book: RuleBook, kind: Kind, data: st.DataObject, text: str
) -> None:
    root = sample(kind).root
    pointer = data.draw(st.sampled_from(sorted(_pointers(root, ""))))
    before = root.text(pointer)
    root = _replaced(root, pointer, text)
    for finding in judge(Declaration(kind, root), book, NOW):
        place = finding.place.pointer.removeprefix("Declaration/")
        there = root.text(place)
        assert not finding.found or there, "what was found stands at the place"
        assert finding.code not in ("RUL020", "RUL051") or place == pointer or before != text


def _pointers(here: Entity, path: str) -> list[str]:
    found = [path + value.name for value in here.values]
    counts: dict[str, int] = {}
    for child in here.entities:
        counts[child.name] = counts.get(child.name, 0) + 1
        found += _pointers(child, f"{path}{child.name}[{counts[child.name]}]/")
    return found


def _replaced(root: Entity, pointer: str, text: str) -> Entity:
    old = root.value(pointer)
    assert old is not None
    attribute = old.attributes[0][1] if old.attributes else ""
    return changed(root, pointer, (text, attribute) if attribute else text)


def test_many_warnings_do_not_hide_an_error(book: RuleBook) -> None:
    root = cargo(Kind.CARGO_IMPORT, 1).root
    judgement = Judgement(root, NOW, UTC, 0, 0)
    row = book.rules[0]
    for number in range(MAX_FINDINGS + 50):
        judgement.tell(row, (None, Entity(f"A{number}"), 1), expected="", found="", severity=Severity.WARNING)
    assert not judgement.full
    judgement.tell(row, (None, root, 1), expected="", found="", severity=Severity.ERROR)
    assert [f.severity for f in judgement.findings].count(Severity.ERROR) == 1
    assert len(judgement.findings) == MAX_FINDINGS + 2


few = st.sampled_from(["", "A", "B", "C"])
some = st.frozensets(few, max_size=2)
conditions = st.builds(
    When,
    path=st.sampled_from(["ID", "/ID", "Party/ID"]),
    among=some,
    outside=some,
    matches=st.sampled_from(["", "[AB]"]),
    present=st.none() | st.booleans(),
)
holders = st.lists(st.tuples(st.sampled_from(["ID", "Name"]), few), max_size=3).map(
    lambda pairs: Entity("Party", tuple(Value(name, text) for name, text in pairs))
)


@given(st.lists(conditions, min_size=1, max_size=2), holders, holders)
def test_a_condition_made_ready_holds_where_it_holds(asked, holder, root):
    node = Node()
    node.branch(tuple(asked))
    holds, _ = node.branches[0]
    assert holds(holder, root) is all(condition.holds(holder, root) for condition in asked)
