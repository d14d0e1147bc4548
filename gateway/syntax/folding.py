"""Text as a repertoire can say it: marks dropped, letters taken apart, a point for what has no counterpart."""

from __future__ import annotations

import re
import unicodedata

from gateway.syntax.characters import DEFAULT, codec_of, repertoire_of

# Letters that Unicode does not take apart into a base letter and a mark.
_LETTERS = str.maketrans(
    {"đ": "d", "Đ": "D", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "ß": "ss", "æ": "ae", "Æ": "AE"}
)
LINE_END = re.compile("[\r\n]")
_UNKNOWN = "."  # stands for what a repertoire cannot say; in every repertoire, and no service character


def fold(text: str, syntax_identifier: str, encoding: str = "") -> str:
    """The text as a level's repertoire can say it: marks dropped, ``.`` for what has no counterpart.

    UNOA has no lower case.  The result is equal to ``text`` where nothing is lost.
    Raises ValueError where the level is not supported.
    """
    codec = codec_of(syntax_identifier, encoding)
    if codec is None:
        raise ValueError(f"no repertoire {syntax_identifier!r}")
    repertoire = repertoire_of(syntax_identifier, codec, DEFAULT)
    folded = text if syntax_identifier != "UNOA" else text.upper()
    if not all(_fits(c, codec) for c in folded):
        folded = "".join(
            c if _fits(c, codec) else _plain(c, codec) for c in unicodedata.normalize("NFC", folded)
        )
    folded = LINE_END.sub(" ", repertoire.wrong.sub(" ", folded))
    return repertoire.odd.sub(_UNKNOWN, folded) if repertoire.odd is not None else folded


def _fits(character: str, codec: str) -> bool:
    try:
        character.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


def _plain(character: str, codec: str) -> str:
    bare = unicodedata.normalize("NFKD", character.translate(_LETTERS))
    kept = "".join(c for c in bare if not unicodedata.combining(c))
    return kept if kept and _fits(kept, codec) else _UNKNOWN
