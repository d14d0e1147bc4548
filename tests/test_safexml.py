"""The one door by which bytes become XML: what passes, and how each attack on parsers is refused."""

from __future__ import annotations

import gc
import resource
import socket
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from gateway.model import Finding
from gateway.safexml import XmlLimits, XmlRefused, parse, xpath_of

LIMITS = XmlLimits()


def refused(data: bytes, limits: XmlLimits = LIMITS) -> Finding:
    with pytest.raises(XmlRefused) as caught:
        parse(data, limits)
    return caught.value.findings[0]


def test_a_plain_document_is_read() -> None:
    root = parse(b'<?xml version="1.0" encoding="UTF-8"?>\n<a xmlns="urn:a"><b>\xc3\x81nh</b></a>')
    assert root.tag == "{urn:a}a"
    assert root[0].text == "Ánh"
    assert root[0].sourceline == 2


@pytest.mark.parametrize(
    "data", [b"\xef\xbb\xbf<a/>", b"<?xml version='1.0' encoding='utf-8'?><a/>", b"\n<a/>\n", b"<a/>"]
)
def test_usual_forms_are_read(data: bytes) -> None:
    assert parse(data).tag == "a"


def test_comments_are_dropped_and_text_is_whole() -> None:
    assert parse(b"<!-- x --><a>GB<!-- -->12<![CDATA[3]]>4</a><!-- y -->").text == "GB1234"


@pytest.mark.parametrize(
    "doctype",
    [
        b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]>',
        b'<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1:1/x.dtd"> %p;]>',
        b'<!DOCTYPE a SYSTEM "http://127.0.0.1:1/x.dtd">',
        b"<!DOCTYPE a>",
    ],
)
@pytest.mark.parametrize(
    "before", [b"", b"<?xml version='1.0'?>", b"<!-- <a> -->\n", b"<?pi x?>", b"\xef\xbb\xbf"]
)
def test_xxe_is_refused_before_any_expansion(before: bytes, doctype: bytes) -> None:
    finding = refused(before + doctype + b"<a>&e;</a>")
    assert finding.code == "XML004"
    assert finding.place.line >= 1
    assert finding.place.column >= 1


def test_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.2)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/x"
    refused(f'<!DOCTYPE a SYSTEM "{url}"><a/>'.encode())
    location = f'xsi:schemaLocation="urn:a {url}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    include = f'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{url}"/>'
    assert len(parse(f"<a {location}>{include}</a>".encode())) == 1
    with pytest.raises(TimeoutError):
        listener.accept()
    listener.close()


def test_billion_laughs_is_refused_fast() -> None:
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    started = time.process_time()
    assert refused(f'<!DOCTYPE a [<!ENTITY e0 "ha">{levels}]><a>&e9;</a>'.encode()).code == "XML004"
    assert time.process_time() - started < 1


def test_quadratic_blow_up_is_refused() -> None:
    entity = "x" * 100_000
    assert refused(f'<!DOCTYPE a [<!ENTITY e "{entity}">]><a>{"&e;" * 10_000}</a>'.encode()).code == "XML004"


def test_an_undeclared_entity_is_refused() -> None:
    finding = refused(b"<a>\n &x;</a>")
    assert finding.code == "XML005"
    assert finding.place.line == 2


def test_doctype_in_cdata_or_comment_is_text() -> None:
    assert parse(b"<a><!-- <!DOCTYPE b> --><![CDATA[<!DOCTYPE b>]]></a>").text == "<!DOCTYPE b>"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp037", "utf-7"])
def test_other_encodings_are_refused(encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE a [<!ENTITY e "x">]><a>Ánh &e;</a>'
    assert refused(text.encode(encoding, "ignore")).code in ("XML002", "XML003", "XML004", "XML005", "XML011")


def test_a_declared_encoding_must_be_true() -> None:
    for name in ("ISO-8859-1", "UTF-16", "UTF-7", "windows-1258"):
        finding = refused(f"<?xml version='1.0' encoding = '{name}' ?><a/>".encode())
        assert (finding.code, finding.expected, finding.found) == ("XML003", "UTF-8", name)


@pytest.mark.parametrize("octets", [b"\xc0\xaf", b"\xed\xa0\x80", b"\xff", b"\xf4\x90\x80\x80", b"\xe1\xba"])
def test_overlong_and_broken_utf8_is_refused_with_its_place(octets: bytes) -> None:
    finding = refused(b"<a>\n<b>" + octets + b"</b></a>")
    assert finding.code == "XML002"
    assert (finding.place.line, finding.place.column, finding.place.offset) == (2, 4, 7)


@pytest.mark.parametrize(
    "data",
    [
        b"<?xml-stylesheet href='x.xsl'?><a/>",
        b"<a><?php x?></a>",
        b"<a/>\n<?late x?>",
        b"<?xml version='1.0'?><a>\n<?x?></a>",
        b"\xef\xbb\xbf<?x?><a/>",
    ],
)
def test_instructions_are_refused(data: bytes) -> None:
    assert refused(data).code == "XML006"


def test_question_marks_are_no_instructions() -> None:
    assert parse(b"<?xml version='1.0'?><a>UNA:+.? '</a>").text == "UNA:+.? '"


def nested(depth: int) -> bytes:
    return b"<a>" * depth + b"</a>" * depth


def test_depth_is_bounded() -> None:
    parse(nested(256))
    for depth in (257, 258, 10_000):
        finding = refused(nested(depth))
        assert (finding.code, finding.expected) == ("XML007", "256")
    finding = refused(nested(101), XmlLimits(max_depth=100))
    assert (finding.code, finding.place.xpath.count("/a")) == ("XML007", 101)
    assert refused(nested(6), XmlLimits(max_depth=5)).code == "XML007"
    parse(nested(5), XmlLimits(max_depth=5))


def test_bytes_are_bounded() -> None:
    assert refused(b"<a>" + b" " * 100 + b"</a>", XmlLimits(max_bytes=100)).code == "XML001"


@pytest.mark.parametrize("data", [b"<a>" + b"<b/>" * 60 + b"</a>", b"<a>" + b"<b></b>" * 60 + b"</a>"])
def test_nodes_are_bounded(data: bytes) -> None:
    assert refused(data, XmlLimits(max_nodes=60)).code == "XML008"
    assert len(parse(data, XmlLimits(max_nodes=61))) == 60


def test_attributes_are_bounded() -> None:
    def element(count: int) -> bytes:
        names = " ".join(f'a{n}="1"' for n in range(count))
        return f"<r>\n<e {names}/></r>".encode()

    assert len(parse(element(100))[0].attrib) == 100
    finding = refused(element(101))
    assert (finding.code, finding.place.xpath, finding.place.line) == ("XML009", "/r/e", 2)


def test_a_million_attributes_do_not_stall() -> None:
    names = " ".join(f'a{n}="1"' for n in range(200_000))
    started = time.process_time()
    assert refused(f"<e {names}/>".encode()).code == "XML009"
    assert time.process_time() - started < 5


def test_namespaces_in_scope_are_bounded() -> None:
    def element(count: int) -> bytes:
        names = " ".join(f'xmlns:p{n}="urn:{n}"' for n in range(count))
        return f"<r><e {names}/></r>".encode()

    assert len(parse(element(32))[0].nsmap) == 32
    finding = refused(element(33))
    assert (finding.code, finding.place.xpath, finding.place.line) == ("XML012", "/r/e", 1)
    siblings = b"<r>" + b'<e xmlns="urn:x"/>' * 500 + b"</r>"
    assert len(parse(siblings)) == 500


def test_namespaces_are_counted_over_the_whole_path() -> None:
    """Inclusive canonicalisation walks through a prefix as often as it is declared above."""
    nested = b'<e xmlns="urn:x" xmlns:a="urn:y">' * 17 + b"</e>" * 17
    assert refused(nested).code == "XML012"
    parse(b'<e xmlns="urn:x" xmlns:a="urn:y">' * 16 + b"</e>" * 16)


def test_namespaces_cost_a_stranger_nothing() -> None:
    """Elements are not asked for the namespaces around them, each anew."""
    names = b" ".join(b'xmlns:p%d="u:%d"' % (n, n) for n in range(30))
    more = b'<q xmlns:z1="z:"/><q xmlns:z2="z:"/><q xmlns:z3="z:"/>'
    began = time.process_time()
    parse(b"<r " + names + b">" + more + b"<a/>" * 200_000 + b"</r>")
    assert time.process_time() - began < 1


def test_elements_times_namespaces_are_bounded() -> None:
    limits = XmlLimits(max_scopes=10_000)
    few = b'<r xmlns:a="urn:a" xmlns:b="urn:b">' + b"<e/>" * 4_999 + b"</r>"
    assert len(parse(few, limits)) == 4_999
    finding = refused(few.replace(b"<e/>", b"<e/><e/>", 1), limits)
    assert (finding.code, finding.expected, finding.found) == ("XML008", "5000", "5001")


def test_attributes_are_bounded_in_total_before_the_tree_is_built() -> None:
    limits = XmlLimits(max_nodes=100)
    assert len(parse(b"<r>" + b'<e a="" b="" c="" d=""/>' * 25 + b"</r>", limits)) == 25
    many = b"<r>" + b'<e a="" b="" c="" d=""/>' * 25 + b'<e f="" /></r>'
    assert refused(many, limits).code == "XML008"
    assert len(parse(b"<r>" + b"<e>a=b</e>" * 99 + b"</r>", limits)) == 99


def test_text_is_bounded() -> None:
    limits = XmlLimits(max_text=1_000)
    assert refused(b"<a>\n<b>" + b"x" * 1_001 + b"</b></a>", limits).place.xpath == "/a/b"
    assert refused(b'<a b="' + b"x" * 1_001 + b'"/>', limits).code == "XML010"
    parse(b"<a>" + b"x" * 1_000 + b"</a>", limits)
    assert refused(b"<a>" + b"x" * 10_000_001 + b"</a>").code == "XML010"


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"<a>\n<b></a>", 2),
        (b"<a/><b/>", 1),
        (b"<a", 1),
        (b'<a x="1" x="2"/>', 1),
        (b"<a>\x01</a>", 1),
        (b"<p:a/>", 1),
    ],
)
def test_broken_markup_is_refused_with_its_line(data: bytes, line: int) -> None:
    finding = refused(data)
    assert finding.code == "XML005"
    assert finding.place.line == line
    assert finding.place.column > 0
    assert finding.found


@pytest.mark.parametrize("data", [b"", b"   ", b"UNB+UNOC:3'", b"\x00\x01", b"\xef\xbb\xbf"])
def test_no_document_is_refused(data: bytes) -> None:
    assert refused(data).code in ("XML005", "XML011")


def test_paths_are_indexed_where_names_are_shared() -> None:
    root = parse(b'<m:a xmlns:m="urn:m" xmlns:n="urn:n"><b/><m:c/><n:c><d/></n:c></m:a>')
    assert xpath_of(root) == "/a"
    assert xpath_of(root[0]) == "/a/b"
    assert xpath_of(root[1]) == "/a/c[1]"
    assert xpath_of(root[2][0]) == "/a/c[2]/d"


def test_fifty_megabytes_pass() -> None:
    item = b"<Item><SequenceNumeric>1</SequenceNumeric><Description>" + b"x" * 200 + b"</Description></Item>"
    count = 50_000_000 // len(item)
    data = b"<Declaration>" + item * count + b"</Declaration>"
    root = parse(data)
    assert len(root) == count
    del root
    gc.collect()


def test_files_of_this_machine_are_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("SECRET")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    data = f'<!DOCTYPE a [<!ENTITY e SYSTEM "{secret.as_uri()}">]><a>&e;</a>'.encode()
    assert "SECRET" not in repr(refused(data))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def outcome(data: bytes) -> etree._Element | Finding:
    try:
        return parse(data)
    except XmlRefused as error:
        return error.findings[0]


@given(st.binary(max_size=200) | st.text(alphabet="<>/&;!?-[]ab =\"'\n\u00c1", max_size=60).map(str.encode))
def test_any_octets_give_a_clean_tree_or_a_refusal_with_its_line(data: bytes) -> None:
    result = outcome(data)
    if isinstance(result, Finding):
        assert result.place.line >= 1
    else:
        assert not list(result.iter(etree.Comment, etree.ProcessingInstruction, etree.Entity))
