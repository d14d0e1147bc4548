"""A body in a file is judged as the same body in memory: the same findings, outcomes, answers."""

from __future__ import annotations

import os
import re
import tempfile
import tracemalloc
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bench import manifests
from gateway import inbound, security
from gateway.handbook import Handbook
from gateway.intake import work
from gateway.model import Declaration, Partner, Submission, Verdict
from gateway.model.checkdigits import container_check
from gateway.model.shelf import Long, octets_of
from gateway.model.tree import Entity
from gateway.operations.demo import papers
from gateway.storage.codec import octets
from tests.operations.knowledge import CARRIER, NOW, ROOT, TRADER, World, declaration, manifest
from tests.test_inbound import BAD_COUNT, BAD_MODE, GOOD

CORPUS = Path(os.environ.get("CVAN_CORPUS", ROOT.parent / "shared/corpus")) / "edifact"
MAX_SAMPLE = 200_000
MULTIPART, ATTACHED = "multipart/signed", "application/pkcs7-mime"


class Shelf:
    """Declarations that were put away, by ordinal."""

    def __init__(self) -> None:
        self.octets: dict[int, bytes] = {}

    def put(self, ordinal: int, declaration: Declaration) -> Declaration:
        self.octets[ordinal] = b"".join(octets_of(declaration))
        root = declaration.root
        return msgspec.structs.replace(declaration, root=Entity(root.name, root.values))

    def whole(self, verdict: Verdict) -> Verdict:
        """With the declarations in their places again."""
        return msgspec.structs.replace(
            verdict,
            messages=tuple(
                m
                if m.declaration is None
                else msgspec.structs.replace(
                    m, declaration=msgspec.json.decode(self.octets[m.ordinal], type=Declaration)
                )
                for m in verdict.messages
            ),
        )


def judged(world: World, submission: Submission, book: Handbook | None = None) -> object:
    """The verdict with its CONTRL's parts, or the refusal's findings."""
    try:
        found = inbound.inspect(submission, book or world.handbook, NOW)
    except (security.Refused, inbound.Unreadable) as refused:
        return type(refused), refused.findings
    return found.verdict, found.interchange


def judged_in_file(
    world: World, submission: Submission, book: Handbook | None = None, shelf: Shelf | None = None
) -> object:
    shelf = shelf or Shelf()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "body"
        file.write_bytes(submission.body)
        large = msgspec.structs.replace(submission, body=b"", file=str(file))
        try:
            found = inbound.inspect(large, book or world.handbook, NOW, stage=shelf.put)
        except (security.Refused, inbound.Unreadable) as refused:
            return type(refused), refused.findings
    assert all(m.declaration is None or not m.declaration.root.entities for m in found.verdict.messages)
    return shelf.whole(found.verdict), found.interchange


def alike(world: World, content: bytes, envelope: str = ATTACHED, by: Partner = CARRIER) -> object:
    """Judge both ways; what was found."""
    media_type, body = world.sealed(content, by, envelope)
    submission = world.submission(body, media_type, by)
    found = judged(world, submission)
    assert judged_in_file(world, submission) == found
    return found


@pytest.mark.parametrize("envelope", [ATTACHED, MULTIPART])
@pytest.mark.parametrize(
    "bills", [(GOOD,), (GOOD, BAD_MODE, BAD_COUNT), (BAD_COUNT,), tuple([GOOD, BAD_MODE] * 20)]
)
def test_manifests(world: World, bills: tuple[papers.Bill, ...], envelope: str) -> None:
    verdict, _ = alike(world, manifest("M1", *bills), envelope)  # type: ignore[misc]
    assert len(verdict.messages) == len(bills)


@pytest.mark.parametrize("envelope", [ATTACHED, MULTIPART])
def test_an_envelope_that_rejects_what_was_put_away(world: World, envelope: str) -> None:
    """The count of UNZ comes when all messages were judged already."""
    content = manifest("M1", GOOD, GOOD, GOOD).replace(b"UNZ+3", b"UNZ+4")
    verdict, _ = alike(world, content, envelope)  # type: ignore[misc]
    assert [m.outcome.value for m in verdict.messages] == ["rejected"] * 3


def test_groups_that_reject_some(world: World) -> None:
    content = manifest("M1", GOOD, GOOD).replace(
        b"'UNH+1+", b"'UNG+CUSCAR+OCEANLINE+VNCUSTOMS+260114:0815+1+UN+D:95B'UNH+1+"
    )
    alike(world, content.replace(b"UNZ+2", b"UNE+3+1'UNZ+1"))
    alike(world, content.replace(b"UNZ+2", b"UNE+2+1'UNZ+1"))


@pytest.mark.parametrize("content", [b"UNB+nothing", b"nothing", b"", b"UNB+UNOC:3'", b"UNA:+.? '"])
def test_nothing_to_answer(world: World, content: bytes) -> None:
    alike(world, content)


def test_documents(world: World) -> None:
    alike(world, world.signed(declaration("LRN-1")), by=TRADER)
    alike(world, declaration("LRN-2"), by=TRADER)
    for body in (world.signed(declaration("LRN-3")), declaration("LRN-4"), b"<", b""):
        submission = world.submission(body)
        assert judged_in_file(world, submission) == judged(world, submission)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 10_000), octet=st.integers(0, 255), cut=st.booleans())
def test_any_harm(world: World, at: int, octet: int, cut: bool) -> None:
    """In the interchange, and in the envelope around it."""
    content = manifest("M1", GOOD, BAD_MODE)
    at %= len(content)
    harmed = content[:at] if cut else content[:at] + bytes((octet,)) + content[at + 1 :]
    alike(world, harmed)
    media_type, body = world.sealed(content)
    submission = world.submission(body[:at] + bytes((octet,)) + body[at + 1 :], media_type, CARRIER)
    assert judged_in_file(world, submission) == judged(world, submission)


def test_every_interchange_of_the_corpus(world: World) -> None:
    files = [p for p in sorted(CORPUS.rglob("*")) if p.is_file() and p.stat().st_size < MAX_SAMPLE]
    if not files:
        pytest.skip(f"no corpus at {CORPUS}; set CVAN_CORPUS")
    judged_both_ways = 0
    for path in files:
        content = path.read_bytes().lstrip()
        if content[:3] in (b"UNA", b"UNB"):
            alike(world, content)
            judged_both_ways += 1
    assert judged_both_ways > 50


def test_a_message_that_is_larger_than_a_piece(world: World) -> None:
    """Pieces end anywhere: in the signature's parts, in a segment, in a message."""
    bills = [papers.Bill(f"EOLUSGN{n:06d}", "Furniture parts " * 4, 100, 5_000) for n in range(450)]
    for envelope in (ATTACHED, MULTIPART):
        verdict, _ = alike(world, manifest("M1", *bills), envelope)  # type: ignore[misc]
        assert len(verdict.messages) == len(bills)


def test_the_same_answers_are_drafted(world: World, tmp_path: Path) -> None:
    media_type, body = world.sealed(manifest("M1", GOOD, BAD_MODE, BAD_COUNT))
    submission = world.submission(body, media_type, CARRIER)
    file = tmp_path / "body"
    file.write_bytes(body)
    large = msgspec.structs.replace(submission, body=b"", file=str(file))
    numbers = list(map(str, range(1, 9)))
    one, other = (
        work(s, world.handbook, world.own, lambda n: numbers[:n], NOW, stage=stage)
        for s, stage in ((submission, None), (large, Shelf().put))
    )
    assert len(one.refusals) == len(other.refusals) == 1
    assert content_of(world, one.receipt) == content_of(world, other.receipt)
    for (ordinal, *mine), (same, *theirs) in zip(one.refusals, other.refusals, strict=True):
        assert ordinal == same
        assert content_of(world, tuple(mine)) == content_of(world, tuple(theirs))


def content_of(world: World, signed: tuple[object, ...]) -> bytes:
    """What we signed; the signature itself is another each time."""
    media_type, body = signed
    found = security.verify(body, media_type, world.handbook.trust, world.handbook.policy, NOW)  # type: ignore[arg-type]
    return found.content


ALIKE = (rb"RFF\+BM:\w+", rb"EQD\+CN\+\w+", rb"SGP\+\w+", rb"GID\+\d", rb"CNI\+\d+", rb"KGM:[\d.]+")
"""What rules compare across a message: some of each are made the same."""


class LongShelf(Shelf):
    """Counts those that were not held together; their octets are those of the whole."""

    def __init__(self) -> None:
        super().__init__()
        self.long = 0

    def put(self, ordinal: int, declaration: Declaration) -> Declaration:
        stands_for = super().put(ordinal, declaration)
        self.long += isinstance(declaration.root, Long)
        again = msgspec.json.decode(self.octets[ordinal], type=Declaration)
        assert octets(again) == self.octets[ordinal]
        return stands_for


def few_at_a_time(world: World, held: int = 20) -> Handbook:
    """The knowledge of one who holds next to nothing of a message."""
    limits = msgspec.structs.replace(world.handbook.edifact_limits, held=held, segment=500)
    return replace(world.handbook, edifact_limits=limits)


def one_message(seed: int, bills: int, items: int = 2) -> bytes:
    """A cargo report in one message, with what the rules have something to say of."""
    text = manifests.cuscar("1", seed, bills, items, 2)
    text = re.sub(r"NAD\+MS\+[A-Z0-9]+", f"NAD+MS+{CARRIER.identifiers[0]}", text)
    text = re.sub(r"SBLU(\d{6})\d", lambda box: f"SBLU{box[1]}{container_check('SBLU' + box[1])}", text)
    return manifests.interchange([text], "LONG", CARRIER.identifiers[0])


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.generate],
)
@given(
    seed=st.integers(0, 99),
    bills=st.integers(1, 30),
    at=st.integers(0, 100_000),
    harm=st.sampled_from(["", "cut", "octet", "segment", "twice", *ALIKE]),
    octet=st.sampled_from(b"'+:?AZ09 \xff"),
)
def test_a_message_that_is_not_held_together(
    world: World, seed: int, bills: int, at: int, harm: str | bytes, octet: int
) -> None:
    """Whatever is wrong with it, and wherever: the same verdict, findings, places and octets."""
    content = one_message(seed, bills)
    at %= len(content)
    if harm == "cut":
        content = content[:at]
    elif harm == "octet":
        content = content[:at] + bytes((octet,)) + content[at + 1 :]
    elif harm in ALIKE:
        found = re.search(harm, content)
        content = re.sub(harm, found[0] if found else b"", content, count=at % 50)
    elif harm:
        start = content.find(b"'", at) + 1
        end = content.find(b"'", start) + 1
        content = content[:start] + (content[start:end] * 2 if harm == "twice" else b"") + content[end:]
    media_type, body = world.sealed(content)
    submission, book = world.submission(body, media_type, CARRIER), few_at_a_time(world)
    assert judged_in_file(world, submission, book) == judged(world, submission, book)


def test_a_long_message_is_staged_from_its_shelves(world: World) -> None:
    media_type, body = world.sealed(one_message(3, 40))
    submission, book, shelf = world.submission(body, media_type, CARRIER), few_at_a_time(world), LongShelf()
    found = judged_in_file(world, submission, book, shelf)
    assert found == judged(world, submission, book)
    assert shelf.long == 1
    assert len(list(found[0].messages[0].declaration.root.each("Consignment"))) == 40  # type: ignore[index]


def test_a_long_message_takes_no_more_memory_than_a_short_one(world: World, tmp_path: Path) -> None:
    media_type, body = world.sealed(one_message(4, 1_200, 3))
    file = tmp_path / "body"
    file.write_bytes(body)
    large = msgspec.structs.replace(world.submission(body, media_type, CARRIER), body=b"", file=str(file))
    assert len(body) > 1_000_000
    staged = []

    def stage(ordinal: int, declaration: Declaration) -> Declaration:
        staged.append(sum(map(len, octets_of(declaration))))
        return msgspec.structs.replace(declaration, root=Entity("Declaration"))

    tracemalloc.start()
    inbound.inspect(large, few_at_a_time(world, 500), NOW, stage=stage)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert staged[0] > len(body)
    assert peak < 6_000_000


def test_proving_holds_no_more_than_pieces(world: World, tmp_path: Path) -> None:
    """Also where something looks like a security segment, and is a mark on a package."""
    text = ":".join(["USH 1 crates of porcelain, packed with care " * 1] * 5)
    content = manifest("M1", GOOD).replace(b"MEA+WT", f"FTX+AAA+++{text}'".encode() * 12_000 + b"MEA+WT")
    for envelope in (ATTACHED, MULTIPART):
        media_type, body = world.sealed(content, CARRIER, envelope)
        file = tmp_path / "body"
        file.write_bytes(body)
        size = len(body)
        tracemalloc.start()
        proof = inbound.prove_file(file, media_type, world.handbook, NOW)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert proof.own is None
        assert size > 2_500_000
        assert peak < size / 2
