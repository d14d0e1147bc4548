"""The town of the demonstration: its home, its partners, their keys, and the gateway's process."""

from __future__ import annotations

import os
import re
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

LINE = Partner("oceanline", "Eastern Ocean Line", (Role.CARRIER,), ("OCEANLINE", "EOLU"))
VAN = Partner("vanlink", "VAN Link JSC", (Role.VAN,), ("VANLINK",), channel=Channel.PUSH)
BANK = Partner("demobank", "Demo Commercial Bank", (Role.BANK,), ("DEMOVNVX",))
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

    def expired_key(self, partner: Partner) -> SigningKey:
        """A key whose certificate ran out yesterday, under the partner's own subject."""
        folder = self.folder(partner)
        key, certificate = folder / "expired.key.pem", folder / "expired.crt.pem"
        yesterday = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
        homes.authority(self.home).issue(
            homes.subject(partner.name, partner.id, "VN"),
            key,
            certificate,
            not_before=yesterday - timedelta(days=365),
            not_after=yesterday,
        )
        return SigningKey.load(key, certificate)


def found(root: Path, push_url: str) -> Town:
    """Make the home and the partners; the VAN gets its messages pushed."""
    town = Town(root / "home", root / "partners")
    homes.create(town.home)
    configuration = town.home / "conf" / "gateway.toml"
    text = configuration.read_text(encoding="utf-8")
    text = re.sub(r"^(port|operations_port) = \d+", r"\1 = 0", text, flags=re.MULTILINE)
    configuration.write_text(text, encoding="utf-8")
    ledger = Ledger.open(
        settings.database_url(town.home, settings.load(town.home).database.ledger), create=True
    )
    for partner in EVERYBODY:
        subject = homes.issue_partner(town.home, partner, town.folder(partner))
        url = push_url if partner is VAN else ""
        limits = Limits(max_bytes=BIG) if partner is LINE else Limits()
        ledger.put_partner(msgspec.structs.replace(partner, subjects=(subject,), push_url=url, limits=limits))
    for trader in MANDATED:
        kinds = (Kind.IMPORT.value, Kind.EXPORT.value)
        ledger.put_mandate(Mandate(f"{VAN.id}.{trader.id}", VAN.id, trader.id, kinds))
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

    def wait(self) -> str:
        """The address once it serves.  Raises NotStarted where it does not."""
        until = time.monotonic() + START_SECONDS
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
