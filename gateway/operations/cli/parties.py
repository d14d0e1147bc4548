"""Commands on partners."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec
from cryptography import x509

from gateway import transport
from gateway.model import Channel, Kind, Limits, Partner, Role
from gateway.operations import home as homes
from gateway.operations import settings
from gateway.operations.cli.say import Trouble, as_json, emit, need_home
from gateway.storage import Ledger, LedgerError, LedgerUnavailable

KINDS = [k.value for k in Kind]
BOUND = click.IntRange(min=0)
IDENTITY = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
"""What names a partner: it is part of delivery destinations, mandate ids and folder names."""


@contextmanager
def ledger(context: click.Context) -> Iterator[Ledger]:
    """The home's ledger, made where it does not exist yet.  Raises Trouble where it cannot be used."""
    home = need_home(context)
    url = settings.database_url(home, settings.load(home).database.ledger)
    try:
        books = Ledger.open(url, create=True)
    except (LedgerError, LedgerUnavailable, ValueError) as error:
        raise Trouble(f"the ledger cannot be opened: {error}") from error
    try:
        yield books
    except LedgerUnavailable as error:
        raise Trouble(f"the ledger is away: {error}") from error
    except LedgerError as error:
        raise Trouble(str(error)) from error
    finally:
        books.close()


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
    _check(identity, push_url)
    secret = secrets.token_urlsafe(32) if token else ""
    known = Partner(
        id=identity,
        name=name,
        roles=tuple(Role(r) for r in roles),
        identifiers=identifiers or (identity,),
        subjects=tuple(_subject(s) for s in subjects),
        token_digest=hashlib.sha256(secret.encode()).hexdigest() if secret else "",
        channel=Channel.PUSH if push_url else Channel.MAILBOX,
        push_url=push_url,
        types=types,
        limits=Limits(max_bytes=max_bytes, per_minute=per_minute, in_flight=in_flight),
        language=language,
    )
    if issue is not None:
        subject = _issued(need_home(context), known, issue)
        known = msgspec.structs.replace(known, subjects=(*known.subjects, subject))
    if not known.subjects and not secret:
        raise Trouble("say how the partner is proven: --subject, --issue FOLDER or --token")
    with ledger(context) as books:
        before = next((p for p in books.partners() if p.id == identity), None)
        # What an operator stopped stays stopped until an operator lets it go on.
        known = msgspec.structs.replace(known, active=before is None or before.active)
        books.put_partner(known)
    lines = [_done(known, before), *(f"  proven by {s}" for s in known.subjects)]
    lines += [f"  token (shown once): {secret}"] if secret else []
    emit(in_json, {**msgspec.to_builtins(known), **({"token": secret} if secret else {})}, lines)


def _check(identity: str, push_url: str) -> None:
    """Raises Trouble for an id that is none, and for an address that nothing is pushed to."""
    if not IDENTITY.fullmatch(identity):
        raise Trouble(
            f"an id is 1 to 64 of a-z, 0-9, dot, underscore and hyphen, a letter or digit first: {identity}"
        )
    try:
        if push_url:
            transport.checked_push_url(push_url)
    except transport.PushFailed as error:
        raise Trouble(
            f"a push URL has the form https://HOST/PATH, without credentials: {push_url}"
        ) from error


def _subject(text: str) -> str:
    """A certificate's subject, written as the doors will read it from the certificate.  Raises Trouble."""
    try:
        name = x509.Name.from_rfc4514_string(text)
    except ValueError:
        name = x509.Name([])
    if not name.rdns:
        raise Trouble(f"a subject is RFC 4514 text, as CN=An Phat,O=An Phat,C=VN: {text}")
    return name.rfc4514_string()


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


def registered(books: Ledger, identity: str) -> Partner:
    """The partner of that id.  Raises Trouble where there is none."""
    found = next((p for p in books.partners() if p.id == identity), None)
    if found is None:
        raise Trouble(f"no partner {identity}; `cvan partner list` shows all")
    return found


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
        "suspended; a running gateway shuts it out within a second",
        "Shut a partner out: nothing that it sends or signs is taken, nothing is pushed to it.",
    ),
    _standing("resume", True, "active", "Let a suspended partner in again; what waited is pushed."),
):
    partner.add_command(_command)


@partner.command(name="list")
@as_json
@click.pass_context
def partner_list(context: click.Context, in_json: bool) -> None:
    """Every registered partner.

    \b
    cvan --home HOME partner list --json
    """
    with ledger(context) as books:
        partners = books.partners()
    lines = [
        f"{p.id:16} {','.join(p.roles):12} {p.channel.value:8} {p.name}{'' if p.active else ' (suspended)'}"
        for p in partners
    ]
    emit(in_json, [msgspec.to_builtins(p) for p in partners], lines)


@partner.command(name="show")
@click.argument("identity")
@as_json
@click.pass_context
def partner_show(context: click.Context, identity: str, in_json: bool) -> None:
    """One partner and its mandates.

    \b
    cvan --home HOME partner show anphat
    """
    with ledger(context) as books:
        found = registered(books, identity)
        mandates = [m for m in books.mandates() if identity in (m.agent, m.principal)]
    value = {
        **msgspec.to_builtins(found),
        "active": found.active,
        "mandates": [msgspec.to_builtins(m) for m in mandates],
    }
    emit(in_json, value, [f"{k}: {v}" for k, v in value.items()])


COMMANDS = (partner,)
