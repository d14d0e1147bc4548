"""The schemas of what is published, as the code has it: ``python -m tests.delivery.schemas`` writes them."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import msgspec

from gateway.delivery.publishing import DeclarationDocument
from gateway.model import Decision

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "schemas"
PUBLISHED = {"declaration-1.schema.json": DeclarationDocument, "decision-1.schema.json": Decision}
MOMENTS = {"at", "received_at", "limit_at"}


def text(name: str) -> str:
    """The file of this name."""
    made = msgspec.json.schema(PUBLISHED[name])
    _mended(made)
    identity = "urn:cvan:schema:" + name.removesuffix(".schema.json").replace("-", ":")
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": identity}
    return json.dumps({**head, **made}, indent=1, ensure_ascii=False) + "\n"


def _mended(part: Any) -> None:
    """Descriptions in lines of their own length; moments said to be such."""
    if isinstance(part, list):
        for item in part:
            _mended(item)
    if not isinstance(part, dict):
        return
    if isinstance(part.get("description"), str):
        part["description"] = " ".join(inspect.cleandoc(part["description"]).split())
    properties = part.get("properties", {})
    for name in MOMENTS & properties.keys():
        for way in properties[name].get("anyOf", [properties[name]]):
            if way.get("type") == "string":
                way["format"] = "date-time"
    for value in part.values():
        _mended(value)


if __name__ == "__main__":
    for name in PUBLISHED:
        (FOLDER / name).write_text(text(name), "utf-8")
