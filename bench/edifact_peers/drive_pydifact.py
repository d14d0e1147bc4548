"""pydifact, run as its documentation shows: the interchange from a file, then its messages."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import timing  # of this folder: the peers' environments have nothing else of ours
from pydifact.exceptions import EDISyntaxError, ValidationError
from pydifact.parser import Parser
from pydifact.segmentcollection import Interchange

ENCODING = "iso8859-1"  # its own default


def judge(path: str, text: str) -> dict[str, object]:
    """Accepted or refused; an exception that it does not document is a crash."""
    try:
        interchange = Interchange.from_file(path)
        for message in interchange.get_messages():
            message.validate()
    except (EDISyntaxError, ValidationError) as error:
        return {"verdict": "refused", "said": str(error)}
    except Exception as error:  # noqa: BLE001 - whatever it does not document is its result
        return {"verdict": "crash", "said": f"{type(error).__name__}: {error}"}
    known = {str(interchange.control_reference), *_values(interchange.segments)}
    return {"verdict": "accepted", "said": "", "misread": bool(text) and text not in known}


def _values(segments: list[Any]) -> Iterator[str]:
    pending: list[Any] = [element for segment in segments for element in segment.elements]
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            yield value
        else:
            pending.extend(value)


def _tokenise(contents: list[bytes]) -> object:
    return sum(1 for octets in contents for _ in Parser().parse(octets.decode(ENCODING)))


def _parse(contents: list[bytes]) -> object:
    count = 0
    for octets in contents:
        count += sum(1 for _ in Interchange.from_str(octets.decode(ENCODING)).get_messages())
    return count


def _warm() -> None:
    _parse([b"UNB+UNOC:3+A+B+260101:1200+1'UNH+1+CUSCAR:D:95B:UN'BGM+785'UNT+3+1'UNZ+1+1'"])


if __name__ == "__main__":
    timing.drive(sys.argv[1:], judge, {"tokenise": _tokenise, "check": _parse}, _warm)
