"""Publishing to a broker, where the settings name one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.python.threadpool import ThreadPool

from gateway.adapter import Publisher
from gateway.delivery import Naming, PublishCourier
from gateway.operations import settings
from gateway.operations.server import Server, now


def publish(server: Server, reactor: Any, owner: str) -> Callable[[], None]:
    """Start the courier to the broker, if there is one; returns what wakes it.  That it is away is no fault."""
    chosen = server.settings
    if not chosen.broker:
        return _nobody
    publisher, close = _jetstream(server.home, chosen.publish)
    # Threads of its own: a broker that is slow makes no one else wait.
    pool = ThreadPool(0, 1, "publish")
    pool.start()
    server.on_stop(pool.stop)
    server.on_stop(close)
    naming = Naming(chosen.publish.root, chosen.publish.source)
    courier = PublishCourier(chosen.broker, publisher, naming, server.commits, reactor, pool, now, owner)
    courier.start()
    server.on_stop(courier.stop)
    return courier.poke


def check(home: Path) -> None:
    """Raises BadSettings where the broker's settings or files cannot be used, before anything is begun."""
    chosen = settings.load(home).publish
    if chosen.servers:
        adapter = _adapter()
        try:
            _access(adapter, home, chosen).check()
        except adapter.AccessBroken as error:
            raise settings.BadSettings(f"publish: {error}") from error


def _adapter() -> Any:
    try:
        from adapters import jetstream
    except ModuleNotFoundError as error:
        raise settings.BadSettings(
            f"publish.servers: {error.name} is not installed; pip install 'cvan-gateway[nats]'"
        ) from error
    return jetstream


def _access(adapter: Any, home: Path, chosen: settings.Publish) -> Any:
    names = (chosen.trust, chosen.certificate, chosen.key, chosen.credentials)
    return adapter.Access(chosen.servers, *(home / name if name else None for name in names))


def _jetstream(home: Path, chosen: settings.Publish) -> tuple[Publisher, Callable[[], None]]:
    adapter = _adapter()
    wanted = adapter.Wanted(chosen.stream, chosen.root, chosen.create)
    made = adapter.JetStream(_access(adapter, home, chosen), wanted)
    return made, made.close


def _nobody() -> None:
    """Nothing is published."""
