"""Commands on the gateway's own keys."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import click
import msgspec
from cryptography.hazmat.primitives import hashes

from gateway import security
from gateway.operations import home as homes
from gateway.operations import settings
from gateway.operations.cli.say import Trouble, as_json, emit, need_home
from gateway.operations.keywatch import days_warned
from gateway.security import KEY_USES, KeyUse
from gateway.security.keystore import inventory, making
from gateway.security.keystore.files import CREDENTIAL, PKCS12_SUFFIXES, write_whole
from gateway.security.keystore.generation import Generation, key_name
from gateway.security.keystore.keys import Padding
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


@contextmanager
def _keystore(context: click.Context, *, changing: bool = False) -> Iterator[Keystore]:
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
    with _keystore(context) as store:
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


def _options(command: Any) -> Any:
    """What a new key may be given."""
    for option in reversed(
        (
            click.option("--use", "use", type=USE, required=True, help="What the key is for."),
            click.option(
                "--algorithm", type=click.Choice(making.ALGORITHMS), help="Default: p256, or rsa-3072."
            ),
            click.option("--hsm", "uri", default="", metavar="URI", help="In a token: its RFC 7512 URI."),
            click.option("--padding", type=click.Choice(["pkcs1", "pss"]), help="Of RSA signatures."),
            click.option("--subject", default="", help="RFC 4514, as CN=Gateway signing,O=Customs,C=VN."),
            click.option("--name", "names", multiple=True, help="TLS: host name or address; repeatable."),
            click.option(
                "--at", type=Moment(), help="When it takes over; default: as its certificate begins."
            ),
            click.option(
                "--passphrase-file", default="", help="Encrypt the file with this file's first line."
            ),
            click.option(
                "--csr",
                "only_csr",
                is_flag=True,
                help="Ask for a certificate, also with a development authority.",
            ),
            as_json,
            click.pass_context,
        )
    ):
        command = option(command)
    return command


@keys.command(name="new")
@_options
def keys_new(context: click.Context, use: KeyUse, algorithm: str | None, in_json: bool, **given: Any) -> None:
    """Make a key as a new generation, and the request for its certificate.

    \b
    With a development authority the certificate is there at once.
    cvan --home HOME keys new --use signing --algorithm p256 --subject "CN=Gateway signing,O=Customs,C=VN"
    cvan --home HOME keys new --use tls --algorithm rsa-3072 --name gateway.example
    cvan --home HOME keys new --use signing --algorithm rsa-3072 \\
        --hsm "pkcs11:token=cvan;object=sign?module-path=/usr/lib/libsofthsm2.so&pin-source=file:/etc/cvan/pin"
    """
    with _keystore(context, changing=True) as store:
        holder = _holder(need_home(context), store, use, given)
        asked = making.Asked(
            use,
            algorithm or ("rsa-3072" if use == "decryption" else "p256"),
            given["uri"],
            given["padding"] or "pkcs1",
            _secret_source(given["passphrase_file"]),
            given["at"],
        )
        made, store = making.new(store, asked)
        _tell_new(context, store, made, holder, given["only_csr"], in_json)


@keys.command(name="rotate")
@_options
def keys_rotate(
    context: click.Context, use: KeyUse, algorithm: str | None, in_json: bool, **given: Any
) -> None:
    """Make a successor of the active key: alike, for the same subject, in the same place.

    \b
    The active key goes on until --at (and until the successor has its certificate); the old certificate
    stays for evidence, an old decryption key still decrypts.
    cvan --home HOME keys rotate --use signing --at 2027-01-31
    cvan --home HOME keys rotate --use tls
    """
    now = datetime.now(UTC)
    with _keystore(context, changing=True) as store:
        asked = making.Asked(
            use,
            algorithm or "",
            given["uri"],
            passphrase_file=_secret_source(given["passphrase_file"]),
            activates_at=given["at"],
        )
        asked = making.rotated(store, use, now, asked)
        if given["padding"]:
            asked = msgspec.structs.replace(asked, padding=given["padding"])
        subject, names = making.subject_and_names(store.active(use, now).certificates[0])
        given = {**given, "subject": given["subject"] or subject, "names": given["names"] or names}
        holder = _holder(need_home(context), store, use, given)
        made, store = making.new(store, asked)
        _tell_new(context, store, made, holder, given["only_csr"], in_json)


def _secret_source(source: str) -> str:
    """As keys.toml has it, whatever folder the command was typed in."""
    return str(Path(source).absolute()) if source and not source.startswith(CREDENTIAL) else source


Holder = tuple[str, tuple[str, ...]]
"""Subject (RFC 4514) of the certificate to be, host names and addresses."""


def _tell_new(
    context: click.Context, store: Keystore, made: Generation, holder: Holder, only_csr: bool, in_json: bool
) -> None:
    home = need_home(context)
    subject, names = holder
    entry = made.entry
    request = store.folder / f"{inventory.stem(entry.use, entry.generation)}.csr.pem"
    write_whole(request, making.request(made, subject, names))
    if (home / homes.AUTHORITY).is_dir() and not only_csr:
        certificate = homes.certify(home, made, subject, names)
        made, store = making.certified(store, entry.use, certificate, entry.activates_at)
        request.unlink()
        lines = [
            f"{made.entry.name}: {store.states(datetime.now(UTC))[entry.use, entry.generation]}, certified by the "
            f"development authority; {KNOWN_AT_ONCE}",
            *([f"takes over at {made.activates_at:%Y-%m-%d %H:%M:%S}Z"] if entry.activates_at else []),
        ]
        emit(in_json, {"use": entry.use, "generation": entry.generation, "request": None}, lines)
        return
    lines = [
        f"{entry.name}: made; it awaits its certificate",
        f"next: have {request} certified, then: cvan --home {home} keys import --use {entry.use} CHAIN.pem",
    ]
    emit(in_json, {"use": entry.use, "generation": entry.generation, "request": request}, lines)


def _holder(home: Path, store: Keystore, use: KeyUse, given: dict[str, Any]) -> Holder:
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


@keys.command(name="csr")
@click.option("--use", "use", type=USE, required=True)
@click.option("--generation", type=int, help="Default: the one that awaits its certificate, else the active.")
@click.option("--subject", default="", help="RFC 4514; default: as of the newest certificate.")
@click.option("--name", "names", multiple=True, help="TLS: host name or address; repeatable.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Default: printed.")
@as_json
@click.pass_context
def keys_csr(
    context: click.Context,
    use: KeyUse,
    generation: int | None,
    subject: str,
    names: tuple[str, ...],
    output: Path | None,
    in_json: bool,
) -> None:
    """A certificate request (PKCS #10) for a key that is here; again and for renewals.

    \b
    cvan --home HOME keys csr --use signing --subject "CN=Gateway signing,O=Customs,C=VN" -o signing.csr.pem
    """
    with _keystore(context) as store:
        if generation is not None:
            chosen = making.find(store, use, generation)
        else:
            waiting = [g for g in store.of(use) if not g.certificates and not g.fault]
            chosen = waiting[-1] if waiting else store.active(use, datetime.now(UTC))
        holder = _holder(need_home(context), store, use, {"subject": subject, "names": names})
        octets = making.request(chosen, *holder)
    if output is not None:
        output.write_bytes(octets)
    lines = [f"{output}: request for {chosen.entry.name}"] if output else [octets.decode().rstrip()]
    emit(in_json, {"use": use, "generation": chosen.entry.generation, "request": octets.decode()}, lines)


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
    with _keystore(context, changing=True) as store:
        chain = making.read_certificates(path) if path is not None and not bundle else ()
        if key or bundle:
            asked = making.Asked(use, "", "", padding, _secret_source(passphrase_file), at)
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
    with _keystore(context, changing=True) as store:
        making.retired(store, use, generation, moment, forced=force)
    lines = [f"{use} {generation}: retired from {moment:%Y-%m-%dT%H:%M:%SZ}; {KNOWN_AT_ONCE}"]
    emit(in_json, {"use": use, "generation": generation, "retired_at": moment}, lines)


COMMANDS = (keys,)
