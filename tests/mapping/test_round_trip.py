"""read(write(tree)) gives the tree, through real octets, for every table; what does not return is reported."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from mapping_strategies import trees

from gateway import syntax
from gateway.model import Entity
from gateway.model.edifact import Group

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
TABLES = [
    ("CUSCAR", "95B"),
    ("CUSCAR", "96B"),
    ("CUSCAR", "99B"),
    ("CUSCAR", "03B"),
    ("CUSCAR", "13A"),
    ("CUSCAR", "16A"),
    ("CUSDEC", "96B"),
    ("CUSDEC", "99B"),
    ("CUSDEC", "04A"),
    ("CUSRES", "96B"),
    ("CUSRES", "99B"),
    ("CUSRES", "12B"),
    ("CUSRES", "13A"),
]


def through_octets(segments, type, release, directories) -> Group | None:
    message = syntax.OutMessage(type, "D", release, "UN", "", "1", segments)
    octets = syntax.write(
        [message], sender=("A",), recipient=("B",), reference="R1", now=NOW, separators=syntax.Separators()
    )
    return syntax.read(octets, directories).messages[0].tree


@pytest.mark.parametrize(("type", "release"), TABLES)
def test_what_is_written_is_read_again(type, release, mappings, directories):
    table = mappings.edifact(type, "D", release)

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(trees(table))
    def check(tree: Entity) -> None:
        written = table.write(tree)
        # Eleven kinds of party share the ten NAD groups of CUSDEC: one too many is reported as such.
        assume(not any(f.code == "MAP008" and f.found == "SG6" for f in written.findings))
        assert not written.findings
        group = through_octets(written.segments, type, release, directories)
        assert group is not None, [s.tag for s in written.segments]
        reading = table.read(group)
        assert not reading.findings
        assert (reading.responses or tuple(d.root for d in reading.declarations)) == (tree,)

    check()


@pytest.mark.parametrize(("type", "release"), TABLES)
def test_what_does_not_return_was_reported(type, release, mappings, directories):
    """Trees of one table written by another: equal after the journey, or reported, never neither."""
    table = mappings.edifact(type, "D", release)
    other = mappings.edifact(
        *{"CUSCAR": ("CUSDEC", "D", "96B"), "CUSDEC": ("CUSCAR", "D", "99B")}.get(type, (type, "D", release))
    )

    @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
    @given(trees(other))
    def check(tree: Entity) -> None:
        written = table.write(tree)
        if any(f.code == "MAP015" for f in written.findings):
            return
        group = through_octets(written.segments, type, release, directories)
        assert group is not None, [s.tag for s in written.segments]
        reading = table.read(group)
        back = reading.responses[0] if reading.responses else reading.declarations[0].root
        assert back == tree or written.findings
        assert table.write(back).segments == written.segments

    check()


@pytest.mark.parametrize(("type", "release"), TABLES)
def test_what_cannot_be_carried_is_reported(type, release, mappings):
    table = mappings.edifact(type, "D", release)

    @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
    @given(trees(table), st.sampled_from(["Unheard", "Novelty"]))
    def check(tree: Entity, name: str) -> None:
        more = Entity(tree.name, tree.values, (*tree.entities, Entity(name, tree.values[:1])))
        places = [f.place.pointer for f in table.write(more).findings]
        assert f"{tree.name}/{name}" in places

    check()
