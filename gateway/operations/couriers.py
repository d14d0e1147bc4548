"""What one process of a home does for all of them: it delivers, asks about certificates, and signs the journal."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy.exc import DatabaseError
from twisted.python.threadpool import ThreadPool

from adapters.clearance import Clearance
from adapters.clearance import load as load_clearance
from gateway import transport
from gateway.adapter import BackendUnavailable
from gateway.delivery import BackendCourier, PushCourier, Undeliverable, duties
from gateway.delivery.asking import THREADS
from gateway.delivery.duties import Duties
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
            raise Undeliverable(str(failed), failed.retry, failed.retry_after, failed.answered) from failed


def deliver(server: Server, reactor: Any) -> Callable[[], None]:
    """Start the couriers; returns what wakes them."""
    pool = ThreadPool(1, THREADS + 1, "backend")
    pool.start()
    server.on_stop(pool.stop)
    owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    on_duty = Duties(server.commits, reactor, now, owner, alone=server.alone)
    notarise(server, reactor, partial(on_duty.on, duties.JOURNAL), partial(on_duty.on, duties.ARCHIVE))
    server.on_stop(on_duty.start())
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
        server.numbers,
        server.handbook,
        server,
        reactor,
        pool,
        now,
        owner,
        on_decided=decided,
        on_answered=server.metrics.answered,
        publish=server.settings.broker,
        on_duty=partial(on_duty.on, duties.DECISIONS),
        patience=server.settings.limits.backend_seconds,
    )
    workshop = Workshop(server.home, reactor, server.settings, ready=False)
    server.on_stop(workshop.stop)
    server.on_reload(workshop.renew)
    # Not the back end's: lists that take a second each to verify would hold up handovers within their lease.
    verifying = ThreadPool(0, 2, "revocation")
    verifying.start()
    server.on_stop(verifying.stop)
    # Nothing that a stranger sent is judged in this process: its end would close every door.
    intake = server.intake(workshop, backend.poke, "first", inline=0)
    keep_asking(server, intake, reactor, verifying, owner, now, on_duty)
    keep_ending(server, reactor, intake)
    server.on_stop(keep_tally(server.commits, server.metrics, reactor))
    server.on_stop(keep_ahead(server.commits, reactor))
    expiry = ExpiryWatch(server.commits, server.metrics, now, partial(on_duty.on, duties.EXPIRY))
    server.on_stop(expiry.keep(reactor))
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
    try:
        clearance = Clearance.open(url, folder)
    except BackendUnavailable as away:
        raise BackendUnavailable(f"database.clearance: {away}") from away
    except DatabaseError as broken:
        raise settings.BadSettings(f"database.clearance: {broken.orig}") from broken
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


Duty = Callable[[], bool]


def notarise(
    server: Server, reactor: Any, covers: Duty = lambda: True, archives: Duty = lambda: True
) -> None:
    """Sign checkpoints over the journal from now on, and a last one when everything else has ended; archive once
    a day.  Each while it is this node's duty."""
    chosen = server.settings.journal
    witness = Witness(server.home)
    notary = Notary(
        server.commits,
        lambda: server.keys,
        server.handbook,
        now,
        chosen.entries,
        witness,
        chosen.tsa,
        covers,
    )
    server.metrics.checkpoint(notary.age)
    server.on_stop(notary.last)
    server.on_stop(notary.start(reactor, chosen.seconds))
    kept = server.settings.retention
    if kept.archive:
        folder = server.home / kept.archive
        daily = Daily(server.commits, lambda: server.signing(now()), folder, kept.years, now, archives)
        server.on_stop(daily.start(reactor))
