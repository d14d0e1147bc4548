"""Copies of a sender's service elements, valid whatever the original is; None where none can be (ISO 9735-4)."""

from __future__ import annotations

from gateway.syntax.characters import codec_of
from gateway.syntax.folding import fold
from gateway.syntax.interchange import FunctionalGroup, Interchange, Message, Package

Components = tuple[str, ...]
Elements = tuple[Components, ...]

_REFERENCE = 14  # 0020, 0048, 0062: an..14
_PACKAGE = 35  # 0800: an..35
_OBJECT = (3, 35)  # S020: 0813, 0802
_PARTY = (35, 4, 14)  # S002, S003
_PARTY_4 = (35, 4, 35, 35)
_APPLICATION = (35, 4)  # S006, S007
_IDENTIFIER = (6, 3, 3, 2, 6)  # S009
_IDENTIFIER_4 = (6, 3, 3, 3, 6)
_MANDATORY = 4  # components of S009, but for syntax 1, which needs two
_MANDATORY_1 = 2

Head = tuple[Components, ...]


class Copier:
    """Copies for an answer of one level, encoding and syntax version."""

    def __init__(self, identifier: str, encoding: str, version: str) -> None:
        self._codec = codec_of(identifier, encoding) or "ascii"
        self._level = (identifier, encoding)
        self._version = version
        self.four = version == "4"

    def text(self, text: str, most: int) -> str:
        """The text if it can be written, else what the repertoire can say of it; cut to its format."""
        plain = text.isprintable() and text == text.encode(self._codec, "replace").decode(self._codec)
        return (text if plain else fold(text, *self._level))[:most].rstrip()

    def party(self, party: Components) -> Components | None:
        """S002 or S003."""
        return self._composite(party, _PARTY_4 if self.four else _PARTY, 1)

    def interchange(self, whole: Interchange) -> Head | None:
        """0020, S002 and S003 of UCI."""
        reference = self.text(whole.reference, _REFERENCE)
        sender, recipient = self.party(whole.sender), self.party(whole.recipient)
        if not reference.strip() or sender is None or recipient is None:
            return None
        return (reference,), sender, recipient

    def group(self, group: FunctionalGroup) -> Head | None:
        """0048, S006 and S007 of UCF; the last two may be left out under syntax 4."""
        reference = self.text(group.reference, _REFERENCE)
        parties = [self._composite(p, _APPLICATION, 1) for p in (group.sender, group.recipient)]
        if not reference.strip() or (None in parties and not self.four):
            return None
        return (reference,), parties[0] or (), parties[1] or ()

    def message(self, message: Message) -> Head | None:
        """0062 (UNT's, where UNH has none) and S009 of UCM; S009 may be left out under syntax 4."""
        last = message.segments[-1] if message.segments else None
        trailer = last.get(2) if last is not None and last.tag == "UNT" else ""
        reference = self.text(message.reference, _REFERENCE)
        if not reference.strip():
            reference = self.text(trailer, _REFERENCE)
        named = (message.type, message.version, message.release, message.agency, message.association)
        mandatory = _MANDATORY_1 if self._version == "1" else _MANDATORY
        identifier = self._composite(named, _IDENTIFIER_4 if self.four else _IDENTIFIER, mandatory)
        if not reference.strip() or (identifier is None and not self.four):
            return None
        return (reference,), identifier or ()

    def package(self, package: Package) -> tuple[Components, Elements] | None:
        """0800 and S020 of UCM (syntax 4)."""
        reference = self.text(package.reference, _PACKAGE)
        objects = (self._composite(o, _OBJECT, 2) for o in package.references)
        if not reference.strip():
            return None
        return (reference,), tuple(o for o in objects if o is not None)

    def _composite(self, original: Components, lengths: tuple[int, ...], mandatory: int) -> Components | None:
        """The components, each cut to its length; None where one of the first ``mandatory`` has nothing."""
        copied = [self.text(text, most) for text, most in zip(original, lengths, strict=False)]
        while copied and not copied[-1]:
            copied.pop()
        if len(copied) < mandatory or not all(text.strip() for text in copied[:mandatory]):
            return None
        return tuple(copied)
