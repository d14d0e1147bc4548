"""Compares the tables with the originals, read a second time in another way, and the XML with both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from gateway.model.edifact import GroupUse
from gateway.operations.directories.release import Original, open_release
from gateway.syntax.tables import Nodes, Tables, flat, is_composite
from gateway.syntax.tableset import TableSet
from tools.edifact.build import ORIGINALS
from tools.edifact.mend import CUT, within
from tools.edifact.originaltext import Row, rows, table
from tools.edifact.xmlarchive import Copy, Uses, XmlArchive

# What the text of an original says of a structure otherwise than its segment table does, looked at one by
# one: the table is what the standard makes binding.
TEXT_FAULT = "explained: the original's text and its own segment table differ"
CUT_REPEAT = "explained: the XML has five digits of a repeat"
FRAME_FAULT = "explained: a stray corner in the original's frame, which the XML followed"
STRAY = {("D.99B", "BOPBNK")}
LOST_X = "explained: the XML takes an X at the beginning of a code for a mark of deletion"
ADDED = "explained: values that the XML has beyond the original's list"


class Report:
    """What was compared, and each difference with what explains it."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.counts: dict[str, Counter[str]] = {}

    def equal(self, what: str) -> None:
        """One that is the same."""
        self.counts.setdefault(what, Counter())["equal"] += 1

    def differs(self, what: str, where: str, how: str, explanation: str = "") -> None:
        """One that is not; without an explanation it counts as unexplained."""
        kind = "explained" if explanation else "unexplained"
        self.counts.setdefault(what, Counter())[kind] += 1
        self._say(f"{where}: {how}: {explanation or 'unexplained'}")

    def summary(self) -> Iterator[str]:
        """One line for each kind of thing compared."""
        for what, count in self.counts.items():
            told = ", ".join(f"{count[kind]} {kind}" for kind in ("equal", "explained", "unexplained"))
            yield f"{what}: {sum(count.values())} compared, {told}"

    @property
    def unexplained(self) -> int:
        """How many differences nobody has explained."""
        return sum(count["unexplained"] for count in self.counts.values())


def check(source: Path, folder: Path, report: Report) -> None:
    """Compare the tables in ``folder`` with every original in ``source``, and the XML with the tables."""
    tables, archive = TableSet(folder), XmlArchive(source)
    for path in sorted((source / ORIGINALS).glob("*.zip")):
        original = open_release(path.read_bytes())
        ours = tables.tables(original.name)
        _messages(original, ours, report)
        _segments(original, ours, report)
        _codes(original, ours, report)
        _copy(archive.copy(original.name.replace(".", "")), ours, report)


def _flat(nodes: Nodes) -> list[Row]:
    return [
        Row(
            depth,
            node.name if isinstance(node, GroupUse) else node.segment,
            "M" if node.required else "C",
            node.repeat,
        )
        for depth, node in flat(nodes)
    ]


def _messages(original: Original, ours: Tables, report: Report) -> None:
    what = "messages, tables against originals"
    for kind in sorted(original.messages.keys() | ours.messages.keys()):
        where = f"{original.name} {kind}"
        if kind not in original.messages or kind not in ours.messages:
            report.differs(what, where, "one of both does not have it")
            continue
        try:
            second = rows(original.messages[kind])
        except ValueError as error:
            same = [row[1:] for row in _flat(ours.messages[kind])] == list(table(original.messages[kind]))
            report.differs(what, where, str(error), TEXT_FAULT if same else "")
            continue
        mine = _flat(ours.messages[kind])
        if mine == second:
            report.equal(what)
        else:
            pairs = [(a, b) for a, b in zip(mine, second, strict=False) if a != b]
            report.differs(what, where, f"{pairs[:1]}")


def _segments(original: Original, ours: Tables, report: Report) -> None:
    """Segments word for word: composites and formats as the segment file itself writes them out."""
    for tag, lines in _paragraphs(original.segments, 3).items():
        what = "segments, tables against originals"
        if tag not in ours.segments:
            report.differs(what, f"{original.name} {tag}", "not in the tables")
            continue
        told, mine = list(_words(lines)), list(_written(ours, tag))
        if told == mine:
            report.equal(what)
        else:
            first = next(((a, b) for a, b in zip(told, mine, strict=False) if a != b), "length")
            report.differs(what, f"{original.name} {tag}", str(first))


def _paragraphs(text: str, length: int) -> dict[str, list[str]]:
    """Lines between two rules by the first word of ``length`` in the heading."""
    found: dict[str, list[str]] = {}
    for part in text.replace("─", "-").split("-" * 60)[1:]:
        lines = [line for line in part.strip("-\n").splitlines() if line.strip()]
        words = lines[0].strip("+*#|X -").split() if lines else []
        if words and len(words[0]) == length:
            found[words[0]] = lines[1:]
    return found


def _words(lines: list[str]) -> Iterator[tuple[str, str, str]]:
    """(number, status, repeat or format) of every row, told apart by words alone."""
    pending = ""
    for line in lines:
        words = line.split()
        number = next((w for w in words[:3] if len(w) == 4 and w[1:].isdigit()), "")
        if number and (words[0] == number or words[0].isdigit() or words[0] in "+*#|X-"):
            pending = number
        if not pending:
            continue
        tail = words[-3:]
        status = [i for i, word in enumerate(tail) if word in ("M", "C")]
        if not status:
            continue
        rest = tail[status[-1] + 1 :]
        if all(word.isdigit() or word.strip("an.").isdigit() for word in rest):
            yield pending, tail[status[-1]], " ".join(rest)
            pending = ""


def _written(ours: Tables, tag: str) -> Iterator[tuple[str, str, str]]:
    """A segment of ours in the same form."""
    early = ours.name < "D.97" and ours.name[2] == "9"
    for use in ours.segments[tag]:
        form = "" if is_composite(use.code) else ours.elements[use.code]
        repeat = "" if early else str(use.repeat)
        yield use.code, "M" if use.required else "C", f"{repeat} {form}".strip()
        for part in ours.composites.get(use.code, ()):
            yield part.code, "M" if part.required else "C", ours.elements[part.code]


def _codes(original: Original, ours: Tables, report: Report) -> None:
    """Code lists: every value of ours stands at the beginning of a line of its list, and no other could."""
    what = "code lists, tables against originals"
    paragraphs = _paragraphs(original.codes, 4)
    for number, values in ours.codes.items():
        first = set(_first_words(paragraphs.get(number, [])))
        if values <= first:
            report.equal(what)
        else:
            report.differs(what, f"{original.name} {number}", f"{sorted(values - first)[:3]}")


def _first_words(lines: list[str]) -> Iterator[str]:
    """The first word of every line, and the second where the first may be an indicator of change."""
    for line in lines:
        words = line.split()
        yield words[0].lstrip("+*#|") or words[0]
        if len(words) > 1 and not words[0].strip("+*#|X-"):
            yield words[1]


def _copy(copy: Copy, ours: Tables, report: Report) -> None:
    """How the XML differs from the original where both are at hand: the measure of XML alone."""
    what = "messages, XML against originals"
    for kind, nodes in ours.messages.items():
        mine, theirs = _flat(nodes), _flat(copy.messages.get(kind, ()))
        if mine == theirs:
            report.equal(what)
            continue
        cut = len(mine) == len(theirs) and all(
            a == b or (a[:3] == b[:3] and b.repeat >= CUT and str(a.repeat).startswith(str(b.repeat)))
            for a, b in zip(mine, theirs, strict=True)
        )
        stray = (ours.name, kind) in STRAY
        report.differs(
            what, f"{ours.name} {kind}", "XML", CUT_REPEAT if cut else FRAME_FAULT if stray else ""
        )
    for tag, uses in ours.segments.items():
        _copied_segment(ours, tag, uses, copy.segments.get(tag, ()), report)
    for number in sorted(ours.codes.keys() | (copy.codes.keys() & ours.elements.keys())):
        _copied_codes(ours, number, copy.codes.get(number, frozenset()), report)


def _copied_segment(ours: Tables, tag: str, uses: Uses, copied: Uses, report: Report) -> None:
    what, where = "segments, XML against originals", f"{ours.name} {tag}"
    losses = set(_losses(ours, uses, copied))
    if not losses:
        report.equal(what)
        return
    known = losses <= {"a repeat", "components", "a fixed length", "elements"}
    report.differs(
        what,
        where,
        f"lost {', '.join(sorted(losses))}",
        "explained: what the XML is known to lose" if known else "",
    )


def _losses(ours: Tables, uses: Uses, copied: Uses) -> Iterator[str]:
    if len(copied) < len(uses):
        codes = [use.code for use in copied]
        yield "elements" if all(code in [u.code for u in uses] for code in codes) else "more than is known"
        return
    for use, copy in zip(uses, copied, strict=False):
        if (use.code, use.required) != (copy.code, copy.required):
            yield "more than is known"
        if use.repeat != copy.repeat:
            yield "a repeat"
        whole = ours.composites.get(use.code, ())
        if len(copy.components) != len(whole):
            yield "components" if within(copy.components, whole) else "more than is known"
        told = [(part.code, part.format) for part in copy.components] or [(copy.code, copy.format)]
        for number, form in told:
            true = ours.elements.get(number, "")
            if form != true:
                yield "a fixed length" if form.replace("..", "") == true else "more than is known"


def _copied_codes(ours: Tables, number: str, theirs: frozenset[str], report: Report) -> None:
    what, where = "code lists, XML against originals", f"{ours.name} {number}"
    mine = ours.codes.get(number, frozenset())
    if mine == theirs:
        report.equal(what)
        return
    missing, extra = mine - theirs, theirs - mine
    explanation = ""
    if missing and all(value[0] == "X" and value[1:] in theirs for value in missing):
        explanation = LOST_X
    elif not missing and extra:
        explanation = ADDED
    report.differs(what, where, f"missing {_some(missing)}, beyond {_some(extra)}", explanation)


def _some(values: frozenset[str]) -> str:
    return " ".join(sorted(values)[:6]) or "none"
