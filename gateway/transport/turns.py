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


class Turns:
    """One door's line, by the door's clock; all on the reactor's thread.

    What begins does its first part at once, some milliseconds of work.  So one begins at a time, and the next
    when the sockets have been looked at: what is urgent among what came meanwhile goes before it.
    """

    def __init__(self, bounds: Bounds, seconds: Callable[[], float], later: Later, metrics: Metrics) -> None:
        self.line: Line[tuple[Pass, Deferred[None]]] = Line(bounds.at_work, bounds.target, bounds.patience)
        self._seconds = seconds
        self._later = later
        self._metrics = metrics
        self._paused = False

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
        if self._paused:
            return
        now = self._seconds()
        for late in self.line.overdue(now):
            late.what[1].errback(Late())
        begins = self.line.next(now)
        if begins is None:
            return
        self._paused = True
        self._later(self._go_on)
        leave, turn = begins.what
        leave.at_work = True
        self._metrics.waited(begins.rank.name, now - begins.since)
        turn.callback(None)

    def _go_on(self) -> None:
        self._paused = False
        self._call()
