"""What the clients send: declarations, manifests, large ones, replacements; signed as each is made."""

from __future__ import annotations

import hashlib
import random
import threading
from dataclasses import dataclass, field, replace

from gateway.model import Partner
from tests.journeys.town import AN_PHAT, BEEF, BINH_MINH, BOOKS, CUU_LONG, DAI_NAM, LAPTOPS, LINE, VAN, Town

TRADERS = (AN_PHAT, BINH_MINH, CUU_LONG, DAI_NAM)
BY_VAN = (BINH_MINH, CUU_LONG)
SENDERS = (*TRADERS, LINE, VAN)
MANIFESTS, LARGE_ONES, BY_THE_VAN = 0.08, 0.05, 0.22
"""Shares of what a day brings; the rest are traders' own declarations."""
LARGE = 100_000
"""Octets of blanks that make a declaration one for a worker process."""
REASON = b"<AdditionalInformation><StatementDescription>Counted again</StatementDescription></AdditionalInformation>"


@dataclass(frozen=True)
class Paper:
    """One submission.  ``references``: the declarants', each to be registered once; of a replacement none."""

    sender: Partner
    body: bytes
    media_type: str
    references: tuple[str, ...]
    messages: int = 1
    amends: bool = False
    digest: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not self.digest:
            object.__setattr__(self, "digest", hashlib.sha256(self.body).hexdigest())

    def slip(self) -> Paper:
        """All but its octets: what is enough to count it by."""
        return replace(self, body=b"")


class Desk:
    """Makes papers; threads may share it.  ``large``: the share of large ones."""

    def __init__(self, town: Town, large: float = LARGE_ONES) -> None:
        self._town = town
        self._large = large
        self._lock = threading.Lock()

    def any(self, chance: random.Random) -> Paper:
        """As a day brings them."""
        dice = chance.random()
        if dice < MANIFESTS:
            return self.manifest(chance.randint(1, 3))
        dice -= MANIFESTS
        if dice < self._large:
            return self.large(chance.choice(TRADERS))
        goods = chance.choice((LAPTOPS, BEEF, BOOKS, BOOKS))
        dice -= self._large
        if dice < BY_THE_VAN:
            trader = chance.choice(BY_VAN)
            return self._xml(VAN, trader, self._declared(trader, goods))
        trader = chance.choice(TRADERS)
        return self._xml(trader, trader, self._declared(trader, goods))

    def small(self, trader: Partner = BINH_MINH) -> Paper:
        """Free of duty: the quickest."""
        return self._xml(trader, trader, self._declared(trader, BOOKS))

    def dutiable(self) -> Paper:
        """One that waits for its duty, and may be replaced meanwhile."""
        return self._xml(BINH_MINH, BINH_MINH, self._declared(BINH_MINH, LAPTOPS))

    def large(self, trader: Partner, mark: bytes = b"") -> Paper:
        """One that a worker judges; ``mark``: a name that stands in it."""
        reference, document = self._declared(trader, BOOKS)
        if mark:
            document = document.replace(b"Pearl River Trading Co.", mark)
        padded = document.replace(b"<GoodsShipment>", b"<GoodsShipment>" + b" " * LARGE)
        return self._xml(trader, trader, (reference, padded))

    def replacement(self, registration: str) -> Paper:
        """Of a dutiable one, whole."""
        with self._lock:
            reference = self._town.reference()
        document = self._town.declaration(BINH_MINH, BEEF, reference, "5", registration)
        place = b"<BorderTransportMeans>"
        made = self._xml(BINH_MINH, BINH_MINH, (reference, document.replace(place, REASON + place)))
        return Paper(made.sender, made.body, made.media_type, (), amends=True)

    def manifest(self, count: int) -> Paper:
        """A message for each bill of lading."""
        with self._lock:
            bills = [self._town.bill() for _ in range(count)]
            reference = self._town.reference()
        body, media_type = self._town.sealed(self._town.manifest(bills, reference))
        return Paper(LINE, body, media_type, tuple(bill.number for bill in bills), count)

    def _declared(self, trader: Partner, goods: object) -> tuple[str, bytes]:
        with self._lock:
            reference = self._town.reference()
        return reference, self._town.declaration(trader, goods, reference)  # type: ignore[arg-type]

    def _xml(self, sender: Partner, signer: Partner, declared: tuple[str, bytes]) -> Paper:
        reference, document = declared
        return Paper(sender, self._town.sign(document, signer), "application/xml", (reference,))
