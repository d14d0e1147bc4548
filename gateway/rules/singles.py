"""Checks that look at one text at a time: is it there, of the right form, in the list."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar

from msgspec import Meta

from gateway.model import Severity, Value
from gateway.rules.codes import CodeList
from gateway.rules.identifiers import IDENTIFIERS, Defect
from gateway.rules.judgement import Here, Judgement
from gateway.rules.plan import Site, Test
from gateway.rules.row import (
    AttributePath,
    Paths,
    Row,
    ValuePath,
    attribute_of,
    bad_pattern,
    no_list,
    texts_at,
)


class Required(Row, frozen=True, kw_only=True):
    """The element is there and holds text, in every occurrence of every class on its path.

    Or, with ``any_of``: at least one of the elements is there.
    """

    CODES: ClassVar[tuple[str, ...]] = ("RUL001",)

    path: ValuePath | None = None
    any_of: tuple[ValuePath, ...] = ()

    def broken(self, lists: Mapping[str, CodeList]) -> Iterator[str]:
        yield from super().broken(lists)
        if (self.path is None) is not bool(self.any_of):
            yield "one of path and any_of has to be given"

    def lay(self, site: Site, lists: Mapping[str, CodeList]) -> None:
        """Lay the rule into the plan."""
        if self.path is not None:
            site.require(self, self.path)
            return

        def cross(judgement: Judgement, here: Here) -> None:
            for path in self.any_of:
                if any(text and not text.isspace() for text in texts_at(here[1], path)):
                    return
            expected = " | ".join(self.any_of)
            judgement.tell(self, here, self.any_of[0], expected=expected, found="")

        site.cross(cross)


class Forbidden(Row, frozen=True, kw_only=True):
    """The element is not there (where the conditions hold)."""

    CODES: ClassVar[tuple[str, ...]] = ("RUL003",)

    paths: Paths

    def lay(self, site: Site, lists: Mapping[str, CodeList]) -> None:
        """Lay the rule into the plan."""

        def test(judgement: Judgement, value: Value, here: Here) -> None:
            judgement.tell(self, here, value, expected="-", found=value.text)

        for path in self.paths:
            site.test(path, test)


class Coded(Row, frozen=True, kw_only=True):
    """The text, an attribute of it (``Path@unitCode``) or a slice of it is a code of a list and valid.

    ``list`` names a list of ``mappings/codes``, ``codes`` gives a short one.  ``slice``: from, to (as
    Python counts).  A code whose period is over or has not begun is told as RUL021.
    """

    CODES: ClassVar[tuple[str, ...]] = ("RUL020", "RUL021")

    paths: Annotated[tuple[AttributePath, ...], Meta(min_length=1)]
    list: str = ""
    one_of: tuple[str, ...] = ()
    slice: tuple[int, int] | None = None

    def broken(self, lists: Mapping[str, CodeList]) -> Iterator[str]:
        yield from super().broken(lists)
        yield from no_list(self.list, lists)
        if bool(self.list) is bool(self.one_of):
            yield "one of list and one_of has to be given"

    def lay(self, site: Site, lists: Mapping[str, CodeList]) -> None:
        """Lay the rule into the plan."""
        for path in self.paths:
            element, _, attribute = path.partition("@")
            site.test(element, self._test(attribute, lists.get(self.list)))

    def _test(self, attribute: str, known: CodeList | None) -> Test:
        always = known.always if known else frozenset(self.one_of)
        part = slice(*self.slice) if self.slice else slice(None)

        def test(judgement: Judgement, value: Value, here: Here) -> None:
            text = attribute_of(value, attribute) if attribute else value.text
            if text[part] in always or (attribute and not text):
                return
            period = known.periods.get(text[part]) if known else None
            if period is None:
                expected = known.told if known else " | ".join(self.one_of)
                judgement.tell(self, here, value, expected=expected, found=text)
            elif not period.start <= judgement.today() <= period.end:
                expected = f"{period.start}..{period.end}"
                judgement.tell(self, here, value, expected=expected, found=text, code="RUL021")

        return test


class Identifier(Row, frozen=True, kw_only=True):
    """The text is a number of the ``type`` (see identifiers.IDENTIFIERS).

    ``severity`` is that of a wrong form; ``check_severity`` that of a wrong check digit or a range that
    nobody is given numbers from: by default the same.
    """

    CODES: ClassVar[tuple[str, ...]] = ("RUL030", "RUL031", "RUL032")

    paths: Paths
    type: str
    check_severity: Severity | None = None

    def broken(self, lists: Mapping[str, CodeList]) -> Iterator[str]:
        yield from super().broken(lists)
        if self.type not in IDENTIFIERS:
            yield f"there is no identifier {self.type}; there are {', '.join(IDENTIFIERS)}"

    def lay(self, site: Site, lists: Mapping[str, CodeList]) -> None:
        """Lay the rule into the plan."""
        check = IDENTIFIERS[self.type]
        told = {
            Defect.FORMAT: (self.main, self.severity),
            Defect.CHECK: ("RUL031", self.check_severity),
            Defect.RANGE: ("RUL032", self.check_severity),
        }

        def test(judgement: Judgement, value: Value, here: Here) -> None:
            fault = check(value.text)
            if fault is not None:
                code, severity = told[fault.defect]
                found = value.text if fault.defect is Defect.FORMAT else f"{fault.found} ({value.text})"
                judgement.tell(
                    self, here, value, expected=fault.expected, found=found, code=code, severity=severity
                )

        for path in self.paths:
            site.test(path, test)


class Pattern(Row, frozen=True, kw_only=True):
    """The whole text matches the regular expression; ``format`` says so in WCO notation (``n8``)."""

    CODES: ClassVar[tuple[str, ...]] = ("RUL030",)

    paths: Paths
    pattern: str
    format: str

    def broken(self, lists: Mapping[str, CodeList]) -> Iterator[str]:
        yield from super().broken(lists)
        yield from bad_pattern(self.pattern)

    def lay(self, site: Site, lists: Mapping[str, CodeList]) -> None:
        """Lay the rule into the plan."""
        matches = re.compile(self.pattern).fullmatch

        def test(judgement: Judgement, value: Value, here: Here) -> None:
            if matches(value.text) is None:
                judgement.tell(self, here, value, expected=self.format, found=value.text)

        for path in self.paths:
            site.test(path, test)
