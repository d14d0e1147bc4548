"""What operators see and do: pages, another attempt, corrections beside the original, pauses; all of it journalled."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from gateway import transport
from gateway.delivery.breaker import RUN
from gateway.model import Declaration, Entity, Outgoing, Partner, Role, Value
from gateway.operations.desk import Desk
from gateway.storage import Ledger
from gateway.transport.desk import EVERYTHING, Actor, Again, Editing, Filter
from tests.delivery.conftest import File
from tests.delivery.fakes import InlineCommits, PaperOffice, Postman, StillReactor
from tests.delivery.test_backend import Desk as Courier
from tests.delivery.test_push import Round
from tests.evidence.kit import clean, journal_of
from tests.operations.knowledge import NOW, OTHER, TRADER, World

OFFICE = "backend:office"
MAI = Actor("mai", EVERYTHING)
WHY = "office code mistyped: agreed by telephone"


@pytest.fixture
def courier(
    delivery_world: World, commits: InlineCommits, office: PaperOffice, reactor: StillReactor
) -> Courier:
    return Courier(delivery_world, commits, office, reactor)


@pytest.fixture
def desk(ledger: Ledger, delivery_world: World, reactor: StillReactor) -> Desk:
    ledger.clock = reactor.now
    return Desk(ledger, lambda: delivery_world.handbook, reactor.now, "office")


def with_text(declaration: Declaration, path: str, text: str) -> Declaration:
    """The same with another text at a path."""

    def changed(entity: Entity, steps: list[str]) -> Entity:
        if len(steps) == 1:
            values = tuple(
                Value(v.name, text, v.attributes) if v.name == steps[0] else v for v in entity.values
            )
            return msgspec.structs.replace(entity, values=values)
        return msgspec.structs.replace(
            entity,
            entities=tuple(changed(e, steps[1:]) if e.name == steps[0] else e for e in entity.entities),
        )

    return msgspec.structs.replace(declaration, root=changed(declaration.root, path.split("/")))


DESCRIPTION = "GoodsShipment/GovernmentAgencyGoodsItem/Commodity/Description"


def codes(refused: pytest.ExceptionInfo[transport.Refusal]) -> tuple[int, list[str]]:
    return refused.value.status, [f.code for f in refused.value.findings]


# -- looking ---------------------------------------------------------------------------------------------


def test_pages_go_through_all_of_it_by_destination_state_and_age(
    desk: Desk, ledger: Ledger, file: File, reactor: StillReactor
) -> None:
    filed = [f"{file(by).id}.1" for by in (TRADER, OTHER, TRADER, OTHER, TRADER)]
    assert ledger.dead(filed[1], "poison", NOW)
    assert ledger.done([filed[3]], NOW)
    assert ledger.skip(filed[4], NOW, "Mai", WHY)

    def every(**of: Any) -> list[tuple[str, str]]:
        found, after = [], ""
        while True:
            page = desk.deliveries(Filter(**of, after=after, limit=1))
            found += [(d.id, d.state) for d in page.deliveries]
            after = page.next
            if not after:
                return found

    answers = (f"{filed[4]}.skipped", "due")
    waits = [(filed[0], "due"), (filed[2], "due"), (filed[1], "dead")]
    assert every() == [answers, *waits]
    assert every(destination=OFFICE) == waits
    assert every(destination="backend:") == waits
    assert every(state="dead") == [(filed[1], "dead")]
    for state, identity in (("done", filed[3]), ("skipped", filed[4])):
        assert desk.delivery(identity).delivery.state == state  # found by its id, and in no list
        with pytest.raises(transport.Refusal):
            desk.deliveries(Filter(state=state))
    reactor.advance(100)
    later = file()
    young = {d.id for d in desk.deliveries(Filter(older=99)).deliveries} ^ {i for i, _ in every()}
    assert young == {f"{later.id}.1"} or not young  # the fixture stores all at one time
    assert desk.deliveries(Filter(older=86_400)).deliveries == ()
    for bad in ("nonsense", "due.x.y", "gone.1.x"):
        with pytest.raises(transport.Refusal) as refused:
            desk.deliveries(Filter(after=bad))
        assert codes(refused) == (400, ["API4001"])
    with pytest.raises(transport.Refusal) as refused:
        desk.deliveries(Filter(state="lost"))
    assert codes(refused) == (400, ["API4001"])


def test_one_is_shown_with_what_it_carries_and_what_befell_it(desk: Desk, ledger: Ledger, file: File) -> None:
    filed = f"{file().id}.1"
    ledger.claim_due(OFFICE, "node", NOW, timedelta(seconds=3), 9)
    shown = desk.delivery(filed)
    assert shown is not None
    assert (shown.delivery.under_way, shown.delivery.attempts) == (True, 1)
    assert shown.carries is not None
    assert (shown.carries.what, shown.carries.reference, shown.carries.partner) == (
        "declaration",
        "LRN-1",
        TRADER.id,
    )
    assert ledger.dead(filed, "poison", NOW)
    shown = desk.delivery(filed)
    assert shown is not None
    assert [act.what for act in shown.history] == ["received", "delivery-dead"]
    assert desk.delivery("nothing") is None
    (letters,) = desk.dead_letters()
    assert (letters.destination, letters.error, letters.count) == (OFFICE, "poison", 1)


# -- sending again ---------------------------------------------------------------------------------------


def test_anything_but_what_was_skipped_or_is_under_way_is_sent_again(
    desk: Desk, courier: Courier, office: PaperOffice, ledger: Ledger, file: File
) -> None:
    filed = f"{file().id}.1"
    assert ledger.retry(filed, NOW + timedelta(hours=1), "later")
    assert courier.round() is False
    assert desk.again(filed, MAI, Again("customs is back")) is not None
    courier.round()
    assert list(office.taken) == [filed]
    assert desk.again(filed, MAI, Again("they lost it")) is not None  # it had arrived
    courier.round()
    assert office.batches == [1, 1]
    assert clean(ledger) == []
    assert [e.of.note for e in journal_of(ledger) if e.of.note.startswith("mai")] == [
        "mai: customs is back",
        "mai: they lost it",
    ]
    held = f"{file().id}.1"
    ledger.claim_due(OFFICE, "another", NOW, timedelta(seconds=3), 9)
    with pytest.raises(transport.Refusal) as refused:
        desk.again(held, MAI, Again(""))
    assert codes(refused) == (409, ["API4091"])
    ledger.dead(held, "poison", NOW)
    assert desk.skip(held, MAI, WHY) is not None
    with pytest.raises(transport.Refusal):
        desk.again(held, MAI, Again(""))


# -- corrections -----------------------------------------------------------------------------------------


def test_a_correction_is_handed_over_by_name_and_the_original_stays(
    desk: Desk, courier: Courier, office: PaperOffice, ledger: Ledger, file: File
) -> None:
    submission = file()
    filed = f"{submission.id}.1"
    assert ledger.dead(filed, "unreadable", NOW)
    before = desk.handover(filed, MAI)
    assert before is not None
    edited = with_text(before.declaration, DESCRIPTION, "Portable computers, refurbished")
    acted = desk.edit(filed, MAI, Editing(WHY, edited))
    assert acted is not None
    (change,) = acted.changes
    assert change.pointer == f"Declaration/{DESCRIPTION}"
    assert (change.before, change.after) == ("Portable computers", "Portable computers, refurbished")
    courier.round()
    taken = office.taken[filed]
    assert taken.declaration == edited
    assert taken.correction is not None
    assert (taken.correction.who, taken.correction.why, taken.correction.number) == ("mai", WHY, 1)
    assert taken.correction.original == before.original
    stored = ledger.original(filed)
    assert stored is not None
    assert (stored.declaration, stored.digest) == (before.declaration, before.original)
    raw = ledger.raw(submission.id)
    assert raw is not None
    assert raw.body == submission.body  # what was signed
    status = ledger.status(TRADER.id, submission.id)
    assert status is not None
    assert ("delivery-corrected", f"{OFFICE}: {WHY}") in [(e.what, e.detail) for e in status.timeline]
    assert clean(ledger) == []
    shown = desk.delivery(filed)
    assert shown is not None
    assert [(e.how.value, e.who, e.places) for e in shown.corrections] == [
        ("edited", "mai", (change.pointer,))
    ]


def test_the_last_correction_counts_and_each_is_kept(
    desk: Desk, courier: Courier, office: PaperOffice, ledger: Ledger, file: File
) -> None:
    filed = f"{file().id}.1"
    original = desk.handover(filed, MAI)
    assert original is not None
    for text in ("first", "second"):
        desk.edit(filed, MAI, Editing(WHY, with_text(original.declaration, DESCRIPTION, text)))
    now = desk.handover(filed, MAI)
    assert now is not None
    assert now.declaration.root.text(DESCRIPTION) == "second"
    courier.round()
    assert office.taken[filed].declaration.root.text(DESCRIPTION) == "second"
    assert [c.correction.number for c in ledger.corrections(filed)] == [1, 2]
    assert clean(ledger) == []
    with pytest.raises(transport.Refusal) as refused:  # customs has it: an amendment is its filer's
        desk.edit(filed, MAI, Editing(WHY, with_text(original.declaration, DESCRIPTION, "third")))
    assert codes(refused) == (409, ["API4091"])


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("FunctionalReferenceID", "LRN-OTHER"),
        ("FunctionCode", "1"),
        ("Declarant/ID", "0100233488"),
        ("DeclarationOfficeID", "VN999"),
    ],
)
def test_what_is_the_signers_own_is_no_operators_to_change(
    desk: Desk, ledger: Ledger, file: File, path: str, text: str
) -> None:
    filed = f"{file().id}.1"
    original = desk.handover(filed, MAI)
    assert original is not None
    edited = with_text(original.declaration, path, text)
    if edited == original.declaration:
        pytest.skip(f"the sample has no {path}")
    with pytest.raises(transport.Refusal) as refused:
        desk.edit(filed, MAI, Editing(WHY, edited))
    assert codes(refused) == (422, ["API4221"])
    assert ledger.corrections(filed) == []


def test_a_correction_is_judged_as_a_declaration_is_and_must_change_something(desk: Desk, file: File) -> None:
    filed = f"{file().id}.1"
    original = desk.handover(filed, MAI)
    assert original is not None
    with pytest.raises(transport.Refusal) as refused:
        desk.edit(filed, MAI, Editing(WHY, with_text(original.declaration, "TotalPackageQuantity", "61")))
    assert codes(refused) == (422, ["RUL010"])
    edited = with_text(original.declaration, DESCRIPTION, "x")
    for editing in (
        Editing(WHY, original.declaration),
        Editing(" ", edited),
        Editing(WHY),
        Editing("w" * 301, edited),
    ):
        with pytest.raises(transport.Refusal) as refused:
            desk.edit(filed, MAI, editing)
        assert codes(refused) == (422, ["API4221"])


def test_what_was_signed_is_read_again_by_the_knowledge_of_today(
    desk: Desk, courier: Courier, office: PaperOffice, ledger: Ledger, file: File
) -> None:
    filed = f"{file().id}.1"
    assert ledger.dead(filed, "unreadable", NOW)
    same = desk.again(filed, MAI, Again("mapping mended", reread=True))
    assert same is not None
    assert same.changes == ()  # it reads as it read: sent as it was
    assert ledger.corrections(filed) == []
    # What a mapping of yesterday made of it: less than was signed.
    original = ledger.original(filed)
    assert original is not None
    poorer = with_text(original.declaration, DESCRIPTION, "")
    database: Any = ledger._database
    from gateway.storage import tables
    from gateway.storage.codec import octets

    stored = tables.message.update().where(tables.message.c.submission == filed.partition(".")[0])
    database.write(lambda c: c.execute(stored.values(declaration=octets(poorer))))
    again = desk.again(filed, MAI, Again("mapping mended", reread=True))
    assert again is not None
    assert [(c.before, c.after) for c in again.changes] == [("", "Portable computers")]
    courier.round()
    taken = office.taken[filed]
    assert taken.declaration == original.declaration
    assert taken.correction is not None
    assert taken.correction.how.value == "reread"


def test_a_correction_that_somebody_changed_or_took_away_is_found(
    desk: Desk, ledger: Ledger, file: File
) -> None:
    filed = f"{file().id}.1"
    original = desk.handover(filed, MAI)
    assert original is not None
    desk.edit(filed, MAI, Editing(WHY, with_text(original.declaration, DESCRIPTION, "x")))
    assert clean(ledger) == []
    database: Any = ledger._database
    database.write(lambda c: c.exec_driver_sql("UPDATE correction SET who = 'nobody'"))
    assert clean(ledger)
    database.write(lambda c: c.exec_driver_sql("DELETE FROM correction"))
    assert clean(ledger)


def test_a_push_goes_to_another_address_of_the_same_host(
    desk: Desk, commits: InlineCommits, delivery_world: World, reactor: StillReactor, file: File
) -> None:
    went: list[tuple[str, str]] = []

    class Sender(Postman):
        async def send(self, outgoing: Outgoing, partner: Partner) -> None:
            went.append((outgoing.id, partner.push_url))

    round_ = Round(delivery_world, commits, Sender(), reactor, file)
    first, second = round_.message(), round_.message()
    assert commits.ledger.dead(f"{first}.p", "API604 410", NOW)
    for elsewhere in ("https://attacker.example/", "http://anphat.example/", "nonsense"):
        with pytest.raises(transport.Refusal) as refused:
            desk.edit(f"{first}.p", MAI, Editing(WHY, address=elsewhere))
        assert refused.value.status == 422
    assert desk.edit(f"{first}.p", MAI, Editing(WHY, address="https://anphat.example/new")) is not None
    round_.go()
    assert sorted(went) == [(first, "https://anphat.example/new"), (second, "https://anphat.example/")]
    assert clean(commits.ledger) == []


# -- who may ---------------------------------------------------------------------------------------------


def test_operators_keep_it_going_and_officers_decide_what_customs_gets(
    desk: Desk, ledger: Ledger, file: File
) -> None:
    operator, officer = Actor("an", frozenset({Role.OPERATOR})), Actor("mai", frozenset({Role.OFFICER}))
    filed = f"{file().id}.1"
    original = desk.handover(filed, officer)
    assert original is not None
    edited = with_text(original.declaration, DESCRIPTION, "x")
    for forbidden in (
        lambda: desk.handover(filed, operator),
        lambda: desk.skip(filed, operator, WHY),
        lambda: desk.edit(filed, operator, Editing(WHY, edited)),
        lambda: desk.again(filed, operator, Again(WHY, reread=True)),
        lambda: desk.pause(OFFICE, officer, WHY),
        lambda: desk.resume(OFFICE, officer, WHY),
        lambda: desk.close(OFFICE, officer, WHY),
    ):
        with pytest.raises(transport.Refusal) as refused:
            forbidden()
        assert codes(refused) == (403, ["API403"])
    assert desk.again(filed, operator, Again(WHY)) is not None
    assert desk.edit(filed, officer, Editing(WHY, edited)) is not None
    assert desk.skip(filed, officer, WHY) is not None


# -- destinations ----------------------------------------------------------------------------------------


def test_a_paused_destination_is_sent_nothing_until_it_is_resumed(
    desk: Desk, courier: Courier, office: PaperOffice, ledger: Ledger, file: File
) -> None:
    file()
    assert desk.pause(OFFICE, MAI, "customs moves house").state == "paused"
    with pytest.raises(transport.Refusal) as refused:
        desk.pause(OFFICE, MAI, "again")
    assert codes(refused) == (409, ["API4091"])
    courier.round()
    assert office.taken == {}
    (told,) = desk.destinations()
    assert (told.paused_by, told.paused_for, told.due) == ("mai", "customs moves house", 1)
    desk.resume(OFFICE, MAI, "moved")
    courier.round()
    assert len(office.taken) == 1
    notes = {e.kind: e.of.note for e in journal_of(ledger)}
    assert notes["destination-paused"] == "mai: customs moves house"
    assert notes["destination-resumed"] == "mai: moved"
    assert clean(ledger) == []
    with pytest.raises(transport.Refusal) as refused:
        desk.resume(OFFICE, MAI, "moved")
    assert codes(refused) == (409, ["API4091"])
    for slip in ("backend:ofice", "push:nobody", "nonsense"):
        with pytest.raises(transport.Refusal) as refused:
            desk.pause(slip, MAI, WHY)
        assert codes(refused) == (422, ["API4221"])


def test_a_breaker_is_closed_and_tried_at_once(
    desk: Desk, courier: Courier, office: PaperOffice, ledger: Ledger, file: File, reactor: StillReactor
) -> None:
    file()
    for _ in range(RUN):
        ledger.broke(OFFICE, reactor.now(), "away", lambda failures: timedelta(seconds=50))
    courier.round()
    assert office.batches == []
    assert desk.close(OFFICE, MAI, "they say they are back").state == "closed"
    courier.round()
    assert office.batches == [1]
    with pytest.raises(transport.Refusal) as refused:
        desk.close(OFFICE, MAI, "again")
    assert codes(refused) == (409, ["API4091"])
