"""Checks that look at one date-time, number or amount at a time: can it be read, is it in its bounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, ClassVar

from msgspec import Meta

from gateway.model import Value
from gateway.rules.codes import CodeList
from gateway.rules.judgement import Here, Judgement
from gateway.rules.moments import FORMATS, span_of
from gateway.rules.numbers import decimals_of, number_of, plain, quick_form
from gateway.rules.plan import Site, Test
from gateway.rules.row import Paths, Row, attribute_of, no_list


class Date(Row, frozen=True, kw_only=True):
    """The date-time can be read; with ``future = false`` it is not after now (and some minutes).

    ``minutes``: how far a sender's clock may be ahead.
    """

    CODES: ClassVar[tuple[str, ...]] = ("RUL040", "RUL041")

    paths: Paths
    future: bool = True
    minutes: Annotated[int, Meta(ge=0)] = 0

    def lay(self, site: Site, lists: Mapping[str, CodeList]) -> None:
        """Lay the rule into the plan."""
        ahead = timedelta(minutes=self.minutes)

        def test(judgement: Judgement, value: Value, here: Here) -> None:
            span = span_of(value, judgement.zone)
            if span is None:
                code = attribute_of(value, "formatCode")
                expected = code if code in FORMATS else " | ".join(FORMATS)
                found = f"{value.text} ({code})"
                judgement.tell(self, here, value, expected=expected, found=found)
            elif not self.future and span.start > judgement.now + ahead:
                latest = (judgement.now + ahead).isoformat(timespec="minutes")
                found = span.start.isoformat(timespec="minutes")
                judgement.tell(self, here, value, expected=f"<= {latest}", found=found, code="RUL041")

        for path in self.paths:
            site.test(path, test)


class Number(Row, frozen=True, kw_only=True):
    """The text is a decimal number in its bounds: ``above`` (left out), ``least``, ``most`` (taken in),
    with at most so many ``decimals``."""

    CODES: ClassVar[tuple[str, ...]] = ("RUL052", "RUL051", "RUL053")

    paths: Paths
    above: Decimal | None = None
    least: Decimal | None = None
    most: Decimal | None = None
    decimals: Annotated[int, Meta(ge=0, le=9)] = 9

    def broken(self, lists: Mapping[str, CodeList]) -> Iterator[str]:
        yield from super().broken(lists)
        low = self.above if self.above is not None else self.least
        if low is not None and self.most is not None and low > self.most:
            yield "the bounds leave no number"

    def lay(self, site: Site, lists: Mapping[str, CodeList]) -> None:
        """Lay the rule into the plan."""
        for path in self.paths:
            site.test(path, self._test())

    def _test(self) -> Test:
        above, least, most, decimals = self.above, self.least, self.most, self.decimals
        bounds = ((">", above), (">=", least), ("<=", most))
        expected = ", ".join(f"{sign} {plain(bound)}" for sign, bound in bounds if bound is not None)

        certain = quick_form(above, least, most, decimals).fullmatch

        def test(judgement: Judgement, value: Value, here: Here) -> None:
            text = value.text
            if certain(text):
                return
            number = number_of(text)
            if number is None:
                judgement.tell(self, here, value, expected="n..18,9", found=text, code="RUL051")
            elif (
                (above is not None and number <= above)
                or (least is not None and number < least)
                or (most is not None and number > most)
            ):
                judgement.tell(self, here, value, expected=expected, found=text)
            elif "." in text and decimals_of(text) > decimals:
                judgement.tell(self, here, value, expected=str(decimals), found=text, code="RUL053")

        return test


class Amount(Row, frozen=True, kw_only=True):
    """The text is an amount: a decimal number in its bounds, with a currency (``currencyID``) that is in
    the list and valid, and no more decimals than the currency has."""

    CODES: ClassVar[tuple[str, ...]] = ("RUL052", "RUL051", "RUL053", "RUL054", "RUL020", "RUL021")

    paths: Paths
    above: Decimal | None = None
    least: Decimal | None = None
    list: str = "currencies"

    def broken(self, lists: Mapping[str, CodeList]) -> Iterator[str]:
        yield from super().broken(lists)
        yield from no_list(self.list, lists)

    def lay(self, site: Site, lists: Mapping[str, CodeList]) -> None:
        """Lay the rule into the plan."""
        known = lists[self.list]
        certain = {
            code: quick_form(self.above, self.least, None, int(known.number_of(code) or 0)).fullmatch
            for code in known.always
        }

        def test(judgement: Judgement, value: Value, here: Here) -> None:
            currency = attribute_of(value, "currencyID")
            if currency in certain and certain[currency](value.text):
                return
            self._explain(judgement, value, here, known)

        for path in self.paths:
            site.test(path, test)

    def _explain(self, judgement: Judgement, value: Value, here: Here, known: CodeList) -> None:
        number = number_of(value.text)
        if number is None:
            judgement.tell(self, here, value, expected="n..18,9", found=value.text, code="RUL051")
        elif self.above is not None and number <= self.above:
            judgement.tell(self, here, value, expected=f"> {plain(self.above)}", found=value.text)
        elif self.least is not None and number < self.least:
            judgement.tell(self, here, value, expected=f">= {plain(self.least)}", found=value.text)
        currency = attribute_of(value, "currencyID")
        self._currency(judgement, value, here, known)
        exponent = known.number_of(currency)
        if exponent is not None and number is not None and decimals_of(value.text) > exponent:
            found = f"{value.text} {currency}"
            judgement.tell(self, here, value, expected=plain(exponent), found=found, code="RUL053")

    def _currency(self, judgement: Judgement, value: Value, here: Here, known: CodeList) -> None:
        currency = attribute_of(value, "currencyID")
        period = known.period(currency)
        if not currency:
            judgement.tell(self, here, value, expected=known.told, found=value.text, code="RUL054")
        elif period is None:
            judgement.tell(self, here, value, expected=known.told, found=currency, code="RUL020")
        elif not period.start <= judgement.today() <= period.end:
            expected = f"{period.start}..{period.end}"
            judgement.tell(self, here, value, expected=expected, found=currency, code="RUL021")
