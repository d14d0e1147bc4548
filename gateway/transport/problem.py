"""Problem documents (RFC 9457): how every refusal at the door is said, in English and Vietnamese."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

import msgspec

from gateway.model import Catalogue, Finding
from gateway.transport.call import PROBLEM, Head, Reply
from gateway.transport.services import Said, said

# Findings in one problem document: a broken file can have thousands, and a person reads the first.
MAX_FINDINGS = 200


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """The document.  ``type`` leads to the code's entry on the gateway's own documentation page;
    ``request`` is the id by which the operator finds it in the log; ``retry_after`` in seconds."""

    type: str
    title: str
    status: int
    detail: str
    request: str
    findings: tuple[Said, ...] = ()
    retry_after: int = 0


def problem(
    status: int,
    findings: Sequence[Finding],
    catalogue: Catalogue,
    *,
    request: str,
    language: str = "en",
    retry_after: int = 0,
    headers: tuple[tuple[str, str], ...] = (),
    close: bool = False,
) -> Reply:
    """The reply that says why not.  ``detail`` is the first finding's sentence in the language."""
    code = findings[0].code if findings else ""
    document = Problem(
        type=f"/docs#{code}" if code else "about:blank",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=catalogue.say(findings[0], language) if findings else HTTPStatus(status).phrase,
        request=request,
        findings=tuple(said(f, catalogue) for f in findings[:MAX_FINDINGS]),
        retry_after=retry_after,
    )
    fixed: tuple[tuple[str, str], ...] = (("Content-Type", PROBLEM), ("Cache-Control", "no-store"))
    if retry_after:
        fixed += (("Retry-After", str(retry_after)),)
    return Reply(status, fixed + headers, msgspec.json.encode(document), close)


def language_of(head: Head, default: str = "en") -> str:
    """``vi`` or ``en``: what the request's Accept-Language begins with, else the default."""
    wanted = head.header("accept-language").strip().lower()[:2]
    return wanted if wanted in ("en", "vi") else default
