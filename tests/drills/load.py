"""Load for the drills that put away and bring back: traders that declare until they are told to end, and
know what they hold receipts for."""

from __future__ import annotations

import hashlib
import http.client
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from gateway.model import Partner
from tests.chaos.databases import Books
from tests.chaos.papers import TRADERS, Desk
from tests.journeys.plain import Answer, Plain
from tests.journeys.process import Process
from tests.journeys.town import Town

AWAY = (OSError, http.client.HTTPException, ValueError)
REST = 0.15
"""Seconds that a trader rests between two declarations."""


@dataclass(frozen=True)
class Held:
    """A receipt: for which octets, of whom, and when they were sent and answered (seconds since 1970)."""

    partner: Partner
    body: bytes
    reference: str
    submission: str
    receipt: str
    sent: float
    answered: float


class Load:
    """Traders at a gateway, one thread each."""

    def __init__(self, town: Town, gateway: Process) -> None:
        self.held: list[Held] = []
        self.slowest = 0.0
        self._town, self._gateway = town, gateway
        self._desk = Desk(town)
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(p,), daemon=True) for p in TRADERS]

    def begin(self) -> None:
        """Every trader begins."""
        for thread in self._threads:
            thread.start()

    def until(self, count: int, seconds: float = 60.0) -> None:
        """Returns when so many more receipts are held than now."""
        wanted, end = len(self.held) + count, time.monotonic() + seconds
        while len(self.held) < wanted:
            assert time.monotonic() < end, self._gateway.log()[-2000:]
            time.sleep(0.02)

    def end(self) -> None:
        """No more is sent; what is under way is waited for."""
        self._over.set()
        for thread in self._threads:
            thread.join(60)

    def _run(self, partner: Partner) -> None:
        client = plain(self._town, partner, self._gateway)
        while not self._over.is_set():
            paper = self._desk.small(partner)
            sent = time.time()
            try:
                answer = client.submit(paper.body)
            except AWAY:
                self._over.wait(REST)
                continue
            if answer.status == 200:
                now = time.time()
                self.slowest = max(self.slowest, now - sent)
                self.held.append(
                    Held(
                        partner,
                        paper.body,
                        paper.references[0],
                        answer.submission,
                        _digest(answer),
                        sent,
                        now,
                    )
                )
            self._over.wait(REST)
        client.close()


def plain(town: Town, partner: Partner, gateway: Process) -> Plain:
    """The partner's client of a gateway."""
    return Plain(lambda: gateway.port, town.anchor, town.folder(partner))


@dataclass(frozen=True)
class Resent:
    """What came of sending everything again: known with the first receipt, taken as new, and what is wrong."""

    known: int
    fresh: int
    wrong: tuple[str, ...]


def resend(town: Town, gateway: Process, held: list[Held]) -> Resent:
    """Everybody sends again whatever they hold a receipt for."""
    known, fresh, wrong = 0, 0, []
    clients = {p.id: plain(town, p, gateway) for p in TRADERS}
    for one in held:
        answer = clients[one.partner.id].submit(one.body)
        if answer.status != 200 or answer.outcome != "accepted":
            wrong.append(f"{one.submission}: {answer.status} {answer.body[:200]!r}")
        elif not answer.repeated:
            fresh += 1
        elif (answer.submission, _digest(answer)) == (one.submission, one.receipt):
            known += 1
        else:
            wrong.append(f"{one.submission}: another receipt")
    return Resent(known, fresh, tuple(wrong))


def await_registered(books: Books, held: list[Held], seconds: float = 90.0) -> None:
    """Returns when every declaration has its one registration and its sender was told; fails where not."""
    wanted, end = {one.reference for one in held}, time.monotonic() + seconds
    while missing := wanted - books.registered(wanted):
        assert time.monotonic() < end, f"not registered: {sorted(missing)[:5]} of {len(missing)}"
        time.sleep(0.2)
    cases = books.ask(books.office, "select lrn from clearance_case")
    assert len(cases) == len(set(cases)), "registered twice"


def stored(books: Books) -> set[str]:
    """Ids of all submissions in a ledger."""
    return {row[0] for row in books.ask(books.ledger, "select id from submission")}


def pointed(home: Path, old: str, new: str) -> None:
    """The home's settings name another server."""
    path = home / "conf" / "gateway.toml"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def checkpoints_often(home: Path) -> None:
    """Each second, so that there are some within a drill; and doors on ports that are free."""
    path = home / "conf" / "gateway.toml"
    text = path.read_text("utf-8")
    head, mark, journal = text.partition("[journal]")
    journal = journal.replace("seconds = 60", "seconds = 1", 1)
    path.write_text(head + mark + journal, "utf-8")


def _digest(answer: Answer) -> str:
    return hashlib.sha256(answer.body).hexdigest()
