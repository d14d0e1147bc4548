"""Algorithms: bound to the key's type, admitted by policy, and what is old only by a profile with an end."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from lxml import etree

from gateway.safexml import parse
from gateway.security import Policy, Refused, Trust, sign_xml
from gateway.security.algorithms import (
    ED25519,
    HASHES,
    XML_DIGESTS,
    XML_SIGNATURES,
    Algorithm,
    admitted,
    check_key,
    check_signature,
    der_of_raw,
    pss,
)
from gateway.security.policy import ALGORITHMS, DIGESTS, Legacy
from gateway.security.xmldsig.qualifying import sign_xades

from .cms_kit import party_with
from .signing_kit import DECLARATION, DS, EXCLUSIVE, FAST, NOW, Party, World, refused, verified

URIS = {algorithm.name: uri for uri, algorithm in XML_SIGNATURES.items() if not uri.endswith("#rsa-pss")}
DIGEST_URIS = {name: uri for uri, name in XML_DIGESTS.items()}
SHA1 = Legacy(
    "sha1-2026", NOW.date() + timedelta(days=1), frozenset({"rsa-sha1", "ecdsa-sha1", "rsa-pss-sha1"})
)
PSS_NS = "http://www.w3.org/2007/05/xmldsig-more#"


def made(
    world: World, name: str, digest: str = "sha256", parameters: str = "", salt: int | None = None
) -> bytes:
    """An enveloped signature with any algorithm, put together by hand."""
    party, private = _of(world, name)
    content = etree.tostring(parse(DECLARATION), method="c14n", exclusive=True)
    value = base64.b64encode(
        hashlib.new(digest.replace("-", "_") if "3-" in digest else digest, content).digest()
    )
    uri = f"{PSS_NS}rsa-pss" if parameters else URIS[name]
    info = (
        f'<ds:SignedInfo xmlns:ds="{DS}"><ds:CanonicalizationMethod Algorithm="{EXCLUSIVE}"/>'
        f'<ds:SignatureMethod Algorithm="{uri}">{parameters}</ds:SignatureMethod><ds:Reference URI=""><ds:Transforms>'
        f'<ds:Transform Algorithm="{DS}enveloped-signature"/><ds:Transform Algorithm="{EXCLUSIVE}"/></ds:Transforms>'
        f'<ds:DigestMethod Algorithm="{DIGEST_URIS[digest]}"/><ds:DigestValue>{value.decode()}</ds:DigestValue>'
        "</ds:Reference></ds:SignedInfo>"
    )
    octets = etree.tostring(etree.fromstring(info), method="c14n", exclusive=True)
    signed = base64.b64encode(_signed(private, name, octets, salt)).decode()
    certificate = base64.b64encode(party.der).decode()
    signature = (
        f'<ds:Signature xmlns:ds="{DS}">{info}<ds:SignatureValue>{signed}</ds:SignatureValue><ds:KeyInfo><ds:X509Data>'
        f"<ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></ds:Signature>"
    ).encode()
    end = content.rindex(b"</")
    return content[:end] + signature + content[end:]


def _of(world: World, name: str) -> tuple[Party, object]:
    if name == "ed25519":
        party = _party(world, "ed25519", ed25519.Ed25519PrivateKey.generate())
    else:
        party = world.ec if name.startswith("ecdsa") else world.rsa
    return party, load_pem_private_key(party.key_path.read_bytes(), None)


def _party(world: World, name: str, private: object) -> Party:
    if name not in world.parties:
        world.parties[name] = party_with(world, name, private, world.folder)  # type: ignore[arg-type]
    return world.parties[name]


def _signed(private: object, name: str, octets: bytes, salt: int | None) -> bytes:
    scheme, _, digest = name.rpartition("-sha")
    hashed = HASHES[f"sha{digest}"] if scheme else None
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return private.sign(octets)
    assert hashed is not None
    if isinstance(private, ec.EllipticCurvePrivateKey):
        from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

        r, s = decode_dss_signature(private.sign(octets, ec.ECDSA(hashed)))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    assert isinstance(private, rsa.RSAPrivateKey)
    if scheme == "rsa":
        return private.sign(octets, padding.PKCS1v15(), hashed)
    length = hashed.digest_size if salt is None else salt
    return private.sign(octets, padding.PSS(padding.MGF1(hashed), length), hashed)


def weak(world: World, name: str) -> bytes:
    return made(world, name, "sha1")


@pytest.mark.parametrize("name", sorted(ALGORITHMS & URIS.keys()))
def test_every_algorithm_of_the_policy(world: World, trust: Trust, name: str) -> None:
    assert verified(made(world, name), trust).signer.algorithm == name
    without = Policy(algorithms=ALGORITHMS - {name})
    assert refused(made(world, name), trust, without) in ("SIG006", "SIG026")


@pytest.mark.parametrize("digest", sorted(DIGESTS))
def test_every_digest_of_the_policy(world: World, trust: Trust, digest: str) -> None:
    body = made(world, "rsa-sha256", digest)
    assert verified(body, trust).signer.profile == ""
    assert refused(body, trust, Policy(digests=DIGESTS - {digest})) == "SIG007"


@pytest.mark.parametrize("engine", ["signxml", "both"])
@pytest.mark.parametrize("name", ["rsa-pss-sha3-256", "ecdsa-sha3-256", "rsa-sha256"])
def test_sha3_is_verified_by_the_other_engine_too(world: World, trust: Trust, engine: str, name: str) -> None:
    policy = Policy(engine=engine)  # type: ignore[arg-type]
    assert verified(made(world, name, "sha3-512"), trust, policy).signer.algorithm == name
    assert refused(made(world, "ed25519"), trust, policy) == "SIG006"


def test_our_own_ed25519(world: World, trust: Trust) -> None:
    party = _party(world, "ed25519", ed25519.Ed25519PrivateKey.generate())
    assert party.key.algorithm == ED25519
    for body in (
        sign_xml(parse(DECLARATION), party.key, NOW),
        sign_xades(parse(DECLARATION), party.key, NOW),
    ):
        assert verified(body, trust).signer.algorithm == "ed25519"


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP521R1()])
def test_our_own_other_curves(world: World, trust: Trust, curve: ec.EllipticCurve) -> None:
    party = _party(world, curve.name, ec.generate_private_key(curve))
    body = sign_xades(parse(DECLARATION), party.key, NOW)
    assert verified(body, trust).signer.algorithm.startswith("ecdsa-sha")


@pytest.mark.parametrize("name", ["rsa-sha1", "ecdsa-sha1", "rsa-pss-sha1"])
def test_sha1_only_by_a_profile_and_until_its_end(world: World, trust: Trust, name: str) -> None:
    body = weak(world, name)
    assert refused(body, trust) == "SIG006"
    found = verified(body, trust, Policy(legacy=(SHA1,)))
    assert (found.signer.algorithm, found.signer.profile) == (name, "sha1-2026")
    ended = Legacy("sha1-2025", NOW.date() - timedelta(days=1), SHA1.algorithms)
    assert refused(body, trust, Policy(legacy=(ended,))) == "SIG101"
    longer = Legacy("sha1-more", NOW.date(), SHA1.algorithms)
    assert verified(body, trust, Policy(legacy=(ended, longer))).signer.profile == "sha1-more"


def test_a_weak_digest_beside_a_strong_signature_is_as_weak(world: World, trust: Trust) -> None:
    body = made(world, "rsa-sha256", "sha1")
    assert refused(body, trust) == "SIG007"
    assert verified(body, trust, Policy(legacy=(SHA1,))).signer.profile == "sha1-2026"


def test_a_profile_says_nothing_of_strong_signatures(world: World, trust: Trust) -> None:
    assert verified(made(world, "rsa-sha256"), trust, Policy(legacy=(SHA1,))).signer.profile == ""


def test_a_profile_of_a_shape_holds_for_it_alone(world: World, trust: Trust) -> None:
    narrow = Legacy("narrow", SHA1.until, SHA1.algorithms, shapes=frozenset({"enveloping"}))
    assert refused(weak(world, "rsa-sha1"), trust, Policy(legacy=(narrow,))) == "SIG006"


def test_a_profile_cannot_admit_what_is_not_there() -> None:
    """DSA, MD5 and HMAC have no name here, so that no setting brings them back."""
    names = {algorithm.name for algorithm in XML_SIGNATURES.values()}
    assert not [
        n
        for n in names | XML_DIGESTS.keys()
        if "dsa-" in n.replace("ecdsa-", "") or "md5" in n or "hmac" in n
    ]
    any_of = Legacy("any", SHA1.until, frozenset({"dsa-sha1", "hmac-sha1", "rsa-md5"}), frozenset({"md5"}))
    with pytest.raises(Refused, match="SIG006"):
        admitted(Algorithm("rsa", "sha1"), ("sha256",), Policy(legacy=(any_of,)), NOW, "SignedInfo")


def test_the_last_day_of_a_profile_is_a_day_in_utc() -> None:
    profile = Legacy("x", datetime(2026, 1, 31, tzinfo=UTC).date())
    policy = Policy(legacy=(profile,))
    late = datetime(2026, 1, 31, 23, 59, tzinfo=UTC)
    assert admitted(Algorithm("rsa", "sha1"), ("sha1",), policy, late, "x") == "x"
    with pytest.raises(Refused, match="SIG101"):
        admitted(Algorithm("rsa", "sha1"), ("sha1",), policy, late + timedelta(minutes=1), "x")


KEYS = {
    "rsa": rsa.generate_private_key(65537, 2048).public_key(),
    "ec": ec.generate_private_key(ec.SECP256R1()).public_key(),
    "ed25519": ed25519.Ed25519PrivateKey.generate().public_key(),
}


@pytest.mark.parametrize("kind", sorted(KEYS))
@pytest.mark.parametrize(
    "algorithm", [Algorithm("rsa", "sha256"), pss("sha256"), Algorithm("ecdsa", "sha256"), ED25519]
)
def test_key_confusion_between_types(kind: str, algorithm: Algorithm) -> None:
    """An algorithm of another type of key is refused before it is computed."""
    own = {"rsa": ("rsa", "rsa-pss"), "ec": ("ecdsa",), "ed25519": ("ed25519",)}[kind]
    with pytest.raises(Refused, match="SIG012" if algorithm.scheme in own else "SIG030"):
        check_signature(KEYS[kind], algorithm, b"0" * 64, b"data", "SignatureValue")


def test_weak_keys_and_odd_curves(world: World) -> None:
    assert check_key(KEYS["ed25519"], FAST, "x") is KEYS["ed25519"]
    for key in (
        rsa.generate_private_key(65537, 1024).public_key(),
        rsa.generate_private_key(3, 2048).public_key(),
        ec.generate_private_key(ec.SECP256K1()).public_key(),
        ec.generate_private_key(ec.SECP192R1()).public_key(),
        object(),
    ):
        with pytest.raises(Refused, match="SIG026"):
            check_key(key, FAST, "x")
    with pytest.raises(Refused, match="SIG026"):
        check_key(KEYS["ed25519"], Policy(algorithms=frozenset({"rsa-sha256"})), "x")
    with pytest.raises(Refused, match="SIG013"):
        der_of_raw(KEYS["ec"], b"0" * 63, "SignatureValue")


def _pss(
    digest: str = "sha256", mask: str | None = "sha256", salt: str | None = "32", trailer: str | None = None
) -> str:
    uri = DIGEST_URIS[digest]
    parts = [f'<ds:DigestMethod Algorithm="{uri}"/>']
    if mask is not None:
        inside = f'<ds:DigestMethod Algorithm="{DIGEST_URIS[mask]}"/>' if mask else ""
        parts.append(
            f'<p:MaskGenerationFunction Algorithm="{PSS_NS}MGF1">{inside}</p:MaskGenerationFunction>'
        )
    if salt is not None:
        parts.append(f"<p:SaltLength>{salt}</p:SaltLength>")
    if trailer is not None:
        parts.append(f"<p:TrailerField>{trailer}</p:TrailerField>")
    return f'<p:RSAPSSParams xmlns:p="{PSS_NS}">{"".join(parts)}</p:RSAPSSParams>'


@pytest.mark.parametrize(
    ("name", "parameters", "salt"),
    [
        ("rsa-pss-sha256", _pss(), 32),
        ("rsa-pss-sha256", _pss(mask=None, salt=None), 32),
        ("rsa-pss-sha256", _pss(mask="", trailer="1"), 32),
        ("rsa-pss-sha256", _pss(salt="64"), 64),
        ("rsa-pss-sha512", _pss("sha512", "sha512", "64"), 64),
        ("rsa-pss-sha3-256", _pss("sha3-256", "sha3-256"), 32),
    ],
)
def test_pss_with_its_parameters(world: World, trust: Trust, name: str, parameters: str, salt: int) -> None:
    assert verified(made(world, name, parameters=parameters, salt=salt), trust).signer.algorithm == name


@pytest.mark.parametrize(
    "parameters",
    [
        _pss(salt="0"),
        _pss(salt="31"),
        _pss(salt="9999"),
        _pss(salt="-1"),
        _pss(salt="x"),
        _pss(trailer="2"),
        _pss("sha512"),
        _pss("sha512", None),
        _pss("sha1", "sha1", "20"),
        _pss().replace("MGF1", "MGF2"),
        _pss().replace("<p:SaltLength>", "<p:SaltLength>32</p:SaltLength><p:SaltLength>"),
        _pss() + _pss(),
        _pss().replace("SaltLength", "Salt"),
    ],
)
def test_pss_parameters_are_held_to_one_form(world: World, trust: Trust, parameters: str) -> None:
    body = made(world, "rsa-pss-sha256", parameters=parameters, salt=32)
    assert refused(body, trust) in ("SIG005", "SIG006")


def test_hash_names_are_told_apart(tmp_path: Path) -> None:
    assert HASHES.keys() == DIGESTS | {"sha1"}
    assert hashes.SHA3_256().digest_size == HASHES["sha3-256"].digest_size
