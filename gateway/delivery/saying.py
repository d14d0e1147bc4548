"""How decisions are said to who filed: each as a signed message of the kind that the filer reads."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

import msgspec
from twisted.internet.defer import Deferred

from gateway import outbound, security
from gateway.delivery.apart import each_readable
from gateway.delivery.courier import log
from gateway.handbook import Handbook
from gateway.model import URGENT, Channel, Decision, DecisionKind, Delivery, Event, Outgoing
from gateway.storage import (
    Addressed,
    GroupCommit,
    Recorded,
    answer_id,
    decision_due,
    lane_of_answers,
    push_of,
)

ORIGINAL = "9"
"""The function (1225) of what is filed first; whatever has another one may name customs' number for that."""
MICROSECOND = timedelta(microseconds=1)
NOT_HANDED_OVER = "The gateway did not hand this message over to customs: {why}"
NOT_HANDED_OVER_VI = "Cổng không chuyển thông điệp này đến hải quan: {why}"


class Numbering(Protocol):
    """Numbers for what the gateway sends."""

    def ahead(self, call: Callable[..., Deferred[Any]]) -> Awaitable[None]:
        """Have enough at hand for `take` to touch no database."""

    def take(self, count: int = 1) -> Sequence[str]:
        """So many, never used before."""


class Said(NamedTuple):
    """The decisions that can be said, with the signed messages that say them; to whom each goes, by message;
    and the register by which they go."""

    answers: list[Recorded]
    addressed: Mapping[str, Addressed]
    handbook: Handbook


class Saying:
    """Makes the messages that say decisions, and remembers which cannot be said."""

    def __init__(
        self,
        commits: GroupCommit,
        numbers: Numbering,
        handbook: Callable[[], Handbook],
        key: security.Signatory,
        in_thread: Callable[..., Awaitable[Any]],
        publish: str,
    ) -> None:
        """``in_thread``: runs a function with its arguments apart from the reactor.  ``publish``: the broker that
        decisions go to as well, "" for none."""
        self._commits = commits
        self._numbers = numbers
        self._handbook = handbook
        self._key = key
        self._in_thread = in_thread
        self._publish = publish
        self.unsaid: set[str] = set()
        self._unsaid_by: Handbook | None = None

    def unsayable(self) -> set[str]:
        """The decisions that cannot be said by today's knowledge: what was mended since may say them."""
        handbook = self._handbook()
        if handbook is not self._unsaid_by:
            self.unsaid, self._unsaid_by = set(), handbook
        return self.unsaid

    async def say(self, decisions: Sequence[Decision], now: datetime) -> Said:
        """Raises security.KeyUnusable, LedgerUnavailable."""
        handbook = self._handbook()
        ask = functools.partial(self._commits.call, "routes")
        found, unread = await each_readable(ask, [d.message for d in decisions])
        addressed: dict[str, Addressed] = {message: to for some in found for message, to in some.items()}
        unaddressed = dict(unread)
        for decision in [d for d in decisions if d.message in unaddressed]:
            log.error("decision %s cannot be said: %s", decision.id, unaddressed[decision.message])
            self.unsaid.add(decision.id)
        decisions = [d for d in decisions if d.message not in unaddressed]
        if any(to.route.partner not in handbook.register.partners for to in addressed.values()):
            # Registered a moment ago, and already filing: whether it is pushed to stands in the ledger.
            handbook = handbook.with_register(await self._commits.call("refreshed", handbook.register))
        await self._numbers.ahead(self._commits.call)
        numbered = list(zip(decisions, self._numbers.take(len(decisions)), strict=True))
        lanes = await self._lanes(decisions, addressed)
        key = self._key.signing(now)

        def signed() -> list[Recorded]:
            answers = (self._tried(d, addressed.get(d.message), handbook, key, n, now) for d, n in numbered)
            made = enumerate(answer for answer in answers if answer is not None)
            return [self._published(_placed(answer, nth, lanes), now) for nth, answer in made]

        # A key in a token may take its time: not on the reactor's thread.
        answers = await self._in_thread(signed) if key.remote else signed()
        return Said(answers, addressed, handbook)

    async def _lanes(
        self, decisions: Sequence[Decision], addressed: Mapping[str, Addressed]
    ) -> Mapping[str, str]:
        """By decision, the lane of what its filer is told of the declaration.  What amends one names customs' number:
        it is known by that under which reference the original was filed."""
        of = [(d, addressed[d.message]) for d in decisions if d.message in addressed]
        named = {(to.route.principal, d.registration) for d, to in of if to.function != ORIGINAL}
        named = {(principal, number) for principal, number in named if number}
        known: Mapping[tuple[str, str], str] = await self._commits.call("originals", named) if named else {}
        lanes = {}
        for decision, to in of:
            principal = to.route.principal
            named_so = known.get((principal, decision.registration)) or to.lrn or decision.message
            lanes[decision.id] = lane_of_answers(to.route.partner, principal, named_so)
        return lanes

    def _published(self, answer: Recorded, now: datetime) -> Recorded:
        if not self._publish:
            return answer
        due = decision_due(self._publish, answer.decision.message, answer.decision.id, now)
        return msgspec.structs.replace(answer, published=due)

    def _tried(
        self,
        decision: Decision,
        to: Addressed | None,
        handbook: Handbook,
        key: security.SigningKey,
        number: str,
        now: datetime,
    ) -> Recorded | None:
        """The answer, or None where it cannot be made: the decision then waits unconfirmed at the back
        end, and holds up no other.  Raises security.KeyUnusable: that is no decision's fault."""
        try:
            return self._answer(decision, to, handbook, key, number, now)
        except security.KeyUnusable:
            raise
        except Exception:  # noqa: BLE001 - one poison decision must not hold up its neighbours
            log.exception("decision %s cannot be said", decision.id)
            self.unsaid.add(decision.id)
            return None

    def _answer(
        self,
        decision: Decision,
        to: Addressed | None,
        handbook: Handbook,
        key: security.SigningKey,
        number: str,
        now: datetime,
    ) -> Recorded:
        """The decision with the signed message that carries it; without one where nobody filed it."""
        if to is None:
            log.error("decision about an unknown message", extra={"decision": decision.id})
            return Recorded(decision=decision, outgoing=None, delivery=None, events=())
        _, version, release = (*to.identifier.split(":"), "", "")[:3]
        about = outbound.About(to.lrn, to.reference, decision.registration, version, release)
        draft = outbound.decision(decision, about, to.route, handbook, number, now)
        media_type, body = outbound.seal(draft, to.route, key, now)
        outgoing = Outgoing(
            id=answer_id(decision.message, decision.id),
            partner=to.route.partner,
            kind=decision.kind.value,
            about=decision.message,
            reference=to.lrn,
            media_type=media_type,
            body=body,
            created_at=now,
        )
        events = (Event(decision.message, decision.at, decision.kind.value, decision.registration),)
        partner = handbook.register.partners.get(to.route.partner)
        pushed = partner is not None and partner.channel is Channel.PUSH
        push = push_of(outgoing) if pushed else None
        return Recorded(decision=decision, outgoing=outgoing, delivery=push, events=events)


def _placed(answer: Recorded, nth: int, lanes: Mapping[str, str]) -> Recorded:
    """In its lane, before others where it must be, and a microsecond after the one before it: who has both knows by
    that which one is later."""
    if answer.outgoing is None:
        return answer
    made = answer.outgoing.created_at + nth * MICROSECOND
    outgoing, delivery = msgspec.structs.replace(answer.outgoing, created_at=made), answer.delivery
    if delivery is not None:
        urgent = answer.decision.kind in URGENT
        delivery = msgspec.structs.replace(delivery, lane=lanes[answer.decision.id], urgent=urgent)
    return msgspec.structs.replace(answer, outgoing=outgoing, delivery=delivery)


def not_handed_over(delivery: Delivery, why: str, now: datetime) -> Decision:
    """Our own word on a message that customs never gets, by an operator's decision."""
    return Decision(
        delivery.id,
        delivery.payload,
        DecisionKind.REFUSED,
        now,
        statement=NOT_HANDED_OVER.format(why=why),
        statement_vi=NOT_HANDED_OVER_VI.format(why=why),
    )
