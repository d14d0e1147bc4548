"""What was agreed with one partner about its interchanges: what is read on, and which CONTRL it gets."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from gateway.syntax import Directories, acknowledgement, read
from tests.docs.pages import ROOT
from tests.journeys.plain import Answer
from tests.journeys.town import LINE, Town, until


@pytest.fixture(scope="module")
def directories() -> Directories:
    return Directories.load(ROOT / "xsd" / "edifact")


@pytest.fixture
def agree(town: Town) -> Iterator[Callable[..., None]]:
    """Record an agreement with the shipping line at the command line, and wait until the gateway knows it."""

    def agreed(*options: str) -> None:
        assert town.cvan("partner", "agree", LINE.id, *options).code == 0

    yield agreed
    agreed()


def answer_to(town: Town, interchange: bytes) -> Answer:
    body, media_type = town.sealed(interchange)
    return town.client(LINE).submit(body, media_type)


def contrl(town: Town, answer: Answer, directories: Directories) -> tuple[str, list[str]]:
    """UCI's action, and that of each UCM."""
    message = read(town.prove(answer.body, answer.media_type), directories).messages[0]
    told = acknowledgement(message)
    return told.interchange.action, [m.action for m in told.messages]


def cut_off(town: Town) -> bytes:
    return town.manifest([town.bill()])[:-1]


def test_a_missing_last_terminator_is_read_on_where_that_is_agreed(
    town: Town, agree: Callable[..., None]
) -> None:
    assert answer_to(town, cut_off(town)).outcome == "rejected"
    agree("--tolerate", "EDI105")
    until(lambda: answer_to(town, cut_off(town)).outcome == "accepted", what="the agreement is known")


def test_a_message_without_its_type_is_the_agreed_one(town: Town, agree: Callable[..., None]) -> None:
    def untyped() -> bytes:
        return town.manifest([town.bill()]).replace(b"+CUSCAR:D:95B:UN", b"+:D:95B:UN")

    assert answer_to(town, untyped()).status == 422  # no CONTRL can name it
    agree("--message", "CUSCAR:D:95B:UN")
    until(lambda: answer_to(town, untyped()).status == 200, what="the agreement is known")
    assert answer_to(town, untyped()).outcome == "accepted"


@pytest.mark.parametrize("level", ["errors", "receipt"])
def test_contrl_is_mere_receipt_unless_something_is_rejected(
    town: Town, agree: Callable[..., None], directories: Directories, level: str
) -> None:
    def said() -> tuple[str, list[str]]:
        return contrl(town, answer_to(town, town.manifest([town.bill()])), directories)

    until(lambda: said() == ("7", []), what="an earlier agreement is forgotten")
    agree("--contrl", level)
    until(lambda: said() == ("8", []), what="the agreement is known")
    broken = town.manifest([town.bill(mode="SEA TRANSPORT"), town.bill()])
    assert contrl(town, answer_to(town, broken), directories) == ("7", ["4"])
