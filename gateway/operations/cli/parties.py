"""Commands on partners."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import msgspec

from gateway import routing
from gateway.model import Channel, Credential, Kind, Limits, Partner, Role
from gateway.model.register import body_of
from gateway.operations import home as homes
from gateway.operations.cli import rolls
from gateway.operations.cli.books import ledger, registered
from gateway.operations.cli.credentials import certificate_of, registered_uses
from gateway.operations.cli.say import Trouble, as_json, emit, need_home
from gateway.operations.enrolling.checks import Broken, checked_partner, is_proven
from gateway.operations.expiring import PAST, WARNED
from gateway.storage import Expiry

KINDS = [k.value for k in Kind]
BOUND = click.IntRange(min=0)
PAGE = 100
"""Entries that are listed at once where nobody says."""


@click.group()
def partner() -> None:
    """Organisations that exchange messages with customs through this gateway.

    \b
    cvan --home HOME partner list
    """


@partner.command(name="add")
@click.argument("identity")
@click.option("--name", required=True, help="Its full name.")
@click.option("--role", "roles", multiple=True, required=True, type=click.Choice([r.value for r in Role]))
@click.option(
    "--identifier",
    "identifiers",
    multiple=True,
    help="Its number in messages: tax code, UNB id, BIC; repeatable.",
)
@click.option("--subject", "subjects", multiple=True, help="Certificate subject (RFC 4514); repeatable.")
@click.option(
    "--certificate",
    "certificates",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Its certificate (PEM or DER), for TLS and signatures; repeatable. See also: partner certify.",
)
@click.option("--type", "types", multiple=True, type=click.Choice(KINDS), help="Only these kinds of message.")
@click.option("--push-url", default="", help="Its own https address for pushed messages.")
@click.option("--max-bytes", default=0, type=BOUND, help="Largest body it may send.")
@click.option("--per-minute", default=0, type=BOUND, help="Submissions a minute.")
@click.option("--in-flight", default=0, type=BOUND, help="Submissions at once.")
@click.option("--language", type=click.Choice(["en", "vi"]), default="en", help="Language of answers.")
@click.option("--token", is_flag=True, help="Also let it in by a bearer token, printed once.")
@click.option(
    "--issue",
    type=click.Path(file_okay=False, path_type=Path),
    help="Issue keys and certificates from the home's development authority into this folder.",
)
@as_json
@click.pass_context
def partner_add(
    context: click.Context,
    identity: str,
    name: str,
    roles: tuple[str, ...],
    identifiers: tuple[str, ...],
    subjects: tuple[str, ...],
    certificates: tuple[Path, ...],
    types: tuple[str, ...],
    push_url: str,
    max_bytes: int,
    per_minute: int,
    in_flight: int,
    language: str,
    token: bool,
    issue: Path | None,
    in_json: bool,
) -> None:
    """Register a partner, or replace its whole registration.

    \b
    cvan --home HOME partner add anphat --name "An Phat Co." --role trader \\
        --identifier 0100109106 --issue partners/anphat
    """
    secret = secrets.token_urlsafe(32) if token else ""
    known = Partner(
        id=identity,
        name=name,
        roles=tuple(Role(r) for r in roles),
        identifiers=identifiers or (identity,),
        subjects=subjects,
        token_digest=hashlib.sha256(secret.encode()).hexdigest() if secret else "",
        channel=Channel.PUSH if push_url else Channel.MAILBOX,
        push_url=push_url,
        types=types,
        limits=Limits(max_bytes=max_bytes, per_minute=per_minute, in_flight=in_flight),
        language=language,
        credentials=tuple(_credential_in(path) for path in certificates),
    )
    known = _sound(known, issue is not None)
    if issue is not None:
        issued = _issued(need_home(context), known, issue)
        known = msgspec.structs.replace(known, subjects=(*known.subjects, issued))
    with ledger(context) as books:
        before = books.partner(identity)
        # What an operator stopped stays stopped until an operator lets it go on.
        known = msgspec.structs.replace(known, active=before is None or before.active)
        books.put_partner(known)
    lines = [_done(known, before), *(f"  proven by {s}" for s in known.subjects)]
    lines += [f"  token (shown once): {secret}"] if secret else []
    lines += [f"  proven by certificate {routing.identity.shown(c)}" for c in known.credentials]
    emit(in_json, {**_told(known), **({"token": secret} if secret else {})}, lines)


def _sound(known: Partner, proven: bool) -> Partner:
    """The partner as it is registered; ``proven``: by keys that are yet to be made.  Raises Trouble."""
    if not proven and not is_proven(known):
        raise Trouble(
            "say how the partner is proven: --subject, --certificate, --issue FOLDER or --token; "
            "or give its tax code as --identifier"
        )
    try:
        return checked_partner(known, proven=proven)
    except Broken as error:
        raise Trouble(str(error)) from error


def _credential_in(path: Path) -> Credential:
    """The certificate in a file, for what it can prove.  Raises Trouble."""
    octets = certificate_of(path)
    return Credential("", registered_uses(path, octets), certificate=octets)


def _done(known: Partner, before: Partner | None) -> str:
    word = "registered" if before is None else "replaced; nothing of its former registration stays"
    return f"{known.id}: {word}{'' if known.active else '; still suspended'}"


def _issued(home: Path, known: Partner, folder: Path) -> str:
    """Keys for the partner in the folder; the subject that they prove.  Raises Trouble."""
    if not (home / homes.AUTHORITY).is_dir():
        raise Trouble("this home has no development authority to issue keys; name the --subject instead")
    try:
        return homes.issue_partner(home, known, folder)
    except ValueError as error:
        raise Trouble(f"no certificate can be made for {known.id}: {error}") from error


def _standing(name: str, active: bool, done: str, words: str) -> click.Command:
    """A command that shuts a partner out, or lets it in again."""

    @click.command(name=name, help=f"{words}\n\n\b\ncvan --home HOME partner {name} anphat")
    @click.argument("identity")
    @as_json
    @click.pass_context
    def stand(context: click.Context, identity: str, in_json: bool) -> None:
        with ledger(context) as books:
            books.put_partner(msgspec.structs.replace(registered(books, identity), active=active))
        emit(in_json, {"id": identity, "active": active}, [f"{identity}: {done}"])

    return stand


for _command in (
    _standing(
        "suspend",
        False,
        "suspended; a running gateway accepts nothing of it any more",
        "Shut a partner out: nothing that it sends or signs is taken, nothing is pushed to it.",
    ),
    _standing("resume", True, "active", "Let a suspended partner in again; what waited is pushed."),
):
    partner.add_command(_command)


@partner.command(name="list")
@click.option("--search", default="", help="Only those whose id, name, numbers or subjects hold these words.")
@click.option(
    "--expiring", type=click.IntRange(0, 3_650), metavar="DAYS", help="Certificates that end so soon."
)
@click.option("--after", default="", metavar="ID", help="Only those behind this id.")
@click.option("--limit", default=PAGE, show_default=True, type=click.IntRange(1, 10_000))
@as_json
@click.pass_context
def partner_list(
    context: click.Context, search: str, expiring: int | None, after: str, limit: int, in_json: bool
) -> None:
    """Registered partners, a page at a time, with certificates that will soon prove them no more.

    \b
    cvan --home HOME partner list --search "an phat"
    cvan --home HOME partner list --after anphat --limit 500 --json
    cvan --home HOME partner list --expiring 30
    """
    now = datetime.now(UTC)
    with ledger(context) as books:
        if expiring is not None:
            ends = books.expiring(now - PAST, now + timedelta(days=expiring), limit)
            emit(in_json, [_ending(e, now) for e in ends], [f"{e.partner:16} {ending(e, now)}" for e in ends])
            return
        page = books.find_partners(search, after, limit + 1)
        shown = page[:limit]
        soon = books.expiring(now - PAST, now + WARNED[-1], ids=[p.id for p in shown])
        total = books.count_partners(search)
    by_id: dict[str, list[Expiry]] = {}
    for end in soon:
        by_id.setdefault(end.partner, []).append(end)
    lines = [line for p in shown for line in _lines(p, by_id.get(p.id, []), now)]
    if len(page) > limit:
        lines.append(f"... of {total:,}; go on with --after {shown[-1].id}")
    value = [{**_told(p), "expiring": [_ending(e, now) for e in by_id.get(p.id, [])]} for p in shown]
    emit(in_json, value, lines or ["no partner"])


def _lines(p: Partner, ends: list[Expiry], now: datetime) -> Iterator[str]:
    standing = "" if p.active else " (suspended)"
    yield f"{p.id:16} {','.join(p.roles):12} {p.channel.value:8} {p.name}{standing}"
    yield from (f"{'':16} {ending(end, now)}" for end in ends)


def ending(end: Expiry, now: datetime) -> str:
    """When a certificate ends, for a person."""
    left = end.expires_at - now
    when = "has ended" if left <= timedelta() else f"ends in {left.days} days"
    what = "certificate" if end.what == "credential" else "certificate seen"
    return f"! {what} {end.fingerprint[:16]} {when}: {end.expires_at:%Y-%m-%d %H:%M} UTC"


def _ending(end: Expiry, now: datetime) -> dict[str, object]:
    told: dict[str, object] = msgspec.to_builtins(end)
    return {**told, "days": (end.expires_at - now).days}


def _told(p: Partner) -> dict[str, object]:
    """A partner in JSON; certificates themselves are for ``export``."""
    bare = tuple(msgspec.structs.replace(c, certificate=b"") for c in p.credentials)
    told: dict[str, object] = msgspec.json.decode(body_of(msgspec.structs.replace(p, credentials=bare)))
    return told


@partner.command(name="show")
@click.argument("identity")
@as_json
@click.pass_context
def partner_show(context: click.Context, identity: str, in_json: bool) -> None:
    """One partner, what proves it and until when, and its mandates (the first 100).

    \b
    cvan --home HOME partner show anphat
    cvan --home HOME partner show anphat --json
    """
    now = datetime.now(UTC)
    with ledger(context) as books:
        found = registered(books, identity)
        mandates = books.mandates_of(identity, PAGE)
        ends = books.expiring(now - PAST, now + WARNED[-1], ids=[identity])
    told = {**_told(found), "active": found.active}
    value = {
        **told,
        "expiring": [_ending(e, now) for e in ends],
        "mandates": [msgspec.to_builtins(m) for m in mandates],
    }
    lines = list(_fields({name: what for name, what in told.items() if name != "credentials"}))
    lines += [f"certificate: {_credential(c, now)}" for c in found.credentials]
    lines += [ending(e, now) for e in ends]
    lines += [f"mandate: {m.id}: {m.agent} for {m.principal}" for m in mandates]
    emit(in_json, value, lines)


def _fields(told: dict[str, Any], within: str = "") -> Iterator[str]:
    """``name: value`` of each field, those of an inner value as ``outer.inner``."""
    for name, value in told.items():
        if isinstance(value, dict):
            yield from _fields(value, f"{within}{name}.")
        elif isinstance(value, bool):
            yield f"{within}{name}: {'yes' if value else 'no'}"
        elif isinstance(value, list):
            yield f"{within}{name}: {', '.join(map(_item, value))}"
        else:
            yield f"{within}{name}: {value}"


def _item(value: object) -> str:
    """One of several: of what was agreed about times, each time in minutes."""
    return " ".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else str(value)


def _credential(known: Credential, now: datetime) -> str:
    state = "active" if known.active(now) else "not active"
    bound = f", only {' '.join(known.algorithms)}" if known.algorithms else ""
    return f"{routing.identity.shown(known)} {' '.join(known.uses)}{bound}: {state} {known.note}".rstrip()


rolls.add_to(partner, Partner, "partners")
COMMANDS = (partner,)
