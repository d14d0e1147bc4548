"""Findings: what is wrong, exactly where, what was expected and what was found."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path

import msgspec


class Severity(StrEnum):
    """An error rejects the message; a warning and a note travel with an acceptance."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Place(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a finding is; only the fields that the syntax knows are set.

    EDIFACT: ``message`` (0062 or 0020), ``segment`` (from 1 at UNH inside a message, as CONTRL 0096
    counts; 0 for the interchange envelope), ``tag``, ``group`` (``SG7[3]/SG8[1]``), ``element``
    (1 = first after the tag), ``component`` (from 1; 0 for a stand-alone element), ``repetition``
    (from 1; 0 where none), ``offset`` (octets from the start of the interchange; -1 unknown).
    XML: ``xpath`` (absolute, local names, indexed), ``line`` (from 1).
    Any syntax: ``pointer`` into the Declaration; ``part`` (a header, a MIME part, a signature).
    """

    message: str = ""
    segment: int = 0
    tag: str = ""
    group: str = ""
    element: int = 0
    component: int = 0
    repetition: int = 0
    offset: int = -1
    xpath: str = ""
    line: int = 0
    column: int = 0
    pointer: str = ""
    part: str = ""


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """One defect.  ``code`` is ours, at most 8 characters (it fits WCO 377 and EDIFACT 9321)."""

    code: str
    place: Place = Place()
    expected: str = ""
    found: str = ""
    severity: Severity = Severity.ERROR


class Meaning(msgspec.Struct, frozen=True):
    """What a finding's code means: texts and how other syntaxes say it.

    ``text``, ``text_vi``: one sentence, with ``{expected}`` and ``{found}`` where they belong.
    ``remedy``, ``remedy_vi``: what the sender can do.  ``contrl``: EDIFACT 0085 code, or "".
    ``expected_vi``, ``found_vi``: what findings of this code say as expected and found in words of ours, not the
    sender's, and how that is said in Vietnamese; ``{}`` stands for what differs: ``"at most {} ids" = "tối đa {} mã"``.
    """

    text: str
    text_vi: str
    remedy: str = ""
    remedy_vi: str = ""
    contrl: str = ""
    expected_vi: Mapping[str, str] = {}
    found_vi: Mapping[str, str] = {}


class Catalogue(msgspec.Struct, frozen=True):
    """Every finding's code and its meaning, from ``mappings/findings/*.toml``."""

    meanings: Mapping[str, Meaning]

    def say(self, finding: Finding, language: str = "en") -> str:
        """The finding's sentence and remedy in ``en`` or ``vi``; the bare code where it is unknown."""
        meaning = self.meanings.get(finding.code)
        if meaning is None:
            return finding.code
        text, remedy, expected, found = meaning.text, meaning.remedy, finding.expected, finding.found
        if language == "vi":
            text, remedy = meaning.text_vi, meaning.remedy_vi
            expected, found = worded(expected, meaning.expected_vi), worded(found, meaning.found_vi)
        text = text.replace("{expected}", expected).replace("{found}", found)
        return f"{text} {remedy}".strip()


def load_catalogue(folder: Path) -> Catalogue:
    """Read every ``*.toml`` of the folder.

    Raises ValueError naming every broken or doubled code: a catalogue is checked whole.
    """
    meanings: dict[str, Meaning] = {}
    broken: list[str] = []
    for path in sorted(folder.glob("*.toml")):
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        for code, row in table.items():
            if code in meanings or len(code) > 8 or not code.isalnum():
                broken.append(f"{path.name}: {code}: doubled, longer than 8 characters or not alphanumeric")
                continue
            try:
                meanings[code] = msgspec.convert(row, Meaning)
            except msgspec.ValidationError as error:
                broken.append(f"{path.name}: {code}: {error}")
                continue
            words = (*meanings[code].expected_vi.items(), *meanings[code].found_vi.items())
            wrong = [ours for ours, said in words if not _alike(ours, said)]
            broken += [f"{path.name}: {code}: {ours}: not as many {{}} in both languages" for ours in wrong]
    if broken:
        raise ValueError("; ".join(broken))
    return Catalogue(meanings)


def worded(text: str, words: Mapping[str, str]) -> str:
    """A text in another language, as far as ``words`` has it: whole, or by the first pattern with ``{}`` that it
    fits, what stood for a ``{}`` in its turn.  What ``words`` does not have stays as it is."""
    if text in words:
        return words[text]
    for pattern, said in words.items():
        if HOLE in pattern and (fitting := _fitting(pattern).fullmatch(text)):
            return said.format(*(worded(part, words) for part in fitting.groups()))
    return text


HOLE = "{}"


@cache
def _fitting(pattern: str) -> re.Pattern[str]:
    return re.compile("(.+)".join(map(re.escape, pattern.split(HOLE))), re.DOTALL)


def _alike(pattern: str, said: str) -> bool:
    """Whether two wordings have as many holes, and something around them."""
    try:
        filled = said.format(*[""] * pattern.count(HOLE))
    except (IndexError, KeyError, ValueError):
        return False
    return bool(filled) and said.count(HOLE) == pattern.count(HOLE) and pattern != HOLE


def worst(findings: Iterable[Finding]) -> bool:
    """True where any finding is an error."""
    return any(f.severity is Severity.ERROR for f in findings)
