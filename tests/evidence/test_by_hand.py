"""XML signatures verified by the standard library and openssl, against xmlsec1 and against changes."""

from __future__ import annotations

import random
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway import safexml, security
from gateway.evidence.verify import OK, NotByHand, Tools, Xml, by_hand, unpack, verify, xml_signed
from gateway.security import SigningKey
from gateway.security.certificates.authority import Authority

from .kit import AN_PHAT, Stage, stage

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
DOCUMENT = """<?xml version="1.0" encoding="UTF-8"?>
<m:MetaData xmlns:m="urn:m" xmlns="urn:d" xmlns:unused="urn:u">
  <a z="1" b="&quot;&#9;\t2" m:c="Đã &amp; nhận">x<!-- away -->y &lt;&#13;</a><e></e><e/><n xmlns=""/>
</m:MetaData>
"""


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[SigningKey, Path]]:
    folder = tmp_path_factory.mktemp("keys")
    authority = Authority.create(folder / "authority", "CA")
    made = {}
    for name, algorithm, padding in (("rsa", "rsa", "pkcs1"), ("pss", "rsa", "pss"), ("ec", "p256", "pkcs1")):
        key, certificate = folder / f"{name}.key.pem", folder / f"{name}.crt.pem"
        authority.issue(f"CN={name}", key, certificate, algorithm=algorithm)  # type: ignore[arg-type]
        made[name] = SigningKey.load(key, certificate, padding), certificate  # type: ignore[arg-type]
    return made


@pytest.mark.parametrize("name", ["rsa", "pss", "ec"])
def test_a_signature_is_verified_and_every_change_is_found(
    keys: dict[str, tuple[SigningKey, Path]], name: str, tmp_path: Path
) -> None:
    key, certificate = keys[name]
    signed = security.sign_xml(safexml.parse(DOCUMENT.encode()), key, datetime.now(UTC))
    (tmp_path / "a.xml").write_bytes(signed)
    tools = Tools(tmp_path, {})
    good, words = by_hand(tools, str(certificate), "a.xml")
    assert good, words
    other = keys["rsa" if name == "ec" else "ec"][1]
    assert not by_hand(tools, str(other), "a.xml")[0]
    chance = random.Random(3)
    for _ in range(60):
        changed = bytearray(signed)
        place = chance.randrange(len(signed))
        changed[place] ^= 1 << chance.randrange(7)
        (tmp_path / "a.xml").write_bytes(bytes(changed))
        assert not _verified(tools, certificate) or _same(signed, bytes(changed)), (place, bytes(changed))


def _verified(tools: Tools, certificate: Path) -> bool:
    try:
        return by_hand(tools, str(certificate), "a.xml")[0]
    except (NotByHand, ValueError, AttributeError):
        return False


def _same(signed: bytes, changed: bytes) -> bool:
    """What a signature does not cover: blanks, the certificate beside it."""
    try:
        return Xml(signed).enveloping() == Xml(changed).enveloping() and b"SignatureValue" in changed
    except (NotByHand, ValueError):
        return False


@pytest.mark.skipif(not shutil.which("xmlsec1"), reason="xmlsec1 is not installed")
def test_by_hand_and_xmlsec1_agree(keys: dict[str, tuple[SigningKey, Path]], tmp_path: Path) -> None:
    key, certificate = keys["rsa"]
    signed = security.sign_xml(safexml.parse(DOCUMENT.encode()), key, datetime.now(UTC))
    (tmp_path / "a.xml").write_bytes(signed)
    (tmp_path / "b.xml").write_bytes(signed.replace(b"nh", b"ng", 1))
    tools = Tools(tmp_path, {})
    for name, wanted in (("a.xml", True), ("b.xml", False)):
        assert tools.xml_signed(str(certificate), name)[0] is wanted
        assert by_hand(tools, str(certificate), name)[0] is wanted
        assert xml_signed(tools, str(certificate), name)[0] is wanted


@pytest.mark.parametrize(
    "octets",
    [
        b"<!DOCTYPE a><a/>",
        b"<a>",
        b"<a/>",
        b'<a><s:Signature xmlns:s="http://www.w3.org/2000/09/xmldsig#"></s:Signature></a>',
    ],
)
def test_what_is_not_verified_by_hand(octets: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_bytes(octets)
    with pytest.raises(NotByHand):
        by_hand(Tools(tmp_path, {}), "none.pem", "a.xml")


def test_a_bundle_of_a_pss_signer(tmp_path: Path) -> None:
    """What the law asks for since 15 August 2025, with an xmlsec1 that does not know it."""
    made: Stage = stage(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", algorithm="rsa")
    folder = tmp_path / "partners" / AN_PHAT.id
    made.keys[AN_PHAT.id] = SigningKey.load(folder / "signing.key.pem", folder / "signing.crt.pem", "pss")
    identity = made.day()
    made.seal()
    data = made.bundle(identity)
    assert b"rsa-MGF1" in unpack(data)["submission/body"]
    assert {state for state, _, _ in verify(data)} == {OK}
