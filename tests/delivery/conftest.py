"""A ledger with accepted messages in it, and couriers that work in one thread."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator

import msgspec
import pytest

from gateway.intake import settlement, work
from gateway.model import Channel, Partner, Submission
from gateway.storage import Ledger
from tests.delivery.fakes import InlineCommits, PaperOffice, Postman, StillReactor
from tests.operations.knowledge import NOW, OTHER, TRADER, World, declaration

File = Callable[..., Submission]


@pytest.fixture(scope="session")
def delivery_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Partners with keys; two of them are pushed to."""
    world = World(tmp_path_factory.mktemp("delivery"))
    for partner in (TRADER, OTHER):
        pushed = msgspec.structs.replace(
            world.partners[partner.id], channel=Channel.PUSH, push_url=f"https://{partner.id}.example/"
        )
        world.partners[partner.id] = pushed
    register = type(world.handbook.register)(world.partners.values(), ())
    world.handbook = world.handbook.with_register(register)
    return world


@pytest.fixture
def ledger(ledger: Ledger, delivery_world: World) -> Ledger:
    """An open ledger that knows the partners, once on each database."""
    for partner in delivery_world.partners.values():
        ledger.put_partner(partner)
    return ledger


@pytest.fixture
def commits(ledger: Ledger) -> InlineCommits:
    return InlineCommits(ledger)


@pytest.fixture
def reactor() -> StillReactor:
    return StillReactor()


@pytest.fixture
def office() -> PaperOffice:
    return PaperOffice()


@pytest.fixture
def postman() -> Postman:
    return Postman()


@pytest.fixture
def file(ledger: Ledger, delivery_world: World) -> File:
    """Files a declaration of a partner's: settled, its handover due."""
    serials, numbers = itertools.count(1), itertools.count(1)

    def one(by: Partner = TRADER, attempts: int = 0) -> Submission:
        body = delivery_world.signed(declaration(f"LRN-{next(serials)}", by), by)
        submission = delivery_world.submission(body, by=by)
        take = lambda count: [str(next(numbers)) for _ in range(count)]  # noqa: E731
        worked = work(submission, delivery_world.handbook, delivery_world.own, take, NOW)
        made = settlement(submission, worked, "office", NOW, claim=True)
        deliveries = tuple(msgspec.structs.replace(d, attempts=attempts) for d in made.deliveries)
        ledger.settle([msgspec.structs.replace(made, deliveries=deliveries)])
        return submission

    return one


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Failures that a test brings about do not fill its report."""
    with caplog.at_level(logging.CRITICAL, "gateway.delivery"):
        yield
