"""Revocation: what OCSP responses and CRLs are believed, and what is ruled of a chain at a time."""

from __future__ import annotations

import base64
import pickle
import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model import Revocation
from gateway.security import Held, Policy, Refused, Revocations, Trust, relearn
from gateway.security.certificates import asked, keeping
from gateway.security.certificates.crl import RevokedList, read_crl
from gateway.security.certificates.ocsp import read_response
from gateway.security.certificates.revocation import Status, rule
from gateway.security.certificates.statement import Statement, link_of, serial_key

from .authorities import DAY, HOUR, Party, responder, usage
from .longlist import long_crl
from .signing_kit import NOW

REFUSING = Policy(revocation="refuse")
HOLDING = Policy(revocation="hold")
ACCEPTING = Policy(revocation="accept")
COMPROMISED = x509.ReasonFlags.key_compromise
SUPERSEDED = x509.ReasonFlags.superseded
ON_HOLD = x509.ReasonFlags.certificate_hold
REVOKED = ocsp.OCSPCertStatus.REVOKED
UNKNOWN = ocsp.OCSPCertStatus.UNKNOWN


@pytest.fixture(scope="module")
def root() -> Party:
    return Party("CN=Root,C=VN", ca=True)


@pytest.fixture(scope="module")
def leaf(root: Party) -> Party:
    return Party("CN=Importer,C=VN", root)


def code(work: Any, *arguments: object, **named: object) -> str:
    try:
        work(*arguments, **named)
    except Refused as refused:
        return refused.code
    return ""


def snapshot(issuer: Party, *lists: bytes, answers: tuple[bytes, ...] = ()) -> Revocations:
    """A snapshot as the ledger would give it."""
    kept = [asked.keep_list(read_crl(der, issuer.certificate, Policy(), NOW)) for der in lists]
    items = [(k.subject, k.der, k.told) for k in kept]
    for der in answers:
        for key, said in read_response(der, issuer.certificate, Policy(), NOW).statements:
            assert said is not None
            items.append((keeping.answer_subject(key), der, keeping.told_of_answer(said)))
    return relearn(Revocations(), items, 1)


def proven(root: Party, leaf: Party, known: Revocations, policy: Policy = REFUSING, **how: Any) -> Revocation:
    trust = Trust([root.certificate]).with_revocations(known)
    return trust.prove((leaf.der,), policy, how.pop("now", NOW), **how)[1].revocation


# -- the policy when unknown -------------------------------------------------------------------------


def test_off_asks_nothing(root: Party, leaf: Party) -> None:
    known = snapshot(root, root.crl((leaf.serial, NOW - DAY, None)))
    assert proven(root, leaf, known, Policy()) is Revocation.UNCHECKED


def test_what_nobody_knows(root: Party, leaf: Party) -> None:
    trust = Trust([root.certificate])
    assert code(trust.prove, (leaf.der,), REFUSING, NOW) == "SIG301"
    assert trust.prove((leaf.der,), ACCEPTING, NOW)[1].revocation is Revocation.UNKNOWN
    with pytest.raises(Held) as held:
        trust.prove((leaf.der,), HOLDING, NOW)
    assert held.value.code == "SIG302"
    assert held.value.certificates == (leaf.der, root.der)
    again = pickle.loads(pickle.dumps(held.value))
    assert (again.findings, again.certificates) == (held.value.findings, held.value.certificates)


def test_issuers_that_publish_nothing(root: Party, leaf: Party) -> None:
    policy = Policy(revocation="refuse", unchecked=frozenset({root.name.rfc4514_string()}))
    assert proven(root, leaf, Revocations(), policy) is Revocation.UNCHECKED


def test_a_pinned_certificate_is_the_operators_word(leaf: Party) -> None:
    trust = Trust([leaf.certificate])
    assert trust.prove((leaf.der,), REFUSING, NOW)[1].revocation is Revocation.UNCHECKED


def test_every_certificate_below_the_anchor_counts(root: Party) -> None:
    middle = Party("CN=Middle", root, ca=True)
    leaf = Party("CN=Deep", middle)
    trust = Trust([root.certificate])
    of_leaf = snapshot(middle, middle.crl())
    bundle = (leaf.der, middle.der)
    assert code(trust.with_revocations(of_leaf).prove, bundle, REFUSING, NOW) == "SIG301"
    both = of_leaf.learned({}, [read_crl(root.crl(), root.certificate, Policy(), NOW)], 2)
    proof = trust.with_revocations(both).prove(bundle, REFUSING, NOW)[1]
    assert proof.revocation is Revocation.GOOD
    assert len(proof.responses) == 2
    bad = both.learned(
        {},
        [read_crl(root.crl((middle.serial, NOW - DAY, None), number=2), root.certificate, Policy(), NOW)],
        3,
    )
    assert code(trust.with_revocations(bad).prove, bundle, ACCEPTING, NOW) == "SIG300"


# -- CRLs ------------------------------------------------------------------------------------------


def test_good_and_revoked_by_crl(root: Party, leaf: Party) -> None:
    der = root.crl((leaf.serial + 1_000_000, NOW - DAY, None))
    trust = Trust([root.certificate]).with_revocations(snapshot(root, der))
    chain, proof = trust.prove((leaf.der,), REFUSING, NOW)
    assert (proof.revocation, proof.responses) == (Revocation.GOOD, (der,))
    assert proof.certificates == chain.certificates
    known = snapshot(root, root.crl((leaf.serial, NOW - DAY, SUPERSEDED)))
    with pytest.raises(Refused) as refused:
        proven(root, leaf, known, ACCEPTING)
    assert refused.value.code == "SIG300"
    assert "superseded" in refused.value.findings[0].found
    assert leaf.name.rfc4514_string() in refused.value.findings[0].found


def test_crls_that_are_not_believed(root: Party) -> None:
    other = Party("CN=Root,C=VN", ca=True)
    signs_no_crl = Party("CN=NoCrl", ca=True, use=usage("key_cert_sign"))
    policy = Policy()

    def refused(der: bytes, issuer: Party = root) -> str:
        return code(read_crl, der, issuer.certificate, policy, NOW)

    assert refused(root.crl()) == ""
    assert refused(other.crl()) == "SIG332"  # the same name, another key
    assert refused(root.crl(name=x509.Name.from_rfc4514_string("CN=Else"))) == "SIG331"
    assert refused(root.crl(digest=hashes.SHA224())) == "SIG332"
    assert refused(root.crl(at=NOW + HOUR)) == "SIG333"
    assert refused(signs_no_crl.crl(), signs_no_crl) == "SIG335"
    assert refused(b"no list") == "SIG330"
    der = root.crl((5, NOW - DAY, None))
    assert refused(der[:-1]) == "SIG330"
    assert refused(der[:40] + bytes((der[40] ^ 1,)) + der[41:]) in ("SIG330", "SIG331", "SIG332")


def point(**how: object) -> x509.IssuingDistributionPoint:
    flags = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return x509.IssuingDistributionPoint(**{**flags, **how})  # type: ignore[arg-type]


def test_kinds_of_crls_that_are_refused(root: Party) -> None:
    def refused(*extra: Any, entry: Any = ()) -> str:
        der = root.crl((5, NOW - DAY, None), extra=extra, entry_extra=entry)
        return code(read_crl, der, root.certificate, Policy(), NOW)

    assert refused((point(indirect_crl=True), True)) == "SIG334"
    assert refused((point(only_contains_attribute_certs=True), True)) == "SIG334"
    unheard = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    assert refused((unheard, True)) == "SIG334"
    assert refused((unheard, False)) == ""
    others = x509.CertificateIssuer([x509.DirectoryName(x509.Name.from_rfc4514_string("CN=Else"))])
    assert refused(entry=[(others, True)]) == "SIG334"


@pytest.mark.parametrize(("reason", "lasting"), [(COMPROMISED, True), (None, True), (ON_HOLD, False)])
def test_a_newer_list_without_the_entry_takes_no_revocation_back(
    root: Party, leaf: Party, reason: x509.ReasonFlags | None, lasting: bool
) -> None:
    """Authorities leave entries out, as after a certificate's end or by mistake; only a hold is lifted so."""
    subject = asked.Subject.of(leaf.der, root.der)
    first = asked.read_lists(root.crl((leaf.serial, NOW - HOUR, reason)), subject, REFUSING, NOW)
    told = asked.by_lists(first, subject, REFUSING, NOW)
    assert (told.status, told.final) == ("revoked", lasting)
    second = asked.read_lists(root.crl(at=NOW + HOUR, number=2), subject, REFUSING, NOW + HOUR)
    later = asked.by_lists(second, subject, REFUSING, NOW + HOUR)
    assert later.status == "good"
    known = Revocations()
    for version, kept in enumerate((*told.kept, *later.kept)):
        known = relearn(known, [(kept.subject, kept.der, kept.told)], version)
    said = known.statements(subject.link)
    ruling = rule(subject.link, said, REFUSING, NOW + HOUR, stamped=False)
    assert ruling.status is (Status.REVOKED if lasting else Status.GOOD)
    assert all(der for der in ruling.statement.evidence)  # type: ignore[union-attr]


def test_scopes(root: Party) -> None:
    url = "http://crl.test/1"
    distribution = x509.CRLDistributionPoints(
        [x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)]
    )
    pointed = Party("CN=Pointed", root, extra=[(distribution, False)])
    plain = Party("CN=Plain", root)

    def tells(point_: x509.IssuingDistributionPoint, of: Party) -> bool:
        known = snapshot(root, root.crl(extra=[(point_, True)]))
        return code(proven, root, of, known) == ""

    here = point(full_name=[x509.UniformResourceIdentifier(url)])
    elsewhere = point(full_name=[x509.UniformResourceIdentifier("http://crl.test/2")])
    assert tells(here, pointed)
    assert not tells(here, plain)
    assert not tells(elsewhere, pointed)
    assert tells(point(only_contains_user_certs=True), plain)
    assert not tells(point(only_contains_ca_certs=True), plain)
    some = point(only_some_reasons=frozenset({COMPROMISED}))
    assert not tells(some, plain)  # absent for these reasons says nothing of the others
    listed = snapshot(root, root.crl((plain.serial, NOW - DAY, COMPROMISED), extra=[(some, True)]))
    assert code(proven, root, plain, listed) == "SIG300"


def test_delta_crls(root: Party, leaf: Party) -> None:
    base = root.crl(number=5)
    held = root.crl((leaf.serial, NOW - DAY, ON_HOLD), number=5)

    def delta(*entries: Any, of: int = 5, number: int = 6, **how: Any) -> bytes:
        return root.crl(
            *entries, number=number, at=NOW + HOUR / 60, extra=[(x509.DeltaCRLIndicator(of), True)], **how
        )

    def says(*lists: bytes) -> str:
        return code(proven, root, leaf, snapshot(root, *lists), now=NOW + HOUR / 30)

    revoked = (leaf.serial, NOW, COMPROMISED)
    removed = (leaf.serial, NOW, x509.ReasonFlags.remove_from_crl)
    assert says(base) == says(base, delta()) == ""
    assert says(base, delta(revoked)) == "SIG300"
    assert says(held) == "SIG300"
    assert says(held, delta(removed)) == ""
    assert says(delta()) == "SIG301"  # a delta alone says nothing
    assert says(base, delta(revoked, of=6)) == ""  # it adds to a later base
    stale = delta(until=NOW + HOUR / 50)
    assert says(root.crl((leaf.serial, NOW, None), number=5), stale) == "SIG300"


def test_age(root: Party, leaf: Party) -> None:
    known = snapshot(root, root.crl(at=NOW - 10 * DAY, until=NOW - DAY))
    assert code(proven, root, leaf, known) == "SIG301"
    long = snapshot(root, root.crl(at=NOW - 10 * DAY, until=NOW + 300 * DAY))
    assert code(proven, root, leaf, long) == "SIG301"  # the policy's freshness is a week
    patient = msgspec.structs.replace(REFUSING, freshness=timedelta(days=30))
    assert proven(root, leaf, long, patient) is Revocation.GOOD
    gone = snapshot(root, root.crl((leaf.serial, NOW - 20 * DAY, None), at=NOW - 10 * DAY, until=NOW - DAY))
    assert code(proven, root, leaf, gone) == "SIG300"  # for ever, however old the list


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(
        st.integers(1, 2**159 - 1),
        st.tuples(st.integers(0, 2**31), st.sampled_from([None, *x509.ReasonFlags])),
        max_size=40,
    ),
    st.lists(st.integers(1, 2**159 - 1), max_size=10),
)
def test_every_entry_is_found_and_no_other(revoked: dict[int, tuple[int, Any]], absent: list[int]) -> None:
    issuer = _LIST_ISSUER
    moments = {s: (datetime.fromtimestamp(at, UTC), why) for s, (at, why) in revoked.items()}
    odd = (None, x509.ReasonFlags.unspecified)
    der = issuer.crl(*((s, at, why) for s, (at, why) in moments.items()))
    made = read_crl(der, issuer.certificate, Policy(), NOW)
    assert len(made) == len(revoked)
    judge = x509.load_der_x509_crl(der)
    for serial in [*revoked, *absent]:
        theirs = judge.get_revoked_certificate_by_serial_number(serial)
        found = made.find(serial_key(serial))
        assert (found is None) == (theirs is None)
        if found is not None and theirs is not None:
            assert found[0] == theirs.revocation_date_utc
            assert (found[1] == 0) == (moments[serial][1] in odd)


_LIST_ISSUER = Party("CN=Lists", ca=True)


def test_a_long_list_is_small_and_quickly_asked(root: Party) -> None:
    """100,000 entries: 26 octets each, and nothing else is kept of them."""
    der = long_crl(root, 100_000)
    tracemalloc.start()
    began = time.process_time()
    made = read_crl(der, root.certificate, Policy(), NOW)
    seconds = time.process_time() - began
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(made) == 100_000
    assert len(made.entries) == 26 * 100_000
    assert peak < 6 * len(der)
    assert seconds < 20
    began = time.process_time()
    assert all(made.find(serial_key(s)) is not None for s in range(1, 100_000, 100))
    assert made.find(serial_key(2**100)) is None
    assert (time.process_time() - began) / 1_000 < 0.001


# -- OCSP ------------------------------------------------------------------------------------------


def told(der: bytes, root: Party, *pinned: Party, policy: Policy = REFUSING, now: datetime = NOW) -> str:
    return code(read_response, der, root.certificate, policy, now, tuple(p.certificate for p in pinned))


@pytest.mark.parametrize("named", [hashes.SHA1(), hashes.SHA256()], ids=["sha1", "sha256"])
@pytest.mark.parametrize("encoding", list(ocsp.OCSPResponderEncoding))
def test_good_and_revoked_by_ocsp(root: Party, leaf: Party, named: Any, encoding: Any) -> None:
    good = root.says(leaf, named=named, encoding=encoding)
    assert proven(root, leaf, snapshot(root, answers=(good,))) is Revocation.GOOD
    by_delegate = root.says(leaf, named=named, encoding=encoding, signer=responder(root))
    assert proven(root, leaf, snapshot(root, answers=(by_delegate,))) is Revocation.GOOD
    bad = root.says(leaf, named=named, status=REVOKED, since=NOW - DAY, reason=COMPROMISED)
    assert code(proven, root, leaf, snapshot(root, answers=(bad,))) == "SIG300"


@pytest.mark.parametrize(
    ("key", "digest"),
    [
        (rsa.generate_private_key(65537, 2048), hashes.SHA256()),
        (rsa.generate_private_key(65537, 2048), hashes.SHA3_256()),
        (ec.generate_private_key(ec.SECP384R1()), hashes.SHA384()),
        (ed25519.Ed25519PrivateKey.generate(), None),
    ],
    ids=["rsa", "rsa-sha3", "p384", "ed25519"],
)
def test_keys_of_responders(key: Any, digest: Any) -> None:
    root = Party("CN=Keys", ca=True, key=key, digest=digest)
    leaf = Party("CN=a", root, digest=digest)
    assert proven(root, leaf, snapshot(root, answers=(root.says(leaf, digest=digest),))) is Revocation.GOOD
    assert proven(root, leaf, snapshot(root, root.crl(digest=digest))) is Revocation.GOOD


def test_responses_that_are_not_believed(root: Party, leaf: Party) -> None:
    other, stranger = Party("CN=Root,C=VN", ca=True), Party("CN=Stranger")
    assert told(b"", root) == told(b"nonsense", root) == "SIG320"
    refused = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.UNAUTHORIZED)
    assert told(refused.public_bytes(Encoding.DER), root) == "SIG321"
    assert told(other.says(leaf, certificates=[]), root) in ("SIG322", "SIG323")
    assert told(root.says(leaf, signer=stranger), root) == "SIG322"
    assert told(root.says(leaf, signer=responder(other)), root) == "SIG322"
    assert told(root.says(leaf, signer=responder(root, purpose=False)), root) == "SIG327"
    assert told(root.says(leaf, signer=responder(root, nocheck=False)), root) == "SIG327"
    assert told(root.says(leaf, signer=responder(root, days=(-30, -1))), root) == "SIG327"
    assert told(root.says(leaf, signer=leaf), root) == "SIG327"  # a partner is no responder
    assert told(root.says(leaf, at=NOW + HOUR, until=NOW + 2 * HOUR), root) == "SIG325"
    assert told(root.says(leaf, digest=hashes.SHA224()), root) == "SIG323"
    assert told(other.says(leaf, signer=responder(root)), root) == "SIG324"  # of another's certificates
    good = root.says(leaf)
    for at in range(60, len(good), 7):
        changed = good[:at] + bytes((good[at] ^ 0x40,)) + good[at + 1 :]
        assert told(changed, root) != ""


def backdated(der: bytes, key: Any, delegate: Party, produced_at: datetime) -> bytes:
    """The response as a delegate would sign it that lies about when it did."""
    read = ocsp.load_der_ocsp_response(der)
    written = [f"{at:%Y%m%d%H%M%SZ}".encode() for at in (read.produced_at_utc, produced_at)]
    data = read.tbs_response_bytes.replace(*written, 1)
    signature = key.sign(data, ec.ECDSA(hashes.SHA256()))
    ecdsa_with_sha256 = bytes.fromhex("300a06082a8648ce3d040302")
    basic = tlv(0x30, data, ecdsa_with_sha256, tlv(3, b"\0", signature), tlv(0xA0, tlv(0x30, delegate.der)))
    kind = bytes.fromhex("06092b0601050507300101")
    return tlv(0x30, bytes.fromhex("0a0100"), tlv(0xA0, tlv(0x30, kind, tlv(4, basic))))


def tlv(tag: int, *parts: bytes) -> bytes:
    value = b"".join(parts)
    octets = (len(value).bit_length() + 7) // 8
    size = (
        bytes([len(value)])
        if len(value) < 128
        else bytes([0x80 | octets]) + len(value).to_bytes(octets, "big")
    )
    return bytes([tag]) + size + value


def test_a_delegate_that_ended_long_ago_says_nothing_new(root: Party, leaf: Party) -> None:
    """Its key may be anybody's by now; that it spoke while it was one is its own word."""
    ended = responder(root, days=(-20, -10))
    fresh = root.says(leaf, signer=ended)
    assert told(backdated(fresh, ended.key, ended, NOW - 15 * DAY), root) == "SIG327"
    current = responder(root)
    assert told(backdated(root.says(leaf, signer=current), current.key, current, NOW), root) == ""


def test_a_pinned_responder_needs_no_delegation(root: Party, leaf: Party) -> None:
    own = Party("CN=Ministry responder")
    der = root.says(leaf, signer=own, certificates=[])
    assert told(der, root) == "SIG322"
    assert told(der, root, own) == ""


def test_answers_to_a_question(root: Party, leaf: Party) -> None:
    subject = asked.Subject.of(leaf.der, root.der)

    def answered(der: bytes, nonce: bytes | None = b"n" * 16, now: datetime = NOW) -> str:
        return code(asked.by_response, der, subject, nonce, REFUSING, now)

    assert answered(root.says(leaf, nonce=b"n" * 16)) == ""
    assert answered(root.says(leaf)) == ""  # none sent back: its freshness must do
    assert answered(root.says(leaf, nonce=b"m" * 16)) == "SIG326"
    assert answered(root.says(Party("CN=b", root))) == "SIG324"
    assert answered(root.says(leaf, status=UNKNOWN)) == "SIG328"
    assert answered(root.says(leaf, at=NOW - 3 * DAY, until=NOW - 2 * DAY)) == "SIG325"
    assert answered(root.says(leaf, at=NOW - 9 * DAY, until=NOW + DAY)) == "SIG325"
    assert answered(root.says(leaf, at=NOW - 2 * HOUR, until=None)) == "SIG325"
    assert answered(root.says(leaf, at=NOW - HOUR / 2, until=None)) == ""
    old = root.says(leaf, status=REVOKED, since=NOW - 9 * DAY, at=NOW - 9 * DAY, until=NOW - 8 * DAY)
    assert answered(old) == ""
    kept = asked.by_response(old, subject, None, REFUSING, NOW)
    assert (kept.status, kept.final, kept.kept[0].final) == ("revoked", True, True)
    crl = asked.read_lists(root.crl((leaf.serial, NOW, None)), subject, REFUSING, NOW)
    assert asked.by_lists(crl, subject, REFUSING, NOW).status == "revoked"
    late = asked.read_lists(root.crl(at=NOW - 2 * DAY, until=NOW - DAY), subject, REFUSING, NOW)
    assert code(asked.by_lists, late, subject, REFUSING, NOW) == "SIG325"


def test_a_question_by_get(root: Party, leaf: Party) -> None:
    request = asked.Subject.of(leaf.der, root.der).request(None)
    url = asked.get_url("http://ocsp.test/x/", request)
    sent = base64.b64decode(unquote(url.removeprefix("http://ocsp.test/x/")))
    read = ocsp.load_der_ocsp_request(sent)
    assert "+" not in url
    assert read.serial_number == leaf.serial
    assert not list(read.extensions)
    nonced = ocsp.load_der_ocsp_request(asked.Subject.of(leaf.der, root.der).request(b"n" * 32))
    assert nonced.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == b"n" * 32


# -- at the time of a stamp, and now --------------------------------------------------------------------


def test_a_stamp_keeps_what_was_signed_before(root: Party, leaf: Party) -> None:
    def at(stamp: datetime, since: datetime, reason: Any = SUPERSEDED) -> str:
        known = snapshot(root, answers=(root.says(leaf, status=REVOKED, since=since, reason=reason),))
        return code(proven, root, leaf, known, at=stamp)

    assert at(NOW - 5 * DAY, NOW - DAY) == ""
    assert at(NOW - DAY, NOW - 5 * DAY) == "SIG300"
    assert at(NOW - 5 * DAY, NOW - DAY, COMPROMISED) == "SIG300"
    assert at(NOW - 5 * DAY, NOW - DAY, None) == ""
    known = snapshot(root, answers=(root.says(leaf, status=REVOKED, since=NOW - DAY, reason=SUPERSEDED),))
    assert code(proven, root, leaf, known) == "SIG300"  # without a stamp the date of the signing is not known


def test_stapled_material(root: Party, leaf: Party) -> None:
    stamp = NOW - 5 * DAY
    good = root.says(leaf, at=stamp, until=stamp + HOUR)
    assert proven(root, leaf, Revocations(), embedded=[good], at=stamp) is Revocation.GOOD
    assert code(proven, root, leaf, Revocations(), embedded=[good]) == "SIG301"  # old news
    fresh = root.says(leaf)
    assert proven(root, leaf, Revocations(), embedded=[fresh]) is Revocation.GOOD
    listed = root.crl((leaf.serial, NOW - DAY, None))
    assert code(proven, root, leaf, Revocations(), embedded=[fresh, listed]) == "SIG300"
    forged = Party("CN=Root,C=VN", ca=True).says(leaf)
    assert code(proven, root, leaf, Revocations(), embedded=[forged, b"", b"\x30\x00"]) == "SIG301"
    # What we learned ourselves is not talked away by a response that the signer kept.
    known = snapshot(root, answers=(root.says(leaf, status=REVOKED, since=NOW - HOUR),))
    assert code(proven, root, leaf, known, embedded=[fresh]) == "SIG300"


def test_expired_certificates_are_spoken_of_as_long_as_is_said(root: Party) -> None:
    leaf = Party("CN=Old", root, days=(-100, -10))
    link = link_of(leaf.certificate, root.certificate)
    when = NOW - 20 * DAY
    said = Statement(NOW - DAY, NOW + DAY, (b"",))
    policy = msgspec.structs.replace(REFUSING, freshness=timedelta(days=90))
    assert rule(link, [said], policy, when, stamped=True).status is Status.UNKNOWN
    archived = msgspec.structs.replace(said, archive=NOW - 50 * DAY)
    assert rule(link, [archived], policy, when, stamped=True).status is Status.GOOD


def test_a_hold_is_lifted_by_a_later_word_only(root: Party, leaf: Party) -> None:
    link = link_of(leaf.certificate, root.certificate)
    held = Statement(NOW - 2 * HOUR, NOW + DAY, (b"",), NOW - DAY, "certificate_hold")
    good = Statement(NOW - HOUR, NOW + DAY, (b"",))
    for order in ([held, good], [good, held]):
        assert rule(link, order, REFUSING, NOW, stamped=False).status is Status.GOOD
    earlier = msgspec.structs.replace(good, this_update=NOW - 3 * HOUR)
    assert rule(link, [earlier, held], REFUSING, NOW, stamped=False).status is Status.REVOKED
    forever = msgspec.structs.replace(held, reason="superseded")
    assert rule(link, [good, forever], REFUSING, NOW, stamped=False).status is Status.REVOKED


def test_kept_and_learned_again(root: Party, leaf: Party) -> None:
    made = read_crl(root.crl((leaf.serial, NOW - DAY, ON_HOLD)), root.certificate, Policy(), NOW)
    kept = asked.keep_list(made)
    (again,) = relearn(Revocations(), [(kept.subject, kept.der, kept.told)], 7)._lists[made.issuer]
    assert isinstance(again, RevokedList)
    assert again == made
    newer = asked.keep_list(read_crl(root.crl(number=2), root.certificate, Policy(), NOW))
    first = relearn(Revocations(), [(kept.subject, kept.der, kept.told)], 7)
    second = relearn(first, [(newer.subject, newer.der, newer.told)], 8)
    assert (first.version, second.version, len(second)) == (7, 8, 1)
    assert code(proven, root, leaf, first) == "SIG300"
    assert code(proven, root, leaf, second) == ""
