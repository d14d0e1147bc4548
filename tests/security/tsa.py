"""A real time-stamp authority for tests: ``openssl ts -reply``, by itself or behind a local HTTP server.

Use it as::

    authority = TimeStampAuthority.create(folder)          # makes its root and its certificate
    token = authority.token(octets)                        # a TimeStampToken over octets
    with authority.serving() as url: ...                   # RFC 3161, 3.4: POST application/timestamp-query
    Trust(anchors, stampers=authority.trust)
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.security import Trust
from gateway.security.algorithms import DIGESTERS
from gateway.security.cms.timestamps import request

from .signing_kit import judge, run

STAMPING = (ExtendedKeyUsageOID.TIME_STAMPING,)
_CONFIG = """
[tsa]
default_tsa = tsa_config
[tsa_config]
dir = {folder}
serial = {folder}/serial
crypto_device = builtin
signer_cert = {folder}/stamper.pem
certs = {folder}/root.pem
signer_key = {folder}/stamper.key
signer_digest = {digest}
default_policy = 1.2.3.4.1
other_policies = 1.2.3.4.5
digests = sha1, sha256, sha384, sha512
accuracy = secs:1, millisecs:500, microsecs:100
clock_precision_digits = 3
ordering = yes
tsa_name = yes
ess_cert_id_chain = no
ess_cert_id_alg = {ess}
"""


@dataclass(frozen=True)
class TimeStampAuthority:
    """A root, a stamper under it, and the files that ``openssl ts`` works with.

    ``asked`` counts the requests answered over HTTP."""

    folder: Path
    root: x509.Certificate
    stamper: x509.Certificate
    stamper_key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    asked: list[bytes] = field(default_factory=list)
    _alone: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def create(
        cls,
        folder: Path,
        *,
        purposes: Sequence[x509.ObjectIdentifier] = STAMPING,
        critical: bool = True,
        digest: str = "sha256",
        ess: str = "sha256",
        valid: tuple[datetime, datetime] | None = None,
    ) -> TimeStampAuthority:
        """``purposes``, ``critical``: of the stamper's extendedKeyUsage (none: no extension); ``ess``: the
        digest that names its certificate, ``sha1`` for version 1; ``valid``: its window."""
        judge("openssl")
        folder.mkdir(parents=True, exist_ok=True)
        root_key, key = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)
        now = datetime.now(UTC).replace(microsecond=0)
        window = valid or (now - timedelta(days=1), now + timedelta(days=3_650))
        root_name, name = _name("Test Time Root"), _name("Test Time Stamps")
        root = (
            _builder(root_name, root_name, root_key, now - timedelta(days=3_650), window[1])
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(root_key, hashes.SHA256())
        )
        builder = _builder(name, root_name, key, *window)
        if purposes:
            builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=critical)
        stamper = builder.sign(root_key, hashes.SHA256())
        (folder / "root.pem").write_bytes(root.public_bytes(Encoding.PEM))
        (folder / "stamper.pem").write_bytes(stamper.public_bytes(Encoding.PEM))
        octets = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / "stamper.key").write_bytes(octets)
        (folder / "serial").write_text("01\n")
        (folder / "ts.cnf").write_text(_CONFIG.format(folder=folder, digest=digest, ess=ess))
        return cls(folder, root, stamper, key)

    @property
    def trust(self) -> Trust:
        """What anchors its stamps."""
        return Trust([self.root])

    def answer(self, query: bytes) -> bytes:
        """The TimeStampResp to a TimeStampReq, by OpenSSL."""
        config = ("-config", self.folder / "ts.cnf", "-section", "tsa_config")
        with self._alone:
            (self.folder / "query").write_bytes(query)
            made = run(judge("openssl"), "ts", "-reply", *config, "-queryfile", self.folder / "query")
        assert made.stdout, made.stderr
        return made.stdout

    def token(self, octets: bytes, digest: str = "sha256", nonce: int = 4711) -> bytes:
        """A TimeStampToken over octets."""
        answer = self.answer(request(DIGESTERS[digest](octets).digest(), digest, nonce))
        with self._alone:
            (self.folder / "answer").write_bytes(answer)
            made = run(judge("openssl"), "ts", "-reply", "-in", self.folder / "answer", "-token_out")
        assert made.returncode == 0, made.stderr
        return made.stdout

    @contextmanager
    def serving(self) -> Iterator[str]:
        """The URL of a local responder, while the block runs."""
        authority = self

        class Responder(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                query = self.rfile.read(int(self.headers["Content-Length"]))
                wanted = self.headers.get("Content-Type") == "application/timestamp-query"
                authority.asked.append(query)
                body = authority.answer(query) if wanted else b""
                self.send_response(200 if wanted else 415)
                self.send_header("Content-Type", "application/timestamp-reply")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:
                """Nothing: the test asserts on ``asked``."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Responder)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    start: datetime,
    end: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
