"""What a chain's revocation comes to: the rulings on its certificates, and what the policy makes of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime

from cryptography import x509

from gateway.model import Finding, Place, Proof, Revocation
from gateway.security.certificates.crl import RevokedList, read_crl
from gateway.security.certificates.ocsp import read_response
from gateway.security.certificates.revocation import Revocations, Ruling, Status, rule, said_by_lists
from gateway.security.certificates.statement import Link, Statement
from gateway.security.policy import Policy
from gateway.security.refused import Held, Refused, refusal

MAX_EMBEDDED = 16
"""OCSP responses and CRLs looked at in one signature: a chain of four needs three."""

MAX_EMBEDDED_CRL = 1024 * 1024
"""Octets of a CRL inside a signature: some tenths of a second to read, once."""

_PART = "certificate"
_REMEMBERED = 1_024
"""Embedded responses and CRLs kept, so that one that comes with every message is verified once."""


class Stapled:
    """What came with signatures, verified once for each issuer; a memory that threads may share."""

    def __init__(self, responders: tuple[x509.Certificate, ...] = ()) -> None:
        self._responders = responders
        self._read: dict[tuple[bytes, bytes], tuple[dict[bytes, Statement], tuple[RevokedList, ...]]] = {}

    def statements(
        self, link: Link, issuer: bytes, embedded: Sequence[bytes], policy: Policy, now: datetime
    ) -> Iterator[Statement]:
        """What embedded material says of a certificate; ``issuer``: the certificate above it, DER.

        What is not its issuer's, or not true, says nothing.
        """
        lists: tuple[RevokedList, ...] = ()
        for der in embedded[:MAX_EMBEDDED]:
            answers, more = self._verified(der, issuer, link, policy, now)
            lists += more
            if link.serial and link.issuer + link.serial in answers:
                yield answers[link.issuer + link.serial]
        yield from said_by_lists(lists, link)

    def _verified(
        self, der: bytes, issuer: bytes, link: Link, policy: Policy, now: datetime
    ) -> tuple[dict[bytes, Statement], tuple[RevokedList, ...]]:
        name = (hashlib.sha256(der).digest(), link.issuer)
        known = self._read.get(name)
        if known is None:
            certificate = x509.load_der_x509_certificate(issuer)
            known = _read(der, certificate, policy, now, self._responders)
            if len(self._read) >= _REMEMBERED:
                self._read.clear()
            if any(known):  # what says nothing yet, being from the future, may say something later
                self._read[name] = known
        return known


def _read(
    der: bytes,
    issuer: x509.Certificate,
    policy: Policy,
    now: datetime,
    responders: tuple[x509.Certificate, ...],
) -> tuple[dict[bytes, Statement], tuple[RevokedList, ...]]:
    try:
        told = read_response(der, issuer, policy, now, responders).statements
        return {key: statement for key, statement in told if statement is not None}, ()
    except Refused:
        pass
    try:
        return {}, (read_crl(der, issuer, policy, now),) if len(der) <= MAX_EMBEDDED_CRL else ()
    except Refused:
        return {}, ()


def ask_after(
    certificates: tuple[bytes, ...],
    links: tuple[Link, ...],
    revocations: Revocations,
    stapled: Stapled,
    embedded: Sequence[bytes],
    policy: Policy,
    now: datetime,
    at: datetime | None,
) -> Proof:
    """What is known of a chain (DER, the anchor last, and a link for each but the anchor).

    Raises Refused (SIG300, SIG301), Held (SIG302).
    """
    if policy.revocation == "off" or not links:
        return Proof(certificates=certificates)
    rulings: list[Ruling] = []
    for link, issuer in zip(links, certificates[1:], strict=True):
        said = [*revocations.statements(link), *stapled.statements(link, issuer, embedded, policy, now)]
        ruling = rule(link, said, policy, at or now, stamped=at is not None)
        if ruling.status is Status.REVOKED and ruling.statement is not None:
            raise refusal("SIG300", found=_revoked(link, ruling.statement), part=_PART)
        rulings.append(ruling)
    unknown = [link for link, r in zip(links, rulings, strict=True) if r.status is Status.UNKNOWN]
    if unknown and policy.revocation != "accept":
        _refuse(unknown, policy, certificates)
    evidence = dict.fromkeys(der for r in rulings if r.statement is not None for der in r.statement.evidence)
    return Proof(certificates, _whole(rulings), tuple(evidence))


def unknown_finding(code: str, subjects: Sequence[str]) -> Finding:
    """SIG301 to SIG303: whose certificates nobody could speak of."""
    shown = "".join(c if c.isprintable() else " " for c in "; ".join(subjects))
    return Finding(code, Place(part=_PART), "", shown[:200])


def _refuse(unknown: Sequence[Link], policy: Policy, certificates: tuple[bytes, ...]) -> None:
    subjects = [link.subject for link in unknown]
    if policy.revocation == "hold":
        raise Held((unknown_finding("SIG302", subjects),), certificates)
    raise Refused((unknown_finding("SIG301", subjects),))


def _revoked(link: Link, statement: Statement) -> str:
    since = "" if statement.revoked_at is None else f"{statement.revoked_at:%Y-%m-%dT%H:%M:%SZ}"
    return " ".join(filter(None, (link.subject, since, statement.reason)))


def _whole(rulings: Sequence[Ruling]) -> Revocation:
    found = {ruling.status for ruling in rulings}
    if Status.UNKNOWN in found:
        return Revocation.UNKNOWN
    return Revocation.GOOD if Status.GOOD in found else Revocation.UNCHECKED
