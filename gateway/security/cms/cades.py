"""CAdES (EN 319 122-1, TS 101 733): what the unsigned attributes of a signature prove by themselves.

Anybody may add or change an unsigned attribute.  So a time stamp counts by its authority's signature over
the message's signature, revocation values by their issuers' signatures, and nothing else counts at all: a
counter-signature says that somebody saw this one, which the gateway never takes for agreement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec
from cryptography.x509 import ObjectIdentifier

from gateway.model import Finding, Place, Proof, Revocation, Severity
from gateway.security.certificates.trust import Trust
from gateway.security.cms.archive import ARCHIVE_TIME_STAMP, Archived, archived
from gateway.security.cms.material import Material, material_of, values_by_type
from gateway.security.cms.signer_info import OneSigner
from gateway.security.cms.timestamps import Stamp, read_token, stated_by
from gateway.security.policy import LEVELS, Policy
from gateway.security.refused import Held, Refused, refusal
from gateway.security.stretch import Stretch

SIGNATURE_TIME_STAMP: Final = ObjectIdentifier("1.2.840.113549.1.9.16.2.14")
COUNTER_SIGNATURE: Final = ObjectIdentifier("1.2.840.113549.1.9.6")

MAX_UNSIGNED: Final = 32
"""Unsigned attributes of one signer: a signature archived every two years for decades has as many."""
MAX_STAMPS: Final = 8
"""Stamps that are verified for one signature; each costs a public-key operation or two."""


class Stamps(msgspec.Struct, frozen=True):
    """Verified stamps, over the signature value (earliest first) and over everything (archived, latest
    first), and what was claimed besides and not believed.

    ``sheltered``: the certificates, responses and stamps that each of the latter covers."""

    signature: tuple[Stamp, ...] = ()
    archive: tuple[Stamp, ...] = ()
    sheltered: tuple[frozenset[bytes], ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def at(self) -> datetime | None:
        """Since when the signature is proven to have been there; None: no stamp says."""
        return min((stamp.at for stamp in (*self.signature, *self.archive)), default=None)

    def added_to(self, proof: Proof) -> Proof:
        """The signer's proof with that of the stamps."""
        every = (*self.signature, *self.archive)
        if not every:
            return proof
        return msgspec.structs.replace(
            proof,
            responses=_once((*proof.responses, *(r for s in every for r in s.proof.responses))),
            stamps=tuple(stamp.token for stamp in every),
            stampers=_once(der for stamp in every for der in stamp.certificates),
        )


NO_STAMPS: Final = Stamps()
Unsigned = Mapping[ObjectIdentifier, tuple[bytes, ...]]
"""Unsigned attributes: the values of each type, in DER."""


def unsigned_of(one: OneSigner, policy: Policy) -> Unsigned:
    """The unsigned attributes by type, all their values.

    Raises ValueError where unreadable, Refused: SIG218 for too many, SIG217 for a counter-signature where the
    policy refuses them.
    """
    found = one.info.unsigned_attributes or []
    if len(found) > MAX_UNSIGNED:
        raise refusal("SIG218", f"<= {MAX_UNSIGNED}", str(len(found)), "unsignedAttrs")
    by_type = values_by_type(found)
    if COUNTER_SIGNATURE in by_type and policy.countersignatures == "refuse":
        raise refusal("SIG217", part="unsignedAttrs")
    return by_type


class _Judging:
    """The stamps of one signature, judged from the latest back: each must hold when a later one, which covers
    it, was made; else now."""

    def __init__(self, material: Material, trust: Trust, policy: Policy, now: datetime) -> None:
        self._material, self._trust, self._policy, self._now = material, trust, policy, now
        self._there_at: dict[bytes, datetime] = {}
        self.findings: list[Finding] = []

    def judge(self, token: bytes, imprinted: Callable[[], bytes]) -> Stamp | None:
        """The stamp; None where it is not believed."""
        moment = self._there_at.get(token, self._now)
        try:
            return read_token(token, imprinted(), self._trust, self._policy, moment, self._material)
        except Held:
            raise
        except Refused as refused:
            self.findings.append(_remark("SIG219", f"{refused.code} {refused.findings[0].found}".rstrip()))
            return None

    def judge_archive(
        self, token: bytes, cover: Callable[[bytes], Archived]
    ) -> tuple[Stamp, Archived] | None:
        """The same of an archive stamp; what it covers was there at its time."""
        below: list[Archived] = []

        def imprinted() -> bytes:
            below.append(cover(token))
            return below[0].octets

        stamp = self.judge(token, imprinted)
        if stamp is None:
            return None
        self._there_at |= dict.fromkeys(below[0].covered, stamp.at)
        return stamp, below[0]


def claimed_times(unsigned: Unsigned) -> tuple[datetime, ...]:
    """What the stamps state, true or not; the earliest time of all where one is unreadable.  Raises Refused
    (SIG218)."""
    tokens = (*unsigned.get(SIGNATURE_TIME_STAMP, ()), *unsigned.get(ARCHIVE_TIME_STAMP, ()))
    if len(tokens) > MAX_STAMPS:
        raise refusal("SIG218", f"<= {MAX_STAMPS}", str(len(tokens)), "unsignedAttrs")
    return tuple(map(_claimed, tokens))


def read_stamps(
    one: OneSigner,
    content: bytes | Stretch,
    unsigned: Unsigned,
    material: Material,
    trust: Trust,
    policy: Policy,
    now: datetime,
) -> Stamps:
    """Judge the stamps of a signature.

    They are unsigned, so anybody may have added or taken them: one that does not hold costs the signature its
    level and never its truth (EN 319 102-1, 5.5), and is told in a finding.  Raises Held.
    """
    judging = _Judging(material, trust, policy, now)

    def cover(token: bytes) -> Archived:
        return archived(token, one, content)

    archive = sorted(unsigned.get(ARCHIVE_TIME_STAMP, ()), key=_claimed, reverse=True)
    whole = list(filter(None, [judging.judge_archive(token, cover) for token in archive]))
    own = [
        judging.judge(token, lambda: one.info.signature) for token in unsigned.get(SIGNATURE_TIME_STAMP, ())
    ]
    return Stamps(
        tuple(sorted(filter(None, own), key=lambda stamp: stamp.at)),
        tuple(stamp for stamp, _ in whole),
        tuple(_sheltered(one, unsigned, below) for _, below in whole),
        tuple(judging.findings),
    )


def _sheltered(one: OneSigner, unsigned: Unsigned, below: Archived) -> frozenset[bytes]:
    kept = msgspec.structs.replace(one, certificates=below.certificates, crls=below.crls)
    there = {kind: tuple(v for v in values if v in below.covered) for kind, values in unsigned.items()}
    material = material_of(kept, there)
    return frozenset((*material.certificates, *material.responses, *below.covered))


def _claimed(token: bytes) -> datetime:
    """The time that a token states, true or not, to order them by."""
    try:
        return stated_by(token).at
    except Refused:
        return datetime.min.replace(tzinfo=UTC)


def check_signing_time(
    signed_at: datetime | None, stamps: Iterable[Stamp], policy: Policy, now: datetime
) -> None:
    """Raises Refused: SIG048 where the signer claims to sign in the future, SIG216 where after a stamp over
    the signature."""
    if signed_at is None:
        return
    latest = now + policy.clock_skew
    if signed_at > latest:
        raise refusal("SIG048", f"<= {latest.isoformat()}", signed_at.isoformat(), "signingTime")
    for stamp in stamps:
        latest = stamp.at + stamp.accuracy + policy.clock_skew
        if signed_at > latest:
            raise refusal("SIG216", f"<= {latest.isoformat()}", signed_at.isoformat(), "signingTime")


def level_of(
    named: bool, signed_at: datetime | None, stamps: Stamps, shown: Proof, material: Material
) -> tuple[str, tuple[Finding, ...]]:
    """The level that a signature has proven, not the one that its form claims, and what kept it lower.

    ``named``: the signer's certificate is named by a signed attribute; ``shown``: what the revocation values
    that came with the signature show by themselves.
    """
    if not named or signed_at is None:
        return "", ()
    if not stamps.signature:
        return "B", ()
    if not material.responses:
        return "T", ()
    if shown.revocation is not Revocation.GOOD:
        return "T", (_remark("SIG122", shown.revocation.value),)
    if not stamps.archive:
        return "LT", ()
    needed = needed_of(shown, material)
    tokens = [stamp.token for stamp in stamps.signature]
    if any(needed <= covered and not covered.isdisjoint(tokens) for covered in stamps.sheltered):
        return "LTA", ()
    return "LT", (_remark("SIG220"),)


def _remark(code: str, found: str = "") -> Finding:
    return Finding(code, Place(part="unsignedAttrs"), found=found, severity=Severity.WARNING)


def needed_of(shown: Proof, material: Material) -> frozenset[bytes]:
    """The certificates and responses without which nobody could judge the signature any more: what an archive
    stamp must cover.  An anchor is the judge's own."""
    brought = (der for der in shown.certificates[:-1] if der in material.certificates)
    return frozenset((*shown.responses, *brought))


def check_level(level: str, named: bool, findings: Iterable[Finding], policy: Policy) -> None:
    """Raises Refused where the policy asks for more: SIG210 (the certificate named), SIG212 (the level, with
    what kept it down)."""
    if policy.signing_certificate and not named:
        raise refusal("SIG210", "signing-certificate-v2", "", "signedAttrs")
    if LEVELS.index(level) < LEVELS.index(policy.level):
        low = refusal("SIG212", policy.level, level or "no level", "CAdES")
        raise Refused((*low.findings, *findings))


def _once(values: Iterable[bytes]) -> tuple[bytes, ...]:
    return tuple(dict.fromkeys(values))
