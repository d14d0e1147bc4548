"""Nothing is settled by what was changed meanwhile, and nothing twice, whichever process settles."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import func, select

from gateway.model import Answer, Form, Mandate, Outcome, Partner, Role
from gateway.storage import Clash, Ledger, Settlement, Stale, registering, tables
from gateway.storage.database import Database

from .making import NOW, SECOND, settlement

VAN = Partner("VAN1", "VAN One", (Role.VAN,), ("VAN1",), ("CN=VAN",))
TRADER = Partner("TRADER1", "Trader", (Role.TRADER,), ("0100109106",), ("CN=Trader",))
OTHER = Partner("OTHER", "Other", (Role.TRADER,), ("0100233488",), ("CN=Other",))
MANDATE = Mandate("M1", VAN.id, TRADER.id)
ROOT = Path(__file__).resolve().parents[2]


def judged(id: str, version: int, *mandates: str, **more: Any) -> Settlement:
    """A settlement as a process judged it by a version of the register."""
    one = settlement(id, **more)
    messages = tuple(
        msgspec.structs.replace(m, mandates=mandates, form=Form.PRINCIPAL.value)
        if m.outcome is Outcome.ACCEPTED
        else m
        for m in one.verdict.messages
    )
    verdict = msgspec.structs.replace(one.verdict, messages=messages)
    return msgspec.structs.replace(one, verdict=verdict, register=version)


@pytest.fixture
def version(ledger: Ledger) -> int:
    """Of a register with two partners and a mandate."""
    for partner in (VAN, TRADER, OTHER):
        ledger.put_partner(partner)
    ledger.put_mandate(MANDATE)
    return ledger.register_version()


CHANGES: dict[str, Callable[[Ledger], object]] = {
    "revoked": lambda ledger: ledger.revoke_mandate("M1", NOW),
    "replaced": lambda ledger: ledger.put_mandate(msgspec.structs.replace(MANDATE, types=("EX",))),
    "agent suspended": lambda ledger: ledger.put_partner(msgspec.structs.replace(VAN, active=False)),
    "principal suspended": lambda ledger: ledger.put_partner(msgspec.structs.replace(TRADER, active=False)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_changed_since_admits_nothing(ledger: Ledger, version: int, name: str) -> None:
    CHANGES[name](ledger)
    neighbour = judged("b", version, partner=OTHER.id, signer=OTHER.id)
    route = msgspec.structs.replace(neighbour.verdict.route, partner=OTHER.id, principal=OTHER.id)
    neighbour = msgspec.structs.replace(
        neighbour, verdict=msgspec.structs.replace(neighbour.verdict, route=route)
    )
    first, second = ledger.settle([judged("a", version, "M1"), neighbour])
    assert first == Stale()
    assert isinstance(second, Answer)
    assert ledger.raw("a") is None
    newer = judged("a", ledger.register_version(), "M1")
    assert isinstance(ledger.settle([newer])[0], Answer)  # judged anew by what is now


def test_what_others_changed_holds_nobody_up(ledger: Ledger, version: int) -> None:
    ledger.put_partner(msgspec.structs.replace(OTHER, name="Another name"))
    ledger.put_mandate(Mandate("M2", OTHER.id, TRADER.id))
    assert isinstance(ledger.settle([judged("a", version, "M1")])[0], Answer)


def test_a_rejection_stands_whatever_changed(ledger: Ledger, version: int) -> None:
    ledger.revoke_mandate("M1", NOW)
    one = judged("a", version, "M1")
    verdict = msgspec.structs.replace(one.verdict, outcome=Outcome.REJECTED)
    assert isinstance(ledger.settle([msgspec.structs.replace(one, verdict=verdict)])[0], Answer)


def test_what_no_ledger_s_register_judged_is_taken(ledger: Ledger, version: int) -> None:
    ledger.revoke_mandate("M1", NOW)
    one = msgspec.structs.replace(judged("a", version, "M1"), register=None)
    assert isinstance(ledger.settle([one])[0], Answer)


def test_a_version_ahead_of_a_restored_ledger_is_looked_into(ledger: Ledger, version: int) -> None:
    assert isinstance(ledger.settle([judged("a", version + 5, "M1")])[0], Answer)
    assert ledger.settle([judged("b", version + 5, "gone")]) == [Stale()]


# -- processes of their own --------------------------------------------------------------------------

SETTLER = """
import json, sys, time
from gateway.storage import Ledger, Stale
from gateway.model import Answer
from tests.storage.test_admitting import judged
url, name, version, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
ledger = Ledger.open(url)
print("ready", flush=True)
sys.stdin.readline()
told = {"accepted": 0, "stale": 0}
for n in range(count):
    batch = [judged(f"{name}{n}x{m}", version, "M1") for m in range(3)]
    for answer in ledger.settle(batch):
        told["accepted" if isinstance(answer, Answer) else "stale"] += 1
    if told["stale"] and n > 5:
        break
print(json.dumps(told), flush=True)
ledger.close()
"""


class Settlers:
    """Processes that do the same at the same time."""

    def __init__(self, script: str, *arguments: tuple[object, ...]) -> None:
        self.processes = [
            subprocess.Popen(
                [sys.executable, "-c", script, *map(str, some)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=ROOT,
            )
            for some in arguments
        ]
        for process in self.processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"

    def go(self) -> None:
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()

    def told(self) -> list[Any]:
        return [json.loads(process.communicate(timeout=60)[0]) for process in self.processes]


def count(connection: Any) -> int:
    return int(connection.scalar(select(func.count()).select_from(tables.submission)))


def test_nothing_is_accepted_after_a_revocation_is_committed(
    database_url: str, ledger: Ledger, version: int
) -> None:
    """Two processes settle as fast as they can by a mandate that this one revokes.  The revocation's own
    transaction counts what there is, last of all: after its commit there must never be more."""
    settlers = Settlers(SETTLER, (database_url, "a", version, 5_000), (database_url, "b", version, 5_000))
    database = Database(database_url)
    settlers.go()
    while database.read(count) < 30:
        pass

    def revoke(connection: Any) -> int:
        assert registering.revoke_mandate(connection, "M1", NOW)
        return count(connection)

    before = database.write(revoke)
    told = settlers.told()
    after = database.read(count)
    database.close()
    assert all(one["stale"] for one in told)
    assert before >= 30
    assert after == before == sum(one["accepted"] for one in told)


SENDER = """
import json, sys
from gateway.storage import Ledger
from gateway.model import Answer
from tests.storage.test_admitting import sent
url, name = sys.argv[1], sys.argv[2]
ledger = Ledger.open(url)
print("ready", flush=True)
sys.stdin.readline()
told = []
for n in range(40):
    (answer,) = ledger.settle([sent(name, n)])
    if isinstance(answer, Answer):
        told.append([answer.submission, answer.repeated, answer.receipt.id])
    else:
        told.append([answer.submission, "clash", ""])
print(json.dumps(told), flush=True)
ledger.close()
"""


def sent(name: str, n: int) -> Settlement:
    """The n-th of what every process sends: even ones the same octets, odd ones other octets each under
    the same reference."""
    body = f"<MetaData>{n}{'' if n % 2 == 0 else name}</MetaData>".encode()
    return settlement(f"{name}{n}", body=body, reference=f"R{n}")


def test_processes_that_get_the_same_have_one_effect(database_url: str, ledger: Ledger) -> None:
    settlers = Settlers(SENDER, (database_url, "p"), (database_url, "q"))
    settlers.go()
    told = settlers.told()
    for n, (one, other) in enumerate(zip(*told, strict=True)):
        fresh = [t for t in (one, other) if t[1] is False]
        assert len(fresh) == 1, (n, one, other)
        (again,) = (t for t in (one, other) if t is not fresh[0])
        if n % 2 == 0:
            assert again == [fresh[0][0], True, fresh[0][2]]  # the original answer
        else:
            assert again == [fresh[0][0], "clash", ""]  # refused, naming whose reference it is
    database = Database(database_url)
    assert database.read(count) == 40
    database.close()


def test_a_replay_is_known_after_every_restart(database_url: str) -> None:
    """Neither nodes nor restarts forget: each look is by another opening of the ledger."""

    def again(one: Settlement) -> Answer | Clash | Stale:
        opened = Ledger.open(database_url)
        try:
            return opened.settle([one])[0]
        finally:
            opened.close()

    first = settlement("a", body=b"x", reference="R")
    answered = again(first)
    assert isinstance(answered, Answer)
    later = again(settlement("b", body=b"x", reference="R"))
    assert isinstance(later, Answer)
    assert (later.submission, later.repeated, later.receipt) == ("a", True, answered.receipt)
    by_other_channel = settlement("c", body=b"y", reference="R")
    submission = msgspec.structs.replace(by_other_channel.submission, channel="as4")
    by_other_channel = msgspec.structs.replace(by_other_channel, submission=submission)
    assert again(by_other_channel) == Clash("a", first.submission.digest, "R")


# -- windows -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("at", "holds"), [(NOW, True), (NOW + 10 * SECOND, False)])
def test_a_mandate_that_ends_by_itself_needs_no_change(ledger: Ledger, at: datetime, holds: bool) -> None:
    ledger.put_mandate(msgspec.structs.replace(MANDATE, valid_to=NOW + 10 * SECOND))
    assert ledger.register().may("VAN1", "TRADER1", "IM", at) is holds
