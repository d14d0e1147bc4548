"""Commands on the gateway's own keys."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from cryptography.hazmat.primitives import hashes

from gateway.operations.cli.keymaking import keys_csr, keys_new, keys_rotate
from gateway.operations.cli.keyroom import KNOWN_AT_ONCE, USE, Moment, keystore, secret_source
from gateway.operations.cli.say import Trouble, as_json, emit
from gateway.operations.keywatch import days_warned
from gateway.security import KeyUse
from gateway.security.keystore import making
from gateway.security.keystore.files import PKCS12_SUFFIXES
from gateway.security.keystore.generation import Generation, key_name
from gateway.security.keystore.keys import Padding


@click.group()
def keys() -> None:
    """The gateway's own keys: what it signs with, shows in TLS, and decrypts with.

    \b
    Each use (signing, tls, decryption) has generations; the time says which one is active.
    cvan --home HOME keys list
    cvan --home HOME keys rotate --use signing --at 2027-01-31
    """


@keys.command(name="list")
@as_json
@click.pass_context
def keys_list(context: click.Context, in_json: bool) -> None:
    """All generations: which is active, from when, until when, and what is wrong.

    \b
    Exit code: 0, or 1 where an active certificate ends within 7 days, or a key that is due cannot be used.
    cvan --home HOME keys list
    """
    with keystore(context) as store:
        now = datetime.now(UTC)
        states = store.states(now)
        facts = [_facts(g, states[g.entry.use, g.entry.generation], now) for g in store.generations]
        lacking = [use for use in ("signing", "tls") if not store.of(use)]
    lines = [line for fact in facts for line in _lines(fact)]
    lines += [f"{use}: none; do: cvan keys new --use {use}" for use in lacking]
    emit(in_json, facts, lines)
    if lacking or any(_alarming(fact) for fact in facts):
        sys.exit(1)


def _alarming(fact: dict[str, Any]) -> bool:
    return (fact["state"] == "active" and fact["warning"] in (0, 7)) or fact["state"] == "broken"


def _facts(generation: Generation, state: str, now: datetime) -> dict[str, Any]:
    entry, chain = generation.entry, generation.certificates
    fault = generation.probe()
    facts: dict[str, Any] = {
        "use": entry.use,
        "generation": entry.generation,
        "state": "broken" if fault and state != "retired" else state,
        "algorithm": making.algorithm_of(generation),
        "key": key_name(entry),
        "activates_at": generation.activates_at if chain else entry.activates_at,
        "retired_at": entry.retired_at,
        "fault": fault,
    }
    if chain:
        own, left = chain[0], chain[0].not_valid_after_utc - now
        facts |= {
            "subject": own.subject.rfc4514_string(),
            "issuer": own.issuer.rfc4514_string(),
            "serial": f"{own.serial_number:x}",
            "fingerprint": own.fingerprint(hashes.SHA256()).hex(),
            "not_before": own.not_valid_before_utc,
            "not_after": own.not_valid_after_utc,
            "days_left": left.days,
            "warning": days_warned(left),
        }
    return {"warning": None} | facts


def _lines(fact: dict[str, Any]) -> Iterator[str]:
    yield f"{fact['use']} {fact['generation']}: {fact['state']}, {fact['algorithm']}, {fact['key']}".rstrip()
    if "subject" in fact:
        yield f"  {fact['subject']}"
        until = f"  valid until {fact['not_after']:%Y-%m-%d %H:%M}Z ({fact['days_left']} days)"
        warned = fact["warning"] is not None and fact["state"] in ("active", "waiting")
        yield until + (f"; do: cvan keys rotate --use {fact['use']}" if warned else "")
    if fact["state"] == "waiting":
        yield f"  takes over at {fact['activates_at']:%Y-%m-%d %H:%M}Z"
    if fact["state"] == "awaits certificate":
        yield f"  do: cvan keys csr --use {fact['use']}, then cvan keys import --use {fact['use']} CHAIN.pem"
    if fact["fault"]:
        yield f"  {fact['fault']}"


@keys.command(name="import")
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False)
@click.option("--use", "use", type=USE, required=True)
@click.option("--key", default="", help="A PEM key file, or the pkcs11: URI of a key in a token.")
@click.option("--padding", type=click.Choice(["pkcs1", "pss"]), default="pkcs1", help="Of RSA signatures.")
@click.option("--passphrase-file", default="", help="A file whose first line opens the key file.")
@click.option("--at", type=Moment(), help="When it takes over; default: as its certificate begins.")
@as_json
@click.pass_context
def keys_import(
    context: click.Context,
    path: Path | None,
    use: KeyUse,
    key: str,
    padding: Padding,
    passphrase_file: str,
    at: datetime | None,
    in_json: bool,
) -> None:
    """Take in a certificate for a key that is here, or a key with its certificate from elsewhere.

    \b
    PATH: the certificate with its chain in PEM, or a PKCS #12 file (.p12, .pfx) with key and chain.
    cvan --home HOME keys import --use signing chain.pem --at 2027-01-31
    cvan --home HOME keys import --use tls gateway.p12 --passphrase-file /etc/cvan/p12.pass
    cvan --home HOME keys import --use signing --key old.key.pem old.crt.pem
    """
    bundle = path is not None and path.suffix.lower() in PKCS12_SUFFIXES
    if path is None and not key:
        raise Trouble("say what to import: CHAIN.pem, a .p12 file, or --key with its certificate")
    with keystore(context, changing=True) as store:
        chain = making.read_certificates(path) if path is not None and not bundle else ()
        if key or bundle:
            asked = making.Asked(use, "", "", padding, secret_source(passphrase_file), at)
            made, store = making.imported(store, asked, key or str(path), chain)
        else:
            made, store = making.certified(store, use, chain, at, source=str(path))
        state = store.states(datetime.now(UTC))[use, made.entry.generation]
    facts = {"use": use, "generation": made.entry.generation, "state": state}
    lines = [f"{made.entry.name}: {state}; {KNOWN_AT_ONCE}"]
    if state == "waiting":
        lines.append(f"takes over at {made.activates_at:%Y-%m-%d %H:%M:%S}Z")
    emit(in_json, facts, lines)


@keys.command(name="retire")
@click.option("--use", "use", type=USE, required=True)
@click.option("--generation", type=int, required=True)
@click.option("--at", type=Moment(), help="Default: now.")
@click.option("--force", is_flag=True, help="Also where no other key is left: for a key that was lost.")
@as_json
@click.pass_context
def keys_retire(
    context: click.Context, use: KeyUse, generation: int, at: datetime | None, force: bool, in_json: bool
) -> None:
    """Use a generation no more.  It still decrypts what is its own; its certificate stays for evidence.

    \b
    cvan --home HOME keys retire --use signing --generation 1
    """
    moment = (at or datetime.now(UTC)).replace(microsecond=0)
    with keystore(context, changing=True) as store:
        making.retired(store, use, generation, moment, forced=force)
    lines = [f"{use} {generation}: retired from {moment:%Y-%m-%dT%H:%M:%SZ}; {KNOWN_AT_ONCE}"]
    emit(in_json, {"use": use, "generation": generation, "retired_at": moment}, lines)


for command in (keys_new, keys_rotate, keys_csr):
    keys.add_command(command)
COMMANDS = (keys,)
