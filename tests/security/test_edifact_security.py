"""Integrated EDIFACT signatures: made and proven, whatever the key, scope, filter and service characters."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway import syntax
from gateway.model.secured import Level
from gateway.security import EdifactProfile, Manner, Policy, attest
from gateway.security.policy import Legacy
from gateway.syntax import Separators

from . import edifact_kit as kit
from .edifact_kit import KINDS, NOW, TWO, Signer, codes, interchange, message, party, prove, surveyed
from .signing_kit import judge

ALGORITHMS = {
    "rsa": [
        "",
        *(
            f"{s}-{d}"
            for s in ("rsa", "rsa-pss")
            for d in ("sha256", "sha384", "sha512", "sha3-256", "sha3-512")
        ),
    ],
    "p256": ["", "ecdsa-sha3-256"],
    "p384": [""],
    "p521": ["", "ecdsa-sha3-512"],
    "ed25519": [""],
}
PAIRS = [(kind, name) for kind in KINDS for name in ALGORITHMS[kind]]

# Service characters that UNA may announce, each once; the release character first.
MARKS = st.permutations(list("?:+*'|~^!;#$%&<>")).map(
    lambda m: Separators(
        component=m[1], element=m[2], decimal=".", release=m[0], repetition=m[3], terminator=m[4]
    )
)
TEXTS = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_categories=["Cc"]), min_size=1
).map(lambda text: f"x{text}x"[:70])


@pytest.mark.parametrize(("kind", "algorithm"), PAIRS)
@pytest.mark.parametrize("scope", ["1", "2"])
def test_what_is_signed_is_proven(kind: str, algorithm: str, scope: str) -> None:
    who = party("signer", kind)
    octets = syntax.secure(
        interchange(*TWO), Signer(who, Manner(scope=scope, filter="7"), algorithm=algorithm)
    )
    proof = prove(octets, who)
    assert (proof.refused, sorted(proof.proven)) == ({}, [1, 2])
    verified = attest(octets, proof)
    assert verified.content == octets
    assert verified.signer.subject == who.certificate.subject.rfc4514_string()
    assert verified.signer.algorithm == (algorithm or kit.key_of(who).algorithm.name)
    assert verified.signer.signed_at == NOW
    assert verified.proof.certificates == (kit.der(who), kit.der(kit.AUTHORITY))
    assert (verified.envelope, verified.carrier) == ("edifact", None)


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    kind=st.sampled_from(["p256", "ed25519"]),
    scope=st.sampled_from("12"),
    filter_=st.sampled_from("27"),
    marks=MARKS,
    una=st.booleans(),
    texts=st.lists(TEXTS, min_size=1, max_size=3),
    level=st.sampled_from([Level.MESSAGE, Level.INTERCHANGE]),
    size=st.integers(1, 400),
)
def test_any_text_under_any_service_characters(
    kind: str,
    scope: str,
    filter_: str,
    marks: Separators,
    una: bool,
    texts: list[str],
    level: Level,
    size: int,
) -> None:
    who = party("signer", kind)
    messages = [message(str(n), text=text) for n, text in enumerate(texts)]
    plain = interchange(*messages, separators=marks, una=una)
    octets = syntax.secure(plain, Signer(who, Manner(scope=scope, filter=filter_)), level)
    survey = surveyed(octets, size)
    assert survey == surveyed(octets), "any cut of the octets gives the same"
    proof = prove(octets, who)
    assert (proof.refused, len(proof.proven)) == ({}, len(texts))
    for found in survey.structures:  # what was put in stands around what was there
        if found.level is Level.MESSAGE and level is Level.MESSAGE:
            assert octets[found.body.start : found.body.end] in plain


@settings(max_examples=60, deadline=None)
@given(kind=st.sampled_from(["p256", "ed25519"]), data=st.data())
def test_any_changed_octet_is_found(kind: str, data: st.DataObject) -> None:
    """Whatever octet up to the last trailer is changed: the message is not proven, or it was none of those."""
    who = party("signer", kind)
    octets = syntax.secure(interchange(), Signer(who))
    end = surveyed(octets).structures[1].inner.end
    at = data.draw(st.integers(0, end - 1))
    other = data.draw(st.integers(0, 255).filter(lambda o: o != octets[at]))
    changed = octets[:at] + bytes([other]) + octets[at + 1 :]
    assert not prove(changed, who).proven


def test_every_changed_octet_is_found() -> None:
    octets = syntax.secure(interchange(message(text="A")), Signer(party("trader")))
    end = surveyed(octets).structures[1].inner.end
    for at in range(end):
        for bit in (1, 0x20, 0x80):
            changed = octets[:at] + bytes([octets[at] ^ bit]) + octets[at + 1 :]
            assert not prove(changed).proven, (at, changed)


def test_line_ends_between_segments_are_signed_as_sent() -> None:
    plain = interchange().replace(b"'", b"'\r\n").replace(b"?'\r\n", b"?'")
    octets = syntax.secure(plain, Signer(party("trader")))
    assert prove(octets).proven
    at = octets.index(b"\r\nFTX")
    assert not prove(octets[:at] + octets[at + 2 :]).proven


def test_messages_larger_than_a_piece() -> None:
    segments = message().segments
    text = [s for s in segments if s.tag == "FTX"] * 9_000
    large = replace(message(), segments=(*segments, *text))
    octets = syntax.secure(interchange(large, message("2")), Signer(party("trader")))
    assert len(octets) > 3 * 65_536
    assert sorted(prove(octets).proven) == [1, 2]
    spans = surveyed(octets, 997).structures[1].groups[0].covered
    assert spans == surveyed(octets).structures[1].groups[0].covered


# Layers.


def test_a_countersignature_is_the_carriers() -> None:
    inner = syntax.secure(interchange(*TWO), Signer(party("trader")))
    octets = syntax.secure(inner, Signer(party("van"), Manner(scope="2")))
    verified = attest(octets, prove(octets))
    assert "trader" in verified.signer.subject
    assert verified.carrier is not None
    assert "van" in verified.carrier.subject
    assert verified.carrier_proof.certificates[0] == kit.der(party("van"))


def test_the_interchange_may_be_the_carriers() -> None:
    inner = syntax.secure(interchange(*TWO), Signer(party("trader")))
    octets = syntax.secure(inner, Signer(party("van")), Level.INTERCHANGE)
    verified = attest(octets, prove(octets))
    assert "trader" in verified.signer.subject
    assert verified.carrier is not None
    assert "van" in verified.carrier.subject


def test_a_group_is_signed_as_one() -> None:
    groups = [
        syntax.OutGroup("G1", ("A",), ("B",), TWO, "CUSCAR", "UN", ("D", "95B")),
        syntax.OutGroup("G2", ("A",), ("B",), TWO, "CUSCAR", "UN", ("D", "95B")),
    ]
    octets = syntax.secure(interchange(*groups), Signer(party("trader")), Level.GROUP)  # type: ignore[arg-type]
    assert sorted(prove(octets).proven) == [1, 2, 3, 4]
    changed = octets.replace(b"UNG+CUSCAR+A+B+", b"UNG+CUSCAR+C+B+", 1)
    proof = prove(changed)
    assert (sorted(proof.proven), codes(proof, 1)) == ([3, 4], ["SIG422"])


def test_the_same_signer_may_sign_twice() -> None:
    octets = syntax.secure(syntax.secure(interchange(), Signer(party("trader"))), Signer(party("trader")))
    verified = attest(octets, prove(octets))
    assert verified.carrier is None


# Certificates.


NAMES = {
    "serial": lambda c: f"{c.serial_number:X}",
    "small": lambda c: f"000{c.serial_number:x}",
    "decimal": lambda c: str(c.serial_number),
    "fingerprint": lambda c: c.fingerprint(kit.HASHES["sha256"]).hex()[:35],
    "key id": lambda c: c.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest.hex()[
        :32
    ],
}


@pytest.mark.parametrize("form", NAMES)
@pytest.mark.parametrize("place", ["0536", "0538"])
def test_ways_to_name_a_certificate(form: str, place: str) -> None:
    """Of many certificates, because names that begin with zeros are as good as others."""
    for number in range(20):
        who = party(f"many {number}")
        name = NAMES[form](who.certificate)

        def rename(group: kit.SecurityGroup, name: str = name) -> kit.SecurityGroup:
            named = group.certificates[0]
            owner, issuer = named.parties
            issuer = replace(issuer, id="EDIFACT authority", list="ZZZ")
            owner = owner if place == "0536" else replace(owner, key=name)
            named = replace(named, reference=name if place == "0536" else "", parties=(owner, issuer))
            return replace(group, certificates=(named,))

        octets = syntax.secure(interchange(), Signer(who, header=rename))
        assert prove(octets, who, party("trader")).proven, name


def test_a_name_with_another_issuer_names_nobody() -> None:
    who = party("trader")

    def rename(group: kit.SecurityGroup) -> kit.SecurityGroup:
        named = group.certificates[0]
        issuer = replace(named.parties[1], id="Another authority")
        named = replace(named, reference=f"{who.certificate.serial_number:x}", parties=(issuer,))
        return replace(group, certificates=(named,))

    assert codes(prove(syntax.secure(interchange(), Signer(who, header=rename)))) == ["SIG415"]


def test_a_certificate_travels_in_a_package() -> None:
    who = party("unmet")
    carried = syntax.OutPackage("C1", (("1", "signer"),), (("62", "X509"),), kit.der(who))
    octets = syntax.secure(interchange(message(), carried), Signer(who))  # type: ignore[arg-type]
    assert codes(prove(octets.replace(b"62:X509", b"12:X509"))) == ["SIG415"]
    assert prove(octets).proven


# Profiles.


def test_sha1_needs_a_legacy_profile_and_is_recorded() -> None:
    who = party("old", "rsa")
    octets = syntax.secure(interchange(), Signer(who, algorithm="rsa-sha1"))
    assert codes(prove(octets, who)) == ["SIG437", "SIG006"]
    until = NOW.date() + timedelta(days=1)
    admits = Policy(legacy=(Legacy("old line", until),))
    assert attest(octets, prove(octets, who, policy=admits)).signer.profile == "old line"
    ended = Policy(legacy=(Legacy("old line", NOW.date() - timedelta(days=1)),))
    assert codes(prove(octets, who, policy=ended)) == ["SIG437", "SIG101"]


def test_ripemd_160_needs_a_legacy_profile() -> None:
    """Nothing makes it any more: the signature is made by hand (RFC 8017, 9.2)."""
    who = party("old", "rsa")
    info = bytes.fromhex("3021300906052b2403020105000414")

    class Older(Signer):
        def sign(self, group: kit.SecurityGroup, covered: object) -> kit.SecurityGroup:
            digest = kit.hashlib.new("ripemd160", b"".join(covered)).digest()  # type: ignore[call-overload]
            size = 2048 // 8
            padded = b"\0\1" + b"\xff" * (size - 3 - len(info) - 20) + b"\0" + info + digest
            numbers = who.key.private_numbers()
            value = pow(int.from_bytes(padded, "big"), numbers.d, numbers.public_numbers.n)
            return replace(group, values=(("1", value.to_bytes(size, "big").hex().upper()),))

    def rename(group: kit.SecurityGroup) -> kit.SecurityGroup:
        method = replace(group.methods[0], algorithm="14", algorithm_list="1")
        return replace(group, methods=(method,))

    octets = syntax.secure(interchange(), Older(who, header=rename))
    assert codes(prove(octets, who)) == ["SIG437", "SIG006"]
    legacy = Legacy("1998", NOW.date(), frozenset({"rsa-ripemd160"}), frozenset({"ripemd160"}))
    assert attest(octets, prove(octets, who, policy=Policy(legacy=(legacy,)))).signer.profile == "1998"
    spoilt = octets.replace(b"MAN1", b"MAN2")
    assert codes(prove(spoilt, who, policy=Policy(legacy=(legacy,)))) == ["SIG417"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('name = "x"\n[digests]\nsha257 = ["A", "ZZZ"]', "sha257"),
        ('[digests]\nsha256 = ["A", "ZZZ"]\nsha384 = ["A", "ZZZ"]', "same codes"),
        ("name = ", "edifact.toml"),
        ("name = 5", "edifact.toml"),
    ],
)
def test_a_broken_profile_is_told(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "edifact.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=said):
        EdifactProfile.load(path)


def test_the_empty_profile_admits_nothing() -> None:
    octets = syntax.secure(interchange(), Signer(party("trader")))
    assert not prove(octets, profile=EdifactProfile()).proven


# Not bound to the headers before it.


def _unbound(group: kit.SecurityGroup) -> kit.SecurityGroup:
    return replace(group, methods=(replace(group.methods[0], parameters=()),))


def test_a_loose_signature_is_taken_by_a_loose_profile_alone() -> None:
    octets = syntax.secure(interchange(), Signer(party("trader"), header=_unbound))
    assert codes(prove(octets)) == ["SIG421"]
    proof = prove(octets, profile=kit.LOOSE)
    assert sorted(proof.proven) == [1]
    assert proof.claim.startswith("USH:"), "what stands for it is what was signed, for its references are not"
    assert prove(octets.replace(b"+R1'", b"+R2'"), profile=kit.LOOSE).claim == proof.claim


def test_loose_signatures_travel_alone() -> None:
    octets = syntax.secure(interchange(*TWO), Signer(party("trader"), header=_unbound))
    proof = prove(octets, profile=kit.LOOSE)
    assert (codes(proof, 1), codes(proof, 2)) == (["SIG427"], ["SIG427"])


@pytest.mark.parametrize("how", [{"separators": Separators(component="|", repetition="*")}, {}])
def test_a_loose_signature_leaves_no_doubt_how_to_read(how: dict[str, Separators]) -> None:
    text = "O" if how else "ÖL"
    octets = syntax.secure(interchange(message(text=text), **how), Signer(party("trader"), header=_unbound))
    assert codes(prove(octets, profile=kit.LOOSE)) == ["SIG427"]


# What cannot be secured.


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        (b"", "no interchange"),
        (b"nothing like it", "no interchange"),
        (kit.HEAD.encode().replace(b":4+", b":3+") + b"UNH+1+CUSCAR:D:95B:UN'UNT+2+1'UNZ+1+R1'", "syntax 4"),
        (kit.HEAD.encode() + b"UNZ+0+R1'", "no message"),
        (kit.HEAD.encode() + b"UNH+1+CUSCAR:D:95B:UN'BGM+85'UNZ+1+R1'", "cannot be secured"),
        (kit.HEAD.encode() + b"UNH+1+CUSCAR:D:95B:UN'USH+1+1'UNT+3+1'UNZ+1+R1'", "cannot be secured"),
    ],
)
def test_what_cannot_be_secured_is_told(octets: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        syntax.secure(octets, Signer(party("trader")))


def test_messages_that_are_not_there_and_groups_under_an_autack() -> None:
    with pytest.raises(ValueError, match="no message"):
        syntax.secure(interchange(), Signer(party("trader")), ordinals=(7,))
    grouped = interchange(syntax.OutGroup("G1", ("A",), ("B",), TWO, "CUSCAR", "UN", ("D", "95B")))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="without groups"):
        syntax.refer(grouped, Signer(party("trader"), Manner("7", "3")))
    with pytest.raises(ValueError, match="filter"):
        Signer(party("trader"), Manner(filter="5"))
    with pytest.raises(ValueError, match="no codes"):
        Signer(party("trader"), profile=EdifactProfile())


def test_a_signature_that_0560_cannot_hold() -> None:
    from gateway.security.edifact.filters import filtered

    assert len(filtered(bytes(512), "2")) == 1_024
    with pytest.raises(ValueError, match="1024"):
        filtered(bytes(513), "2")
    assert len(filtered(bytes(768), "7")) == 1_024


# Outside judges.


@pytest.mark.parametrize(
    ("kind", "algorithm", "options"),
    [
        ("rsa", "", ["-sha256"]),
        (
            "rsa",
            "rsa-pss-sha256",
            ["-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32"],
        ),
        ("p256", "", ["-sha256"]),
        ("p521", "", ["-sha512"]),
    ],
)
@pytest.mark.parametrize("scope", ["1", "2"])
def test_openssl_verifies_the_octets_that_we_name(
    tmp_path: Path, kind: str, algorithm: str, options: list[str], scope: str
) -> None:
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    openssl, who = judge("openssl"), party("signer", kind)
    octets = syntax.secure(interchange(), Signer(who, Manner(scope=scope), algorithm=algorithm))
    (group,) = surveyed(octets).structures[1].groups
    values = [bytes.fromhex(value) for _, value in group.values]
    numbers = [int.from_bytes(value, "big") for value in values]
    (tmp_path / "value").write_bytes(values[0] if kind == "rsa" else encode_dss_signature(*numbers))
    (tmp_path / "octets").write_bytes(b"".join(octets[s.start : s.end] for s in group.covered))
    public = who.certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key").write_bytes(public)
    names = ("-verify", tmp_path / "key", "-signature", tmp_path / "value", tmp_path / "octets")
    command = [openssl, "dgst", *options, *map(str, names)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert b"USH+" in (tmp_path / "octets").read_bytes()


def test_openssl_verifies_ed25519_on_the_digest(tmp_path: Path) -> None:
    openssl, who = judge("openssl"), party("signer", "ed25519")
    octets = syntax.secure(interchange(), Signer(who))
    (group,) = surveyed(octets).structures[1].groups
    covered = b"".join(octets[s.start : s.end] for s in group.covered)
    (tmp_path / "digest").write_bytes(kit.hashlib.sha512(covered).digest())
    (tmp_path / "value").write_bytes(bytes.fromhex(group.values[0][1]))
    public = who.certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key").write_bytes(public)
    names = ["-inkey", tmp_path / "key", "-in", tmp_path / "digest", "-sigfile", tmp_path / "value"]
    command = [openssl, "pkeyutl", "-verify", "-pubin", "-rawin", *map(str, names)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
