"""Commands that make a home, keep a server up, and show it off."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
from twisted.internet.error import CannotListenError

from adapters.clearance import ConfigBroken, SchemaTooNew
from gateway import transport
from gateway.adapter import BackendUnavailable
from gateway.operations import home as homes
from gateway.operations import logs
from gateway.operations.cli.say import Trouble, as_json, complaint, emit, need_home
from gateway.storage import LedgerError

UNSTARTABLE = (
    ValueError,
    OSError,
    LedgerError,
    ConfigBroken,
    SchemaTooNew,
    BackendUnavailable,
    transport.Unusable,
    CannotListenError,
)
"""What the files of a home, its databases and its ports can do to a gateway that begins."""


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--development/--no-development",
    default=True,
    help="Make a certificate authority and keys for trying out (default), or bring your own.",
)
@as_json
def init(folder: Path, development: bool, in_json: bool) -> None:
    """Make a home in an empty folder: configuration, schemas, mappings, keys.

    \b
    cvan init /var/lib/cvan
    """
    homes.create(folder, development=development)
    lines = [f"{folder}: ready"]
    if development:
        lines.append(
            "keys are from a development authority made just now: for trying out, not for production"
        )
    else:
        lines.append(f"next: cvan --home {folder} keys new --use signing, and --use tls; have them certified")
        lines.append(f"then: authorities of partners into {folder / 'keystore' / 'trust'}")
    lines.append(f"next: cvan --home {folder} run" if development else f"then: cvan --home {folder} run")
    emit(in_json, {"home": str(folder), "development": development}, lines)


@click.command()
@click.option("--door", type=int, hidden=True)
@click.option("--verbose", is_flag=True, help="Log every request.")
@click.pass_context
def run(context: click.Context, door: int | None, verbose: bool) -> None:
    """Keep the gateway up until Ctrl-C or SIGTERM; SIGHUP reloads its knowledge.

    \b
    cvan --home /var/lib/cvan run
    """
    home = need_home(context)
    logs.begin(access=verbose)
    # Imported here: choosing a reactor is for the process that serves.
    from twisted.internet import reactor

    from gateway.operations import processes

    try:
        if door is None:
            processes.supervise(home, reactor)
        else:
            processes.serve_door(home, reactor, door)
    except (*UNSTARTABLE, processes.NotOpened) as error:
        click.echo(f"cvan: the gateway cannot start: {complaint(error)}", err=True)
        # Nothing was taken in yet; threads that were begun before the failure would keep the process.
        os._exit(2)


@click.command()
@click.option(
    "--home",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep everything in this folder; the gateway's home is its folder home.",
)
@as_json
def demo(folder: Path | None, in_json: bool) -> None:
    """A customs day over real TLS sockets: three kinds of partner, every kind of answer.

    \b
    Exit code: 0 only if everything went as it should, to the day's end.
    cvan demo
    cvan demo --home ./demo-home --json
    cvan --home ./demo-home/home evidence make ID -o bundle.zip
    """
    from gateway.operations.demo import Unplayable, play

    try:
        code = play(folder, in_json)
    except Unplayable as error:
        raise Trouble(str(error)) from error
    sys.exit(code)


COMMANDS = (init, run, demo)
