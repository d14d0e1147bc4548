"""What a mapping table makes of a message."""

from __future__ import annotations

import msgspec

from gateway.model import Declaration, Entity, Finding


class Reading(msgspec.Struct, frozen=True, omit_defaults=True):
    """Declarations read from one message, and what could not be read or was lost.

    ``responses``: the WCO class Response (07B), where the message is one.  ``header``: the wrapper
    around the declaration (MetaData), where the syntax has one.
    """

    declarations: tuple[Declaration, ...] = ()
    findings: tuple[Finding, ...] = ()
    responses: tuple[Entity, ...] = ()
    header: Entity | None = None
