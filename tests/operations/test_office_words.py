"""What an officer reads: commands, not moves; money only where it is owed; the whole of a case."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from adapters.clearance import views
from adapters.clearance.case import Case, Entry
from adapters.clearance.states import Family, Move, State
from gateway.model import Decision, DecisionKind, Declaration, Entity, Kind
from gateway.operations.cli import office
from tests.operations.shell import cvan

AT = datetime(2026, 3, 2, 8, 15, tzinfo=UTC)
CASE = Case("26VN1", Family.GOODS, Kind.IMPORT, "L1", "anphat", "van", "s.1", AT, AT, total=Decimal(47))


def line(state: State, kind: Kind = Kind.IMPORT) -> views.CaseLine:
    changed = {"state": state, "kind": kind, "due_at": AT - timedelta(days=1)}
    return views.line(type(CASE)(**{f: getattr(CASE, f) for f in CASE.__struct_fields__} | changed), AT)


def test_nothing_is_owed_for_a_case_that_ended_without_goods() -> None:
    assert "47 due OVERDUE" in office._line(line(State.PAYMENT))
    for state in (State.CANCELLED, State.REFUSED):
        assert "due" not in office._line(line(state)).lower()


def test_an_officer_is_told_commands_that_exist() -> None:
    for state in State:
        for name in office.commands(line(state)) if state is not State.BLOCKED else ():
            assert name in office.office.commands, name
    assert "accept-documents" in office.commands(line(State.DOCUMENTS))
    assert "discharge" in office.commands(line(State.RELEASED, Kind.TRANSIT))
    assert "discharge" not in office.commands(line(State.RELEASED))
    for names in office.COMMAND_OF.values():
        assert all(name in office.office.commands for name in names.split(", "))
    assert set(office.COMMAND_OF) <= set(Move)


def test_a_case_is_told_with_its_payments_and_decisions() -> None:
    declaration = Declaration(Kind.IMPORT, Entity("Declaration"))
    view = views.CaseView(
        line(State.PAYMENT),
        (views.Version("26VN1", 1, "d", "s.1", "van", Decimal(47), declaration, (), AT),),
        (),
        (),
        (Entry("0071", "E1", "CRDT", "RF18", "26VN1", Decimal(40), "d2", AT),),
        (),
        (
            views.SaidLine(Decision("x1", "s.1", DecisionKind.GREEN, AT, statement="Go on."), AT),
            views.SaidLine(Decision("x2", "s.1", DecisionKind.DUTY_NOTICE, AT), None),
        ),
    )
    text = "\n".join(office._whole(view))
    assert "payment: 2026-03-02 08:15:00 CRDT 40 for RF18 (E1)" in text
    assert "green (sent 2026-03-02 08:15:00) Go on." in text
    assert "duty-notice (not sent yet)" in text


@pytest.mark.parametrize("words", [("--state", "nonsense"), ("--channel", "blue"), ("--kind", "PAY")])
def test_what_no_case_can_be_is_refused(home: Path, words: tuple[str, str]) -> None:
    said = cvan("office", "list", *words, home=home)
    assert (said.code, "is not one of" in said.err) == (2, True)
