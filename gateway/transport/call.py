"""A request and its reply as values that know no HTTP library: the seam between door and channel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from urllib.parse import parse_qsl

import msgspec

from gateway.model import Partner

JSON = "application/json"
PROBLEM = "application/problem+json"


class Head(msgspec.Struct, frozen=True):
    """The head of a request.

    ``target``: path and query as sent.  ``headers``: by lower-case name, every value in order.
    ``peer``: the address it came from.  ``subject``: RFC 4514 subject of the client certificate that
    the TLS handshake proved, "" where none; ``fingerprint``: its hex SHA-256; ``certificates``: its
    chain as the handshake verified it, DER, or it alone.
    """

    method: str
    target: str
    headers: Mapping[str, tuple[str, ...]]
    peer: str = ""
    subject: str = ""
    fingerprint: str = ""
    certificates: tuple[bytes, ...] = ()

    def header(self, name: str) -> str:
        """The first value of a header (lower-case name), or ""."""
        values = self.headers.get(name)
        return values[0] if values else ""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        """The query's fields; the first of a repeated one.  Raises ValueError where there are too many."""
        pairs = parse_qsl(self.target.partition("?")[2], keep_blank_values=True, max_num_fields=MAX_FIELDS)
        return dict(reversed(pairs))


MAX_FIELDS = 16  # of a query: no operation knows more than three


LATER = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


class Reply(msgspec.Struct, frozen=True):
    """A reply: status, headers in order, body.  ``close``: the connection ends with it."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    close: bool = False

    def header(self, name: str) -> str:
        """The first value of a header (any case), or ""."""
        return next((v for n, v in self.headers if n.lower() == name.lower()), "")

    @property
    def is_for_later(self) -> bool:
        """True where nothing is wrong with the request but its time, and the connection goes on."""
        return not self.close and self.status in LATER and bool(self.header("Retry-After"))

    def octets(self, *, date: bytes, close: bool, bodiless: bool = False) -> bytes:
        """The whole HTTP/1.1 response.  ``date``: the Date field's value; ``bodiless``: to a HEAD.

        No field's text can end its line: breaks and NUL become spaces.
        """
        phrase = _PHRASES.get(self.status, "")
        lines = [f"HTTP/1.1 {self.status} {phrase}"]
        for name, value in self.headers:
            # Most values are printable, which is seen sooner than that there is nothing to replace.
            lines.append(f"{name}: {value if value.isprintable() else value.translate(_BREAKS)}")
        lines.append(f"Content-Length: {len(self.body)}\r\nX-Content-Type-Options: nosniff")
        if close:
            lines.append("Connection: close")
        head = "\r\n".join(lines).encode("latin-1", "replace") + b"\r\nDate: " + date + b"\r\n\r\n"
        return head if bodiless else head + self.body


_PHRASES = {int(status): status.phrase for status in HTTPStatus}
_BREAKS = str.maketrans("\r\n\0", "   ")


class Call(msgspec.Struct, frozen=True):
    """An authenticated, admitted request with its body: what an operation answers.

    ``id``: the request's, given at the door.  ``argument``: what the path's ``{id}`` stood for.
    ``digest``: hex SHA-256 of the body.  ``hand_over``: of a large body, which is in a file then: gives its path
    to who removes it.  ``partner`` is None only for public operations.
    """

    id: str
    operation: str
    head: Head
    argument: str = ""
    partner: Partner | None = None
    body: bytes = b""
    digest: str = ""
    hand_over: Callable[[], str] | None = None


def json_reply(value: object, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """A value as JSON; never cached: what it says is of this moment and for this partner."""
    fixed = (("Content-Type", JSON), ("Cache-Control", "no-store"))
    return Reply(status, fixed + headers, msgspec.json.encode(value))
