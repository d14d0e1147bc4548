"""The receipt of what nothing was found about, filled into what was written once: most answers are such.

A skeleton is the canonical form of a receipt that was made the long way, cut where each receipt says something
of its own; so what is signed is octet for octet what the long way makes.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

from lxml import etree

from gateway.handbook import Handbook, Saying
from gateway.mapping import XmlTable
from gateway.outbound.drafts import RESPONSE_TABLE, Draft
from gateway.outbound.response import About, moment, response

MAX_SKELETONS = 64
"""Two languages, two outcomes, with a time to answer by and without; and twice all that, while one handbook
takes over from another."""

_PLAIN = re.compile("[ !-%'-;=?-~]{1,100}")
"""Text that stands in canonical XML as it is."""
_LRN, _NUMBER = "\ue000", "\ue001"
_NOW, _LIMIT = datetime(1, 1, 1, tzinfo=UTC), datetime(2, 2, 2, tzinfo=UTC)
_AT, _BY = moment(_NOW), moment(_LIMIT)
_MARKS = re.compile(f"({'|'.join((_LRN, _NUMBER, _AT, _BY))})")


def fits(reference: str) -> bool:
    """True for a reference that needs no escape."""
    return _PLAIN.fullmatch(reference) is not None


def filled(
    saying: Saying,
    reference: str,
    number: str,
    now: datetime,
    language: str,
    answer_by: datetime | None,
    handbook: Handbook,
) -> Draft:
    """The receipt about a reference that ``fits``; the rest is as with `response`."""
    pieces = list(_skeleton(handbook.mappings.xml(RESPONSE_TABLE), saying, language, answer_by is not None))
    texts = {_LRN: reference, _NUMBER: number, _AT: moment(now)}
    if answer_by is not None:
        texts[_BY] = moment(answer_by)
    pieces[1::2] = [texts[mark] for mark in pieces[1::2]]
    return Draft(canonical="".join(pieces).encode())


@lru_cache(MAX_SKELETONS)
def _skeleton(table: XmlTable, saying: Saying, language: str, limited: bool) -> tuple[str, ...]:
    """Pieces and, between them, marks of what comes in their place."""
    answer_by = _LIMIT if limited else None
    root = response(saying, About(_LRN), _NUMBER, _NOW, language, answer_by=answer_by)
    octets = etree.tostring(table.write(root), method="c14n", exclusive=True, with_comments=False)
    return tuple(_MARKS.split(octets.decode()))
