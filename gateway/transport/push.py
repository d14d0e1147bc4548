"""Push: delivers one signed message to the partner's own HTTPS URL; one attempt, honestly reported."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import idna
from twisted.internet.defer import Deferred, gatherResults

from gateway.model import Finding, Outgoing, Partner
from gateway.transport.exchange import Exchange, Heard, Unreachable
from gateway.transport.metrics import Metrics
from gateway.transport.pinning import PinnedTls, Pins, pins_of
from gateway.transport.reactor import Clock
from gateway.transport.tls import ClientTls
from gateway.transport.wire import outgoing_headers

PUSH_SECONDS = 30.0  # for one attempt: a receiver that needs longer should answer first, work later
ANSWER_BYTES = 65_536  # of the answer's body, which means nothing to us
# The receiver says: not now.  Any other 4xx will not change by trying again.
NOT_NOW = frozenset({408, 421, 423, 425, 429})
# What stands before the receiver says: it is away, or cannot now.  Any other 5xx may be about the message alone.
AWAY = frozenset({502, 503, 504})
MAX_WAIT = 86_400  # seconds of a receiver's Retry-After that are honoured

# RFC 3986: printable ASCII without spaces; no fragment, which is never sent.
_CHARACTERS = re.compile(r"[!\"$-~]+\Z")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*(?::[0-9]{{1,5}})?\Z")

_FINDINGS = {"connect": "API602", "timeout": "API602", "lost": "API602", "tls": "API603", "size": "API605"}


class PushFailed(Exception):
    """The message was not taken.

    ``finding``: why.  ``retry``: False where trying again cannot help until somebody changes
    something.  ``retry_after``: seconds that the receiver asked for, or 0.  ``answered``: the receiver
    itself says that it failed, perhaps over this message alone.
    """

    def __init__(
        self, finding: Finding, *, retry: bool, retry_after: int = 0, answered: bool = False
    ) -> None:
        super().__init__(f"{finding.code} {finding.found}".strip())
        self.finding = finding
        self.retry = retry
        self.retry_after = retry_after
        self.answered = answered


class Push:
    """Sends to partners.  Each attempt stands alone: no partner waits for another.

    Where a partner registered certificates of its receiver, only a server with one of them is spoken to, on
    connections that no other partner's messages use.  ``now``: aware, UTC, for the windows of these.
    """

    def __init__(
        self,
        reactor: Clock,
        tls: ClientTls,
        metrics: Metrics,
        *,
        seconds: float = PUSH_SECONDS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._reactor = reactor
        self._tls = tls
        self._seconds = seconds
        self._now = now
        self._exchange = Exchange(reactor, tls, seconds=seconds, max_bytes=ANSWER_BYTES)
        self._pinned: dict[str, tuple[Pins, Exchange]] = {}
        self._metrics = metrics

    def send(self, outgoing: Outgoing, partner: Partner) -> Deferred[None]:
        """One attempt at the registered URL.  Fires when the receiver answered 2xx; fails with
        PushFailed.  ``Cvan-Delivery`` is the same at each attempt: the receiver deduplicates on it.

        Raises ValueError where the message is another partner's: that would be our own mistake.
        """
        if outgoing.partner != partner.id:
            raise ValueError(f"message {outgoing.id} is not for {partner.id}")
        return Deferred.fromCoroutine(self._send(outgoing, partner))

    def close(self) -> Deferred[None]:
        """Close the idle connections."""
        closing = [self._exchange.close(), *(exchange.close() for _, exchange in self._pinned.values())]
        return gatherResults(closing).addCallback(lambda _: None)

    def _exchange_with(self, partner: Partner, pins: Pins | None) -> Exchange:
        """The connections to a partner's receiver; new ones where its certificates are others than before."""
        if pins is None:
            return self._exchange
        known = self._pinned.get(partner.id)
        if known is not None and known[0] == pins:
            return known[1]
        if known is not None:
            known[1].close()
        tls: Any = PinnedTls(self._tls, lambda: pins)
        made = Exchange(self._reactor, tls, seconds=self._seconds, max_bytes=ANSWER_BYTES)
        self._pinned[partner.id] = (pins, made)
        return made

    async def _send(self, outgoing: Outgoing, partner: Partner) -> None:
        headers = (("Content-Type", outgoing.media_type), *outgoing_headers(outgoing))
        pins = pins_of(partner, self._now())
        exchange = self._exchange_with(partner, pins)
        try:
            heard = await exchange.request("POST", checked(partner.push_url), headers, outgoing.body)
            _judge(heard)
        except PushFailed as error:
            self._metrics.pushed(error.finding.code)
            raise
        except Unreachable as error:
            finding = Finding(_FINDINGS[error.why], found=f"{error}{_pinned(pins, error)}")
            self._metrics.pushed(finding.code)
            raise PushFailed(finding, retry=True) from error
        self._metrics.pushed("delivered")


def _pinned(pins: Pins | None, error: Unreachable) -> str:
    """What certificates were expected of a receiver that was not proven."""
    if pins is None or error.why != "tls":
        return ""
    return "; expected " + (", ".join(sorted(p[:16] for p in pins)) or "none: no certificate is active")


def checked(url: str) -> str:
    """The URL, where we may push to it: HTTPS, a host, no credentials, no fragment.

    Raises PushFailed (never to be tried again as it is).
    """
    try:
        parts = urlsplit(url)
        sound = parts.port is None or parts.port > 0
    except ValueError:
        sound = False
    if not sound or not _CHARACTERS.match(url) or parts.scheme != "https" or not _host(parts.netloc):
        raise PushFailed(Finding("API601", expected="https://host/path", found=url[:80]), retry=False)
    return url


def _host(netloc: str) -> bool:
    """True for a name or an IP address, with or without a port, without credentials."""
    if _NAME.match(netloc):
        return _resolvable(netloc.partition(":")[0])
    try:
        return netloc.startswith("[") and bool(ipaddress.IPv6Address(netloc[1:].partition("]")[0]))
    except ValueError:
        return False


def _resolvable(name: str) -> bool:
    """False for a name that IDNA (RFC 5891) forbids: TLS would refuse it only when something is sent."""
    try:
        idna.encode(name)
    except idna.IDNAError:
        return False
    return True


def _judge(heard: Heard) -> None:
    if 200 <= heard.status < 300:
        return
    finding = Finding("API604", expected="2xx", found=str(heard.status))
    retry = heard.status >= 500 or heard.status in NOT_NOW
    answered = heard.status >= 500 and heard.status not in AWAY
    raise PushFailed(finding, retry=retry, retry_after=retry_after(heard) if retry else 0, answered=answered)


def retry_after(heard: Heard) -> int:
    """The receiver's Retry-After in whole seconds; 0 where it says none (dates are not honoured)."""
    text = heard.headers.get("retry-after", "").strip()
    return min(int(text), MAX_WAIT) if text.isascii() and text.isdigit() and len(text) < 10 else 0
