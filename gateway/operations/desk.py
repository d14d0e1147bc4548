"""The operators' desk over one ledger: what the HTTP interface and ``cvan deliveries`` both ask and do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec

from gateway import transport
from gateway.delivery.breaker import state_of
from gateway.handbook import Handbook
from gateway.model import Declaration, Finding, How, Place, Role, differences
from gateway.operations import correcting
from gateway.storage import Corrected, Ledger, Line, Original, Wanted
from gateway.transport import desk
from gateway.transport.desk import Acted, Actor

HANDED_OVER = "backend:"
PUSHED = "push:"
STATES = ("due", "dead")
"""In which deliveries are listed: what is over is found by its id."""


class Desk:
    """Implements transport.desk.Desk.  ``backend``: the back end's name; calls block."""

    def __init__(
        self, ledger: Ledger, handbook: Callable[[], Handbook], now: Callable[[], datetime], backend: str
    ) -> None:
        self._ledger = ledger
        self._handbook = handbook
        self._now = now
        self._backend = HANDED_OVER + backend

    # -- looking ---------------------------------------------------------------------------------

    def deliveries(self, wanted: desk.Filter) -> desk.Deliveries:
        """A page.  Raises Refusal (400) for a state or a place that is none."""
        if wanted.state and wanted.state not in STATES:
            raise _refused("API4001", 400, "query state", ", ".join(STATES), wanted.state[:40])
        before = self._now() - timedelta(seconds=wanted.older) if wanted.older else None
        of = Wanted(wanted.destination, wanted.state, before, wanted.after)
        try:
            lines, following = self._ledger.page(of, wanted.limit)
        except ValueError as error:
            expected = "what a page gave as next"
            raise _refused("API4001", 400, "query after", expected, wanted.after[:40]) from error
        return desk.Deliveries(tuple(_waiting(line) for line in lines), following)

    def delivery(self, identity: str) -> desk.Shown | None:
        """One in full, without the content that it carries."""
        line = self._ledger.line(identity)
        if line is None:
            return None
        carried = self._ledger.carried(line.delivery)
        acts = self._ledger.acts(identity, carried.about) if carried is not None else []
        return desk.Shown(
            delivery=_waiting(line, self._ledger.ahead(line.delivery)),
            carries=None if carried is None else desk.Carries(*msgspec.structs.astuple(carried)),
            corrections=tuple(_edit(one) for one in self._ledger.corrections(identity)),
            history=tuple(desk.Done(act.at, act.kind, act.note) for act in acts),
        )

    def handover(self, identity: str, actor: Actor) -> desk.HandedOver | None:
        """The declaration as it would be handed over: business content, for officers."""
        line, original = self._handed_over(identity)
        if line is None:
            return None
        _allow(actor, Role.OFFICER)
        if original is None:
            raise _refused(
                "API4091", 409, identity, "a declaration to be handed over", line.delivery.destination
            )
        instead = [c for c in self._ledger.corrections(identity) if c.declaration is not None]
        declaration = instead[-1].declaration if instead else None
        changes = instead[-1].correction.changes if instead else ()
        return desk.HandedOver(identity, original.digest, declaration or original.declaration, changes)

    def destinations(self) -> tuple[desk.Destination, ...]:
        """Every destination that is waited for, fails, or is paused."""
        standing, waits, now = self._ledger.standing(""), self._ledger.waits(), self._now()
        told = []
        for name in sorted({*standing.breakers, *standing.paused, *waits}):
            breaker, paused, wait = standing.breakers.get(name), standing.paused.get(name), waits.get(name)
            told.append(
                desk.Destination(
                    destination=name,
                    state=state_of(breaker, now),
                    failures=breaker.failures if breaker else 0,
                    since=breaker.since if breaker else None,
                    probe_at=breaker.probe_at if breaker else None,
                    error=breaker.error if breaker else "",
                    paused_at=paused.since if paused else None,
                    paused_by=paused.who if paused else "",
                    paused_for=paused.why if paused else "",
                    due=wait.due if wait else 0,
                    dead=wait.dead if wait else 0,
                )
            )
        return tuple(told)

    def dead_letters(self) -> tuple[desk.DeadLetters, ...]:
        """What was given up, by destination and reason, the most first."""
        return tuple(
            desk.DeadLetters(*msgspec.structs.astuple(letters)) for letters in self._ledger.letters()
        )

    # -- deciding --------------------------------------------------------------------------------

    def again(self, identity: str, actor: Actor, asked: desk.Again) -> Acted | None:
        """Send once more, at once; where asked, what was signed is read anew before."""
        line, original = self._handed_over(identity)
        if line is None:
            return None
        if asked.reread:
            _allow(actor, Role.OFFICER)
            if original is None:
                raise _refused("API4091", 409, identity, "a hand-over", line.delivery.destination)
            again = correcting.reread(self._ledger, line.delivery.payload, self._handbook())
            if differences(original.declaration, again):
                return self._correct(line, actor, asked.reason, original, again, How.REREAD)
        if not self._ledger.again(identity, self._now(), _note(actor, asked.reason)):
            raise self._over(line)
        return Acted(identity, "due")

    def resend(self, outgoing: str, actor: Actor, why: str) -> Acted | None:
        """Offer a message to its partner once more, whatever became of it: in the mailbox, and by push."""
        known = self._ledger.resend(outgoing, self._now(), _note(actor, why))
        return Acted(outgoing, "offered") if known else None

    def skip(self, identity: str, actor: Actor, why: str) -> Acted | None:
        """Give it up for good; who filed what is not handed over is told."""
        line = self._ledger.line(identity)
        if line is None:
            return None
        _allow(actor, _decides(line))
        if not _reasoned(lambda: self._ledger.skip(identity, self._now(), actor.who, why.strip())):
            raise self._over(line)
        return Acted(identity, "skipped")

    def edit(self, identity: str, actor: Actor, editing: desk.Editing) -> Acted | None:
        """Hand over another declaration, or push to another address, from now on."""
        line, original = self._handed_over(identity)
        if line is None:
            return None
        _allow(actor, _decides(line))
        if line.delivery.destination.startswith(PUSHED) and editing.address and editing.declaration is None:
            return self._readdress(line, actor, editing)
        if original is None or editing.declaration is None or editing.address:
            expected = "a declaration for a hand-over, an address for a push"
            raise _refused("API4221", 422, identity, expected, line.delivery.destination)
        correcting.check(original.declaration, editing.declaration, self._handbook(), self._now())
        return self._correct(line, actor, editing.reason, original, editing.declaration, How.EDITED)

    def _readdress(self, line: Line, actor: Actor, editing: desk.Editing) -> Acted:
        partner = self._handbook().register.partners.get(line.delivery.destination.removeprefix(PUSHED))
        correcting.check_address(editing.address, partner.push_url if partner else "")
        made = correcting.made(How.ADDRESS, self._now(), actor.who, editing.reason, "", ())
        return self._put(line, Corrected(made, None, editing.address))

    def _correct(
        self, line: Line, actor: Actor, why: str, original: Original, instead: Declaration, how: How
    ) -> Acted:
        changes = differences(original.declaration, instead)
        made = correcting.made(how, self._now(), actor.who, why, original.digest, changes)
        return self._put(line, Corrected(made, instead, ""))

    def _put(self, line: Line, made: Corrected) -> Acted:
        if not _reasoned(lambda: self._ledger.correct(line.delivery.id, made, self._now())):
            raise self._over(line)
        return Acted(line.delivery.id, "due", made.correction.changes)

    def _handed_over(self, identity: str) -> tuple[Line | None, Original | None]:
        """A delivery, and the declaration that it carries to the back end."""
        line = self._ledger.line(identity)
        if line is None or line.delivery.destination != self._backend:
            return line, None
        return line, self._ledger.original(line.delivery.payload)

    def _over(self, line: Line) -> transport.Refusal:
        """It does not stand so that this can be done."""
        now = self._ledger.line(line.delivery.id) or line
        state = "under way" if now.under_way else now.state
        return _refused("API4091", 409, line.delivery.id, "a delivery that waits or was given up", state)

    # -- steering --------------------------------------------------------------------------------

    def pause(self, destination: str, actor: Actor, why: str) -> Acted:
        """Send nothing there, by any node, until it is resumed; what is under way ends."""
        _allow(actor, *desk.MAY_STEER)
        self._known(destination)
        if not _reasoned(lambda: self._ledger.pause(destination, self._now(), actor.who, why.strip())):
            raise _refused("API4091", 409, destination, "a destination that is not paused", "paused")
        return Acted(destination, "paused")

    def resume(self, destination: str, actor: Actor, why: str) -> Acted:
        """Send there again."""
        _allow(actor, *desk.MAY_STEER)
        if not _reasoned(lambda: self._ledger.resume(destination, actor.who, why.strip())):
            raise _refused("API4091", 409, destination, "a destination that is paused", "not paused")
        return Acted(destination, "resumed")

    def close(self, destination: str, actor: Actor, why: str) -> Acted:
        """Close its breaker: try it with all that is due."""
        _allow(actor, *desk.MAY_STEER)
        if not _reasoned(lambda: self._ledger.close_breaker(destination, actor.who, why.strip())):
            raise _refused("API4091", 409, destination, "a destination that fails", "closed")
        return Acted(destination, "closed")

    def _known(self, destination: str) -> None:
        """Raises Refusal for a name that no delivery will ever have: a slip would pause nothing, unnoticed."""
        partners = self._handbook().register.partners
        pushed = destination.startswith(PUSHED) and destination.removeprefix(PUSHED) in partners
        if not pushed and destination != self._backend and not destination.startswith("publish:"):
            expected = f"{self._backend}, publish:NAME, or push: with a partner's id"
            raise _refused("API4221", 422, "destination", expected, destination)


def _decides(line: Line) -> Role:
    """Whose it is to say what of a delivery is carried: what customs gets is an officer's, the rest an operator's."""
    return Role.OFFICER if line.delivery.destination.startswith(HANDED_OVER) else Role.OPERATOR


def _allow(actor: Actor, *roles: Role) -> None:
    if actor.roles.isdisjoint(roles):
        raise _refused("API403", 403, "role", ", ".join(roles), ", ".join(sorted(actor.roles)))


def _reasoned(act: Callable[[], bool]) -> bool:
    try:
        return act()
    except ValueError as error:
        raise _refused("API4221", 422, "reason", str(error), "") from error


def _refused(code: str, status: int, part: str, expected: str, found: str) -> transport.Refusal:
    return transport.Refusal([Finding(code, Place(part=part), expected, found)], status)


def _note(actor: Actor, why: str) -> str:
    return f"{actor.who}: {why.strip()}" if why.strip() else actor.who


def _waiting(line: Line, behind: str = "") -> desk.Waiting:
    of = line.delivery
    return desk.Waiting(
        id=of.id,
        state=line.state,
        destination=of.destination,
        payload=of.payload,
        due_at=of.due_at,
        attempts=of.attempts,
        error=of.error,
        since=line.since,
        under_way=line.under_way,
        behind=behind,
    )


def _edit(one: Corrected) -> desk.Edit:
    told = one.correction
    places = tuple(change.pointer for change in told.changes)
    return desk.Edit(told.number, told.how, told.at, told.who, told.why, told.original, one.address, places)
