"""Service characters, character repertoires (0001) and encodings (0133) of ISO 9735."""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec


class Separators(msgspec.Struct, frozen=True):
    """Service characters in the order of UNA; ``release`` and ``repetition`` are "" where there is none."""

    component: str = ":"
    element: str = "+"
    decimal: str = "."
    release: str = "?"
    repetition: str = ""
    terminator: str = "'"

    @property
    def una(self) -> str:
        """The UNA segment that announces them, 9 characters."""
        return (
            f"UNA{self.component}{self.element}{self.decimal}"
            f"{self.release or ' '}{self.repetition or ' '}{self.terminator}"
        )


DEFAULT = Separators()
DEFAULT_4 = Separators(repetition="*")
# ISO 9735 version 1 to 3, level B: IS1, IS3 and IS4 of ISO 646, and no release character.
LEVEL_B = Separators(component="\x1f", element="\x1d", decimal=",", release="", terminator="\x1c")

_SEPARATING_CONTROLS = "\x1c\x1d\x1e\x1f"


@lru_cache(maxsize=64)
def separators_of(una: str) -> Separators:
    """The service characters of the six characters after ``UNA``.

    Raises ValueError naming the first offending position (from 1) and character: letters, digits,
    blanks, other control characters, and a character with two meanings are refused (0085 code 20).
    """
    for position, character in enumerate(una, start=1):
        blank = character == " " and position in (4, 5)
        if not blank and not _may_separate(character):
            raise ValueError(f"{position}: {character!r}")
    meanings = [una[i] for i in (0, 1, 3, 4, 5) if una[i] != " "]
    for i, character in enumerate(meanings):
        if character in meanings[:i]:
            raise ValueError(f"{character!r} twice")
    if una[2] in (una[0], una[1], una[5]):
        raise ValueError(f"{una[2]!r} twice")
    release, repetition = (c if c != " " else "" for c in (una[3], una[4]))
    return Separators(una[0], una[1], una[2], release, repetition, una[5])


def _may_separate(character: str) -> bool:
    return character in _SEPARATING_CONTROLS or ("!" <= character <= "~" and not character.isalnum())


# 0001 -> codec where 0133 says nothing, and the first syntax version that has the level.
CODECS = {
    "UNOA": "ascii",
    "UNOB": "ascii",
    "UNOC": "iso8859_1",
    "UNOD": "iso8859_2",
    "UNOE": "iso8859_5",
    "UNOF": "iso8859_7",
    "UNOG": "iso8859_3",
    "UNOH": "iso8859_4",
    "UNOI": "iso8859_6",
    "UNOJ": "iso8859_8",
    "UNOK": "iso8859_9",
    "UNOL": "iso8859_15",
    "UNOW": "utf_8",
    "UNOX": "ascii",  # ISO 2022 in its first state; an escape to another set is a control character
    "UNOY": "utf_8",
    "IATA": "ascii",
    "IATB": "ascii",
    "KECA": "euc_kr",
}
# 0133 -> codec; "" keeps the repertoire's own.  UCS-2, UCS-4, UTF-16 and EBCDIC cannot be cut at octets.
ENCODINGS = {"": "", "1": "ascii", "2": "", "4": "cp850", "7": "utf_8"}
MULTI_OCTET = frozenset({"utf_8", "euc_kr"})

_LEVEL_A = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,-()/='+:?!\"%&*;<>"


def codec_of(identifier: str, encoding: str) -> str | None:
    """The Python codec for 0001 and 0133, or None where the pair is not supported."""
    codec = CODECS.get(identifier)
    if codec is None or encoding not in ENCODINGS:
        return None
    return ENCODINGS[encoding] or codec


class Repertoire(msgspec.Struct, frozen=True):
    """What may stand in an interchange, as octets that decide fast and patterns that explain.

    ``fine``: octets that need no look.  ``wrong``: characters that are errors.  ``odd``: characters
    outside the repertoire that the world sends all the same (lower case under UNOA), or None.
    """

    codec: str
    fine: bytes
    wrong: re.Pattern[str]
    odd: re.Pattern[str] | None = None


# C0 and C1 controls but for line ends, which are looked at before; zero-width characters, direction
# marks and overrides, which hide or turn text.
_CONTROLS = r"\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f"
_HIDDEN = r"\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffe\uffff"


@lru_cache(maxsize=64)
def repertoire_of(identifier: str, codec: str, separators: Separators) -> Repertoire:
    """The repertoire of a level, its service characters included (they may be control characters)."""
    service = "".join(c for c in msgspec.structs.astuple(separators) if c)
    spare = re.escape("".join(c for c in service if c < " "))
    controls = _CONTROLS if not spare else f"(?![{spare}])[{_CONTROLS}{_HIDDEN}]"
    wrong = re.compile(controls if spare else f"[{_CONTROLS}{_HIDDEN}]")
    allowed = _LEVEL_A if identifier == "UNOA" else "".join(map(chr, range(0x20, 0x7F)))
    high = bytes(o for o in range(0xA0, 0x100) if _stands(o, codec)) if codec.startswith("iso8859") else b""
    fine = (allowed + service + "\r\n").encode("ascii") + high
    odd = re.compile(f"[^{re.escape(_LEVEL_A + service)}\r\n]") if identifier == "UNOA" else None
    return Repertoire(codec, fine, wrong, odd)


def _stands(octet: int, codec: str) -> bool:
    """Parts of ISO 8859 leave some octets without a character."""
    try:
        bytes([octet]).decode(codec)
    except UnicodeDecodeError:
        return False
    return True
