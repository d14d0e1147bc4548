"""The day: what partners send, and what customs answers."""

# mypy: disallow-untyped-calls=False
# (Twisted's process utilities are only partly typed.)

from __future__ import annotations

import sys
from collections.abc import Awaitable
from typing import Any

from twisted.internet.utils import getProcessOutputAndValue

from gateway.model import Partner
from gateway.operations.demo import papers, refusals
from gateway.operations.demo.exchanges import Exchanges, now, text_of
from gateway.operations.demo.papers import BEEF, CLOTH, LAPTOPS, SCRAP, Bill, Goods, Paying
from gateway.operations.demo.receiver import Receiver
from gateway.operations.demo.telling import Teller
from gateway.operations.demo.town import (
    ACCOUNT,
    AN_PHAT,
    BANK,
    BIC,
    BINH_MINH,
    CUU_LONG,
    DAI_NAM,
    LINE,
    MANDATED,
    VAN,
    Town,
)

BILLS = 200
UNREADABLE_BILL = 17
WRONG_COUNT_BILL = 112
DANGEROUS_BILL = 60


class Day:
    """One day in the town."""

    def __init__(self, town: Town, address: str, receiver: Receiver, teller: Teller, reactor: Any) -> None:
        self._town = town
        self._tell = teller
        self._reactor = reactor
        self._exchanges = Exchanges(town, address, receiver, teller, reactor)

    async def play(self) -> None:
        """From the manifest to the last refusal."""
        try:
            await self._manifest()
            await self._declarations()
            await self._officer()
            await self._payment()
            await refusals.told(self._town, self._exchanges, self._tell)
        finally:
            await self._exchanges.close()

    # -- the shipping line ---------------------------------------------------------------------------

    async def _manifest(self) -> None:
        tell, exchanges = self._tell, self._exchanges
        tell.chapter(f"A shipping line files a manifest of {BILLS} bills of lading")
        bills = tuple(_bill(n) for n in range(1, BILLS + 1))
        interchange = papers.manifest(f"M{exchanges.stamp}", "OCEANLINE", "EOLU", bills, now())
        said = f"{LINE.name} signs {len(interchange):,} octets of CUSCAR (EDIFACT cargo reports, D.95B)"
        tell.say(f"{said} and sends them")
        media_type, body = exchanges.seal(interchange, LINE, "multipart/signed")
        receipt = await exchanges.submit(LINE, f"manifest of {BILLS} bills", body, media_type)
        tell.expect("Customs takes the manifest, but not every bill", receipt.outcome, "partly")
        what = "The receipt, a CONTRL (EDIFACT's word on which messages could be read),"
        content = exchanges.prove(receipt.body, receipt.media_type, what)
        tell.expect("CONTRL refuses one message by name", content.count(b"UCM+"), 1)
        named = f"UCM+{UNREADABLE_BILL}+".encode() in content
        tell.expect(f"namely bill {UNREADABLE_BILL}; the others are acknowledged", named, True)
        await exchanges.why(LINE, receipt.submission)
        tell.count("bills of lading filed", BILLS)
        await self._answers_to_the_manifest()

    async def _answers_to_the_manifest(self) -> None:
        tell = self._tell
        kinds = await self._exchanges.mailbox(LINE, lambda found: sum(found.values()) >= BILLS)
        tell.expect(f"{BILLS - 2} bills are registered by customs", kinds["registered"], BILLS - 2)
        rejected = f"Bill {WRONG_COUNT_BILL} is rejected: its counts differ"
        tell.expect(f"{rejected}, says a CUSRES (customs' answer in EDIFACT)", kinds["rejected"], 1)
        tell.expect(f"Do not load bill {DANGEROUS_BILL}, says customs in time", kinds["do-not-load"], 1)
        tell.count("bills registered", kinds["registered"])
        tell.count("bills that must not be loaded", kinds["do-not-load"])
        tell.count("bills rejected", kinds["rejected"] + 1)

    # -- the VAN and its traders -----------------------------------------------------------------------

    async def _declarations(self) -> None:
        tell, exchanges = self._tell, self._exchanges
        tell.chapter("A VAN relays the declarations of traders, each signed by the trader")
        for trader, goods, channel in (
            (AN_PHAT, LAPTOPS, "green"),
            (BINH_MINH, BEEF, "yellow"),
            (CUU_LONG, SCRAP, "red"),
        ):
            receipt = await self._file(trader, goods)
            tell.expect(f"The gateway takes {trader.name}'s declaration", receipt.outcome, "accepted")
            exchanges.prove(receipt.body, receipt.media_type, "The receipt")
            await exchanges.pushed(exchanges.reference(trader), "registered", channel)
            tell.count("declarations registered")
        receipt = await self._file(DAI_NAM, CLOTH)
        tell.expect(f"{DAI_NAM.name} gave the VAN no mandate: rejected", receipt.outcome, "rejected")
        exchanges.expect_code(receipt.body, "PAR003")
        tell.count("declarations rejected for want of a mandate")

    async def _file(self, trader: Partner, goods: tuple[Goods, ...]) -> Any:
        reference = self._exchanges.reference(trader)
        self._tell.say(f"{trader.name} declares {goods[0].description}: {reference}")
        signed = self._exchanges.sign(self._exchanges.declaration(trader, reference, goods), trader)
        return await self._exchanges.submit(VAN, "declaration", signed)

    # -- customs ---------------------------------------------------------------------------------------

    async def _officer(self) -> None:
        tell, exchanges = self._tell, self._exchanges
        tell.chapter("A customs officer decides the yellow and the red")
        for trader, action, words in (
            (BINH_MINH, "accept-documents", "the sanitary certificate is in order"),
            (CUU_LONG, "pass-inspection", "bundles opened, nothing found"),
        ):
            registration = self._registration(trader)
            arguments = ["office", action, registration, "--officer", "Tran Thi Mai"]
            output, code = await self._cvan([*arguments, "--reason", words])
            tell.expect(f"Tran Thi Mai, {registration}: {words} ({action}) {output}".rstrip(), code, 0)
        for trader in MANDATED:
            await exchanges.pushed(exchanges.reference(trader), "duty-notice")

    def _registration(self, trader: Partner) -> str:
        pushed = self._exchanges.receiver.of(self._exchanges.reference(trader), "registered")
        return "" if pushed is None else text_of(pushed.body, "Declaration", "ID")

    async def _cvan(self, arguments: list[str]) -> tuple[str, int]:
        command = ["-P", "-m", "gateway.operations.cli", "--home", str(self._town.home), *arguments]
        waiting: Awaitable[tuple[bytes, bytes, int]] = getProcessOutputAndValue(
            sys.executable, command, reactor=self._reactor
        )
        _, errors, code = await waiting
        return (errors.decode().strip() if code else ""), code

    # -- the bank --------------------------------------------------------------------------------------

    async def _payment(self) -> None:
        tell, exchanges = self._tell, self._exchanges
        tell.chapter("A bank posts that the duties were paid")
        payments = tuple(paying for trader in MANDATED if (paying := self._paying(trader)) is not None)
        document = papers.credits(f"N{exchanges.stamp}", payments, BIC, ACCOUNT, now())
        for paying in payments:
            tell.say(f"  {paying.payer} pays {int(paying.amount):,} VND with reference {paying.reference}")
        signed = exchanges.sign(document, BANK)
        receipt = await exchanges.submit(BANK, "payment confirmation", signed)
        tell.expect("The gateway takes the bank's notification", receipt.outcome, "accepted")
        exchanges.prove(receipt.body, receipt.media_type, "The receipt")
        kinds = await exchanges.mailbox(BANK, lambda found: found["payment-matched"] >= len(payments))
        tell.expect("The bank is told that each payment was matched", kinds["payment-matched"], len(MANDATED))
        tell.count("payments matched", kinds["payment-matched"])
        for trader in MANDATED:
            await exchanges.pushed(exchanges.reference(trader), "released", "cleared")
            tell.count("declarations cleared")

    def _paying(self, trader: Partner) -> Paying | None:
        """What the trader's bank pays; None where no duty notice came."""
        notice = self._exchanges.receiver.of(self._exchanges.reference(trader), "duty-notice")
        if notice is None:
            return None
        reference = text_of(notice.body, "Payment", "ReferenceID")
        amount = text_of(notice.body, "Payment", "PaymentAmount")
        return Paying(reference, amount, trader.name, f"{self._exchanges.stamp}-{trader.id}")


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
