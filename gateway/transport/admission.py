"""Admission: who may put how much through the door now, and when to try again; no clock, no socket.

Times are seconds on any clock that never runs backwards, given by the caller.
"""

from __future__ import annotations

import math
import re
from collections import Counter

import msgspec

from gateway.model import Finding, Partner
from gateway.transport.bounds import Bounds
from gateway.transport.line import Drain, Rank

READS_PER_SUBMISSION = 4  # status, mailbox, fetch, acknowledge: what one submission's answers cost
MAX_RETRY = 120  # seconds; a longer wait tells a client nothing better
SMOOTHING = 0.1  # weight of the newest duration in the mean that Retry-After is computed from
STEP = 1.0  # seconds over which those that were turned away are counted
GREED = 2  # places that a partner may hold for each that is left free, where it holds one already
URGENT_SHARE = 0.25  # of a partner's rate: what it may claim to be urgent
URGENT_OCTETS = 65_536  # of the largest urgent message: a gate message or a payment has some thousand
BULK_OCTETS = 65_536  # what is larger is worked on beside the reactor, for as long as it takes
# Of all places, for a class and those that yield to it: bulk never fills the door, nor do declarations.
PORTIONS = {Rank.A: 1.0, Rank.B: 0.875, Rank.C: 0.5}
URGENCY = re.compile(r"(?:^|,)[ \t]*u=([0-7])(?=[ \t]*(?:[,;]|$))")  # RFC 9218, 4.1
MOST_URGENT, USUAL_URGENCY = 2, 3  # up to which "urgent" is meant; what is meant where nothing is said


class Pass(msgspec.Struct):
    """Leave to be inside: who, since when, how many octets of memory it holds, at most how many; of which
    class, and whether it is worked on."""

    partner: str
    since: float
    limit: int
    held: int = 0
    rank: Rank = Rank.B
    open: bool = True
    at_work: bool = False


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


class Turned:
    """How many were turned away of late: those in the last whole step, and since."""

    def __init__(self) -> None:
        self._step = 0
        self._last = 0
        self._count = 0

    def one(self, now: float) -> int:
        """One more is; how many that makes."""
        step = int(now / STEP)
        if step != self._step:
            self._last = self._count if step == self._step + 1 else 0
            self._step, self._count = step, 0
        self._count += 1
        return max(self._last, self._count)


class Admission:
    """The state of the bounds.  Memory grows with the number of registered partners only.

    ``drain``: how many are done a second while others wait.
    """

    def __init__(self, bounds: Bounds, drain: Drain | None = None) -> None:
        self.bounds = bounds
        self.inside: Counter[str] = Counter()
        self.held: Counter[str] = Counter()
        self.connections: Counter[str] = Counter()
        self.total_inside = 0
        self.bytes_held = 0
        self.mean_seconds = 1.0
        self._drain = drain or Drain()
        self._turned = Turned()
        self._buckets: dict[tuple[str, str], Bucket] = {}

    @property
    def places(self) -> int:
        """For all that are inside: what is done within the target, where it is known how fast that goes; at
        least twice what is at work, so that it can be found out."""
        most = self.bounds.total_in_flight
        if not self._drain.rate:
            return most
        return min(most, max(2 * self.bounds.at_work, int(self._drain.rate * self.bounds.target)))

    def rank(self, partner: Partner, priority: str, length: int | None, now: float) -> Rank:
        """The class of a submission of ``length`` octets (None: not announced) with this Priority header
        (RFC 9218): anybody may yield, who was agreed to be urgent may say so of a part of what it sends."""
        said = URGENCY.search(priority)
        urgency = int(said[1]) if said else USUAL_URGENCY
        if urgency > USUAL_URGENCY or length is None or length > BULK_OCTETS:
            return Rank.C
        if urgency > MOST_URGENT or length > URGENT_OCTETS or self.bounds.urgent.isdisjoint(partner.roles):
            return Rank.B
        return Rank.B if self._bucket(partner, "urgent", URGENT_SHARE, now).take(now) else Rank.A

    def enter(self, partner: Partner, length: int | None, now: float, rank: Rank = Rank.B) -> Pass | Held:
        """A submission whose body has ``length`` octets (None: not announced) wants in."""
        limit = partner.limits.max_bytes or self.bounds.max_bytes
        if length is not None and length > limit:
            return too_large(limit, length)
        full = self._full(partner, min(length or 0, self.bounds.spool_over), rank, now)
        if full is not None:
            return full
        bucket = self._bucket(partner, "sent", 1, now)
        wait = bucket.take(now)
        if wait:
            return _rate(bucket.per_minute, wait)
        self.inside[partner.id] += 1
        self.total_inside += 1
        held = min(length or 0, self.bounds.spool_over)
        self._hold(partner.id, held)
        return Pass(partner.id, now, limit, held, rank)

    def read(self, partner: Partner, now: float) -> Held | None:
        """A small call (status, mailbox) wants in: bound by rate only."""
        bucket = self._bucket(partner, "read", READS_PER_SUBMISSION, now)
        wait = bucket.take(now)
        return _rate(bucket.per_minute, wait) if wait else None

    def grow(self, leave: Pass, received: int, now: float) -> Held | None:
        """The body has grown to ``received`` octets: still within the bounds?"""
        if received > leave.limit:
            return too_large(leave.limit, received)
        more = min(received, self.bounds.spool_over) - leave.held
        if more > 0:
            if not self._fits(leave.partner, more, others=self.held[leave.partner] - leave.held):
                return self.busy(now)
            leave.held += more
            self._hold(leave.partner, more)
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
        self._hold(leave.partner, -leave.held)
        self.mean_seconds += SMOOTHING * (now - leave.since - self.mean_seconds)

    def busy(self, now: float) -> Held:
        """There is no room: when those that are inside, and those turned away as late as this one, will have
        been done, were all of them to come again."""
        turned = self._turned.one(now)
        if not self._drain.rate:
            return Held(503, Finding("API503"), self._turn())
        return Held(503, Finding("API503"), _whole((self.total_inside + turned) / self._drain.rate))

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

    def _full(self, partner: Partner, length: int, rank: Rank, now: float) -> Held | None:
        bound = partner.limits.in_flight or self.bounds.in_flight
        mine = self.inside[partner.id]
        if mine >= bound:
            finding = Finding("API4291", expected=str(bound), found=str(bound + 1))
            return Held(429, finding, self._turn())
        # Who has nothing inside, or is urgent, finds a place wherever there is one: its turn comes first.
        places = self.places if mine and rank is not Rank.A else self.bounds.total_in_flight
        free = math.ceil(places * PORTIONS[rank]) - self.total_inside
        if free <= 0 or mine > GREED * free:
            return self.busy(now)
        return None if self._fits(partner.id, length, others=self.held[partner.id]) else self.busy(now)

    def _fits(self, partner: str, more: int, others: int) -> bool:
        """Memory for ``more`` octets; for who holds some already (``others``), so that as many stay free."""
        free = self.bounds.total_bytes - self.bytes_held - more
        return free >= 0 and (not others or others + more <= GREED * free)

    def _hold(self, partner: str, octets: int) -> None:
        self.bytes_held += octets
        self.held[partner] += octets
        if not self.held[partner]:
            del self.held[partner]

    def _turn(self) -> int:
        """Seconds until a place is free, judged by how long submissions take of late."""
        return _whole(self.mean_seconds)

    def _bucket(self, partner: Partner, kind: str, share: float, now: float) -> Bucket:
        rate = max(1, int((partner.limits.per_minute or self.bounds.per_minute) * share))
        bucket = self._buckets.get((partner.id, kind))
        if bucket is None or bucket.per_minute != rate:
            bucket = self._buckets[partner.id, kind] = Bucket(rate, now)
        return bucket


class Handshakes:
    """TLS handshakes begun in this second, in all and by address: each costs as much as a message does, and
    whoever begins one has proven nothing yet."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._second = -1
        self._begun: Counter[str] = Counter()
        self._total = 0

    def begin(self, address: str, now: float) -> bool:
        """True where one more may begin; it is counted then."""
        if int(now) != self._second:
            self._second, self._total = int(now), 0
            self._begun.clear()
        if self._total >= self._bounds.handshakes:
            return False
        if self._begun[address] >= self._bounds.handshakes_per_address:
            return False
        self._begun[address] += 1
        self._total += 1
        return True


def too_large(limit: int, found: int) -> Held:
    """The body is larger than the partner's bound."""
    return Held(413, Finding("API413", expected=str(limit), found=str(found)))


def _rate(per_minute: int, wait: float) -> Held:
    return Held(429, Finding("API429", expected=str(per_minute)), _whole(wait))


def _whole(seconds: float) -> int:
    return max(1, min(MAX_RETRY, math.ceil(seconds)))
