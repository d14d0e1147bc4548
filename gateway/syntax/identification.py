"""Which grammar a message is read by: S009 in UNH, the directories, the agreement."""

from __future__ import annotations

from msgspec.structs import replace

from gateway.model.edifact import Agreement, Directory, GroupUse, MessageTable, Segment, SegmentUse
from gateway.model.finding import Finding, Place, Severity
from gateway.syntax.directories import Directories
from gateway.syntax.drafts import SECURITY_MESSAGES
from gateway.syntax.elements import quote
from gateway.syntax.grammar import Grammar, Known
from gateway.syntax.guides import Guide, narrowed
from gateway.syntax.preamble import VERSIONS, Opening
from gateway.syntax.structure import Structure

MAX_REMEMBERED = 256  # grammars: message types times service characters; beyond it the oldest goes
MAX_MANNERS = 16  # sets of service characters and versions that share what they know of message types:
MAX_TYPES = 16  # so many of each, so that no more grammars are held in this way than in the other
MAX_IDENTIFIER = 60  # characters of an S009 that is remembered as it was sent

MAX_SEARCHED = 100  # message types of an interchange for which the right one is looked for

_ANY_VERSION = "3"  # by which service segments of an unknown syntax version are read
_MISSING_TYPE = "EDI131"


Identifier = tuple[str, str, str, str, str]
_NOTHING: Identifier = ("", "", "", "", "")


class Identification:
    """The grammars of one interchange's messages and service segments."""

    def __init__(self, directories: Directories, opening: Opening, agreement: Agreement) -> None:
        self._directories = directories
        self._agreement = agreement
        self._separators = opening.separators
        self._version = opening.syntax[1] if opening.syntax[1] in VERSIONS else _ANY_VERSION
        fixed = opening.announced and self._version != "4"
        self._marks = opening.separators.decimal if fixed else ".,"
        self._service, self._usual = self._known()
        self._unsupported_told: dict[Identifier, Finding] = {}

    def _known(self) -> Known:
        """What interchanges read in the same way have in common."""
        key = (self._version, self._marks, self._separators, self._agreement.guide)
        remembered = self._directories.known
        found = remembered.get(key)
        if found is None:
            if len(remembered) >= MAX_MANNERS:
                remembered.clear()
            found = remembered[key] = Known(self._grammar(_NOTHING, known=False), {})
        return found

    def service_faults(self, segment: Segment, text: str, place: Place) -> list[Finding]:
        """What is wrong with a service segment's elements."""
        pattern = self._service.tagged(segment.tag)
        plain = self._service.plain(text)
        if pattern is None or pattern.decides(plain):
            return []
        faults = list(pattern.layout.explain(segment, place))
        if not faults:
            pattern.learn(plain)
        return faults

    def identifier(self, header: Segment) -> Identifier:
        """S009: as sent, or the agreement's where the message type is missing."""
        kind, version, release, agency, association = (header.get(2, c) for c in (1, 2, 3, 4, 5))
        if not kind and self._tolerated():
            kind, version, release, agency, association = (*self._agreement.message.split(":"), "", "")[:5]
        return kind, version, release, agency, association

    def of(self, header: Segment) -> tuple[Grammar, list[Finding]]:
        """The grammar of the message that ``header`` (UNH) begins, and what is wrong with its S009."""
        sent = header.elements[1] if len(header.elements) > 1 else ()
        usual = self._usual.get(sent)
        if usual is not None:
            return usual, []
        named = self.identifier(header)
        place = Place(quote(header.get(1)), 1, "UNH", element=2, component=1, offset=header.offset)
        faults = []
        if not header.get(2, 1):
            severity = Severity.WARNING if self._tolerated() else Severity.ERROR
            faults.append(Finding(_MISSING_TYPE, place, "0065", severity=severity))
        if not named[0]:
            return self._grammar(named, known=False), faults
        fault = self._unsupported(named, place)
        if fault is not None:
            faults.append(fault)
        grammar = self._grammar(named, known=fault is None)
        if not faults and sum(map(len, sent)) <= MAX_IDENTIFIER and len(self._usual) < MAX_TYPES:
            self._usual[sent] = grammar
        return grammar, faults

    def _tolerated(self) -> bool:
        return bool(self._agreement.message) and _MISSING_TYPE in self._agreement.tolerated

    def _unsupported(self, named: Identifier, place: Place) -> Finding | None:
        """The component of S009 that names nothing that is supported, if any."""
        told = self._unsupported_told.get(named)
        if told is not None:
            return replace(told, place=replace(place, component=told.place.component))
        fault = self._look_up(named, place)
        if fault is not None and len(self._unsupported_told) < MAX_REMEMBERED:
            self._unsupported_told[named] = fault
        return fault

    def _look_up(self, named: Identifier, place: Place) -> Finding | None:
        kind, version, release, agency, _ = named
        directory = self._directories.directory(version, release, agency)
        if directory is not None and kind in directory.messages:
            return None
        if not self._directories.holding(kind):
            return Finding("EDI014", place, self._expected(kind, directory), quote(kind))
        if directory is None:
            others = self._directories.agencies(version, release)
            if others:
                return Finding("EDI014", replace(place, component=4), ", ".join(others), quote(agency))
            known = {name.partition(".")[0] for name in self._directories.names()} - {"S"}
            at = replace(place, component=3 if version in known else 2)
            expected = self._expected(kind, None)
            return Finding("EDI014", at, expected, quote(f"{kind}:{version}:{release}"))
        return Finding("EDI014", place, self._expected(kind, directory), quote(kind))

    def _expected(self, kind: str, directory: Directory | None) -> str:
        """What would be right; past the first hundred wrong types of an interchange, nothing is searched."""
        if len(self._unsupported_told) < MAX_SEARCHED:
            return self._directories.expected(kind, directory)
        return "" if directory is None else directory.name

    def _structure(self, kind: str, directory: Directory, guide: Guide | None) -> Structure:
        table = directory.messages[kind]
        if guide is not None:
            table = narrowed(table, guide)
        if self._version != "4" or kind in SECURITY_MESSAGES:
            return Structure(table)
        return Structure(secured(table))

    def _grammar(self, named: Identifier, known: bool) -> Grammar:
        kind, version, release, agency, association = named
        directory = self._directories.directory(version, release, agency)
        where = ("", "") if directory is None else (directory.name, directory.agency)
        message = ":".join((kind, version, release, agency))
        guide = (
            self._directories.guides.chosen(self._agreement.guide, message, association) if known else None
        )
        name = guide.guide.name if guide is not None else ""
        key = (kind if known else "", *where, name, self._version, self._marks, self._separators)
        remembered = self._directories.grammars
        found = remembered.get(key)
        if found is None:
            layouts = self._directories.layouts(directory, self._version, self._marks)
            structure = self._structure(kind, directory, guide) if known and directory is not None else None
            rules = guide.rules() if guide is not None else {}
            if len(remembered) >= MAX_REMEMBERED:
                remembered.pop(next(iter(remembered)), None)
            found = remembered[key] = Grammar(structure, layouts, self._separators, rules)
        return found


def secured(table: MessageTable) -> MessageTable:
    """The message with the groups of integrated security that syntax 4 allows in it (ISO 9735-5)."""
    result = SegmentUse("USR", False, 1)
    certificate = GroupUse("USC", False, 2, (SegmentUse("USC", True, 1), SegmentUse("USA", False, 3), result))
    header = GroupUse(
        "USH", False, 99, (SegmentUse("USH", True, 1), SegmentUse("USA", False, 3), certificate)
    )
    trailer = GroupUse("UST", False, 99, (SegmentUse("UST", True, 1), result))
    first, *body, last = table.nodes
    return replace(table, nodes=(first, header, *body, trailer, last))
