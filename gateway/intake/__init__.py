"""Intake: where the inbound journey meets the ledger.  Commit, then speak."""

from gateway.intake.abreast import MOST as ABREAST
from gateway.intake.abreast import Abreast
from gateway.intake.door import HOLD, INLINE_BYTES, MAX_MET, MET_AGAIN, Intake, Workers, sightings
from gateway.intake.effects import HELD, REVOCATION, settlement
from gateway.intake.journey import Worked, work
from gateway.intake.lane import LARGE, Lane, Settling
from gateway.intake.large import Large
from gateway.intake.numbers import OUTGOING, Numbers
from gateway.intake.resuming import Resuming
from gateway.intake.settled import Settled

__all__ = [
    "ABREAST",
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
    "Lane",
    "Large",
    "Numbers",
    "Resuming",
    "Settled",
    "Settling",
    "Worked",
    "Workers",
    "settlement",
    "sightings",
    "work",
]
