"""A SignedData that looks as one that was proven is read as the slow way reads it, and believed no more."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.security import Policy, Refused, SigningKey, sign_cms, verify
from gateway.security.cms import verifying
from gateway.security.cms.claim import Claim, claim_of
from gateway.security.cms.forms import FORMS, Forms, _split
from gateway.security.cms.identifiers import algorithm_of, digest_of
from gateway.security.cms.signer_info import one_signer
from gateway.security.cms.structures import MESSAGE_DIGEST, SIGNING_TIME
from gateway.security.cms.verifying import _decoded, read_content_info
from gateway.security.mime import MimeLimits, body_of, media_type, read_entity, split_signed

from . import cms_kit
from .signing_kit import EDIFACT, NOW, Trader

ATTACHED, DETACHED = "application/pkcs7-mime", "multipart/signed"


class Town(Trader):
    """A trader, and the interchanges it signs."""

    def signed(self, number: int = 0, algorithm: str = "rsa", envelope: str = ATTACHED) -> tuple[str, bytes]:
        """An interchange of the trader's, with the type that it is sent with."""
        at = NOW - timedelta(minutes=number)
        content = EDIFACT + b"\n" * number
        return sign_cms(content, "application/edifact", self.keys[algorithm], envelope, at)

    def told(self, body: bytes, kind: str = ATTACHED, policy: Policy | None = None) -> object:
        """What verification says: a code, or all that was proven."""
        try:
            found = verify(body, kind, self.trust, policy or Policy(), NOW)
        except Refused as refused:
            return [(f.code, f.expected, f.found, f.place) for f in refused.findings]
        return found.content, found.media_type, found.signer, found.envelope, found.proof, found.findings

    def teach(self, algorithm: str = "rsa") -> None:
        """Be known by two messages; a curve's signatures have several lengths, and a form for each."""
        for number in range(2 if algorithm == "rsa" else 24):
            verify(self.signed(number, algorithm)[1], ATTACHED, self.trust, Policy(), NOW)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    return Town(tmp_path_factory.mktemp("town"))


@pytest.fixture
def forms(monkeypatch: pytest.MonkeyPatch) -> Forms:
    """Forms of which none is known."""
    found = Forms()
    monkeypatch.setattr(verifying, "FORMS", found)
    return found


def slowly(body: bytes) -> Claim:
    """What the DER says, read whole."""
    signed = _decoded(body).signed
    assert signed is not None
    one = one_signer(signed)
    digest = digest_of(one.digest_algorithm)
    return claim_of(one, digest, algorithm_of(one.signature_algorithm, digest), Policy())


def without_times(claim: Claim) -> Claim:
    """A claim whose signed attributes are not kept by type where they differ in each message."""
    by_type = {k: v for k, v in claim.attributes.by_type.items() if k not in (MESSAGE_DIGEST, SIGNING_TIME)}
    return replace(claim, attributes=replace(claim.attributes, by_type=by_type))


def test_a_form_is_learnt_when_it_is_met_again(town: Town, forms: Forms) -> None:
    known = []
    for number in range(3):
        verify(town.signed(number)[1], ATTACHED, town.trust, Policy(), NOW)
        known.append(len(forms))
    assert known == [0, 1, 1]


@pytest.mark.parametrize("algorithm", ["rsa", "p256"])
def test_a_known_form_is_read_as_the_slow_way_reads_it(town: Town, forms: Forms, algorithm: str) -> None:
    town.teach(algorithm)
    body = town.signed(7, algorithm)[1]
    info = read_content_info(body)
    assert info.known is not None
    assert info.known.claim == without_times(slowly(body))
    assert info.known.content == EDIFACT + b"\n" * 7


def test_the_same_form_serves_a_content_outside(town: Town, forms: Forms) -> None:
    town.teach()
    kind, body = town.signed(3, envelope=DETACHED)
    parts = split_signed(body, media_type(kind).parameters["boundary"], MimeLimits())
    der = body_of(read_entity(parts.second, MimeLimits()))
    known = read_content_info(der).known
    assert known is not None
    assert known.content is None
    assert known.claim == without_times(slowly(der))
    proven = town.told(body, kind)
    forms._known.clear()
    assert town.told(body, kind) == proven
    assert isinstance(proven, tuple)


def test_content_is_in_one_place_only(town: Town, forms: Forms) -> None:
    """As for a signature of no known form."""
    town.teach()
    body = town.signed(1)[1]
    assert read_content_info(body).known is not None
    with pytest.raises(Refused) as refused:
        verifying.verify_cms(body, [EDIFACT], town.trust, Policy(), NOW)
    assert refused.value.code == "SIG046"
    kind, whole = town.signed(1, envelope=DETACHED)
    parts = split_signed(whole, media_type(kind).parameters["boundary"], MimeLimits())
    with pytest.raises(Refused) as refused:
        verifying.verify_cms(
            body_of(read_entity(parts.second, MimeLimits())), None, town.trust, Policy(), NOW
        )
    assert refused.value.code == "SIG046"


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_what_is_known_changes_no_verdict(town: Town, data: st.DataObject) -> None:
    """A message altered anywhere is answered by a process that knows its form as by one that knows nothing."""
    body = town.signed(data.draw(st.integers(0, 3)))[1]
    for _ in range(data.draw(st.integers(1, 2))):
        # Half of all changes are among the lengths and the attributes.
        near = st.sampled_from([0, 60, len(body) - 1100, len(body) - 450, len(body) - 260])
        at = data.draw(st.integers(0, len(body) - 1)) if data.draw(st.booleans()) else data.draw(near)
        at = min(at + data.draw(st.integers(0, 60)), len(body))
        octets = data.draw(st.binary(max_size=3))
        body = body[:at] + octets + body[at + data.draw(st.sampled_from([len(octets), 0, 1])) :]
    FORMS._known.clear()
    FORMS._met.clear()
    fresh = town.told(body, policy=Policy(max_forms=0))
    town.teach()
    assert len(FORMS) == 1
    assert town.told(body) == fresh


@settings(max_examples=300, deadline=None)
@given(
    st.binary(min_size=32, max_size=32),
    st.text("0123456789", min_size=12, max_size=12) | st.text("0123456789Z+-", min_size=12, max_size=12),
    st.binary(min_size=256, max_size=256),
    st.integers(0, 70_000),
)
def test_whatever_stands_in_its_places_is_read_as_the_slow_way_reads_it(
    town: Town, digest: bytes, time: str, value: bytes, size: int
) -> None:
    FORMS._known.clear()
    FORMS._met.clear()
    town.teach()
    body = sign_cms(bytes(size), "application/edifact", town.keys["rsa"], ATTACHED, NOW)[1]
    claim = slowly(body)
    said = f"{NOW:%y%m%d%H%M%SZ}".encode()
    assert body.count(said) == 1
    filled = (
        body.replace(said, time.encode() + b"Z")
        .replace(claim.attributes.message_digest, digest)
        .replace(claim.value, value)
    )
    known = FORMS.read(filled)
    try:
        slow = slowly(filled)
    except ValueError:
        assert known is None
        return
    assert slow.attributes.signed_at is not None
    if known is None:
        assert slow.attributes.signed_at.year < 2000  # the century is the library's to say
        return
    assert known.claim == without_times(slow)
    assert known.content == bytes(size)


def test_any_lengths_but_the_right_ones_are_left_to_the_library(town: Town) -> None:
    for size in (0, 1, 20, 100, 127, 128, 250, 255, 256, 65_000, 65_535, 65_536):
        body = sign_cms(bytes(size), "application/edifact", town.keys["rsa"], ATTACHED, NOW)[1]
        assert _split(body) is not None
        assert _split(body + b"\0") is None
        assert _split(body[:-1]) is None
    longer = body[:1] + b"\x84\0" + body[2:]
    assert _split(longer) is None


def test_nobody_teaches_a_form_whose_signature_does_not_hold(town: Town, forms: Forms) -> None:
    for number in range(4):
        changed = town.signed(number)[1].replace(b"UNB+", b"UNB-")
        with pytest.raises(Refused):
            verify(changed, ATTACHED, town.trust, Policy(), NOW)
    assert (len(forms), forms._met) == (0, set())


def test_forms_with_unsigned_attributes_are_not_learnt(town: Town, forms: Forms) -> None:
    for number in range(3):
        body = cms_kit.with_unsigned(town.signed(number)[1], cms_kit.attribute("1.2.3.4", b"\x04\x01\x07"))
        verify(body, ATTACHED, town.trust, Policy(), NOW)
    assert (len(forms), forms._met) == (0, set())


def test_forms_are_bounded(town: Town, forms: Forms) -> None:
    few = Policy(max_forms=3)
    for number in range(7):
        key = town.keys["rsa"]
        more = SigningKey(
            (key.certificates[0], *[town.trust.anchors[0]] * (number % 4 + 1)), "pkcs1", key._private
        )
        for minutes in range(2):
            at = NOW - timedelta(minutes=minutes)
            body = sign_cms(EDIFACT, "application/edifact", more, ATTACHED, at)[1]
            verify(body, ATTACHED, town.trust, few, NOW)
        assert len(forms) <= 3
        assert len(forms._met) <= 3
    assert len(forms) > 0
    forms._known.clear()
    forms._met.clear()
    for number in range(3):
        verify(town.signed(number)[1], ATTACHED, town.trust, Policy(max_forms=0), NOW)
    assert (len(forms), forms._met) == (0, set())
