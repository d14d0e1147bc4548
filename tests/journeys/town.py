"""A town for the journeys: a home on one kind of database, its partners with their keys, its gateway."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from lxml import etree

from gateway import safexml, security
from gateway.handbook import Handbook
from gateway.handbook import load as load_handbook
from gateway.model import Channel, Partner, Role
from gateway.operations import home as homes
from gateway.operations import settings
from gateway.operations.demo import papers
from gateway.operations.demo.town import (
    ACCOUNT,
    AN_PHAT,
    BANK,
    BIC,
    BINH_MINH,
    CUU_LONG,
    DAI_NAM,
    LINE,
    VAN,
    configure,
    expired_key,
    mandates,
)
from gateway.security import SigningKey
from gateway.security.certificates.authority import KeyAlgorithm
from gateway.storage import Ledger
from tests.journeys.plain import Answer, Plain
from tests.journeys.process import Process
from tests.journeys.receiver import Receiver
from tests.operations.shell import Said, cvan

FEEDER = Partner("feeder", "Delta Feeder Line", (Role.CARRIER,), ("DELTAFEED", "DFLU"))
TOKEN = "a-bearer-token-for-a-partner-without-mutual-tls"
BY_TOKEN = Partner(
    "bytoken",
    "Token Trading Co.",
    (Role.TRADER,),
    ("0101248141",),
    token_digest=hashlib.sha256(TOKEN.encode()).hexdigest(),
)
EVERYBODY = (LINE, FEEDER, VAN, BANK, AN_PHAT, BINH_MINH, CUU_LONG, DAI_NAM, BY_TOKEN)
RSA = (LINE.id, AN_PHAT.id)
"""Who signs with RSA; the others sign with P-256."""

Wares = tuple[papers.Goods, ...]
LAPTOPS = (papers.Goods("84713020", "Portable computers", "CN", 480_000_000, 900, 60),)
BEEF = (papers.Goods("02023000", "Frozen boneless beef", "AU", 650_000_000, 18_000, 900),)
SCRAP = (papers.Goods("72044900", "Ferrous scrap in bundles", "JP", 310_000_000, 25_000, 25),)
CLOTH = (papers.Goods("52081100", "Cotton cloth, unbleached", "CN", 120_000_000, 2_000, 80),)
BOOKS = (papers.Goods("49019990", "Printed school books", "SG", 90_000_000, 1_500, 40),)
"""Free of duty: green and released at once."""

PATIENCE = 30.0
"""Seconds within which a decision must have come, on a slow machine."""


class Town:
    """Everything a journey needs; one for many tests, which keep apart by their references."""

    def __init__(self, root: Path, ledger_url: str, clearance_url: str) -> None:
        self._keys: dict[str, SigningKey] = {}
        self.home = root / "home"
        self.partners = root / "partners"
        homes.create(self.home)
        configure(self.home, ledger=ledger_url, clearance=clearance_url)
        chosen = settings.load(self.home).database
        self.ledger_url = settings.database_url(self.home, chosen.ledger)
        self.clearance_url = settings.database_url(self.home, chosen.clearance)
        self.ledger = Ledger.open(self.ledger_url, create=True)
        self._receiver_files = self._issue_receiver(root)
        self.receiver = self.new_receiver()
        for partner in EVERYBODY:
            self.enrol(partner)
        for mandate in mandates():
            self.ledger.put_mandate(mandate)
        self.book: Handbook = load_handbook(self.home)
        self.gateway = Process(self.home)
        self._stamp = f"{datetime.now(UTC):%d%H%M%S}"
        self._serials = itertools.count(1)
        self._clients: dict[str, Plain] = {}

    def close(self) -> None:
        self.gateway.sweep()
        self.receiver.close()
        self.ledger.close()

    # -- partners ------------------------------------------------------------------------------------

    def enrol(self, partner: Partner, url: str = "") -> Partner:
        """Keys for a partner and its place in the register; those who are pushed to get a path."""
        name = self.issue(partner)
        if partner.channel is Channel.PUSH:
            url = url or self.receiver.url(f"/{partner.id}")
        partner = msgspec.structs.replace(partner, subjects=(name,), push_url=url)
        self.ledger.put_partner(partner)
        return partner

    def issue(self, partner: Partner) -> str:
        """Keys and certificates for a partner, registered or not; the certificates' subject."""
        self._keys.pop(partner.id, None)
        folder, own = self.folder(partner), homes.authority(self.home)
        folder.mkdir(parents=True, exist_ok=True)
        name = homes.subject(partner.name, partner.id, "VN")
        algorithm: KeyAlgorithm = "rsa" if partner.id in RSA else "p256"
        own.issue(name, folder / "signing.key.pem", folder / "signing.crt.pem", algorithm=algorithm)
        own.issue(name, folder / "tls.key.pem", folder / "tls.crt.pem", algorithm="p256", use="tls")
        return name

    def folder(self, partner: Partner) -> Path:
        return self.partners / partner.id

    def key(self, partner: Partner) -> SigningKey:
        folder = self.folder(partner)
        if partner.id not in self._keys:
            self._keys[partner.id] = SigningKey.load(folder / "signing.key.pem", folder / "signing.crt.pem")
        return self._keys[partner.id]

    def late_key(self, partner: Partner) -> SigningKey:
        """A key of the partner's whose certificate ran out yesterday."""
        return expired_key(self.home, partner, self.folder(partner))

    @property
    def anchor(self) -> Path:
        """The certificate that proves the gateway, and everybody else here."""
        return homes.authority(self.home).certificate_path

    def client(self, partner: Partner) -> Plain:
        """The partner's client, one for all tests; it proves the partner by its certificate."""
        if partner.id not in self._clients:
            self._clients[partner.id] = self.new_client(partner)
        return self._clients[partner.id]

    def new_client(self, partner: Partner) -> Plain:
        return Plain(lambda: self.gateway.port, self.anchor, self.folder(partner))

    def token_client(self, token: str = TOKEN) -> Plain:
        return Plain(lambda: self.gateway.port, self.anchor, token=token)

    # -- papers --------------------------------------------------------------------------------------

    def reference(self) -> str:
        """A reference that nobody used; it fits EDIFACT 0020."""
        return f"{self._stamp}{next(self._serials):05d}"

    def declaration(
        self, trader: Partner, goods: Wares, reference: str = "", function: str = "9", registration: str = ""
    ) -> bytes:
        """An unsigned import declaration; ``registration``: of what it amends or cancels."""
        at = datetime.now(UTC)
        declarant = (trader.name, trader.identifiers[0])
        text = papers.declaration(reference or self.reference(), declarant, goods, at, function)
        if registration:
            place = b"</FunctionalReferenceID>"
            assert text.count(place) == 1
            text = text.replace(place, place + f"<ID>{registration}</ID>".encode())
        return text

    def signed(
        self, trader: Partner, goods: Wares, reference: str = "", function: str = "9", registration: str = ""
    ) -> bytes:
        return self.sign(self.declaration(trader, goods, reference, function, registration), trader)

    def sign(self, document: bytes, partner: Partner) -> bytes:
        return security.sign_xml(safexml.parse(document), self.key(partner), datetime.now(UTC))

    def sealed(
        self, interchange: bytes, partner: Partner = LINE, envelope: str = "application/pkcs7-mime"
    ) -> tuple[bytes, str]:
        """An interchange in a CMS envelope: (body, media type)."""
        now = datetime.now(UTC)
        kind, body = security.sign_cms(interchange, "application/edifact", self.key(partner), envelope, now)
        return body, kind

    def bill(self, description: str = "Furniture parts of wood", **given: Any) -> papers.Bill:
        number = f"EOLUSGN{next(self._serials):06d}"
        return papers.Bill(number, description, **{"packages": 100, "weight": 5_000, **given})

    def manifest(
        self,
        bills: Sequence[papers.Bill],
        reference: str = "",
        *,
        sender: str = "OCEANLINE",
        carrier: str = "EOLU",
        whole: bool = True,
    ) -> bytes:
        at = datetime.now(UTC)
        return papers.manifest(reference or self.reference(), sender, carrier, tuple(bills), at, whole)

    def credits(self, *payments: papers.Paying) -> bytes:
        """A bank's signed notification."""
        document = papers.credits(f"N{self.reference()}", payments, BIC, ACCOUNT, datetime.now(UTC))
        return self.sign(document, BANK)

    # -- what comes back -----------------------------------------------------------------------------

    def prove(self, body: bytes, media_type: str) -> bytes:
        """What the gateway signed; fails where it did not."""
        verified = security.verify(body, media_type, self.book.trust, self.book.policy, datetime.now(UTC))
        assert verified.signer.subject.startswith("CN=Gateway signing")
        return verified.content

    def waiting(self, partner: Partner, submission: str) -> list[dict[str, Any]]:
        """The partner's mailbox entries about a submission, its receipt left aside."""
        found = self.client(partner).entries(everything=True)
        about = f"{submission}."
        return [e for e in found if e["about"].startswith(about)]

    def await_entries(
        self, partner: Partner, submission: str, *kinds: str, seconds: float = PATIENCE
    ) -> list[dict[str, Any]]:
        """The mailbox entries about a submission once these kinds, or more, are among them."""
        wanted, end = Counter(kinds), time.monotonic() + seconds
        while True:
            found = self.waiting(partner, submission)
            if not wanted - Counter(e["kind"] for e in found):
                return found
            if time.monotonic() > end:
                raise AssertionError((sorted(e["kind"] for e in found), self.gateway.log()[-2000:]))
            time.sleep(0.05)

    def await_message(self, partner: Partner, submission: str, kind: str) -> bytes:
        """The newest message of a kind about a submission, proven: what was signed."""
        entries = [e for e in self.await_entries(partner, submission, kind) if e["kind"] == kind]
        fetched = self.client(partner).fetch(entries[-1]["id"])
        assert fetched.status == 200
        return self.prove(fetched.body, fetched.media_type)

    def registered(self, partner: Partner, answer: Answer) -> str:
        """Customs' number for what an accepted submission declared."""
        return text_of(self.await_message(partner, answer.submission, "registered"), "Declaration/ID")

    def notice(self, partner: Partner, answer: Answer) -> papers.Paying:
        """How the duty notice about a submission is paid in full."""
        said = self.await_message(partner, answer.submission, "duty-notice")
        reference = text_of(said, "Declaration/DutyTaxFee/Payment/ReferenceID")
        amount = text_of(said, "Declaration/DutyTaxFee/Payment/PaymentAmount")
        return papers.Paying(reference, amount, "A payer", self.reference())

    def cvan(self, *arguments: object) -> Said:
        return cvan(*arguments, home=self.home)

    def officer(self, action: str, registration: str, *more: object) -> Any:
        """An officer's decision by the command line; the case as it then stands."""
        said = self.cvan("office", action, registration, "--officer", "Tran Thi Mai", *more, "--json")
        assert said.code == 0, said.err
        return said.json()

    # -- its making ----------------------------------------------------------------------------------

    def _issue_receiver(self, root: Path) -> tuple[Path, Path]:
        key, certificate = root / "receiver.key.pem", root / "receiver.crt.pem"
        homes.authority(self.home).issue(
            homes.subject("localhost", "town", "VN"),
            key,
            certificate,
            algorithm="p256",
            use="tls",
            server_names=("localhost",),
        )
        return key, certificate

    def new_receiver(self) -> Receiver:
        """An address of its own where messages can be pushed to."""
        return Receiver(*self._receiver_files, self.anchor)


def text_of(document: bytes, path: str) -> str:
    """The first text at a path of local names, anywhere in a document."""
    found = etree.fromstring(document).xpath(
        "//" + "/".join(f"*[local-name()='{n}']" for n in path.split("/"))
    )
    return str(found[0].text) if found else ""


def texts_of(document: bytes, name: str) -> list[str]:
    """Every text of the elements of a local name."""
    return [str(e.text) for e in etree.fromstring(document).iter(f"{{*}}{name}")]


def until(holds: Callable[[], bool], seconds: float = PATIENCE, what: object = "") -> None:
    """Return once it holds; fails after so many seconds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.05)
