"""Build ``xsd/edifact/*.json`` from copies of the UN/EDIFACT directories.

Usage: ``python tools/directories.py SOURCE [TARGET]``

SOURCE is a folder holding a ``php_edifact_mapping*.tar.xz`` (every directory as XML) and
``unece_original_zips/dNNx.zip`` (directories as UNECE published them).  Structures and codes are taken
from the XML; segments from the originals, because the XML loses fixed lengths, repeats of data elements
and a few composites' components.  TARGET defaults to
``xsd/edifact``.  Only facts are kept: tags, numbers, status, repeats, formats and code values.
"""

from __future__ import annotations

import io
import json
import re
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from lxml import etree

MESSAGES = {
    "D95B": ("CUSCAR",),
    "D96B": ("CUSCAR", "CUSDEC", "CUSRES"),
    "D99B": ("CUSCAR", "CUSDEC", "CUSRES"),
    "D03B": ("CUSCAR",),
    "D04A": ("CUSDEC",),
    "D12B": ("CUSRES",),
    "D13A": ("CUSCAR", "CUSDEC", "CUSRES"),
    "D16A": ("CUSCAR",),
}
ORIGINALS = {name: f"{name.lower()}.zip" for name in MESSAGES}
# No original is at hand for these: the XML is taken, mended by the original next to it in time.
NEXT = {"D04A": "d03b.zip", "D12B": "d13a.zip"}
SERVICE = {"S1": "Service_V1", "S2": "Service_V2", "S3": "Service_V3", "S4": "Service_V4"}
# Service lists that are complete and closed; the others (0001, 0002, 0007, 0065 ...) are decided in code.
SERVICE_LISTS = ("0025", "0029", "0073", "0081", "0083", "0085", "0135", "0805", "0813")
# Lists of one value that the XML of syntax 1 to 3 leaves out.
SERVICE_CODES = {"0029": ["A"], "0073": ["C", "F"], "0081": ["D", "S"]}
SERVICE_TAGS = frozenset({"UNH", "UNS", "UNT"})
# Syntax 4.1 has S017 between S016 and S018 of UNH, and repeats these composites in UNO and UCM.
S017 = [
    "S017",
    False,
    1,
    "",
    [["0121", True, "an..14"], *([n, False, "an..3"] for n in ("0122", "0124", "0051"))],
]
SERVICE_REPEATS = {("UNO", "S020"): 99, ("UNO", "S021"): 99, ("UCM", "S020"): 99}

Json = list[Any]


class Source(NamedTuple):
    """The two kinds of copies: XML files by path, and the folder of the originals."""

    files: dict[str, bytes]
    originals: Path

    def xml(self, path: str) -> etree._Element:
        return etree.fromstring(self.files[path], etree.XMLParser(resolve_entities=False, no_network=True))


def open_source(folder: Path) -> Source:
    """Read the XML archive into memory.  Raises FileNotFoundError where it is absent."""
    archives = sorted(folder.glob("php_edifact_mapping*.tar.xz"))
    if not archives:
        raise FileNotFoundError(f"no php_edifact_mapping*.tar.xz in {folder}")
    files: dict[str, bytes] = {}
    with tarfile.open(archives[0]) as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content is not None and "/Mapping/" in member.name:
                files[member.name.partition("/Mapping/")[2]] = content.read()
    return Source(files, folder / "unece_original_zips")


def original_text(path: Path, name: str) -> str:
    """The first member of a directory's zip (zips inside it included) whose name matches ``name``."""
    for member, content in _members(path.read_bytes()):
        if re.fullmatch(name, member, re.IGNORECASE):
            return content.decode("cp437").replace("\r\n", "\n")
    raise FileNotFoundError(f"{name} is not in {path}")


def _members(archive: bytes) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        for member in opened.namelist():
            leaf = member.rpartition("/")[2]
            if leaf.startswith("._") or not leaf:
                continue
            if leaf.lower().endswith(".zip"):
                try:
                    yield from _members(opened.read(member))
                except zipfile.BadZipFile:
                    continue  # d11b.zip holds one broken member
            else:
                yield leaf, opened.read(member)


_CHANGED = r"[ +*#|X-]"  # indicators of change since the previous directory
SEGMENT_HEAD = re.compile(rf"^{_CHANGED}{{5,8}}([A-Z]{{3}}) {{2,4}}(?!.*:)\S")
ELEMENT_ROW = re.compile(rf"^\d{{3}}{_CHANGED}{{1,4}}([C\d]\d{{3}}) ")
COMPONENT_ROW = re.compile(rf"^{_CHANGED}{{5,8}}(\d{{4}}) ")
ROW_END = re.compile(r" ([CM])(?: +(\d+))?(?: +((?:an|a|n)(?:\.\.)?\d+))?$")


def original_segments(text: str) -> dict[str, Json]:
    """Segment layouts from a directory's own EDSD (TRSD before 1997) file."""
    segments: dict[str, Json] = {}
    uses: Json = []
    row, begun = "", None
    for line in map(str.rstrip, text.splitlines()):
        head = SEGMENT_HEAD.match(line)
        if head:
            uses = []
            segments[head[1]] = [head[1], uses]
            begun = None
            continue
        element, component = ELEMENT_ROW.match(line), COMPONENT_ROW.match(line)
        if element or (component and uses):
            row, begun = line, element or component
        elif begun is not None:
            row += " " + line.strip()  # a long name goes on in the next line
        end = ROW_END.search(row) if begun is not None else None
        if begun is None or end is None:
            continue
        required = end[1] == "M"
        if begun.re is ELEMENT_ROW:
            uses.append([begun[1], required, int(end[2] or 1), end[3] or "", []])
        else:
            uses[-1][4].append([begun[1], required, end[3]])
        begun = None
    return segments


def better(tag: str, row: Json, original: Json | None) -> Json:
    """The original's layout where the XML's is the same but for what the XML loses.

    It loses repeats, fixed lengths (``n4`` became ``n..4``) and some components of composites.
    """
    same = original is not None and _loses(row[1], original[1])
    if not same:
        print(f"{tag}: not as in the original next to it; taken from the XML", file=sys.stderr)  # noqa: T201
    return original if original is not None and same else row


def _loses(uses: Json, original: Json) -> bool:
    """True where ``uses`` may be ``original`` with losses: the same elements, components left out at most."""
    return len(uses) == len(original) and all(
        use[:2] == first[:2] and _bare(use[3]) == _bare(first[3]) and _within(use[4], first[4])
        for use, first in zip(uses, original, strict=True)
    )


def _within(parts: Json, original: Json) -> bool:
    rest = iter([code, required, _bare(form)] for code, required, form in original)
    return all([code, required, _bare(form)] in rest for code, required, form in parts)


def _bare(form: str) -> str:
    return form.replace("..", "")


def nodes_of(parent: etree._Element) -> Json:
    nodes: Json = []
    for child in parent:
        if child.tag == "segment":
            nodes.append(
                ["s", child.get("id"), child.get("required") == "true", int(child.get("maxrepeat", "1"))]
            )
        elif child.tag == "group":
            nodes.append(
                [
                    "g",
                    child.get("id"),
                    child.get("required") == "true",
                    int(child.get("maxrepeat", "1")),
                    nodes_of(child),
                ]
            )
    return nodes


def message_of(source: Source, path: str) -> Json:
    root = source.xml(path)
    head = {e.get("id"): e.get("value") for e in root.iterfind("defaults/data_element")}
    return [head["0065"], head["0052"], head["0054"], nodes_of(root)]


TABLE_ROW = re.compile(
    r"^\d{4,5}[ +*#|X]+\W*(?:([A-Z]{3}) |\W*Segment group (\d+)).*?\b[CM] +(\d+)", re.MULTILINE
)


def mend_repeats(nodes: Json, text: str, exact: bool) -> None:
    """Put right, in place, the repeats that the XML cuts off at five digits; ``text``: the original message.

    Not ``exact``: the original is of the directory next in time, and only 99999 becomes 999999.
    """
    table = text[text.index("Pos", text.rindex("Segment table")) :]
    rows = [(tag or f"SG{group}", int(repeat)) for tag, group, repeat in TABLE_ROW.findall(table)]
    flat = list(flat_of(nodes))
    for node, (name, repeat) in zip(flat, rows[: len(flat)], strict=True):
        if node[1] != name:
            raise ValueError(f"{node[1]} is {name} in the original")
        if exact or (node[3], repeat) == (99_999, 999_999):
            node[3] = repeat


def flat_of(nodes: Json) -> Iterator[Json]:
    for node in nodes:
        yield node
        if node[0] == "g":
            yield from flat_of(node[4])


def tags_of(nodes: Json) -> Iterator[str]:
    for node in nodes:
        if node[0] == "s":
            yield node[1]
        else:
            yield from tags_of(node[4])


def format_of(element: etree._Element) -> str:
    if element.get("maxlength"):
        return f"{element.get('type')}..{element.get('maxlength')}"
    return f"{element.get('type')}{element.get('length')}"


def segment_of(segment: etree._Element) -> Json:
    tag, uses = str(segment.get("id")), []
    for element in segment:
        code, required = str(element.get("id")), element.get("required") == "true"
        repeat = SERVICE_REPEATS.get((tag, code), 1)
        if element.tag == "data_element":
            uses.append([code, required, repeat, format_of(element), []])
        else:
            parts = [[c.get("id"), c.get("required") == "true", format_of(c)] for c in element]
            uses.append([code, required, repeat, "", parts])
    return [tag, uses]


def codes_of(root: etree._Element, wanted: set[str]) -> dict[str, list[str]]:
    lists = {str(e.get("id")): sorted({str(c.get("id")) for c in e}) for e in root}
    return {code: values for code, values in sorted(lists.items()) if code in wanted and values}


def elements_of(segments: dict[str, Json]) -> set[str]:
    return {part[0] for _, uses in segments.values() for use in uses for part in use[4] or [use]}


def directory_of(source: Source, name: str) -> dict[str, Any]:
    """One directory D..: the chosen messages, the segments they use, the lists those use."""
    messages = {m: message_of(source, f"{name}/messages/{m.lower()}.xml") for m in MESSAGES[name]}
    for kind, message in messages.items():
        release = NEXT.get(name, ORIGINALS[name]).removesuffix(".zip").upper()[1:]
        text = original_text(source.originals / f"d{release.lower()}.zip", rf"{kind}_D\.{release}")
        mend_repeats(message[3], text, exact=name not in NEXT)
    wanted = {tag for message in messages.values() for tag in tags_of(message[3])} - SERVICE_TAGS
    text = original_text(source.originals / NEXT.get(name, ORIGINALS[name]), r"(EDSD|TRSD)\.\w+")
    originals = original_segments(text)
    if name not in NEXT:
        segments = {tag: originals[tag] for tag in sorted(wanted)}
    else:
        rows = {str(s.get("id")): s for s in source.xml(f"{name}/segments.xml")}
        segments = {tag: better(tag, segment_of(rows[tag]), originals.get(tag)) for tag in sorted(wanted)}
    codes = codes_of(source.xml(f"{name}/codes.xml"), elements_of(segments))
    return {"name": f"{name[0]}.{name[1:]}", "messages": messages, "segments": segments, "codes": codes}


def service_of(source: Source, name: str) -> dict[str, Any]:
    """The service directory of one syntax version: service segments and CONTRL."""
    folder = SERVICE[name]
    path = f"{folder}/messages/contrl.xml"
    messages = {"CONTRL": message_of(source, path)} if path in source.files else {}
    segments = {str(s.get("id")): segment_of(s) for s in source.xml(f"{folder}/segments.xml")}
    segments = {t: s for t, s in sorted(segments.items()) if not re.match("UI|US", t)}
    if name == "S1":
        _widen(segments)
    if name == "S4":
        segments["UNH"][1].insert(5, S017)
    lists = f"D96B/service_codes_v{'4' if name == 'S4' else '3'}.xml"
    codes = SERVICE_CODES | codes_of(source.xml(lists), elements_of(segments) & set(SERVICE_LISTS))
    return {"name": f"S.{name[1:]}", "messages": messages, "segments": segments, "codes": codes}


def _widen(segments: dict[str, Json]) -> None:
    """Syntax 1 writes 0052 and 0054 as n..3, yet names directories such as 96A under it are the rule."""
    for _, uses in segments.values():
        for part in (part for use in uses for part in use[4]):
            if part[0] in ("0052", "0054"):
                part[2] = "an..3"


def render(directory: dict[str, Any]) -> str:
    """JSON with one node, segment or list a line."""
    parts = [f' "name": {_compact(directory["name"])}']
    messages = ",\n".join(
        f"  {_compact(name)}: [{_compact(m[0])},{_compact(m[1])},{_compact(m[2])},[\n{_lines(m[3], 3)}\n  ]]"
        for name, m in directory["messages"].items()
    )
    parts.append(f' "messages": {{\n{messages}\n }}')
    for key in ("segments", "codes"):
        rows = ",\n".join(f"  {_compact(k)}: {_compact(_short(v))}" for k, v in directory[key].items())
        parts.append(f' "{key}": {{\n{rows}\n }}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _short(row: Json) -> Json:
    """A layout without the empty component lists of stand-alone elements; anything else as it is."""
    if len(row) != 2 or not isinstance(row[1], list):
        return row
    return [row[0], [use if use[4] else use[:4] for use in row[1]]]


def _lines(nodes: Json, depth: int) -> str:
    pad, lines = " " * depth, []
    for node in nodes:
        if node[0] == "s":
            lines.append(pad + _compact(node))
        else:
            lines.append(f"{pad}{_compact(node[:4])[:-1]},[\n{_lines(node[4], depth + 1)}\n{pad}]]")
    return ",\n".join(lines)


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def main(arguments: list[str]) -> int:
    if not 1 <= len(arguments) <= 2:
        print(__doc__)  # noqa: T201
        return 2
    source = open_source(Path(arguments[0]))
    target = Path(arguments[1]) if len(arguments) == 2 else Path(__file__).parent.parent / "xsd" / "edifact"
    target.mkdir(parents=True, exist_ok=True)
    built = {name: directory_of(source, name) for name in MESSAGES}
    built |= {name: service_of(source, name) for name in SERVICE}
    for name, directory in built.items():
        (target / f"{name}.json").write_text(render(directory), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
