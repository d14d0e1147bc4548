"""The two engines: where they disagree, nothing is believed, and somebody is told."""

from __future__ import annotations

import logging

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
    NOW,
    SIGNXML,
    World,
    refused,
    sign_as_is,
    verified,
)


def unordered(signed: bytes, world: World) -> bytes:
    """A signature that the schema of XML signatures does not allow, and our profile does: its Id is
    no name."""
    root = etree.fromstring(signed)
    root.find(f"{{{DS}}}Signature").set("Id", "1 2")  # type: ignore[union-attr]
    return sign_as_is(root, world.rsa)


def test_disagreement_is_refused_and_told_without_content(
    world: World, trust: Trust, caplog: pytest.LogCaptureFixture
) -> None:
    body = unordered(sign_xml(parse(DECLARATION), world.rsa.key, NOW), world)
    assert verified(body, trust, FAST).signer.subject.startswith("CN=rsa")
    assert refused(body, trust, SIGNXML) == "SIG012"
    with caplog.at_level(logging.CRITICAL, "gateway.security"):
        assert refused(body, trust, BOTH) == "SIG090"
    (record,) = caplog.records
    assert record.name == "gateway.security"
    assert record.__dict__["event"] == "SIG090"
    assert (record.__dict__["fast"], record.__dict__["signxml"]) == ("verified", "SIG012")
    assert "LRN-2026" not in repr(record.__dict__)


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
