"""Refusals in the log: one line each, fewer in a flood, never content."""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import os
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from gateway.model import Limits
from gateway.transport import AccessLog, Door, Metrics, RefusalLog
from gateway.transport.call import Head
from gateway.transport.counter import Admitted
from gateway.transport.door import Visit
from gateway.transport.refusals import WINDOW_SECONDS, Refused

from .conftest import TOKEN, Lines, partners
from .office import Office

AT = datetime(2026, 3, 2, tzinfo=UTC)
ONE = Refused("r1", 401, ("API401",), peer="192.0.2.1")
BEARER = {"authorization": (f"Bearer {TOKEN}",)}
XML = {"host": ("h",), "content-type": ("application/xml",), "content-length": ("9",)}


class Desk:
    """A log of refusals, its clock, and what it wrote."""

    def __init__(self) -> None:
        self.clock, self.lines = Clock(), Lines()
        self.logger = logging.Logger("refusals", logging.INFO)
        self.logger.addHandler(self.lines)
        self.log = RefusalLog(self.clock, lambda: AT, self.logger)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_refusal_is_one_line(desk):
    desk.log.note(ONE)
    desk.clock.advance(10)
    (line,) = desk.lines.events
    assert line == {
        "event": "refused",
        "at": "2026-03-02T00:00:00.000+00:00",
        "request": "r1",
        "status": 401,
        "codes": ["API401"],
        "peer": "192.0.2.1",
        "count": 1,
    }


def test_a_flood_is_a_line_a_second_that_counts(desk):
    for n in range(1_000):
        desk.log.note(msgspec.structs.replace(ONE, request=f"r{n}"))
    assert [e["count"] for e in desk.lines.events] == [1]
    desk.clock.advance(WINDOW_SECONDS)
    assert [(e["request"], e["count"]) for e in desk.lines.events] == [("r0", 1), ("r999", 999)]


def test_partners_and_codes_do_not_hide_each_other(desk):
    for partner, code in (("A", "SIG011"), ("B", "SIG011"), ("A", "API429")):
        desk.log.note(Refused("r", 403, (code,), partner))
    assert len(desk.lines.events) == 3


def test_what_is_held_at_the_end_is_written(desk):
    desk.log.note(ONE)
    desk.log.note(ONE)
    desk.log.flush()
    assert [e["count"] for e in desk.lines.events] == [1, 1]
    desk.clock.advance(10)
    assert len(desk.lines.events) == 2


@given(st.lists(st.tuples(st.sampled_from("AB"), st.sampled_from(["SIG1", "API2"]), st.floats(0, 3))))
def test_every_refusal_is_counted_once_and_lines_keep_their_distance(refusals):
    desk = Desk()
    written: dict[tuple[str, str], list[float]] = {}

    class Times(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told = json.loads(record.getMessage())
            written.setdefault((told["partner"], told["codes"][0]), []).append(desk.clock.seconds())

    desk.logger.addHandler(Times())
    for partner, code, pause in refusals:
        desk.log.note(Refused("r", 403, (code,), partner))
        desk.clock.advance(pause)
    for _ in range(3):
        desk.clock.advance(WINDOW_SECONDS)
    assert sum(e["count"] for e in desk.lines.events) == len(refusals)
    for times in written.values():
        assert all(b - a >= WINDOW_SECONDS - 1e-9 for a, b in itertools.pairwise(times))
    assert not desk.clock.getDelayedCalls()


@pytest.fixture
def door(desk, loop, catalogue):
    """A door without a socket, whose refusals the desk writes."""
    office = Office(loop.reactor, partners(Limits(max_bytes=100)), catalogue)
    quiet = AccessLog(logging.Logger("quiet", logging.WARNING))
    return Door(
        office,
        Metrics(),
        quiet,
        now=lambda: AT,
        seconds=desk.clock.seconds,
        randomness=os.urandom,
        later=lambda call: call(),
        refusals=desk.log,
    )


def post(door, headers, body=b"UNPROVEN ", subject=""):
    """Send a message; the request's id where it came in."""
    head = Head("POST", "/v1/messages", {**XML, **headers}, "192.0.2.9", subject)
    admitted = door.greet(head, Visit(), length=len(body))
    if isinstance(admitted, Admitted):
        door.serve(admitted, body, hashlib.sha256(body).hexdigest())


def test_nobody_is_named_by_the_subject(door, desk):
    post(door, {}, subject="CN=who,C=VN")
    (line,) = desk.lines.events
    assert (line["status"], line["codes"], line["peer"]) == (401, ["API401"], "192.0.2.9")
    assert line["subject"] == "CN=who,C=VN"
    assert "partner" not in line


def test_an_unproven_sender_is_a_line_without_content(door, desk):
    post(door, BEARER, b"UNPROVEN secret of the sender")
    (line,) = desk.lines.events
    assert (line["status"], line["codes"], line["partner"]) == (403, ["TST001"], "TRADER1")
    assert line["received"] == 29
    assert "secret" not in desk.lines.raw[0]
    assert TOKEN not in desk.lines.raw[0]


def test_a_bound_is_named(door, desk):
    post(door, BEARER, b"x" * 101)
    assert [(e["status"], e["codes"]) for e in desk.lines.events] == [(413, ["API413"])]


@pytest.mark.parametrize("body", [b"ACCEPT ", b"REJECT ", b"CRASH "], ids=["taken", "receipt", "incident"])
def test_what_is_no_refusal_is_not_here(door, desk, body):
    post(door, BEARER, body)
    assert desk.lines.events == []
