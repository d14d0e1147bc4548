"""A partner's address that is pushed to; it cuts connections when told, and remembers what it took."""

from __future__ import annotations

import hashlib
import http.server
import ssl
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

from tests.chaos.wire import cut


class Taken:
    """What was pushed under one delivery id: kind, reference, when first, and each content that came."""

    __slots__ = ("at", "digests", "kind", "reference", "times")

    def __init__(self, kind: str, reference: str) -> None:
        self.kind, self.reference = kind, reference
        self.at = time.monotonic()
        self.digests: set[str] = set()
        self.times = 0


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that went away, or was cut, is what this is about."""


IN_A_ROW = 4
"""Harmed requests, one after the other."""


class PushedTo:
    """Serves in threads of its own.  ``harm``: what to do to the next requests: "before", their connection
    is cut in the middle of the request; "after", the message is taken and the answer is not sent.  After IN_A_ROW
    that were harmed the next one is served: who harms all is away, and asked once a minute."""

    def __init__(self, key: Path, certificate: Path) -> None:
        self.harm: deque[str] = deque()
        self._harmed = 0
        self.taken: dict[str, Taken] = {}
        self._lock = threading.Lock()
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate, key)
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 60

            def setup(self) -> None:
                self.request = tls.wrap_socket(self.request, server_side=True)
                super().setup()

            def do_POST(self) -> None:
                receiver.post(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def url(self, path: str) -> str:
        return f"https://localhost:{self.port}{path}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def came(self, kind: str) -> dict[str, float]:
        """When it was first told, by messages of a kind, of each reference."""
        with self._lock:
            return {taken.reference: taken.at for taken in self.taken.values() if taken.kind == kind}

    def post(self, handler: Any) -> None:
        """One message."""
        with self._lock:
            harm = self.harm.popleft() if self.harm and self._harmed < IN_A_ROW else ""
            self._harmed = self._harmed + 1 if harm else 0
        length = int(handler.headers["content-length"])
        body = handler.rfile.read(length // 2 if harm == "before" else length)
        if harm != "before":
            self._take(handler.headers, body)
        if harm:
            handler.close_connection = True
            cut(handler.request)
            return
        handler.send_response(204)
        handler.end_headers()

    def _take(self, headers: Any, body: bytes) -> None:
        with self._lock:
            name = headers["cvan-delivery"]
            taken = self.taken.setdefault(name, Taken(headers["cvan-kind"], headers["cvan-reference"]))
            taken.digests.add(hashlib.sha256(body).hexdigest())
            taken.times += 1
