"""Attacks on XML signatures, each by its name; none may be read as something the signer did not sign."""

from __future__ import annotations

import base64
import copy
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes, hmac, serialization
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from gateway.safexml import parse
from gateway.security import Policy, Refused, Trust, Verified, sign_xml, verify

from .signing_kit import (
    BOTH,
    DECLARATION,
    DS,
    EXCLUSIVE,
    FAST,
    NOW,
    RSA_SHA256,
    SHA256,
    XML,
    World,
    refused,
    sign_as_is,
    verified,
)

POLICIES = pytest.mark.parametrize("policy", [FAST, BOTH], ids=lambda p: p.engine)
SIG = f"{{{DS}}}"
MD = "{urn:wco:datamodel:WCO:DocumentMetaData:3}"


@pytest.fixture(scope="module")
def signed(world: World) -> bytes:
    return sign_xml(parse(DECLARATION), world.rsa.key, NOW)


def tree(document: bytes) -> tuple[etree._Element, etree._Element]:
    """The root and its signature."""
    root = etree.fromstring(document)
    signature = root.find(f"{SIG}Signature")
    assert signature is not None
    return root, signature


def forged(document: bytes) -> etree._Element:
    """The attacker's version of the content, without a signature."""
    root, signature = tree(document)
    root.remove(signature)
    next(root.iter("{*}FunctionalReferenceID")).text = "EVIL"
    return root


def assert_not_evil(body: bytes, trust: Trust, policy: Policy = FAST) -> None:
    with pytest.raises(Refused):
        verify(body, XML, trust, policy, NOW)


@POLICIES
def test_changed_content(signed: bytes, trust: Trust, policy: Policy) -> None:
    assert refused(signed.replace(b"000123", b"000124"), trust, policy) == "SIG011"


@POLICIES
def test_signature_stripping(trust: Trust, policy: Policy) -> None:
    assert refused(DECLARATION, trust, policy) == "SIG001"


def by_id(signed: bytes, world: World) -> tuple[etree._Element, etree._Element]:
    """A document whose signature refers to its content by Id, truly signed: what wrapping starts from."""
    root, signature = tree(signed)
    content = root[1]
    content.set("Id", "body")
    next(signature.iter(f"{SIG}Reference")).set("URI", "#body")
    octets = etree.tostring(content, method="c14n", exclusive=True)
    digest = hashes.Hash(hashes.SHA256())
    digest.update(octets)
    next(signature.iter(f"{SIG}DigestValue")).text = base64.b64encode(digest.finalize()).decode()
    sign_as_is(root, world.rsa)
    return root, signature


@POLICIES
@pytest.mark.parametrize("number", range(1, 9))
def test_xsw(signed: bytes, world: World, trust: Trust, policy: Policy, number: int) -> None:
    """The eight ways of moving the signed part away and putting a forged one in its place."""
    root, signature = by_id(signed, world)
    original = copy.deepcopy(root[1])
    evil = root[1]
    next(evil.iter("{*}FunctionalReferenceID")).text = "EVIL"
    if number in (1, 2):
        whole = copy.deepcopy(root)
        (signature if number == 1 else root).append(whole)
    elif number in (3, 4):
        evil.set("Id", "evil")
        (root if number == 3 else evil).insert(0, original)
    elif number in (5, 6):
        evil.set("Id", "evil")
        (root if number == 5 else signature).append(original)
    elif number == 7:
        evil.set("Id", "evil")
        wrapper = etree.SubElement(root, f"{MD}Extensions")
        wrapper.append(original)
    else:
        evil.set("Id", "evil")
        wrapper = etree.SubElement(signature, f"{SIG}Object")
        wrapper.append(original)
    assert_not_evil(etree.tostring(root), trust, policy)


@POLICIES
def test_xsw_of_a_whole_signed_document(signed: bytes, trust: Trust, policy: Policy) -> None:
    evil = forged(signed)
    evil.append(etree.fromstring(signed))
    assert refused(etree.tostring(evil), trust, policy) == "SIG004"
    _, signature = tree(signed)
    evil = forged(signed)
    evil.append(signature)
    assert refused(etree.tostring(evil), trust, policy) == "SIG011"
    holder = etree.SubElement(signature, f"{SIG}Object")
    holder.append(etree.fromstring(signed))
    assert refused(etree.tostring(evil), trust, policy) == "SIG003"


@POLICIES
def test_signature_over_a_part_only(signed: bytes, world: World, trust: Trust, policy: Policy) -> None:
    root, _ = by_id(signed, world)
    assert refused(etree.tostring(root), trust, policy) == "SIG103"


@POLICIES
def test_duplicate_ids(signed: bytes, world: World, trust: Trust, policy: Policy) -> None:
    root, _ = by_id(signed, world)
    root.insert(0, copy.deepcopy(root[1]))
    assert refused(etree.tostring(root), trust, policy) == "SIG103"


@POLICIES
@pytest.mark.parametrize("uri", ["#", "#xpointer(/)", "http://127.0.0.1:1/", "file:///etc/passwd", None, " "])
def test_other_references(signed: bytes, world: World, trust: Trust, policy: Policy, uri: str | None) -> None:
    root, signature = tree(signed)
    reference = next(signature.iter(f"{SIG}Reference"))
    reference.attrib.pop("URI")
    if uri is not None:
        reference.set("URI", uri)
    assert refused(sign_as_is(root, world.rsa), trust, policy) == "SIG010"


@POLICIES
def test_two_signatures(signed: bytes, trust: Trust, policy: Policy) -> None:
    root, signature = tree(signed)
    root.append(copy.deepcopy(signature))
    assert refused(etree.tostring(root), trust, policy) == "SIG003"


@POLICIES
def test_enveloping_signature(signed: bytes, trust: Trust, policy: Policy) -> None:
    _, signature = tree(signed)
    assert refused(etree.tostring(signature), trust, policy) == "SIG104"


@POLICIES
def test_zero_references(signed: bytes, world: World, trust: Trust, policy: Policy) -> None:
    root, signature = tree(signed)
    info = signature[0]
    info.remove(info[2])
    assert refused(sign_as_is(root, world.rsa), trust, policy) == "SIG010"


@POLICIES
def test_more_references(signed: bytes, world: World, trust: Trust, policy: Policy) -> None:
    root, signature = tree(signed)
    signature[0].append(copy.deepcopy(signature[0][2]))
    assert refused(sign_as_is(root, world.rsa), trust, policy) == "SIG010"


def test_two_signed_infos(signed: bytes, trust: Trust) -> None:
    root, signature = tree(signed)
    signature.insert(0, copy.deepcopy(signature[0]))
    assert refused(etree.tostring(root), trust) == "SIG005"


@POLICIES
@pytest.mark.parametrize(
    "uri",
    [
        "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
        "http://www.w3.org/2001/04/xmldsig-more#rsa-md5",
        "http://www.w3.org/2000/09/xmldsig#dsa-sha1",
        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1",
        "http://www.w3.org/2007/05/xmldsig-more#sha1-rsa-MGF1",
        "http://www.w3.org/2000/09/xmldsig#hmac-sha1",
        "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256",
        "",
        "none",
    ],
)
def test_algorithm_downgrade(signed: bytes, world: World, trust: Trust, policy: Policy, uri: str) -> None:
    changed = signed.replace(RSA_SHA256.encode(), uri.encode())
    assert refused(sign_as_is(changed, world.rsa), trust, policy) == "SIG006"


@POLICIES
@pytest.mark.parametrize(
    "uri", ["http://www.w3.org/2000/09/xmldsig#sha1", "http://www.w3.org/2001/04/xmldsig-more#md5", ""]
)
def test_digest_downgrade(signed: bytes, world: World, trust: Trust, policy: Policy, uri: str) -> None:
    changed = signed.replace(SHA256.encode(), uri.encode())
    assert refused(sign_as_is(changed, world.rsa), trust, policy) == "SIG007"


@POLICIES
def test_allow_lists_of_the_operator(signed: bytes, trust: Trust, policy: Policy) -> None:
    only = Policy(engine=policy.engine, algorithms=frozenset({"ecdsa-sha256"}))
    assert refused(signed, trust, only) == "SIG006"
    assert refused(signed, trust, Policy(engine=policy.engine, digests=frozenset({"sha512"}))) == "SIG007"


@POLICIES
def test_hmac_confusion(signed: bytes, world: World, trust: Trust, policy: Policy) -> None:
    """The RSA public key, which everybody knows, used as an HMAC secret."""
    root, signature = tree(
        signed.replace(RSA_SHA256.encode(), b"http://www.w3.org/2001/04/xmldsig-more#hmac-sha256")
    )
    public = world.rsa.certificate.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    mac = hmac.HMAC(public, hashes.SHA256())
    mac.update(etree.tostring(signature[0], method="c14n", exclusive=True))
    signature[1].text = base64.b64encode(mac.finalize()).decode()
    assert refused(etree.tostring(root), trust, policy) == "SIG006"


@POLICIES
def test_hmac_truncation(signed: bytes, world: World, trust: Trust, policy: Policy) -> None:
    root, signature = tree(signed)
    etree.SubElement(signature[0][1], f"{SIG}HMACOutputLength").text = "1"
    assert refused(sign_as_is(root, world.rsa), trust, policy) == "SIG005"


@POLICIES
@pytest.mark.parametrize("name", ["ecdsa-sha256", "rsa-sha512"])
def test_key_confusion(signed: bytes, world: World, trust: Trust, policy: Policy, name: str) -> None:
    changed = signed.replace(b"#rsa-sha256", f"#{name}".encode())
    expected = "SIG030" if name.startswith("ec") else "SIG012"
    assert refused(sign_as_is(changed, world.rsa), trust, policy) in (expected, "SIG013")


@POLICIES
@pytest.mark.parametrize(
    "uri",
    [
        "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments",
        "http://www.w3.org/2006/12/xml-c14n11#WithComments",
        "http://evil.example/empty",
    ],
)
def test_c14n_choice(signed: bytes, world: World, trust: Trust, policy: Policy, uri: str) -> None:
    root, signature = tree(signed)
    signature[0][0].set("Algorithm", uri)
    assert refused(sign_as_is(root, world.rsa), trust, policy) == "SIG008"


@POLICIES
@pytest.mark.parametrize(
    "uris",
    [
        [],
        [EXCLUSIVE],
        [f"{DS}enveloped-signature", f"{DS}enveloped-signature"],
        [EXCLUSIVE, f"{DS}enveloped-signature"],
        [f"{DS}enveloped-signature", EXCLUSIVE, EXCLUSIVE],
        [f"{DS}enveloped-signature", "http://www.w3.org/TR/1999/REC-xslt-19991116"],
        [f"{DS}enveloped-signature", "http://www.w3.org/TR/1999/REC-xpath-19991116"],
        [f"{DS}base64"],
    ],
)
def test_transform_abuse(signed: bytes, world: World, trust: Trust, policy: Policy, uris: list[str]) -> None:
    root, signature = tree(signed)
    transforms = next(signature.iter(f"{SIG}Transforms"))
    del transforms[:]
    for uri in uris:
        etree.SubElement(transforms, f"{SIG}Transform", Algorithm=uri)
    assert refused(sign_as_is(root, world.rsa), trust, policy) == "SIG009"


def test_xpath_and_prefix_list_parameters(signed: bytes, world: World, trust: Trust) -> None:
    root, signature = tree(signed)
    transform = list(signature.iter(f"{SIG}Transform"))[1]
    etree.SubElement(transform, f"{{{EXCLUSIVE}}}InclusiveNamespaces", PrefixList="md")
    assert refused(sign_as_is(root, world.rsa), trust) == "SIG009"


@POLICIES
@pytest.mark.parametrize("name", ["Object", "Manifest", "Foreign"])
def test_unsigned_objects_in_the_signature(signed: bytes, trust: Trust, policy: Policy, name: str) -> None:
    root, signature = tree(signed)
    etree.SubElement(signature, f"{SIG}{name}").text = "anything"
    assert refused(etree.tostring(root), trust, policy) == "SIG005"


@POLICIES
@pytest.mark.parametrize("name", ["RetrievalMethod", "EncryptedKey", "PGPData"])
def test_key_info_that_would_have_to_be_fetched(
    signed: bytes, trust: Trust, policy: Policy, name: str
) -> None:
    root, signature = tree(signed)
    etree.SubElement(signature[2], f"{SIG}{name}", URI="http://127.0.0.1:1/")
    assert refused(etree.tostring(root), trust, policy) == "SIG005"


@POLICIES
def test_key_info_trust(world: World, trust: Trust, policy: Policy) -> None:
    """The attacker signs truly, with his own certificate."""
    assert refused(sign_xml(parse(DECLARATION), world.attacker.key, NOW), trust, policy) == "SIG024"


@POLICIES
def test_key_value_is_never_trusted(signed: bytes, world: World, trust: Trust, policy: Policy) -> None:
    root, signature = tree(signed)
    key_info = signature[2]
    del key_info[:]
    key_value = etree.SubElement(key_info, f"{SIG}KeyValue")
    numbers = world.attacker.certificate.public_key().public_numbers()
    rsa = etree.SubElement(key_value, f"{SIG}RSAKeyValue")
    for name, number in (("Modulus", numbers.n), ("Exponent", numbers.e)):
        octets = number.to_bytes((number.bit_length() + 7) // 8, "big")
        etree.SubElement(rsa, f"{SIG}{name}").text = base64.b64encode(octets).decode()
    assert refused(sign_as_is(root, world.attacker), trust, policy) == "SIG020"


@POLICIES
def test_certificate_swap(signed: bytes, world: World, trust: Trust, policy: Policy) -> None:
    """Another trusted signer's certificate put in the place of the signer's."""
    other = world.party("other")
    swapped = signed.replace(base64.b64encode(world.rsa.der), base64.b64encode(other.der))
    assert refused(swapped, trust, policy) == "SIG012"


@POLICIES
def test_attackers_certificate_beside_a_trusted_one(world: World, trust: Trust, policy: Policy) -> None:
    root, signature = tree(sign_xml(parse(DECLARATION), world.attacker.key, NOW))
    data = signature[2][0]
    etree.SubElement(data, f"{SIG}X509Certificate").text = base64.b64encode(world.rsa.der).decode()
    assert refused(etree.tostring(root), trust, policy) == "SIG028"


def test_parser_differential_of_types(world: World, trust: Trust) -> None:
    """A prefix used only in an xsi:type's value is outside of exclusive canonicalisation."""
    document = (
        b'<a xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:t="urn:good">'
        b'<b xsi:type="t:Amount">1</b></a>'
    )
    signed = sign_xml(parse(document), world.rsa.key, NOW)
    rebound = signed.replace(b"<a>", b'<a xmlns:t="urn:evil">')
    assert refused(rebound, trust) == "SIG014"
    assert refused(rebound, trust, BOTH) == "SIG014"
    used = document.replace(b"<b ", b'<b t:x="" ')
    assert verified(sign_xml(parse(used), world.rsa.key, NOW), trust).document is not None


def test_relative_namespaces_have_no_canonical_form(world: World, trust: Trust) -> None:
    document = DECLARATION.replace(b'xmlns="urn:wco:datamodel:WCO:DEC:3"', b'xmlns="../DEC"')
    _, signature = tree(sign_xml(parse(DECLARATION), world.rsa.key, NOW))
    other = etree.fromstring(document)
    other.append(signature)
    assert refused(etree.tostring(other), trust) == "SIG015"


@pytest.mark.parametrize("value", ["", "AAAA", "!!!!", "A" * 5_000, "AAA", "é"])
@POLICIES
def test_malformed_values(signed: bytes, trust: Trust, policy: Policy, value: str) -> None:
    root, signature = tree(signed)
    signature[1].text = value
    assert refused(etree.tostring(root), trust, policy) in ("SIG005", "SIG012", "SIG013")
    root, signature = tree(signed)
    next(signature.iter(f"{SIG}X509Certificate")).text = value
    assert refused(etree.tostring(root), trust, policy) in ("SIG013", "SIG021")


def test_element_inside_a_value(signed: bytes, world: World, trust: Trust) -> None:
    root, signature = tree(signed)
    etree.SubElement(next(signature.iter(f"{SIG}DigestValue")), "x").tail = "AAAA"
    assert refused(sign_as_is(root, world.rsa), trust) == "SIG005"


@pytest.mark.parametrize("length", [0, 1, 63, 65, 128])
def test_ecdsa_values_of_a_wrong_length(world: World, trust: Trust, length: int) -> None:
    root, signature = tree(sign_xml(parse(DECLARATION), world.ec.key, NOW))
    signature[1].text = base64.b64encode(bytes(length)).decode()
    assert refused(etree.tostring(root), trust) == "SIG013"
    signature[1].text = base64.b64encode(bytes(64)).decode()
    assert refused(etree.tostring(root), trust) == "SIG012"


def test_doctype_in_a_signed_document(signed: bytes, trust: Trust) -> None:
    assert refused(b'<!DOCTYPE a [<!ENTITY e "x">]>' + signed, trust) == "XML004"


def test_expired_and_early_signers(signed: bytes, trust: Trust) -> None:
    for days, code in ((-30, "SIG023"), (500, "SIG022")):
        with pytest.raises(Refused) as caught:
            verify(signed, XML, trust, FAST, NOW + timedelta(days=days))
        assert caught.value.code == code


def test_nobody_else_makes_a_verified(signed: bytes, trust: Trust) -> None:
    good = verified(signed, trust)
    with pytest.raises(TypeError):
        Verified(b"evil", XML, None, good.signer, "xmldsig")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 10_000), octet=st.integers(0, 255))
def test_no_changed_octet_changes_what_is_read(signed: bytes, trust: Trust, at: int, octet: int) -> None:
    at %= len(signed)
    changed = signed[:at] + bytes((octet,)) + signed[at + 1 :]
    original = verified(signed, trust)
    try:
        found = verify(changed, XML, trust, FAST, NOW)
    except Refused:
        return
    assert found.content == original.content
    assert found.document is not None
    assert etree.tostring(found.document, method="c14n", exclusive=True) == original.content
    assert found.signer.fingerprint == original.signer.fingerprint
