"""What the journey is measured with: the messages, their keys, and where all is kept."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench import limit, manifests
from gateway import safexml, security
from gateway.model import Partner
from gateway.operations import home as homes
from gateway.operations import settings
from gateway.operations.demo import papers
from gateway.operations.demo.papers import Goods, container_number
from gateway.operations.demo.town import AN_PHAT, LINE, Town
from gateway.storage import Ledger

GOODS = tuple(
    Goods("84713020", f"Portable computers, model {n}, 14 inches", "CN", 48_000_000, 90, 6) for n in range(6)
)
ITEMS = {"xml5": 1, "xml10": 6}
"""Goods items of a declaration that is 5 or 10 KB once signed."""
CMS = "application/pkcs7-mime"
SAMPLE = 300
"""Messages that the limit is taken of."""
RECEIPT = 2_500
"""Octets of a receipt that is signed and stored in the limit."""


@dataclass(frozen=True, slots=True)
class Case:
    """``message``: xml5, xml10 or cuscar10; ``key``: rsa or p256, the partner's and the gateway's own;
    ``database``: sqlite or postgresql; ``doors``: processes; ``delivering``: the back end is at work beside
    them."""

    message: str
    key: str
    database: str
    doors: int
    delivering: bool = False

    @property
    def name(self) -> str:
        """As ``--only`` has it."""
        beside = "delivering-" if self.delivering else ""
        return f"{self.message}-{self.key}-{self.database}-{beside}{self.doors}"

    @property
    def partner(self) -> Partner:
        """Who sends it."""
        return LINE if self.message.startswith("cuscar") else AN_PHAT

    @property
    def single(self) -> Case:
        """The same with one door process, and no back end."""
        return replace(self, doors=1, delivering=False)


CASES = tuple(
    Case(message, key, database, doors, delivering)
    for message in ("xml10", "xml5", "cuscar10")
    for key in ("rsa", "p256")
    for database in ("sqlite", "postgresql")
    for doors, delivering in ((1, False), (2, False), (1, True))
)
USUAL = ("xml10-rsa-sqlite-1", "xml10-rsa-sqlite-2", "xml10-p256-sqlite-1", "xml10-rsa-postgresql-1")
"""The beginnings of the names of those that are measured where nothing is said."""


def chosen(parts: list[str]) -> tuple[Case, ...]:
    """The cases whose names begin with one of the parts (``all``: every one)."""
    wanted = tuple(parts) or USUAL
    return tuple(case for case in CASES if "all" in wanted or case.name.startswith(wanted))


def document(reference: str, message: str = "xml10") -> bytes:
    """A declaration of the size."""
    goods = GOODS[: ITEMS[message]]
    return papers.declaration(reference, (AN_PHAT.name, AN_PHAT.identifiers[0]), goods, datetime.now(UTC))


def interchange(reference: str) -> bytes:
    """A cargo report of 20 bills, 10 KB once signed: one CUSCAR of the shipping line's own, that keeps all rules."""
    today = datetime.now(UTC)
    text = manifests.cuscar("1", 7)
    for pattern, text_now in (
        (r"SAOBIENLINES\d*", LINE.identifiers[1]),
        (r"BGM\+933\+MAN\d+", f"BGM+933+{reference}"),
        (r"DTM\+137:\d+", f"DTM+137:{today - timedelta(days=1):%Y%m%d%H%M}"),
        (r"DTM\+132:\d+", f"DTM+132:{today + timedelta(days=3):%Y%m%d%H%M}"),
        (r"\d{7}:146:11", "9319466:146:11"),
    ):
        text = re.sub(pattern, text_now, text)
    text = re.sub(r"SBLU(\d{6})\d", lambda box: container_number(int(box[1])), text)
    return manifests.interchange([text], reference, LINE.identifiers[0])


def signed(case: Case, reference: str, key: security.SigningKey, now: datetime) -> tuple[str, bytes]:
    """One message of the case: its media type and octets."""
    if case.message.startswith("cuscar"):
        return security.sign_cms(interchange(reference), "application/edifact", key, CMS, now)
    content = safexml.parse(document(reference, case.message))
    return "application/xml", security.sign_xml(content, key, now)


def pile(folder: Path, key: security.SigningKey, count: int, case: Case = CASES[0], first: str = "B") -> str:
    """Signed messages in files of their own, each with a reference of its own; their media type."""
    folder.mkdir()
    now, media_type = datetime.now(UTC), ""
    for number in range(count):
        media_type, body = signed(case, f"{first}{number:07d}", key, now)
        (folder / f"{number:07d}").write_bytes(body)
    return media_type


def rekey(town: Town, case: Case) -> None:
    """Give the partner and the gateway keys of the case's kind; the town has RSA."""
    if case.key == "rsa":
        return
    authority, chosen_ = homes.authority(town.home), settings.load(town.home)
    country = chosen_.gateway.country
    for subject, folder in (
        (homes.subject(case.partner.name, case.partner.id, country), town.folder(case.partner)),
        (
            homes.subject("Gateway signing", chosen_.gateway.name, country),
            town.home / chosen_.keys.own,
        ),
    ):
        for file in ("signing.key.pem", "signing.crt.pem"):
            (folder / file).unlink()
        authority.issue(subject, folder / "signing.key.pem", folder / "signing.crt.pem", algorithm="p256")


def configure(town: Town, case: Case, urls: tuple[str, str]) -> None:
    """Set the gateway up for the case.  ``urls``: of the ledger and the back end, "" for SQLite."""
    path = town.home / "conf" / "gateway.toml"
    text = path.read_text(encoding="utf-8")
    for name, value in (
        ("processes", str(case.doors)),
        ("own_cores", str(case.doors > 1).lower()),
        ("deliver", str(case.delivering).lower()),
        ("per_minute", "1000000"),
        ("in_flight", "256"),
    ):
        text = re.sub(rf"^{name} = \w+", f"{name} = {value}", text, flags=re.MULTILINE)
    if urls[0]:
        text = text.replace("sqlite:///ledger.db", urls[0]).replace("sqlite:///clearance.db", urls[1])
        ledger = Ledger.open(settings.database_url(town.home, "sqlite:///ledger.db"))
        there = Ledger.open(urls[0], create=True)
        for partner in ledger.partners():
            there.put_partner(partner)
        ledger.close()
        there.close()
    path.write_text(text, encoding="utf-8")


def unavoidable(town: Town, case: Case, postgres: str) -> limit.Costs:
    """The limit for the case, here and now."""
    key, now = town.key(case.partner), datetime.now(UTC)
    if case.message.startswith("cuscar"):
        plain = [interchange(f"L{number:04d}") for number in range(SAMPLE)]
        return limit.unavoidable_edifact(plain, plain[0][:RECEIPT], postgres, case.key)
    bodies = [signed(case, f"L{number:04d}", key, now)[1] for number in range(SAMPLE)]
    xsd = town.home / "xsd" / "wco" / "goods-declaration.xsd"
    return limit.unavoidable(bodies, xsd, bodies[0][:RECEIPT], postgres, case.key)
