"""What every process of a home has: it takes up changes, and outlives a ledger that is away."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.model import Partner, Role
from gateway.operations.server import Server
from gateway.storage import Ledger, LedgerError, LedgerUnavailable, Overloaded
from tests.delivery.fakes import InlineCommits, InlinePool, StillReactor, done

Rewrite = Callable[[str, str, str], None]
NEWCOMER = Partner("newcomer", "Newcomer Co.", (Role.TRADER,), ("0101245172",), ("CN=Newcomer",))


class HomeReactor(StillReactor):
    """A reactor that has not begun, and whose thread pool is the test's own thread."""

    def callWhenRunning(self, *_: object, **__: object) -> None:  # noqa: N802
        """Never: the test makes the calls."""

    def getThreadPool(self) -> InlinePool:  # noqa: N802
        return InlinePool()


class Watched(Server):
    """A server whose ledger work is done at once."""

    def __init__(self, home: Path) -> None:
        super().__init__(home, HomeReactor())
        self.inline = InlineCommits(self._ledger)
        anything: Any = self.inline
        self._threads, self.commits = self.commits, anything

    @property
    def books(self) -> Ledger:
        return self._ledger

    def watch(self) -> None:
        done(self._watch())


@pytest.fixture
def server(home: Path) -> Iterator[Watched]:
    made = Watched(home)
    yield made
    done(made.stop())


def test_a_partner_that_another_process_registers_is_taken_up(server: Watched) -> None:
    server.watch()
    assert "newcomer" not in server.handbook().register.partners
    before = server.handbook()
    server.books.put_partner(NEWCOMER)
    server.watch()
    assert "newcomer" in server.handbook().register.partners
    assert server.handbook().mappings is before.mappings
    after = server.handbook()
    server.watch()
    assert server.handbook() is after  # nothing new, nothing made anew


@pytest.mark.parametrize(
    "error", [LedgerUnavailable("gone"), LedgerError("no right"), Overloaded("stopping")]
)
def test_a_ledger_that_is_away_does_not_end_the_watch(
    server: Watched, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    server.books.put_partner(NEWCOMER)
    server.inline.failing["refreshed"] = error
    with caplog.at_level(logging.WARNING, "gateway.server"):
        server.watch()
    assert "register is not to be had" in caplog.text
    server.inline.failing.clear()
    server.watch()
    assert "newcomer" in server.handbook().register.partners


def test_reloading_takes_up_new_knowledge_and_tells_who_keeps_some(server: Watched, rewrite: Rewrite) -> None:
    told: list[str] = []
    server.on_reload(lambda: told.append(server.handbook().sayings["received"].text))
    rewrite("mappings/profiles/decisions.toml", "Received; customs will answer.", "Taken.")
    server.books.put_partner(NEWCOMER)
    server.watch()
    done(server.reload())
    assert told == ["Taken."]
    assert "newcomer" in server.handbook().register.partners


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("mappings/profiles/decisions.toml", "[received]", "[recieved]"),
        ("mappings/wco/dec.toml", "[", "[["),
        ("mappings/findings/journey.toml", "[PAR001]", "[PAR00000001]"),
    ],
)
def test_broken_knowledge_leaves_the_old_in_use_and_is_named(
    server: Watched, rewrite: Rewrite, caplog: pytest.LogCaptureFixture, name: str, old: str, new: str
) -> None:
    told: list[str] = []
    server.on_reload(lambda: told.append("told"))
    before = server.handbook()
    rewrite(name, old, new)
    with caplog.at_level(logging.ERROR, "gateway.server"):
        done(server.reload())
    assert server.handbook().catalogue is before.catalogue
    assert "knowledge not reloaded" in caplog.text
    assert told == []


def test_what_was_begun_last_ends_first(home: Path) -> None:
    server = Watched(home)
    ended: list[str] = []

    async def later() -> None:
        ended.append("second")

    server.on_stop(lambda: ended.append("first"))
    server.on_stop(later)
    done(server.stop())
    assert ended == ["second", "first"]
    done(server.stop())  # nothing is left to end
    assert ended == ["second", "first"]
