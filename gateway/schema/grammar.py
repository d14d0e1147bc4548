"""One compiled schema: lxml decides, xmlschema explains only what lxml refused."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import xmlschema
from lxml import etree

from gateway.model import Finding, Place, Severity
from gateway.schema import explain, verdicts
from gateway.schema.files import closure, parse

# A sender mends the first fifty and files again; each costs a line in the receipt.
MAX_FINDINGS = 50
# The explaining engine costs 60 times the deciding one: a second for 100,000 elements.  Above this the
# deciding engine's own words must do.
MAX_EXPLAINED_ELEMENTS = 100_000

_SIZE = etree.XPath("count(//*)")


def bounded(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """At most MAX_FINDINGS and a note of more."""
    told = list(islice(found, MAX_FINDINGS + 1))
    if len(told) > MAX_FINDINGS:
        told[MAX_FINDINGS:] = [Finding("XML035", Place(), str(MAX_FINDINGS), severity=Severity.NOTE)]
    return tuple(told)


class Grammar:
    """A schema file and what it refers to, compiled.

    lxml's schema keeps its error log in itself, so each thread has its own (compiling: some ms);
    the explaining engine is made once, at the first failure, and used by one thread at a time.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mine = threading.local()
        self._turn = threading.Lock()
        self._engine: xmlschema.XMLSchema10 | None = None

    @classmethod
    def load(cls, path: Path, folder: Path) -> Grammar:
        """Check that the schema and all it refers to is in the folder, and compile it.

        Raises ValueError saying which file and line is at fault.
        """
        files = closure(path, folder)
        grammar = cls(files[0])
        grammar.schema()
        return grammar

    def prepare(self) -> None:
        """Make the explaining engine now (about a second for a large schema)."""
        with self._turn:
            self._explainer()

    def judge(self, document: etree._Element) -> tuple[Finding, ...]:
        """() where the document is valid; else what is wrong, at most MAX_FINDINGS and a note of more."""
        schema = self.schema()
        if schema.validate(document):
            return ()
        told: list[Finding] = []
        if float(str(_SIZE(document))) <= MAX_EXPLAINED_ELEMENTS:
            told = self._explain(document)
        return bounded(told or verdicts.findings(schema.error_log, document, MAX_FINDINGS + 1))

    def schema(self) -> etree.XMLSchema:
        """The deciding engine's, this thread's own."""
        schema: etree.XMLSchema | None = getattr(self._mine, "schema", None)
        if schema is None:
            try:
                schema = etree.XMLSchema(parse(self.path))
            except etree.XMLSchemaParseError as error:
                raise ValueError(f"{self.path.name}: {error}") from error
            self._mine.schema = schema
        return schema

    def _explain(self, document: etree._Element) -> list[Finding]:
        with self._turn:
            errors = self._explainer().iter_errors(
                document,  # type: ignore[arg-type]  # lxml elements do, xmlschema says
                use_location_hints=False,
            )
            told: dict[Finding, None] = {}
            # One fault may be told twice (by a type and by its base).
            for error in islice(errors, 4 * MAX_FINDINGS):
                finding = explain.finding(error)
                if finding is not None:
                    told.setdefault(finding)
                if len(told) > MAX_FINDINGS:
                    break
            return list(told)

    def _explainer(self) -> xmlschema.XMLSchema10:
        if self._engine is None:
            self._engine = xmlschema.XMLSchema10(str(self.path), validation="lax", allow="local")
        return self._engine
