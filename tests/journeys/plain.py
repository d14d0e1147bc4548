"""A partner's own HTTPS client on the standard library alone: it shares no code with the gateway's."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

SECONDS = 60.0
IDLE = 30.0
"""A kept connection is used again within this; a server may close it when it pleases after its own time."""
PAGE = 1000


@dataclass(frozen=True)
class Answer:
    """What came back: status, headers by lower-case name, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def codes(self) -> list[str]:
        """The findings' codes of a problem document."""
        return [finding["code"] for finding in self.json()["findings"]]

    @property
    def submission(self) -> str:
        return self.headers["cvan-submission"]

    @property
    def outcome(self) -> str:
        return self.headers["cvan-outcome"]

    @property
    def repeated(self) -> bool:
        return self.headers["cvan-repeated"] == "true"

    @property
    def media_type(self) -> str:
        return self.headers["content-type"]


class Plain:
    """One partner at the door.  ``port``: asked anew for each connection, as a gateway that was begun
    again may have another.  ``folder``: its TLS key and certificate; None: a token alone."""

    def __init__(
        self, port: Callable[[], int], anchor: Path, folder: Path | None = None, token: str = ""
    ) -> None:
        self._port = port
        self._token = token
        self._tls = ssl.create_default_context(cafile=str(anchor))
        if folder is not None:
            self._tls.load_cert_chain(folder / "tls.crt.pem", folder / "tls.key.pem")
        self._connection: http.client.HTTPSConnection | None = None
        self._used = 0.0
        self.connecting = 0.0
        """Seconds that the last exchange took to connect, the handshake included; 0.0 on a kept connection."""

    def call(self, method: str, path: str, body: bytes | None = None, **fields: str) -> Answer:
        """One exchange on a connection that is kept; any failure closes it and is raised."""
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        kept = self._connection is not None
        try:
            return self._exchange(method, path, body, headers)
        except (ConnectionError, http.client.RemoteDisconnected):
            if not kept or method != "GET":
                raise
        return self._exchange(method, path, body, headers)  # the kept connection was closed meanwhile

    def _exchange(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        if time.monotonic() - self._used > IDLE:
            self.close()
        self.connecting = 0.0
        try:
            if self._connection is None:
                self._connection = self._connect()
                began = time.monotonic()
                self._connection.connect()
                self.connecting = time.monotonic() - began
            self._connection.request(method, path, body, headers)
            heard = self._connection.getresponse()
            found = _answer(heard)
        except BaseException:
            self.close()
            raise
        self._used = time.monotonic()
        if heard.will_close:
            self.close()
        return found

    def announce(self, octets: int, media_type: str) -> Answer:
        """Say how large a submission will be, and hear what the gateway says before any of it is sent."""
        connection = self._connect()
        try:
            connection.putrequest("POST", "/v1/messages")
            connection.putheader("Content-Type", media_type)
            connection.putheader("Content-Length", str(octets))
            connection.endheaders()
            return _answer(connection.getresponse())
        finally:
            connection.close()

    def _connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("localhost", self._port(), timeout=SECONDS, context=self._tls)

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.close()
            self._connection = None

    def submit(self, body: bytes, media_type: str = "application/xml", **fields: str) -> Answer:
        return self.call("POST", "/v1/messages", body, Content_Type=media_type, **fields)

    def status(self, submission: str) -> Answer:
        return self.call("GET", f"/v1/messages/{submission}")

    def mailbox(self, after: str = "", limit: int = PAGE, *, everything: bool = False) -> Answer:
        fields = {"after": after, "limit": limit, "acknowledged": str(everything).lower()}
        return self.call("GET", f"/v1/mailbox?{urlencode(fields)}")

    def entries(self, *, everything: bool = False) -> Iterator[dict[str, Any]]:
        """The whole mailbox, page by page."""
        after = ""
        while True:
            page = self.mailbox(after, everything=everything).json()
            yield from page["entries"]
            after = page["next"]
            if not after:
                return

    def fetch(self, identity: str) -> Answer:
        return self.call("GET", f"/v1/mailbox/{identity}")

    def acknowledge(self, identities: Sequence[str]) -> Answer:
        body = json.dumps(list(identities)).encode()
        return self.call("POST", "/v1/mailbox/acknowledge", body, Content_Type="application/json")


def _answer(heard: http.client.HTTPResponse) -> Answer:
    return Answer(heard.status, {k.lower(): v for k, v in heard.getheaders()}, heard.read())
