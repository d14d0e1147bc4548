"""Declarations for the office's tests: small trees, and what a partner would do with them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from adapters.clearance import Clearance, Config, Office, load
from gateway.adapter import Handover
from gateway.model import Decision, DecisionKind, Declaration, Entity, Kind, Value

CONF = Path(__file__).parents[2] / "conf" / "clearance"
NOW = datetime(2026, 3, 2, 3, 4, 5, tzinfo=UTC)
ACCOUNT = load(CONF).payment.account


def v(name: str, text: object, **attributes: str) -> Value:
    return Value(name, str(text), tuple(sorted(attributes.items())))


def e(name: str, *children: Value | Entity | None) -> Entity:
    values = tuple(c for c in children if isinstance(c, Value))
    return Entity(name, values, tuple(c for c in children if isinstance(c, Entity)))


def item(
    number: int = 1,
    hs: str = "84713000",
    value: object = 1000000,
    currency: str = "VND",
    origin: str = "JP",
    description: str = "Portable computers, 14 inch",
    extra: Sequence[Value | Entity] = (),
    commodity: Sequence[Value | Entity] = (),
) -> Entity:
    return e(
        "GovernmentAgencyGoodsItem",
        v("CustomsValueAmount", value, currencyID=currency),
        v("SequenceNumeric", number),
        e(
            "Commodity",
            v("Description", description),
            e("Classification", v("ID", hs), v("IdentificationTypeCode", "HS")),
            *commodity,
        ),
        e("Origin", v("CountryCode", origin)) if origin else None,
        *extra,
    )


def goods(
    lrn: str,
    *items: Entity,
    kind: Kind = Kind.IMPORT,
    function: str = "9",
    mrn: str = "",
    type_code: str = "",
    head: Sequence[Value | Entity] = (),
) -> Declaration:
    root = e(
        "Declaration",
        v("FunctionCode", function),
        v("FunctionalReferenceID", lrn),
        *([v("ID", mrn)] if mrn else []),
        *([v("TypeCode", type_code)] if type_code else []),
        *head,
        e("GoodsShipment", *items) if items else None,
    )
    return Declaration(kind, root)


def consignment(
    number: int,
    document: str = "",
    description: str = "Cotton T-shirts",
    consignee: str = "Hanoi Garments",
    undg: str = "",
) -> Entity:
    return e(
        "Consignment",
        v("SequenceNumeric", number),
        e("TransportContractDocument", v("ID", document)) if document else None,
        e("Consignee", v("Name", consignee)) if consignee else None,
        e(
            "ConsignmentItem",
            v("SequenceNumeric", 1),
            e(
                "Commodity",
                v("Description", description),
                e("DangerousGoods", v("UNDGID", undg)) if undg else None,
            ),
        ),
    )


def cargo(
    lrn: str,
    *consignments: Entity,
    kind: Kind = Kind.CARGO_IMPORT,
    function: str = "9",
    mrn: str = "",
    departure: Value | None = None,
) -> Declaration:
    root = e(
        "Declaration",
        v("FunctionCode", function),
        v("FunctionalReferenceID", lrn),
        *([v("ID", mrn)] if mrn else []),
        e("BorderTransportMeans", v("JourneyID", "123W"), departure),
        *consignments,
    )
    return Declaration(kind, root)


def credit(
    reference: str,
    amount: object,
    entry: str,
    type_: str = "CRDT",
    status: str = "BOOK",
    currency: str = "VND",
) -> Entity:
    return e(
        "DutyTaxFee",
        e(
            "Payment",
            v("ReferenceID", reference),
            v("ID", entry),
            v("TypeCode", type_),
            v("StatusCode", status),
            v("PaymentAmount", amount, currencyID=currency),
        ),
    )


def payment(*credits: Entity, account: str = ACCOUNT) -> Declaration:
    root = e(
        "Declaration",
        v("FunctionCode", "9"),
        v("FunctionalReferenceID", "MSG"),
        e("Bank", v("ReferenceID", "DEMOVNVX"), v("ID", account)),
        *credits,
    )
    return Declaration(Kind.PAYMENT, root)


class Partners:
    """The gateway's side of one office: hands over, fetches decisions, confirms them."""

    def __init__(self, url: str, config: Config | Path = CONF) -> None:
        self.now = NOW
        self.url = url
        self.clearance = Clearance.open(url, config, lambda: self.now)
        self.office = Office(self.clearance)
        self._numbers = itertools.count(1)

    def handover(self, declaration: Declaration, principal: str = "importer", filer: str = "van") -> Handover:
        n = next(self._numbers)
        return Handover(f"d{n}", f"m{n}", filer, principal, self.now, declaration)

    def file(self, *declarations: Declaration, principal: str = "importer") -> list[Decision]:
        """Hand over one batch and say what customs decided on it."""
        handovers = [self.handover(d, principal) for d in declarations]
        self.clearance.hand_over(handovers, self.now)
        return self.fetch()

    def fetch(self) -> list[Decision]:
        decisions = list(self.clearance.decisions(10_000))
        self.clearance.confirm([d.id for d in decisions])
        return decisions

    def later(self, **by: float) -> None:
        self.now += timedelta(**by)

    def close(self) -> None:
        self.clearance.close()


def kinds(decisions: Sequence[Decision]) -> list[DecisionKind]:
    return [d.kind for d in decisions]


def only(decisions: Sequence[Decision], kind: DecisionKind) -> Decision:
    (found,) = [d for d in decisions if d.kind is kind]
    return found


def codes(decision: Decision) -> list[str]:
    return [f.code for f in decision.findings]


def config() -> Config:
    return load(CONF)
