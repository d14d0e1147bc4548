"""Declarations that keep every rule, one of each kind, and how to break them in one place."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from gateway.model import Declaration, Entity, Kind, Value, parse_pointer
from gateway.model.checkdigits import container_check, mrn_check, rf_reference

NOW = datetime(2025, 8, 20, 3, 0, tzinfo=UTC)


def entity(name: str, content: Mapping[str, Any]) -> Entity:
    """An entity of a nested mapping: a text is a value, a pair a value and its attribute (``102`` and the
    like a formatCode, three letters a currency or unit), a mapping an entity, a list occurrences of it."""
    values: list[Value] = []
    entities: list[Entity] = []
    for key, part in content.items():
        for one in part if isinstance(part, list) else [part]:
            if isinstance(one, Mapping):
                entities.append(entity(key, one))
            else:
                values.append(value(key, *((one,) if isinstance(one, str) else one)))
    return Entity(name, tuple(values), tuple(entities))


def value(name: str, text: str, attribute: str = "") -> Value:
    """A value with the attribute that its name takes."""
    kinds = {"Amount": "currencyID", "DateTime": "formatCode", "Measure": "unitCode", "Quantity": "unitCode"}
    key = next((k for ending, k in kinds.items() if name.endswith(ending)), "")
    return Value(name, text, ((key, attribute),) if attribute else ())


def changed(root: Entity, pointer: str, new: Any) -> Entity:
    """The tree with what stands at a pointer (from below the root) replaced, added, or (None) left out."""
    steps = [(step.name, step.occurrence) for step in parse_pointer(pointer)]
    return _changed(root, steps, new)


def _changed(here: Entity, steps: list[tuple[str, int]], new: Any) -> Entity:
    (name, occurrence), *rest = steps
    if rest or isinstance(new, Mapping) or (new is None and here.entity(name) is not None):
        entities = list(here.entities)
        places = [i for i, e in enumerate(entities) if e.name == name]
        if len(places) < occurrence:
            entities.append(Entity(name))
            places.append(len(entities) - 1)
        at = places[occurrence - 1]
        if rest:
            entities[at] = _changed(entities[at], rest, new)
        else:
            entities[at : at + 1] = [] if new is None else [entity(name, new)]
        return Entity(here.name, here.values, tuple(entities))
    values = list(here.values)
    places = [i for i, v in enumerate(values) if v.name == name]
    fresh = [] if new is None else [value(name, *((new,) if isinstance(new, str) else new))]
    if len(places) < occurrence:
        values += fresh
    else:
        values[places[occurrence - 1] : places[occurrence - 1] + 1] = fresh
    return Entity(here.name, tuple(values), here.entities)


def container(serial: int) -> str:
    """A right container number."""
    body = f"CSQU{serial:06d}"
    return body + container_check(body)


def mrn(serial: int) -> str:
    """A right MRN."""
    body = f"25VN{serial:013d}"
    return body + mrn_check(body)


HEAD = {
    "FunctionCode": "9",
    "FunctionalReferenceID": "LRN-2025-0001",
    "IssueDateTime": ("20250820020000Z", "304"),
    "TypeCode": "929",
    "DeclarationOfficeID": "VN02CI",
}
SEA = {
    "ID": "9074729",
    "Name": "SONG HAN",
    "RegistrationNationalityCode": "VN",
    "ModeCode": "1",
    "JourneyID": "025W",
}


def goods_item(number: int) -> dict[str, Any]:
    """A goods item of 1,000 kg and 10 packages."""
    return {
        "SequenceNumeric": str(number),
        "CustomsValueAmount": ("25000000", "VND"),
        "StatisticalValueAmount": ("1000", "USD"),
        "AdditionalDocument": [{"ID": f"INV-{number}", "TypeCode": "380"}],
        "Commodity": {
            "Description": "LOCKS OF BASE METAL",
            "Classification": [{"ID": "83011000"}],
            "DangerousGoods": [{"UNDGID": "1263"}],
            "GoodsMeasure": {
                "GrossMassMeasure": ("1000", "KGM"),
                "NetNetWeightMeasure": ("0.95", "TNE"),
                "TariffQuantity": ("500", "NAR"),
            },
            "InvoiceLine": {"ItemChargeAmount": ("1000.50", "USD")},
            "TransportEquipment": [{"SequenceNumeric": "1", "ID": container(1 + number % 2)}],
        },
        "Destination": {"CountryCode": "VN"},
        "ExportCountry": {"ID": "DE"},
        "GovernmentProcedure": [{"CurrentCode": "A11"}],
        "Origin": [{"CountryCode": "DE"}],
        "Packaging": [{"SequenceNumeric": "1", "QuantityQuantity": "10", "TypeCode": "CT"}],
        "UCR": {"ID": "5VN0100109106-000017"},
    }


def shipment(items: int) -> dict[str, Any]:
    """A goods shipment of so many items in two containers."""
    party = {"Name": "CONG TY A", "ID": "0100109106", "Address": {"CountryCode": "VN"}}
    return {
        "Consignee": party,
        "Consignment": {
            "LoadingLocation": {"ID": "DEHAM"},
            "TransportEquipment": [{"SequenceNumeric": str(n), "ID": container(n)} for n in (1, 2)],
            "UnloadingLocation": {"ID": "VNSGN"},
        },
        "CustomsValuation": {
            "FreightChargeAmount": ("120.00", "USD"),
            "ChargeDeduction": [{"ChargesTypeCode": "AB", "OtherChargeDeductionAmount": ("3", "USD")}],
        },
        "Consignor": {"Name": "SCHLOSS GMBH", "Address": {"CountryCode": "DE"}},
        "Destination": {"CountryCode": "VN"},
        "ExportCountry": {"ID": "DE"},
        "GovernmentAgencyGoodsItem": [goods_item(n) for n in range(1, items + 1)],
        "Importer": party,
        "Invoice": {"ID": "INV-1", "IssueDateTime": ("20250801", "102")},
        "TradeTerms": {"ConditionCode": "CIF"},
        "UCR": {"ID": "5VN0100109106-000017"},
    }


def goods(kind: Kind, items: int = 3) -> Declaration:
    """A goods declaration."""
    parts = {
        **HEAD,
        "GoodsItemQuantity": str(items),
        "InvoiceAmount": (f"{items * 1000.5:.2f}", "USD"),
        "LoadingListQuantity": "1",
        "TotalGrossMassMeasure": (str(items), "TNE"),
        "TotalPackageQuantity": str(items * 10),
        "Agent": {"ID": "0100233488", "Address": {"CountryCode": "VN"}},
        "BorderTransportMeans": SEA,
        "CurrencyExchange": [{"CurrencyTypeCode": "USD", "RateNumeric": "25450.5"}],
        "Declarant": {"ID": "0100109106", "Address": {"CountryCode": "VN"}},
        "Exporter": {"ID": "0100233488", "Name": "SCHLOSS GMBH", "Address": {"CountryCode": "DE"}},
        "GoodsShipment": shipment(items),
    }
    return Declaration(kind, entity("Declaration", parts))


def consignment(number: int) -> dict[str, Any]:
    """A consignment of two goods items, 500 kg and 5 packages each."""
    party = {"Name": "CONG TY A", "ID": "0100109106", "Address": {"CountryCode": "VN"}}
    items = [
        {
            "SequenceNumeric": str(n),
            "CustomsValueAmount": ("100.25", "USD"),
            "Commodity": {
                "Description": "LOCKS",
                "Classification": [{"ID": "830110"}],
                "DangerousGoods": [{"UNDGID": "1263"}],
                "GoodsMeasure": {
                    "GrossMassMeasure": ("500", "KGM"),
                    "NetNetWeightMeasure": ("490", "KGM"),
                },
                "TransportEquipment": [{"SequenceNumeric": "1", "ID": container(n)}],
            },
            "Origin": [{"CountryCode": "DE"}],
            "Packaging": [{"SequenceNumeric": "1", "QuantityQuantity": "5", "TypeCode": "PK"}],
        }
        for n in (1, 2)
    ]
    return {
        "SequenceNumeric": str(number),
        "TotalGrossMassMeasure": ("1", "TNE"),
        "TotalPackageQuantity": "10",
        "Consignee": party,
        "ConsignmentItem": items,
        "Consignor": party,
        "LoadingLocation": {"ID": "DEHAM"},
        "NotifyParty": [party],
        "TransportContractDocument": [{"ID": f"MAEU{number:08d}", "TypeCode": "705"}],
        "TransportEquipment": [{"SequenceNumeric": "1", "ID": container(1), "FullnessCode": "5"}],
        "UCR": {"ID": "5VN0100109106-000017"},
        "UnloadingLocation": {"ID": "VNSGN"},
    }


def cargo(kind: Kind, consignments: int = 2) -> Declaration:
    """A ship's manifest, arriving two days after NOW on a voyage of three weeks."""
    parts = {
        **HEAD,
        "TypeCode": "785",
        "TotalGrossMassMeasure": (str(consignments), "TNE"),
        "TotalPackageQuantity": str(consignments * 10),
        "Submitter": {"ID": "0100109106"},
        "BorderTransportMeans": {
            **SEA,
            "ArrivalDateTime": ("202508220600", "203"),
            "DepartureDateTime": ("202508010600" if kind is Kind.CARGO_IMPORT else "202508210600", "203"),
            "FirstArrivalLocation": {"ID": "VNSGN"},
            "LoadingLocation": {"ID": "DEHAM"},
            "UnloadingLocation": {"ID": "VNSGN"},
        },
        "Consignment": [consignment(n) for n in range(1, consignments + 1)],
        "LoadingLocation": {"ID": "DEHAM"},
        "TransportEquipment": [
            {
                "SequenceNumeric": str(n),
                "CharacteristicCode": "22G1",
                "FullnessCode": "5",
                "ID": container(n),
                "Seal": [{"SequenceNumeric": "1", "ID": f"ML-VN{n:07d}"}],
            }
            for n in (1, 2)
        ],
        "UnloadingLocation": {"ID": "VNSGN"},
    }
    return Declaration(kind, entity("Declaration", parts))


def transit() -> Declaration:
    """A transit declaration: goods items in a shipment and in a consignment."""
    root = goods(Kind.TRANSIT).root
    return Declaration(Kind.TRANSIT, changed(root, "Consignment", consignment(1)))


def conveyance() -> Declaration:
    """A ship's report with two ports of call."""
    call = {"ArrivalDateTime": ("202508100600", "203"), "DepartureDateTime": ("202508110600", "203")}
    means = {
        **SEA,
        "ArrivalDateTime": ("202508220600", "203"),
        "DepartureDateTime": ("202508230600", "203"),
        "CrewQuantity": "22",
        "PassengerQuantity": "0",
        "GrossTonnageMeasure": "25000",
        "NetTonnageMeasure": "12000",
        "FirstArrivalLocation": {"ID": "VNSGN"},
        "Itinerary": [
            {"SequenceNumeric": "1", "ID": "SGSIN", **call},
            {"SequenceNumeric": "2", "ID": "VNSGN", **call},
        ],
    }
    parts = {**HEAD, "Declarant": {"ID": "0100109106"}, "BorderTransportMeans": means}
    return Declaration(Kind.CONVEYANCE, entity("Declaration", parts))


def payment() -> Declaration:
    """A bank's notification of two booked credits."""
    parts = {
        "FunctionCode": "9",
        "FunctionalReferenceID": "MSG-1",
        "IssueDateTime": ("20250820020000Z", "304"),
        "Submitter": {"ID": "BFTVVNVX"},
        "Bank": {"ReferenceID": "BFTVVNVX", "ID": "GB82WEST12345698765432"},
        "DutyTaxFee": [
            {
                "Payer": {"Name": "CONG TY A"},
                "Payment": {
                    "EffectiveDateTime": ("20250820", "102"),
                    "ID": f"ENTRY-{n}",
                    "PaymentAmount": ("5000000", "VND"),
                    "ReferenceID": rf_reference(f"TAX{n}"),
                    "StatusCode": "BOOK",
                    "TypeCode": "CRDT",
                },
            }
            for n in (1, 2)
        ],
    }
    return Declaration(Kind.PAYMENT, entity("Declaration", parts))


def sample(kind: Kind) -> Declaration:
    """The right declaration of a kind."""
    if kind is Kind.TRANSIT:
        return transit()
    if kind.is_goods:
        return goods(kind)
    if kind.is_cargo:
        return cargo(kind)
    return conveyance() if kind is Kind.CONVEYANCE else payment()
