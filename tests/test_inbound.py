"""The inbound journey: a pure function from bytes to a verdict."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway import inbound, security
from gateway.handbook import Handbook
from gateway.inbound import Inspected, Unreadable
from gateway.intake import Worked, work
from gateway.model import Finding, Kind, Mandate, Outcome, Partner, Place, Submission
from gateway.model.finding import worst
from gateway.operations.demo import papers
from gateway.safexml import parse
from gateway.security import Refused
from tests.operations.knowledge import (
    CARRIER,
    NOW,
    OTHER,
    ROOT,
    SAMPLES,
    TRADER,
    VAN,
    World,
    book,
    declaration,
    manifest,
)

BAD_MODE = papers.Bill("EOLUSGN000002", "Bicycle parts", 40, 2_000, mode="SEA TRANSPORT")
BAD_COUNT = papers.Bill("EOLUSGN000003", "Plastic toys", 50, 1_200, gid_packages=40)
GOOD = papers.Bill("EOLUSGN000004", "Furniture parts", 100, 5_000)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"), [Mandate("m", VAN.id, TRADER.id, ("IM",))])


def inspect_xml(
    world: World, document: bytes, signer: Partner = TRADER, by: Partner | None = None
) -> Inspected:
    submission = world.submission(world.signed(document, signer), by=by or signer)
    return inbound.inspect(submission, world.handbook, NOW)


def inspect_edifact(world: World, interchange: bytes, signer: Partner = CARRIER) -> Inspected:
    media_type, body = world.sealed(interchange, signer)
    return inbound.inspect(world.submission(body, media_type, signer), world.handbook, NOW)


# -- verdicts ----------------------------------------------------------------------------------------


def test_a_declaration_is_accepted_with_its_tree_and_its_way_back(world: World) -> None:
    inspected = inspect_xml(world, declaration("LRN-7"), TRADER, VAN)
    verdict = inspected.verdict
    assert (verdict.outcome, verdict.reference, verdict.claim) == (Outcome.ACCEPTED, "LRN-7", "IM:LRN-7")
    assert verdict.partner == TRADER.id
    assert (verdict.route.partner, verdict.route.principal) == (VAN.id, TRADER.id)
    assert verdict.signer is not None
    assert verdict.signer.subject == world.keys[TRADER.id].signer.subject
    (message,) = verdict.messages
    assert (message.type, message.lrn, message.function, message.kind) == ("IM", "LRN-7", "9", Kind.IMPORT)
    assert message.declaration is not None
    assert message.declaration.root.text("Declarant/ID") == TRADER.identifiers[0]
    assert inspected.interchange is None


def test_each_message_of_an_interchange_has_its_own_outcome(world: World) -> None:
    inspected = inspect_edifact(world, manifest("M9", GOOD, BAD_MODE, BAD_COUNT))
    verdict = inspected.verdict
    assert (verdict.outcome, verdict.reference, verdict.claim) == (Outcome.PARTLY, "M9", "UNB:M9")
    assert [m.outcome for m in verdict.messages] == [Outcome.ACCEPTED, Outcome.REJECTED, Outcome.REJECTED]
    assert [m.ordinal for m in verdict.messages] == [1, 2, 3]
    assert [m.reference for m in verdict.messages] == ["1", "2", "3"]
    assert {m.identifier for m in verdict.messages} == {"CUSCAR:D:95B:UN"}
    assert [m.declaration is not None for m in verdict.messages] == [True, False, False]
    assert [f.code for f in verdict.messages[1].findings] == ["EDI039"]
    assert verdict.messages[2].lrn == BAD_COUNT.number
    assert inspected.interchange is not None


def test_findings_of_rules_have_the_sender_s_own_place(world: World) -> None:
    verdict = inspect_edifact(world, manifest("M", GOOD, BAD_COUNT)).verdict
    (finding,) = verdict.messages[1].findings
    place = finding.place
    assert place.pointer.startswith("Declaration/")
    assert (place.message, bool(place.tag), place.segment > 1, place.offset > 0) == ("2", True, True, True)
    content = manifest("M", GOOD, BAD_COUNT)
    assert content[place.offset :].startswith(place.tag.encode())


def test_findings_in_xml_have_path_and_line(world: World) -> None:
    document = declaration().replace(b"<TotalPackageQuantity>60<", b"<TotalPackageQuantity>61<")
    signed = world.signed(document)
    (message,) = inbound.inspect(world.submission(signed), world.handbook, NOW).verdict.messages
    (finding,) = message.findings
    assert finding.place.pointer == "Declaration/TotalPackageQuantity"
    assert finding.place.xpath == "/MetaData/Declaration/TotalPackageQuantity"
    assert signed.splitlines()[finding.place.line - 1].strip().startswith(b"<TotalPackageQuantity>")


def test_the_envelope_s_fault_sinks_every_message(world: World) -> None:
    whole = manifest("M", GOOD, GOOD)
    truncated = whole[: whole.index(b"UNZ")]
    for content in (truncated, whole.replace(b"UNOC:3+OCEANLINE", b"UNOC:3+VANLINK")):
        verdict = inspect_edifact(world, content).verdict
        assert verdict.outcome is Outcome.REJECTED
        assert {m.outcome for m in verdict.messages} <= {Outcome.REJECTED}
        assert all(m.declaration is None for m in verdict.messages)
        assert verdict.findings


def test_a_schema_s_fault_is_told_before_any_rule(world: World) -> None:
    document = declaration().replace(b"<TypeCode>929</TypeCode>", b"<TypeCode>929</TypeCode><Nonsense/>", 1)
    (message,) = inspect_xml(world, document).verdict.messages
    assert message.outcome is Outcome.REJECTED
    assert [f.code[:3] for f in message.findings] == ["XML"]


def test_a_rejected_message_keeps_its_reference(world: World) -> None:
    document = declaration("LRN-8").replace(b"<TypeCode>929<", b"<TypeCode>X" + b"9" * 90 + b"<", 1)
    verdict = inspect_xml(world, document).verdict
    assert (verdict.outcome, verdict.reference) == (Outcome.REJECTED, "LRN-8")


def test_authority_is_part_of_the_verdict(world: World) -> None:
    verdict = inspect_xml(world, declaration(trader=OTHER), OTHER, VAN).verdict
    assert [f.code for f in verdict.messages[0].findings] == ["PAR003"]
    assert verdict.messages[0].findings[0].place.xpath == "/MetaData/Declaration"


@pytest.mark.parametrize("name", ["cusres/duty-notice-99b.edi", "cusres/rejected-96b.edi"])
def test_customs_own_answers_are_rejected_with_a_reason(name: str) -> None:
    examined = inbound.examine_edifact((SAMPLES / name).read_bytes(), book(), lambda _: ())
    assert inbound.outcome(examined) is Outcome.REJECTED
    assert [f.code for f in examined.messages[0].findings] == ["PAR006"]


def test_a_response_in_xml_is_rejected_with_a_reason() -> None:
    examined = inbound.examine_xml(
        parse((SAMPLES / "wco" / "response.xml").read_bytes()), book(), lambda _: ()
    )
    assert [(m.outcome, m.findings[0].code) for m in examined.messages] == [(Outcome.REJECTED, "PAR006")]


# -- no verdict --------------------------------------------------------------------------------------


def refused(call: Callable[[], object], kind: type[Refused] | type[Unreadable]) -> Finding:
    with pytest.raises(kind) as raised:
        call()
    finding: Finding = raised.value.findings[0]
    return finding


def test_the_unproven_get_no_verdict(world: World) -> None:
    signed = world.signed(declaration())
    changed = signed.replace(b"480000000", b"180000000", 1)
    assert (
        refused(lambda: inbound.inspect(world.submission(changed), world.handbook, NOW), Refused).code
        == "SIG011"
    )
    later = NOW + timedelta(days=366)
    submission = world.submission(signed)
    assert refused(lambda: inbound.inspect(submission, world.handbook, later), Refused).code == "SIG022"


def test_a_certificate_of_nobody_registered_is_named(world: World) -> None:
    stranger = world.issue("stranger", "Stranger Co.")
    body = security.sign_xml(parse(declaration()), stranger, NOW)
    finding = refused(lambda: inbound.inspect(world.submission(body), world.handbook, NOW), Refused)
    assert (finding.code, finding.found) == ("PAR001", stranger.signer.subject)


def test_an_inactive_signer_is_nobody(world: World) -> None:
    gone = [
        msgspec.structs.replace(p, active=False) if p.id == TRADER.id else p for p in world.partners.values()
    ]
    book = world.handbook.with_register(type(world.handbook.register)(gone, ()))
    submission = world.submission(world.signed(declaration()), by=OTHER)
    assert refused(lambda: inbound.inspect(submission, book, NOW), Refused).code == "PAR001"


def test_what_cannot_be_answered_is_unreadable(world: World) -> None:
    unknown = b'<Order xmlns="urn:example:other"><No>1</No></Order>'
    assert refused(lambda: inspect_xml(world, unknown), Unreadable).code == "XML020"
    assert refused(lambda: inspect_edifact(world, b"UNB+nothing"), Unreadable).code[:3] == "EDI"
    contrl = b"UNB+UNOC:3+OCEANLINE:ZZ+VNCUSTOMS:ZZ+261121:1200+7'UNH+1+CONTRL:D:3:UN'"
    contrl += b"UCI+1+VNCUSTOMS:ZZ+OCEANLINE:ZZ+7'UNT+3+1'UNZ+1+7'"
    for content in (contrl, contrl.replace(b"'", b"'\r\n")):
        assert refused(lambda c=content: inspect_edifact(world, c), Unreadable).code == "PAR008"  # type: ignore[misc]


# -- purity ------------------------------------------------------------------------------------------

_watched: list[str] | None = None
_OUTWARD = ("open", "socket.", "os.", "subprocess.", "sqlite3.", "shutil.", "tempfile.", "glob.", "import")


def _watch(event: str, _: object) -> None:
    if _watched is not None and event.startswith(_OUTWARD):
        _watched.append(event)


sys.addaudithook(_watch)


@pytest.fixture
def outward() -> Iterator[list[str]]:
    """What the interpreter reports of files, sockets and processes during the test."""
    global _watched
    _watched = []
    yield _watched
    _watched = None


def cases(world: World) -> list[tuple[bytes, str, Partner]]:
    """(body, media type, who) of an accepted and a rejected message in each syntax."""
    wrong = declaration("P2").replace(b"<TotalPackageQuantity>60<", b"<TotalPackageQuantity>61<")
    broken = declaration("P3").replace(
        b"<TypeCode>929</TypeCode>", b"<TypeCode>9 2 9</TypeCode><Nonsense/>", 1
    )
    made = [(world.signed(d), "application/xml", TRADER) for d in (declaration("P1"), wrong, broken)]
    for content in (manifest("M1", GOOD), manifest("M2", GOOD, BAD_MODE, BAD_COUNT)):
        media_type, body = world.sealed(content, envelope="multipart/signed")
        made.append((body, media_type, CARRIER))
    return made


def judged(world: World, book: Handbook) -> list[Inspected]:
    return [inbound.inspect(world.submission(*case), book, NOW) for case in cases(world)]


def test_the_same_input_has_the_same_output_and_nothing_outward_is_touched(
    world: World, outward: list[str]
) -> None:
    submissions = [world.submission(*case) for case in cases(world)]
    first = [inbound.inspect(s, world.handbook, NOW) for s in submissions]
    outward.clear()  # the first time, directories and explanations are read that wait until they are needed
    second = [inbound.inspect(s, world.handbook, NOW) for s in submissions]
    assert outward == []
    assert [i.verdict for i in second] == [i.verdict for i in first]
    outcomes = [i.verdict.outcome for i in first]
    assert outcomes == [
        Outcome.ACCEPTED,
        Outcome.REJECTED,
        Outcome.REJECTED,
        Outcome.ACCEPTED,
        Outcome.PARTLY,
    ]


def test_a_verdict_travels_between_processes(world: World) -> None:
    for inspected in judged(world, world.handbook):
        assert pickle.loads(pickle.dumps(inspected.verdict)) == inspected.verdict
        encoded = msgspec.json.encode(inspected.verdict)
        decoded = msgspec.json.decode(encoded, type=type(inspected.verdict))
        assert msgspec.structs.replace(decoded, messages=tuple(decoded.messages)) == inspected.verdict


def test_two_processes_say_the_same() -> None:
    """Whatever the order in which sets and tables are walked."""
    script = (
        "import sys, msgspec\n"
        "from datetime import UTC, datetime\n"
        "from pathlib import Path\n"
        "from gateway import handbook\n"
        "from gateway.operations import reading\n"
        "book = handbook.load(Path(sys.argv[1]))\n"
        "for path in sorted(Path(sys.argv[2]).rglob('*.*')):\n"
        "    checked = reading.check(path.read_bytes(), book, datetime(2026, 11, 21, tzinfo=UTC))\n"
        "    messages = checked.examined.messages if checked.examined else ()\n"
        "    print(path.name, msgspec.json.encode((messages, checked.findings)).decode())\n"
    )
    heard = []
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", script, str(ROOT), str(SAMPLES)]
        done = subprocess.run(command, capture_output=True, env=environment, check=True, cwd=ROOT)
        heard.append(done.stdout.decode().splitlines())
    assert len(heard[0]) > 20
    for one, two in zip(*heard, strict=True):
        assert one == two


def test_the_core_imports_no_clock_no_socket_no_database() -> None:
    sources = sorted((ROOT / "gateway" / "inbound").glob("*.py"))
    assert len(sources) > 3
    for path in sources:
        source = path.read_text("utf-8")
        assert not re.search(
            r"import (time|socket|random|os|sqlalchemy|twisted)\b|now\(|utcnow|open\(", source
        )


@pytest.mark.parametrize("name", [b"GoodsShipment", b"Consignment", b"stranger"])
def test_a_tree_as_deep_as_the_parser_takes_is_judged(world: World, name: bytes) -> None:
    deep = b"<%b>" % name * 240 + b"</%b>" % name * 240
    document = declaration("LRN-DEEP").replace(b"</Declaration>", deep + b"</Declaration>")
    verdict = inspect_xml(world, document).verdict
    assert verdict.outcome is Outcome.REJECTED
    assert {f.code[:3] for m in verdict.messages for f in m.findings} == {"XML"}


# -- no sender can break the journey ----------------------------------------------------------------

Edit = tuple[float, int, bytes]
EDITS = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True),
        st.sampled_from((0, 1, 2, 5, 25)),
        st.sampled_from(
            (b"", b"'", b"+", b":", b"?", b"\r\n", b"\xff", b"0", b"-1", b"9" * 60, b"A", b"UNT+1+1'")
        ),
    ),
    min_size=1,
    max_size=4,
)


def worked_on(world: World, submission: Submission) -> Worked | None:
    """What the journey makes of a submission; None where it is refused for a reason."""
    try:
        return work(submission, world.handbook, world.own, lambda count: ["1"] * count, NOW)
    except (Refused, Unreadable) as refused:
        if not refused.findings:
            raise
        return None


def edited(content: bytes, edits: list[Edit]) -> bytes:
    """The content with some octets taken out and others put in their place."""
    for where, count, instead in edits:
        at = int(where * len(content))
        content = content[:at] + instead + content[at + count :]
    return content


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=EDITS)
def test_an_interchange_of_any_content_is_answered_or_refused(world: World, edits: list[Edit]) -> None:
    media_type, body = world.sealed(edited(manifest("M1", GOOD, BAD_COUNT), edits))
    submission = world.submission(body, media_type, CARRIER)
    worked = worked_on(world, submission)
    if worked is None:
        return
    verdict = worked.verdict
    assert worked.receipt[1]
    for message in verdict.messages:
        told = (*verdict.findings, *message.findings)
        assert (message.outcome is Outcome.ACCEPTED) != worst(told)
        assert (message.declaration is not None) == (message.outcome is Outcome.ACCEPTED)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    leaf=st.integers(0, 60),
    text=st.one_of(
        st.sampled_from(
            ("", "0", "-1", "1e5", "NaN", "9" * 40, "A" * 600, "20261350", "1,5", " 5 ", "٣", "ZZ")
        ),
        st.text(
            st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=30
        ),
    ),
    whole=st.booleans(),
)
def test_a_document_of_any_content_is_answered_or_refused(
    world: World, leaf: int, text: str, whole: bool
) -> None:
    root = parse(declaration())
    elements = [e for e in root.iter("*") if whole or len(e) == 0]
    chosen = elements[leaf % len(elements)]
    for child in list(chosen):
        chosen.remove(child)
    chosen.text = text
    submission = world.submission(security.sign_xml(root, world.keys[TRADER.id], NOW))
    worked = worked_on(world, submission)
    if worked is None:
        return
    (message,) = worked.verdict.messages
    assert (message.outcome is Outcome.ACCEPTED) != worst(message.findings)


# -- places never lie --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted((SAMPLES / "wco" / "broken").glob("*.xml")), ids=lambda p: p.stem)
def test_every_broken_sample_is_refused_with_a_place(path: Path) -> None:
    try:
        examined = inbound.examine_xml(parse(path.read_bytes()), book(), lambda _: ())
        findings = [f for m in examined.messages for f in m.findings]
        assert inbound.outcome(examined) is Outcome.REJECTED
    except Unreadable as unreadable:
        findings = list(unreadable.findings)
    assert findings
    for finding in findings:
        assert finding.place != Place()
        assert finding.code in book().catalogue.meanings
