"""Very long reports: taken and kept in pieces, with the same decisions and the same books as if held together."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from clearance_samples import NOW, Partners, cargo, consignment, kinds

from adapters.clearance import tables
from adapters.clearance.pieces import PIECE
from gateway.adapter import Handover
from gateway.model import Decision, Declaration
from gateway.model import DecisionKind as K
from gateway.model.shelf import Long, octets_of
from gateway.model.stored import opened
from gateway.storage import LedgerUnavailable

BILLS = 1_500
"""Some 600 kB: several pieces, and more than is kept of a class."""


def bills(last: str, many: int = BILLS) -> Iterator[bytes]:
    """The JSON of a report of many consignments, one by one: nobody holds it."""
    around = msgspec.json.encode(cargo("C1", consignment(1, "MARK")))
    before, mark, after = around.partition(msgspec.json.encode(consignment(1, "MARK")))
    assert mark
    each = (consignment(n, f"B{n}", last if n == many else "Cotton T-shirts") for n in range(1, many + 1))
    encoded = (b"," * (n > 0) + msgspec.json.encode(one) for n, one in enumerate(each))
    return chain((before,), encoded, (after,))


def long(last: str, many: int = BILLS) -> Declaration:
    return opened(lambda: bills(last, many))


def held(last: str, lrn: str = "C1") -> Declaration:
    octets = b"".join(bills(last)).replace(b'"C1"', b'"%s"' % lrn.encode())
    return msgspec.json.decode(octets, type=Declaration)


def hand_over(partners: Partners, declaration: Declaration, key: str = "d1") -> None:
    partners.clearance.hand_over([Handover(key, "m1", "van", "importer", NOW, declaration)], NOW)


def books(partners: Partners) -> tuple[list[Decision], list[str], bytes]:
    decisions = list(partners.clearance.decisions(100))
    case = partners.office.show(decisions[0].registration)
    orders = [f"{o.consignment} {o.action}" for o in case.orders]
    return decisions, orders, b"".join(octets_of(case.declaration))


def test_it_is_registered_and_screened_as_one_that_is_held(partners: Partners, tmp_path: Path) -> None:
    others = Partners(f"sqlite:///{tmp_path}/others.db")
    hand_over(partners, long("explosive"))
    hand_over(others, held("explosive"))
    assert books(partners) == books(others)
    others.close()
    decisions, orders, octets = books(partners)
    assert kinds(decisions) == [K.REGISTERED, K.DO_NOT_LOAD]
    assert orders == [f"B{BILLS} do-not-load"]
    assert octets == b"".join(bills("explosive"))
    assert isinstance(partners.office.show(decisions[0].registration).declaration.root, Long)
    with partners.clearance.books.reading() as connection:
        sizes = list(connection.scalars(sa.select(sa.func.length(tables.piece.c.octets))))
    assert len(sizes) > 1
    assert max(sizes) == PIECE


def test_a_failure_in_the_middle_leaves_nothing_and_once_is_enough(partners: Partners) -> None:
    def broken() -> Iterator[bytes]:
        for number, octets in enumerate(bills("explosive")):
            if number == BILLS - 1:
                raise LedgerUnavailable("away")
            yield octets

    with pytest.raises(LedgerUnavailable):
        hand_over(partners, opened(broken))
    assert partners.office.work() == ()
    for _ in range(2):
        hand_over(partners, long("explosive"))
    assert kinds(partners.clearance.decisions(9)) == [K.REGISTERED, K.DO_NOT_LOAD]


def test_an_officer_finds_a_consignment_of_it_and_an_amendment_replaces_it(partners: Partners) -> None:
    hand_over(partners, long("Cotton T-shirts"))
    (case,) = partners.office.work()
    partners.office.do_not_unload(case.registration, f"B{BILLS}", "Mai", "looked at")
    change = cargo("C1", consignment(BILLS, f"B{BILLS}", "Wool"), function="4", mrn=case.registration)
    hand_over(partners, change, "d2")
    after = partners.office.show(case.registration).declaration.root
    assert after.text(f"Consignment[{BILLS}]/ConsignmentItem/Commodity/Description") == "Wool"
    assert after.text("Consignment[7]/TransportContractDocument/ID") == "B7"


def test_no_more_than_some_pieces_of_it_are_in_memory(tmp_path: Path) -> None:
    partners, many = Partners(f"sqlite:///{tmp_path}/office.db"), 2_000
    size = sum(map(len, bills("", many)))
    hand_over(partners, held("Cotton T-shirts", "C0"), "d0")
    gc.collect()
    tracemalloc.start()
    try:
        hand_over(partners, long("Cotton T-shirts", many))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        partners.close()
    assert most < 2.5 * size, f"{most} octets for {size}"  # its tree is ten times as much
