"""An authority's services for journeys: ``openssl ocsp`` behind a proxy that obeys or lies, and CRLs by HTTP."""

from __future__ import annotations

import http.server
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import ocsp

from gateway.security.certificates.authority import Authority
from tests.ports import free_ports

Lie = Callable[[bytes, bytes], bytes]
"""From a request and the true response to what is sent instead."""


class OpensslOcsp:
    """A real responder over the authority's index: ``openssl ocsp`` answers by the authority's own key."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._authority = authority
        self._index = folder / "index.txt"
        self._index.write_text("")
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0
        self.port = free_ports()

    def issued(self, *certificates: x509.Certificate) -> None:
        """Enter good certificates, as ``openssl ca`` does."""
        with self._index.open("a") as index:
            for c in certificates:
                index.write(
                    f"V\t{c.not_valid_after_utc:%y%m%d%H%M%SZ}\t\t{_serial(c)}\tunknown\t{_slashed(c)}\n"
                )

    def revoke(self, certificate: x509.Certificate, reason: str = "superseded") -> None:
        """Mark as revoked now; the responder reads its index at the next start."""
        at = f"{datetime.now(UTC):%y%m%d%H%M%SZ}"
        lines = []
        for line in self._index.read_text().splitlines():
            fields = line.split("\t")
            if fields[3] == _serial(certificate):
                fields[0], fields[2] = "R", f"{at},{reason}"
            lines.append("\t".join(fields))
        self._index.write_text("".join(f"{line}\n" for line in lines))
        if self._process is not None:
            self.stop()
            self.start()

    def start(self) -> None:
        folder, log = self._authority.folder, self._folder / "ocsp.log"
        self._starts += 1
        self._process = subprocess.Popen(
            [
                *("openssl", "ocsp", "-index", str(self._index), "-port", str(self.port)),
                *("-CA", str(folder / "authority.pem"), "-rsigner", str(folder / "authority.pem")),
                *("-rkey", str(folder / "authority.key"), "-nmin", "5", "-timeout", "5"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=log.open("ab"),
        )
        end = time.monotonic() + 10
        while time.monotonic() < end:
            if log.read_text().count("waiting for OCSP client connections") == self._starts:
                return
            time.sleep(0.02)
        raise AssertionError("openssl ocsp did not start")

    @property
    def running(self) -> bool:
        return self._process is not None

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class Gatekeeper:
    """What the gateway calls: passes on to the responder, slowly, not at all, or with a lie."""

    def __init__(self, responder: OpensslOcsp) -> None:
        self.responder = responder
        self.delay = 0.0
        self.down = False
        self.lie: Lie | None = None
        self.crl: bytes | None = None
        self.calls: list[tuple[str, str]] = []
        self._server: http.server.ThreadingHTTPServer | None = None
        self.port = free_ports()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        keeper = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                keeper._answer(self, self.rfile.read(int(self.headers["Content-Length"])))

            def do_GET(self) -> None:
                keeper._answer(self, b"")

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _answer(self, handler: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        self.calls.append((handler.command, handler.path))
        time.sleep(self.delay)
        if self.down:
            handler.connection.close()
            return
        found = self.crl if handler.path == "/crl" else self._pass_on(body)
        handler.send_response(200 if found else 404)
        handler.send_header("Content-Length", str(len(found or b"")))
        handler.end_headers()
        handler.wfile.write(found or b"")

    def _pass_on(self, body: bytes) -> bytes | None:
        import urllib.request

        if not body:
            return None
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.responder.port}/",
            data=body,
            headers={"Content-Type": "application/ocsp-request"},
        )
        with urllib.request.urlopen(request, timeout=10) as heard:
            true = bytes(heard.read())
        return true if self.lie is None else self.lie(body, true)


def crl_of(authority: Authority, *revoked: x509.Certificate) -> bytes:
    """A CRL of the authority's that is good for an hour."""
    now = datetime.now(UTC).replace(microsecond=0)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(now)
        .next_update(now + timedelta(hours=1))
        .add_extension(x509.CRLNumber(int(now.timestamp())), critical=False)
    )
    for certificate in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number).revocation_date(now)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(_key(authority), hashes.SHA256()).public_bytes(Encoding.DER)


def response(
    signer: Authority,
    certificate: x509.Certificate,
    issuer: Authority,
    *,
    at: datetime | None = None,
    until: datetime | None = None,
) -> bytes:
    """An OCSP response "good" of whoever signs it."""
    now = at or datetime.now(UTC).replace(microsecond=0)
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=certificate,
        issuer=issuer.certificate,
        algorithm=hashes.SHA1(),
        cert_status=ocsp.OCSPCertStatus.GOOD,
        this_update=now,
        next_update=until or now + timedelta(minutes=5),
        revocation_time=None,
        revocation_reason=None,
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
    return builder.sign(_key(signer), hashes.SHA256()).public_bytes(Encoding.DER)


def unauthorized() -> bytes:
    made = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.UNAUTHORIZED)
    return made.public_bytes(Encoding.DER)


def _key(authority: Authority) -> Any:
    return load_pem_private_key((authority.folder / "authority.key").read_bytes(), None)


def _serial(certificate: x509.Certificate) -> str:
    text = f"{certificate.serial_number:X}"
    return text if len(text) % 2 == 0 else f"0{text}"


def _slashed(certificate: x509.Certificate) -> str:
    return "/" + "/".join(certificate.subject.rfc4514_string().split(","))


HAS_OPENSSL = shutil.which("openssl") is not None
