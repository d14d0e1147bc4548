"""The same libraries, put together the obvious way: what the gateway is measured beside.

    python -m bench.naive HOME AUTHORITY DATABASE_URL

twisted.web's ``Site`` with TLS, signxml for the signature and its chain, lxml for the schema, one transaction
a message through SQLAlchemy's ORM, a receipt signed with signxml.  Nothing in it is slow on purpose, and it
does less than the gateway does: no partners, mandates, revocation, rules, translation, routes, timelines or
duplicates by reference, and it hands nothing on.  Prints its port.
"""

# mypy: disallow-untyped-calls=False, disallow-subclassing-any=False
# (Twisted's web classes are only partly typed.)

from __future__ import annotations

import hashlib
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from lxml import etree
from signxml.algorithms import CanonicalizationMethod
from signxml.signer import XMLSigner
from signxml.verifier import XMLVerifier
from sqlalchemy import LargeBinary, String, create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from twisted.internet import reactor, ssl
from twisted.web.resource import Resource
from twisted.web.server import Site

RESPONSE = "urn:wco:datamodel:WCO:RES:3"
REFERENCE = ".//{*}Declaration/{*}FunctionalReferenceID"
SUBMISSION = 100_000
"""Octets of one submission: more than a bench sends."""


class Base(DeclarativeBase):
    """The tables."""


class Message(Base):
    """A message and its receipt."""

    __tablename__ = "message"
    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    reference: Mapped[str] = mapped_column(String(70), index=True)
    received_at: Mapped[datetime]
    outcome: Mapped[str] = mapped_column(String(10), default="received")
    body: Mapped[bytes] = mapped_column(LargeBinary)
    receipt: Mapped[bytes] = mapped_column(LargeBinary, default=b"")


class Messages(Resource):
    """``POST /v1/messages``."""

    isLeaf = True  # noqa: N815

    def __init__(self, home: Path, authority: Path, database: str) -> None:
        super().__init__()
        own = home / "keystore" / "own"
        key = load_pem_private_key((own / "signing.key.pem").read_bytes(), None)
        method = "rsa-sha256" if isinstance(key, RSAPrivateKey) else "ecdsa-sha256"
        self._key: Any = key
        self._chain = x509.load_pem_x509_certificates((own / "signing.crt.pem").read_bytes())
        exclusive = CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0
        self._signer = XMLSigner(signature_algorithm=method, c14n_algorithm=exclusive)
        self._authority = str(authority)
        self._schema = etree.XMLSchema(etree.parse(str(home / "xsd" / "wco" / "goods-declaration.xsd")))
        self._engine = create_engine(database)
        if database.startswith("sqlite"):
            event.listen(self._engine, "connect", _durable)
        Base.metadata.create_all(self._engine)

    def render_POST(self, request: Any) -> bytes:  # noqa: N802
        """Verify, validate, store, sign, answer."""
        body = request.content.read(SUBMISSION)
        verified = XMLVerifier().verify(body, ca_pem_file=self._authority)
        root: Any = verified[0].signed_xml if isinstance(verified, list) else verified.signed_xml
        accepted = self._schema.validate(root)
        reference = root.findtext(REFERENCE) or ""
        with Session(self._engine) as session, session.begin():
            message = Message(
                digest=hashlib.sha256(body).hexdigest(),
                reference=reference,
                received_at=datetime.now(UTC),
                body=body,
            )
            session.add(message)
            session.flush()
            message.outcome = "accepted" if accepted else "rejected"
            message.receipt = self._receipt(message)
            outcome, receipt = message.outcome, message.receipt
        request.setHeader("Content-Type", "application/xml")
        request.setHeader("Cvan-Outcome", outcome)
        return bytes(receipt)

    def _receipt(self, message: Message) -> bytes:
        root = etree.Element(f"{{{RESPONSE}}}Response", nsmap={None: RESPONSE})
        said = (
            ("FunctionCode", "11"),
            ("FunctionalReferenceID", str(message.id)),
            ("IssueDateTime", f"{message.received_at:%Y%m%d%H%M%SZ}"),
            ("Status", message.outcome),
            ("Declaration", message.reference),
        )
        for name, text in said:
            etree.SubElement(root, f"{{{RESPONSE}}}{name}").text = text
        signed = self._signer.sign(root, key=self._key, cert=self._chain)
        return bytes(etree.tostring(signed))


def _durable(connection: Any, _record: object) -> None:
    """As safe as the gateway's own: what is acknowledged is on disk."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


def main() -> None:
    """Serve until killed."""
    home, authority, database = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    own = home / "keystore" / "own"
    pem = (own / "tls.key.pem").read_bytes() + (own / "tls.crt.pem").read_bytes()
    trusted = ssl.Certificate.loadPEM(authority.read_bytes())
    tls = ssl.PrivateCertificate.loadPEM(pem).options(trusted)
    site = Site(Messages(home, authority, database))
    loop: Any = reactor
    port = loop.listenSSL(0, site, tls, interface="127.0.0.1")
    print(port.getHost().port, flush=True)
    loop.run()


if __name__ == "__main__":
    main()
