"""MIME bodies: strict, bounded, one level deep."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.security import MimeLimits, Refused, Trust, sign_cms
from gateway.security.mime import SignedParts, body_of, media_type, read_entity, split_signed, with_crlf
from gateway.security.parts import split_parts
from gateway.security.stretch import Stretch

from .signing_kit import EDIFACT, NOW, World, refused, verified

LIMITS = MimeLimits()


@pytest.fixture
def signed(world: World) -> tuple[str, bytes]:
    return sign_cms(EDIFACT, "application/edifact", world.ec.key, "multipart/signed", NOW)


def code_of(call: object, *arguments: object) -> str:
    with pytest.raises(Refused) as caught:
        call(*arguments)  # type: ignore[operator]
    return caught.value.code


def boundary_of(value: str) -> bytes:
    return media_type(value).parameters["boundary"].encode()


@pytest.mark.parametrize(
    ("value", "essence", "parameters"),
    [
        ("Application/XML", "application/xml", {}),
        ("text/xml; charset=utf-8", "text/xml", {"charset": "utf-8"}),
        ('a/b;x="y; z=\\"1\\"";  Q=w ;', "a/b", {"x": 'y; z="1"', "q": "w"}),
        (" multipart/signed ; micalg=sha-256", "multipart/signed", {"micalg": "sha-256"}),
    ],
)
def test_media_types(value: str, essence: str, parameters: dict[str, str]) -> None:
    found = media_type(value)
    assert found.essence == essence
    assert dict(found.parameters) == parameters


@pytest.mark.parametrize(
    "value",
    ["", "xml", "a/b/c", "a/b; x", "a/b; x=1; X=2", 'a/b; x="1', "a/b; x=1 y=2", "a/b\r\nX: y", "a" * 3_000],
)
def test_broken_media_types(value: str) -> None:
    assert code_of(media_type, value) == "SIG050"


def test_doubled_boundary_parameter(signed: tuple[str, bytes], trust: Trust) -> None:
    value, body = signed
    assert refused(body, trust, media_type=value + "; boundary=evil") == "SIG050"


def test_line_ends_of_the_transport_do_not_matter_outside(signed: tuple[str, bytes], trust: Trust) -> None:
    value, body = signed
    assert verified(b"preamble\r\n" + body, trust, media_type=value).content == EDIFACT
    assert verified(body + b"\r\n \r\n", trust, media_type=value).content == EDIFACT
    assert verified(body.replace(b"\r\n", b"\n"), trust, media_type=value).content == EDIFACT


def test_parts_are_counted(signed: tuple[str, bytes], trust: Trust) -> None:
    value, body = signed
    mark = b"--" + boundary_of(value)
    part = mark + b"\r\nContent-Type: text/plain\r\n\r\nevil\r\n"
    assert refused(part + body, trust, media_type=value) == "SIG052"
    assert refused(body.replace(mark + b"--", part + mark + b"--"), trust, media_type=value) == "SIG052"
    assert refused(body.replace(mark + b"--", b""), trust, media_type=value) == "SIG052"
    assert refused(body + part, trust, media_type=value) == "SIG052"
    assert refused(body + b"hidden", trust, media_type=value) == "SIG052"
    assert refused(part * 100_000 + body, trust, media_type=value) == "SIG052"


@pytest.mark.parametrize("boundary", ["", "a" * 71, "ends with space ", "new\\\nline", "b\u00e9"])
def test_boundary_tricks(signed: tuple[str, bytes], trust: Trust, boundary: str) -> None:
    value, body = signed
    head = value.partition("; boundary")[0]
    assert refused(body, trust, media_type=f'{head}; boundary="{boundary}"') == "SIG050"


@pytest.mark.parametrize("piece", [b"--a", b"\n--a1", b"\r\n--a-"], ids=["run", "lines", "dashes"])
def test_millions_of_almost_boundaries(piece: bytes) -> None:
    body = b"--a\r\n" + piece * (8_000_000 // len(piece))
    began = time.process_time()
    assert code_of(split_signed, body, "a", LIMITS) == "SIG052"
    assert time.process_time() - began < 0.5


def test_boundary_that_only_begins_alike(signed: tuple[str, bytes], trust: Trust) -> None:
    value, body = signed
    mark = b"--" + boundary_of(value)
    assert verified(mark + b"x\r\n" + body, trust, media_type=value).content == EDIFACT
    assert split_signed(b"--a\r\nx --a y\r\n--a\r\n--b\r\n--a--", "a", LIMITS).first == b"x --a y"


def test_announced_digest_must_be_the_one_used(signed: tuple[str, bytes], trust: Trust) -> None:
    value, body = signed
    assert refused(body, trust, media_type=value.replace("sha-256", "sha1")) == "SIG054"
    assert refused(body, trust, media_type=value.replace("micalg=sha-256; ", "")) == "SIG054"
    assert verified(body, trust, media_type=value.replace("sha-256", "SHA256")).content == EDIFACT


def test_protocol_and_signature_types(signed: tuple[str, bytes], trust: Trust) -> None:
    value, body = signed
    pgp = value.replace("application/pkcs7-signature", "application/pgp-signature")
    assert refused(body, trust, media_type=pgp) == "SIG053"
    other = body.replace(b"application/pkcs7-signature", b"application/octet-stream")
    assert refused(other, trust, media_type=value) == "SIG053"


def test_preamble_is_bounded(signed: tuple[str, bytes], trust: Trust) -> None:
    value, body = signed
    assert refused(b"x" * 3_000 + b"\r\n" + body, trust, media_type=value) == "SIG051"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (b"A: b\r\n" * 60, "SIG051"),
        (b"A: " + b"b" * 3_000 + b"\r\n", "SIG051"),
        (b"A: " + b"b" * 40_000, "SIG051"),
        (b"Content-Type: a/b\r\ncontent-type: c/d\r\n", "SIG050"),
        (b"Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64\r\n", "SIG050"),
        (b"A b\r\n", "SIG050"),
        (b" folded first\r\n", "SIG050"),
        (b"A: b\0c\r\n", "SIG050"),
        (b"A: \xe9\r\n", "SIG050"),
        (b"Content-Type: nothing\r\n", "SIG050"),
    ],
)
def test_broken_and_giant_headers(header: bytes, code: str) -> None:
    assert code_of(read_entity, header + b"\r\nbody", LIMITS) == code


def test_header_without_a_body() -> None:
    assert code_of(read_entity, b"A: b\r\n", LIMITS) == "SIG050"


def test_folded_headers() -> None:
    entity = read_entity(b'Content-Type: a/b;\r\n\tname="c"\r\nX: y\r\n\r\nbody', LIMITS)
    assert dict(entity.media.parameters) == {"name": "c"}
    assert entity.body == b"body"


@pytest.mark.parametrize(
    ("encoding", "encoded"),
    [
        ("base64", b"VU5C\r\nKw=="),
        ("quoted-printable", b"UN=42=\r\n+"),
        ("8bit", b"UNB+"),
        ("BINARY", b"UNB+"),
    ],
)
def test_transfer_encodings(encoding: str, encoded: bytes) -> None:
    entity = read_entity(f"Content-Transfer-Encoding: {encoding}\r\n\r\n".encode() + encoded, LIMITS)
    assert body_of(entity) == b"UNB+"


@pytest.mark.parametrize(
    "text", [b"uuencode\r\n\r\nx", b"base64\r\n\r\nVU5C*", b"base64\r\n\r\nVU5CK", b"base64\r\n\r\nVQ==VQ=="]
)
def test_other_encodings_and_base64_slack(text: bytes) -> None:
    entity = read_entity(b"Content-Transfer-Encoding: " + text, LIMITS)
    assert code_of(body_of, entity) == "SIG055"


def test_nested_multiparts_are_not_opened(world: World, trust: Trust) -> None:
    value, body = sign_cms(EDIFACT, "application/edifact", world.ec.key, "multipart/signed", NOW)
    for _ in range(3):
        value, body = sign_cms(body, value.replace('"', ""), world.ec.key, "multipart/signed", NOW)
    assert refused(body, trust, media_type=value) in ("SIG050", "SIG053")


@given(st.binary(max_size=200))
def test_line_ends_are_canonical_once_and_for_all(octets: bytes) -> None:
    once = with_crlf(octets)
    assert with_crlf(once) == once
    assert once.replace(b"\r\n", b"\n").replace(b"\r", b"") == octets.replace(b"\r\n", b"\n").replace(
        b"\r", b""
    )


@given(st.binary(max_size=300), st.text(alphabet='ab-; ="/\r\n', max_size=40))
def test_any_octets_are_split_or_refused(octets: bytes, value: str) -> None:
    for call, arguments in (
        (media_type, (value,)),
        (read_entity, (octets, LIMITS)),
        (split_signed, (octets, "a", LIMITS)),
    ):
        try:
            call(*arguments)  # type: ignore[operator]
        except Refused as refusal:
            assert refusal.code in ("SIG050", "SIG051", "SIG052")  # noqa: PT017


PIECES = st.sampled_from([b"--a", b"\r\n", b"\n", b"x", b"--", b" ", b"-", b"b", b"\r"])


@given(st.lists(PIECES, max_size=14), st.booleans())
def test_usual_parts_are_those_that_lines_are_looked_for(pieces: list[bytes], usual: bool) -> None:
    """The quick way is the same as that for what stays in a file."""
    inside = b"".join(pieces)
    body = b"--a\r\n%b\r\n--a\r\nx\r\n--a--\r\n" % inside if usual else inside

    def in_file() -> SignedParts:
        with tempfile.TemporaryDirectory() as folder:
            first, second = split_parts(Stretch.of_pieces([body], Path(folder)), "a", LIMITS)
        return SignedParts(b"".join(first.pieces()), b"".join(second.pieces()))

    try:
        found = split_signed(body, "a", LIMITS)
    except Refused as refusal:
        code = refusal.code
    else:
        assert in_file() == found
        return
    assert code_of(in_file) == code
