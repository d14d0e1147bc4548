"""A rule as a row of a rule file: what every kind of check has in common."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from gateway.model import Entity, Kind, Severity, Value
from gateway.rules.codes import CodeList

_NAME = r"[A-Z][A-Za-z]*"
# A class, an element below it, an element or one of its attributes: WCO names joined by "/".
EntityPath = Annotated[str, Meta(pattern=rf"^{_NAME}(/{_NAME})*$")]
ValuePath = Annotated[str, Meta(pattern=rf"^{_NAME}(/{_NAME})*$")]
AttributePath = Annotated[str, Meta(pattern=rf"^{_NAME}(/{_NAME})*(@[a-z][A-Za-z]*)?$")]
Paths = Annotated[tuple[ValuePath, ...], Meta(min_length=1)]
# Conditions may also look from the root of the declaration: "/BorderTransportMeans/ModeCode".
ConditionPath = Annotated[str, Meta(pattern=rf"^/?{_NAME}(/{_NAME})*$")]
Name = Annotated[str, Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
Code = Annotated[str, Meta(pattern=r"^(RUL[0-9]{3})?$")]
Function = Literal["9", "5", "4", "1"]


# Whether conditions hold, seen from an entity and from the root.
Holds = Callable[[Entity, Entity], bool]


class When(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"among": "in"}):
    """A condition: some text at the path is in the list, outside it, or of a form; or there is (no) text."""

    path: ConditionPath
    among: frozenset[str] = frozenset()
    outside: frozenset[str] = frozenset()
    matches: str = ""
    present: bool | None = None

    def holds(self, entity: Entity, root: Entity) -> bool:
        """True where the condition holds, seen from the entity (or the root, for a path with ``/``)."""
        entity, path = (root, self.path[1:]) if self.path[0] == "/" else (entity, self.path)
        if "/" in path:
            texts = [text for text in texts_at(entity, path) if text]
        else:
            texts = [value.text for value in entity.values if value.name == path and value.text]
        if self.present is not None and self.present is not bool(texts):
            return False
        if self.among and self.among.isdisjoint(texts):
            return False
        if self.outside and not self.outside.isdisjoint(texts):
            return False
        return not self.matches or any(re.fullmatch(self.matches, text) for text in texts)

    def broken(self) -> Iterator[str]:
        """What the file's schema cannot see."""
        if not (self.among or self.outside or self.matches or self.present is not None):
            yield f"when {self.path}: nothing is asked of it"
        yield from bad_pattern(self.matches)


class Row(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="check", tag=str.lower, forbid_unknown_fields=True
):
    """What every rule says of itself.

    ``kinds`` and ``functions`` (empty: any) select declarations; ``each`` is the class whose every
    occurrence is judged by itself, and from which paths lead ("": the declaration); ``when``: all must
    hold.  A path means all occurrences of its steps.  ``code`` replaces the check's main finding code.
    """

    CODES: ClassVar[tuple[str, ...]] = ()

    name: Name
    text: Annotated[str, Meta(min_length=1)]
    kinds: Annotated[tuple[Kind, ...], Meta(min_length=1)]
    functions: tuple[Function, ...] = ()
    severity: Severity = Severity.ERROR
    code: Code = ""
    each: EntityPath | Literal[""] = ""
    when: tuple[When, ...] = ()

    @property
    def main(self) -> str:
        """The code of the finding that this rule makes in the first place."""
        return self.code or self.CODES[0]

    @property
    def codes(self) -> tuple[str, ...]:
        """Every code that the rule can raise."""
        return (self.main, *self.CODES[1:])

    def broken(self, lists: Mapping[str, CodeList]) -> Iterator[str]:
        """What is wrong with the row and the file's schema cannot see: names of lists, patterns, bounds."""
        for condition in self.when:
            yield from condition.broken()


def bad_pattern(pattern: str) -> Iterator[str]:
    """What is wrong with a regular expression."""
    try:
        re.compile(pattern)
    except re.error as error:
        yield f"{pattern}: {error}"


def no_list(name: str, lists: Mapping[str, CodeList]) -> Iterator[str]:
    """What is wrong with the name of a code list."""
    if name and name not in lists:
        yield f"there is no code list {name}"


def texts_at(entity: Entity, path: str) -> Iterator[str]:
    """The text of every value at the path, all occurrences of every step."""
    head, _, leaf = path.rpartition("/")
    for holder in entity.each(head) if head else (entity,):
        for value in holder.values:
            if value.name == leaf:
                yield value.text


def attribute_of(value: Value, name: str) -> str:
    """The attribute's value or ""; as Value.attribute, without its generator on the hot path."""
    for attribute in value.attributes:
        if attribute[0] == name:
            return attribute[1]
    return ""
