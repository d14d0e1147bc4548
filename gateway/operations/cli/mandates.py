"""Commands on mandates: who may act for whom."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

import click
import msgspec

from gateway.model import Form, Mandate
from gateway.operations.cli import rolls
from gateway.operations.cli.books import ledger
from gateway.operations.cli.parties import KINDS, PAGE
from gateway.operations.cli.say import Trouble, as_json, emit
from gateway.operations.enrolling.checks import Broken, checked_mandate

FORMS = {
    Form.AGENT: "the agent signs alone",
    Form.PRINCIPAL: "the principal signs",
    Form.BOTH: "both sign, the agent around",
}


@click.group()
def mandate() -> None:
    """Who may act for whom.

    \b
    cvan --home HOME mandate list --agent vanlink
    """


@mandate.command(name="add")
@click.argument("agent")
@click.argument("principal")
@click.option(
    "--type", "types", multiple=True, type=click.Choice(KINDS), help="Only these kinds; default: all."
)
@click.option("--office", "offices", multiple=True, help="Only at this customs office; repeatable.")
@click.option("--from", "since", type=click.DateTime(), help="UTC; default: at once.")
@click.option("--until", type=click.DateTime(), help="UTC; default: until revoked.")
@click.option(
    "--form",
    type=click.Choice([form.value for form in Form]),
    default=Form.PRINCIPAL.value,
    show_default=True,
    help="Whose signatures are asked for at least: the agent's alone; the principal's; the principal's "
    "and the agent's around it.",
)
@as_json
@click.pass_context
def mandate_add(
    context: click.Context,
    agent: str,
    principal: str,
    types: tuple[str, ...],
    offices: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    form: str,
    in_json: bool,
) -> None:
    """Let AGENT act for PRINCIPAL.

    \b
    cvan --home HOME mandate add vanlink anphat --type IM --type EX
    cvan --home HOME mandate add vanlink anphat --office 18A3 --form both --until 2027-12-31
    """
    new = Mandate(
        id=f"{agent}.{principal}.{secrets.token_hex(4)}",
        agent=agent,
        principal=principal,
        types=types,
        valid_from=since.replace(tzinfo=UTC) if since else None,
        valid_to=until.replace(tzinfo=UTC) if until else None,
        offices=offices,
        form=Form(form),
    )
    if new.valid_to is not None and new.valid_to <= datetime.now(UTC):
        raise Trouble(f"--until {new.valid_to:%Y-%m-%d %H:%M} UTC is over: nobody could act by this mandate")
    try:
        new = checked_mandate(new)
    except Broken as error:
        raise Trouble(str(error)) from error
    with ledger(context) as books:
        unknown = books.unregistered([agent, principal])
        if unknown:
            raise Trouble(f"not registered: {', '.join(sorted(unknown))}; see `cvan partner add --help`")
        books.put_mandate(new)
    emit(
        in_json, msgspec.to_builtins(new), [f"{new.id}: {agent} may file for {principal}: {FORMS[new.form]}"]
    )


@mandate.command(name="list")
@click.option("--agent", default="", metavar="ID", help="Only those of this agent.")
@click.option("--principal", default="", metavar="ID", help="Only those of this principal.")
@click.option("--valid", is_flag=True, help="Only those that hold now.")
@click.option("--after", default="", metavar="ID", help="Only those behind this id.")
@click.option("--limit", default=PAGE, show_default=True, type=click.IntRange(1, 10_000))
@as_json
@click.pass_context
def mandate_list(
    context: click.Context, agent: str, principal: str, valid: bool, after: str, limit: int, in_json: bool
) -> None:
    """Mandates, revoked ones too, a page at a time.

    \b
    cvan --home HOME mandate list --principal anphat --valid
    cvan --home HOME mandate list --agent vanlink --after vanlink.anphat.5f2c81d0 --json
    """
    now = datetime.now(UTC)
    with ledger(context) as books:
        page = books.find_mandates(agent, principal, after, limit + 1, now if valid else None)
    shown = page[:limit]
    lines = [f"{m.id:32} {_line(m, now)}" for m in shown]
    lines += [f"... go on with --after {shown[-1].id}"] if len(page) > limit else []
    emit(in_json, [msgspec.to_builtins(m) for m in shown], lines or ["no mandate"])


@mandate.command(name="show")
@click.argument("identity")
@as_json
@click.pass_context
def mandate_show(context: click.Context, identity: str, in_json: bool) -> None:
    """One mandate.

    \b
    cvan --home HOME mandate show vanlink.anphat.5f2c81d0
    """
    with ledger(context) as books:
        found = _registered(books.mandate(identity), identity)
    emit(in_json, msgspec.to_builtins(found), [f"{found.id}: {_line(found, datetime.now(UTC))}"])


@mandate.command(name="revoke")
@click.argument("identity")
@as_json
@click.pass_context
def mandate_revoke(context: click.Context, identity: str, in_json: bool) -> None:
    """End a mandate at once; its id is in the list.

    When this returns, nothing more is accepted by it in any process, nor anything that is being judged now.

    \b
    cvan --home HOME mandate revoke vanlink.anphat.5f2c81d0
    """
    with ledger(context) as books:
        if not books.revoke_mandate(identity, datetime.now(UTC)):
            _registered(None, identity)
    emit(in_json, {"id": identity, "revoked": True}, [f"{identity}: revoked"])


def _registered(found: Mandate | None, identity: str) -> Mandate:
    if found is None:
        raise Trouble(f"no mandate {identity}; `cvan mandate list` shows all")
    return found


def _line(m: Mandate, now: datetime) -> str:
    parts = [f"{m.agent} for {m.principal}", ",".join(m.types) or "all", FORMS[m.form]]
    parts += [f"at {','.join(m.offices)}"] if m.offices else []
    parts += [f"from {m.valid_from:%Y-%m-%d %H:%M}"] if m.valid_from and m.valid_from > now else []
    parts += [f"until {m.valid_to:%Y-%m-%d %H:%M}"] if m.valid_to else []
    parts += [f"revoked {m.revoked_at:%Y-%m-%d %H:%M}"] if m.revoked_at else []
    return "; ".join(parts)


rolls.add_to(mandate, Mandate, "mandates")
COMMANDS = (mandate,)
