"""Commands on revocation: what is known, asking again, and lists taken in by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway import security
from gateway.model.finding import load_catalogue
from gateway.operations import settings
from gateway.operations.cli.books import ledger
from gateway.operations.cli.say import Trouble, as_json, emit, need_home
from gateway.operations.revoking import newest
from gateway.security.certificates import asked
from gateway.security.certificates.crl import read_crl
from gateway.security.certificates.revocation import rule
from gateway.storage import Known, Learned

SHOWN = 1_000
"""Certificates that the list shows, those that expire first."""


class Told(msgspec.Struct, frozen=True):
    """A certificate and what is known of it.  ``status``: good, revoked, unknown or unchecked; ``error``: of
    the last time that asking failed."""

    fingerprint: str
    subject: str
    uses: tuple[str, ...]
    not_after: datetime
    status: str
    until: datetime | None
    asked_at: datetime | None
    due_at: datetime
    attempts: int
    error: str


class Standing(msgspec.Struct, frozen=True):
    """``policy``: when nobody can say; ``held``: submissions that wait."""

    policy: str
    held: int
    certificates: tuple[Told, ...]


@click.group()
def revocation() -> None:
    """What is known of revoked certificates.

    \b
    cvan --home HOME revocation status
    cvan --home HOME revocation import authority.crl
    """


@revocation.command()
@as_json
@click.pass_context
def status(context: click.Context, in_json: bool) -> None:
    """Every certificate that was met, those that expire first, with what is known of it.

    \b
    cvan --home HOME revocation status
    """
    chosen = settings.load(need_home(context))
    policy, now = settings.policy(chosen), datetime.now(UTC)
    with ledger(context) as books:
        known = newest(books, security.Revocations())
        told = tuple(_told(each, known, policy, now) for each in books.certificates(SHOWN, now))
        standing = Standing(policy.revocation, books.held_count(), told)
    emit(in_json, standing, _lines(standing))


@revocation.command()
@click.argument("fingerprints", nargs=-1)
@as_json
@click.pass_context
def fetch(context: click.Context, fingerprints: tuple[str, ...], in_json: bool) -> None:
    """Let the running gateway ask again now: after these certificates, or after all.

    Under `revocation = "off"` a gateway asks nobody; this then changes nothing, and says so.

    \b
    cvan --home HOME revocation fetch
    """
    chosen = settings.load(need_home(context))
    if chosen.trust.revocation == "off":
        raise Trouble(
            'nothing is asked: [trust] revocation is "off" in conf/gateway.toml; choose "accept", "hold" or '
            '"refuse" and begin the gateway anew'
        )
    with ledger(context) as books:
        count = books.hurry(fingerprints, datetime.now(UTC))
    if fingerprints and not count:
        raise Trouble("no such certificate was met; `cvan revocation status` shows all")
    emit(in_json, {"due": count}, [f"{count} certificate(s) are asked after now, by the gateway that runs"])


@revocation.command(name="import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--issuer",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The issuer's certificate (PEM), where it is neither an anchor nor in a chain that was met.",
)
@as_json
@click.pass_context
def take_in(context: click.Context, file: Path, issuer: Path | None, in_json: bool) -> None:
    """Take a CRL from a file (DER or PEM), as when the network is down.

    It is believed as far as its issuer's signature goes.  A running gateway knows it within seconds.

    \b
    cvan --home HOME revocation import authority.crl
    """
    home = need_home(context)
    chosen = settings.load(home)
    policy, now = settings.policy(chosen), datetime.now(UTC)
    der = _der(file)
    with ledger(context) as books:
        trust = security.Trust.load(home / chosen.keys.trust)
        met = books.certificates(SHOWN, now)
        made = _read(der, _issuers(trust, issuer, met), policy, now, home)
        books.learn([_learned(kept, now, file.name) for kept in _kept(made, met)])
    ended = "" if made.until > now else "; it has ended, and tells only what was revoked"
    value = {"entries": len(made), "until": made.until, "number": made.number}
    emit(in_json, value, [f"{len(made)} revoked certificates, until {made.until:%Y-%m-%d %H:%M}{ended}"])


def _der(file: Path) -> bytes:
    """The list in it, whoever signed it.  Raises Trouble."""
    octets = file.read_bytes()
    load = x509.load_pem_x509_crl if b"-----BEGIN X509 CRL-----" in octets else x509.load_der_x509_crl
    try:
        return load(octets).public_bytes(Encoding.DER)
    except ValueError as error:
        raise Trouble(f"{file}: no CRL in DER or PEM") from error


def _kept(made: asked.RevokedList, met: Sequence[Known]) -> Iterator[asked.Kept]:
    """The list, and what it says for ever of certificates that were met."""
    yield asked.keep_list(made)
    for known in met:
        link = asked.Subject.of(known.der, known.issuer).link
        said = asked.said_by_lists((made,), link) if link.issuer == made.issuer else ()
        lasting = asked.lasting_word(said, link)
        if lasting is not None:
            yield lasting


def _learned(kept: asked.Kept, now: datetime, name: str) -> Learned:
    return Learned(
        kept.subject, kept.der, kept.told, kept.this_update, kept.until, now, f"file {name}", kept.final
    )


def _issuers(trust: security.Trust, named: Path | None, met: Sequence[Known]) -> Iterator[x509.Certificate]:
    if named is not None:
        try:
            yield x509.load_pem_x509_certificate(named.read_bytes())
        except ValueError as error:
            raise Trouble(f"{named}: {error}") from error
        return
    yield from trust.anchors
    for der in {known.issuer for known in met}:
        yield x509.load_der_x509_certificate(der)


def _read(
    der: bytes, issuers: Iterable[x509.Certificate], policy: security.Policy, now: datetime, home: Path
) -> asked.RevokedList:
    """The list by that issuer who signed it; the complaint is of the last one that has its name."""
    fault: security.Refused | None = None
    for issuer in issuers:
        try:
            return read_crl(der, issuer, policy, now)
        except security.Refused as refused:
            if fault is None or refused.code != "SIG331":
                fault = refused
    if fault is None:
        raise Trouble("there is no anchor in the home that could have signed it; name its issuer: --issuer")
    catalogue = load_catalogue(home / "mappings" / "findings")
    raise Trouble("; ".join(f"{found.code} {catalogue.say(found)}" for found in fault.findings))


def _told(known: Known, revocations: security.Revocations, policy: security.Policy, now: datetime) -> Told:
    link = asked.Subject.of(known.der, known.issuer).link
    ruling = rule(link, revocations.statements(link), policy, now, stamped=False)
    return Told(
        fingerprint=known.fingerprint,
        subject=known.subject,
        uses=known.uses,
        not_after=known.not_after,
        status=ruling.status.value,
        until=None if ruling.statement is None else ruling.statement.until,
        asked_at=known.asked_at,
        due_at=known.due_at,
        attempts=known.attempts,
        error=known.error,
    )


def _lines(standing: Standing) -> Iterator[str]:
    yield f"policy {standing.policy}; {standing.held} submission(s) held"
    for each in standing.certificates:
        until = "" if each.until is None else f" until {each.until:%Y-%m-%d %H:%M}"
        yield f"{each.status:9} {each.subject}{until}"
        yield (
            f"          {each.fingerprint[:16]} {'/'.join(each.uses)}, expires {each.not_after:%Y-%m-%d}, "
            f"asked again {each.due_at:%Y-%m-%d %H:%M:%S}"
        )
        if each.error:
            yield f"          {each.attempts} failed: {each.error}"


COMMANDS = (revocation,)
