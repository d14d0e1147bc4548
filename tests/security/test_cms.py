"""CMS signatures: ours, OpenSSL's in its usual forms, and the attacks on them."""

from __future__ import annotations

import base64
from datetime import timedelta
from pathlib import Path

import pytest
from asn1crypto import cms as asn1_cms
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.safexml import parse
from gateway.security import Policy, Refused, SigningKey, Trust, sign_cms, sign_xml, verify
from gateway.security.certificates.authority import Authority

from .signing_kit import (
    DECLARATION,
    EDIFACT,
    FAST,
    NOW,
    PKCS7,
    Party,
    World,
    judge,
    refused,
    run,
    same,
    verified,
    verified_in_file,
)

ATTACHED, DETACHED = "application/pkcs7-mime", "multipart/signed"
KEYS = pytest.mark.parametrize(("who", "padding"), [("rsa", "pkcs1"), ("rsa", "pss"), ("ec", "pkcs1")])
LATIN = EDIFACT.replace(b"LRN", b"S\xe3o")
LINES = EDIFACT.replace(b"'", b"'\r\n")
UNIX = EDIFACT.replace(b"'", b"'\n")


def key_of(world: World, who: str, padding: str = "pkcs1") -> SigningKey:
    return (world.rsa if who == "rsa" else world.ec).padded(padding)


def openssl_sign(
    world: World, folder: Path, content: bytes, *options: str, party: Party | None = None
) -> bytes:
    tool = judge("openssl")
    signer = party or world.rsa
    (folder / "content").write_bytes(content)
    paths = ("-signer", signer.certificate_path, "-inkey", signer.key_path, "-in", folder / "content")
    made = run(tool, "cms", "-sign", *paths, *options)
    assert made.returncode == 0, made.stderr
    return made.stdout


def header_and_body(message: bytes) -> tuple[str, bytes]:
    """A MIME file as HTTP would carry it: its Content-Type, and its body."""
    head, _, body = message.partition(b"\n\n")
    for line in head.decode().splitlines():
        if line.lower().startswith("content-type:"):
            return line.partition(":")[2].strip(), body
    raise AssertionError(head)


@KEYS
@pytest.mark.parametrize(
    "content", [EDIFACT, LATIN, LINES, UNIX, EDIFACT + b"\r\n", b"UNB+" + bytes(range(256))]
)
@pytest.mark.parametrize("envelope", [ATTACHED, DETACHED])
def test_what_we_sign_is_verified(
    world: World, trust: Trust, who: str, padding: str, content: bytes, envelope: str
) -> None:
    key = key_of(world, who, padding)
    media_type, body = sign_cms(content, "application/edifact", key, envelope, NOW)
    found = verified(body, trust, media_type=media_type)
    assert found.content == content
    assert found.media_type == "application/edifact"
    assert found.envelope == envelope
    assert found.signer.signed_at == NOW
    assert found.signer.algorithm == key.algorithm.name
    assert found.document is None


@KEYS
@pytest.mark.parametrize("content", [EDIFACT, LATIN, LINES, UNIX])
@pytest.mark.parametrize("envelope", [ATTACHED, DETACHED])
def test_what_we_sign_is_verified_by_openssl(
    world: World, tmp_path: Path, who: str, padding: str, content: bytes, envelope: str
) -> None:
    tool = judge("openssl")
    media_type, body = sign_cms(content, "application/edifact", key_of(world, who, padding), envelope, NOW)
    message, form = body, "DER"
    if envelope == DETACHED:
        form = "SMIME"
        message = f"MIME-Version: 1.0\r\nContent-Type: {media_type}\r\n\r\n".encode() + body
    (tmp_path / "message").write_bytes(message)
    command = (tool, "cms", "-verify", "-CAfile", world.anchor, "-inform", form, "-in", tmp_path / "message")
    done = run(*command)
    assert done.returncode == 0, done.stderr
    if envelope == ATTACHED:
        assert run(*command, "-binary").stdout == content
    spoiled = message.replace(b"REF0001", b"REF0002")
    if spoiled != message:
        (tmp_path / "message").write_bytes(spoiled)
        assert run(*command).returncode != 0


@pytest.mark.parametrize("content", [EDIFACT, LATIN, LINES, UNIX])
@pytest.mark.parametrize(
    "options",
    [
        ("-binary", "-nodetach", "-outform", "DER"),
        ("-binary", "-nodetach", "-outform", "DER", "-stream"),
        ("-binary", "-nodetach", "-outform", "DER", "-keyid"),
        ("-binary", "-nodetach", "-outform", "DER", "-md", "sha512"),
        ("-binary", "-nodetach", "-outform", "DER", "-keyopt", "rsa_padding_mode:pss"),
        ("-binary", "-nodetach", "-outform", "DER", "-nosmimecap"),
    ],
    ids=" ".join,
)
def test_openssl_attached_in_der(
    world: World, trust: Trust, tmp_path: Path, content: bytes, options: tuple[str, ...]
) -> None:
    body = openssl_sign(world, tmp_path, content, *options)
    found = verified(body, trust, media_type=PKCS7)
    assert found.content == content
    assert found.signer.signed_at is not None
    assert verified(base64.encodebytes(body), trust, media_type="application/x-pkcs7-mime").content == content


@pytest.mark.parametrize("content", [EDIFACT, LATIN, LINES, UNIX])
@pytest.mark.parametrize("binary", [("-binary",), ()])
@pytest.mark.parametrize("attached", [("-nodetach",), ()])
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("who", ["rsa", "ec"])
def test_openssl_smime(
    world: World,
    trust: Trust,
    tmp_path: Path,
    content: bytes,
    binary: tuple[str, ...],
    attached: tuple[str, ...],
    whole: bool,
    who: str,
) -> None:
    party = world.rsa if who == "rsa" else world.ec
    message = openssl_sign(world, tmp_path, content, *binary, *attached, "-outform", "SMIME", party=party)
    media_type, body = header_and_body(message)
    found = verified(message if whole else body, trust, media_type=media_type)
    assert found.content in (content, content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    assert found.envelope == (ATTACHED if attached else DETACHED)


@pytest.mark.parametrize(
    "kind", ["application/edifact", "application/EDIFACT; charset=x", "text/plain", "application/edi-consent"]
)
@pytest.mark.parametrize("attached", [("-nodetach",), ()])
def test_openssl_over_a_mime_entity(
    world: World, trust: Trust, tmp_path: Path, kind: str, attached: tuple[str, ...]
) -> None:
    entity = f"Content-Type: {kind}\r\nContent-Transfer-Encoding: binary\r\n\r\n".encode() + LINES
    message = openssl_sign(world, tmp_path, entity, "-binary", *attached, "-outform", "SMIME")
    media_type, body = header_and_body(message)
    assert verified(body, trust, media_type=media_type).content == LINES


def test_openssl_text(world: World, trust: Trust, tmp_path: Path) -> None:
    message = openssl_sign(world, tmp_path, LINES, "-text", "-outform", "SMIME")
    media_type, body = header_and_body(message)
    assert verified(body, trust, media_type=media_type).content == LINES


def test_xml_in_cms(world: World, trust: Trust) -> None:
    for envelope in (ATTACHED, DETACHED):
        media_type, body = sign_cms(DECLARATION, "application/xml", world.ec.key, envelope, NOW)
        found = verified(body, trust, media_type=media_type)
        assert found.content == DECLARATION
        assert found.media_type == "application/xml"
        assert found.document is not None
    bad = b"<!DOCTYPE a><a/>"
    media_type, body = sign_cms(bad, "application/xml", world.ec.key, ATTACHED, NOW)
    assert refused(body, trust, media_type=media_type) == "XML004"


@pytest.mark.parametrize("kind", ["text/html", "message/rfc822", "multipart/mixed", "application/zip"])
def test_other_content_is_refused(world: World, trust: Trust, kind: str) -> None:
    media_type, body = sign_cms(b"<x/>", kind, world.ec.key, DETACHED, NOW)
    assert refused(body, trust, media_type=media_type) == "SIG053"


# Attacks (facts of CMS and S/MIME).


def attached(world: World, content: bytes = EDIFACT) -> bytes:
    return sign_cms(content, "application/edifact", world.rsa.key, ATTACHED, NOW)[1]


def rebuilt(body: bytes) -> asn1_cms.ContentInfo:
    return asn1_cms.ContentInfo.load(body)


def resign(info: asn1_cms.ContentInfo, party: Party) -> bytes:
    """Sign the signed attributes as they are now."""
    signer = info["content"]["signer_infos"][0]
    octets = signer["signed_attrs"].untag().dump(force=True)
    signer["signature"] = party.key.sign(octets, NOW)
    return bytes(info.dump(force=True))


def test_signature_stripping(trust: Trust) -> None:
    for media_type in (
        "application/edifact",
        "text/plain",
        "application/json",
        "multipart/mixed; boundary=a",
    ):
        assert refused(EDIFACT, trust, media_type=media_type) == "SIG002"


def test_changed_content(world: World, trust: Trust) -> None:
    assert refused(attached(world).replace(b"REF0001", b"REF0002"), trust, media_type=PKCS7) == "SIG011"
    media_type, body = sign_cms(EDIFACT, "application/edifact", world.rsa.key, DETACHED, NOW)
    assert refused(body.replace(b"REF0001", b"REF0002"), trust, media_type=media_type) == "SIG011"
    changed = body.replace(b"Content-Type: application/edifact", b"Content-Type: application/xml")
    assert refused(changed, trust, media_type=media_type) == "SIG011"


def test_unknown_signer(world: World, trust: Trust) -> None:
    _, body = sign_cms(EDIFACT, "application/edifact", world.attacker.key, ATTACHED, NOW)
    assert refused(body, trust, media_type=PKCS7) == "SIG024"


def test_extra_signer(world: World, trust: Trust) -> None:
    info = rebuilt(attached(world))
    other = rebuilt(sign_cms(EDIFACT, "application/edifact", world.attacker.key, ATTACHED, NOW)[1])
    info["content"]["signer_infos"].append(other["content"]["signer_infos"][0])
    assert refused(info.dump(force=True), trust, media_type=PKCS7) == "SIG042"


def test_no_signer(world: World, trust: Trust) -> None:
    info = rebuilt(attached(world))
    info["content"]["signer_infos"] = []
    assert refused(info.dump(force=True), trust, media_type=PKCS7) == "SIG042"


def test_content_inside_and_outside(world: World, trust: Trust) -> None:
    media_type, body = sign_cms(EDIFACT, "application/edifact", world.rsa.key, DETACHED, NOW)
    start = body.rindex(b"\r\n\r\n") + 4
    end = body.rindex(b"\r\n--")
    inside = base64.encodebytes(attached(world, b"UNB+EVIL'"))
    assert refused(body[:start] + inside + body[end:], trust, media_type=media_type) == "SIG046"


def test_content_nowhere(world: World, trust: Trust) -> None:
    _, body = sign_cms(EDIFACT, "application/edifact", world.rsa.key, DETACHED, NOW)
    start = body.rindex(b"\r\n\r\n") + 4
    der = base64.b64decode(body[start : body.rindex(b"\r\n--")])
    assert refused(der, trust, media_type=PKCS7) == "SIG046"


def test_no_signed_attributes(world: World, trust: Trust, tmp_path: Path) -> None:
    body = openssl_sign(world, tmp_path, EDIFACT, "-binary", "-nodetach", "-noattr", "-outform", "DER")
    assert refused(body, trust, media_type=PKCS7) == "SIG043"


def test_attributes_passed_off_as_content(world: World, trust: Trust) -> None:
    """A signed attribute set presented as content without attributes has the same signature."""
    info = rebuilt(attached(world))
    signer = info["content"]["signer_infos"][0]
    octets = signer["signed_attrs"].untag().dump(force=True)
    signer["signed_attrs"] = None
    info["content"]["encap_content_info"]["content"] = octets
    assert refused(info.dump(force=True), trust, media_type=PKCS7) == "SIG043"


@pytest.mark.parametrize(("missing", "code"), [("content_type", "SIG043"), ("message_digest", "SIG043")])
def test_missing_attribute(world: World, trust: Trust, missing: str, code: str) -> None:
    info = rebuilt(attached(world))
    signer = info["content"]["signer_infos"][0]
    signer["signed_attrs"] = [a for a in signer["signed_attrs"] if a["type"].native != missing]
    assert refused(resign(info, world.rsa), trust, media_type=PKCS7) == code


def test_doubled_attribute(world: World, trust: Trust) -> None:
    info = rebuilt(attached(world))
    signer = info["content"]["signer_infos"][0]
    attributes = list(signer["signed_attrs"])
    again = [a for a in attributes if a["type"].native == "message_digest"]
    signer["signed_attrs"] = [*attributes, *again]
    assert refused(resign(info, world.rsa), trust, media_type=PKCS7) == "SIG045"


def test_other_content_type(world: World, trust: Trust) -> None:
    info = rebuilt(attached(world))
    for attribute in info["content"]["signer_infos"][0]["signed_attrs"]:
        if attribute["type"].native == "content_type":
            attribute["values"] = ["1.2.840.113549.1.9.16.1.4"]
    assert refused(resign(info, world.rsa), trust, media_type=PKCS7) == "SIG044"


def test_set_out_of_order_is_no_der(world: World, trust: Trust) -> None:
    """The re-encoding trap: attributes in another order are other octets than those signed."""
    body = attached(world)
    info = rebuilt(body)
    octets = info["content"]["signer_infos"][0]["signed_attrs"].contents
    parts = [a.dump() for a in info["content"]["signer_infos"][0]["signed_attrs"]]
    assert b"".join(parts) == octets
    assert refused(body.replace(octets, b"".join(reversed(parts))), trust, media_type=PKCS7) == "SIG040"


@pytest.mark.parametrize("digest", ["sha1", "md5", "sha224"])
def test_digest_downgrade(world: World, trust: Trust, tmp_path: Path, digest: str) -> None:
    body = openssl_sign(world, tmp_path, EDIFACT, "-binary", "-nodetach", "-md", digest, "-outform", "DER")
    assert refused(body, trust, media_type=PKCS7) == ("SIG006" if digest == "sha1" else "SIG007")


def test_pss_with_another_digest(world: World, trust: Trust, tmp_path: Path) -> None:
    options = ("-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_mgf1_md:sha1", "-outform", "DER")
    body = openssl_sign(world, tmp_path, EDIFACT, "-binary", "-nodetach", *options)
    assert refused(body, trust, media_type=PKCS7) == "SIG006"


def test_key_confusion(world: World, trust: Trust) -> None:
    info = rebuilt(attached(world))
    info["content"]["signer_infos"][0]["signature_algorithm"] = {"algorithm": "sha256_ecdsa"}
    assert refused(info.dump(force=True), trust, media_type=PKCS7) == "SIG030"
    info["content"]["signer_infos"][0]["signature_algorithm"] = {"algorithm": "sha512_rsa"}
    assert refused(info.dump(force=True), trust, media_type=PKCS7) == "SIG006"


def test_certificate_left_out_or_swapped(world: World, trust: Trust) -> None:
    info = rebuilt(attached(world))
    info["content"]["certificates"] = [asn1_cms.CertificateChoices.load(world.attacker.der)]
    assert refused(info.dump(force=True), trust, media_type=PKCS7) == "SIG047"
    info["content"]["certificates"] = []
    assert refused(info.dump(force=True), trust, media_type=PKCS7) == "SIG020"


def test_signing_time_in_the_future(world: World, trust: Trust) -> None:
    for minutes, code in ((4, ""), (6, "SIG048")):
        body = sign_cms(EDIFACT, "x/y", world.rsa.key, ATTACHED, NOW + timedelta(minutes=minutes))[1]
        if code:
            assert refused(body, trust, media_type=PKCS7) == code
        else:
            assert verified(body, trust, media_type=PKCS7).content == EDIFACT


def test_signing_times_from_2050(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path, "Late Authority")
    then = NOW.replace(year=2051, day=1)
    key, certificate = tmp_path / "a.key", tmp_path / "a.pem"
    authority.issue("CN=late", key, certificate, not_before=NOW, not_after=then + timedelta(days=30))
    _, body = sign_cms(EDIFACT, "x/y", SigningKey.load(key, certificate), ATTACHED, then)
    with pytest.raises(Refused) as caught:
        verify(body, PKCS7, Trust([authority.certificate]), FAST, then)
    assert caught.value.code == "SIG022"  # the authority ends before; the signer's pinned one does not
    pinned = Trust(SigningKey.load(key, certificate).certificates)
    assert verify(body, PKCS7, pinned, FAST, then).signer.signed_at == then


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"0",
        b"0\x80",
        b"0\x80\x00\x00",
        b"0\x84\xff\xff\xff\xff",
        b"0\x80" * 500,
        b"$\x80" * 50_000,
        bytes.fromhex("3080060b2a864886f70d010910010200"),
        b"0\x82\x01\x00" + bytes(256),
        b"not base64 !!",
    ],
)
def test_asn1_bombs_and_scraps(trust: Trust, body: bytes) -> None:
    assert refused(body, trust, media_type=PKCS7) in ("SIG040", "SIG041", "SIG055")


def test_trailing_octets(world: World, trust: Trust) -> None:
    assert refused(attached(world) + b"\0", trust, media_type=PKCS7) == "SIG040"


def test_other_content_infos(world: World, trust: Trust) -> None:
    data = bytes(asn1_cms.ContentInfo({"content_type": "data", "content": EDIFACT * 2}).dump())
    assert refused(data, trust, media_type=PKCS7) == "SIG041"
    media_type = "application/pkcs7-mime; smime-type=enveloped-data"
    assert refused(attached(world), trust, media_type=media_type) == "SIG041"


def test_allow_lists_of_the_operator(world: World, trust: Trust) -> None:
    body = attached(world)
    assert refused(body, trust, Policy(algorithms=frozenset({"ecdsa-sha256"})), PKCS7) == "SIG006"
    assert refused(body, trust, Policy(digests=frozenset({"sha512"})), PKCS7) == "SIG007"
    with pytest.raises(Refused) as caught:
        verify(body, PKCS7, trust, Policy(max_bytes=100), NOW)
    assert caught.value.code == "SIG051"


def test_an_xml_signature_is_not_looked_for_in_edifact(world: World, trust: Trust) -> None:
    signed = sign_xml(parse(DECLARATION), world.rsa.key, NOW)
    assert refused(signed, trust, media_type="application/edifact") == "SIG002"


def test_other_envelopes_are_not_made(world: World) -> None:
    with pytest.raises(ValueError, match="not an envelope"):
        sign_cms(EDIFACT, "application/edifact", world.rsa.key, "application/zip", NOW)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 10_000), octet=st.integers(0, 255), envelope=st.sampled_from([ATTACHED, DETACHED]))
def test_no_changed_octet_changes_what_is_read(
    world: World, trust: Trust, at: int, octet: int, envelope: str
) -> None:
    media_type, body = sign_cms(EDIFACT, "application/edifact", world.ec.key, envelope, NOW)
    at %= len(body)
    changed = body[:at] + bytes((octet,)) + body[at + 1 :]
    try:
        found = verify(changed, media_type, trust, FAST, NOW)
    except Refused:
        refused(changed, trust, media_type=media_type)
        return
    same(verified_in_file(changed, trust, FAST, media_type), found)
    assert found.content == EDIFACT
    assert found.signer.fingerprint == world.ec.key.signer.fingerprint


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300), envelope=st.sampled_from([ATTACHED, DETACHED]))
def test_any_interchange_survives_signing_and_verifying(
    world: World, trust: Trust, content: bytes, envelope: str
) -> None:
    octets = b"UNB+" + content
    media_type, body = sign_cms(octets, "application/edifact", world.ec.key, envelope, NOW)
    assert verified(body, trust, media_type=media_type).content == octets


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 3_000), envelope=st.sampled_from([ATTACHED, DETACHED]))
def test_no_cut_is_read(world: World, trust: Trust, cut: int, envelope: str) -> None:
    media_type, body = sign_cms(EDIFACT, "application/edifact", world.ec.key, envelope, NOW)
    # The line end behind the last delimiter is nobody's.
    cut = min(cut, len(body.rstrip()) - 1)
    refused(body[:cut], trust, media_type=media_type)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 10_000), more=st.binary(min_size=1, max_size=4))
def test_octets_between_octets_change_nothing_that_is_read(
    world: World, trust: Trust, at: int, more: bytes
) -> None:
    _, body = sign_cms(EDIFACT, "application/edifact", world.ec.key, ATTACHED, NOW)
    at %= len(body) + 1
    refused(body[:at] + more + body[at:], trust, media_type=PKCS7)
