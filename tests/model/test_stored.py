"""A stored declaration that is gone through in pieces is the same as one that is held."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model import Declaration, Entity, Kind, Value
from gateway.model.shelf import Long, octets_of
from gateway.model.stored import SMALL, NotSo, opened

NAMES = st.sampled_from(["Carrier", "Consignment", "entities", "values"])
TEXTS = st.one_of(
    st.text(), st.sampled_from(["{", '}"', "\\", '"entities":[', ',"entities"', "é", "\U0001f6a2"])
)
VALUES = st.lists(
    st.builds(Value, NAMES, TEXTS, st.tuples(st.tuples(TEXTS, TEXTS)) | st.just(())), max_size=3
)


def entities(below: st.SearchStrategy[Entity]) -> st.SearchStrategy[Entity]:
    return st.builds(Entity, NAMES, VALUES.map(tuple), st.lists(below, max_size=3).map(tuple))


TREES = st.recursive(st.builds(Entity, NAMES, VALUES.map(tuple)), entities, max_leaves=12)
ROOTS = st.builds(Entity, NAMES, VALUES.map(tuple), st.lists(TREES, max_size=4).map(tuple))


def in_pieces(octets: bytes, size: int) -> Iterator[bytes]:
    return (octets[at : at + size] for at in range(0, len(octets), size))


@given(ROOTS, st.integers(1, 40))
def test_whatever_it_holds_and_wherever_it_is_cut(root: Entity, size: int) -> None:
    declaration = Declaration(Kind.CARGO_IMPORT, root)
    octets = msgspec.json.encode(declaration)
    long = opened(lambda: in_pieces(octets, size), len(octets))
    assert isinstance(long.root, Long)
    assert (long.kind, long.root.name, long.root.values) == (declaration.kind, root.name, root.values)
    for _ in range(2):
        assert tuple(long.root.entities) == root.entities
        assert b"".join(octets_of(long)) == octets
        for name in ("Carrier", "Consignment", "entities", "Nothing"):
            assert list(long.root.each(name)) == list(root.each(name))
            assert list(long.root.each(f"{name}/Carrier")) == list(root.each(f"{name}/Carrier"))
            assert long.root.entity(f"{name}[2]") == root.entity(f"{name}[2]")


@pytest.mark.parametrize("most", [10 * SMALL, SMALL // 2])
def test_many_of_a_class_are_gone_through_and_few_are_kept(most: int) -> None:
    """What is asked for often is not read again each time."""
    bills = tuple(Entity("Consignment", (Value("ID", "9" * 100),)) for _ in range(most // 150))
    declaration = Declaration(Kind.CARGO_IMPORT, Entity("Declaration", (), (Entity("Carrier"), *bills)))
    octets, read = msgspec.json.encode(declaration), []

    def pieces() -> Iterator[bytes]:
        read.append(1)
        return in_pieces(octets, 65_536)

    long = opened(pieces, len(octets))
    for _ in range(5):
        assert long.root.entity("Carrier") == Entity("Carrier")
        assert list(long.root.each("Agent")) == []
    assert len(read) == 2  # its head, and once through
    assert tuple(long.root.each("Consignment")) == bills
    assert len(read) == (3 if most > SMALL else 2)


@pytest.mark.parametrize("keep", [1, 20, -1])
def test_half_of_one_is_told(keep: int) -> None:
    declaration = Declaration(Kind.IMPORT, Entity("Declaration", (), (Entity("A", (Value("ID", "1"),)),)))
    octets = msgspec.json.encode(declaration)[:keep]
    with pytest.raises((NotSo, msgspec.MsgspecError)):
        list(opened(lambda: iter((octets,)), 0).root.entities)
