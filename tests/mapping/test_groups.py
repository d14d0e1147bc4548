"""Groups that need no word: the compiled way says what Python says, harms nothing, and may be missing."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mapping_strategies import trees
from test_round_trip import through_octets

from gateway.mapping import groups
from gateway.mapping.convert import date_read, decimal_read, join
from gateway.mapping.edifact import EdifactTable
from gateway.mapping.groups import NOT_PLAIN, group_reader, never_plain
from gateway.mapping.plan import SERVICE, Plan
from gateway.mapping.reader import Reader
from gateway.model import Entity, Value
from gateway.model.edifact import Group, Segment

_groups = groups.compiled
pytestmark = pytest.mark.skipif(_groups is None, reason="there was no compiler at installation")

TABLES = [("CUSCAR", "95B"), ("CUSCAR", "13A"), ("CUSDEC", "96B"), ("CUSRES", "13A")]
USUAL = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
TEXTS = ("", "A", "1,5", "-,7", "9" * 40, "304", "20240102030405UTC", "20240102030405?", "日本", "KGM", "9:x")
Edit = Callable[[Segment], tuple[Segment, ...]]


def both(plan: Plan, tree: Group) -> tuple[Any, Any]:
    """What is read with the compiled way, and without; with what was told."""
    read = []
    for plain in (group_reader(plan), never_plain):
        reader = Reader(plain=plain)
        read.append((reader.read(plan, tree).freeze(), reader.findings, reader.told))
    return read[0], read[1]


def _with(segment: Segment, **changed: Any) -> Segment:
    fields = {name: getattr(segment, name) for name in segment.__struct_fields__}
    return Segment(**{**fields, **changed})


def _text(element: int, component: int, text: str) -> Edit:
    """Another text at a place, which is made where it is not there."""

    def edit(segment: Segment) -> tuple[Segment, ...]:
        elements = [list(parts) for parts in segment.elements]
        while len(elements) <= element:
            elements.append([])
        while len(elements[element]) <= component:
            elements[element].append("")
        elements[element][component] = text
        return (_with(segment, elements=tuple(map(tuple, elements))),)

    return edit


def _tag(tag: str) -> Edit:
    return lambda segment: (_with(segment, tag=tag),)


def _repeated(segment: Segment) -> tuple[Segment, ...]:
    return (_with(segment, repeats=((1, (("A",),)),)),)


EDITS: st.SearchStrategy[Edit] = st.one_of(
    st.builds(_text, st.integers(0, 5), st.integers(0, 5), st.sampled_from(TEXTS)),
    st.sampled_from([_tag("FTX"), _tag("XXX"), _tag("UNS"), _repeated]),
    st.sampled_from([lambda segment: (), lambda segment: (segment, segment)]),
)


def edited(group: Group, edits: dict[int, Edit], number: list[int]) -> Group:
    """The group with some of its segments changed, by their number in the order of the walk."""
    children: list[Segment | Group] = []
    for child in group.children:
        if isinstance(child, Group):
            inner = edited(child, edits, number)
            children += [inner] if inner.children else []
            continue
        number[0] += 1
        children += edits.get(number[0], lambda segment: (segment,))(child)
    return Group(group.name, tuple(children))


def table_of(mappings: Any, type: str, release: str) -> EdifactTable:
    table = mappings.edifact(type, "D", release)
    assert table is not None
    return table


@pytest.mark.parametrize(("type", "release"), TABLES)
def test_compiled_and_python_read_the_same(type, release, mappings, directories):
    table = table_of(mappings, type, release)
    edits = st.dictionaries(st.integers(1, 60), EDITS, max_size=4)

    @USUAL
    @given(trees(table), edits)
    def check(tree: Entity, changed: dict[int, Edit]) -> None:
        group = through_octets(table.write(tree).segments, type, release, directories)
        if group is None:
            return
        one, other = both(table._plan, edited(group, changed, [0]))
        assert one == other

    check()


@pytest.mark.parametrize(("type", "release"), TABLES)
def test_what_can_be_written_is_plain(type, release, mappings, directories):
    """Nearly all of it: a time with a zone and a pointer to what is wrong are Python's."""
    table = table_of(mappings, type, release)
    plan, read = table._plan, group_reader(table._plan)
    seen = {"plain": 0, "other": 0}

    @USUAL
    @given(trees(table))
    def check(tree: Entity) -> None:
        group = through_octets(table.write(tree).segments, type, release, directories)
        for child in () if group is None else group.children:
            entry = plan.entry(child.name, child.children[0].elements) if isinstance(child, Group) else None
            if entry in plan.alone:
                seen["plain" if read(entry, child, 1) is not NOT_PLAIN else "other"] += 1

    check()
    assert seen["plain"] > (0 if type == "CUSRES" else 10 * seen["other"])


def test_goods_items_and_consignments_are_alone(mappings):
    for type, release, chains in (
        ("CUSDEC", "96B", {"GoodsShipment/GovernmentAgencyGoodsItem", "AdditionalDocument"}),
        ("CUSCAR", "13A", {"Consignment", "TransportEquipment"}),
    ):
        plan, found = table_of(mappings, type, release)._plan, set()
        for entry in plan.alone:
            shape, names = plan.shape, []
            for slot in entry.chain:
                shape = shape.kids[slot]
                names.append(shape.name)
            found.add("/".join(names))
        assert chains <= found
    # Its header fills the first of them, too.
    plan = table_of(mappings, "CUSRES", "13A")._plan
    (tax,) = (e for e in plan.groups["SG5"])
    assert tax not in plan.alone


# A table by hand: a class A that a group G stands for, with a value V, and classes B below it.


def a_table(
    values: tuple[int, ...] = (0, 1),
    kids: tuple[int, ...] = (1,),
    kid_order: tuple[int, ...] = (0,),
    lists: Any = None,
    tags: Any = None,
    plan: int = 0,
    shape: int = 0,
    checks: Any = ((0, 0, frozenset(("1",))),),
    slot: int = 0,
    chain: tuple[int, ...] = (),
    value: Any = Value,
    conversion: int = 0,
    at: tuple[int, int, int] = (0, 0, 1),
    unit: tuple[int, int] = (0, 1),
) -> Any:
    field = ("V", conversion, chain, slot, *at, 35, (("unit", *unit),), {}, frozenset())
    rule = (checks, ((), False, None, 0), (), ((field, True),), (), ())
    way = ((), False, None, 0)
    return _groups.table(
        (("A", values, kid_order, kids), ("B", (0,), (), ())),
        (
            (
                shape,
                tags or {"S": 0},
                {},
                ((rule,),) if lists is None else lists,
                {"G": 0},
                ((((), way, plan),),),
            ),
        ),
        (Segment, Group, value, Entity, SERVICE, decimal_read, date_read, join),
    )


def a_group(*texts: str, tag: str = "S") -> Group:
    return Group("G", (Segment(tag, (texts,)),))


def test_a_table_by_hand() -> None:
    table = a_table()
    read = _groups.read(table, 0, 0, 0, a_group("1", "kg"), 1)
    assert read == Entity("A", (Value("V", "1", (("unit", "kg"),)),))
    assert _groups.read(table, 0, 0, 0, a_group("2"), 1) is NOT_PLAIN
    assert _groups.read(table, 0, 0, 0, a_group("1", "kg", "more"), 1) is NOT_PLAIN
    assert _groups.read(table, 0, 0, 0, a_group(tag="UNS"), 1) is None
    assert _groups.read(table, 0, 0, 0, Group("G", ()), 1) is None


@pytest.mark.parametrize(
    ("wrong", "error", "told"),
    [
        ({"values": (0, 0)}, ValueError, "twice"),
        ({"values": (0, 2)}, ValueError, "no such slot"),
        ({"kids": (2,)}, ValueError, "no such slot"),
        ({"kids": (1, 1)}, ValueError, "without an order"),
        ({"plan": 1}, ValueError, "no such plan"),
        ({"shape": 7}, ValueError, "no such class"),
        ({"tags": {"S": 1}}, ValueError, "no such list"),
        ({"tags": {"S": "x"}}, TypeError, "integer"),
        ({"lists": ((1,),)}, TypeError, "tuple"),
        ({"lists": (1,)}, TypeError, "a list of rules"),
        ({"checks": ((0, 0, {"1"}),)}, TypeError, "frozenset"),
        ({"slot": 2}, ValueError, "no such value"),
        ({"chain": (1,)}, ValueError, "no such class"),
        ({"conversion": -1}, ValueError, "no such conversion"),
        ({"conversion": 9}, ValueError, "no such conversion"),
        *(
            ({"conversion": lines, "slot": 1 << 20}, ValueError, "no lines|no such value")
            for lines in range(4, 9)
        ),
        ({"at": (-1, 0, 1)}, ValueError, "no such place"),
        ({"at": (0, 10_000, 1)}, ValueError, "no such place"),
        ({"at": (0, 0, 1 << 40)}, ValueError, "no such place"),
        ({"unit": (0, -1)}, ValueError, "no such place"),
        ({"unit": (-1, 0)}, ValueError, "no such place"),
        ({"checks": ((1 << 40, 0, None),)}, ValueError, "no such place"),
    ],
)
def test_a_table_refers_to_what_is_there(wrong: Any, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        a_table(**wrong)


def test_what_is_no_table_and_no_group_is_refused() -> None:
    table, group = a_table(), a_group("1")
    for arguments in ((table, 1, 0, 0), (table, 0, 1, 0), (table, 0, 0, -1)):
        with pytest.raises(ValueError, match="no such entry"):
            _groups.read(*arguments, group, 1)
    with pytest.raises(ValueError, match="PyCapsule"):
        _groups.read(object(), 0, 0, 0, group, 1)
    with pytest.raises(TypeError, match="a group"):
        _groups.read(table, 0, 0, 0, group.children[0], 1)
    for odd in (Group("G", [1]), Group("G", (1,)), Group("G", (Segment("S", ((1, 2), 3)),))):  # type: ignore[arg-type, list-item]
        assert _groups.read(table, 0, 0, 0, odd, 1) is NOT_PLAIN


def test_groups_in_groups_without_end_are_an_error_of_ours() -> None:
    group = a_group("1")
    for _ in range(5_000):
        group = Group("G", (Segment("S", ()), group))
    table = a_table(checks=())
    with pytest.raises(RecursionError):
        _groups.read(table, 0, 0, 0, group, 1)


def test_nothing_is_kept(mappings, directories) -> None:
    good, odd = a_group("1", "kg"), a_group("1", "kg", "more")
    several = Group("G", (*good.children, *good.children, *odd.children))

    def rounds(count: int) -> None:
        for _ in range(count):
            table = a_table()
            assert _groups.read(table, 0, 0, 0, good, 1) is not None
            assert _groups.read(table, 0, 0, 0, several, 1) is NOT_PLAIN
            with pytest.raises(ValueError, match="no such plan"):
                a_table(plan=1)
            with pytest.raises(TypeError):  # it makes nothing: what was filled before is given back
                _groups.read(a_table(value=len), 0, 0, 0, good, 1)

    rounds(5)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    rounds(2_000)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 50_000  # 25 octets a round: less than anything is
