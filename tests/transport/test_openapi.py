"""The OpenAPI document says what the table of routes does, and its examples are true."""

from __future__ import annotations

import json
import re

import msgspec
import pytest

from gateway.transport import docs_page, openapi
from gateway.transport.api import Api
from gateway.transport.metrics import Metrics
from gateway.transport.routes import METRICS, OPERATIONS, Body

DOCUMENT = openapi.document()
SHAPES = {shape.__name__: shape for shape in openapi._SHAPES}


def _operations():
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                yield path, method.upper(), operation, item.get("parameters", [])


def test_every_route_is_described_and_nothing_else():
    described = {(o["operationId"], method, path) for path, method, o, _ in _operations()}
    assert described == {(o.name, o.method, o.path) for o in OPERATIONS}


def test_every_route_can_be_answered():
    api = Api(services=None, metrics=Metrics(), now=lambda: None)
    assert api.names == {o.name for o in (*OPERATIONS, METRICS)}


def test_bodies_ids_and_security_agree_with_the_table():
    by_name = {o.name: o for o in OPERATIONS}
    for path, _, operation, parameters in _operations():
        row = by_name[operation["operationId"]]
        assert ("requestBody" in operation) == (row.body is not Body.NONE)
        assert ("{id}" in path) == any(p["in"] == "path" for p in parameters)
        assert (operation.get("security") == []) == row.public
        if row.produces:
            assert set(operation["responses"]["200"]["content"]) == set(row.produces)


def test_every_reference_leads_somewhere():
    for reference in re.findall(r'"\$ref":\s*"#/([^"]+)"', json.dumps(DOCUMENT)):
        here = DOCUMENT
        for step in reference.split("/"):
            here = here[step]
        assert here


@pytest.mark.parametrize("shape", sorted(openapi.EXAMPLES))
def test_every_example_is_of_its_shape(shape):
    text = json.dumps(openapi.EXAMPLES[shape])
    msgspec.json.decode(text, type=SHAPES[shape])
    assert set(openapi.EXAMPLES[shape]) <= set(SHAPES[shape].__struct_fields__)


def test_the_problem_example_is_what_the_catalogue_says(catalogue):
    from gateway.model import Finding

    said = openapi.EXAMPLES["Problem"]["findings"][0]
    finding = Finding("API413", expected=said["expected"], found=said["found"])
    assert said["text"] == catalogue.say(finding)
    assert said["text_vi"] == catalogue.say(finding, "vi")


def test_the_page_shows_every_operation_and_code_and_loads_nothing(catalogue):
    page = docs_page.render(DOCUMENT, catalogue).decode()
    assert all(f'id="{o.name}"' in page for o in OPERATIONS)
    assert all(f'id="{code}"' in page for code in catalogue.meanings)
    assert not re.search(r"<script|<link|<img|src=|url\(|https?://", page)
