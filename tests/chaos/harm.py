"""The slow faults: each done to the stage, waited for, and mended; the recovery is timed from its end."""

from __future__ import annotations

import os
import random
import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psycopg

from bench import cpu
from tests.chaos.clients import AWAY, Partners, Record, attempt, until_held
from tests.chaos.databases import AWAY as BOOKS_AWAY
from tests.chaos.kinds import Kind
from tests.chaos.node import Node, NotBegun
from tests.chaos.papers import Desk, Paper
from tests.chaos.spoiling import FULL, NONE, READ_ONLY, power_cut
from tests.chaos.stage import Stage, kill
from tests.journeys.plain import Plain
from tests.journeys.town import AN_PHAT, BINH_MINH, DAI_NAM
from tests.sqlite import sqlite3

HOLD = (1.0, 3.0)
"""Seconds that a fault lasts which has a length."""
JUMPS = (60, 3_600, 3 * 3_600)
"""Seconds that the clock goes ahead, and back again later."""
ADDRESS_SPACE = 16 * 1024 * 1024
"""Octets that a worker may still take when its memory is bounded."""
POISONED = 4
"""Times that it is sent at least: three workers end, then it is refused."""
CORES = frozenset(os.sched_getaffinity(0))
POISON = b"POISON-THAT-KILLS-ITS-WORKER"


class Harm:
    """Does slow faults, one at a time."""

    def __init__(
        self,
        stage: Stage,
        desk: Desk,
        partners: Partners,
        record: Record,
        chance: random.Random,
        patience: float,
    ) -> None:
        """``patience``: seconds after which a recovery is no recovery."""
        self.patience = patience
        self.under_way: int | None = None
        """Acknowledged before the last fault and not registered when the next receipt came."""
        self.beside = ""
        """What there was to do until all went on after the last fault, and with how much of the machine."""
        self._stage, self._desk, self._partners, self._record = stage, desk, partners, record
        self._chance = chance
        self._ways: dict[str, Callable[[], float]] = {
            "node killed": self._node,
            "supervisor killed": self._supervisor,
            "door killed": self._door,
            "worker killed": self._worker,
            "worker without memory": self._memory,
            "poison message": self._poisoned,
            "database killed": self._database,
            "power cut": self._power,
            "disk full": lambda: self._disk(FULL),
            "disk read-only": lambda: self._disk(READ_ONLY),
            "database read-only": self._read_only,
            "database locked": self._locked,
            "clock jump": self._clock,
            "node stopped for a while": self._halted,
        }

    def do(self, kind: Kind) -> tuple[float, float]:
        """One fault; (seconds to the next receipt, from there to the last registration of what was
        acknowledged before)."""
        self._again: threading.Thread | None = None
        ended = self._ways[kind.name]()
        idle, self.under_way = cpu.idle(CORES), None
        self._heard(kind)
        heard = time.monotonic()
        self._carried(ended)
        carried = time.monotonic()
        spare = (cpu.idle(CORES) - idle) / max(0.01, carried - ended) / len(CORES)
        self.beside = f"{self.under_way} were under way, the machine had {min(1.0, spare):.0%} to spare"
        if self._again is not None:
            self._again.join()
        self._whole()
        return heard - ended, carried - (ended if self._spared(kind) else heard)

    def _spared(self, kind: Kind) -> bool:
        """True where another node stands by, and has to take over at once."""
        return kind.elsewhere and len(self._stage.nodes) > 1

    def _begin_again(self, node: Node) -> None:
        """Meanwhile another node may answer."""

        def begin() -> None:
            try:
                node.start()
            except NotBegun as error:
                self._record.problem(f"a node did not begin again: {error}")

        self._again = threading.Thread(target=begin, daemon=True)
        self._again.start()

    # -- recovery -------------------------------------------------------------------------------------

    def _heard(self, kind: Kind) -> None:
        """Return at the first receipt of a new paper over a new connection, from whichever node."""
        large = kind.name.startswith(("worker", "poison"))
        heard, tries = threading.Event(), []
        for node in self._stage.nodes:
            paper = self._desk.large(DAI_NAM) if large else self._desk.small()
            tries.append(threading.Thread(target=self._ask, args=(node, paper, heard), daemon=True))
            tries[-1].start()
        if not heard.wait(self.patience):
            self._record.problem(f"{kind.name}: no receipt for {self.patience:.0f} s")
            heard.set()
            self._mend()

    def _whole(self) -> None:
        """Return when every node answers: the next fault finds nothing of this one."""
        for node in self._stage.nodes:
            paper, client = self._desk.small(), self._partners.at(node.port, BINH_MINH)
            until_held(client, paper, self._partners, self._record, self._chance)
            client.close()

    def _ask(self, node: Node, paper: Paper, heard: threading.Event) -> None:
        """Of one node, until some node has given a receipt."""
        while not heard.is_set():
            client = self._partners.at(node.port, paper.sender)
            if attempt(client, paper, self._partners, self._record):
                heard.set()
            client.close()
            heard.wait(0.05)

    def _carried(self, ended: float) -> None:
        """Return when all that was acknowledged before is registered and its senders told."""
        end = time.monotonic() + self.patience
        while time.monotonic() < end:
            with suppress(*BOOKS_AWAY):
                self._record.settled(self._stage.books.registered(self._record.unsettled(ended)))
                if self.under_way is None:
                    self.under_way = len(self._record.unsettled(ended))
            if not self._record.unsettled(ended):
                return
            time.sleep(0.1)
        left = self._record.unsettled(ended)
        self._record.problem(f"{len(left)} not registered for {self.patience:.0f} s, as {left[0]}")
        self._record.settled(set(left))  # said once; the count at the end says what became of them

    def _mend(self) -> None:
        for node in self._stage.nodes:
            node.sweep()
            node.start()

    # -- processes ------------------------------------------------------------------------------------

    def _node(self) -> float:
        node = self._chance.choice(self._stage.nodes)
        kill(node.group())
        ended = time.monotonic()
        node.kill()
        self._begin_again(node)
        return ended

    def _supervisor(self) -> float:
        node = self._chance.choice(self._stage.nodes)
        node.kill()
        ended = time.monotonic()
        self._begin_again(node)
        return ended

    def _door(self) -> float:
        doors = self._chance.choice(self._stage.nodes).doors()
        kill(self._chance.sample(doors, self._chance.randint(1, len(doors))) if doors else [])
        return time.monotonic()

    def _worker(self) -> float:
        """While it is at something, if chance will have it: a large paper is sent at the same moment."""
        at_work = self._in_background()
        time.sleep(self._chance.uniform(0, 0.1))
        node = self._chance.choice(self._stage.nodes)
        kill(node.workers()[:1])
        ended = time.monotonic()
        at_work.join(self.patience)
        return ended

    def _memory(self) -> float:
        """A worker may take hardly more memory than it has, while it gets a large paper."""
        bounded = [pid for node in self._stage.nodes for pid in node.workers()]
        for pid in bounded:
            with suppress(OSError, ValueError):
                _bound(pid)
        at_work = self._in_background()
        time.sleep(self._chance.uniform(*HOLD))
        kill(bounded)  # as the kernel would in the end, if it still lives
        ended = time.monotonic()
        at_work.join(self.patience)
        return ended

    def _poisoned(self) -> float:
        """A message that kills whatever worker takes it, sent until it is set aside; others' large ones
        meanwhile."""
        node = self._chance.choice(self._stage.nodes)
        paper, client = self._desk.large(AN_PHAT, POISON), self._partners.at(node.port, AN_PHAT)
        at_work = self._in_background()
        heard = [self._said(client, paper) for _ in range(POISONED)]
        while 422 not in heard and len(heard) < 3 * POISONED:
            heard.append(self._said(client, paper))
        ended = time.monotonic()
        client.close()
        at_work.join(self.patience)
        if heard[-1] != 422 or not (node.home / "aside" / paper.digest).exists():
            self._record.problem(f"a message that kills its worker was not set aside: {heard}")
        return ended

    def _said(self, client: Plain, paper: Paper) -> int:
        try:
            return client.submit(paper.body, paper.media_type).status
        except AWAY:
            return 0

    def _halted(self) -> float:
        node = self._chance.choice(self._stage.nodes)
        node.halt()
        time.sleep(self._chance.uniform(*HOLD))
        node.go_on()
        return time.monotonic()

    def _in_background(self) -> threading.Thread:
        """A large paper of somebody else's, sent until it is acknowledged."""
        paper, chance = self._desk.large(BINH_MINH), random.Random(self._chance.random())
        client = self._partners.client(BINH_MINH, chance)
        done = threading.Thread(
            target=until_held, args=(client, paper, self._partners, self._record, chance), daemon=True
        )
        done.start()
        return done

    # -- what they stand on ---------------------------------------------------------------------------

    def _database(self) -> float:
        server = self._stage.server
        assert server is not None
        server.kill()
        time.sleep(self._chance.uniform(0, HOLD[1]))
        server.again()
        return time.monotonic()

    def _power(self) -> float:
        """Everything ends at once, and the disk has only what was synchronised."""
        (node,) = self._stage.nodes
        node.halt()  # so that no process writes after another has ended
        kill(node.group())
        ended = time.monotonic()
        node.kill()
        while node.group():
            time.sleep(0.01)
        power_cut(node.home)
        self._begin_again(node)
        return ended

    def _disk(self, mode: int) -> float:
        self._stage.spoiler.disk(mode)
        time.sleep(self._chance.uniform(*HOLD))
        self._stage.spoiler.disk(NONE)
        server = self._stage.server
        if server is not None and not _serves(server):
            server.again()  # it ends where it cannot write; whoever made room begins it again
        return time.monotonic()

    def _read_only(self) -> float:
        server = self._stage.server
        assert server is not None
        server.read_only(True)
        time.sleep(self._chance.uniform(*HOLD))
        server.read_only(False)
        return time.monotonic()

    def _locked(self) -> float:
        which = self._chance.choice(("ledger", "office"))
        with suppress(*BOOKS_AWAY), locked(self._stage, which):
            time.sleep(self._chance.uniform(*HOLD))
        return time.monotonic()

    def _clock(self) -> float:
        self._stage.spoiler.clock(self._chance.choice(JUMPS))
        time.sleep(self._chance.uniform(*HOLD))
        self._stage.spoiler.clock(0)
        return time.monotonic()


def _bound(pid: int) -> None:
    with open(f"/proc/{pid}/statm") as statm:
        pages = int(statm.read().split()[0])
    octets = pages * os.sysconf("SC_PAGE_SIZE") + ADDRESS_SPACE
    resource.prlimit(pid, resource.RLIMIT_AS, (octets, resource.RLIM_INFINITY))


def _serves(server: object) -> bool:
    time.sleep(0.5)  # it may be ending
    return bool(server.runs())  # type: ignore[attr-defined]


@contextmanager
def locked(stage: Stage, which: str) -> Iterator[None]:
    """Somebody else holds a database: all of a file, or the tables that everything is written to."""
    if stage.server is None:
        url = stage.town.ledger_url if which == "ledger" else stage.town.clearance_url
        held = sqlite3.connect(
            f"file:{url.removeprefix('sqlite:///')}?mode=rw", uri=True, isolation_level=None
        )
        try:
            held.execute("PRAGMA busy_timeout=5000")
            held.execute("BEGIN IMMEDIATE")
            yield
            held.execute("ROLLBACK")
        finally:
            held.close()
        return
    table = "submission" if which == "ledger" else "clearance_counter"
    with psycopg.connect(stage.town.ledger_url.replace("+psycopg", "")) as locked:
        locked.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
        yield
        locked.rollback()
