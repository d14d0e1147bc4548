"""Schema files on disk: read without a network, and never outside their pack's folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from lxml import etree

XSD_NS = "http://www.w3.org/2001/XMLSchema"
# The largest public WCO schema has 1.8 MB; a folder of a whole authority some hundred files.
MAX_XSD_BYTES = 16 * 1024 * 1024
MAX_FILES = 2_000

_REFERRING = tuple(f"{{{XSD_NS}}}{name}" for name in ("include", "import", "redefine", "override"))


def parse(path: Path) -> etree._Element:
    """The schema document's root element.

    Raises ValueError where it is no XML, no schema, too large, or has a document type declaration.
    """
    if path.stat().st_size > MAX_XSD_BYTES:
        raise ValueError(f"{path.name}: larger than {MAX_XSD_BYTES} octets")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(path.read_bytes(), parser, base_url=str(path))
    except etree.XMLSyntaxError as error:
        raise ValueError(f"{path.name}: not XML: {error.msg}") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise ValueError(f"{path.name}: has a document type declaration; remove it")
    if root.tag != f"{{{XSD_NS}}}schema":
        raise ValueError(f"{path.name}: not an XML schema but {root.tag!s}")
    return root


def references(path: Path, root: etree._Element, folder: Path) -> Iterator[Path]:
    """The files that a schema includes or imports.

    Raises ValueError where one is on a network, outside the folder, or missing.
    """
    for element in root.iterchildren(*_REFERRING):
        location = element.get("schemaLocation")
        if location is None:
            continue
        if "://" in location or location.startswith(("//", "\\\\", "urn:", "file:")):
            raise ValueError(
                f"{path.name} line {element.sourceline}: {location} is not in the pack; "
                "save that schema in the folder and name it by a relative path"
            )
        target = (path.parent / unquote(location)).resolve()
        if not target.is_relative_to(folder.resolve()):
            raise ValueError(f"{path.name} line {element.sourceline}: {location} leaves the pack's folder")
        if not target.is_file():
            raise ValueError(f"{path.name} line {element.sourceline}: {location} is missing from the pack")
        yield target


def closure(path: Path, folder: Path) -> tuple[Path, ...]:
    """The schema file and all that it refers to, each once.  Raises ValueError as parse and references do."""
    inside = folder.resolve()
    start = path.resolve()
    if not start.is_relative_to(inside):
        raise ValueError(f"{path.name} leaves the pack's folder")
    if not start.is_file():
        raise ValueError(f"{path.name} is missing from {folder.name}")
    due, seen = [start], {start: None}
    while due:
        here = due.pop()
        for target in references(here, parse(here), inside):
            if target not in seen:
                seen[target] = None
                due.append(target)
        if len(seen) > MAX_FILES:
            raise ValueError(f"{path.name}: refers to more than {MAX_FILES} files")
    return tuple(seen)
