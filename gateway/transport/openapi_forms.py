"""Forms of the OpenAPI document that its pages share: operations, contents, parameters."""

from __future__ import annotations

from gateway.transport.call import JSON, PROBLEM
from gateway.transport.openapi_examples import EXAMPLES, Json

ID_PARAMETER: Json = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
ANY: Json = {"content": {JSON: {"schema": {"type": "object"}}}}
ANSWERS = ("application/xml", "multipart/signed", "application/pkcs7-mime")
MESSAGES = ("application/xml", "multipart/signed", "application/pkcs7-mime")


def get(name: str, summary: str, fine: Json, *problems: int) -> Json:
    item: Json = {"get": operation(name, summary, fine, *problems)}
    if name in ("getMessage", "getReceipt", "fetchMailbox"):
        item["parameters"] = [ID_PARAMETER]
    return item


def public(name: str, summary: str, fine: Json) -> Json:
    operation: Json = {"operationId": name, "summary": summary, "security": [], "responses": {"200": fine}}
    return {"get": operation}


def operation(name: str, summary: str, fine: Json, *problems: int) -> Json:
    responses: Json = {"200": fine}
    for status in sorted({401, 406, 429, 500, 503, *problems}):
        responses[str(status)] = {"$ref": "#/components/responses/Problem"}
    return {"operationId": name, "summary": summary, "responses": responses}


def json_of(shape: str) -> Json:
    return {"description": shape, "content": {JSON: content(shape)}}


def content(shape: str) -> Json:
    return {"schema": {"$ref": f"#/components/schemas/{shape}"}, "example": EXAMPLES[shape]}


def octets_of(description: str) -> Json:
    return {
        "description": description,
        "content": {t: {"schema": {"type": "string", "format": "binary"}} for t in ANSWERS},
    }


def problem_of(description: str) -> Json:
    return {
        "description": description,
        "headers": {
            "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds, with 429 and 503."},
            "Cvan-Request": header("The request's id, to be named when asking the operator."),
        },
        "content": {PROBLEM: content("Problem")},
    }


def header(description: str, values: list[str] | None = None) -> Json:
    schema: Json = {"type": "string", **({"enum": values} if values else {})}
    return {"description": description, "schema": schema}


def field(name: str, schema: Json, description: str) -> Json:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}
