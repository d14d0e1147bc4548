"""The notary: signs checkpoints over the journal, and has the newest one stamped by an authority for time."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from gateway import security
from gateway.evidence.gathered import Sealed
from gateway.handbook import Handbook
from gateway.operations import stamping
from gateway.operations.repeating import repeat
from gateway.operations.stamping import NotStamped as NotStamped
from gateway.operations.witnessing import Gateway, Rewritten, Witness
from gateway.security.cms import timestamps
from gateway.storage import GroupCommit, Ledger, LedgerError, Overloaded
from gateway.storage.checkpoints import Known

log = logging.getLogger("gateway.notary")


class Signs(Protocol):
    """Own keys: which one signs now."""

    def signing(self, now: datetime) -> security.SigningKey: ...


def cover(
    ledger: Ledger,
    keys: Signs,
    now: Callable[[], datetime],
    limit: int,
    witness: Witness,
    known: Known | None,
) -> list[Sealed]:
    """Checkpoints over every entry that none holds yet, each noted by the witness.

    Raises Rewritten where the ledger does not have the one that was noted last, LedgerError; KeyUnusable
    where the key cannot sign now.
    """
    made: list[Sealed] = []
    breach = witness.breach(ledger)
    if breach is not None:
        raise Rewritten(f"{breach.place}: {breach.why}")
    while True:
        at = now()
        key = keys.signing(at)
        sealed = ledger.cover(key, at, limit, known)
        if sealed is None:
            return made
        witness.note(sealed, key.signer.fingerprint)
        # Whoever keeps the log elsewhere can tell later that no checkpoint was taken away.
        digest = hashlib.sha256(sealed.text.encode()).hexdigest()
        log.info("checkpoint %d %s", sealed.number, digest)
        made.append(sealed)


def stamp(
    ledger: Ledger, sealed: Sealed, url: str, trust: security.Trust, policy: security.Policy, now: datetime
) -> None:
    """Have a checkpoint's signature stamped, verify the stamp and keep it.

    Raises NotStamped, LedgerError.
    """
    read = stamping.stamp(url, sealed.signature, trust, policy, now)
    ledger.stamp(sealed.number, read.token, read.at, read.certificates)


def stamped(sealed: Sealed, trust: security.Trust, policy: security.Policy) -> str:
    """Why a kept stamp is none, or "": judged at the time that it says."""
    if sealed.stamp is None or sealed.stamped_at is None:
        return "it has no time stamp"
    try:
        read = timestamps.read_token(sealed.stamp, sealed.signature, trust, policy, sealed.stamped_at)
    except security.Refused as refused:
        return f"its time stamp is refused: {', '.join(f.code for f in refused.findings)}"
    return "" if read.at == sealed.stamped_at else "its time stamp says another time"


class Notary:
    """Covers the journal again and again while the reactor runs, and asks ``url`` for stamps, if any."""

    def __init__(
        self,
        commits: GroupCommit,
        keys: Callable[[], security.Keystore],
        handbook: Callable[[], Handbook],
        now: Callable[[], datetime],
        limit: int,
        witness: Witness,
        url: str = "",
        on_duty: Callable[[], bool] = lambda: True,
    ) -> None:
        """``on_duty``: whether it is this node that covers now; else it watches that another one does."""
        self._on_duty = on_duty
        self._commits = commits
        self._keys = keys
        self._handbook = handbook
        self._now = now
        self._limit = limit
        self._witness = witness
        self._url = url
        self._covered_at = now()

    def age(self) -> float:
        """Seconds since the last time that every entry was under a checkpoint, stamped where it is to be."""
        return (self._now() - self._covered_at).total_seconds()

    def start(self, reactor: Any, seconds: float) -> Callable[[], object]:
        """Begin; returns what ends it, after the checkpoint that it is at."""
        return repeat(self.round, reactor, seconds, now=False)

    async def round(self) -> None:
        """One time; what fails is tried again the next time."""
        if self._on_duty():
            await self.last()
            return
        try:
            covered: datetime | None = await self._commits.call("covered_at")
        except (LedgerError, Overloaded) as away:
            log.warning("not known whether the journal is covered: %s", away)
            return
        self._covered_at = max(self._covered_at, covered or self._now())

    async def last(self) -> None:
        """Cover everything, on duty or not: a node that ends leaves nothing uncovered."""
        try:
            await self._commits.with_ledger(self._cover)
        except (LedgerError, Overloaded, ValueError, NotStamped) as error:
            log.error("no checkpoint: %s", error)
        else:
            self._covered_at = self._now()

    def _cover(self, ledger: Ledger) -> None:
        book, keys = self._handbook(), self._keys()
        gateway = Gateway(keys, book.trust, book.policy, self._witness)
        cover(ledger, keys, self._now, self._limit, self._witness, gateway.stranger)
        newest = ledger.unstamped() if self._url else None
        if newest is not None:
            stamp(ledger, newest, self._url, book.trust, book.policy, self._now())
