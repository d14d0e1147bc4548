"""What the interface offers is what it takes, and its examples say what the catalogue says."""

from __future__ import annotations

from pathlib import Path

from gateway.model import Finding
from gateway.model.finding import load_catalogue
from gateway.transport import openapi
from gateway.transport.offers import MESSAGE_TYPES, UNSIGNED_TYPES

from .test_api import problem, read

FINDINGS = Path(__file__).parents[2] / "mappings" / "findings"


def test_a_type_without_a_place_for_a_signature_is_offered_nowhere(gateway):
    body = openapi.document()["paths"]["/v1/messages"]["post"]["requestBody"]
    assert set(body["content"]) <= MESSAGE_TYPES - UNSIGNED_TYPES
    told = read(
        gateway.curl(
            *("-H", "Content-Type: text/csv", "--data-binary", "@-", f"{gateway.base}/v1/messages"),
            name="van",
            body=b"a;b",
        )
    )
    (finding,) = problem(told)["findings"]
    assert (told[0], finding["code"]) == (415, "API415")
    assert set(finding["expected"].split(", ")) == MESSAGE_TYPES - UNSIGNED_TYPES


def test_the_status_example_is_what_the_catalogue_says():
    rejected = openapi.EXAMPLES["Status"]["messages"][1]
    (said,) = rejected["findings"]
    catalogue = load_catalogue(FINDINGS)
    finding = Finding(said["code"], expected=said["expected"], found=said["found"])
    assert said["text"] == catalogue.say(finding)
    assert said["text_vi"] == catalogue.say(finding, "vi")
    schema = openapi.document()["components"]["schemas"]
    assert {"text", "text_vi"} <= set(schema["Said"]["properties"])


def test_the_readiness_example_names_parts_that_exist():
    assert set(openapi.EXAMPLES["Ready"]["parts"]) == {"ledger", "disk"}
