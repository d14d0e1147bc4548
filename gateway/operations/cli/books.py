"""The home's ledger, for a command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from gateway.model import Partner
from gateway.operations import settings
from gateway.operations.cli.say import Trouble, need_home
from gateway.storage import Ledger, LedgerError, LedgerUnavailable


@contextmanager
def ledger(context: click.Context) -> Iterator[Ledger]:
    """The home's ledger, made where it does not exist yet.  Raises Trouble where it cannot be used."""
    home = need_home(context)
    url = settings.database_url(home, settings.load(home).database.ledger)
    try:
        books = Ledger.open(url, create=True)
    except (LedgerError, LedgerUnavailable, ValueError) as error:
        raise Trouble(f"the ledger{_file(url)} cannot be opened: {error}") from error
    try:
        yield books
    except LedgerUnavailable as error:
        raise Trouble(f"the ledger is away: {error}") from error
    except LedgerError as error:
        raise Trouble(str(error)) from error
    finally:
        books.close()


def _file(url: str) -> str:
    """Which file it is; a server's answer names itself."""
    return f" {url.removeprefix('sqlite:///')}" if url.startswith("sqlite:///") else ""


def registered(books: Ledger, identity: str) -> Partner:
    """The partner of that id.  Raises Trouble where there is none."""
    found = books.partner(identity)
    if found is None:
        raise Trouble(f"no partner {identity}; `cvan partner list` shows all")
    return found
