"""Read by every interpreter that a chaotic launch begins: plants the faults that no signal can bring about.

``CVAN_CHAOS_PLANT``: words apart by commas.  ``poison``: a worker dies over a message that holds POISON.
``fatal``: whichever process judges one that holds FATAL dies, one that holds ENDLESS never comes to an end with it, and
one that holds TOLD says what it is.
``reversed``: the gateway answers before it commits, which is what the harness is to find out.  ``leak``: a door keeps
something for each message, which is what a soak is to find out.
"""

import multiprocessing
import os
import signal
import sys
from importlib.abc import MetaPathFinder
from itertools import repeat

POISON = b"POISON-THAT-KILLS-ITS-WORKER"
LATE = 0.4
"""Seconds between answer and commit, where the order is reversed."""


def poison(inbound):
    """A worker dies as by a fault in native code; a door would not live through it either, so only there."""
    judging = inbound.inspecting

    def inspecting(submission, *more):
        if POISON in submission.body and multiprocessing.parent_process() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        return judging(submission, *more)

    inbound.inspecting = inspecting


FATAL = b"POISON-THAT-KILLS-WHOEVER-JUDGES-IT"
ENDLESS = b"POISON-THAT-IS-JUDGED-FOR-EVER"
TOLD = b"WHO-JUDGES-THIS-SAYS-SO"


def fatal(inbound):
    """Whoever judges it dies as by a fault in native code."""
    judging = inbound.inspecting

    def inspecting(submission, *more):
        worker = multiprocessing.parent_process() is not None
        if TOLD in submission.body:
            os.write(2, b"a worker judges it\n" if worker else b"a door judges it\n")
        if FATAL in submission.body:
            os.write(2, b"a worker dies of it\n" if worker else b"a door dies of it\n")
            os.kill(os.getpid(), signal.SIGKILL)
        if ENDLESS in submission.body:
            sum(repeat(0))  # in C, holding the interpreter's lock: no other thread of it runs any more
        return judging(submission, *more)

    inbound.inspecting = inspecting


def reverse(groupcommit):
    """Answer, then commit."""
    from twisted.internet.defer import succeed

    from gateway.model import Answer

    settle = groupcommit.GroupCommit.settle

    def speak(self, settlement):
        def commit():
            settle(self, settlement).addErrback(lambda _: None)

        self._reactor.callLater(LATE, commit)
        given = Answer(settlement.submission.id, settlement.verdict.outcome, settlement.receipt)
        return succeed(given)

    groupcommit.GroupCommit.settle = speak


LEAKED = 1_000_000
"""Octets of each message."""


def leak(groupcommit):
    """Keep something of each message."""
    settle, kept = groupcommit.GroupCommit.settle, []

    def keep(self, settlement):
        kept.append(b"x" * LEAKED)
        return settle(self, settlement)

    groupcommit.GroupCommit.settle = keep


PLANTS = {
    "fatal": ("gateway.inbound", fatal),
    "leak": ("gateway.storage.groupcommit", leak),
    "poison": ("gateway.inbound", poison),
    "reversed": ("gateway.storage.groupcommit", reverse),
}


class Planter(MetaPathFinder):
    """Waits for the modules that are to be changed, and changes them once they are there."""

    def __init__(self, wanted):
        self.wanted = dict(wanted)

    def find_spec(self, name, path=None, target=None):
        change = self.wanted.pop(name, None)
        if change is None:
            return None
        from importlib.util import find_spec

        spec = find_spec(name)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            change(module)

        spec.loader.exec_module = exec_module
        return spec


chosen = [PLANTS[word] for word in os.environ.get("CVAN_CHAOS_PLANT", "").split(",") if word]
if chosen:
    sys.meta_path.insert(0, Planter(chosen))
