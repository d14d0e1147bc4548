"""Evidence to judge: a home with its partners, and the journey run on a ledger in this process."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from sqlalchemy import select

from gateway import handbook as handbooks
from gateway import outbound, safexml, security
from gateway.evidence import verify
from gateway.evidence.bundle import members
from gateway.evidence.entries import Entry, read_entry
from gateway.intake import Worked, settlement, work
from gateway.model import (
    Decision,
    DecisionKind,
    Declaration,
    Event,
    How,
    Outgoing,
    Partner,
    Submission,
    differences,
)
from gateway.operations import correcting
from gateway.operations import home as homes
from gateway.operations.demo import papers
from gateway.operations.demo.papers import Goods
from gateway.operations.demo.town import AN_PHAT, EVERYBODY, LINE, VAN, Town, configure, mandates
from gateway.security import SigningKey
from gateway.security.certificates.authority import Authority, KeyAlgorithm
from gateway.storage import Breach, Corrected, Ledger, Recorded, answer_id, tables
from gateway.storage.checkpoints import MAX_ENTRIES
from tests.operations import knowledge

GOODS = (Goods("84713020", "Portable computers", "CN", 480_000_000, 900, 60),)
SECOND = timedelta(seconds=1)
START = datetime(2026, 3, 1, 8, 30, 15, 123456, tzinfo=UTC)


@dataclass
class Stage:
    """One home at one time: ``now`` is the gateway's clock, moved by hand."""

    root: Path
    ledger: Ledger
    now: datetime
    url: str
    algorithm: KeyAlgorithm = "p256"
    keys: dict[str, SigningKey] = field(default_factory=dict)
    serial: int = 0

    def __post_init__(self) -> None:
        self.town = Town(self.root / "home", self.root / "partners")
        homes.create(self.town.home, development=False)
        configure(self.town.home)
        self.authority = self._authority(self.town.home / homes.AUTHORITY)
        self.anchor = x509.load_pem_x509_certificate(self.authority.certificate_path.read_bytes())
        trust = self.town.home / "keystore" / "trust" / "development.pem"
        trust.write_bytes(self.authority.certificate_path.read_bytes())
        self.ledger.clock = lambda: self.now
        self.own = self.issue("Gateway signing", self.root / "own")
        for partner in EVERYBODY:
            self.enrol(partner)
        for mandate in mandates():
            self.ledger.put_mandate(mandate)
        self.book = replace(
            knowledge.book(),
            trust=security.Trust.load(self.town.home / handbooks.TRUST),
            register=self.ledger.register(),
        )

    def _authority(self, folder: Path) -> Authority:
        """An authority of that time, which has expired where that is long ago."""
        made = Authority.create(folder, "Authority of the test")
        today = x509.load_pem_x509_certificate(made.certificate_path.read_bytes())
        key = next(
            load_pem_private_key(path.read_bytes(), None)
            for path in sorted(folder.iterdir())
            if b"PRIVATE KEY" in path.read_bytes()
        )
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        builder = (
            x509.CertificateBuilder(today.issuer, today.subject, key.public_key(), today.serial_number)
            .not_valid_before(self.now - timedelta(days=365))
            .not_valid_after(self.now + timedelta(days=365))
        )
        for extension in today.extensions:
            builder = builder.add_extension(extension.value, extension.critical)
        signed = builder.sign(key, hashes.SHA256())
        made.certificate_path.write_bytes(signed.public_bytes(Encoding.PEM))
        return Authority.load(folder)

    def issue(self, name: str, folder: Path) -> SigningKey:
        folder.mkdir(parents=True, exist_ok=True)
        key, certificate = folder / "signing.key.pem", folder / "signing.crt.pem"
        self.authority.issue(
            homes.subject(name, name, "VN"),
            key,
            certificate,
            algorithm=self.algorithm,
            not_before=self.now - timedelta(days=1),
            not_after=self.now + timedelta(days=30),
        )
        return SigningKey.load(key, certificate)

    def enrol(self, partner: Partner) -> None:
        key = self.issue(partner.name, self.root / "partners" / partner.id)
        self.keys[partner.id] = key
        self.ledger.put_partner(msgspec.structs.replace(partner, subjects=(key.signer.subject,)))

    # -- the journey ---------------------------------------------------------------------------------

    def tick(self) -> datetime:
        self.now += SECOND
        return self.now

    def declaration(self, wrong: bool = False) -> tuple[bytes, str]:
        self.serial += 1
        text = papers.declaration(
            f"E{self.serial:07d}", (AN_PHAT.name, AN_PHAT.identifiers[0]), GOODS, self.now
        )
        if wrong:
            text = text.replace(b"<TotalPackageQuantity>60<", b"<TotalPackageQuantity>61<")
        signed = security.sign_xml(safexml.parse(text), self.keys[AN_PHAT.id], self.now)
        return signed, "application/xml"

    def manifest(self, envelope: str = "application/pkcs7-mime") -> tuple[bytes, str]:
        self.serial += 1
        bill = papers.Bill(f"EOLUSGN{self.serial:06d}", "Furniture parts", packages=100, weight=5_000)
        text = papers.manifest(f"M{self.serial:07d}", "OCEANLINE", "EOLU", (bill,), self.now, True)
        kind, body = security.sign_cms(text, "application/edifact", self.keys[LINE.id], envelope, self.now)
        return body, kind

    def carried(self, envelope: str = "application/pkcs7-mime") -> tuple[bytes, str]:
        """A trader's signed declaration in the VAN's envelope."""
        document, media_type = self.declaration()
        kind, body = security.sign_cms(document, media_type, self.keys[VAN.id], envelope, self.now)
        return body, kind

    def submit(
        self, body: bytes, media_type: str, partner: Partner = AN_PHAT, responses: tuple[bytes, ...] = ()
    ) -> str:
        """Through the journey and into the ledger; the submission's id.  ``responses``: on which the proof
        is said to rest beside its chain."""
        self.serial += 1
        at = self.tick()
        digest = hashlib.sha256(body).hexdigest()
        taken = Submission(f"01E{self.serial:023d}", partner.id, "https", media_type, body, digest, at)
        worked: Worked = work(taken, self.book, self.own, self.numbers, at)
        if responses:
            proof = msgspec.structs.replace(worked.verdict.proof, responses=responses)
            worked = msgspec.structs.replace(
                worked, verdict=msgspec.structs.replace(worked.verdict, proof=proof)
            )
        self.ledger.settle([settlement(taken, worked, "clearance", at, claim=True)])
        return taken.id

    def numbers(self, count: int) -> Sequence[str]:
        return [str(self.serial * 100 + n) for n in range(count)]

    def deliver(self) -> int:
        due = self.ledger.claim_due("backend:clearance", "kit", self.tick(), timedelta(seconds=9), 10_000)
        return self.ledger.done([d.id for d in due], self.tick())

    def decide(self, submission: str, kind: DecisionKind = DecisionKind.REGISTERED) -> Outgoing:
        """A back end's decision on the first message, told to who filed."""
        message = f"{submission}.1"
        to = self.ledger.routes([message])[message]
        at = self.tick()
        taken = Decision(f"D-{submission}-{kind.value}", message, kind, at, f"R{self.serial:010d}")
        _, version, release = (*to.identifier.split(":"), "", "")[:3]
        about = outbound.About(to.lrn, to.reference, taken.registration, version, release)
        draft = outbound.decision(taken, about, to.route, self.book, str(self.serial), at)
        media_type, body = outbound.seal(draft, to.route, self.own, at)
        told = Outgoing(
            answer_id(message, taken.id), to.route.partner, kind.value, message, to.lrn, media_type, body, at
        )
        events = (Event(message, at, kind.value, taken.registration),)
        self.ledger.record([Recorded(taken, told, None, events)])
        return told

    def correct(self, submission: str) -> None:
        """An officer's words instead of the declarant's on how many packages there are."""
        message = f"{submission}.1"
        original = self.ledger.original(message)
        assert original is not None
        text = msgspec.json.encode(original.declaration).replace(b'"60"', b'"61"')
        edited = msgspec.json.decode(text, type=Declaration)
        changes = differences(original.declaration, edited)
        assert changes
        made = correcting.made(How.EDITED, self.tick(), "officer mai", "agreed", original.digest, changes)
        assert self.ledger.correct(message, Corrected(made, edited, ""), self.tick())

    def day(self, wrong: bool = False, corrected: bool = False) -> str:
        """A declaration from its receipt to the acknowledgement of its decision."""
        submission = self.submit(*self.declaration(wrong))
        if corrected:
            self.correct(submission)
        self.deliver()
        if not wrong:
            told = self.decide(submission)
            self.ledger.acknowledge(AN_PHAT.id, [told.id, f"{submission}.r"])
        return submission

    def seal(self, limit: int = MAX_ENTRIES) -> int:
        """Checkpoints over everything; how many."""
        made = 0
        while self.ledger.cover(self.own, self.tick(), limit) is not None:
            made += 1
        return made

    def bundle(self, submission: str) -> bytes:
        gathered = self.ledger.gather(submission)
        assert gathered is not None
        at = self.tick()
        own = self.own
        return verify.pack(
            members(gathered, lambda octets: own.sign(octets, at), own.certificates, (self.anchor,), at)
        )


def stage(root: Path, url: str, now: datetime | None = None, algorithm: KeyAlgorithm = "p256") -> Stage:
    """``algorithm``: RSA keys for everybody take a second or two to make."""
    return Stage(root, Ledger.open(url, create=True), now or datetime.now(UTC), url, algorithm)


def journal_of(ledger: Ledger) -> list[Entry]:
    """Every entry, in order of chains."""
    j = tables.journal.c
    texts = ledger._read(lambda c: list(c.scalars(select(j.entry).order_by(j.chain, j.seq))))
    return [read_entry(text) for text in texts]


def clean(ledger: Ledger) -> list[Breach]:
    """What an audit finds that knows no key."""
    found: list[Breach] = []
    ledger.audit(found.append, lambda chain, checkpoint: "", lambda sealed: "")
    return found


def by_hand(files: Mapping[str, bytes], folder: Path, good: bool = True) -> None:
    """The commands of the bundle's own verify.sh, and what they are to find."""
    for name, octets in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(octets)
    done = subprocess.run(["sh", "verify.sh"], cwd=folder, capture_output=True, check=False, text=True)
    assert (done.returncode == 0) is good, (done.stdout, done.stderr)
