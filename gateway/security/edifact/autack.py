"""AUTACK (ISO 9735-6): structures secured by reference.

The AUTACK itself is always signed, in its own trailer: otherwise its references and its time would be nobody's.
What it says of a structure is either the structure's digest or, beside that, its signature.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gateway.model import Finding
from gateway.model.secured import Level as Applied
from gateway.model.secured import (
    LinkedResult,
    SecuredReference,
    SecurityGroup,
    Span,
    Structure,
)
from gateway.security.edifact.faults import MAX_TOLD, fault
from gateway.security.edifact.groups import (
    MAX_PAIRS,
    OF_RECEIPT,
    OF_REFERENCED,
    ORIGIN,
    Groups,
    Layer,
    Unproven,
    service,
)
from gateway.security.edifact.signatures import digest_of

_INTEGRATED = ORIGIN | {"3"}
_WHOLE = "3"  # 0541: the whole structure that is referred to


class Reading:
    """One AUTACK: ``own``: its signature, None where ``wrong`` says why there is none.  ``layers``: what it
    proves of structures, by their index; ``denied``: what is wrong with them, by theirs."""

    def __init__(self, groups: Groups, index: int) -> None:
        self.index = index
        self.own: Layer | None = None
        self.wrong: list[Finding] = []
        self.layers: dict[int, Layer] = {}
        self.denied: dict[int, list[Finding]] = {}
        self._groups = groups
        self._structure = groups.survey.structures[index]
        self._services = {g.reference: g for g in self._structure.groups}
        try:
            self.own = self._signature()
            self._refer(self.own)
        except Unproven as unproven:
            self.wrong += unproven.findings

    def _signature(self) -> Layer:
        """The AUTACK's own signature: that of its one header group whose trailer has a result."""
        structure = self._structure
        if structure.findings:
            raise Unproven(structure.findings)
        signed = [group for group in structure.groups if group.values]
        if len(structure.groups) > MAX_PAIRS:
            raise Unproven([fault("SIG436", structure.place, str(MAX_PAIRS), str(len(structure.groups)))])
        if len(signed) != 1:
            raise Unproven([fault("SIG430", structure.place, "1 USR", str(len(signed)))])
        (group,) = signed
        wrong = [*self._groups.common(group), *service(group, _INTEGRATED | OF_REFERENCED | OF_RECEIPT)]
        covered = self._covered(group)
        if not covered:
            wrong.append(fault("SIG408", group.place, "1, 2", group.scope, element=3))
        for other in structure.groups:
            wrong += self._groups.common(other) if other is not group else ()
            if not any(_within(other.heading, span) for span in covered):
                wrong.append(fault("SIG434", other.place, group.reference, other.reference, element=2))
        return self._groups.signature(self.index, group, wrong, covered, whole=True)

    def _covered(self, group: SecurityGroup) -> tuple[Span, ...]:
        """Scope 3 is about the structures referred to; of the AUTACK itself it is this header and the body."""
        if group.scope != _WHOLE or group.service not in OF_REFERENCED | OF_RECEIPT:
            return group.covered
        body = self._structure.body
        if group.heading.end == body.start:
            return (Span(group.heading.start, body.end),)
        return (group.heading, body)

    @property
    def acknowledges(self) -> bool:
        """True for one that says what was received."""
        return any(group.service in OF_RECEIPT for group in self._structure.groups)

    # What it refers to.

    def _refer(self, own: Layer) -> None:
        autack = self._structure.autack
        if autack is None or not autack.references:
            raise Unproven([fault("SIG428", self._structure.place, "USX")])
        if self.acknowledges:
            return  # of what we sent; nothing in this interchange rests on it
        for named in autack.references:
            target, wrong = self._target(named)
            if target is None:
                self.wrong += wrong[: MAX_TOLD - len(self.wrong)]
                continue
            if target in self.layers or target in self.denied:
                wrong.append(fault("SIG428", named.place, "1", named.message or named.group, element=7))
            else:
                wrong += self._results(named, target, own)
            if wrong:
                denied = self.denied.setdefault(target, [])
                denied += wrong[: MAX_TOLD - len(denied)]
            else:
                self.layers[target] = self._layer(target, own)

    def _layer(self, target: int, own: Layer) -> Layer:
        span = (self._groups.survey.structures[target].span,)
        digest = self._groups.content.digest(span, "sha256")
        return Layer(own.signer, own.proof, target, own.group, span, digest, own.around, True)

    def _target(self, named: SecuredReference) -> tuple[int | None, list[Finding]]:
        """The one structure of this interchange that USX names, and what USX says of it that is not so."""
        structures = self._groups.survey.structures
        level, group, reference = _named(named)
        alike = self._groups.named(level, group, reference)
        found = [n for n in alike[:2] if n != self.index] if len(alike) <= 2 else []
        if level is Applied.INTERCHANGE or named.interchange != structures[0].reference or len(found) != 1:
            wanted = f"{structures[0].reference} / {level.value}"
            said = f"{named.interchange} / {reference}"
            return None, [fault("SIG428", named.place, wanted, said, element=1)]
        return found[0], list(self._differences(named, structures[found[0]]))

    def _differences(self, named: SecuredReference, structure: Structure) -> Iterator[Finding]:
        survey = self._groups.survey
        said = (
            (2, named.sender, survey.sender),
            (3, named.recipient, survey.recipient),
            (8, named.identifier, structure.identifier),
        )
        for element, one, other in said:
            if one and one != other:
                yield fault("SIG429", named.place, ":".join(other), ":".join(one), element=element)
        # What the AUTACK is bound to are the headers around itself: a group's is, where it stands in the group.
        own = self.own
        if (
            own is not None
            and own.around
            and structure.around[:-1] != self._structure.around[: len(structure.around) - 1]
        ):
            yield fault("SIG439", named.place, "UNG", named.group, element=4)
        if structure.last < 0:
            yield fault("SIG403", structure.place, "a trailer", structure.reference)

    def _results(self, named: SecuredReference, target: int, own: Layer) -> Iterator[Finding]:
        if not named.results:
            yield fault("SIG432", named.place, "USY")
        if len(named.results) > MAX_PAIRS:
            yield fault("SIG436", named.place, str(MAX_PAIRS), str(len(named.results)))
            return
        for result in named.results:
            try:
                self._check(result, target, own)
            except Unproven as unproven:
                yield from unproven.findings

    def _check(self, result: LinkedResult, target: int, own: Layer) -> None:
        """USY: the digest of the structure, or a signature on it, as its header group says.  Raises Unproven."""
        group = self._services.get(result.reference)
        if group is None or group.service not in OF_REFERENCED or result.error:
            raise Unproven([fault("SIG432", result.place, "USH 0501 = 7, 8, 9", result.reference, element=1)])
        span = (self._groups.survey.structures[target].span,)
        name, wrong = self._groups.profile.digest(group)
        if wrong is not None:
            raise Unproven([wrong])
        digest = self._groups.content.digest(span, name)
        if group.certificates and not group.values:
            holder = self._groups.holder(group)
            if holder.signer.fingerprint != own.signer.fingerprint:
                raise Unproven([fault("SIG424", group.place, own.signer.subject, holder.signer.subject)])
            self._groups.believe(group, holder, result.values, digest)
            return
        self._groups.admit(name, group)
        found = digest_of(result.values, group.filter)
        if found is None:
            raise Unproven([fault("SIG410", result.place, f"0505 = {group.filter}", element=2)])
        if found != digest:
            raise Unproven([fault("SIG431", result.place, name, result.reference, element=2)])


def _named(named: SecuredReference) -> tuple[Applied, str, str]:
    """Its level, the functional group that it is in, and its own reference."""
    if named.message:
        return Applied.MESSAGE, named.group, named.message
    if named.package:
        return Applied.PACKAGE, named.group, named.package
    if named.group:
        return Applied.GROUP, "", named.group
    return Applied.INTERCHANGE, "", named.interchange


def _within(inner: Span, outer: Span) -> bool:
    return outer.start <= inner.start and inner.end <= outer.end


def read_all(groups: Groups, indexes: Sequence[int]) -> list[Reading]:
    """The AUTACK messages of an interchange."""
    return [Reading(groups, index) for index in indexes]
