"""A publisher over NATS JetStream.  nats-py lives in a thread of its own, with its own event loop.

A connection that failed is given up, never mended: what was on its way over it is published anew, and the
server knows it by its id.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections.abc import Sequence
from concurrent.futures import TimeoutError as TookTooLong
from contextlib import suppress
from typing import Any

from nats import errors as nats_errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js import errors as js_errors

from adapters.jetstream.access import Access, AccessBroken, is_tls
from adapters.jetstream.stream import MSG_ID, Wanted, check, published
from gateway.adapter import BackendUnavailable, Publication, Unpublishable

log = logging.getLogger("adapters.jetstream")

CONNECT_SECONDS = 2
"""For a connection to one server, with TLS and its greeting."""
CONFIRM_SECONDS = 5.0
"""For the broker to confirm a batch."""
ANSWER_SECONDS = 2.0
"""For the broker to answer any other question."""
WHOLE_SECONDS = 30.0
"""For all of it, connecting to several servers included."""
NAME = "cvan-gateway"
TOO_LARGE = 10_054
"""JetStream's code where a message is larger than its stream takes."""


class _Client(Client):
    """nats-py's client that does not go on in plain where TLS was asked for: credentials would follow."""

    tls_wanted = False

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        if self.tls_wanted and not info.get("tls_required"):
            raise nats_errors.Error("the server does not speak TLS")
        await super()._process_info(info, initial_connection)


class _Session:
    """A connection to a server with a stream that was checked.  ``lost`` is done when it ended."""

    def __init__(self, client: _Client, lost: asyncio.Future[None]) -> None:
        self.client = client
        self.lost = lost
        self.js: JetStreamContext = client.jetstream(timeout=ANSWER_SECONDS)


class JetStream:
    """Publishes to one stream; implements gateway.adapter.Publisher."""

    def __init__(self, access: Access, wanted: Wanted) -> None:
        """Raises AccessBroken where an address or a file cannot be used.  Connects at the first batch."""
        access.check()
        self._access = access
        self._wanted = wanted
        self._session: _Session | None = None
        self._complaint = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="jetstream", daemon=True)
        self._thread.start()

    def publish(self, batch: Sequence[Publication]) -> None:
        """As gateway.adapter.Publisher."""
        going = asyncio.run_coroutine_threadsafe(self._publish(batch), self._loop)
        try:
            going.result(WHOLE_SECONDS)
        except TookTooLong as slow:
            going.cancel()
            raise BackendUnavailable(f"the broker took longer than {WHOLE_SECONDS:g} s") from slow

    def largest(self) -> int:
        """As gateway.adapter.Publisher."""
        going = asyncio.run_coroutine_threadsafe(self._largest(), self._loop)
        try:
            return going.result(WHOLE_SECONDS)
        except TookTooLong as slow:
            going.cancel()
            raise BackendUnavailable(f"the broker took longer than {WHOLE_SECONDS:g} s") from slow

    async def _largest(self) -> int:
        try:
            return (await self._connected()).client.max_payload
        except (nats_errors.Error, OSError, AccessBroken) as error:
            await self._give_up()
            raise BackendUnavailable(self._told(error)) from error

    def close(self) -> None:
        """End the connection and the thread."""
        with suppress(TookTooLong):
            asyncio.run_coroutine_threadsafe(self._give_up(), self._loop).result(ANSWER_SECONDS * 2)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _publish(self, batch: Sequence[Publication]) -> None:
        sound = False
        try:
            session = await self._connected()
            _measure(batch, session.client.max_payload)
            if any(publication.again for publication in batch):
                known = await published(session.js, self._wanted)
                batch = [publication for publication in batch if publication.id not in known]
            await self._confirmed(session, batch)
            sound = True
        except Unpublishable:
            sound = True  # the broker answered, and about one publication
            raise
        except (nats_errors.Error, OSError, AccessBroken) as error:
            raise BackendUnavailable(self._told(error)) from error
        finally:
            if not sound:  # also where we were interrupted: what is still under way on it nobody knows
                await self._give_up()

    async def _confirmed(self, session: _Session, batch: Sequence[Publication]) -> None:
        """Send all in order, then wait until each is confirmed."""
        # Each begins in its turn, and puts what it sends in one queue before it waits for anything.  Not by
        # publish_async: in nats-py 2.16 that never hears of a refusal.
        all_of_them = asyncio.gather(
            *(self._sent(session.js, publication) for publication in batch), return_exceptions=True
        )
        await asyncio.wait(
            (all_of_them, session.lost), timeout=CONFIRM_SECONDS + 1, return_when=asyncio.FIRST_COMPLETED
        )
        if not all_of_them.done():
            all_of_them.cancel()
            ended = "the connection ended" if session.lost.done() else f"nothing within {CONFIRM_SECONDS:g} s"
            raise BackendUnavailable(f"the broker did not confirm: {self._complaint or ended}")
        for publication, result in zip(batch, all_of_them.result(), strict=True):
            if isinstance(result, js_errors.APIError) and result.err_code == TOO_LARGE:
                raise Unpublishable(
                    publication.id,
                    f"{len(publication.payload)} octets; the stream takes less: raise its max-msg-size",
                )
            if isinstance(result, BaseException):
                raise result

    async def _sent(self, js: JetStreamContext, publication: Publication) -> None:
        headers = {**publication.headers, MSG_ID: publication.id}
        subject, stream = publication.subject, self._wanted.name
        await js.publish(subject, publication.payload, CONFIRM_SECONDS, stream, headers)

    async def _connected(self) -> _Session:
        """The session, a new one where the last was lost.  Raises what the last server's failure was."""
        if self._session is not None:
            if not self._session.lost.done():
                return self._session
            await self._give_up()
        servers = random.sample(self._access.servers, len(self._access.servers))
        for number, server in enumerate(servers, 1):
            try:
                session = await self._connect(server)
            except (nats_errors.Error, OSError) as error:
                log.info("broker %s: %s", server, self._told(error))
                if number == len(servers):
                    raise
            else:
                self._session = session
                await check(session.js, self._wanted)
                log.info("publishing by %s to stream %s", server, self._wanted.name)
                return session
        raise BackendUnavailable("no server is named")

    async def _connect(self, server: str) -> _Session:
        self._complaint = ""
        client = _Client()
        client.tls_wanted = is_tls(server)
        lost: asyncio.Future[None] = self._loop.create_future()

        async def closed() -> None:
            if not lost.done():
                lost.set_result(None)

        connected = False
        try:
            await client.connect(
                servers=[server],
                name=NAME,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=CONNECT_SECONDS,
                error_cb=self._complained,
                closed_cb=closed,
                disconnected_cb=closed,
                tls=self._access.context() if client.tls_wanted else None,
                **self._access.login(),  # type: ignore[arg-type]
            )
            connected = True
        finally:
            if not connected:
                await _end(client)
        return _Session(client, lost)

    async def _complained(self, error: Exception) -> None:
        """What a server says beside its answers, as that it does not permit a subject."""
        self._complaint = str(error) or type(error).__name__

    def _told(self, error: BaseException) -> str:
        said = str(error) or type(error).__name__
        if self._complaint and self._complaint not in said:
            said = f"{said} ({self._complaint})"
        return f"the broker is away: {said}" if not isinstance(error, AccessBroken) else said

    async def _give_up(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await _end(session.client)


async def _end(client: Client) -> None:
    with suppress(nats_errors.Error, OSError):
        await asyncio.wait_for(client.close(), ANSWER_SECONDS)


def _measure(batch: Sequence[Publication], most: int) -> None:
    """Raises Unpublishable for one that the server would end the connection over."""
    for publication in batch:
        # Headers count too; each has a colon, a blank and a line's end around it.
        headers = sum(len(name) + len(value) + 4 for name, value in publication.headers.items())
        size = len(publication.payload) + headers + len(publication.id) + HEADERS_AROUND
        if size > most:
            raise Unpublishable(
                publication.id, f"{size} octets; the broker takes {most}: raise its max_payload, then retry"
            )


HEADERS_AROUND = 256
"""Octets of a header block beside the publication's own: its version line, the id's and the stream's name."""
