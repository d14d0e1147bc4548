"""What stands among the unsigned properties is judged by what covers it, and costs a stranger nothing."""

from __future__ import annotations

import base64
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from lxml import etree

from gateway.safexml import parse
from gateway.security import Policy, Refused, Revocations, Trust, Verified, verify
from gateway.security.certificates.crl import read_crl
from gateway.security.cms.material import Material
from gateway.security.xmldsig.qualifying import sign_xades

from .cms_kit import revocation_list
from .signing_kit import DECLARATION, FAST, NOW, XML, World, refused
from .tsa import TimeStampAuthority
from .xades_kit import XADES, XADES_141, archived, c14n, part, signed_now, stamp_of, unsigned_of

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def stamper(tmp_path_factory: pytest.TempPathFactory) -> TimeStampAuthority:
    return TimeStampAuthority.create(tmp_path_factory.mktemp("tsa"))


@pytest.fixture(scope="module")
def ending(tmp_path_factory: pytest.TempPathFactory) -> TimeStampAuthority:
    """It has ended when the tests judge its stamps."""
    at = datetime.now(UTC).replace(microsecond=0)
    return TimeStampAuthority.create(tmp_path_factory.mktemp("ending"), valid=(at - DAY, at + DAY))


@pytest.fixture(scope="module")
def stamping(world: World, stamper: TimeStampAuthority, ending: TimeStampAuthority) -> Trust:
    return Trust([world.authority.certificate], stampers=Trust([stamper.root, ending.root]))


@pytest.fixture(scope="module")
def crl(world: World) -> bytes:
    return revocation_list(world.authority, at=datetime.now(UTC).replace(microsecond=0))


def read(root: etree._Element | bytes, trust: Trust, now: datetime = NOW) -> Verified:
    body = root if isinstance(root, bytes) else etree.tostring(root)
    return verify(body, XML, trust, FAST, now)


def told(found: Verified) -> tuple[str, list[str]]:
    return found.signer.level, [finding.code for finding in found.findings]


def add_token(stamp: etree._Element, token: bytes) -> None:
    etree.SubElement(stamp, f"{XADES}EncapsulatedTimeStamp").text = base64.b64encode(token).decode()


def test_a_level_is_shown_by_what_came_along(
    world: World, stamper: TimeStampAuthority, stamping: Trust, crl: bytes
) -> None:
    """What the gateway happens to know itself will not be there in ten years."""
    known = Revocations().learned({}, [read_crl(crl, world.authority.certificate, FAST, NOW)], 1)
    knowing = stamping.with_revocations(known)
    junk = signed_now(world.rsa, stamper=stamper, material=Material((), (b"junk",)))
    assert told(read(junk, knowing)) == ("T", ["SIG122"])
    assert refused(junk, knowing, Policy(level="LT")) == "SIG120"
    lasting = signed_now(world.rsa, stamper=stamper, material=Material((), (crl,)))
    assert told(read(lasting, knowing)) == ("LT", [])


def test_values_behind_the_archive_stamp(
    world: World, stamper: TimeStampAuthority, stamping: Trust, crl: bytes
) -> None:
    root = etree.fromstring(archived(signed_now(world.rsa, stamper=stamper), stamper))
    values = etree.SubElement(unsigned_of(root), f"{XADES}RevocationValues")
    lists = etree.SubElement(values, f"{XADES}CRLValues")
    etree.SubElement(lists, f"{XADES}EncapsulatedCRLValue").text = base64.b64encode(crl).decode()
    assert told(read(root, stamping)) == ("LT", ["SIG220"])
    assert told(read(archived(etree.tostring(root), stamper), stamping)) == ("LTA", [])


def test_an_archive_stamp_upholds_what_stands_before_it(
    world: World, stamper: TimeStampAuthority, ending: TimeStampAuthority, stamping: Trust
) -> None:
    later = NOW + 30 * DAY
    before = archived(signed_now(world.rsa, stamper=ending), stamper)
    assert told(read(before, stamping, later))[0] == "T"
    root = etree.fromstring(archived(signed_now(world.rsa), stamper))
    own = stamp_of(f"{XADES}SignatureTimeStamp", ending.token(c14n(part(root, "SignatureValue"))))
    unsigned_of(root).append(own)
    assert told(read(root, stamping, later)) == ("B", ["SIG121"])


def test_tokens_of_one_archive_stamp_do_not_uphold_each_other(
    world: World, stamper: TimeStampAuthority, ending: TimeStampAuthority, stamping: Trust
) -> None:
    body = signed_now(world.rsa, stamper=stamper)
    root = etree.fromstring(archived(body, stamper))
    other = etree.fromstring(archived(body, ending))
    token = base64.b64decode(part(other, "ArchiveTimeStamp")[-1].text or "")
    add_token(part(root, "ArchiveTimeStamp"), token)
    assert told(read(root, stamping)) == ("T", [])
    assert told(read(root, stamping, NOW + 30 * DAY)) == ("T", ["SIG123"])


def test_a_signing_time_after_its_stamp(world: World, stamper: TimeStampAuthority, stamping: Trust) -> None:
    at = datetime.now(UTC)
    body = sign_xades(parse(DECLARATION), world.rsa.key, at + 2 * DAY, "enveloped", stamper.token, None)
    with pytest.raises(Refused, match="SIG216"):
        read(body, stamping, at + 3 * DAY)


def test_stamps_of_a_stranger_cost_nothing(
    world: World, stamper: TimeStampAuthority, stamping: Trust, tmp_path: Path
) -> None:
    """256 tokens over 8 MB: none is opened, and nothing digested, for a chain that holds at no time."""
    document = b"<r><t>" + b"x" * 8_000_000 + b"</t></r>"
    root = etree.fromstring(signed_now(world.attacker, document=document), etree.XMLParser(huge_tree=True))
    token = TimeStampAuthority.create(tmp_path / "theirs").token(b"anything")
    for _ in range(16):
        stamp = stamp_of(f"{XADES_141}ArchiveTimeStamp", token)
        for _ in range(15):
            add_token(stamp, token)
        unsigned_of(root).append(stamp)
    body = etree.tostring(root)
    began = time.process_time()
    assert refused(body, stamping) == "SIG024"
    assert time.process_time() - began < 1


def test_stamps_of_a_partner_are_few_and_digested_once(
    world: World, stamper: TimeStampAuthority, stamping: Trust
) -> None:
    document = b"<r><t>" + b"x" * 8_000_000 + b"</t></r>"
    root = etree.fromstring(signed_now(world.rsa, document=document), etree.XMLParser(huge_tree=True))
    stamp = stamp_of(f"{XADES_141}ArchiveTimeStamp", stamper.token(b"anything"))
    for _ in range(300):
        add_token(stamp, stamper.token(b"anything") if len(stamp) < 3 else b"0")
    unsigned_of(root).append(stamp)
    began = time.process_time()
    found = verify(etree.tostring(root), XML, stamping, FAST, NOW)
    assert time.process_time() - began < 1.5
    assert told(found) == ("B", ["SIG123"] * 12)
