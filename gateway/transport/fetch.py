"""Fetches what authorities publish, OCSP responses and CRLs: bounded, without redirects, and only from where
we mean to call."""

# mypy: disallow-untyped-calls=False
# (Twisted's web and endpoint classes are only partly typed.)

from __future__ import annotations

import ipaddress
import re
from typing import Any
from urllib.parse import urlsplit

from twisted.internet import ssl
from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, wrapClientTLS
from twisted.internet.error import DNSLookupError
from twisted.internet.interfaces import IResolutionReceiver, IStreamClientEndpoint
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer  # type: ignore[import-untyped]

from gateway.model import Finding
from gateway.transport.exchange import CONNECT_SECONDS, Exchange, Heard, Unreachable
from gateway.transport.reactor import Clock

FETCH_SECONDS = 30.0
"""For one exchange: a responder that needs longer is down."""

_URL = re.compile(r"https?://[!-~]+\Z", re.IGNORECASE)


class FetchFailed(Exception):
    """Nothing was fetched; ``finding``: SIG340 (no answer, or not the one wanted), SIG341 (not allowed)."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(f"{finding.code} {finding.found}".strip())
        self.finding = finding


class Forbidden(Exception):
    """An address that we do not call."""


class Fetch:
    """Requests over plain or secured HTTP.

    Their answers prove themselves by their signatures, so that the transport need not.  ``private``: addresses
    of private networks may be called too, wherever the URL comes from.
    """

    def __init__(self, reactor: Clock, *, private: bool = False, seconds: float = FETCH_SECONDS) -> None:
        self._reactor = reactor
        self._private = private
        self._seconds = seconds

    def fetch(
        self, url: str, *, body: bytes | None, media_type: str, max_bytes: int, chosen: bool
    ) -> Deferred[bytes]:
        """The answer's body: a POST where there is a ``body``, else a GET.

        ``chosen``: the operator named the URL, so that it may lead into a private network.  Fails with
        FetchFailed.
        """
        return Deferred.fromCoroutine(self._fetch(url, body, media_type, max_bytes, chosen))

    async def _fetch(
        self, url: str, body: bytes | None, media_type: str, max_bytes: int, chosen: bool
    ) -> bytes:
        if not _URL.match(url) or not _fine(url):
            raise FetchFailed(Finding("SIG341", expected="http://host/path", found=url[:80]))
        endpoints = Guarded(self._reactor, private=self._private or chosen)
        exchange = Exchange(
            self._reactor, None, seconds=self._seconds, max_bytes=max_bytes, endpoints=endpoints
        )
        headers = () if body is None else (("Content-Type", media_type),)
        try:
            heard = await exchange.request("GET" if body is None else "POST", url, headers, body)
        except Unreachable as error:
            raise FetchFailed(Finding("SIG340", expected="200", found=f"{url[:80]} {error}")) from error
        except Forbidden as error:
            raise FetchFailed(
                Finding("SIG341", expected="a public address", found=f"{url[:80]} {error}")
            ) from error
        finally:
            await exchange.close()
        return _wanted(heard, url)


def _wanted(heard: Heard, url: str) -> bytes:
    if heard.status != 200:
        raise FetchFailed(Finding("SIG340", expected="200", found=f"{url[:80]} {heard.status}"))
    return heard.body


def _fine(url: str) -> bool:
    """A host, no credentials."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and "@" not in parts.netloc and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


@implementer(IAgentEndpointFactory)
class Guarded:
    """Connects to addresses that are looked at first: those of a name, at the moment it is called."""

    def __init__(self, reactor: Clock, *, private: bool) -> None:
        self._reactor = reactor
        self._private = private

    def endpointForURI(self, uri: Any) -> Any:  # noqa: N802 - Twisted's name
        """How to reach a URI."""
        endpoint: Any = GuardedEndpoint(self._reactor, uri.host.decode("ascii"), uri.port, self._private)
        if uri.scheme != b"https":
            return endpoint
        return wrapClientTLS(ssl.optionsForClientTLS(uri.host.decode("ascii")), endpoint)


@implementer(IStreamClientEndpoint)
class GuardedEndpoint:
    """One host and port."""

    def __init__(self, reactor: Clock, host: str, port: int, private: bool) -> None:
        self._reactor: Any = reactor
        self._host = host.strip("[]")
        self._port = port
        self._private = private

    def connect(self, protocolFactory: Any) -> Deferred[Any]:  # noqa: N803
        """Look the name up, look at what it says, connect."""
        found = Addresses()
        self._reactor.nameResolver.resolveHostName(found, self._host, self._port)
        return found.done.addCallback(self._connect, protocolFactory)

    def _connect(self, addresses: list[str], factory: Any) -> Deferred[Any]:
        if not addresses:
            return fail(DNSLookupError(self._host))
        # All of them must be fit to call: a name that says one thing and another is nobody's we want.
        if not self._private and not all(ipaddress.ip_address(a).is_global for a in addresses):
            return fail(Forbidden(", ".join(addresses)[:80]))
        first = sorted(addresses, key=lambda a: ":" in a)[0]
        kind = TCP6ClientEndpoint if ":" in first else TCP4ClientEndpoint
        connected: Deferred[Any] = kind(self._reactor, first, self._port, CONNECT_SECONDS).connect(factory)
        return connected


@implementer(IResolutionReceiver)
class Addresses:
    """The addresses of a name, all at the end."""

    def __init__(self) -> None:
        self.done: Deferred[list[str]] = Deferred()
        self._found: list[str] = []

    def resolutionBegan(self, resolutionInProgress: Any) -> None:  # noqa: N802, N803
        """Nothing yet."""

    def addressResolved(self, address: Any) -> None:  # noqa: N802
        """One more."""
        self._found.append(address.host.partition("%")[0])

    def resolutionComplete(self) -> None:  # noqa: N802
        """That was all."""
        self.done.callback(self._found)
