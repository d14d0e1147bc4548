"""What one node does for all: had by one at a time, taken over within five seconds of its holder's end."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from datetime import timedelta
from typing import Any

from gateway.delivery.duties import ALL, JOURNAL, LEASE, RENEW_SECONDS, Duties
from gateway.storage import Ledger, LedgerUnavailable
from tests.delivery.fakes import InlineCommits, StillReactor, done
from tests.operations.knowledge import NOW

TAKEN_OVER_SECONDS = 5.0


def test_one_has_it_until_its_end_or_until_it_is_laid_down(ledger: Ledger) -> None:
    short = timedelta(seconds=1)
    assert ledger.serve(["a", "b"], "one", NOW, short) == {"a", "b"}
    assert ledger.serve(["a", "c"], "two", NOW, short) == {"c"}
    assert ledger.serve(["a", "b"], "one", NOW, short) == {"a", "b"}  # kept
    database: Any = ledger._database
    if database.dialect == "postgresql":
        time.sleep(1.1)  # the server's clock counts, whatever ours says
    assert ledger.serve(["a", "b"], "two", NOW + short, short) == {"a", "b"}
    assert ledger.serve(["a", "b"], "one", NOW + short, short) == set()
    ledger.lay_down("two")
    assert ledger.serve(["a", "b", "c"], "one", NOW, short) == {"a", "b", "c"}
    assert ledger.duties() == dict.fromkeys("abc", "one")


def node(ledger: Ledger, reactor: StillReactor, owner: str, **more: Any) -> tuple[Duties, InlineCommits]:
    commits: Any = InlineCommits(ledger)
    return Duties(commits, reactor, reactor.now, owner, **more), commits


def test_who_cannot_renew_ends_before_another_one_may_begin(sqlite_url: str) -> None:
    ledger, reactor = Ledger.open(sqlite_url), StillReactor()
    first, commits = node(ledger, reactor, "first")
    second, _ = node(ledger, reactor, "second")
    done(first.round())
    done(second.round())
    assert [first.on(name) for name in ALL] == [True] * len(ALL)
    assert not any(second.on(name) for name in ALL)
    commits.failing["serve"] = LedgerUnavailable("gone")
    for _ in range(int(LEASE.total_seconds() / RENEW_SECONDS)):
        assert (first.on(JOURNAL), second.on(JOURNAL)) == (True, False)
        reactor.advance(RENEW_SECONDS)
        done(first.round())
        done(second.round())
    assert (first.on(JOURNAL), second.on(JOURNAL)) == (False, True)
    del commits.failing["serve"]
    done(first.round())
    assert not first.on(JOURNAL)
    ledger.close()


def test_who_is_alone_needs_no_rows(sqlite_url: str) -> None:
    ledger = Ledger.open(sqlite_url)
    only, commits = node(ledger, StillReactor(), "only", alone=True)
    only.start()()
    assert only.on(JOURNAL)
    assert commits.called == []
    ledger.close()


NODE = """
import sys, time
from datetime import UTC, datetime
from twisted.internet import reactor
from twisted.internet.task import LoopingCall
from gateway.delivery.duties import JOURNAL, Duties
from gateway.storage import GroupCommit, Ledger

reactor.seconds = time.monotonic
commits = GroupCommit(Ledger.open(sys.argv[1]), reactor)
duties = Duties(commits, reactor, lambda: datetime.now(UTC), sys.argv[2])
duties.start()
told = []

def look():
    if duties.on(JOURNAL) != bool(told):
        told[:] = [] if told else [True]
        print("on" if told else "off", flush=True)

LoopingCall(look).start(0.05)
print("up", flush=True)
reactor.run()
"""


class Node:
    """A process of its own with a reactor, a ledger and duties."""

    def __init__(self, url: str, name: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", NODE, url, name], stdout=subprocess.PIPE, bufsize=0
        )

    def says(self, word: str, seconds: float = 30.0) -> bool:
        """Wait for its next word."""
        stdout: Any = self.process.stdout
        ready, _, _ = select.select([stdout], [], [], seconds)
        return bool(ready) and stdout.readline().decode().strip() == word


def test_a_node_that_is_killed_is_relieved_within_five_seconds(postgres_url: str) -> None:
    nodes = [Node(postgres_url, name) for name in ("one", "two")]
    try:
        assert all(each.says("up") for each in nodes)
        ready, _, _ = select.select([each.process.stdout for each in nodes], [], [], 30.0)
        holder, other = sorted(nodes, key=lambda each: each.process.stdout not in ready)
        assert holder.says("on")
        assert not other.says("on", 1.5)  # one at a time
        os.kill(holder.process.pid, signal.SIGKILL)
        killed = time.monotonic()
        assert other.says("on", TAKEN_OVER_SECONDS)
        assert time.monotonic() - killed < TAKEN_OVER_SECONDS
    finally:
        for each in nodes:
            each.process.kill()
            each.process.wait()
