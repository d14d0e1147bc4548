"""What somebody whom nobody knows can make the gateway do with one XML document: read it once, and refuse it."""

from __future__ import annotations

import base64
import hashlib
import time
import tracemalloc

import pytest
from asn1crypto import x509 as asn1_x509
from cryptography.x509.ocsp import OCSPResponderEncoding
from lxml import etree

from gateway.safexml import parse
from gateway.security import Policy, Refused, Trust, Verified, sign_xml
from gateway.security.certificates.crl import read_crl
from gateway.security.certificates.ocsp import read_response
from gateway.security.policy import SHAPES
from gateway.security.xmldsig import plain
from gateway.security.xmldsig import signature as reading
from gateway.security.xmldsig.forms import FORMS

from .authorities import Party as Certified
from .cms_kit import revocation_list
from .signing_kit import (
    DECLARATION,
    DS,
    ENVELOPED,
    EXCLUSIVE,
    INCLUSIVE,
    NOW,
    RSA_SHA256,
    SHA256,
    World,
    refused,
    sign_as_is,
    verified,
)

SIG = f"{{{DS}}}"
WIDE = Policy(shapes=SHAPES)
NAMES = b" ".join(b'xmlns:p%d="u:%d"' % (n, n) for n in range(30))
MANY = 200_000


def unsigned(inside: bytes = b"", beside: bytes = b"", attributes: str = "") -> bytes:
    """A signature of nobody: ``inside`` SignedInfo, ``beside`` its parts."""
    head = (
        f'<Signature xmlns="{DS}"><SignedInfo {attributes}><CanonicalizationMethod Algorithm="{INCLUSIVE}"/>'
        f'<SignatureMethod Algorithm="{RSA_SHA256}"/><Reference URI="#x"><DigestMethod Algorithm="{SHA256}"/>'
        "<DigestValue>AAAA</DigestValue></Reference>"
    )
    tail = (
        b"</SignedInfo><SignatureValue>AAAA</SignatureValue>"
        b"<KeyInfo><X509Data><X509Certificate>AAAA</X509Certificate></X509Data></KeyInfo>"
    )
    return head.encode() + inside + tail + beside + b"</Signature>"


def quickly(body: bytes, trust: Trust, most: float = 1.5) -> str:
    began = time.process_time()
    code = refused(body, trust, WIDE)
    assert time.process_time() - began < most
    return code


@pytest.mark.parametrize(
    "inside", [b"<a/>" * MANY, b"<b>" * 80 + b"<a/>" * MANY + b"</b>" * 80], ids=["flat", "deep"]
)
def test_canonicalisation_is_not_a_strangers_to_ask_for(trust: Trust, inside: bytes) -> None:
    body = b'<r Id="x" ' + NAMES + b' xml:lang="vi">' + unsigned(inside) + b"</r>"
    assert quickly(body, trust) in {"SIG005", "SIG010"}


@pytest.mark.parametrize(
    "inside",
    [b"\r" * 100_000, b'<Object a="' + b"&#13;" * 100_000 + b'"/>', b"&#13;" * 17_000],
    ids=["lines", "attribute", "escaped"],
)
def test_a_signed_info_is_small(trust: Trust, inside: bytes) -> None:
    assert quickly(b"<r>" + unsigned(inside) + b"</r>", trust) in {"SIG005", "SIG010"}


def test_a_million_children_of_a_signature(trust: Trust) -> None:
    tracemalloc.start()
    try:
        code = quickly(b"<r>" + unsigned(beside=b"<a/>" * MANY) + b"</r>", trust, 5)
        assert code == "SIG005"
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()


def test_a_million_values_like_the_identifier(trust: Trust) -> None:
    """One is looked for under the names of identifiers alone, and two are enough to refuse."""
    element = b'<e a="x" b="x" c="x" d="x"/>'
    body = b'<r><c Id="x">' + element * (MANY // 8) + b"</c>" + unsigned() + b"</r>"
    tracemalloc.start()
    try:
        assert quickly(body, trust, 5) == "SIG021"
        assert quickly(body.replace(b' a="x"', b' Id="x"'), trust, 5) == "SIG102"
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()


def test_attributes_that_a_part_inherits_beyond_their_bound(trust: Trust) -> None:
    """Canonicalisation adds xml: attributes to those of an element that has its hundred."""
    names = " ".join(f'a{n}=""' for n in range(100))
    assert refused(b'<r xml:lang="vi">' + unsigned(attributes=names) + b"</r>", trust) == "SIG005"


def test_a_stranger_leaves_nothing_in_the_memory(world: World, trust: Trust) -> None:
    known, met = reading._KNOWN, FORMS._met
    for memory in (known, met, FORMS._known):
        memory.clear()
    assert refused(sign_xml(parse(DECLARATION), world.attacker.key, NOW), trust) == "SIG024"
    signed = sign_xml(parse(DECLARATION), world.rsa.key, NOW)
    value = signed.index(b"SignatureValue>") + 30
    assert refused(signed[:value] + b"AAAA" + signed[value + 4 :], trust) == "SIG012"
    assert (known, met) == ({}, set())
    verified(signed, trust)
    assert (len(known), len(met), len(FORMS)) == (1, int(plain.compiled is not None), 0)


@pytest.mark.parametrize(
    "place",
    ["SignedInfo", "CanonicalizationMethod", "Reference", "Transforms", "Transform", "DigestMethod"],
)
@pytest.mark.parametrize("behind", [False, True], ids=["inside", "behind"])
def test_text_where_none_belongs(world: World, trust: Trust, place: str, behind: bool) -> None:
    root = etree.fromstring(sign_xml(parse(DECLARATION), world.rsa.key, NOW))
    element = next(root.iter(SIG + place))
    if behind and place != "SignedInfo":
        element.tail = "another reader's"
    else:
        element.text = "another reader's"
    assert refused(sign_as_is(root, world.rsa), trust) == "SIG005"


def test_lines_between_the_elements_of_signed_info(world: World, trust: Trust) -> None:
    root = etree.fromstring(sign_xml(parse(DECLARATION), world.rsa.key, NOW))
    etree.indent(next(root.iter(SIG + "SignedInfo")))
    verified(sign_as_is(root, world.rsa), trust)


def signed_part(world: World, uri: str, octets: bytes, methods: list[str], beside: str = "") -> bytes:
    """A true signature of a part in its canonical octets."""
    digest = base64.b64encode(hashlib.sha256(octets).digest()).decode()
    transforms = "".join(f'<ds:Transform Algorithm="{m}"></ds:Transform>' for m in methods)
    info = (
        f'<ds:SignedInfo xmlns:ds="{DS}"><ds:CanonicalizationMethod Algorithm="{EXCLUSIVE}">'
        f"</ds:CanonicalizationMethod>"
        f'<ds:SignatureMethod Algorithm="{RSA_SHA256}"></ds:SignatureMethod>'
        f'<ds:Reference URI="{uri}"><ds:Transforms>{transforms}</ds:Transforms>'
        f'<ds:DigestMethod Algorithm="{SHA256}"></ds:DigestMethod>'
        f"<ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>"
    )
    value = base64.b64encode(world.rsa.key.sign(info.encode(), NOW)).decode()
    certificate = base64.b64encode(world.rsa.der).decode()
    return (
        f'<ds:Signature xmlns:ds="{DS}">{info}<ds:SignatureValue>{value}</ds:SignatureValue><ds:KeyInfo>'
        f"<ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
        f"{beside}</ds:Signature>"
    ).encode()


def whole(found: Verified) -> bytes:
    assert found.document is not None
    return etree.tostring(found.document, method="c14n", exclusive=True)


@pytest.mark.parametrize("inside", ["", "text<a>1</a><b>2</b>"], ids=["empty", "two"])
def test_content_that_is_an_object_is_read_as_a_whole(world: World, trust: Trust, inside: str) -> None:
    """Only the signature's own Object is around a content; another one is the content, not its first child."""
    held = f'<ds:Object xmlns:ds="{DS}" Id="x">{inside}</ds:Object>'
    octets = held.encode()
    beside = b"<Signed>" + octets + signed_part(world, "#x", octets, [EXCLUSIVE]) + b"</Signed>"
    around = signed_part(world, "#x", octets, [EXCLUSIVE], f"<ds:Object>{held}</ds:Object>")
    for body in (beside, around):
        found = verified(body, trust, WIDE)
        assert found.content == octets == whole(found)


def test_texts_that_become_one_beyond_the_bound(world: World, trust: Trust) -> None:
    head = b'<r xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="q">'
    text = b"x" * 6_000_000
    signature = signed_part(world, "", head + text + text + b"</r>", [ENVELOPED, EXCLUSIVE])
    assert refused(head + text + signature + text + b"</r>", trust) == "XML010"


# Certificates and what is said of them, as nobody would make them.


def in_a_bit_string(der: bytes, name: bytes) -> bytes:
    """A name as a string of bits: it can be read, and is no text."""
    text = b"\x0c" + bytes([len(name)]) + name
    assert text in der
    return der.replace(text, b"\x03" + bytes([len(name)]) + b"\x00" + name[1:])


def certified_by(der: bytes, world: World) -> bytes:
    """A message beside whose value stands this certificate."""
    root = etree.fromstring(sign_xml(parse(DECLARATION), world.rsa.key, NOW))
    next(root.iter(SIG + "X509Certificate")).text = base64.b64encode(der).decode()
    return etree.tostring(root)


@pytest.mark.parametrize("name", [b"rsa", b"Test Authority"], ids=["subject", "issuer"])
def test_names_in_bit_strings(world: World, trust: Trust, name: bytes) -> None:
    assert refused(certified_by(in_a_bit_string(world.rsa.der, name), world), trust) == "SIG021"


def test_names_in_bit_strings_of_revocation_values(world: World) -> None:
    authority = world.authority
    crl = in_a_bit_string(revocation_list(authority), b"Test Authority")
    with pytest.raises(Refused, match="SIG330"):
        read_crl(crl, authority.certificate, WIDE, NOW)
    answering = Certified("CN=Answering", ca=True)
    said = answering.says(Certified("CN=About", answering), encoding=OCSPResponderEncoding.NAME)
    with pytest.raises(Refused, match="SIG320"):
        read_response(in_a_bit_string(said, b"Answering"), answering.certificate, WIDE, NOW)


@pytest.mark.parametrize("serial", [0, -5])
@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_serial_numbers_that_are_none(world: World, trust: Trust, serial: int) -> None:
    made = asn1_x509.Certificate.load(world.rsa.der)
    made["tbs_certificate"]["serial_number"] = serial
    with pytest.raises(Refused) as caught:
        verified(certified_by(made.dump(force=True), world), trust)
    (finding,) = caught.value.findings
    assert (finding.code, finding.found) == ("SIG021", f"serial number {serial}")
