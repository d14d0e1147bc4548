"""A document in a file is judged as the same document in memory, and is not held: the same findings, places, octets."""

from __future__ import annotations

import re
import tracemalloc
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from lxml import etree

from gateway import inbound, safexml
from gateway.handbook import Handbook
from gateway.longxml import Odd
from gateway.mapping.long_tree import Shelves, read_long, spine_of
from gateway.mapping.tree_rows import load_outline
from gateway.mapping.tree_walk import never_plain
from gateway.model import Declaration, Outcome
from gateway.model.shelf import Long, octets_of
from gateway.model.tree import Entity
from gateway.security import Refused, SigningKey, sign_cms, sign_xml
from gateway.security.certificates.authority import Authority
from gateway.security.xmldsig.plain import compiled
from gateway.storage.codec import octets
from tests.operations.knowledge import NOW, OTHER, ROOT, SAMPLES, TRADER, World, declaration
from tests.test_large_inbound import ATTACHED, MULTIPART, LongShelf, judged, judged_in_file

WCO = SAMPLES / "wco"
REPEATED = {
    "import.xml": (b"GovernmentAgencyGoodsItem", b"AdditionalDocument"),
    "export.xml": (b"GovernmentAgencyGoodsItem",),
    "cargo-import.xml": (b"Consignment", b"TransportEquipment"),
    "cargo-export.xml": (b"Consignment",),
    "conveyance.xml": (b"Itinerary",),
}
ITSELF = "application/xml"
ACCEPTED = "accepted"
"""No sample: what the rules accept however often its items are repeated."""
HARM = {
    "nothing": b"",
    "element": b"<Stranger/>",
    "text": b"stray",
    "blank": b"\xc2\xa0",
    "comment": b"<!-- <?not one?> -->",
    "cdata": b"<![CDATA[ ]]>",
    "instruction": b"<?go on?>",
    "type": b"<!DOCTYPE a>",
    "entity": b"&many;",
    "open": b"<a>",
    "signature": b'<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"/>',
    "octet": b"\xff",
}


compiled_only = pytest.mark.skipif(compiled is None, reason="there was no compiler at installation")


def few_at_a_time(world: World, piece: int = 400, held: int = 2) -> Handbook:
    """The knowledge of one who holds next to nothing of a document."""
    policy = world.handbook.policy
    limits = msgspec.structs.replace(policy.xml, piece=piece, held=held)
    return replace(world.handbook, policy=msgspec.structs.replace(policy, xml=limits))


def unheld(book: Handbook) -> Handbook:
    """The same, where no document may be held whole."""
    return replace(book, policy=msgspec.structs.replace(book.policy, max_bytes=4_000))


def repeated(name: str, times: int) -> bytes:
    """A sample in which what repeats does so often, some of it alike and some with a number of its own."""
    if name == ACCEPTED:
        return declaration("LRN-1", items=times + 1)
    text = (WCO / name).read_bytes()
    for tag in REPEATED[name]:
        one = re.search(rb"<%b>.*?</%b>\s*" % (tag, tag), text, re.S)
        assert one is not None
        parts = (
            re.sub(rb"(<SequenceNumeric>)1(<)", rb"\g<1>%d\2" % number, one[0], count=1)
            for number in range(20, 20 + times)
        )
        end = text.index(one[0]) + len(one[0])
        while (more := re.compile(rb"<%b>.*?</%b>\s*" % (tag, tag), re.S).match(text, end)) is not None:
            end = more.end()
        text = text[:end] + b"".join(parts) + text[end:]
    return text


def signed(world: World, content: bytes, envelope: str) -> tuple[str, bytes]:
    """(media type, body); what is no document cannot be signed in itself."""
    if envelope != ITSELF:
        return sign_cms(content, ITSELF, world.keys[TRADER.id], envelope, NOW)
    try:
        return ITSELF, world.signed(content)
    except (safexml.XmlRefused, ValueError):
        return ITSELF, content


def alike(world: World, content: bytes, book: Handbook, envelope: str = ATTACHED) -> LongShelf:
    """Judge both ways."""
    media_type, body = signed(world, content, envelope)
    submission, shelf = world.submission(body, media_type), LongShelf()
    assert judged_in_file(world, submission, book, shelf) == judged(world, submission, book)
    return shelf


@pytest.mark.parametrize("name", sorted(p.name for p in WCO.glob("*.xml")))
@pytest.mark.parametrize("envelope", [ATTACHED, MULTIPART, ITSELF])
def test_samples(world: World, name: str, envelope: str) -> None:
    alike(world, (WCO / name).read_bytes(), few_at_a_time(world), envelope)


@pytest.mark.parametrize("path", sorted((WCO / "broken").glob("*.xml")), ids=lambda path: path.stem)
def test_broken_samples(world: World, path: Path) -> None:
    alike(world, path.read_bytes(), few_at_a_time(world))
    alike(world, path.read_bytes(), few_at_a_time(world), ITSELF)


@pytest.mark.parametrize("name", [ACCEPTED, *sorted(REPEATED)])
@pytest.mark.parametrize("envelope", [ATTACHED, MULTIPART, pytest.param(ITSELF, marks=compiled_only)])
def test_what_repeats_is_read_in_pieces(world: World, name: str, envelope: str) -> None:
    """Accepted or rejected by rules, with all their places."""
    content, book = repeated(name, 30), few_at_a_time(world)
    media_type, body = signed(world, content, envelope)
    submission, shelf = world.submission(body, media_type), LongShelf()
    verdict, _ = judged_in_file(world, submission, unheld(book), shelf)  # type: ignore[misc]
    assert (verdict, None) == judged(world, submission, book)
    assert verdict.messages[0].lrn
    assert (shelf.long == 1) is (verdict.messages[0].outcome is Outcome.ACCEPTED) is (name == ACCEPTED)


@pytest.mark.parametrize("name", [ACCEPTED, *sorted(REPEATED)])
@pytest.mark.parametrize("held", [0, 3, 40])
def test_the_same_declaration_is_read(world: World, tmp_path: Path, name: str, held: int) -> None:
    content, schemas = repeated(name, 10), world.handbook.schemas
    document = safexml.parse(content)
    entry = schemas.find(document)
    assert entry is not None
    table, limits = world.handbook.mappings.xml(entry.table), safexml.XmlLimits(held=held)
    (whole,) = table.read(document).declarations
    pieces = (content[at : at + 500] for at in range(0, len(content), 500))
    (found,) = table.read_long(pieces, limits, schemas.schema(entry), tmp_path).declarations
    assert isinstance(found.root, Long) is (held < 40)
    assert b"".join(octets_of(found)) == octets(whole)
    outline = table._outline  # type: ignore[union-attr]
    spine, slowly = spine_of(outline.root), Shelves(never_plain, held, tmp_path)
    assert spine is not None
    (again,) = read_long(spine, slowly, [content], limits, schemas.schema(entry)).each(outline.body.name)
    assert b"".join(octets_of(msgspec.structs.replace(found, root=again))) == octets(whole)
    for path in ("Consignment[7]/TransportContractDocument/ID", "GoodsShipment/GovernmentAgencyGoodsItem[9]"):
        assert found.root.entity(path) == whole.root.entity(path)
        assert found.root.text(f"{path}/SequenceNumeric") == whole.root.text(f"{path}/SequenceNumeric")


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.generate],
)
@given(
    name=st.sampled_from([ACCEPTED, *sorted(REPEATED)]),
    times=st.integers(0, 12),
    harm=st.sampled_from([*sorted(HARM), "cut", "change", "drop", "twice", "swap"]),
    between=st.booleans(),
    at=st.integers(0, 100_000),
    piece=st.sampled_from([60, 400, 4_000, 65_536]),
    envelope=st.sampled_from([ATTACHED, ITSELF]),
)
def test_whatever_is_wrong(
    world: World, name: str, times: int, harm: str, between: bool, at: int, piece: int, envelope: str
) -> None:
    """And wherever: the same verdict, findings, places and octets."""
    content = repeated(name, times)
    at = content.find(b"<" if between else b">", at % len(content)) + (not between)
    element = re.compile(rb"<(\w+)[^<>/]*>(?:[^<]*|.*?)</\1>\s*", re.S).search(content, max(at, 0))
    if harm in HARM:
        content = content[:at] + HARM[harm] + content[at:]
    elif harm == "cut":
        content = content[:at]
    elif harm == "change":
        content = content[:at] + re.sub(rb">([^<>]+)<", b">9<", content[at:], count=3)
    elif element is not None:
        start, end = element.span()
        following = element.re.match(content, end)
        if harm == "swap" and following is not None:
            content = content[:start] + following[0] + element[0] + content[following.end() :]
        else:
            content = content[:start] + (element[0] * 2 if harm == "twice" else b"") + content[end:]
    alike(world, content, few_at_a_time(world, piece), envelope)


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.generate],
)
@given(at=st.integers(0, 100_000), end=st.booleans(), octets=st.binary(max_size=2), over=st.integers(0, 2))
def test_whatever_was_done_to_what_is_signed_in_itself(
    world: World, at: int, end: bool, octets: bytes, over: int
) -> None:
    """In the document, or (of as many) in its signature: the same refusal."""
    body = world.signed(repeated(ACCEPTED, 3))
    at %= 2_500 if end else len(body)
    at = len(body) - at if end else at
    submission = world.submission(body[:at] + octets + body[at + over :])
    book = few_at_a_time(world)
    assert judged_in_file(world, submission, book) == judged(world, submission, book)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"</Declaration>", b"</Declaration><!-- -->"),
        (b"<FunctionCode>", b"<FunctionCode >"),
        (b"</Declaration>", b"</Declaration><s:Signature xmlns:s='urn:s'></s:Signature>"),
        (b"<FunctionCode>", b'<FunctionCode xmlns:s="urn:s">'),
    ],
)
def test_what_is_not_plain_is_proven_from_its_tree(world: World, before: bytes, after: bytes) -> None:
    """As far as that may be held."""
    body = world.signed(repeated(ACCEPTED, 3)).replace(before, after)
    submission, book = world.submission(body), few_at_a_time(world)
    assert judged_in_file(world, submission, book) == judged(world, submission, book)
    _, (refused,) = judged_in_file(world, submission, unheld(book))  # type: ignore[misc]
    assert refused.code == "SIG051"


@pytest.mark.parametrize("path", sorted((WCO / "broken").glob("*.xml")), ids=lambda path: path.stem)
def test_what_is_wrong_with_one_that_may_not_be_held(world: World, path: Path) -> None:
    """It is rejected with the words of the engine that decides, which says some things at the end of a class."""
    content = path.read_bytes() + b"\n" * 5_000
    media_type, body = signed(world, content, ATTACHED)
    submission, book = world.submission(body, media_type), few_at_a_time(world)
    whole, found = judged(world, submission, book), judged_in_file(world, submission, unheld(book))
    if isinstance(whole[0], type):  # type: ignore[index]
        assert found == whole
        return
    one, other = whole[0].messages[0].findings, found[0].messages[0].findings  # type: ignore[index]
    assert {f.code[:3] for f in other} == {"XML"}
    assert found[0].reference == whole[0].reference  # type: ignore[index]
    assert any(f.place.line - g.place.line in range(3) for f in other for g in one) or one[0].code == "XML033"


def test_what_occurs_once_has_no_number(world: World) -> None:
    """And what occurs twice has one from the first on."""
    for items in (1, 2):
        content = declaration("LRN-1", items=items).replace(b"<CountryCode>CN<", b"<CountryCode>XX<")
        media_type, body = signed(world, content, ATTACHED)
        submission, book = world.submission(body, media_type), few_at_a_time(world)
        found = judged_in_file(world, submission, unheld(book))
        assert found == judged(world, submission, book)
        paths = {f.place.xpath for f in found[0].messages[0].findings}  # type: ignore[index]
        assert any("GovernmentAgencyGoodsItem/" in path for path in paths) is (items == 1)


def test_one_that_has_a_signature_of_its_own_in_another(world: World) -> None:
    alike(world, world.signed(declaration("LRN-1")), few_at_a_time(world))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"</GovernmentAgencyGoodsItem>", b"</GovernmentAgencyGoodsItem>stray"),
        (b"<Declaration>", b"<Declaration><GoodsShipment></GoodsShipment>"),
        (b"</GovernmentAgencyGoodsItem>", b"</GovernmentAgencyGoodsItem><Consignee><ID>1</ID></Consignee>"),
        (b"<GovernmentAgencyGoodsItem>", b"<GovernmentAgencyGoodsItem><Stranger/>"),
        (b"<Declarant>", b"<Stranger/><Declarant>"),
        (b"<Consignee>", b"<GovernmentAgencyGoodsItem></GovernmentAgencyGoodsItem><Consignee>"),
    ],
)
def test_only_what_is_plain_is_read_in_pieces(tmp_path: Path, before: bytes, after: bytes) -> None:
    """Also where a schema lets pass what the table does not."""
    lax = etree.XMLSchema(safexml.parse(LAX))
    outline = load_outline(ROOT / "mappings" / "wco" / "dec.toml")
    spine, content = spine_of(outline.root), declaration("LRN-1", items=2)
    assert spine is not None
    shelves = Shelves(never_plain, 9, tmp_path)
    read_long(spine, shelves, [content], safexml.XmlLimits(), lax)
    with pytest.raises(Odd):
        read_long(spine, shelves, [content.replace(before, after)], safexml.XmlLimits(), lax)


LAX = b"""<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"
 targetNamespace="urn:wco:datamodel:WCO:DocumentMetaData:3"><xs:element name="MetaData"><xs:complexType><xs:sequence>
 <xs:any maxOccurs="unbounded" processContents="skip"/></xs:sequence></xs:complexType></xs:element></xs:schema>"""


def test_a_fault_of_the_table_in_one_that_may_not_be_held(world: World) -> None:
    """What the schema lets pass, and is read from its tree only."""
    content = (SAMPLES / "camt" / "credit-notification.xml").read_bytes() + b"\n" * 5_000
    media_type, body = signed(world, content, ATTACHED)
    verdict, _ = judged_in_file(world, world.submission(body, media_type), unheld(world.handbook))  # type: ignore[misc]
    assert [f.code for f in verdict.messages[0].findings] == ["XML048"]


@compiled_only
def test_who_signed_is_asked_all_the_same(world: World) -> None:
    body = repeated(ACCEPTED, 3)
    for by in (TRADER, OTHER):
        submission, book = world.submission(world.signed(body, by)), few_at_a_time(world)
        assert judged_in_file(world, submission, unheld(book)) == judged(world, submission, book)
    stranger = Authority.create(world._folder / "stranger", "Somebody else")
    key, certificate = world._folder / "s.key.pem", world._folder / "s.crt.pem"
    stranger.issue("CN=Somebody,C=VN", key, certificate, algorithm="p256")
    signed_by = sign_xml(safexml.parse(body), SigningKey.load(key, certificate), NOW)
    submission = world.submission(signed_by)
    found = judged_in_file(world, submission, unheld(few_at_a_time(world)))
    assert found == judged(world, submission)
    assert found[0] is Refused  # type: ignore[index]


def test_lines_beyond_those_that_an_element_has_room_for(world: World) -> None:
    """libxml2 keeps 16 bits of a line in an element, and more in the text behind it."""
    content = declaration("LRN-1", items=4).replace(b"<GoodsShipment>", b"\n" * 70_000 + b"<GoodsShipment>")
    content = content.replace(b"<CountryCode>CN<", b"<CountryCode>XX<")
    media_type, body = signed(world, content, ATTACHED)
    submission, book = world.submission(body, media_type), few_at_a_time(world, 5_000)
    found = judged(world, submission, book)
    assert judged_in_file(world, submission, unheld(book)) == found
    lines = [f.place.line for f in found[0].messages[0].findings]  # type: ignore[index]
    assert max(lines) > 70_000


def test_a_document_is_not_held(world: World, tmp_path: Path) -> None:
    """Neither by Python nor by libxml2, whose memory its allocator does not tell."""
    media_type, body = signed(world, declaration("LRN-1", items=2_500), ATTACHED)
    file = tmp_path / "body"
    file.write_bytes(body)
    assert len(body) > 2_500_000
    large = msgspec.structs.replace(world.submission(body, media_type), body=b"", file=str(file))
    del body
    staged = []

    def stage(ordinal: int, declared: Declaration) -> Declaration:
        staged.append(sum(map(len, octets_of(declared))))
        return msgspec.structs.replace(declared, root=Entity("Declaration"))

    inbound.inspect(large, world.handbook, NOW, stage=stage)
    before, again = _resident(), _resident("5")
    tracemalloc.start()
    inbound.inspect(large, world.handbook, NOW, stage=stage)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert staged[0] > 2_000_000
    assert peak < 8_000_000
    assert _resident() - min(before, again) < 24_000  # its tree alone has as much


def _resident(reset: str = "") -> int:
    """The most that was, in KiB, since it was reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text(reset)
    return int(re.findall(r"^VmHWM:\s+(\d+)", Path("/proc/self/status").read_text(), re.M)[0])
