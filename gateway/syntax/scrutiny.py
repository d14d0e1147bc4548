"""Octets against the repertoire: a quick look at a chunk, an exact one at an odd segment."""

from __future__ import annotations

import re

from msgspec.structs import replace

from gateway.model.finding import Finding, Place, Severity
from gateway.syntax.characters import Repertoire
from gateway.syntax.preamble import show

_GENERAL_PUNCTUATION = "\u2000"  # hidden characters are from here on, controls far below

_SHIFTS = "\x0e\x0f\x1b"  # to another set of characters (ISO 2022): what follows is not what it looks like

UTF8 = "EDI124"  # text in UTF-8 where another encoding is announced

# Codecs in whose texts the octets of UTF-8 are no accident: in Latin-1 they are a letter before a control
# character, which is no text, or before a symbol, which is text that nobody means.
_UNLIKE_UTF8 = {"ascii": "ASCII", "iso8859_1": "ISO 8859-1"}
_OF_UTF8 = re.compile(rb"[\xc2-\xf4][\x80-\xbf]+")
_LETTER = re.compile(rb"(?:[\xc3-\xc9]|\xe1[\xb8-\xbb])[\x80-\xbf]")  # of Latin script, in UTF-8
_NO_TEXT = re.compile(rb"[\x80-\x9f]")  # in Latin-1


class Scrutiny:
    """Judges one interchange's octets by its repertoire.

    ``utf8``: what may be UTF-8 is read so, as the partner's agreement allows.
    """

    def __init__(self, repertoire: Repertoire, utf8: bool = False) -> None:
        self._utf8 = utf8
        self.codec = repertoire.codec
        self._repertoire = repertoire
        self._unlike = _UNLIKE_UTF8.get(repertoire.codec, "")
        self._odd_told = False
        self._doubt_told = False

    def unusual(self, chunk: bytes) -> bool:
        """True where an octet wants a look: outside the repertoire, or no text in the encoding."""
        looked_for = self._unlike and (self._utf8 or not self._doubt_told)
        if looked_for and not chunk.isascii() and _OF_UTF8.search(chunk):
            return True
        if not chunk.translate(None, self._repertoire.fine):
            return False
        try:
            text = chunk.decode(self._repertoire.codec)
        except UnicodeDecodeError:
            return True
        odd = self._repertoire.odd
        return bool(self._repertoire.wrong.search(text)) or (odd is not None and not self._odd_told)

    def read(self, octets: bytes, place: Place) -> tuple[str, list[Finding]]:
        """Decode strictly; what is not in the encoding or the repertoire is told at its octet.

        A character that may not stand there is told and left out, so that it has no other consequences.
        """
        text, codec, told = self._decode(octets, place)
        wrong, odd = self._repertoire.wrong, self._repertoire.odd
        if told and told[0].code == "EDI109":
            return wrong.sub("", text), told
        codes: dict[str, re.Match[str]] = {}
        for found in wrong.finditer(text):
            codes.setdefault(
                "EDI113" if found[0] in _SHIFTS or found[0] > _GENERAL_PUNCTUATION else "EDI106", found
            )
        strange = next(filter(_is_ascii, odd.finditer(text)), None) if odd and not self._odd_told else None
        if strange is not None:
            self._odd_told = True
            at = _at(place, len(text[: strange.start()].encode(codec)))
            told = [*told, Finding("EDI107", at, found=strange[0], severity=Severity.WARNING)]
        for code, found in codes.items():
            at = _at(place, len(text[: found.start()].encode(codec)))
            told = [*told, Finding(code, at, found=f"U+{ord(found[0]):04X}")]
        return wrong.sub("", text) if codes else text, told

    def _decode(self, octets: bytes, place: Place) -> tuple[str, str, list[Finding]]:
        """The text, the codec by which it was read, and what is wrong with that."""
        codec = self._repertoire.codec
        first = _OF_UTF8.search(octets) if self._unlike else None
        text = _utf8(octets) if first is not None else None
        if first is not None and text is not None:
            told = Finding(UTF8, _at(place, first.start()), self._unlike, show(first[0]))
            if self._utf8 or codec == "ascii" or _NO_TEXT.search(octets):
                return text, "utf_8", [told]
            if not self._doubt_told and _LETTER.match(first[0]):
                self._doubt_told = True
                return octets.decode(codec), codec, [replace(told, severity=Severity.WARNING)]
        try:
            return octets.decode(codec), codec, []
        except UnicodeDecodeError as error:
            code, codec = ("EDI108", "latin-1") if codec == "ascii" else ("EDI109", codec)
            at, found = _at(place, error.start), show(octets[error.start : error.start + 4])
            return octets.decode(codec, "replace"), codec, [Finding(code, at, found=found)]


def _is_ascii(found: re.Match[str]) -> bool:
    """Of other characters the encoding has something to say."""
    return found[0].isascii()


def _utf8(octets: bytes) -> str | None:
    try:
        return octets.decode("utf_8")
    except UnicodeDecodeError:
        return None


def _at(place: Place, octets: int) -> Place:
    """The same place some octets further on."""
    return Place(offset=place.offset + octets)
