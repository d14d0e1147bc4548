"""Duty arithmetic: exact, rounded by the currency, the sum of its lines."""

from __future__ import annotations

from decimal import Decimal

import pytest
from clearance_samples import config, e, goods, item, v
from hypothesis import given
from hypothesis import strategies as st

from adapters.clearance import money
from adapters.clearance.assessment import Assessment, assess
from adapters.clearance.tariff import Line, Specific, Tariff
from gateway.model import Declaration, Entity, Kind

TARIFF = config().tariff


def vnd(declaration: Declaration) -> Assessment:
    return assess(declaration, TARIFF, "VND", Decimal(0))


def drawn(assessment: Assessment) -> list[tuple[str, str, str, str]]:
    return [(d.type, d.base, d.rate, d.assessed) for d in assessment.duties]


def test_duties_excise_and_vat_build_on_each_other() -> None:
    result = vnd(goods("L", item(hs="8703.23.90", value=10000, currency="USD")))
    assert drawn(result) == [
        ("CUD", "254000000", "70", "177800000"),
        ("EXC", "431800000", "45", "194310000"),
        ("VAT", "626110000", "10", "62611000"),
    ]
    assert result.total == Decimal(434721000)
    assert {d.currency for d in result.duties} == {"VND"}


def test_the_longest_prefix_wins_and_specific_duty_is_by_quantity() -> None:
    litres = e("GoodsMeasure", v("TariffQuantity", "1500.5", unitCode="LTR"))
    result = vnd(goods("L", item(hs="27101943", value=10_000_000, commodity=[litres])))
    assert drawn(result) == [
        ("CUD", "10000000", "7", "700000"),
        ("ENV", "1500.5", "1000", "1500500"),
        ("VAT", "12200500", "10", "1220050"),
    ]
    assert [d.unit for d in result.duties] == ["", "LTR", ""]


def test_specific_customs_duty_comes_before_excise() -> None:
    line = Line("22", Decimal(0), Decimal(10), "", Decimal(50), None, (Specific(Decimal(100), "LTR"),))
    litres = e("GoodsMeasure", v("TariffQuantity", "10"))  # no unit: the duty's own
    declared = goods("L", item(hs="2203", value=1000, commodity=[litres]))
    result = assess(declared, Tariff({"22": line}), "VND", Decimal(0))
    assert drawn(result) == [
        ("CUD", "1000", "0", "0"),
        ("CUD", "10", "100", "1000"),
        ("EXC", "2000", "50", "1000"),
        ("VAT", "3000", "10", "300"),
    ]


def test_kilograms_may_be_the_net_mass() -> None:
    mass = e("GoodsMeasure", v("NetNetWeightMeasure", "2.5", unitCode="KGM"))
    result = vnd(goods("L", item(hs="39232199", value=1000, commodity=[mass])))
    assert ("ENV", "2.5", "50000", "125000") in drawn(result)


@pytest.mark.parametrize(
    ("commodity", "found"),
    [([], ""), ([e("GoodsMeasure", v("TariffQuantity", "9", unitCode="KGM"))], "9")],
)
def test_a_missing_quantity_is_a_finding(commodity: list[Entity], found: str) -> None:
    (finding,) = vnd(goods("L", item(hs="2710", commodity=commodity))).findings
    assert (finding.code, finding.expected, finding.found) == ("CLR014", "LTR", found)
    assert finding.place.pointer.endswith("GovernmentAgencyGoodsItem/Commodity/GoodsMeasure/TariffQuantity")


def preferred(origin: str, regime: str = "300") -> Declaration:
    claim = e("DutyTaxFee", v("DutyRegimeCode", regime))
    return goods("L", item(hs="64039990", value=1000, origin=origin, commodity=[claim]))


def test_a_preference_is_earned_by_its_origins_only() -> None:
    assert drawn(vnd(preferred("TH")))[0] == ("CUD", "1000", "0", "0")
    other = vnd(preferred("BR"))
    assert drawn(other)[0] == ("CUD", "1000", "30", "300")
    (warning,) = other.findings
    assert (warning.code, warning.expected, warning.found) == ("CLR015", "300", "BR")
    assert drawn(vnd(preferred("TH", "100")))[0] == ("CUD", "1000", "30", "300")  # no preference at all


def test_measures_on_top_depend_on_origin() -> None:
    assert ("ADD", "1000", "19.5", "195") in drawn(
        vnd(goods("L", item(hs="72101290", value=1000, origin="CN")))
    )
    assert "ADD" not in [d[0] for d in drawn(vnd(goods("L", item(hs="72101290", value=1000, origin="JP"))))]


def test_suspending_procedures_owe_nothing() -> None:
    procedure = [e("GovernmentProcedure", v("CurrentCode", "5100"))]
    assert vnd(goods("L", item(hs="8703", extra=procedure))) == Assessment()


def test_exports_owe_export_duty_only() -> None:
    ore = vnd(goods("L", item(hs="26030000", value=1000), kind=Kind.EXPORT))
    assert drawn(ore) == [("CUD", "1000", "40", "400")]
    assert vnd(goods("L", item(hs="84713000"), kind=Kind.EXPORT)) == Assessment()


def test_transit_owes_nothing() -> None:
    assert vnd(goods("L", kind=Kind.TRANSIT)) == Assessment()


def test_the_value_is_looked_for_in_three_places() -> None:
    def without(*values: object) -> Declaration:
        code = e("Commodity", e("Classification", v("ID", "3901")))
        return goods("L", e("GovernmentAgencyGoodsItem", v("SequenceNumeric", 7), code, *values))

    statistical = vnd(without(v("StatisticalValueAmount", "50", currencyID="VND")))
    assert [(d.item, d.base) for d in statistical.duties] == [(7, "50"), (7, "50")]
    (finding,) = vnd(without()).findings
    assert (finding.code, finding.place.pointer) == (
        "CLR010",
        "Declaration/GoodsShipment/GovernmentAgencyGoodsItem/CustomsValueAmount",
    )


@pytest.mark.parametrize(
    "text", ["-1", "1e3", "NaN", "Infinity", "1,5", "1E+999999999", "", " ", "9" * 17, "٣"]
)
def test_amounts_that_are_no_plain_numbers_are_findings(text: str) -> None:
    (finding,) = vnd(goods("L", item(value=text))).findings
    assert (finding.code, finding.found) == ("CLR010", text)


def test_a_currency_without_a_rate_is_a_finding() -> None:
    (finding,) = vnd(goods("L", item(), item(2, currency="XAU"))).findings
    assert (finding.code, finding.found) == ("CLR011", "XAU")
    assert (
        finding.place.pointer == "Declaration/GoodsShipment/GovernmentAgencyGoodsItem[2]/CustomsValueAmount"
    )


def test_declared_rates_serve_only_where_the_office_says_so() -> None:
    rate = e("CurrencyExchange", v("CurrencyTypeCode", "XAU"), v("RateNumeric", "2.5"))
    declared = goods("L", item(hs="3901", value=100, currency="XAU"), head=[rate])
    assert vnd(declared).findings
    line = {"39": Line("39", Decimal(0), Decimal(10))}
    open_ = Tariff(line, declared_rates=True, rates={"USD": Decimal(1)})
    assert assess(declared, open_, "VND", Decimal(0)).total == Decimal(25)


def test_an_amount_without_a_currency_has_the_invoices() -> None:
    bare = e(
        "GovernmentAgencyGoodsItem",
        v("CustomsValueAmount", "10"),
        e("Commodity", e("Classification", v("ID", "3901"))),
    )
    usd = goods("L", bare, head=[v("InvoiceAmount", "10", currencyID="USD")])
    assert vnd(usd).duties[0].base == "254000"
    assert vnd(goods("L", bare)).duties[0].base == "10"


@pytest.mark.parametrize(("code", "expected"), [("", "CLR012"), ("abc", "CLR012"), ("1" * 13, "CLR012")])
def test_unusable_commodity_codes_are_findings(code: str, expected: str) -> None:
    (finding,) = vnd(goods("L", item(hs=code))).findings
    assert (finding.code, finding.found) == (expected, code)


def test_a_code_outside_the_tariff_is_refused_or_has_the_fallback() -> None:
    declared = goods("L", item(hs="0101"))
    assert drawn(vnd(declared))[0][2] == "10"
    (finding,) = assess(declared, Tariff({}), "VND", Decimal(0)).findings
    assert finding.code == "CLR013"


def test_the_tariff_code_is_found_among_other_classifications() -> None:
    other = e(
        "GovernmentAgencyGoodsItem",
        v("CustomsValueAmount", "1000", currencyID="VND"),
        e(
            "Commodity",
            e("Classification", v("ID", "A11"), v("IdentificationTypeCode", "117")),
            e("Classification", v("ID", "8703"), v("IdentificationTypeCode", "122")),
        ),
    )
    assert drawn(vnd(goods("L", other)))[0][2] == "70"


def test_no_items_and_too_much_money_are_findings() -> None:
    assert [f.code for f in vnd(goods("L")).findings] == ["CLR008"]
    huge = vnd(goods("L", item(value="9" * 16, currency="USD")))
    assert [f.code for f in huge.findings] == ["CLR016"]


def test_small_totals_are_not_collected() -> None:
    small = assess(goods("L", item(hs="3901", value=1000)), TARIFF, "VND", Decimal(101))
    assert (small.duties, small.total) == ((), Decimal(0))
    assert assess(goods("L", item(hs="3901", value=1010)), TARIFF, "VND", Decimal(101)).total == 101


@pytest.mark.parametrize(
    ("currency", "expected"), [("VND", "0"), ("USD", "0.13"), ("KWD", "0.125"), ("CLF", "0.1250")]
)
def test_rounding_follows_the_currency(currency: str, expected: str) -> None:
    line = {"39": Line("39", Decimal(0), Decimal("12.5"))}
    declared = goods("L", item(hs="3901", value="1", currency=currency))
    result = assess(declared, Tariff(line), currency, Decimal(0))
    assert result.duties[-1].assessed == expected


RATES = st.decimals(0, 200, places=3)
VALUES = st.decimals(0, 10**6, places=3)


@given(
    st.lists(st.tuples(VALUES, st.sampled_from(["VND", "USD", "JPY"])), min_size=1, max_size=6),
    RATES,
    RATES,
    st.none() | RATES,
    st.sampled_from(["VND", "EUR", "KWD"]),
)
def test_the_total_is_the_sum_of_lines_each_within_half_a_unit(
    items: list[tuple[Decimal, str]], duty: Decimal, vat: Decimal, excise: Decimal | None, national: str
) -> None:
    line = Line("39", duty, vat, "", excise)
    rates = {"VND": Decimal("0.0395"), "USD": Decimal("25400.5"), "JPY": Decimal("168.123")}
    rates.pop(national, None)
    declared = goods(
        "L", *(item(n, "3901", str(value), currency) for n, (value, currency) in enumerate(items, 1))
    )
    result = assess(declared, Tariff({"39": line}, rates=rates), national, Decimal(0))
    unit = Decimal(1).scaleb(-money.exponent(national))
    assert result.total == sum(Decimal(d.assessed) for d in result.duties)
    assert not result.findings
    for d in result.duties:
        exact = money.percent(Decimal(d.base), Decimal(d.rate))
        assert abs(Decimal(d.assessed) - exact) <= unit / 2
        assert Decimal(d.assessed) == Decimal(d.assessed).quantize(unit)
        assert "E" not in d.base + d.rate + d.assessed


ANYTHING = st.recursive(
    st.builds(e, st.sampled_from(["GovernmentAgencyGoodsItem", "Commodity", "Classification", "Origin"])),
    lambda inner: st.builds(
        lambda name, text, kids: e(name, v("CustomsValueAmount", text), v("ID", text), *kids),
        st.sampled_from(["GovernmentAgencyGoodsItem", "Commodity", "Classification", "DutyTaxFee"]),
        st.text(max_size=20),
        st.lists(inner, max_size=3),
    ),
    max_leaves=8,
)


@given(st.lists(ANYTHING, max_size=4), st.sampled_from(list(Kind)))
def test_no_tree_raises(items: list[Entity], kind: Kind) -> None:
    result = vnd(goods("L", *items, kind=kind))
    assert result.total == sum((Decimal(d.assessed) for d in result.duties), Decimal(0))
