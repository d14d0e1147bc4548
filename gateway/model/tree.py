"""The Declaration: one tree of WCO Data Model classes and elements, whatever syntax it came in.

A tree is made of :class:`Entity` (one occurrence of a WCO class: ``GoodsShipment``, ``Consignee``)
holding :class:`Value` (one element: ``ID``, ``TypeCode``) and further entities.  Names are the WCO
Data Model names; the order of entities with the same name is their WCO sequence, from 1.

Texts stay as the sender wrote them, in WCO form: a decimal has a point, a date-time carries its
``formatCode`` (UN/EDIFACT 2379: 102, 203, 204, 304), an amount its ``currencyID`` (ISO 4217), a
measure or quantity its ``unitCode`` (UN/ECE Rec. 20).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from enum import StrEnum

import msgspec


class Kind(StrEnum):
    """WCO information packages (facts: WCO data model, 3.1), and the payment confirmation."""

    IMPORT = "IM"
    EXPORT = "EX"
    TRANSIT = "TRT"
    CARGO_IMPORT = "CRI"
    CARGO_EXPORT = "CRE"
    CONVEYANCE = "CONV"
    PAYMENT = "PAY"

    @property
    def is_goods(self) -> bool:
        return self in (Kind.IMPORT, Kind.EXPORT, Kind.TRANSIT)

    @property
    def is_cargo(self) -> bool:
        return self in (Kind.CARGO_IMPORT, Kind.CARGO_EXPORT)


class Value(msgspec.Struct, frozen=True, omit_defaults=True):
    """One WCO element: its name, its text, its attributes as (name, value) pairs in sorted order."""

    name: str
    text: str
    attributes: tuple[tuple[str, str], ...] = ()

    def attribute(self, name: str) -> str:
        """The attribute's value, or the empty string."""
        for key, text in self.attributes:
            if key == name:
                return text
        return ""


class Entity(msgspec.Struct, frozen=True, omit_defaults=True):
    """One occurrence of a WCO class.

    Paths are relative, joined by ``/``, and select the first occurrence of a class unless an
    occurrence is given: ``GoodsShipment/GovernmentAgencyGoodsItem[2]/Commodity/Description``.
    """

    name: str
    values: tuple[Value, ...] = ()
    entities: tuple[Entity, ...] = ()

    def value(self, path: str) -> Value | None:
        """The first value at the path, or None."""
        holder, leaf = self, path
        if "/" in path:
            head, _, leaf = path.rpartition("/")
            found = self.entity(head)
            if found is None:
                return None
            holder = found
        for value in holder.values:
            if value.name == leaf:
                return value
        return None

    def text(self, path: str) -> str:
        """The text of the first value at the path, or the empty string."""
        value = self.value(path)
        return "" if value is None else value.text

    def number(self, path: str) -> Decimal | None:
        """The value at the path as a decimal; None where it is absent or not a finite number."""
        text = self.text(path)
        try:
            number = Decimal(text) if text else None
        except InvalidOperation:
            return None
        return number if number is None or number.is_finite() else None

    def entity(self, path: str) -> Entity | None:
        """The entity at the path, or None."""
        here: Entity = self
        for name, occurrence in parse_path(path):
            child = here._child(name, occurrence)
            if child is None:
                return None
            here = child
        return here

    def each(self, path: str) -> Iterator[Entity]:
        """Every entity at the path, all occurrences of every step, in document order."""
        name, _, rest = path.partition("/")
        for entity in self.entities:
            if entity.name == name:
                if rest:
                    yield from entity.each(rest)
                else:
                    yield entity

    def _child(self, name: str, occurrence: int) -> Entity | None:
        for entity in self.entities:
            if entity.name == name:
                occurrence -= 1
                if occurrence == 0:
                    return entity
        return None


class Declaration(msgspec.Struct, frozen=True, omit_defaults=True):
    """A declaration in internal form; ``root`` is the WCO class ``Declaration`` (42A)."""

    kind: Kind
    root: Entity

    @property
    def reference(self) -> str:
        """The sender's own reference (LRN), WCO D026."""
        return self.root.text("FunctionalReferenceID")

    @property
    def function(self) -> str:
        """Message function, WCO 017 = EDIFACT 1225: 9 original, 4 change, 5 replace, 1 cancellation."""
        return self.root.text("FunctionCode")

    @property
    def registration(self) -> str:
        """The number that customs gave (MRN), WCO D014; present on amendments and cancellations."""
        return self.root.text("ID")

    @property
    def declarant(self) -> str:
        """Who declares, WCO R123, or the submitter (R059) where no declarant is named."""
        return self.root.text("Declarant/ID") or self.root.text("Submitter/ID")


class Step(msgspec.Struct, frozen=True):
    """One step of a pointer: a class or element name and which occurrence, from 1."""

    name: str
    occurrence: int = 1


_STEP = re.compile(r"([A-Za-z][A-Za-z0-9]*)(?:\[([1-9][0-9]{0,8})\])?\Z")


def parse_path(path: str) -> Iterator[tuple[str, int]]:
    """(name, occurrence) of each step.  Raises ValueError on a step that is no name."""
    for part in path.split("/"):
        if part.isalnum():
            yield part, 1
            continue
        found = _STEP.match(part)
        if found is None:
            raise ValueError(f"not a step of a path: {part!r}")
        yield found[1], int(found[2] or 1)


def parse_pointer(text: str) -> tuple[Step, ...]:
    """The steps of a pointer such as ``Declaration/GoodsShipment/GovernmentAgencyGoodsItem[2]``."""
    return tuple(Step(name, occurrence) for name, occurrence in parse_path(text))


def pointer(steps: Sequence[Step]) -> str:
    """The text of a pointer; an occurrence of 1 is not written."""
    return "/".join(s.name if s.occurrence == 1 else f"{s.name}[{s.occurrence}]" for s in steps)
