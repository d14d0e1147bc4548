"""Asking a time-stamp authority over HTTP (RFC 3161, 3.4): for checkpoints, and for what is signed by hand."""

from __future__ import annotations

import hashlib
import secrets
import urllib.error
import urllib.request
from datetime import datetime

from gateway import security
from gateway.security.cms import timestamps

ANSWER_SECONDS = 20
"""For an authority to stamp; a checkpoint asks again with the next one."""
MAX_ANSWER = 65_536
"""Octets of an authority's answer: a token with its chain has some 6,000."""
DIGEST = "sha256"


class NotStamped(Exception):
    """The authority gave no stamp that can be believed; the text says why."""


def stamp(
    url: str, octets: bytes, trust: security.Trust, policy: security.Policy, now: datetime
) -> timestamps.Stamp:
    """A stamp over octets, verified; ``trust.stampers`` anchors its authority.  Raises NotStamped."""
    nonce = secrets.randbits(63)
    query = timestamps.request(hashlib.new(DIGEST, octets).digest(), DIGEST, nonce)
    try:
        answer = _ask(url, query)
        token = timestamps.read_answer(answer, octets, DIGEST, nonce, trust, policy, now)
        return timestamps.read_token(token, octets, trust, policy, now)
    except (OSError, urllib.error.URLError, ValueError) as error:
        raise NotStamped(f"{url}: {error}") from error
    except security.Refused as refused:
        raise NotStamped(f"{url}: {', '.join(f.code for f in refused.findings)}") from refused


def _ask(url: str, query: bytes) -> bytes:
    """Raises OSError, ValueError."""
    if not url.startswith(("http://", "https://")):
        raise ValueError("neither http nor https")
    asked = urllib.request.Request(  # noqa: S310 - the scheme is checked above
        url, query, {"Content-Type": "application/timestamp-query"}
    )
    with urllib.request.urlopen(asked, timeout=ANSWER_SECONDS) as answered:  # noqa: S310
        octets: bytes = answered.read(MAX_ANSWER + 1)
    if len(octets) > MAX_ANSWER:
        raise ValueError(f"more than {MAX_ANSWER} octets")
    return octets
