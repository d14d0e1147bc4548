"""The demonstration: a customs day over real sockets, checked as it is told."""

from gateway.operations.demo.stage import Unplayable, play

__all__ = ["Unplayable", "play"]
