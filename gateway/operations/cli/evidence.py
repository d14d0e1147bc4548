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
from gateway.evidence.bundle import NoEvidence, members
from gateway.evidence.entries import sha256
from gateway.evidence.gathered import Gathered, Sealed
from gateway.operations import notary, settings
from gateway.operations.cli.say import Trouble, Written, as_json, complaint, emit, need_home
from gateway.operations.witnessing import ELSEWHERE, Gateway, Witness, told
from gateway.operations.writing import write_whole
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
            raise Trouble(complaint(error)) from error
        self.policy = settings.policy(self.settings)
        self.witness = Witness(home)

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
            known, limit = self.gateway.stranger, self.settings.journal.entries
            made = notary.cover(self.ledger, self.keys, now, limit, self.witness, known)
        except (LedgerError, ValueError) as error:
            raise Trouble(f"no checkpoint: {error}") from error
        url, newest = self.settings.journal.tsa, self.ledger.unstamped()
        if url and newest is not None:
            try:
                notary.stamp(self.ledger, newest, url, self.trust, self.policy, now())
            except notary.NotStamped as error:
                click.echo(f"cvan: not stamped: {error}", err=True)
        return made

    @property
    def gateway(self) -> Gateway:
        """Who signs checkpoints here.  Raises Trouble."""
        try:
            return Gateway(self.keys, self.trust, self.policy, self.witness)
        except LedgerError as error:
            raise Trouble(str(error)) from error

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
@click.option("-o", "--output", type=Written(), required=True)
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
        files = members(gathered, lambda data: key.sign(data, at), key.certificates, books.anchors, at)
        digest = write_whole(output, verifier.packed(files), 0o666)
    except (NoEvidence, LedgerError, ValueError, OSError) as error:
        raise Trouble(str(error)) from error
    prints = sha256(key.der[0])
    value = {
        "file": str(output),
        "submission": gathered.submission.id,
        "sha256": digest,
        "fingerprint": prints,
    }
    emit(in_json, value, [f"{output}: {gathered.submission.id}, sealed by {prints}"])


@evidence.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--trust",
    multiple=True,
    help="An authority that you know by another way: a PEM file, or a SHA-256 fingerprint. May be repeated.",
)
@click.option(
    "--gateway",
    multiple=True,
    help="The gateway's own certificate, as its operator published it; likewise. May be repeated.",
)
@as_json
@click.pass_context
def verify(
    context: click.Context, path: Path, trust: tuple[str, ...], gateway: tuple[str, ...], in_json: bool
) -> None:
    """Verify a bundle with openssl and xmlsec1, without a network; certificates may have expired.

    With --home, what the home trusts and its own keys are known. Without --gateway, any certificate of an
    authority that you trust may be the gateway's: its name is told, for you to judge.

    \b
    Exit code: 0 all verified, 1 something is wrong, 2 something could not be verified here.
    cvan evidence verify bundle.zip --trust authority.pem --gateway gateway.pem
    """
    home: Path | None = context.obj
    try:
        if home is not None:
            trust, gateway = (*trust, *_trusted(home)), (*gateway, *_own(home))
        steps = verifier.verify(path.read_bytes(), trust, gateway)
    except (OSError, ValueError, LedgerError) as error:
        raise Trouble(complaint(error)) from error
    code = verifier.code_of(steps)
    said = [{"state": state, "what": what, "why": why} for state, what, why in steps]
    emit(in_json, {"code": code, "steps": said}, verifier.lines(steps))
    sys.exit(code)


def _trusted(home: Path) -> list[str]:
    """Fingerprints of the authorities that the home trusts, for signatures and for time.  Raises ValueError,
    OSError."""
    trust = security.Trust.load(home / settings.load(home).keys.trust, home / "keystore" / "tsa")
    anchors = [*trust.anchors, *(trust.stampers.anchors if trust.stampers is not None else ())]
    return [sha256(c.public_bytes(Encoding.DER)) for c in anchors]


def _own(home: Path) -> list[str]:
    """Fingerprints of the gateway's own certificates.  Raises ValueError, LedgerError."""
    chosen = settings.load(home)
    keys = settings.keystore(home, chosen)
    trust = security.Trust.load(home / chosen.keys.trust)
    return sorted(Gateway(keys, trust, settings.policy(chosen), Witness(home)).fingerprints)


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
    audited = books.ledger.audit(breaches.append, books.gateway.stranger, books.stamped, _progress(in_json))
    breaches += _witnessed(books, witness)
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


def _witnessed(books: Books, witness: Sequence[str]) -> list[Breach]:
    """Checkpoints that were noted in the home or elsewhere, and are not in the ledger."""
    try:
        here = books.witness.breach(books.ledger)
    except LedgerError as error:
        raise Trouble(str(error)) from error
    missed = [] if here is None else [here]
    for one in witness:
        number, _, digest = one.partition(":")
        if not number.isdecimal():
            raise Trouble(f"a witness has the form NUMBER:DIGEST; this has not: {one}")
        if not told(books.ledger, int(number), digest):
            missed.append(Breach(f"checkpoint {number}", ELSEWHERE))
    return missed


@journal.command()
@click.option(
    "--restored", is_flag=True, help="The database was restored from a backup: go on from what it holds."
)
@as_json
@click.pass_context
def checkpoint(context: click.Context, restored: bool, in_json: bool) -> None:
    """Sign a checkpoint over the journal now.

    Nothing is signed over a journal that is not the one that was signed here last. A database that came
    back from a backup is not; say so with --restored, once.

    \b
    cvan --home HOME journal checkpoint
    """
    books = Books(need_home(context))
    if restored:
        books.witness.forget()
    made = books.cover()
    signed = [{"number": one.number, "digest": sha256(one.text.encode())} for one in made]
    emit(in_json, signed, [f"{s['number']}:{s['digest']}" for s in signed] or ["nothing to cover"])


def _progress(in_json: bool) -> Callable[[int], None]:
    """Tells a person at a terminal how far it is."""
    if in_json or not sys.stderr.isatty():
        return lambda count: None
    return lambda count: click.echo(f"\r{count:>12}", err=True, nl=False)


COMMANDS: tuple[Any, ...] = (evidence, journal)
