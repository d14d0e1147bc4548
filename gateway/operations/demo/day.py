"""The day: what partners send, what customs answers, and what is refused."""

# mypy: disallow-untyped-calls=False
# (Twisted's process utilities are only partly typed.)

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from twisted.internet.defer import TimeoutError
from twisted.internet.task import deferLater
from twisted.internet.utils import getProcessOutputAndValue

from gateway import handbook as handbooks
from gateway import outbound, safexml, security, transport
from gateway.model import Finding, Partner, Severity
from gateway.operations import reading
from gateway.operations.demo import papers
from gateway.operations.demo.papers import Bill, Goods, Paying
from gateway.operations.demo.receiver import Receiver
from gateway.operations.demo.telling import Teller
from gateway.operations.demo.town import AN_PHAT, BANK, BINH_MINH, CUU_LONG, DAI_NAM, LINE, VAN, Town

BILLS = 200
UNREADABLE_BILL = 17
WRONG_COUNT_BILL = 112
DANGEROUS_BILL = 60
PATIENCE = 30.0
"""Seconds within which every decision of the day must have come."""

LAPTOPS = (Goods("84713020", "Portable computers", "CN", 480_000_000, 900, 60),)
BEEF = (Goods("02023000", "Frozen boneless beef", "AU", 650_000_000, 18_000, 900),)
SCRAP = (Goods("72044900", "Ferrous scrap in bundles", "JP", 310_000_000, 25_000, 25),)
CLOTH = (Goods("52081100", "Cotton cloth, unbleached", "CN", 120_000_000, 2_000, 80),)


class Day:
    """One day in the town."""

    def __init__(self, town: Town, address: str, receiver: Receiver, teller: Teller, reactor: Any) -> None:
        self._town = town
        self._url = f"https://localhost:{address.rpartition(':')[2]}"
        self._receiver = receiver
        self._tell = teller
        self._reactor = reactor
        self._book = handbooks.load(town.home)
        self._clients = {p.id: self._client(p) for p in (LINE, VAN, BANK, AN_PHAT)}
        self._notices: dict[str, Paying] = {}
        self._stamp = f"{datetime.now(UTC):%y%m%d%H%M%S}"

    async def play(self) -> None:
        """From the manifest to the last refusal."""
        try:
            await self._manifest()
            await self._declarations()
            await self._officer()
            await self._payment()
            await self._refusals()
        finally:
            for client in self._clients.values():
                await client.close()

    # -- the shipping line ---------------------------------------------------------------------------

    async def _manifest(self) -> None:
        tell = self._tell
        tell.chapter(f"A shipping line files a manifest of {BILLS} bills of lading")
        bills = tuple(_bill(n) for n in range(1, BILLS + 1))
        reference = f"M{self._stamp}"
        interchange = papers.manifest(reference, "OCEANLINE", "EOLU", bills, _now())
        tell.say(f"{LINE.name} signs {len(interchange):,} octets of CUSCAR D.95B and sends them")
        media_type, body = self._sign_cms(interchange, LINE, "multipart/signed")
        receipt = await self._submit(LINE, "manifest of 200 bills", body, media_type)
        tell.expect("Customs takes the manifest, but not every bill", receipt.outcome, "partly")
        content = self._prove(receipt.body, receipt.media_type, "CONTRL")
        tell.expect("CONTRL refuses one message by name", content.count(b"UCM+"), 1)
        named = f"UCM+{UNREADABLE_BILL}+".encode() in content
        tell.expect(f"namely bill {UNREADABLE_BILL}; the others are acknowledged", named, True)
        await self._why(LINE, receipt.submission)
        tell.count("bills of lading filed", BILLS)
        kinds = await self._mailbox(LINE, lambda found: sum(found.values()) >= BILLS)
        tell.expect(f"{BILLS - 2} bills are registered by customs", kinds["registered"], BILLS - 2)
        tell.expect(f"Bill {WRONG_COUNT_BILL} is rejected by CUSRES: its counts differ", kinds["rejected"], 1)
        tell.expect(f"Do not load bill {DANGEROUS_BILL}, says customs in time", kinds["do-not-load"], 1)
        tell.count("bills registered", kinds["registered"])
        tell.count("do-not-load notices", kinds["do-not-load"])
        tell.count("bills rejected", 2)

    # -- the VAN and its traders -----------------------------------------------------------------------

    async def _declarations(self) -> None:
        tell = self._tell
        tell.chapter("A VAN relays the declarations of traders, each signed by the trader")
        for trader, goods, channel in (
            (AN_PHAT, LAPTOPS, "green"),
            (BINH_MINH, BEEF, "yellow"),
            (CUU_LONG, SCRAP, "red"),
        ):
            reference = self._reference(trader)
            receipt = await self._file(trader, reference, goods)
            tell.expect(f"The gateway takes {trader.name}'s declaration", receipt.outcome, "accepted")
            self._prove(receipt.body, receipt.media_type, "The receipt")
            await self._pushed(reference, "registered", channel)
            tell.count("declarations registered")
        reference = self._reference(DAI_NAM)
        receipt = await self._file(DAI_NAM, reference, CLOTH)
        tell.expect(f"{DAI_NAM.name} gave the VAN no mandate: rejected", receipt.outcome, "rejected")
        self._expect_code(receipt.body, "PAR003")
        tell.count("declarations rejected")

    async def _officer(self) -> None:
        tell = self._tell
        tell.chapter("A customs officer decides the yellow and the red")
        for trader, action, words in (
            (BINH_MINH, "accept-documents", "the sanitary certificate is in order"),
            (CUU_LONG, "pass-inspection", "bundles opened, nothing found"),
        ):
            registration = await self._registration(self._reference(trader))
            arguments = ["office", action, registration, "--officer", "Tran Thi Mai"]
            output, code = await self._cvan([*arguments, "--reason", words])
            tell.expect(f"Tran Thi Mai, {registration}: {words} ({action}) {output}".rstrip(), code, 0)
        for trader in (AN_PHAT, BINH_MINH, CUU_LONG):
            reference = self._reference(trader)
            await self._pushed(reference, "duty-notice")
            notice = self._receiver.of(reference, "duty-notice")
            if notice is not None:
                self._notices[trader.id] = self._paying(trader, notice.body)

    # -- the bank --------------------------------------------------------------------------------------

    async def _payment(self) -> None:
        tell = self._tell
        tell.chapter("A bank posts that the duties were paid")
        payments = tuple(self._notices.values())
        document = papers.credits(f"N{self._stamp}", payments, "DEMOVNVX", "0071000123456", _now())
        for paying in payments:
            tell.say(f"  {paying.payer} pays {int(paying.amount):,} VND with reference {paying.reference}")
        receipt = await self._submit(BANK, "payment confirmation", self._sign(document, BANK))
        tell.expect("The gateway takes the bank's notification", receipt.outcome, "accepted")
        self._prove(receipt.body, receipt.media_type, "The receipt")
        kinds = await self._mailbox(BANK, lambda found: found["payment-matched"] >= len(payments))
        tell.expect("The bank is told that each payment was matched", kinds["payment-matched"], len(payments))
        tell.count("payments matched", kinds["payment-matched"])
        for trader in (AN_PHAT, BINH_MINH, CUU_LONG):
            await self._pushed(self._reference(trader), "released", "cleared")
            tell.count("declarations cleared")

    # -- what is refused ---------------------------------------------------------------------------------

    async def _refusals(self) -> None:
        tell = self._tell
        tell.chapter("What the gateway refuses, and how it says so")
        reference = f"{self._stamp}-TWICE"
        signed = self._sign(self._declaration(AN_PHAT, reference, LAPTOPS), AN_PHAT)
        first = await self._submit(AN_PHAT, "declaration", signed)
        tell.expect("A trader files for itself: accepted", first.outcome, "accepted")
        again = await self._submit(AN_PHAT, "the same again", signed)
        same = (again.repeated, again.body == first.body)
        tell.expect("The same octets again: the same receipt, octet for octet", same, (True, True))
        other = self._sign(self._declaration(AN_PHAT, reference, BEEF), AN_PHAT)
        clash = await self._submit(AN_PHAT, "other content, same reference", other)
        tell.expect("Other content under the same reference: rejected", clash.outcome, "rejected")
        self._expect_code(clash.body, "PAR007")

        tampered = signed.replace(b"480000000", b"180000000", 1)
        await self._declined(AN_PHAT, "A value changed on the way", tampered, "SIG011")
        late = self._town.expired_key(AN_PHAT)
        document = self._declaration(AN_PHAT, f"{reference}-E", LAPTOPS)
        await self._declined(
            AN_PHAT, "A certificate that has expired", self._sign_late(document, late), "SIG022"
        )
        bomb = b'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;">]><d>&b;</d>'
        await self._declined(AN_PHAT, "An entity bomb", bomb, "XML004")
        await self._truncated()

    async def _truncated(self) -> None:
        bills = (_bill(1),)
        interchange = papers.manifest(f"T{self._stamp}", "OCEANLINE", "EOLU", bills, _now(), whole=False)
        media_type, body = self._sign_cms(interchange, LINE, "application/pkcs7-mime")
        receipt = await self._submit(LINE, "truncated interchange", body, media_type)
        self._tell.expect("An interchange that was cut off: rejected", receipt.outcome, "rejected")
        content = self._prove(receipt.body, receipt.media_type, "CONTRL")
        self._tell.expect("CONTRL names the missing UNZ", b"+4+13+UNZ" in content, True)
        self._tell.count("attacks and mistakes refused")

    async def _why(self, partner: Partner, submission: str) -> None:
        """The findings that rejected messages of a submission, as its status tells them."""
        status = await self._clients[partner.id].status(submission)
        for message in status.messages:
            for finding in [f for f in message.findings if f.severity is Severity.ERROR]:
                where = outbound.where(Finding(finding.code, finding.place))
                self._tell.say(f"      {message.lrn or message.reference}: {finding.text} {where}")

    async def _declined(self, partner: Partner, what: str, body: bytes, code: str) -> None:
        try:
            await self._clients[partner.id].submit(body, "application/xml")
        except transport.Declined as declined:
            codes = [f.code for f in declined.problem.findings]
            self._tell.expect(f"{what}: refused, {code}", codes[:1], [code])
            for finding in declined.problem.findings[:1]:
                self._tell.say(f"      {finding.text}")
                self._tell.say(f"      {finding.text_vi}")
        else:
            self._tell.expect(what, "taken", "refused")
        self._tell.count("attacks and mistakes refused")

    # -- what the steps share ----------------------------------------------------------------------------

    def _client(self, partner: Partner) -> transport.Client:
        folder = self._town.folder(partner)
        tls = transport.ClientTls(folder / "authority.pem", folder / "tls.key.pem", folder / "tls.crt.pem")
        return transport.Client(self._reactor, self._url, tls)

    async def _submit(
        self, partner: Partner, what: str, body: bytes, media_type: str = "application/xml"
    ) -> Any:
        with self._tell.timed(what):
            receipt = await self._clients[partner.id].submit(body, media_type)
        self._tell.count("submissions answered with a signed receipt")
        return receipt

    async def _file(self, trader: Partner, reference: str, goods: tuple[Goods, ...]) -> Any:
        self._tell.say(f"{trader.name} declares {goods[0].description}: {reference}")
        signed = self._sign(self._declaration(trader, reference, goods), trader)
        return await self._submit(VAN, "declaration", signed)

    def _declaration(self, trader: Partner, reference: str, goods: tuple[Goods, ...]) -> bytes:
        return papers.declaration(reference, (trader.name, trader.identifiers[0]), goods, _now())

    def _reference(self, trader: Partner) -> str:
        return f"{self._stamp}-{trader.id.upper()}"

    def _sign(self, document: bytes, partner: Partner) -> bytes:
        return security.sign_xml(safexml.parse(document), self._town.key(partner), _now())

    def _sign_late(self, document: bytes, key: security.SigningKey) -> bytes:
        """As a partner with a wrong clock signs: at a time when its certificate still held."""
        return security.sign_xml(safexml.parse(document), key, key.certificates[0].not_valid_before_utc)

    def _sign_cms(self, interchange: bytes, partner: Partner, envelope: str) -> tuple[str, bytes]:
        return security.sign_cms(
            interchange, "application/edifact", self._town.key(partner), envelope, _now()
        )

    def _prove(self, body: bytes, media_type: str, what: str) -> bytes:
        """What the gateway signed, once its signature is proven."""
        verified = security.verify(body, media_type, self._book.trust, self._book.policy, _now())
        signer = verified.signer.subject.split(",")[0]
        self._tell.expect(f"{what} bears the gateway's signature", signer, "CN=Gateway signing")
        return verified.content

    def _expect_code(self, body: bytes, code: str) -> None:
        document = reading.unsigned(safexml.parse(body))
        codes = [str(e.text) for e in document.iter("{*}ValidationCode")]
        self._tell.expect(f"The receipt says why, {code}", codes[:1], [code])
        for text in [str(e.text) for e in document.iter("{*}Description")][:1]:
            self._tell.say(f"      {text}")

    async def _pushed(self, reference: str, *kinds: str) -> None:
        """Wait until the VAN was pushed these messages about a reference, and prove each."""
        for kind in kinds:
            try:
                await self._receiver.until(partial(self._has_come, reference, kind), PATIENCE)
            except TimeoutError:
                came = sorted(p.kind for p in self._receiver.pushed.values() if p.reference == reference)
                self._tell.expect(f"Pushed about {reference}", came, [kind])
                return
            message = self._receiver.of(reference, kind)
            if message is not None:
                self._check(message.body, message.media_type)
                number = _text(message.body, "Declaration", "ID")
                words = _text(message.body, "AdditionalInformation", "StatementDescription")
                self._tell.expect(f"Pushed to the VAN, {number}: {words}", message.kind, kind)
            self._tell.count("decisions pushed")

    def _has_come(self, reference: str, kind: str) -> bool:
        return self._receiver.of(reference, kind) is not None

    async def _mailbox(self, partner: Partner, enough: Callable[[Counter[str]], bool]) -> Counter[str]:
        """Poll, fetch, prove and acknowledge until enough has come; counts by kind."""
        client, kinds = self._clients[partner.id], Counter[str]()
        until = self._reactor.seconds() + PATIENCE
        while not enough(kinds) and self._reactor.seconds() < until:
            page = await client.mailbox(limit=100)
            for entry in page.entries:
                message = await client.fetch(entry.id)
                self._check(message.body, message.media_type)
                kinds[entry.kind] += 1
            if page.entries:
                await client.acknowledge([e.id for e in page.entries])
            else:
                await deferLater(self._reactor, 0.1)
        self._tell.count("messages fetched from mailboxes", sum(kinds.values()))
        return kinds

    def _check(self, body: bytes, media_type: str) -> None:
        security.verify(body, media_type, self._book.trust, self._book.policy, _now())

    async def _registration(self, reference: str) -> str:
        pushed = self._receiver.of(reference, "registered")
        if pushed is None:
            return ""
        return _text(pushed.body, "Declaration", "ID")

    def _paying(self, trader: Partner, notice: bytes) -> Paying:
        reference = _text(notice, "Payment", "ReferenceID")
        amount = _text(notice, "Payment", "PaymentAmount")
        return Paying(reference, amount, trader.name, f"{self._stamp}-{trader.id}")

    async def _cvan(self, arguments: list[str]) -> tuple[str, int]:
        command = ["-P", "-m", "gateway.operations.cli", "--home", str(self._town.home), *arguments]
        waiting: Awaitable[tuple[bytes, bytes, int]] = getProcessOutputAndValue(
            sys.executable, command, reactor=self._reactor
        )
        _, errors, code = await waiting
        return (errors.decode().strip() if code else ""), code


def _bill(number: int) -> Bill:
    """A bill of lading; three of them are not as they should be."""
    serial = f"EOLUSGN{number:06d}"
    if number == UNREADABLE_BILL:
        return Bill(serial, "Bicycle parts", 40, 2_000, mode="SEA TRANSPORT")
    if number == WRONG_COUNT_BILL:
        return Bill(serial, "Plastic toys", 50, 1_200, gid_packages=40)
    if number == DANGEROUS_BILL:
        return Bill(serial, "Ammonium nitrate in bags", 400, 20_000)
    return Bill(serial, "Furniture parts of wood", 100 + number, 5_000 + number)


def _text(body: bytes, parent: str, name: str) -> str:
    """The first text of an element by local names in a signed response."""
    for holder in safexml.parse(body).iter(f"{{*}}{parent}"):
        for child in holder:
            if str(child.tag).endswith(f"}}{name}"):
                return str(child.text)
    return ""


def _now() -> datetime:
    return datetime.now(UTC)


__all__ = ["Day"]
