"""The OpenAPI document's page for operators and officers."""

from __future__ import annotations

from gateway.transport.call import JSON
from gateway.transport.desk import (
    Acted,
    Again,
    DeadLetters,
    Deliveries,
    Destination,
    Editing,
    HandedOver,
    Reason,
    Shown,
)
from gateway.transport.openapi_examples import EXAMPLES, Json
from gateway.transport.openapi_forms import ID_PARAMETER, content, field, get, json_of, operation

SHAPES = (Deliveries, Shown, HandedOver, Acted, Destination, DeadLetters, Again, Reason, Editing)
_TAG = "Operators' own; others get 403."


def operator_paths() -> Json:
    """Paths of the operators' operations."""
    delivery, destination = "/v1/deliveries", "/v1/destinations"
    return {
        delivery: _list(),
        f"{delivery}/{{id}}": _one(get("getDelivery", "One delivery in full", json_of("Shown"), 403, 404)),
        f"{delivery}/{{id}}/declaration": _one(
            get("getHandover", "The declaration as it is handed over", json_of("HandedOver"), 403, 404, 409)
        ),
        f"{delivery}/{{id}}/again": _act("sendAgain", "Send once more, at once", "Again"),
        f"{delivery}/{{id}}/skip": _act("skipDelivery", "Give up for good; who filed is told", "Reason"),
        f"{delivery}/{{id}}/edit": _act(
            "editDelivery", "Hand over a corrected declaration, or push to another address", "Editing"
        ),
        "/v1/outgoing/{id}/resend": _act(
            "resendMessage", "Offer a message to its partner once more, in the mailbox and by push", "Reason"
        ),
        "/v1/dead-letters": get(
            "listDeadLetters", "What was given up, by destination and reason", _all("DeadLetters"), 403
        ),
        destination: get(
            "listDestinations", "Where deliveries go, and how that goes", _all("Destination"), 403
        ),
        f"{destination}/{{id}}/pause": _act("pauseDestination", "Send nothing there", "Reason"),
        f"{destination}/{{id}}/resume": _act("resumeDestination", "Send there again", "Reason"),
        f"{destination}/{{id}}/close": _act(
            "closeBreaker", "Try a destination that fails with all that is due", "Reason"
        ),
    }


def _list() -> Json:
    item = get("listDeliveries", "Deliveries by destination, state and age", json_of("Deliveries"), 400, 403)
    whole = {"type": "integer", "minimum": 0, "default": 0}
    states = {"type": "string", "enum": ["due", "dead"]}
    item["get"]["parameters"] = [
        field("destination", {"type": "string"}, "One, or a kind with its colon: push:"),
        field("state", states, "Without: all that have not arrived."),
        field("older", whole, "Stored more than so many seconds ago."),
        field("after", {"type": "string", "default": ""}, "What the page before gave as next."),
        field("limit", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}, "At most."),
    ]
    return item


def _one(item: Json) -> Json:
    return {"parameters": [ID_PARAMETER], **item}


def _act(name: str, summary: str, asked: str) -> Json:
    made = operation(name, summary, json_of("Acted"), 400, 403, 404, 409, 413, 415, 422)
    made["description"] = f"{_TAG} Journalled with who asked and why."
    made["requestBody"] = {"required": True, "content": {JSON: content(asked)}}
    return {"parameters": [ID_PARAMETER], "post": made}


def _all(shape: str) -> Json:
    of = content(shape)
    listed = {"schema": {"type": "array", "items": of["schema"]}, "example": [EXAMPLES[shape]]}
    return {"description": f"A list of {shape}", "content": {JSON: listed}}
