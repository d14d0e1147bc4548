"""What documents a folder of schemas is for: wrappers, bodies, and which belong together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path

import msgspec
from lxml import etree

from gateway.schema.files import XSD_NS, closure, parse

WRAPPERS = ("MetaData", "DocumentMetaData", "DocumentMetadata")
BODIES = {"Declaration": "DEC", "Response": "RES"}

_XS = f"{{{XSD_NS}}}"
_PLAIN = re.compile(r"[A-Za-z0-9]+\Z")
_NOT_NAME = re.compile(r"[^a-z0-9]+")


class Pairing(msgspec.Struct, frozen=True):
    """A document: its schema file, its root (Clark name), its body class and message type.

    ``driver``: the text of the schema file where the folder has none that brings wrapper and body
    together.  ``when``: fields of the body that the schema fixes to one text.
    """

    name: str
    schema: str
    root: str
    body: str
    type: str
    driver: str = ""
    when: tuple[tuple[str, str], ...] = ()


class _File(msgspec.Struct, frozen=True):
    path: Path
    namespace: str
    elements: tuple[str, ...]
    wildcards: tuple[str, ...]
    reach: frozenset[Path]
    root: etree._Element


def pairings(folder: Path) -> tuple[tuple[Pairing, ...], list[str]]:
    """The documents that the folder's schemas describe, and notes on files left out.

    Raises ValueError where two schemas describe the same document and nothing tells them apart.
    """
    notes: list[str] = []
    files = tuple(_survey(folder.resolve(), notes))
    found = tuple(_named(_pair(files, folder.resolve())))
    _check_distinct(found)
    return found, notes


def _survey(folder: Path, notes: list[str]) -> Iterator[_File]:
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.suffix.lower() != ".xsd":
            continue
        try:
            root = parse(path)
            reach = frozenset(closure(path, folder))
        except ValueError as error:
            notes.append(f"left out: {error}")
            continue
        elements = tuple(str(e.get("name")) for e in root.iterchildren(f"{_XS}element"))
        spaces = (n for a in root.iter(f"{_XS}any") for n in str(a.get("namespace", "")).split())
        wildcards = tuple(dict.fromkeys(n for n in spaces if not n.startswith("##")))
        yield _File(path, root.get("targetNamespace", ""), elements, wildcards, reach, root)


def _pair(files: Sequence[_File], folder: Path) -> Iterator[Pairing]:
    wrappers = [f for f in files if any(w in f.elements for w in WRAPPERS)]
    bodies = [(f, b) for f in files for b in BODIES if b in f.elements]
    for file, body in bodies:
        wrapper = _wrapper(file, wrappers, bodies)
        if wrapper is None:
            if not any(file.namespace in w.wildcards for w in wrappers):
                yield _alone(file, body, folder)
            continue
        yield _together(wrapper, file, body, files, folder)


def _wrapper(file: _File, wrappers: Sequence[_File], bodies: Sequence[tuple[_File, str]]) -> _File | None:
    """The wrapper that a body belongs to: near it, of a like name, not another body's better match."""
    fitting = [w for w in wrappers if file.namespace in w.wildcards]
    fitting = [w for w in fitting if w.path.parent == file.path.parent] or fitting
    rivals = [b for b, _ in bodies if b is not file and b.namespace == file.namespace]

    def fit(wrapper: _File) -> tuple[int, int]:
        rival = max((_likeness(wrapper, b) for b in rivals), default=0)
        return _likeness(wrapper, file), -rival

    return max(fitting, key=fit, default=None)


def _likeness(one: _File, other: _File) -> int:
    """How many characters their file names begin with in common."""
    pairs = zip(one.path.stem, other.path.stem, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _alone(file: _File, body: str, folder: Path) -> Pairing:
    when = tuple(_fixed(file.root, body))
    return Pairing(
        name=_name(file, body, when),
        schema=file.path.relative_to(folder).as_posix(),
        root=_clark(file.namespace, body),
        body=body,
        type=BODIES[body],
        when=when,
    )


def _name(file: _File, body: str, when: tuple[tuple[str, str], ...]) -> str:
    """The body's name; that of a schema for some of its documents only is its file's."""
    return (_NOT_NAME.sub("-", file.path.stem.lower()).strip("-") or body.lower()) if when else body.lower()


def _together(wrapper: _File, file: _File, body: str, files: Sequence[_File], folder: Path) -> Pairing:
    """The folder's own schema that brings the two together, or one that we write."""
    both = [f for f in files if wrapper.path in f.reach and file.path in f.reach]
    both = [f for f in both if not _another(f, wrapper, file, files)]
    if both:
        schema, driver = min(both, key=lambda f: len(f.reach)).path.relative_to(folder).as_posix(), ""
    else:
        schema = f"document-{wrapper.path.stem}-{file.path.stem}.xsd"
        driver = _driver(wrapper, file, folder)
    element = next(w for w in WRAPPERS if w in wrapper.elements)
    when = tuple(_fixed(file.root, body))
    return Pairing(
        name=_name(file, body, when),
        schema=schema,
        root=_clark(wrapper.namespace, element),
        body=body,
        type=BODIES[body],
        driver=driver,
        when=when,
    )


def _another(file: _File, wrapper: _File, body: _File, files: Sequence[_File]) -> bool:
    """True where the file also brings in another schema of the wrapper's or the body's namespace root."""
    names = {*WRAPPERS, *BODIES}
    for other in files:
        if other.path in file.reach and other not in (wrapper, body, file) and names & set(other.elements):
            return other.namespace in (wrapper.namespace, body.namespace)
    return False


def _driver(wrapper: _File, body: _File, folder: Path) -> str:
    imports = "".join(
        f'  <xs:import namespace="{f.namespace}" schemaLocation="{f.path.relative_to(folder).as_posix()}"/>\n'
        for f in (wrapper, body)
    )
    return (
        "<!-- Written when the pack was added: brings the wrapper and the body together. -->\n"
        f'<xs:schema xmlns:xs="{XSD_NS}">\n{imports}</xs:schema>\n'
    )


def _fixed(root: etree._Element, body: str) -> Iterator[tuple[str, str]]:
    """The body's own elements whose named simple type allows one text only."""
    types = {t.get("name"): t for t in root.iterchildren(f"{_XS}simpleType", f"{_XS}complexType")}
    element = next(e for e in root.iterchildren(f"{_XS}element") if e.get("name") == body)
    holder = types.get(_local(element.get("type", "")))
    if holder is None:
        holder = element.find(f"{_XS}complexType")
    sequence = None if holder is None else holder.find(f"{_XS}sequence")
    for child in () if sequence is None else sequence.iterchildren(f"{_XS}element"):
        if child.get("fixed"):
            yield str(child.get("name")), str(child.get("fixed"))
            continue
        type_ = types.get(_local(child.get("type", "")))
        facets = [] if type_ is None else [*type_.iter(f"{_XS}enumeration", f"{_XS}pattern")]
        if len(facets) == 1 and _PLAIN.match(str(facets[0].get("value"))):
            yield str(child.get("name")), str(facets[0].get("value"))


def _named(found: Iterator[Pairing]) -> Iterator[Pairing]:
    """Give pairings names of their own."""
    used: set[str] = set()
    for pairing in sorted(found, key=lambda p: (len(p.when), p.type, p.schema)):
        name, number = pairing.name, 1
        while name in used:
            number += 1
            name = f"{pairing.name}-{number}"
        used.add(name)
        yield msgspec.structs.replace(pairing, name=name)


def _check_distinct(found: Sequence[Pairing]) -> None:
    seen: dict[tuple[str, str, tuple[tuple[str, str], ...]], Pairing] = {}
    for pairing in found:
        key = (pairing.root, pairing.body, pairing.when)
        if key in seen:
            raise ValueError(
                f"{pairing.schema} and {seen[key].schema} describe the same document; "
                "name a folder that holds only one of them"
            )
        seen[key] = pairing


def _clark(namespace: str, local: str) -> str:
    return f"{{{namespace}}}{local}" if namespace else local


def _local(name: str) -> str:
    return name.rpartition(":")[2]
