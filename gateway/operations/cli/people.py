"""Commands of a partner's developer: send, mailbox, status, over HTTPS as any client would."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from gateway import transport
from gateway.operations import reading
from gateway.operations.cli.say import Trouble, as_json, emit

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


class Account(msgspec.Struct, frozen=True):
    """How a partner reaches a gateway: a folder with keys and ``partner.toml``, or options."""

    url: str
    folder: Path
    token: str = ""

    def client(self, reactor: Any) -> transport.Client:
        """An HTTPS client that proves this partner.  Raises Trouble."""
        key, certificate = self.folder / "tls.key.pem", self.folder / "tls.crt.pem"
        try:
            if self.token:
                tls = transport.ClientTls(self.folder / "authority.pem")
            else:
                tls = transport.ClientTls(self.folder / "authority.pem", key, certificate)
        except transport.Unusable as error:
            raise Trouble(str(error)) from error
        return transport.Client(reactor, self.url, tls, self.token)


def account(folder: Path | None, url: str) -> Account:
    """The account in a partner folder.  Raises Trouble where there is none."""
    if folder is None:
        raise Trouble("say who you are: --as FOLDER, the folder that `cvan partner add --issue FOLDER` made")
    try:
        told = tomllib.loads((folder / "partner.toml").read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise Trouble(f"{folder} is no partner folder: {error}") from error
    token = os.environ.get("CVAN_TOKEN", "")
    return Account(url or told.get("url", ""), folder, token)


def as_partner(command: F) -> F:
    """Add ``--as`` and ``--url`` to a command."""
    command = click.option(
        "--url", default="", envvar="CVAN_URL", help="The gateway; default: partner.toml's."
    )(command)
    return click.option(
        "--as",
        "folder",
        envvar="CVAN_AS",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="A partner folder: tls.*, signing.*, authority.pem, partner.toml; or set CVAN_AS.",
    )(command)


def ask(who: Account, talk: Callable[[transport.Client], Awaitable[T]]) -> T:
    """Run one conversation with the gateway.  Raises Trouble with the gateway's own words."""
    from twisted.internet import reactor, task

    outcome: list[T] = []
    trouble: list[str] = []

    async def conversation(_: Any) -> None:
        client = who.client(reactor)
        try:
            outcome.append(await talk(client))
        except transport.Declined as declined:
            trouble.append(_declined(declined))
        except transport.Unreachable as error:
            trouble.append(f"{who.url} cannot be reached ({error}); is the gateway running?")
        finally:
            await client.close()

    try:
        task.react(lambda r: _coroutine(conversation(r)), [])
    except SystemExit as ended:
        if ended.code:
            raise
    if trouble:
        raise Trouble(trouble[0])
    return outcome[0]


def _coroutine(work: Any) -> Any:
    from twisted.internet.defer import Deferred

    return Deferred.fromCoroutine(work)


def _declined(declined: transport.Declined) -> str:
    lines = [f"the gateway answered {declined.status}: {declined.problem.detail}"]
    lines += [f"  {f.code}: {f.text}" for f in declined.problem.findings]
    return "\n".join(lines)


@click.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--media-type", default="", help="Content-Type of the file; guessed where not given.")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Keep the signed receipt."
)
@as_partner
@as_json
def send(
    path: Path, media_type: str, output: Path | None, folder: Path | None, url: str, in_json: bool
) -> None:
    """Send a signed message and print what customs said.

    \b
    Exit code: 0 accepted, 1 rejected or partly, 2 not taken.
    cvan sign declaration.xml --as partners/anphat -o signed.xml
    cvan send signed.xml --as partners/anphat
    """
    body = path.read_bytes()
    receipt = ask(
        account(folder, url), lambda client: client.submit(body, media_type or reading.media_type(body))
    )
    if output is not None:
        output.write_bytes(receipt.body)
    again = " (as before)" if receipt.repeated else ""
    value = {
        "submission": receipt.submission,
        "outcome": receipt.outcome,
        "repeated": receipt.repeated,
        "receipt": receipt.media_type,
    }
    emit(in_json, value, [f"{receipt.submission}: {receipt.outcome}{again}"])
    sys.exit(0 if receipt.outcome == "accepted" else 1)


@click.command()
@click.argument("submission")
@as_partner
@as_json
def status(submission: str, folder: Path | None, url: str, in_json: bool) -> None:
    """What became of a submission, with its timeline.

    \b
    cvan status 01JD... --as partners/anphat
    """
    told = ask(account(folder, url), lambda client: client.status(submission))
    lines = [f"{told.submission}: {told.outcome} (reference {told.reference})"]
    for m in told.messages:
        number = f" registered {m.registration}" if m.registration else ""
        lines.append(f"  {m.ordinal}. {m.type} {m.lrn or m.reference}: {m.decision or m.outcome}{number}")
        lines += [f"     {f.code} {f.expected} / {f.found}" for f in m.findings]
    lines += [f"  {e.at:%Y-%m-%d %H:%M:%S} {e.about} {e.what} {e.detail}".rstrip() for e in told.timeline]
    emit(in_json, told, lines)


@click.group(invoke_without_command=True)
@click.option("--after", default="", help="Only entries behind this id.")
@click.option("--limit", default=100, help="At most so many.")
@click.option("--all", "acknowledged", is_flag=True, help="Those already acknowledged too.")
@as_partner
@as_json
@click.pass_context
def mailbox(
    context: click.Context,
    after: str,
    limit: int,
    acknowledged: bool,
    folder: Path | None,
    url: str,
    in_json: bool,
) -> None:
    """Messages that wait for a partner: list them, or fetch and acknowledge one.

    --as and --url stand before fetch and ack.

    \b
    cvan mailbox --as partners/anphat
    cvan mailbox --as partners/anphat fetch ID -o decision.xml
    cvan mailbox --as partners/anphat ack ID
    """
    context.obj = (folder, url)
    if context.invoked_subcommand is not None:
        return
    page = ask(account(folder, url), lambda client: client.mailbox(after, limit, acknowledged=acknowledged))
    lines = [f"{e.id}  {e.kind:16} {e.reference:24} {e.media_type} {e.size} octets" for e in page.entries]
    emit(in_json, page, lines or ["nothing waits"])


@mailbox.command()
@click.argument("identity")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Default: standard output."
)
@as_json
@click.pass_obj
def fetch(who: tuple[Path | None, str], identity: str, output: Path | None, in_json: bool) -> None:
    """Fetch one message as it was signed.

    \b
    cvan mailbox --as partners/anphat fetch ID -o decision.xml
    """
    message = ask(account(*who), lambda client: client.fetch(identity))
    if output is not None:
        output.write_bytes(message.body)
    value = {"id": message.id, "kind": message.kind, "media_type": message.media_type}
    if in_json or output is not None:
        emit(in_json, value, [f"{output}: {message.kind}, {message.media_type}"])
    else:
        sys.stdout.buffer.write(message.body)


@mailbox.command()
@click.argument("identities", nargs=-1, required=True)
@as_json
@click.pass_obj
def ack(who: tuple[Path | None, str], identities: tuple[str, ...], in_json: bool) -> None:
    """Say that these messages are safely received.

    \b
    cvan mailbox --as partners/anphat ack ID ID
    """
    count = ask(account(*who), lambda client: client.acknowledge(identities))
    emit(in_json, {"acknowledged": count}, [f"acknowledged: {count}"])


COMMANDS = (send, status, mailbox)
