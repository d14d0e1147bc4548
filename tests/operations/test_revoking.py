"""Registered certificates are asked after before their first message; what is over is forgotten."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
from cryptography.hazmat.primitives import hashes

from gateway.model import Credential, Use
from gateway.operations.revoking import Prefetch
from gateway.security import Policy, Trust
from gateway.storage import Ledger
from tests.delivery.fakes import InlineCommits, done
from tests.operations.knowledge import TRADER
from tests.operations.shell import cvan
from tests.security.authorities import DAY, HOUR, NOW, Party


def test_what_was_registered_early_is_asked_after_once_its_time_comes(ledger: Ledger) -> None:
    ca = Party("CN=Root", ca=True)
    early = Party("CN=Early", ca, days=(2, 300))
    fingerprint = early.certificate.fingerprint(hashes.SHA256()).hex()
    credential = Credential(
        fingerprint, (Use.SIGN,), certificate=early.der, expires_at=early.certificate.not_valid_after_utc
    )
    ledger.put_partner(msgspec.structs.replace(TRADER, credentials=(credential,)))
    now = [NOW]
    server: Any = SimpleNamespace(
        commits=InlineCommits(ledger),
        keys=SimpleNamespace(generations=()),
        handbook=lambda: SimpleNamespace(policy=Policy(revocation="hold"), trust=Trust([ca.certificate])),
    )
    prefetch = Prefetch(server, lambda: now[0])
    met: list[tuple[bool, bool]] = []
    for days in (0, 1, 2, 3):
        now[0] = NOW + days * DAY + HOUR
        done(prefetch.round())
        met.append((days >= 2, bool(ledger.certificates(9, now[0]))))
    assert met == [(False, False), (False, False), (True, True), (True, True)]
    now[0] = NOW + 331 * DAY
    done(prefetch.round())
    assert ledger.certificates(9, now[0]) == []


def test_nothing_is_fetched_where_the_policy_asks_nobody(home: Path) -> None:
    said = cvan("revocation", "fetch", home=home)
    assert said.code != 0
    assert 'revocation is "off" in conf/gateway.toml' in said.err
    path = home / "conf" / "gateway.toml"
    path.write_text(path.read_text("utf-8").replace('revocation = "off"', 'revocation = "hold"'), "utf-8")
    assert "0 certificate(s)" in cvan("revocation", "fetch", home=home).text
