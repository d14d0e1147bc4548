"""Documents that are gone through: nothing passes that ``safexml.parse`` refuses, and nothing of it is held."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from gateway.longxml import MAX_LEFT, Odd, Taker, go_through, outline
from gateway.safexml import MAX_BYTES, XmlLimits, XmlRefused, parse
from tests.operations.knowledge import SAMPLES

SAMPLE = (SAMPLES / "wco" / "import.xml").read_bytes()
NAMESPACES = " ".join(f'xmlns:n{n}="urn:n:{n}"' for n in range(33))
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 20))
LIMITS = XmlLimits()
SMALL = XmlLimits(max_text=1_000)


def in_pieces(data: bytes, size: int = 64) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def code(data: bytes, limits: XmlLimits = LIMITS, size: int = 64) -> str:
    with pytest.raises(XmlRefused) as refused:
        outline(in_pieces(data, size), limits)
    return refused.value.findings[0].code


class Texts:
    """Takes every child of the root, and notes its text."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def take(self, element: etree._Element) -> bool:
        self.found.append("".join(map(str, element.itertext())))
        return True

    def inside(self, element: etree._Element, complete: bool) -> Taker | None:
        return None


def texts(data: bytes, size: int, limits: XmlLimits = LIMITS) -> list[str]:
    taker = Texts()
    root = go_through(in_pieces(data, size), limits, lambda root: taker)
    assert len(root) == 0
    return taker.found


@pytest.mark.parametrize(
    ("refused", "expected"),
    [
        ("<!DOCTYPE a><a/>", "XML004"),
        (f"<!DOCTYPE a [<!ENTITY l0 'ha'>{LAUGHS}]><a>&l19;</a>", "XML004"),
        ("<!DOCTYPE a [<!ENTITY f SYSTEM 'file:///etc/passwd'>]><a>&f;</a>", "XML004"),
        ("<!DOCTYPE a SYSTEM 'http://127.0.0.1:9/a.dtd'><a/>", "XML004"),
        ("<a>&undeclared;</a>", "XML005"),
        ("<a><?go on?></a>", "XML006"),
        ("<?go on?><a/>", "XML006"),
        ("<a/><?go on?>", "XML006"),
        ("<a>" * 257 + "</a>" * 257, "XML007"),
        ("<a " + " ".join(f'b{n}="0"' for n in range(101)) + "/>", "XML009"),
        ("<a>" + "<b/>" * 999 + "<b " + " ".join(f'c{n}="0"' for n in range(101)) + "/></a>", "XML009"),
        (f"<a {NAMESPACES}/>", "XML012"),
        (f"<a><b><c {NAMESPACES[: len(NAMESPACES) // 2].rpartition(' ')[0]}>"
         f"<d {NAMESPACES.replace('xmlns:n', 'xmlns:m')}/></c></b></a>", "XML012"),
        ("<a><b>" + "<c/>" * 99 + "</a>", "XML005"),
        ("<a/><a/>", "XML005"),
        ("<a xmlns:b='x' c='1' c='2'/>", "XML005"),
        ("<?xml version='1.0' encoding='ISO-8859-1'?><a/>", "XML003"),
        (" ", "XML011"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [7, 64, 100_000])
def test_what_is_refused(refused: str, expected: str, size: int) -> None:
    assert code(refused.encode(), size=size) == expected


def test_an_encoding_that_is_named_late() -> None:
    data = b"<?xml version='1.0' " + b" " * 9_000 + b"encoding='UTF-7'?><a/>"
    assert code(data, size=64) == "XML006"
    assert code(data, size=10_000) == "XML003"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_other_encodings(encoding: str) -> None:
    assert code("<a>é</a>".encode(encoding)) in {"XML002", "XML005"}


def test_an_octet_that_is_none_of_utf8_is_told_by_its_line() -> None:
    with pytest.raises(XmlRefused) as refused:
        outline(in_pieces(b"<a>\n\n" + b"<b/>" * 99 + b"\n\xc3", 50), XmlLimits())
    assert (refused.value.findings[0].code, refused.value.findings[0].place.line) == ("XML002", 4)


def test_depth_by_settings() -> None:
    limits = XmlLimits(max_depth=5)
    outline(in_pieces(b"<a>" * 5 + b"</a>" * 5), limits)
    outline(in_pieces(b"<r>" + b"<a><a><a><a/></a></a></a>" * 99 + b"</r>"), limits)
    assert code(b"<r>" + b"<a/>" * 99 + b"<a>" * 5 + b"</a>" * 5 + b"<a/>" * 99 + b"</r>", limits) == "XML007"
    assert code(b"<a>" * 6 + b"</a>" * 6, limits) == "XML007"


@pytest.mark.parametrize("size", [64, 700, 5_000])
@pytest.mark.parametrize(
    "long",
    [
        b"<a>%b</a>" % (b"x" * 1_001),
        b"<a>%b<!-- no end -->%b</a>" % (b"x" * 600, b"x" * 600),
        b"<a><![CDATA[%b]]>%b</a>" % (b"x" * 600, b"x" * 600),
        b"<a b='%b'/>" % (b"x" * 1_001),
        b"<a/>%b" % (b"x" * 1_001),
        b"<a><b><c/>%b</b></a>" % (b"&amp;" * 1_001),
    ],
)
def test_one_text_has_a_bound(long: bytes, size: int) -> None:
    """Whatever stands in the middle of it, and wherever it does."""
    for before, after in (
        (b"", b""),
        (b"<a/>" * 99, b"<a/>" * 99),
        (b"<z><a>1</a>", b"</z>"),
        (b"", b"<b/>" * 999),
    ):
        document = b"<r>" + before + long + after + b"</r>"
        assert code(document, SMALL, size) == "XML010"
        with pytest.raises(XmlRefused):
            parse(document, SMALL)


@pytest.mark.parametrize("size", [64, 700, 5_000])
def test_texts_within_the_bound(size: int) -> None:
    """Side by side they are many, however little is between them."""
    text = b"<a>%b</a><b/>" % (b"x" * 1_000)
    outline(in_pieces(b"<r>" + text * 20 + b"</r>", size), SMALL)
    outline(in_pieces(b"<r>" + (b"x" * 1_000 + b"<b/>") * 20 + b"</r>", size), SMALL)


def test_libxml2_bounds_a_text_by_itself() -> None:
    """Also where every piece of it is short."""
    text = (b"x" * 1_000 + b"<!-- -->") * 11_000
    assert code(b"<a><b>" + text + b"</b></a>", XmlLimits(max_text=9_999_999), 65_536) == "XML010"


@pytest.mark.parametrize("size", [3, 64, 5_000])
def test_nothing_cuts_a_text(size: int) -> None:
    """A comment least of all: what was signed as one text is read as one."""
    document = (
        b"<r><a>GB<!-- -->123</a><a>GB<![CDATA[<1]]>23</a><a>&#71;B&amp;</a>\n<a>\xc3\xa9\xe2\x82\xac</a></r>"
    )
    assert texts(document, size) == ["GB123", "GB<123", "GB&", "é€"]
    assert [a.text for a in parse(document)] == texts(document, size)


def test_more_octets_than_agreed() -> None:
    assert code(b"<a>" + b"<b/>" * 99 + b"</a>", XmlLimits(max_bytes=200)) == "XML001"


@pytest.mark.parametrize(
    "odd",
    [
        b"<r>" + b"".join(b"<a%d/>" % n for n in range(MAX_LEFT + 1)) + b"</r>",
        b" " * 140_000 + b"<r/>",
    ],
    ids=["names", "prolog"],
)
def test_what_cannot_be_let_go_of(odd: bytes) -> None:
    with pytest.raises(Odd):
        outline(in_pieces(odd, 65_536), XmlLimits())
    parse(odd)


def test_one_element_has_a_bound() -> None:
    """Of what is held until it is complete: octets, elements, attributes."""

    def one(part: bytes) -> Iterator[bytes]:
        yield b"<r>" + b" " * 5_000 + b"<a>"
        for _ in range(MAX_BYTES // 65_536 + 1):
            yield part
        raise AssertionError("it read on")

    limits = XmlLimits(max_bytes=2**40, max_nodes=100_000)
    for part in (b"<b>" + b" " * 65_529 + b"</b>", b"<b/>" * 16_384, b"<b c=''/>" * 8_000):
        with pytest.raises(Odd):
            go_through(one(part), limits, lambda root: Texts())


def test_many_elements_pass_where_each_is_let_go_of() -> None:
    limits, count = XmlLimits(max_nodes=1_000), 20_000
    root = outline(in_pieces(b"<r>" + b"<a><b c=''/></a>" * count + b"</r>", 4_000), limits)
    assert len(root) == 1
    with pytest.raises(XmlRefused):
        parse(b"<r>" + b"<a><b c=''/></a>" * count + b"</r>", limits)


def test_what_is_let_go_of_does_not_count() -> None:
    """Read in however small pieces: in each of these something was left while it was open."""
    part = b"<a><b><c/><d/></b><e/></a>"
    root = outline(in_pieces(b"<r>" + part * (MAX_LEFT // 4) + b"</r>", 20), LIMITS)
    assert len(root) == 1


def test_the_first_of_each_name_is_left() -> None:
    root = outline(in_pieces(b"<r><a n='1'><b>1</b><b>2</b></a><a n='2'/><c/><a/></r>", 5), XmlLimits())
    assert [(e.tag, e.get("n")) for e in root] == [("a", "1"), ("c", None)]
    assert root[0][0].text == "1"


def test_time_is_linear() -> None:
    """What is not complete is not gone through again for every piece."""

    def seconds(count: int) -> float:
        data = b"<r><a>" + b"<b>12345678</b>" * count + b"</a></r>"
        began = time.process_time()
        texts(data, 4_096, XmlLimits(max_text=10))
        return time.process_time() - began

    seconds(1_000)
    assert seconds(80_000) < 40 * max(seconds(8_000), 0.005)


@settings(max_examples=300, deadline=None)
@given(
    at=st.integers(0, len(SAMPLE)),
    harm=st.one_of(
        st.binary(max_size=3),
        st.sampled_from([b"<!--", b"-->", b"<![CDATA[", b"]]>", b"<?a?>", b"<!DOCTYPE a>", b"&#0;", b"<a>"]),
    ),
    over=st.integers(0, 3),
    size=st.sampled_from([1, 13, 400, 5_000, 100_000]),
)  # fmt: skip
def test_what_passes_is_well_formed(at: int, harm: bytes, over: int, size: int) -> None:
    """What is gone through parses as a whole too, and what is taken of it are the same texts."""
    data = SAMPLE[:at] + harm + SAMPLE[at + over :]
    try:
        found = texts(data, size)
    except XmlRefused:
        if re.search(rb"<\?|<!DOCTYPE", data[40:]) is None:
            with pytest.raises(XmlRefused):
                parse(data)
        return
    assert found == ["".join(map(str, child.itertext())) for child in parse(data)]
