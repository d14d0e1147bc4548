"""Heads of requests: from Twisted's words to ours, and what RFC 9112 makes a server refuse in them."""

from __future__ import annotations

from twisted.web import http

from gateway.model import Finding, Place
from gateway.transport.call import Head
from gateway.transport.tls import Peer


def head_of(request: http.Request, method: bytes, target: bytes, proven: Peer) -> Head:
    """The request's head; ``proven``: by the handshake of its connection."""
    headers = {
        name.decode("ascii").lower(): tuple(v.decode("latin-1") for v in values)
        for name, values in request.requestHeaders.getAllRawHeaders()
    }
    peer = getattr(request.client, "host", "")
    target_text = target.decode("latin-1")
    return Head(
        method.decode("ascii"),
        target_text,
        headers,
        peer,
        proven.subject,
        proven.fingerprint,
        proven.certificates,
    )


def no_head(peer: object) -> Head:
    """The head of what never became a request; ``peer``: the address that it came from."""
    return Head("", "", {}, getattr(peer, "host", ""))


def fault_in(head: Head, version: bytes) -> Finding | None:
    """What RFC 9112 makes a server refuse and the parser below lets through."""
    hosts = head.headers.get("host", ())
    if len(hosts) > 1 or (version == b"HTTP/1.1" and not hosts):
        return Finding("API400", Place(part="Host"), "1", str(len(hosts)))
    coding = head.headers.get("transfer-encoding", ())
    if coding and (version != b"HTTP/1.1" or [c.lower() for c in coding] != ["chunked"]):
        return Finding("API400", Place(part="Transfer-Encoding"), "chunked", ", ".join(coding)[:40])
    return None
