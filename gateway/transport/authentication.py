"""Who is calling: the partner that a client certificate, a bearer token, or both of them prove."""

from __future__ import annotations

import hashlib
import re

from gateway.model import Partner, Register
from gateway.transport.call import Head

# RFC 6750 token; the length bounds the hash's work and fits any sensible token.
_BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/-]{1,512}=*)\Z")
CHALLENGE = (("WWW-Authenticate", 'Bearer realm="cvan"'),)


def authenticate(head: Head, register: Register) -> Partner | None:
    """The active partner, or None for every kind of failure (the caller learns not which).

    What is presented must all be good: a certificate of nobody, or a token of somebody else's, is
    not mended by the other being right.  Two Authorization headers are nobody's.
    """
    proven: list[Partner | None] = []
    if head.subject:
        proven.append(register.by_subject(head.subject))
    values = head.headers.get("authorization", ())
    if len(values) > 1:
        return None
    if values:
        proven.append(_by_token(values[0], register))
    if not proven or any(p is None for p in proven):
        return None
    return proven[0] if len({p.id for p in proven if p is not None}) == 1 else None


def _by_token(authorization: str, register: Register) -> Partner | None:
    found = _BEARER.match(authorization)
    if found is None:
        return None
    return register.by_token(hashlib.sha256(found[1].encode("ascii")).hexdigest())
