"""A message in another syntax: declarations, and customs' responses to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
from lxml import etree

from gateway import inbound, syntax
from gateway.handbook import Handbook
from gateway.mapping import Reading
from gateway.model import Declaration, Entity, Finding, Kind, Place, Segment, Severity
from gateway.model.finding import worst
from gateway.operations import reading

Tree = Declaration | Entity
"""What was read: a Declaration, or the WCO class Response."""
RESPONSE = "CUSRES"
EDIFACT_TYPES = {
    Kind.IMPORT: "CUSDEC",
    Kind.EXPORT: "CUSDEC",
    Kind.TRANSIT: "CUSDEC",
    Kind.CARGO_IMPORT: "CUSCAR",
    Kind.CARGO_EXPORT: "CUSCAR",
}
USUAL_DIRECTORY = {"CUSDEC": "D.96B", "CUSCAR": "D.95B", RESPONSE: "D.99B"}
LEVEL = "UNOC"
"""The syntax level of what is written: Latin-1, which every partner reads."""


@dataclass(frozen=True, slots=True)
class Translated:
    """The other syntax, or nothing, and what was lost or wrong."""

    content: bytes
    findings: tuple[Finding, ...]


def translate(body: bytes, handbook: Handbook, target: str, directory: str, now: datetime) -> Translated:
    """The message in another syntax: ``json``, ``xml`` or ``edifact``.

    Where there is no content, a finding says why.
    """
    checked = reading.check(body, handbook, now)
    if checked.examined is None:
        return Translated(b"", checked.findings)
    findings = list(checked.examined.findings)
    trees: list[Tree] = []
    for read in _readings(body, checked.examined, handbook, findings):
        trees += (*read.declarations, *read.responses)
        findings += read.findings
    if not trees:
        if not worst(findings):
            names = ", ".join(m.identifier or m.type for m in checked.examined.messages)
            findings.append(Finding("PAR011", expected=_in_use(handbook), found=names))
        return Translated(b"", tuple(findings))
    if target == "json":
        value = trees[0] if len(trees) == 1 else trees
        return Translated(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n", tuple(findings))
    if target == "xml":
        return _xml(trees, handbook, findings)
    return _edifact(trees, handbook, directory, findings, now)


def _readings(
    body: bytes, examined: inbound.Examined, handbook: Handbook, findings: list[Finding]
) -> list[Reading]:
    document, interchange = reading.unwrap(body)
    if document is not None:
        return [handbook.mappings.xml(examined.table).read(document)]
    read = []
    for message in syntax.read(interchange, handbook.directories, handbook.edifact_limits).messages:
        table = handbook.mappings.edifact(message.type, message.version, message.release)
        findings += message.findings
        if table is not None and message.tree is not None:
            read.append(table.read(message.tree))
    return read


def _xml(trees: Sequence[Tree], handbook: Handbook, findings: list[Finding]) -> Translated:
    try:
        documents = [handbook.mappings.xml(_table(t)).write(t) for t in trees]
    except ValueError as error:
        return Translated(b"", (*findings, Finding("PAR011", expected=_in_use(handbook), found=str(error))))
    whole = documents[0]
    if len(documents) > 1:
        whole = etree.Element("Messages")
        whole.extend(documents)
    return Translated(etree.tostring(whole, encoding="UTF-8", xml_declaration=True), tuple(findings))


def _table(tree: Tree) -> str:
    if isinstance(tree, Entity):
        return "RES"
    return "camt.054" if tree.kind is Kind.PAYMENT else "DEC"


def _edifact(
    trees: Sequence[Tree],
    handbook: Handbook,
    directory: str,
    findings: list[Finding],
    now: datetime,
) -> Translated:
    messages = []
    for number, tree in enumerate(trees, 1):
        message = _message(tree, handbook, directory, str(number), findings)
        if message is not None:
            messages.append(message)
    if not messages or worst(findings):
        return Translated(b"", tuple(findings))
    content = syntax.write(
        messages,
        syntax=(LEVEL, "3"),
        sender=("SENDER",),
        recipient=("CUSTOMS",),
        reference="1",
        now=now,
    )
    return Translated(content, tuple(findings))


def _message(
    tree: Tree, handbook: Handbook, directory: str, reference: str, findings: list[Finding]
) -> syntax.OutMessage | None:
    """One message; None, and a finding, where there is no table for it."""
    kind = RESPONSE if isinstance(tree, Entity) else EDIFACT_TYPES.get(tree.kind)
    if kind is None:
        name = tree.kind.value if isinstance(tree, Declaration) else tree.name
        findings.append(Finding("PAR011", expected=_in_use(handbook), found=f"{name}, EDIFACT"))
        return None
    version, _, release = (directory or USUAL_DIRECTORY[kind]).partition(".")
    table = handbook.mappings.edifact(kind, version, release)
    if table is None:
        expected = _in_use(handbook, kind)
        findings.append(Finding("PAR011", expected=expected, found=f"{kind} {directory}"))
        return None
    written = table.write(tree.root if isinstance(tree, Declaration) else tree)
    segments, lost = _fitting(written.segments)
    findings += (*written.findings, *lost)
    return syntax.OutMessage(
        type=kind,
        version=version,
        release=release,
        agency="UN",
        association="",
        reference=reference,
        segments=segments,
    )


def _in_use(handbook: Handbook, kind: str = "") -> str:
    """The EDIFACT messages that have tables: ``CUSDEC D.96B, CUSDEC D.99B``."""
    names = (
        name.split(":")
        for name in handbook.mappings.names()
        if name.startswith(f"{kind}:" if kind else "CUS")
    )
    return ", ".join(f"{type_} {version}.{release}" for type_, version, release in names)


def _fitting(segments: tuple[Segment, ...]) -> tuple[tuple[Segment, ...], list[Finding]]:
    """The segments in the repertoire of the level that is written, and a warning for each text that
    lost something by it."""
    fitting, lost = [], []
    for number, segment in enumerate(segments, 2):
        elements = tuple(tuple(syntax.fold(text, LEVEL) for text in e) for e in segment.elements)
        for position, (said, meant) in enumerate(zip(elements, segment.elements, strict=True), 1):
            place = Place(segment=number, tag=segment.tag, element=position)
            pairs = zip(said, meant, strict=True)
            lost += [Finding("MAP007", place, s, m, Severity.WARNING) for s, m in pairs if s != m]
        fitting.append(msgspec.structs.replace(segment, elements=elements))
    return tuple(fitting), lost
