"""Files on a disk through the journey's own stages, with no server, partner or proof."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import msgspec
from lxml import etree

from gateway import inbound, rules, safexml, security, syntax
from gateway.handbook import Handbook
from gateway.model import Declaration, Finding, Kind, Place, Segment, Severity
from gateway.model.finding import worst

SIGNATURE = "{http://www.w3.org/2000/09/xmldsig#}Signature"
EDIFACT_TYPES = {
    Kind.IMPORT: "CUSDEC",
    Kind.EXPORT: "CUSDEC",
    Kind.TRANSIT: "CUSDEC",
    Kind.CARGO_IMPORT: "CUSCAR",
    Kind.CARGO_EXPORT: "CUSCAR",
}
LEVEL = "UNOC"
"""The syntax level of what is written: Latin-1, which every partner reads."""
USUAL_DIRECTORY = {"CUSDEC": "D.96B", "CUSCAR": "D.95B"}


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found; ``examined`` is None where the file could not be read at all."""

    examined: inbound.Examined | None
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Translated:
    """The other syntax, or nothing, and what was lost or wrong."""

    content: bytes
    findings: tuple[Finding, ...]


def media_type(body: bytes) -> str:
    """The Content-Type that a file's first octets suggest."""
    start = body[:512].lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith(b"<"):
        return "application/xml"
    if start[:3] in (b"UNA", b"UNB"):
        return "application/edifact"
    if start[:1] == b"0":
        return "application/pkcs7-mime; smime-type=signed-data"
    for line in body[:8192].splitlines():
        if line.lower().startswith(b"content-type:"):
            return line.split(b":", 1)[1].strip().decode("latin-1")
    return "application/octet-stream"


def check(body: bytes, handbook: Handbook, now: datetime) -> Checked:
    """Examine a file as the journey would, its signature left aside."""

    def judge(declaration: Declaration) -> tuple[Finding, ...]:
        return rules.judge(declaration, handbook.rulebook, now)

    try:
        document, interchange = unwrap(body)
        if document is not None:
            return Checked(inbound.examine_xml(document, handbook, judge))
        return Checked(inbound.examine_edifact(interchange, handbook, judge))
    except (inbound.Unreadable, safexml.XmlRefused, security.Refused) as refused:
        return Checked(None, refused.findings)


def unwrap(body: bytes) -> tuple[etree._Element | None, bytes]:
    """The XML document without its signature, or the EDIFACT octets inside a signed envelope.

    Raises XmlRefused, security.Refused.
    """
    kind = media_type(body)
    if kind == "application/xml":
        return unsigned(safexml.parse(body.lstrip(b"\r\n\t "))), b""
    if kind == "application/edifact" or kind == "application/octet-stream":
        return None, body
    content, inner = security.unproven(body, kind, security.Policy())
    if inner == "application/xml":
        return unsigned(safexml.parse(content)), b""
    return None, content


def unsigned(root: etree._Element) -> etree._Element:
    """The document without the signature that is its last child."""
    for child in root.findall(SIGNATURE):
        root.remove(child)
    return root


def translate(body: bytes, handbook: Handbook, target: str, directory: str, now: datetime) -> Translated:
    """The message in another syntax: ``json``, ``xml`` or ``edifact``."""
    checked = check(body, handbook, now)
    if checked.examined is None:
        return Translated(b"", checked.findings)
    document, interchange = unwrap(body)
    findings = list(checked.examined.findings)
    declarations: list[Declaration] = []
    if document is not None:
        readings = [handbook.mappings.xml(checked.examined.table).read(document)]
    else:
        readings = []
        for message in syntax.read(interchange, handbook.directories, handbook.edifact_limits).messages:
            table = handbook.mappings.edifact(message.type, message.version, message.release)
            findings += message.findings
            if table is not None and message.tree is not None:
                readings.append(table.read(message.tree))
    for read in readings:
        declarations += read.declarations
        findings += read.findings
    if not declarations:
        return Translated(b"", tuple(findings))
    if target == "json":
        value = declarations[0] if len(declarations) == 1 else declarations
        return Translated(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n", tuple(findings))
    if target == "xml":
        return _xml(declarations, handbook, findings)
    return _edifact(declarations, handbook, directory, findings, now)


def _xml(declarations: list[Declaration], handbook: Handbook, findings: list[Finding]) -> Translated:
    table = handbook.mappings.xml("camt.054" if declarations[0].kind is Kind.PAYMENT else "DEC")
    documents = [table.write(d) for d in declarations]
    if len(documents) == 1:
        return Translated(
            etree.tostring(documents[0], encoding="UTF-8", xml_declaration=True), tuple(findings)
        )
    whole = etree.Element("Messages")
    whole.extend(documents)
    return Translated(etree.tostring(whole, encoding="UTF-8", xml_declaration=True), tuple(findings))


def _edifact(
    declarations: list[Declaration],
    handbook: Handbook,
    directory: str,
    findings: list[Finding],
    now: datetime,
) -> Translated:
    messages = []
    for number, declaration in enumerate(declarations, 1):
        kind = EDIFACT_TYPES.get(declaration.kind)
        version, _, release = (directory or USUAL_DIRECTORY.get(kind or "", "")).partition(".")
        table = handbook.mappings.edifact(kind, version, release) if kind else None
        if kind is None or table is None:
            findings.append(
                Finding("PAR006", Place(), "a kind with an EDIFACT table", declaration.kind.value)
            )
            continue
        written = table.write(declaration.root)
        segments, lost = _fitting(written.segments)
        findings += (*written.findings, *lost)
        messages.append(
            syntax.OutMessage(
                type=kind,
                version=version,
                release=release,
                agency="UN",
                association="",
                reference=str(number),
                segments=segments,
            )
        )
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


def sign(body: bytes, key: security.SigningKey, envelope: str, now: datetime) -> tuple[str, bytes]:
    """Sign XML in place or wrap EDIFACT in CMS; (media type, octets)."""
    kind = media_type(body)
    if kind == "application/xml":
        return kind, security.sign_xml(unsigned(safexml.parse(body)), key, now)
    if kind != "application/edifact":
        raise ValueError("neither XML nor an EDIFACT interchange")
    return security.sign_cms(body, kind, key, envelope, now)
