"""Attacks on CMS, S/MIME and AS2-like messages, one test for each, named after it.

What belongs to encryption is in test_cms_encrypted, to stamps in test_timestamps and test_cms_levels.
"""

from __future__ import annotations

import base64
import resource
import time
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from asn1crypto import cms as asn1_cms
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.safexml import parse
from gateway.security import (
    Policy,
    Refused,
    SigningKey,
    Trust,
    check_age,
    sign_cms,
    sign_xml,
    verify,
)
from gateway.security.cms.ber import enclose
from gateway.security.policy import DETACHED as XML_DETACHED
from gateway.security.policy import ENVELOPED

from .cms_kit import (
    ATTACHED,
    DETACHED,
    attached,
    attribute,
    rebuilt,
    resign,
    revocation_list,
    with_certificates,
    with_crls,
    with_unsigned,
)
from .signing_kit import DECLARATION, EDIFACT, FAST, NOW, PKCS7, World, refused, verified

EVIL = EDIFACT.replace(b"REF0001", b"EVIL001")
SECONDS = 2.0
"""Of processor time for one hostile body, on any machine that runs the gateway."""
MEBIBYTES = 256


@pytest.fixture(autouse=True)
def bounded() -> Iterator[None]:
    """No attack costs more than a large honest message does."""
    began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEBIBYTES * 1024
    assert time.process_time() - began < 10 * SECONDS


def detached(world: World, content: bytes = EDIFACT) -> tuple[str, bytes]:
    return sign_cms(content, "application/edifact", world.rsa.key, DETACHED, NOW)


def boundary_of(media_type: str) -> bytes:
    return media_type.partition('boundary="')[2].rstrip('"').encode()


def quickly(call: Callable[[], str]) -> str:
    began = time.process_time()
    code = call()
    assert time.process_time() - began < SECONDS
    return code


def strangers(count: int) -> list[bytes]:
    """Certificates that all claim to be each other's issuers."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Loop")])
    ends = (NOW - timedelta(days=1), NOW + timedelta(days=1))
    builders = (x509.CertificateBuilder(name, name, key.public_key(), n + 1, *ends) for n in range(count))
    return [b.sign(key, hashes.SHA256()).public_bytes(Encoding.DER) for b in builders]


# Stripping and forwarding.


def test_signature_stripping_from_multipart_to_plain(world: World, trust: Trust) -> None:
    _, body = detached(world)
    first = body.split(b"\r\n\r\n", 1)[1]
    for media_type in ("application/edifact", "text/plain", "multipart/mixed; boundary=x", "message/rfc822"):
        assert refused(first, trust, media_type=media_type) == "SIG002"


def test_signature_stripping_from_attached_to_its_content(world: World, trust: Trust) -> None:
    info = rebuilt(attached(world))
    info["content"]["signer_infos"] = []
    assert refused(bytes(info.dump(force=True)), trust, media_type=PKCS7) == "SIG042"


def test_signature_of_another_message_beside_the_content(world: World, trust: Trust) -> None:
    media_type, body = detached(world)
    _, other = detached(world, EVIL)
    mark = b"--" + boundary_of(media_type)
    swapped = (
        body[: body.rindex(mark + b"\r\n")]
        + mark
        + b"\r\n"
        + other.split(b"\r\n--")[-2].partition(b"\r\n")[2]
    )
    assert refused(swapped + b"\r\n" + mark + b"--\r\n", trust, media_type=media_type) == "SIG011"


def test_surreptitious_forwarding_by_a_carrier_is_shown(world: World, trust: Trust) -> None:
    """Whoever signs around another's message is the carrier and never the signer."""
    media_type, inner = detached(world)
    outer_type, outer = sign_cms(inner, media_type, world.ec.key, DETACHED, NOW)
    found = verified(outer, trust, media_type=outer_type)
    assert found.content == EDIFACT
    assert found.signer.fingerprint == world.rsa.key.signer.fingerprint
    assert found.carrier is not None
    assert found.carrier.fingerprint == world.ec.key.signer.fingerprint


# Signers.


def test_extra_signer(world: World, trust: Trust) -> None:
    info = rebuilt(attached(world))
    info["content"]["signer_infos"].append(
        rebuilt(attached(world, party=world.attacker))["content"]["signer_infos"][0]
    )
    assert refused(bytes(info.dump(force=True)), trust, media_type=PKCS7) == "SIG042"


def test_counter_signature_is_no_signature(world: World, trust: Trust) -> None:
    """A trusted partner's counter-signature under a stranger's message changes nothing."""
    body = attached(world, EVIL, world.attacker)
    countersigner = rebuilt(attached(world))["content"]["signer_infos"][0].dump()
    body = with_unsigned(body, attribute("1.2.840.113549.1.9.6", countersigner))
    assert refused(body, trust, media_type=PKCS7) == "SIG024"


def test_pinned_certificate_beside_a_strangers_signature(world: World, trust: Trust) -> None:
    info = rebuilt(attached(world, EVIL, world.attacker))
    info["content"]["certificates"].append(asn1_cms.CertificateChoices.load(world.rsa.der))
    assert refused(bytes(info.dump(force=True)), trust, media_type=PKCS7) == "SIG024"
    own = rebuilt(attached(world))["content"]["signer_infos"][0]["sid"]
    info["content"]["signer_infos"][0]["sid"] = own
    assert refused(bytes(info.dump(force=True)), trust, media_type=PKCS7) == "SIG012"


def test_look_alike_certificates_cost_nothing(world: World, trust: Trust) -> None:
    """A bundle of certificates that all claim to be each other's issuers."""
    loop = strangers(31)
    assert verified(with_certificates(attached(world), world.rsa.der, *loop), trust, media_type=PKCS7)
    many = with_certificates(attached(world), world.rsa.der, *loop, world.attacker.der)
    assert quickly(lambda: refused(many, trust, media_type=PKCS7)) == "SIG028"


# Signed attributes and content.


def test_attributes_passed_off_as_content(world: World, trust: Trust) -> None:
    """RFC 5652, 5.4: a signature over attributes is one over content that looks like them."""
    info = rebuilt(attached(world))
    signer = info["content"]["signer_infos"][0]
    octets = signer["signed_attrs"].untag().dump(force=True)
    signer["signed_attrs"] = None
    info["content"]["encap_content_info"]["content"] = octets
    assert refused(bytes(info.dump(force=True)), trust, media_type=PKCS7) == "SIG043"


def test_digest_over_another_content_type(world: World, trust: Trust) -> None:
    info = rebuilt(attached(world))
    info["content"]["encap_content_info"]["content_type"] = "1.2.840.113549.1.9.16.1.4"
    body = bytes(info.dump(force=True))
    assert refused(body, trust, media_type=PKCS7) in ("SIG044", "SIG040")


def test_content_inside_and_beside(world: World, trust: Trust) -> None:
    media_type, body = detached(world)
    start, end = body.rindex(b"\r\n\r\n") + 4, body.rindex(b"\r\n--")
    inside = base64.encodebytes(attached(world, EVIL))
    assert refused(body[:start] + inside + body[end:], trust, media_type=media_type) == "SIG046"


def test_two_signing_times(world: World, trust: Trust) -> None:
    info = rebuilt(attached(world))
    signer = info["content"]["signer_infos"][0]
    times = [a for a in signer["signed_attrs"] if a["type"].native == "signing_time"]
    signer["signed_attrs"] = [*signer["signed_attrs"], *times]
    assert refused(resign(info, world.rsa), trust, media_type=PKCS7) == "SIG045"


def test_algorithm_confusion_between_key_types(world: World, trust: Trust) -> None:
    for name, code in (("sha256_ecdsa", "SIG030"), ("ed25519", "SIG006"), ("sha1_rsa", "SIG006")):
        info = rebuilt(attached(world))
        info["content"]["signer_infos"][0]["signature_algorithm"] = {"algorithm": name}
        assert refused(bytes(info.dump(force=True)), trust, media_type=PKCS7) == code


def test_pss_parameters_are_not_the_senders_choice(world: World, trust: Trust) -> None:
    key = world.rsa.padded("pss")
    body = sign_cms(EDIFACT, "x/y", key, ATTACHED, NOW)[1]
    assert verified(body, trust, media_type=PKCS7).content == EDIFACT
    changes = (
        ("salt_length", 0),
        ("salt_length", 20),
        ("salt_length", 100_000),
        ("trailer_field", 2),
        ("mask_gen_algorithm", {"algorithm": "mgf1", "parameters": {"algorithm": "sha1"}}),
        ("hash_algorithm", {"algorithm": "sha512"}),
    )
    for field, value in changes:
        info = rebuilt(body)
        info["content"]["signer_infos"][0]["signature_algorithm"]["parameters"][field] = value
        assert refused(bytes(info.dump(force=True)), trust, media_type=PKCS7) == "SIG006", field
    info = rebuilt(body)
    del_parameters = info["content"]["signer_infos"][0]["signature_algorithm"]
    del_parameters["parameters"] = None
    assert refused(bytes(info.dump(force=True)), trust, media_type=PKCS7) in ("SIG006", "SIG040")


# MIME.


def test_mime_bomb_of_depth(world: World, trust: Trust) -> None:
    media_type, body = detached(world)
    for _ in range(6):
        media_type, body = sign_cms(body, media_type, world.ec.key, DETACHED, NOW)
    assert quickly(lambda: refused(body, trust, media_type=media_type)) == "SIG234"


def test_a_third_signature(world: World, trust: Trust) -> None:
    media_type, body = detached(world)
    for _ in range(2):
        media_type, body = sign_cms(body, media_type, world.ec.key, DETACHED, NOW)
    assert refused(body, trust, media_type=media_type) == "SIG236"


def test_mime_bomb_of_parts(world: World, trust: Trust) -> None:
    media_type, body = detached(world)
    part = b"--" + boundary_of(media_type) + b"\r\nContent-Type: text/plain\r\n\r\nx\r\n"
    assert quickly(lambda: refused(part * 100_000 + body, trust, media_type=media_type)) == "SIG052"


def test_mime_bomb_of_headers(world: World, trust: Trust) -> None:
    media_type, body = detached(world)
    mark = b"--" + boundary_of(media_type) + b"\r\n"
    for header in (
        b"X: " + b"a" * 10_000_000 + b"\r\n",
        b"X: a\r\n" * 500_000,
        b"X: a\r\n" + b" b\r\n" * 500_000,
    ):
        changed = body.replace(
            mark + b"Content-Type: application/pkcs7", mark + header + b"Content-Type: application/pkcs7"
        )
        assert quickly(lambda b=changed: refused(b, trust, media_type=media_type)) == "SIG051"  # type: ignore[misc]


def test_doubled_security_headers(world: World, trust: Trust) -> None:
    media_type, body = detached(world)
    head = b"Content-Type: application/pkcs7-signature"
    twice = body.replace(head, b"Content-Type: text/plain\r\n" + head)
    assert refused(twice, trust, media_type=media_type) == "SIG050"
    for value in (
        media_type + "; boundary=evil",
        media_type + '; protocol="text/plain"',
        media_type + "\r\nX: y",
    ):
        assert refused(body, trust, media_type=value) == "SIG050"


def test_message_rfc822_inside(world: World, trust: Trust) -> None:
    inner = b"Content-Type: application/edifact\r\n\r\n" + EVIL
    media_type, body = sign_cms(inner, "message/rfc822", world.rsa.key, DETACHED, NOW)
    assert refused(body, trust, media_type=media_type) == "SIG053"


@pytest.mark.parametrize("encoding", ["x-uuencode", "gzip", "base64; q=1", "8BIT, base64"])
def test_strange_transfer_encodings(world: World, trust: Trust, encoding: str) -> None:
    media_type, body = detached(world)
    changed = body.replace(
        b"Content-Transfer-Encoding: base64", b"Content-Transfer-Encoding: " + encoding.encode()
    )
    assert refused(changed, trust, media_type=media_type) == "SIG055"


def test_base64_slack(world: World, trust: Trust) -> None:
    """Octets that lax readers skip or differ on."""
    body = base64.b64encode(attached(world))
    for changed in (
        b"!" + body,
        body + b"====",
        body[:-1] + b"-",
        body + b"QUJD==QUJD",
        body[:100] + b"\0" + body[100:],
    ):
        assert refused(changed, trust, media_type=PKCS7) in ("SIG055", "SIG040")


def test_quoted_printable_signature_part(world: World, trust: Trust) -> None:
    media_type, body = detached(world)
    quoted = body.replace(
        b"Content-Transfer-Encoding: base64", b"Content-Transfer-Encoding: quoted-printable"
    )
    assert refused(quoted, trust, media_type=media_type) in ("SIG040", "SIG055")


def test_findings_carry_no_control_characters(world: World, trust: Trust) -> None:
    """Header injection into answers and logs."""
    with pytest.raises(Refused) as caught:
        verify(b"MIME-Version: 1.0\r\nContent-Type: a/b\x1b[31m\r\n\r\n", PKCS7, trust, FAST, NOW)
    assert all(f.found.isprintable() and len(f.found) <= 200 for f in caught.value.findings)


# ASN.1.


def test_asn1_bomb_of_depth(trust: Trust) -> None:
    for body in (b"0\x80" * 2_000_000, b"\x30\x84\x00\xff\xff\xff" * 100_000, b"$\x80" * 2_000_000):
        assert quickly(lambda b=body: refused(b, trust, media_type=PKCS7)) in ("SIG040", "SIG055")  # type: ignore[misc]


def test_asn1_bomb_of_pieces(world: World, trust: Trust) -> None:
    """An octet string in a million pieces of nothing."""
    pieces = b"\x24\x80" + b"\x04\x00" * 1_000_000 + b"\0\0"
    inner = enclose(b"\x30", bytes.fromhex("06092a864886f70d010701") + enclose(b"\xa0", pieces))
    data = enclose(b"\x30", b"\x02\x01\x01" + enclose(b"\x31", b"") + inner + enclose(b"\x31", b""))
    body = enclose(b"\x30", bytes.fromhex("06092a864886f70d010702") + enclose(b"\xa0", data))
    assert quickly(lambda: refused(body, trust, media_type=PKCS7)) == "SIG040"


def test_asn1_huge_integers(world: World, trust: Trust) -> None:
    info = rebuilt(attached(world))
    info["content"]["signer_infos"][0]["sid"].chosen["serial_number"] = 1 << 8_000_000
    body = bytes(info.dump(force=True))
    assert quickly(lambda: refused(body, trust, media_type=PKCS7)) in ("SIG040", "SIG047")


def test_asn1_lengths_that_lie(world: World, trust: Trust) -> None:
    body = attached(world)
    for changed in (
        b"0\x84\xff\xff\xff\xff" + body[4:],
        b"0\x83\xff\xff\xff" + body[4:],
        b"0\x82\x00\x10" + body[4:],
        b"0\x85\x00\x00\x00\x10\x00" + body[4:],
    ):
        assert quickly(lambda b=changed: refused(b, trust, media_type=PKCS7)) == "SIG040"  # type: ignore[misc]


def test_rsa_keys_of_16384_bits(world: World, tmp_path: Path) -> None:
    """A public-key operation that takes seconds: the size is looked at before the key is used."""
    public = rsa.RSAPublicNumbers(65537, (1 << 16383) | 1).public_key()
    certificate = world.authority.certify(public, "CN=long")
    info = rebuilt(attached(world))
    choice = asn1_cms.CertificateChoices.load(certificate.public_bytes(Encoding.DER))
    info["content"]["certificates"] = [choice]
    sid = {"issuer": choice.chosen.issuer, "serial_number": choice.chosen.serial_number}
    info["content"]["signer_infos"][0]["sid"] = asn1_cms.SignerIdentifier("issuer_and_serial_number", sid)
    assert quickly(lambda: refused(bytes(info.dump(force=True)), world.trust, media_type=PKCS7)) == "SIG026"


def test_a_million_attributes(world: World, trust: Trust) -> None:
    body = with_unsigned(attached(world), attribute("1.2.3.4", b"\x05\x00") * 1_000_000)
    assert quickly(lambda: refused(body, trust, media_type=PKCS7)) == "SIG218"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        (b"\x05\x00" * 4_000_000, "SIG040"),
        (b"\x02\x01\x00" + enclose(b"\x31", b"\x05\x00" * 100_000) + b"\x30\x00", "SIG218"),
        (b"\x02\x01\x00" + enclose(b"\x31", b"\x05\x00" * 4_000_000) + b"\x30\x00", "SIG218"),
        (b"\x02\x01\x00\x31\x00\x30\x00" + enclose(b"\xa1", b"\x05\x00" * 4_000_000), "SIG218"),
        (
            b"\x02\x01\x00\x31\x00"
            + enclose(b"\x30", b"\x05\x00\x30\x00" + enclose(b"\xa0", b"\x04\x01A" * 2_000_000)),
            "SIG218",
        ),
    ],
    ids=["fields", "recipients", "more recipients", "attributes", "pieces"],
)
def test_encrypted_messages_are_measured_before_they_are_taken_apart(
    trust: Trust, fields: bytes, code: str
) -> None:
    kind = bytes.fromhex("06092a864886f70d010703")
    body = enclose(b"\x30", kind + enclose(b"\xa0", enclose(b"\x30", fields)))
    tracemalloc.start()
    try:
        assert quickly(lambda: refused(body, trust, media_type="application/pkcs7-mime")) == code
        assert tracemalloc.get_traced_memory()[1] < 6 * len(body) + 2**20
    finally:
        tracemalloc.stop()


def test_certificates_without_end(world: World, trust: Trust) -> None:
    body = with_certificates(attached(world), world.attacker.der * 10_000)
    assert quickly(lambda: refused(body, trust, media_type=PKCS7)) == "SIG218"
    loop = [bytes(der) for der in strangers(40)]
    assert (
        quickly(lambda: refused(with_certificates(attached(world), *loop), trust, media_type=PKCS7))
        == "SIG028"
    )


def test_revocation_values_without_end(world: World, trust: Trust) -> None:
    body = with_crls(attached(world), *(revocation_list(world.authority) for _ in range(40)))
    assert quickly(lambda: refused(body, trust, media_type=PKCS7)) == "SIG218"


# Two signatures.


def in_cms(world: World, document: bytes, envelope: str = DETACHED) -> tuple[str, bytes]:
    return sign_cms(document, "application/xml", world.ec.key, envelope, NOW)


@pytest.mark.parametrize("envelope", [ATTACHED, DETACHED])
def test_van_outside_trader_inside(world: World, trust: Trust, envelope: str) -> None:
    media_type, body = in_cms(world, sign_xml(parse(DECLARATION), world.rsa.key, NOW), envelope)
    found = verified(body, trust, media_type=media_type)
    assert found.signer.fingerprint == world.rsa.key.signer.fingerprint
    assert found.carrier is not None
    assert found.carrier.fingerprint == world.ec.key.signer.fingerprint
    assert found.carrier_proof.certificates[0] == world.ec.der
    assert found.document is not None
    assert not list(found.document.iter("{http://www.w3.org/2000/09/xmldsig#}Signature"))


def test_carriers_signature_does_not_heal_the_traders(world: World, trust: Trust) -> None:
    """A document whose own signature is wrong, a stranger's, or not where it belongs is refused whoever carries it."""
    signed = sign_xml(parse(DECLARATION), world.rsa.key, NOW)
    strange = sign_xml(parse(DECLARATION), world.attacker.key, NOW)
    wrapped = b"<wrap>" + signed[signed.index(b"<md:MetaData") :] + b"</wrap>"
    for document, codes in (
        (signed.replace(b"125000000", b"1"), {"SIG011"}),
        (strange, {"SIG024"}),
        (wrapped, {"SIG004", "SIG010", "SIG003", "SIG105"}),
    ):
        media_type, body = in_cms(world, document)
        assert refused(body, trust, media_type=media_type) in codes


def test_unsigned_document_in_cms_is_its_carriers_own(world: World, trust: Trust) -> None:
    media_type, body = in_cms(world, DECLARATION)
    found = verified(body, trust, media_type=media_type)
    assert found.carrier is None
    assert found.signer.fingerprint == world.ec.key.signer.fingerprint


def test_xml_signature_beside_its_part(world: World, trust: Trust) -> None:
    """multipart/signed with an XML signature is only read where the operator takes that shape."""
    policy = Policy(shapes=frozenset({ENVELOPED, XML_DETACHED}))
    body = (
        b"--b\r\nContent-Type: application/edifact\r\nContent-ID: <p@x>\r\n\r\n" + EDIFACT + b"\r\n"
        b"--b\r\nContent-Type: application/xml\r\n\r\n<x/>\r\n--b--\r\n"
    )
    media_type = 'multipart/signed; protocol="application/xml"; boundary=b'
    assert refused(body, trust, policy, media_type) == "SIG001"
    media_type = 'multipart/signed; protocol="application/pkcs7-signature"; boundary=b'
    assert refused(body, trust, policy, media_type) == "SIG053"


# Replay.


def test_replay_after_the_window(world: World, tmp_path: Path) -> None:
    from gateway.security.certificates.authority import Authority

    old = Authority.create(tmp_path / "a", "Old")
    key, path = tmp_path / "k", tmp_path / "c"
    old.issue("CN=old", key, path, not_before=NOW - timedelta(days=9))
    pinned = SigningKey.load(key, path)
    trust = Trust(pinned.certificates)
    for age, code in (
        (timedelta(hours=23), ""),
        (timedelta(hours=25), "SIG214"),
        (timedelta(days=8), "SIG214"),
    ):
        body = sign_cms(EDIFACT, "x/y", pinned, ATTACHED, NOW - age)[1]
        found = verify(body, PKCS7, trust, FAST, NOW)
        if not code:
            check_age(found, FAST, NOW)
            continue
        with pytest.raises(Refused) as caught:
            check_age(found, FAST, NOW)
        assert caught.value.code == code
        check_age(found, Policy(max_age=None), NOW)
        # Held meanwhile, or shown as evidence in years: what counts is when it came in.
        check_age(found, FAST, NOW - age + timedelta(hours=1))


def test_signing_time_ahead_of_the_clock(world: World, trust: Trust) -> None:
    body = sign_cms(EDIFACT, "x/y", world.rsa.key, ATTACHED, NOW + timedelta(minutes=6))[1]
    assert refused(body, trust, media_type=PKCS7) == "SIG048"
