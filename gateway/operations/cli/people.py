"""Commands of a partner's developer: send, mailbox, status, over HTTPS as any client would."""

from __future__ import annotations

import base64
import os
import sys
import tomllib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click
import msgspec

from gateway import transport
from gateway.operations import reading
from gateway.operations.cli.say import Trouble, Written, as_json, complaint, emit, in_language, said_lines

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
Who = tuple[Path | None, str]
"""What --as and --url say."""


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
        raise Trouble(f"{folder} is no partner folder: {complaint(error)}") from error
    token = os.environ.get("CVAN_TOKEN", "")
    return Account(_secure(url or str(told.get("url", "")), folder), folder, token)


def _secure(url: str, folder: Path) -> str:
    """The gateway's address, where what we send stays between it and us.  Raises Trouble."""
    try:
        parts = urlsplit(url)
        sound = parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not url:
        raise Trouble(
            f"{folder / 'partner.toml'} names no gateway: add --url https://HOST:PORT, or url there"
        )
    if not sound or "@" in parts.netloc or not url.isascii() or parts.query or parts.fragment:
        raise Trouble(f"a gateway's address has the form https://HOST:PORT; this has not: {url}")
    return url


def as_partner(command: F) -> F:
    """Add ``--as``, ``--url`` and ``--language`` to a command."""
    command = in_language(command)
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
    # Made before the reactor runs: what is wrong with the keys is for the person, not for its log.
    client = who.client(reactor)

    async def conversation(_: Any) -> None:
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
    findings = declined.problem.findings
    if not findings:
        return f"the gateway answered {declined.status}: {declined.problem.detail}"
    lines = [line for finding in findings for line in said_lines(finding)]
    return "\n".join((f"the gateway answered {declined.status}:", *lines))


@click.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--media-type", default="", help="Content-Type of the file; guessed where not given.")
@click.option("-o", "--output", type=Written(), help="Keep the signed receipt.")
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
    receipt, told = ask(
        account(folder, url), lambda client: _submit(client, body, media_type or reading.media_type(body))
    )
    again = " (as before)" if receipt.repeated else ""
    value = {
        "submission": receipt.submission,
        "outcome": receipt.outcome,
        "repeated": receipt.repeated,
        "receipt": receipt.media_type,
        "findings": told.findings if told else (),
        "messages": told.messages if told else (),
    }
    emit(in_json, value, [f"{receipt.submission}: {receipt.outcome}{again}", *_why(told)])
    if output is not None:
        _keep(output, receipt)
    sys.exit(0 if receipt.outcome == "accepted" else 1)


def _keep(output: Path, receipt: transport.Receipt) -> None:
    """Write the receipt.  Raises Trouble: what was sent is with the gateway all the same."""
    try:
        output.write_bytes(reading.as_file(receipt.media_type, receipt.body))
    except OSError as error:
        raise Trouble(
            f"the receipt is not kept: {complaint(error)}; send the same file again to get the same receipt"
        ) from error


async def _submit(
    client: transport.Client, body: bytes, media_type: str
) -> tuple[transport.Receipt, transport.Status | None]:
    """The receipt and, where not everything was accepted, what the gateway has against it.

    None also where only the second question failed: the receipt is what was asked for.
    """
    receipt = await client.submit(body, media_type)
    if receipt.outcome == "accepted":
        return receipt, None
    try:
        return receipt, await _whole(client, receipt.submission)
    except (transport.Declined, transport.Unreachable):
        return receipt, None


async def _whole(client: transport.Client, submission: str) -> transport.Status:
    """What became of a submission, page by page, with all its messages."""
    told = page = await client.status(submission)
    messages, timeline = [*told.messages], [*told.timeline]
    while page.next:
        page = await client.status(submission, page.next)
        messages += page.messages
        timeline += (event for event in page.timeline if event.about != page.submission)
    if len(messages) == len(told.messages):
        return told
    timeline.sort(key=lambda event: event.at)
    return msgspec.structs.replace(told, messages=tuple(messages), timeline=tuple(timeline), next=0)


def _why(told: transport.Status | None) -> Iterator[str]:
    """Everything found in a submission, below the message that it was found in."""
    if told is None:
        return
    for finding in told.findings:
        yield from said_lines(finding)
    for message in told.messages:
        if message.findings:
            yield f"  {message.ordinal}. {message.type} {message.lrn or message.reference}: {message.outcome}"
        for finding in message.findings:
            yield from said_lines(finding)


@click.command()
@click.argument("submission")
@as_partner
@as_json
def status(submission: str, folder: Path | None, url: str, in_json: bool) -> None:
    """What became of a submission, with its timeline.

    \b
    cvan status 01JD... --as partners/anphat
    """
    told = ask(account(folder, url), lambda client: _whole(client, submission))
    lines = [f"{told.submission}: {told.outcome} (reference {told.reference})"]
    lines += [line for finding in told.findings for line in said_lines(finding)]
    for m in told.messages:
        number = f" registered {m.registration}" if m.registration else ""
        lines.append(f"  {m.ordinal}. {m.type} {m.lrn or m.reference}: {m.decision or m.outcome}{number}")
        lines += [line for finding in m.findings for line in said_lines(finding)]
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

    \b
    cvan mailbox --as partners/anphat
    cvan mailbox fetch ID --as partners/anphat -o decision.xml
    cvan mailbox ack ID --as partners/anphat
    """
    context.obj = (folder, url)
    if context.invoked_subcommand is not None:
        return
    page = ask(account(folder, url), lambda client: client.mailbox(after, limit, acknowledged=acknowledged))
    lines = [f"{e.id}  {e.kind:16} {e.reference:24} {e.media_type} {e.size} octets" for e in page.entries]
    emit(in_json, page, lines or ["nothing waits"])


def _account(who: Who, folder: Path | None, url: str) -> Account:
    """--as and --url may stand before the command or behind it; what stands behind it counts."""
    return account(folder or who[0], url or who[1])


@mailbox.command()
@click.argument("identity")
@click.option("-o", "--output", type=Written(), help="Default: standard output.")
@as_partner
@as_json
@click.pass_obj
def fetch(who: Who, identity: str, output: Path | None, folder: Path | None, url: str, in_json: bool) -> None:
    """Fetch one message as it was signed; with --json and no file its octets are in base64.

    \b
    cvan mailbox fetch ID --as partners/anphat -o decision.xml
    """
    message = ask(_account(who, folder, url), lambda client: client.fetch(identity))
    if output is not None:
        output.write_bytes(reading.as_file(message.media_type, message.body))
    value = {"id": message.id, "kind": message.kind, "media_type": message.media_type}
    if output is None:
        value["content"] = base64.b64encode(message.body).decode()
    if in_json or output is not None:
        emit(in_json, value, [f"{output}: {message.kind}, {message.media_type}"])
    else:
        sys.stdout.buffer.write(message.body)


@mailbox.command()
@click.argument("identities", nargs=-1, required=True)
@as_partner
@as_json
@click.pass_obj
def ack(who: Who, identities: tuple[str, ...], folder: Path | None, url: str, in_json: bool) -> None:
    """Say that these messages are safely received.

    \b
    Exit code: 0 all, as often as it is said; 1 some are no messages of this mailbox.
    cvan mailbox ack ID ID --as partners/anphat
    """
    count = ask(_account(who, folder, url), lambda client: client.acknowledge(identities))
    wrong = len(set(identities)) - count
    more = f"; {wrong} are no messages of this mailbox" if wrong else ""
    emit(in_json, {"acknowledged": count}, [f"acknowledged: {count}{more}"])
    sys.exit(1 if wrong else 0)


COMMANDS = (send, status, mailbox)
