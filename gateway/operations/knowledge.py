"""A home's knowledge as a command needs it: with partners, revocations and own keys as they are now."""

from __future__ import annotations

from pathlib import Path

from gateway.handbook import Handbook
from gateway.operations import settings
from gateway.operations.revoking import newest
from gateway.storage import Ledger


def of_home(home: Path, ledger: Ledger) -> Handbook:
    """What a running gateway of this home would judge by.  Raises ValueError, KeyUnusable, BadSettings."""
    chosen = settings.load(home)
    book = settings.handbook(home, chosen).with_register(ledger.register())
    book = book.with_revocations(newest(ledger, book.trust.revocations))
    return book.with_decrypters(settings.keystore(home, chosen).decrypting())
