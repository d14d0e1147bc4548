"""The operations: what each row of the table does with an admitted call, by way of the services."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from datetime import datetime

import msgspec

from gateway.model import Answer, Catalogue, Finding, Outgoing, Partner, Pending, Place, Submission
from gateway.transport import docs_page, openapi
from gateway.transport.call import JSON, Call, Reply, json_reply
from gateway.transport.media import essence, quality
from gateway.transport.metrics import CONTENT_TYPE, Metrics
from gateway.transport.operators import Operators
from gateway.transport.queries import Unanswerable, after, flag, nothing, number, query_of
from gateway.transport.services import Entry, Services, Status, said
from gateway.transport.wire import Acknowledged, Kept, Live, Mailbox, Ready, Summary, outgoing_headers

CHANNEL = "https"
HELD = "held"
PAGE = 100  # entries of a mailbox page, messages of a submission's, where the caller does not say
MAX_PAGE = 1_000
MAX_ORDINAL = 999_999_999
MAX_LIST = 10_000  # ids in one acknowledgement


class Api:
    """Answers calls.  Refusals travel as exceptions: Unanswerable here, Refusal and Overloaded from below."""

    def __init__(self, services: Services, metrics: Metrics, now: Callable[[], datetime]) -> None:
        self._services = services
        self._metrics = metrics
        self._now = now
        self._page: tuple[Catalogue, bytes] | None = None
        self._operations: dict[str, Callable[[Call], Awaitable[Reply]]] = {
            "submitMessage": self._submit,
            "getMessage": self._status,
            "getReceipt": self._receipt,
            "listMailbox": self._mailbox,
            "fetchMailbox": self._fetch,
            "acknowledgeOne": self._acknowledge_one,
            "acknowledgeMany": self._acknowledge_many,
            "getOpenApi": self._openapi,
            "getDocs": self._docs,
            "getLive": self._live,
            "getReady": self._ready,
            "getMetrics": self._figures,
            **Operators(services).operations,
        }

    @property
    def names(self) -> frozenset[str]:
        """The operations that can be answered."""
        return frozenset(self._operations)

    async def answer(self, call: Call) -> Reply:
        """The reply to an admitted call.  Raises Unanswerable, Refusal, Overloaded."""
        return await self._operations[call.operation](call)

    async def _submit(self, call: Call) -> Reply:
        submission = Submission(
            id=call.id,
            partner=_partner(call).id,
            channel=CHANNEL,
            media_type=call.head.header("content-type"),
            body=call.body,
            digest=call.digest,
            received_at=self._now(),
            file="" if call.hand_over is None else call.hand_over(),
        )
        answer = await self._services.submit(submission)
        if isinstance(answer, Pending):
            self._metrics.submitted(HELD, repeated=answer.repeated, partner=submission.partner)
            return _held(answer, self._services.catalogue)
        self._metrics.submitted(answer.outcome, repeated=answer.repeated, partner=submission.partner)
        return _answered(answer, call.head.header("accept"))

    async def _status(self, call: Call) -> Reply:
        query = query_of(call)
        limit = number(query, "limit", PAGE, MAX_PAGE)
        return json_reply(await self._find(call, number(query, "after", 0, MAX_ORDINAL, 0), limit))

    async def _receipt(self, call: Call) -> Reply:
        status = await self._find(call, 0, 1)
        return _whole(await self._services.fetch(_partner(call).id, status.receipt), call)

    async def _find(self, call: Call, after: int, limit: int) -> Status:
        status = await self._services.status(_partner(call).id, call.argument, after, limit)
        if status is None:
            raise nothing(call)
        return status

    async def _mailbox(self, call: Call) -> Reply:
        query = query_of(call)
        limit = number(query, "limit", PAGE, MAX_PAGE)
        acknowledged = flag(query, "acknowledged")
        partner = _partner(call).id
        found = await self._services.mailbox(partner, after(query), limit + 1, acknowledged)
        return json_reply(_page(found, limit))

    async def _fetch(self, call: Call) -> Reply:
        reply = _whole(await self._services.fetch(_partner(call).id, call.argument), call)
        self._metrics.fetched()
        return reply

    async def _acknowledge_one(self, call: Call) -> Reply:
        count = await self._services.acknowledge(_partner(call).id, [call.argument])
        if not count:
            raise nothing(call)
        self._metrics.acknowledged(count)
        return json_reply(Acknowledged(count))

    async def _acknowledge_many(self, call: Call) -> Reply:
        try:
            ids = msgspec.json.decode(call.body, type=list[str])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            found = Finding("API4002", Place(part="body"), expected="a JSON list of ids", found=str(error))
            raise Unanswerable(400, found) from error
        if len(ids) > MAX_LIST:
            expected = f"at most {MAX_LIST} ids"
            raise Unanswerable(400, Finding("API4002", Place(part="body"), expected, str(len(ids))))
        count = await self._services.acknowledge(_partner(call).id, ids) if ids else 0
        self._metrics.acknowledged(count)
        return json_reply(Acknowledged(count))

    async def _openapi(self, _call: Call) -> Reply:
        return Reply(200, (("Content-Type", JSON), ("Cache-Control", "max-age=300")), openapi.encoded())

    async def _docs(self, _call: Call) -> Reply:
        catalogue = self._services.catalogue
        if self._page is None or self._page[0] is not catalogue:
            self._page = (catalogue, docs_page.render(openapi.document(), catalogue))
        return Reply(200, docs_page.HEADERS, self._page[1])

    async def _live(self, _call: Call) -> Reply:
        return json_reply(Live())

    async def _ready(self, _call: Call) -> Reply:
        told = await self._services.ready()
        reasons = {part: why for part, why in told.items() if why}
        parts = {part: not why for part, why in told.items()}
        return json_reply(Ready(not reasons, parts, reasons), 503 if reasons else 200)

    async def _figures(self, _call: Call) -> Reply:
        return Reply(200, (("Content-Type", CONTENT_TYPE),), self._metrics.exposition())


def _held(pending: Pending, catalogue: Catalogue) -> Reply:
    """202: the submission is kept and will be answered by the mailbox or a push (RFC 9110, 15.3.3)."""
    headers = (
        ("Cvan-Submission", pending.submission),
        ("Cvan-Outcome", HELD),
        ("Cvan-Repeated", str(pending.repeated).lower()),
        ("Location", f"/v1/messages/{pending.submission}"),
    )
    findings = tuple(said(finding, catalogue) for finding in pending.findings)
    return json_reply(Kept(pending.submission, HELD, pending.repeated, findings), 202, headers=headers)


def _answered(answer: Answer, accept: str) -> Reply:
    receipt = answer.receipt
    headers = (
        ("Cvan-Submission", answer.submission),
        ("Cvan-Outcome", answer.outcome),
        ("Cvan-Repeated", str(answer.repeated).lower()),
        ("Location", f"/v1/messages/{answer.submission}"),
    )
    if wants_summary(accept, receipt.media_type):
        return json_reply(
            Summary(
                submission=answer.submission,
                outcome=answer.outcome,
                repeated=answer.repeated,
                media_type=receipt.media_type,
                receipt_id=receipt.id,
                receipt=base64.b64encode(receipt.body).decode("ascii"),
            ),
            headers=headers,
        )
    return Reply(200, (*_own_headers(receipt), *headers), receipt.body)


def wants_summary(accept: str, media_type: str) -> bool:
    """True where JSON is named and wanted more than the receipt's own media type."""
    if JSON not in {essence(part) for part in accept.split(",")}:
        return False
    return quality(accept, JSON) > quality(accept, essence(media_type))


def _whole(outgoing: Outgoing | None, call: Call) -> Reply:
    if outgoing is None:
        raise nothing(call)
    return Reply(200, (*_own_headers(outgoing), *outgoing_headers(outgoing)), outgoing.body)


def _own_headers(outgoing: Outgoing) -> tuple[tuple[str, str], ...]:
    return (("Content-Type", outgoing.media_type), ("Cache-Control", "no-store"))


def _page(found: list[Entry], limit: int) -> Mailbox:
    entries = tuple(found[:limit])
    return Mailbox(entries, next=entries[-1].id if len(found) > limit else "")


def _partner(call: Call) -> Partner:
    if call.partner is None:
        raise ValueError(f"{call.operation} wants a partner")
    return call.partner
