"""One security header group with its trailer: what it is, whose signature, over which octets, when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec
from msgspec.structs import replace

from gateway.model import Finding, Signer
from gateway.model import Proof as KeptProof
from gateway.model.secured import Level, NamedCertificate, SecurityGroup, Span, Structure, Survey, Values
from gateway.security.algorithms import PublicKey, admitted
from gateway.security.certificates.certificate import read_certificate
from gateway.security.certificates.signer_id import SignerId
from gateway.security.certificates.trust import Chain, Trust
from gateway.security.edifact.faults import fault
from gateway.security.edifact.filters import BASE64, FILTERS
from gateway.security.edifact.naming import X509, Certificates, Lookup
from gateway.security.edifact.octets import Content, binding
from gateway.security.edifact.profile import EdifactProfile
from gateway.security.edifact.signatures import algorithm_of, digest_of, fits, holds, value_of
from gateway.security.edifact.times import STAMP, moment
from gateway.security.policy import Policy
from gateway.security.refused import Held, Refused

INTEGRITY = "3"  # 0501
ORIGIN = frozenset({"1", "2"})  # non-repudiation of origin, and its authentication
OF_REFERENCED = frozenset({"7", "8", "9"})  # the same three for a structure that an AUTACK names
OF_RECEIPT = frozenset({"5", "6"})
MAX_FAILURES = 100  # signatures of one interchange that do not hold; beyond it none is tried
MAX_PAIRS = 8  # header groups of one structure that are looked at: a signer's, a carrier's, and some to spare
_SCOPES = frozenset({"1", "2"})
_UNOA = "UNOA"  # has no small letters


class Unproven(Exception):
    """A header group that proves nothing; ``findings`` say why."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__(", ".join(finding.code for finding in findings))
        self.findings = tuple(findings)


class Layer(msgspec.Struct, frozen=True):
    """A verified signature.  ``structure``: index of the structure that it is about; ``covered``: its octets and
    their ``digest``; ``around``: it covers, or is bound to, all headers before them; ``whole``: it covers all that
    stands inside, the signatures of others too."""

    signer: Signer
    proof: KeptProof
    structure: int
    group: SecurityGroup
    covered: tuple[Span, ...]
    digest: bytes
    around: bool
    whole: bool


class Holder(msgspec.Struct, frozen=True):
    """Whose key a header group names, and how it signs."""

    key: PublicKey
    signer: Signer
    proof: KeptProof
    scheme: str
    digest: str


class Groups:
    """The verification of one interchange's header groups, by one profile and policy at one time.

    ``lookup``: certificates that a USC may name, besides those that came in packages.
    """

    def __init__(
        self,
        content: Content,
        survey: Survey,
        profile: EdifactProfile,
        lookup: Lookup,
        trust: Trust,
        policy: Policy,
        now: datetime,
    ) -> None:
        self.content = content
        self.survey = survey
        self.profile = profile
        self._lookup = lookup
        self._carried = Certificates(survey.certificates)
        self._trust = trust
        self._policy = policy
        self._now = now
        self._failures = 0
        self._chains: dict[bytes, tuple[Chain, KeptProof] | Refused] = {}
        self._places: dict[tuple[Level, str, str], list[int]] = {}
        for index, structure in enumerate(survey.structures):
            name = (structure.level, self._group(structure), structure.reference)
            self._places.setdefault(name, []).append(index)

    def _group(self, structure: Structure) -> str:
        """The reference of the functional group that it is in, "" where it is in none."""
        outer = self.survey.structures[structure.inside] if structure.inside >= 0 else None
        return outer.reference if outer is not None and outer.level is Level.GROUP else ""

    def named(self, level: Level, group: str, reference: str) -> Sequence[int]:
        """The structures of a level in a functional group ("": in none) that have this reference."""
        return self._places.get((level, group, reference), ())

    def integrated(self, index: int, group: SecurityGroup) -> Layer | None:
        """The signature of a pair around a body; None where it is a digest alone, which holds but proves nobody.

        Raises Unproven; Held where the policy waits for what is not known yet.
        """
        if group.service == INTEGRITY and not group.certificates:
            _check([*self.common(group), *_scope(group)])
            self._check_digest(group)
            return None
        wrong = [*self.common(group), *_scope(group), *service(group, ORIGIN | {INTEGRITY})]
        return self.signature(index, group, wrong, group.covered, whole=group.scope == "2")

    def signature(
        self,
        index: int,
        group: SecurityGroup,
        wrong: Sequence[Finding],
        covered: tuple[Span, ...],
        *,
        whole: bool,
    ) -> Layer:
        """A header group's own signature, its trailer's USR, over octets of the structure."""
        structure = self.survey.structures[index]
        _check([*wrong, *self._bound(structure, group, covered)])
        holder = self.holder(group)
        digest = self.content.digest(covered, holder.digest)
        self.believe(group, holder, group.values, digest)
        around = bool(self._named(group))
        return Layer(holder.signer, holder.proof, index, group, covered, digest, around, whole)

    def believe(self, group: SecurityGroup, holder: Holder, values: Values, digest: bytes) -> None:
        """The values are the holder's signature on what has this digest.  Raises Unproven."""
        value = value_of(values, group.filter, holder.key)
        if value is None:
            raise Unproven([fault("SIG410", group.trailer, f"0505 = {group.filter}", _shape(values))])
        algorithm = algorithm_of(holder.scheme, holder.digest)
        if self._failures >= MAX_FAILURES or not holds(holder.key, algorithm, value, digest):
            self._failures += 1
            raise Unproven([fault("SIG417", group.trailer, holder.signer.subject, group.reference)])

    def holder(self, group: SecurityGroup) -> Holder:
        """Whose key it is: its certificate, found by its name, with the chain to an anchor.  Raises Unproven."""
        digest, wrong = self.profile.digest(group)
        found = [wrong] if wrong else []
        named = _certificate(group, found)
        scheme, wrong = self.profile.scheme(named.methods, group) if named else ("", None)
        _check([*found, *([wrong] if wrong else [])])
        der = self._find(named, group)
        try:
            return self._held_by(der, scheme, digest, group)
        except Held:
            raise
        except Refused as refused:
            at = [replace(f, place=replace(group.place, part=f.place.part)) for f in refused.findings]
            raise Unproven([fault("SIG437", group.place, found=group.reference), *at]) from None

    def _held_by(self, der: bytes, scheme: str, digest: str, group: SecurityGroup) -> Holder:
        """The chain of a certificate and what the policy says of its use.  Raises Refused, Unproven."""
        algorithm = algorithm_of(scheme, digest)
        profile = admitted(algorithm, (digest,), self._policy, self._now, "USA")
        chain, proof = self._chain(der)
        if not fits(chain.key, scheme):
            kind = type(chain.key).__name__.lstrip("_")
            raise Unproven([fault("SIG411", group.place, kind, algorithm.name)])
        at = moment(group.time) if group.time else None
        signer = replace(chain.signer, algorithm=algorithm.name, signed_at=at, profile=profile)
        return Holder(chain.key, signer, proof, scheme, digest)

    def _chain(self, der: bytes) -> tuple[Chain, KeptProof]:
        """The chain of a certificate, looked for once whether there is one or not.  Raises Refused, Held."""
        found = self._chains.get(der)
        if found is None:
            own = read_certificate(der)
            wanted = SignerId(issuer=own.issuer.public_bytes(), serial=own.serial_number)
            others = tuple(c for c in self.survey.certificates if c != der)
            try:
                found = self._trust.prove((der, *others), self._policy, self._now, wanted)
            except Held:
                raise
            except Refused as refused:
                found = refused
            self._chains[der] = found
        if isinstance(found, Refused):
            raise found
        return found

    def _find(self, named: NamedCertificate | None, group: SecurityGroup) -> bytes:
        if named is None:
            raise Unproven([fault("SIG414", group.place, "USC", "")])
        found = self._carried(named) or tuple(self._lookup(named))
        if len(found) != 1:
            code = "SIG416" if found else "SIG415"
            name = named.reference or named.party("3").key
            raise Unproven([fault(code, named.place, "1", name or "USC", element=1)])
        return found[0]

    # Checks that need no key.

    def common(self, group: SecurityGroup) -> Iterator[Finding]:
        """What every header group has: a count that is right, a filter, a time within the window."""
        if group.count.lstrip("0") != str(group.segments):
            yield fault("SIG406", group.trailer, str(group.segments), group.count, element=2)
        small = group.filter == BASE64 and self.survey.level == _UNOA
        if group.filter not in FILTERS or small:
            found = f"{group.filter} ({_UNOA})" if small else group.filter
            yield fault("SIG409", group.place, ", ".join(FILTERS), found, element=5)
        yield from self._time(group)

    def _time(self, group: SecurityGroup) -> Iterator[Finding]:
        time = group.time
        at = moment(time) if time is not None and time.qualifier == STAMP else None
        if time is None or at is None:
            found = "" if time is None else f"{time.qualifier}:{time.date}:{time.time}:{time.offset}"
            yield fault("SIG419", group.place, f"{STAMP}:CCYYMMDD:HHMMSS", found, element=10)
            return
        first, last = self._now - self.profile.window, self._now + self._policy.clock_skew
        if not first <= at <= last:
            window = f"{first:%Y-%m-%dT%H:%M:%SZ} .. {last:%Y-%m-%dT%H:%M:%SZ}"
            yield fault("SIG420", group.place, window, at.isoformat(), element=10)

    def _named(self, group: SecurityGroup) -> str:
        return next((v for m in group.methods if (v := m.parameter(self.profile.binding))), "")

    def _bound(
        self, structure: Structure, group: SecurityGroup, covered: Sequence[Span]
    ) -> Iterator[Finding]:
        """The signature is bound to the headers before it, which it does not cover."""
        named = self._named(group)
        if named:
            expected = binding(self.content, structure.around)
            if named.upper() != expected:
                yield fault("SIG422", group.place, expected, named)
        elif self.profile.bound:
            yield fault("SIG421", group.place, f"S503 0531 = {self.profile.binding}", group.reference)
        elif not self.survey.usual or not self.content.is_ascii(covered):
            yield fault("SIG427", group.place, found=group.reference)

    def admit(self, name: str, group: SecurityGroup) -> None:
        """A digest that stands alone is one that the policy takes.  Raises Unproven."""
        if name not in self._policy.digests:
            raise Unproven([fault("SIG413", group.place, ", ".join(sorted(self._policy.digests)), name)])

    def _check_digest(self, group: SecurityGroup) -> None:
        """A digest alone (service 3 without a certificate)."""
        name, wrong = self.profile.digest(group)
        if wrong:
            raise Unproven([wrong])
        found = digest_of(group.values, group.filter)
        if found is None:
            raise Unproven([fault("SIG410", group.trailer, f"0505 = {group.filter}", _shape(group.values))])
        self.admit(name, group)
        if found != self.content.digest(group.covered, name):
            raise Unproven([fault("SIG431", group.trailer, name, group.reference)])


def _check(wrong: Sequence[Finding]) -> None:
    if wrong:
        raise Unproven(wrong)


def _scope(group: SecurityGroup) -> Iterator[Finding]:
    if group.scope not in _SCOPES:
        yield fault("SIG408", group.place, ", ".join(sorted(_SCOPES)), group.scope, element=3)


def service(group: SecurityGroup, allowed: frozenset[str]) -> Iterator[Finding]:
    if group.service not in allowed:
        yield fault("SIG407", group.place, ", ".join(sorted(allowed)), group.service, element=1)


def _certificate(group: SecurityGroup, found: list[Finding]) -> NamedCertificate | None:
    """The one certificate of the signer; what is wrong with it is added to the findings."""
    if len(group.certificates) != 1:
        found.append(fault("SIG414", group.place, "1 USC", str(len(group.certificates))))
        return None
    named = group.certificates[0]
    if named.syntax != X509:
        found.append(fault("SIG414", named.place, f"0545 = {X509}", named.syntax, element=3))
    return named


def _shape(values: Values) -> str:
    return ", ".join(f"{name}: {len(text)} characters" for name, text in values)
