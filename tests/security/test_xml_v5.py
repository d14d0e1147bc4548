"""The version 5 envelope: admitted by a named profile until its day, and only its signed string is read."""

from __future__ import annotations

import base64
import copy
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from gateway.security import Policy, Refused, Trust, sign_cms, verify
from gateway.security.policy import Legacy

from .signing_kit import EDIFACT, FAST, NOW, XML, Party, World, refused, verified

OLD = Legacy("v5-2026", NOW.date() + timedelta(days=30), shapes=frozenset({"v5"}))
SHA256_ONLY = Legacy("v5-sha256", OLD.until, frozenset(), frozenset(), frozenset({"v5"}))
POLICY = Policy(legacy=(OLD,))
DECLARATION = (
    "<Declaration><issuer>929</issuer><reference>LRN-1</reference><issue>2026-11-22 08:00:00</issue>"
    "<function>8</function><Importer><name>Công ty Ánh Dương</name><identity>0101234567</identity></Importer>"
    "</Declaration>"
).encode()


def lines(text: str, end: str) -> str:
    return end.join(text[i : i + 76] for i in range(0, len(text), 76))


def sealed(
    party: Party,
    content: str,
    signed: str | None = None,
    digest: hashes.HashAlgorithm | None = None,
    extra: str = "",
) -> bytes:
    """The envelope; ``signed``: the string that the value is over, where it is not the content as it stands."""
    private = load_pem_private_key(party.key_path.read_bytes(), None)
    octets = (content if signed is None else signed).encode()
    value = private.sign(octets, PKCS1v15(), digest or hashes.SHA1())  # type: ignore[union-attr,call-arg,arg-type]
    return (
        "<Envelope><Header><procedureType>2</procedureType><From><name>Công ty Ánh Dương</name>"
        "<identity>0101234567</identity></From><Subject><type>929</type><function>8</function></Subject></Header>"
        f"<Body><Content>{content}</Content><Signature><data>{base64.b64encode(value).decode()}</data>"
        f"<fileCert>{base64.b64encode(party.der).decode()}</fileCert>{extra}</Signature></Body></Envelope>"
    ).encode()


TEXT = base64.b64encode(DECLARATION).decode()


def test_the_signed_string_is_read_and_the_header_is_not(world: World, trust: Trust) -> None:
    found = verified(sealed(world.rsa, TEXT), trust, POLICY)
    assert found.content == DECLARATION
    assert found.document is not None
    assert found.document.tag == "Declaration"
    assert found.signer.profile == "v5-2026"
    assert found.signer.algorithm == "rsa-sha1"
    assert found.signer.certificate == world.rsa.der
    assert found.signer.level == ""


def test_a_changed_header_changes_nothing_that_is_read(world: World, trust: Trust) -> None:
    body = sealed(world.rsa, TEXT)
    forged = body.replace(b"<identity>0101234567</identity>", b"<identity>0999999999</identity>")
    assert verified(forged, trust, POLICY).content == verified(body, trust, POLICY).content


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_broken_lines_in_the_forms_that_tools_sign(world: World, trust: Trust, end: str) -> None:
    broken = lines(TEXT, end)
    for signed in (broken, TEXT):
        assert verified(sealed(world.rsa, broken, signed), trust, POLICY).content == DECLARATION
    assert refused(sealed(world.rsa, broken, broken + " "), trust, POLICY) == "SIG012"


def test_sha256_where_the_sender_has_it(world: World, trust: Trust) -> None:
    body = sealed(world.rsa, TEXT, digest=hashes.SHA256())
    found = verified(body, trust, Policy(legacy=(SHA256_ONLY,)))
    assert (found.signer.algorithm, found.signer.profile) == ("rsa-sha256", "v5-sha256")
    assert verified(body, trust, POLICY).signer.algorithm == "rsa-sha256"
    assert refused(sealed(world.rsa, TEXT), trust, Policy(legacy=(SHA256_ONLY,))) == "SIG012"


def test_it_is_off_unless_a_profile_names_it_and_ends_with_it(world: World, trust: Trust) -> None:
    body = sealed(world.rsa, TEXT)
    assert refused(body, trust, FAST) == "SIG100"
    assert refused(body, trust, Policy(legacy=(Legacy("sha1", OLD.until),))) == "SIG100"
    ended = Legacy("v5-2026", NOW.date() - timedelta(days=1), shapes=frozenset({"v5"}))
    assert refused(body, trust, Policy(legacy=(ended,))) == "SIG101"
    last = Legacy("v5-2026", NOW.date(), shapes=frozenset({"v5"}))
    assert verified(body, trust, Policy(legacy=(last,))).signer.profile == "v5-2026"


def test_the_profile_of_the_shape_admits_nothing_else(world: World, trust: Trust) -> None:
    from .test_xml_algorithms import weak

    assert refused(weak(world, "rsa-sha1"), trust, POLICY) == "SIG006"
    media_type, body = sign_cms(EDIFACT, "application/edifact", world.rsa.key, "multipart/signed", NOW)
    assert verified(body, trust, POLICY, media_type).signer.profile == ""


@pytest.mark.parametrize("engine", ["signxml", "both"])
def test_the_other_engines_have_no_second_opinion(world: World, trust: Trust, engine: str) -> None:
    policy = Policy(engine=engine, legacy=(OLD,))  # type: ignore[arg-type]
    assert verified(sealed(world.rsa, TEXT), trust, policy).content == DECLARATION


def test_strangers_and_other_keys(world: World, trust: Trust) -> None:
    assert refused(sealed(world.attacker, TEXT), trust, POLICY) == "SIG024"
    other = base64.b64encode(world.party("other").der)
    swapped = sealed(world.rsa, TEXT).replace(base64.b64encode(world.rsa.der), other)
    assert refused(swapped, trust, POLICY) == "SIG012"
    ec = base64.b64encode(world.ec.der)
    assert (
        refused(sealed(world.rsa, TEXT).replace(base64.b64encode(world.rsa.der), ec), trust, POLICY)
        == "SIG030"
    )


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b"<Content>", b"<Content>AAAA</Content><Content>", "SIG130"),
        (b"<Body>", b"<Body><Signature><data/><fileCert/></Signature>", "SIG130"),
        (b"<Body>", b"<Body/><Body>", "SIG001"),
        (b"<data>", b"<data>AAAA</data><data>", "SIG130"),
        (b"<data>", b"<data>?", "SIG013"),
        (b"<fileCert>", b"<fileCert>AAAA", "SIG021"),
        (b"<Content>", b"<Content><x/>", "SIG130"),
        (b"<Content>", b"<Content>?", "SIG013"),
        (b"<fileCert>", b"<fileCer>", "XML005"),
    ],
)
def test_misshapen_envelopes(world: World, trust: Trust, old: bytes, new: bytes, code: str) -> None:
    assert refused(sealed(world.rsa, TEXT).replace(old, new, 1), trust, POLICY) == code


def test_what_is_inside_is_read_by_the_same_door(world: World, trust: Trust) -> None:
    for inside, code in ((b"<!DOCTYPE x><x/>", "XML004"), (b"no xml", "XML011"), (b"\xff<x/>", "XML002")):
        text = base64.b64encode(inside).decode()
        assert refused(sealed(world.rsa, text), trust, POLICY) == code


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_changed_octet_changes_what_is_read(world: World, trust: Trust, data: st.DataObject) -> None:
    whole = sealed(world.rsa, TEXT)
    body = bytearray(whole)
    body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        found = verify(bytes(body), XML, trust, POLICY, NOW)
    except Refused:
        return
    assert found.content == DECLARATION
    assert found.signer.certificate == world.rsa.der


@pytest.fixture(scope="module")
def envelope(world: World) -> bytes:
    return sealed(world.rsa, TEXT)


PIECES = (
    b"<",
    b">",
    b"</Body>",
    b"<Body>",
    b"<Content>",
    b"AAAA",
    b"=",
    b"\n",
    b"&#13;",
    b"\xff",
    b"<!--",
    b"\x00",
)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_whatever_is_changed_the_declaration_or_nothing_is_read(
    world: World, trust: Trust, envelope: bytes, data: st.DataObject
) -> None:
    """Octets changed, taken out, put in and doubled, anywhere in the envelope."""
    body = bytearray(envelope)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(body) - 1))
        size = data.draw(st.integers(0, 60))
        piece = data.draw(st.one_of(st.binary(max_size=4), st.sampled_from(PIECES), st.just(None)))
        body[at : at + size] = body[at : at + size] * 2 if piece is None else piece
    try:
        found = verify(bytes(body), XML, trust, POLICY, NOW)
    except Refused:
        return
    assert (found.content, found.signer.certificate) == (DECLARATION, world.rsa.der)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_whatever_is_moved_the_declaration_or_nothing_is_read(
    world: World, trust: Trust, envelope: bytes, data: st.DataObject
) -> None:
    """Elements of a true envelope and of an attacker's, copied into each other, taken out, and given texts."""
    root = etree.fromstring(envelope)
    evil = base64.b64encode(DECLARATION.replace(b"929", b"930")).decode()
    theirs = etree.fromstring(sealed(world.attacker, evil))
    for _ in range(data.draw(st.integers(1, 4))):
        places = list(root.iter())
        place = data.draw(st.sampled_from(places))
        piece = copy.deepcopy(data.draw(st.sampled_from([*places, *theirs.iter()])))
        match data.draw(st.sampled_from(["into", "first", "text", "out"])):
            case "into":
                place.append(piece)
            case "first":
                place.insert(0, piece)
            case "text":
                place.text = piece.text
            case _ if place is not root:
                place.getparent().remove(place)
    try:
        found = verify(etree.tostring(root), XML, trust, POLICY, NOW)
    except Refused:
        return
    assert (found.content, found.signer.certificate) == (DECLARATION, world.rsa.der)
