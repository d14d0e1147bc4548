"""NATS JetStream as the broker that accepted declarations and decisions are published to."""

from adapters.jetstream.access import Access, AccessBroken
from adapters.jetstream.publishing import JetStream
from adapters.jetstream.stream import Wanted

__all__ = ["Access", "AccessBroken", "JetStream", "Wanted"]
