"""What the day's partners do with the gateway: sign, submit, prove what comes back, wait for decisions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from twisted.internet.defer import TimeoutError
from twisted.internet.task import deferLater

from gateway import handbook as handbooks
from gateway import outbound, safexml, security, transport
from gateway.model import Finding, Partner, Severity
from gateway.operations import reading
from gateway.operations.demo import papers
from gateway.operations.demo.papers import Goods
from gateway.operations.demo.receiver import Receiver
from gateway.operations.demo.telling import Teller
from gateway.operations.demo.town import AN_PHAT, BANK, LINE, VAN, Town
from gateway.security import SigningKey

PATIENCE = 30.0
"""Seconds within which every decision of the day must have come."""


class Exchanges:
    """The partners' side of every exchange; each fact goes to the teller.

    ``stamp`` begins the day's references, so that a kept home can be played in again.
    """

    def __init__(self, town: Town, address: str, receiver: Receiver, teller: Teller, reactor: Any) -> None:
        self.receiver = receiver
        self.stamp = f"{datetime.now(UTC):%y%m%d%H%M%S}"
        self._town = town
        self._url = f"https://localhost:{address.rpartition(':')[2]}"
        self._tell = teller
        self._reactor = reactor
        self._book = handbooks.load(town.home)
        self._clients = {p.id: self._client(p) for p in (LINE, VAN, BANK, AN_PHAT)}

    def _client(self, partner: Partner) -> transport.Client:
        folder = self._town.folder(partner)
        tls = transport.ClientTls(folder / "authority.pem", folder / "tls.key.pem", folder / "tls.crt.pem")
        return transport.Client(self._reactor, self._url, tls)

    async def close(self) -> None:
        """Hang up."""
        for client in self._clients.values():
            await client.close()

    # -- papers ----------------------------------------------------------------------------------------

    def reference(self, trader: Partner) -> str:
        """The trader's reference of the day for what the VAN files."""
        return f"{self.stamp}-{trader.id.upper()}"

    def declaration(self, trader: Partner, reference: str, goods: tuple[Goods, ...]) -> bytes:
        """An import declaration, not yet signed."""
        return papers.declaration(reference, (trader.name, trader.identifiers[0]), goods, now())

    def sign(self, document: bytes, partner: Partner) -> bytes:
        """The document with the partner's signature in it."""
        return security.sign_xml(safexml.parse(document), self._town.key(partner), now())

    def sign_late(self, document: bytes, key: SigningKey) -> bytes:
        """As a partner with a wrong clock signs: at a time when its certificate still held."""
        return security.sign_xml(safexml.parse(document), key, key.certificates[0].not_valid_before_utc)

    def seal(self, interchange: bytes, partner: Partner, envelope: str) -> tuple[str, bytes]:
        """An EDIFACT interchange in a signed envelope: its media type, and its octets."""
        return security.sign_cms(interchange, "application/edifact", self._town.key(partner), envelope, now())

    # -- there and back ----------------------------------------------------------------------------------

    async def submit(
        self, partner: Partner, what: str, body: bytes, media_type: str = "application/xml"
    ) -> Any:
        """The receipt for a submission.  Raises transport.Declined where there is none."""
        with self._tell.timed(what):
            receipt = await self._clients[partner.id].submit(body, media_type)
        self._tell.count("submissions answered with a signed receipt")
        return receipt

    async def declined(self, partner: Partner, what: str, body: bytes, code: str) -> None:
        """A submission that must find the door closed, and the reason that it is told."""
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

    def prove(self, body: bytes, media_type: str, what: str) -> bytes:
        """What the gateway signed, once its signature is proven."""
        verified = security.verify(body, media_type, self._book.trust, self._book.policy, now())
        signer = verified.signer.subject.split(",")[0]
        self._tell.expect(f"{what} bears the gateway's signature", signer, "CN=Gateway signing")
        return verified.content

    def expect_code(self, body: bytes, code: str) -> None:
        """A rejecting receipt's first finding."""
        document = reading.unsigned(safexml.parse(body))
        codes = [str(e.text) for e in document.iter("{*}ValidationCode")]
        self._tell.expect(f"The receipt says why, {code}", codes[:1], [code])
        for text in [str(e.text) for e in document.iter("{*}Description")][:1]:
            self._tell.say(f"      {text}")

    async def why(self, partner: Partner, submission: str) -> None:
        """The findings that rejected messages of a submission, as its status tells them."""
        status = await self._clients[partner.id].status(submission)
        for message in status.messages:
            for finding in [f for f in message.findings if f.severity is Severity.ERROR]:
                where = outbound.where(Finding(finding.code, finding.place))
                self._tell.say(f"      {message.lrn or message.reference}: {finding.text} {where}")

    async def pushed(self, reference: str, *kinds: str) -> None:
        """Wait until the VAN was pushed these messages about a reference, and prove each."""
        for kind in kinds:
            try:
                await self.receiver.until(partial(self._has_come, reference, kind), PATIENCE)
            except TimeoutError:
                came = sorted(p.kind for p in self.receiver.pushed.values() if p.reference == reference)
                self._tell.expect(f"Pushed about {reference}", came, [kind])
                return
            message = self.receiver.of(reference, kind)
            if message is not None:
                self._check(message.body, message.media_type)
                number = text_of(message.body, "Declaration", "ID")
                words = text_of(message.body, "AdditionalInformation", "StatementDescription")
                self._tell.expect(f"Pushed to the VAN, {number}: {words}", message.kind, kind)
            self._tell.count("decisions pushed")

    def _has_come(self, reference: str, kind: str) -> bool:
        return self.receiver.of(reference, kind) is not None

    async def mailbox(self, partner: Partner, enough: Callable[[Counter[str]], bool]) -> Counter[str]:
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
        security.verify(body, media_type, self._book.trust, self._book.policy, now())


def text_of(body: bytes, parent: str, name: str) -> str:
    """The first text of an element by local names in a signed response."""
    for holder in safexml.parse(body).iter(f"{{*}}{parent}"):
        for child in holder:
            if str(child.tag).endswith(f"}}{name}"):
                return str(child.text)
    return ""


def now() -> datetime:
    """The moment, aware, UTC."""
    return datetime.now(UTC)
