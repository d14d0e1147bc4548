"""The stream: what must be true of it, and what it has already."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from nats.js import JetStreamContext, api, errors

from gateway.adapter import BackendUnavailable

MSG_ID = "Nats-Msg-Id"
SHORTEST_WINDOW = timedelta(minutes=2)
"""Within it the server knows an id again.  A node that ends between publishing and noting it is taken over
within seconds; the rest is for slow disks and clocks."""
TAIL = 256
"""Messages at the end of the stream that are looked through for what may have been published unheard: a
batch of the one courier that publishes at a time, and as much again from other sources."""
AT_ONCE = 32
"""Of these, asked for together."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The stream that is published to.  ``root``: first token of its subjects.  ``create``: make it where
    it is not there, with so many ``replicas``."""

    name: str = "CVAN"
    root: str = "cvan"
    create: bool = False
    replicas: int = 1

    @property
    def subjects(self) -> str:
        """All that is published."""
        return f"{self.root}.>"

    @property
    def command(self) -> str:
        """What an operator makes it by."""
        return (
            f"nats stream add {self.name} --subjects '{self.subjects}' --storage file --replicas 3 "
            "--retention limits --discard new --dupe-window 2h --defaults"
        )


async def check(js: JetStreamContext, wanted: Wanted) -> None:
    """Raises BackendUnavailable, saying what to do, where the stream is not fit to publish to."""
    try:
        config = (await js.stream_info(wanted.name)).config
    except errors.NotFoundError as missing:
        if not wanted.create:
            raise BackendUnavailable(
                f"the broker has no stream {wanted.name}; make it: {wanted.command}"
            ) from missing
        config = await _create(js, wanted)
    fault = _fault(config, wanted)
    if fault:
        raise BackendUnavailable(f"the broker's stream {wanted.name} {fault}")


async def _create(js: JetStreamContext, wanted: Wanted) -> api.StreamConfig:
    config = api.StreamConfig(
        name=wanted.name,
        subjects=[wanted.subjects],
        storage=api.StorageType.FILE,
        discard=api.DiscardPolicy.NEW,
        num_replicas=wanted.replicas,
        duplicate_window=timedelta(hours=2).total_seconds(),
    )
    return (await js.add_stream(config)).config


def _fault(config: api.StreamConfig, wanted: Wanted) -> str:
    if not any(_covers(pattern, wanted.root) for pattern in config.subjects or ()):
        return f"does not take {wanted.subjects}; let it: nats stream edit {wanted.name} --subjects '{wanted.subjects}'"
    if config.storage != api.StorageType.FILE:
        return "is kept in memory and ends with its server; make one with --storage file"
    if config.no_ack:
        return "confirms nothing; make one without --no-ack"
    window = config.duplicate_window or 0
    if window < SHORTEST_WINDOW.total_seconds():
        return f"knows an id again for {window:g} s only; nats stream edit {wanted.name} --dupe-window 2h"
    return ""


def _covers(pattern: str, root: str) -> bool:
    return pattern in (">", "*.>", f"{root}.>", f"{root}.*.*", "*.*.*")


async def published(js: JetStreamContext, wanted: Wanted) -> frozenset[str]:
    """The ids at the end of the stream."""
    state = (await js.stream_info(wanted.name)).state
    first = max(state.first_seq, state.last_seq - TAIL + 1, 1)
    found: set[str] = set()
    for start in range(first, state.last_seq + 1, AT_ONCE):
        some = range(start, min(start + AT_ONCE, state.last_seq + 1))
        found.update(await asyncio.gather(*(_id_of(js, wanted.name, number) for number in some)))
    return frozenset(found - {""})


async def _id_of(js: JetStreamContext, name: str, number: int) -> str:
    try:
        message = await js.get_msg(name, seq=number)
    except errors.NotFoundError:
        return ""  # deleted, as streams may be by their operators
    headers: dict[str, str] = message.headers or {}
    return headers.get(MSG_ID, "")
