"""Every CMS signature of the corpus judged by us and by OpenSSL, with a reason for each difference.

    python -m tests.security.report_cms

Prints a line for each file, and under it why the two differ where they do.

Every certificate that comes with a signature is pinned for it, those of its time stamps as authorities of time,
so that none is refused merely for being unknown, and the clock stands shortly after the signature or its last
stamp.  What needs a legacy profile (SHA-1, short keys) is judged a second time with one.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from asn1crypto import cms as asn1_cms
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.security import Policy, Refused, Trust
from gateway.security.cms.timestamps import stated_by
from gateway.security.cms.verifying import Signed, verify_cms
from gateway.security.mime import body_of, media_type, read_entity, split_signed, with_crlf
from gateway.security.policy import Legacy, MimeLimits

from .signing_kit import corpus

OLD = Legacy("corpus", date(9999, 12, 31), frozenset({"rsa-sha1", "ecdsa-sha1"}))
LEGACY = Policy(legacy=(OLD,), min_rsa_bits=1024)
STAMPS = ("1.2.840.113549.1.9.16.2.14", "0.4.0.1733.2.4")
ABSENT = b"the content is not in the corpus"
FILES = (".p7m", ".p7s", ".as2", ".mdn", ".msg")

_EMPTY_LINE = re.compile(rb"\r?\n\r?\n(?:\r?\n)*")

REASONS = {
    "SIG020": "no certificate comes with it, so it is nobody's: ours must come along",
    "SIG021": "a certificate that X.509 version 3 does not allow (a serial number, an extension or a name)",
    "SIG026": "a key out of the policy's bounds: shorter, or of an exponent that serves forgers",
    "SIG027": "a web server's or client's certificate: message keys are kept apart unless the policy admits them",
    "SIG028": "more certificates than one chain has",
    "SIG029": "the chain breaks RFC 5280 or has a critical extension that is not understood",
    "SIG040": "it is not DER, nor BER of one meaning: cut, or octets behind the end",
    "SIG041": "not signed at all: encrypted, or plain",
    "SIG042": "not exactly one signer: whose word it is would be the message's to say",
    "SIG043": "signed attributes are left out, which lets a signature stand for other content",
    "SIG044": "what is signed is no data but another structure, which nothing here reads",
    "SIG045": "a signed attribute twice: which of them counts is not said",
    "SIG011": "the content is not what was digested, or is not in the corpus",
    "SIG012": "the value is not the key's over the signed attributes",
    "SIG202": "the signed attributes name another certificate",
    "SIG050": "the MIME header is malformed",
    "SIG052": "not exactly a content and its signature",
    "SIG006": "an algorithm that no policy can admit",
    "SIG007": "a digest that no policy can admit",
}
"""Why we refuse what OpenSSL takes, by our finding."""


@dataclass
class Judged:
    """What became of a file.  ``ours``: ``verified`` or a finding's code; ``legacy``: the same where old
    algorithms are admitted ("" where that makes no difference); ``theirs``: ``verified`` or ``refused``."""

    path: Path
    ours: str
    legacy: str
    place: str
    signed: Signed | None
    theirs: str
    said: str

    @property
    def best(self) -> str:
        return self.legacy or self.ours

    @property
    def differs(self) -> bool:
        return (self.best == "verified") != (self.theirs == "verified")

    @property
    def why(self) -> str:
        """The reason of the difference; "" where none is known, as for what we verify and OpenSSL refuses."""
        return REASONS.get(self.best, "") if self.differs else ""


def judged() -> list[Judged]:
    """Every signature file of the corpus; empty where it is not here."""
    home = corpus()
    if home is None:
        return []
    folders = [home / "signatures" / name for name in ("cms", "as2", "unlicensed/cms_rfc4134")]
    paths = sorted(p for f in folders for p in f.rglob("*") if p.suffix in FILES)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Parsed a serial number")
        return [_judge(path) for path in paths]


def _judge(path: Path) -> Judged:
    octets = path.read_bytes()
    try:
        body, forms = _taken_apart(octets, path.suffix)
    except Refused as refused:
        return Judged(path, refused.code, "", refused.findings[0].place.part, None, "refused", "no message")
    told = _Told(body)
    forms = forms or told.forms
    ours, place, signed = _verdict(body, forms, told, Policy())
    legacy = ""
    if ours in ("SIG006", "SIG007", "SIG026"):
        again, place, signed = _verdict(body, forms, told, LEGACY)
        legacy = again if again != ours else ""
    return Judged(path, ours, legacy, place, signed, *_openssl(body, forms, told))


def _taken_apart(octets: bytes, suffix: str) -> tuple[bytes, tuple[bytes, ...]]:
    """The ContentInfo, and the forms of a content beside it."""
    if suffix in (".p7m", ".p7s"):
        return octets, ()
    end, start = _EMPTY_LINE.search(octets).span()  # type: ignore[union-attr]
    lines = octets[:end].decode("latin-1").replace("\r\n", "\n").replace("\n\t", " ").replace("\n ", " ")
    value = next(
        v for n, _, v in (line.partition(":") for line in lines.split("\n")) if n.lower() == "content-type"
    )
    media, body = media_type(value), octets[start:]
    if not media.essence.startswith("multipart/"):
        return body, ()
    parts = split_signed(body, media.parameters.get("boundary", ""), MimeLimits())
    return body_of(read_entity(parts.second, MimeLimits())), (parts.first, with_crlf(parts.first))


class _Told:
    """What a message says of itself, read by an outside reader."""

    def __init__(self, body: bytes) -> None:
        self.certificates: list[x509.Certificate] = []
        self.stampers: list[x509.Certificate] = []
        self.times: list[datetime] = []
        self.forms: tuple[bytes, ...] = ()
        try:
            signed = asn1_cms.ContentInfo.load(body)["content"]
            self.certificates = _readable(c.dump() for c in signed["certificates"])
            self.forms = () if signed["encap_content_info"]["content"].native else (ABSENT,)
            for info in signed["signer_infos"]:
                self._read(info)
        except (ValueError, TypeError, KeyError):
            return

    def _read(self, info: asn1_cms.SignerInfo) -> None:
        for attribute in info["signed_attrs"]:
            if attribute["type"].native == "signing_time":
                self.times.append(attribute["values"][0].native)
        for attribute in info["unsigned_attrs"] or []:
            if attribute["type"].dotted not in STAMPS:
                continue
            for value in attribute["values"]:
                token = value.dump()
                self.times.append(stated_by(token).at)
                own = asn1_cms.ContentInfo.load(token)["content"]["certificates"]
                self.stampers += _readable(c.dump() for c in own)

    @property
    def now(self) -> datetime:
        if self.times:
            return max(self.times) + timedelta(minutes=2)
        ends = [c.not_valid_after_utc for c in self.certificates]
        return min(ends, default=datetime(2020, 1, 1, tzinfo=UTC)) - timedelta(days=1)

    @property
    def trust(self) -> Trust:
        return Trust(self.certificates, stampers=Trust([*self.stampers, *self.certificates]))


def _readable(ders: Iterable[bytes]) -> list[x509.Certificate]:
    found = []
    for der in ders:
        try:
            found.append(x509.load_der_x509_certificate(der))
        except ValueError:
            continue
    return found


def _verdict(
    body: bytes, forms: tuple[bytes, ...], told: _Told, policy: Policy
) -> tuple[str, str, Signed | None]:
    try:
        signed = verify_cms(body, forms or None, told.trust, policy, told.now)
    except Refused as refused:
        finding = refused.findings[0]
        return finding.code, f"{finding.place.part} {finding.found}".strip(), None
    return "verified", signed.signer.level, signed


def _openssl(body: bytes, forms: tuple[bytes, ...], told: _Told) -> tuple[str, str]:
    """OpenSSL's verdict on the same octets, with the same certificates pinned, at the same time."""
    tool = shutil.which("openssl")
    if tool is None:
        return "-", ""
    said = ""
    with tempfile.TemporaryDirectory() as folder:
        anchors, message = Path(folder) / "anchors.pem", Path(folder) / "message"
        anchors.write_bytes(b"".join(c.public_bytes(Encoding.PEM) for c in told.certificates))
        message.write_bytes(body)
        command = [tool, "cms", "-verify", "-inform", "DER", "-in", str(message), "-binary", "-partial_chain"]
        command += ["-purpose", "any", "-attime", str(int(told.now.timestamp())), "-out", "/dev/null"]
        if told.certificates:
            command += ["-CAfile", str(anchors)]
        for form in forms or (None,):
            content = Path(folder) / "content"
            content.write_bytes(form or b"")
            detached = [] if form is None else ["-content", str(content)]
            done = subprocess.run([*command, *detached], capture_output=True, check=False, timeout=60)
            if done.returncode == 0:
                return "verified", ""
            said = done.stderr.decode("utf-8", "replace")
    return "refused", _words(said)


def _words(said: str) -> str:
    """OpenSSL's reasons without its numbers and file names."""
    lines = [line.split(":") for line in said.splitlines() if ":error:" in line]
    return "; ".join(dict.fromkeys(" ".join(line[5:6]) + " " + " ".join(line[8:]) for line in lines)).strip()


def main() -> None:
    """Print the report."""
    rows = judged()
    for row in rows:
        ours = row.ours if not row.legacy else f"{row.ours}, with a legacy profile {row.legacy}"
        print(f"{row.path.name:52} ours: {ours:12} {row.place[:60]:30} openssl: {row.theirs}")
        for finding in row.signed.findings if row.signed else ():
            print(f"{'':54}not believed: {finding.found}")
        if row.differs:
            print(f"{'':54}differs: {row.why or 'UNEXPLAINED'} [{row.said[:150]}]")
    same = sum(not row.differs for row in rows)
    unexplained = sum(row.differs and not row.why for row in rows)
    print(f"{len(rows)} files, {same} judged alike, {len(rows) - same} otherwise, {unexplained} unexplained")
    sys.exit(1 if unexplained else 0)


if __name__ == "__main__":
    main()
