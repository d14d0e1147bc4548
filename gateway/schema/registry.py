"""The schema registry: packs of XSDs, which entry a document belongs to, and the verdict on it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
from lxml import etree
from msgspec.structs import replace

from gateway.model import Finding, Kind, Place
from gateway.safexml import xpath_of
from gateway.schema import verdicts
from gateway.schema.grammar import MAX_FINDINGS, Grammar, bounded


class SchemaEntry(msgspec.Struct, frozen=True):
    """One kind of document and the schema it must keep; a row of a ``pack.toml``.

    ``type``: the message type (IM, CRI, camt.054).  ``kind``: the declaration's kind, None where the
    mapping table tells it.  ``schema``: the entry XSD, relative to the pack.  ``root``, ``namespace``:
    the document's root.  ``type_names``: WCOTypeName; ``customizations``:
    AgencyAssignedCustomizationCode; empty for any.  ``when``: texts that must stand at paths of
    local names below the root.  ``body``: a class that the root must hold.  ``table``: the mapping
    table.  ``reference``: the path of the sender's own reference.
    """

    name: str
    type: str
    schema: str
    root: str
    namespace: str
    table: str
    kind: Kind | None = None
    type_names: tuple[str, ...] = ()
    customizations: tuple[str, ...] = ()
    when: dict[str, str] = {}
    body: str = ""
    reference: str = ""
    pack: str = ""


class Pack(msgspec.Struct, frozen=True):
    """A ``pack.toml``."""

    name: str
    entry: tuple[SchemaEntry, ...]


class Schemas:
    """Every schema in use.  Frozen after ``load``; any thread may find and validate."""

    def __init__(self, entries: Iterable[SchemaEntry], grammars: Mapping[tuple[str, str], Grammar]) -> None:
        self._grammars = dict(grammars)
        self._by_root: dict[str, list[SchemaEntry]] = {}
        for entry in entries:
            tag = f"{{{entry.namespace}}}{entry.root}" if entry.namespace else entry.root
            self._by_root.setdefault(tag, []).append(entry)
        for candidates in self._by_root.values():
            candidates.sort(key=_conditions, reverse=True)

    @classmethod
    def load(cls, folders: Sequence[Path], *, explain_at_once: bool = False) -> Schemas:
        """Compile the packs.

        ``explain_at_once``: also prepare the explaining engine (about a second for a large schema),
        which else waits for the first document that fails.  Raises ValueError naming every broken
        pack, entry and schema.
        """
        broken: list[str] = []
        entries: list[SchemaEntry] = []
        grammars: dict[tuple[str, str], Grammar] = {}
        for folder in folders:
            try:
                pack = _read_pack(folder / "pack.toml")
            except ValueError as error:
                broken.append(str(error))
                continue
            for entry in pack.entry:
                entries.append(msgspec.structs.replace(entry, pack=pack.name))
                key = (pack.name, entry.schema)
                if key not in grammars:
                    try:
                        grammars[key] = Grammar.load(folder / entry.schema, folder)
                    except ValueError as error:
                        broken.append(f"{pack.name}/{entry.name}: {error}")
        broken.extend(_ambiguous(entries))
        if broken:
            raise ValueError("; ".join(broken))
        if explain_at_once:
            for grammar in grammars.values():
                grammar.prepare()
        return cls(entries, grammars)

    def entries(self) -> tuple[SchemaEntry, ...]:
        """Every entry, for listings."""
        return tuple(e for candidates in self._by_root.values() for e in candidates)

    def find(self, document: etree._Element) -> SchemaEntry | None:
        """The entry for a document by its root, namespace, WCOTypeName and customization, or None.

        Of several, the one with most conditions; never by prefix or schemaLocation.
        """
        candidates = self._by_root.get(str(document.tag), ())
        if not candidates:
            return None
        type_name = _text_at(document, "WCOTypeName")
        customization = _text_at(document, "AgencyAssignedCustomizationCode")
        for entry in candidates:
            if entry.type_names and type_name not in entry.type_names:
                continue
            if entry.customizations and customization not in entry.customizations:
                continue
            if entry.body and next(document.iterchildren(f"{{*}}{entry.body}"), None) is None:
                continue
            if all(_text_at(document, path) == text for path, text in entry.when.items()):
                return entry
        return None

    def unknown(self, document: etree._Element) -> Finding:
        """What to tell the sender of a document that no entry is for."""
        tag = str(document.tag)
        place = Place(xpath=xpath_of(document), line=document.sourceline or 0)
        candidates = self._by_root.get(tag)
        if candidates is None:
            return Finding("XML020", place, " or ".join(sorted(self._by_root)), tag)
        names = sorted({name for e in candidates for name in e.type_names})
        found = _text_at(document, "WCOTypeName")
        place = Place(xpath=f"{place.xpath}/WCOTypeName", line=place.line)
        return Finding("XML036", place, ", ".join(names), found)

    def reference(self, document: etree._Element, entry: SchemaEntry) -> str:
        """The sender's own reference in the document, or ""."""
        return _text_at(document, entry.reference) if entry.reference else ""

    def validate(self, document: etree._Element, entry: SchemaEntry) -> tuple[Finding, ...]:
        """Every way in which the document breaks its schema, at most MAX_FINDINGS; () where it is valid."""
        return self._grammars[entry.pack, entry.schema].judge(document)

    def schema(self, entry: SchemaEntry) -> etree.XMLSchema:
        """The entry's own, for a document that is judged while it is parsed; of this thread."""
        return self._grammars[entry.pack, entry.schema].schema()

    def told(self, log: Iterable[etree._LogEntry], lines: Iterable[int]) -> tuple[Finding, ...]:
        """As `validate`, of what such a parser said, and on which lines."""
        found = zip(verdicts.findings(log, None, MAX_FINDINGS + 1), lines, strict=False)
        return bounded(replace(finding, place=Place(line=line)) for finding, line in found)


def _read_pack(path: Path) -> Pack:
    if not path.is_file():
        raise ValueError(f"{path.parent.name}: has no pack.toml; add the folder with `cvan schema add`")
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Pack)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ValueError(f"{path.parent.name}/pack.toml: {error}") from error


def _conditions(entry: SchemaEntry) -> int:
    return len(entry.when) + bool(entry.type_names) + bool(entry.customizations) + bool(entry.body)


def _ambiguous(entries: Sequence[SchemaEntry]) -> list[str]:
    """Entries that nothing tells apart."""
    seen: dict[tuple[object, ...], str] = {}
    broken = []
    for entry in entries:
        for type_name in entry.type_names or ("",):
            for customization in entry.customizations or ("",):
                when = tuple(sorted(entry.when.items()))
                key = (entry.root, entry.namespace, entry.body, type_name, customization, when)
                name = f"{entry.pack}/{entry.name}"
                if key in seen:
                    broken.append(f"{name} and {seen[key]} are for the same documents; name what differs")
                seen[key] = name
    return broken


def _text_at(document: etree._Element, path: str) -> str:
    """The text at a path of local names; a date-time's is inside its child."""
    here = document
    for name in path.split("/"):
        found = next(here.iterchildren(f"{{*}}{name}"), None)
        if found is None:
            return ""
        here = found
    return (here.text or "").strip()


__all__ = ["MAX_FINDINGS", "Pack", "SchemaEntry", "Schemas"]
