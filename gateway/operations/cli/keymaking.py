"""Commands that make a key, its successor, or the request for its certificate."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from gateway.operations import home as homes
from gateway.operations.cli.keyroom import (
    KNOWN_AT_ONCE,
    USE,
    Coming,
    Holder,
    holder_of,
    keystore,
    secret_source,
)
from gateway.operations.cli.say import Written, as_json, emit, need_home
from gateway.security import KeyUse
from gateway.security.keystore import inventory, making
from gateway.security.keystore.files import write_whole
from gateway.security.keystore.generation import Generation
from gateway.security.keystore.store import Keystore


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
                "--at", type=Coming(), help="When it takes over; default: as its certificate begins."
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


@click.command(name="new")
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
    with keystore(context, changing=True) as store:
        holder = holder_of(need_home(context), store, use, given)
        asked = making.Asked(
            use,
            algorithm or ("rsa-3072" if use == "decryption" else "p256"),
            given["uri"],
            given["padding"] or "pkcs1",
            secret_source(given["passphrase_file"]),
            given["at"],
        )
        made, store = making.new(store, asked)
        _tell_new(context, store, made, holder, given["only_csr"], in_json)


@click.command(name="rotate")
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
    with keystore(context, changing=True) as store:
        asked = making.Asked(
            use,
            algorithm or "",
            given["uri"],
            passphrase_file=secret_source(given["passphrase_file"]),
            activates_at=given["at"],
        )
        asked = making.rotated(store, use, now, asked)
        if given["padding"]:
            asked = msgspec.structs.replace(asked, padding=given["padding"])
        subject, names = making.subject_and_names(store.active(use, now).certificates[0])
        given = {**given, "subject": given["subject"] or subject, "names": given["names"] or names}
        holder = holder_of(need_home(context), store, use, given)
        made, store = making.new(store, asked)
        _tell_new(context, store, made, holder, given["only_csr"], in_json)


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


@click.command(name="csr")
@click.option("--use", "use", type=USE, required=True)
@click.option("--generation", type=int, help="Default: the one that awaits its certificate, else the active.")
@click.option("--subject", default="", help="RFC 4514; default: as of the newest certificate.")
@click.option("--name", "names", multiple=True, help="TLS: host name or address; repeatable.")
@click.option("-o", "--output", type=Written(), help="Default: printed.")
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
    with keystore(context) as store:
        if generation is not None:
            chosen = making.find(store, use, generation)
        else:
            waiting = [g for g in store.of(use) if not g.certificates and not g.fault]
            chosen = waiting[-1] if waiting else store.active(use, datetime.now(UTC))
        holder = holder_of(need_home(context), store, use, {"subject": subject, "names": names})
        octets = making.request(chosen, *holder)
    if output is not None:
        output.write_bytes(octets)
    lines = [f"{output}: request for {chosen.entry.name}"] if output else [octets.decode().rstrip()]
    emit(in_json, {"use": use, "generation": chosen.entry.generation, "request": octets.decode()}, lines)
