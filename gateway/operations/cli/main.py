"""The command's root: where the home is, and what the commands are."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from gateway.operations import home as homes
from gateway.operations import settings
from gateway.operations.cli import (
    agreements,
    archive,
    backup,
    credentials,
    deliveries,
    directories,
    evidence,
    files,
    keys,
    mandates,
    office,
    parties,
    people,
    revocation,
    server,
    signatures,
)
from gateway.operations.cli.say import Trouble, complaint
from gateway.operations.interrupt import INTERRUPTED


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="CVAN_HOME",
    help="The gateway's home folder; or set CVAN_HOME.",
)
@click.version_option(package_name="cvan-gateway", prog_name="cvan")
@click.pass_context
def cvan(context: click.Context, home: Path | None) -> None:
    """Message gateway of a customs value-added network.

    \b
    Try it:             cvan demo
    Check a message:    cvan check manifest.edi
    Keep a server up:   cvan init HOME && cvan --home HOME run
    """
    context.obj = home


for named in (agreements.agree, *credentials.COMMANDS):
    parties.partner.add_command(named)
for room in (
    files,
    keys,
    directories,
    signatures,
    server,
    parties,
    mandates,
    deliveries,
    people,
    office,
    evidence,
    archive,
    backup,
    revocation,
):
    for command in room.COMMANDS:
        cvan.add_command(command)


def main() -> None:
    """Run the command; our own complaints are one line on stderr and exit code 2."""
    try:
        cvan(prog_name="cvan", standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        sys.exit(INTERRUPTED)
    except click.exceptions.Exit as wanted:
        sys.exit(wanted.exit_code)
    except click.ClickException as error:
        if isinstance(error, click.NoSuchOption) and error.option_name == "--home":
            error = click.UsageError("--home stands before the command: cvan --home HOME ...", error.ctx)
        error.show()
        sys.exit(2)
    except BrokenPipeError:
        # Who read our output has had enough; what is still in the buffer must not be written at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(2)
    except (Trouble, settings.BadSettings, homes.NotEmpty, OSError) as error:
        click.echo(f"cvan: {complaint(error)}", err=True)
        sys.exit(2)
