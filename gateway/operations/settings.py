"""The settings of one home: ``conf/gateway.toml``, checked whole."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

import msgspec

from gateway import security


class Naming(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the gateway names itself."""

    name: str = "Customs gateway"
    country: str = "VN"


class Listen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the doors are.  Port 0 takes a free one.  ``deliver``: False where another node of the same
    ledger carries declarations to the back end and messages to partners."""

    host: str = "127.0.0.1"
    port: int = 8443
    operations_port: int = 8444
    processes: int = 1
    deliver: bool = True


class Database(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """SQLAlchemy URLs; a relative SQLite path is inside the home."""

    ledger: str = "sqlite:///ledger.db"
    clearance: str = "sqlite:///clearance.db"


class Keys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Own keys and trust, relative to the home.  ``trust``: anchors for partners' certificates;
    ``push_trust``: PEM anchors of the servers that messages are pushed to."""

    signing_key: str = "keystore/own/signing.key.pem"
    signing_certificate: str = "keystore/own/signing.crt.pem"
    tls_key: str = "keystore/own/tls.key.pem"
    tls_certificate: str = "keystore/own/tls.crt.pem"
    trust: str = "keystore/trust"
    push_trust: str = "keystore/push.pem"


class Proof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which engine verifies XML signatures."""

    engine: Literal["fast", "signxml", "both"] = "fast"


class Bounds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Default bounds of a partner: octets of a body, submissions a minute and at once."""

    max_bytes: int = 10_485_760
    per_minute: int = 6_000
    in_flight: int = 64


class Commit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Group commit: milliseconds to wait for company, settlements in one transaction."""

    linger_ms: float = 2
    max_batch: int = 100


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All settings of a home."""

    gateway: Naming = Naming()
    listen: Listen = Listen()
    database: Database = Database()
    keys: Keys = Keys()
    proof: Proof = Proof()
    limits: Bounds = Bounds()
    commit: Commit = Commit()


class BadSettings(Exception):
    """The settings cannot be used; the text says where and why."""


def load(home: Path) -> Settings:
    """Read ``conf/gateway.toml`` of a home.  Raises BadSettings."""
    path = home / "conf" / "gateway.toml"
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Settings)
    except FileNotFoundError as error:
        raise BadSettings(
            f"{home} is not a home: {path} is missing; make one with: cvan init {home}"
        ) from error
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise BadSettings(f"{path}: {error}") from error


def database_url(home: Path, url: str) -> str:
    """The URL with a relative SQLite path put inside the home."""
    prefix = "sqlite:///"
    if url.startswith(prefix) and not url.startswith(prefix + "/"):
        return f"{prefix}{(home / url[len(prefix) :]).absolute()}"
    return url


def policy(chosen: Settings) -> security.Policy:
    """The security policy that these settings ask for."""
    return security.Policy(engine=chosen.proof.engine)


def signing_key(home: Path, chosen: Settings) -> security.SigningKey:
    """The gateway's own signing key.  Raises security's refusal where its file is not private."""
    return security.SigningKey.load(home / chosen.keys.signing_key, home / chosen.keys.signing_certificate)
