"""What a door offers: its operations, and the media types and bounds of what it takes in."""

from __future__ import annotations

import msgspec

from gateway.transport.bounds import Bounds
from gateway.transport.routes import OPERATIONS, Body, Operation

# Signed by nothing but its own security segments, which takes an agreement: taken in, and offered to nobody.
UNSIGNED_TYPES = frozenset({"application/edifact"})
# The media types that the rooms below can prove and read.
MESSAGE_TYPES = UNSIGNED_TYPES | frozenset(
    {
        "application/xml",
        "text/xml",
        "multipart/signed",
        "application/pkcs7-mime",
        "application/x-pkcs7-mime",
    }
)
# Octets of a body that is no submission.  A JSON list of the most ids that one acknowledgement takes fits well,
# as does a corrected manifest of a few thousand items.
MOST_BYTES = {Body.NONE: 0, Body.LIST: 1_048_576, Body.ACT: 8_388_608}


class DoorSettings(msgspec.Struct, frozen=True):
    """``operations``: what this door answers; ``METRICS`` among them only where an operator wants it."""

    bounds: Bounds = Bounds()
    message_types: frozenset[str] = MESSAGE_TYPES
    operations: tuple[Operation, ...] = OPERATIONS
