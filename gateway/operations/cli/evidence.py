"""Commands on evidence: bundles made and verified, the journal verified and covered."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway import security
from gateway.evidence import verify as verifier
from gateway.evidence.bundle import NoEvidence, bundle
from gateway.evidence.checkpoints import Checkpoint
from gateway.evidence.entries import sha256
from gateway.evidence.gathered import Gathered, Sealed
from gateway.evidence.signatures import completed
from gateway.operations import notary, settings
from gateway.operations.cli.say import Trouble, as_json, emit, need_home
from gateway.storage import Breach, Ledger, LedgerError

SHOWN = 50
"""Breaches that are told one by one to a person; ``--json`` tells all."""


class Books:
    """A home's ledger with its own key and the authorities at hand."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.settings = settings.load(home)
        try:
            self.trust = security.Trust.load(home / self.settings.keys.trust, home / "keystore" / "tsa")
            self.keys = settings.keystore(home, self.settings)
            self.ledger = Ledger.open(settings.database_url(home, self.settings.database.ledger))
        except (LedgerError, ValueError, OSError) as error:
            raise Trouble(str(error)) from error
        self.policy = settings.policy(self.settings)

    @property
    def key(self) -> security.SigningKey:
        """The one that signs now.  Raises Trouble where none does."""
        try:
            return self.keys.signing(now())
        except ValueError as error:
            raise Trouble(str(error)) from error

    @property
    def anchors(self) -> tuple[x509.Certificate, ...]:
        """Authorities by which chains are completed."""
        return self.trust.anchors

    def cover(self) -> list[Sealed]:
        """Checkpoints over what none holds; the newest stamped where an authority is set and answers."""
        try:
            made = notary.cover(self.ledger, self.keys, now, self.settings.journal.entries)
        except (LedgerError, ValueError) as error:
            raise Trouble(f"no checkpoint: {error}") from error
        url, newest = self.settings.journal.tsa, self.ledger.unstamped()
        if url and newest is not None:
            try:
                notary.stamp(self.ledger, newest, url, self.trust, self.policy, now())
            except notary.NotStamped as error:
                click.echo(f"cvan: not stamped: {error}", err=True)
        return made

    def stranger(self, chain: tuple[x509.Certificate, ...], checkpoint: Checkpoint) -> str:
        """Why a checkpoint's signer is not this gateway: neither its key of today, nor one of its name
        under its authority; "" where it is."""
        own = completed(self.key.certificates, self.anchors)
        whole = completed(chain, self.anchors)
        if chain[0] == own[0] or (chain[0].subject == own[0].subject and whole[-1] == own[-1] != own[0]):
            return ""
        return f"signed by a stranger: {chain[0].subject.rfc4514_string()}, {checkpoint.key}"

    def stamped(self, sealed: Sealed) -> str:
        """Why a checkpoint's time stamp is none; it is not judged where no authority for time is known."""
        if self.trust.stampers is None:
            return ""
        return notary.stamped(sealed, self.trust, self.policy)

    def gather(self, identity: str) -> Gathered:
        """Everything about the one submission that is meant.  Raises Trouble."""
        found = self.ledger.named(identity)
        if len(found) > 1:
            raise Trouble(f"{identity} is in several submissions: {' '.join(found)}")
        gathered = self.ledger.gather(found[0]) if found else None
        if gathered is None:
            raise Trouble(f"nothing is known of {identity}")
        archive = self.ledger.archive_of(gathered.submission.id)
        if archive:
            raise Trouble(f"{gathered.submission.id} is archived in {archive}: cvan archive restore")
        return gathered


def now() -> datetime:
    """The time, aware, UTC."""
    return datetime.now(UTC)


class _Evidence(click.Group):
    """``cvan evidence ID`` is ``cvan evidence make ID``."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["make", *args]
        return super().resolve_command(ctx, args)


@click.group(cls=_Evidence)
def evidence() -> None:
    """Prove to others what was received, answered and decided.

    \b
    cvan --home HOME evidence ID -o bundle.zip
    cvan evidence verify bundle.zip --trust authority.pem
    """


@evidence.command()
@click.argument("identity")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True)
@as_json
@click.pass_context
def make(context: click.Context, identity: str, output: Path, in_json: bool) -> None:
    """Write one self-contained bundle about a submission.

    IDENTITY: of a submission, message or outgoing message; or a sender's reference, LRN or registration.

    \b
    cvan --home HOME evidence make 01JD... -o bundle.zip
    """
    books = Books(need_home(context))
    books.gather(identity)
    books.cover()
    gathered, key, at = books.gather(identity), books.key, now()
    try:
        octets = bundle(gathered, lambda data: key.sign(data, at), key.certificates, books.anchors, at)
    except (NoEvidence, ValueError) as error:
        raise Trouble(str(error)) from error
    output.write_bytes(octets)
    prints = sha256(key.der[0])
    value = {
        "file": str(output),
        "submission": gathered.submission.id,
        "sha256": sha256(octets),
        "fingerprint": prints,
    }
    emit(in_json, value, [f"{output}: {gathered.submission.id}, sealed by {prints}"])


@evidence.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--trust",
    multiple=True,
    help="What you know by another way: a PEM certificate, or a SHA-256 fingerprint. May be repeated.",
)
@as_json
@click.pass_context
def verify(context: click.Context, path: Path, trust: tuple[str, ...], in_json: bool) -> None:
    """Verify a bundle with openssl and xmlsec1, without a network; certificates may have expired.

    \b
    Exit code: 0 all verified, 1 something is wrong, 2 something could not be verified here.
    cvan evidence verify bundle.zip --trust authority.pem
    """
    home: Path | None = context.obj
    given = [*trust, *(_own(home) if home is not None else ())]
    try:
        steps = verifier.verify(path.read_bytes(), given)
    except ValueError as error:
        raise Trouble(str(error)) from error
    code = verifier.code_of(steps)
    told = [{"state": state, "what": what, "why": why} for state, what, why in steps]
    emit(in_json, {"code": code, "steps": told}, verifier.lines(steps))
    sys.exit(code)


def _own(home: Path) -> list[str]:
    """Fingerprints of the authorities and certificates that the home itself trusts."""
    chosen = settings.load(home)
    trust = security.Trust.load(home / chosen.keys.trust)
    own = settings.keystore(home, chosen).signing(now())
    ders = [*own.der, *(c.public_bytes(Encoding.DER) for c in trust.anchors)]
    return [sha256(der) for der in ders]


@click.group()
def journal() -> None:
    """The tamper-evident record of everything that was received, answered and delivered.

    \b
    cvan --home HOME journal verify
    """


@journal.command(name="verify")
@click.option("--witness", multiple=True, help="A checkpoint noted elsewhere, as NUMBER:DIGEST of the log.")
@as_json
@click.pass_context
def verify_journal(context: click.Context, witness: tuple[str, ...], in_json: bool) -> None:
    """Verify every entry, checkpoint and stamp, and all that the ledger holds against them.

    \b
    Exit code: 0 all is as it was written, 1 something is not; the first line names it.
    cvan --home HOME journal verify
    """
    books = Books(need_home(context))
    breaches: list[Breach] = []
    audited = books.ledger.audit(breaches.append, books.stranger, books.stamped, _progress(in_json))
    breaches += _witnessed(books.ledger, witness)
    value = {
        "entries": audited.entries,
        "checkpoints": audited.checkpoints,
        "stamps": audited.stamps,
        "uncovered": audited.uncovered,
        "submissions": audited.records,
        "head": audited.head,
        "keys": audited.keys,
        "breaches": breaches,
    }
    lines = [f"{b.place}: {b.why}" for b in breaches[:SHOWN]]
    if len(breaches) > SHOWN:
        lines.append(f"... and {len(breaches) - SHOWN} more")
    lines.append(
        f"{audited.entries} entries, {audited.checkpoints} checkpoints ({audited.stamps} stamped), "
        f"{audited.uncovered} entries not covered yet; {len(breaches)} breaches"
    )
    lines.append(f"last checkpoint: {audited.checkpoints}:{audited.head}")
    emit(in_json, value, lines)
    sys.exit(1 if breaches else 0)


def _witnessed(ledger: Ledger, witness: Sequence[str]) -> list[Breach]:
    missed = []
    for one in witness:
        number, _, digest = one.partition(":")
        if not number.isdecimal():
            raise Trouble(f"a witness has the form NUMBER:DIGEST; this has not: {one}")
        sealed = ledger.checkpoint(int(number))
        if sealed is None or sha256(sealed.text.encode()) != digest.lower():
            missed.append(Breach(f"checkpoint {number}", "not the one that was noted elsewhere"))
    return missed


@journal.command()
@as_json
@click.pass_context
def checkpoint(context: click.Context, in_json: bool) -> None:
    """Sign a checkpoint over the journal now.

    \b
    cvan --home HOME journal checkpoint
    """
    made = Books(need_home(context)).cover()
    told = [{"number": one.number, "digest": sha256(one.text.encode())} for one in made]
    emit(in_json, told, [f"{t['number']}:{t['digest']}" for t in told] or ["nothing to cover"])


@journal.command()
@as_json
@click.pass_context
def adopt(context: click.Context, in_json: bool) -> None:
    """Take into the journal what was stored before there was one, as it is found now.

    \b
    cvan --home HOME journal adopt
    """
    books = Books(need_home(context))
    count = 0
    while taken := books.ledger.adopt():
        count += taken
    emit(in_json, {"adopted": count}, [f"adopted: {count}"])


def _progress(in_json: bool) -> Callable[[int], None]:
    """Tells a person at a terminal how far it is."""
    if in_json or not sys.stderr.isatty():
        return lambda count: None
    return lambda count: click.echo(f"\r{count:>12}", err=True, nl=False)


COMMANDS: tuple[Any, ...] = (evidence, journal)
