"""What the doors ask for, over a real ledger: answers, refusals, and a ledger that is away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateway import transport
from gateway.intake import Intake, Numbers
from gateway.operations.readiness import Readiness
from gateway.operations.services import Doorkeeping
from gateway.storage import Ledger, LedgerUnavailable, Overloaded
from tests.delivery.fakes import InlineCommits, StillReactor, done
from tests.operations.knowledge import NOW, OTHER, TRADER, World, declaration


@pytest.fixture
def commits(sqlite_url: str) -> Iterator[InlineCommits]:
    ledger = Ledger.open(sqlite_url)
    yield InlineCommits(ledger)
    ledger.close()


@pytest.fixture
def services(world: World, commits: InlineCommits) -> Doorkeeping:
    anything: Any = commits
    numbers = Numbers(commits.ledger)
    intake = Intake(anything, numbers, lambda: world.handbook, world.own, lambda: NOW, "office")
    readiness = Readiness(anything, commits.ledger.writes, StillReactor())
    return Doorkeeping(intake, anything, lambda: world.handbook, readiness)


def test_they_know_the_partners_and_the_words_of_now(services: Doorkeeping, world: World) -> None:
    assert services.register is world.handbook.register
    assert services.catalogue is world.handbook.catalogue


def test_a_submission_is_answered_and_found_again(
    services: Doorkeeping, commits: InlineCommits, world: World
) -> None:
    answer = done(services.submit(world.submission(world.signed(declaration("LRN-1")))))
    status = done(services.status(TRADER.id, answer.submission, 0, 100))
    assert (status.reference, status.outcome, status.receipt) == ("LRN-1", "accepted", answer.receipt.id)
    (message,) = status.messages
    assert (message.type, message.lrn, message.outcome, message.decision) == ("IM", "LRN-1", "accepted", "")
    assert done(services.status(OTHER.id, answer.submission, 0, 100)) is None
    (entry,) = done(services.mailbox(TRADER.id, "", 10, False))
    assert (entry.id, entry.kind, entry.size) == (answer.receipt.id, "receipt", len(answer.receipt.body))
    assert done(services.fetch(TRADER.id, entry.id)) == answer.receipt
    assert done(services.fetch(OTHER.id, entry.id)) is None
    commits.ledger.clock = lambda: NOW
    assert done(services.acknowledge(TRADER.id, [entry.id])) == 1
    assert done(services.mailbox(TRADER.id, "", 10, False)) == []
    (entry,) = done(services.mailbox(TRADER.id, "", 10, True))
    assert entry.acknowledged_at == NOW


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [(declaration(), 403, "SIG001"), (b'<Order xmlns="urn:example:other"/>', 422, "XML020")],
    ids=["unproven", "unreadable"],
)
def test_what_gets_no_receipt_is_a_refusal(
    services: Doorkeeping, world: World, body: bytes, status: int, code: str
) -> None:
    signed = world.signed(body) if status == 422 else body
    with pytest.raises(transport.Refusal) as refused:
        done(services.submit(world.submission(signed)))
    assert (refused.value.status, refused.value.findings[0].code) == (status, code)


CALLS: dict[str, Callable[[Doorkeeping], Any]] = {
    "status": lambda s: s.status(TRADER.id, "s1", 0, 100),
    "mailbox": lambda s: s.mailbox(TRADER.id, "", 10, False),
    "fetch": lambda s: s.fetch(TRADER.id, "s1.r"),
    "acknowledge": lambda s: s.acknowledge(TRADER.id, ["s1.r"]),
}


@pytest.mark.parametrize(
    "error", [LedgerUnavailable("gone"), Overloaded("stopping")], ids=["away", "stopping"]
)
@pytest.mark.parametrize("name", CALLS)
def test_a_ledger_that_is_away_is_no_error_of_the_gateway(
    services: Doorkeeping, commits: InlineCommits, name: str, error: Exception
) -> None:
    commits.failing[name] = error
    with pytest.raises(transport.Overloaded):
        done(CALLS[name](services))


@pytest.mark.parametrize("error", [LedgerUnavailable("gone"), Overloaded("full")], ids=["away", "full"])
def test_a_submission_that_cannot_be_kept_is_to_come_again(
    services: Doorkeeping, commits: InlineCommits, world: World, error: Exception
) -> None:
    commits.failing["settle"] = error
    with pytest.raises(transport.Overloaded):
        done(services.submit(world.submission(world.signed(declaration()))))


def test_other_errors_are_ours(services: Doorkeeping, commits: InlineCommits) -> None:
    commits.failing["fetch"] = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        done(services.fetch(TRADER.id, "s1.r"))


def test_readiness_is_the_ledger_s(services: Doorkeeping, commits: InlineCommits) -> None:
    assert done(services.ready()) == {"ledger": ""}
    commits.ledger.writes.failed("gone")
    commits.failing["try_out"] = LedgerUnavailable("gone")
    assert done(services.ready()) == {"ledger": "gone"}
