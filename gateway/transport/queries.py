"""What a call says beside its body, read strictly; a call that cannot be answered."""

from __future__ import annotations

from gateway.model import Finding, Place
from gateway.transport.call import Call
from gateway.transport.identifier import well_formed


class Unanswerable(Exception):
    """The call asks for what cannot be: a problem with this status and finding."""

    def __init__(self, status: int, finding: Finding) -> None:
        super().__init__(finding.code)
        self.status = status
        self.finding = finding


def nothing(call: Call) -> Unanswerable:
    """What the path names is not there."""
    return Unanswerable(404, Finding("API404", Place(part="path"), found=call.argument))


def query_of(call: Call) -> dict[str, str]:
    """The query's fields.  Raises Unanswerable where there are too many."""
    try:
        return call.head.query
    except ValueError as error:
        raise Unanswerable(400, Finding("API4001", Place(part="query"), found="too many fields")) from error


def number(query: dict[str, str], name: str, default: int, most: int, least: int = 1) -> int:
    """A field that is a whole number.  Raises Unanswerable."""
    text = query.get(name, str(default))
    if text.isascii() and text.isdigit() and len(text) <= len(str(most)) and least <= int(text) <= most:
        return int(text)
    raise Unanswerable(400, Finding("API4001", Place(part=f"query {name}"), f"{least}..{most}", text[:40]))


def after(query: dict[str, str]) -> str:
    """The id behind which a page of the mailbox begins, "" for the first.  Raises Unanswerable."""
    text = query.get("after", "")
    if not text or well_formed(text):
        return text
    raise Unanswerable(400, Finding("API4001", Place(part="query after"), "an id of the mailbox", text[:40]))


def flag(query: dict[str, str], name: str) -> bool:
    """A field that is true or false, false where it is not there.  Raises Unanswerable."""
    text = query.get(name, "false")
    if text in ("true", "false"):
        return text == "true"
    raise Unanswerable(400, Finding("API4001", Place(part=f"query {name}"), "true or false", text[:40]))
