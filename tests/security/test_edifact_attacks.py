"""Attacks on EDIFACT's own security, each named; none may leave a message proven that nobody signed so."""

from __future__ import annotations

import re
import time
from datetime import timedelta

import pytest
from msgspec.structs import replace

from gateway import syntax
from gateway.model.secured import Method, SecurityGroup
from gateway.security import Certificates, Manner, Policy, Trust

from . import edifact_kit as kit
from .edifact_kit import (
    FAST,
    NOW,
    OLD,
    PROFILE,
    TWO,
    Signer,
    codes,
    interchange,
    message,
    nobody,
    party,
    prove,
    surveyed,
)

_UNH = re.compile(rb"UNH\+([0-9A-Z]+)\+[^']*'")
_MESSAGE = re.compile(rb"UNH\+.*?UNT\+[^']*'")
_HEADERS = re.compile(rb"USH\+.*?(?=BGM)")
_TRAILER = re.compile(rb"UST\+.*?(?=UNT)")


def secured(*messages: syntax.OutMessage, manner: Manner | None = None, who: str = "trader") -> bytes:
    return syntax.secure(interchange(*messages), Signer(party(who), manner))


def parts(octets: bytes) -> list[bytes]:
    return _MESSAGE.findall(octets)


# Wrapping: what was signed stands elsewhere, something else is read.


def test_signed_segments_moved_into_another_message() -> None:
    """The header group and the trailer of a signed message, around a body of the attacker's."""
    octets = secured(message())
    (signed,) = parts(octets)
    head, tail = _HEADERS.search(signed), _TRAILER.search(signed)
    assert head is not None
    assert tail is not None
    around = (b"UNH+1+CUSCAR:D:95B:UN'", head[0], b"BGM+85+EVIL+9'", tail[0], b"UNT+3+1'")
    assert codes(prove(octets.replace(signed, b"".join(around)))) == ["SIG417"]


def test_a_body_before_the_header_group() -> None:
    octets = secured(message())
    evil = octets.replace(b"USH+", b"BGM+85+EVIL+9'USH+", 1)
    assert codes(prove(evil))[0] == "SIG402"


def test_a_body_after_the_trailer_group() -> None:
    octets = secured(message())
    evil = octets.replace(b"UNT+", b"FTX+AAA+++EVIL'UNT+", 1)
    assert codes(prove(evil)) == ["SIG402"]


def test_a_segment_inside_a_header_group() -> None:
    octets = secured(message())
    assert codes(prove(octets.replace(b"USC+", b"BGM+85+EVIL+9'USC+", 1)))[0] == "SIG402"


def test_a_header_group_sent_twice() -> None:
    octets = secured(message())
    head = _HEADERS.search(octets)
    assert head is not None
    doubled = octets.replace(head[0], head[0] * 2, 1)
    assert "SIG405" in codes(prove(doubled))


def test_an_extra_header_group_of_another_reference() -> None:
    octets = secured(message())
    head = _HEADERS.search(octets)
    assert head is not None
    other = head[0].replace(b"USH+1+1+", b"USH+1+X+")
    assert codes(prove(octets.replace(head[0], other + head[0], 1))) == ["SIG403"]
    assert codes(prove(octets.replace(head[0], head[0] + other, 1))) == ["SIG403"]


def test_an_extra_pair_that_proves_nothing() -> None:
    octets = secured(message())
    head, tail = _HEADERS.search(octets), _TRAILER.search(octets)
    assert head is not None
    assert tail is not None
    for first in (True, False):
        extra, end = head[0].replace(b"USH+1+1+", b"USH+1+X+"), tail[0].replace(b"UST+1+", b"UST+X+")
        heads = extra + head[0] if first else head[0] + extra
        tails = tail[0] + end if first else end + tail[0]
        assert "SIG417" in codes(prove(octets.replace(head[0], heads).replace(tail[0], tails)))


def test_brackets_that_cross() -> None:
    octets = syntax.secure(secured(message()), Signer(party("van"), Manner(scope="2")))
    first, second = re.findall(rb"UST\+[^']*'USR\+[^']*'", octets)
    assert codes(prove(octets.replace(first + second, second + first))) == ["SIG404"]


def test_a_header_without_a_trailer_and_a_trailer_without_a_header() -> None:
    octets = secured(message())
    head, tail = _HEADERS.search(octets), _TRAILER.search(octets)
    assert head is not None
    assert tail is not None
    assert codes(prove(octets.replace(tail[0], b""))) == ["SIG403"]
    assert codes(prove(octets.replace(head[0], b""))) == ["SIG403"]


def test_messages_that_swap_their_bodies() -> None:
    octets = secured(*TWO)
    one, two = (_UNH.sub(b"", part) for part in parts(octets))
    swapped = octets.replace(one, b"@").replace(two, one).replace(b"@", two)
    swapped = (
        swapped.replace(b"UNT+5+2", b"UNT+5+_")
        .replace(b"UNT+5+1", b"UNT+5+2")
        .replace(b"UNT+5+_", b"UNT+5+1")
    )
    proof = prove(swapped)
    assert (codes(proof, 1), codes(proof, 2)) == (["SIG422"], ["SIG422"])


def test_the_same_message_under_another_reference() -> None:
    octets = secured(message())
    assert codes(prove(octets.replace(b"UNH+1+", b"UNH+2+").replace(b"+1'UNZ", b"+2'UNZ"))) == ["SIG422"]


def test_the_same_message_as_another_type() -> None:
    octets = secured(message())
    assert codes(prove(octets.replace(b"CUSCAR:D:95B", b"CUSDEC:D:96B"))) == ["SIG422"]


@pytest.mark.parametrize(
    ("sent", "forged"),
    [
        (b"+R1'", b"+R2'"),
        (b"OCEANLINE", b"OCEANLIME"),
        (b"CUSTOMS", b"CUSTOMZ"),
        (b"UNOC:4", b"UNOD:4"),
        (b"+R1'UNH", b"+R1++++++1'UNH"),
    ],
)
def test_another_interchange_around_a_signed_message(sent: bytes, forged: bytes) -> None:
    """Its reference, parties, character set, test indicator."""
    assert codes(prove(secured(message()).replace(sent, forged))) == ["SIG422"]


def test_other_service_characters_give_signed_octets_another_meaning() -> None:
    """UNA is signed by nobody: with another release character, what was text becomes segments."""
    octets = secured(message(text="A?'BGM+85+EVIL"))
    assert octets.startswith(b"UNA:+.?*'")
    for mark in (b"UNA:+.!*'", b"UNA:+.?!'", b"UNA|+.?*'", b"UNA:+.? '"):
        proof = prove(mark + octets[9:])
        assert not proof.proven


def test_a_signed_message_sent_twice_in_one_interchange() -> None:
    def loose(group: SecurityGroup) -> SecurityGroup:
        return replace(group, methods=(replace(group.methods[0], parameters=()),))

    octets = syntax.secure(interchange(), Signer(party("trader"), header=loose))
    (once,) = parts(octets)
    again = once.replace(b"UNH+1+", b"UNH+2+").replace(b"UNT+5+1'", b"UNT+5+2'")
    proof = prove(octets.replace(once, once + again), profile=kit.LOOSE)
    assert codes(proof, 2) == ["SIG426"]


def test_an_old_message_sent_again() -> None:
    octets = syntax.secure(interchange(), Signer(party("trader"), at=NOW - OLD))
    assert codes(prove(octets)) == ["SIG420"]


def test_a_time_in_the_future() -> None:
    octets = syntax.secure(interchange(), Signer(party("trader"), at=NOW + timedelta(minutes=6)))
    assert codes(prove(octets)) == ["SIG420"]


@pytest.mark.parametrize(
    "change", [{"date": "20260230"}, {"time": "2560"}, {"qualifier": "2"}, {"offset": "25"}, {"date": ""}]
)
def test_a_time_that_is_none(change: dict[str, str]) -> None:
    def spoil(group: SecurityGroup) -> SecurityGroup:
        assert group.time is not None
        return replace(group, time=replace(group.time, **change))

    octets = syntax.secure(interchange(), Signer(party("trader"), header=spoil))
    assert codes(prove(octets)) == ["SIG419"]
    bare = syntax.secure(interchange(), Signer(party("trader"), header=lambda g: replace(g, time=None)))
    assert codes(prove(bare)) == ["SIG419"]


# Stripping.


def test_stripped_signatures() -> None:
    octets = secured(*TWO)
    first = parts(octets)[0]
    bare = _TRAILER.sub(b"", _HEADERS.sub(b"", first))
    proof = prove(octets.replace(first, bare))
    assert (codes(proof, 1), sorted(proof.proven)) == (["SIG423"], [2])


def test_stripped_autack() -> None:
    octets = syntax.refer(interchange(*TWO), Signer(party("trader"), Manner("7", "3")))
    without = re.sub(rb"UNH\+AUTACK.*?UNT[^']*'", b"", octets).replace(b"UNZ+3", b"UNZ+2")
    assert nobody(without) == ["SIG423", "SIG423"]


def test_a_message_that_the_autack_does_not_name() -> None:
    octets = syntax.refer(interchange(message("1")), Signer(party("trader"), Manner("7", "3")))
    more = octets.replace(b"UNH+AUTACK", b"UNH+2+CUSCAR:D:95B:UN'BGM+85+EVIL+9'UNT+3+2'UNH+AUTACK")
    proof = prove(more)
    assert (sorted(proof.proven), codes(proof, 2)) == ([1], ["SIG423"])


def test_a_released_tag_hides_no_header() -> None:
    """The tag U?SH is USH to every reader here."""
    octets = secured(message())
    proof = prove(octets.replace(b"USH+", b"U?SH+", 1))
    assert codes(proof) == ["SIG417"]


# Keys, algorithms, filters.


def test_a_certificate_that_came_along_proves_nothing_by_itself() -> None:
    mallory = party("mallory", issuer=kit.STRANGER)
    carried = syntax.OutPackage("C1", (("1", "x"),), (("62", "X509"),), kit.der(mallory))
    octets = syntax.secure(interchange(message(), carried), Signer(mallory))  # type: ignore[arg-type]
    assert codes(prove(octets)) == ["SIG437", "SIG024"]


def test_another_s_certificate_named_over_ones_own_signature() -> None:
    victim = party("trader")

    def pretend(group: SecurityGroup) -> SecurityGroup:
        own = Signer(victim).header([b""]).certificates
        return replace(group, certificates=own)

    octets = syntax.secure(interchange(), Signer(party("van"), header=pretend))
    assert codes(prove(octets)) == ["SIG417"]


def test_two_certificates_of_one_name() -> None:
    octets = secured(message())
    twins = [kit.der(party("trader")), kit.der(party("van"))]

    def any_of_them(named: object) -> list[bytes]:
        return twins

    proof = kit.prove_edifact(octets, surveyed(octets), PROFILE, any_of_them, kit.TRUST, FAST, NOW)
    assert codes(proof) == ["SIG416"]
    none = kit.prove_edifact(octets, surveyed(octets), PROFILE, Certificates(), kit.TRUST, FAST, NOW)
    assert codes(none) == ["SIG415"]
    untrusted = prove(octets, trust=Trust([kit.STRANGER.certificate]))
    assert codes(untrusted) == ["SIG437", "SIG024"]


@pytest.mark.parametrize(
    ("code", "name"),
    [("1", "DES"), ("6", "MD5"), ("5", "MD4"), ("31", "HMAC-MD5"), ("25", "CRC-32"), ("13", "TDEA")],
)
def test_forbidden_algorithms(code: str, name: str) -> None:
    def weaken(group: SecurityGroup) -> SecurityGroup:
        return replace(group, methods=(replace(group.methods[0], algorithm=code, algorithm_list="1"),))

    proof = prove(syntax.secure(interchange(), Signer(party("trader"), header=weaken)))
    assert codes(proof) == ["SIG412"]
    assert proof.refused[1][0].found == name


def test_the_message_does_not_choose_the_algorithm() -> None:
    """An elliptic key named as RSA, and as one of a scheme that nobody agreed."""

    def of(scheme: str) -> Signer:
        code, code_list, padding, padding_list = PROFILE.signatures[scheme]
        method = Method(
            "6", algorithm=code, algorithm_list=code_list, padding=padding, padding_list=padding_list
        )

        def rename(group: SecurityGroup) -> SecurityGroup:
            return replace(group, certificates=(replace(group.certificates[0], methods=(method,)),))

        return Signer(party("trader"), header=rename)

    for scheme in ("rsa", "rsa-pss", "ed25519"):
        assert codes(prove(syntax.secure(interchange(), of(scheme)))) == ["SIG411"]
    narrow = Policy(algorithms=frozenset({"rsa-sha256"}))
    assert codes(prove(secured(message()), policy=narrow)) == ["SIG437", "SIG006"]


def test_a_digest_alone_proves_nobody() -> None:
    """Service 3 without a certificate: anybody can make it."""

    class Hashing(Signer):
        def sign(self, group: SecurityGroup, covered: object) -> SecurityGroup:
            value = kit.digest("sha256", b"".join(covered))  # type: ignore[call-overload]
            return replace(group, values=(("1", value),))

    def bare(group: SecurityGroup) -> SecurityGroup:
        return replace(group, service="3", certificates=(), count="4")

    octets = syntax.secure(interchange(), Hashing(party("trader"), header=bare))
    assert codes(prove(octets)) == ["SIG423"]
    signed = syntax.secure(octets, Signer(party("trader"), Manner(scope="2")))
    assert prove(signed).proven
    assert "SIG431" in codes(prove(signed.replace(b"MAN1", b"MAN2")))


@pytest.mark.parametrize("filter_", ["", "1", "3", "4", "5", "6", "ZZZ"])
def test_filters_that_are_none_or_not_known(filter_: str) -> None:
    octets = secured(message()).replace(b"USH+1+1+1+1+2+", f"USH+1+1+1+1+{filter_}+".encode())
    assert codes(prove(octets)) == ["SIG409"]


def test_base64_needs_small_letters() -> None:
    plain = interchange(message(text="A"), syntax=("UNOA", "4"))
    with pytest.raises(ValueError, match="UNOA"):
        syntax.secure(plain, Signer(party("trader"), Manner(filter="7")))
    octets = syntax.secure(interchange(message(text="A")), Signer(party("trader"), Manner(filter="7")))
    assert "SIG409" in codes(prove(octets.replace(b"UNOC", b"UNOA")))


@pytest.mark.parametrize(
    "values",
    [
        (),
        (("1", "AA"),),
        (("2", "AA"),),
        (("2", "AA"), ("2", "BB")),
        (("2", "zz"), ("3", "AA")),
        (("2", "A"), ("3", "AA")),
        (("2", "AA" * 33), ("3", "AA")),
        (("2", "00"), ("3", "00")),
    ],
)
def test_values_of_another_form(values: tuple[tuple[str, str], ...]) -> None:
    spoil = Signer(party("trader"), trailer=lambda g: replace(g, values=values))
    found = codes(prove(syntax.secure(interchange(), spoil)))
    assert found in (["SIG410"], ["SIG417"], ["SIG406"])


@pytest.mark.parametrize("service", ["4", "5", "7", "10", "11", "12", ""])
def test_services_that_are_not_for_messages(service: str) -> None:
    octets = syntax.secure(interchange(), Signer(party("trader"), Manner(service)))
    assert codes(prove(octets)) == ["SIG407"]


@pytest.mark.parametrize("scope", ["", "3", "4", "5", "9"])
def test_scopes_that_cover_nothing(scope: str) -> None:
    octets = syntax.secure(interchange(), Signer(party("trader"), Manner(scope=scope)))
    assert "SIG408" in codes(prove(octets))


def test_encrypted_content_is_refused() -> None:
    octets = secured(message()).replace(b"BGM+", b"USD+4'", 1)
    assert codes(prove(octets)) == ["SIG418"]


def test_security_under_an_older_syntax() -> None:
    octets = secured(message()).replace(b"UNOC:4", b"UNOC:3")
    assert nobody(octets) == ["SIG401"]


# Several parties.


def test_messages_of_two_principals_in_one_interchange() -> None:
    octets = syntax.secure(interchange(*TWO), Signer(party("trader")), ordinals=(1,))
    octets = syntax.secure(octets, Signer(party("van")), ordinals=(2,))
    proof = prove(octets)
    assert (sorted(proof.proven), codes(proof, 2)) == ([1], ["SIG424"])


def test_a_stranger_signs_beside_the_signer() -> None:
    """With scope 1 the two do not know of each other: whose message it is would be a guess."""
    octets = syntax.secure(secured(message()), Signer(party("van"), Manner(scope="1")))
    assert codes(prove(octets)) == ["SIG425"]


def test_three_signers() -> None:
    octets = syntax.secure(secured(message()), Signer(party("van"), Manner(scope="2")))
    third = party("third")
    octets = syntax.secure(octets, Signer(third, Manner(scope="2")))
    assert codes(prove(octets, party("trader"), party("van"), third)) == ["SIG436"]
    outer = kit.key_of(third).signer
    two = syntax.secure(secured(message()), Signer(party("van"), Manner(scope="2")))
    assert codes(prove(two, outer=outer)) == ["SIG436"]


# Bombs.


def test_a_thousand_header_groups() -> None:
    octets = secured(message())
    head = _HEADERS.search(octets)
    assert head is not None
    many = b"".join(head[0].replace(b"USH+1+1+", b"USH+1+X%d+" % n) for n in range(1_000))
    proof = prove(octets.replace(head[0], many, 1))
    assert not proof.proven
    assert len(proof.refused[1]) <= 99


def test_nine_pairs_are_not_looked_at() -> None:
    octets = secured(message())
    for _ in range(8):
        octets = syntax.secure(octets, Signer(party("trader"), Manner(scope="2")))
    assert codes(prove(octets)) == ["SIG436"]


def test_thousands_of_false_signatures_cost_little() -> None:
    """Those of one interchange are tried a hundred times; who is unknown is looked for once."""
    many = interchange(*(message(str(n)) for n in range(3_000)))
    octets = syntax.secure(many, Signer(party("trader")))
    spoilt = octets.replace(b"BGM+85+MAN1", b"BGM+85+EVIL")
    began = time.process_time()
    proof = prove(spoilt)
    assert {f.code for found in proof.refused.values() for f in found} == {"SIG417"}
    stranger = prove(octets, trust=Trust([kit.STRANGER.certificate]))
    assert len(stranger.refused) == 3_000
    assert time.process_time() - began < 10.0


def test_segments_of_security_where_nothing_is_secured() -> None:
    octets = interchange()
    for evil in (b"USR+1:AA'", b"UST+1+2'", b"USA+1'", b"USC+1'", b"USX+R1'", b"USB+1++A+B'", b"USE+1'"):
        for before in (b"BGM", b"TDT", b"UNT", b"UNZ"):
            assert nobody(octets.replace(before, evil + before, 1))


def test_a_message_without_a_body() -> None:
    plain = interchange(replace(message(), segments=()))
    octets = syntax.secure(plain, Signer(party("trader")))
    assert prove(octets).proven
    more = octets.replace(b"UST+", b"BGM+85+EVIL+9'UST+")
    assert codes(prove(more)) == ["SIG417"]


def test_a_count_that_is_wrong() -> None:
    octets = secured(message()).replace(b"UST+1+6'", b"UST+1+5'")
    assert codes(prove(octets)) == ["SIG406"]


def test_every_refusal_has_a_place() -> None:
    octets = secured(message()).replace(b"MAN1", b"MAN2")
    (finding,) = prove(octets).refused[1]
    place = finding.place
    assert (place.message, place.tag, place.segment) == ("1", "UST", 9)
    assert octets[place.offset :].startswith(b"UST+1+6'")
