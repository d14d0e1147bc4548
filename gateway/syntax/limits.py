"""The bounds within which an interchange is read; each has its reason beside it."""

from __future__ import annotations

import msgspec

MAX_INTERCHANGE = 64 * 1024 * 1024  # octets; administrations take 10 MB, a manifest of a large vessel 50 MB
MAX_SEGMENT = 65_536  # octets; the largest data segment, FTX with 5 x 512 characters, fits many times over
MAX_SEGMENTS = 1_000_000  # a message; 0074 is n..6 in syntax 1 to 3
HELD_SEGMENTS = 4_096  # of a message that is read from a file: some 4 MB of memory
MAX_MESSAGES = (
    10_000  # an interchange; the largest known filers send some hundreds, and it is one transaction
)
MAX_GROUPS = 10_000  # an interchange
MAX_FINDINGS = 999  # a message, and the interchange; CONTRL repeats UCS 999 times
MAX_SECURITY = 100_000  # security segments of an interchange: 16,000 signed messages, 50,000 in an AUTACK
MAX_PREAMBLE = 1_024  # octets of blanks and line ends before UNA or UNB
MAX_OBJECT = 16 * 1024 * 1024  # octets of a package's object, which is counted and skipped


class EdifactLimits(msgspec.Struct, frozen=True):
    """Bounds of one reading; a sender that breaks one gets a finding and the rest is not read.

    ``held`` is no bound for a sender: what is complete of a message with more segments is put by.
    """

    interchange: int = MAX_INTERCHANGE
    segment: int = MAX_SEGMENT
    segments: int = MAX_SEGMENTS
    messages: int = MAX_MESSAGES
    groups: int = MAX_GROUPS
    findings: int = MAX_FINDINGS
    security: int = MAX_SECURITY
    preamble: int = MAX_PREAMBLE
    package: int = MAX_OBJECT
    held: int = HELD_SEGMENTS
