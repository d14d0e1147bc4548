"""Who sent a submission: who filed it, who signed it, and whether the filer signed around that."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import msgspec

from gateway import routing, security
from gateway.model import Finding, Partner, Place, Register, Signer, Submission, Use

TAX_CODE = "MST"


class Senders(msgspec.Struct, frozen=True):
    """``carried``: the filer signed around what the signer had signed."""

    filer: Partner
    signer: Partner
    carried: bool = False


def senders(
    submission: Submission, verified: security.Verified, register: Register, now: datetime
) -> Senders:
    """Filer and signer, each proven, and their signatures as agreed with them.

    Raises security.Refused: PAR001 to PAR109 where somebody is not proven or nothing such was agreed, PAR112
    where another than the filer signed around, PAR113 where the filer was suspended since it was let in.
    """
    filer = register.partners[submission.partner]
    if not filer.active:
        raise security.Refused((Finding("PAR113", Place(part="partner"), "", filer.id),))
    signer = proven(verified.signer, register, now)
    findings = routing.identity.channel(filer, submission)
    findings += routing.identity.algorithm(signer, verified.signer, now)
    findings += routing.identity.terms(signer, verified.signer, verified.envelope)
    carried = False
    if verified.carrier is not None:
        carrier = proven(verified.carrier, register, now)
        carried = carrier.id == filer.id
        if not carried:
            findings += (Finding("PAR112", Place(part="signature"), filer.id, carrier.id),)
        findings += routing.identity.algorithm(carrier, verified.carrier, now)
        findings += routing.identity.terms(carrier, verified.carrier, verified.envelope)
    if findings:
        raise security.Refused(findings)
    return Senders(filer, signer, carried)


def proven(signer: Signer, register: Register, now: datetime) -> Partner:
    """The partner that a signer's certificate proves.  Raises security.Refused, saying what was expected."""
    found = register.by_signer(signer, now, tax_codes(signer))
    if found is None:
        why = routing.identity.unproven(
            register, Use.SIGN, signer.subject, signer.fingerprint, now, tax_codes(signer)
        )
        raise security.Refused((why,))
    return found


def tax_codes(signer: Signer) -> Iterator[str]:
    """Those in the subject, where a public authority certified it: another writes what it likes.

    Read only where nothing else is known: a subject has its price.
    """
    if signer.public:
        yield from (i.value for i in security.identifiers_of(signer.subject) if i.kind == TAX_CODE)
