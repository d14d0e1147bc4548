"""Foreign amounts in the office's currency: customs' own rates first, the declared rate where allowed."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from adapters.clearance import money
from gateway.model import Entity, Value


class Exchange(msgspec.Struct, frozen=True):
    """``rates``: units of the national currency for one unit of the foreign one (WCO 118)."""

    national: str
    rates: Mapping[str, Decimal]

    def value_of(self, amount: Decimal, currency: str) -> Decimal | None:
        """The amount in national currency, unrounded; None where no rate is known."""
        if currency == self.national:
            return amount
        rate = self.rates.get(currency)
        return None if rate is None else money.product(amount, rate)

    def with_declared(self, root: Entity) -> Exchange:
        """Also the declaration's own rates (CurrencyExchange) for currencies that customs has none for."""
        declared: dict[str, Decimal] = {}
        for entity in root.each("CurrencyExchange"):
            currency, rate = entity.text("CurrencyTypeCode"), money.parse(entity.text("RateNumeric"))
            if rate and money.CURRENCY.fullmatch(currency):
                declared[currency] = rate
        return Exchange(self.national, {**declared, **self.rates})

    def currency_of(self, value: Value, root: Entity) -> str:
        """The currency of a declared amount: its own, else the invoice's, else the national one."""
        invoice = root.value("InvoiceAmount")
        return (
            value.attribute("currencyID")
            or (invoice.attribute("currencyID") if invoice else "")
            or self.national
        )
