"""Taking CMS messages apart and putting them together again, as attackers and archives do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from asn1crypto import cms as asn1_cms
from asn1crypto import core
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.security import SigningKey, sign_cms
from gateway.security.algorithms import DIGESTERS
from gateway.security.certificates.authority import Authority
from gateway.security.cms.ber import enclose
from gateway.security.cms.structures import elements_of, octets_of

from .signing_kit import EDIFACT, NOW, Party, World
from .tsa import TimeStampAuthority

ATTACHED, DETACHED = "application/pkcs7-mime", "multipart/signed"
SIGNATURE_STAMP = "1.2.840.113549.1.9.16.2.14"
ARCHIVE_STAMP = "0.4.0.1733.2.4"
HASH_INDEX_V3 = "0.4.0.19122.1.5"
SHA256_NAME = bytes.fromhex("300b0609608648016503040201")

AnyKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def attached(world: World, content: bytes = EDIFACT, party: Party | None = None) -> bytes:
    return sign_cms(content, "application/edifact", (party or world.rsa).key, ATTACHED, NOW)[1]


def rebuilt(body: bytes) -> asn1_cms.ContentInfo:
    return asn1_cms.ContentInfo.load(body)


def resign(info: asn1_cms.ContentInfo, party: Party) -> bytes:
    """Sign the signed attributes as they are now."""
    signer = info["content"]["signer_infos"][0]
    octets = signer["signed_attrs"].untag().dump(force=True)
    signer["signature"] = party.key.sign(octets, NOW)
    return bytes(info.dump(force=True))


def attribute(oid: str, *values: bytes) -> bytes:
    """An attribute with values in DER."""
    return enclose(b"\x30", core.ObjectIdentifier(oid).dump() + enclose(b"\x31", b"".join(sorted(values))))


def with_unsigned(body: bytes, *attributes: bytes) -> bytes:
    """The message with further unsigned attributes."""
    signed = parts_of(parts_of(parts_of(body)[1])[0])
    fields = parts_of(enclose(b"\x30", content_of(signed[-1])))
    info = parts_of(fields[0])
    present = content_of(info.pop()) if info[-1][:1] == b"\xa1" else b""
    info.append(enclose(b"\xa1", present + b"".join(attributes)))
    signed[-1] = enclose(b"\x31", enclose(b"\x30", b"".join(info)))
    return _around(signed)


def parts_of(element: bytes) -> list[bytes]:
    """The elements in a constructed element.  (An outside library writes nested structures anew in a time that
    doubles with each level.)"""
    return [octets_of(part) for part in elements_of(enclose(b"\x30", content_of(element)))]


def content_of(element: bytes) -> bytes:
    size = element[1]
    return element[2 if size < 0x80 else 2 + (size & 0x7F) :]


def _around(signed: list[bytes]) -> bytes:
    """The ContentInfo of SignedData's fields."""
    kind = core.ObjectIdentifier("1.2.840.113549.1.7.2").dump()
    return enclose(b"\x30", kind + enclose(b"\xa0", enclose(b"\x30", b"".join(signed))))


def signature_of(body: bytes) -> bytes:
    return bytes(rebuilt(body)["content"]["signer_infos"][0]["signature"].native)


def with_crls(body: bytes, *crls: bytes) -> bytes:
    """The message with revocation lists beside its certificates."""
    signed = parts_of(parts_of(parts_of(body)[1])[0])
    return _around([*signed[:-1], enclose(b"\xa1", b"".join(crls)), signed[-1]])


def with_certificates(body: bytes, *certificates: bytes) -> bytes:
    """The message with these certificates and no other."""
    signed = parts_of(parts_of(parts_of(body)[1])[0])
    return _around([enclose(b"\xa0", b"".join(certificates)) if p[:1] == b"\xa0" else p for p in signed])


def without_crls(body: bytes) -> bytes:
    """The message without its revocation lists."""
    return _around([part for part in parts_of(parts_of(parts_of(body)[1])[0]) if part[:1] != b"\xa1"])


def revocation_list(
    authority: Authority, revoked: Sequence[x509.Certificate] = (), at: datetime = NOW
) -> bytes:
    """A CRL of an authority, made an hour before and good for a day."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(at - timedelta(hours=1))
        .next_update(at + timedelta(days=1))
        .add_extension(x509.CRLNumber(1), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.certificate.public_key()),  # type: ignore[arg-type]
            critical=False,
        )
    )
    for certificate in revoked:
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder()
            .serial_number(certificate.serial_number)
            .revocation_date(at - timedelta(hours=2))
            .build()
        )
    return builder.sign(authority._private, hashes.SHA256()).public_bytes(Encoding.DER)


def archived(body: bytes, content: bytes, stamper: TimeStampAuthority, leave_out: bytes = b"") -> bytes:
    """The message with an archive time stamp (version 3) over all of it.

    ``leave_out``: an unsigned attribute's value that the stamp shall not cover."""
    info = rebuilt(body)
    signed, signer = info["content"], info["content"]["signer_infos"][0]
    digest = DIGESTERS["sha256"]
    unsigned = [
        core.ObjectIdentifier(a["type"].dotted).dump() + v.dump()
        for a in signer["unsigned_attrs"] or []
        for v in a["values"]
        if v.dump() != leave_out
    ]
    parts = [
        [c.dump() for c in signed["certificates"]],
        [c.dump() for c in signed["crls"] or []],
        unsigned,
    ]
    listed = [
        enclose(b"\x30", b"".join(core.OctetString(digest(p).digest()).dump() for p in q)) for q in parts
    ]
    index = enclose(b"\x30", SHA256_NAME + b"".join(listed))
    fields = [signer[name].dump() for name in ("version", "sid", "digest_algorithm", "signed_attrs")]
    fields += [signer[name].dump() for name in ("signature_algorithm", "signature")]
    kind = core.ObjectIdentifier("1.2.840.113549.1.7.1").dump()
    token = stamper.token(b"".join((kind, digest(content).digest(), *fields, index)))
    return with_unsigned(
        body, attribute(ARCHIVE_STAMP, with_unsigned(token, attribute(HASH_INDEX_V3, index)))
    )


def party_with(world: World, name: str, private: AnyKey, folder: Path) -> Party:
    """A signer of the world's authority with a key of any kind."""
    key, path = folder / f"{name}.key", folder / f"{name}.pem"
    certificate = world.authority.certify(private.public_key(), f"CN={name},C=VN")
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    key.chmod(0o600)
    path.write_bytes(certificate.public_bytes(Encoding.PEM))
    return Party(SigningKey.load(key, path), key, path)
