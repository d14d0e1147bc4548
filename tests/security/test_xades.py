"""XAdES: what a signature proves beyond itself, by us and by others, and what it only claims."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm
from signxml.verifier import SignatureConfiguration, XMLVerifier
from signxml.xades import (
    XAdESDataObjectFormat,
    XAdESSignatureConfiguration,
    XAdESSignaturePolicy,
    XAdESSigner,
    XAdESVerifier,
)

from gateway.model import Revocation
from gateway.safexml import parse
from gateway.security import Policy, Refused, Trust, Verified, verify
from gateway.security.cms.material import Material
from gateway.security.policy import SHAPES
from gateway.security.xmldsig.qualifying import sign_beside, sign_xades

from .cms_kit import revocation_list
from .signing_kit import DECLARATION, EDIFACT, FAST, NOW, XML, Party, World, judge, refused, run, verified
from .tsa import TimeStampAuthority
from .xades_kit import XADES, XADES_141, archived, part, signed_now, stamp_of, unsigned_of

WIDE = Policy(shapes=SHAPES)
ENGINES = pytest.mark.parametrize("engine", ["fast", "signxml", "both"])
SHAPED = ["enveloped", "enveloping", "detached"]
NAMED = DECLARATION.replace(b"<md:MetaData ", b'<md:MetaData Id="d-1" ')
DAY = timedelta(days=1)
_DER = Encoding.DER


@pytest.fixture(scope="module")
def stamper(tmp_path_factory: pytest.TempPathFactory) -> TimeStampAuthority:
    return TimeStampAuthority.create(tmp_path_factory.mktemp("tsa"))


@pytest.fixture(scope="module")
def stamping(world: World, stamper: TimeStampAuthority) -> Trust:
    return Trust([world.authority.certificate], stampers=stamper.trust)


@pytest.fixture(scope="module")
def lasting(world: World) -> Material:
    """What a chain is judged by in years: the authority's certificate and its CRL."""
    crl = revocation_list(world.authority, at=datetime.now(UTC).replace(microsecond=0))
    return Material((world.authority.certificate.public_bytes(_DER),), (crl,))


def codes(found: Verified) -> list[tuple[str, str]]:
    return [(finding.code, finding.found) for finding in found.findings]


@ENGINES
@pytest.mark.parametrize("shape", SHAPED)
@pytest.mark.parametrize("who", ["rsa", "ec"])
def test_level_b_in_each_shape(world: World, trust: Trust, engine: str, shape: str, who: str) -> None:
    party: Party = getattr(world, who)
    body = sign_xades(parse(NAMED), party.key, NOW, shape)
    found = verified(body, trust, Policy(engine=engine, shapes=SHAPES, level="B"))  # type: ignore[arg-type]
    assert found.signer.level == "B"
    assert found.signer.signed_at == NOW
    assert found.signer.certificate == party.der
    assert found.document is not None
    assert found.document.tag == "{urn:wco:datamodel:WCO:DocumentMetaData:3}MetaData"
    assert etree.tostring(found.document, method="c14n", exclusive=True) == etree.tostring(
        parse(NAMED), method="c14n", exclusive=True
    )
    assert found.findings == ()


@pytest.mark.parametrize("shape", SHAPED)
def test_xmlsec1_verifies_what_we_sign(world: World, tmp_path: Path, shape: str) -> None:
    (tmp_path / "signed.xml").write_bytes(sign_xades(parse(NAMED), world.ec.key, NOW, shape))
    identifiers = [
        "--id-attr:Id", "http://uri.etsi.org/01903/v1.3.2#:SignedProperties",
        "--id-attr:Id", "urn:wco:datamodel:WCO:DocumentMetaData:3:MetaData",
    ]  # fmt: skip
    made = run(
        judge("xmlsec1"), "--verify", *identifiers, "--trusted-pem", world.anchor, tmp_path / "signed.xml"
    )
    assert made.returncode == 0, made.stderr
    assert b"2/2" in made.stderr


@pytest.mark.parametrize("who", ["rsa", "ec"])
def test_signxml_verifies_what_we_sign(world: World, who: str) -> None:
    party: Party = getattr(world, who)
    body = sign_xades(parse(DECLARATION), party.key, NOW)
    found = XMLVerifier().verify(
        body, x509_cert=party.certificate, expect_config=SignatureConfiguration(expect_references=2)
    )
    assert b"LRN-2026-000123" in found[0].signed_data  # type: ignore[index]
    assert b"SigningCertificateV2" in found[1].signed_data  # type: ignore[index]


def test_signxml_reads_our_properties(world: World) -> None:
    body = sign_xades(parse(DECLARATION), world.rsa.key, NOW)
    expected = XAdESSignatureConfiguration(expect_references=2)
    found = XAdESVerifier().verify(body, x509_cert=world.rsa.certificate, expect_config=expected)
    assert any(getattr(result, "signed_properties", None) is not None for result in found)


@ENGINES
def test_what_signxml_signs_is_verified(world: World, trust: Trust, engine: str) -> None:
    """With inclusive canonicalisation; with exclusive nobody can read what it signs."""
    signer = XAdESSigner(
        signature_policy=None,
        claimed_roles=["importer"],
        data_object_format=XAdESDataObjectFormat(Description="a declaration", MimeType="text/xml"),
        c14n_algorithm=CanonicalizationMethod.CANONICAL_XML_1_0,
    )
    key = world.rsa.key_path.read_bytes()
    body = etree.tostring(signer.sign(parse(DECLARATION), key=key, cert=[world.rsa.certificate]))
    found = verified(body, trust, Policy(engine=engine, level="B"))  # type: ignore[arg-type]
    assert found.signer.level == "B"
    assert found.signer.signed_at is not None


def test_the_signature_policy_is_recorded(world: World, trust: Trust) -> None:
    named = XAdESSignaturePolicy(
        Identifier="urn:oid:1.2.3.4",
        Description="agreed",
        DigestMethod=DigestAlgorithm.SHA256,
        DigestValue="AAAA",
    )
    signer = XAdESSigner(signature_policy=named, c14n_algorithm=CanonicalizationMethod.CANONICAL_XML_1_0)
    key = world.rsa.key_path.read_bytes()
    body = etree.tostring(signer.sign(parse(DECLARATION), key=key, cert=[world.rsa.certificate]))
    assert verified(body, trust).signer.policy == "urn:oid:1.2.3.4"
    assert verified(sign_xades(parse(DECLARATION), world.rsa.key, NOW), trust).signer.policy == ""


@pytest.mark.parametrize("shape", SHAPED)
def test_level_t(world: World, stamper: TimeStampAuthority, stamping: Trust, shape: str) -> None:
    body = signed_now(world.rsa, shape, stamper, document=NAMED)
    found = verify(body, XML, stamping, Policy(shapes=SHAPES, level="T"), NOW)
    assert found.signer.level == "T"
    assert found.signer.stamped_at is not None
    assert abs(found.signer.stamped_at - datetime.now(UTC)) < timedelta(minutes=10)
    assert len(found.proof.stamps) == 1
    assert found.proof.stampers[-1] == stamper.root.public_bytes(_DER)
    assert found.findings == ()


def test_openssl_verifies_the_stamp_that_we_keep(
    world: World, stamper: TimeStampAuthority, stamping: Trust, tmp_path: Path
) -> None:
    body = signed_now(world.rsa, stamper=stamper)
    (token,) = verified(body, stamping).proof.stamps
    value = part(etree.fromstring(body), "SignatureValue")
    (tmp_path / "token").write_bytes(token)
    (tmp_path / "data").write_bytes(etree.tostring(value, method="c14n", exclusive=True))
    made = run(
        judge("openssl"), "ts", "-verify", "-token_in", "-in", tmp_path / "token",
        "-data", tmp_path / "data", "-CAfile", stamper.folder / "root.pem",
    )  # fmt: skip
    assert b"Verification: OK" in made.stdout + made.stderr


def test_a_stamp_keeps_a_signature_true_after_its_certificate_has_ended(
    world: World, stamper: TimeStampAuthority, stamping: Trust
) -> None:
    short = world.party("short", not_after=datetime.now(UTC).replace(microsecond=0) + DAY)
    later = NOW + 30 * DAY
    stamped = signed_now(short, stamper=stamper)
    assert verify(stamped, XML, stamping, FAST, later).signer.level == "T"
    with pytest.raises(Refused, match="SIG022"):
        verify(signed_now(short), XML, stamping, FAST, later)
    with pytest.raises(Refused, match="SIG022"):
        verify(stamped, XML, Trust([world.authority.certificate]), FAST, later)


def test_level_lt(world: World, stamper: TimeStampAuthority, stamping: Trust, lasting: Material) -> None:
    body = signed_now(world.rsa, stamper=stamper, material=lasting)
    found = verify(body, XML, stamping, Policy(level="LT"), NOW)
    assert found.signer.level == "LT"
    assert found.proof.revocation is Revocation.GOOD
    assert found.proof.responses == lasting.responses


def test_level_lt_in_years(
    world: World, stamper: TimeStampAuthority, stamping: Trust, lasting: Material
) -> None:
    short = world.party("short", not_after=datetime.now(UTC).replace(microsecond=0) + DAY)
    body = signed_now(short, stamper=stamper, material=lasting)
    found = verify(body, XML, stamping, Policy(level="LT"), NOW + 1_500 * DAY)
    assert found.signer.level == "LT"


def test_a_revoked_signer_is_refused_by_what_came_with_the_signature(
    world: World, stamper: TimeStampAuthority, stamping: Trust
) -> None:
    at = datetime.now(UTC).replace(microsecond=0)
    revoked = world.party("revoked")
    material = Material((), (revocation_list(world.authority, [revoked.certificate], at=at),))
    body = signed_now(revoked, stamper=stamper, material=material)
    with pytest.raises(Refused, match="SIG300"):
        verify(body, XML, stamping, FAST, NOW)


def test_revocation_values_of_a_stranger_prove_nothing(
    world: World, stamper: TimeStampAuthority, stamping: Trust
) -> None:
    at = datetime.now(UTC).replace(microsecond=0)
    material = Material((), (revocation_list(world.stranger, at=at), b"no response at all"))
    found = verify(signed_now(world.rsa, stamper=stamper, material=material), XML, stamping, FAST, NOW)
    assert found.signer.level == "T"
    assert codes(found) == [("SIG122", "unknown")]


def test_level_lta(world: World, stamper: TimeStampAuthority, stamping: Trust, lasting: Material) -> None:
    body = archived(signed_now(world.rsa, stamper=stamper, material=lasting), stamper)
    found = verify(body, XML, stamping, Policy(level="LTA"), NOW)
    assert found.signer.level == "LTA"
    assert len(found.proof.stamps) == 2
    again = archived(body, stamper)
    found = verify(again, XML, stamping, Policy(level="LTA"), NOW)
    assert len(found.proof.stamps) == 3
    assert found.findings == ()


def test_an_archive_stamp_keeps_an_ended_stamper_true(
    world: World, stamper: TimeStampAuthority, lasting: Material, tmp_path: Path
) -> None:
    """The signature's stamper has ended; the archive's has not, and saw the stamp while it was good."""
    at = datetime.now(UTC).replace(microsecond=0)
    ending = TimeStampAuthority.create(tmp_path / "ending", valid=(at - DAY, at + DAY))
    trust = Trust([world.authority.certificate], stampers=Trust([stamper.root, ending.root]))
    body = signed_now(world.rsa, stamper=ending, material=lasting)
    later = NOW + 30 * DAY
    alone = verify(body, XML, trust, FAST, later)
    assert alone.signer.level == "B"
    assert [code for code, _ in codes(alone)] == ["SIG121"]
    found = verify(archived(body, stamper), XML, trust, FAST, later)
    assert found.signer.level == "LTA"


Change = Callable[[etree._Element, TimeStampAuthority], None]


def _stamp_of_another(root: etree._Element, stamper: TimeStampAuthority) -> None:
    stamps = unsigned_of(root)
    stamps[:] = [stamp_of(f"{XADES}SignatureTimeStamp", stamper.token(b"another signature's value"))]


def _no_token(root: etree._Element, stamper: TimeStampAuthority) -> None:
    part(root, "EncapsulatedTimeStamp").text = "AAAA"


def _no_base64(root: etree._Element, stamper: TimeStampAuthority) -> None:
    part(root, "EncapsulatedTimeStamp").text = "?"


def _include(root: etree._Element, stamper: TimeStampAuthority) -> None:
    etree.SubElement(part(root, "SignatureTimeStamp"), f"{XADES}Include", URI="#x")


def _c14n_with_comments(root: etree._Element, stamper: TimeStampAuthority) -> None:
    method = part(part(root, "SignatureTimeStamp"), "CanonicalizationMethod")
    method.set("Algorithm", "http://www.w3.org/2001/10/xml-exc-c14n#WithComments")


@pytest.mark.parametrize(
    "change",
    [_stamp_of_another, _no_token, _no_base64, _include, _c14n_with_comments],
    ids=lambda f: f.__name__,
)
def test_a_broken_stamp_costs_the_level_and_is_told(
    world: World, stamper: TimeStampAuthority, stamping: Trust, change: Change
) -> None:
    root = etree.fromstring(signed_now(world.rsa, stamper=stamper))
    change(root, stamper)
    body = etree.tostring(root)
    found = verify(body, XML, stamping, FAST, NOW)
    assert found.signer.level == "B"
    assert found.signer.stamped_at is None
    assert found.proof.stamps == ()
    assert [code for code, _ in codes(found)] == ["SIG121"]
    with pytest.raises(Refused, match="SIG120, SIG121"):
        verify(body, XML, stamping, Policy(level="T"), NOW)


def test_several_tokens_in_one_property_are_each_judged(
    world: World, stamper: TimeStampAuthority, stamping: Trust
) -> None:
    root = etree.fromstring(signed_now(world.rsa, stamper=stamper))
    stamp = part(root, "SignatureTimeStamp")
    etree.SubElement(stamp, f"{XADES}EncapsulatedTimeStamp").text = stamp[-1].text
    etree.SubElement(stamp, f"{XADES}EncapsulatedTimeStamp").text = "AAAA"
    found = verified(etree.tostring(root), stamping)
    assert found.signer.level == "T"
    assert len(found.proof.stamps) == 2
    assert codes(found) == [("SIG121", "SIG200")]


def test_a_stamp_of_an_unknown_authority_costs_the_level(
    world: World, stamper: TimeStampAuthority, trust: Trust, tmp_path: Path
) -> None:
    body = signed_now(world.rsa, stamper=stamper)
    assert codes(verified(body, trust)) == [("SIG121", "SIG204")]
    other = TimeStampAuthority.create(tmp_path / "other")
    found = verified(body, Trust(trust.anchors, stampers=other.trust))
    assert found.signer.level == "B"


def test_a_broken_archive_stamp_costs_its_level_only(
    world: World, stamper: TimeStampAuthority, stamping: Trust, lasting: Material
) -> None:
    root = etree.fromstring(archived(signed_now(world.rsa, stamper=stamper, material=lasting), stamper))
    unsigned = unsigned_of(root)
    unsigned.insert(0, etree.Element(f"{XADES}CompleteCertificateRefs"))
    found = verified(etree.tostring(root), stamping)
    assert found.signer.level == "LT"
    assert codes(found) == [("SIG123", "SIG201")]


def test_the_old_archive_stamp_is_not_believed(
    world: World, stamper: TimeStampAuthority, stamping: Trust, lasting: Material
) -> None:
    root = etree.fromstring(signed_now(world.rsa, stamper=stamper, material=lasting))
    unsigned_of(root).append(stamp_of(f"{XADES}ArchiveTimeStamp", stamper.token(b"anything")))
    found = verified(etree.tostring(root), stamping)
    assert found.signer.level == "LT"
    assert [code for code, _ in codes(found)] == ["SIG123"]


def test_unknown_unsigned_properties_are_passed_over(
    world: World, stamper: TimeStampAuthority, stamping: Trust
) -> None:
    root = etree.fromstring(signed_now(world.rsa, stamper=stamper))
    unsigned = unsigned_of(root)
    for name in ("CompleteCertificateRefs", "CompleteRevocationRefs", "AttrAuthoritiesCertValues"):
        etree.SubElement(unsigned, f"{XADES}{name}")
    etree.SubElement(unsigned, f"{XADES_141}TimeStampValidationData")
    etree.SubElement(unsigned, "{urn:foreign}Anything").text = "level LTA, trust me"
    found = verified(etree.tostring(root), stamping)
    assert found.signer.level == "T"
    assert found.findings == ()


def test_stamps_are_looked_at_in_bounded_number(
    world: World, stamper: TimeStampAuthority, stamping: Trust
) -> None:
    root = etree.fromstring(signed_now(world.rsa))
    unsigned = unsigned_of(root)
    for _ in range(60):
        unsigned.append(stamp_of(f"{XADES}SignatureTimeStamp", b"0"))
    found = verified(etree.tostring(root), stamping)
    assert len(found.findings) == 4
    for _ in range(5):
        unsigned.append(stamp_of(f"{XADES}SignatureTimeStamp", b"0"))
    assert refused(etree.tostring(root), stamping) == "SIG110"


@pytest.mark.parametrize(("content", "media_type"), [(EDIFACT, "application/edifact"), (DECLARATION, XML)])
def test_a_signature_beside_any_content(
    world: World, stamper: TimeStampAuthority, stamping: Trust, content: bytes, media_type: str
) -> None:
    value, body = sign_beside(content, media_type, world.rsa.key, datetime.now(UTC), stamper.token)
    found = verify(body, value, stamping, Policy(shapes=frozenset({"outside"}), level="T"), NOW)
    assert found.content == content
    assert found.media_type == media_type
    assert found.signer.level == "T"
    assert found.envelope == "multipart/signed"
    with pytest.raises(Refused, match="SIG100"):
        verify(body, value, stamping, FAST, NOW)


def test_level_lt_is_not_made_without_a_stamp(world: World, lasting: Material) -> None:
    with pytest.raises(ValueError, match="time stamp"):
        sign_xades(parse(DECLARATION), world.rsa.key, NOW, material=lasting)


def test_detached_needs_an_id(world: World) -> None:
    with pytest.raises(ValueError, match="Id"):
        sign_xades(parse(DECLARATION), world.rsa.key, NOW, "detached")
    with pytest.raises(ValueError, match="shape"):
        sign_xades(parse(DECLARATION), world.rsa.key, NOW, "v5")


TEXT = st.text(st.characters(blacklist_categories=("Cs", "Cc")) | st.sampled_from("\t\n<>&\"'"), max_size=30)


@settings(max_examples=40, deadline=None)
@given(text=TEXT, attribute=TEXT, shape=st.sampled_from(SHAPED), who=st.sampled_from(["rsa", "ec"]))
def test_what_is_signed_is_what_is_read(
    world: World, trust: Trust, text: str, attribute: str, shape: str, who: str
) -> None:
    root = parse(NAMED)
    part(root, "FunctionalReferenceID").text = text
    part(root, "InvoiceAmount").set("note", attribute)
    party: Party = getattr(world, who)
    found = verified(sign_xades(root, party.key, NOW, shape), trust, WIDE)
    assert found.document is not None
    assert (part(found.document, "FunctionalReferenceID").text or "") == text
    assert part(found.document, "InvoiceAmount").get("note") == attribute


@pytest.fixture(scope="module")
def bodies(world: World, stamper: TimeStampAuthority) -> dict[str, bytes]:
    return {shape: signed_now(world.rsa, shape, stamper, document=NAMED) for shape in SHAPED}


@settings(max_examples=300, deadline=None)
@given(data=st.data(), shape=st.sampled_from(SHAPED))
def test_no_changed_octet_changes_what_is_read(
    bodies: dict[str, bytes], stamping: Trust, data: st.DataObject, shape: str
) -> None:
    """Where it is not refused, the very same is read; the level may only fall."""
    body = bytearray(bodies[shape])
    at = data.draw(st.integers(0, len(body) - 1))
    body[at] ^= data.draw(st.integers(1, 255))
    whole = verify(bodies[shape], XML, stamping, WIDE, NOW)
    try:
        found = verify(bytes(body), XML, stamping, WIDE, NOW)
    except Refused:
        return
    assert found.content == whole.content
    assert found.signer.signed_at == whole.signer.signed_at
    assert found.signer.certificate == whole.signer.certificate
    assert found.signer.level in ("B", "T")


@settings(max_examples=150, deadline=None)
@given(data=st.data(), shape=st.sampled_from(SHAPED))
def test_no_cut_changes_what_is_read(
    bodies: dict[str, bytes], stamping: Trust, data: st.DataObject, shape: str
) -> None:
    body = bodies[shape]
    start = data.draw(st.integers(0, len(body) - 1))
    end = data.draw(st.integers(start + 1, len(body)))
    try:
        found = verify(body[:start] + body[end:], XML, stamping, WIDE, NOW)
    except Refused:
        return
    assert found.content == verify(body, XML, stamping, WIDE, NOW).content
