"""A document as it is parsed: what is complete is taken, piece by piece."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator
from itertools import chain
from typing import Any, Final, Protocol

from lxml import etree

from gateway.longxml.watch import HEAD, Odd, Watch
from gateway.safexml import MAX_DEPTH, OPTIONS, XmlLimits, check_none, refuse, refuse_syntax

MAX_FAULTS: Final = 51
"""Of a schema, after which nobody reads on: one more than are told."""
_MAX_PROLOG: Final = 65_536
"""Octets before the root's start tag, and of it: mostly some hundred."""
_TAG: Final = re.compile(rb"[^>]*>|[^>]+")


class Invalid(Exception):
    """A document that breaks its schema; ``log``: what libxml2 said, which knows no places.

    ``fed``: of each, the piece (from 0) with which it was said, and the line then.
    """

    def __init__(self, log: list[etree._LogEntry], fed: list[tuple[int, int]]) -> None:
        super().__init__(f"{len(log)} faults")
        self.log = log
        self.fed = fed


class Taker(Protocol):
    """Takes the children of an element, each once and in their order.  Raises Odd."""

    def take(self, element: etree._Element) -> bool:
        """A complete one, with the text behind it; whether it is let go of."""

    def inside(self, element: etree._Element, complete: bool) -> Taker | None:
        """Who takes the children of this child; None where it stays together until it is complete."""


def go_through(
    pieces: Iterable[bytes],
    limits: XmlLimits,
    taker: Callable[[etree._Element], Taker],
    schema: etree.XMLSchema | None = None,
    finely: Container[int] = (),
) -> etree._Element:
    """The root of a document, with what was left in it.  ``taker``: of the root's children; ``finely``: pieces that
    are read tag by tag, to know the line of a fault.

    Raises XmlRefused (XML codes), Invalid where it breaks the schema, and Odd where more is not complete than may
    be held.  What was taken counts only when this returns.
    """
    watch = Watch(limits)
    source = watch.through(pieces)
    held, tag = _begun(source, limits)
    passage = _Passage(watch, tag, taker, schema)
    for number, piece in enumerate(chain(held, source)):
        for part in _TAG.findall(piece) if number in finely else (piece,):
            passage.feed(part, number)
    return passage.end()


def _begun(source: Iterator[bytes], limits: XmlLimits) -> tuple[list[bytes], str]:
    """The pieces up to the root's start tag, and its name: only of that a parser can be asked to tell, and not
    of every element."""
    held: list[bytes] = []
    parser: Any = etree.XMLPullParser(events=("start",), **OPTIONS)
    for piece in source:
        held.append(piece)
        for at in range(0, len(piece), HEAD):
            try:
                parser.feed(piece[at : at + HEAD])
            except etree.XMLSyntaxError as error:
                refuse_syntax(error, limits)
            for _, element in parser.read_events():
                return held, str(element.tag)
        if sum(map(len, held)) > _MAX_PROLOG:
            raise Odd(f"> {_MAX_PROLOG} octets before the root")
    try:
        parser.close()
    except etree.XMLSyntaxError as error:
        refuse_syntax(error, limits)
    raise AssertionError("a document without a root was read")


class _Passage:
    """A document as it is parsed."""

    def __init__(
        self,
        watch: Watch,
        tag: str,
        taker: Callable[[etree._Element], Taker],
        schema: etree.XMLSchema | None,
    ) -> None:
        options = OPTIONS if schema is None else {**OPTIONS, "schema": schema}
        self._parser: Any = etree.XMLPullParser(events=("start", "start-ns", "end-ns"), tag=tag, **options)
        self._watch = watch
        self._limits = watch.limits
        self._taker = taker
        self._schema = schema
        self._root: etree._Element | None = None
        self._top: _Open | None = None
        self._namespaces = 0
        self._log: list[etree._LogEntry] = []
        self._fed: list[tuple[int, int]] = []
        self._at = 0, 1

    def feed(self, piece: bytes, number: int) -> None:
        """The next octets, of a piece of this number."""
        self._at = number, self._at[1] + piece.count(b"\n")
        self._parsed(lambda: self._parser.feed(piece))
        for event, found in self._parser.read_events():
            if event != "start":
                self._namespaces += 1 if event == "start-ns" else -1
                if self._namespaces > self._limits.max_namespaces:
                    most = self._limits.max_namespaces
                    refuse("XML012", None, str(most), f"> {most}")
            elif self._root is None:
                self._root, self._top = found, _Open(found, self._taker(found), self._completing)
        if self._schema is not None:
            self._note()
            if len(self._log) >= MAX_FAULTS:
                raise Invalid(self._log, self._fed)
        if self._top is not None:
            self._top.sweep(False)

    def end(self) -> etree._Element:
        """The root, when all octets were fed."""
        self._parsed(self._parser.close)
        assert self._root is not None
        assert self._top is not None
        if self._root.getroottree().docinfo.doctype:
            refuse("XML004", found="<!DOCTYPE")
        self._completing()
        self._top.sweep(True)
        return self._root

    def _parsed(self, step: Callable[[], object]) -> None:
        try:
            step()
        except etree.XMLSyntaxError as error:
            if self._schema is not None:
                self._note()  # an exception's own log is that of all that this thread ever parsed
                raise Invalid(self._log, self._fed) from None
            refuse_syntax(error, self._limits)

    def _note(self) -> None:
        log = self._parser.feed_error_log
        self._log += log[len(self._log) :]
        self._fed += [self._at] * (len(self._log) - len(self._fed))

    def _completing(self) -> None:
        """Bounds that need the tree, asked while it is whole, of what could break them."""
        assert self._root is not None
        limits = self._limits
        if limits.max_depth < MAX_DEPTH:
            check_none(self._root, "XML007", "/*" * (limits.max_depth + 1), limits.max_depth)
        if self._watch.waiting > limits.max_text:
            longer = f"string-length() > {limits.max_text}"
            check_none(self._root, "XML010", f"//*[text()[{longer}] or @*[{longer}]]", limits.max_text)
        self._watch.completed()


class _Open:
    """An element whose children are taken as they are complete."""

    def __init__(self, element: etree._Element, taker: Taker, completing: Callable[[], None]) -> None:
        self._element = element
        self._taker = taker
        self._completing = completing
        self._left = 0
        self._inner: tuple[etree._Element, _Open] | None = None

    def sweep(self, complete: bool) -> None:
        """Take the children that are complete: all, or all but the last."""
        children = self._element[self._left :]
        last = children.pop() if children and not complete else None
        if children:
            self._completing()
        for child in children:
            inner = self._inside(child, True)
            if inner is not None:
                inner.sweep(True)
            if self._taker.take(child):
                self._element.remove(child)
            else:
                self._left += 1
        inner = None if last is None else self._inside(last, False)
        if inner is not None:
            inner.sweep(False)

    def _inside(self, child: etree._Element, complete: bool) -> _Open | None:
        if self._inner is not None and self._inner[0] is child:
            return self._inner[1]
        taker = self._taker.inside(child, complete)
        if taker is None:
            return None
        self._inner = child, _Open(child, taker, self._completing)
        return self._inner[1]
