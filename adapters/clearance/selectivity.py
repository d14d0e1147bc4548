"""Selectivity: which of the operator's criteria a declaration meets, and the channel that follows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import chain

import msgspec

from adapters.clearance.conditions import Subject, holds
from adapters.clearance.criteria import SAMPLED, Criteria, Criterion, Sampling, Thresholds
from adapters.clearance.states import CONTROL, Channel
from gateway.model import Entity, MandatoryDocument


class Hit(msgspec.Struct, frozen=True):
    """A criterion met, at a pointer into the declaration; ``criterion`` None: drawn at random."""

    name: str
    pointer: str
    criterion: Criterion | None = None
    score: int = 0
    channel: Channel = Channel.NONE
    statement: str = ""
    statement_vi: str = ""


class Selection(msgspec.Struct, frozen=True):
    """A goods declaration's channel, why, and what the trader may be told of it."""

    channel: Channel
    hits: tuple[Hit, ...]
    documents: tuple[MandatoryDocument, ...] = ()
    statements: tuple[tuple[str, str], ...] = ()


def select(subject: Subject, registration: str, criteria: Criteria) -> Selection:
    """The channel of a goods declaration: the heaviest of direct channels, scores and the draw."""
    hits = list(hits_of(subject, criteria))
    score = sum(hit.score for hit in hits)
    channel = heaviest([hit.channel for hit in hits] + [_by_score(score, criteria.thresholds), Channel.GREEN])
    drawn = _draw(registration, criteria.sampling)
    if CONTROL[drawn] > CONTROL[channel]:
        sampling = criteria.sampling
        said = (sampling.statement, sampling.statement_vi)
        hits.append(Hit(SAMPLED, "Declaration", None, 0, drawn, *said))
        channel = drawn
    decisive = [hit for hit in hits if hit.score > 0 or hit.channel is not Channel.NONE]
    documents = dict.fromkeys(d for hit in decisive if hit.criterion for d in hit.criterion.documents)
    statements = dict.fromkeys((hit.statement, hit.statement_vi) for hit in decisive if hit.statement)
    told = () if channel is Channel.GREEN else tuple(statements)
    return Selection(channel, tuple(hits), tuple(documents), told)


def hits_of(subject: Subject, criteria: Criteria) -> Iterator[Hit]:
    """Every criterion that is met, at every place where it is."""
    asked = list(criteria.of(subject.declaration.kind))
    met: dict[str, list[Hit]] = {criterion.name: [] for criterion in asked}
    for each in dict.fromkeys(criterion.each for criterion in asked):  # a class is gone through once
        alike = [criterion for criterion in asked if criterion.each == each]
        for pointer, entity in _places(subject.declaration.root, each):
            for criterion in alike:
                if all(holds(condition, entity, subject) for condition in criterion.when):
                    met[criterion.name].append(_hit(criterion, pointer))
    return chain.from_iterable(met.values())


def _hit(criterion: Criterion, pointer: str) -> Hit:
    return Hit(
        criterion.name,
        pointer,
        criterion,
        criterion.score or 0,
        criterion.channel or Channel.NONE,
        criterion.statement,
        criterion.statement_vi,
    )


def heaviest(channels: Iterable[Channel]) -> Channel:
    """The channel with the most control."""
    return max(channels, key=CONTROL.__getitem__)


def _by_score(score: int, thresholds: Thresholds) -> Channel:
    if score >= thresholds.red:
        return Channel.RED
    return Channel.YELLOW if score >= thresholds.yellow else Channel.GREEN


def _draw(registration: str, sampling: Sampling) -> Channel:
    """The random draw: a keyed hash of the registration number, the same however often it is asked."""
    digest = hashlib.sha256(f"{sampling.salt}:{registration}".encode()).digest()
    percent = Decimal(int.from_bytes(digest[:4], "big") % 10_000) / 100
    if percent < sampling.red:
        return Channel.RED
    return Channel.YELLOW if percent < sampling.red + sampling.yellow else Channel.GREEN


def _places(root: Entity, each: str) -> Iterator[tuple[str, Entity]]:
    """(pointer, entity) of every occurrence of a class; the Declaration itself for ""."""
    found: Iterable[tuple[str, Entity]] = [("Declaration", root)]
    for name in each.split("/") if each else ():
        found = _below(found, name)
    yield from found


def _below(places: Iterable[tuple[str, Entity]], name: str) -> Iterator[tuple[str, Entity]]:
    for pointer, entity in places:
        for number, child in enumerate(entity.each(name), start=1):
            yield f"{pointer}/{name}" + (f"[{number}]" if number > 1 else ""), child
