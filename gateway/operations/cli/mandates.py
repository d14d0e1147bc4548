"""Commands on mandates: who may file for whom."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

import click
import msgspec

from gateway.model import Mandate
from gateway.operations.cli.parties import KINDS, ledger
from gateway.operations.cli.say import Trouble, as_json, emit


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


COMMANDS = (mandate,)
