"""Our own interchanges secured as EDIFACT does it (ISO 9735-5 and -6): signed messages, and AUTACKs on what was
received."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from gateway import security, syntax
from gateway.model.secured import Received

RECEIPT = "5"
"""0501: non-repudiation of receipt."""
_WHOLE = "3"
"""0541: of the whole structure that is named."""


def secured(
    interchange: bytes, profile: security.EdifactProfile, key: security.SigningKey, now: datetime
) -> bytes:
    """The interchange with each message signed.  Raises ValueError where it is not of syntax 4, or the profile
    has no codes for the key."""
    signer = security.EdifactSigner(key, profile, security.Manner(), now)
    return syntax.secure(interchange, signer)


def acknowledging(
    interchange: bytes,
    received: Sequence[Received],
    profile: security.EdifactProfile,
    key: security.SigningKey,
    now: datetime,
) -> bytes:
    """The interchange with an AUTACK on what was received, where somebody asked for one.  Raises as above."""
    if not received:
        return interchange
    signer = security.EdifactSigner(key, profile, security.Manner(RECEIPT, _WHOLE), now)
    return syntax.acknowledge_received(interchange, received, signer)
