"""Ports for servers that tests begin by number, or begin again at the same place."""

from __future__ import annotations

import random
import socket
from pathlib import Path

LOWEST = 10_000
GIVEN_OUT = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_ports(count: int = 1) -> int:
    """The first of so many ports in a row that nobody has on loopback.

    Below those that the system gives to connections as they come: between the choice and the server's
    beginning, or while it is down, nobody gets them by chance.
    """
    highest = int(GIVEN_OUT.read_text("ascii").split()[0]) if GIVEN_OUT.exists() else 32_768
    for _ in range(200):
        begin = random.SystemRandom().randrange(LOWEST, highest - count)
        if all(_free(begin + n) for n in range(count)):
            return begin
    raise AssertionError("no ports are free")


def _free(port: int) -> bool:
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
