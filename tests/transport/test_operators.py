"""Operators and officers at the door, over TLS, with a real ledger: curl asks, the journal tells."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from gateway.intake import Intake
from gateway.model import Partner, Register, Role
from gateway.operations.readiness import Readiness
from gateway.operations.services import Doorkeeping
from gateway.storage import GroupCommit, Ledger
from gateway.transport import PARTNERS, AccessLog, Door, DoorSettings, Metrics, ServerTls, listen
from tests.evidence.kit import clean, journal_of
from tests.operations.knowledge import book
from tests.storage.making import BACKEND, recorded, settlement

from .conftest import Authority, Gateway, Lines, Loop, digest
from .office import now
from .test_api import problem, read

TOKENS = {"an": Role.OPERATOR, "mai": Role.OFFICER, "van": Role.VAN}
WHY = {"reason": "agreed by telephone"}
PUSHED = "a.1.d1.d.p"


def people() -> list[Partner]:
    bearers = [
        Partner(n, n.title(), (role,), token_digest=digest(f"token-{n}")) for n, role in TOKENS.items()
    ]
    certified = Partner("binh", "Binh", (Role.OPERATOR,), subjects=("CN=van-1,O=VAN One,C=VN",))
    return [*bearers, certified, Partner("VAN1", "VAN One", (Role.VAN,))]


@dataclass
class Desk:
    """A gateway whose services stand on a ledger."""

    gateway: Gateway
    ledger: Ledger
    listeners: list[Any] = field(default_factory=list)

    def ask(
        self, who: str, method: str, path: str, body: object = None, certificate: str = ""
    ) -> tuple[int, dict[str, str], bytes]:
        args = ["-X", method, f"{self.gateway.base}{path}"]
        args += ["-H", f"Authorization: Bearer token-{who}"] if who else []
        if body is None:
            return read(self.gateway.curl(*args, name=certificate))
        said = body if isinstance(body, bytes) else msgspec.json.encode(body)
        args += ["-H", "Content-Type: application/json", "--data-binary", "@-"]
        return read(self.gateway.curl(*args, name=certificate, body=said))

    def told(self, who: str, method: str, path: str, body: object = None, certificate: str = "") -> Any:
        status, _, said = self.ask(who, method, path, body, certificate)
        assert status == 200, said
        return json.loads(said)


@pytest.fixture
def open_desk(loop: Loop, authority: Authority, database_url: str) -> Iterator[Callable[..., Desk]]:
    ends: list[Callable[[], object]] = []

    def make(settings: DoorSettings | None = None) -> Desk:
        ledger = Ledger.open(database_url)
        commits = loop(GroupCommit, ledger, loop.reactor)
        knowledge = book().with_register(Register(people(), ()))
        unused: Any = None
        intake = Intake(commits, unused, lambda: knowledge, unused, lambda: datetime.now(UTC), "clearance")
        folder, metrics = authority.folder, Metrics()
        tls = ServerTls.of_files(folder / "server.key.pem", folder / "server.pem", folder / "trust")
        door = Door(
            Doorkeeping(intake, commits, lambda: knowledge, Readiness(commits, ledger.writes, loop.reactor)),
            metrics,
            AccessLog(),
            now=now,
            seconds=loop.reactor.seconds,
            randomness=os.urandom,
            later=lambda call: loop.reactor.callLater(0, call),
            settings=settings,
        )
        listener = loop(listen, loop.reactor, door, tls, now=now, port=0, interface="127.0.0.1")
        ends.extend([ledger.close, lambda: loop(commits.stop), lambda: loop(listener.stop, 1.0)])
        nobody: Any = None
        return Desk(Gateway(loop, authority, nobody, door, listener, Lines(), metrics, tls), ledger)

    yield make
    while ends:
        ends.pop()()


@pytest.fixture
def desk(open_desk: Callable[..., Desk]) -> Desk:
    """Two declarations due, the second dead; a push dead."""
    made = open_desk()
    stored = datetime.now(UTC)
    made.ledger.settle([settlement("a"), settlement("b")])
    made.ledger.record([recorded("d1", "a.1", push=True)])
    assert made.ledger.dead("b.1", "unreadable", stored)
    assert made.ledger.dead(PUSHED, "API604 410", stored)
    return made


def test_a_day_at_the_desk(desk: Desk) -> None:
    page = desk.told("an", "GET", "/v1/deliveries?limit=1")
    assert [(d["id"], d["state"]) for d in page["deliveries"]] == [("a.1", "due")]
    rest = desk.told("an", "GET", f"/v1/deliveries?limit=9&after={page['next']}")
    assert [d["id"] for d in rest["deliveries"]] == ["b.1", PUSHED]
    assert rest["next"] == ""
    kind = desk.told("", "GET", "/v1/deliveries?destination=push:&state=dead", certificate="van")
    assert [d["error"] for d in kind["deliveries"]] == ["API604 410"]
    shown = desk.told("an", "GET", "/v1/deliveries/b.1")
    assert (shown["carries"]["reference"], shown["history"][-1]["what"]) == ("LRN-b-1", "delivery-dead")
    letters = desk.told("an", "GET", "/v1/dead-letters")
    assert [(each["destination"], each["count"]) for each in letters] == [(BACKEND, 1), ("push:VAN1", 1)]

    assert desk.told("an", "POST", f"/v1/deliveries/{PUSHED}/again", WHY)["state"] == "due"
    assert desk.told("an", "POST", f"/v1/destinations/{BACKEND}/pause", WHY)["state"] == "paused"
    told = {each["destination"]: each for each in desk.told("an", "GET", "/v1/destinations")}
    assert (told[BACKEND]["paused_by"], told[BACKEND]["due"], told[BACKEND]["dead"]) == ("an", 1, 1)
    assert (
        desk.told("", "POST", f"/v1/destinations/{BACKEND}/resume", WHY, certificate="van")["id"] == BACKEND
    )

    whole = desk.told("mai", "GET", "/v1/deliveries/b.1/declaration")
    assert whole["declaration"]["root"]["values"][1]["text"] == "LRN-b-1"
    assert desk.told("mai", "POST", "/v1/deliveries/b.1/skip", WHY)["state"] == "skipped"
    notes = [e.of.note for e in journal_of(desk.ledger) if e.of.note.endswith(WHY["reason"])]
    assert sorted(notes) == sorted(f"{who}: {WHY['reason']}" for who in ("an", "an", "binh", "mai"))
    assert clean(desk.ledger) == []


def test_a_message_is_offered_to_its_partner_again(desk: Desk) -> None:
    assert desk.ledger.acknowledge("VAN1", ["a.r", "b.r"]) == 2
    assert desk.told("mai", "POST", "/v1/outgoing/a.r/resend", {"reason": ""}) == {
        "id": "a.r",
        "state": "offered",
    }
    assert "a.r" in [e.id for e in desk.ledger.mailbox("VAN1", "", 9)]
    assert "b.r" not in [e.id for e in desk.ledger.mailbox("VAN1", "", 9)]
    for who, path, status in (
        ("van", "/v1/outgoing/a.r/resend", 403),
        ("an", "/v1/outgoing/nothing/resend", 404),
    ):
        assert problem(desk.ask(who, "POST", path, WHY))["status"] == status
    assert clean(desk.ledger) == []


def test_who_may_not_is_told_which_role_may(desk: Desk) -> None:
    for who, method, path, body in (
        ("van", "GET", "/v1/deliveries", None),
        ("van", "GET", "/v1/deliveries/a.1", None),
        ("van", "POST", "/v1/deliveries/a.1/again", WHY),
        ("van", "POST", f"/v1/destinations/{BACKEND}/pause", WHY),
        ("an", "GET", "/v1/deliveries/a.1/declaration", None),
        ("an", "POST", "/v1/deliveries/a.1/skip", WHY),
        ("mai", "POST", f"/v1/destinations/{BACKEND}/pause", WHY),
        ("mai", "POST", f"/v1/deliveries/{PUSHED}/skip", WHY),
    ):
        document = problem(desk.ask(who, method, path, body))
        assert (document["status"], document["findings"][0]["code"]) == (403, "API403"), (who, path)
    assert problem(desk.ask("", "GET", "/v1/deliveries"))["status"] == 401
    assert [e for e in journal_of(desk.ledger) if e.of.note.partition(":")[0] in TOKENS] == []


def test_what_cannot_be_is_a_problem_in_both_languages(desk: Desk) -> None:
    for path, body, status, code in (
        ("/v1/deliveries/nothing/again", WHY, 404, "API404"),
        ("/v1/deliveries/a.1/again", b"[]", 400, "API4004"),
        ("/v1/deliveries/a.1/again", {"reason": "x", "more": 1}, 400, "API4004"),
        ("/v1/deliveries/a.1/again", b"[" * 100_000, 400, "API4004"),
        ("/v1/destinations/push:nobody/pause", WHY, 422, "API4221"),
        (f"/v1/destinations/{BACKEND}/resume", WHY, 409, "API4091"),
        (f"/v1/destinations/{BACKEND}/pause", {"reason": " "}, 422, "API4221"),
    ):
        document = problem(desk.ask("an", "POST", path, body))
        assert (document["status"], document["findings"][0]["code"]) == (status, code), path
    for query in ("limit=0", "limit=1001", "state=lost", "after=nonsense", "older=-1"):
        assert problem(desk.ask("an", "GET", f"/v1/deliveries?{query}"))["status"] == 400


def test_a_door_for_partners_only_knows_no_desk(open_desk: Callable[..., Desk]) -> None:
    made = open_desk(DoorSettings(operations=PARTNERS))
    assert problem(made.ask("an", "GET", "/v1/deliveries"))["status"] == 404
