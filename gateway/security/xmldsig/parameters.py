"""RSASSA-PSS with its parameters (RFC 9231, 2.3.9): the one algorithm that may have any."""

from __future__ import annotations

from typing import Final

from lxml import etree

from gateway.security.algorithms import HASHES, XML_DIGESTS, Algorithm, pss
from gateway.security.refused import refusal

PSS: Final = "http://www.w3.org/2007/05/xmldsig-more#"
PARAMETERS: Final = f"{{{PSS}}}RSAPSSParams"
_DIGEST_METHOD: Final = "{http://www.w3.org/2000/09/xmldsig#}DigestMethod"
_MASK: Final = f"{{{PSS}}}MaskGenerationFunction"
_MGF1: Final = f"{PSS}MGF1"
_SALT: Final = f"{{{PSS}}}SaltLength"
_TRAILER: Final = f"{{{PSS}}}TrailerField"
_ORDER: Final = (_DIGEST_METHOD, _MASK, _SALT, _TRAILER)
_DEFAULT: Final = "sha256"
_MAX_SALT: Final = 1_024
"""Octets: as long as the longest key."""


def pss_of(parameters: etree._Element) -> Algorithm:
    """The algorithm; the mask is made with the digest of the signature, nothing else is in use.

    Raises Refused (SIG006)."""
    children = {str(child.tag): child for child in parameters}
    if list(children) != [tag for tag in _ORDER if tag in children] or len(children) != len(parameters):
        raise _refused(parameters)
    digest = _digest(children.get(_DIGEST_METHOD))
    mask = children.get(_MASK)
    if mask is not None and (mask.get("Algorithm", _MGF1) != _MGF1 or len(mask) > 1):
        raise _refused(parameters)
    masked = _DEFAULT if mask is None or not len(mask) else _digest(mask[0])
    salt = _number(children.get(_SALT), HASHES[digest].digest_size)
    if masked != digest or not HASHES[digest].digest_size <= salt <= _MAX_SALT:
        raise _refused(parameters)
    if _number(children.get(_TRAILER), 1) != 1:
        raise _refused(parameters)
    return pss(digest, salt)


def _digest(method: etree._Element | None) -> str:
    if method is None:
        return _DEFAULT
    digest = XML_DIGESTS.get(method.get("Algorithm", ""))
    if method.tag != _DIGEST_METHOD or len(method) or digest is None:
        raise _refused(method)
    return digest


def _number(element: etree._Element | None, default: int) -> int:
    if element is None:
        return default
    text = (element.text or "").strip()
    if len(element) or not (text.isascii() and text.isdecimal() and len(text) <= 4):
        raise _refused(element)
    return int(text)


def _refused(element: etree._Element) -> Exception:
    wanted = "RSASSA-PSS, MGF1 with the same digest, a salt as long as it or longer"
    return refusal("SIG006", wanted, "RSAPSSParams", "SignedInfo", element.sourceline or 0)
