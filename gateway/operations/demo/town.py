"""The town of the demonstration: its partners, their keys, its home, and the gateway's process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from gateway.model import Channel, Kind, Limits, Mandate, Partner, Role
from gateway.operations import home as homes
from gateway.operations import settings
from gateway.operations.presence import ADDRESS_FILE
from gateway.security import SigningKey
from gateway.storage import Ledger

START_SECONDS = 30.0
BIG = 50 * 1024 * 1024
"""Octets of the largest manifest a carrier may send."""

BIC = "DEMOVNVX"
ACCOUNT = "0071000123456"
"""Customs' account at the bank, as conf/clearance/office.toml has it."""

LINE = Partner(
    "oceanline", "Eastern Ocean Line", (Role.CARRIER,), ("OCEANLINE", "EOLU"), limits=Limits(max_bytes=BIG)
)
VAN = Partner("vanlink", "VAN Link JSC", (Role.VAN,), ("VANLINK",), channel=Channel.PUSH)
BANK = Partner("demobank", "Demo Commercial Bank", (Role.BANK,), (BIC,))
AN_PHAT = Partner("anphat", "An Phat Trading Co.", (Role.TRADER,), ("0100109106",))
BINH_MINH = Partner("binhminh", "Binh Minh Foods Co.", (Role.TRADER,), ("0100233488",))
CUU_LONG = Partner("cuulong", "Cuu Long Metals Co.", (Role.TRADER,), ("0314409058",))
DAI_NAM = Partner("dainam", "Dai Nam Textiles Co.", (Role.TRADER,), ("0300588569",))
MANDATED = (AN_PHAT, BINH_MINH, CUU_LONG)
EVERYBODY = (LINE, VAN, BANK, *MANDATED, DAI_NAM)


@dataclass(frozen=True, slots=True)
class Town:
    """Where everything is."""

    home: Path
    partners: Path

    def folder(self, partner: Partner) -> Path:
        """The partner's own folder, outside the gateway's home."""
        return self.partners / partner.id

    def key(self, partner: Partner) -> SigningKey:
        """The partner's signing key."""
        folder = self.folder(partner)
        return SigningKey.load(folder / "signing.key.pem", folder / "signing.crt.pem")


def mandates() -> tuple[Mandate, ...]:
    """What the traders let the VAN file for them."""
    kinds = (Kind.IMPORT.value, Kind.EXPORT.value)
    return tuple(Mandate(f"{VAN.id}.{trader.id}", VAN.id, trader.id, kinds) for trader in MANDATED)


def expired_key(home: Path, partner: Partner, folder: Path) -> SigningKey:
    """A key whose certificate ran out yesterday, under the partner's own subject; kept in the folder."""
    key, certificate = folder / "expired.key.pem", folder / "expired.crt.pem"
    yesterday = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    homes.authority(home).issue(
        homes.subject(partner.name, partner.id, "VN"),
        key,
        certificate,
        algorithm="p256",
        not_before=yesterday - timedelta(days=365),
        not_after=yesterday,
    )
    return SigningKey.load(key, certificate)


def configure(home: Path, **values: str) -> None:
    """Set lines of gateway.toml; the gateway takes whatever ports are free."""
    path = home / "conf" / "gateway.toml"
    wanted = {"port": 0, "operations_port": 0, **values}
    lines = [
        f"{name} = {json.dumps(wanted[name])}" if (name := line.partition(" = ")[0]) in wanted else line
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def found(root: Path, push_url: str) -> Town:
    """Make the home and the partners; the VAN gets its messages pushed."""
    town = Town(root / "home", root / "partners")
    homes.create(town.home)
    configure(town.home)
    ledger = Ledger.open(
        settings.database_url(town.home, settings.load(town.home).database.ledger), create=True
    )
    for partner in EVERYBODY:
        subject = homes.issue_partner(town.home, partner, town.folder(partner))
        url = push_url if partner is VAN else ""
        ledger.put_partner(msgspec.structs.replace(partner, subjects=(subject,), push_url=url))
    for mandate in mandates():
        ledger.put_mandate(mandate)
    ledger.close()
    return town


class NotStarted(Exception):
    """The gateway did not come up; the text has the end of its log."""


class Gateway:
    """The gateway's own process."""

    def __init__(self, home: Path) -> None:
        self._home = home
        (home / ADDRESS_FILE).unlink(missing_ok=True)
        self._log = (home / "gateway.log").open("ab")
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-P", "-m", "gateway.operations.cli", "--home", str(home), "run"],
            stdout=self._log,
            stderr=self._log,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "CVAN_HOME": str(home)},
        )

    @property
    def pid(self) -> int:
        """Of the process that supervises the doors."""
        return self._process.pid

    def wait(self, seconds: float = START_SECONDS) -> str:
        """The address once it serves.  Raises NotStarted where it does not within so long."""
        until = time.monotonic() + seconds
        path = self._home / ADDRESS_FILE
        while time.monotonic() < until and self._process.poll() is None:
            if path.exists() and path.read_text(encoding="ascii").endswith("\n"):
                return path.read_text(encoding="ascii").strip()
            time.sleep(0.02)
        self.stop()
        tail = (self._home / "gateway.log").read_text(encoding="utf-8", errors="replace")[-2000:]
        raise NotStarted(f"the gateway did not start:\n{tail}")

    def stop(self) -> None:
        """End it in order."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._log.close()
