"""The books: once each, whatever is repeated, killed, raced or away."""

from __future__ import annotations

import itertools
import random
import re
import signal
import subprocess
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import clearance_child
import pytest
import sqlalchemy as sa
from clearance_samples import (
    CONF,
    NOW,
    Partners,
    cargo,
    config,
    consignment,
    credit,
    goods,
    item,
    kinds,
    payment,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_clearance_goods import FREE, GREEN, RED, YELLOW

from adapters.clearance import Clearance, SchemaTooNew, tables
from adapters.clearance.books import Refusing
from gateway.adapter import BackendUnavailable, Handover
from gateway.model import DecisionKind as K
from gateway.model import Declaration
from tests.postgres import PostgresServer
from tests.sqlite import engine as engine_of
from tests.sqlite import spoil

ROOT = Path(__file__).parents[2]


def numbered(*declarations: Declaration, run: str = "") -> list[Handover]:
    return [
        Handover(f"d{run}{n}", f"m{run}{n}", "van", "importer", NOW, d) for n, d in enumerate(declarations)
    ]


def test_a_second_handover_has_no_second_effect(partners: Partners) -> None:
    batch = numbered(goods("L1", GREEN), goods("L2", YELLOW), cargo("C1", consignment(1, "B", "explosive")))
    partners.clearance.hand_over([*batch, batch[0]], NOW)
    first = partners.clearance.decisions(100)
    partners.clearance.hand_over(batch, NOW + timedelta(days=1))
    assert partners.clearance.decisions(100) == first
    assert len(partners.office.work()) == 3


def test_after_a_restore_nothing_is_said_under_an_id_of_before(partners: Partners) -> None:
    """A receiver drops what comes under an id that it has."""
    clearance = partners.clearance
    (case,) = {d.registration for d in partners.file(goods("L1", YELLOW))}
    said: list[str] = []
    for _ in range(2):
        with clearance.books.writing(clearance.config, NOW) as docket:
            docket.begin_epoch()
            found = docket.case(case)
            assert found is not None
            docket.tell(found, K.HELD, ("Held.", "Giữ lại."))
        said += [d.id for d in partners.fetch()]
    assert len(set(said)) == 2
    assert all(re.fullmatch(rf"{case}-\d{{4}}\.[0-9a-f]{{10}}", i) for i in said)
    clearance.hand_over(numbered(goods("L1", YELLOW), run="again"), NOW)
    assert all(re.fullmatch(r"dagain0-0001\.[0-9a-f]{10}", d.id) for d in partners.fetch())


def test_an_error_of_the_database_says_nothing_of_declarations(partners: Partners) -> None:
    clearance = partners.clearance
    (case,) = {d.registration for d in partners.file(goods("L1", YELLOW))}
    again = tables.case.insert().from_select(
        tables.case.columns.keys(),
        tables.case.select().where(tables.case.c.registration == sa.bindparam("it")),
    )
    with pytest.raises(Refusing) as refused, clearance.books.writing(clearance.config, NOW) as docket:
        docket.connection.execute(again, {"it": case})
    told = "".join(traceback.format_exception(refused.value))
    assert "clearance_case" in told
    assert case not in told


def test_a_server_that_takes_nothing_is_left(postgres_server: PostgresServer) -> None:
    """Its connections are given up, so that the next ones find who took over."""
    name = postgres_server.create()
    partners = Partners(postgres_server.url(name))
    with partners.clearance.books.engine.begin() as connection:
        connection.exec_driver_sql("SET default_transaction_read_only = on")
    with pytest.raises(BackendUnavailable):
        partners.file(goods("L1", GREEN))
    assert partners.file(goods("L1", GREEN))
    partners.close()
    postgres_server.drop(name)


def test_decisions_are_offered_until_confirmed_oldest_first(partners: Partners) -> None:
    clearance = partners.clearance
    clearance.hand_over(numbered(goods("L1", FREE), goods("L2", RED)), NOW)
    offered = clearance.decisions(100)
    assert kinds(offered) == [
        K.REGISTERED,
        K.GREEN,
        K.RELEASED,
        K.CLEARED,
        K.REGISTERED,
        K.RED,
        K.DUTY_NOTICE,
    ]
    assert clearance.decisions(2) == offered[:2]
    clearance.confirm([offered[0].id, offered[2].id, "unknown"])
    assert clearance.decisions(100) == [offered[1], *offered[3:]]
    clearance.confirm([d.id for d in offered] * 200)
    assert clearance.decisions(100) == []
    clearance.confirm([])


def test_decisions_survive_a_restart(partners: Partners) -> None:
    partners.clearance.hand_over(numbered(goods("L1", FREE)), NOW)
    offered = partners.clearance.decisions(10)
    partners.clearance.close()
    again = Clearance.open(partners.url, CONF)
    assert again.decisions(10) == offered
    again.close()


def test_numbers_run_by_the_offices_year(partners: Partners) -> None:
    eve = NOW.replace(year=2026, month=12, day=31, hour=16, minute=59)
    partners.now = eve
    first = partners.file(goods("L1", FREE))[0].registration
    partners.later(minutes=2)  # midnight in Vietnam
    second = partners.file(goods("L2", FREE))[0].registration
    assert (first[:2], first[8:16], second[:2], second[8:16]) == ("26", "00000001", "27", "00000001")


def test_threads_share_the_office(partners: Partners) -> None:
    batches = [numbered(*(goods(f"L{t}-{n}", FREE) for n in range(5)), run=f"{t}-") for t in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda batch: partners.clearance.hand_over(batch, NOW), batches * 2))
    lines = partners.office.work()
    assert len({line.registration for line in lines}) == 30
    assert sorted(int(line.registration[8:16]) for line in lines) == list(range(1, 31))
    decisions = partners.clearance.decisions(1000)
    assert kinds(decisions).count(K.REGISTERED) == 30


POOL = [
    goods("A", FREE),
    goods("B", YELLOW),
    goods("A", GREEN),  # a duplicate reference, refused
    goods("", GREEN),
    cargo("C", consignment(1, "B1", "explosive")),
    payment(credit("RF18539007547034", 1, "E")),
]


def test_a_whole_life_may_be_one_batch(partners: Partners, tmp_path: Path) -> None:
    """What comes later in a batch sees what came before it, as if each had its own transaction."""
    rehearsal = Partners(f"sqlite:///{tmp_path / 'rehearsal.db'}")
    number = rehearsal.file(goods("L1", GREEN))[0].registration
    change = goods("A1", item(1, "39011010", 3000, "USD"), function="4", mrn=number)
    due = rehearsal.file(change)[-1]
    rehearsal.close()
    pay = payment(credit(due.payment_reference, due.amount, "E1"))
    partners.clearance.hand_over(numbered(goods("L1", GREEN), change, pay, pay), NOW)
    assert [(d.kind, d.message) for d in partners.clearance.decisions(100)] == [
        *((kind, "m0") for kind in (K.REGISTERED, K.GREEN, K.DUTY_NOTICE)),
        *((kind, "m1") for kind in (K.AMENDED, K.GREEN, K.DUTY_NOTICE)),
        (K.PAYMENT_MATCHED, "m2"),
        *((kind, "m1") for kind in (K.RELEASED, K.CLEARED)),
        (K.PAYMENT_MATCHED, "m3"),
    ]
    assert partners.office.show(number).line.paid == "7620000"


RUNS = itertools.count()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.integers(0, len(POOL) - 1), max_size=6), max_size=6))
def test_any_repeats_make_the_same_books_as_none(database_url: str, batches: list[list[int]]) -> None:
    """Each key's first appearance decides; what is said is the same as if nothing were ever repeated."""
    run = next(RUNS)
    with_repeats = Clearance.open(database_url, CONF)
    keyed = [Handover(f"d{run}-{n}", f"m{n}", "van", f"importer{run}", NOW, d) for n, d in enumerate(POOL)]
    for batch in batches:
        with_repeats.hand_over([keyed[n] for n in batch], NOW)
    said = with_repeats.decisions(1000)
    with_repeats.confirm([d.id for d in said])
    with_repeats.close()
    order = list(dict.fromkeys(n for batch in batches for n in batch))
    fresh = Clearance.open("sqlite://", CONF)
    fresh.hand_over([keyed[n] for n in order], NOW)
    expected = fresh.decisions(1000)
    fresh.close()
    assert [(d.kind, d.message) for d in said] == [(d.kind, d.message) for d in expected]
    assert len({d.id for d in said}) == len(said)
    registered = [d.message for d in said if d.kind is K.REGISTERED]
    assert len(registered) == len(set(registered))


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_any_moment_everything_is_registered_once(database_url: str, seed: int) -> None:
    luck = random.Random(seed)
    command = [sys.executable, str(Path(clearance_child.__file__)), database_url]
    environment = {"PYTHONPATH": f"{ROOT}:{Path(__file__).parent}", "PYTHONDONTWRITEBYTECODE": "1"}
    killed = 0
    for _ in range(3):
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd="/")
        assert child.stdout is not None
        for _ in range(luck.randint(1, 6)):
            child.stdout.readline()
        # A last moment of chance, so that the kill falls inside a batch and not always between two.
        try:
            child.wait(luck.random() * 0.02)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
        killed += child.wait() == -signal.SIGKILL
        child.stdout.close()
    assert killed
    clearance = Clearance.open(database_url, CONF)
    everything = clearance_child.handovers()
    clearance.hand_over(everything, NOW)
    decisions = clearance.decisions(10_000)
    assert len({d.id for d in decisions}) == len(decisions)
    for kind in (K.REGISTERED, K.GREEN, K.RELEASED, K.CLEARED):
        assert sorted(d.message for d in decisions if d.kind is kind) == sorted(h.message for h in everything)
    numbers = sorted({int(d.registration[8:16]) for d in decisions})
    assert numbers == list(range(1, clearance_child.TOTAL + 1))
    clearance.close()


# -- the schema -----------------------------------------------------------------------------------------


def test_opening_again_changes_nothing(partners: Partners) -> None:
    Clearance.open(partners.url, config()).close()
    with partners.clearance.books.reading() as connection:
        assert connection.scalars(sa.select(tables.schema.c.version)).all() == [1]


def test_every_table_is_the_offices_own(partners: Partners) -> None:
    names = set(sa.inspect(partners.clearance.books.engine).get_table_names())
    own = {name for name in names if name.startswith("clearance_")}
    assert own == {table.name for table in tables.metadata.sorted_tables}


def test_steps_run_once_and_in_order(partners: Partners) -> None:
    ran: list[int] = []
    steps = (lambda _: ran.append(2), lambda _: ran.append(3))
    books = partners.clearance.books
    for _ in range(2):
        with books.engine.begin() as connection:
            tables.migrate(connection, NOW, steps)
    assert ran == [2, 3]
    with pytest.raises(SchemaTooNew, match="schema version 3"):
        Clearance.open(partners.url, CONF)


def test_the_next_schema_is_gone_on_with_while_nodes_are_replaced(partners: Partners) -> None:
    books = partners.clearance.books
    with books.engine.begin() as connection:
        tables.migrate(connection, NOW, (lambda _: None,))
    Clearance.open(partners.url, CONF).close()
    with books.engine.connect() as connection:
        assert connection.scalars(sa.select(tables.schema.c.version)).all() == [1, 2]


def test_an_empty_database_starts_at_the_newest_version() -> None:
    engine = engine_of("sqlite://")
    with engine.begin() as connection:
        tables.migrate(connection, NOW, (lambda _: pytest.fail("an empty database needs no step"),))
        assert connection.scalar(sa.select(tables.schema.c.version)) == 2


# -- away -----------------------------------------------------------------------------------------------


def test_a_database_that_is_away_is_said_so(partners: Partners, tmp_path: Path) -> None:
    with pytest.raises(BackendUnavailable):
        Clearance.open(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.db'}", CONF)
    with pytest.raises(BackendUnavailable):
        Clearance.open(f"postgresql+psycopg://nobody@/none?host={tmp_path}", CONF)


def test_a_database_that_takes_nothing_now_is_unavailable_then_well_again(postgres_url: str) -> None:
    name = sa.make_url(postgres_url).database
    partners = Partners(postgres_url)
    partners.file(goods("L1", FREE))
    _read_only(postgres_url, name, "on")
    partners.clearance.books.engine.dispose()
    with pytest.raises(BackendUnavailable, match="read-only"):
        partners.file(goods("L2", FREE))
    _read_only(postgres_url, name, "off")
    partners.clearance.books.engine.dispose()
    assert kinds(partners.file(goods("L2", FREE)))[0] is K.REGISTERED
    partners.close()


def _read_only(url: str, name: str | None, word: str) -> None:
    engine = engine_of(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("SET default_transaction_read_only = off")
        connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET default_transaction_read_only = {word}')
    engine.dispose()


def test_what_is_taken_is_on_disk_whatever_the_server_s_default(postgres_url: str) -> None:
    name = sa.make_url(postgres_url).database
    engine = sa.create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    engine.dispose()
    partners = Partners(postgres_url)
    with partners.clearance.books.reading() as reading:
        assert reading.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
    partners.close()


def test_a_damaged_file_is_unavailable_and_no_declaration_s_fault(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/office.db"
    partners = Partners(url)
    partners.file(goods("L1", FREE))
    partners.close()
    spoil(url, "clearance_handover")
    partners = Partners(url)
    with pytest.raises(BackendUnavailable, match="malformed"):
        partners.file(goods("L2", FREE))
    partners.close()


def test_a_lost_connection_is_unavailable_then_well_again(postgres_url: str) -> None:
    partners = Partners(postgres_url)
    partners.file(goods("L1", FREE))
    with pytest.raises(BackendUnavailable):
        _lose_connection(partners)
    assert kinds(partners.file(goods("L2", FREE)))[0] is K.REGISTERED
    partners.close()


def _lose_connection(partners: Partners) -> None:
    with partners.clearance.books.writing(config(), NOW) as docket:
        pid = docket.connection.scalar(sa.text("SELECT pg_backend_pid()"))
        with partners.clearance.books.engine.connect() as other:
            other.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        docket.connection.execute(sa.text("SELECT 1"))


def test_an_exception_of_ours_leaves_no_trace(partners: Partners) -> None:
    with pytest.raises(ZeroDivisionError):
        _fail_halfway(partners)
    partners.clearance.hand_over(numbered(goods("L1", FREE)), NOW)
    assert kinds(partners.clearance.decisions(10))[0] is K.REGISTERED


def _fail_halfway(partners: Partners) -> None:
    with partners.clearance.books.writing(config(), NOW) as docket:
        (handover,) = numbered(goods("L1", FREE))
        taken = {"delivery": handover.delivery, "message": "", "registration": "", "at": NOW}
        docket.connection.execute(tables.handover.insert().values(taken))
        raise ZeroDivisionError
