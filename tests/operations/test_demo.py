"""The demonstration is a test of the whole: it ends with 0 only where everything went as it should."""

from __future__ import annotations

from tests.operations.shell import cvan_alone


def test_the_demonstration_goes_as_it_should() -> None:
    said = cvan_alone("demo", "--json")
    value = said.json()
    assert value["failures"] == []
    assert (said.code, value["ok"]) == (0, True)
    assert value["checks"] >= 45
    assert value["counts"]["bills of lading filed"] == 200
