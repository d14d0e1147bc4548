"""The operators' desk as the door shows it: its values in JSON, and what it asks of the rooms below."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol, TypeVar

import msgspec

from gateway.model import Change, Declaration, How, Role

T = TypeVar("T")

MAY_LOOK = (Role.OPERATOR, Role.OFFICER)
"""Who may see deliveries, and send one again as it is."""
MAY_STEER = (Role.OPERATOR,)
"""Who may pause and resume destinations and close their breakers."""
EVERYTHING = frozenset(MAY_LOOK)
"""The roles of who holds the machine itself, and works by the command line."""


class Actor(msgspec.Struct, frozen=True):
    """Who acts: a partner's id or a login's name, as the journal keeps it, and what they are."""

    who: str
    roles: frozenset[Role]


class Filter(msgspec.Struct, frozen=True):
    """Which deliveries.  ``destination``: one, or a kind with its colon, "" all; ``state``: due, dead, done or
    skipped, "" all that have not arrived; ``older``: seconds since they were stored; ``after``: where the page
    before ended."""

    destination: str = ""
    state: str = ""
    older: int = 0
    after: str = ""
    limit: int = 100


class Waiting(msgspec.Struct, frozen=True):
    """A delivery.  ``state``: due, dead, done or skipped; ``payload``: a message's id, or an outgoing's where
    it is pushed, or a decision's where it is published; ``error``: of the last attempt, or why it was skipped;
    ``since``: when what it carries was stored; ``under_way``: a courier has it now; ``behind``: the delivery
    that has to arrive before it, told of one alone."""

    id: str
    state: str
    destination: str
    payload: str
    due_at: datetime
    attempts: int
    error: str
    since: datetime
    under_way: bool = False
    behind: str = ""


class Deliveries(msgspec.Struct, frozen=True):
    """A page.  ``next``: give it as ``after`` for the next one; "" at the end.  A page may be short, or empty,
    and have a next one."""

    deliveries: tuple[Waiting, ...]
    next: str = ""


class Carries(msgspec.Struct, frozen=True):
    """What a delivery carries: a ``declaration``, an ``outgoing`` message or a ``decision``; ``octets``: how
    large it is stored."""

    what: str
    about: str
    type: str
    reference: str
    partner: str
    octets: int


class Done(msgspec.Struct, frozen=True):
    """An entry of the journal about a delivery."""

    at: datetime
    what: str
    note: str


class Edit(msgspec.Struct, frozen=True):
    """A correction of a delivery, without its content: ``places`` are the pointers that differ."""

    number: int
    how: How
    at: datetime
    who: str
    why: str
    original: str
    address: str
    places: tuple[str, ...]


class Shown(msgspec.Struct, frozen=True):
    """One delivery in full."""

    delivery: Waiting
    carries: Carries | None
    corrections: tuple[Edit, ...]
    history: tuple[Done, ...]


class HandedOver(msgspec.Struct, frozen=True):
    """A declaration as it is handed over, to be read or edited.  ``original``: the digest of the one that was
    accepted; ``changes``: in what this one differs from it."""

    delivery: str
    original: str
    declaration: Declaration
    changes: tuple[Change, ...]


class Acted(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an act came to: the state now of a delivery or destination, ``offered`` of a message to a partner.
    ``changes``: in what a correction differs from the original; empty where rereading gave the same."""

    id: str
    state: str
    changes: tuple[Change, ...] = ()


class Destination(msgspec.Struct, frozen=True):
    """Where deliveries go.  ``state``: closed, open or half-open, as its breaker stands; ``failures``: in a
    row, the first ``since``, tried again at ``probe_at``; ``paused_by`` and ``paused_for``: whose decision
    and why, "" where it is not paused; ``due`` and ``dead``: deliveries that have not arrived."""

    destination: str
    state: str
    failures: int
    since: datetime | None
    probe_at: datetime | None
    error: str
    paused_at: datetime | None
    paused_by: str
    paused_for: str
    due: int
    dead: int


class DeadLetters(msgspec.Struct, frozen=True):
    """What was given up, of one destination and for one reason; the times are of the last attempts."""

    destination: str
    error: str
    count: int
    oldest: datetime
    newest: datetime


class Again(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Send again.  ``reread``: read what was signed by today's mappings and rules first."""

    reason: str
    reread: bool = False


class Reason(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why."""

    reason: str


class Editing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A correction: the declaration to hand over, or the address to push to."""

    reason: str
    declaration: Declaration | None = None
    address: str = ""


class Desk(Protocol):
    """What operators may ask and do; calls block.

    None where there is no such delivery.  Acts raise Refusal: 403 where it is not the actor's to do, 409 where
    the delivery or destination does not stand so, 422 where a reason or a correction is none.
    """

    def deliveries(self, wanted: Filter) -> Deliveries: ...

    def delivery(self, identity: str) -> Shown | None: ...

    def handover(self, identity: str, actor: Actor) -> HandedOver | None: ...

    def again(self, identity: str, actor: Actor, asked: Again) -> Acted | None: ...

    def resend(self, outgoing: str, actor: Actor, why: str) -> Acted | None: ...

    def skip(self, identity: str, actor: Actor, why: str) -> Acted | None: ...

    def edit(self, identity: str, actor: Actor, editing: Editing) -> Acted | None: ...

    def destinations(self) -> tuple[Destination, ...]: ...

    def dead_letters(self) -> tuple[DeadLetters, ...]: ...

    def pause(self, destination: str, actor: Actor, why: str) -> Acted: ...

    def resume(self, destination: str, actor: Actor, why: str) -> Acted: ...

    def close(self, destination: str, actor: Actor, why: str) -> Acted: ...


Asked = Callable[[Desk], T]
