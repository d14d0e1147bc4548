"""An inquiry's answer: verified, found to be about the certificate that was asked after, ready to be kept."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from datetime import datetime
from urllib.parse import quote

import msgspec
from cryptography import x509

from gateway.security.certificates import keeping, ocsp
from gateway.security.certificates.crl import MAX_CRL, RevokedList, read_crl
from gateway.security.certificates.ocsp import MAX_RESPONSE, read_response
from gateway.security.certificates.revocation import Status, rule, said_by_lists
from gateway.security.certificates.statement import Link, Statement, link_of
from gateway.security.policy import Policy
from gateway.security.refused import refusal

__all__ = [
    "MAX_CRL",
    "MAX_RESPONSE",
    "OCSP_REQUEST",
    "Kept",
    "Lists",
    "RevokedList",
    "Subject",
    "Told",
    "by_lists",
    "by_response",
    "get_url",
    "lasting_word",
    "read_lists",
    "said_by_lists",
]

OCSP_REQUEST = "application/ocsp-request"


class Subject(msgspec.Struct, frozen=True):
    """The certificate that is asked after, and the one above it."""

    certificate: x509.Certificate
    issuer: x509.Certificate
    link: Link

    @classmethod
    def of(cls, der: bytes, issuer: bytes) -> Subject:
        """From both in DER, as they stood in a proven chain."""
        certificate = x509.load_der_x509_certificate(der)
        above = x509.load_der_x509_certificate(issuer)
        return cls(certificate, above, link_of(certificate, above))

    @property
    def issuer_name(self) -> str:
        """RFC 4514."""
        return self.link.issuer_name

    def request(self, nonce: bytes | None) -> bytes:
        """An OCSPRequest about it."""
        return ocsp.ask(self.certificate, self.issuer, nonce)


class Kept(msgspec.Struct, frozen=True):
    """A response or CRL as it is to be kept; see `keeping`."""

    subject: str
    der: bytes
    told: bytes
    this_update: datetime
    until: datetime
    final: bool


class Told(msgspec.Struct, frozen=True):
    """``status``: good or revoked; ``until``: how long that is said for."""

    status: str
    final: bool
    until: datetime
    kept: tuple[Kept, ...]


class Lists(msgspec.Struct, frozen=True):
    """CRLs of one address, and where their deltas are."""

    lists: tuple[RevokedList, ...]
    freshest: tuple[str, ...] = ()

    def and_also(self, other: Lists) -> Lists:
        """With further ones."""
        return Lists((*self.lists, *other.lists), self.freshest)

    def without_octets(self) -> Lists:
        """As they are remembered: what they say, without their DER."""
        return Lists(tuple(msgspec.structs.replace(made, der=b"") for made in self.lists), self.freshest)


def get_url(url: str, request: bytes) -> str:
    """Where to GET an answer (RFC 6960, A.1)."""
    return f"{url.rstrip('/')}/{quote(base64.b64encode(request), safe='')}"


def by_response(
    der: bytes,
    subject: Subject,
    nonce: bytes | None,
    policy: Policy,
    now: datetime,
    responders: tuple[x509.Certificate, ...] = (),
) -> Told:
    """What an OCSP response says of the certificate.

    Raises Refused: as `read_response`; SIG324 where it speaks of others, SIG325 where it has ended, SIG326
    where the nonce is not the one that was sent, SIG328 where the responder does not know the certificate.
    """
    answers = read_response(der, subject.issuer, policy, now, responders)
    if nonce is not None and answers.nonce is not None and answers.nonce != nonce:
        raise refusal("SIG326", part="OCSP response")
    key = subject.link.issuer + subject.link.serial
    about = [statement for name, statement in answers.statements if name == key and subject.link.serial]
    if not about:
        raise refusal("SIG324", subject.link.subject, "", "OCSP response")
    statement = about[0]
    if statement is None:
        raise refusal("SIG328", "good, revoked", "unknown", "OCSP response")
    _check_age(statement, subject, policy, now)
    kept = Kept(
        keeping.answer_subject(key),
        der,
        keeping.told_of_answer(statement),
        statement.this_update,
        statement.until,
        statement.permanent,
    )
    return Told(_status(statement), statement.permanent, statement.until, (kept,))


def read_lists(der: bytes, subject: Subject, policy: Policy, now: datetime) -> Lists:
    """The CRL of an address.  Raises Refused, as `read_crl`."""
    made = read_crl(der, subject.issuer, policy, now)
    return Lists((made,), made.freshest if made.base is None else ())


def by_lists(lists: Lists, subject: Subject, policy: Policy, now: datetime) -> Told:
    """What CRLs say of the certificate.

    Raises Refused: SIG325 where they have ended, SIG336 where they are none that would name it.
    """
    said = list(said_by_lists(lists.lists, subject.link))
    if not said:
        raise refusal("SIG336", subject.link.subject, "", "CRL")
    newest = max(said, key=lambda statement: statement.this_update)
    _check_age(newest, subject, policy, now)
    kept = tuple(keep_list(made) for made in lists.lists if made.der)
    status = rule(subject.link, said, policy, now, stamped=False)
    revoked = status.status is Status.REVOKED
    lasting = lasting_word(said, subject.link)
    final = lasting is not None
    return Told("revoked" if revoked else "good", final, newest.until, (*kept, lasting) if lasting else kept)


def lasting_word(said: Iterable[Statement], link: Link) -> Kept | None:
    """The revocation that lists tell of a certificate, to be kept though a newer list leaves it out; None
    where they tell none, or one on hold.  It is without their octets, of which there may be many."""
    told = next((statement for statement in said if statement.permanent), None)
    if told is None:
        return None
    subject = keeping.answer_subject(link.issuer + link.serial)
    return Kept(subject, b"", keeping.told_of_answer(told), told.this_update, told.until, True)


def keep_list(made: RevokedList) -> Kept:
    """A CRL as it is to be kept."""
    subject, told = keeping.list_subject(made), keeping.told_of_list(made)
    return Kept(subject, made.der, told, made.this_update, made.until, False)


def _check_age(statement: Statement, subject: Subject, policy: Policy, now: datetime) -> None:
    """Old words are not taken for news, but a revocation stays one."""
    until = min(statement.until, statement.this_update + policy.freshness)
    if now > until and not statement.permanent:
        raise refusal(
            "SIG325", f">= {now:%Y-%m-%dT%H:%M:%SZ}", f"{until:%Y-%m-%dT%H:%M:%SZ}", subject.link.subject
        )


def _status(statement: Statement) -> str:
    return "good" if statement.revoked_at is None else "revoked"
