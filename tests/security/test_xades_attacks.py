"""Attacks on qualifying properties: what is signed of them is believed, and nothing that only stands there."""

from __future__ import annotations

import base64
import copy
import hashlib
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from gateway.safexml import parse
from gateway.security import Policy, Trust, sign_xml
from gateway.security.policy import SHAPES
from gateway.security.xmldsig.qualifying import sign_xades

from .signing_kit import DECLARATION, DS, NOW, World, refused, sign_as_is, verified
from .xades_kit import SIG, XADES, XADES_141, c14n, part, unsigned_of

POLICIES = pytest.mark.parametrize(
    "policy", [Policy(shapes=SHAPES), Policy(engine="both", shapes=SHAPES)], ids=lambda p: p.engine
)
PROPERTIES = "http://uri.etsi.org/01903#SignedProperties"


@pytest.fixture
def root(world: World) -> etree._Element:
    return etree.fromstring(sign_xades(parse(DECLARATION), world.rsa.key, NOW))


def resigned(root: etree._Element, world: World) -> bytes:
    """The attacker (or a careless sender) with the true key: the properties digested and signed anew."""
    reference = next(r for r in root.iter(f"{SIG}Reference") if r.get("Type") == PROPERTIES)
    digest = hashlib.sha256(c14n(part(root, "SignedProperties"))).digest()
    part(reference, "DigestValue").text = base64.b64encode(digest).decode()
    return sign_as_is(root, world.rsa)


@POLICIES
def test_properties_that_are_not_covered(
    world: World, trust: Trust, root: etree._Element, policy: Policy
) -> None:
    info = part(root, "SignedInfo")
    info.remove(info[-1])
    assert refused(sign_as_is(root, world.rsa), trust, policy) == "SIG112"


@POLICIES
def test_properties_added_to_a_plain_signature(world: World, trust: Trust, policy: Policy) -> None:
    plain = etree.fromstring(sign_xml(parse(DECLARATION), world.rsa.key, NOW))
    qualified = etree.fromstring(sign_xades(parse(DECLARATION), world.rsa.key, NOW - timedelta(minutes=20)))
    part(plain, "Signature").append(part(qualified, "Object"))
    assert refused(etree.tostring(plain), trust, policy) == "SIG110"
    part(plain, "Signature").set("Id", part(qualified, "Signature").get("Id", ""))
    assert refused(etree.tostring(plain), trust, policy) == "SIG112"


@POLICIES
def test_a_reference_to_properties_that_are_not_there(
    world: World, trust: Trust, root: etree._Element, policy: Policy
) -> None:
    signature = part(root, "Signature")
    signature.remove(part(signature, "Object"))
    assert refused(etree.tostring(root), trust, policy) == "SIG110"


@POLICIES
def test_wrapping_of_the_properties(world: World, trust: Trust, root: etree._Element, policy: Policy) -> None:
    """The signed properties move to where nobody looks; forged ones stand in their place."""
    true = part(root, "SignedProperties")
    forged = copy.deepcopy(true)
    forged.set("Id", "forged")
    part(forged, "SigningTime").text = "2001-01-01T00:00:00Z"
    home = true.getparent()
    assert home is not None
    home.replace(true, forged)
    etree.SubElement(unsigned_of(root), "{urn:foreign}Attic").append(true)
    assert refused(etree.tostring(root), trust, policy) == "SIG103"
    forged.set("Id", true.get("Id", ""))
    assert refused(etree.tostring(root), trust, policy) == "SIG102"
    attic = true.getparent()
    assert attic is not None
    attic.remove(true)
    assert refused(etree.tostring(root), trust, policy) == "SIG011"


@POLICIES
def test_wrapping_of_the_properties_into_the_content(world: World, trust: Trust, policy: Policy) -> None:
    document = etree.fromstring(sign_xades(parse(DECLARATION), world.rsa.key, NOW))
    identifier = part(document, "SignedProperties").get("Id", "")
    part(document, "WCOTypeName").set("id", identifier)
    assert refused(etree.tostring(document), trust, policy) == "SIG102"


@POLICIES
def test_properties_of_another_signature(
    world: World, trust: Trust, root: etree._Element, policy: Policy
) -> None:
    other = etree.fromstring(sign_xades(parse(DECLARATION), world.rsa.key, NOW - timedelta(minutes=20)))
    signature = part(root, "Signature")
    signature.replace(part(signature, "Object"), part(other, "Object"))
    assert refused(etree.tostring(root), trust, policy) == "SIG110"
    part(root, "QualifyingProperties").set("Target", f"#{signature.get('Id')}")
    assert refused(etree.tostring(root), trust, policy) == "SIG103"


@POLICIES
def test_two_sets_of_properties(world: World, trust: Trust, root: etree._Element, policy: Policy) -> None:
    signature = part(root, "Signature")
    signature.append(copy.deepcopy(part(signature, "Object")))
    assert refused(etree.tostring(root), trust, policy) == "SIG110"


@POLICIES
def test_a_certificate_of_the_same_key_in_the_signers_place(
    world: World, trust: Trust, policy: Policy
) -> None:
    """Another certificate of the same key, with rights of its own, cannot be put in the place of the one meant."""
    twin = world.authority.certify(world.rsa.certificate.public_key(), "CN=twin,O=Another Company,C=VN")  # type: ignore[arg-type]
    der = base64.b64encode(twin.public_bytes(Encoding.DER)).decode()
    plain = etree.fromstring(sign_xml(parse(DECLARATION), world.rsa.key, NOW))
    part(plain, "X509Certificate").text = der
    # What XML-DSig alone cannot tell apart:
    assert verified(etree.tostring(plain), trust).signer.subject.startswith("CN=twin")
    qualified = etree.fromstring(sign_xades(parse(DECLARATION), world.rsa.key, NOW))
    part(qualified, "X509Certificate").text = der
    assert refused(etree.tostring(qualified), trust, policy) == "SIG111"


@POLICIES
def test_a_signing_certificate_of_somebody_else(
    world: World, trust: Trust, root: etree._Element, policy: Policy
) -> None:
    digest = base64.b64encode(hashlib.sha256(world.ec.der).digest()).decode()
    part(part(root, "CertDigest"), "DigestValue").text = digest
    assert refused(resigned(root, world), trust, policy) == "SIG111"
    both = part(root, "X509Data")
    etree.SubElement(both, f"{SIG}X509Certificate").text = base64.b64encode(world.ec.der).decode()
    assert refused(resigned(root, world), trust, policy) in ("SIG030", "SIG012", "SIG013")


@POLICIES
@pytest.mark.parametrize(
    ("serial", "code"),
    [("{}", ""), (" {} ", ""), ("4711", "SIG111"), ("serial", "SIG110"), ("9" * 99, "SIG110")],
)
def test_the_old_signing_certificate_and_its_serial_number(
    world: World, trust: Trust, root: etree._Element, policy: Policy, serial: str, code: str
) -> None:
    named = part(root, "SigningCertificateV2")
    named.tag = f"{XADES}SigningCertificate"
    issuer = etree.SubElement(part(named, "Cert"), f"{XADES}IssuerSerial")
    etree.SubElement(issuer, f"{SIG}X509IssuerName").text = "CN=Test Authority"
    etree.SubElement(issuer, f"{SIG}X509SerialNumber").text = serial.format(
        world.rsa.certificate.serial_number
    )
    body = resigned(root, world)
    if code:
        assert refused(body, trust, policy) == code
    else:
        assert verified(body, trust, policy).signer.level == "B"


@POLICIES
def test_issuer_and_serial_number_of_version_2(
    world: World, trust: Trust, root: etree._Element, policy: Policy
) -> None:
    from gateway.security.cms.ess import _issuer_serial, encode_der

    cert = part(part(root, "SigningCertificateV2"), "Cert")
    named = etree.SubElement(cert, f"{XADES}IssuerSerialV2")
    named.text = base64.b64encode(encode_der(_issuer_serial(world.rsa.der))).decode()
    assert verified(resigned(root, world), trust, policy).signer.level == "B"
    named.text = base64.b64encode(encode_der(_issuer_serial(world.ec.der))).decode()
    assert refused(resigned(root, world), trust, policy) == "SIG111"
    named.text = "AAAA"
    assert refused(resigned(root, world), trust, policy) == "SIG110"


@POLICIES
def test_no_or_two_signing_certificates(
    world: World, trust: Trust, root: etree._Element, policy: Policy
) -> None:
    named = part(root, "SigningCertificateV2")
    other = copy.deepcopy(named)
    other.tag = f"{XADES}SigningCertificate"
    home = named.getparent()
    assert home is not None
    home.append(other)
    assert refused(resigned(root, world), trust, policy) == "SIG110"
    home.remove(other)
    home.append(copy.deepcopy(named))
    assert refused(resigned(root, world), trust, policy) == "SIG110"
    home.remove(home[-1])
    home.remove(named)
    assert refused(resigned(root, world), trust, policy) == "SIG110"


@POLICIES
def test_a_signing_time_in_the_future(
    world: World, trust: Trust, root: etree._Element, policy: Policy
) -> None:
    part(root, "SigningTime").text = (NOW + timedelta(minutes=6)).isoformat()
    assert refused(resigned(root, world), trust, policy) == "SIG048"
    part(root, "SigningTime").text = (NOW + timedelta(minutes=4)).isoformat()
    assert verified(resigned(root, world), trust, policy).signer.level == "B"


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2026-13-01T00:00:00Z", "2026-01-01", "2026-01-01T25:00:00Z", "-2026-01-01T00:00:00Z"],
)
def test_a_signing_time_that_is_none(world: World, trust: Trust, root: etree._Element, text: str) -> None:
    part(root, "SigningTime").text = text
    assert refused(resigned(root, world), trust) == "SIG110"


@pytest.mark.parametrize(
    "text", ["2026-01-01T07:00:00.123456789+07:00", "2026-01-01T00:00:00", " 2026-01-01T00:00:00Z "]
)
def test_forms_of_a_signing_time(world: World, trust: Trust, root: etree._Element, text: str) -> None:
    part(root, "SigningTime").text = text
    found = verified(resigned(root, world), trust).signer.signed_at
    assert found is not None
    assert found.replace(microsecond=0).isoformat() == "2026-01-01T00:00:00+00:00"


def test_without_a_signing_time_there_is_no_level(world: World, trust: Trust, root: etree._Element) -> None:
    time = part(root, "SigningTime")
    home = time.getparent()
    assert home is not None
    home.remove(time)
    found = verified(resigned(root, world), trust)
    assert found.signer.level == ""
    assert [finding.code for finding in found.findings] == ["SIG116"]
    assert refused(etree.tostring(root), trust, Policy(level="B")) == "SIG120"


@POLICIES
def test_a_plain_signature_where_a_level_is_required(world: World, trust: Trust, policy: Policy) -> None:
    body = sign_xml(parse(DECLARATION), world.rsa.key, NOW)
    assert refused(body, trust, Policy(engine=policy.engine, level="B")) == "SIG120"


@POLICIES
def test_a_counter_signature_is_a_second_signature(
    world: World, trust: Trust, root: etree._Element, policy: Policy
) -> None:
    counter = etree.SubElement(unsigned_of(root), f"{XADES}CounterSignature")
    counter.append(copy.deepcopy(part(root, "Signature")))
    assert refused(etree.tostring(root), trust, policy) == "SIG003"


@POLICIES
@pytest.mark.parametrize("name", ["Object", "Manifest", "SignatureProperties"])
def test_objects_beside_the_properties(
    world: World, trust: Trust, root: etree._Element, policy: Policy, name: str
) -> None:
    holder = etree.SubElement(part(root, "Signature"), f"{SIG}Object")
    etree.SubElement(holder, f"{SIG}{name}").text = "unsigned"
    assert refused(etree.tostring(root), trust, policy) == "SIG005"
    root.find(f"{SIG}Signature").remove(holder)  # type: ignore[union-attr]
    part(root, "Object").append(holder)
    assert refused(etree.tostring(root), trust, policy) == "SIG005"


@POLICIES
@pytest.mark.parametrize(
    "namespace", ["http://uri.etsi.org/01903/v1.1.1#", "http://uri.etsi.org/01903/v1.2.2#", XADES_141[1:-1]]
)
def test_properties_of_other_versions(
    world: World, trust: Trust, root: etree._Element, policy: Policy, namespace: str
) -> None:
    body = etree.tostring(root).replace(b"http://uri.etsi.org/01903/v1.3.2#", namespace.encode())
    assert refused(body, trust, policy) == "SIG110"


@POLICIES
def test_a_reference_to_properties_without_their_type(
    world: World, trust: Trust, root: etree._Element, policy: Policy
) -> None:
    reference = next(r for r in root.iter(f"{SIG}Reference") if r.get("Type") == PROPERTIES)
    del reference.attrib["Type"]
    assert refused(sign_as_is(root, world.rsa), trust, policy) == "SIG010"
    reference.set("Type", "http://uri.etsi.org/01903#CountersignedSignature")
    assert refused(sign_as_is(root, world.rsa), trust, policy) == "SIG010"


@POLICIES
@pytest.mark.parametrize(
    "uri", [f"{DS}enveloped-signature", f"{DS}base64", "http://www.w3.org/TR/1999/REC-xpath-19991116"]
)
def test_transforms_of_the_properties(
    world: World, trust: Trust, root: etree._Element, policy: Policy, uri: str
) -> None:
    reference = next(r for r in root.iter(f"{SIG}Reference") if r.get("Type") == PROPERTIES)
    part(reference, "Transform").set("Algorithm", uri)
    assert refused(sign_as_is(root, world.rsa), trust, policy) == "SIG009"


@POLICIES
def test_a_weak_digest_in_the_properties(
    world: World, trust: Trust, root: etree._Element, policy: Policy
) -> None:
    named = part(root, "CertDigest")
    part(named, "DigestMethod").set("Algorithm", f"{DS}sha1")
    part(named, "DigestValue").text = base64.b64encode(hashlib.sha1(world.rsa.der).digest()).decode()
    assert refused(resigned(root, world), trust, policy) == "SIG007"


@POLICIES
def test_entities_hidden_in_the_properties(
    world: World, trust: Trust, root: etree._Element, policy: Policy
) -> None:
    body = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + etree.tostring(root)
    assert refused(body, trust, policy) == "XML004"


@POLICIES
def test_key_info_is_covered_where_it_is_referred_to(world: World, trust: Trust, policy: Policy) -> None:
    """As Spanish senders sign: three references, one of them to KeyInfo."""
    root = etree.fromstring(sign_xades(parse(DECLARATION), world.rsa.key, NOW))
    key_info, info = part(root, "KeyInfo"), part(root, "SignedInfo")
    key_info.set("Id", "key")
    reference = copy.deepcopy(info[-1])
    del reference.attrib["Type"]
    reference.set("URI", "#key")
    part(reference, "DigestValue").text = base64.b64encode(hashlib.sha256(c14n(key_info)).digest()).decode()
    info.append(reference)
    body = sign_as_is(root, world.rsa)
    assert verified(body, trust, policy).signer.level == "B"
    changed = body.replace(b"</ds:X509Data>", b"<ds:X509SubjectName>CN=x</ds:X509SubjectName></ds:X509Data>")
    assert refused(changed, trust, policy) == "SIG011"
