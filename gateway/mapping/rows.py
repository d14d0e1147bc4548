"""Row tables: documents such as ISO 20022 camt.054 to the Declaration tree and back, by XPath rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from lxml import etree

from gateway.longxml import Odd
from gateway.mapping.iso_dates import to_iso
from gateway.mapping.reading import Reading
from gateway.mapping.row_file import PathRow, RowFile
from gateway.mapping.row_reading import RowReading
from gateway.mapping.row_tree import Levels, Names, sort_tree
from gateway.mapping.tree_rows import Outline
from gateway.model import Declaration, Entity, Kind, Place, Value, parse_pointer
from gateway.safexml import XmlLimits, xpath_of

_NORMAL_ACCOUNT = 4  # an IBAN begins with country and check digits; anything else is another scheme


class RowTable:
    """One document type by rows.  Stateless after construction; any thread may use it."""

    def __init__(self, file: RowFile, outline: Outline) -> None:
        self.name = file.name
        self._file = file
        self._names = Names(file.namespace, file.order)
        assert outline.body.node is not None
        self._node = outline.body.node
        self._known = frozenset(
            path for row in (*file.rows, *file.transaction) for path in row.paths()
        ) | frozenset(file.ignored)

    # -- reading ---------------------------------------------------------------------------------

    def read(self, document: etree._Element, kind: Kind | None = None) -> Reading:
        """The payment confirmation in a document whose signature is already removed.

        A notification for another account than the first one's is an error: one message, one account.
        """
        reading = RowReading(self._file, self._names, self._known)
        root = reading.read(document)
        findings = tuple(reading.findings)
        if root is None:
            return Reading(findings=findings)
        return Reading((Declaration(self._file.kind, sort_tree(root, self._node)),), findings)

    def read_long(
        self, pieces: Iterable[bytes], limits: XmlLimits, schema: etree.XMLSchema, folder: Path
    ) -> Reading:
        """Nothing is read so: a value may be taken from anywhere in the document.  Raises longxml.Odd."""
        raise Odd(self.name)

    def locator_long(
        self, pieces: Iterable[bytes], limits: XmlLimits, pointers: Iterable[str]
    ) -> Callable[[str], Place]:
        """Likewise."""
        raise Odd(self.name)

    def locate(self, document: etree._Element, pointer: str) -> Place:
        """Where the value or class at ``pointer`` came from; else the nearest class around it.

        Raises ValueError on a text that is no pointer.
        """
        return self.locator(document)(pointer)

    def locator(self, document: etree._Element) -> Callable[[str], Place]:
        """The same for many pointers into one document: it is read again once, when first asked."""
        read: list[RowReading] = []

        def locate(pointer: str) -> Place:
            steps = parse_pointer(pointer)
            if not read:
                read.append(RowReading(self._file, self._names, self._known))
                read[0].read(document)
            here = document
            path = ""
            for step in steps[1:]:
                path = f"{path}/{step.name}" + (f"[{step.occurrence}]" if step.occurrence > 1 else "")
                here = read[0].marks.get(path.lstrip("/"), here)
            return Place(xpath=xpath_of(here), line=int(here.sourceline or 0), pointer=pointer)

        return locate

    def pointer_codes(self, pointer: str) -> list[tuple[str, int, str]]:
        """No WCO codes: a bank knows the document by its own names."""
        parse_pointer(pointer)
        return []

    def pointer_of(self, codes: Sequence[tuple[str, int, str]]) -> str:
        """The opposite of :meth:`pointer_codes`: none."""
        return ""

    # -- writing ---------------------------------------------------------------------------------

    def write(self, tree: Declaration | Entity, header: Entity | None = None) -> etree._Element:
        """The whole document.  Raises ValueError naming every value that no row can carry."""
        root = tree.root if isinstance(tree, Declaration) else tree
        lost: list[str] = []
        document, body = self._names.document(self._file.document)
        notification = etree.SubElement(body, self._names.tag("Ntfctn"))
        levels: Levels = {"GrpHdr": None, "Ntfctn": notification, "": body}
        used: set[int] = set()
        for row in self._file.rows:
            self._write_row(row, root, levels, used, lost, root.name)
        for number, entity in enumerate(root.each(self._file.each), 1):
            entry = etree.SubElement(notification, self._names.tag("Ntry"))
            inner: Levels = {**levels, "Ntry": entry, "TxDtls": None}
            for row in self._file.transaction:
                path = f"{root.name}/{self._file.each}[{number}]"
                self._write_row(row, entity, inner, used, lost, path)
            for path, text in self._file.constant.items():
                self._names.put(inner, path).text = text
        lost.extend(_unwritten(root, used, root.name))
        if lost:
            raise ValueError(f"{self.name} has no place for {', '.join(lost)}")
        self._names.sort(document)
        return document

    def _write_row(
        self, row: PathRow, entity: Entity, levels: Levels, used: set[int], lost: list[str], path: str
    ) -> None:
        values = list(_values(entity, row.wco, row.as_ == "each"))
        for value in values:
            used.add(id(value))
            where = f"{path}/{row.wco}"
            carried = {name for name, _ in value.attributes} - {"currencyID", "formatCode"}
            lost.extend(f"{where}/@{name}" for name in sorted(carried))
            if row.value:
                if value.text != row.value:
                    lost.append(where)
            elif not self._write_value(row, value, levels):
                lost.append(where)

    def _write_value(self, row: PathRow, value: Value, levels: Levels) -> bool:
        text = value.text
        targets = row.targets()
        if row.max and len(text) > row.max:
            return False
        if row.as_ == "datetime":
            iso = to_iso(text, value.attribute("formatCode"))
            wanted = "Dt" if value.attribute("formatCode") == "102" else "DtTm"
            targets = [t for t in row.from_ if t.endswith(f"/{wanted}")][:1] or [
                t for t in targets if wanted == "DtTm" and t.endswith("DtTm")
            ]
            if iso is None or not targets:
                return False
            text = iso
        elif row.as_ == "account":
            iban = text[:2].isalpha() and text[2:_NORMAL_ACCOUNT].isdigit()
            targets = [row.from_[0] if iban else row.from_[-1]]
        elif row.as_ == "direction":
            back = {wco: own for own, wco in self._file.codes["direction"].items()}
            text, _, flag = back.get(text, "").partition("/")
            if not text:
                return False
            if flag:
                self._names.put(levels, row.flag).text = "true"
        for target in targets:
            element = self._names.put(levels, target, fresh=row.as_ == "each")
            if element.text is not None and element.text != text:
                return False
            element.text = text
            if row.as_ == "amount":
                element.set("Ccy", value.attribute("currencyID"))
        return True


def _values(entity: Entity, path: str, every: bool) -> Iterator[Value]:
    head, _, leaf = path.rpartition("/")
    if every:
        holders: list[Entity] = list(entity.each(head))
    else:
        holder = entity.entity(head) if head else entity
        holders = [] if holder is None else [holder]
    for each in holders:
        value = each.value(leaf)
        if value is not None:
            yield value


def _unwritten(entity: Entity, used: set[int], path: str) -> Iterator[str]:
    for value in entity.values:
        if id(value) not in used:
            yield f"{path}/{value.name}"
    counts: dict[str, int] = {}
    for child in entity.entities:
        number = counts[child.name] = counts.get(child.name, 0) + 1
        yield from _unwritten(child, used, f"{path}/{child.name}" + (f"[{number}]" if number > 1 else ""))
