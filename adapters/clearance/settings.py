"""The office's configuration: four TOML files, checked whole, every fault listed."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from adapters.clearance import criteria, identifiers, money, statements, tariff
from adapters.clearance.criteria import Criteria, Criterion, Sampling, Thresholds
from adapters.clearance.exchange import Exchange
from gateway.model import MandatoryDocument

MAX_DAYS = 3650
"""Ten years: a longer term is a slip of the keyboard."""

LAST_SECOND = time(23, 59, 59)

T = TypeVar("T")


class OfficeFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who the office is.

    ``id``: its code (WCO G002).  ``registration_code``: four characters of every registration number.
    ``serves``: codes of offices (WCO 065) whose declarations it takes, empty for any.
    """

    id: str
    name: str
    name_vi: str
    country: str
    registration_code: str
    time_zone: str
    currency: str
    serves: tuple[str, ...] = ()


class Payment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where duty is paid (BIC, account), in how many days, and the least total that is collected."""

    bank: str
    account: str
    days: int
    minimum: Decimal = Decimal(0)


class Documents(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Within how many days documents are produced, and which where no criterion names any."""

    days: int
    wanted: tuple[MandatoryDocument, ...]


class Release(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``before_payment``: goods may leave before duty is paid where a guarantee covers it."""

    before_payment: bool = False


class Guarantee(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A guarantee that customs holds: its reference (WCO 100), whose it is, and up to what sum."""

    reference: str
    principal: str
    limit: Decimal


class Config(msgspec.Struct, frozen=True):
    """Everything the office goes by."""

    office: OfficeFacts
    payment: Payment
    documents: Documents
    release: Release
    guarantees: Mapping[str, Guarantee]
    criteria: Criteria
    tariff: tariff.Tariff
    statements: statements.Statements

    @property
    def exchange(self) -> Exchange:
        """The office's own rates."""
        return Exchange(self.office.currency, self.tariff.rates)

    def limit(self, now: datetime, days: int) -> datetime:
        """The last second, at the office, of the day that is so many days away."""
        zone = ZoneInfo(self.office.time_zone)
        day = now.astimezone(zone).date() + timedelta(days=days)
        return datetime.combine(day, LAST_SECOND, zone).astimezone(UTC)

    def day(self, at: datetime) -> str:
        """The calendar day at the office, for people to read."""
        return at.astimezone(ZoneInfo(self.office.time_zone)).date().isoformat()


class ConfigBroken(ValueError):
    """The configuration cannot be used; ``errors``: every fault, as ``file: place: what``."""

    def __init__(self, errors: tuple[str, ...]) -> None:
        super().__init__("; ".join(errors))
        self.errors = errors


class _Table:
    """One TOML file; broken parts are noted in ``errors`` and read as None."""

    def __init__(self, path: Path, errors: list[str], known: tuple[str, ...]) -> None:
        self.name, self.errors = path.name, errors
        self.content: dict[str, Any] = {}
        try:
            # Numbers are read as decimals, so that no rate ever passes through binary floating point.
            self.content = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            errors.append(f"{path.name}: {error}")
            return
        errors += [f"{path.name}: {key}: unknown table" for key in self.content if key not in known]

    def one(self, key: str, type_: type[T]) -> T | None:
        """The table under a key; an absent one is read as empty."""
        return self._convert(self.content.get(key, {}), type_, key)

    def rows(self, key: str, type_: type[T]) -> list[T]:
        """The array of tables under a key, without its broken rows."""
        rows = self.content.get(key, [])
        if not isinstance(rows, list):
            self.errors.append(f"{self.name}: {key}: write [[{key}]]")
            return []
        read = [self._convert(row, type_, f"[[{key}]] number {n}") for n, row in enumerate(rows, start=1)]
        return [row for row in read if row is not None]

    def _convert(self, value: Any, type_: type[T], place: str) -> T | None:
        try:
            return msgspec.convert(value, type_)
        except msgspec.ValidationError as error:
            self.errors.append(f"{self.name}: {place}: {error}")
            return None


def load(folder: Path) -> Config:
    """Read office.toml, risk.toml, tariff.toml and statements.toml.

    Raises ConfigBroken listing every fault of every file.
    """
    errors: list[str] = []
    facts = _Table(folder / "office.toml", errors, ("office", "payment", "documents", "release", "guarantee"))
    office = facts.one("office", OfficeFacts)
    payment = facts.one("payment", Payment)
    documents = facts.one("documents", Documents)
    release = facts.one("release", Release)
    guarantees = facts.rows("guarantee", Guarantee)
    national = office.currency if office else ""
    risk = _criteria(folder / "risk.toml", errors)
    table = _tariff(folder / "tariff.toml", national, errors)
    sentences = _statements(folder / "statements.toml", errors)
    if not (office and payment and documents and release):
        raise ConfigBroken(tuple(errors))
    by_reference = {guarantee.reference: guarantee for guarantee in guarantees}
    config = Config(office, payment, documents, release, by_reference, risk, table, sentences)
    errors += [f"office.toml: {fault}" for fault in _office_faults(config, len(guarantees))]
    if errors:
        raise ConfigBroken(tuple(errors))
    return config


def _criteria(path: Path, errors: list[str]) -> Criteria:
    table = _Table(path, errors, ("criterion", "thresholds", "random"))
    read = Criteria(
        tuple(table.rows("criterion", Criterion)),
        table.one("thresholds", Thresholds) or Thresholds(),
        table.one("random", Sampling) or Sampling(),
    )
    errors += [f"{path.name}: {fault}" for fault in criteria.faults(read)]
    return read


class _Rates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The head of tariff.toml: whether declared rates serve where customs has none; customs' rates."""

    declared: bool = False
    table: dict[str, Decimal] = {}


def _tariff(path: Path, national: str, errors: list[str]) -> tariff.Tariff:
    keys = ("rates", "line", "fallback", "measure", "regime", "suspension")
    table = _Table(path, errors, keys)
    lines = table.rows("line", tariff.Line)
    regimes = table.rows("regime", tariff.Regime)
    rates = table.one("rates", _Rates) or _Rates()
    read = tariff.Tariff(
        {line.hs: line for line in lines},
        tuple(table.rows("measure", tariff.Measure)),
        {regime.code: regime for regime in regimes},
        tuple(table.rows("suspension", tariff.Suspension)),
        rates.table,
        rates.declared,
        table.one("fallback", tariff.Line) if "fallback" in table.content else None,
    )
    prefixes = [line.hs for line in lines]
    doubled = sorted({hs for hs in prefixes if prefixes.count(hs) > 1})
    errors += [f"{path.name}: line {hs}: written twice" for hs in doubled]
    errors += [f"{path.name}: {fault}" for fault in tariff.faults(read, national)]
    return read


def _statements(path: Path, errors: list[str]) -> statements.Statements:
    table = _Table(path, errors, tuple(statements.PLACES))
    read = {key: table.one(key, statements.Sentence) for key in table.content if key in statements.PLACES}
    sentences = {key: sentence for key, sentence in read.items() if sentence is not None}
    errors += [f"{path.name}: {fault}" for fault in statements.faults(sentences)]
    return statements.Statements(sentences)


def _office_faults(config: Config, guarantees: int) -> Iterator[str]:
    office, payment = config.office, config.payment
    if not re.fullmatch(r"[A-Z]{2}", office.country, re.ASCII):
        yield "office.country: two capitals are expected"
    if not re.fullmatch(r"[A-Z0-9]{4}", office.registration_code, re.ASCII):
        yield "office.registration_code: four capitals or digits are expected"
    if not money.CURRENCY.fullmatch(office.currency):
        yield "office.currency: three capitals are expected"
    if not 0 < len(office.id) <= 17:
        yield "office.id: 1 to 17 characters are expected (WCO G002)"
    try:
        ZoneInfo(office.time_zone)
    except (ZoneInfoNotFoundError, ValueError, IsADirectoryError):
        yield f"office.time_zone: no such zone: {office.time_zone}"
    if not identifiers.BIC.fullmatch(payment.bank):
        yield "payment.bank: a BIC is expected"
    if not 0 < len(payment.account) <= 35:
        yield "payment.account: 1 to 35 characters are expected (WCO 372)"
    if identifiers.IBAN.fullmatch(payment.account) and not identifiers.is_iban(payment.account):
        yield "payment.account: has the form of an IBAN, but not its check digits"
    if not (0 <= payment.days <= MAX_DAYS and 0 <= config.documents.days <= MAX_DAYS):
        yield f"payment.days, documents.days: 0 to {MAX_DAYS} are expected"
    if not payment.minimum.is_finite() or payment.minimum < 0:
        yield "payment.minimum: zero or more is expected"
    if not config.documents.wanted:
        yield "documents.wanted: name at least one document"
    if len(config.guarantees) != guarantees:
        yield "guarantee: a reference is written twice"
    for guarantee in config.guarantees.values():
        if not guarantee.reference or not guarantee.principal or not _is_limit(guarantee.limit):
            yield f"guarantee {guarantee.reference}: reference, principal and a limit above zero are expected"


def _is_limit(limit: Decimal) -> bool:
    return limit.is_finite() and limit > 0
