"""Media types, identifiers, routes, authentication, problems, metrics, the log: the parts without sockets."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model import Finding, Limits, Outgoing, Place, Register
from gateway.transport import AccessLog, Metrics, door
from gateway.transport.access import MAX_TEXT, Access
from gateway.transport.api import wants_summary
from gateway.transport.authentication import authenticate
from gateway.transport.call import Head, Reply
from gateway.transport.identifier import new, well_formed
from gateway.transport.media import essence, quality
from gateway.transport.metrics import MAX_CODES
from gateway.transport.problem import MAX_FINDINGS, Problem, language_of, problem
from gateway.transport.routes import FOR_OPERATORS, METRICS, OPERATIONS, Found, Routes
from gateway.transport.services import Refusal
from gateway.transport.wire import outgoing_headers

from .conftest import OTHER_TOKEN, TOKEN, partners

AT = datetime(2026, 3, 2, 8, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("application/xml", "application/xml"),
        (' Multipart/Signed ; boundary="x;y"', "multipart/signed"),
        ("application/xml, text/plain", ""),
        ("xml", ""),
        ("", ""),
        ("application/xml\r\nX: y", ""),
    ],
)
def test_essence(value, expected):
    assert essence(value) == expected


@pytest.mark.parametrize(
    ("accept", "media_type", "expected"),
    [
        ("", "application/xml", 1),
        ("*/*", "application/xml", 1),
        ("text/*", "application/xml", 0),
        ("application/*;q=0.5, application/xml;q=0", "application/xml", 0),
        ("*/*;q=0.1, application/*;q=0.4", "application/json", 0.4),
        ("application/json; q=0.25", "application/json", 0.25),
        ("application/json;q=7", "application/json", 1),
    ],
)
def test_quality(accept, media_type, expected):
    assert quality(accept, media_type) == expected


@given(st.text(max_size=200), st.sampled_from(["application/json", "text/html"]))
def test_any_accept_gives_a_quality(accept, media_type):
    assert 0 <= quality(accept, media_type) <= 1


@pytest.mark.parametrize(
    ("accept", "expected"),
    [("", False), ("*/*", False), ("application/json", True), ("application/json;q=0.5, */*", False)],
)
def test_a_summary_only_where_json_is_wanted_more(accept, expected):
    assert wants_summary(accept, 'multipart/signed; boundary="b"') is expected


@given(
    st.integers(-(10**8), 10**10).map(lambda seconds: AT + timedelta(seconds=seconds)),
    st.integers(1, 10**9),
    st.binary(min_size=10, max_size=10),
)
def test_later_ids_sort_later(at, milliseconds, randomness):
    first, second = new(at, b"\xff" * 10), new(at + timedelta(milliseconds=milliseconds + 1), randomness)
    assert first < second
    assert len(second) == 26
    assert well_formed(second)
    assert well_formed(second + ".1")


@pytest.mark.parametrize("text", ["", "a/b", "..", "a b", "a\n", "a" * 81, "ä", "%2e"])
def test_what_is_no_id(text):
    assert not well_formed(text)


@given(st.sampled_from(OPERATIONS), st.binary(min_size=10, max_size=10))
def test_every_operation_is_found_by_its_own_path(operation, randomness):
    argument = new(AT, randomness) if "{id}" in operation.path else ""
    path = operation.path.replace("{id}", argument)
    assert Routes(OPERATIONS).find(operation.method, path) == Found(operation, argument)


@given(st.text(max_size=40))
def test_any_path_finds_something_or_nothing(path):
    found = Routes(OPERATIONS).find("GET", "/v1/" + path)
    assert isinstance(found, Found | tuple)


def test_wrong_methods_and_paths():
    routes = Routes(OPERATIONS)
    assert routes.find("DELETE", "/v1/mailbox") == ("GET", "HEAD")
    assert routes.find("GET", "/v1/messages") == ("POST",)
    assert routes.find("GET", "/v1/messages/a%2fb") == ()
    assert routes.find("GET", "/v1/messages//receipt") == ()
    assert routes.find("GET", "/metrics") == ()
    assert routes.find("HEAD", "/health/live").operation.name == "getLive"


def test_operators_get_public_operations_only():
    assert all(o.public for o in FOR_OPERATORS)
    assert METRICS in FOR_OPERATORS


REGISTER = Register(partners(Limits()), [])
CARRIER = "CN=carrier-1,O=Carrier,C=VN"


def _head(subject: str = "", *authorization: str) -> Head:
    headers = {"authorization": authorization} if authorization else {}
    return Head("GET", "/", headers, subject=subject)


@pytest.mark.parametrize(
    ("subject", "authorization", "partner"),
    [
        ("CN=van-1,O=VAN One,C=VN", (), "VAN1"),
        ("", (f"Bearer {TOKEN}",), "TRADER1"),
        ("", (f"bearer   {TOKEN}",), "TRADER1"),
        (CARRIER, (f"Bearer {OTHER_TOKEN}",), "CARRIER1"),
        (CARRIER, (f"Bearer {TOKEN}",), None),
        (CARRIER, ("Bearer wrong",), None),
        (CARRIER, ("Basic eDp5",), None),
        ("CN=unknown", (f"Bearer {TOKEN}",), None),
        ("", (f"Bearer {TOKEN}", f"Bearer {TOKEN}"), None),
        ("", ("Bearer gone",), None),
        ("", ("Bearer ",), None),
        ("", (f"Bearer {'x' * 600}",), None),
        ("", (), None),
    ],
)
def test_who_is_calling(subject, authorization, partner):
    found = authenticate(_head(subject, *authorization), REGISTER, datetime.now(UTC))
    assert (found.id if found else None) == partner


def test_a_problem_says_all_in_both_languages(catalogue):
    finding = Finding("API413", Place(part="body"), "5", "6")
    reply = problem(413, [finding], catalogue, request="r1", language="vi", retry_after=3)
    told = msgspec.json.decode(reply.body, type=Problem)
    assert reply.header("content-type") == "application/problem+json"
    assert reply.header("retry-after") == "3"
    assert told.detail == told.findings[0].text_vi != told.findings[0].text
    assert (told.type, told.request, told.findings[0].place) == ("/docs#API413", "r1", Place(part="body"))
    assert "6" in told.findings[0].text


def test_a_problem_has_a_bounded_number_of_findings(catalogue):
    reply = problem(422, [Finding("API400")] * 5000, catalogue, request="r")
    assert len(msgspec.json.decode(reply.body, type=Problem).findings) == MAX_FINDINGS


def test_language_is_the_requests_then_the_partners():
    assert language_of(Head("GET", "/", {"accept-language": ("vi-VN, en;q=0.5",)})) == "vi"
    assert language_of(Head("GET", "/", {"accept-language": ("fr",)}), "vi") == "vi"
    assert language_of(Head("GET", "/", {})) == "en"


def test_a_refusal_cannot_claim_success_or_our_fault():
    for status in (200, 500, 401):
        with pytest.raises(ValueError, match="status"):
            Refusal([], status)


@given(st.text(max_size=300))
def test_no_text_forges_a_line_of_the_log(text):
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logger = logging.Logger("t", logging.INFO)
    logger.addHandler(handler)
    AccessLog(logger).write(Access("r", "GET", 404, "127.0.0.1", path=text), AT)
    (line,) = lines
    assert all(" " <= c <= "~" for c in line)
    told = json.loads(line)
    assert told.get("path", "") == text[:MAX_TEXT]
    assert told["event"] == "access"


def test_metrics_have_bounded_labels():
    metrics = Metrics()
    for number in range(MAX_CODES + 50):
        metrics.refused(f"X{number}")
    metrics.submitted("accepted", repeated=False, partner="P1")
    text = metrics.exposition().decode()
    assert text.count("cvan_refusals_total{") == MAX_CODES + 1
    assert 'cvan_refusals_total{code="other"} 50.0' in text
    assert "P1" not in text
    assert 'cvan_submissions_total{outcome="accepted",repeated="false"} 1.0' in text


def test_metrics_by_partner_only_where_configured():
    metrics = Metrics(by_partner=True)
    metrics.submitted("partly", repeated=True, partner="P1")
    assert 'partner="P1"' in metrics.exposition().decode()


def test_metrics_count_each_kind_of_answer_by_itself():
    metrics = Metrics()
    for outcome, repeated in (
        ("accepted", False),
        ("accepted", True),
        ("rejected", False),
        ("accepted", False),
    ):
        metrics.submitted(outcome, repeated=repeated, partner="P1")
    for operation, status in (("a", 200), ("a", 400), ("b", 200), ("a", 200)):
        metrics.requested(operation, status, 0.02)
    text = metrics.exposition().decode()
    assert 'cvan_submissions_total{outcome="accepted",repeated="false"} 2.0' in text
    assert 'cvan_submissions_total{outcome="accepted",repeated="true"} 1.0' in text
    assert 'cvan_requests_total{operation="a",status="200"} 2.0' in text
    assert 'cvan_requests_total{operation="a",status="400"} 1.0' in text
    assert 'cvan_request_seconds_count{operation="a"} 3.0' in text


def test_a_message_says_when_it_was_made_to_the_microsecond():
    made = datetime(2026, 3, 1, 15, 30, 15, 7, tzinfo=timezone(timedelta(hours=7)))
    outgoing = Outgoing("o1", "P", "green", "s1.2", "LRN", "application/xml", b"", made)
    assert dict(outgoing_headers(outgoing))["Cvan-Created"] == "2026-03-01T08:30:15.000007Z"


@given(st.text(max_size=50))
def test_a_senders_reference_cannot_add_a_header(reference):
    outgoing = Outgoing("o1", "P", "green", "s1.2", reference, "application/xml", b"", AT)
    headers = dict(outgoing_headers(outgoing))
    assert all(" " <= c <= "~" for c in headers["Cvan-Reference"])
    assert headers["Cvan-Message"] == "s1.2"
    assert headers["Cvan-Submission"] == "s1"


@given(
    st.lists(st.tuples(st.sampled_from(["A", "B-C"]), st.text(max_size=30)), max_size=4),
    st.binary(max_size=40),
)
def test_a_reply_is_one_response_whatever_its_fields_hold(fields, body):
    octets = Reply(200, tuple(fields), body).octets(date=b"now", close=False)
    head, _, rest = octets.partition(b"\r\n\r\n")
    assert rest == body
    assert head.count(b"\r\n") == head.count(b"\n") == len(fields) + 3
    assert b"Content-Length: %d\r\n" % len(body) in octets
    assert Reply(200, (), body).octets(date=b"now", close=True, bodiless=True).endswith(b"\r\n\r\n")


def test_every_code_is_declared_and_every_declared_code_is_used(catalogue):
    sources = Path(door.__file__).parents[1].rglob("*.py")
    used = {code for path in sources for code in re.findall(r'"(API[0-9]+)"', path.read_text())}
    declared = {code for code in catalogue.meanings if code.startswith("API")}
    assert used == declared
    for code in declared:
        meaning = catalogue.meanings[code]
        assert meaning.remedy
        assert meaning.remedy_vi
        assert set(re.findall(r"{\w+}", meaning.text)) == set(re.findall(r"{\w+}", meaning.text_vi))
