"""XML signatures that are good: made by ourselves, signxml, xmlsec1 and python-xmlsec."""

from __future__ import annotations

from pathlib import Path

import pytest
import xmlsec
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod
from signxml.signer import XMLSigner

from gateway.safexml import parse
from gateway.security import Policy, Trust, sign_xml, verify

from .signing_kit import (
    BOTH,
    DECLARATION,
    EXCLUSIVE,
    FAST,
    INCLUSIVE,
    NOW,
    RSA_SHA256,
    SHA256,
    SIGNXML,
    XML,
    Party,
    World,
    judge,
    refused,
    run,
    sign_as_is,
    template,
    verified,
)

MORE_2001 = "http://www.w3.org/2001/04/xmldsig-more#"
MORE_2007 = "http://www.w3.org/2007/05/xmldsig-more#"
SHA384, SHA512 = f"{MORE_2001}sha384", "http://www.w3.org/2001/04/xmlenc#sha512"
ENGINES = pytest.mark.parametrize("policy", [FAST, SIGNXML, BOTH], ids=lambda p: p.engine)


def by_xmlsec1(unsigned: bytes, party: Party, folder: Path) -> bytes:
    tool = judge("xmlsec1")
    source = folder / "unsigned.xml"
    source.write_bytes(unsigned)
    key = f"{party.key_path},{party.certificate_path}"
    made = run(tool, "--sign", "--privkey-pem", key, "--output", folder / "signed.xml", source)
    assert made.returncode == 0, made.stderr
    return (folder / "signed.xml").read_bytes()


def by_python_xmlsec(unsigned: bytes, party: Party) -> bytes:
    root = etree.fromstring(unsigned)
    key = xmlsec.Key.from_file(str(party.key_path), xmlsec.KeyFormat.PEM)
    key.load_cert_from_file(str(party.certificate_path), xmlsec.KeyFormat.PEM)
    context = xmlsec.SignatureContext()
    context.key = key
    signature = root.find("{http://www.w3.org/2000/09/xmldsig#}Signature")
    context.sign(signature)
    return etree.tostring(root)


@ENGINES
@pytest.mark.parametrize(
    ("c14n", "content_c14n"),
    [
        (EXCLUSIVE, EXCLUSIVE),
        (INCLUSIVE, INCLUSIVE),
        (INCLUSIVE, None),
        (EXCLUSIVE, None),
        (INCLUSIVE, EXCLUSIVE),
    ],
)
@pytest.mark.parametrize(
    ("who", "method", "digest"),
    [
        ("rsa", RSA_SHA256, SHA256),
        ("rsa", f"{MORE_2001}rsa-sha384", SHA384),
        ("rsa", f"{MORE_2001}rsa-sha512", SHA512),
        ("ec", f"{MORE_2001}ecdsa-sha256", SHA256),
        ("ec", f"{MORE_2001}ecdsa-sha512", SHA512),
    ],
)
def test_what_xmlsec1_signs_is_verified(
    world: World,
    trust: Trust,
    tmp_path: Path,
    policy: Policy,
    c14n: str,
    content_c14n: str | None,
    who: str,
    method: str,
    digest: str,
) -> None:
    party = world.rsa if who == "rsa" else world.ec
    unsigned = template(c14n=c14n, content_c14n=content_c14n, method=method, digest=digest)
    found = verified(by_xmlsec1(unsigned, party, tmp_path), trust, policy)
    assert found.signer.subject == party.certificate.subject.rfc4514_string()
    exclusive = content_c14n == EXCLUSIVE
    assert found.content == etree.tostring(parse(DECLARATION), method="c14n", exclusive=exclusive)
    assert found.envelope == "xmldsig"
    assert found.media_type == XML


@ENGINES
@pytest.mark.parametrize("bits", [256, 384, 512])
def test_what_python_xmlsec_signs_with_pss_is_verified(
    world: World, trust: Trust, policy: Policy, bits: int
) -> None:
    signed = by_python_xmlsec(template(method=f"{MORE_2007}sha{bits}-rsa-MGF1"), world.rsa)
    assert verified(signed, trust, policy).signer.algorithm == f"rsa-pss-sha{bits}"


@ENGINES
@pytest.mark.parametrize("method", [SignatureMethod.RSA_SHA256, SignatureMethod.SHA256_RSA_MGF1])
@pytest.mark.parametrize(
    "c14n",
    [CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0, CanonicalizationMethod.CANONICAL_XML_1_0],
)
def test_what_signxml_signs_is_verified(
    world: World, trust: Trust, policy: Policy, method: SignatureMethod, c14n: CanonicalizationMethod
) -> None:
    signer = XMLSigner(
        signature_algorithm=method, digest_algorithm=DigestAlgorithm.SHA512, c14n_algorithm=c14n
    )
    signed = signer.sign(
        etree.fromstring(DECLARATION),
        key=world.rsa.key_path.read_bytes(),
        cert=world.rsa.certificate_path.read_text(),
        always_add_key_value=True,
    )
    assert verified(etree.tostring(signed), trust, policy).signer.subject.startswith("CN=rsa")


@ENGINES
@pytest.mark.parametrize(("who", "padding"), [("rsa", "pkcs1"), ("rsa", "pss"), ("ec", "pkcs1")])
def test_what_we_sign_is_verified_by_every_engine(
    world: World, trust: Trust, policy: Policy, who: str, padding: str
) -> None:
    party = world.rsa if who == "rsa" else world.ec
    key = party.padded(padding)
    signed = sign_xml(parse(DECLARATION), key, NOW)
    found = verify(signed, "text/xml; charset=UTF-8", trust, policy, NOW)
    assert found.signer.algorithm == key.algorithm.name
    assert found.signer.fingerprint == key.signer.fingerprint


@pytest.mark.parametrize("who", ["rsa", "ec"])
def test_what_we_sign_is_verified_by_xmlsec1(world: World, tmp_path: Path, who: str) -> None:
    tool = judge("xmlsec1")
    party = world.rsa if who == "rsa" else world.ec
    signed = tmp_path / "signed.xml"
    signed.write_bytes(sign_xml(parse(DECLARATION), party.key, NOW))
    done = run(tool, "--verify", "--trusted-pem", world.anchor, signed)
    assert done.returncode == 0, done.stderr
    signed.write_bytes(signed.read_bytes().replace(b"000123", b"000124"))
    assert run(tool, "--verify", "--trusted-pem", world.anchor, signed).returncode != 0


def test_pss_is_verified_by_python_xmlsec(world: World) -> None:
    root = etree.fromstring(sign_xml(parse(DECLARATION), world.rsa.padded("pss"), NOW))
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_file(str(world.rsa.certificate_path), xmlsec.KeyFormat.CERT_PEM)
    context.verify(root[-1])


def test_parametrised_pss_with_its_defaults_is_verified_by_the_fast_engine_only(
    world: World, trust: Trust
) -> None:
    signed = sign_xml(parse(DECLARATION), world.rsa.padded("pss"), NOW)
    renamed = signed.replace(b"sha256-rsa-MGF1", b"rsa-pss")
    party = Party(world.rsa.padded("pss"), world.rsa.key_path, world.rsa.certificate_path)
    assert verified(sign_as_is(renamed, party), trust).signer.algorithm == "rsa-pss-sha256"
    assert refused(sign_as_is(renamed, party), trust, BOTH) == "SIG006"
    parameters = renamed.replace(b'rsa-pss"></ds:SignatureMethod>', b'rsa-pss"><x/></ds:SignatureMethod>')
    assert refused(sign_as_is(parameters, party), trust) == "SIG005"


def test_text_behind_the_signature_belongs_to_the_document(world: World, trust: Trust) -> None:
    unsigned = b"<a>one<b/>two" + template(document=b"<x></x>")[3:-4] + b"three&#13;<c/>four</a>"
    signed = by_python_xmlsec(unsigned, world.rsa)
    assert verified(signed, trust).content == b"<a>one<b></b>twothree&#xD;<c></c>four</a>"
    assert refused(signed.replace(b"three", b"thr33"), trust) == "SIG011"


def test_a_signature_may_stand_first(world: World, trust: Trust) -> None:
    unsigned = b"<a>" + template(document=b"<x></x>")[3:-4] + b"tail<c/></a>"
    signed = by_python_xmlsec(unsigned, world.rsa)
    document = verified(signed, trust).document
    assert document is not None
    assert document.text == "tail"
    # signxml cannot read a signature with text behind it: anybody may have moved it there, so it is no alarm.
    assert refused(signed, trust, SIGNXML) == "SIG005"
    assert refused(signed, trust, BOTH) == "SIG005"


@ENGINES
def test_inherited_xml_attributes_are_canonicalised(world: World, trust: Trust, policy: Policy) -> None:
    document = DECLARATION.replace(b"<md:MetaData", b'<md:MetaData xml:lang="vi" xml:space="preserve"')
    signed = by_python_xmlsec(template(document=document, c14n=INCLUSIVE), world.rsa)
    if policy.engine == "fast":
        verified(signed, trust, policy)
    else:
        # signxml does not inherit them: it refuses, and the gateway tells rather than guesses.
        assert refused(signed, trust, policy) in ("SIG012", "SIG090")


def test_the_document_is_the_tree_that_was_digested_with_the_senders_lines(
    world: World, trust: Trust
) -> None:
    found = verified(by_python_xmlsec(template(), world.rsa), trust)
    assert found.document is not None
    assert etree.tostring(found.document, method="c14n", exclusive=True) == found.content
    assert next(found.document.iter("{*}Signature"), None) is None
    reference = next(found.document.iter("{*}FunctionalReferenceID"))
    assert (reference.text, reference.sourceline) == ("LRN-2026-000123", 4)
    again = parse(found.content)
    assert etree.tostring(again, method="c14n", exclusive=True) == found.content


def test_comments_in_a_signed_document_do_not_split_its_text(world: World, trust: Trust) -> None:
    signed = sign_xml(parse(DECLARATION), world.rsa.key, NOW)
    injected = signed.replace(b"LRN-2026-000123", b"LRN-2026<!-- -->-000123")
    document = verified(injected, trust).document
    assert document is not None
    assert next(document.iter("{*}FunctionalReferenceID")).text == "LRN-2026-000123"


def test_signing_leaves_the_document_alone_and_refuses_what_it_cannot_sign(world: World) -> None:
    root = parse(DECLARATION)
    before = etree.tostring(root)
    signed = sign_xml(root, world.ec.key, NOW)
    assert etree.tostring(root) == before
    with pytest.raises(ValueError, match="signed already"):
        sign_xml(parse(signed), world.ec.key, NOW)
    root.append(etree.Comment("x"))
    with pytest.raises(ValueError, match="comments"):
        sign_xml(root, world.ec.key, NOW)
    with pytest.raises(ValueError, match="not valid at"):
        sign_xml(parse(DECLARATION), world.ec.key, NOW.replace(year=NOW.year + 30))


@ENGINES
@pytest.mark.parametrize("break_by", ["\n", "\r\n", "\r", " "])
def test_values_may_be_broken_into_lines(world: World, trust: Trust, policy: Policy, break_by: str) -> None:
    """The same SignedInfo is read twice: at first sight and as one that is known already."""
    root = etree.fromstring(sign_xml(parse(DECLARATION), world.rsa.key, NOW))
    for name in ("DigestValue", "X509Certificate", "SignatureValue"):
        element = next(root.iter(f"{{http://www.w3.org/2000/09/xmldsig#}}{name}"))
        text = element.text or ""
        element.text = break_by + text[:20] + break_by + text[20:]
    signed = sign_as_is(root, world.rsa)
    for _ in range(2):
        assert verified(signed, trust, policy).signer.subject.startswith("CN=rsa")


def test_a_known_signed_info_is_no_licence(world: World, trust: Trust) -> None:
    """What is remembered of a SignedInfo is its shape, never its digest."""
    first = sign_xml(parse(DECLARATION), world.rsa.key, NOW)
    second = sign_xml(parse(DECLARATION.replace(b"000123", b"000124")), world.rsa.key, NOW)
    assert verified(first, trust).content != verified(second, trust).content
    digest = [s.partition(b"DigestValue>")[2].partition(b"<")[0] for s in (first, second)]
    assert refused(first.replace(digest[0], digest[1]), trust) == "SIG012"
    named = first.replace(b"<ds:DigestValue>", b'<ds:DigestValue Id="DigestValue>AAAA">')
    assert refused(sign_as_is(named, world.rsa), trust) == "SIG005"


def test_no_text_beside_the_digest_is_taken_for_it(world: World, trust: Trust) -> None:
    """An attribute hides the start tag from who looks for it, and the text behind the end tag is no digest."""
    good = sign_xml(parse(DECLARATION), world.rsa.key, NOW)
    digest = good.partition(b"DigestValue>")[2].partition(b"<")[0]
    value = b"<ds:DigestValue>" + digest + b"</ds:DigestValue>"
    hidden = b'<ds:DigestValue a="1">%s</ds:DigestValue>' + digest
    for other in (digest, digest[::-1]):
        assert refused(sign_as_is(good.replace(value, hidden % other), world.rsa), trust) == "SIG005"
    assert verified(good, trust).content
