"""What the journeys know, and a small world of partners to try them with: no server, no database."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import msgspec

from gateway import handbook, safexml, security
from gateway.handbook import Handbook
from gateway.model import Mandate, Partner, Register, Role, Submission
from gateway.operations.demo import papers
from gateway.operations.home import subject
from gateway.security.certificates.authority import Authority

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "tests" / "samples"
NOW = datetime.now(UTC).replace(microsecond=0)

TRADER = Partner("anphat", "An Phat Trading Co.", (Role.TRADER,), ("0100109106",))
OTHER = Partner("binhminh", "Binh Minh Foods Co.", (Role.TRADER,), ("0100233488",))
CARRIER = Partner("oceanline", "Eastern Ocean Line", (Role.CARRIER,), ("OCEANLINE", "EOLU"))
VAN = Partner("vanlink", "VAN Link JSC", (Role.VAN,), ("VANLINK",))
BANK = Partner("demobank", "Demo Commercial Bank", (Role.BANK,), ("DEMOVNVX",))
EVERYBODY = (TRADER, OTHER, CARRIER, VAN, BANK)
LAPTOPS = (papers.Goods("84713020", "Portable computers", "CN", 480_000_000, 900, 60),)


@cache
def book() -> Handbook:
    """What the package ships, with nobody registered."""
    return handbook.load(ROOT)


class World:
    """An authority, partners with keys, and a handbook that knows them."""

    def __init__(self, folder: Path, mandates: Iterable[Mandate] = ()) -> None:
        self._folder = folder
        self.authority = Authority.create(folder / "authority", "Test authority")
        anchors = folder / "anchors"
        anchors.mkdir()
        (anchors / "authority.pem").write_bytes(self.authority.certificate_path.read_bytes())
        self.keys = {p.id: self.issue(p.id, p.name) for p in EVERYBODY}
        self.own = self.issue("gateway", "Gateway signing")
        known = [msgspec.structs.replace(p, subjects=(self.keys[p.id].signer.subject,)) for p in EVERYBODY]
        self.partners = {p.id: p for p in known}
        self.handbook = dataclasses.replace(
            book(), trust=security.Trust.load(anchors), register=Register(known, mandates)
        )
        self._serials = itertools.count(1)

    def issue(self, identity: str, name: str) -> security.SigningKey:
        """A key and certificate of the authority's."""
        key, certificate = self._folder / f"{identity}.key.pem", self._folder / f"{identity}.crt.pem"
        self.authority.issue(subject(name, identity, "VN"), key, certificate, algorithm="p256")
        return security.SigningKey.load(key, certificate)

    def submission(
        self, body: bytes, media_type: str = "application/xml", by: Partner = TRADER
    ) -> Submission:
        """What a door would make of a body."""
        number = next(self._serials)
        digest = hashlib.sha256(body).hexdigest()
        return Submission(f"s{number:025}", by.id, "https", media_type, body, digest, NOW)

    def signed(self, document: bytes, signer: Partner = TRADER) -> bytes:
        return security.sign_xml(safexml.parse(document), self.keys[signer.id], NOW)

    def sealed(
        self, interchange: bytes, signer: Partner = CARRIER, envelope: str = "application/pkcs7-mime"
    ) -> tuple[str, bytes]:
        """(media type, body)."""
        key = self.keys[signer.id]
        return security.sign_cms(interchange, "application/edifact", key, envelope, NOW)


def declaration(reference: str = "LRN-1", trader: Partner = TRADER, items: int = 1) -> bytes:
    """An unsigned import declaration."""
    return papers.declaration(reference, (trader.name, trader.identifiers[0]), LAPTOPS * items, NOW)


def manifest(reference: str = "M1", *bills: papers.Bill) -> bytes:
    """An unsigned interchange of bills of lading; of one good bill where none is given."""
    some = bills or (papers.Bill("EOLUSGN000001", "Furniture parts", 100, 5_000),)
    return papers.manifest(reference, "OCEANLINE", "EOLU", some, NOW)
