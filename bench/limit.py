"""The sum of the costs that no gateway avoids, and what our stages cost, on this machine, now."""

from __future__ import annotations

import hashlib
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from lxml import etree

from gateway import handbook as handbooks
from gateway import outbound, rules, safexml, security
from gateway.inbound import inspect
from gateway.intake import work
from gateway.model import Submission

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


def unavoidable(document: bytes, xsd: Path, receipt: bytes, postgres: str = "") -> Costs:
    """Seconds of each unavoidable cost of one message, with the plainest code for each."""
    key = rsa.generate_private_key(65537, 2048)
    pss = padding.PKCS1v15()
    signature = key.sign(document, pss, hashes.SHA256())
    public = key.public_key()
    root = etree.fromstring(document)
    octets = etree.tostring(root, method="c14n", exclusive=True)
    schema = etree.XMLSchema(etree.parse(str(xsd)))
    unsigned = etree.fromstring(document)
    for child in unsigned.findall("{http://www.w3.org/2000/09/xmldsig#}Signature"):
        unsigned.remove(child)
    if not schema.validate(unsigned):
        raise ValueError("the bench's own document is not valid")
    costs = {
        "parse": median(lambda: etree.fromstring(document)),
        "canonicalise": median(lambda: etree.tostring(root, method="c14n", exclusive=True)),
        "hash": median(lambda: hashlib.sha256(octets).digest()),
        "verify": median(lambda: public.verify(signature, octets_signed, pss, hashes.SHA256()))
        if (octets_signed := document)
        else 0.0,
        "validate": median(lambda: schema.validate(unsigned)),
        "sign": median(lambda: key.sign(receipt, pss, hashes.SHA256())),
    }
    costs["commit"] = _postgres(document, receipt, postgres) if postgres else _sqlite(document, receipt)
    return costs


def _sqlite(document: bytes, receipt: bytes) -> float:
    """One row of the message and its receipt, GROUP to a durable commit."""
    with tempfile.TemporaryDirectory() as folder:
        database = sqlite3.connect(f"{folder}/limit.db", isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB, receipt BLOB)")

        def group() -> None:
            database.execute("BEGIN IMMEDIATE")
            rows = [(document, receipt)] * GROUP
            database.executemany("INSERT INTO t (body, receipt) VALUES (?, ?)", rows)
            database.execute("COMMIT")

        return median(group) / GROUP


def _postgres(document: bytes, receipt: bytes, url: str) -> float:
    with psycopg.connect(url.replace("postgresql+psycopg", "postgresql"), autocommit=True) as database:
        database.execute("CREATE TABLE IF NOT EXISTS t (id SERIAL PRIMARY KEY, body BYTEA, receipt BYTEA)")

        def group() -> None:
            with database.transaction(), database.cursor() as cursor:
                rows = [(document, receipt)] * GROUP
                cursor.executemany("INSERT INTO t (body, receipt) VALUES (%s, %s)", rows)

        return median(group, 60) / GROUP


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
