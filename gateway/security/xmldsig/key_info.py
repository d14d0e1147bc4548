"""The certificates in KeyInfo: all that is read of it."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from lxml import etree

from gateway.security.base64 import from_base64
from gateway.security.policy import Policy
from gateway.security.refused import refusal
from gateway.security.xmldsig.grammar import misshapen, no_base64

MAX_CERTIFICATE: Final = 32_768
"""Characters of a certificate in base64."""

_DS: Final = "http://www.w3.org/2000/09/xmldsig#"
_X509_DATA: Final = f"{{{_DS}}}X509Data"
_X509_CERTIFICATE: Final = f"{{{_DS}}}X509Certificate"
_KEY_HINTS: Final = frozenset({_X509_DATA, f"{{{_DS}}}KeyName", f"{{{_DS}}}KeyValue"})
"""Children of KeyInfo that may stand there.  Only certificates are read; a KeyValue is no reason to
trust anything, and what would have to be fetched (RetrievalMethod) is refused."""


def certificates_of(key_info: etree._Element, policy: Policy) -> tuple[bytes, ...]:
    """In DER, at most as many as the policy takes.  Raises Refused (SIG005, SIG013, SIG020, SIG028)."""
    found: list[bytes] = []
    line = key_info.sourceline or 0
    for hint in key_info:
        if hint.tag not in _KEY_HINTS:
            raise misshapen(key_info, "X509Data")
        for element in hint.iterchildren(_X509_CERTIFICATE) if hint.tag == _X509_DATA else ():
            if len(found) == policy.max_certificates:
                raise refusal("SIG028", f"<= {policy.max_certificates}", f"> {len(found)}", "KeyInfo", line)
            found.append(_certificate(element))
    if not found:
        raise refusal("SIG020", "X509Certificate", "", "KeyInfo", line)
    return tuple(found)


def _certificate(element: etree._Element) -> bytes:
    text = element.text or ""
    if len(element) or len(text) > MAX_CERTIFICATE:
        raise misshapen(element, f"base64, <= {MAX_CERTIFICATE} characters")
    try:
        return _decoded(text)
    except ValueError:
        raise no_base64(element) from None


@lru_cache(maxsize=1_024)
def _decoded(text: str) -> bytes:
    """A sender's certificates are the same in every message."""
    return from_base64(text.encode())
