"""The documentation page: the OpenAPI document and the catalogue of findings, as plain HTML."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from html import escape
from typing import Any

from gateway.model import Catalogue

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "code,pre{font:14px/1.4 ui-monospace,monospace}pre{background:#f4f4f4;padding:.7rem;overflow:auto}"
    "h2{border-bottom:1px solid #999}table{border-collapse:collapse;width:100%}"
    "td,th{border:1px solid #bbb;padding:.3rem .5rem;text-align:left;vertical-align:top}"
    "@media(prefers-color-scheme:dark){body{background:#161616;color:#eee}pre{background:#262626}a{color:#8bf}}"
)
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
# No script, no font, no picture: the page can load nothing, from us or anybody else.
HEADERS = (
    ("Content-Type", "text/html; charset=utf-8"),
    (
        "Content-Security-Policy",
        f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'",
    ),
    ("Cache-Control", "max-age=300"),
)


def render(document: dict[str, Any], catalogue: Catalogue) -> bytes:
    """The page, in UTF-8.  Problem documents' ``type`` leads to the codes' rows on it."""
    info = document["info"]
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(info["title"])}</title>',
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>',
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{escape(info['description'])}</p>",
        '<p><a href="/v1/openapi.json">OpenAPI document</a> · <a href="#codes">Codes</a></p>',
    ]
    for path, item in document["paths"].items():
        for method in ("get", "post"):
            if method in item:
                parts.extend(_operation(path, method, item[method], item.get("parameters", [])))
    parts.extend(_codes(catalogue))
    return "".join(parts).encode("utf-8")


def _operation(path: str, method: str, operation: dict[str, Any], shared: list[Any]) -> Iterator[str]:
    yield f'<h2 id="{escape(operation["operationId"])}">'
    yield f"<code>{method.upper()} {escape(path)}</code></h2>"
    yield f"<p>{escape(operation['summary'])}{' (public)' if operation.get('security') == [] else ''}</p>"
    parameters = shared + operation.get("parameters", [])
    if parameters:
        yield "<table><tr><th>Parameter<th>In<th>Meaning"
        for p in parameters:
            yield f"<tr><td><code>{escape(p['name'])}</code><td>{p['in']}<td>"
            yield escape(p.get("description", ""))
        yield "</table>"
    if "requestBody" in operation:
        yield f"<p>Body: {_types(operation['requestBody'])}</p>"
    for status, response in operation["responses"].items():
        if "$ref" not in response:
            yield from _response(status, response)
    refused = [s for s, r in operation["responses"].items() if "$ref" in r]
    if refused:
        yield f"<p>Problem documents: {', '.join(refused)}</p>"


def _response(status: str, response: dict[str, Any]) -> Iterator[str]:
    yield f"<p><b>{status}</b> {escape(response['description'])} {_types(response)}</p>"
    for name, header in response.get("headers", {}).items():
        yield f"<p><code>{escape(name)}</code>: {escape(header['description'])}</p>"
    for content in response.get("content", {}).values():
        if "example" in content:
            yield f"<pre>{escape(json.dumps(content['example'], indent=1, ensure_ascii=False))}</pre>"


def _types(holder: dict[str, Any]) -> str:
    return ", ".join(f"<code>{escape(t)}</code>" for t in holder.get("content", {}))


def _codes(catalogue: Catalogue) -> Iterator[str]:
    yield '<h2 id="codes">Codes</h2><table><tr><th>Code<th>English<th>Tiếng Việt'
    for code, meaning in sorted(catalogue.meanings.items()):
        yield f'<tr id="{escape(code)}"><td><code>{escape(code)}</code>'
        yield f"<td>{escape(meaning.text)} {escape(meaning.remedy)}"
        yield f'<td lang="vi">{escape(meaning.text_vi)} {escape(meaning.remedy_vi)}'
    yield "</table>"
