"""What is fetched from authorities: bounded, never redirected, never into networks that a certificate names."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from gateway.transport import Fetch, FetchFailed


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
                if self.path == "/away":
                    self.send_response(302)
                    self.send_header("Location", service.url("/fine"))
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


def fetched(loop: Any, url: str, *, chosen: bool = True, private: bool = False, **how: Any) -> bytes | str:
    """The body, or the code of the failure."""

    def work() -> Deferred[bytes]:
        fetch = Fetch(loop.reactor, private=private, seconds=1.0)
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


def test_nobody_listens(loop: Any) -> None:
    assert fetched(loop, "http://127.0.0.1:1/") == "SIG340"
    assert fetched(loop, "http://no-such-host.invalid/") == "SIG340"


def test_no_redirect_is_followed(loop: Any, service: Service) -> None:
    before = len(service.asked)
    assert fetched(loop, service.url("/away")) == "SIG340"
    assert [path for _, path, _ in service.asked[before:]] == ["/away"]


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
    ["10.0.0.1", "169.254.169.254", "192.168.1.1", "[::1]", "[fe80::1]", "0.0.0.0", "[::ffff:127.0.0.1]"],
)
def test_addresses_that_are_nobodys_service(loop: Any, address: str) -> None:
    assert fetched(loop, f"http://{address}/", chosen=False) == "SIG341"


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
