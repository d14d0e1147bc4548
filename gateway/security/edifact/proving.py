"""Who signed the messages of an interchange by EDIFACT's own means, and which of them nobody did.

A message's signatures are layers: its own groups from the innermost outwards, AUTACKs that name it, groups around
its functional group and the interchange.  The innermost is its principal's; what lies around it may be one other's,
who carried it, and has to cover it whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from gateway.model import Finding, Signer
from gateway.model.secured import (
    Level,
    Received,
    SecuredReference,
    SecurityGroup,
    Structure,
    Survey,
)
from gateway.security.certificates.trust import Trust
from gateway.security.edifact.autack import Reading
from gateway.security.edifact.faults import MAX_TOLD, each_once, error_code, fault
from gateway.security.edifact.groups import MAX_PAIRS, Groups, Layer, Unproven
from gateway.security.edifact.naming import Lookup
from gateway.security.edifact.octets import Content
from gateway.security.edifact.profile import EdifactProfile
from gateway.security.policy import Policy
from gateway.security.refused import Refused
from gateway.security.verified import EDIFACT, EDIFACT_SECURITY, SEAL, UNPROVEN, Verified

_AUTACK = "AUTACK"
_ASKED = "2"  # 0503: an acknowledgement is asked for
_SYNTAX = "4"


class EdifactProof(msgspec.Struct, frozen=True):
    """What an interchange's own security proves.

    ``signer``: the innermost layer of all messages that are proven, ``carrier`` the one around it.  ``refused``:
    findings of messages by ordinal.  ``proven``: offsets of UNH and UNT of those that are proven, by ordinal.
    ``references``: ordinals of AUTACKs that hold.  ``claim``: what stands for the interchange where nothing
    signed names it.  ``received``: what an acknowledgement is asked for.
    """

    refused: Mapping[int, tuple[Finding, ...]]
    proven: Mapping[int, tuple[int, int]]
    signer: Layer | None = None
    carrier: Layer | None = None
    references: frozenset[int] = frozenset()
    claim: str = ""
    received: tuple[Received, ...] = ()


def prove_edifact(
    content: bytes,
    survey: Survey,
    profile: EdifactProfile,
    lookup: Lookup,
    trust: Trust,
    policy: Policy,
    now: datetime,
    outer: Signer | None = None,
) -> EdifactProof:
    """Judge all security of an interchange.

    ``content``: its octets as transmitted; ``survey``: of these very octets.  ``outer``: who signed the whole
    around it (CMS), if anybody.  A message without a proof is refused by its findings; Held is raised where
    the policy waits for what is not known of a certificate.
    """
    groups = Groups(Content(content), survey, profile, lookup, trust, policy, now)
    return _Judgement(groups, outer).proof()


def attest(content: bytes, proof: EdifactProof, outer: Verified | None = None) -> Verified:
    """What was proven, as a Verified.

    ``outer``: of the CMS envelope around it; then who signed that carries it, and is the signer himself where
    no message is proven inside.  Raises Refused where nobody is proven.
    """
    signer = proof.signer
    if signer is None:
        if outer is not None:
            return outer
        raise Refused(each_once(proof.refused.values()) or (Finding("SIG423"),))
    around: Layer | Verified | None = proof.carrier
    if outer is not None:
        around = None if outer.signer.fingerprint == signer.signer.fingerprint else outer
    return Verified(
        content=content,
        media_type=EDIFACT,
        document=None,
        signer=signer.signer,
        envelope=EDIFACT_SECURITY if outer is None else outer.envelope,
        proof=signer.proof,
        carrier=None if around is None else around.signer,
        carrier_proof=UNPROVEN if around is None else around.proof,
        findings=() if outer is None else outer.findings,
        seal=SEAL,
    )


class _Around(NamedTuple):
    """Signatures around messages, from the inside, and what is wrong there."""

    layers: tuple[Layer, ...]
    wrong: tuple[Finding, ...]


class _Judgement:
    """One interchange's layers, message by message."""

    def __init__(self, groups: Groups, outer: Signer | None) -> None:
        self._groups = groups
        self._survey = groups.survey
        self._outer = outer
        self._layers: dict[int, list[Layer]] = {}
        self._wrong: dict[int, list[Finding]] = {}
        self._around: dict[int, _Around] = {-1: _Around((), ())}
        self._refused: dict[int, tuple[Finding, ...]] = {}
        self._principals: dict[int, Layer] = {}
        self._carriers: dict[int, Layer | None] = {}

    def proof(self) -> EdifactProof:
        survey = self._survey
        if survey.version != _SYNTAX:
            place = survey.structures[0].place if survey.structures else None
            wrong = (fault("SIG401", place, _SYNTAX, survey.version),) if place else ()
            return EdifactProof({s.ordinal: wrong for s in self._messages(autacks=True)}, {})
        autacks = self._autacks()
        for index, structure in enumerate(survey.structures):
            if index not in autacks:
                self._integrated(index, structure)
        for reading in autacks.values():
            self._referred(reading)
        for index, structure in enumerate(survey.structures):
            if structure.level is Level.MESSAGE and index not in autacks:
                self._message(index, structure)
        self._unite()
        return self._proof(autacks)

    def _messages(self, autacks: bool) -> Iterator[Structure]:
        for structure in self._survey.structures:
            if structure.level is Level.MESSAGE and (autacks or structure.autack is None):
                yield structure

    def _autacks(self) -> dict[int, Reading]:
        structures = enumerate(self._survey.structures)
        return {n: Reading(self._groups, n) for n, s in structures if s.autack is not None}

    def _integrated(self, index: int, structure: Structure) -> None:
        self._wrong[index] = list(structure.findings)
        layers = self._layers[index] = []
        if len(structure.groups) > MAX_PAIRS:
            found = str(len(structure.groups))
            self._wrong[index].append(fault("SIG436", structure.place, str(MAX_PAIRS), found))
            return
        for group in reversed(structure.groups):
            try:
                layer = self._groups.integrated(index, group)
            except Unproven as unproven:
                self._wrong[index] += unproven.findings
            else:
                layers += [layer] if layer is not None else []

    def _referred(self, reading: Reading) -> None:
        for target, layer in reading.layers.items():
            self._layers.setdefault(target, []).append(layer)
        for target, wrong in reading.denied.items():
            self._wrong.setdefault(target, []).extend(wrong)
        ordinal = self._survey.structures[reading.index].ordinal
        told = each_once((reading.wrong, *reading.denied.values()), MAX_TOLD)
        if told:
            self._refused[ordinal] = told

    def _message(self, index: int, structure: Structure) -> None:
        """One message: its layers from the inside, and what is wrong with any of them."""
        outer = self._outside(structure.inside)
        layers = [*self._layers.get(index, ()), *outer.layers]
        wrong = list(self._wrong.get(index, ()))
        if not layers and not wrong and not outer.wrong:
            wrong.append(fault("SIG423", structure.place, "USH, AUTACK", structure.reference))
        wrong += _unlike(layers, structure, self._outer)
        if wrong or outer.wrong:
            self._refused[structure.ordinal] = _first(wrong, outer.wrong)
            return
        principal = layers[0].signer.fingerprint
        self._principals[index] = layers[0]
        others = (layer for layer in layers if layer.signer.fingerprint != principal)
        self._carriers[index] = next(others, None)

    def _outside(self, at: int) -> _Around:
        """What is proven, and what is wrong, of a structure and those that it is in: told once for all inside."""
        found = self._around.get(at)
        if found is None:
            outer = self._outside(self._survey.structures[at].inside)
            layers = (*self._layers.get(at, ()), *outer.layers)
            found = self._around[at] = _Around(layers, _first(self._wrong.get(at, ()), outer.wrong))
        return found

    def _unite(self) -> None:
        """One principal and one carrier for the interchange, nothing signed once and sent twice, and one
        message alone where its references are not signed."""
        seen: set[bytes] = set()
        first: tuple[str, str] | None = None
        loose = any(not layer.around for layer in self._principals.values())
        several = sum(1 for _ in self._messages(autacks=False)) > 1
        for index, layer in list(self._principals.items()):
            structure = self._survey.structures[index]
            carrier = self._carriers[index]
            who = (layer.signer.fingerprint, carrier.signer.fingerprint if carrier else "")
            first = first or who
            twice = layer.structure == index and layer.digest in seen
            seen.add(layer.digest)
            if who != first:
                self._deny(index, fault("SIG424", structure.place, first[0], who[0]))
            elif twice:
                self._deny(index, fault("SIG426", structure.place, found=layer.group.reference))
            elif loose and several:
                self._deny(index, fault("SIG427", structure.place, found=layer.group.reference))

    def _deny(self, index: int, finding: Finding) -> None:
        del self._principals[index]
        self._refused[self._survey.structures[index].ordinal] = (finding,)

    def _proof(self, autacks: Mapping[int, Reading]) -> EdifactProof:
        structures = self._survey.structures
        proven = {
            structures[n].ordinal: (structures[n].span.start, structures[n].last) for n in self._principals
        }
        first = next(iter(self._principals), None)
        signer = None if first is None else self._principals[first]
        good = (n for n, r in autacks.items() if structures[n].ordinal not in self._refused and r.own)
        return EdifactProof(
            refused=self._refused,
            proven=proven,
            signer=signer,
            carrier=None if first is None else self._carriers[first],
            references=frozenset(structures[n].ordinal for n in good),
            claim="" if signer is None or signer.around else f"USH:{signer.digest.hex()}",
            received=tuple(self._received(autacks)),
        )

    # Acknowledgements.

    def _received(self, autacks: Mapping[int, Reading]) -> Iterator[Received]:
        """The messages, groups ... whose signers ask for an acknowledgement, with what became of them."""
        asked: set[int] = set()
        for index, structure in enumerate(self._survey.structures):
            if _asks(structure.groups):
                reading = autacks.get(index)
                asked |= {index} if reading is None else {*reading.layers, *reading.denied}
        for index in sorted(asked):
            structure = self._survey.structures[index]
            wrong = (
                self._refused.get(structure.ordinal, ()) if structure.ordinal else self._wrong.get(index, ())
            )
            digest = self._groups.content.digest((structure.span,), "sha256")
            error = error_code(next(iter(wrong))) if wrong else ""
            yield Received(self._reference(structure), digest, error)

    def _reference(self, structure: Structure) -> SecuredReference:
        outer = self._survey.structures[max(structure.inside, 0)]
        own = structure.level is Level.GROUP
        group = structure if own else outer if outer.level is Level.GROUP else None
        return SecuredReference(
            interchange=self._survey.structures[0].reference,
            sender=self._survey.sender,
            recipient=self._survey.recipient,
            group=group.reference if group is not None else "",
            message=structure.reference if structure.level is Level.MESSAGE else "",
            identifier=structure.identifier,
            package=structure.reference if structure.level is Level.PACKAGE else "",
        )


def _first(own: Sequence[Finding], outer: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """As many as one message is told, its own first; those around it are shared where it has none."""
    return (*own, *outer)[:MAX_TOLD] if own else outer


def _asks(groups: Iterable[SecurityGroup]) -> bool:
    return any(group.response == _ASKED for group in groups)


def _unlike(layers: list[Layer], structure: Structure, outer: Signer | None) -> Iterator[Finding]:
    """Signatures of more than two, or of another beside the principal's that does not cover it."""
    if not layers:
        return
    principal = layers[0].signer.fingerprint
    others = [layer for layer in layers if layer.signer.fingerprint != principal]
    for layer in others:
        if not layer.whole and layer.structure == layers[0].structure:
            yield fault("SIG425", layer.group.place, layers[0].signer.subject, layer.signer.subject)
    carriers = {layer.signer.fingerprint for layer in others}
    if outer is not None and outer.fingerprint != principal:
        carriers.add(outer.fingerprint)
    if len(carriers) > 1:
        yield fault("SIG436", structure.place, "2", str(len(carriers) + 1))
