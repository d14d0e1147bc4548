"""Numbers in the subjects of public authorities' certificates."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from gateway.security import Identifier, Policy, Refused, Trust, identifiers_of

from .authorities import Party
from .signing_kit import NOW


def found(subject: str) -> list[str]:
    return sorted(f"{i.kind}:{i.value}" for i in identifiers_of(subject))


@pytest.mark.parametrize(
    ("subject", "numbers"),
    [
        ("CN=CÔNG TY A,UID=MST:0314409058,L=HCM,C=VN", ["MST:0314409058"]),
        ("UID=MST:0314409058-002,CN=branch", ["MST:0314409058-002"]),
        ("UID=MST:0314409058002,CN=branch", ["MST:0314409058-002"]),
        ("0.9.2342.19200300.100.1.1=MST:0314409058", ["MST:0314409058"]),
        ("2.5.4.5=MST:0314409058", ["MST:0314409058"]),
        ("serialNumber=CMND:012345678", ["CMND:012345678"]),
        ("UID=CCCD:012345678901,CN=person", ["CCCD:012345678901"]),
        ("UID=MST:012345678901", ["MST:012345678901"]),
        ("UID=CCCD:012345678901+UID=MST:0314409058", ["CCCD:012345678901", "MST:0314409058"]),
        ("2.5.4.97=TAXVN-0314409058", ["MST:0314409058"]),
        ("UID=mst: 0314409058", ["MST:0314409058"]),
        # What only looks like one.
        ("CN=MST:0314409058", []),
        ("CN=UID\\=MST:0314409058", []),
        ("O=UID\\=MST:0314409058\\,UID\\=MST:0100109106,C=VN", []),
        ("UID=MST:03144090580", []),
        ("UID=MST:031440905", []),
        ("UID=MST:٠٣١٤٤٠٩٠٥٨", []),
        ("UID=MST:0314409058 0100109106", []),
        ("UID=XYZ:0314409058", []),
        ("2.5.4.97=TAXLA-0314409058", []),
        ("no name at all", []),
        ("", []),
    ],
)
def test_subjects(subject: str, numbers: list[str]) -> None:
    assert found(subject) == numbers


@given(st.text(max_size=60))
def test_any_text_is_read(text: str) -> None:
    assert isinstance(identifiers_of(text), tuple)


@given(
    st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), min_size=1, max_size=40)
)
def test_a_name_cannot_smuggle_a_number(common: str) -> None:
    """Whatever a subject says of itself elsewhere, only the attribute for numbers counts."""
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, f"{common},UID=MST:0100109106", _validate=False),
            x509.NameAttribute(NameOID.USER_ID, "MST:0314409058"),
        ]
    )
    assert identifiers_of(name.rfc4514_string()) in ((Identifier("MST", "0314409058"),), ())


def test_only_named_authorities_are_public(tmp_path: Path) -> None:
    national, private = Party("CN=National", ca=True), Party("CN=Private", ca=True)
    (tmp_path / "public").mkdir()
    for path, party in ((tmp_path / "own.pem", private), (tmp_path / "public" / "ca.pem", national)):
        path.write_bytes(party.certificate.public_bytes(Encoding.PEM))
    trust = Trust.load(tmp_path)
    for issuer, public in ((national, True), (private, False)):
        leaf = Party("UID=MST:0314409058,CN=a", issuer)
        assert trust.certify((leaf.der,), Policy(), NOW).signer.public is public
    with pytest.raises(Refused):
        trust.certify((Party("UID=MST:0314409058,CN=a").der,), Policy(), NOW)


def test_responders_and_stampers_are_no_anchors(tmp_path: Path) -> None:
    root, responder, stamper = Party("CN=R", ca=True), Party("CN=O", ca=True), Party("CN=T", ca=True)
    for folder, party in (("trust", root), ("trust/responders", responder), ("tsa", stamper)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.pem").write_bytes(party.certificate.public_bytes(Encoding.PEM))
    trust = Trust.load(tmp_path / "trust", tmp_path / "tsa")
    assert trust.anchors == (root.certificate,)
    assert trust.responders == (responder.certificate,)
    assert trust.stampers is not None
    assert trust.stampers.anchors == (stamper.certificate,)
    assert Trust.load(tmp_path / "trust", tmp_path / "none").stampers is None
