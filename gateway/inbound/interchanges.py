"""An EDIFACT interchange through the stages, message by message: only one message's tree is held at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from gateway import routing, syntax
from gateway.handbook import Handbook
from gateway.inbound.examined import IN_USE, Examined, Judge, Unreadable, judged, ruled
from gateway.inbound.proof import Proof
from gateway.mapping import Reading
from gateway.model import Agreement, Finding, Judged, Outcome, Place
from gateway.model.finding import Severity, worst
from gateway.model.shelf import Pile

T = TypeVar("T")

Told = Callable[[Finding], None]
Finished = Callable[[Judged], Judged]
"""What is agreed with the signer added to a judged message, and its declaration put away."""

_TREES = syntax.Detail(trees=True)
_AGREEMENT = Agreement()
_PIECE = 262_144  # octets: what they complete is judged before the next are read
_ENVELOPE = "UNB"
_UNIDENTIFIED = frozenset({"EDI014", "EDI131"})  # UNH names no message of any directory


class Review:
    """One interchange in the making; ``told`` is called with each finding as soon as it is made.

    ``finished``: called with each message as it ends, for an interchange whose declarations are not to be held
    together; else they are in the verdicts.  ``keep``: declarations are kept; a check of a file has no use for
    them.  ``proof``: who signed it; a check has none, and leaves security segments aside.  ``shelves``: the folder
    for what is known of each message, where there are too many to hold that.
    """

    def __init__(
        self,
        handbook: Handbook,
        judge: Judge,
        told: Told | None = None,
        keep: bool = True,
        proof: Proof | None = None,
        finished: Finished | None = None,
        shelves: Path | None = None,
    ) -> None:
        self._shelves = shelves
        self._handbook = handbook
        self._judge = judge
        self._finished = finished
        self._agreed = self._many(Judged)
        self._told = told
        self._keep = keep
        self._proof = proof
        self._messages = self._many(syntax.Message)
        self._judged = self._many(Judged)

    def _many(self, kind: type[T]) -> list[T] | Pile[T]:
        return [] if self._shelves is None else Pile(kind, self._shelves)

    def take(self, event: syntax.Event) -> syntax.Interchange | None:
        """The next event of a reading; at the interchange's end, the interchange with its messages' heads."""
        if isinstance(event, syntax.MessageRead):
            self._take_message(event.message)
        elif isinstance(event, syntax.Found) and self._told is not None:
            self._told(event.finding)
        elif isinstance(event, syntax.InterchangeRead):
            messages, self._messages = _whole(self._messages), self._many(syntax.Message)
            whole = replace(event.interchange, messages=messages)
            return whole if self._proof is None else self._proof.around(whole)
        return None

    def end(self, interchange: syntax.Interchange, findings: tuple[Finding, ...]) -> Examined:
        """The verdicts, now that the whole is read; an error of the envelope or of a group rejects all in it."""
        messages, self._judged = self._judged, self._many(Judged)
        agreed, self._agreed = self._agreed, self._many(Judged)
        groups = {ordinal: group.errors for group in interchange.groups for ordinal in group.messages}
        sunk = worst(findings)
        findings += tuple(f for group in interchange.groups for f in _beside_messages(group))
        final: Iterator[Judged] = (_finally(m, groups.get(m.ordinal, ()), sunk) for m in messages)
        if self._finished is not None:
            final = map(self._in_the_end, messages, agreed, final)
        judged = self._many(Judged)
        for one in final:
            judged.append(one)
        return Examined(_ENVELOPE, interchange.reference, _whole(judged), findings, interchange=interchange)

    def _take_message(self, message: syntax.Message) -> None:
        if self._proof is not None:
            message = self._proof.read(message)
            if self._proof.only_refers(message.ordinal) and not message.rejected:
                self._messages.append(_head(message))
                return
        result = self._message(message)
        if self._told is not None:
            for finding in result.findings[len(message.findings) :]:
                self._told(finding)
        self._messages.append(_head(message))
        if self._finished is not None:
            agreed = self._finished(result)
            self._agreed.append(agreed)
            result = replace(result, declaration=agreed.declaration)
        self._judged.append(result if self._keep else replace(result, declaration=None))

    def _in_the_end(self, judged: Judged, agreed: Judged, final: Judged) -> Judged:
        """What was agreed on a message, now that what is around it is known: asked anew where that rejects it."""
        if final.declaration is None and self._finished is not None:
            return self._finished(final)
        around, added = final.findings[len(judged.findings) :], agreed.findings[len(judged.findings) :]
        return replace(agreed, findings=(*judged.findings, *around, *added))

    def _message(self, message: syntax.Message) -> Judged:
        """Translate and judge one message."""
        table = self._handbook.mappings.edifact(message.type, message.version, message.release)
        findings = message.findings
        reading = Reading()
        if table is None and not any(f.code in _UNIDENTIFIED for f in findings):
            findings = (_not_in_use(message), *findings)
        if table is not None and message.tree is not None and not worst(findings):
            reading = table.read(message.tree)
            locate = table.locator(message.tree)
            told = reading.findings + ruled(reading.declarations, self._judge, locate)
            findings += tuple(routing.within(f, message.reference) for f in told)
            if not reading.declarations and not worst(findings):
                findings += (_not_in_use(message),)
        result = judged(message.ordinal, message.type, message.reference, reading, findings)
        return msgspec.structs.replace(result, identifier=message.identifier)


def _whole(many: list[T] | Pile[T]) -> Collection[T]:
    return tuple(many) if isinstance(many, list) else many


def _head(message: syntax.Message) -> syntax.Message:
    """What a CONTRL quotes of a message: nothing of its body but, where one is rejected, its security segments."""
    kept = tuple(s for s in message.segments if s.tag in syntax.SECURITY) if message.rejected else ()
    return replace(message, segments=kept, tree=None)


def examine_edifact(
    content: bytes | Iterable[bytes],
    handbook: Handbook,
    judge: Judge,
    envelope: Callable[[syntax.Interchange], tuple[Finding, ...]] = lambda interchange: (),
    agreement: Agreement = _AGREEMENT,
    proof: Proof | None = None,
    finished: Finished | None = None,
    shelves: Path | None = None,
) -> Examined:
    """Check, translate and judge an interchange, each of its messages alone; one that ``proof`` does not hold
    for is rejected unread.  ``content``: whole, or in pieces.  ``finished``: as of a Review.
    ``shelves``: the folder for what very long messages hold; their declarations are not held together then.
    Raises Unreadable."""
    review = Review(handbook, judge, proof=proof, finished=finished, shelves=shelves)
    interchange = syntax.Interchange()
    pieces = _pieces(content) if isinstance(content, bytes) else content
    for event in _events(pieces, handbook, agreement, several=False, shelves=shelves):
        interchange = review.take(event) or interchange
    if not syntax.answerable(interchange, handbook.catalogue):
        raise Unreadable(unanswerable(interchange))
    return review.end(interchange, interchange.findings + envelope(interchange))


def _pieces(content: bytes) -> Iterator[bytes]:
    return (content[start : start + _PIECE] for start in range(0, len(content), _PIECE))


def examine_files(
    pieces: Iterable[bytes],
    handbook: Handbook,
    judge: Judge,
    told: Told | None = None,
    agreement: Agreement = _AGREEMENT,
    several: bool = True,
) -> Iterator[Examined]:
    """The interchanges of a file given in pieces, their declarations judged and let go.

    One that nobody could answer has a verdict too.  ``several``: one may follow another.
    """
    review = Review(handbook, judge, told, keep=False)
    for event in _events(pieces, handbook, agreement, several):
        interchange = review.take(event)
        if interchange is not None:
            yield review.end(interchange, _not_taken(interchange) + interchange.findings)


def unanswerable(interchange: syntax.Interchange) -> tuple[Finding, ...]:
    """Why no CONTRL can answer: a CONTRL never is answered, the envelope does not say whom to answer, or
    what is wrong has no reference by which a CONTRL could reject it."""
    report = _not_taken(interchange)
    if report:
        return report + interchange.findings
    groups = (f for group in interchange.groups for f in group.findings)
    return (*interchange.findings, *groups, *(f for m in interchange.messages for f in m.findings))


def _not_taken(interchange: syntax.Interchange) -> tuple[Finding, ...]:
    """PAR008 at the first CONTRL, which customs takes from nobody."""
    references = (message.reference for message in interchange.messages if message.type == "CONTRL")
    places = (Place(message=reference, segment=1, tag="UNH", element=2) for reference in references)
    return tuple(Finding("PAR008", place) for place in islice(places, 1))


def _events(
    pieces: Iterable[bytes],
    handbook: Handbook,
    agreement: Agreement,
    several: bool,
    shelves: Path | None = None,
) -> Iterator[syntax.Event]:
    """The events of a submission's one interchange, or of the several in a file."""
    reader = syntax.Reader(
        handbook.directories,
        limits=handbook.edifact_limits,
        agreement=agreement,
        detail=_TREES if shelves is None else syntax.Detail(trees=True, shelves=shelves),
        several=several,
    )
    for piece in pieces:
        yield from reader.feed(piece)
    yield from reader.finish()


def _beside_messages(group: syntax.FunctionalGroup) -> Iterator[Finding]:
    """A group's findings that reject no message: warnings, and what is wrong with a group that has none."""
    for finding in group.findings:
        if finding.severity is not Severity.ERROR:
            yield finding
        elif not group.messages:
            yield replace(finding, severity=Severity.WARNING)


def _finally(message: Judged, around: tuple[Finding, ...], sunk: bool) -> Judged:
    """A message with the findings of the group around it; ``sunk``: the envelope's fault rejects all."""
    findings = message.findings + around
    if not sunk and not worst(around):
        return replace(message, findings=findings)
    return replace(message, findings=findings, outcome=Outcome.REJECTED, declaration=None)


def _not_in_use(message: syntax.Message) -> Finding:
    """PAR006 for a message that declares nothing: one without a table, or one of customs' own answers."""
    place = Place(message=message.reference, segment=1, tag="UNH", element=2)
    return Finding("PAR006", place, IN_USE, message.identifier)
