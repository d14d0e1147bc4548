"""Octets against the repertoire: a quick look at a chunk, an exact one at an odd segment."""

from __future__ import annotations

from gateway.model.finding import Finding, Place, Severity
from gateway.syntax.characters import Repertoire
from gateway.syntax.preamble import show

CONTROL = "EDI106"  # a control character
MAX_TOLD = 99  # oddities of one interchange told one by one

_GENERAL_PUNCTUATION = "\u2000"  # hidden characters are from here on, controls far below


class Scrutiny:
    """Judges one interchange's octets by its repertoire.

    ``dropping``: control characters are told and left out, as the partner's agreement allows.
    """

    def __init__(self, repertoire: Repertoire, dropping: bool = False) -> None:
        self._dropping = dropping
        self.codec = repertoire.codec
        self._repertoire = repertoire
        self._told = 0
        self._odd_told = False

    def unusual(self, chunk: bytes) -> bool:
        """True where an octet wants a look: outside the repertoire, or no text in the encoding."""
        if not chunk.translate(None, self._repertoire.fine):
            return False
        try:
            text = chunk.decode(self._repertoire.codec)
        except UnicodeDecodeError:
            return True
        odd = self._repertoire.odd
        return bool(self._repertoire.wrong.search(text)) or (odd is not None and not self._odd_told)

    def read(self, octets: bytes, place: Place) -> tuple[str, list[Finding]]:
        """Decode strictly; what is not in the encoding or the repertoire is told at its octet."""
        codec, wrong, odd = self._repertoire.codec, self._repertoire.wrong, self._repertoire.odd
        try:
            text = octets.decode(codec)
        except UnicodeDecodeError as error:
            code = "EDI108" if codec == "ascii" else "EDI109"
            told = self._tell(code, _at(place, error.start), show(octets[error.start : error.start + 4]))
            return octets.decode("latin-1" if codec == "ascii" else codec, "replace"), told
        found = wrong.search(text)
        if found is not None:
            code = "EDI113" if found[0] > _GENERAL_PUNCTUATION else CONTROL
            at = _at(place, len(text[: found.start()].encode(codec)))
            told = self._tell(code, at, f"U+{ord(found[0]):04X}")
            return wrong.sub("", text) if self._dropping and code == CONTROL else text, told
        strange = odd.search(text) if odd is not None and not self._odd_told else None
        if strange is None:
            return text, []
        self._odd_told = True
        return text, self._tell("EDI107", _at(place, strange.start()), strange[0], Severity.WARNING)

    def _tell(
        self, code: str, place: Place, found: str, severity: Severity = Severity.ERROR
    ) -> list[Finding]:
        self._told += 1
        return [Finding(code, place, found=found, severity=severity)] if self._told <= MAX_TOLD else []


def _at(place: Place, octets: int) -> Place:
    """The same place some octets further on."""
    return Place(offset=place.offset + octets)
