"""Commands on signatures, with no server: verify and sign."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from gateway import inbound, safexml, security
from gateway.handbook import EDIFACT_PROFILE, STAMPERS
from gateway.model.finding import load_catalogue
from gateway.operations import home as homes
from gateway.operations import reading, settings, stamping
from gateway.operations.cli.files import knowledge
from gateway.operations.cli.say import (
    Trouble,
    Written,
    as_json,
    complaint,
    emit,
    finding_json,
    finding_lines,
    in_language,
    need_home,
)


@click.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--media-type", default="", help="Content-Type of the file; guessed where not given.")
@click.option(
    "--trust",
    type=click.Path(exists=True, path_type=Path),
    help="Trust anchors: a PEM file, or a folder of them; default: the home's. Without, nothing is proven.",
)
@click.option(
    "--signers",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Certificates that EDIFACT security names (USC); default: the home's keystore/signers.",
)
@click.option(
    "--decrypt", is_flag=True, help="Open what is encrypted, with the decryption keys of the home's keystore."
)
@in_language
@as_json
@click.pass_context
def verify(
    context: click.Context,
    path: Path,
    media_type: str,
    trust: Path | None,
    signers: Path | None,
    decrypt: bool,
    in_json: bool,
) -> None:
    """Prove who signed a message.

    \b
    Exit code: 0 proven, 1 refused, or proven in part only.
    cvan --home HOME verify receipt.xml
    cvan verify interchange.p7m --trust partners/anphat/authority.pem
    cvan verify secured.edi --trust authority.pem --signers certificates/
    cvan --home HOME verify sealed.p7m --decrypt
    """
    home: Path | None = context.obj
    book = knowledge(home)
    try:
        anchors = security.Trust.load(trust) if trust else book.trust
    except ValueError as error:
        raise Trouble(str(error)) from error
    body = path.read_bytes()
    try:
        book = replace(book, trust=anchors)
        if signers is not None:
            book = replace(book, signers=security.Certificates.load(signers))
        if decrypt:
            book = book.with_decrypters(_decrypting(need_home(context)))
        proof = inbound.prove(body, media_type or reading.media_type(body), book, datetime.now(UTC))
    except security.Refused as refused:
        emit(
            in_json,
            {"proven": False, "findings": [finding_json(f, book.catalogue) for f in refused.findings]},
            [f"{path}: refused", *(x for f in refused.findings for x in finding_lines(f, book.catalogue))],
        )
        sys.exit(1)
    refused_within = [f for found in (proof.own.refused if proof.own else {}).values() for f in found]
    facts = {"proven": not refused_within, **_facts(proof.verified)}
    lines = [f"  {k}: {v}" for k, v in list(facts.items())[1:] if v]
    for finding in refused_within:
        lines += finding_lines(finding, book.catalogue)
    if refused_within:
        facts["findings"] = [finding_json(f, book.catalogue) for f in refused_within]
    emit(in_json, facts, [f"{path}: {'proven in part' if refused_within else 'proven'}", *lines])
    if refused_within:
        sys.exit(1)


def _facts(verified: security.Verified) -> dict[str, object]:
    """Who signed, how and when."""
    signer, carrier = verified.signer, verified.carrier
    return {
        "subject": signer.subject,
        "issuer": signer.issuer,
        "serial": signer.serial,
        "fingerprint": signer.fingerprint,
        "algorithm": signer.algorithm,
        "signed_at": signer.signed_at,
        "level": signer.level,
        "stamped_at": signer.stamped_at,
        "profile": signer.profile,
        "carrier": carrier.subject if carrier is not None else "",
    }


def _decrypting(home: Path) -> tuple[security.DecryptionKey, ...]:
    try:
        keys = settings.keystore(home, settings.load(home))
    except (security.KeyUnusable, OSError) as error:
        raise Trouble(str(error)) from error
    found = keys.decrypting()
    if not found:
        broken = f": {keys.trouble}" if keys.trouble else "; do: cvan keys new --use decryption"
        raise Trouble(f"{keys.folder}: no decryption key{broken}")
    return found


@click.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--key", type=click.Path(exists=True, path_type=Path), help="PEM private key, mode 0600.")
@click.option("--certificate", type=click.Path(exists=True, path_type=Path), help="PEM certificate (chain).")
@click.option(
    "--as", "folder", type=click.Path(exists=True, path_type=Path), help="A partner folder; has both."
)
@click.option(
    "--envelope",
    type=click.Choice(["multipart/signed", "application/pkcs7-mime", *reading.OWN_SECURITY]),
    default="application/pkcs7-mime",
    help="How EDIFACT is wrapped, or secured by its own segments (syntax 4): each message, or by an AUTACK.",
)
@click.option(
    "--xades",
    type=click.Choice(security.XADES_SHAPES),
    help="Sign XML in XAdES, of this shape: level B, with --timestamp T, with --validation too LT.",
)
@click.option(
    "--validation",
    type=click.Path(exists=True, path_type=Path),
    multiple=True,
    help="Certificates, CRLs and OCSP responses (DER or PEM) that go along in XAdES-LT: a file or a folder.",
)
@click.option("--timestamp", default="", help="URL of a time-stamp authority (RFC 3161) to have it stamped.")
@click.option(
    "--timestamp-trust",
    type=click.Path(exists=True, path_type=Path),
    help="Anchors of that authority: a PEM file, or a folder of them; default: the home's keystore/tsa.",
)
@click.option("-o", "--output", type=Written(), required=True)
@as_json
@click.pass_context
def sign(
    context: click.Context,
    path: Path,
    key: Path | None,
    certificate: Path | None,
    folder: Path | None,
    envelope: str,
    xades: str | None,
    validation: tuple[Path, ...],
    timestamp: str,
    timestamp_trust: Path | None,
    output: Path,
    in_json: bool,
) -> None:
    """Sign a message: XML gets an enveloped XML signature, EDIFACT a CMS envelope.

    \b
    cvan sign declaration.xml --as partners/anphat -o signed.xml
    cvan sign declaration.xml --as partners/anphat --xades enveloped -o signed.xml
    cvan sign manifest.edi --key k.pem --certificate c.pem --envelope multipart/signed -o manifest.eml
    cvan sign manifest.edi --as partners/oceanline --envelope edifact -o secured.edi
    cvan sign manifest.edi --as partners/oceanline --timestamp https://tsa.example/ --timestamp-trust tsa.pem -o m.p7m
    """
    if folder is not None:
        key, certificate = folder / "signing.key.pem", folder / "signing.crt.pem"
    if key is None or certificate is None:
        raise Trouble("name the signer: --as FOLDER, or --key and --certificate")
    try:
        signing = security.SigningKey.load(key, certificate)
        profile = security.EdifactProfile.load((context.obj or homes.shipped()) / EDIFACT_PROFILE)
        stamp = _stamping(context.obj, timestamp, timestamp_trust) if timestamp else None
        material = _validation_data(validation) if validation else None
        now = datetime.now(UTC)
        octets = path.read_bytes()
        media_type, body = reading.sign(octets, signing, envelope, now, profile, stamp, xades or "", material)
    except (OSError, ValueError, stamping.NotStamped) as error:
        raise Trouble(f"{path} cannot be signed: {complaint(error)}") from error
    except safexml.XmlRefused as refused:
        catalogue = load_catalogue(homes.shipped() / "mappings" / "findings")
        why = "; ".join(f"line {f.place.line}: {catalogue.say(f)}" for f in refused.findings)
        raise Trouble(f"{path} cannot be signed: {why}") from refused
    output.write_bytes(reading.as_file(media_type, body))
    emit(in_json, {"file": str(output), "media_type": media_type}, [f"{output}: {media_type}"])


def _validation_data(paths: tuple[Path, ...]) -> security.Material:
    """What the files hold.  Raises ValueError where one holds none of it, OSError."""
    files = [f for p in paths for f in (sorted(p.iterdir()) if p.is_dir() else [p]) if f.is_file()]
    material = security.Material()
    for file in files:
        try:
            material = material.joined(security.validation_data(file.read_bytes()))
        except ValueError as error:
            raise ValueError(f"{file} is no certificate, CRL or OCSP response: {error}") from error
    return material


def _stamping(home: Path | None, url: str, anchors: Path | None) -> Callable[[bytes], bytes]:
    """What asks an authority for a token over octets.  Raises ValueError where none can be believed."""
    anchors = anchors or ((home / STAMPERS) if home is not None else None)
    if anchors is None or not anchors.exists():
        raise ValueError("name the anchors of the time-stamp authority: --timestamp-trust")
    trust = security.Trust((), stampers=security.Trust.load(anchors))

    def stamp(octets: bytes) -> bytes:
        return stamping.stamp(url, octets, trust, security.Policy(), datetime.now(UTC)).token

    return stamp


COMMANDS = (verify, sign)
