"""Intake: where the inbound journey meets the ledger.  Commit, then speak."""

from gateway.intake.abreast import Abreast
from gateway.intake.door import HOLD, INLINE_BYTES, MAX_MET, MET_AGAIN, Intake, Workers, sightings
from gateway.intake.journey import HELD, OUTGOING, REVOCATION, Numbers, Worked, settlement, work
from gateway.intake.large import LARGE, Large
from gateway.intake.resuming import Resuming

__all__ = [
    "HELD",
    "HOLD",
    "INLINE_BYTES",
    "LARGE",
    "MAX_MET",
    "MET_AGAIN",
    "OUTGOING",
    "REVOCATION",
    "Abreast",
    "Intake",
    "Large",
    "Numbers",
    "Resuming",
    "Worked",
    "Workers",
    "settlement",
    "sightings",
    "work",
]
