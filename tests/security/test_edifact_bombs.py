"""Interchanges that would cost much before anybody is proven: bounds in memory and time, whoever sends them."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from typing import TypeVar

import pytest
from msgspec.structs import replace

from gateway import syntax
from gateway.model.secured import Level, LinkedResult, SecuredReference
from gateway.security import Refused, attest
from gateway.security.edifact.faults import MAX_TOLD, MAX_TOLD_IN_ALL

from .edifact_kit import HEAD, PROFILE, Signer, interchange, known, message, party, prove, surveyed
from .test_edifact_autack import REFERRING, around, made, named, put

T = TypeVar("T")
FEW = syntax.EdifactLimits(messages=10, groups=3, security=50)


def peak(work: Callable[[], T]) -> tuple[T, int]:
    """What the work gives, and the octets that it took at most."""
    tracemalloc.start()
    try:
        return work(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def survey(text: str, limits: syntax.EdifactLimits) -> syntax.Survey:
    octets = text.encode()
    return syntax.survey([octets[n : n + 1_000] for n in range(0, len(octets), 1_000)], limits)


@pytest.mark.parametrize(
    ("piece", "level", "most"),
    [
        ("UNH+1+C'UNT+2+1'", Level.MESSAGE, FEW.messages),
        ("UNH+1+C'", Level.MESSAGE, FEW.messages),
        ("UNG+CUSCAR+A+B+20260114:0815+1'", Level.GROUP, FEW.groups),
        ("UNO+1+1'UNP+1+1'", Level.PACKAGE, FEW.messages),
    ],
)
def test_structures_beyond_the_limits_are_not_kept(piece: str, level: Level, most: int) -> None:
    found = survey(HEAD + "USH+1+1+1'" + piece * 1_000 + "UNZ+1+R1'", FEW)
    assert sum(1 for s in found.structures if s.level is level) <= most
    assert len(found.structures) <= most + 1


@pytest.mark.parametrize("evil", ["USH+1+{0}+1'", "USX+R1'", "UST+{0}+1'", "USD+1'", "USR+1:AA'"])
def test_segments_of_security_beyond_the_limit_prove_nothing(evil: str) -> None:
    """The whole is refused, by what was told once: no part of it is worth more than another."""
    text = "".join(f"UNH+{n}+AUTACK:4:1:UN'{evil.format(n) * 20}UNT+2+{n}'" for n in range(5))
    found = survey(f"{HEAD}{text}UNZ+5+R1'", FEW)
    assert len(found.structures) == 6
    kept = sum(len(s.groups) + len(s.findings) for s in found.structures)
    kept += sum(len(s.autack.references) for s in found.structures if s.autack)
    assert kept <= 2 * FEW.security + 1, "a header is told at most twice"
    (told,) = [f for f in found.structures[0].findings if f.code == "SIG440"]
    assert (told.expected, told.place.tag) == (str(FEW.security), evil[:3])


def test_what_is_wrong_around_is_told_of_each_message_once_and_kept_once() -> None:
    """99 headers without a trailer around 9,999 messages: octets of nobody, and no memory for them."""
    heads = "".join(f"USH+1+{n}+1'" for n in range(99))
    octets = f"{HEAD}{heads}{'UNH+1+C' + chr(39) + 'UNT+2+1' + chr(39)}".encode()
    body = b"UNH+1+C'UNT+2+1'" * 9_999
    octets = octets + body + b"UNZ+10000+R1'"
    found = surveyed(octets)
    proof, most = peak(lambda: _prove(octets, found))
    assert len(proof.refused) == 10_000
    assert all(0 < len(wrong) <= MAX_TOLD for wrong in proof.refused.values())
    assert len({id(wrong) for wrong in proof.refused.values()}) == 1, "shared, not copied"
    assert most < 10_000 * 400
    with pytest.raises(Refused) as caught:
        attest(octets, proof)
    codes = [f.code for f in caught.value.findings]
    assert codes[0] == "SIG403"
    assert len(set(caught.value.findings)) == len(codes) <= MAX_TOLD_IN_ALL


def _prove(octets: bytes, found: syntax.Survey) -> object:
    from gateway.security import Policy, prove_edifact

    from .edifact_kit import NOW, TRUST

    return prove_edifact(octets, found, PROFILE, known(party("trader")), TRUST, Policy(), NOW)


def test_messages_with_faults_of_their_own_too() -> None:
    heads = "".join(f"USH+1+{n}+1'" for n in range(99))
    octets = f"{HEAD}{heads}{heads.join(f'UNH+{n}+C{chr(39)}' for n in range(50))}UNZ+50+R1'".encode()
    proof = prove(octets)
    assert all(len(wrong) <= MAX_TOLD for wrong in proof.refused.values())


def test_octets_that_never_open_an_interchange_are_not_gathered() -> None:
    def feed() -> None:
        surveyor = syntax.Surveyor()
        for _ in range(400):
            surveyor.feed(b" " * 65_536)
        surveyor.finish()

    _, most = peak(feed)
    assert most < 4_000_000


def _naming_one_many_times(count: int) -> bytes:
    plain = (HEAD + "UNH+1+C'UNT+2+1'" * count + f"UNZ+{count}+R1'").encode()
    signer = Signer(party("trader"), REFERRING)
    group = signer.header(around(plain))
    references = tuple(SecuredReference(interchange="R1", message="1") for _ in range(count))
    return put(plain, made(plain, [(group, True)], references, lambda g, c: signer.sign(g, [c])))


def test_an_autack_that_names_a_reference_of_many_messages_as_often() -> None:
    """Each name is looked up, not searched for: 64 million comparisons would take half a minute."""
    octets = _naming_one_many_times(8_000)
    began = time.process_time()
    proof = prove(octets)
    assert time.process_time() - began < 4.0
    assert not proof.proven
    assert len(proof.refused[8_001]) <= MAX_TOLD


def test_an_autack_with_many_results_for_one_message() -> None:
    """Eight are looked at, as pairs of a structure are: a signature each would cost a public-key operation."""
    plain = interchange(message("1"))
    signer = Signer(party("trader"), REFERRING)
    group = signer.header(around(plain))
    references = named(plain, lambda o: (LinkedResult("1", signer.linked([o])),) * 9)
    octets = put(plain, made(plain, [(group, True)], references, lambda g, c: signer.sign(g, [c])))
    proof = prove(octets)
    assert not proof.proven
    assert [f.code for f in proof.refused[1]] == ["SIG436"]
    eight = tuple(replace(one, results=one.results[:8]) for one in references)
    octets = put(plain, made(plain, [(group, True)], eight, lambda g, c: signer.sign(g, [c])))
    assert list(prove(octets).proven) == [1]


def test_long_headers_around_many_signed_messages_are_digested_once() -> None:
    """64 KiB of UNB before each of 1,500 signatures would be 100 MB to digest."""
    plain = interchange(*(message(str(n)) for n in range(1_500)))
    octets = syntax.secure(plain, Signer(party("trader"), trailer=lambda g: replace(g, count="9")))
    long = octets.replace(b"+R1'", b"+R1" + b"+" * 60_000 + b"'", 1)

    def seconds(content: bytes) -> float:
        began = time.process_time()
        assert not prove(content).proven
        return time.process_time() - began

    # The least of three: a collection of what other tests left takes as long as what is looked for.
    short_one, long_one = (min(seconds(content) for _ in range(3)) for content in (octets, long))
    assert long_one < short_one + 0.3
