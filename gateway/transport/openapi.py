"""The OpenAPI 3.1 document of the HTTP interface, as data; the tests hold it to the table of routes."""

from __future__ import annotations

import functools

import msgspec

from gateway.transport.call import JSON
from gateway.transport.openapi_examples import EXAMPLES as EXAMPLES
from gateway.transport.openapi_examples import ID, Json
from gateway.transport.openapi_forms import (
    ANY,
    ID_PARAMETER,
    MESSAGES,
    content,
    field,
    get,
    header,
    json_of,
    octets_of,
    operation,
    problem_of,
    public,
)
from gateway.transport.openapi_operators import SHAPES, operator_paths
from gateway.transport.problem import Problem
from gateway.transport.services import Entry, MessageStatus, Status
from gateway.transport.wire import Acknowledged, Kept, Live, Mailbox, Ready, Summary

VERSION = "1.0.0"  # of the interface, not of the program
_SHAPES = (Summary, Kept, Status, MessageStatus, Mailbox, Entry, Acknowledged, Live, Ready, Problem, *SHAPES)


@functools.cache
def document() -> Json:
    """The whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Customs message gateway",
            "version": VERSION,
            "description": "Submit signed WCO XML or UN/EDIFACT messages, follow them, and collect "
            "customs' answers. The answer to a submission is a signed receipt; it is given only after "
            "the submission is durable. Sending the same octets again gives the same receipt.",
        },
        "security": [{"certificate": []}, {"token": []}, {"certificate": [], "token": []}],
        "paths": _paths(),
        "components": {
            "securitySchemes": {
                "certificate": {"type": "mutualTLS", "description": "A client certificate of a partner."},
                "token": {"type": "http", "scheme": "bearer"},
            },
            "schemas": _schemas(),
            "responses": {"Problem": problem_of("Why not, in English and Vietnamese (RFC 9457).")},
        },
    }


@functools.cache
def encoded() -> bytes:
    """The document as JSON."""
    return msgspec.json.encode(document())


def _paths() -> Json:
    receipt = octets_of("The signed receipt in its own media type, or its summary where JSON is wanted.")
    receipt["content"][JSON] = content("Summary")
    receipt["headers"] = {
        "Cvan-Submission": header("The submission's id."),
        "Cvan-Outcome": header("held with 202.", ["accepted", "partly", "rejected", "held"]),
        "Cvan-Repeated": header("true where these octets had been received before.", ["true", "false"]),
        "Location": header("Where to follow the submission."),
    }
    submit = operation("submitMessage", "Submit a signed message", receipt, 400, 408, 411, 413, 415, 422)
    submit["requestBody"] = {
        "required": True,
        "description": "As signed: not compressed, not encoded again.",
        "content": {t: {"schema": {"type": "string", "format": "binary"}} for t in MESSAGES},
    }
    submit["responses"]["202"] = _kept()
    return {
        "/v1/messages": {"post": submit},
        "/v1/messages/{id}": _status(),
        "/v1/messages/{id}/receipt": get(
            "getReceipt", "The signed receipt again", octets_of("The signed receipt."), 404
        ),
        "/v1/mailbox": _mailbox(),
        "/v1/mailbox/acknowledge": {"post": _acknowledge_many()},
        "/v1/mailbox/{id}": _message(),
        "/v1/mailbox/{id}/acknowledge": {
            "parameters": [ID_PARAMETER],
            "post": operation("acknowledgeOne", "Acknowledge one message", json_of("Acknowledged"), 404),
        },
        "/v1/openapi.json": public("getOpenApi", "This document", {"description": "OpenAPI 3.1", **ANY}),
        "/docs": public(
            "getDocs",
            "This document as a page, with every finding's code",
            {"description": "A page", "content": {"text/html": {"schema": {"type": "string"}}}},
        ),
        "/health/live": public("getLive", "The process answers", json_of("Live")),
        "/health/ready": _ready(),
        **operator_paths(),
    }


def _message() -> Json:
    message = octets_of("The signed message.")
    message["headers"] = {
        "Cvan-Delivery": header("The message's id, the same however often it comes."),
        "Cvan-Kind": header("receipt, rejected, or what was decided."),
        "Cvan-Reference": header("The sender's reference that it is about."),
        "Cvan-Submission": header("The submission that it is about."),
        "Cvan-Message": header("The message of it, where it is about one."),
        "Cvan-Created": header(
            "When it was made, RFC 3339 in UTC to the microsecond: of two about one declaration the later one counts."
        ),
    }
    return get("fetchMailbox", "One signed message", message, 404)


def _kept() -> Json:
    held = json_of("Kept")
    held["description"] = (
        "Kept durably and not judged yet: it is large, and being worked on, or nobody can say now whether a "
        "certificate was revoked. The signed receipt comes to the mailbox, or is pushed; the same octets get the "
        "same answer until then."
    )
    return held


def _status() -> Json:
    item = get("getMessage", "Status and timeline", json_of("Status"), 400, 404)
    item["get"]["description"] = (
        "Messages come page by page: where there is a `next`, ask again with it as `after`. A page has fewer "
        "messages than asked for where there is much to be told of them."
    )
    item["get"]["parameters"] = [
        field("after", {"type": "integer", "minimum": 0, "default": 0}, "Messages behind this ordinal."),
        field("limit", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}, "At most."),
    ]
    return item


def _mailbox() -> Json:
    item = get("listMailbox", "Messages waiting", json_of("Mailbox"), 400)
    item["get"]["parameters"] = [
        field(
            "after",
            {"type": "string", "default": ""},
            "Entries behind this id, to page through one listing. No bookmark between listings: an entry may appear "
            "before one that was listed already. Acknowledge, and begin without it.",
        ),
        field("limit", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}, "At most."),
        field("acknowledged", {"type": "boolean", "default": False}, "Those acknowledged too."),
    ]
    return item


def _acknowledge_many() -> Json:
    made = operation("acknowledgeMany", "Acknowledge messages", json_of("Acknowledged"), 400, 413, 415)
    schema = {"type": "array", "maxItems": 10_000, "items": {"type": "string"}}
    made["requestBody"] = {"required": True, "content": {JSON: {"schema": schema, "example": [ID]}}}
    return made


def _ready() -> Json:
    item = public("getReady", "Whether the gateway can work", json_of("Ready"))
    item["get"]["responses"]["503"] = json_of("Ready")
    return item


def _schemas() -> Json:
    _, schemas = msgspec.json.schema_components(_SHAPES, ref_template="#/components/schemas/{name}")
    return dict(schemas)
