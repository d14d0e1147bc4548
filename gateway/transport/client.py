"""A typed client of the gateway's HTTP interface: for the command line, for tests, for partners."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TypeVar
from urllib.parse import urlencode

import msgspec
from twisted.internet.defer import Deferred

from gateway.transport.call import JSON, PROBLEM
from gateway.transport.exchange import Exchange, Heard
from gateway.transport.media import essence
from gateway.transport.problem import Problem
from gateway.transport.reactor import Clock
from gateway.transport.services import Said, Status
from gateway.transport.tls import ClientTls
from gateway.transport.wire import Acknowledged, Kept, Mailbox, Ready, Summary

CLIENT_SECONDS = 90.0  # longer than the gateway's own bound, so that its answer is heard
ANSWER_BYTES = 67_108_864  # a mailbox message may be as large as the largest submission, and more

_T = TypeVar("_T")


class Declined(Exception):
    """The gateway said no.  ``problem`` says why; its ``findings`` say where."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.status}: {problem.detail}")
        self.problem = problem

    @property
    def status(self) -> int:
        return self.problem.status


class Receipt(msgspec.Struct, frozen=True):
    """The answer to a submission: outcome and signed receipt.  Only verifying the receipt proves it.

    ``outcome`` ``held``: kept and not judged yet, with no receipt; ``findings``: what it waits for.
    """

    submission: str
    outcome: str
    repeated: bool
    media_type: str
    body: bytes
    id: str = ""
    findings: tuple[Said, ...] = ()


class Fetched(msgspec.Struct, frozen=True):
    """A message of the mailbox: the signed body, and what its headers say of it."""

    id: str
    kind: str
    submission: str
    reference: str
    media_type: str
    body: bytes


class Client:
    """One partner's view of a gateway at ``base`` (``https://host:port``).

    Proven by the certificate in ``tls``, by ``token``, or both.  Every method fails with Declined
    or Unreachable.  A submission may be sent again without harm: the same octets get the same
    answer.
    """

    def __init__(self, reactor: Clock, base: str, tls: ClientTls, token: str = "") -> None:
        self._exchange = Exchange(reactor, tls, seconds=CLIENT_SECONDS, max_bytes=ANSWER_BYTES)
        self._base = base.rstrip("/")
        self._fixed = (("Authorization", f"Bearer {token}"),) if token else ()

    def close(self) -> Deferred[None]:
        """Close the idle connections."""
        return self._exchange.close()

    def submit(self, body: bytes, media_type: str) -> Deferred[Receipt]:
        """Hand in a signed message; fires when it is durable at the gateway."""
        headers = (("Content-Type", media_type), ("Accept", JSON))
        heard = self._call("POST", "/v1/messages", headers, body, fine=(200, 202))
        return heard.addCallback(_receipt)

    def status(self, submission: str, after: int = 0, limit: int = 1_000) -> Deferred[Status]:
        """What became of a submission, with its timeline: a page of its messages, from behind an ordinal."""
        fields = {"after": str(after), "limit": str(limit)}
        return self._call("GET", f"/v1/messages/{submission}?{urlencode(fields)}").addCallback(_read, Status)

    def receipt(self, submission: str) -> Deferred[Fetched]:
        """The signed receipt of a submission once more."""
        return self._call("GET", f"/v1/messages/{submission}/receipt").addCallback(_fetched)

    def mailbox(self, after: str = "", limit: int = 100, *, acknowledged: bool = False) -> Deferred[Mailbox]:
        """A page of the mailbox, oldest first, from behind the id ``after``."""
        fields = {"after": after, "limit": str(limit), "acknowledged": str(acknowledged).lower()}
        return self._call("GET", f"/v1/mailbox?{urlencode(fields)}").addCallback(_read, Mailbox)

    def fetch(self, outgoing: str) -> Deferred[Fetched]:
        """One message of the mailbox."""
        return self._call("GET", f"/v1/mailbox/{outgoing}").addCallback(_fetched)

    def acknowledge(self, ids: Sequence[str]) -> Deferred[int]:
        """Say that these are safely received; fires with how many were ours."""
        headers = (("Content-Type", JSON),)
        heard = self._call("POST", "/v1/mailbox/acknowledge", headers, msgspec.json.encode(list(ids)))
        return heard.addCallback(_read, Acknowledged).addCallback(lambda told: told.acknowledged)

    def ready(self) -> Deferred[Ready]:
        """Whether the gateway works, part by part."""
        return self._call("GET", "/health/ready", fine=(200, 503)).addCallback(_read, Ready)

    def _call(
        self,
        method: str,
        path: str,
        headers: tuple[tuple[str, str], ...] = (),
        body: bytes | None = None,
        fine: tuple[int, ...] = (200,),
    ) -> Deferred[Heard]:
        heard = self._exchange.request(method, self._base + path, self._fixed + headers, body)
        return heard.addCallback(_unless_declined, fine)


def _unless_declined(heard: Heard, fine: tuple[int, ...]) -> Heard:
    media_type = essence(heard.headers.get("content-type", ""))
    if heard.status in fine and media_type != PROBLEM:
        return heard
    if media_type == PROBLEM:
        raise Declined(_read(heard, Problem))
    raise Declined(Problem("about:blank", "", heard.status, "no answer of a gateway", ""))


def _read(heard: Heard, shape: type[_T]) -> _T:
    try:
        return msgspec.json.decode(heard.body, type=shape)
    except msgspec.DecodeError as error:
        raise Declined(Problem("about:blank", "", heard.status, f"unreadable: {error}", "")) from error


def _receipt(heard: Heard) -> Receipt:
    if heard.status == 202:
        kept = _read(heard, Kept)
        return Receipt(kept.submission, kept.outcome, kept.repeated, "", b"", findings=kept.findings)
    told = _read(heard, Summary)
    body = base64.b64decode(told.receipt, validate=True)
    return Receipt(told.submission, told.outcome, told.repeated, told.media_type, body, told.receipt_id)


def _fetched(heard: Heard) -> Fetched:
    said = heard.headers
    return Fetched(
        id=said.get("cvan-delivery", ""),
        kind=said.get("cvan-kind", ""),
        submission=said.get("cvan-submission", ""),
        reference=said.get("cvan-reference", ""),
        media_type=said.get("content-type", ""),
        body=heard.body,
    )
