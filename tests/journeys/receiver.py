"""A partner's own HTTPS address, where the gateway pushes its messages; it can fail, hang and be away."""

from __future__ import annotations

import http.server
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Pushed:
    """One message as it was pushed to a path, headers by lower-case name; ``answered``: with which status."""

    path: str
    at: float
    headers: Mapping[str, str]
    body: bytes
    answered: int

    @property
    def delivery(self) -> str:
        return self.headers["cvan-delivery"]

    @property
    def kind(self) -> str:
        return self.headers["cvan-kind"]

    @property
    def reference(self) -> str:
        return self.headers["cvan-reference"]


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that went away is no concern of the tests."""


class Receiver:
    """Serves in threads of its own; ``answers``: the status for each path, 204 where none is named."""

    def __init__(self, key: Path, certificate: Path, anchor: Path) -> None:
        self.answers: dict[str, int] = {}
        self.came: list[Pushed] = []
        self.brief = False  # one request for each connection
        self._anchor = anchor
        self.present(key, certificate)
        self._server: _Server | None = None
        self._open = threading.Event()
        self._open.set()
        self.hanging = 0
        self.port = 0
        self.open()

    def present(self, key: Path, certificate: Path) -> None:
        """Show another certificate from the next connection on."""
        fresh = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        fresh.load_cert_chain(certificate, key)
        fresh.load_verify_locations(self._anchor)
        fresh.verify_mode = ssl.CERT_REQUIRED  # a partner may want to see the gateway's certificate
        self._tls = fresh

    def url(self, path: str) -> str:
        return f"https://localhost:{self.port}{path}"

    def open(self) -> None:
        """Serve, on the same port as before where there was one."""
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def setup(self) -> None:
                self.request = receiver._tls.wrap_socket(self.request, server_side=True)
                super().setup()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver._pause()
                fields = {name.lower(): value for name, value in self.headers.items()}
                status = receiver.answers.get(self.path, 204)
                receiver.came.append(Pushed(self.path, time.monotonic(), fields, body, status))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                if receiver.brief:
                    self.send_header("Connection", "close")
                    self.close_connection = True
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = _Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Be away: connections are refused."""
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    def hang(self) -> None:
        """Take what comes and do not answer."""
        self._open.clear()

    def let_go(self) -> None:
        """Answer, also those that still wait."""
        self._open.set()

    def _pause(self) -> None:
        if not self._open.is_set():
            self.hanging += 1
            self._open.wait(60)

    def taken(self, path: str) -> dict[str, Pushed]:
        """What was pushed to a path, once each, by Cvan-Delivery."""
        return {pushed.delivery: pushed for pushed in list(self.came) if pushed.path == path}

    def until(self, holds: Callable[[], bool], seconds: float = 20.0) -> None:
        """Return once the condition holds."""
        end = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > end:
                raise AssertionError([(p.path, p.kind, p.reference) for p in self.came])
            time.sleep(0.02)
