"""How old a signature may be when its message arrives: the window in which a copy could still pass for new.

Duplicates are known for as long as the ledger keeps them; the window bounds what a copy of an older message
could do after that, or at a gateway that never saw the first.  It is asked at receipt, not in the proof: a
message that was held, or is shown as evidence in ten years, is as true as it was.
"""

from __future__ import annotations

from datetime import datetime

from gateway.security.policy import Policy
from gateway.security.refused import refusal
from gateway.security.verified import Verified


def check_age(verified: Verified, policy: Policy, received_at: datetime) -> None:
    """Raises Refused (SIG214) where the message was signed longer before its receipt than ``policy.max_age``.

    ``received_at``: aware.  A carrier's time counts where there is one: a trader may sign on Friday what its
    VAN sends on Monday.  A time stamp over the signature counts rather than what the signer says; a signature
    that states no time (plain XML-DSig) is not judged by it.
    """
    last = verified.carrier or verified.signer
    signed_at = last.stamped_at or last.signed_at
    if policy.max_age is None or signed_at is None:
        return
    earliest = received_at - policy.max_age - policy.clock_skew
    if signed_at < earliest:
        raise refusal("SIG214", f">= {earliest.isoformat()}", signed_at.isoformat(), "signing time")
