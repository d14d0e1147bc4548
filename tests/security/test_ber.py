"""BER to DER, against an outside reader."""

from __future__ import annotations

import pytest
from asn1crypto import core
from hypothesis import given
from hypothesis import strategies as st

from gateway.security.cms.ber import NotBer, enclose, to_der


def test_indefinite_lengths_and_pieces_are_joined() -> None:
    ber = bytes.fromhex("3080 2480 0402 4142 2480 0401 43 0000 0000 020105 0000")
    assert to_der(ber) == bytes.fromhex("3008 0403 414243 020105")


@pytest.mark.parametrize(
    "octets",
    ["", "30", "3005", "308000", "3080", "04800000", "1f8101", "30850000000001", "2403020105", "0500ff"],
)
def test_scraps_are_refused(octets: str) -> None:
    with pytest.raises(NotBer):
        to_der(bytes.fromhex(octets))


def test_depth_and_elements_are_bounded() -> None:
    with pytest.raises(NotBer):
        to_der(b"\x30\x80" * 40 + b"\0\0" * 40)
    with pytest.raises(NotBer):
        to_der(enclose(b"\x30", b"\x05\x00" * 200_001))


@given(st.recursive(st.binary(max_size=200), lambda inner: st.lists(inner, max_size=4), max_leaves=10))
def test_der_stays_as_it_is_and_ber_becomes_it(value: object) -> None:
    def der(v: object) -> bytes:
        if isinstance(v, bytes):
            return core.OctetString(v).dump()
        assert isinstance(v, list)
        return enclose(b"\x30", b"".join(map(der, v)))

    def ber(v: object) -> bytes:
        if isinstance(v, bytes):
            pieces = [core.OctetString(v[i : i + 7]).dump() for i in range(0, len(v), 7)]
            return b"\x24\x80" + b"".join(pieces) + b"\0\0"
        assert isinstance(v, list)
        return b"\x30\x80" + b"".join(map(ber, v)) + b"\0\0"

    assert to_der(der(value)) == der(value)
    assert to_der(ber(value)) == der(value)


@given(st.binary(max_size=100))
def test_any_octets_are_one_element_or_refused(octets: bytes) -> None:
    try:
        der = to_der(octets)
    except NotBer:
        return
    assert to_der(der) == der
