"""The operations as partners see them: curl as an outside judge, and our own client."""

from __future__ import annotations

import base64
import json
import os
import threading
import urllib.error
import urllib.request
from datetime import UTC, datetime

import pytest

from gateway.model import Limits, Outgoing
from gateway.transport import Bounds, Declined, DoorSettings, Metrics, listen_operations
from gateway.transport.api import MAX_LIST
from gateway.transport.door import Door
from gateway.transport.routes import FOR_OPERATORS

from .conftest import OTHER_TOKEN, TOKEN, eventually
from .office import now

XML = ("-H", "Content-Type: application/xml")
JSON = ("-H", "Accept: application/json")


def read(done):
    """(status, headers by lower-case name, body) of curl's ``-i`` output."""
    assert done.returncode == 0, done.stderr
    head, _, body = done.stdout.rpartition(b"\r\n\r\n") if done.stdout.endswith(b"\r\n\r\n") else _split(done)
    lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    return int(lines[0].split(" ")[1]), headers, body


def _split(done):
    rest = done.stdout
    while rest.startswith(b"HTTP/1.1 100"):
        rest = rest.partition(b"\r\n\r\n")[2]
    return rest.partition(b"\r\n\r\n")


def upload(gateway, body, *args, name="van"):
    return read(
        gateway.curl(*XML, *args, "--data-binary", "@-", f"{gateway.base}/v1/messages", name=name, body=body)
    )


def problem(told):
    status, headers, body = told
    assert headers["content-type"] == "application/problem+json"
    document = json.loads(body)
    assert document["status"] == status
    for finding in document["findings"]:
        assert finding["text"] != finding["code"]
        assert finding["text_vi"] not in ("", finding["text"])
    return document


def test_curl_submits_with_mutual_tls_and_gets_the_signed_receipt(gateway):
    status, headers, body = upload(gateway, b"<x/>")
    identifier = headers["cvan-submission"]
    assert status == 200
    assert headers["content-type"].startswith("multipart/signed; boundary=")
    assert body == b"--b-1 receipt for " + identifier.encode()
    assert headers["location"] == f"/v1/messages/{identifier}"
    assert (headers["cvan-outcome"], headers["cvan-repeated"]) == ("accepted", "false")
    stored = gateway.office.submissions[identifier]
    assert (stored.partner, stored.channel, stored.media_type, stored.body) == (
        "VAN1",
        "https",
        "application/xml",
        b"<x/>",
    )
    _, headers, again = upload(gateway, b"<x/>")
    assert (headers["cvan-repeated"], headers["cvan-submission"], again) == ("true", identifier, body)


def test_curl_submits_in_chunks_a_large_body(gateway):
    body = b"<x>" + b"y" * 3_000_000 + b"</x>"
    status, headers, _ = upload(gateway, body, "-H", "Transfer-Encoding: chunked")
    assert status == 200
    assert gateway.office.submissions[headers["cvan-submission"]].body == body
    assert eventually(lambda: gateway.door.admission.bytes_held == 0)


def test_a_token_will_do_and_json_is_given_where_wanted(gateway):
    status, headers, body = upload(gateway, b"REJECT", *JSON, "-H", f"Authorization: Bearer {TOKEN}", name="")
    told = json.loads(body)
    assert (status, headers["cvan-outcome"], told["outcome"]) == (200, "rejected", "rejected")
    assert base64.b64decode(told["receipt"]).startswith(b"--b-1 receipt")
    assert told["media_type"].startswith("multipart/signed; boundary")


def test_every_failure_of_authentication_sounds_the_same(gateway):
    gone = ("-H", "Authorization: Bearer gone")
    wrong = ("-H", "Authorization: Bearer wrong")
    trader = ("-H", f"Authorization: Bearer {TOKEN}")
    answers = [
        upload(gateway, b"<x/>", *args, name=name)
        for name, args in [
            ("", ()),
            ("", wrong),
            ("", gone),
            ("van", trader),
            ("nobody", ()),
            ("nobody", trader),
        ]
    ]
    documents = []
    for told in answers:
        document = problem(told)
        assert told[0] == 401
        assert told[1]["www-authenticate"].lower().startswith("bearer")
        document.pop("request")
        documents.append(document)
    assert all(d == documents[0] for d in documents)
    assert gateway.office.submissions == {}


def test_certificate_and_token_of_one_partner_agree(gateway):
    assert upload(gateway, b"<x/>", "-H", f"Authorization: Bearer {OTHER_TOKEN}", name="carrier")[0] == 200


def test_an_unproven_sender_gets_a_problem_with_places_and_no_receipt(gateway):
    told = upload(gateway, b"UNPROVEN x")
    (finding,) = problem(told)["findings"]
    assert told[0] == 403
    assert (finding["code"], finding["place"]) == ("TST001", {"part": "Signature"})
    assert (finding["expected"], finding["found"]) == ("a signature", "none")
    assert (finding["text"], finding["text_vi"]) == ("Unproven: none", "Chưa chứng thực: none")


def test_an_overloaded_gateway_says_when(gateway):
    told = upload(gateway, b"FULL x")
    assert told[0] == 503
    assert told[1]["retry-after"] == "7"
    assert problem(told)["retry_after"] == 7


def test_our_own_error_tells_an_id_and_nothing_else(gateway):
    told = upload(gateway, b"CRASH x")
    document = problem(told)
    assert told[0] == 500
    assert b"secret" not in told[2]
    assert b"Traceback" not in told[2]
    incident = document["request"]
    assert incident == told[1]["cvan-request"] == document["findings"][0]["found"]
    assert [e["request"] for e in gateway.lines.events if e["event"] == "incident"] == [incident]
    assert gateway.door.admission.total_inside == 0


def test_an_answer_that_takes_too_long_is_given_up_without_losing_the_submission(open_gateway):
    gateway = open_gateway(Bounds(answer_seconds=0.2))
    told = upload(gateway, b"SLOW x")
    assert told[0] == 503
    assert problem(told)["findings"][0]["code"] == "API5033"
    assert gateway.door.admission.total_inside == 1
    assert eventually(lambda: gateway.door.admission.total_inside == 0)
    gateway.office.slow = 0
    status, headers, _ = upload(gateway, b"SLOW x")
    assert (status, headers["cvan-repeated"]) == (200, "true")
    assert list(gateway.office.submissions) == [told[1]["cvan-request"]]


@pytest.mark.parametrize(
    ("args", "body", "status", "code"),
    [
        (("-H", "Content-Type: text/plain"), b"x", 415, "API415"),
        (("-H", "Content-Type;"), b"x", 415, "API415"),
        ((*XML, "-H", "Content-Encoding: gzip"), b"x", 415, "API415"),
        ((*XML, *XML), b"x", 415, "API415"),
        (XML, b"", 400, "API4003"),
    ],
)
def test_what_cannot_be_a_submission(gateway, args, body, status, code):
    done = gateway.curl(*args, "--data-binary", "@-", f"{gateway.base}/v1/messages", name="van", body=body)
    told = read(done)
    assert told[0] == status
    assert problem(told)["findings"][0]["code"] == code


def test_a_post_without_length_is_411(gateway):
    heard = gateway.say(b"POST /v1/messages HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "van")
    assert heard.startswith(b"HTTP/1.1 411 ")


@pytest.mark.parametrize(
    ("args", "path", "status"),
    [
        (("-X", "DELETE"), "/v1/mailbox", 405),
        (("-X", "BREW"), "/docs", 405),
        ((), "/v1/messages", 405),
        ((), "/v1/nothing", 404),
        ((), "/", 404),
        ((), "/metrics", 404),
        ((), "/v1/messages/unknown", 404),
        ((), "/v1/messages/unknown/receipt", 404),
        ((), "/v1/mailbox/unknown", 404),
        (("-X", "POST"), "/v1/mailbox/unknown/acknowledge", 404),
        (("--path-as-is",), "/v1/mailbox/../../etc/passwd", 404),
        (("-H", "Accept: text/html"), "/v1/mailbox", 406),
        ((), "/v1/mailbox?limit=0", 400),
        ((), "/v1/mailbox?limit=100000", 400),
        ((), "/v1/mailbox?limit=%D9%A3", 400),
        ((), "/v1/mailbox?acknowledged=perhaps", 400),
        ((), "/v1/mailbox?after=%00", 400),
        ((), "/v1/mailbox?" + "&".join(f"a{n}=1" for n in range(40)), 400),
        (("-H", "Content-Type: application/json", "-d", "{}"), "/v1/mailbox/acknowledge", 400),
        (("-H", "Content-Type: application/json", "-d", "[1]"), "/v1/mailbox/acknowledge", 400),
        (("-H", "Content-Type: text/csv", "-d", "x"), "/v1/mailbox/acknowledge", 415),
        (("-X", "GET", "-d", "body"), "/v1/mailbox", 413),
    ],
)
def test_what_is_not_there_or_not_so(gateway, args, path, status):
    told = read(gateway.curl(*args, gateway.base + path, name="van"))
    assert told[0] == status
    problem(told)
    if status == 405:
        assert "get" in told[1]["allow"] or "post" in told[1]["allow"]


def test_a_page_of_a_submissions_messages_is_asked_for_in_numbers(gateway):
    _, headers, _ = upload(gateway, b"<x/>")
    path = f"{gateway.base}/v1/messages/{headers['cvan-submission']}"
    assert read(gateway.curl(f"{path}?after=0&limit=1000", name="van"))[0] == 200
    for query in ("after=-1", "after=x", "limit=0", "limit=1001", "after=9999999999"):
        told = read(gateway.curl(f"{path}?{query}", name="van"))
        assert told[0] == 400
        assert problem(told)["findings"][0]["code"] == "API4001"


def test_another_partners_things_are_not_there(gateway):
    _, headers, _ = upload(gateway, b"<x/>")
    identifier = headers["cvan-submission"]
    for path in (f"messages/{identifier}", f"messages/{identifier}/receipt", f"mailbox/r{identifier}"):
        assert read(gateway.curl(f"{gateway.base}/v1/{path}", name="van"))[0] == 200
        assert read(gateway.curl(f"{gateway.base}/v1/{path}", name="carrier"))[0] == 404
    url = f"{gateway.base}/v1/mailbox/r{identifier}/acknowledge"
    assert read(gateway.curl("-X", "POST", url, name="carrier"))[0] == 404
    assert gateway.office.acknowledged == {}


def test_the_partners_language_is_spoken(gateway):
    told = upload(gateway, b"", "-H", f"Authorization: Bearer {TOKEN}", name="")
    assert problem(told)["detail"] == problem(told)["findings"][0]["text_vi"]
    told = upload(gateway, b"", "-H", f"Authorization: Bearer {TOKEN}", "-H", "Accept-Language: en", name="")
    assert problem(told)["detail"] == problem(told)["findings"][0]["text"]


def test_rate_is_bounded_and_the_time_to_wait_is_told(open_gateway):
    gateway = open_gateway(limits=Limits(per_minute=2))
    assert [upload(gateway, b"<%d/>" % n)[0] for n in range(2)] == [200, 200]
    told = upload(gateway, b"<3/>")
    assert told[0] == 429
    assert problem(told)["findings"][0]["code"] == "API429"
    assert 20 <= int(told[1]["retry-after"]) <= 30
    assert upload(gateway, b"<4/>", name="carrier")[0] == 200


def test_in_flight_is_bounded_for_each_partner_alone(open_gateway):
    gateway = open_gateway(limits=Limits(in_flight=1))
    gateway.office.slow = 1.0
    answers = []
    first = threading.Thread(target=lambda: answers.append(upload(gateway, b"SLOW 1")))
    first.start()
    assert eventually(lambda: gateway.door.admission.total_inside == 1)
    told = upload(gateway, b"<2/>")
    assert told[0] == 429
    assert problem(told)["findings"][0]["code"] == "API4291"
    assert int(told[1]["retry-after"]) >= 1
    assert upload(gateway, b"<3/>", name="carrier")[0] == 200
    first.join()
    assert answers[0][0] == 200
    assert upload(gateway, b"<2/>")[0] == 200


def test_memory_is_bounded_for_all(open_gateway):
    gateway = open_gateway(Bounds(total_bytes=1000))
    told = upload(gateway, b"x" * 1001)
    assert told[0] == 503
    assert problem(told)["findings"][0]["code"] == "API503"
    assert upload(gateway, b"x" * 999)[0] == 200


def test_a_submissions_status_timeline_and_receipt(gateway):
    client = gateway.client("van")
    receipt = gateway.loop(client.submit, b"<x/>", "application/xml")
    status = gateway.loop(client.status, receipt.submission)
    assert (status.submission, status.outcome, status.receipt) == (receipt.submission, "accepted", receipt.id)
    assert status.timeline[0].what == "received"
    again = gateway.loop(client.receipt, receipt.submission)
    assert (again.body, again.media_type, again.kind) == (receipt.body, receipt.media_type, "receipt")
    assert again.submission == receipt.submission


def test_the_mailbox_is_read_in_pages_and_emptied_by_acknowledging(gateway):
    at = datetime(2026, 3, 2, tzinfo=UTC)
    for number in range(5):
        gateway.office.put(
            Outgoing(f"o{number}", "TRADER1", "green", "s1.1", "R", "application/xml", b"<r/>", at)
        )
    client = gateway.client(token=TOKEN)
    seen, after = [], ""
    while True:
        page = gateway.loop(client.mailbox, after, 2)
        seen += [e.id for e in page.entries]
        after = page.next
        if not after:
            break
    assert seen == ["o0", "o1", "o2", "o3", "o4"]
    fetched = gateway.loop(client.fetch, "o3")
    assert (fetched.id, fetched.kind, fetched.submission, fetched.body) == ("o3", "green", "s1", b"<r/>")
    assert gateway.loop(client.acknowledge, ["o1", "o3", "nothing"]) == 2
    assert gateway.loop(client.acknowledge, []) == 0
    url = f"{gateway.base}/v1/mailbox/o0/acknowledge"
    told = read(gateway.curl("-X", "POST", "-H", f"Authorization: Bearer {TOKEN}", url))
    assert json.loads(told[2]) == {"acknowledged": 1}
    assert [e.id for e in gateway.loop(client.mailbox).entries] == ["o2", "o4"]
    everything = gateway.loop(client.mailbox, acknowledged=True).entries
    assert [bool(e.acknowledged_at) for e in everything] == [True, True, False, True, False]


def test_the_client_is_told_why_not(gateway):
    client = gateway.client(token="wrong")
    with pytest.raises(Declined) as told:
        gateway.loop(client.submit, b"<x/>", "application/xml")
    assert told.value.status == 401
    assert told.value.problem.findings[0].code == "API401"
    with pytest.raises(Declined, match="nothing here"):
        gateway.loop(gateway.client("van").status, "unknown")
    too_many = ["x"] * (MAX_LIST + 1)
    with pytest.raises(Declined) as told:
        gateway.loop(gateway.client("van").acknowledge, too_many)
    assert told.value.problem.findings[0].found == str(MAX_LIST + 1)


def test_public_pages_want_no_partner(gateway):
    told = read(gateway.curl(f"{gateway.base}/v1/openapi.json"))
    assert json.loads(told[2])["openapi"] == "3.1.0"
    told = read(gateway.curl(f"{gateway.base}/docs"))
    assert told[1]["content-type"].startswith("text/html")
    assert "default-src 'none'" in told[1]["content-security-policy"]
    assert read(gateway.curl(f"{gateway.base}/health/live"))[0] == 200
    head = read(gateway.curl("--head", f"{gateway.base}/docs"))
    assert head[0] == 200
    assert int(head[1]["content-length"]) > 1000


def test_readiness_follows_the_parts(gateway):
    client = gateway.client()
    assert gateway.loop(client.ready).ready
    gateway.office.parts["ledger"] = False
    told = gateway.loop(client.ready)
    assert (told.ready, told.parts["ledger"], told.reasons) == (False, False, {"ledger": "gone"})
    assert read(gateway.curl(f"{gateway.base}/health/ready"))[0] == 503


def test_operators_have_a_listener_of_their_own_on_loopback_only(gateway):
    upload(gateway, b"<x/>")
    upload(gateway, b"", name="nobody")

    def door(operations):
        settings = DoorSettings(operations=operations)
        return Door(
            gateway.office,
            gateway.metrics,
            gateway.door._log,
            now=now,
            seconds=gateway.loop.reactor.seconds,
            randomness=os.urandom,
            later=lambda call: gateway.loop.reactor.callLater(0, call),
            settings=settings,
        )

    where = {"now": now, "port": 0}
    with pytest.raises(ValueError, match="loopback"):
        gateway.loop(
            listen_operations, gateway.loop.reactor, door(FOR_OPERATORS), interface="0.0.0.0", **where
        )
    with pytest.raises(ValueError, match="TLS"):
        gateway.loop(listen_operations, gateway.loop.reactor, gateway.door, **where)
    opened = gateway.loop(listen_operations, gateway.loop.reactor, door(FOR_OPERATORS), **where)
    try:
        base = f"http://127.0.0.1:{opened.port}"
        with urllib.request.urlopen(f"{base}/metrics") as heard:
            text = heard.read().decode()
            assert heard.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert 'cvan_submissions_total{outcome="accepted",repeated="false"} 1.0' in text
        assert 'cvan_refusals_total{code="API401"} 1.0' in text
        assert 'cvan_request_seconds_bucket{le="0.001",operation="submitMessage"}' in text
        assert "VAN1" not in text
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{base}/v1/mailbox")
    finally:
        gateway.loop(opened.stop, 1.0)


def test_the_log_tells_ids_and_never_content_or_tokens(gateway):
    upload(gateway, b"<very-secret/>", "-H", f"Authorization: Bearer {TOKEN}", name="")
    path = "/forged%0a\x1b[31m\u202e"
    gateway.say(
        b"GET " + path.encode("latin-1", "replace") + b" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    )
    gateway.say(b"GET /x\xa0\x85y HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    raw = "".join(gateway.lines.raw)
    assert "very-secret" not in raw
    assert TOKEN not in raw
    assert all(" " <= c <= "~" for c in raw)
    first = gateway.lines.events[0]
    assert (first["partner"], first["operation"], first["status"], first["received"]) == (
        "TRADER1",
        "submitMessage",
        200,
        14,
    )
    assert first["request"] == first["submission"]
    assert len({e["request"] for e in gateway.lines.events}) == len(gateway.lines.events)


def test_metrics_may_count_partners_where_the_operator_says_so(open_gateway):
    gateway = open_gateway(metrics=Metrics(by_partner=True))
    upload(gateway, b"<x/>")
    assert 'partner="VAN1"' in gateway.metrics.exposition().decode()
