"""The desk as commands on deliveries use it: over a home's ledger, with who acts and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from getpass import getuser
from typing import Any, TypeVar

import click

from gateway import transport
from gateway.handbook import Handbook
from gateway.model import Catalogue
from gateway.model.finding import load_catalogue
from gateway.operations import knowledge
from gateway.operations.cli.books import ledger
from gateway.operations.cli.say import Trouble, need_home
from gateway.operations.desk import Desk
from gateway.operations.server import BACKEND
from gateway.storage import Ledger
from gateway.transport.desk import EVERYTHING, Actor

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


def accounted(*, why_required: bool) -> Callable[[F], F]:
    """Add who acts and why, as the journal keeps it."""

    def add(command: F) -> F:
        text = "Why; journalled."
        optional = click.option("--reason", default="", help=text)
        why = click.option("--reason", required=True, help=text) if why_required else optional
        who = click.option("--by", "officer", default=getuser, help="Who acts; else the login's name.")
        return why(who(command))

    return add


@contextmanager
def desk_of(context: click.Context) -> Iterator[tuple[Desk, Ledger]]:
    """The desk over the home's ledger; its refusals become Trouble, in words."""
    home = need_home(context)
    with ledger(context) as books:
        read: list[Handbook] = []

        def handbook() -> Handbook:
            if not read:  # reading it takes a second, which looking at deliveries need not
                try:
                    read.append(knowledge.of_home(home, books))
                except ValueError as error:
                    raise Trouble(str(error)) from error
            return read[0]

        try:
            yield Desk(books, handbook, lambda: datetime.now(UTC), BACKEND), books
        except transport.Refusal as refused:
            catalogue = load_catalogue(home / "mappings" / "findings")
            raise Trouble("\n".join(_said(refused, catalogue))) from refused


def _said(refused: transport.Refusal, catalogue: Catalogue) -> Iterator[str]:
    for finding in refused.findings:
        where = finding.place.pointer or finding.place.part
        yield f"{where}: {finding.code} {catalogue.say(finding)}".removeprefix(": ")


def actor(officer: str) -> Actor:
    return Actor(officer, EVERYTHING)


def there(found: T | None, identity: str) -> T:
    if found is None:
        raise Trouble(f"no delivery {identity}; `cvan deliveries list` shows what has not arrived")
    return found
