"""Intake: where the inbound journey meets the ledger.  Commit, then speak."""

from gateway.intake.door import HOLD, INLINE_BYTES, MAX_MET, MET_AGAIN, Intake, Workers, sightings
from gateway.intake.journey import HELD, Numbers, Worked, settlement, work
from gateway.intake.resuming import Resuming

__all__ = [
    "HELD",
    "HOLD",
    "INLINE_BYTES",
    "MAX_MET",
    "MET_AGAIN",
    "Intake",
    "Numbers",
    "Resuming",
    "Worked",
    "Workers",
    "settlement",
    "sightings",
    "work",
]
