"""Fetches what authorities publish, OCSP responses and CRLs: bounded, and only from where we mean to
call."""

# mypy: disallow-untyped-calls=False
# (Twisted's web and endpoint classes are only partly typed.)

from __future__ import annotations

import ipaddress
import re
from typing import Any
from urllib.parse import urljoin, urlsplit

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
"""For one answer, redirections included: a responder that needs longer is down."""

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
"""IPv6 addresses that a translator makes IPv4 ones of (RFC 6052, 2.1)."""

MAX_REDIRECTS = 3
STILL_POST, BECOMES_GET = frozenset({307, 308}), frozenset({301, 302, 303})
"""Redirections that keep the method, and those after which agents of old send a GET (RFC 9110, 15.4)."""

_URL = re.compile(r"https?://[!-~]+\Z", re.IGNORECASE)


class FetchFailed(Exception):
    """Nothing was fetched; ``finding``: SIG340 (no answer, or not the one wanted), SIG341 (not allowed).
    ``status``: of the answer, 0 where there was none."""

    def __init__(self, finding: Finding, status: int = 0) -> None:
        super().__init__(f"{finding.code} {finding.found}".strip())
        self.finding = finding
        self.status = status


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

        ``chosen``: the operator named the URL, so that it may lead into a private network.  A redirection is
        followed to another address, which is looked at anew and which the operator did not name; a POST only
        where it is to stay one.  Fails with FetchFailed.
        """
        return Deferred.fromCoroutine(self._fetch(url, body, media_type, max_bytes, chosen))

    async def _fetch(
        self, url: str, body: bytes | None, media_type: str, max_bytes: int, chosen: bool
    ) -> bytes:
        clock: Any = self._reactor
        end = clock.seconds() + self._seconds
        follows = STILL_POST if body is not None else STILL_POST | BECOMES_GET
        for _ in range(1 + MAX_REDIRECTS):
            heard = await self._ask(
                url, body, media_type, max_bytes, chosen, max(end - clock.seconds(), 0.01)
            )
            if heard.status not in follows or not heard.headers.get("location"):
                return _wanted(heard, url)
            url, chosen = _next(url, heard.headers["location"]), False
        raise FetchFailed(Finding("SIG340", expected="200", found=f"{url[:80]} redirects again and again"))

    async def _ask(
        self, url: str, body: bytes | None, media_type: str, max_bytes: int, chosen: bool, seconds: float
    ) -> Heard:
        if not _URL.match(url) or not _fine(url):
            raise FetchFailed(Finding("SIG341", expected="http://host/path", found=url[:80]))
        endpoints = Guarded(self._reactor, private=self._private or chosen)
        exchange = Exchange(self._reactor, None, seconds=seconds, max_bytes=max_bytes, endpoints=endpoints)
        headers = () if body is None else (("Content-Type", media_type),)
        try:
            return await exchange.request("GET" if body is None else "POST", url, headers, body)
        except Unreachable as error:
            raise FetchFailed(Finding("SIG340", expected="200", found=f"{url[:80]} {error}")) from error
        except Forbidden as error:
            raise FetchFailed(
                Finding("SIG341", expected="a public address", found=f"{url[:80]} {error}")
            ) from error
        finally:
            await exchange.close()


def _wanted(heard: Heard, url: str) -> bytes:
    if heard.status != 200:
        found = Finding("SIG340", expected="200", found=f"{url[:80]} {heard.status}")
        raise FetchFailed(found, heard.status)
    return heard.body


def _next(url: str, location: str) -> str:
    """Where a redirection leads; what is no URL at all is not called."""
    try:
        return urljoin(url, location)
    except ValueError:
        return location


def _fine(url: str) -> bool:
    """A host, no credentials."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and "@" not in parts.netloc and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def is_public(address: str) -> bool:
    """True of one host's address in the public Internet, by whatever notation it is reached."""
    found = ipaddress.ip_address(address)
    if isinstance(found, ipaddress.IPv6Address):
        if found.sixtofour or found.teredo or found.is_site_local:
            return False  # tunnels of former times, and private networks of former times
        embedded = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        found = found.ipv4_mapped or (embedded if found in _NAT64 else found)
    return found.is_global and not (found.is_multicast or found.is_reserved)


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
        if not self._private and not all(map(is_public, addresses)):
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
