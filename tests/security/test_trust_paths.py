"""Names and policies down a path: judged by OpenSSL and by another path validator, chain by chain."""

from __future__ import annotations

import asyncio
import ipaddress
import subprocess
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.security import Policy, Refused, Trust
from gateway.security.certificates.signer_id import SignerId

from .authorities import Party
from .longlist import tlv
from .signing_kit import NOW

certvalidator = pytest.importorskip("pyhanko_certvalidator")

KEYS = [ec.generate_private_key(ec.SECP256R1()) for _ in range(4)]
"""The same for every made chain: what is tried are extensions, not keys."""

ANY = "2.5.29.32.0"
Names = x509.SubjectAlternativeName


def dn(text: str) -> x509.DirectoryName:
    return x509.DirectoryName(x509.Name.from_rfc4514_string(text))


def net(text: str) -> x509.IPAddress:
    return x509.IPAddress(ipaddress.ip_network(text))


def host(text: str) -> x509.IPAddress:
    return x509.IPAddress(ipaddress.ip_address(text))


DNS, MAIL, URI = x509.DNSName, x509.RFC822Name, x509.UniformResourceIdentifier


def limits(permitted: Sequence[Any] = (), excluded: Sequence[Any] = ()) -> tuple[x509.NameConstraints, bool]:
    return x509.NameConstraints(list(permitted) or None, list(excluded) or None), True


def chain(
    *authorities: Sequence[tuple[x509.ExtensionType, bool]],
    leaf: Sequence[tuple[x509.ExtensionType, bool]] = (),
    subject: str = "CN=A signer,O=Trade,C=VN",
) -> list[Party]:
    """The root first, the end entity last; one authority below the root for each list of extensions."""
    made = [Party("CN=The root", ca=True, key=KEYS[0])]
    for number, extra in enumerate(authorities):
        made.append(
            Party(f"CN=Authority {number},O=Trade,C=VN", made[-1], ca=True, key=KEYS[number + 1], extra=extra)
        )
    made.append(Party(subject, made[-1], key=KEYS[-1], extra=leaf))
    return made


def ours(made: Sequence[Party], policies: frozenset[str] = frozenset(), **policy: Any) -> str:
    trust = Trust([made[0].certificate])
    bundle = tuple(p.der for p in made[:0:-1])
    try:
        trust.certify(bundle, Policy(certificate_policies=policies, **policy), NOW)
    except Refused as refused:
        return refused.code
    return ""


def openssl(made: Sequence[Party], policies: frozenset[str] = frozenset()) -> bool:
    with tempfile.TemporaryDirectory() as folder:

        def pem(name: str, parties: Sequence[Party]) -> str:
            path = Path(folder) / name
            path.write_bytes(b"".join(p.certificate.public_bytes(Encoding.PEM) for p in parties))
            return str(path)

        # Without a word on it, OpenSSL wants a policy that the user named; RFC 5280, 6.1.1 c: any will do.
        asked = [word for policy in sorted(policies or {ANY}) for word in ("-policy", policy)]
        done = subprocess.run(
            [
                *(
                    "openssl",
                    "verify",
                    "-attime",
                    str(int(NOW.timestamp())),
                    "-CAfile",
                    pem("root", made[:1]),
                ),
                *(("-untrusted", pem("middle", made[1:-1])) if made[1:-1] else ()),
                *(
                    "-policy_check",
                    *(("-explicit_policy",) if policies else ()),
                    *asked,
                    pem("leaf", made[-1:]),
                ),
            ],
            capture_output=True,
            check=False,
        )
        return done.returncode == 0


def other_validator(made: Sequence[Party], policies: frozenset[str] = frozenset()) -> bool:
    from asn1crypto import x509 as asn1
    from pyhanko_certvalidator import CertificateValidator, ValidationContext
    from pyhanko_certvalidator.errors import ValidationError
    from pyhanko_certvalidator.policy_decl import PKIXValidationParams

    certificates = [asn1.Certificate.load(p.der) for p in made]
    context = ValidationContext(
        trust_roots=certificates[:1], moment=NOW, allow_fetching=False, revocation_mode="soft-fail"
    )
    asked = {"user_initial_policy_set": policies, "initial_explicit_policy": True} if policies else {}
    validator = CertificateValidator(
        certificates[-1],
        certificates[1:-1],
        validation_context=context,
        pkix_params=PKIXValidationParams(**asked),
    )
    try:
        asyncio.run(validator.async_validate_usage(set()))
    except ValidationError:
        return False
    return True


# -- name constraints -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bound", "name", "fine"),
    [
        (limits([dn("O=Trade,C=VN")]), None, True),
        (limits([dn("O=tRADE,C=VN")]), None, True),
        (limits([dn("O=Else,C=VN")]), None, False),
        (limits(excluded=[dn("O=Trade,C=VN")]), None, False),
        (limits([DNS("example.vn")]), DNS("host.example.vn"), True),
        (limits([DNS("example.vn")]), DNS("EXAMPLE.vn"), True),
        (limits([DNS("example.vn")]), DNS("badexample.vn"), False),
        (limits(excluded=[DNS("example.vn")]), DNS("a.b.example.vn"), False),
        (limits([DNS("example.vn")]), MAIL("a@else.vn"), True),  # another form is not bound
        (limits([MAIL("example.vn")]), MAIL("a@example.vn"), True),
        (limits([MAIL("example.vn")]), MAIL("a@host.example.vn"), False),
        (limits([MAIL(".example.vn")]), MAIL("a@host.example.vn"), True),
        (limits([MAIL(".example.vn")]), MAIL("a@example.vn"), False),
        (limits([MAIL("a@example.vn")]), MAIL("a@EXAMPLE.vn"), True),
        (limits([MAIL("a@example.vn")]), MAIL("b@example.vn"), False),
        (limits(excluded=[MAIL("example.vn")]), MAIL("a@example.vn"), False),
        (limits([URI("example.vn")]), URI("https://example.vn:8443/x"), True),
        (limits([URI("example.vn")]), URI("https://host.example.vn/x"), False),
        (limits([URI(".example.vn")]), URI("https://host.example.vn/x"), True),
        (limits(excluded=[URI(".example.vn")]), URI("https://host.example.vn"), False),
        (limits([net("10.0.0.0/8")]), host("10.1.2.3"), True),
        (limits([net("10.0.0.0/8")]), host("11.1.2.3"), False),
        (limits([net("10.0.0.0/8")]), host("2001:db8::1"), False),
        (limits(excluded=[net("2001:db8::/32")]), host("2001:db8::1"), False),
    ],
)
def test_names_within_bounds(bound: Any, name: Any, fine: bool) -> None:
    made = chain([bound], leaf=[(Names([name]), False)] if name is not None else ())
    assert ours(made) == ("" if fine else "SIG311")
    assert openssl(made) is fine
    if not isinstance(name, x509.IPAddress | x509.UniformResourceIdentifier | x509.RFC822Name):
        assert other_validator(made) is fine  # which knows no bounds of addresses, and mail otherwise


def test_what_cannot_be_compared_is_refused() -> None:
    upn = x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x01a")
    made = chain([limits([upn])], leaf=[(Names([upn]), False)])
    assert ours(made) == "SIG312"
    assert openssl(made) is False
    assert ours(chain([limits([upn])], leaf=[(Names([DNS("a.vn")]), False)])) == ""
    by_address = chain([limits([URI("example.vn")])], leaf=[(Names([URI("https://10.0.0.1/")]), False)])
    assert ours(by_address) == "SIG312"


def test_mail_addresses_in_the_subject_count() -> None:
    made = chain([limits([MAIL("example.vn")])])
    subject = [(NameOID.COMMON_NAME, "A signer"), (NameOID.EMAIL_ADDRESS, "a@else.vn")]
    leaf = made[-1]
    leaf.certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(oid, text) for oid, text in subject]))
        .issuer_name(made[-2].name)
        .public_key(leaf.key.public_key())
        .serial_number(77)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=9))
        .sign(made[-2].key, hashes.SHA256())
    )
    leaf.der = leaf.certificate.public_bytes(Encoding.DER)
    assert ours(made) == "SIG311"
    assert openssl(made) is False


def test_bounds_of_all_authorities_hold_together() -> None:
    wide, narrow = limits([DNS("example.vn")]), limits([DNS("trade.example.vn")])

    def fine(name: str, *bounds: Any) -> str:
        made = chain(*([b] for b in bounds), leaf=[(Names([DNS(name)]), False)])
        assert openssl(made) is other_validator(made) is (ours(made) == "")
        return ours(made)

    assert fine("a.trade.example.vn", wide, narrow) == fine("a.trade.example.vn", narrow, wide) == ""
    assert fine("b.example.vn", wide, narrow) == fine("b.example.vn", narrow, wide) == "SIG311"


_bases = st.sampled_from(["vn", "example.vn", "trade.vn", "a.example.vn"])
_hosts = st.sampled_from(
    ["example.vn", "a.example.vn", "b.a.example.vn", "trade.vn", "xtrade.vn", "b.trade.vn"]
)
_bounds = st.one_of(
    _bases.map(DNS),
    st.sampled_from(["O=Trade,C=VN", "C=VN", "O=Else,C=VN", "O=Trade"]).map(dn),
    st.sampled_from(["10.0.0.0/8", "10.1.0.0/16", "192.168.0.0/16"]).map(net),
)
_names = st.one_of(_hosts.map(DNS), st.sampled_from(["10.1.1.1", "10.2.1.1", "192.168.1.1"]).map(host))
_limits = st.tuples(st.lists(_bounds, max_size=3), st.lists(_bounds, max_size=2)).filter(any)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(_limits, max_size=2),
    st.lists(_names, max_size=3, unique_by=str),
    st.sampled_from(["CN=A signer,O=Trade,C=VN", "CN=A signer,C=VN", "O=Trade"]),
)
def test_made_names_are_judged_alike(bounds: Any, names: Any, subject: str) -> None:
    made = chain(
        *([limits(p, e)] for p, e in bounds), leaf=[(Names(names), False)] if names else (), subject=subject
    )
    mine = ours(made)
    assert mine in ("", "SIG311")
    assert (mine == "") is openssl(made), (bounds, names)
    if not any(isinstance(b, x509.IPAddress) for p, e in bounds for b in (*p, *e)):
        assert (mine == "") is other_validator(made), (bounds, names)


# -- policies ---------------------------------------------------------------------------------------------

GOLD, SILVER, LOCAL = "1.3.6.1.4.1.99999.1", "1.3.6.1.4.1.99999.2", "1.3.6.1.4.1.99999.3"


def carries(*policies: str) -> tuple[x509.ExtensionType, bool]:
    return x509.CertificatePolicies(
        [x509.PolicyInformation(x509.ObjectIdentifier(p), None) for p in policies]
    ), False


def equates(*pairs: tuple[str, str]) -> tuple[x509.ExtensionType, bool]:
    rows = b"".join(tlv(0x30, _oid(issuer) + _oid(subject)) for issuer, subject in pairs)
    return x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.33"), tlv(0x30, rows)), True


def _oid(text: str) -> bytes:
    """DER of an object identifier."""
    first, second, *rest = (int(n) for n in text.split("."))
    content = b""
    for number in (first * 40 + second, *rest):
        groups = [number & 0x7F]
        while number := number >> 7:
            groups.append(number & 0x7F | 0x80)
        content += bytes(reversed(groups))
    return tlv(0x06, content)


def constrained(explicit: int | None = None, mapping: int | None = None) -> tuple[x509.ExtensionType, bool]:
    return x509.PolicyConstraints(explicit, mapping), True


@pytest.mark.parametrize(
    ("authority", "leaf", "wanted", "fine"),
    [
        ([], [], {GOLD}, False),
        ([carries(GOLD)], [carries(GOLD)], {GOLD}, True),
        ([carries(ANY)], [carries(GOLD)], {GOLD}, True),
        ([carries(GOLD)], [carries(ANY)], {GOLD}, True),
        ([carries(ANY)], [carries(ANY)], {GOLD}, True),
        ([carries(GOLD)], [carries(SILVER)], {GOLD}, False),
        ([carries(SILVER)], [carries(GOLD)], {GOLD}, False),
        ([carries(GOLD)], [], {GOLD}, False),
        ([carries(GOLD, SILVER)], [carries(SILVER)], {GOLD, SILVER}, True),
        ([carries(GOLD), (x509.InhibitAnyPolicy(0), True)], [carries(ANY)], {GOLD}, False),
        ([carries(ANY), (x509.InhibitAnyPolicy(1), True)], [carries(ANY)], {GOLD}, True),
        ([carries(GOLD), equates((GOLD, LOCAL))], [carries(LOCAL)], {GOLD}, True),
        ([carries(GOLD), equates((GOLD, LOCAL))], [carries(GOLD)], {GOLD}, False),
        ([carries(ANY), equates((GOLD, LOCAL))], [carries(LOCAL)], {GOLD}, True),
        ([carries(GOLD), equates((GOLD, LOCAL)), constrained(mapping=0)], [carries(LOCAL)], {GOLD}, True),
        ([constrained(explicit=0)], [], set(), False),
        ([constrained(explicit=0), carries(GOLD)], [carries(GOLD)], set(), True),
        ([constrained(explicit=0), carries(GOLD)], [carries(SILVER)], set(), False),
        ([carries(GOLD)], [carries(SILVER)], set(), True),
    ],
)
def test_policies_down_the_path(authority: Any, leaf: Any, wanted: set[str], fine: bool) -> None:
    made = chain(authority, leaf=leaf)
    assert ours(made, frozenset(wanted)) == ("" if fine else "SIG310")
    assert openssl(made, frozenset(wanted)) is fine
    assert other_validator(made, frozenset(wanted)) is fine


def test_a_mapping_of_any_policy_is_none() -> None:
    made = chain([carries(ANY), equates((ANY, LOCAL))], leaf=[carries(LOCAL)])
    assert ours(made) == "SIG029"
    assert openssl(made) is False


_carried = st.lists(st.sampled_from([GOLD, SILVER, LOCAL, ANY]), max_size=3, unique=True)


@st.composite
def _authority(draw: st.DrawFn) -> list[tuple[x509.ExtensionType, bool]]:
    made = []
    if carried := draw(_carried):
        made.append(carries(*carried))
        pairs = st.tuples(st.sampled_from([GOLD, SILVER]), st.sampled_from([SILVER, LOCAL, GOLD]))
        if mapped := draw(st.lists(pairs, max_size=2, unique=True)):
            made.append(equates(*mapped))
    if draw(st.booleans()):
        explicit, mapping = draw(
            st.sampled_from([(0, None), (1, None), (None, 0), (0, 0), (None, 1), (2, None)])
        )
        made.append(constrained(explicit, mapping))
    if draw(st.booleans()):
        made.append((x509.InhibitAnyPolicy(draw(st.integers(0, 1))), True))
    return made


@settings(max_examples=80, deadline=None)
@given(
    st.lists(_authority(), min_size=1, max_size=2),
    _carried,
    st.frozensets(st.sampled_from([GOLD, SILVER]), max_size=2),
)
def test_made_policies_are_judged_alike(authorities: Any, leaf: list[str], wanted: frozenset[str]) -> None:
    made = chain(*authorities, leaf=[carries(*leaf)] if leaf else ())
    mine = ours(made, wanted)
    assert mine in ("", "SIG310")
    assert (mine == "") is other_validator(made, wanted)
    if (mine == "") is not openssl(made, wanted):
        # OpenSSL 3.0 follows a mapping out of an anyPolicy that was inhibited; RFC 5280, 6.1.3 d does not.
        kinds = {type(e) for authority in authorities for e, _ in authority}
        assert mine == "SIG310"
        assert {x509.UnrecognizedExtension, x509.InhibitAnyPolicy} <= kinds


# -- cross-certification, keys, purposes, time ---------------------------------------------------------------


def test_cross_certified_authorities() -> None:
    """An authority of a network that we pin certified the root of another: its signers reach our anchor."""
    ours_root, theirs = Party("CN=Our root", ca=True), Party("CN=Their root", ca=True)
    cross = Party("CN=Their root", ours_root, ca=True, key=theirs.key)
    back = Party("CN=Our root", theirs, ca=True, key=ours_root.key)
    leaf = Party("CN=Importer", theirs)
    trust = Trust([ours_root.certificate])
    for bundle in ([leaf, cross], [leaf, theirs, back, cross], [leaf, theirs, cross, back]):
        found = trust.certify(tuple(p.der for p in bundle), Policy(), NOW, _named(leaf))
        assert found.certificates == (leaf.der, cross.der, ours_root.der)
    bound = Party("CN=Their root", ours_root, ca=True, key=theirs.key, extra=[limits([dn("C=LA")])])
    with pytest.raises(Refused) as refused:
        trust.certify((leaf.der, bound.der), Policy(), NOW)
    assert refused.value.code == "SIG311"
    both = trust.certify((leaf.der, bound.der, cross.der), Policy(), NOW, _named(leaf))
    assert both.certificates[1] == cross.der  # one path is closed, the other is not


def _named(leaf: Party) -> SignerId:
    return SignerId(issuer=leaf.certificate.issuer.public_bytes(), serial=leaf.serial)


@pytest.mark.parametrize(
    ("key", "digest"),
    [
        (lambda: ed25519.Ed25519PrivateKey.generate(), None),
        (lambda: ec.generate_private_key(ec.SECP384R1()), hashes.SHA3_384()),
        (lambda: rsa.generate_private_key(65537, 2048), hashes.SHA3_512()),
    ],
    ids=["ed25519", "ecdsa-sha3", "rsa-sha3"],
)
def test_newer_algorithms(key: Any, digest: Any) -> None:
    root = Party("CN=The root", ca=True, key=key(), digest=digest)
    made = [root, Party("CN=a", root, key=key(), digest=digest)]
    assert ours(made) == ""
    if not isinstance(digest, hashes.SHA3_384):  # OpenSSL 3.0 has no name for ECDSA with SHA-3
        assert openssl(made)


def test_an_authority_for_other_purposes() -> None:
    web = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    mail = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
    assert ours(chain([(web, False)])) == "SIG029"
    assert ours(chain([(mail, False)])) == ""


_day = st.sampled_from([-3, -2, -1, 1, 2, 3])  # at notAfter itself OpenSSL is stricter than RFC 5280, 4.1.2.5
_window = st.tuples(_day, _day).filter(lambda days: days[0] < days[1])


@settings(max_examples=30, deadline=None)
@given(_window, _window)
def test_times_are_judged_alike(middle: tuple[int, int], leaf: tuple[int, int]) -> None:
    root = Party("CN=The root", ca=True, key=KEYS[0])
    authority = Party("CN=Authority", root, ca=True, key=KEYS[1], days=middle)
    made = [root, authority, Party("CN=a", authority, key=KEYS[2], days=leaf)]
    assert (ours(made) == "") is openssl(made)
