"""What is fetched from authorities: bounded, never redirected, never into networks that a certificate names."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from gateway.transport import Fetch, FetchFailed
from gateway.transport.fetch import is_public


class Service:
    """Answers on loopback as it is told."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bytes]] = []
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(b"")

            def do_POST(self) -> None:
                self._answer(self.rfile.read(int(self.headers["Content-Length"])))

            def _answer(self, body: bytes) -> None:
                service.asked.append((self.command, self.path, body))
                if self.path == "/slow":
                    time.sleep(3)
                moved = {"/away": (302, "/fine"), "/kept": (307, "/fine"), "/round": (301, "/round")}
                if self.path in moved:
                    code, target = moved[self.path]
                    self.send_response(code)
                    self.send_header("Location", service.url(target))
                elif self.path == "/nowhere":
                    self.send_response(302)
                    self.send_header("Location", "file:///etc/passwd")
                else:
                    self.send_response(500 if self.path == "/broken" else 200)
                octets = b"x" * 5_000 if self.path == "/large" else b"fine"
                self.send_header("Content-Length", str(len(octets)))
                self.end_headers()
                self.wfile.write(octets)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self._server.server_port}{path}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    made = Service()
    yield made
    made.close()


def fetched(
    loop: Any, url: str, *, chosen: bool = True, private: bool = False, seconds: float = 1.0, **how: Any
) -> bytes | str:
    """The body, or the code of the failure."""

    def work() -> Deferred[bytes]:
        fetch = Fetch(loop.reactor, private=private, seconds=seconds)
        given = {"body": None, "media_type": "", "max_bytes": 1_000, **how}
        return fetch.fetch(url, chosen=chosen, **given)

    try:
        body: bytes = loop(work)
    except FetchFailed as failed:
        return failed.finding.code
    return body


def test_get_and_post(loop: Any, service: Service) -> None:
    assert fetched(loop, service.url("/fine")) == b"fine"
    assert fetched(loop, service.url("/ask"), body=b"what", media_type="application/ocsp-request") == b"fine"
    assert service.asked[-2:] == [("GET", "/fine", b""), ("POST", "/ask", b"what")]


@pytest.mark.parametrize("path", ["/broken", "/slow", "/large"])
def test_what_is_no_answer(loop: Any, service: Service, path: str) -> None:
    assert fetched(loop, service.url(path)) == "SIG340"


class Talker:
    """Answers one request with octets of its own, and goes on as long as it is heard."""

    def __init__(self, *parts: bytes, again: bytes = b"") -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._parts, self._again = parts, again
        self.sent = 0
        self.cut = threading.Event()
        threading.Thread(target=self._talk, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}/"

    def _talk(self) -> None:
        wire, _ = self._listening.accept()
        wire.settimeout(10)
        wire.recv(65_536)
        try:
            for part in self._parts:
                wire.sendall(part)
            while self._again:
                wire.sendall(self._again)
                self.sent += len(self._again)
        except OSError:
            self.cut.set()
        else:
            wire.close()


@pytest.mark.parametrize(
    "again",
    [
        b"X-A: " + b"y" * 15_000 + b"\r\n",
        b"X-A: b\r\n" * 100,
        b"\r\nHTTP/1.1 102 Processing\r\nX-A: " + b"y" * 500 + b"\r\n",
    ],
)
def test_headers_without_end(loop: Any, again: bytes) -> None:
    """They are cut at their bound; not at the end of the time, with all of them in memory."""
    talker = Talker(b"HTTP/1.1 100 Continue\r\n", again=again)
    began = time.monotonic()
    assert fetched(loop, talker.url, seconds=30.0) == "SIG340"
    assert time.monotonic() - began < 15
    assert talker.cut.wait(5)
    assert talker.sent < 8 * 1024 * 1024, "what the sockets hold"


def test_a_long_head_that_ends_and_a_body_behind_it(loop: Any) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n" + b"X-A: b\r\n" * 7_000 + b"\r\n"
    assert len(head) < 64 * 1024
    assert fetched(loop, Talker(head + b"x" * 900).url) == b"x" * 900
    late = Talker(head, *(b"x" * 300 for _ in range(3)))
    assert fetched(loop, late.url) == b"x" * 900


def test_nobody_listens(loop: Any) -> None:
    assert fetched(loop, "http://127.0.0.1:1/") == "SIG340"
    assert fetched(loop, "http://no-such-host.invalid/") == "SIG340"


def test_a_redirection_is_followed_to_where_we_may_call(loop: Any, service: Service) -> None:
    """The operator named the first address only; a certificate's words could lead anywhere."""
    before = len(service.asked)
    assert fetched(loop, service.url("/away"), private=True) == b"fine"
    assert [path for _, path, _ in service.asked[before:]] == ["/away", "/fine"]
    assert fetched(loop, service.url("/away"), chosen=True) == "SIG341"
    assert [path for _, path, _ in service.asked[before:]] == ["/away", "/fine", "/away"]


def test_redirections_come_to_an_end(loop: Any, service: Service) -> None:
    before = len(service.asked)
    assert fetched(loop, service.url("/round"), private=True) == "SIG340"
    assert len(service.asked) - before == 4
    assert fetched(loop, service.url("/nowhere"), private=True) == "SIG341"


def test_a_post_is_repeated_only_where_it_is_to_stay_one(loop: Any, service: Service) -> None:
    before = len(service.asked)
    sent = {"private": True, "body": b"asked", "media_type": "application/ocsp-request"}
    assert fetched(loop, service.url("/away"), **sent) == "SIG340"
    assert fetched(loop, service.url("/kept"), **sent) == b"fine"
    assert service.asked[before:] == [
        ("POST", "/away", b"asked"),
        ("POST", "/kept", b"asked"),
        ("POST", "/fine", b"asked"),
    ]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_forged_requests_into_private_networks(loop: Any, service: Service, host: str) -> None:
    """Server-side request forgery by the addresses in a certificate: the name's address decides, not its
    look; what the operator names is called."""
    before = len(service.asked)
    assert fetched(loop, service.url("/fine", host), chosen=False) == "SIG341"
    assert len(service.asked) == before
    assert fetched(loop, service.url("/fine", host), chosen=False, private=True) == b"fine"
    assert fetched(loop, service.url("/fine", host), chosen=True) == b"fine"


@pytest.mark.parametrize(
    "address",
    [
        *(
            "10.0.0.1",
            "169.254.169.254",
            "192.168.1.1",
            "[::1]",
            "[fe80::1]",
            "0.0.0.0",
            "[::ffff:127.0.0.1]",
        ),
        *("224.0.0.1", "240.0.0.1", "255.255.255.255", "100.64.0.1", "[ff0e::1]", "[fec0::1]", "[fd00::1]"),
        *("[64:ff9b::10.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::8.8.8.8]", "[::7f00:1]"),
        *("[2002:7f00:1::]", "[2001:0:4136:e378:8000:63bf:3fff:fdd2]", "[::ffff:0:127.0.0.1]"),
    ],
)
def test_addresses_that_are_nobodys_service(loop: Any, address: str) -> None:
    assert fetched(loop, f"http://{address}/", chosen=False) == "SIG341"


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2a00:1450::1"]
)
def test_addresses_of_the_public_internet(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ldap://ca.example/cn=x",
        "ftp://ca.example/x",
        "http://user:word@127.0.0.1/",
        "http:///path",
        "http://a b/",
        "http://127.0.0.1:0/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1/\r\nX: y",
        "",
    ],
)
def test_urls_that_are_not_called(loop: Any, url: str) -> None:
    assert fetched(loop, url) == "SIG341"
