"""Every XML signature of the corpus judged by us and by xmlsec1, with a reason for each difference.

    python -m tests.security.report_xml [--all] [FOLDER...]

Prints a line for each file (``--all``; otherwise only where the two differ) and a table by reason.

Every certificate that comes with a vector is pinned for it, so that none is refused merely for being unknown;
old algorithms, small keys and all shapes are admitted by a policy that no operator would set.  What is refused
even so is refused for what it is.
"""

from __future__ import annotations

import base64
import binascii
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from asn1crypto import cms
from cryptography import x509
from lxml import etree

from gateway.security import Policy, Refused, Trust
from gateway.security.policy import SHAPES, Legacy
from gateway.security.xmldsig.verifying import Proven, prove, read_document

from .signing_kit import corpus

DS = "{http://www.w3.org/2000/09/xmldsig#}"
FOLDERS = ("xmldsig", "xades", "xsw")
OLD = Legacy(
    "corpus",
    date(9999, 12, 31),
    algorithms=frozenset({"rsa-sha1", "ecdsa-sha1", "rsa-pss-sha1"}),
    digests=frozenset({"sha1"}),
)
WIDE = Policy(
    shapes=SHAPES,
    legacy=(OLD,),
    min_rsa_bits=512,
    max_certificates=16,
    curves=frozenset({"secp256r1", "secp384r1", "secp521r1"}),
)
"""All that the product can do; the keys of the old vectors are short."""

# A reason for each code that a genuine signature may be refused with, where xmlsec1 verifies it.
REASONS = {
    "verified": "RSASSA-PSS, which xmlsec1 1.2 does not know",
    "SIG001": "no XML signature of this name space is in the document",
    "SIG003": "several signatures, or one inside another: which of them counts is not the message's to say",
    "SIG004": "the signature stands deeper than in the root, so something around it is not its own",
    "SIG005": "a part that the closed grammar has not: parameters, manifests, key retrieval, further objects",
    "SIG006": "an algorithm that no policy can admit: HMAC, DSA, MD5, RIPEMD, SHA-224, GOST, PQC, Ed448",
    "SIG007": "a digest that no policy can admit",
    "SIG008": "SignedInfo is canonicalised with comments, which nothing here reads",
    "SIG009": "a transform out of the closed list: XPath, XSLT, filter, base64 of nodes, prefix lists",
    "SIG010": "a reference to something else than the shape's content: remote, XPointer, several, parts",
    "SIG011": "the content is not what was digested",
    "SIG012": "the value is not the key's over SignedInfo",
    "SIG013": "a value that is no base64, or has the wrong length",
    "SIG014": "the prefix of an xsi:type is not covered, so that whoever carries the message could change the type",
    "SIG015": "relative name spaces have no canonical form",
    "SIG020": "no certificate comes with it: a bare KeyValue or KeyName is nobody's",
    "SIG021": "the certificate is none that X.509 version 3 allows",
    "SIG022": "the certificate has expired",
    "SIG023": "the certificate is not valid yet",
    "SIG024": "the certificate is nobody's whom we know",
    "SIG026": "the key is of a kind or size that no policy can admit",
    "SIG027": "the certificate is an authority's or not for signatures",
    "SIG028": "it is not clear which of the certificates is the signer's",
    "SIG029": "the chain breaks RFC 5280",
    "SIG030": "the algorithm is not one of the key's type",
    "SIG048": "the signing time lies outside the certificate's life",
    "SIG102": "the Id is there more than once",
    "SIG103": "the Id is that of another element than the shape's content",
    "SIG104": "the signature is around more, or something else, than one document",
    "SIG105": "beside the signature stands more than the signed element",
    "SIG110": "qualifying properties of another version or shape than XAdES 1.3.2",
    "SIG111": "the signed properties name another certificate",
    "SIG112": "the signature does not cover its own properties",
    "XML": "a document type, instruction or other markup that is never read",
}


@dataclass
class Verdict:
    """What became of a file: ``ours`` is "verified" or a code; ``theirs`` "verified", "refused" or "-"."""

    path: Path
    ours: str
    place: str = ""
    proven: Proven | None = None
    theirs: str = "-"
    said: str = ""
    signatures: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def differs(self) -> bool:
        return (self.ours == "verified") != (self.theirs == "verified")

    @property
    def reason(self) -> str:
        return REASONS.get(self.ours, REASONS["XML"] if self.ours.startswith("XML") else "")


def octets_of(path: Path) -> bytes:
    octets = path.read_bytes()
    if path.suffix == ".base64":
        try:
            return base64.b64decode(octets)
        except binascii.Error:
            return octets
    return octets


def vectors(*folders: str) -> list[Path]:
    """The files of the corpus that hold an XML signature's value."""
    home = corpus()
    if home is None:
        return []
    found = []
    for folder in folders or FOLDERS:
        for path in sorted((home / "signatures" / folder).rglob("*")):
            if (
                path.is_file()
                and path.suffix not in (".gz", ".tmpl", ".p12", ".py", ".der")
                and "SignatureValue" in octets_of(path).decode("latin-1")
            ):
                found.append(path)
    return found


def certificates_in(body: bytes) -> list[x509.Certificate]:
    """Every certificate that can be read out of KeyInfo."""
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


def stampers_in(body: bytes) -> list[x509.Certificate]:
    """The certificates of every time-stamp token, to be pinned as authorities of time."""
    found = []
    for text in re.findall(rb"EncapsulatedTimeStamp[^>]*>([^<]*)<", body):
        try:
            token = cms.ContentInfo.load(base64.b64decode(b"".join(text.split())))
            found += [x509.load_der_x509_certificate(c.dump()) for c in token["content"]["certificates"]]
        except (ValueError, TypeError, KeyError, binascii.Error):
            continue
    return found


def times_for(body: bytes, certificates: Iterable[x509.Certificate]) -> list[datetime]:
    """When the signature was made, as it says, and the middle of each certificate's life."""
    found = [
        c.not_valid_before_utc + (c.not_valid_after_utc - c.not_valid_before_utc) / 2 for c in certificates
    ]
    said = re.search(rb"SigningTime[^>]*>\s*(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)", body)
    if said:
        found.insert(0, datetime.fromisoformat(said[1].decode()).replace(tzinfo=UTC) + timedelta(days=1))
    return found or [datetime(2020, 1, 1, tzinfo=UTC)]


_TIMELY = ("SIG022", "SIG023", "SIG048")


def roots_in(body: bytes) -> list[x509.Certificate]:
    """The certificates that came with a signature and issued themselves."""
    found = []
    for text in re.findall(rb"EncapsulatedX509Certificate[^>]*>([^<]*)<", body):
        try:
            certificate = x509.load_der_x509_certificate(base64.b64decode(b"".join(text.split())))
        except (ValueError, binascii.Error):
            continue
        if certificate.subject == certificate.issuer:
            found.append(certificate)
    return found


def _proven(
    body: bytes, anchors: Sequence[list[x509.Certificate]], stampers: Trust, policy: Policy, now: datetime
) -> Proven:
    """By the chain where its root is there, so that revocation counts; else by the signer's own certificate."""
    for number, pinned in enumerate(anchors):
        try:
            return prove(
                read_document(body, policy), Trust(pinned, stampers=stampers), policy, now, body=body
            )
        except Refused:
            if number == len(anchors) - 1:
                raise
    raise AssertionError("there is no anchor to try")


def judge(path: Path, policy: Policy = WIDE) -> Verdict:
    """Our verdict, at the best of the times at which its certificates were valid."""
    body = octets_of(path)
    certificates = certificates_in(body)
    stampers = Trust(stampers_in(body))
    last = Verdict(path, "SIG020")
    for now in dict.fromkeys(times_for(body, certificates)):
        try:
            proven = _proven(body, [roots_in(body), certificates], stampers, policy, now)
            told = "".join(f" {f.code}:{f.found}" for f in proven.findings)
            last = Verdict(path, "verified", f"{proven.shape} {proven.signer.level or 'plain'}{told}", proven)
            break
        except Refused as refused:
            if last.ours in ("SIG020", *_TIMELY) or refused.code not in _TIMELY:
                last = Verdict(
                    path, refused.code, f"{refused.findings[0].place.part}: {refused.findings[0].found}"
                )
    last.signatures = len(re.findall(rb"<(?:[\w.-]+:)?Signature[\s>]", body))
    return last


def identifiers(body: bytes) -> list[str]:
    """xmlsec1's options for the attributes that are identifiers in a document."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError:
        return []
    options: dict[str, None] = {}
    for element in root.iter(etree.Element):
        for attribute in element.attrib:
            name = etree.QName(str(attribute)).localname
            if name in ("Id", "ID", "id", "AssertionID", "ResponseID"):
                tag = etree.QName(element)
                options[
                    f"--id-attr:{name}\0{tag.namespace + ':' if tag.namespace else ''}{tag.localname}"
                ] = None
    return [part for option in options for part in option.split("\0")]


def ask_xmlsec1(path: Path) -> tuple[str, str]:
    """xmlsec1's verdict on the first signature, any certificate trusted, nothing fetched."""
    tool = shutil.which("xmlsec1")
    if tool is None:
        return "-", "xmlsec1 is not installed"
    body = octets_of(path)
    with tempfile.TemporaryDirectory() as folder:
        source, secret = Path(folder) / "document.xml", Path(folder) / "secret"
        source.write_bytes(body)
        secret.write_bytes(b"secret")
        try:
            done = subprocess.run(
                [tool, "--verify", "--insecure", "--hmackey:secret", str(secret), *identifiers(body),
                 "--enabled-reference-uris", "empty,same-doc", str(source)],
                capture_output=True, timeout=30, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return "refused", "time-out"
    said = done.stderr.decode("utf-8", "replace")
    if done.returncode == 0:
        return "verified", ""
    return "refused", _why(said)


def _why(said: str) -> str:
    for word in (
        "failed to find",
        "data and digest do not match",
        "FAIL",
        "invalid",
        "unsupported",
        "unknown",
        "not found",
        "not allowed",
        "disabled",
    ):
        for line in said.splitlines():
            if word in line:
                reason = re.search(r"reason=[^|]*?([a-z][\w ]+)|error=\d+:([^:]+)", line)
                return ((reason and (reason[2] or reason[1])) or line)[:80].strip()
    return said.splitlines()[-1][:80] if said else ""


def report(paths: Sequence[Path], everything: bool = True) -> list[Verdict]:
    """Our verdicts and xmlsec1's; without ``everything`` it is asked only about what we verified."""
    verdicts = [judge(path) for path in paths]
    asked = [v for v in verdicts if everything or v.ours == "verified"]
    with ThreadPoolExecutor(2) as pool:
        for verdict, (theirs, said) in zip(
            asked, pool.map(ask_xmlsec1, [v.path for v in asked]), strict=True
        ):
            verdict.theirs, verdict.said = theirs, said
    return verdicts


def main(arguments: Sequence[str]) -> None:
    folders = [a for a in arguments if not a.startswith("-")]
    verdicts = report(vectors(*folders))
    home = corpus()
    for verdict in verdicts:
        if "--all" in arguments or verdict.differs:
            name = verdict.path.relative_to(home / "signatures") if home else verdict.path
            print(f"{verdict.ours:9} {verdict.theirs:9} {name}  {verdict.place}  {verdict.said}")
    print()
    for (ours, theirs), count in sorted(Counter((v.ours, v.theirs) for v in verdicts).items()):
        reason = REASONS.get(ours, REASONS["XML"] if ours.startswith("XML") else "")
        reason = "" if ours == theirs else reason
        print(f"{count:5}  ours {ours:9} xmlsec1 {theirs:9} {reason}")


if __name__ == "__main__":
    main(sys.argv[1:])
