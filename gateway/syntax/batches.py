"""Messages for several recipients made into interchanges, and what is written judged before it is sent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from gateway.model.edifact import Agreement
from gateway.model.finding import Finding
from gateway.syntax.directories import Directories
from gateway.syntax.events import Detail, Found
from gateway.syntax.limits import EdifactLimits
from gateway.syntax.outgoing import Components, OutGroup, OutInterchange, OutMessage, References
from gateway.syntax.reader import stream

_PARTY = 2  # components of S006 and S007: identification and its qualifier

# What we write is bounded by who writes it; the bounds of reading are for what others send.
_UNBOUNDED = 1 << 60
_OWN = EdifactLimits(
    interchange=_UNBOUNDED, segments=_UNBOUNDED, messages=_UNBOUNDED, groups=_UNBOUNDED, package=_UNBOUNDED
)
_PACKAGES = Agreement(packages=True)


def batched(
    messages: Iterable[tuple[Components, OutMessage]],
    like: OutInterchange,
    references: References,
    *,
    grouped: bool = False,
) -> tuple[OutInterchange, ...]:
    """One interchange for each recipient, in the order of their first message.

    ``messages``: each with its recipient (S003).  ``like``: what all interchanges have in common; its
    parts, recipient and reference are not looked at.  ``grouped``: within an interchange, a functional
    group for each type and version of message.  0020 and 0048 come from ``references``; messages are
    numbered from 1 (0062) within what they stand in.
    """
    by_recipient: dict[Components, list[OutMessage]] = {}
    for recipient, message in messages:
        by_recipient.setdefault(recipient, []).append(message)
    made = []
    for recipient, batch in by_recipient.items():
        whole = replace(like, recipient=recipient, reference=references.take()[0])
        parts = _groups(batch, whole, references) if grouped else _numbered(batch)
        made.append(replace(whole, parts=parts))
    return tuple(made)


def _groups(
    messages: Sequence[OutMessage], whole: OutInterchange, references: References
) -> tuple[OutGroup, ...]:
    by_kind: dict[Components, list[OutMessage]] = {}
    for message in messages:
        kind = (message.type, message.version, message.release, message.agency, message.association)
        by_kind.setdefault(kind, []).append(message)
    taken = references.take(len(by_kind))
    return tuple(
        OutGroup(
            reference,
            whole.sender[:_PARTY],
            whole.recipient[:_PARTY],
            _numbered(batch),
            type=kind[0],
            agency=kind[3],
            version=(kind[1], kind[2], kind[4]),
        )
        for reference, (kind, batch) in zip(taken, by_kind.items(), strict=True)
    )


def _numbered(messages: Sequence[OutMessage]) -> tuple[OutMessage, ...]:
    return tuple(replace(m, reference=str(number)) for number, m in enumerate(messages, start=1))


def proofread(pieces: Iterable[bytes], directories: Directories) -> tuple[Finding, ...]:
    """What a receiver would find in these octets: nothing, where every message keeps to its directory.

    ``pieces``: as :func:`gateway.syntax.pieces` gives them; flat memory, whatever their size.
    """
    events = stream(pieces, directories, limits=_OWN, agreement=_PACKAGES, detail=Detail())
    return tuple(event.finding for event in events if isinstance(event, Found))
