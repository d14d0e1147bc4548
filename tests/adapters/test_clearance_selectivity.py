"""Selectivity: every operator, scores, the draw, and what the trader is told of it."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from clearance_samples import cargo, config, consignment, e, goods, item, v
from hypothesis import given
from hypothesis import strategies as st

from adapters.clearance import selectivity
from adapters.clearance.conditions import OPERATORS, Subject
from adapters.clearance.criteria import SAMPLED, Condition, Criteria, Criterion, Sampling, Thresholds
from adapters.clearance.states import CONTROL, Channel
from gateway.model import Declaration, Kind, MandatoryDocument

EACH = "GoodsShipment/GovernmentAgencyGoodsItem"


def subject(declaration: Declaration) -> Subject:
    return Subject(declaration, "importer", "van", config().exchange)


def holds(condition: dict[str, object], declaration: Declaration, each: str = EACH) -> list[str]:
    """The pointers at which one condition holds."""
    criterion = Criterion(
        "c", (declaration.kind,), (msgspec.convert(condition, Condition),), each, Channel.RED
    )
    return [hit.pointer for hit in selectivity.hits_of(subject(declaration), Criteria((criterion,)))]


TWO = goods(
    "L",
    item(1, "8703.23", 100, "USD", "JP", "Motor cars"),
    item(2, "0303", 900, "VND", "", "Tôm đông lạnh"),
    head=[e("LoadingLocation", v("ID", "KPNAM"))],
)
FIRST, SECOND = f"Declaration/{EACH}", f"Declaration/{EACH}[2]"


@pytest.mark.parametrize(
    ("condition", "where"),
    [
        ({"path": "Origin/CountryCode", "equals": "JP"}, [FIRST]),
        ({"path": "Origin/CountryCode", "in": ["JP", "KR"]}, [FIRST]),
        ({"path": "Origin/CountryCode", "in": ["KR"]}, []),
        ({"path": "Commodity/Classification/ID", "prefix": ["870323", "99"]}, [FIRST]),
        ({"path": "CustomsValueAmount", "above": 2000}, [FIRST]),
        ({"path": "CustomsValueAmount", "below": 1000}, [SECOND]),
        ({"path": "Origin/CountryCode", "missing": True}, [SECOND]),
        ({"path": "Origin/CountryCode", "missing": False}, [FIRST]),
        ({"path": "Origin/CountryCode", "lacks": ["KR"]}, [FIRST, SECOND]),
        ({"path": "Origin/CountryCode", "lacks": ["JP"]}, [SECOND]),
        ({"path": "/LoadingLocation/ID", "country": ["KP"]}, [FIRST, SECOND]),
        ({"path": "Commodity/Description", "contains": ["TÔM"]}, [SECOND]),
        ({"path": "@principal", "equals": "importer"}, [FIRST, SECOND]),
        ({"path": "@filer", "equals": "importer"}, []),
        ({"path": "Commodity/Description", "above": 1}, []),
    ],
)
def test_operators(condition: dict[str, object], where: list[str]) -> None:
    assert holds(condition, TWO) == where


def test_every_operator_is_tested_and_documented() -> None:
    assert {name.rstrip("_") for name in OPERATORS} == {
        *("equals", "in", "prefix", "above", "below", "missing", "country", "contains", "lacks")
    }
    assert all(f"``{name.rstrip('_')}``" in (Condition.__doc__ or "") for name in OPERATORS)


def test_every_occurrence_is_looked_at() -> None:
    two_codes = [e("Classification", v("ID", "A11"))]
    declared = goods("L", item(commodity=two_codes))
    assert holds({"path": "Commodity/Classification/ID", "equals": "A11"}, declared) == [FIRST]


def test_places_inside_places() -> None:
    report = cargo("L", consignment(1, "A"), consignment(2, "B", "explosive"))
    found = holds(
        {"path": "Commodity/Description", "contains": ["explosive"]}, report, "Consignment/ConsignmentItem"
    )
    assert found == ["Declaration/Consignment[2]/ConsignmentItem"]


def criterion(name: str, **what: object) -> Criterion:
    base: dict[str, object] = {"statement": f"Said of {name}.", "statement_vi": f"Nói về {name}."}
    when = (Condition("Commodity/Description", missing=False),)
    return Criterion(**({"name": name, "kinds": (Kind.IMPORT,), "when": when, "each": EACH} | base | what))  # type: ignore[arg-type]


def test_scores_add_up_over_items_and_are_told_by_statement_only() -> None:
    document = MandatoryDocument("380", "why")
    scored = criterion("secret-name", score=30, documents=(document,))
    criteria = Criteria((scored,), Thresholds(yellow=50, red=90))
    one = selectivity.select(subject(goods("L", item())), "R", criteria)
    assert (one.channel, one.statements) == (Channel.GREEN, ())
    two = selectivity.select(subject(goods("L", item(), item(2))), "R", criteria)
    assert two.channel is Channel.YELLOW
    assert two.documents == (document,)
    assert two.statements == (("Said of secret-name.", "Nói về secret-name."),)
    assert [hit.name for hit in two.hits] == ["secret-name", "secret-name"]
    three = selectivity.select(subject(goods("L", item(), item(2), item(3))), "R", criteria)
    assert three.channel is Channel.RED


def test_a_trusted_operator_lowers_scores_but_no_direct_channel() -> None:
    trusted = criterion("aeo", score=-60, each="", when=(Condition("@principal", equals="importer"),))
    scored = criterion("a", score=60)
    assert selectivity.select(subject(TWO), "R", Criteria((scored, trusted))).channel is Channel.YELLOW
    assert (
        selectivity.select(subject(goods("L", item())), "R", Criteria((scored, trusted))).channel
        is Channel.GREEN
    )
    direct = criterion("b", channel=Channel.RED)
    assert selectivity.select(subject(TWO), "R", Criteria((direct, trusted))).channel is Channel.RED


def test_criteria_are_of_their_kinds() -> None:
    direct = criterion("b", channel=Channel.RED)
    export = goods("L", item(), kind=Kind.EXPORT)
    assert selectivity.select(subject(export), "R", Criteria((direct,))).channel is Channel.GREEN


def test_the_draw_takes_about_its_percentage_and_always_the_same() -> None:
    criteria = Criteria((), sampling=Sampling(Decimal(10), Decimal("2.5"), "salt"))
    declared = subject(goods("L", item()))
    drawn = [selectivity.select(declared, f"R{n}", criteria) for n in range(4000)]
    assert drawn[:50] == [selectivity.select(declared, f"R{n}", criteria) for n in range(50)]
    share = {c: sum(s.channel is c for s in drawn) / 40 for c in Channel}
    assert share[Channel.YELLOW] == pytest.approx(10, abs=2)
    assert share[Channel.RED] == pytest.approx(2.5, abs=1)
    (hit,) = next(s for s in drawn if s.channel is Channel.YELLOW).hits
    assert (hit.name, hit.pointer) == (SAMPLED, "Declaration")


def test_the_draw_never_lowers_a_channel() -> None:
    criteria = Criteria((criterion("b", channel=Channel.RED),), sampling=Sampling(Decimal(100), salt="s"))
    assert selectivity.select(subject(TWO), "R", criteria).channel is Channel.RED


@given(
    st.lists(st.integers(-50, 120), max_size=6),
    st.lists(st.sampled_from([Channel.YELLOW, Channel.RED]), max_size=2),
)
def test_more_risk_is_never_less_control(scores: list[int], channels: list[Channel]) -> None:
    scored = tuple(criterion(f"s{n}", score=score) for n, score in enumerate(scores))
    direct = tuple(criterion(f"c{n}", channel=channel) for n, channel in enumerate(channels))
    declared = subject(goods("L", item()))
    less = selectivity.select(declared, "R", Criteria(scored))
    more = selectivity.select(declared, "R", Criteria(scored + direct))
    assert CONTROL[more.channel] >= CONTROL[less.channel]
    assert CONTROL[more.channel] >= max((CONTROL[c] for c in channels), default=0)
