"""Admission: who may put how much through the door now, and when to try again; no clock, no socket.

Times are seconds on any clock that never runs backwards, given by the caller.
"""

from __future__ import annotations

import math
from collections import Counter

import msgspec

from gateway.model import Finding, Partner

READS_PER_SUBMISSION = 4  # status, mailbox, fetch, acknowledge: what one submission's answers cost
MAX_RETRY = 120  # seconds; a longer wait tells a client nothing better
SMOOTHING = 0.1  # weight of the newest duration in the mean that Retry-After is computed from


class Bounds(msgspec.Struct, frozen=True):
    """The gateway's own bounds; a partner's ``Limits`` override the first three where not 0.

    ``max_bytes``: of one body (10 MB: what customs' peers take in one interchange).
    ``per_minute``: submissions, and the burst.  ``in_flight``: of one partner.
    ``total_in_flight``, ``total_bytes``: of all partners, bodies held in memory.
    Connections: of one partner, of one address, of all.
    Seconds: header from its first octet (or TLS) to its end; idle between requests; answer.
    Body: ``grace`` seconds, then at least ``body_rate`` octets/s on the average.
    """

    max_bytes: int = 10_485_760
    per_minute: int = 6_000
    in_flight: int = 16
    total_in_flight: int = 256
    total_bytes: int = 268_435_456
    connections_per_partner: int = 64
    connections_per_address: int = 128
    connections: int = 2_000
    header_seconds: float = 10.0
    idle_seconds: float = 60.0
    answer_seconds: float = 60.0
    body_grace: float = 10.0
    body_rate: int = 1_024


class Pass(msgspec.Struct):
    """Leave to be inside: who, since when, how many octets of memory it holds, at most how many."""

    partner: str
    since: float
    limit: int
    held: int = 0
    open: bool = True


class Held(msgspec.Struct, frozen=True):
    """Not now: the HTTP status, why, and in how many whole seconds to try again (0: never)."""

    status: int
    finding: Finding
    retry_after: int = 0


class Bucket:
    """A token bucket: ``per_minute`` tokens a minute, at most a minute's worth saved."""

    __slots__ = ("filled", "per_minute", "since")

    def __init__(self, per_minute: int, now: float) -> None:
        self.per_minute = per_minute
        self.filled = float(per_minute)
        self.since = now

    def take(self, now: float) -> float:
        """Take one token: 0.0, or how many seconds until there is one (then none is taken)."""
        gained = (now - self.since) * self.per_minute / 60
        self.filled = min(float(self.per_minute), self.filled + gained)
        self.since = now
        if self.filled >= 1:
            self.filled -= 1
            return 0.0
        return (1 - self.filled) * 60 / self.per_minute


class Admission:
    """The state of the bounds.  Memory grows with the number of registered partners only."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.inside: Counter[str] = Counter()
        self.connections: Counter[str] = Counter()
        self.total_inside = 0
        self.bytes_held = 0
        self.mean_seconds = 1.0
        self._buckets: dict[tuple[str, bool], Bucket] = {}

    def enter(self, partner: Partner, length: int | None, now: float) -> Pass | Held:
        """A submission whose body has ``length`` octets (None: not announced) wants in."""
        limit = partner.limits.max_bytes or self.bounds.max_bytes
        if length is not None and length > limit:
            return too_large(limit, length)
        full = self._full(partner, length or 0)
        if full is not None:
            return full
        bucket = self._bucket(partner, reads=False, now=now)
        wait = bucket.take(now)
        if wait:
            return _rate(bucket.per_minute, wait)
        self.inside[partner.id] += 1
        self.total_inside += 1
        self.bytes_held += length or 0
        return Pass(partner.id, now, limit, length or 0)

    def read(self, partner: Partner, now: float) -> Held | None:
        """A small call (status, mailbox) wants in: bound by rate only."""
        bucket = self._bucket(partner, reads=True, now=now)
        wait = bucket.take(now)
        return _rate(bucket.per_minute, wait) if wait else None

    def grow(self, leave: Pass, received: int) -> Held | None:
        """The body has grown to ``received`` octets: still within the bounds?"""
        if received > leave.limit:
            return too_large(leave.limit, received)
        more = received - leave.held
        if more > 0:
            if self.bytes_held + more > self.bounds.total_bytes:
                return self._busy()
            leave.held = received
            self.bytes_held += more
        return None

    def leave(self, leave: Pass, now: float) -> None:
        """The pass is given back, once; a second time has no effect."""
        if not leave.open:
            return
        leave.open = False
        self.inside[leave.partner] -= 1
        if not self.inside[leave.partner]:
            del self.inside[leave.partner]
        self.total_inside -= 1
        self.bytes_held -= leave.held
        self.mean_seconds += SMOOTHING * (now - leave.since - self.mean_seconds)

    def attach(self, partner: str) -> Held | None:
        """A connection has proven to be a partner's; refused where it has too many."""
        bound = self.bounds.connections_per_partner
        if self.connections[partner] >= bound:
            finding = Finding("API4292", expected=str(bound), found=str(bound + 1))
            return Held(429, finding, self._turn())
        self.connections[partner] += 1
        return None

    def detach(self, partner: str) -> None:
        """The partner's connection has ended."""
        self.connections[partner] -= 1
        if not self.connections[partner]:
            del self.connections[partner]

    def _full(self, partner: Partner, length: int) -> Held | None:
        bound = partner.limits.in_flight or self.bounds.in_flight
        if self.inside[partner.id] >= bound:
            finding = Finding("API4291", expected=str(bound), found=str(bound + 1))
            return Held(429, finding, self._turn())
        if self.total_inside >= self.bounds.total_in_flight:
            return self._busy()
        if self.bytes_held + length > self.bounds.total_bytes:
            return self._busy()
        return None

    def _busy(self) -> Held:
        return Held(503, Finding("API503"), self._turn())

    def _turn(self) -> int:
        """Seconds until a place is free, judged by how long submissions take of late."""
        return _whole(self.mean_seconds)

    def _bucket(self, partner: Partner, *, reads: bool, now: float) -> Bucket:
        rate = partner.limits.per_minute or self.bounds.per_minute
        rate *= READS_PER_SUBMISSION if reads else 1
        bucket = self._buckets.get((partner.id, reads))
        if bucket is None or bucket.per_minute != rate:
            bucket = self._buckets[partner.id, reads] = Bucket(rate, now)
        return bucket


def body_due(bounds: Bounds, started: float, received: int) -> float:
    """When a body of which ``received`` octets have come is too slow, if no more come by then."""
    return started + bounds.body_grace + received / bounds.body_rate


def too_large(limit: int, found: int) -> Held:
    """The body is larger than the partner's bound."""
    return Held(413, Finding("API413", expected=str(limit), found=str(found)))


def _rate(per_minute: int, wait: float) -> Held:
    return Held(429, Finding("API429", expected=str(per_minute)), _whole(wait))


def _whole(seconds: float) -> int:
    return max(1, min(MAX_RETRY, math.ceil(seconds)))
