"""Signatures made by others: interoperability vectors and collected attacks.

Every certificate inside a vector is pinned for it, so that a vector is not merely refused for being
unknown; what is then read must be what its signature covers.
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from pathlib import Path

import pytest
from asn1crypto import cms
from cryptography import x509
from lxml import etree

from gateway.security import Policy, Refused, Trust, verify

from .signing_kit import FAST, PKCS7, XML, corpus

# Old vectors have serial numbers that are not positive, which the library warns of.
pytestmark = pytest.mark.filterwarnings("ignore:Parsed a serial number")

DS = "{http://www.w3.org/2000/09/xmldsig#}"
TIMES = [datetime(year, 6, 1, tzinfo=UTC) for year in (2003, 2009, 2014, 2017, 2020, 2023, 2026)]


def files(*folders: str) -> list[Path]:
    home = corpus()
    if home is None:
        return []
    return sorted(p for folder in folders for p in (home / "signatures" / folder).rglob("*") if p.is_file())


def vectors(*folders: str, kinds: tuple[str, ...]) -> list[Path]:
    found = [p for p in files(*folders) if p.name.endswith(kinds)]
    if not found:
        pytest.skip("the corpus of signatures is not here")
    return found


def content_of(path: Path) -> bytes:
    octets = path.read_bytes()
    if path.suffix == ".base64":
        try:
            return base64.b64decode(octets)
        except binascii.Error:
            return octets
    return octets


def certificates_in(body: bytes) -> list[x509.Certificate]:
    """Every certificate that can be read out of an XML signature."""
    parser = etree.XMLParser(recover=True, resolve_entities=False, no_network=True, huge_tree=True)
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError:
        return []
    found = []
    for element in () if root is None else root.iter(f"{DS}X509Certificate"):
        try:
            found.append(
                x509.load_der_x509_certificate(base64.b64decode("".join((element.text or "").split())))
            )
        except (ValueError, binascii.Error):
            continue
    return found


def readings(body: bytes, media_type: str, trust: Trust, policy: Policy) -> list[object]:
    """What is read or said at different times; any exception but Refused fails the test."""
    found: list[object] = []
    for now in TIMES:
        try:
            found.append(verify(body, media_type, trust, policy, now))
        except Refused as refusal:
            found.append(refusal.code)
    return found


def assert_only_what_was_signed_is_read(path: Path, policy: Policy) -> int:
    body = content_of(path)
    read = 0
    for reading in readings(body, XML, Trust(certificates_in(body)), policy):
        if isinstance(reading, str):
            continue
        read += 1
        document = reading.document  # type: ignore[attr-defined]
        whole = etree.fromstring(body, etree.XMLParser(remove_comments=True))
        (signature,) = whole.iter(f"{DS}Signature")
        assert signature.getparent() is whole, path
        tail = signature.tail or ""
        previous = signature.getprevious()
        if previous is None:
            whole.text = (whole.text or "") + tail
        else:
            previous.tail = (previous.tail or "") + tail
        whole.remove(signature)
        assert etree.tostring(whole, method="c14n") == etree.tostring(document, method="c14n"), path
    return read


ATTACKS = ("wrap", "xsw", "attack", "multiple", "invalid")
ATTACK_FOLDERS = ("xsw", "invalid", "invalids", "esig-dss")


def test_signature_wrapping_vectors_are_refused() -> None:
    read = {}
    for path in vectors("xsw", kinds=(".xml", ".base64")):
        read[path.name] = assert_only_what_was_signed_is_read(path, FAST)
        if path.parent.name in ATTACK_FOLDERS or any(word in path.name.lower() for word in ATTACKS):
            assert read[path.name] == 0, path
    # One that keeps to our profile, so that not everything is refused for one wrong reason.
    assert read["valid_saml_sha256_rsa_mgf1.xml"] > 0
    assert read["invalid_saml_sha256_rsa_mgf1.xml"] == 0


def test_xmldsig_vectors_are_read_as_signed_or_refused() -> None:
    for path in vectors("xmldsig", kinds=(".xml",)):
        assert_only_what_was_signed_is_read(path, FAST)


def test_xades_vectors_are_read_as_signed_or_refused() -> None:
    for path in vectors("xades", kinds=(".xml",)):
        assert_only_what_was_signed_is_read(path, FAST)


def test_both_engines_agree_on_the_vectors() -> None:
    both = Policy(engine="both")
    small = [p for p in vectors("xsw", "xmldsig", kinds=(".xml", ".base64")) if p.stat().st_size < 50_000]
    told = []
    for path in small:
        body = content_of(path)
        if readings(body, XML, Trust(certificates_in(body)), both).count("SIG090"):
            told.append(path.name)
    assert not told


def test_cms_vectors_are_read_as_signed_or_refused() -> None:
    proved = 0
    for path in vectors("cms", "as2", kinds=(".p7m", ".p7s", ".as2", ".mdn", ".msg")):
        body = path.read_bytes()
        inside, anchors = cms_parts(body)
        for anchor in anchors:
            middle = (
                anchor.not_valid_before_utc + (anchor.not_valid_after_utc - anchor.not_valid_before_utc) / 2
            )
            try:
                assert verify(body, PKCS7, Trust(anchors), FAST, middle).content in inside
            except Refused as refusal:
                # Signed truly, but neither EDIFACT nor XML: the signature itself was proved.
                proved += refusal.code in ("SIG050", "SIG053")
    assert proved >= 5, "hardly any signature of others was proved"


def cms_parts(body: bytes) -> tuple[bytes, list[x509.Certificate]]:
    """The content and the certificates of a ContentInfo, read by an outside reader."""
    try:
        signed = cms.ContentInfo.load(body)["content"]
        certificates = [x509.load_der_x509_certificate(c.dump()) for c in signed["certificates"]]
        return signed["encap_content_info"]["content"].native or b"", certificates
    except (ValueError, TypeError, KeyError):
        return b"", []


def test_as2_messages_are_refused_or_read_without_surprises() -> None:
    for path in vectors("as2", kinds=(".as2", ".mdn", ".msg")):
        octets = path.read_bytes()
        head, _, body = octets.replace(b"\r\n", b"\n").partition(b"\n\n")
        for line in head.decode("latin-1").replace("\n\t", " ").replace("\n ", " ").splitlines():
            if line.lower().startswith("content-type:"):
                readings(body, line.partition(":")[2].strip(), Trust([]), FAST)
