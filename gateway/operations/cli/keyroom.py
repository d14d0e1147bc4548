"""The home's own keys as commands take hold of them: whole, locked while they change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import click

from gateway import security
from gateway.operations import home as homes
from gateway.operations import settings
from gateway.operations.cli.say import Trouble, need_home
from gateway.security import KEY_USES, KeyUse
from gateway.security.keystore import inventory, making
from gateway.security.keystore.files import CREDENTIAL
from gateway.security.keystore.store import Keystore

KNOWN_AT_ONCE = "a running gateway takes it up within a second"
USE = click.Choice(list(KEY_USES))


class Moment(click.ParamType[datetime]):
    """A date (its beginning, UTC) or a time with its zone."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> datetime:
        """The time, aware."""
        if isinstance(value, datetime):
            return value
        try:
            if len(value) == len("2027-01-31"):
                return datetime.combine(date.fromisoformat(value), time(), UTC)
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time like 2027-01-31 or 2027-01-31T08:00:00+07:00", param, ctx)
        if moment.tzinfo is None:
            self.fail(f"{value!r} says no zone: add Z or, for Vietnam, +07:00", param, ctx)
        return moment.astimezone(UTC)


class Coming(Moment):
    """A moment that has not passed: no key takes over before it was made."""

    def convert(self, value: Any, param: Any, ctx: Any) -> datetime:
        """The time, aware."""
        moment = super().convert(value, param, ctx)
        if moment <= datetime.now(UTC):
            self.fail(
                f"{value} has passed: leave --at out, and it takes over as its certificate begins", param, ctx
            )
        return moment


@contextmanager
def keystore(context: click.Context, *, changing: bool = False) -> Iterator[Keystore]:
    """The home's own keys; nobody else changes them meanwhile where ``changing``.  Raises Trouble."""
    home = need_home(context)
    chosen = settings.load(home)
    try:
        if not changing:
            yield settings.keystore(home, chosen)
            return
        with inventory.changing(home / chosen.keys.own):
            yield settings.keystore(home, chosen)
    except security.KeyUnusable as error:
        raise Trouble(str(error)) from error


def secret_source(source: str) -> str:
    """As keys.toml has it, whatever folder the command was typed in."""
    return str(Path(source).absolute()) if source and not source.startswith(CREDENTIAL) else source


Holder = tuple[str, tuple[str, ...]]
"""Subject (RFC 4514) of the certificate to be, host names and addresses."""


def holder_of(home: Path, store: Keystore, use: KeyUse, given: dict[str, Any]) -> Holder:
    """As given, else as the newest certificate has it, else as the home says.  Raises KeyUnusable, Trouble."""
    chosen = settings.load(home).gateway
    before = [g for g in store.of(use) if g.certificates]
    subject, names = making.subject_and_names(before[-1].certificates[0]) if before else ("", ())
    names = tuple(given["names"]) or names
    if use == "tls" and not names:
        raise Trouble("say the host name that partners connect to: --name gateway.example")
    if not subject:
        common = names[0] if use == "tls" else f"Gateway {use}"
        subject = homes.subject(common, chosen.name, chosen.country)
    making.named(given["subject"] or subject)
    return given["subject"] or subject, names
