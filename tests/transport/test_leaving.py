"""Clients that go at any moment: in the head, in the body, in the line, before their answer; nothing of them stays."""

from __future__ import annotations

import gc
import random
import socket
import ssl
import struct
import time

from gateway.transport import Bounds, Spool
from gateway.transport.http import Channel
from gateway.transport.request import Request

from .conftest import Gateway, eventually
from .test_overload import length, post

OVER = 20_000
"""Octets from which on a body is in a file."""
MOMENTS = (0.0, 0.01, 0.05)
"""Seconds for which they stay: until they are heard at all, wait, are at work."""


def cut(gateway: Gateway, octets: bytes) -> None:
    """Send so much, and be gone without a word."""
    wire: ssl.SSLSocket = gateway.connect("van")
    wire.sendall(octets)
    time.sleep(random.choice(MOMENTS))
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    socket.socket.close(wire)


def nobody_is_there(gateway: Gateway) -> bool:
    admission, line = gateway.door.admission, gateway.door.turns.line
    counts = (admission.total_inside, admission.bytes_held, line.at_work.total(), line.waiting.total())
    return counts == (0, 0, 0, 0) and not admission.connections and not admission.held


def left() -> int:
    """Connections and requests that something holds on to."""
    gc.collect()
    return sum(isinstance(one, Channel | Request) for one in gc.get_objects())


def test_nothing_stays_of_those_who_go(open_gateway, tmp_path):
    spool = Spool(tmp_path, over=OVER, most=1_000_000, reserve=0)
    spool.make()
    gateway: Gateway = open_gateway(Bounds(at_work=2), spool=spool)
    gateway.office.slow = 0.2
    before = left()  # of other gateways of this process
    for number in range(8):
        body = b"SLOW %d " % number + b"x" * 5_000
        large = body + b"x" * OVER
        whole = post(length(len(body)), body=body)
        for octets in (
            whole[:40],
            whole[:-2_000],
            whole,
            whole + whole,
            whole + whole[:60],
            post(length(len(large)), body=large)[:-100],
            post(length(len(large)), body=large),
        ):
            cut(gateway, octets)
    assert eventually(lambda: nobody_is_there(gateway), 20)
    assert len(gateway.office.submissions) > 5  # what came whole is judged, whoever waits for it
    assert eventually(lambda: left() <= before, 10)
    assert list(tmp_path.iterdir()) == []
