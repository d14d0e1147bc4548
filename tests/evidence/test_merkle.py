"""The tree has RFC 6962's shape, every leaf's path leads to its root, and no other octets do."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.evidence import merkle
from gateway.evidence.checkpoints import Checkpoint, Span, position, read_checkpoint
from gateway.evidence.verify import climb

from .kit import START

hashes = st.lists(
    st.binary(min_size=1, max_size=4).map(lambda b: hashlib.sha256(b).hexdigest()), min_size=1, max_size=70
)


def defined(found: list[str]) -> str:
    """RFC 6962, 2.1, word for word: split at the largest power of two below the number of leaves."""
    if len(found) == 1:
        return merkle.leaf(found[0])
    split = 1
    while split * 2 < len(found):
        split *= 2
    return merkle.node(defined(found[:split]), defined(found[split:]))


@given(hashes)
def test_the_shape_is_that_of_the_rfc(found: list[str]) -> None:
    assert merkle.Tree(found).root == defined(found)


@given(hashes, st.data())
def test_each_leaf_leads_to_the_root(found: list[str], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(found) - 1))
    steps = merkle.Tree(found).path(index)
    assert merkle.climb(found[index], steps) == merkle.Tree(found).root
    if steps:
        side, sibling = steps[0]
        other = ("right" if side == "left" else "left", sibling)
        if merkle.leaf(found[index]) != sibling:
            assert merkle.climb(found[index], (other, *steps[1:])) != merkle.Tree(found).root


def test_the_bundle_s_verifier_climbs_alike() -> None:
    octets = [b"previous\nentry %d\n" % n for n in range(11)]
    found = [hashlib.sha256(o).hexdigest() for o in octets]
    for index, one in enumerate(octets):
        path = "".join(f"{side} {sibling}\n" for side, sibling in merkle.Tree(found).path(index))
        assert climb(one, path) == merkle.Tree(found).root


def test_a_leaf_is_no_node() -> None:
    """Second preimage: a node's two halves are no entry, and no entry is a node."""
    left, right = (hashlib.sha256(b).hexdigest() for b in (b"l", b"r"))
    assert merkle.Tree([left, right]).root != merkle.leaf(f"{merkle.leaf(left)}\n{merkle.leaf(right)}")
    with pytest.raises(ValueError, match="nothing"):
        merkle.Tree([])
    with pytest.raises(ValueError, match="side"):
        merkle.climb(left, (("up", right),))


CHECKPOINT = Checkpoint(7, START, "0" * 64, "a" * 64, "b" * 64, (Span("01ab", 3, 5, "c" * 64),))


def test_a_checkpoint_s_text_is_read_again() -> None:
    assert read_checkpoint(CHECKPOINT.text()) == CHECKPOINT
    assert position(CHECKPOINT.spans, "01ab", 4) == 1
    with pytest.raises(LookupError):
        position(CHECKPOINT.spans, "01ab", 6)


@given(st.integers(0, len(CHECKPOINT.text()) - 1), st.characters(max_codepoint=127))
def test_no_other_text_says_the_same(place: int, other: str) -> None:
    text = CHECKPOINT.text()
    changed = text[:place] + other + text[place + 1 :]
    try:
        read = read_checkpoint(changed)
    except ValueError:
        return
    assert (read == CHECKPOINT) == (changed == text)


@pytest.mark.parametrize("slack", ["{}\n", " {}", "{}chain: 01ab 6 6 " + "c" * 64, "{}\r\n"])
def test_slack_is_no_checkpoint(slack: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_checkpoint(slack.format(CHECKPOINT.text()))
