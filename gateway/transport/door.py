"""The door: finds the operation, proves the caller, admits the body, answers; every refusal a problem.

It knows neither sockets nor an HTTP library.  A channel gives it the head, asks before it takes the
body, gives it the body, and gets the reply; so another channel can take the place of ``http.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from io import BytesIO
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gateway.model import Finding, Place
from gateway.transport import identifier
from gateway.transport.access import AccessLog
from gateway.transport.admission import Admission, Held, too_large
from gateway.transport.api import Api
from gateway.transport.authentication import CHALLENGE, TaxCodes, authenticate, no_codes, unproven
from gateway.transport.bounds import NEVER
from gateway.transport.call import JSON, Call, Head, Reply
from gateway.transport.counter import NONE, Admitted, Counter, stamped
from gateway.transport.media import essence, quality
from gateway.transport.metrics import ADMITTED, LATE, Metrics
from gateway.transport.offers import MOST_BYTES, UNSIGNED_TYPES, DoorSettings
from gateway.transport.patience import Patience
from gateway.transport.queries import Unanswerable
from gateway.transport.refusals import RefusalLog
from gateway.transport.routes import Body, Routes
from gateway.transport.services import Overloaded, Refusal, Services
from gateway.transport.spool import Spool, SpoolFull
from gateway.transport.turns import Late, Later, Turns

SPOOL_RETRY = 30  # seconds: what a large message takes


class Visit:
    """One connection as the door knows it: whose it is, once a partner has been proven on it."""

    __slots__ = ("partner",)

    def __init__(self) -> None:
        self.partner = ""


class Door:
    """All connections of a listener come through one door.

    ``now``: aware UTC; ``seconds``: a clock that never runs backwards; ``randomness``: octets;
    ``later``: calls when the sockets have been looked at once more.  ``unfit``: why
    the certificates that a connection was made with (DER) are not to be relied on any more, "" where they are.
    ``tax_codes``: those that a public authority wrote into a caller's certificate.
    """

    def __init__(
        self,
        services: Services,
        metrics: Metrics,
        log: AccessLog,
        *,
        now: Callable[[], datetime],
        seconds: Callable[[], float],
        randomness: Callable[[int], bytes],
        later: Later,
        settings: DoorSettings | None = None,
        refusals: RefusalLog | None = None,
        unfit: Callable[[tuple[bytes, ...]], str] = lambda certificates: "",
        tax_codes: TaxCodes = no_codes,
        spool: Spool | None = None,
    ) -> None:
        self.settings = settings or DoorSettings()
        self.spool = spool
        over = NEVER if spool is None else spool.over
        self.bounds = msgspec.structs.replace(self.settings.bounds, spool_over=over)
        self.turns = Turns(self.bounds, seconds, later, metrics)
        self.admission = Admission(self.bounds, self.turns.line.drain)
        self.patience = Patience(self.bounds.held_back)
        self.routes = Routes(self.settings.operations)
        self.metrics = metrics
        if any(o.body is Body.MESSAGE for o in self.settings.operations):
            metrics.watch(lambda: self.admission.total_inside, lambda: self.admission.bytes_held)
            metrics.watch_line(self.turns.line.waiting, lambda: self.turns.line.drain.rate)
        self.closing = False
        self._api = Api(services, metrics, now)
        self._services = services
        self._log = log
        self._counter = Counter(services, metrics, log, refusals)
        self._now = now
        self._seconds = seconds
        self._randomness = randomness
        self._unfit = unfit
        self._tax_codes = tax_codes

    def greet(self, head: Head, visit: Visit, *, length: int | None) -> Admitted | Reply:
        """May this request come in?  ``length``: octets announced, 0 none, None chunked.

        The reply, where it may not, is final: the body need not be read.
        """
        began = self._seconds()
        request = self._new_id()
        found = self.routes.find(head.method, head.path)
        if isinstance(found, tuple):
            return self._no_operation(request, head, found, began)
        admitted = Admitted(request, found.operation, head, began, found.argument)
        if self.closing:
            return self._refuse(admitted, 503, [Finding("API5032")], retry_after=1, close=True)
        if not found.operation.public:
            refused = self._identify(admitted, visit)
            if refused is not None:
                return refused
        return self._check(admitted, length) or self._admit(admitted, length) or admitted

    def grow(self, admitted: Admitted, received: int) -> Reply | None:
        """The body has ``received`` octets now: the refusal, or None to go on."""
        admitted.received = received
        if admitted.leave is not None:
            held = self.admission.grow(admitted.leave, received, self._seconds())
        else:
            held = too_large(admitted.limit, received) if received > admitted.limit else None
        return None if held is None else self._hold(admitted, held)

    def write(self, admitted: Admitted, content: BytesIO, data: bytes) -> Reply | None:
        """More of the body: into memory, or where it is large into a file, and what was in memory before it.
        The refusal, where there is no room."""
        if admitted.spooled is None and admitted.received <= self.bounds.spool_over:
            content.write(data)
            return None
        try:
            if admitted.spooled is None and self.spool is not None:
                admitted.spooled = self.spool.open(admitted.id, admitted.received)
                admitted.spooled.write(content.getvalue())
                content.truncate(0)
            if admitted.spooled is not None:
                admitted.spooled.write(data)
        except SpoolFull:
            return self._refuse(admitted, 503, [Finding("API5035")], retry_after=SPOOL_RETRY, close=True)
        return None

    def serve(self, admitted: Admitted, body: bytes, digest: str) -> Deferred[Reply]:
        """The reply to the whole request; never fails."""
        call = Call(
            id=admitted.id,
            operation=admitted.operation.name,
            head=admitted.head,
            argument=admitted.argument,
            partner=admitted.partner,
            body=b"" if admitted.spooled else body,
            digest=digest,
            hand_over=admitted.spooled.hand_over if admitted.spooled else None,
        )
        admitted.received = admitted.received if admitted.spooled else len(body)
        done = Deferred.fromCoroutine(self._answer(admitted, call))
        done.addErrback(self._failed, admitted)
        return done.addCallback(self._settle, admitted)

    def too_slow(self, admitted: Admitted) -> Reply:
        """The body comes slower than the bound: the refusal."""
        expected = f"{self.bounds.body_rate} octets/s"
        return self._refuse(admitted, 408, [Finding("API408", expected=expected)], close=True)

    def unanswered(self, admitted: Admitted) -> Reply:
        """The services did not answer in time; what they do with the submission still counts, and the
        same submission sent again gets that answer."""
        found = Finding("API5033", expected=f"{self.bounds.answer_seconds:g} s")
        return self._refuse(admitted, 503, [found], retry_after=5, release=False)

    def malformed(self, head: Head, finding: Finding, status: int = 400) -> Reply:
        """What came is no HTTP request that can be answered safely: the refusal, and the end."""
        admitted = Admitted(self._new_id(), NONE, head, self._seconds())
        return self._refuse(admitted, status, [finding], close=True)

    def abandon(self, admitted: Admitted) -> None:
        """The connection was lost before the body was whole: written down as status 0, unanswered."""
        self._settle(Reply(0), admitted)

    def depart(self, visit: Visit) -> None:
        """The connection has ended."""
        if visit.partner:
            self.admission.detach(visit.partner)
            visit.partner = ""

    def _identify(self, admitted: Admitted, visit: Visit) -> Reply | None:
        who = admitted.head, self._services.register, self._now(), self._tax_codes
        partner = authenticate(*who)
        if partner is None:
            admitted.why = unproven(*who)
            return self._refuse(admitted, 401, [Finding("API401")], headers=CHALLENGE)
        admitted.why = self._unfit(admitted.head.certificates) if admitted.head.certificates else ""
        if admitted.why:
            return self._refuse(admitted, 401, [Finding("API401")], headers=CHALLENGE)
        admitted.partner = partner
        roles = admitted.operation.roles
        if roles and not set(roles) & set(partner.roles):
            found = Finding("API403", Place(part="role"), ", ".join(roles), ", ".join(partner.roles))
            return self._refuse(admitted, 403, [found])
        if visit.partner != partner.id:
            self.depart(visit)
            held = self.admission.attach(partner.id)
            if held is not None:
                return self._hold(admitted, held, close=True)
            visit.partner = partner.id
        return None

    def _check(self, admitted: Admitted, length: int | None) -> Reply | None:
        head, operation = admitted.head, admitted.operation
        produces = operation.produces
        accept = ",".join(head.headers.get("accept", ()))
        if produces and not any(quality(accept, p) > 0 for p in produces):
            found = Finding("API406", Place(part="Accept"), ", ".join(produces), accept[:80])
            return self._refuse(admitted, 406, [found])
        if operation.body is Body.NONE:
            return None
        if length == 0:
            known = "content-length" in head.headers
            return self._refuse(admitted, *_NO_BODY) if known else self._refuse(admitted, *_NO_LENGTH)
        types = self.settings.message_types if operation.body is Body.MESSAGE else {JSON}
        sent = head.headers.get("content-type", ())
        if len(sent) != 1 or essence(sent[0]) not in types or "content-encoding" in head.headers:
            encoding = head.header("content-encoding")
            given = f"{', '.join(sent)} {encoding}".strip()[:80]
            offered = ", ".join(sorted(types - UNSIGNED_TYPES))
            found = Finding("API415", Place(part="Content-Type"), offered, given)
            return self._refuse(admitted, 415, [found])
        return None

    def _admit(self, admitted: Admitted, length: int | None) -> Reply | None:
        partner, now = admitted.partner, self._seconds()
        if partner is not None and admitted.operation.body is Body.MESSAGE:
            rank = self.admission.rank(partner, admitted.head.header("priority"), length, now)
            entered = self.admission.enter(partner, length, now, rank)
            if isinstance(entered, Held):
                self.metrics.admitted(rank.name, entered.finding.code)
                return self._hold(admitted, entered)
            admitted.leave, admitted.limit = entered, entered.limit
            return self._spooled(admitted, length or 0)
        admitted.limit = MOST_BYTES[admitted.operation.body]
        if (length or 0) > admitted.limit:
            return self._hold(admitted, too_large(admitted.limit, length or 0))
        held = None if partner is None else self.admission.read(partner, now)
        return None if held is None else self._hold(admitted, held)

    def _spooled(self, admitted: Admitted, length: int) -> Reply | None:
        """A large body finds its file open, or hears before it is sent that there is no room."""
        if self.spool is None or length <= self.spool.over:
            return None
        try:
            admitted.spooled = self.spool.open(admitted.id, length)
        except SpoolFull:
            return self._refuse(admitted, 503, [Finding("API5035")], retry_after=SPOOL_RETRY)
        return None

    async def _answer(self, admitted: Admitted, call: Call) -> Reply:
        try:
            if admitted.leave is not None:
                if (
                    admitted.spooled is None
                ):  # a large one takes no turn of the others': it has a lane of its own
                    await self.turns.wait(admitted.leave)
                self.metrics.admitted(admitted.leave.rank.name, ADMITTED)
            return await self._api.answer(call)
        except Late:
            return self._too_late(admitted)
        except Unanswerable as error:
            return self._counter.refuse(admitted, error.status, [error.finding])
        except Refusal as error:
            return self._counter.refuse(admitted, error.status, error.findings)
        except Overloaded as error:
            wait = max(1, round(error.retry_after))
            return self._counter.refuse(admitted, 503, [Finding("API503")], retry_after=wait)

    def _too_late(self, admitted: Admitted) -> Reply:
        held = self.admission.busy(self._seconds())
        if admitted.leave is not None:
            self.metrics.admitted(admitted.leave.rank.name, LATE)
        return self._counter.refuse(admitted, held.status, [held.finding], retry_after=held.retry_after)

    def _failed(self, failure: Failure, admitted: Admitted) -> Reply:
        """An error of ours: the client learns its id, the log its cause."""
        cause: Any = failure.value
        self._log.incident(admitted.id, cause, self._now())
        return self._counter.refuse(admitted, 500, [Finding("API500", found=admitted.id)])

    def _no_operation(self, request: str, head: Head, allowed: tuple[str, ...], began: float) -> Reply:
        admitted = Admitted(request, NONE, head, began)
        if not allowed:
            return self._refuse(admitted, 404, [Finding("API404", Place(part="path"), found=head.path[:80])])
        listed = ", ".join(allowed)
        finding = Finding("API405", Place(part="method"), listed, head.method[:20])
        return self._refuse(admitted, 405, [finding], headers=(("Allow", listed),))

    def _hold(self, admitted: Admitted, held: Held, *, close: bool = False) -> Reply:
        return self._refuse(admitted, held.status, [held.finding], retry_after=held.retry_after, close=close)

    def _refuse(
        self,
        admitted: Admitted,
        status: int,
        findings: Sequence[Finding],
        *,
        retry_after: int = 0,
        headers: tuple[tuple[str, str], ...] = (),
        close: bool = False,
        release: bool = True,
    ) -> Reply:
        reply = self._counter.refuse(
            admitted, status, findings, retry_after=retry_after, headers=headers, close=close
        )
        return self._settle(reply, admitted) if release else stamped(reply, admitted)

    def _settle(self, reply: Reply, admitted: Admitted) -> Reply:
        """The request is over: give its pass back, write it down."""
        if admitted.spooled is not None:
            admitted.spooled.drop()
        self._release(admitted)
        self._counter.write_down(admitted, reply, self._seconds(), self._now())
        return stamped(reply, admitted)

    def _release(self, admitted: Admitted) -> None:
        if admitted.leave is not None:
            self.admission.leave(admitted.leave, self._seconds())
            self.turns.done(admitted.leave)
            self.patience.room(self.bounds.at_work - self.admission.total_inside)

    def _new_id(self) -> str:
        return identifier.new(self._now(), self._randomness(identifier.RANDOM_OCTETS))


_NO_BODY: tuple[int, list[Finding]] = (400, [Finding("API4003", Place(part="Content-Length"), found="0")])
_NO_LENGTH: tuple[int, list[Finding]] = (411, [Finding("API411", Place(part="Content-Length"))])
