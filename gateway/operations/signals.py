"""What signals ask of the processes of a home: SIGTERM to stop in order, SIGHUP to read files again.

Ctrl-C sends SIGINT to all processes of a terminal at once.  The supervisor alone follows it, as it
follows SIGTERM; the doors, and the workers that inherit from them, wait for the supervisor's word.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.error import ReactorNotRunning

LATER = (signal.SIGINT, signal.SIGHUP)
"""Of no use to a process until it has begun, and deadly: held back until it has said what they mean."""


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """A process that is spawned inside begins with LATER held back."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, LATER)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def supervise(reactor: Any) -> None:
    """SIGTERM and SIGINT stop the reactor, as soon as it runs; SIGHUP waits."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
    _stops(reactor, signal.SIGTERM, signal.SIGINT)
    # A running reactor puts a handler of its own in our one's place, which takes no second SIGTERM.
    reactor.callWhenRunning(_stops, reactor, signal.SIGTERM, signal.SIGINT)


def follow(reactor: Any) -> None:
    """SIGTERM stops the reactor, as soon as it runs; SIGINT is nothing, here and in all descendants."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _stops(reactor, signal.SIGTERM)
    reactor.callWhenRunning(_stops, reactor, signal.SIGTERM)


def on_hangup(reactor: Any, reload: Callable[[], object]) -> None:
    """SIGHUP, from when the reactor runs; one that came earlier counts then."""

    def begin() -> None:
        signal.signal(signal.SIGHUP, lambda *_: reactor.callFromThread(reload))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, LATER)

    reactor.callWhenRunning(begin)


def stop(reactor: Any) -> None:
    """Stop a reactor that may be stopping already."""
    with contextlib.suppress(ReactorNotRunning):
        reactor.stop()


def _stops(reactor: Any, *numbers: signal.Signals) -> None:
    for number in numbers:
        signal.signal(number, lambda *_: reactor.callFromThread(stop, reactor))
