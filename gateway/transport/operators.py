"""The operators' operations: what each row of their table asks at the desk."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from gateway.model import Finding, Place
from gateway.transport.call import Call, Reply, json_reply
from gateway.transport.desk import Actor, Again, Asked, Editing, Filter, Reason
from gateway.transport.queries import Unanswerable, nothing, number, query_of
from gateway.transport.services import Services

T = TypeVar("T")

MAX_PAGE = 1_000
PAGE = 100  # deliveries of a page where the caller does not say
MAX_OLDER = 315_360_000  # seconds: ten years, longer than anything is kept


class Operators:
    """Answers calls of operators and officers; what they may is decided at the door, and at the desk."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.operations: dict[str, Callable[[Call], Awaitable[Reply]]] = {
            "listDeliveries": self._deliveries,
            "getDelivery": self._delivery,
            "getHandover": self._handover,
            "sendAgain": self._again,
            "skipDelivery": self._skip,
            "resendMessage": self._resend,
            "editDelivery": self._edit,
            "listDestinations": self._destinations,
            "pauseDestination": self._pause,
            "resumeDestination": self._resume,
            "closeBreaker": self._close,
            "listDeadLetters": self._dead_letters,
        }

    async def _deliveries(self, call: Call) -> Reply:
        query = query_of(call)
        wanted = Filter(
            destination=query.get("destination", ""),
            state=query.get("state", ""),
            older=number(query, "older", 0, MAX_OLDER, least=0),
            after=query.get("after", ""),
            limit=number(query, "limit", PAGE, MAX_PAGE),
        )
        return json_reply(await self._services.at_desk(lambda desk: desk.deliveries(wanted)))

    async def _delivery(self, call: Call) -> Reply:
        return await self._there(call, lambda desk: desk.delivery(call.argument))

    async def _handover(self, call: Call) -> Reply:
        return await self._there(call, lambda desk: desk.handover(call.argument, _actor(call)))

    async def _again(self, call: Call) -> Reply:
        asked = _read(call, Again)
        return await self._there(call, lambda desk: desk.again(call.argument, _actor(call), asked))

    async def _resend(self, call: Call) -> Reply:
        why = _read(call, Reason).reason
        return await self._there(call, lambda desk: desk.resend(call.argument, _actor(call), why))

    async def _skip(self, call: Call) -> Reply:
        why = _read(call, Reason).reason
        return await self._there(call, lambda desk: desk.skip(call.argument, _actor(call), why))

    async def _edit(self, call: Call) -> Reply:
        editing = _read(call, Editing)
        return await self._there(call, lambda desk: desk.edit(call.argument, _actor(call), editing))

    async def _destinations(self, _call: Call) -> Reply:
        return json_reply(await self._services.at_desk(lambda desk: desk.destinations()))

    async def _dead_letters(self, _call: Call) -> Reply:
        return json_reply(await self._services.at_desk(lambda desk: desk.dead_letters()))

    async def _pause(self, call: Call) -> Reply:
        why = _read(call, Reason).reason
        return await self._there(call, lambda desk: desk.pause(call.argument, _actor(call), why))

    async def _resume(self, call: Call) -> Reply:
        why = _read(call, Reason).reason
        return await self._there(call, lambda desk: desk.resume(call.argument, _actor(call), why))

    async def _close(self, call: Call) -> Reply:
        why = _read(call, Reason).reason
        return await self._there(call, lambda desk: desk.close(call.argument, _actor(call), why))

    async def _there(self, call: Call, asked: Asked[T]) -> Reply:
        found = await self._services.at_desk(asked)
        if found is None:
            raise nothing(call)
        return json_reply(found)


def _actor(call: Call) -> Actor:
    if call.partner is None:
        raise ValueError(f"{call.operation} wants somebody who acts")
    return Actor(call.partner.id, frozenset(call.partner.roles))


def _read(call: Call, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(call.body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        expected = ", ".join(shape.__struct_fields__)  # type: ignore[attr-defined]
        found = Finding("API4004", Place(part="body"), expected, str(error)[:200])
        raise Unanswerable(400, found) from error
