"""Who is calling: the partner that a client certificate, a bearer token, or both of them prove."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from gateway import routing
from gateway.model import Partner, Register, Use
from gateway.transport.call import Head

# RFC 6750 token; the length bounds the hash's work and fits any sensible token.
_BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/-]{1,512}=*)\Z")
CHALLENGE = (("WWW-Authenticate", 'Bearer realm="cvan"'),)


TaxCodes = Callable[[Head], Iterable[str]]
"""The tax codes that a public authority wrote into the certificate which the handshake proved; asked only
where nothing else says whose it is."""


def no_codes(head: Head) -> Iterable[str]:
    """Where no authority's word is taken for who somebody is."""
    return ()


def authenticate(
    head: Head, register: Register, now: datetime, tax_codes: TaxCodes = no_codes
) -> Partner | None:
    """The active partner, or None for every kind of failure (the caller learns not which).

    ``now``: aware, UTC; certificates prove only in their windows, also on a connection that lasts.

    What is presented must all be good: a certificate of nobody, or a token of somebody else's, is
    not mended by the other being right.  Two Authorization headers are nobody's.
    """
    proven: list[Partner | None] = []
    if head.subject:
        proven.append(_by_certificate(head, register, now, tax_codes))
    values = head.headers.get("authorization", ())
    if len(values) > 1:
        return None
    if values:
        proven.append(_by_token(values[0], register))
    if not proven or any(p is None for p in proven):
        return None
    return proven[0] if len({p.id for p in proven if p is not None}) == 1 else None


def unproven(head: Head, register: Register, now: datetime, tax_codes: TaxCodes = no_codes) -> str:
    """Why the client certificate proves nobody, for the operator's log; "" where none was shown, or where it
    is not what is wrong."""
    if not head.subject or _by_certificate(head, register, now, tax_codes) is not None:
        return ""
    codes = _lazily(head, tax_codes)
    why = routing.identity.unproven(register, Use.TLS, head.subject, head.fingerprint, now, codes, "TLS")
    return f"{why.code}: expected {why.expected}, found {why.found}"


def _by_certificate(head: Head, register: Register, now: datetime, tax_codes: TaxCodes) -> Partner | None:
    codes = _lazily(head, tax_codes)
    return register.by_certificate(Use.TLS, head.subject, head.fingerprint, now, codes)


def _lazily(head: Head, tax_codes: TaxCodes) -> Iterator[str]:
    """Read only where nothing else is known: a chain has its price."""
    yield from tax_codes(head)


def _by_token(authorization: str, register: Register) -> Partner | None:
    found = _BEARER.match(authorization)
    if found is None:
        return None
    return register.by_token(hashlib.sha256(found[1].encode("ascii")).hexdigest())
