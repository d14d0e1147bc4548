"""The refusal: security never returns a flag, it raises this."""

from __future__ import annotations

from gateway.model import Finding, Place


class Refused(Exception):
    """Nothing of the message may be believed; ``findings`` (SIG and XML codes) say why."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__(", ".join(finding.code for finding in findings))
        self.findings = findings

    def __reduce__(self) -> tuple[type[Refused], tuple[object, ...]]:
        """Whole on its way from one process to another: an exception's own way carries the text alone."""
        return type(self), (self.findings,)

    @property
    def code(self) -> str:
        """The first finding's code."""
        return self.findings[0].code


class Held(Refused):
    """Nothing is wrong but that nobody could say yet whether a certificate was revoked, and the policy is
    to wait.  ``certificates``: the chain (DER) whose revocation is to be learned."""

    def __init__(self, findings: tuple[Finding, ...], certificates: tuple[bytes, ...] = ()) -> None:
        super().__init__(findings)
        self.certificates = certificates

    def __reduce__(self) -> tuple[type[Refused], tuple[object, ...]]:
        """Whole, as every refusal."""
        return type(self), (self.findings, self.certificates)


_SHOWN = 200
"""Characters of a sender's value that are repeated to the sender."""


def refusal(code: str, expected: str = "", found: str = "", part: str = "", line: int = 0) -> Refused:
    """A Refused with one finding; ``part``: the part of the envelope, ``line``: its source line."""
    shown = "".join(c if c.isprintable() else " " for c in found[:_SHOWN])
    return Refused((Finding(code, Place(part=part, line=line), expected, shown),))
