"""Octets as columns keep them."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.storage.compression import FRAME_HEAD, MOST, compressed, restored, size_of

MAGIC = b"\x28\xb5\x2f\xfd"
ANY = st.binary(max_size=5_000) | st.binary(max_size=20).map(lambda some: some * 5_000)


@given(ANY)
def test_what_is_compressed_comes_back(octets: bytes) -> None:
    frame = compressed(octets)
    assert restored(frame) == octets
    assert size_of(frame[:FRAME_HEAD]) == len(octets)


@given(ANY)
def test_what_was_compressed_before_is_no_exception(octets: bytes) -> None:
    """A partner may send a frame: it comes back as that, and not as what it holds."""
    assert restored(compressed(compressed(octets))) == compressed(octets)


def test_nothing_stays_nothing() -> None:
    assert (compressed(b""), restored(b""), size_of(b"")) == (b"", b"", 0)


@given(st.binary(min_size=1, max_size=2_000), st.data())
def test_a_frame_that_is_not_whole_is_an_error(octets: bytes, data: st.DataObject) -> None:
    frame = compressed(octets)
    with pytest.raises(ValueError, match="not written here"):
        restored(frame[: data.draw(st.integers(1, len(frame) - 1))])


@given(st.binary(min_size=1).filter(lambda some: not some.startswith(MAGIC)))
def test_what_is_no_frame_is_an_error(octets: bytes) -> None:
    with pytest.raises(ValueError, match="not written here"):
        restored(octets)


@pytest.mark.parametrize("size", [MOST + 1, 1 << 40, (1 << 63) + 5])
def test_a_frame_that_says_it_is_huge_is_not_believed(size: int) -> None:
    whole_size_in_eight_octets = bytes([0b11100000])
    with pytest.raises(ValueError, match="not written here"):
        restored(MAGIC + whole_size_in_eight_octets + size.to_bytes(8, "little") + bytes(40))


def test_threads_do_not_share() -> None:
    wrong: list[bytes] = []

    def work(seed: int) -> None:
        for nth in range(300):
            octets = bytes([seed, nth % 256]) * (nth + 1)
            if restored(compressed(octets)) != octets:
                wrong.append(octets)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
