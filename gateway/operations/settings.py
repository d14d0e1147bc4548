"""The settings of one home: ``conf/gateway.toml``, checked whole."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from gateway import handbook as handbooks
from gateway import security, syntax
from gateway.model import Register

LAST_PORT = 65_535
Port = Annotated[int, msgspec.Meta(ge=0, le=LAST_PORT)]
Doors = Annotated[int, msgspec.Meta(ge=1, le=64)]
"""At least one answers; more than there are cores only wait for each other."""
MOST_OCTETS = 268_435_456
Octets = Annotated[int, msgspec.Meta(ge=1, le=MOST_OCTETS)]
"""No body is larger than all bodies together that a door holds in memory."""
Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Linger = Annotated[float, msgspec.Meta(ge=0, le=1_000)]
"""Longer than a second, every sender would feel it."""
Batch = Annotated[int, msgspec.Meta(ge=1, le=1_000)]
"""As many as may wait for the writer."""
Profile = Annotated[str, msgspec.Meta(pattern="^[a-z0-9-]*$")]


class Naming(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the gateway names itself."""

    name: str = "Customs gateway"
    country: str = "VN"


class Listen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the doors are.  Port 0 takes a free one.  ``deliver``: False where another node of the same
    ledger carries declarations to the back end and messages to partners."""

    host: str = "127.0.0.1"
    port: Port = 8443
    operations_port: Port = 8444
    processes: Doors = 1
    deliver: bool = True


class Database(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """SQLAlchemy URLs; a relative SQLite path is inside the home."""

    ledger: str = "sqlite:///ledger.db"
    clearance: str = "sqlite:///clearance.db"


class Keys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Own keys and trust, relative to the home.  ``trust``: anchors for partners' certificates, of TLS and
    of signatures; ``push_trust``: PEM anchors of the servers that messages are pushed to."""

    signing_key: str = "keystore/own/signing.key.pem"
    signing_certificate: str = "keystore/own/signing.crt.pem"
    tls_key: str = "keystore/own/tls.key.pem"
    tls_certificate: str = "keystore/own/tls.crt.pem"
    trust: str = handbooks.TRUST
    push_trust: str = "keystore/push.pem"


class Proof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which engine verifies XML signatures."""

    engine: Literal["fast", "signxml", "both"] = "fast"


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``profile``: a country's rules on top of the general ones, mappings/rules/profiles/NAME.toml."""

    profile: Profile = ""


class Bounds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Default bounds of a partner: octets of a body, submissions a minute and at once."""

    max_bytes: Octets = 10_485_760
    per_minute: Count = 6_000
    in_flight: Count = 64


class Edifact(syntax.EdifactLimits, frozen=True, forbid_unknown_fields=True):
    """The bounds of one EDIFACT interchange: the fields of syntax.EdifactLimits, whatever they are."""


class Commit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Group commit: milliseconds to wait for company, settlements in one transaction."""

    linger_ms: Linger = 2
    max_batch: Batch = 100


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All settings of a home."""

    gateway: Naming = Naming()
    listen: Listen = Listen()
    database: Database = Database()
    keys: Keys = Keys()
    proof: Proof = Proof()
    rules: Rules = Rules()
    limits: Bounds = Bounds()
    edifact: Edifact = Edifact()
    commit: Commit = Commit()


class BadSettings(Exception):
    """The settings cannot be used; the text says where and why."""


def load(home: Path) -> Settings:
    """Read ``conf/gateway.toml`` of a home.  Raises BadSettings."""
    path = home / "conf" / "gateway.toml"
    try:
        chosen = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Settings)
    except FileNotFoundError as error:
        raise BadSettings(
            f"{home} is not a home: {path} is missing; make one with: cvan init {home}"
        ) from error
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise BadSettings(f"{path}: {error}") from error
    fault = _fault(chosen.listen) or _beyond(chosen.edifact)
    if fault:
        raise BadSettings(f"{path}: {fault}")
    return chosen


def _fault(listen: Listen) -> str:
    """What is wrong with ports that are each right: the supervisor and every door have one for operators."""
    first, last = listen.operations_port, listen.operations_port + listen.processes
    if first and last > LAST_PORT:
        return f"listen.operations_port: {first} to {last} are needed, the last port is {LAST_PORT}"
    if first and first <= listen.port <= last:
        return f"listen.port: {listen.port} is one of the ports for operators, {first} to {last}"
    return ""


def _beyond(edifact: Edifact) -> str:
    """Which bound of an interchange nothing could keep, or would bound nothing."""
    told = syntax.EdifactLimits().findings  # as many as a CONTRL can say
    for name, bound in msgspec.structs.asdict(edifact).items():
        most = told if name == "findings" else MOST_OCTETS
        if isinstance(bound, int) and not 1 <= bound <= most:
            return f"edifact.{name}: {bound} is not within 1 to {most}"
    return ""


def database_url(home: Path, url: str) -> str:
    """The URL with a relative SQLite path put inside the home."""
    prefix = "sqlite:///"
    if url.startswith(prefix) and not url.startswith(prefix + "/"):
        return f"{prefix}{(home / url[len(prefix) :]).absolute()}"
    return url


def policy(chosen: Settings) -> security.Policy:
    """The security policy that these settings ask for."""
    return security.Policy(engine=chosen.proof.engine)


def handbook(home: Path, chosen: Settings, register: Register | None = None) -> handbooks.Handbook:
    """The home's knowledge, by the policy, bounds, anchors and profile of these settings.  Raises ValueError."""
    return handbooks.load(
        home,
        register,
        policy(chosen),
        chosen.edifact,
        profile=chosen.rules.profile,
        trust=home / chosen.keys.trust,
    )


def signing_key(home: Path, chosen: Settings) -> security.SigningKey:
    """The gateway's own signing key.  Raises ValueError where its file is not private or no plain key."""
    key, certificate = home / chosen.keys.signing_key, home / chosen.keys.signing_certificate
    try:
        return security.SigningKey.load(key, certificate)
    except TypeError as error:
        raise ValueError(f"{key}: encrypted; nobody is there to type a password") from error
