"""The gateway's own bounds on what comes through a door."""

from __future__ import annotations

import msgspec

from gateway.model import Role

NEVER = 2**62  # octets that no body has


class Bounds(msgspec.Struct, frozen=True):
    """The gateway's own bounds; a partner's ``Limits`` override the first three where not 0.

    ``max_bytes``: of one body (10 MB: what customs' peers take in one interchange).
    ``per_minute``: submissions, and the burst.  ``in_flight``: of one partner.
    ``total_in_flight``, ``total_bytes``: of all partners, bodies held in memory; of one that is larger than
    ``spool_over``, so much.
    ``at_work``: submissions of all partners worked on at once; the others that are inside wait for their
    turn.  ``target``: seconds that one may be inside where more comes than can be done; ``patience``: that one
    may wait in a burst.  ``urgent``: the roles whose word for urgent is taken.
    Connections: of one partner, of one address, of all.  ``handshakes``: a second, of all and of one address.
    Seconds: header from its first octet (or TLS) to its end; idle between requests; answer.
    Body: ``grace`` seconds, then at least ``body_rate`` octets/s on the average.
    ``held_back``: seconds for which a connection is not read at most that does not heed Retry-After.
    """

    max_bytes: int = 10_485_760
    per_minute: int = 6_000
    in_flight: int = 16
    total_in_flight: int = 256
    total_bytes: int = 268_435_456
    spool_over: int = NEVER
    at_work: int = 32
    target: float = 0.5
    patience: float = 1.0
    urgent: frozenset[Role] = frozenset({Role.PORT, Role.CUSTOMS, Role.BANK})
    handshakes: int = 200
    handshakes_per_address: int = 100
    connections_per_partner: int = 64
    connections_per_address: int = 128
    connections: int = 2_000
    header_seconds: float = 10.0
    idle_seconds: float = 60.0
    answer_seconds: float = 60.0
    body_grace: float = 10.0
    body_rate: int = 1_024
    held_back: float = 10.0


def body_due(bounds: Bounds, started: float, received: int) -> float:
    """When a body of which ``received`` octets have come is too slow, if no more come by then."""
    return started + bounds.body_grace + received / bounds.body_rate
