"""AUTACK: messages secured by reference, and acknowledgements of what was received."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway import syntax
from gateway.model.secured import (
    Autack,
    Level,
    LinkedResult,
    SecuredReference,
    SecurityGroup,
)
from gateway.security import Manner, attest
from gateway.syntax.characters import DEFAULT_4
from gateway.syntax.pen import Pen
from gateway.syntax.security_segments import autack_segments, header_segments, trailer_segments

from . import edifact_kit as kit
from .edifact_kit import (
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
from .signing_kit import corpus

REFERRING = Manner("7", "3")
AUTACK_HEADER = b"UNH+A+AUTACK:4:1:UN'"


def referred(who: str = "trader", *messages: syntax.OutMessage, **how: object) -> bytes:
    return syntax.refer(interchange(*(messages or TWO)), Signer(party(who), REFERRING, **how))  # type: ignore[arg-type]


def put(plain: bytes, autack: bytes, first: bool = False) -> bytes:
    """An interchange with an AUTACK of any make in it."""
    at = plain.index(b"UNH+") if first else plain.rindex(b"UNZ+")
    whole = plain[:at] + autack + plain[at:]
    return re.sub(rb"UNZ\+(\d+)", lambda m: b"UNZ+%d" % (int(m[1]) + 1), whole)


def made(
    plain: bytes,
    groups: list[tuple[SecurityGroup, bool]],
    references: tuple[SecuredReference, ...],
    sign: Callable[[SecurityGroup, bytes], SecurityGroup],
    scope_two: bool = False,
) -> bytes:
    """An AUTACK with these header groups; those marked are signed, over their header group and the body or,
    with ``scope_two``, over all from the first one on."""
    pen = Pen(DEFAULT_4)

    def text(segments: object) -> bytes:
        return "".join(map(pen.write, segments)).encode("latin-1")  # type: ignore[call-overload]

    heads = [text(header_segments(group)) for group, _ in groups]
    body = text(
        autack_segments(Autack("1", groups[0][0].time, ("OCEANLINE", "ZZ"), ("CUSTOMS", "ZZ"), references))
    )
    tails = []
    for (group, signs), head in reversed(list(zip(groups, heads, strict=True))):
        covered = b"".join((*heads, body, *tails)) if scope_two else head + body
        tails.append(text(trailer_segments(sign(group, covered) if signs else group)))
    return AUTACK_HEADER + b"".join(heads) + body + b"".join(tails) + b"UNT+1+A'"


def around(plain: bytes) -> tuple[bytes, bytes]:
    """The headers that an AUTACK of :func:`made` is bound to."""
    return plain[: plain.index(b"UNH+")], AUTACK_HEADER


def named(plain: bytes, results: Callable[[bytes], tuple[LinkedResult, ...]]) -> tuple[SecuredReference, ...]:
    """References to all messages, with results of their octets."""
    found = [s for s in surveyed(plain).structures if s.ordinal]
    return tuple(
        SecuredReference(
            interchange="R1", message=s.reference, results=results(plain[s.span.start : s.span.end])
        )
        for s in found
    )


def test_messages_are_proven_by_reference() -> None:
    octets = referred()
    proof = prove(octets)
    assert (proof.refused, sorted(proof.proven), proof.references) == ({}, [1, 2], {3})
    verified = attest(octets, proof)
    assert "trader" in verified.signer.subject


def test_the_autack_may_come_first() -> None:
    plain = interchange(*TWO)
    signer = Signer(party("trader"), REFERRING)
    group = signer.header(around(plain))
    references = named(plain, lambda octets: (LinkedResult("1", signer.linked([octets])),))
    octets = put(
        plain, made(plain, [(group, True)], references, lambda g, c: signer.sign(g, [c])), first=True
    )
    proof = prove(octets)
    assert (proof.refused, sorted(proof.proven), proof.references) == ({}, [2, 3], {1})


def test_digests_by_one_header_group_and_the_signature_by_another() -> None:
    plain = interchange(*TWO)
    signer = Signer(party("trader"), Manner("1", "2", reference="S"))
    signing = signer.header(around(plain))
    hashing = replace(signing, service="9", scope="3", reference="H", certificates=(), count="3")
    references = named(plain, lambda octets: (LinkedResult("H", signer.linked([octets])),))

    def sign(group: SecurityGroup, covered: bytes) -> SecurityGroup:
        return signer.sign(group, [covered])

    octets = put(plain, made(plain, [(signing, True), (hashing, False)], references, sign, scope_two=True))
    proof = prove(octets)
    assert (proof.refused, sorted(proof.proven)) == ({}, [1, 2])
    # The header group of the digests has to be signed: who could change it chose the algorithm.
    loose = replace(signing, scope="1")
    octets = put(plain, made(plain, [(loose, True), (hashing, False)], references, sign))
    assert "SIG434" in [f.code for f in prove(octets).refused[3]]
    assert not prove(octets).proven


def test_signatures_of_messages_in_a_signed_autack() -> None:
    plain = interchange(*TWO)
    signer = Signer(party("trader"), Manner("1", "2", reference="S"))
    own = signer.header(around(plain))
    theirs = replace(own, service="7", scope="3", reference="T", count="5")

    def results(octets: bytes) -> tuple[LinkedResult, ...]:
        return (LinkedResult("T", signer.sign(theirs, [octets]).values),)

    def sign(group: SecurityGroup, covered: bytes) -> SecurityGroup:
        return signer.sign(group, [covered])

    autack = made(plain, [(own, True), (theirs, False)], named(plain, results), sign, scope_two=True)
    octets = put(plain, autack)
    assert (prove(octets).refused, sorted(prove(octets).proven)) == ({}, [1, 2])
    assert "SIG417" in codes(prove(octets.replace(b"MAN2", b"MAN9")), 2)
    # Without a signature of its own, the AUTACK's references and time would be anybody's.
    alone = put(plain, made(plain, [(theirs, False)], named(plain, results), sign))
    assert [f.code for f in prove(alone).refused[3]] == ["SIG430"]
    assert "SIG423" in nobody(alone)


def test_packages_and_groups_by_reference() -> None:
    package = syntax.OutPackage("P1", (("1", "x"),), (("12", "a.pdf"),), b"%PDF ' + : ? *")
    plain = interchange(message(), package)  # type: ignore[arg-type]
    signer = Signer(party("trader"), REFERRING)
    spans = {s.reference: s.span for s in surveyed(plain).structures[1:]}

    def linked(reference: str) -> tuple[LinkedResult, ...]:
        span = spans[reference]
        return (LinkedResult("1", signer.linked([plain[span.start : span.end]])),)

    references = (
        SecuredReference(interchange="R1", message="1", results=linked("1")),
        SecuredReference(interchange="R1", package="P1", results=linked("P1")),
    )
    group = signer.header(around(plain))
    octets = put(plain, made(plain, [(group, True)], references, lambda g, c: signer.sign(g, [c])))
    assert prove(octets).refused == {}
    assert [f.code for f in prove(octets.replace(b"%PDF", b"%PDX")).refused[2]] == ["SIG431"]


GROUP_HEADER = b"UNG+CUSCAR+TRADERA:ZZ+CUSTOMS:ZZ+20260114:0815+G1+UN+D:95B'"


def grouped(naming: str, inside: bool) -> bytes:
    """Two messages in a functional group, and an AUTACK that names them, or (``naming``) the group; it stands
    in the group too, or behind it."""
    plain = interchange(*TWO)
    first, last = plain.index(b"UNH+"), plain.rindex(b"UNZ+")
    octets = plain[:first] + GROUP_HEADER + plain[first:last] + b"UNE+2+G1'UNZ+1+R1'"
    signer = Signer(party("trader"), REFERRING)
    head = plain[:first]
    group = signer.header([head, GROUP_HEADER, AUTACK_HEADER] if inside else [head, AUTACK_HEADER])
    level = Level.MESSAGE if naming == "messages" else Level.GROUP
    references = tuple(
        SecuredReference(
            interchange="R1",
            group="G1",
            message=s.reference if s.ordinal else "",
            results=(LinkedResult("1", signer.linked([octets[s.span.start : s.span.end]])),),
        )
        for s in surveyed(octets).structures
        if s.level is level
    )
    autack = made(octets, [(group, True)], references, lambda g, c: signer.sign(g, [c]))
    at = octets.rindex(b"UNE+" if inside else b"UNZ+")
    octets = octets[:at] + autack + octets[at:]
    return octets.replace(b"UNE+2", b"UNE+3") if inside else octets.replace(b"UNZ+1", b"UNZ+2")


GROUP_CHANGES = [
    (b"TRADERA:ZZ", b"SOMEBODYELSE:ZZ"),
    (b"20260114:0815+G1", b"20200101:0000+G1"),
    (b"UNG+CUSCAR", b"UNG+CUSRES"),
    (b"D:95B'UNH", b"D:99B'UNH"),
]


@pytest.mark.parametrize(("naming", "inside"), [("group", False), ("messages", True)])
def test_messages_of_a_group_by_reference(naming: str, inside: bool) -> None:
    octets = grouped(naming, inside)
    proof = prove(octets)
    assert (proof.refused, sorted(proof.proven)) == ({}, [1, 2])
    assert all(sent in octets for sent, _ in GROUP_CHANGES)


@pytest.mark.parametrize(("sent", "forged"), GROUP_CHANGES)
@pytest.mark.parametrize(("naming", "inside"), [("group", False), ("messages", True)])
def test_another_group_header_over_referenced_messages(
    naming: str, inside: bool, sent: bytes, forged: bytes
) -> None:
    at = grouped(naming, inside).index(b"UNG+")
    octets = grouped(naming, inside)
    proof = prove(octets[:at] + octets[at:].replace(sent, forged, 1))
    assert not proof.proven


def test_an_autack_outside_a_group_that_names_its_messages_alone() -> None:
    """Nobody would have signed the group's header."""
    proof = prove(grouped("messages", False))
    assert not proof.proven
    assert codes(proof, 1) == ["SIG439"]
    assert {f.code for f in proof.refused[3]} == {"SIG439"}


# Attacks.


def test_a_message_changed_after_the_autack() -> None:
    proof = prove(referred().replace(b"MAN1", b"EVIL"))
    assert (codes(proof, 1), sorted(proof.proven)) == (["SIG431"], [2])
    assert [f.code for f in proof.refused[3]] == ["SIG431"]


def test_a_digest_changed_with_the_message() -> None:
    octets = referred().replace(b"MAN1", b"EVIL")
    span = surveyed(octets).structures[1].span
    right = kit.digest("sha256", octets[span.start : span.end]).encode()
    old = re.search(rb"USY\+1\+1:([0-9A-F]{64})", octets)
    assert old is not None
    proof = prove(octets.replace(old[1], right))
    assert [f.code for f in proof.refused[3]] == ["SIG417"]
    assert not proof.proven


@pytest.mark.parametrize(
    ("sent", "forged", "code"),
    [
        (b"USX+R1", b"USX+R2", "SIG417"),
        (b"USY+1+1", b"USY+2+1", "SIG417"),
        (b"++++1+CUSCAR", b"++++2+CUSCAR", "SIG417"),
        (b"+R1'UNH+1", b"+R9'UNH+1", "SIG422"),
        (b"UST+1+6'", b"UST+1+7'", "SIG406"),
        (b"USH+7", b"USH+4", "SIG407"),
        (b"USH+7+1+3", b"USH+7+1+5", "SIG408"),
    ],
)
def test_a_changed_autack_proves_nothing(sent: bytes, forged: bytes, code: str) -> None:
    octets = referred()
    assert sent in octets
    proof = prove(octets.replace(sent, forged, 1))
    assert not proof.proven
    assert code in [f.code for f in proof.refused[3]]


def _odd(change: Callable[[SecuredReference], SecuredReference]) -> bytes:
    """An AUTACK signed truly, whose first reference says something else."""
    plain = interchange(*TWO)
    signer = Signer(party("trader"), REFERRING)
    references = named(plain, lambda octets: (LinkedResult("1", signer.linked([octets])),))
    references = (change(references[0]), *references[1:])
    group = signer.header(around(plain))
    return put(plain, made(plain, [(group, True)], references, lambda g, c: signer.sign(g, [c])))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"interchange": "R2"}, "SIG428"),
        ({"message": "9"}, "SIG428"),
        ({"message": ""}, "SIG428"),
        ({"message": "A"}, "SIG428"),
        ({"group": "G"}, "SIG428"),
        ({"sender": ("OTHER", "ZZ")}, "SIG429"),
        ({"recipient": ("OTHER",)}, "SIG429"),
        ({"identifier": ("CUSDEC", "D", "96B", "UN")}, "SIG429"),
        ({"results": ()}, "SIG432"),
        ({"results": (LinkedResult("9", (("1", "AA"),)),)}, "SIG432"),
        ({"results": (LinkedResult("1", (("1", "AA"),), "1"),)}, "SIG432"),
        ({"results": (LinkedResult("1", (("1", "AA"),)),)}, "SIG431"),
        ({"results": (LinkedResult("1", (("2", "AA"),)),)}, "SIG410"),
    ],
)
def test_references_to_something_else(change: dict[str, object], code: str) -> None:
    proof = prove(_odd(lambda found: replace(found, **change)))
    assert 1 not in proof.proven
    assert code in [f.code for f in proof.refused[3]]
    assert 2 in proof.proven, "what is right for one message stays right"


def test_a_message_named_twice() -> None:
    plain = interchange(*TWO)
    signer = Signer(party("trader"), REFERRING)
    one, two = named(plain, lambda octets: (LinkedResult("1", signer.linked([octets])),))
    group = signer.header(around(plain))
    octets = put(plain, made(plain, [(group, True)], (one, two, one), lambda g, c: signer.sign(g, [c])))
    proof = prove(octets)
    assert (codes(proof, 1), sorted(proof.proven)) == (["SIG428"], [2])


def test_an_autack_of_another_signer_than_the_messages() -> None:
    octets = syntax.secure(interchange(*TWO), Signer(party("trader")))
    both = syntax.refer(octets, Signer(party("van"), REFERRING))
    verified = attest(both, prove(both))
    assert "trader" in verified.signer.subject
    assert verified.carrier is not None
    assert "van" in verified.carrier.subject


def test_a_keyman_proves_nothing() -> None:
    octets = interchange().replace(b"CUSCAR:D:95B", b"KEYMAN:4:1").replace(b"BGM", b"USE+1'BGM")
    assert nobody(octets) == ["SIG407"]


def test_an_autack_of_1994() -> None:
    """Syntax 3 and a draft of AUTACK, as some networks still send it: refused, saying what is taken."""
    folder = corpus()
    path = folder and next(folder.rglob("D94A_AUTACK.txt"), None)
    if path is None:
        pytest.skip("no corpus with an AUTACK (set CVAN_CORPUS)")
    octets = Path(path).read_bytes()
    assert surveyed(octets).secured
    assert nobody(octets) == ["SIG401"]
    with pytest.raises(ValueError, match="syntax 4"):
        syntax.refer(octets, Signer(party("trader"), REFERRING))


# Acknowledgements.


def asked(who: str = "trader") -> bytes:
    return syntax.secure(interchange(*TWO), Signer(party(who), Manner(response="2")))


def test_what_asks_for_it_is_acknowledged() -> None:
    octets = asked()
    proof = prove(octets.replace(b"MAN2", b"EVIL"))
    assert [(r.named.message, r.error) for r in proof.received] == [("1", ""), ("2", "1")]
    answer = interchange(
        message("1", "ANSWER"), sender=("CUSTOMS", "ZZ"), recipient=("OCEANLINE", "ZZ"), reference="7"
    )
    us = party("customs")
    signed = syntax.secure(answer, Signer(us))
    whole = syntax.acknowledge_received(signed, proof.received, Signer(us, Manner("5", "3")))
    ours = prove(whole, us)
    assert (ours.refused, sorted(ours.proven)) == ({}, [1])
    (autack,) = [s for s in surveyed(whole).structures if s.autack]
    assert autack.identifier[-1] == "SECACK"
    assert autack.autack is not None
    first, second = autack.autack.references
    span = surveyed(octets).structures[1].span
    assert first.results[0].values == (("1", kit.digest("sha256", octets[span.start : span.end])),)
    assert (first.interchange, first.message, first.sender) == ("R1", "1", ("OCEANLINE", "ZZ"))
    assert (second.results[0].values, second.results[0].error) == ((), "1")


def test_a_forged_acknowledgement() -> None:
    answer = interchange(message("1", "ANSWER"), reference="7")
    us = party("customs")
    received = prove(asked()).received
    whole = syntax.acknowledge_received(
        syntax.secure(answer, Signer(us)), received, Signer(us, Manner("5", "3"))
    )
    forged = re.sub(rb"USY\+1\+1:[0-9A-F]", b"USY+1+1:_", whole).replace(b"_", b"0")
    if forged == whole:
        forged = whole.replace(b"USY+1+1:0", b"USY+1+1:1")
    assert [f.code for f in prove(forged, us).refused[2]] == ["SIG417"]


def test_the_service_messages_are_well_formed(directories: syntax.Directories) -> None:
    whole = syntax.acknowledge_received(
        referred(), prove(asked()).received, Signer(party("van"), Manner("5", "3"))
    )
    read = syntax.read(whole, directories)
    autacks = [m for m in read.messages if m.type == "AUTACK"]
    assert (read.findings, [m.findings for m in autacks]) == ((), [(), ()])
    assert all(m.tree is not None for m in autacks)


@pytest.fixture(scope="module")
def directories() -> syntax.Directories:
    return syntax.Directories.load(kit.ROOT / "xsd" / "edifact")
