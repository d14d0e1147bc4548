"""Sets the stage of the demonstration: a town, its gateway, a receiver for pushed messages; then the day."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet.threads import deferToThread

from gateway.operations.demo.telling import Teller
from gateway.operations.demo.town import VAN, Gateway, found


def play(folder: Path | None, in_json: bool) -> int:
    """Play the day; 0 where all went as it should.  ``folder`` keeps the home, else it is removed."""
    from twisted.internet import reactor, task
    from twisted.internet.defer import Deferred

    teller = Teller(quiet=in_json)
    root = folder or Path(tempfile.mkdtemp(prefix="cvan-demo-"))
    try:
        task.react(lambda r: Deferred.fromCoroutine(_play(root, teller, reactor)), [])
    except SystemExit as ended:
        if ended.code:
            return 1
    finally:
        if folder is None:
            shutil.rmtree(root, ignore_errors=True)
    if in_json:
        import click

        click.echo(msgspec.json.format(msgspec.json.encode(teller.value()), indent=2).decode())
    else:
        teller.table()
    return 1 if teller.failures else 0


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
    finally:
        # In a thread: the gateway closes its connections to us while it stops, and we must answer.
        await deferToThread(gateway.stop)
        await receiver.close()
