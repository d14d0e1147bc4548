"""The two engines: where they disagree, nothing is believed, and somebody is told."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from lxml import etree

from gateway.model import Finding
from gateway.model.finding import load_catalogue
from gateway.safexml import parse
from gateway.security import Trust, sign_xml

from .signing_kit import (
    BOTH,
    DECLARATION,
    DS,
    EXCLUSIVE,
    FAST,
    INCLUSIVE,
    NOW,
    SIGNXML,
    World,
    refused,
    template,
    verified,
)
from .test_xmldsig import by_python_xmlsec


def test_disagreement_is_refused_and_told_without_content(
    world: World, trust: Trust, caplog: pytest.LogCaptureFixture
) -> None:
    """signxml does not know that a part inherits xml:lang, which inclusive canonicalisation gives it."""
    document = DECLARATION.replace(b"<md:MetaData", b'<md:MetaData xml:lang="vi"')
    body = by_python_xmlsec(template(document=document, c14n=INCLUSIVE), world.rsa)
    assert verified(body, trust, FAST).signer.subject.startswith("CN=rsa")
    assert refused(body, trust, SIGNXML) == "SIG012"
    with caplog.at_level(logging.CRITICAL, "gateway.security"):
        assert refused(body, trust, BOTH) == "SIG090"
    (record,) = caplog.records
    assert record.name == "gateway.security"
    assert record.__dict__["event"] == "SIG090"
    assert (record.__dict__["fast"], record.__dict__["signxml"]) == ("verified", "SIG012")
    assert "LRN-2026" not in repr(record.__dict__)


def _moved(root: etree._Element) -> None:
    signature = root[-1]
    signature.tail, root[-2].tail = root[-2].tail, None


UNSIGNED = {
    "Id": lambda root: root[-1].set("Id", "1 2"),
    "attribute": lambda root: root[-1][1].set("q", "1"),
    "language": lambda root: root[-1].set("{http://www.w3.org/XML/1998/namespace}lang", "vi"),
    "text": lambda root: setattr(root[-1], "text", "hello"),
    "empty data": lambda root: etree.SubElement(root[-1][2], f"{{{DS}}}X509Data"),
    "key value": lambda root: etree.SubElement(root[-1][2], f"{{{DS}}}KeyValue"),
    "moved": _moved,
}


@pytest.mark.parametrize("change", UNSIGNED.values(), ids=UNSIGNED.keys())
def test_what_nobody_signed_raises_no_alarm(
    world: World, trust: Trust, caplog: pytest.LogCaptureFixture, change: Callable[[etree._Element], None]
) -> None:
    """Whoever carries a message could ring it."""
    root = etree.fromstring(sign_xml(parse(DECLARATION), world.rsa.key, NOW))
    change(root)
    body = etree.tostring(root)
    verified(body, trust, FAST)
    assert refused(body, trust, BOTH) == "SIG005"
    assert not caplog.records


def test_agreement_makes_no_noise(world: World, trust: Trust, caplog: pytest.LogCaptureFixture) -> None:
    signed = sign_xml(parse(DECLARATION), world.rsa.key, NOW)
    one, two, three = (verified(signed, trust, policy) for policy in (FAST, SIGNXML, BOTH))
    assert one.content == two.content == three.content
    assert one.signer == two.signer == three.signer
    for found in (one, two, three):
        assert etree.tostring(found.document, method="c14n", exclusive=True) == found.content
    refused(signed.replace(b"000123", b"000124"), trust, BOTH)
    assert not caplog.records


def test_exclusive_is_what_we_sign_with(world: World) -> None:
    assert EXCLUSIVE.encode() in sign_xml(parse(DECLARATION), world.rsa.key, NOW)


def test_every_code_is_explained_in_both_languages() -> None:
    import re
    from pathlib import Path

    home = Path(__file__).resolve().parents[2]
    sources = [*(home / "gateway" / "security").rglob("*.py"), home / "gateway" / "safexml.py"]
    used = set(re.findall(r'"((?:SIG|XML)\d{3})"', "".join(p.read_text("utf-8") for p in sources)))
    catalogue = load_catalogue(home / "mappings" / "findings")
    assert used
    for code in used:
        meaning = catalogue.meanings[code]
        assert meaning.text
        assert meaning.remedy
        assert re.search("[àáảãạăâđèéêìíòóôơùúưýỳếềểệốồổộớờởợứừửựấầẩậắằẳặ]", meaning.text_vi), code
        assert meaning.remedy_vi
        assert "{" not in catalogue.say(Finding(code, expected="x", found="y"), "vi")
