"""What one process of a home does for all of them: it delivers, asks about certificates, and signs the journal."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable
from typing import Any

from twisted.python.threadpool import ThreadPool

from adapters.clearance import Clearance
from adapters.clearance import load as load_clearance
from gateway import transport
from gateway.delivery import BackendCourier, PushCourier, Undeliverable
from gateway.model import Outgoing, Partner
from gateway.operations import settings
from gateway.operations.ahead import keep_ahead
from gateway.operations.archiving import Daily
from gateway.operations.bulk import keep_ending
from gateway.operations.expiring import ExpiryWatch
from gateway.operations.notary import Notary
from gateway.operations.publication import publish
from gateway.operations.revoking import keep_asking
from gateway.operations.server import BACKEND, Server, now
from gateway.operations.tally import keep_tally
from gateway.operations.witnessing import Witness
from gateway.operations.workshop import Workshop


class PushSender:
    """transport.Push as the courier wants it."""

    def __init__(self, push: transport.Push) -> None:
        self._push = push

    async def send(self, outgoing: Outgoing, partner: Partner) -> None:
        """Carry one message; raises Undeliverable."""
        try:
            await self._push.send(outgoing, partner)
        except transport.PushFailed as failed:
            raise Undeliverable(str(failed), failed.retry, failed.retry_after) from failed


def deliver(server: Server, reactor: Any) -> Callable[[], None]:
    """Start the couriers; returns what wakes them."""
    pool = ThreadPool(1, 2, "backend")
    pool.start()
    server.on_stop(pool.stop)
    notarise(server, reactor)
    owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    clearance = _office(server)
    push, sender = _pushes(server, reactor, owner)
    published = publish(server, reactor, owner)

    def decided() -> None:
        push.poke()
        published()

    backend = BackendCourier(
        BACKEND,
        clearance,
        server.commits,
        server.numbers.take,
        server.handbook,
        server,
        reactor,
        pool,
        now,
        owner,
        on_decided=decided,
        on_answered=server.metrics.answered,
        publish=server.settings.broker,
    )
    workshop = Workshop(server.home, reactor, server.settings, ready=False)
    server.on_stop(workshop.stop)
    server.on_reload(workshop.renew)
    intake = server.intake(workshop, backend.poke)
    keep_asking(server, intake, reactor, pool, owner, now)
    keep_ending(server, reactor, intake)
    server.on_stop(keep_tally(server.commits, server.metrics, reactor))
    server.on_stop(keep_ahead(server.commits, reactor))
    server.on_stop(ExpiryWatch(server.commits, server.metrics, now).keep(reactor))
    server.on_stop(sender.close)
    for courier in (push, backend):
        courier.start()
        server.on_stop(courier.stop)

    def wake() -> None:
        backend.poke()
        decided()

    return wake


def _office(server: Server) -> Clearance:
    """Customs' own books behind the gateway."""
    folder = server.home / "conf" / "clearance"
    url = settings.database_url(server.home, server.settings.database.clearance)
    clearance = Clearance.open(url, folder)
    server.on_stop(clearance.close)
    server.on_hangup("conf/clearance", lambda: clearance.use(load_clearance(folder)))
    return clearance


def _pushes(server: Server, reactor: Any, owner: str) -> tuple[PushCourier, transport.Push]:
    """What carries messages to receivers, and the connections that it uses: closed after it."""
    tls = transport.ClientTls(server.home / server.settings.keys.push_trust, own=server.presented)
    server.on_hangup("TLS to receivers", tls.reload)
    sender = transport.Push(reactor, tls, server.metrics)
    courier = PushCourier(PushSender(sender), server.commits, server.handbook, reactor, now, owner)
    return courier, sender


def notarise(server: Server, reactor: Any) -> None:
    """Sign checkpoints over the journal from now on, and a last one when everything else has ended."""
    chosen = server.settings.journal
    witness = Witness(server.home)
    notary = Notary(
        server.commits, lambda: server.keys, server.handbook, now, chosen.entries, witness, chosen.tsa
    )
    server.metrics.checkpoint(notary.age)
    server.on_stop(notary.round)
    server.on_stop(notary.start(reactor, chosen.seconds))
    kept = server.settings.retention
    if kept.archive:
        folder = server.home / kept.archive
        daily = Daily(server.commits, lambda: server.signing(now()), folder, kept.years, now)
        server.on_stop(daily.start(reactor))
