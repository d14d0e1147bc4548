"""Measures every test that the attack table names, and holds it to the table's bounds.

Part of each run of the tests: a refusal that became slow, hungry or talkative fails where it is tested.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway import safexml, security
from gateway.transport.counter import Counter
from tests.attacks.table import attacked

LOOPBACK = ("127.", "::1", "localhost")
_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")
_CODE = re.compile(r"[A-Z]{3}\d{2,5}")


@dataclass
class Cost:
    """What one test took: seconds, mebibytes above what the process had before, findings, and whom it called
    beyond this machine."""

    seconds: float = 0.0
    mebibytes: float = 0.0
    findings: list[str] = field(default_factory=list)
    called: list[str] = field(default_factory=list)


_now: Cost | None = None


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _now is None or event not in ("socket.connect", "socket.sendto", "socket.getaddrinfo"):
        return
    host = arguments[1] if event != "socket.getaddrinfo" else arguments
    name = host[0] if isinstance(host, tuple) and host else ""
    name = name.decode() if isinstance(name, bytes) else str(name or "")
    if name and not name.startswith(LOOPBACK):
        _now.called.append(name)


sys.addaudithook(_audit)


def _peak() -> int:
    """KiB: the most that was resident since the last reset."""
    found = re.search(r"VmHWM:\s+(\d+)", _STATUS.read_text())
    return int(found[1]) if found else 0


def _reset() -> bool:
    try:
        _RESET.write_text("5")
    except OSError:
        return False
    return True


def _note(findings: Any) -> None:
    if _now is not None:
        _now.findings += [f.code for f in findings if f.code not in _now.findings]


def _noting(original: Callable[..., Any], place: int) -> Callable[..., Any]:
    def noted(*arguments: Any, **named: Any) -> Any:
        _note(arguments[place] if len(arguments) > place else ())
        return original(*arguments, **named)

    return noted


def pytest_configure() -> None:
    """See which findings are made, whichever test makes them."""
    for kind in (security.Refused, safexml.XmlRefused):
        kind.__init__ = _noting(kind.__init__, 1)  # type: ignore[method-assign]
    Counter.refuse = _noting(Counter.refuse, 3)  # type: ignore[method-assign]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Measure a test of the table; fail it beyond its bounds."""
    global _now
    attack = attacked(item.nodeid.partition("[")[0])
    if attack is None:
        return (yield)
    cost = _now = Cost()
    measured = _reset()
    before, began = _peak(), time.process_time()
    try:
        result = yield
    finally:
        _now = None
        cost.seconds = time.process_time() - began
        cost.mebibytes = max(0, _peak() - before) / 1024 if measured else 0.0
        cost.findings += [c for c in _parameters(item) if c not in cost.findings]
        item.user_properties.append(("attack", asdict(cost)))
    assert cost.seconds <= attack.seconds, f"{cost.seconds:.1f} s of work, allowed are {attack.seconds:g}"
    assert cost.mebibytes <= attack.mebibytes, f"{cost.mebibytes:.0f} MiB, allowed are {attack.mebibytes:g}"
    assert not cost.called, f"called {', '.join(cost.called)}"
    return result


def _parameters(item: pytest.Item) -> list[str]:
    """Codes that a test is given as its parameters: it looks for them in another process."""
    call = getattr(item, "callspec", None)
    values = call.params.values() if call is not None else ()
    return [v for v in values if isinstance(v, str) and _CODE.fullmatch(v)]
