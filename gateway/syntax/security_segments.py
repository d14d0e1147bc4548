"""What security segments say (ISO 9735-5, -6, -10), as plain values; and those values as segments again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace

from gateway.model.edifact import Segment
from gateway.model.finding import Place
from gateway.model.secured import (
    Autack,
    LinkedResult,
    Method,
    NamedCertificate,
    SecuredReference,
    SecurityGroup,
    SecurityParty,
    SecurityTime,
    Values,
)
from gateway.syntax.drafts import composite

Components = tuple[str, ...]

_NAMES = 3  # 0586 in S500


# Segments to values.


def read_header(segment: Segment, place: Place) -> SecurityGroup:
    """USH: the header group as far as its first segment goes."""
    return SecurityGroup(
        service=segment.get(1),
        reference=segment.get(2),
        scope=segment.get(3),
        response=segment.get(4),
        filter=segment.get(5),
        charset=segment.get(6),
        role=segment.get(7),
        parties=tuple(map(_party, occurrences(segment, 8))),
        sequence=segment.get(9),
        time=_time(composite(segment, 10)),
        place=place,
    )


def read_method(segment: Segment, place: Place) -> Method:
    """USA."""
    return Method(
        use=segment.get(1, 1),
        mode=segment.get(1, 2),
        mode_list=segment.get(1, 3),
        algorithm=segment.get(1, 4),
        algorithm_list=segment.get(1, 5),
        padding=segment.get(1, 6),
        padding_list=segment.get(1, 7),
        parameters=_pairs(segment, 2),
        place=place,
    )


def read_certificate(segment: Segment, place: Place) -> NamedCertificate:
    """USC."""
    parties = tuple(map(_party, occurrences(segment, 2)))
    return NamedCertificate(segment.get(1), parties, segment.get(3), place=place)


def read_values(segment: Segment, element: int = 1) -> Values:
    """S508 of USR, or of USY (element 2)."""
    return _pairs(segment, element)


def read_autack(segments: Iterable[tuple[Segment, Place]]) -> Autack:
    """USB, USX and USY of an AUTACK's body; whatever else is there is passed over, for its structure is
    judged elsewhere."""
    response, time = "", None
    sender: Components = ()
    recipient: Components = ()
    references: list[SecuredReference] = []
    results: list[list[LinkedResult]] = []
    for segment, place in segments:
        if segment.tag == "USB":
            response, time = segment.get(1), _time(composite(segment, 2))
            sender, recipient = composite(segment, 3), composite(segment, 4)
        elif segment.tag == "USX":
            references.append(_reference(segment, place))
            results.append([])
        elif segment.tag == "USY" and results:
            linked = LinkedResult(segment.get(1), read_values(segment, 2), segment.get(3), place)
            results[-1].append(linked)
    whole = tuple(
        replace(reference, results=tuple(found)) for reference, found in zip(references, results, strict=True)
    )
    return Autack(response, time, sender, recipient, whole)


def occurrences(segment: Segment, element: int) -> tuple[Components, ...]:
    """An element and its repeats, empty ones left out."""
    more = dict(segment.repeats).get(element, ())
    return tuple(o for o in (composite(segment, element), *more) if any(o))


def _reference(segment: Segment, place: Place) -> SecuredReference:
    return SecuredReference(
        interchange=segment.get(1),
        sender=composite(segment, 2),
        recipient=composite(segment, 3),
        group=segment.get(4),
        group_sender=composite(segment, 5),
        group_recipient=composite(segment, 6),
        message=segment.get(7),
        identifier=composite(segment, 8),
        package=segment.get(9),
        time=_time(composite(segment, 10)),
        place=place,
    )


def _party(components: Components) -> SecurityParty:
    qualifier, key, id_, list_, agency = _filled(components, 5)
    return SecurityParty(qualifier, key, id_, list_, agency, components[5 : 5 + _NAMES])


def _time(components: Components) -> SecurityTime | None:
    if not components:
        return None
    qualifier, date, time, offset = _filled(components, 4)
    return SecurityTime(qualifier, date, time, offset)


def _pairs(segment: Segment, element: int) -> Values:
    """Occurrences of a composite of a qualifier and a value."""
    pairs = (_filled(found, 2) for found in occurrences(segment, element))
    return tuple((qualifier, value) for qualifier, value in pairs)


def _filled(components: Components, size: int) -> Components:
    return (*components, *[""] * size)[:size]


# Values to segments.


def header_segments(group: SecurityGroup) -> Iterator[Segment]:
    """USH, USA, and each USC with its USA."""
    coded = (group.service, group.reference, group.scope, group.response, group.filter, group.charset)
    parties = tuple(map(_s500, group.parties))
    rest = (_first(parties), (group.sequence,), _s501(group.time))
    yield Segment("USH", (*((c,) for c in coded), (group.role,), *rest), repeats=_more(8, parties))
    yield from map(_usa, group.methods)
    for certificate in group.certificates:
        parties = tuple(map(_s500, certificate.parties))
        usc = ((certificate.reference,), _first(parties), (certificate.syntax,))
        yield Segment("USC", usc, repeats=_more(2, parties))
        yield from map(_usa, certificate.methods)


def trailer_segments(group: SecurityGroup) -> Iterator[Segment]:
    """UST, and USR where there is a result."""
    yield Segment("UST", ((group.reference,), (group.count,)))
    if group.values:
        yield Segment("USR", group.values[:1], repeats=_more(1, group.values))


def autack_segments(autack: Autack) -> Iterator[Segment]:
    """USB, and each USX with its USY."""
    yield Segment("USB", ((autack.response,), _s501(autack.time), autack.sender, autack.recipient))
    for named in autack.references:
        yield Segment(
            "USX",
            (
                (named.interchange,),
                named.sender,
                named.recipient,
                (named.group,),
                named.group_sender,
                named.group_recipient,
                (named.message,),
                named.identifier,
                (named.package,),
                _s501(named.time),
            ),
        )
        for result in named.results:
            usy = ((result.reference,), _first(result.values), (result.error,))
            yield Segment("USY", usy, repeats=_more(2, result.values))


def _usa(method: Method) -> Segment:
    named = (method.mode, method.mode_list, method.algorithm, method.algorithm_list)
    s502 = (method.use, *named, method.padding, method.padding_list)
    return Segment("USA", (s502, *method.parameters[:1]), repeats=_more(2, method.parameters))


def _s500(party: SecurityParty) -> Components:
    return (party.qualifier, party.key, party.id, party.list, party.agency, *party.names)


def _s501(time: SecurityTime | None) -> Components:
    return () if time is None else (time.qualifier, time.date, time.time, time.offset)


def _first(occurrences: Sequence[Components]) -> Components:
    return occurrences[0] if occurrences else ()


def _more(
    position: int, occurrences: tuple[Components, ...]
) -> tuple[tuple[int, tuple[Components, ...]], ...]:
    return ((position, occurrences[1:]),) if len(occurrences) > 1 else ()
