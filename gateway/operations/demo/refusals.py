"""The day's last chapter: mistakes and attacks, and how the gateway refuses each."""

from __future__ import annotations

from gateway.operations.demo import papers
from gateway.operations.demo.exchanges import Exchanges, now
from gateway.operations.demo.papers import BEEF, LAPTOPS, Bill
from gateway.operations.demo.telling import Teller
from gateway.operations.demo.town import AN_PHAT, LINE, Town, expired_key

REFUSED = "attacks and mistakes refused"
BOMB = b'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;">]><d>&b;</d>'


async def told(town: Town, exchanges: Exchanges, tell: Teller) -> None:
    """Everything that is refused, each for its own reason."""
    tell.chapter("What the gateway refuses, and how it says so")
    reference = f"{exchanges.stamp}-TWICE"
    signed = exchanges.sign(exchanges.declaration(AN_PHAT, reference, LAPTOPS), AN_PHAT)
    await _twice(exchanges, tell, reference, signed)
    tampered = signed.replace(b"480000000", b"180000000", 1)
    document = exchanges.declaration(AN_PHAT, f"{reference}-E", LAPTOPS)
    late = exchanges.sign_late(document, expired_key(town.home, AN_PHAT, town.folder(AN_PHAT)))
    for what, body, code in (
        ("A value changed on the way", tampered, "SIG011"),
        ("A certificate that has expired", late, "SIG022"),
        ("An entity bomb, XML that swells when it is read", BOMB, "XML004"),
    ):
        await exchanges.declined(AN_PHAT, what, body, code)
        tell.count(REFUSED)
    await _truncated(exchanges, tell)


async def _twice(exchanges: Exchanges, tell: Teller, reference: str, signed: bytes) -> None:
    """One declaration sent twice has one effect; another one may not take its reference."""
    first = await exchanges.submit(AN_PHAT, "declaration", signed)
    tell.expect("A trader files for itself: accepted", first.outcome, "accepted")
    again = await exchanges.submit(AN_PHAT, "the same again", signed)
    same = (again.repeated, again.body == first.body)
    tell.expect("The same octets again: the same receipt, octet for octet", same, (True, True))
    other = exchanges.sign(exchanges.declaration(AN_PHAT, reference, BEEF), AN_PHAT)
    clash = await exchanges.submit(AN_PHAT, "other content, same reference", other)
    tell.expect("Other content under the same reference: rejected", clash.outcome, "rejected")
    exchanges.expect_code(clash.body, "PAR007")
    tell.count(REFUSED)
    kinds = await exchanges.mailbox(AN_PHAT, lambda found: found["duty-notice"] > 0)
    tell.expect("Of the three, customs registered one declaration", kinds["registered"], 1)
    tell.count("declarations registered", kinds["registered"])


async def _truncated(exchanges: Exchanges, tell: Teller) -> None:
    bill = Bill("EOLUSGN000001", "Furniture parts of wood", 100, 5_000)
    reference = f"T{exchanges.stamp}"
    interchange = papers.manifest(reference, "OCEANLINE", "EOLU", (bill,), now(), whole=False)
    media_type, body = exchanges.seal(interchange, LINE, "application/pkcs7-mime")
    receipt = await exchanges.submit(LINE, "truncated interchange", body, media_type)
    tell.expect("An interchange that was cut off: rejected", receipt.outcome, "rejected")
    content = exchanges.prove(receipt.body, receipt.media_type, "CONTRL")
    tell.expect("CONTRL names UNZ, the last segment, which is missing", b"+4+13+UNZ" in content, True)
    tell.count(REFUSED)
