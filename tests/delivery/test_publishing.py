"""The courier to a broker: what is accepted and decided goes there, once and in order, whatever ends."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import jsonschema
import msgspec
import pytest
from sqlalchemy import Connection, select

from adapters.jetstream.stream import TAIL
from gateway.adapter import BackendUnavailable, Publication, Unpublishable
from gateway.delivery import BackendCourier, Naming, PublishCourier
from gateway.delivery.backoff import GIVE_UP_AFTER
from gateway.delivery.publishing import BATCH, LEASE, LONGEST_WAIT
from gateway.intake import Numbers, settlement, work
from gateway.model import Decision, DecisionKind
from gateway.model.shelf import Long
from gateway.storage import Ledger, LedgerUnavailable, Recorded, courier, decision_due, tables
from tests.delivery import schemas
from tests.delivery.fakes import InlineCommits, InlinePool, PaperOffice, StillReactor, done
from tests.operations.knowledge import NOW, TRADER, World, declaration

DESTINATION = "publish:paper"


class PaperBroker:
    """Keeps what it is given, each id once.  ``away``: takes nothing; ``deaf``: takes, and confirms nothing;
    ``never``: ids that it refuses; ``loses``: takes so many, then fails."""

    def __init__(self) -> None:
        self.kept: dict[str, Publication] = {}
        self.batches: list[list[str]] = []
        self.away = self.deaf = False
        self.never: set[str] = set()
        self.loses: int | None = None
        self.most = 1 << 20

    def largest(self) -> int:
        if self.away:
            raise BackendUnavailable("the broker is away")
        return self.most

    def publish(self, batch: Sequence[Publication]) -> None:
        self.batches.append([p.id for p in batch])
        if self.away:
            raise BackendUnavailable("the broker is away")
        for number, publication in enumerate(batch):
            if publication.id in self.never:
                raise Unpublishable(publication.id, "too large")
            if number == self.loses:
                raise BackendUnavailable("the connection ended")
            self.kept.setdefault(publication.id, publication)
        if self.deaf:
            raise BackendUnavailable("nothing heard")


class Desk:
    """A ledger with a broker beside it, and a courier."""

    def __init__(self, world: World, commits: InlineCommits, reactor: StillReactor) -> None:
        self.world, self.commits, self.reactor = world, commits, reactor
        self.ledger: Ledger = commits.ledger
        self.broker = PaperBroker()
        self.courier = self.another("me")
        self.meddled = False
        self._serial = 0

    def another(self, owner: str) -> PublishCourier:
        pool: Any = InlinePool()
        commits: Any = self.commits
        naming = Naming("cvan", "/gateway")
        return PublishCourier(
            "paper", self.broker, naming, commits, self.reactor, pool, self.reactor.now, owner
        )

    def round(self, courier: PublishCourier | None = None) -> bool:
        return bool(done((courier or self.courier).round()))

    def file(self) -> str:
        """Files a declaration; its message's id."""
        self._serial += 1
        body = self.world.signed(declaration(f"PUB-{self._serial}", TRADER), TRADER)
        submission = self.world.submission(body, by=TRADER)
        numbers = lambda count: [f"{self._serial}{n}" for n in range(count)]  # noqa: E731
        worked = work(submission, self.world.handbook, self.world.own, numbers, NOW)
        made = settlement(submission, worked, "office", self.reactor.now(), claim=True, publish="paper")
        self.ledger.settle([made])
        return f"{submission.id}.1"

    def decide(self, message: str, identity: str, kind: DecisionKind = DecisionKind.REGISTERED) -> None:
        decision = Decision(identity, message, kind, NOW, registration="26VN1", statement="Said.")
        due = decision_due("paper", message, identity, self.reactor.now())
        self.ledger.record([Recorded(decision, published=due)])

    def due(self) -> int:
        return self.ledger.counts().due.get(DESTINATION, 0)

    def dead(self) -> list[str]:
        return [d.id for d in self.ledger.dead_letters(DESTINATION, 10)]


@pytest.fixture
def desk(delivery_world: World, commits: InlineCommits, reactor: StillReactor) -> Iterator[Desk]:
    desk = Desk(delivery_world, commits, reactor)
    yield desk
    breaches: list[Any] = []
    desk.ledger.audit(breaches.append, lambda chain, checkpoint: "", lambda sealed: "")
    assert bool(breaches) == desk.meddled  # the journal speaks of every delivery, whatever became of it


def schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((schemas.FOLDER / f"{name}-1.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(found)
    return found


@pytest.mark.parametrize("name", schemas.PUBLISHED)
def test_the_schemas_that_readers_have_are_those_of_the_code(name: str) -> None:
    assert (schemas.FOLDER / name).read_text("utf-8") == schemas.text(name)


def test_what_is_accepted_and_what_is_decided_goes_there_once(desk: Desk) -> None:
    messages = [desk.file() for _ in range(3)]
    desk.decide(messages[1], "d1")
    assert desk.round() is True
    assert list(desk.broker.kept) == [*(f"{m}.pub" for m in messages), f"{messages[1]}.d1.d.pub"]
    assert desk.due() == 0
    assert desk.round() is False
    assert len(desk.broker.batches) == 2  # the decision went after what it is about


def test_without_a_broker_nothing_is_due_for_one(desk: Desk, file: Any) -> None:
    file()
    assert set(desk.ledger.counts().due) == {"backend:office"}


def test_a_declaration_is_said_with_cloudevents_and_by_its_schema(desk: Desk) -> None:
    message = desk.file()
    desk.round()
    said = desk.broker.kept[f"{message}.pub"]
    assert said.subject == "cvan.declaration.IM"
    assert said.headers == {
        "ce-specversion": "1.0",
        "ce-id": f"{message}.pub",
        "ce-source": "/gateway",
        "ce-type": "cvan.declaration.v1",
        "ce-time": NOW.isoformat().replace("+00:00", "Z"),
        "ce-subject": message,
        "ce-datacontenttype": "application/json",
    }
    document = json.loads(said.payload)
    jsonschema.validate(document, schema("declaration"))
    assert (document["message"], document["filer"], document["principal"]) == (message, TRADER.id, TRADER.id)
    assert document["declaration"]["kind"] == "IM"
    values = {v["name"]: v["text"] for v in document["declaration"]["root"]["values"]}
    assert values["FunctionalReferenceID"] == "PUB-1"
    del document["declaration"]["kind"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema("declaration"))


def test_a_decision_is_said_as_it_is_stored(desk: Desk) -> None:
    message = desk.file()
    desk.decide(message, "d7", DecisionKind.DO_NOT_LOAD)
    desk.round()
    said = desk.broker.kept[f"{message}.d7.d.pub"]
    assert said.subject == "cvan.decision.do-not-load"
    assert (said.headers["ce-type"], said.headers["ce-subject"]) == ("cvan.decision.v1", message)
    document = json.loads(said.payload)
    jsonschema.validate(document, schema("decision"))
    assert msgspec.json.decode(said.payload, type=Decision).registration == "26VN1"
    document["kind"] = "unheard-of"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema("decision"))


def test_the_office_s_decisions_are_due_for_the_broker_too(desk: Desk, office: PaperOffice) -> None:
    message = desk.file()
    office.outbox.append(Decision("o1", message, DecisionKind.GREEN, NOW, registration="26VN9"))
    pool: Any = InlinePool()
    commits: Any = desk.commits
    backend = BackendCourier(
        "office",
        office,
        commits,
        Numbers(commits.ledger),
        lambda: desk.world.handbook,
        desk.world.own,
        desk.reactor,
        pool,
        desk.reactor.now,
        "me",
        publish="paper",
    )
    done(backend.round())
    done(backend.round())
    desk.round()
    assert list(desk.broker.kept) == [f"{message}.pub", f"{message}.o1.d.pub"]
    assert office.confirmed == ["o1"]


def test_a_decision_that_is_called_as_a_message_is_no_other_s(desk: Desk) -> None:
    message = desk.file()
    desk.decide(message, message)
    desk.round()
    assert list(desk.broker.kept) == [f"{message}.pub", f"{message}.{message}.d.pub"]


def test_what_ended_between_publishing_and_noting_it_is_published_again_under_its_id(desk: Desk) -> None:
    messages = [desk.file() for _ in range(3)]
    desk.commits.failing["done"] = LedgerUnavailable("gone")
    with pytest.raises(LedgerUnavailable):
        desk.round()
    del desk.commits.failing["done"]
    other = desk.another("other")
    assert desk.round(other) is False  # still leased to who is gone
    desk.reactor.advance(LEASE.total_seconds())
    assert timedelta(seconds=5) > LEASE
    assert desk.round(other) is True
    assert desk.broker.batches[0] == desk.broker.batches[1] == [f"{m}.pub" for m in messages]
    assert len(desk.broker.kept) == 3
    assert desk.due() == 0


def test_who_tries_again_says_so(desk: Desk) -> None:
    seen: list[bool] = []
    keep = desk.broker.publish
    desk.broker.publish = lambda batch: (seen.extend(p.again for p in batch), keep(batch))[1]  # type: ignore[method-assign]
    desk.file()
    desk.broker.deaf = True
    desk.round()
    desk.broker.deaf = False
    desk.reactor.advance(LONGEST_WAIT.total_seconds())
    desk.round()
    assert seen == [False, True]
    assert TAIL >= 2 * BATCH  # what one batch left unheard is found at the stream's end


def test_while_the_broker_is_away_all_wait_and_none_is_given_up(desk: Desk) -> None:
    first = desk.file()
    desk.broker.away = True
    for _ in range(GIVE_UP_AFTER + 5):
        desk.round()
        desk.reactor.advance(LONGEST_WAIT.total_seconds())
    (waiting,) = desk.ledger.due(DESTINATION, 10)
    assert waiting.error == "the broker is away"
    assert desk.dead() == []
    second = desk.file()
    desk.broker.away = False
    desk.round()
    assert list(desk.broker.kept) == [f"{first}.pub", f"{second}.pub"]


def test_nothing_passes_what_waits(desk: Desk) -> None:
    desk.broker.away = True
    first = desk.file()
    desk.round()
    desk.broker.away = False
    second = desk.file()
    assert desk.round() is False
    assert desk.broker.kept == {}
    desk.reactor.advance(LONGEST_WAIT.total_seconds())
    desk.round()
    assert list(desk.broker.kept) == [f"{first}.pub", f"{second}.pub"]


def test_what_was_confirmed_of_a_batch_that_failed_is_noted(desk: Desk) -> None:
    message = desk.file()
    desk.decide(message, "d1")
    keep, calls = desk.broker.publish, iter(range(10))

    def second_fails(batch: Sequence[Publication]) -> None:
        if next(calls) == 1:
            raise BackendUnavailable("ended")
        keep(batch)

    desk.broker.publish = second_fails  # type: ignore[method-assign]
    assert desk.round() is False
    assert [d.id for d in desk.ledger.due(DESTINATION, 10)] == [f"{message}.d1.d.pub"]
    desk.reactor.advance(LONGEST_WAIT.total_seconds())
    assert desk.round() is True
    assert list(desk.broker.kept) == [f"{message}.pub", f"{message}.d1.d.pub"]


def test_order_within_a_declaration_is_kept_where_the_broker_loses_the_middle(desk: Desk) -> None:
    message, other = desk.file(), desk.file()
    for number in range(3):
        desk.decide(message, f"d{number}")
        desk.decide(other, f"e{number}")
    desk.broker.loses = 1
    for _ in range(12):
        desk.round()
        desk.reactor.advance(LONGEST_WAIT.total_seconds())
    desk.broker.loses = None
    desk.round()
    ids = list(desk.broker.kept)
    for of, letter in ((message, "d"), (other, "e")):
        named = [i for i in ids if i.startswith(of) and i != f"{of}.pub"]
        assert named == [f"{of}.{letter}{n}.d.pub" for n in range(3)]
    assert ids.index(f"{message}.pub") < ids.index(f"{message}.d0.d.pub")
    assert len(ids) == 8


def test_what_the_broker_will_never_take_is_dead_and_holds_nobody_up(desk: Desk) -> None:
    messages = [desk.file() for _ in range(3)]
    desk.broker.never = {f"{messages[1]}.pub"}
    assert desk.round() is True
    assert sorted(desk.broker.kept) == sorted([f"{messages[0]}.pub", f"{messages[2]}.pub"])
    assert desk.dead() == [f"{messages[1]}.pub"]
    desk.broker.never = set()
    assert desk.ledger.revive([f"{messages[1]}.pub"], desk.reactor.now()) == 1
    desk.round()
    assert len(desk.broker.kept) == 3
    assert desk.dead() == []


def into_slices(desk: Desk, message: str) -> bytes:
    """As a declaration of a large submission is stored; its octets."""
    m, submission = tables.message, message.partition(".")[0]
    mine = m.c.submission == submission

    def move(connection: Connection) -> bytes:
        octets = bytes(connection.scalars(select(m.c.declaration).where(mine)).one())
        connection.execute(m.update().where(mine).values(declaration=b""))
        connection.execute(tables.slice.insert().values((submission, 1, 0, octets)))
        return octets

    return desk.ledger._write(move)


def test_a_very_long_one_is_measured_before_it_is_put_together(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a broker takes is bounded: what it will never take is told as that, and holds nobody up."""
    monkeypatch.setattr(courier, "HELD", 0)
    messages = [desk.file() for _ in range(4)]
    sizes = [len(into_slices(desk, message)) for message in messages[1:3]]
    desk.broker.away = True
    assert desk.round() is False
    desk.reactor.advance(LONGEST_WAIT.total_seconds() * 2)
    desk.broker.away, desk.broker.most = False, min(sizes) - 1
    assert desk.round() is True
    assert desk.dead() == [f"{message}.pub" for message in messages[1:3]]
    assert list(desk.broker.kept) == [f"{messages[0]}.pub", f"{messages[3]}.pub"]
    letter = desk.ledger.dead_letters(DESTINATION, 1)[0]
    assert letter.error.startswith(f"{sizes[0]} octets; the broker takes {desk.broker.most}: ")
    assert desk.due() == 0


def test_a_very_long_one_is_published_as_if_it_were_short(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = desk.file()
    into_slices(desk, message)
    delivery = desk.ledger.due(DESTINATION, 1)[0]
    (held,) = desk.ledger.handovers([delivery])
    whole = Naming("cvan", "/gateway").declaration(delivery, held)
    monkeypatch.setattr(courier, "HELD", 0)
    assert isinstance(desk.ledger.handovers([delivery])[0].declaration.root, Long)
    assert desk.round() is True
    assert desk.broker.kept[f"{message}.pub"] == whole


def test_what_carries_nothing_is_dead(desk: Desk) -> None:
    message = desk.file()
    decision = Decision("d1", message, DecisionKind.RED, NOW)
    astray = decision_due("paper", message, "nobody-s", desk.reactor.now())
    desk.ledger.record([Recorded(decision, published=astray)])
    desk.round()
    assert desk.dead() == [f"{message}.nobody-s.d.pub"]
    assert list(desk.broker.kept) == [f"{message}.pub"]


def test_parties_do_not_see_it_in_their_timelines(desk: Desk) -> None:
    message = desk.file()
    desk.round()
    status = desk.ledger.status(TRADER.id, message.partition(".")[0])
    assert status is not None
    assert all("publish" not in event.detail for event in status.timeline)


def test_a_clock_that_was_set_back_lets_it_go_at_once(desk: Desk) -> None:
    desk.file()
    desk.broker.away = True
    now = desk.reactor.now
    desk.courier._clock = lambda: now() + timedelta(hours=3)
    desk.round()
    desk.broker.away = False
    desk.courier._clock = now
    desk.reactor.advance(LEASE.total_seconds())
    desk.round()
    assert len(desk.broker.kept) == 1
