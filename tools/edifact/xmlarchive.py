"""The directories as XML: an archive that has them all, and loses a little of each.

It loses fixed lengths (``n4`` becomes ``n..4``), repeats of data elements, components of some composites,
the digits of a repeat after the fifth, and (before D.97A) the X that a code begins with.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import msgspec
from lxml import etree

from gateway.model.edifact import ComponentUse, ElementUse, GroupUse, SegmentUse
from gateway.syntax.tables import Nodes

_PATTERN = "php_edifact_mapping*.tar.xz"
_ROOM = "/Mapping/"

Uses = tuple[ElementUse, ...]


class Copy(msgspec.Struct, frozen=True):
    """One directory as the archive has it: composites and formats written out in every segment."""

    messages: dict[str, Nodes]
    segments: dict[str, Uses]
    codes: dict[str, frozenset[str]]


class XmlArchive:
    """The archive's files, read into memory."""

    def __init__(self, folder: Path) -> None:
        """Raises FileNotFoundError where the folder has no archive."""
        archives = sorted(folder.glob(_PATTERN))
        if not archives:
            raise FileNotFoundError(f"no {_PATTERN} in {folder}")
        self._files: dict[str, bytes] = {}
        with tarfile.open(archives[0]) as archive:
            for member in archive:
                content = archive.extractfile(member)
                if content is not None and _ROOM in member.name:
                    self._files[member.name.partition(_ROOM)[2]] = content.read()

    def names(self) -> list[str]:
        """Folders of the UN directories, oldest first: ``D94B`` ... ``D24A``."""
        found = {path.partition("/")[0] for path in self._files if path[:1] == "D" and "/" in path}
        return sorted(found, key=lambda name: (name[1] != "9", name))

    def copy(self, folder: str) -> Copy:
        """A directory, or a service directory (``Service_V3``), whole."""
        prefix = f"{folder}/messages/"
        messages = {
            path.removeprefix(prefix).removesuffix(".xml").upper(): _once(_nodes(self._root(path)))
            for path in sorted(self._files)
            if path.startswith(prefix)
        }
        segments = {str(s.get("id")): _uses(s) for s in self._root(f"{folder}/segments.xml")}
        lists = f"{folder}/codes.xml"
        return Copy(messages, segments, self.codes(lists) if lists in self._files else {})

    def codes(self, path: str) -> dict[str, frozenset[str]]:
        """Code lists of a file; a few of its values have no code, or blanks for one."""
        return {
            str(e.get("id")): frozenset(str(c.get("id")) for c in e if (c.get("id") or "").strip())
            for e in self._root(path)
        }

    def _root(self, path: str) -> etree._Element:
        parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True)
        return etree.fromstring(self._files[path], parser)


def _nodes(parent: etree._Element) -> Nodes:
    nodes: list[SegmentUse | GroupUse] = []
    for child in parent:
        name, required = str(child.get("id")), child.get("required") == "true"
        repeat = int(child.get("maxrepeat", "1"))
        if child.tag == "segment":
            nodes.append(SegmentUse(name, required, repeat))
        elif child.tag == "group":
            nodes.append(GroupUse(name, required, repeat, _nodes(child)))
    return tuple(nodes)


def _once(nodes: Nodes) -> Nodes:
    """A message whose pages were taken twice begins and ends more than once: one whole of it."""
    tags = [node.segment if isinstance(node, SegmentUse) else "" for node in nodes]
    if tags.count("UNH") < 2:
        return nodes
    start = max(index for index, tag in enumerate(tags) if tag == "UNH")
    numbers = count(1)
    return tuple(_numbered(node, numbers) for node in nodes[start : tags.index("UNT", start) + 1])


def _numbered(node: SegmentUse | GroupUse, numbers: Iterator[int]) -> SegmentUse | GroupUse:
    if isinstance(node, SegmentUse):
        return node
    name = f"SG{next(numbers)}"
    return GroupUse(name, node.required, node.repeat, tuple(_numbered(n, numbers) for n in node.nodes))


def _uses(segment: etree._Element) -> Uses:
    uses: list[ElementUse] = []
    for element in segment:
        code, required = str(element.get("id")), element.get("required") == "true"
        if element.tag == "data_element":
            uses.append(ElementUse(code, required, 1, _format(element)))
            continue
        parts = (ComponentUse(str(c.get("id")), c.get("required") == "true", _format(c)) for c in element)
        uses.append(ElementUse(code, required, 1, "", tuple(parts)))
    return tuple(uses)


def _format(element: etree._Element) -> str:
    if element.get("maxlength"):
        return f"{element.get('type')}..{element.get('maxlength')}"
    return f"{element.get('type')}{element.get('length')}"
