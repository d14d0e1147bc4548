"""The sum of the costs that no gateway avoids, and what our stages cost, on this machine, now."""

from __future__ import annotations

import hashlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from lxml import etree

from gateway import handbook as handbooks
from gateway import outbound, rules, safexml, security
from gateway.inbound import inspect
from gateway.intake import work
from gateway.model import Submission
from gateway.storage.sqlite import sqlite3

GROUP = 10
"""Submissions in one durable commit; a lone one would make the limit look worse and us better."""

Costs = dict[str, float]


def median(function: Callable[[], object], runs: int = 200) -> float:
    """Seconds of one call."""
    function()
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


class _Pair:
    """A key pair of the algorithm, ``rsa`` (2048 bits) or ``p256``, and one signature made with it."""

    def __init__(self, algorithm: str, octets: bytes) -> None:
        self._octets = octets
        if algorithm == "p256":
            curve = ec.generate_private_key(ec.SECP256R1())
            self.sign: Callable[[bytes], bytes] = lambda data: curve.sign(data, ec.ECDSA(hashes.SHA256()))
            signature, public = self.sign(octets), curve.public_key()
            self.verify: Callable[[], None] = lambda: public.verify(
                signature, octets, ec.ECDSA(hashes.SHA256())
            )
            return
        key, scheme = rsa.generate_private_key(65537, 2048), padding.PKCS1v15()
        self.sign = lambda data: key.sign(data, scheme, hashes.SHA256())
        proof, known = self.sign(octets), key.public_key()
        self.verify = lambda: known.verify(proof, octets, scheme, hashes.SHA256())


def unavoidable(
    documents: list[bytes], xsd: Path, receipt: bytes, postgres: str = "", algorithm: str = "rsa"
) -> Costs:
    """Seconds of each unavoidable cost of one XML message, with the plainest code for each.

    The costs are taken in a row, message after message, as any gateway must bear them: each step finds
    the caches as the step before left them.
    """
    pair = _Pair(algorithm, documents[0])
    schema = etree.XMLSchema(etree.parse(str(xsd)))

    def read(document: bytes, lap: _Lap) -> None:
        root = etree.fromstring(document)
        lap("parse")
        root.remove(root[-1])
        octets = etree.tostring(root, method="c14n", exclusive=True)
        lap("canonicalise")
        hashlib.sha256(octets).digest()
        lap("hash")
        pair.verify()
        lap("verify")
        if not schema.validate(root):
            raise ValueError("the bench's own document is not valid")
        lap("validate")

    return _in_a_row(documents, read, pair, receipt, postgres)


def unavoidable_edifact(
    interchanges: list[bytes], receipt: bytes, postgres: str = "", algorithm: str = "rsa"
) -> Costs:
    """The same for an EDIFACT interchange, as it is within its envelope; to read it is to split it."""
    pair = _Pair(algorithm, interchanges[0])

    def read(interchange: bytes, lap: _Lap) -> None:
        segments = interchange.decode("latin-1").split("'")
        [[element.split(":") for element in segment.split("+")] for segment in segments]
        lap("split")
        hashlib.sha256(interchange).digest()
        lap("hash")
        pair.verify()
        lap("verify")

    return _in_a_row(interchanges, read, pair, receipt, postgres)


def _in_a_row(
    messages: list[bytes],
    read: Callable[[bytes, _Lap], None],
    pair: _Pair,
    receipt: bytes,
    postgres: str,
) -> Costs:
    times: dict[str, list[float]] = {}
    with _database(postgres) as store:
        for number, message in enumerate(messages, 1):
            lap = _Lap(times)
            read(message, lap)
            pair.sign(receipt)
            lap("sign")
            if number % GROUP == 0:
                store([(message, receipt)] * GROUP)
                lap("commit")
    costs = {name: statistics.median(laps) for name, laps in times.items()}
    costs["commit"] /= GROUP
    return costs


class _Lap:
    """Takes the time since the last lap."""

    def __init__(self, times: dict[str, list[float]]) -> None:
        self._times = times
        self._since = time.perf_counter()

    def __call__(self, name: str) -> None:
        now = time.perf_counter()
        self._times.setdefault(name, []).append(now - self._since)
        self._since = time.perf_counter()


Store = Callable[[list[tuple[bytes, bytes]]], object]


@contextmanager
def _database(postgres: str) -> Iterator[Store]:
    """What stores rows of a message and its receipt in one durable commit."""
    if postgres:
        with psycopg.connect(postgres.replace("postgresql+psycopg", "postgresql"), autocommit=True) as server:
            server.execute(
                "CREATE TABLE IF NOT EXISTS limits (id SERIAL PRIMARY KEY, body BYTEA, receipt BYTEA)"
            )

            def commit(rows: list[tuple[bytes, bytes]]) -> None:
                with server.transaction(), server.cursor() as cursor:
                    cursor.executemany("INSERT INTO limits (body, receipt) VALUES (%s, %s)", rows)

            yield commit
        return
    with tempfile.TemporaryDirectory() as folder:
        database = sqlite3.connect(f"{folder}/limit.db", isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("CREATE TABLE limits (id INTEGER PRIMARY KEY, body BLOB, receipt BLOB)")

        def settle(rows: list[tuple[bytes, bytes]]) -> None:
            database.execute("BEGIN IMMEDIATE")
            database.executemany("INSERT INTO limits (body, receipt) VALUES (?, ?)", rows)
            database.execute("COMMIT")

        yield settle
        database.close()


def stages(document: bytes, book: handbooks.Handbook, partner: str, key: security.SigningKey) -> Costs:
    """Seconds of each stage of our own journey for the same document, in this process."""
    now = datetime.now(UTC)
    submission = Submission(
        "bench", partner, "https", "application/xml", document, hashlib.sha256(document).hexdigest(), now
    )
    verified = security.verify(document, "application/xml", book.trust, book.policy, now)
    tree = verified.document
    if tree is None:
        raise ValueError("the bench's own document is XML")
    entry = book.schemas.find(tree)
    if entry is None:
        raise ValueError("the bench's own document has a schema")
    table = book.mappings.xml(entry.table)
    declaration = table.read(tree).declarations[0]
    verdict = inspect(submission, book, now).verdict

    def answer() -> None:
        draft = outbound.receipt(verdict, None, book, "1", now)
        outbound.seal(draft, verdict.route, key, now)

    costs = {
        "parse safely": median(lambda: safexml.parse(document)),
        "prove": median(lambda: security.verify(document, "application/xml", book.trust, book.policy, now)),
        "validate": median(lambda: book.schemas.validate(tree, entry)),
        "translate": median(lambda: table.read(tree)),
        "judge": median(lambda: rules.judge(declaration, book.rulebook, now)),
        "answer, signed": median(answer),
    }
    costs["prove"] -= costs["parse safely"]
    whole = median(lambda: work(submission, book, key, lambda n: ["1"] * n, now))
    costs["the rest of the journey"] = max(0.0, whole - sum(costs.values()))
    return costs
