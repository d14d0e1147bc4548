"""What the tests of signatures are made of: an authority, signers, documents, outside judges."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from gateway.security import Layers, Policy, Refused, SigningKey, Trust, Verified, verify, verify_file
from gateway.security.certificates.authority import Authority

# Ahead of the clock: certificates are made and outside tools sign while the suite runs, however long.
NOW = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
FAST = Policy()
SIGNXML = Policy(engine="signxml")
BOTH = Policy(engine="both")
XML = "application/xml"
PKCS7 = "application/pkcs7-mime; smime-type=signed-data"

DS = "http://www.w3.org/2000/09/xmldsig#"
ENVELOPED = f"{DS}enveloped-signature"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
INCLUSIVE = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"

DECLARATION = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<md:MetaData xmlns:md="urn:wco:datamodel:WCO:DocumentMetaData:3" xmlns:unused="urn:unused">\n'
    "  <md:WCOTypeName>IM</md:WCOTypeName>\n"
    '  <Declaration xmlns="urn:wco:datamodel:WCO:DEC:3">\n'
    "    <FunctionalReferenceID>LRN-2026-000123</FunctionalReferenceID>\n"
    '    <InvoiceAmount currencyID="VND">125000000</InvoiceAmount>\n'
    "    <Submitter><Name>Công ty Xuất nhập khẩu Ánh Dương</Name><ID>0101234567</ID></Submitter>\n"
    "  </Declaration>\n"
    "</md:MetaData>\n"
).encode()

EDIFACT = (
    b"UNA:+.? 'UNB+UNOC:3+SENDER:ZZ+CUSTOMS:ZZ+261121:1200+REF0001'UNH+1+CUSDEC:D:96B:UN'"
    b"BGM+929+LRN-2026-000124+9'UNT+3+1'UNZ+1+REF0001'"
)


class Trader:
    """One sender with a key of each algorithm, certified by an authority that is trusted."""

    def __init__(self, home: Path) -> None:
        authority = Authority.create(home / "authority", "Trader's Authority")
        self.trust = Trust([authority.certificate])
        self.keys = {}
        for algorithm in ("rsa", "p256"):
            key, certificate = home / f"{algorithm}.key", home / f"{algorithm}.pem"
            authority.issue(f"CN={algorithm}", key, certificate, algorithm=algorithm)  # type: ignore[arg-type]
            self.keys[algorithm] = SigningKey.load(key, certificate)


@dataclass(frozen=True)
class Party:
    """A signer: its key, its certificate, where they lie."""

    key: SigningKey
    key_path: Path
    certificate_path: Path

    @property
    def certificate(self) -> x509.Certificate:
        return self.key.certificates[0]

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    def padded(self, padding: str) -> SigningKey:
        return SigningKey.load(self.key_path, self.certificate_path, padding)  # type: ignore[arg-type]


@dataclass(frozen=True)
class World:
    """An authority that is trusted, one that is not, and their signers."""

    folder: Path
    authority: Authority
    stranger: Authority
    parties: dict[str, Party] = field(default_factory=dict)

    @property
    def trust(self) -> Trust:
        return Trust([self.authority.certificate])

    @property
    def anchor(self) -> Path:
        return self.authority.certificate_path

    def party(self, name: str, issuer: Authority | None = None, **how: object) -> Party:
        if name not in self.parties:
            key, certificate = self.folder / f"{name}.key", self.folder / f"{name}.pem"
            subject = f"CN={name},O=Công ty Ánh Dương,C=VN"
            (issuer or self.authority).issue(subject, key, certificate, **how)  # type: ignore[arg-type]
            self.parties[name] = Party(SigningKey.load(key, certificate), key, certificate)
        return self.parties[name]

    @property
    def rsa(self) -> Party:
        return self.party("rsa")

    @property
    def ec(self) -> Party:
        return self.party("ec", algorithm="p256")

    @property
    def attacker(self) -> Party:
        return self.party("attacker", self.stranger)


def refused(body: bytes, trust: Trust, policy: Policy = FAST, media_type: str = XML) -> str:
    """The code that a body is refused with; the test fails where it is verified."""
    with pytest.raises(Refused) as caught:
        verify(body, media_type, trust, policy, NOW)
    if policy.engine == "fast" or media_type != XML:
        with pytest.raises(Refused) as in_file:
            verified_in_file(body, trust, policy, media_type)
        assert in_file.value.code == caught.value.code
        assert media_type != XML or in_file.value.findings == caught.value.findings
    return caught.value.code


def verified(body: bytes, trust: Trust, policy: Policy = FAST, media_type: str = XML) -> Verified:
    found = verify(body, media_type, trust, policy, NOW)
    same(verified_in_file(body, trust, policy, media_type), found)
    return found


def verified_in_file(body: bytes, trust: Trust, policy: Policy, media_type: str) -> Verified:
    """As a large body is proven."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "body"
        file.write_bytes(body)
        return verify_file(file, media_type, Layers(trust, policy, NOW))


def same(in_file: Verified, found: Verified) -> None:
    """What was proven of a body in a file is what is proven of it in memory."""
    octets = b"".join(in_file.pieces())
    if in_file.outline is not None and in_file.envelope == "xmldsig":
        assert octets.strip().endswith(found.content)  # behind the XML declaration
    else:
        assert octets == found.content
    for name in ("media_type", "signer", "envelope", "proof", "carrier", "carrier_proof", "findings"):
        assert getattr(in_file, name) == getattr(found, name), name
    assert (in_file.document is None and in_file.outline is None) == (found.document is None)


def judge(name: str) -> str:
    """The path of an outside judge; the test is skipped where it is not installed."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def run(*command: str | Path, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([str(c) for c in command], input=data, capture_output=True, check=False, timeout=60)


def template(
    *,
    c14n: str = EXCLUSIVE,
    content_c14n: str | None = EXCLUSIVE,
    method: str = RSA_SHA256,
    digest: str = SHA256,
    uri: str = "",
    document: bytes = DECLARATION,
) -> bytes:
    """The document with an empty signature in it, for xmlsec to fill in."""
    second = "" if content_c14n is None else f'<ds:Transform Algorithm="{content_c14n}"/>'
    signature = (
        f'<ds:Signature xmlns:ds="{DS}"><ds:SignedInfo>'
        f'<ds:CanonicalizationMethod Algorithm="{c14n}"/><ds:SignatureMethod Algorithm="{method}"/>'
        f'<ds:Reference URI="{uri}"><ds:Transforms><ds:Transform Algorithm="{ENVELOPED}"/>{second}'
        f'</ds:Transforms><ds:DigestMethod Algorithm="{digest}"/><ds:DigestValue/></ds:Reference>'
        "</ds:SignedInfo><ds:SignatureValue/><ds:KeyInfo><ds:X509Data><ds:X509Certificate/>"
        "</ds:X509Data></ds:KeyInfo></ds:Signature>"
    )
    end = document.rindex(b"</")
    return document[:end] + signature.encode() + document[end:]


def sign_as_is(document: etree._Element | bytes, party: Party) -> bytes:
    """Give a document whose signature says anything at all the value that its SignedInfo deserves.

    The digests stay as they are; what is left out of the profile can so be signed truly.
    """
    root = etree.fromstring(document) if isinstance(document, bytes) else document
    info = next(root.iter(f"{{{DS}}}SignedInfo"))
    value = info.getparent().find(f"{{{DS}}}SignatureValue")  # type: ignore[union-attr]
    signed = etree.tostring(info, method="c14n", exclusive=True)
    value.text = base64.b64encode(party.key.sign(signed, NOW)).decode()  # type: ignore[union-attr]
    return etree.tostring(root)


@cache
def corpus() -> Path | None:
    """The folder of messages made by others, where there is one."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "corpus"
    folder = Path(os.environ.get("CVAN_CORPUS", beside))
    return folder if folder.is_dir() else None
