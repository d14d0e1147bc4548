"""Push against real receivers: good, refusing, silent, endless, false; one never waits for another."""

from __future__ import annotations

import contextlib
import ssl
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from twisted.internet.ssl import optionsForClientTLS
from twisted.web.client import URI

from gateway.model import Outgoing, Partner
from gateway.transport import ClientTls, Metrics, Push, PushFailed
from gateway.transport.push import checked

from .conftest import eventually

AT = datetime(2026, 3, 2, tzinfo=UTC)


class Receiver(ThreadingHTTPServer):
    """A partner's HTTPS server by the standard library; ``answer`` decides what it says."""

    daemon_threads = True

    def __init__(self, authority, name="server", status=204, **answer):
        super().__init__(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority.folder / f"{name}.pem", authority.folder / f"{name}.key.pem")
        context.load_verify_locations(authority.folder / "ca.pem")
        context.verify_mode = ssl.CERT_OPTIONAL
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.status, self.answer = status, answer
        self.got: list[tuple[dict, bytes, str]] = []
        self.connections: set = set()
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self):
        return f"https://localhost:{self.server_port}/inbox"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        names = [v for pair in self.connection.getpeercert().get("subject", ()) for _, v in pair]
        self.server.got.append((dict(self.headers), body, ",".join(names)))
        self.server.connections.add(self.client_address)
        time.sleep(self.server.answer.get("pause", 0))
        self.send_response(self.server.status)
        for name, value in self.server.answer.get("headers", {}).items():
            self.send_header(name, value)
        size = self.server.answer.get("size", 0)
        self.send_header("Content-Length", str(size))
        with contextlib.suppress(OSError):
            self.end_headers()
            self.wfile.write(b"x" * size)

    def do_GET(self):
        self.server.got.append((dict(self.headers), b"GET", ""))
        self.send_error(500)

    def log_message(self, *args):
        return


@pytest.fixture
def receiver(authority):
    opened = []

    def make(**answer):
        opened.append(Receiver(authority, **answer))
        return opened[-1]

    yield make
    for server in opened:
        server.shutdown()
        server.server_close()


@pytest.fixture
def push(loop, authority, request):
    """It gives up after 1.5 seconds, or after as many as a test says."""
    folder = authority.folder
    authority.issue("pusher", "/CN=gateway-push")
    tls = ClientTls(folder / "ca.pem", folder / "pusher.key.pem", folder / "pusher.pem")
    made = loop(Push, loop.reactor, tls, Metrics(), seconds=getattr(request, "param", 1.5))
    yield made
    loop(made.close)


def message(partner="P1", number=1):
    return Outgoing(f"o{number}", partner, "green", "s1.2", "LRN-7", "application/xml", b"<signed/>", AT)


def partner(url, identifier="P1"):
    return Partner(identifier, "One", push_url=url)


def failed(loop, push, url) -> PushFailed:
    with pytest.raises(PushFailed) as told:
        loop(push.send, message(), partner(url))
    return told.value


def test_a_message_is_delivered_with_its_headers_and_our_certificate(loop, push, receiver):
    server = receiver()
    loop(push.send, message(), partner(server.url))
    ((headers, body, subject),) = server.got
    assert body == b"<signed/>"
    assert headers["Content-Type"] == "application/xml"
    assert (headers["Cvan-Delivery"], headers["Cvan-Submission"]) == ("o1", "s1")
    assert (headers["Cvan-Kind"], headers["Cvan-Message"]) == ("green", "s1.2")
    assert headers["Cvan-Reference"] == "LRN-7"
    assert subject == "gateway-push"
    assert 'result="delivered"} 1.0' in push._metrics.exposition().decode()


def test_connections_are_kept(loop, push, receiver):
    server = receiver()
    for number in range(5):
        loop(push.send, message(number=number), partner(server.url))
    assert len(server.got) == 5
    assert len(server.connections) == 1


@pytest.mark.parametrize(
    ("status", "retry"),
    [(400, False), (403, False), (404, False), (410, False), (429, True), (500, True), (503, True)],
)
def test_refusals_say_whether_to_try_again(loop, push, receiver, status, retry):
    told = failed(loop, push, receiver(status=status, headers={"Retry-After": "12"}).url)
    assert (told.finding.code, told.finding.found, told.retry) == ("API604", str(status), retry)
    assert told.retry_after == (12 if retry else 0)
    assert told.answered == (status == 500)  # the receiver failed, perhaps over this message alone


def test_a_redirect_is_not_followed(loop, push, receiver):
    other = receiver()
    told = failed(loop, push, receiver(status=307, headers={"Location": other.url}).url)
    assert (told.finding.found, told.retry) == ("307", False)
    assert other.got == []


def test_a_silent_receiver_is_given_up_in_time(loop, push, receiver):
    began = time.monotonic()
    told = failed(loop, push, receiver(pause=30).url)
    assert 1.2 < time.monotonic() - began < 15
    assert (told.finding.code, told.retry) == ("API602", True)
    assert "timeout" in told.finding.found


def test_nobody_there(loop, push, receiver):
    server = receiver()
    url = server.url
    server.shutdown()
    server.server_close()
    told = failed(loop, push, url)
    assert (told.finding.code, told.retry) == ("API602", True)


def test_an_endless_answer_is_cut(loop, push, receiver):
    told = failed(loop, push, receiver(status=200, size=5_000_000).url)
    assert (told.finding.code, told.retry) == ("API605", True)


def test_a_receiver_with_another_authoritys_certificate_gets_nothing(loop, push, receiver, authority):
    authority.issue("false", "/CN=false", server=True, issuer="strangers")
    server = receiver(name="false")
    told = failed(loop, push, server.url)
    assert (told.finding.code, told.retry) == ("API603", True)
    assert server.got == []


def test_a_receiver_with_another_name_gets_nothing(loop, push, receiver, authority):
    authority.issue("client-named", "/CN=localhost")
    server = receiver(name="client-named")
    told = failed(loop, push, server.url)
    assert told.finding.code == "API603"
    assert server.got == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://localhost/inbox",
        "https://",
        "https://user:secret@localhost/",
        "https://localhost/#f",
        "https://localhost:x/",
        "ftp://localhost/",
        "file:///etc/passwd",
        "https://lócalhost/",
        "https://a..b/",
        "https://-a/",
        "https://00--0/",
        "https://xn--0/",
        "https://[::1/",
        "https://localhost/a b",
        "https://localhost/\r\nX: y",
    ],
)
def test_where_nothing_is_pushed_to(loop, push, url):
    told = failed(loop, push, url)
    assert (told.finding.code, told.retry) == ("API601", False)


@example("00--0")
@given(st.text(max_size=60) | st.from_regex(r"[a-z0-9.:@\[\]-]{1,30}(/[a-z#?]*)?", fullmatch=True))
def test_any_url_is_checked_without_surprise(text):
    url = "https://" + text
    with contextlib.suppress(PushFailed):
        assert checked(url) == url
        assert all("!" <= c <= "~" for c in url)
        uri = URI.fromBytes(url.encode())
        assert uri.host
        assert optionsForClientTLS(uri.host.decode().strip("[]"))


def test_another_partners_message_is_our_mistake(loop, push, receiver):
    server = receiver()
    with pytest.raises(ValueError, match="not for P1"):
        loop(push.send, message("P2"), partner(server.url))
    assert server.got == []


@pytest.mark.parametrize("push", [3.0], indirect=True)
def test_one_silent_partner_does_not_hold_up_another(loop, push, receiver):
    silent, good = receiver(pause=30), receiver()
    failures: list[PushFailed] = []

    def start():
        for number in range(20):
            push.send(message("SILENT", number), partner(silent.url, "SILENT")).addErrback(
                lambda failure: failures.append(failure.value)
            )

    loop(start)
    for number in range(10):
        loop(push.send, message(number=number), partner(good.url))
    assert len(good.got) == 10
    assert failures == []  # nobody waited for one of the others to be given up
    assert eventually(lambda: len(failures) == 20, 15)
