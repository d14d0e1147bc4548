"""XAdES signatures taken apart and put together again, as attackers and archives do."""

from __future__ import annotations

import base64
import copy
from datetime import UTC, datetime

from lxml import etree

from gateway.safexml import parse
from gateway.security.cms.material import Material
from gateway.security.xmldsig.qualifying import sign_xades

from .signing_kit import DECLARATION, DS, EXCLUSIVE, Party
from .tsa import TimeStampAuthority

SIG = f"{{{DS}}}"
XADES = "{http://uri.etsi.org/01903/v1.3.2#}"
XADES_141 = "{http://uri.etsi.org/01903/v1.4.1#}"


def signed_now(
    party: Party,
    shape: str = "enveloped",
    stamper: TimeStampAuthority | None = None,
    material: Material | None = None,
    document: bytes = DECLARATION,
) -> bytes:
    """Signed at the present, as a stamp of a real authority is."""
    at = datetime.now(UTC)
    return sign_xades(parse(document), party.key, at, shape, stamper.token if stamper else None, material)


def part(root: etree._Element, name: str) -> etree._Element:
    """The first element of a local name; the test fails where there is none."""
    return next(root.iter(f"{{*}}{name}"))


def unsigned_of(root: etree._Element) -> etree._Element:
    """The unsigned signature properties, which are made where there are none."""
    found = next(root.iter(f"{XADES}UnsignedSignatureProperties"), None)
    if found is not None:
        return found
    qualifying = part(root, "QualifyingProperties")
    return etree.SubElement(
        etree.SubElement(qualifying, f"{XADES}UnsignedProperties"), f"{XADES}UnsignedSignatureProperties"
    )


def stamp_of(kind: str, token: bytes, method: str = EXCLUSIVE) -> etree._Element:
    """A time-stamp property."""
    element = etree.Element(kind)
    etree.SubElement(element, f"{SIG}CanonicalizationMethod", Algorithm=method)
    text = etree.SubElement(element, f"{XADES}EncapsulatedTimeStamp")
    text.text = base64.b64encode(token).decode()
    return element


def c14n(element: etree._Element) -> bytes:
    """Exclusive; of a copy that was read anew, so that nothing is taken from the document around it."""
    return etree.tostring(
        etree.fromstring(etree.tostring(element, with_tail=False)), method="c14n", exclusive=True
    )


def archived(body: bytes, stamper: TimeStampAuthority) -> bytes:
    """The enveloped signature with an archive time stamp over all of it (EN 319 132-1, 5.5.2.2)."""
    root = etree.fromstring(body)
    signature = part(root, "Signature")
    content = copy.deepcopy(root)
    content.remove(part(content, "Signature"))
    unsigned = unsigned_of(root)
    octets = c14n(content) + c14n(part(root, "SignedProperties"))
    octets += b"".join(c14n(signature[i]) for i in range(3))
    octets += b"".join(c14n(p) for p in unsigned)
    unsigned.append(stamp_of(f"{XADES_141}ArchiveTimeStamp", stamper.token(octets)))
    return etree.tostring(root)
