"""Sets the stage of the demonstration: a town, its gateway, a receiver for pushed messages; then the day."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import click
import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure

from gateway.operations import home as homes
from gateway.operations.demo.telling import Teller
from gateway.operations.demo.town import VAN, Gateway, NotStarted, found
from gateway.operations.interrupt import INTERRUPTED


class Unplayable(Exception):
    """The day could not begin; the text says why."""


def play(folder: Path | None, in_json: bool) -> int:
    """Play the day; 0 where all went as it should, INTERRUPTED where it was stopped before its end.

    ``folder`` keeps the home, else it is removed.  Raises Unplayable.
    """
    from twisted.internet import reactor, task

    teller = Teller(quiet=in_json)
    root = folder or Path(tempfile.mkdtemp(prefix="cvan-demo-"))
    stage = _Stage(root, teller, reactor)
    try:
        task.react(lambda _: stage.begin(), [])
    except SystemExit as ended:
        if ended.code:
            return 1
    finally:
        if folder is None:
            shutil.rmtree(root, ignore_errors=True)
    if stage.trouble:
        raise Unplayable(stage.trouble)
    if in_json:
        click.echo(msgspec.json.format(msgspec.json.encode(teller.value()), indent=2).decode())
    else:
        teller.table()
    if stage.interrupted:
        return INTERRUPTED
    return 0 if teller.passed else 1


class _Stage:
    """One performance.  ``interrupted``: a signal ended it; ``trouble``: why it could not begin."""

    def __init__(self, root: Path, teller: Teller, reactor: Any) -> None:
        self.interrupted = False
        self.trouble = ""
        self._root = root
        self._teller = teller
        self._reactor = reactor

    def begin(self) -> Deferred[None]:
        """The day; fires when it is over and everything is put away, interrupted or not."""
        day = Deferred.fromCoroutine(_play(self._root, self._teller, self._reactor))
        day.addErrback(self._ended)

        def stop() -> Deferred[None]:
            if not day.called:
                self.interrupted = True
                day.cancel()
            return day

        self._reactor.addSystemEventTrigger("before", "shutdown", stop)
        return day

    def _ended(self, failure: Failure) -> Failure | None:
        if isinstance(failure.value, KeyboardInterrupt):
            # Before the reactor ran, and could make an orderly stop of the signal.
            self.interrupted = True
        if self.interrupted:
            return None
        if isinstance(failure.value, homes.NotEmpty | NotStarted):
            self.trouble = str(failure.value)
            return None
        return failure


async def _play(root: Path, teller: Teller, reactor: Any) -> None:
    from gateway.operations.demo.day import Day
    from gateway.operations.demo.receiver import Receiver

    receiver = Receiver(reactor)
    teller.chapter("Morning: the gateway opens")
    town = found(root, receiver.url)
    receiver.open(town.folder(VAN), town.home)
    gateway = Gateway(town.home)
    try:
        address = gateway.wait()
        teller.say(f"the gateway serves at {address}; its home is {town.home}")
        await Day(town, address, receiver, teller, reactor).play()
        teller.ended = True
    finally:
        # In a thread: the gateway closes its connections to us while it stops, and we must answer.
        await deferToThread(gateway.stop)
        await receiver.close()
