"""Clients that send each paper until they hold a proven receipt for it, and fetch what is in their mailboxes."""

from __future__ import annotations

import hashlib
import http.client
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gateway.model import Partner
from tests.chaos import proof, wire
from tests.chaos.papers import SENDERS, TRADERS, Desk, Paper
from tests.journeys.plain import Answer, Plain
from tests.journeys.town import LINE, Town

AWAY = (OSError, http.client.HTTPException, ValueError)
LATER = frozenset({429, 500, 503})
"""The gateway says: not now.  A 500 is our fault and is counted, and the sender tries again all the same."""
SLOW = 10.0
"""Seconds from which on an answer is noted for having taken so long."""


@dataclass(frozen=True)
class Held:
    """A receipt that a client holds, proven."""

    paper: Paper
    submission: str
    outcome: str
    receipt: str
    at: float


class Record:
    """What the clients know; threads share it."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], Held] = {}
        self.refused: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.faults: Counter[str] = Counter()
        self.slowest: dict[str, float] = {}
        self.waiting: dict[str, Held] = {}
        self.waits: list[tuple[float, str, str]] = []
        self.fault = ""
        self.lock = threading.Lock()

    def take(self, paper: Paper, answer: Answer, receipt: str) -> None:
        """A receipt came; another one than before for the same octets is wrong."""
        key = (paper.sender.id, paper.digest)
        held = Held(paper, answer.submission, answer.outcome, receipt, time.monotonic())
        with self.lock:
            known = self.held.setdefault(key, held)
            if (known.receipt, known.submission) != (receipt, answer.submission):
                self.wrong.append(f"another receipt for the same octets: {answer.submission}")
            if known is held and answer.outcome == "accepted":
                self.waiting.update((reference, held) for reference in paper.references)
            elif known is held and not paper.amends:
                self.wrong.append(f"a good paper was {answer.outcome}: {answer.submission}")

    def done(self, fault: str, seconds: float) -> None:
        """One fault more of a kind, after which all went on within so many seconds."""
        with self.lock:
            self.faults[fault] += 1
            self.slowest[fault] = max(seconds, self.slowest.get(fault, 0.0))

    def unsettled(self, before: float) -> list[str]:
        """References acknowledged before a time and not known to be registered."""
        with self.lock:
            return [reference for reference, held in self.waiting.items() if held.at <= before]

    def settled(self, references: set[str]) -> None:
        with self.lock:
            for reference in references:
                self.waiting.pop(reference, None)

    def slow(self, what: str, seconds: float) -> None:
        """An answer, or that none came, that took long: what the sender sees of a fault."""
        if seconds > SLOW:
            with self.lock:
                self.waits.append((round(seconds, 1), what, self.fault))

    def problem(self, text: str) -> None:
        with self.lock:
            self.wrong.append(text)


class Partners:
    """Their connections.  ``ports``: where the nodes are."""

    def __init__(self, town: Town, ports: Sequence[int]) -> None:
        self.town = town
        self.ports = tuple(ports)
        self._tls = {p.id: wire.context(town.anchor, town.folder(p)) for p in SENDERS}

    def client(self, partner: Partner, chance: random.Random) -> Plain:
        """A client that takes another node for each connection."""
        return Plain(lambda: chance.choice(self.ports), self.town.anchor, self.town.folder(partner))

    def at(self, port: int, partner: Partner) -> Plain:
        """A client of one node."""
        return Plain(lambda: port, self.town.anchor, self.town.folder(partner))

    def tls(self, partner: Partner) -> Any:
        return self._tls[partner.id]


class Sender(threading.Thread):
    """One client system that sends for all partners, one paper after the other, and makes cheap faults."""

    def __init__(
        self, number: int, seed: int, desk: Desk, partners: Partners, record: Record, cheap: deque[str]
    ) -> None:
        super().__init__(name=f"sender {number}", daemon=True)
        self.over = threading.Event()
        self.pause = 0.0
        self._chance = random.Random(seed * 1_000 + number)
        self._desk, self._partners, self._record, self._cheap = desk, partners, record, cheap
        self._clients = {p.id: partners.client(p, self._chance) for p in SENDERS}
        self._dutiable: deque[tuple[Paper, Held]] = deque(maxlen=40)
        self._faults: dict[str, Callable[[], None]] = {
            "request cut": self._cut_request,
            "response cut": self._cut_response,
            "duplicates at once": self._duplicates,
            "out of order": self._out_of_order,
        }

    def run(self) -> None:
        while not self.over.is_set():
            fault = ""
            with suppress(IndexError):
                fault = self._cheap.popleft()
            if fault:
                began = time.monotonic()
                self._faults[fault]()
                self._record.done(fault, time.monotonic() - began)
            else:
                self.send(self._desk.any(self._chance))
            self.over.wait(self._chance.uniform(0, 2 * self.pause))

    def send(self, paper: Paper) -> None:
        """Until it is acknowledged, by a gateway that is there or will be."""
        until_held(self._clients[paper.sender.id], paper, self._partners, self._record, self._chance)

    # -- faults that a client makes -------------------------------------------------------------------

    def _cut_request(self) -> None:
        paper, share = self._desk.any(self._chance), self._chance.random()
        port = self._chance.choice(self._partners.ports)
        with suppress(*AWAY):
            wire.cut_request(self._partners.tls(paper.sender), port, paper.body, paper.media_type, share)
        self.send(paper)

    def _cut_response(self) -> None:
        paper, octets = self._desk.any(self._chance), self._chance.choice((0, 0, 1, 200, 2_000))
        port = self._chance.choice(self._partners.ports)
        with suppress(*AWAY):
            wire.cut_response(self._partners.tls(paper.sender), port, paper.body, paper.media_type, octets)
        self.send(paper)

    def _duplicates(self) -> None:
        paper = self._desk.any(self._chance)
        self._together([paper] * self._chance.randint(2, 5))

    def _out_of_order(self) -> None:
        """Replacements of one declaration, two at once and the late octets of the original among them; and
        one whose original is not there yet."""
        while self._dutiable:
            paper, held = self._dutiable.popleft()
            registration = self._registration(paper, held)
            if registration:
                late = [self._desk.replacement(registration) for _ in range(2)] + [paper]
                self._chance.shuffle(late)
                self._together(late)
                break
        original = self._desk.dutiable()
        early = self._desk.replacement("")
        self._together([early, original])
        held_now = self._record.held[original.sender.id, original.digest]
        self._dutiable.append((original, held_now))

    def _registration(self, paper: Paper, held: Held) -> str:
        with suppress(*AWAY, KeyError):
            told = self._clients[paper.sender.id].status(held.submission)
            if told.status == 200:
                return str(told.json()["messages"][0]["registration"])
        return ""

    def _together(self, papers: list[Paper]) -> None:
        """From as many connections at the same moment."""
        gate = threading.Barrier(len(papers))
        seeds = [self._chance.random() for _ in papers]

        def one(paper: Paper, seed: float) -> None:
            chance = random.Random(seed)
            client = self._partners.client(paper.sender, chance)
            gate.wait()
            until_held(client, paper, self._partners, self._record, chance)
            client.close()

        threads = [
            threading.Thread(target=one, args=pair, daemon=True) for pair in zip(papers, seeds, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def until_held(
    client: Plain, paper: Paper, partners: Partners, record: Record, chance: random.Random
) -> None:
    """Send until there is a proven receipt."""
    while not attempt(client, paper, partners, record):
        time.sleep(chance.uniform(0.05, 0.25))


def attempt(client: Plain, paper: Paper, partners: Partners, record: Record) -> bool:
    """Send once.  True where a proven receipt came, or one will never come."""
    began = time.monotonic()
    try:
        answer = client.submit(paper.body, paper.media_type)
    except AWAY as away:
        record.slow(f"{type(away).__name__}: {away}", time.monotonic() - began)
        return False
    connecting = f", {client.connecting:.1f} s of it to connect" if client.connecting else ""
    record.slow(f"{answer.status} for {len(paper.body)} octets{connecting}", time.monotonic() - began)
    if answer.status in LATER:
        with record.lock:
            record.refused[str(answer.status)] += 1
        return False
    if answer.status != 200:
        record.problem(f"{answer.status} for a good paper: {answer.body[:300]!r}")
        return True
    if not proof.proven(answer.body, answer.media_type, partners.town.anchor):
        record.problem(f"a receipt that does not verify: {answer.submission}")
        return True
    record.take(paper, answer, hashlib.sha256(answer.body).hexdigest())
    return True


class Mailbox(threading.Thread):
    """One partner's own system: fetches what is in the mailbox, keeps it, acknowledges it."""

    PAGE = 100

    def __init__(self, partner: Partner, seed: int, partners: Partners, record: Record) -> None:
        super().__init__(name=f"mailbox of {partner.id}", daemon=True)
        self.over = threading.Event()
        self.partner = partner
        self.entries: dict[str, dict[str, Any]] = {}
        self._record = record
        self._client = partners.client(partner, random.Random(seed))

    def run(self) -> None:
        while not self.over.is_set():
            try:
                found = self.round()
            except AWAY:
                found = 0
            self.over.wait(0.05 if found == self.PAGE else 0.5)

    def round(self) -> int:
        """Fetch a page of what waits; how much there was.  Raises one of AWAY."""
        page = self._client.mailbox(limit=self.PAGE)
        if page.status != 200:
            return 0
        entries = page.json()["entries"]
        kept = [entry["id"] for entry in entries if self._keep(entry)]
        if kept:
            self._client.acknowledge(kept)
        return len(entries)

    def _keep(self, entry: dict[str, Any]) -> bool:
        fetched = self._client.fetch(entry["id"])
        if fetched.status != 200:
            return False
        digest = hashlib.sha256(fetched.body).hexdigest()
        known = self.entries.setdefault(entry["id"], {**entry, "digest": digest})
        if known["digest"] != digest:
            self._record.problem(f"mailbox entry {entry['id']} changed its content")
        return True


def mailboxes(seed: int, partners: Partners, record: Record) -> list[Mailbox]:
    """Of everybody who is not pushed to."""
    return [Mailbox(p, seed + n, partners, record) for n, p in enumerate((*TRADERS, LINE))]
