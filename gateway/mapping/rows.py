"""Row tables: documents such as ISO 20022 camt.054 to the Declaration tree and back, by XPath rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation

from lxml import etree

from gateway.mapping.iso_dates import from_iso, to_iso
from gateway.mapping.reading import Reading
from gateway.mapping.references import find_reference, is_reference
from gateway.mapping.row_file import PathRow, RowFile
from gateway.mapping.row_tree import Draft, Levels, Names, sort_tree
from gateway.mapping.tree_rows import Outline
from gateway.model import Declaration, Entity, Finding, Kind, Place, Severity, Value, parse_pointer
from gateway.safexml import xpath_of

# ISO 20022: the reference that a payer's bank writes where the payer gave none.
NOT_PROVIDED = frozenset(("NOTPROVIDED", "NOTPROVDED"))
_COPIES = frozenset(("COPY", "DUPL"))
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
        reading = _RowReading(self._file, self._names, self._known)
        root = reading.read(document)
        findings = tuple(reading.findings)
        if root is None:
            return Reading(findings=findings)
        return Reading((Declaration(self._file.kind, sort_tree(root, self._node)),), findings)

    def locate(self, document: etree._Element, pointer: str) -> Place:
        """Where the value or class at ``pointer`` came from; else the nearest class around it.

        Raises ValueError on a text that is no pointer.
        """
        steps = parse_pointer(pointer)
        reading = _RowReading(self._file, self._names, self._known)
        reading.read(document)
        here = document
        path = ""
        for step in steps[1:]:
            path = f"{path}/{step.name}" + (f"[{step.occurrence}]" if step.occurrence > 1 else "")
            here = reading.marks.get(path.lstrip("/"), here)
        return Place(xpath=xpath_of(here), line=int(here.sourceline or 0), pointer=pointer)

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


class _RowReading:
    """One reading; ``marks``: path below the root to the element that it came from."""

    def __init__(self, file: RowFile, names: Names, known: frozenset[str]) -> None:
        self.file = file
        self.names = names
        self.known = known
        self.findings: list[Finding] = []
        self.marks: dict[str, etree._Element] = {}

    def read(self, document: etree._Element) -> Entity | None:
        body = self.names.body(document, self.file.document)
        if body is None:
            self.report("MAP027", document, self.file.document, str(document.tag), Severity.ERROR)
            return None
        find = self.names.find
        notifications = find(body, "Ntfctn")
        first = notifications[0] if notifications else None
        levels: Levels = {"": body, "GrpHdr": body, "Ntfctn": first}
        draft = Draft(self.file.root)
        for row in self.file.rows:
            self.row(row, levels, draft, "", True, 1)
        number = 0
        account = draft.text("Bank/ID")
        for notification in notifications:
            levels = {"": body, "GrpHdr": body, "Ntfctn": notification}
            if not self.same(levels, account, notification):
                continue
            for transaction, single, index in self.transactions(notification):
                number += 1
                path = self.file.each + (f"[{number}]" if number > 1 else "")
                entry, detail = transaction["Ntry"], transaction["TxDtls"]
                self.marks[path] = notification if entry is None else entry if detail is None else detail
                each = draft.append(self.file.each)
                for row in self.file.transaction:
                    self.row(row, {**levels, **transaction}, each, path + "/", single, index)
        self.unknown(body, "")
        return draft.freeze()

    def same(self, levels: Levels, account: str, notification: etree._Element) -> bool:
        """False for a copy, and for another account than the first notification's."""
        copies = self.names.at(levels, "Ntfctn/CpyDplctInd")
        if copies and (copies[0].text or "") in _COPIES:
            self.report("MAP025", copies[0], "", copies[0].text or "")
            return False
        row = next((r for r in self.file.rows if r.as_ == "account"), None)
        own = Draft(self.file.root)
        if row is not None:
            self.row(row, levels, own, None, True, 1)
        if own.text("Bank/ID") == account:
            return True
        self.report("MAP021", notification, account, own.text("Bank/ID"), Severity.ERROR)
        return False

    def transactions(self, notification: etree._Element) -> Iterator[tuple[Levels, bool, int]]:
        """Each transaction, whether its entry is a single one, and its number in the entry."""
        find = self.names.find
        for entry in find(notification, "Ntry"):
            details = [d for block in find(entry, "NtryDtls") for d in find(block, "TxDtls")]
            self.weigh(entry, details)
            if not details:
                yield {"Ntry": entry, "TxDtls": None}, True, 1
            for index, detail in enumerate(details, 1):
                yield {"Ntry": entry, "TxDtls": detail}, len(details) == 1, index

    def weigh(self, entry: etree._Element, details: list[etree._Element]) -> None:
        """A batch has details, and they add up to the entry."""
        find = self.names.find
        counts = [n for b in find(entry, "NtryDtls") for t in find(b, "Btch") for n in find(t, "NbOfTxs")]
        if not details:
            if any((n.text or "1").strip() != "1" for n in counts):
                self.report("MAP022", entry, "TxDtls", counts[0].text or "")
            return
        amounts = [a for d in details for a in find(d, "Amt")]
        total = find(entry, "Amt")
        one_currency = len({a.get("Ccy") for a in (*amounts, *total)}) == 1
        if len(amounts) == len(details) and total and one_currency:
            added, stated = _sum(amounts), _sum(total)
            if added is not None and added != stated:
                self.report("MAP023", total[0], str(stated), str(added))

    def row(
        self, row: PathRow, levels: Levels, draft: Draft, path: str | None, single: bool, index: int
    ) -> None:
        if row.value:
            draft.set(row.wco, row.value, ())
            return
        found = self.candidates(row, levels, single)
        if row.as_ == "each":
            head, _, leaf = row.wco.rpartition("/")
            for number, (_, element) in enumerate(found, 1):
                if text := (element.text or "").strip():
                    draft.append(head).set(leaf, text, ())
                    if path is not None:
                        where = f"{path}{head}" + (f"[{number}]" if number > 1 else "")
                        self.marks.setdefault(where, element)
            return
        source, text, attributes = self.choose(row, found, levels)
        if source is None or not text:
            return
        if not single and row.numbered and any(e is source and p in row.numbered for p, e in found):
            text = f"{text}/{index}"
        draft.set(row.wco, text, attributes)
        if path is not None:
            self.marks[f"{path}{row.wco}"] = source

    def candidates(self, row: PathRow, levels: Levels, single: bool) -> list[tuple[str, etree._Element]]:
        found: list[tuple[str, etree._Element]] = []
        for path in row.from_:
            if single or path not in row.single:
                found.extend((path, e) for e in self.names.at(levels, path))
        return found

    def choose(
        self, row: PathRow, found: list[tuple[str, etree._Element]], levels: Levels
    ) -> tuple[etree._Element | None, str, tuple[tuple[str, str], ...]]:
        texts = [(e, (e.text or "").strip()) for _, e in found]
        if row.as_ == "reference":
            return (*self.reference(row, texts, levels), ())
        for element, text in texts:
            if not text:
                continue
            if row.as_ == "datetime":
                date = from_iso(text)
                if date is None:
                    self.report("MAP013", element, "YYYY-MM-DDThh:mm:ss+hh:00", text)
                    continue
                return element, date[0], (("formatCode", date[1]),)
            if row.as_ == "amount":
                currency = element.get("Ccy") or ""
                return element, text, (("currencyID", currency),) if currency else ()
            if row.as_ == "direction":
                flags = self.names.at(levels, row.flag)
                reversal = bool(flags) and (flags[0].text or "").strip() in ("true", "1")
                return element, self.direction(element, f"{text}/R" if reversal else text), ()
            return element, text, ()
        return None, "", ()

    def direction(self, element: etree._Element, key: str) -> str:
        code = self.file.codes["direction"].get(key, "")
        if not code:
            self.report("MAP004", element, " ".join(self.file.codes["direction"]), key, Severity.ERROR)
        return code

    def reference(
        self, row: PathRow, texts: list[tuple[etree._Element, str]], levels: Levels
    ) -> tuple[etree._Element | None, str]:
        """A creditor reference wherever it stands; else the first reference in order."""
        given = [(e, t) for e, t in texts if t and t not in NOT_PROVIDED]
        for element, text in given:
            if is_reference("".join(text.split()).upper()):
                return element, "".join(text.split()).upper()
        for path in row.free:
            for element in self.names.at(levels, path):
                if reference := find_reference(element.text or ""):
                    return element, reference
        return given[0] if given else (None, "")

    def unknown(self, element: etree._Element, path: str) -> None:
        """Report every leaf that no row and no exemption speaks of."""
        for child in element:
            if not isinstance(child.tag, str):
                continue
            name = self.names.local(child)
            here = name if name in ("Ntfctn", "Ntry", "TxDtls") else f"{path}/{name}".lstrip("/")
            if self.covered(here):
                continue
            if len(child):
                self.unknown(child, here)
            elif (child.text or "").strip():
                self.report("MAP020", child, "", (child.text or "").strip()[:70])

    def covered(self, path: str) -> bool:
        steps = path.split("/")
        return any("/".join(steps[:n]) in self.known for n in range(1, len(steps) + 1))

    def report(
        self,
        code: str,
        element: etree._Element,
        expected: str,
        found: str,
        severity: Severity = Severity.WARNING,
    ) -> None:
        place = Place(xpath=xpath_of(element), line=int(element.sourceline or 0))
        self.findings.append(Finding(code, place, expected, found, severity))


def _sum(elements: list[etree._Element]) -> Decimal | None:
    try:
        return sum((Decimal((e.text or "").strip()) for e in elements), Decimal(0))
    except InvalidOperation:
        return None


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
