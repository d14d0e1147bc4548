"""The counter behind the door: says refusals as problem documents, and writes every request down."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from gateway.model import Finding, Partner
from gateway.transport.access import Access, AccessLog
from gateway.transport.admission import Pass
from gateway.transport.call import Head, Reply
from gateway.transport.metrics import Metrics
from gateway.transport.problem import language_of, problem
from gateway.transport.refusals import RefusalLog, Refused
from gateway.transport.routes import Operation
from gateway.transport.services import Services
from gateway.transport.spool import SpoolFile

MAX_CODES = 20  # of one refusal in the log: a broken file has thousands of findings, and few kinds
OURS = 500  # an error of ours is an incident, and written down as one
# Stands in the log and the metrics for requests that name no operation.
NONE = Operation("none", "", "", public=True)


class Admitted(msgspec.Struct):
    """A request that may send its body, or has none: what is known of it until it is answered.

    ``limit``: octets of body; ``leave``: its pass, where it is a submission; ``spooled``: its body's file, where
    that is large; ``why``: what only the operator
    is told of its refusal.
    """

    id: str
    operation: Operation
    head: Head
    began: float
    argument: str = ""
    partner: Partner | None = None
    limit: int = 0
    leave: Pass | None = None
    spooled: SpoolFile | None = None
    received: int = 0
    codes: tuple[str, ...] = ()
    why: str = ""


class Counter:
    """Refuses in the caller's language, and keeps the logs and the figures."""

    def __init__(
        self, services: Services, metrics: Metrics, log: AccessLog, refusals: RefusalLog | None
    ) -> None:
        self._services = services
        self._metrics = metrics
        self._log = log
        self._refusals = refusals

    def refuse(
        self,
        admitted: Admitted,
        status: int,
        findings: Sequence[Finding],
        *,
        retry_after: int = 0,
        headers: tuple[tuple[str, str], ...] = (),
        close: bool = False,
    ) -> Reply:
        """The problem document.  Its language: the request's, else the partner's, else English."""
        for finding in findings:
            self._metrics.refused(finding.code)
        admitted.codes = tuple(dict.fromkeys(f.code for f in findings))
        default = admitted.partner.language if admitted.partner else "en"
        return problem(
            status,
            findings,
            self._services.catalogue,
            request=admitted.id,
            language=language_of(admitted.head, default),
            retry_after=retry_after,
            headers=headers,
            close=close,
        )

    def write_down(self, admitted: Admitted, reply: Reply, seconds: float, at: datetime) -> None:
        """The request is answered: one line of the log, one count."""
        operation = admitted.operation
        spent = seconds - admitted.began
        self._metrics.requested(operation.name, reply.status, spent)
        refused = self._refusals is not None and admitted.codes and 400 <= reply.status != OURS
        if not (refused or self._log.wanted):
            return
        access = Access(
            request=admitted.id,
            method=admitted.head.method,
            status=reply.status,
            peer=admitted.head.peer,
            operation=operation.name,
            path=admitted.head.path if operation is NONE else "",
            partner=admitted.partner.id if admitted.partner else "",
            submission=reply.header("Cvan-Submission"),
            code=admitted.codes[0] if admitted.codes else "",
            received=admitted.received,
            sent=len(reply.body),
            seconds=round(spent, 6),
        )
        self._log.write(access, at)
        if self._refusals is not None and refused:
            self._refusals.note(_refused(admitted, access))


def _refused(admitted: Admitted, access: Access) -> Refused:
    return Refused(
        request=access.request,
        status=access.status,
        codes=admitted.codes[:MAX_CODES],
        partner=access.partner,
        subject="" if access.partner else admitted.head.subject,
        peer=access.peer,
        operation=access.operation,
        received=access.received,
        why=admitted.why,
    )


def stamped(reply: Reply, admitted: Admitted) -> Reply:
    """The reply with the request's id, by which the operator finds it in the log."""
    return msgspec.structs.replace(reply, headers=(*reply.headers, ("Cvan-Request", admitted.id)))
