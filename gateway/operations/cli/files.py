"""Commands on files, with no server: check, translate, verify, sign; and schema packs."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.progress import Progress

from gateway import handbook as handbooks
from gateway import safexml, schema, security
from gateway.inbound import outcome
from gateway.model import Outcome
from gateway.model.finding import load_catalogue
from gateway.operations import home as homes
from gateway.operations import reading, settings
from gateway.operations.cli.say import Trouble, as_json, emit, finding_json, finding_lines, need_home

MANY = 20
"""From so many files on, progress is shown."""


def knowledge(home: Path | None) -> handbooks.Handbook:
    """The home's handbook, or what the package ships where no home is named.  Raises Trouble."""
    try:
        return handbooks.load(home or homes.shipped())
    except ValueError as error:
        raise Trouble(f"the knowledge in {home or homes.shipped()} is broken: {error}") from error


def expand(paths: Sequence[Path]) -> list[Path]:
    """Every file named, and every file under a folder named."""
    found: list[Path] = []
    for path in paths:
        found += sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return found


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--language", type=click.Choice(["en", "vi"]), default="en", help="Language of the texts.")
@as_json
@click.pass_context
def check(context: click.Context, paths: tuple[Path, ...], language: str, in_json: bool) -> None:
    """Check messages as customs would, without sending them.

    Takes EDIFACT interchanges and WCO or ISO 20022 XML, signed or not (the signature is not proven
    here: that is `cvan verify`), and folders of them.

    \b
    Exit code: 0 accepted, 1 rejected, 2 could not be read.
    cvan check manifest.edi
    cvan check declarations/ --json
    """
    book = knowledge(context.obj)
    files = expand(paths)
    results = list(_check_all(files, book, show=len(files) >= MANY and not in_json))
    single = len(files) == 1 and not paths[0].is_dir()
    if in_json:
        values = [_check_json(p, r, book, named=not single) for p, r in results]
        whole = bool(values) and all(v["accepted"] for v in values)
        emit(True, values[0] if single else {"accepted": whole, "files": values}, ())
    else:
        for path, result in results:
            for line in _check_lines(path, result, book, language):
                click.echo(line)
    sys.exit(max((_exit_code(r) for _, r in results), default=2))


def _check_all(
    files: Sequence[Path], book: handbooks.Handbook, show: bool
) -> Iterator[tuple[Path, reading.Checked]]:
    now = datetime.now(UTC)
    with Progress(transient=True, disable=not show) as progress:
        for path in progress.track(files, description="checking"):
            yield path, reading.check(path.read_bytes(), book, now)


def _exit_code(result: reading.Checked) -> int:
    if result.examined is None:
        return 2
    return 0 if outcome(result.examined) is Outcome.ACCEPTED else 1


def _check_json(
    path: Path, result: reading.Checked, book: handbooks.Handbook, named: bool
) -> dict[str, object]:
    value: dict[str, object] = {"file": str(path)} if named else {}
    value["accepted"] = _exit_code(result) == 0
    value["messages"] = [
        {
            "type": m.type,
            "reference": m.reference or m.lrn,
            "accepted": m.outcome is Outcome.ACCEPTED,
            "findings": [finding_json(f, book.catalogue) for f in m.findings],
        }
        for m in (result.examined.messages if result.examined else ())
    ]
    whole = result.examined.findings if result.examined else result.findings
    value["findings"] = [finding_json(f, book.catalogue) for f in whole]
    return value


def _check_lines(
    path: Path, result: reading.Checked, book: handbooks.Handbook, language: str
) -> Iterator[str]:
    if result.examined is None:
        yield f"{path}: could not be read"
        for finding in result.findings:
            yield from finding_lines(finding, book.catalogue, language)
        return
    yield f"{path}: {outcome(result.examined).value}"
    for finding in result.examined.findings:
        yield from finding_lines(finding, book.catalogue, language)
    for message in result.examined.messages:
        if message.findings or len(result.examined.messages) == 1:
            yield f"  {message.type} {message.reference or message.lrn}: {message.outcome.value}"
        for finding in message.findings:
            yield from finding_lines(finding, book.catalogue, language)


@click.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--to", "target", type=click.Choice(["json", "xml", "edifact"]), required=True)
@click.option("--directory", default="", help="EDIFACT directory to write, e.g. D.96B; default: a usual one.")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Default: standard output."
)
@as_json
@click.pass_context
def translate(
    context: click.Context, path: Path, target: str, directory: str, output: Path | None, in_json: bool
) -> None:
    """Translate a message into another syntax.

    What cannot be carried is reported on standard error, never dropped in silence.

    \b
    cvan translate manifest.edi --to xml
    cvan translate declaration.xml --to edifact --directory D.96B -o declaration.edi
    """
    book = knowledge(context.obj)
    done = reading.translate(path.read_bytes(), book, target, directory, datetime.now(UTC))
    for finding in done.findings:
        for line in finding_lines(finding, book.catalogue):
            click.echo(line, err=True)
    if in_json:
        emit(
            True,
            {
                "content": done.content.decode("latin-1" if target == "edifact" else "utf-8"),
                "findings": [finding_json(f, book.catalogue) for f in done.findings],
            },
            (),
        )
    elif output is not None:
        output.write_bytes(done.content)
    else:
        sys.stdout.buffer.write(done.content)
    sys.exit(0 if done.content else 1)


@click.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--media-type", default="", help="Content-Type of the file; guessed where not given.")
@click.option(
    "--trust",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of trust anchors (*.pem); default: the home's. Without either nothing can be proven.",
)
@as_json
@click.pass_context
def verify(context: click.Context, path: Path, media_type: str, trust: Path | None, in_json: bool) -> None:
    """Prove who signed a message.

    \b
    Exit code: 0 proven, 1 refused.
    cvan --home HOME verify receipt.xml
    cvan verify interchange.p7m --trust anchors/
    """
    home: Path | None = context.obj
    book = knowledge(home)
    try:
        anchors = security.Trust.load(trust) if trust else book.trust
    except ValueError as error:
        raise Trouble(str(error)) from error
    body = path.read_bytes()
    try:
        verified = security.verify(
            body, media_type or reading.media_type(body), anchors, book.policy, datetime.now(UTC)
        )
    except security.Refused as refused:
        emit(
            in_json,
            {"proven": False, "findings": [finding_json(f, book.catalogue) for f in refused.findings]},
            [f"{path}: refused", *(x for f in refused.findings for x in finding_lines(f, book.catalogue))],
        )
        sys.exit(1)
    signer = verified.signer
    facts = {
        "proven": True,
        "subject": signer.subject,
        "issuer": signer.issuer,
        "serial": signer.serial,
        "fingerprint": signer.fingerprint,
        "algorithm": signer.algorithm,
        "signed_at": signer.signed_at,
    }
    emit(in_json, facts, [f"{path}: proven", *(f"  {k}: {v}" for k, v in list(facts.items())[1:] if v)])


@click.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--key", type=click.Path(exists=True, path_type=Path), help="PEM private key, mode 0600.")
@click.option("--certificate", type=click.Path(exists=True, path_type=Path), help="PEM certificate (chain).")
@click.option(
    "--as", "folder", type=click.Path(exists=True, path_type=Path), help="A partner folder; has both."
)
@click.option(
    "--envelope",
    type=click.Choice(["multipart/signed", "application/pkcs7-mime"]),
    default="application/pkcs7-mime",
    help="How EDIFACT is wrapped.",
)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True)
@as_json
def sign(
    path: Path,
    key: Path | None,
    certificate: Path | None,
    folder: Path | None,
    envelope: str,
    output: Path,
    in_json: bool,
) -> None:
    """Sign a message: XML gets an enveloped XML signature, EDIFACT a CMS envelope.

    \b
    cvan sign declaration.xml --as partners/anphat -o signed.xml
    cvan sign manifest.edi --key k.pem --certificate c.pem --envelope multipart/signed -o manifest.eml
    """
    if folder is not None:
        key, certificate = folder / "signing.key.pem", folder / "signing.crt.pem"
    if key is None or certificate is None:
        raise Trouble("name the signer: --as FOLDER, or --key and --certificate")
    try:
        signing = security.SigningKey.load(key, certificate)
        media_type, body = reading.sign(path.read_bytes(), signing, envelope, datetime.now(UTC))
    except (OSError, ValueError) as error:
        raise Trouble(f"{path} cannot be signed: {error}") from error
    except safexml.XmlRefused as refused:
        catalogue = load_catalogue(homes.shipped() / "mappings" / "findings")
        why = "; ".join(f"line {f.place.line}: {catalogue.say(f)}" for f in refused.findings)
        raise Trouble(f"{path} cannot be signed: {why}") from refused
    output.write_bytes(body)
    emit(in_json, {"file": str(output), "media_type": media_type}, [f"{output}: {media_type}"])


@click.group(name="schema")
def schemas() -> None:
    """Schema packs: ours and those an operator adds.

    \b
    cvan schema list
    cvan --home HOME schema add national ./national-schemas
    """


@schemas.command(name="add")
@click.argument("name")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@as_json
@click.pass_context
def schema_add(context: click.Context, name: str, folder: Path, in_json: bool) -> None:
    """Install a folder of XML schemas as a pack of the home.

    \b
    cvan --home HOME schema add national ./national-schemas
    """
    home = need_home(context)
    settings.load(home)
    try:
        added = schema.add_pack(name, folder, home)
    except ValueError as error:
        raise Trouble(str(error)) from error
    lines = [f"{name}: {len(added.entries)} document types in {added.folder}", *added.notes]
    emit(in_json, added, [*lines, "a running gateway takes it up on SIGHUP"])


@schemas.command(name="list")
@as_json
@click.pass_context
def schema_list(context: click.Context, in_json: bool) -> None:
    """Every document type that is known, by pack.

    \b
    cvan --home HOME schema list
    """
    rows = [
        {"pack": e.pack, "type": e.type, "root": e.root, "namespace": e.namespace, "table": e.table}
        for e in knowledge(context.obj).schemas.entries()
    ]
    emit(in_json, rows, [f"{r['pack']:12} {r['type']:10} {{{r['namespace']}}}{r['root']}" for r in rows])


COMMANDS = (check, translate, verify, sign, schemas)
