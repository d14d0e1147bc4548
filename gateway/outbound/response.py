"""What customs or the gateway has to say, as a tree of WCO names, in no syntax yet."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from gateway.handbook import Handbook, Saying
from gateway.model import Decision, DecisionKind, DutyLine, Entity, Finding, Route, Value

_UNSAYABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MOMENT = "%04d%02d%02d%02d%02d%02dZ"
_IN_304 = (("formatCode", "304"),)
MAX_ERRORS = 999
"""Error classes in one response; CONTRL's own bound on UCS, and more than a person reads."""


class About(msgspec.Struct, frozen=True):
    """What an answer is about: the declarant's reference, customs' number, the message it came in."""

    lrn: str
    reference: str = ""
    registration: str = ""
    version: str = ""
    release: str = ""


def response(
    saying: Saying,
    about: About,
    number: str,
    now: datetime,
    language: str,
    errors: tuple[Entity, ...] = (),
    taken: Decision | None = None,
    answer_by: datetime | None = None,
) -> Entity:
    """The WCO class Response (07B), about one declaration; ``number``: its own, of at most 14 digits;
    ``answer_by``: when customs has decided at the latest."""
    at = taken.at if taken else now
    status = [Value("NameCode", saying.status), _moment("EffectiveDateTime", at)]
    if taken and taken.kind in (DecisionKind.RELEASED, DecisionKind.CLEARED):
        status.append(_moment("ReleaseDateTime", at))
    entities = [*_statements(saying, taken, language, answer_by)]
    if taken and taken.account:
        entities.append(Entity("Bank", _given(("ReferenceID", taken.bank), ("ID", taken.account))))
    if taken and taken.office:
        entities.append(Entity("ContactOffice", (Value("ID", taken.office),)))
    entities += [*errors, Entity("Status", tuple(status)), _declaration(about, taken)]
    return Entity(
        "Response",
        (
            Value("FunctionCode", saying.function),
            Value("FunctionalReferenceID", number),
            _moment("IssueDateTime", now),
        ),
        tuple(entities),
    )


def _statements(
    saying: Saying, taken: Decision | None, language: str, answer_by: datetime | None
) -> Iterable[Entity]:
    vi = language == "vi"
    words = saying.text_vi if vi else saying.text
    own = "" if taken is None else (taken.statement_vi if vi else taken.statement)
    values = [Value("StatementDescription", _sayable(own) or words), Value("StatementTypeCode", "AAI")]
    limit = answer_by if taken is None else taken.limit_at
    if limit is not None:
        values.insert(1, _moment("LimitDateTime", limit))
    yield Entity("AdditionalInformation", tuple(values))
    for document in () if taken is None else taken.documents:
        reason = _sayable(document.reason)
        wanted = _given(("StatementCode", document.type), ("StatementDescription", reason))
        yield Entity("AdditionalInformation", (*wanted, Value("StatementTypeCode", "ACA")))


def _declaration(about: About, taken: Decision | None) -> Entity:
    values = list(_given(("FunctionalReferenceID", about.lrn)))
    entities: list[Entity] = []
    if taken is not None:
        values += _given(("ID", taken.registration), ("VersionID", str(taken.version)))
        if taken.kind is DecisionKind.REGISTERED:
            values.append(_moment("AcceptanceDateTime", taken.at))
        elif taken.kind is DecisionKind.REFUSED:
            values.append(_moment("RejectionDateTime", taken.at))
        elif taken.kind is DecisionKind.CANCELLED:
            values.append(_moment("CancellationDateTime", taken.at))
        entities = [Entity("AdditionalDocument", (Value("TypeCode", d.type),)) for d in taken.documents]
        entities += _duty(taken)
    return Entity("Declaration", tuple(values), tuple(entities))


def _duty(taken: Decision) -> list[Entity]:
    if not taken.payment_reference and not taken.duties:
        return []
    currency = (("currencyID", taken.currency),)
    payment = [
        *_given(("ReferenceID", taken.payment_reference)),
        Value("PaymentAmount", taken.amount, currency),
    ]
    if taken.limit_at is not None:
        payment.append(_moment("DueDateTime", taken.limit_at))
    fees = [Entity("DutyTaxFee", (), (Entity("Payment", tuple(payment)),))]
    by_item: dict[int, list[DutyLine]] = {}
    for line in taken.duties:
        by_item.setdefault(line.item, []).append(line)
    items = tuple(
        Entity(
            "GovernmentAgencyGoodsItem",
            (Value("SequenceNumeric", str(number)),),
            (Entity("Commodity", (), tuple(_fee(line) for line in lines)),),
        )
        for number, lines in sorted(by_item.items())
    )
    return [*fees, Entity("GoodsShipment", (), items)] if items else fees


def _fee(line: DutyLine) -> Entity:
    """One duty: on value in percent, or, where it has a unit, so much a unit."""
    currency = (("currencyID", line.currency),)
    base = [Value("AdValoremTaxBaseAmount", line.base, currency), Value("TaxRateNumeric", line.rate)]
    if line.unit:
        base = [Value("SpecificTaxBaseQuantity", line.base, (("unitCode", line.unit),))]
    assessed = Entity("Payment", (Value("TaxAssessedAmount", line.assessed, currency),))
    return Entity("DutyTaxFee", (*base, Value("TypeCode", line.type)), (assessed,))


def errors_of(findings: Iterable[Finding], handbook: Handbook, route: Route) -> tuple[Entity, ...]:
    """The WCO class Error (53A), its Pointer (97A) from the finding's place in the declaration."""
    errors = []
    for finding in tuple(findings)[:MAX_ERRORS]:
        words = f"{handbook.catalogue.say(finding, route.language)} {where(finding)}".strip()
        values = (Value("Description", _sayable(words)[:512]), Value("ValidationCode", finding.code))
        errors.append(Entity("Error", values, _pointers(finding, handbook)))
    return tuple(errors)


def _sayable(words: str) -> str:
    """What an officer typed, or a sender wrote, without the characters that no message can hold (XML
    1.0, 2.2)."""
    return _UNSAYABLE.sub(" ", words).strip()


def where(finding: Finding) -> str:
    """A finding's place in one short phrase, as the sender's own file has it."""
    place = finding.place
    if place.tag:
        element = f" element {place.element}" if place.element else ""
        component = f" component {place.component}" if place.component else ""
        return f"[{place.tag} segment {place.segment}{element}{component}, octet {place.offset}]"
    if place.xpath:
        return f"[{place.xpath}, line {place.line}]"
    return f"[{place.part}]" if place.part else ""


def _pointers(finding: Finding, handbook: Handbook) -> tuple[Entity, ...]:
    """The way down to the element by WCO ids; for EDIFACT also the sender's own segment, its section
    in the list of 1049 (1 heading, 2 detail)."""
    place = finding.place
    path = place.pointer or place.xpath.partition("/MetaData/")[2]
    levels = list(handbook.mappings.xml("DEC").pointer_codes(path)) if path else []
    if place.tag and place.segment:
        levels.append(("2" if place.group else "1", place.segment, place.tag))
    return tuple(
        Entity(
            "Pointer",
            _given(
                ("SequenceNumeric", str(sequence) if sequence else ""),
                ("DocumentSectionCode", section),
                ("TagID", tag),
            ),
        )
        for section, sequence, tag in levels
    )


def _moment(name: str, at: datetime) -> Value:
    return Value(name, moment(at), _IN_304)


def moment(at: datetime) -> str:
    """A time (aware) in format 304, in UTC."""
    # Not strftime: two of these stand in every receipt, and it takes ten times as long.
    return _MOMENT % at.astimezone(UTC).timetuple()[:6]


def _given(*pairs: tuple[str, str]) -> tuple[Value, ...]:
    return tuple(Value(name, text) for name, text in pairs if text)
