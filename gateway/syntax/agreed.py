"""What a partner's agreement makes of a finding: an error that is read on, a warning that rejects."""

from __future__ import annotations

from msgspec.structs import replace

from gateway.model.edifact import Agreement
from gateway.model.finding import Finding, Severity

# Defects that do not leave in doubt what the sender meant: an agreement may let them be read on.
TOLERABLE = frozenset(
    {
        "EDI029",  # a control count that is wrong
        "EDI034",  # a nesting indicator under syntax 4
        "EDI101",  # a byte order mark
        "EDI102",  # blanks before UNA or UNB
        "EDI105",  # no terminator after the last segment
        "EDI106",  # control characters: they are left out
        "EDI107",  # lower case under UNOA
        "EDI108",  # Latin-1 under UNOA or UNOB
        "EDI110",  # a line break inside a segment
        "EDI111",  # lines wrapped at a constant width
        "EDI120",  # blanks before a segment
        "EDI123",  # an empty segment
        "EDI124",  # UTF-8 under UNOA, UNOB or UNOC: it is read as UTF-8
        "EDI131",  # no message type in UNH, where the agreement has one
        "EDI134",  # a date as in another syntax version
    }
)


def graded(finding: Finding, agreement: Agreement) -> Finding:
    """The finding with the severity that the agreement gives it."""
    if finding.severity is Severity.ERROR and finding.code in agreement.tolerated:
        return replace(finding, severity=Severity.WARNING)
    if finding.severity is Severity.WARNING and finding.code in agreement.refused:
        return replace(finding, severity=Severity.ERROR)
    return finding


def check_agreement(agreement: Agreement) -> None:
    """Raises ValueError for a tolerated code that is not tolerable, and for a message that is no S009."""
    wrong = [code for code in agreement.tolerated if code not in TOLERABLE]
    if wrong:
        raise ValueError(f"{', '.join(wrong)} cannot be tolerated; {', '.join(sorted(TOLERABLE))} can")
    if agreement.message and agreement.message.count(":") not in (2, 3, 4):
        raise ValueError(f"{agreement.message!r} is no message identifier such as CUSCAR:D:95B:UN")
