"""The OpenAPI 3.1 document of the HTTP interface, as data; the tests hold it to the table of routes."""

from __future__ import annotations

import functools
from typing import Any

import msgspec

from gateway.transport.call import JSON, PROBLEM
from gateway.transport.problem import Problem
from gateway.transport.services import Entry, MessageStatus, Status
from gateway.transport.wire import Acknowledged, Kept, Live, Mailbox, Ready, Summary

Json = dict[str, Any]

VERSION = "1.0.0"  # of the interface, not of the program
_ID = "01m9x4t2r8qz5v7k3c6n0d1e2f"
_AT = "2026-03-02T08:15:30Z"
_SHAPES = (Summary, Kept, Status, MessageStatus, Mailbox, Entry, Acknowledged, Live, Ready, Problem)

_TOO_LARGE = (
    "The body has 20971520 octets or more; at most 10485760 are taken. "
    "Split the interchange, or agree on a higher bound with the operator."
)
_TOO_LARGE_VI = (
    "Nội dung có từ 20971520 byte trở lên; chỉ nhận tối đa 10485760 byte. "
    "Hãy chia nhỏ bản tin, hoặc thỏa thuận giới hạn cao hơn với đơn vị vận hành."
)
_UNKNOWN = (
    "Nobody can say now whether the certificate of CN=Importer was revoked; the message is kept and waits. "
    "Wait for the receipt in the mailbox; do not send again."
)
_UNKNOWN_VI = (
    "Hiện chưa thể xác định chứng thư của CN=Importer có bị thu hồi hay không; thông điệp được giữ lại và chờ. "
    "Hãy chờ biên nhận trong hộp thư; không cần gửi lại."
)
_MISSING = "The mandatory data element 1004 is missing. Send a value for the data element."
_MISSING_VI = "Thiếu phần tử dữ liệu bắt buộc 1004. Gửi giá trị cho phần tử dữ liệu này."
EXAMPLES: dict[str, Json] = {
    "Summary": {
        "submission": _ID,
        "outcome": "partly",
        "repeated": False,
        "media_type": "application/xml",
        "receipt_id": "01m9x4t2s1aaaaaaaaaaaaaaaa",
        "receipt": "PE1ldGFEYXRhPi4uLjwvTWV0YURhdGE+",
    },
    "Kept": {
        "submission": _ID,
        "outcome": "held",
        "repeated": False,
        "findings": [
            {
                "code": "SIG302",
                "severity": "error",
                "place": {"part": "certificate"},
                "expected": "",
                "found": "CN=Importer",
                "text": _UNKNOWN,
                "text_vi": _UNKNOWN_VI,
            }
        ],
    },
    "Status": {
        "submission": _ID,
        "reference": "MANIFEST-4711",
        "outcome": "partly",
        "received_at": _AT,
        "receipt": "01m9x4t2s1aaaaaaaaaaaaaaaa",
        "messages": [
            {
                "ordinal": 1,
                "type": "CUSCAR",
                "reference": "1",
                "outcome": "accepted",
                "lrn": "MANIFEST-4711",
                "registration": "26VN0000012345",
                "decision": "green",
            },
            {
                "ordinal": 2,
                "type": "CUSCAR",
                "reference": "2",
                "outcome": "rejected",
                "findings": [
                    {
                        "code": "EDI013",
                        "severity": "error",
                        "place": {"message": "2", "segment": 2, "tag": "BGM", "element": 2, "offset": 188},
                        "expected": "1004",
                        "found": "",
                        "text": _MISSING,
                        "text_vi": _MISSING_VI,
                    }
                ],
            },
        ],
        "timeline": [{"about": _ID, "at": _AT, "what": "received", "detail": "https"}],
    },
    "Mailbox": {
        "entries": [
            {
                "id": "01m9x4t2s1aaaaaaaaaaaaaaaa",
                "kind": "green",
                "about": f"{_ID}.1",
                "reference": "MANIFEST-4711",
                "media_type": "application/xml",
                "size": 4312,
                "created_at": _AT,
            }
        ],
        "next": "",
    },
    "Acknowledged": {"acknowledged": 1},
    "Live": {"live": True},
    "Ready": {"ready": True, "parts": {"ledger": True}},
    "Problem": {
        "type": "/docs#API413",
        "title": "Content Too Large",
        "status": 413,
        "detail": _TOO_LARGE,
        "request": _ID,
        "findings": [
            {
                "code": "API413",
                "severity": "error",
                "place": {},
                "expected": "10485760",
                "found": "20971520",
                "text": _TOO_LARGE,
                "text_vi": _TOO_LARGE_VI,
            }
        ],
    },
}


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
            "responses": {"Problem": _problem("Why not, in English and Vietnamese (RFC 9457).")},
        },
    }


@functools.cache
def encoded() -> bytes:
    """The document as JSON."""
    return msgspec.json.encode(document())


def _paths() -> Json:
    receipt = _body("The signed receipt in its own media type, or its summary where JSON is wanted.")
    receipt["content"][JSON] = _content("Summary")
    receipt["headers"] = {
        "Cvan-Submission": _header("The submission's id."),
        "Cvan-Outcome": _header("held with 202.", ["accepted", "partly", "rejected", "held"]),
        "Cvan-Repeated": _header("true where these octets had been received before.", ["true", "false"]),
        "Location": _header("Where to follow the submission."),
    }
    submit = _operation("submitMessage", "Submit a signed message", receipt, 400, 408, 411, 413, 415, 422)
    submit["requestBody"] = {
        "required": True,
        "description": "As signed: not compressed, not encoded again.",
        "content": {t: {"schema": {"type": "string", "format": "binary"}} for t in _MESSAGES},
    }
    submit["responses"]["202"] = _kept()
    return {
        "/v1/messages": {"post": submit},
        "/v1/messages/{id}": _get("getMessage", "Status and timeline", _json("Status"), 404),
        "/v1/messages/{id}/receipt": _get(
            "getReceipt", "The signed receipt again", _body("The signed receipt."), 404
        ),
        "/v1/mailbox": _mailbox(),
        "/v1/mailbox/acknowledge": {"post": _acknowledge_many()},
        "/v1/mailbox/{id}": _get("fetchMailbox", "One signed message", _body("The signed message."), 404),
        "/v1/mailbox/{id}/acknowledge": {
            "parameters": [_ID_PARAMETER],
            "post": _operation("acknowledgeOne", "Acknowledge one message", _json("Acknowledged"), 404),
        },
        "/v1/openapi.json": _public("getOpenApi", "This document", {"description": "OpenAPI 3.1", **_ANY}),
        "/docs": _public(
            "getDocs",
            "This document as a page, with every finding's code",
            {"description": "A page", "content": {"text/html": {"schema": {"type": "string"}}}},
        ),
        "/health/live": _public("getLive", "The process answers", _json("Live")),
        "/health/ready": _ready(),
    }


def _kept() -> Json:
    held = _json("Kept")
    held["description"] = (
        "Kept durably and not judged yet, as nobody can say now whether a certificate was revoked. The signed "
        "receipt comes to the mailbox, or is pushed; the same octets get the same answer until then."
    )
    return held


def _mailbox() -> Json:
    item = _get("listMailbox", "Messages waiting", _json("Mailbox"), 400)
    item["get"]["parameters"] = [
        _field("after", {"type": "string", "default": ""}, "Entries behind this id."),
        _field("limit", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}, "At most."),
        _field("acknowledged", {"type": "boolean", "default": False}, "Those acknowledged too."),
    ]
    return item


def _acknowledge_many() -> Json:
    operation = _operation("acknowledgeMany", "Acknowledge messages", _json("Acknowledged"), 400, 413, 415)
    schema = {"type": "array", "maxItems": 10_000, "items": {"type": "string"}}
    operation["requestBody"] = {"required": True, "content": {JSON: {"schema": schema, "example": [_ID]}}}
    return operation


def _ready() -> Json:
    item = _public("getReady", "Whether the gateway can work", _json("Ready"))
    item["get"]["responses"]["503"] = _json("Ready")
    return item


def _get(name: str, summary: str, fine: Json, *problems: int) -> Json:
    item: Json = {"get": _operation(name, summary, fine, *problems)}
    if name in ("getMessage", "getReceipt", "fetchMailbox"):
        item["parameters"] = [_ID_PARAMETER]
    return item


def _public(name: str, summary: str, fine: Json) -> Json:
    operation: Json = {"operationId": name, "summary": summary, "security": [], "responses": {"200": fine}}
    return {"get": operation}


def _operation(name: str, summary: str, fine: Json, *problems: int) -> Json:
    responses: Json = {"200": fine}
    for status in sorted({401, 406, 429, 500, 503, *problems}):
        responses[str(status)] = {"$ref": "#/components/responses/Problem"}
    return {"operationId": name, "summary": summary, "responses": responses}


def _json(shape: str) -> Json:
    return {"description": shape, "content": {JSON: _content(shape)}}


def _content(shape: str) -> Json:
    return {"schema": {"$ref": f"#/components/schemas/{shape}"}, "example": EXAMPLES[shape]}


def _body(description: str) -> Json:
    return {
        "description": description,
        "content": {t: {"schema": {"type": "string", "format": "binary"}} for t in _ANSWERS},
    }


def _problem(description: str) -> Json:
    return {
        "description": description,
        "headers": {
            "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds, with 429 and 503."},
            "Cvan-Request": _header("The request's id, to be named when asking the operator."),
        },
        "content": {PROBLEM: _content("Problem")},
    }


def _header(description: str, values: list[str] | None = None) -> Json:
    schema: Json = {"type": "string", **({"enum": values} if values else {})}
    return {"description": description, "schema": schema}


def _field(name: str, schema: Json, description: str) -> Json:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


def _schemas() -> Json:
    _, schemas = msgspec.json.schema_components(_SHAPES, ref_template="#/components/schemas/{name}")
    return dict(schemas)


_ID_PARAMETER: Json = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
_ANY: Json = {"content": {JSON: {"schema": {"type": "object"}}}}
_ANSWERS = ("application/xml", "multipart/signed", "application/pkcs7-mime")
_MESSAGES = ("application/xml", "multipart/signed", "application/pkcs7-mime")
