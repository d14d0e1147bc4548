"""What others have to be told once a submission is settled, in whatever process that was."""

from __future__ import annotations

import msgspec

from gateway import inbound
from gateway.model import Answer, Finding, Place
from gateway.storage import Clash, Settlement

TRIES = 8
"""How often one submission is judged anew because a partner or mandate that it rests on just changed."""


class Settled(msgspec.Struct, frozen=True):
    """The answer; the chains of certificates that proved who signed (DER, the anchor last); how many of its
    messages were late."""

    answer: Answer
    chains: tuple[tuple[bytes, ...], ...] = ()
    late: int = 0


def settled(settlement: Settlement, answer: Answer) -> Settled:
    """Of a settlement that was answered."""
    verdict = settlement.verdict
    proofs = (verdict.proof, verdict.carrier_proof)
    chains = tuple(proof.certificates for proof in proofs if proof.certificates)
    return Settled(answer, chains, 0 if answer.repeated else inbound.count_late(verdict.messages))


def used(clash: Clash) -> Finding:
    """PAR007: what a submission is rejected for whose reference is another's."""
    return Finding("PAR007", Place(part="reference"), clash.reference, clash.submission)
