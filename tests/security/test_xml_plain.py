"""What is taken from received octets is what the library makes of their tree; what looks like a signature that was
proven is read as the slow way reads it."""

from __future__ import annotations

import base64
import re
import string
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from msgspec.structs import replace

from gateway.safexml import XmlRefused, parse
from gateway.security import Policy, Refused, sign_xml, verify
from gateway.security.stretch import Stretch
from gateway.security.xmldsig import verifying
from gateway.security.xmldsig.canonical import EXCLUSIVE, INCLUSIVE, canonical, canonical_part
from gateway.security.xmldsig.forms import FORMS, Forms
from gateway.security.xmldsig.plain import Plain, compiled, plain_in, plain_of
from gateway.security.xmldsig.shapes import _detach
from gateway.security.xmldsig.signature import only_signature, read_signature

from .signing_kit import Trader

pytestmark = pytest.mark.skipif(compiled is None, reason="there was no compiler at installation")

DS = "http://www.w3.org/2000/09/xmldsig#"
NOW = datetime.now(UTC).replace(microsecond=0)
SIGNATURE = f"<s:Signature xmlns:s=\"{DS}\" Id='>'><s:SignedInfo/></s:Signature>"

TEXTS = st.sampled_from(
    [
        *("", " ", "\n", "\r", "\r\n", "\t", "\u0085", "\u2028", "<!--c-->", "<![CDATA[x]]>", "<?p i?>"),
        *("x", "đ", "é", "e\u0301", "&amp;", "&lt;", "&gt;", "&quot;", "&apos;", "&#13;", "&#10;", "&#x41;"),
        *(">", '"', "'", "]]&gt;"),
    ]
)
VALUES = st.sampled_from(
    [
        *("", " ", " x  y ", "\n", "\t", "x", "đ", "&#9;", "&#xA;", "&#xD;", "&quot;", "&apos;", "&gt;", ">"),
        *("&amp;", "&lt;", "'", "/", "=", "&#34;", "&#38;"),
    ]
)
URIS = st.sampled_from(
    [
        *("", "a", "urn:a b", "urn:a", "urn:b:c", "urn:", "urn:&amp;", "urn:đ", "http://a/b#", "http://a"),
        *("https://a-b.c/d_e", "http://", "http:///x", "HTTP://a", "http://a:b/", DS),
        "http://www.w3.org/2001/XMLSchema-instance",
    ]
)
NAMES = st.sampled_from(
    ["a", "b", "c.d", "p:a", "q:a", "xsi:type", "xml:lang", "xml:id", "Id", "id", "Signature", "đ"]
)
DECLARED = st.sampled_from(["xmlns", "xmlns:p", "xmlns:q", "xmlns:xsi", "xmlns:xml"])
BLANKS = st.sampled_from([" "] * 12 + ["  ", "\n", "\t", ""])
SETTLED = settings(max_examples=400, deadline=None)


@st.composite
def attributes(draw: st.DrawFn) -> str:
    """What stands behind an element's name; most of it in order."""
    declared = draw(st.lists(st.tuples(DECLARED, URIS), max_size=2, unique_by=lambda one: one[0]))
    named = draw(st.lists(st.tuples(NAMES, VALUES), max_size=3, unique_by=lambda one: one[0]))
    found = [*declared, *named] if draw(st.booleans()) else [*sorted(declared), *sorted(named)]
    quote = draw(st.sampled_from(['"'] * 9 + ["'"]))
    return "".join(f"{draw(BLANKS)}{name}={quote}{value}{quote}" for name, value in found)


@st.composite
def elements(draw: st.DrawFn, depth: int = 0) -> str:
    """An element with what is in it."""
    name = draw(NAMES)
    inside = [draw(TEXTS)]
    for _ in range(draw(st.integers(0, 0 if depth == 3 else 2))):
        inside += [draw(elements(depth=depth + 1)), draw(TEXTS)]
    end = draw(st.sampled_from([f"</{name}>"] * 8 + [f"</{name} >", "/>"]))
    if end == "/>":
        return f"<{name}{draw(attributes())}/>"
    return f"<{name}{draw(attributes())}>{''.join(inside)}{end}"


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """A root with elements and, in most, a signature as its last child."""
    head = draw(
        st.sampled_from(["", "", '<?xml version="1.0" encoding="UTF-8"?>\n', "\ufeff", "<!--c-->", "\n"])
    )
    scope = draw(
        st.sampled_from(["", ' xmlns="urn:d"', ' xmlns:p="urn:p" xmlns:q="urn:q"', ' xmlns:p="urn:p"'])
    )
    root = draw(st.sampled_from(["r", "p:r", "q:r"]))
    inside = draw(st.lists(elements() | TEXTS, max_size=4))
    last = draw(st.sampled_from([SIGNATURE] * 6 + ["", SIGNATURE * 2, f"{SIGNATURE}<a></a>"]))
    tail = draw(TEXTS)
    behind = draw(st.sampled_from(["", "", "\n", "\r\n", "<!--c-->", "<?p?>"]))
    return f"{head}<{root}{scope}{draw(attributes())}>{''.join(inside)}{last}{tail}</{root}>{behind}".encode()


def judged(body: bytes) -> bool:
    """Whether a body is plain; what is taken from it must be what the library makes of its tree."""
    try:
        root = parse(body)
    except XmlRefused:
        compiled.find(body)  # it may say anything of what nobody reads
        return False
    try:
        signature = only_signature(root)
    except Refused:
        return False
    plain = plain_of(body, root, signature)
    _judged_in_windows(body, plain)
    if plain is None:
        return False
    alone = parse(plain.signature())
    assert etree.tostring(alone, method="c14n", exclusive=True) == etree.tostring(
        signature, method="c14n", exclusive=True, with_tail=False
    )
    _detach(root, signature)
    for method in (EXCLUSIVE, INCLUSIVE):
        if plain.is_canonical(method):
            assert plain.content() == canonical(root, method)
    return True


def _judged_in_windows(body: bytes, plain: Plain | None) -> None:
    """It is the same document in a file; whatever else is called a signature is left to its tree."""
    with tempfile.TemporaryDirectory() as folder:
        stretch = Stretch.of_pieces([body], Path(folder))
        for size in (60, 250, len(body)):
            found = plain_in(stretch, size)
            if found is not None:
                assert plain is not None
                assert [getattr(found, name) for name in PLACES] == [getattr(plain, name) for name in PLACES]
                assert b"".join(found.content().pieces()) == plain.content()
                unsigned, hollow = parse(b"".join(found.unsigned().pieces())), parse(found.hollow())
                assert canonical(unsigned, INCLUSIVE) == plain.content()
                assert hollow[-1].sourceline == parse(body)[-1].sourceline
                for method in (EXCLUSIVE, INCLUSIVE):
                    assert canonical_part(hollow[-1], method) == canonical_part(parse(body)[-1], method)
        assert (found is None) <= (plain is None or len(re.findall(rb"<(?:\w+:)?Signature[ />]", body)) > 1)


PLACES = ("opening", "start", "end", "closing", "idle")


@SETTLED
@given(documents())
def test_what_is_plain_is_what_the_library_writes(body: bytes) -> None:
    judged(body)


@SETTLED
@given(documents())
def test_what_the_library_writes_is_mostly_plain(body: bytes) -> None:
    try:
        root = parse(body)
        written = canonical(root, EXCLUSIVE)
    except (XmlRefused, Refused):
        return
    judged(written)


@pytest.mark.parametrize(
    ("body", "plain"),
    [
        (f'<r a="1" b="2">x{SIGNATURE}\n</r>', True),
        (f'<?xml version="1.0"?>\n<r>x{SIGNATURE}</r>\n', True),
        (f'<p:r xmlns:p="urn:p"><a p:b=">"></a>{SIGNATURE}</p:r>', True),
        (f'<r xmlns="urn:a"><b xmlns="urn:b"><c xmlns="urn:a"></c></b>{SIGNATURE}</r>', True),
        (f'<r xmlns="urn:a"><b xmlns="urn:a"></b>{SIGNATURE}</r>', False),
        (f'<r xmlns="urn:a"><b xmlns=""></b>{SIGNATURE}</r>', False),
        (f'<r b="1" a="2">{SIGNATURE}</r>', False),
        (f'<p:r xmlns:p="urn:p" xmlns:q="urn:q" q:a="1">{SIGNATURE}</p:r>', True),
        (f'<p:r xmlns:q="urn:q" xmlns:p="urn:p" q:a="1">{SIGNATURE}</p:r>', False),
        (f'<r xmlns:p="urn:p" xmlns="urn:d" p:a="1">{SIGNATURE}</r>', False),
        (f'<r p:a="1" xmlns:p="urn:p">{SIGNATURE}</r>', False),
        (f'<r xmlns:p="urn:p" p:b="1" a="1">{SIGNATURE}</r>', False),
        (f"<r a='1'>{SIGNATURE}</r>", False),
        (f'<r a="1" >{SIGNATURE}</r>', False),
        (f'<r xml:lang="vi">{SIGNATURE}</r>', False),
        (f'<r xmlns:p="relative" p:a="1">{SIGNATURE}</r>', False),
        (f"<r><a/>{SIGNATURE}</r>", False),
        (f"<r>a\rb{SIGNATURE}</r>", False),
        (f"<r>a>b{SIGNATURE}</r>", False),
        (f"<r>&#65;{SIGNATURE}</r>", False),
        (f'<r><p:a xmlns:p="urn:p"></p:a><p:a xmlns:p="urn:p"></p:a>{SIGNATURE}</r>', True),
        (f'<r xmlns:p="urn:b" xmlns:q="urn:a" p:b="1" q:a="2">{SIGNATURE}</r>', False),
        (f'<r a="x\ty">{SIGNATURE}</r>', False),
        (f'<r a="x\ny">{SIGNATURE}</r>', False),
        (f'<r a="x\r\ny">{SIGNATURE}</r>', False),
        (f'<r a="x&gt;y">{SIGNATURE}</r>', False),
        (f'<r a="x&amp;&lt;&quot;>y">&amp;&lt;&gt;"{SIGNATURE}</r>', True),
        (f"<r><!--x></x-->{SIGNATURE}</r>", False),
        (f"<r><![CDATA[x></x]]>{SIGNATURE}</r>", False),
        (f"<r>{SIGNATURE.replace('</s:Signature', '<!--x></x--></s:Signature')}</r>", False),
        (f"<r>{SIGNATURE.replace('</s:Signature', '<!--</s:Signature>--></s:Signature')}</r>", False),
        (f"<r><!--c-->{SIGNATURE}</r>", False),
        (f"<r>{SIGNATURE}</r><!--c-->", False),
        (f"<r>{SIGNATURE}<a></a></r>", False),
        (SIGNATURE, False),
        ("<r><Signature></Signature></r>", False),
    ],
)
def test_plain_and_not(body: str, plain: bool) -> None:
    assert judged(body.encode()) is plain


def test_idle_namespaces_are_canonical_only_inclusively() -> None:
    body = f'<r xmlns:p="urn:p">x{SIGNATURE}</r>'.encode()
    root = parse(body)
    plain = plain_of(body, root, root[-1])
    assert plain is not None
    assert (plain.is_canonical(INCLUSIVE), plain.is_canonical(EXCLUSIVE)) == (True, False)
    assert judged(body)


@SETTLED
@given(st.data())
def test_octets_cut_anywhere_are_answered(data: st.DataObject) -> None:
    body = data.draw(documents())
    compiled.find(body[: data.draw(st.integers(0, len(body)))])
    compiled.find(
        bytes(data.draw(st.lists(st.sampled_from(b"<>/=\"' ?!&;:xmlns\r\nr\x00\xff"), max_size=60)))
    )


class Town(Trader):
    """A trader, and the documents it signs."""

    def signed(self, text: str = "1", algorithm: str = "rsa") -> bytes:
        """A document of the trader's."""
        return sign_xml(parse(f'<r xmlns="urn:r"><n>{text}</n></r>'.encode()), self.keys[algorithm], NOW)

    def told(self, body: bytes, policy: Policy) -> object:
        """What verification says: a code, or all that was proven."""
        try:
            found = verify(body, "application/xml", self.trust, policy, NOW)
        except Refused as refused:
            return [(f.code, f.expected, f.found, f.place) for f in refused.findings]
        assert found.document is not None
        return found.content, etree.tostring(found.document), found.signer, found.proof, found.findings


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    return Town(tmp_path_factory.mktemp("town"))


@pytest.fixture
def taught(town: Town, monkeypatch: pytest.MonkeyPatch) -> Forms:
    """Forms that know the trader's signatures, and nothing else."""
    forms = Forms()
    monkeypatch.setattr(verifying, "FORMS", forms)
    for algorithm in town.keys:
        for n in range(2):
            verify(town.signed(str(n), algorithm), "application/xml", town.trust, Policy(), NOW)
    return forms


def test_a_form_is_learnt_when_it_is_met_again(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    forms = Forms()
    monkeypatch.setattr(verifying, "FORMS", forms)
    known = []
    for n in range(3):
        verify(town.signed(str(n)), "application/xml", town.trust, Policy(), NOW)
        known.append(len(forms))
    assert known == [0, 1, 1]


def test_a_known_form_is_read_without_a_walk(town: Town, taught: Forms) -> None:
    for algorithm in town.keys:
        body = town.signed("another", algorithm)
        root = parse(body)
        plain = plain_of(body, root, root[-1])
        assert plain is not None
        read = taught.read(plain.signature(), root[-1], Policy())
        assert read is not None
        assert read == replace(read_signature(root[-1], Policy()), around=None)


def test_nobody_teaches_a_form_whose_signature_does_not_hold(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    forms = Forms()
    monkeypatch.setattr(verifying, "FORMS", forms)
    for n in range(4):
        changed = town.signed(str(n)).replace(f"<n>{n}".encode(), b"<n>9")
        with pytest.raises(Refused):
            verify(changed, "application/xml", town.trust, Policy(), NOW)
    assert (len(forms), forms._met) == (0, set())


def test_forms_are_bounded(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    forms = Forms()
    monkeypatch.setattr(verifying, "FORMS", forms)
    for n in range(7):
        for _ in range(2):
            body = town.signed().replace(
                b"</ds:X509Data>", f"</ds:X509Data><ds:KeyName>{n}</ds:KeyName>".encode()
            )
            verify(body, "application/xml", town.trust, Policy(max_forms=3), NOW)
        assert len(forms) <= 3
        assert len(forms._met) <= 3
    forms = Forms()
    monkeypatch.setattr(verifying, "FORMS", forms)
    for _ in range(3):
        verify(town.signed(), "application/xml", town.trust, Policy(max_forms=0), NOW)
    assert (len(forms), forms._met) == (0, set())


SPOTS = (
    b"<ds:Signature",
    b"<ds:SignedInfo>",
    b"<ds:DigestValue>",
    b"</ds:DigestValue>",
    b"<ds:SignatureValue>",
)
SPOTS += (b"</ds:SignatureValue>", b"<ds:KeyInfo>", b"</ds:Signature>", b"</r>", b"<n>", b"</n>", b"<r ")
PIECES = st.sampled_from(
    [
        *(b" ", b"\n", b"\r", b"=", b">", b"/", b"_", b"A", b"AAAA", b"&#65;", b"&amp;", b"\xc4\x91"),
        *(b"<!--x-->", b"<![CDATA[A]]>", b"<?p?>", b"<x></x>", b"DigestValue>AAAA<", b"SignatureValue>AAAA<"),
        *(b' xmlns:ds="urn:x"', b' xmlns="urn:y"', b' Id="a"', b"<ds:DigestValue>AAAA</ds:DigestValue>"),
        b'<ds:Object xmlns:ds="urn:x"></ds:Object>',
        b'<n xmlns:ds="urn:z"><ds:Signature/></n>',
        b'<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"></Signature>',
    ]
)


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_what_is_known_changes_no_verdict(town: Town, data: st.DataObject) -> None:
    """A message altered anywhere is answered by a process that knows its form as by one that knows nothing."""
    body = town.signed("text", data.draw(st.sampled_from(["rsa", "p256"])))
    for _ in range(data.draw(st.integers(1, 2))):
        spot = data.draw(st.sampled_from(SPOTS))
        at = body.find(spot) + data.draw(st.sampled_from([0, len(spot), len(spot) + 3]))
        body = body[:at] + data.draw(PIECES) + body[at + data.draw(st.sampled_from([0, 0, 1, 4])) :]
    FORMS._known.clear()
    FORMS._met.clear()
    fresh = town.told(body, Policy(max_forms=0))
    for n in range(2):
        town.told(town.signed(str(n)), Policy())
        town.told(town.signed(str(n), "p256"), Policy())
    assert len(FORMS) == 2
    assert town.told(body, Policy()) == fresh


def test_a_form_is_learnt_only_where_it_stands_by_itself(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prefix that the document declares may be declared otherwise in the next one."""
    forms = Forms()
    monkeypatch.setattr(verifying, "FORMS", forms)
    body = town.signed()
    start, end = body.index(b"<ds:Signature"), body.index(b"</r>")
    signature = read_signature(parse(body)[-1], Policy())
    outside = body[start:end].replace(f' xmlns:ds="{DS}"'.encode(), b"")
    inclusive = body[start:end].replace(
        EXCLUSIVE.encode() + b'"></ds:Canon', INCLUSIVE.encode() + b'"></ds:Canon'
    )
    for octets in (outside, inclusive):
        assert octets != body[start:end]
        for _ in range(3):
            forms.learn(octets, signature, Policy())
    assert len(forms) == 0
    moved = body[:start].replace(b'"urn:r"', f'"urn:r" xmlns:ds="{DS}"'.encode()) + outside + b"</r>"
    assert isinstance(town.told(moved, Policy()), tuple)


@pytest.mark.parametrize("value", ["Digest", "Signature"])
def test_a_second_text_of_the_same_octets_is_refused_where_the_form_is_known(
    town: Town, taught: Forms, value: str
) -> None:
    """Bits that padding leaves unused are zero: else two readers could differ."""
    body = town.signed()
    held, padding, rest = re.split(f"(=+</ds:{value}Value>)".encode(), body)
    letters = (string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/").encode()
    twin = letters[letters.index(held[-1]) + 1 :][:1]
    changed = held[:-1] + twin + padding + rest
    assert isinstance(town.told(body, Policy()), tuple)
    assert town.told(changed, Policy())[0][0] == "SIG013"  # type: ignore[index]


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=1, max_size=300), st.sampled_from([0, 64, 76]))
def test_whatever_stands_in_its_places_is_read_as_the_slow_way_reads_it(
    town: Town, digest: bytes, value: bytes, line: int
) -> None:
    forms = Forms()
    body = town.signed()
    start, end = body.index(b"<ds:Signature"), body.index(b"</r>")
    signature = read_signature(parse(body)[-1], Policy())
    for _ in range(2):
        forms.learn(body[start:end], signature, Policy())
    text = base64.b64encode(value).decode()
    broken = "\n".join(text[at : at + line] for at in range(0, len(text), line)) if line else text
    filled = (
        body.replace(base64.b64encode(signature.digests[0]), base64.b64encode(digest))
        .replace(base64.b64encode(signature.value), broken.encode())
        .replace(b'xmlns="urn:r"', b'xmlns="urn:r" xmlns:ds="urn:other" xmlns:x="urn:x"')
    )
    root = parse(filled)
    read = forms.read(filled[filled.index(b"<ds:Signature") : filled.index(b"</r>")], root[-1], Policy())
    assert read is not None
    slow = read_signature(root[-1], Policy())
    assert read == replace(slow, around=None)
