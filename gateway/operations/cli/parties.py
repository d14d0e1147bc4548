"""Commands on partners and mandates."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from gateway.model import Channel, Kind, Limits, Mandate, Partner, Role
from gateway.operations import home as homes
from gateway.operations import settings
from gateway.operations.cli.say import Trouble, as_json, emit, need_home
from gateway.storage import Ledger, LedgerError, LedgerUnavailable

KINDS = [k.value for k in Kind]


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
@click.option("--max-bytes", default=0, help="Largest body it may send.")
@click.option("--per-minute", default=0, help="Submissions a minute.")
@click.option("--in-flight", default=0, help="Submissions at once.")
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
    if push_url and not push_url.startswith("https://"):
        raise Trouble("a push URL begins with https://")
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
    )
    if issue is not None:
        subject = _issued(need_home(context), known, issue)
        known = msgspec.structs.replace(known, subjects=(*subjects, subject))
    if not known.subjects and not secret:
        raise Trouble("say how the partner is proven: --subject, --issue FOLDER or --token")
    with ledger(context) as books:
        books.put_partner(known)
    lines = [f"{identity}: registered", *(f"  proven by {s}" for s in known.subjects)]
    lines += [f"  token (shown once): {secret}"] if secret else []
    emit(in_json, {**msgspec.to_builtins(known), **({"token": secret} if secret else {})}, lines)


def _issued(home: Path, known: Partner, folder: Path) -> str:
    """Keys for the partner in the folder; the subject that they prove.  Raises Trouble."""
    if not (home / homes.AUTHORITY).is_dir():
        raise Trouble("this home has no development authority to issue keys; name the --subject instead")
    try:
        return homes.issue_partner(home, known, folder)
    except ValueError as error:
        raise Trouble(f"no certificate can be made for {known.id}: {error}") from error


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
    lines = [f"{p.id:16} {','.join(p.roles):12} {p.channel.value:8} {p.name}" for p in partners]
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
        found = next((p for p in books.partners() if p.id == identity), None)
        mandates = [m for m in books.mandates() if identity in (m.agent, m.principal)]
    if found is None:
        raise Trouble(f"no partner {identity}; `cvan partner list` shows all")
    value = {**msgspec.to_builtins(found), "mandates": [msgspec.to_builtins(m) for m in mandates]}
    emit(in_json, value, [f"{k}: {v}" for k, v in value.items()])


@click.group()
def mandate() -> None:
    """Who may file for whom.

    \b
    cvan --home HOME mandate list
    """


@mandate.command(name="add")
@click.argument("agent")
@click.argument("principal")
@click.option(
    "--type", "types", multiple=True, type=click.Choice(KINDS), help="Only these kinds; default: all."
)
@click.option("--from", "since", type=click.DateTime(), help="UTC; default: at once.")
@click.option("--until", type=click.DateTime(), help="UTC; default: until revoked.")
@as_json
@click.pass_context
def mandate_add(
    context: click.Context,
    agent: str,
    principal: str,
    types: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    in_json: bool,
) -> None:
    """Let AGENT file messages signed by PRINCIPAL.

    \b
    cvan --home HOME mandate add vanlink anphat --type IM --type EX
    """
    new = Mandate(
        id=f"{agent}.{principal}.{secrets.token_hex(4)}",
        agent=agent,
        principal=principal,
        types=types,
        valid_from=since.replace(tzinfo=UTC) if since else None,
        valid_to=until.replace(tzinfo=UTC) if until else None,
    )
    with ledger(context) as books:
        unknown = {agent, principal} - {p.id for p in books.partners()}
        if unknown:
            raise Trouble(f"not registered: {', '.join(sorted(unknown))}; see `cvan partner add --help`")
        books.put_mandate(new)
    emit(in_json, msgspec.to_builtins(new), [f"{new.id}: {agent} may file for {principal}"])


@mandate.command(name="list")
@as_json
@click.pass_context
def mandate_list(context: click.Context, in_json: bool) -> None:
    """Every mandate, revoked ones too.

    \b
    cvan --home HOME mandate list --json
    """
    with ledger(context) as books:
        mandates = books.mandates()
    lines = [
        f"{m.id:32} {m.agent} for {m.principal} {','.join(m.types) or 'all'}"
        + (f" revoked {m.revoked_at:%Y-%m-%d %H:%M}" if m.revoked_at else "")
        for m in mandates
    ]
    emit(in_json, [msgspec.to_builtins(m) for m in mandates], lines)


@mandate.command(name="revoke")
@click.argument("identity")
@as_json
@click.pass_context
def mandate_revoke(context: click.Context, identity: str, in_json: bool) -> None:
    """End a mandate at once; its id is in the list.

    \b
    cvan --home HOME mandate revoke vanlink.anphat.5f2c81d0
    """
    with ledger(context) as books:
        if not any(m.id == identity for m in books.mandates()):
            raise Trouble(f"no mandate {identity}; `cvan mandate list` shows all")
        books.revoke_mandate(identity, datetime.now(UTC))
    emit(in_json, {"id": identity, "revoked": True}, [f"{identity}: revoked"])


COMMANDS = (partner, mandate)
