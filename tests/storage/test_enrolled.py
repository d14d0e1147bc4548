"""The register read: changes only, as of one moment, and what an older ledger held."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, text

from gateway.model import Credential, Form, Mandate, Partner, Register, Role, Use
from gateway.storage import Ledger, Taken, enrolled
from gateway.storage.database import Database
from tests.model.strategies import MANDATES, PARTNERS, fingerprint
from tests.sqlite import engine as engine_of

from .making import NOW

P = Partner("p", "P", (Role.TRADER,), ("0100109106",), ("CN=P",))
M = Mandate("m", "v", "p", ("IM",), NOW, NOW + timedelta(days=1), None, ("18A3",), Form.BOTH)


def test_nothing_changed_is_the_register_itself(ledger: Ledger) -> None:
    ledger.put_partner(P)
    register = ledger.register()
    assert register.version == ledger.register_version() == 1
    assert ledger.refreshed(register) is register
    ledger.references("outgoing", 5)
    assert ledger.refreshed(register) is register


def test_one_that_no_ledger_holds_is_read_whole(ledger: Ledger) -> None:
    ledger.put_partner(P)
    assert dict(ledger.refreshed(Register()).partners) == {"p": P}


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(PARTNERS | MANDATES, max_size=12))
def test_changes_taken_in_one_by_one_are_the_whole(ledger: Ledger, changes: list[Any]) -> None:
    register = ledger.register()
    for change in changes:
        try:
            (ledger.put_partner if isinstance(change, Partner) else ledger.put_mandate)(change)
        except Taken:
            continue
        register = ledger.refreshed(register)
    whole = ledger.register()
    assert dict(register.partners) == dict(whole.partners)
    assert register.version == whole.version
    ids = [f"p{n}" for n in range(6)]
    for agent in ids:
        for principal in ids:
            one, other = (sorted(r.mandates(agent, principal), key=lambda m: m.id) for r in (register, whole))
            assert one == other


def test_only_what_changed_is_read(database_url: str, ledger: Ledger) -> None:
    ledger.put_all(
        lambda: [[msgspec.structs.replace(P, id=f"p{n}", identifiers=(), subjects=()) for n in range(50)]]
    )
    ledger.put_all(lambda: [[msgspec.structs.replace(M, id=f"m{n}") for n in range(50)]])
    database = Database(database_url)
    register = database.read(enrolled.register)
    ledger.revoke_mandate("m7", NOW)
    rows: list[int] = []

    @event.listens_for(database.engine, "after_cursor_execute")
    def count(_: Any, cursor: Any, *__: Any) -> None:
        rows.append(max(cursor.rowcount, 0))

    newer = database.read(lambda c: enrolled.refreshed(c, register))
    database.close()
    assert sum(rows) <= 5
    assert [m.id for m in newer.mandates("v", "p") if m.revoked_at] == ["m7"]
    assert newer.partners["p3"] is not None
    assert not any(m.revoked_at for m in register.mandates("v", "p"))


def test_many_changes_are_read_as_a_whole(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enrolled, "MAX_LATER", 3)
    register = ledger.register()
    for n in range(8):
        ledger.put_mandate(msgspec.structs.replace(M, id=f"m{n}"))
        register = ledger.refreshed(register)
        assert register.changes <= 3
        assert register.mandate_count == n + 1


def test_certificates_are_kept_apart_and_come_back(ledger: Ledger) -> None:
    whole = Credential(fingerprint(1), (Use.SIGN,), certificate=b"\x30\x00", expires_at=NOW)
    partner = msgspec.structs.replace(P, credentials=(whole,))
    ledger.put_partner(partner)
    assert ledger.partner("p") == partner
    assert ledger.partners() == [partner]
    assert ledger.register().partners["p"].credentials[0].certificate == b""
    ledger.put_partner(ledger.find_partners()[0])  # put again without them: they stay
    assert ledger.partner("p") == partner
    with pytest.raises(Taken, match="certificate"):
        ledger.put_partner(Partner("q", "Q", credentials=(whole,)))


def test_all_or_nothing(ledger: Ledger) -> None:
    taken = msgspec.structs.replace(P, id="q")
    with pytest.raises(Taken):
        ledger.put_all(lambda: [[M], [P], [taken]])
    assert (ledger.partners(), ledger.mandates(), ledger.register_version()) == ([], [], 0)
    assert ledger.put_all(lambda: [[P], [M]]).count == 2
    assert ledger.register_version() == 1


@pytest.mark.parametrize("query", ["partner", "mandate"])
def test_changes_are_found_by_an_index(sqlite_url: str, query: str) -> None:
    engine = engine_of(sqlite_url)
    with engine.connect() as connection:
        plan = connection.execute(text(f"EXPLAIN QUERY PLAN SELECT * FROM {query} WHERE changed > 5")).all()
    engine.dispose()
    assert f"USING INDEX ix_{query}_changed" in plan[0][3]
