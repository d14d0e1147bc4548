"""Chains to pinned anchors, each fault with its own finding; OpenSSL agrees on every chain."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.model import Partner, Register
from gateway.security import Policy, Refused, SigningKey, Trust, subject_of
from gateway.security.certificates.signer_id import SignerId

from .authorities import Party
from .signing_kit import FAST, NOW, World, judge, run

LEAF_USE = {"digital_signature": True, "content_commitment": True}
CA_USE = {"key_cert_sign": True, "crl_sign": True}
KINDS = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Maker:
    """Makes certificates of any shape; keys are EC unless given."""

    def __init__(self, text: str, *, ca: bool = True, issuer: Maker | None = None, **how: object) -> None:
        self.name = name(text)
        self.key = how.pop("key", None) or ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._make(issuer or self, ca, **how)  # type: ignore[arg-type]
        self.der = self.certificate.public_bytes(Encoding.DER)

    def _make(
        self,
        issuer: Maker,
        ca: bool,
        *,
        use: dict[str, bool] | None = None,
        path_length: int | None = None,
        days: tuple[int, int] = (-1, 365),
        digest: hashes.HashAlgorithm | None = hashes.SHA256(),  # noqa: B008
        extra: tuple[tuple[x509.ExtensionType, bool], ...] = (),
        constraints: bool = True,
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(issuer.name)
            .public_key(self.key.public_key())  # type: ignore[attr-defined]
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW + timedelta(days=days[0]))
            .not_valid_after(NOW + timedelta(days=days[1]))
        )
        if constraints:
            builder = builder.add_extension(x509.BasicConstraints(ca, path_length), critical=True)
        use = (CA_USE if ca else LEAF_USE) if use is None else use
        if use:
            flags = {kind: use.get(kind, False) for kind in KINDS}
            builder = builder.add_extension(x509.KeyUsage(**flags), critical=True)
        for extension, critical in extra:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(issuer.key, digest)  # type: ignore[arg-type]


def chain_code(trust: Trust, *certificates: Maker, policy: Policy = FAST, now: datetime = NOW) -> str:
    """The code that a bundle is refused with, or "" where it is trusted."""
    try:
        trust.certify(tuple(m.der for m in certificates), policy, now)
    except Refused as refusal:
        return refusal.code
    return ""


@pytest.fixture(scope="module")
def root() -> Maker:
    return Maker("Root")


@pytest.fixture(scope="module")
def middle(root: Maker) -> Maker:
    return Maker("Middle", issuer=root)


@pytest.fixture(scope="module")
def anchored(root: Maker) -> Trust:
    return Trust([root.certificate])


def test_direct_and_longer_chains(root: Maker, middle: Maker, anchored: Trust) -> None:
    assert chain_code(anchored, Maker("a", ca=False, issuer=root)) == ""
    leaf = Maker("b", ca=False, issuer=middle)
    assert chain_code(anchored, leaf, middle) == ""
    assert chain_code(anchored, middle, leaf) == ""
    assert chain_code(anchored, leaf, middle, root) == ""
    chain = anchored.certify((middle.der, leaf.der), FAST, NOW)
    assert chain.certificates == (leaf.der, middle.der, root.der)
    assert chain.signer.subject == "CN=b"
    assert chain.signer.issuer == "CN=Middle"


def test_missing_intermediate_and_unknown_issuer(middle: Maker, anchored: Trust) -> None:
    assert chain_code(anchored, Maker("a", ca=False, issuer=middle)) == "SIG024"
    assert chain_code(anchored, Maker("self", ca=False)) == "SIG024"
    assert chain_code(Trust([]), Maker("self", ca=False)) == "SIG024"


def test_authority_of_the_same_name(anchored: Trust) -> None:
    impostor = Maker("Root")
    assert chain_code(anchored, Maker("a", ca=False, issuer=impostor)) == "SIG025"
    assert chain_code(anchored, Maker("a", ca=False, issuer=impostor), impostor) == "SIG025"


def test_renewed_authority_of_the_same_name(root: Maker) -> None:
    renewed = Maker("Root")
    both = Trust([root.certificate, renewed.certificate])
    assert chain_code(both, Maker("a", ca=False, issuer=renewed)) == ""
    assert chain_code(both, Maker("a", ca=False, issuer=root)) == ""


def test_validity(root: Maker, anchored: Trust) -> None:
    assert chain_code(anchored, Maker("a", ca=False, issuer=root, days=(-10, -1))) == "SIG022"
    assert chain_code(anchored, Maker("a", ca=False, issuer=root, days=(1, 10))) == "SIG023"
    old = Maker("Old", issuer=root, days=(-10, -1))
    assert chain_code(anchored, Maker("a", ca=False, issuer=old), old) == "SIG022"
    assert chain_code(Trust([old.certificate]), Maker("a", ca=False, issuer=old)) == "SIG022"


def test_what_is_remembered_still_ends(root: Maker) -> None:
    trust = Trust([root.certificate])
    leaf = Maker("a", ca=False, issuer=root, days=(-1, 10))
    assert chain_code(trust, leaf) == ""
    assert chain_code(trust, leaf, now=NOW + timedelta(days=11)) == "SIG022"
    assert chain_code(trust, leaf, now=NOW - timedelta(days=2)) == "SIG023"
    assert chain_code(trust, leaf) == ""
    strict = Policy(curves=frozenset({"secp521r1"}))
    assert chain_code(trust, leaf, policy=strict) == "SIG026"


@pytest.mark.parametrize(
    "key",
    [
        lambda: rsa.generate_private_key(65537, 1024),
        lambda: rsa.generate_private_key(3, 2048),
        lambda: ec.generate_private_key(ec.SECP256K1()),
        lambda: ec.generate_private_key(ec.SECP224R1()),
        lambda: ed448.Ed448PrivateKey.generate(),
        lambda: dsa.generate_private_key(2048),
    ],
)
def test_weak_and_other_keys(root: Maker, anchored: Trust, key: Callable[[], object]) -> None:
    assert chain_code(anchored, Maker("a", ca=False, issuer=root, key=key())) == "SIG026"


def test_weak_issuer_key(root: Maker, anchored: Trust) -> None:
    weak = Maker("Weak", issuer=root, key=rsa.generate_private_key(65537, 1024))
    assert chain_code(anchored, Maker("a", ca=False, issuer=weak), weak) == "SIG026"


def test_sha1_certificate(tmp_path: Path, root: Maker, anchored: Trust) -> None:
    tool = judge("openssl")
    key, request = tmp_path / "k.pem", tmp_path / "r.pem"
    from cryptography.hazmat.primitives.serialization import NoEncryption, PrivateFormat

    ca_key, ca = tmp_path / "ca.key", tmp_path / "ca.pem"
    ca_key.write_bytes(root.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))  # type: ignore[attr-defined]
    ca.write_bytes(root.certificate.public_bytes(Encoding.PEM))
    new = (
        tool,
        "req",
        "-new",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        key,
        "-subj",
        "/CN=a",
        "-out",
        request,
    )
    assert run(*new).returncode == 0
    (tmp_path / "ext").write_text("basicConstraints=CA:FALSE\n")
    signed = run(
        tool, "x509", "-req", "-sha1", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial",
        "-extfile", tmp_path / "ext", "-outform", "DER",
    )  # fmt: skip
    assert signed.returncode == 0, signed.stderr
    with pytest.raises(Refused) as caught:
        anchored.certify((signed.stdout,), FAST, NOW + timedelta(days=1))
    assert caught.value.code == "SIG026"


@pytest.mark.parametrize("use", [{"key_encipherment": True}, {"key_agreement": True}, CA_USE])
def test_leaf_usage(root: Maker, anchored: Trust, use: dict[str, bool]) -> None:
    assert chain_code(anchored, Maker("a", ca=False, issuer=root, use=use)) == "SIG027"


@pytest.mark.parametrize("use", [{"digital_signature": True}, {"content_commitment": True}, {}])
def test_leaf_usages_that_sign(root: Maker, anchored: Trust, use: dict[str, bool]) -> None:
    assert chain_code(anchored, Maker("a", ca=False, issuer=root, use=use)) == ""


@pytest.mark.parametrize(
    ("purposes", "code"),
    [
        ([ExtendedKeyUsageOID.EMAIL_PROTECTION], ""),
        ([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.EMAIL_PROTECTION], ""),
        ([ExtendedKeyUsageOID.SERVER_AUTH], "SIG027"),
        ([ExtendedKeyUsageOID.CLIENT_AUTH], "SIG027"),
        ([ExtendedKeyUsageOID.TIME_STAMPING], "SIG027"),
    ],
)
def test_extended_usage(
    root: Maker, anchored: Trust, purposes: list[x509.ObjectIdentifier], code: str
) -> None:
    extra = ((x509.ExtendedKeyUsage(purposes), True),)
    assert chain_code(anchored, Maker("a", ca=False, issuer=root, extra=extra)) == code


def test_an_authority_signs_no_messages(root: Maker, middle: Maker, anchored: Trust) -> None:
    both = Maker("Both", issuer=root, use=LEAF_USE | CA_USE)
    assert chain_code(anchored, both) == "SIG027"
    assert chain_code(anchored, root) == "SIG027"


def test_a_partner_may_be_pinned_by_its_own_certificate() -> None:
    own = Maker("own", ca=False)
    assert chain_code(Trust([own.certificate]), own) == ""
    assert chain_code(Trust([own.certificate]), Maker("a", ca=False, issuer=own)) == "SIG029"
    pinned = Maker("pinned", use=LEAF_USE | CA_USE)
    assert chain_code(Trust([pinned.certificate]), pinned) == ""
    old = Maker("old", ca=False, days=(-10, -1))
    assert chain_code(Trust([old.certificate]), old) == "SIG022"


def test_an_end_entity_issues_nothing(root: Maker, anchored: Trust) -> None:
    leaf = Maker("a", ca=False, issuer=root)
    assert chain_code(anchored, Maker("b", ca=False, issuer=leaf), leaf) == "SIG029"
    silent = Maker("c", issuer=root, constraints=False, use={})
    assert chain_code(anchored, Maker("d", ca=False, issuer=silent), silent) == "SIG029"


def test_issuer_without_key_cert_sign(root: Maker, anchored: Trust) -> None:
    wrong = Maker("Wrong", issuer=root, use={"crl_sign": True})
    assert chain_code(anchored, Maker("a", ca=False, issuer=wrong), wrong) == "SIG029"


def test_path_length(root: Maker) -> None:
    short = Maker("Short", path_length=0)
    trust = Trust([short.certificate])
    assert chain_code(trust, Maker("a", ca=False, issuer=short)) == ""
    below = Maker("Below", issuer=short)
    assert chain_code(trust, Maker("b", ca=False, issuer=below), below) == "SIG029"


def test_depth(root: Maker, anchored: Trust) -> None:
    authorities = [root]
    for number in range(3):
        authorities.append(Maker(f"M{number}", issuer=authorities[-1]))
    at_limit = Maker("a", ca=False, issuer=authorities[2])
    assert chain_code(anchored, at_limit, *authorities[1:3]) == ""
    beyond = Maker("b", ca=False, issuer=authorities[3])
    assert chain_code(anchored, beyond, *authorities[1:]) == "SIG029"


def test_bundles_are_bounded_and_have_one_end(root: Maker, anchored: Trust) -> None:
    leaves = [Maker(f"l{n}", ca=False, issuer=root) for n in range(7)]
    assert chain_code(anchored, *leaves) == "SIG028"
    assert chain_code(anchored, *leaves[:2]) == "SIG028"
    assert chain_code(anchored) == "SIG020"
    assert chain_code(anchored, leaves[0], leaves[0]) == ""


def test_authorities_in_a_circle() -> None:
    first, second = Maker("First"), Maker("Second")
    one = Maker("First", issuer=second, key=first.key)
    two = Maker("Second", issuer=first, key=second.key)
    leaf = Maker("a", ca=False, issuer=one)
    assert chain_code(Trust([Maker("Root").certificate]), leaf, one, two) in ("SIG024", "SIG029")


def test_unknown_critical_extensions(root: Maker, anchored: Trust) -> None:
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
    assert chain_code(anchored, Maker("a", ca=False, issuer=root, extra=((unknown, True),))) == "SIG029"
    assert chain_code(anchored, Maker("b", ca=False, issuer=root, extra=((unknown, False),))) == ""


@pytest.mark.parametrize("octets", [b"", b"0", b"0\x03\x02\x01\x01", b"x" * 20_000])
def test_scraps_are_no_certificates(anchored: Trust, octets: bytes) -> None:
    with pytest.raises(Refused) as caught:
        anchored.certify((octets,), FAST, NOW)
    assert caught.value.code == "SIG021"
    with pytest.raises(Refused):
        subject_of(octets)


def test_signers_named_by_issuer_or_key(root: Maker, anchored: Trust) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    leaf = Maker("a", ca=False, issuer=root, key=key, extra=((own, False),))
    other = Maker("b", ca=False, issuer=root)
    bundle = (leaf.der, other.der)
    by_key = anchored.certify(bundle, FAST, NOW, SignerId(key_id=own.digest))
    by_name = SignerId(issuer=root.name.public_bytes(), serial=leaf.certificate.serial_number)
    assert by_key.signer.subject == anchored.certify(bundle, FAST, NOW, by_name).signer.subject == "CN=a"
    with pytest.raises(Refused) as caught:
        anchored.certify(bundle, FAST, NOW, SignerId(key_id=b"x"))
    assert caught.value.code == "SIG047"


def test_anchors_are_loaded_from_a_folder(tmp_path: Path, world: World, root: Maker) -> None:
    (tmp_path / "a.pem").write_bytes(world.anchor.read_bytes() + root.certificate.public_bytes(Encoding.PEM))
    (tmp_path / "notes.txt").write_text("not a certificate")
    trust = Trust.load(tmp_path)
    assert len(trust.anchors) == 2
    assert chain_code(trust, Maker("a", ca=False, issuer=root)) == ""
    (tmp_path / "b.crt").write_text("nothing")
    with pytest.raises(ValueError, match=r"b\.crt"):
        Trust.load(tmp_path)


def test_subjects_are_rfc4514(world: World) -> None:
    assert subject_of(world.rsa.der) == "CN=rsa,O=Công ty Ánh Dương,C=VN"


def test_openssl_agrees(tmp_path: Path, root: Maker, middle: Maker, anchored: Trust) -> None:
    tool = judge("openssl")
    wrong = Maker("Wrong", issuer=root, use={"crl_sign": True})
    short = Maker("Short", issuer=root, path_length=0)
    below = Maker("Below", issuer=short)
    bound = Maker("Bound", issuer=middle)
    cases = [
        (Maker("a", ca=False, issuer=root),),
        (Maker("b", ca=False, issuer=middle), middle),
        (Maker("c", ca=False, issuer=middle),),
        (Maker("d", ca=False, issuer=Maker("Root")),),
        (Maker("e", ca=False, issuer=root, days=(-10, -1)),),
        (Maker("f", ca=False, issuer=root, days=(1, 10)),),
        (Maker("g", ca=False, issuer=wrong), wrong),
        (Maker("h", ca=False, issuer=below), below, short),
        (Maker("i", ca=False, issuer=bound), bound, middle),
        (Maker("j", ca=False, issuer=cases_leaf(root)), cases_leaf(root)),
    ]
    anchor, leaf, others = tmp_path / "anchor", tmp_path / "leaf", tmp_path / "others"
    anchor.write_bytes(root.certificate.public_bytes(Encoding.PEM))
    for case in cases:
        leaf.write_bytes(case[0].certificate.public_bytes(Encoding.PEM))
        others.write_bytes(
            b"".join(m.certificate.public_bytes(Encoding.PEM) for m in (*case[1:], middle)[:3])
        )
        untrusted = ("-untrusted", others) if case[1:] else ()
        done = run(tool, "verify", "-x509_strict", "-CAfile", anchor, *untrusted, leaf)
        strict = run(tool, "verify", "-CAfile", anchor, *untrusted, leaf)
        assert (chain_code(anchored, *case) == "") == (strict.returncode == 0), (case[0].name, done.stderr)


def cases_leaf(root: Maker) -> Maker:
    """An end entity that issues."""
    return Maker("Leaf", ca=False, issuer=root)


def test_keys_and_certificates_of_the_authority(world: World) -> None:
    certificate = world.rsa.certificate
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature
    assert usage.content_commitment
    assert not usage.key_cert_sign
    assert isinstance(world.rsa.key, SigningKey)


def test_a_partner_that_is_pinned_as_it_is_issues_for_nobody(tmp_path: Path) -> None:
    """By its folder, whatever it says of itself; what openssl makes by itself says cA TRUE."""
    key, shown = tmp_path / "a.key", tmp_path / "partners" / "a.crt"
    shown.parent.mkdir()
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", key, "-out", shown, "-days", "300", "-subj", "/C=VN/CN=Partner A"),
        ],
        check=True,
        capture_output=True,
    )
    pinned = Party("CN=Partner A,C=VN", ca=True, key=load_pem_private_key(key.read_bytes(), None))
    pinned.certificate = x509.load_pem_x509_certificate(shown.read_bytes())
    other = Party("CN=Partner B,C=VN", pinned)
    now, own = datetime.now(UTC), pinned.certificate.public_bytes(Encoding.DER)
    trust = Trust.load(tmp_path)
    assert trust.certify((own,), Policy(), now).signer.subject == "CN=Partner A,C=VN"
    with pytest.raises(Refused) as refused:
        trust.certify((other.der, own), Policy(), now)
    assert refused.value.code == "SIG024"
    register = Register([Partner("a", "A", subjects=("CN=Partner A,C=VN",), active=False)], ())
    loose = Trust([pinned.certificate])
    assert loose.certify((other.der,), Policy(), now).signer.subject == "CN=Partner B,C=VN"
    bound = loose.with_partners(register.owns)
    with pytest.raises(Refused):
        bound.certify((other.der,), Policy(), now)
    assert bound.certify((own,), Policy(), now).signer.subject == "CN=Partner A,C=VN"
    assert bound.with_partners(register.owns) is bound
    assert bound.with_partners(lambda fingerprint, subject: False).certify((other.der,), Policy(), now)
