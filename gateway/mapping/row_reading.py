"""Reads a document by the rows of its table."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation

from lxml import etree

from gateway.mapping.iso_dates import from_iso
from gateway.mapping.references import find_reference, is_reference
from gateway.mapping.row_file import PathRow, RowFile
from gateway.mapping.row_tree import Draft, Levels, Names
from gateway.model import Entity, Finding, Place, Severity
from gateway.safexml import xpath_of

# ISO 20022: the reference that a payer's bank writes where the payer gave none.
NOT_PROVIDED = frozenset(("NOTPROVIDED", "NOTPROVDED"))
_COPIES = frozenset(("COPY", "DUPL"))


class RowReading:
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
