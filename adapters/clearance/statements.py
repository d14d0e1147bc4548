"""What customs says in words: sentences in English and Vietnamese, kept in statements.toml."""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping

import msgspec

MAX_STATEMENT = 512
"""WCO 225 is an..512."""


class Sentence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One sentence in both languages, with places such as ``{registration}`` to fill."""

    en: str
    vi: str


PLACES: Mapping[str, frozenset[str]] = {
    "registered": frozenset({"registration"}),
    "green": frozenset(),
    "yellow": frozenset({"limit"}),
    "red": frozenset(),
    "duty": frozenset({"amount", "currency", "due", "reference"}),
    "duty-remaining": frozenset({"amount", "currency", "paid", "due", "reference"}),
    "duty-settled": frozenset({"paid", "surplus", "currency"}),
    "released": frozenset(),
    "released-secured": frozenset({"amount", "currency", "guarantee"}),
    "cleared": frozenset(),
    "discharged": frozenset(),
    "amended": frozenset({"version"}),
    "cancelled": frozenset(),
    "cancelled-refund": frozenset({"paid", "currency"}),
    "refused": frozenset(),
    "refused-duplicate": frozenset({"registration"}),
    "refused-state": frozenset({"registration"}),
    "refused-by-officer": frozenset({"reason"}),
    "held": frozenset({"reason"}),
    "held-payment": frozenset({"amount", "currency"}),
    "hold-released": frozenset(),
    "documents-accepted": frozenset(),
    "documents-asked": frozenset({"reason", "limit"}),
    "inspection-ordered": frozenset({"reason"}),
    "inspection-passed": frozenset(),
    "amendment-wanted": frozenset({"reason"}),
    "do-not-load": frozenset({"consignment", "reason"}),
    "do-not-unload": frozenset({"consignment", "reason"}),
    "lifted": frozenset({"consignment", "reason"}),
    "lifted-by-amendment": frozenset(),
    "payment-matched": frozenset({"amount", "currency", "registration"}),
    "payment-partial": frozenset({"amount", "currency", "registration", "remaining"}),
    "payment-surplus": frozenset({"amount", "currency", "registration", "surplus"}),
    "payment-repeated": frozenset({"registration"}),
    "payment-reversed": frozenset({"amount", "currency", "registration"}),
    "payment-refundable": frozenset({"amount", "currency", "registration"}),
    "payment-unmatched": frozenset({"reference"}),
}
"""Every sentence that the office needs, and the places that each may have."""


class Statements(msgspec.Struct, frozen=True):
    """All sentences."""

    sentences: Mapping[str, Sentence]

    def say(self, key: str, **places: str) -> tuple[str, str]:
        """The sentence in English and Vietnamese, its places filled, at most 512 characters each."""
        sentence = self.sentences[key]
        return (
            sentence.en.format_map(places)[:MAX_STATEMENT],
            sentence.vi.format_map(places)[:MAX_STATEMENT],
        )


def join(*statements: tuple[str, str]) -> tuple[str, str]:
    """Several statements as one in each language: as many whole ones as 512 characters hold."""
    return _fit([s[0] for s in statements]), _fit([s[1] for s in statements])


def _fit(texts: list[str]) -> str:
    said = ""
    for text in filter(None, texts):
        longer = f"{said} {text}".strip()
        if len(longer) > MAX_STATEMENT:
            break
        said = longer
    return said


def faults(sentences: Mapping[str, Sentence]) -> Iterator[str]:
    """Sentences that are missing, empty, or have places that nobody fills."""
    for key in sorted(PLACES.keys() - sentences.keys()):
        yield f"{key}: the sentence is missing"
    for key in sorted(PLACES.keys() & sentences.keys()):
        sentence = sentences[key]
        for language, text in (("en", sentence.en), ("vi", sentence.vi)):
            yield from (f"{key}.{language}: {fault}" for fault in _text_faults(text, PLACES[key]))


def _text_faults(text: str, places: frozenset[str]) -> Iterator[str]:
    if not text.strip():
        yield "the text is empty"
    try:
        fields = [field for field in string.Formatter().parse(text) if field[1] is not None]
    except ValueError as error:
        yield str(error)
        return
    for _, name, form, conversion in fields:
        if name not in places or form or conversion:
            yield f"the place {{{name}}} is never filled; known: {', '.join(sorted(places)) or 'none'}"
