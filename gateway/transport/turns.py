"""Turns: lets those that wait in the line begin, one after the other, as places become free."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred

from gateway.transport.admission import Pass
from gateway.transport.bounds import Bounds
from gateway.transport.line import Line, Waiting, cost_of
from gateway.transport.metrics import Metrics


class Late(Exception):
    """It has waited too long for its turn: the sender is to come again."""


Later = Callable[[Callable[[], None]], object]
"""Makes a call when the reactor has looked at its sockets once more."""


TOGETHER = 12.0
"""Cost (`line.cost_of`) up to which those that wait begin together: seven of 10 KB, some milliseconds of work."""


class Turns:
    """One door's line, by the door's clock; all on the reactor's thread.

    What begins is worked on at once.  So a few begin together, in the reactor's next turn, and the next when the
    sockets have been looked at: what is urgent among what came meanwhile goes before them.
    """

    def __init__(self, bounds: Bounds, seconds: Callable[[], float], later: Later, metrics: Metrics) -> None:
        self.line: Line[tuple[Pass, Deferred[None]]] = Line(bounds.at_work, bounds.target, bounds.patience)
        self._seconds = seconds
        self._later = later
        self._metrics = metrics
        self._called = False

    def wait(self, leave: Pass) -> Deferred[None]:
        """Fires when it may begin, then ``done`` is due; fails with Late."""
        now = self._seconds()
        turn: Deferred[None] = Deferred()
        self.line.join(Waiting((leave, turn), leave.partner, leave.rank, now, cost_of(leave.held)), now)
        self._call()
        return turn

    def done(self, leave: Pass) -> None:
        """It is over; where it had begun, its place is free."""
        if leave.at_work:
            leave.at_work = False
            self.line.done(leave.rank, self._seconds())
        self._call()

    def _call(self) -> None:
        if len(self.line) and not self._called:
            self._called = True
            self._later(self._begin)

    def _begin(self) -> None:
        self._called = False
        now = self._seconds()
        for late in self.line.overdue(now):
            late.what[1].errback(Late())
        room = TOGETHER
        while room > 0:
            begins = self.line.next(now)
            if begins is None:
                return
            room -= begins.cost
            leave, turn = begins.what
            leave.at_work = True
            self._metrics.waited(begins.rank.name, now - begins.since)
            turn.callback(None)
        self._call()
