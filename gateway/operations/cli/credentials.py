"""Commands on what proves a partner, and on what was agreed about all that it sends."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway import routing
from gateway.handbook import Handbook
from gateway.model import Credential, Deadline, Kind, Partner, Terms, Use
from gateway.operations.cli.books import ledger, registered
from gateway.operations.cli.files import knowledge
from gateway.operations.cli.say import Trouble, as_json, emit
from gateway.operations.enrolling.checks import Broken, checked_partner, uses_of
from gateway.operations.expiring import WARNED
from gateway.storage import Ledger
from gateway.transport.api import CHANNEL

USES = [use.value for use in Use]
CHANNELS = (CHANNEL,)
ENVELOPES = ("xmldsig", "multipart/signed", "application/pkcs7-mime", "edifact")
"""As a Verified has them."""
_DEADLINE = re.compile(
    r"([A-Za-z][A-Za-z0-9.:]*|\*)=(answer|before-arrival|before-departure):([0-9]{1,6})([mhd])"
)
_MINUTES = {"m": 1, "h": 60, "d": 1_440}
SHORTEST = 8
"""Digits of a fingerprint that name a certificate, where no other one of the partner begins so."""


@click.command()
@click.argument("identity")
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--use",
    "uses",
    multiple=True,
    type=click.Choice(USES),
    help="What it proves; default: tls and sign, as its key usage says.",
)
@click.option("--from", "since", type=click.DateTime(), help="UTC; default: at once.")
@click.option("--until", type=click.DateTime(), help="UTC; default: until it ends itself.")
@click.option("--algorithm", "algorithms", multiple=True, help="Its key signs with this only; repeatable.")
@click.option("--note", default="", help="For people.")
@as_json
@click.pass_context
def certify(
    context: click.Context,
    identity: str,
    path: Path,
    uses: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    algorithms: tuple[str, ...],
    note: str,
    in_json: bool,
) -> None:
    """Register a certificate (PEM or DER) that proves a partner, beside those it has.

    For a use that any certificate is registered for, only registered ones prove the partner, each in its
    window: let the windows of the old and the new one overlap.  Given again, it replaces its registration.

    \b
    cvan --home HOME partner certify anphat anphat-2027.pem --use sign --from 2026-12-01
    cvan --home HOME partner certify vanlink receiver.pem --use push
    """
    now = datetime.now(UTC)
    octets = certificate_of(path)
    new = Credential(
        fingerprint="",
        uses=registered_uses(path, octets, uses),
        active_from=since.replace(tzinfo=UTC) if since else None,
        active_to=until.replace(tzinfo=UTC) if until else None,
        algorithms=algorithms,
        note=note,
        certificate=octets,
    )
    with ledger(context) as books:
        before = registered(books, identity)
        changed = _checked(msgspec.structs.replace(before, credentials=(new,)))
        (new,) = changed.credentials
        if new.expires_at is not None and new.expires_at <= now:
            raise Trouble(
                f"the certificate ended at {new.expires_at:%Y-%m-%d %H:%M} UTC: it would prove nothing"
            )
        others = tuple(c for c in before.credentials if c.fingerprint != new.fingerprint)
        _put(books, msgspec.structs.replace(before, credentials=(*others, new)))
    alone = [use.value for use in new.uses if before.subjects and not before.credentials_for(use)]
    lines = [
        f"{identity}: proven by {routing.identity.shown(new)} for {', '.join(new.uses)}",
        f"  {new.subject}",
    ]
    if alone:
        lines.append(
            f"  from now on no subject proves it for {', '.join(alone)}, only registered certificates"
        )
    if new.ends_at is not None and new.ends_at <= now + WARNED[-1]:
        lines.append(f"  it ends in {max((new.ends_at - now).days, 0)} days")
    emit(in_json, {"id": identity, **_told(new)}, lines)


@click.command()
@click.argument("identity")
@click.argument("fingerprint")
@click.option("--at", type=click.DateTime(), help="UTC; default: now.")
@click.option("--remove", is_flag=True, help="Forget it, as if it had never been registered.")
@as_json
@click.pass_context
def withdraw(
    context: click.Context,
    identity: str,
    fingerprint: str,
    at: datetime | None,
    remove: bool,
    in_json: bool,
) -> None:
    """End a certificate that proves a partner; its FINGERPRINT, or the head of it, is in `partner show`.

    \b
    cvan --home HOME partner withdraw anphat 1f2e3d4c5b6a7988
    cvan --home HOME partner withdraw anphat 1f2e3d4c5b6a7988 --at 2026-12-31
    """
    end = at.replace(tzinfo=UTC) if at else datetime.now(UTC)
    with ledger(context) as books:
        before = registered(books, identity)
        old = _named(before, fingerprint.lower())
        end = min(end, old.expires_at or end)
        ended = msgspec.structs.replace(old, active_to=end)
        kept = tuple(ended if c is old else c for c in before.credentials if not (remove and c is old))
        _put(books, msgspec.structs.replace(before, credentials=kept))
    said = "forgotten" if remove else f"proves nothing from {end:%Y-%m-%d %H:%M} UTC on"
    emit(
        in_json,
        {"id": identity, **_told(ended), "removed": remove},
        [f"{identity}: {old.fingerprint[:16]} {said}"],
    )


@click.command()
@click.argument("identity")
@click.option(
    "--message",
    "messages",
    multiple=True,
    metavar="TYPE",
    help="It may send this: CUSCAR, CUSCAR:D:95B, camt.054, IM ...; repeatable.",
)
@click.option("--channel", "channels", multiple=True, help="It may file by this: https ...; repeatable.")
@click.option(
    "--envelope",
    "envelopes",
    multiple=True,
    help="It may sign so: xmldsig, multipart/signed, application/pkcs7-mime ...; repeatable.",
)
@click.option("--profile", "profiles", multiple=True, help="This legacy profile holds for it; repeatable.")
@click.option(
    "--outward",
    "outward",
    multiple=True,
    metavar="TYPE",
    help="Only customs sends this, and it does not file it; repeatable.",
)
@click.option(
    "--deadline",
    "deadlines",
    multiple=True,
    metavar="TYPE=WHAT:TIME",
    help="WHAT: answer (customs decides within), before-arrival, before-departure (it files so long "
    "before); TIME: 30m, 24h, 2d; TYPE * for any; repeatable, the first for a type counts.",
)
@as_json
@click.pass_context
def terms(
    context: click.Context,
    identity: str,
    messages: tuple[str, ...],
    channels: tuple[str, ...],
    envelopes: tuple[str, ...],
    profiles: tuple[str, ...],
    outward: tuple[str, ...],
    deadlines: tuple[str, ...],
    in_json: bool,
) -> None:
    """Record what was agreed with a partner about all that it sends; it replaces what was before.

    Without options it may send all that its roles allow, as the policy takes it, and by no legacy profile.

    \b
    cvan --home HOME partner terms oceanline --message CUSCAR:D:95B --channel https
    cvan --home HOME partner terms anphat --envelope xmldsig --profile v5
    cvan --home HOME partner terms oceanline --deadline CRI=before-arrival:24h --deadline CRI=answer:2h
    """
    agreed = Terms(messages, channels, envelopes, profiles, outward, _deadlines(deadlines))
    _check(knowledge(context.obj), agreed)
    with ledger(context) as books:
        _put(books, msgspec.structs.replace(registered(books, identity), terms=agreed))
    words = {
        "messages": messages,
        "sent by customs only": outward,
        "channels": channels,
        "envelopes": envelopes,
        "legacy profiles": profiles,
        "deadlines": deadlines,
    }
    lines = [f"  {name}: {', '.join(values)}" for name, values in words.items() if values]
    emit(
        in_json, {"id": identity, "terms": agreed}, [f"{identity}: agreed", *(lines or ["  nothing special"])]
    )


def _check(book: Handbook, agreed: Terms) -> None:
    """Raises Trouble for a name that nothing has: by a slip a partner could send nothing at all."""
    kinds = {kind.value for kind in Kind} | {entry.type for entry in book.schemas.entries()}
    for name in (*agreed.messages, *agreed.outward):
        type_, *version = name.split(":")
        held = book.directories.holding(type_)
        if name not in kinds and not held:
            raise Trouble(f"no message is called {name}; there are {', '.join(sorted(kinds))}, and EDIFACT's")
        if len(version) > 1 and book.directories.message(type_, *version[:2], *version[2:3]) is None:
            raise Trouble(f"{type_} is not in {'.'.join(version[:2])}; it is in {held}")
    for what, named, known in (
        ("channel", agreed.channels, CHANNELS),
        ("envelope", agreed.envelopes, ENVELOPES),
    ):
        for name in named:
            if name not in known:
                raise Trouble(f"there is no {what} {name}; there are {', '.join(known)}")


def _deadlines(told: Iterable[str]) -> tuple[Deadline, ...]:
    """Those of ``TYPE=WHAT:TIME``, one for each type.  Raises Trouble."""
    found: dict[str, Deadline] = {}
    for text in told:
        parts = _DEADLINE.fullmatch(text)
        if parts is None:
            raise Trouble(f"a deadline is TYPE=WHAT:TIME, as CRI=before-arrival:24h or *=answer:30m: {text}")
        name, what = parts[1].removeprefix("*"), parts[2].replace("-", "_")
        known = found.get(name, Deadline(name))
        if getattr(known, what):
            raise Trouble(f"this deadline is there twice: {text}")
        found[name] = msgspec.structs.replace(known, **{what: int(parts[3]) * _MINUTES[parts[4]]})
    return tuple(found.values())


def certificate_of(path: Path) -> bytes:
    """The first certificate of a file, in DER.  Raises Trouble."""
    data = path.read_bytes()
    try:
        if b"-----BEGIN" in data:
            return x509.load_pem_x509_certificate(data).public_bytes(Encoding.DER)
        return x509.load_der_x509_certificate(data).public_bytes(Encoding.DER)
    except ValueError as error:
        raise Trouble(f"{path}: no certificate in PEM or DER") from error


def registered_uses(path: Path, octets: bytes, named: Iterable[str] = ()) -> tuple[Use, ...]:
    """What the certificate in the file is registered for.  Raises Trouble."""
    try:
        return uses_of(octets, [Use(name) for name in named])
    except Broken as error:
        raise Trouble(f"{path}: {error}") from error


def _checked(partner: Partner) -> Partner:
    try:
        return checked_partner(partner)
    except Broken as error:
        raise Trouble(str(error)) from error


def _put(books: Ledger, partner: Partner) -> None:
    books.put_partner(_checked(partner))


def _named(partner: Partner, head: str) -> Credential:
    """The credential whose fingerprint begins so.  Raises Trouble where that is none, or several."""
    found = [c for c in partner.credentials if c.fingerprint.startswith(head)]
    if len(head) < SHORTEST or len(found) != 1:
        known = ", ".join(c.fingerprint[:16] for c in partner.credentials) or "none"
        raise Trouble(f"name one of its certificates by {SHORTEST} digits or more; there are: {known}")
    return found[0]


def _told(credential: Credential) -> dict[str, object]:
    told: dict[str, object] = msgspec.to_builtins(credential)
    told.pop("certificate", None)
    return told


COMMANDS = (certify, withdraw, terms)
