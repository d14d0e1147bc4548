"""A load for long, signed as it goes, and a mailbox that is read meanwhile; prints one JSON value.

    python -m bench.soak_load PORT FOLDER ANCHOR SECONDS [--rate R] [--first N]

``FOLDER``: the trader's keys; ``ANCHOR``: what proves the gateway.  Without a rate as fast as it is answered.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from bench.cases import document
from bench.load import offered
from gateway import safexml, security
from tests.journeys.plain import Plain

CONNECTIONS = 16
OPEN_CONNECTIONS = 48
"""With the one that reads the mailbox fewer than a partner may have."""
PAGE = 100
READ_SECONDS = 1.0
"""Between two looks into the mailbox."""


class Fresh:
    """A declaration that is signed when it is to be sent."""

    def __init__(self, reference: str, key: security.SigningKey) -> None:
        self._reference = reference
        self._key = key

    def read_bytes(self) -> bytes:
        """Signed now."""
        plain = safexml.parse(document(self._reference, "xml5"))
        return security.sign_xml(plain, self._key, datetime.now(UTC))


def declarations(key: security.SigningKey, first: int) -> Iterator[Fresh]:
    """Without end, each with a reference of its own."""
    while True:
        yield Fresh(f"S{first:09d}", key)
        first += 1


def read_mailbox(client: Plain, over: threading.Event) -> None:
    """Acknowledge whatever is there, again and again."""
    while not over.is_set():
        waiting = []
        with contextlib.suppress(OSError, ValueError, KeyError):
            waiting = [entry["id"] for entry in client.mailbox(limit=PAGE).json()["entries"]]
            if waiting:
                client.acknowledge(waiting)
        over.wait(0 if len(waiting) == PAGE else READ_SECONDS)
    client.close()


def main() -> None:
    """Load."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("anchor", type=Path)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--first", type=int, default=0)
    asked = parser.parse_args()
    key = security.SigningKey.load(asked.folder / "signing.key.pem", asked.folder / "signing.crt.pem")
    over = threading.Event()
    client = Plain(lambda: asked.port, asked.anchor, asked.folder)
    reader = threading.Thread(target=read_mailbox, args=(client, over), daemon=True)
    reader.start()
    pile = declarations(key, asked.first)
    connections = OPEN_CONNECTIONS if asked.rate else CONNECTIONS
    began, times, wrong = offered(asked.port, asked.folder, pile, connections, asked.seconds, asked.rate)
    over.set()
    reader.join(10)
    print(json.dumps({"began": began, "times": times, "wrong": wrong}))


if __name__ == "__main__":
    main()
