"""The doors of one process: to partners, and to operators."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from gateway import transport
from gateway.intake import Intake
from gateway.operations import bulk
from gateway.operations.publicword import PublicWord
from gateway.operations.revoking import Callers
from gateway.operations.server import BACKEND, Server, now
from gateway.operations.services import Doorkeeping
from gateway.operations.workshop import Workshop


def open_door(
    server: Server,
    reactor: Any,
    listening: Any,
    on_settled: Callable[[], None],
    workers_cores: frozenset[int] = frozenset(),
    name: str = "door",
) -> None:
    """Answer partners on a socket that ``listening`` (as ``reactor.listenTCP``) gives.  ``workers_cores``: those that
    its workers run on, where that is not as this process does; ``name``: as of Server.intake."""
    chosen = server.settings
    tls = transport.ServerTls(server.presented, server.home / chosen.keys.trust)
    server.on_hangup("TLS", tls.reload)
    # Nothing is to fail any more: workers begin here, and who leaves them behind hears of it at length.
    workshop = Workshop(server.home, reactor, chosen, run_on=workers_cores)
    server.on_stop(workshop.stop)
    server.on_reload(workshop.renew)
    intake = server.intake(workshop, once_a_turn(on_settled, reactor), name)
    spool = bulk.spool(server)
    large = bulk.large(server, reactor, intake, bulk.lane(server, reactor, workers_cores), spool)
    services = Doorkeeping(intake, server.commits, server.handbook, server.readiness, large)
    door = door_of(server, reactor, services, spool=spool)
    server.on_stop(transport.listen(listening, door, tls, now=now, port=0).stop)


def once_a_turn(call: Callable[[], None], reactor: Any) -> Callable[[], None]:
    """Makes the call in the reactor's next turn, once for however many wanted it in this one: what a commit held
    is told to another process by one octet."""
    called = False

    def want() -> None:
        nonlocal called
        if not called:
            called = True
            reactor.callLater(0, make)

    def make() -> None:
        nonlocal called
        called = False
        call()

    return want


def open_operations(server: Server, reactor: Any, port: int) -> None:
    """Health and metrics of this process, on loopback or where the settings say."""
    intake = Intake(server.commits, server.numbers, server.handbook, server, now, BACKEND)
    services = Doorkeeping(intake, server.commits, server.handbook, server.readiness)
    door = door_of(server, reactor, services, transport.FOR_OPERATORS)
    host = server.settings.listen.operations_host
    opened = transport.listen_operations(reactor, door, now=now, port=port, interface=host, anywhere=True)
    server.on_stop(opened.stop)


def door_of(
    server: Server,
    reactor: Any,
    services: Doorkeeping,
    operations: Any = None,
    spool: transport.Spool | None = None,
) -> transport.Door:
    """A door with the home's bounds."""
    limits = server.settings.limits
    bounds = transport.Bounds(
        max_bytes=limits.max_bytes,
        per_minute=limits.per_minute,
        in_flight=limits.in_flight,
        at_work=limits.at_work,
        target=limits.target_ms / 1000,
        patience=limits.patience_ms / 1000,
        urgent=frozenset(limits.urgent),
        total_in_flight=limits.in_flight_of_all,
        total_bytes=limits.memory_bytes,
        connections=limits.connections,
        connections_per_partner=limits.connections_per_partner,
        connections_per_address=limits.connections_per_address,
        handshakes=limits.handshakes,
        handshakes_per_address=limits.handshakes_per_address,
        header_seconds=limits.header_seconds,
        idle_seconds=limits.idle_seconds,
        answer_seconds=limits.answer_seconds,
        body_grace=limits.body_grace_seconds,
        body_rate=limits.body_rate,
        held_back=limits.held_back_seconds,
    )
    if operations is None:
        operations = transport.OPERATIONS if server.settings.listen.operators else transport.PARTNERS
    chosen = transport.DoorSettings(bounds=bounds, operations=operations)
    refusals = transport.RefusalLog(reactor, now)
    server.on_stop(refusals.flush)
    return transport.Door(
        services,
        server.metrics,
        transport.AccessLog(),
        now=now,
        seconds=reactor.seconds,
        randomness=secrets.token_bytes,
        later=lambda call: reactor.callLater(0, call),
        settings=chosen,
        refusals=refusals,
        unfit=Callers(server, now).unfit,
        tax_codes=PublicWord(server.handbook, now).tax_codes,
        spool=spool,
    )
