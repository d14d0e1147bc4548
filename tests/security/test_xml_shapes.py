"""Shapes of XML signatures: each is what the policy says, where it must be, over what is read."""

from __future__ import annotations

import base64
import copy
import hashlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from gateway.safexml import parse
from gateway.security import Policy, Refused, Trust, sign_cms, sign_xml, verify
from gateway.security.policy import SHAPES
from gateway.security.xmldsig.canonical import EXCLUSIVE, INCLUSIVE, INCLUSIVE_11, canonical_part
from gateway.security.xmldsig.qualifying import sign_beside, sign_xades

from .signing_kit import (
    DECLARATION,
    DS,
    EDIFACT,
    FAST,
    NOW,
    RSA_SHA256,
    SHA256,
    XML,
    World,
    refused,
    run,
    sign_as_is,
    template,
    verified,
)
from .signing_kit import judge as outside
from .xades_kit import SIG, part

WIDE = Policy(shapes=SHAPES)
BOTH = Policy(engine="both", shapes=SHAPES)
POLICIES = pytest.mark.parametrize("policy", [WIDE, BOTH], ids=lambda p: p.engine)
NAMED = DECLARATION.replace(b"<md:MetaData ", b'<md:MetaData Id="d-1" ')
SHAPED = ["enveloped", "enveloping", "detached"]
BASE64 = f"{DS}base64"
WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"


def signature(
    uri: str, transforms: tuple[str, ...], covered: bytes, objects: str = "", kind: str = ""
) -> str:
    """A Signature over octets, to be given its value by ``sign_as_is``."""
    listed = "".join(f'<ds:Transform Algorithm="{t}"/>' for t in transforms)
    digest = base64.b64encode(hashlib.sha256(covered).digest()).decode()
    return (
        f'<ds:Signature xmlns:ds="{DS}" Id="s-1"><ds:SignedInfo>'
        f'<ds:CanonicalizationMethod Algorithm="{EXCLUSIVE}"/><ds:SignatureMethod Algorithm="{RSA_SHA256}"/>'
        f'<ds:Reference URI="{uri}"{kind}>{f"<ds:Transforms>{listed}</ds:Transforms>" if listed else ""}'
        f'<ds:DigestMethod Algorithm="{SHA256}"/><ds:DigestValue>{digest}</ds:DigestValue></ds:Reference>'
        "</ds:SignedInfo><ds:SignatureValue/><ds:KeyInfo><ds:X509Data><ds:X509Certificate>CERT"
        f"</ds:X509Certificate></ds:X509Data></ds:KeyInfo>{objects}</ds:Signature>"
    )


def finished(markup: str, world: World) -> bytes:
    certificate = base64.b64encode(world.rsa.der).decode()
    return sign_as_is(markup.replace("CERT", certificate).encode(), world.rsa)


def c14n(octets: bytes, exclusive: bool = True) -> bytes:
    return etree.tostring(etree.fromstring(octets), method="c14n", exclusive=exclusive, with_comments=False)


CONTENT = b'<Declaration xmlns="urn:wco:datamodel:WCO:DEC:3" Id="c-1"><ID>4711</ID></Declaration>'


def beside(world: World, content: bytes = CONTENT, around: str = "<Box>{}</Box>", uri: str = "#c-1") -> bytes:
    return finished(around.format(content.decode() + signature(uri, (EXCLUSIVE,), c14n(CONTENT))), world)


def around(world: World, inside: bytes = CONTENT, by: str = "object") -> bytes:
    """An enveloping signature whose reference names the Object, or the element in it."""
    held = f'<ds:Object xmlns:ds="{DS}" Id="o-1">{inside.decode()}</ds:Object>'
    covered = c14n(held.encode()) if by == "object" else c14n(CONTENT)
    return finished(signature("#o-1" if by == "object" else "#c-1", (EXCLUSIVE,), covered, held), world)


def in_base64(world: World, octets: bytes) -> bytes:
    text = base64.b64encode(octets).decode()
    held = f'<ds:Object Id="o-1" Encoding="{BASE64}">{text}</ds:Object>'
    return finished(signature("#o-1", (BASE64,), octets, held, f' Type="{DS}Object"'), world)


@pytest.mark.parametrize("shape", SHAPED)
def test_only_what_the_policy_names_is_taken(world: World, trust: Trust, shape: str) -> None:
    body = sign_xades(parse(NAMED), world.rsa.key, NOW, shape)
    assert verified(body, trust, Policy(shapes=frozenset({shape}))).signer.level == "B"
    others = Policy(shapes=SHAPES - {shape})
    assert refused(body, trust, others) == "SIG100"
    if shape != "enveloped":
        assert refused(body, trust, FAST) == "SIG100"


@POLICIES
@pytest.mark.parametrize("by", ["object", "content"])
def test_enveloping(world: World, trust: Trust, policy: Policy, by: str) -> None:
    found = verified(around(world, by=by), trust, policy)
    assert found.document is not None
    assert found.document.getparent() is None
    assert etree.tostring(found.document, method="c14n", exclusive=True) == c14n(CONTENT)


@POLICIES
def test_detached(world: World, trust: Trust, policy: Policy) -> None:
    found = verified(beside(world), trust, policy)
    assert found.content == c14n(CONTENT)
    assert found.document is not None
    assert found.document.getroottree().getroot() is found.document


@POLICIES
def test_enveloped_by_the_roots_own_id(world: World, trust: Trust, policy: Policy) -> None:
    markup = signature("#d-1", (f"{DS}enveloped-signature", EXCLUSIVE), c14n(NAMED))
    body = finished(NAMED.decode().split("?>\n")[1].rpartition("</")[0] + markup + "</md:MetaData>", world)
    assert verified(body, trust, policy).content == c14n(NAMED)
    for name in ("ID", "id", "xml:id"):
        twice = body.replace(b"<md:WCOTypeName>", f'<md:WCOTypeName {name}="d-1">'.encode())
        assert refused(twice, trust, policy) == "SIG102"
    assert refused(body.replace(b'Id="d-1"', b'Id="d-2"'), trust, policy) == "SIG103"


@pytest.mark.parametrize(("octets", "kind"), [(EDIFACT, "application/edifact"), (DECLARATION, XML)])
def test_enveloping_base64(world: World, trust: Trust, octets: bytes, kind: str) -> None:
    found = verified(in_base64(world, octets), trust, WIDE)
    assert found.content == octets
    assert found.media_type == kind
    # An interchange that came signed in XML is answered as any other is.
    assert found.envelope == ("multipart/signed" if kind != XML else "xmldsig")


def test_what_is_neither_xml_nor_edifact_is_refused(world: World, trust: Trust) -> None:
    assert refused(in_base64(world, b"%PDF-1.7"), trust, WIDE) == "SIG053"


def test_enveloping_reads_no_text_beside_the_document(world: World, trust: Trust) -> None:
    assert refused(around(world, CONTENT + b"and more"), trust, WIDE) == "SIG104"
    assert refused(around(world, CONTENT + CONTENT.replace(b"c-1", b"c-2")), trust, WIDE) == "SIG104"
    assert refused(around(world, b"text only"), trust, WIDE) == "SIG104"


@pytest.mark.parametrize(
    ("around_it", "code"),
    [
        ("<Box>{}<More/></Box>", "SIG105"),
        ("<Box>unsigned words {}</Box>", "SIG105"),
        ("<Box>{} unsigned words</Box>", "SIG105"),
        ("<Box><Inner>{}</Inner></Box>", "SIG004"),
        ('<Box Id="c-1">{}</Box>', "SIG102"),
        ('<Box xml:id="c-1">{}</Box>', "SIG102"),
        (f'<Box xmlns:wsu="{WSU}" wsu:Id="c-1">{{}}</Box>', "SIG102"),
        ('<Box ID="c-1">{}</Box>', "SIG102"),
        ('<Box id="c-1">{}</Box>', "SIG102"),
    ],
)
def test_duplicate_ids_and_neighbours_of_a_detached_signature(
    world: World, trust: Trust, around_it: str, code: str
) -> None:
    assert refused(beside(world, around=around_it), trust, WIDE) == code


def test_an_attribute_of_another_name_is_no_identifier(world: World, trust: Trust) -> None:
    assert verified(beside(world, around='<Box name="c-1">{}</Box>'), trust, WIDE).content == c14n(CONTENT)


Wrap = Callable[[etree._Element, etree._Element], None]


def _evil(content: etree._Element, name: str = "e-1") -> etree._Element:
    evil = copy.deepcopy(content)
    evil.set("Id", name)
    evil[0].text = "EVIL"
    return evil


def _xsw_sibling(root: etree._Element, content: etree._Element) -> None:
    root.insert(0, _evil(content))


def _xsw_same_id(root: etree._Element, content: etree._Element) -> None:
    root.insert(0, _evil(content, "c-1"))


def _xsw_around(root: etree._Element, content: etree._Element) -> None:
    evil = _evil(content)
    root.replace(content, evil)
    evil.append(content)


def _xsw_in_key_info(root: etree._Element, content: etree._Element) -> None:
    root.replace(content, _evil(content))
    part(root, "KeyInfo").append(content)


def _xsw_in_object(root: etree._Element, content: etree._Element) -> None:
    root.replace(content, _evil(content))
    etree.SubElement(part(root, "Signature"), f"{SIG}Object").append(content)


def _xsw_in_x509_data(root: etree._Element, content: etree._Element) -> None:
    root.replace(content, _evil(content))
    part(root, "X509Data").append(content)


def _xsw_in_properties(root: etree._Element, content: etree._Element) -> None:
    root.replace(content, _evil(content))
    held = etree.SubElement(part(root, "Signature"), f"{SIG}Object")
    etree.SubElement(held, "{http://uri.etsi.org/01903/v1.3.2#}QualifyingProperties").append(content)


@POLICIES
@pytest.mark.parametrize(
    "wrap",
    [
        _xsw_sibling,
        _xsw_same_id,
        _xsw_around,
        _xsw_in_key_info,
        _xsw_in_object,
        _xsw_in_x509_data,
        _xsw_in_properties,
    ],
    ids=lambda f: f.__name__,
)
def test_xsw_of_a_detached_signature(world: World, trust: Trust, policy: Policy, wrap: Wrap) -> None:
    """The signed element moves away, a forged one takes its place; all that the engines might look up is
    still there, and truly signed."""
    root = etree.fromstring(beside(world))
    wrap(root, root[0])
    with pytest.raises(Refused):
        verify(etree.tostring(root), XML, trust, policy, NOW)


@POLICIES
@pytest.mark.parametrize("by", ["object", "content"])
def test_xsw_of_an_enveloping_signature(world: World, trust: Trust, policy: Policy, by: str) -> None:
    for number in range(4):
        root = etree.fromstring(around(world, by=by))
        held = part(root, "Object")
        if number == 0:
            root.append(_named_object(held, "o-2"))
        elif number == 1:
            root.insert(3, _named_object(held, "o-1"))
        elif number == 2:
            held.append(_evil(held[0]))
        else:
            held.insert(0, _evil(held[0], "c-1"))
        assert refused(etree.tostring(root), trust, policy) in ("SIG104", "SIG005")


def _named_object(signed_object: etree._Element, name: str) -> etree._Element:
    other = copy.deepcopy(signed_object)
    other.set("Id", name)
    other[0][0].text = "EVIL"
    return other


def test_a_signed_signature_is_two_signatures(world: World, trust: Trust) -> None:
    inner = sign_xml(parse(DECLARATION), world.rsa.key, NOW)
    with pytest.raises(ValueError, match="signed"):
        sign_xades(parse(inner), world.rsa.key, NOW, "enveloping")
    assert refused(around(world, inner.partition(b"?>")[2] or inner), trust, WIDE) == "SIG003"


def test_a_manifest_is_no_content(world: World, trust: Trust) -> None:
    body = around(world).replace(b'URI="#o-1"', f'URI="#o-1" Type="{DS}Manifest"'.encode())
    assert refused(sign_as_is(body, world.rsa), trust, WIDE) == "SIG010"


@pytest.mark.parametrize(
    "uri",
    [
        "#xpointer(id('c-1'))",
        "#xpointer(/)",
        "http://127.0.0.1:1/",
        "file:///etc/passwd",
        "c-1",
        "#",
        "cid:c-1",
    ],
)
def test_a_reference_is_an_id_and_nothing_that_would_be_looked_up(
    world: World, trust: Trust, uri: str
) -> None:
    assert refused(beside(world, uri=uri), trust, WIDE) in ("SIG010", "SIG103")


@pytest.mark.parametrize(
    "transforms",
    [
        (EXCLUSIVE, EXCLUSIVE),
        (EXCLUSIVE, BASE64),
        ("http://www.w3.org/TR/1999/REC-xpath-19991116",),
        ("http://www.w3.org/TR/1999/REC-xslt-19991116",),
        ("http://www.w3.org/2002/06/xmldsig-filter2",),
        (f"{EXCLUSIVE}WithComments",),
    ],
)
def test_transforms_of_a_part_are_a_closed_list(
    world: World, trust: Trust, transforms: tuple[str, ...]
) -> None:
    markup = f"<Box>{CONTENT.decode()}{signature('#c-1', transforms, c14n(CONTENT))}</Box>"
    assert refused(finished(markup, world), trust, WIDE) == "SIG009"


def test_a_moved_type_keeps_its_meaning_or_is_refused(world: World, trust: Trust) -> None:
    """The prefix is declared around the signed part only: whoever carries the message could change it."""
    typed = b'<A Id="c-1" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><B xsi:type="p:T"/></A>'
    covered = etree.tostring(etree.fromstring(typed), method="c14n", exclusive=True)
    markup = f'<Box xmlns:p="urn:one">{typed.decode()}{signature("#c-1", (EXCLUSIVE,), covered)}</Box>'
    assert refused(finished(markup, world), trust, WIDE) == "SIG014"


@pytest.mark.parametrize("shape", SHAPED)
def test_source_lines_are_those_of_the_senders_file(world: World, trust: Trust, shape: str) -> None:
    body = sign_xades(parse(NAMED), world.rsa.key, NOW, shape)
    document = verified(body, trust, WIDE).document
    assert document is not None
    line = body[: body.index(b"<FunctionalReferenceID")].count(b"\n") + 1
    assert part(document, "FunctionalReferenceID").sourceline == line


# Beside, in a MIME part of its own


def outer(world: World, content: bytes = EDIFACT) -> tuple[str, bytes]:
    return sign_beside(content, "application/edifact", world.rsa.key, NOW)


def test_beside_is_read_as_signed(world: World, trust: Trust) -> None:
    value, body = outer(world)
    found = verified(body, trust, WIDE, value)
    assert found.content == EDIFACT
    assert found.signer.level == "B"


def test_beside_with_changed_content_id_or_part(world: World, trust: Trust) -> None:
    value, body = outer(world)
    other = body.replace(b"Content-ID: <", b"Content-ID: <x")
    assert refused(other, trust, WIDE, value) == "SIG106"
    assert refused(body.replace(b"Content-ID", b"X-Content-ID"), trust, WIDE, value) == "SIG106"
    encoded = base64.encodebytes(EDIFACT).split()[0]
    changed = base64.b64encode(base64.b64decode(encoded)[:-1] + b"!")
    assert refused(body.replace(encoded, changed), trust, WIDE, value) == "SIG011"


def test_beside_an_xml_document_that_is_signed_itself_the_outer_is_the_carrier(
    world: World, trust: Trust
) -> None:
    inner = sign_xml(parse(DECLARATION), world.ec.key, NOW)
    value, body = sign_beside(inner, XML, world.rsa.key, NOW)
    found = verified(body, trust, WIDE, value)
    assert found.signer.certificate == world.ec.der
    assert found.carrier is not None
    assert found.carrier.certificate == world.rsa.der
    cms_value, cms_body = sign_cms(inner, XML, world.rsa.key, "multipart/signed", NOW)
    assert verified(cms_body, trust, WIDE, cms_value).carrier is not None


def test_a_cid_is_nothing_in_a_document_of_its_own(world: World, trust: Trust) -> None:
    _, body = outer(world)
    alone = base64.b64decode(body.rpartition(b"base64\r\n\r\n")[2].rpartition(b"\r\n--")[0])
    assert alone.startswith(b"<ds:Signature")
    assert refused(alone, trust, WIDE) == "SIG104"


# Canonical octets of parts, by an independent way


NAMES = st.sampled_from(["a", "b", "p:c"])
SPACES = st.sampled_from(
    ["", 'xmlns="urn:one"', 'xmlns="urn:two"', 'xmlns=""', 'xmlns:p="urn:three"', 'xml:lang="vi"']
)


@st.composite
def elements(draw: st.DrawFn, depth: int = 0) -> str:
    name, space = draw(NAMES), draw(SPACES)
    children = draw(st.lists(elements(depth + 1), max_size=2)) if depth < 3 else []
    return f'<{name} {space} k="1">{"t".join(children)}</{name}>'


@settings(max_examples=200, deadline=None)
@given(inside=elements(), outside_=SPACES, method=st.sampled_from([EXCLUSIVE, INCLUSIVE, INCLUSIVE_11]))
def test_a_part_is_canonical_as_in_a_document_of_its_own(inside: str, outside_: str, method: str) -> None:
    """A default namespace that is declared around a part is the part's: libxml2 alone gets that wrong."""
    top = etree.fromstring(f'<top xmlns:p="urn:p"><root {outside_}><mid>{inside}</mid></root></top>')
    root, element = top[0], top[0][0][0]
    alone = etree.fromstring(etree.tostring(element, with_tail=False))
    for name, value in root.attrib.items():
        if str(name).endswith("}lang") and name not in alone.attrib and method != EXCLUSIVE:
            alone.set(name, value)
    before = etree.tostring(top)
    expected = etree.tostring(alone, method="c14n", exclusive=method == EXCLUSIVE)
    assert canonical_part(element, method) == expected
    assert etree.tostring(top) == before


@pytest.mark.parametrize("c14n_method", [EXCLUSIVE, INCLUSIVE, INCLUSIVE_11])
def test_a_signature_in_the_default_namespace_is_verified(
    world: World, trust: Trust, tmp_path_factory: pytest.TempPathFactory, c14n_method: str
) -> None:
    """As Java and .NET write it."""
    unsigned = (
        template(c14n=c14n_method, content_c14n=c14n_method).replace(b"<ds:", b"<").replace(b"</ds:", b"</")
    )
    unsigned = unsigned.replace(b"xmlns:ds=", b"xmlns=")
    folder = tmp_path_factory.mktemp("default")
    (folder / "unsigned.xml").write_bytes(unsigned)
    key = f"{world.rsa.key_path},{world.rsa.certificate_path}"
    made = run(
        outside("xmlsec1"),
        "--sign",
        "--privkey-pem",
        key,
        "--output",
        folder / "s.xml",
        folder / "unsigned.xml",
    )
    assert made.returncode == 0, made.stderr
    assert verified((folder / "s.xml").read_bytes(), trust).signer.certificate == world.rsa.der
