"""The operations of the HTTP interface: one row each; the door, the metrics and OpenAPI read this table."""

from __future__ import annotations

from enum import Enum

import msgspec

from gateway.model import Role
from gateway.transport.desk import MAY_LOOK, MAY_STEER
from gateway.transport.identifier import well_formed


class Body(Enum):
    """What an operation takes as its body."""

    NONE = "none"
    MESSAGE = "message"  # a submission: bounded by the partner's limit, admitted by all bounds
    LIST = "list"  # a small JSON list
    ACT = "act"  # a JSON object: what an operator does, and why


class Operation(msgspec.Struct, frozen=True):
    """``name`` is the OpenAPI operationId; ``produces``: what Accept may ask for ("" anything); ``roles``: one
    of which the caller must have, where it is for no partner."""

    name: str
    method: str
    path: str
    public: bool = False
    body: Body = Body.NONE
    produces: tuple[str, ...] = ("application/json",)
    roles: tuple[Role, ...] = ()


# An answer in its own media type cannot be known before it is fetched: any Accept will do.
OWN_TYPE: tuple[str, ...] = ()

PARTNERS = (
    Operation("submitMessage", "POST", "/v1/messages", body=Body.MESSAGE, produces=OWN_TYPE),
    Operation("getMessage", "GET", "/v1/messages/{id}"),
    Operation("getReceipt", "GET", "/v1/messages/{id}/receipt", produces=OWN_TYPE),
    Operation("listMailbox", "GET", "/v1/mailbox"),
    Operation("acknowledgeMany", "POST", "/v1/mailbox/acknowledge", body=Body.LIST),
    Operation("fetchMailbox", "GET", "/v1/mailbox/{id}", produces=OWN_TYPE),
    Operation("acknowledgeOne", "POST", "/v1/mailbox/{id}/acknowledge"),
    Operation("getOpenApi", "GET", "/v1/openapi.json", public=True),
    Operation("getDocs", "GET", "/docs", public=True, produces=("text/html",)),
    Operation("getLive", "GET", "/health/live", public=True),
    Operation("getReady", "GET", "/health/ready", public=True),
)
DELIVERY, DESTINATION = "/v1/deliveries", "/v1/destinations"
OPERATORS = (
    Operation("listDeliveries", "GET", DELIVERY, roles=MAY_LOOK),
    Operation("getDelivery", "GET", f"{DELIVERY}/{{id}}", roles=MAY_LOOK),
    Operation("getHandover", "GET", f"{DELIVERY}/{{id}}/declaration", roles=(Role.OFFICER,)),
    Operation("sendAgain", "POST", f"{DELIVERY}/{{id}}/again", body=Body.ACT, roles=MAY_LOOK),
    Operation("skipDelivery", "POST", f"{DELIVERY}/{{id}}/skip", body=Body.ACT, roles=MAY_LOOK),
    Operation("resendMessage", "POST", "/v1/outgoing/{id}/resend", body=Body.ACT, roles=MAY_LOOK),
    Operation("editDelivery", "POST", f"{DELIVERY}/{{id}}/edit", body=Body.ACT, roles=MAY_LOOK),
    Operation("listDeadLetters", "GET", "/v1/dead-letters", roles=MAY_LOOK),
    Operation("listDestinations", "GET", DESTINATION, roles=MAY_LOOK),
    Operation("pauseDestination", "POST", f"{DESTINATION}/{{id}}/pause", body=Body.ACT, roles=MAY_STEER),
    Operation("resumeDestination", "POST", f"{DESTINATION}/{{id}}/resume", body=Body.ACT, roles=MAY_STEER),
    Operation("closeBreaker", "POST", f"{DESTINATION}/{{id}}/close", body=Body.ACT, roles=MAY_STEER),
)
OPERATIONS = PARTNERS + OPERATORS
# Only where an operator opens it: on the loopback listener, or on the main one by settings.
METRICS = Operation("getMetrics", "GET", "/metrics", public=True, produces=("text/plain",))


# What the operators' listener answers, and nothing else.
FOR_OPERATORS = (
    *(o for o in OPERATIONS if o.name in ("getLive", "getReady")),
    METRICS,
)


class Found(msgspec.Struct, frozen=True):
    """The operation that a request line names, and what its ``{id}`` stands for."""

    operation: Operation
    argument: str = ""


class Routes:
    """Looks operations up by method and path.  Paths are compared as sent: an id needs no escapes."""

    def __init__(self, operations: tuple[Operation, ...]) -> None:
        self.operations = operations
        self._plain: dict[str, dict[str, Operation]] = {}
        self._held: dict[tuple[str, str], dict[str, Operation]] = {}
        for operation in operations:
            before, brace, after = operation.path.partition("{id}")
            if brace:
                self._held.setdefault((before, after), {})[operation.method] = operation
            else:
                self._plain.setdefault(operation.path, {})[operation.method] = operation

    def find(self, method: str, path: str) -> Found | tuple[str, ...]:
        """The operation, or the methods that the path allows (empty: there is no such path).

        HEAD is GET without a body.
        """
        methods, argument = self._lookup(path)
        operation = methods.get("GET" if method == "HEAD" else method)
        if operation is not None:
            return Found(operation, argument)
        return tuple(sorted({*methods, *(("HEAD",) if "GET" in methods else ())}))

    def _lookup(self, path: str) -> tuple[dict[str, Operation], str]:
        if path in self._plain:
            return self._plain[path], ""
        for (before, after), methods in self._held.items():
            if path.startswith(before) and path.endswith(after):
                argument = path[len(before) : len(path) - len(after)]
                if well_formed(argument):
                    return methods, argument
        return {}, ""
