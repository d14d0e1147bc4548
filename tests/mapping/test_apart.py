"""Groups that are read by themselves: the same values, findings and places as of the message in one piece."""

from __future__ import annotations

import copy

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from mapping_strategies import trees
from test_round_trip import through_octets

from gateway.mapping.locating import Locator
from gateway.mapping.reader import Reader
from gateway.model import Entity
from gateway.model.edifact import Group, Segment

TABLES = [("CUSCAR", "95B", {"TransportEquipment", "Consignment"}), ("CUSCAR", "13A", {"Consignment"})]
FEW = settings(
    max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate]
)


def in_one_piece(plan):
    """The plan, of which nothing can be read by itself."""
    whole = copy.copy(plan)
    whole.apart = frozenset()
    return whole


def pointers(entity: Entity, path: str):
    """Of every class and value of a tree, and of one that is not there."""
    yield path
    yield from (f"{path}/{value.name}" for value in entity.values)
    yield f"{path}/Nothing"
    counts: dict[str, int] = {}
    for child in entity.entities:
        number = counts[child.name] = counts.get(child.name, 0) + 1
        yield from pointers(child, f"{path}/{child.name}[{number}]")
    yield from (f"{path}/{name}[{number + 1}]" for name, number in counts.items())


@pytest.mark.parametrize(("type", "release", "names"), TABLES)
def test_what_can_be_read_by_itself(type, release, names, mappings):
    plan = mappings.edifact(type, "D", release)._plan
    assert names <= {plan.shape.kids[slot].name for slot in plan.apart}


@pytest.mark.parametrize(("type", "release"), [("CUSCAR", "95B"), ("CUSCAR", "13A"), ("CUSDEC", "96B")])
def test_places_are_those_of_the_whole(type, release, mappings, directories):
    table = mappings.edifact(type, "D", release)
    plan = table._plan

    @FEW
    @given(trees(table), st.randoms(use_true_random=False))
    def check(tree: Entity, random) -> None:
        group = through_octets(table.write(tree).segments, type, release, directories)
        if group is None:
            return
        asked = list(pointers(tree, tree.name))
        random.shuffle(asked)
        one, other = Locator(plan, group), Locator(in_one_piece(plan), group)
        for pointer in asked[:60]:
            assert one.locate(pointer) == other.locate(pointer)

    check()


@pytest.mark.parametrize(("type", "release"), [("CUSCAR", "95B"), ("CUSCAR", "13A")])
def test_a_class_is_let_go_of_when_its_group_is_over(type, release, mappings, directories):
    table = mappings.edifact(type, "D", release)
    plan = table._plan

    @FEW
    @given(trees(table))
    def check(tree: Entity) -> None:
        group = through_octets(table.write(tree).segments, type, release, directories)
        if group is None:
            return
        taken: dict[str, list[Entity]] = {}

        def take(slot, target):
            entity = target.freeze()
            if entity is not None:
                taken.setdefault(entity.name, []).append(entity)

        root = Reader().read(plan, group, take).freeze() or Entity(tree.name)
        assert [e for e in root.entities if e.name in taken] == []
        own = {plan.shape.kids[slot].name for slot in plan.apart}
        read = table.read(group).declarations[0].root
        assert list(root.entities) == [e for e in read.entities if e.name not in own]
        assert taken == {
            name: [e for e in read.entities if e.name == name] for name in own if any(read.each(name))
        }

    check()


def test_findings_have_the_groups_of_their_segments(mappings):
    table = mappings.edifact("CUSCAR", "D", "95B")
    unknown = [Segment("AUT", (("nobody asked",),), number) for number in range(1, 600)]
    for count, told in ((2, 4), (599, 501)):
        inner = Group("SG9", (Segment("XXX", ()), *unknown[:count]))
        findings = table.read(Group("", (inner, inner))).findings
        assert len(findings) == told
        assert {f.place.group for f in findings if f.code == "MAP001"} <= {"SG9[1]", "SG9[2]"}
        assert findings[-1].found == ("1198" if count > 2 else "AUT+nobody asked")
