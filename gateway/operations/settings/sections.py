"""What may be set: the tables of ``conf/gateway.toml`` with their defaults and bounds."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

import msgspec

from gateway import handbook as handbooks
from gateway import security, syntax
from gateway.model import Role

LAST_PORT = 65_535
Port = Annotated[int, msgspec.Meta(ge=0, le=LAST_PORT)]
Doors = Annotated[int, msgspec.Meta(ge=1, le=64)]
"""At least one answers; more than there are cores only wait for each other."""
MOST_OCTETS = 268_435_456
Octets = Annotated[int, msgspec.Meta(ge=1, le=MOST_OCTETS)]
"""The highest bound for everybody's bodies; that of one partner may be higher."""
Memory = Annotated[int, msgspec.Meta(ge=1_048_576, le=1 << 40)]
Disk = Annotated[int, msgspec.Meta(ge=0, le=1 << 50)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Seconds = Annotated[float, msgspec.Meta(ge=0.1, le=3_600)]
Linger = Annotated[float, msgspec.Meta(ge=0, le=1_000)]
"""Longer than a second, every sender would feel it."""
Batch = Annotated[int, msgspec.Meta(ge=1, le=1_000)]
"""As many as may wait for the writer."""
Profile = Annotated[str, msgspec.Meta(pattern="^[a-z0-9-]*$")]


Oid = Annotated[str, msgspec.Meta(pattern=r"^[0-2](\.[0-9]+)+$")]
Reason = Literal[
    "key_compromise",
    "ca_compromise",
    "aa_compromise",
    "affiliation_changed",
    "superseded",
    "cessation_of_operation",
    "privilege_withdrawn",
    "certificate_hold",
]


class Naming(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the gateway names itself."""

    name: str = "Customs gateway"
    country: str = "VN"


class Listen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the doors are.  Port 0 takes a free one.  ``operations_host``: an address of the operator's own
    network.  ``deliver``: False where another node of the same ledger carries declarations to the back end
    and messages to partners.  ``operators``: False where these doors answer partners only.  ``own_cores``: whether each
    door keeps to a core of its own."""

    host: str = "127.0.0.1"
    port: Port = 8443
    operations_host: str = "127.0.0.1"
    operations_port: Port = 8444
    processes: Doors = 1
    own_cores: bool = False
    deliver: bool = True
    operators: bool = True


class Database(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """SQLAlchemy URLs; a relative SQLite path is inside the home.  ``room_mib``: where the ledger is a file, what
    its disk must have free for the gateway to be ready: what was acknowledged must still be carried on."""

    ledger: str = "sqlite:///ledger.db"
    clearance: str = "sqlite:///clearance.db"
    room_mib: Annotated[int, msgspec.Meta(ge=0, le=1_048_576)] = 64


class Keys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Own keys and trust, relative to the home.  ``own``: the folder of the gateway's keys; ``trust``:
    anchors for partners' certificates, of TLS and of signatures; ``push_trust``: PEM anchors of the servers
    that messages are pushed to."""

    own: str = "keystore/own"
    trust: str = handbooks.TRUST
    push_trust: str = "keystore/push.pem"


class Old(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A legacy profile: what old senders may sign with, in which XML shapes (all, where none is named),
    until which day (UTC) at the latest."""

    name: Annotated[str, msgspec.Meta(pattern="^[a-z0-9-]+$")]
    until: date
    algorithms: tuple[str, ...] = ("rsa-sha1",)
    digests: tuple[str, ...] = ("sha1",)
    shapes: tuple[Literal["enveloped", "enveloping", "detached", "outside", "v5"], ...] = ()


class Proof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which engine verifies XML signatures, in which shapes they may come, of which XAdES level they must be
    at least, and the legacy profiles.

    ``max_age_hours``: how long before its receipt a message may have been signed, 0 for any time.
    ``signing_certificate``, ``countersignatures``: of CMS signatures.  ``ciphers``, ``key_wrappings``: of
    encrypted messages.  ``max_forms``: signatures alike that each process remembers."""

    engine: Literal["fast", "signxml", "both"] = "fast"
    shapes: tuple[Literal["enveloped", "enveloping", "detached", "outside"], ...] = ("enveloped",)
    level: security.Level = ""
    legacy: tuple[Old, ...] = ()
    max_age_hours: Annotated[int, msgspec.Meta(ge=0, le=24 * 366)] = 24
    signing_certificate: bool = False
    countersignatures: Literal["ignore", "refuse"] = "ignore"
    ciphers: tuple[
        Literal["aes128-gcm", "aes192-gcm", "aes256-gcm", "aes128-cbc", "aes192-cbc", "aes256-cbc"], ...
    ] = ("aes128-gcm", "aes192-gcm", "aes256-gcm")
    key_wrappings: tuple[Literal["rsa-oaep", "ecdh", "rsa-pkcs1"], ...] = ("rsa-oaep", "ecdh")
    max_forms: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 4_096


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``profile``: a country's rules on top of the general ones, mappings/rules/profiles/NAME.toml."""

    profile: Profile = ""


class Bounds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Default bounds of a partner: octets of a body, submissions a minute and at once.  And of a door
    process: submissions worked on at once; how long one may be inside where more comes than can be done, and
    wait in a burst; submissions inside and octets of their bodies in memory, of all partners; open connections and TLS
    handshakes a second, in all, of a partner, and from one address (that of a balancer counts for all behind it).
    Seconds: ``header`` from its first octet to its end; ``idle`` between requests; ``answer`` until 503, longer than
    ``large``; ``body_grace``, after which a body must have come at ``body_rate`` octets a second on the average;
    ``held_back``, for which a connection is not read at most that does not heed Retry-After; ``backend``: for a call of
    the back end; ``hung``: without a word of a door's, which is then ended and opened anew; ``judging``: of processor
    time, for a worker to judge one submission, and ``judging_per_mib`` more for each MiB of it.  ``large_bytes``: what
    is larger goes to a file of the spool, and is worked on apart; after ``large_seconds`` its sender is told that it
    is kept.  ``spool_bytes``: of all these files, ``spool_reserve_bytes``: of their disk left free.  ``urgent``: the
    roles that may call messages urgent."""

    max_bytes: Octets = 10_485_760
    large_bytes: Octets = 1_048_576
    large_seconds: Annotated[float, msgspec.Meta(ge=0, le=50)] = 30
    spool_bytes: Disk = 4_294_967_296
    spool_reserve_bytes: Disk = 1_073_741_824
    per_minute: Count = 6_000
    in_flight: Count = 64
    at_work: Count = 32
    target_ms: Annotated[int, msgspec.Meta(ge=10, le=60_000)] = 500
    patience_ms: Annotated[int, msgspec.Meta(ge=10, le=60_000)] = 1_000
    urgent: tuple[Role, ...] = (Role.PORT, Role.CUSTOMS, Role.BANK)
    in_flight_of_all: Count = 256
    memory_bytes: Memory = 268_435_456
    connections: Count = 2_000
    connections_per_partner: Count = 64
    connections_per_address: Count = 128
    handshakes: Count = 200
    handshakes_per_address: Count = 100
    header_seconds: Seconds = 10
    idle_seconds: Seconds = 60
    answer_seconds: Annotated[float, msgspec.Meta(ge=55, le=3_600)] = 60
    body_grace_seconds: Seconds = 10
    body_rate: Count = 1_024
    held_back_seconds: Seconds = 10
    backend_seconds: Seconds = 60
    hung_seconds: Annotated[float, msgspec.Meta(ge=1, le=3_600)] = 30
    judging_seconds: Seconds = 60
    judging_seconds_per_mib: Seconds = 5


class Edifact(syntax.EdifactLimits, frozen=True, forbid_unknown_fields=True):
    """The bounds of one EDIFACT interchange: the fields of syntax.EdifactLimits, whatever they are."""


class Commit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Group commit: milliseconds to wait for company, settlements in one transaction; settlements that wait for
    it, and questions that wait for the ledger, until senders are told to come again."""

    linger_ms: Linger = 2
    max_batch: Batch = 100
    max_waiting: Count = 1_000
    max_calls: Count = 5_000


class Authority(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the operator knows of one issuer of certificates (``issuer``: its RFC 4514 name).

    ``ocsp``, ``crl``: addresses to ask instead of those that its certificates name.  ``method``: of OCSP.
    ``check``: False for one that publishes no revocation.
    """

    issuer: str
    ocsp: str = ""
    crl: str = ""
    method: Literal["post", "get"] = "post"
    check: bool = True


class Trusting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Revocation: what is done where nobody can say if a certificate was revoked, and how it is asked after.

    ``hold_hours``: until a held submission is refused.  ``freshness_hours``: how old a response or CRL may
    be, whatever it says itself.  ``refresh_minutes``: how soon it is asked again at the latest.  ``undoing``:
    reasons that undo signatures stamped before the revocation.  ``certificate_policies``: OIDs, one of which
    a signer's chain must carry.  ``private_networks``: addresses that certificates name may be private ones.
    ``tls``: ``soft`` lets a partner connect whose certificate nobody can speak of, ``hard`` does not.
    """

    revocation: security.WhenUnknown = "off"
    hold_hours: Annotated[int, msgspec.Meta(ge=1, le=720)] = 24
    freshness_hours: Annotated[int, msgspec.Meta(ge=1, le=8_760)] = 168
    refresh_minutes: Annotated[int, msgspec.Meta(ge=1, le=10_080)] = 60
    undoing: tuple[Reason, ...] = ("key_compromise", "ca_compromise", "aa_compromise")
    certificate_policies: tuple[Oid, ...] = ()
    private_networks: bool = False
    tls: Literal["soft", "hard"] = "soft"
    authority: tuple[Authority, ...] = ()


class Journal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Checkpoints over the journal: every so many ``seconds``, each over at most so many ``entries``.
    ``tsa``: the address of an RFC 3161 time-stamp authority, "" for none."""

    seconds: Annotated[int, msgspec.Meta(ge=1, le=86_400)] = 60
    entries: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 10_000
    tsa: Annotated[str, msgspec.Meta(pattern="^(https?://.+)?$")] = ""


class Publish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The broker (NATS JetStream) that accepted declarations and decisions are published to; no ``servers``:
    none.  ``stream``: its name there, ``create``: made where it is not there.  ``root``: the first token of
    subjects.  ``source``: CloudEvents' source.  Files are relative to the home, "" for none: ``trust``, PEM
    anchors of the servers; ``certificate`` and ``key``, what the gateway proves itself with; ``credentials``,
    a token, or a user and a password, by line."""

    servers: tuple[str, ...] = ()
    stream: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]{1,64}$")] = "CVAN"
    create: bool = False
    root: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]{1,64}$")] = "cvan"
    source: Annotated[str, msgspec.Meta(pattern="^[!-~]{1,255}$")] = "/cvan"
    trust: str = ""
    certificate: str = ""
    key: str = ""
    credentials: str = ""


class Retention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long submissions stay in the ledger, and the folder into which older ones are archived once a
    day, relative to the home; "": nothing is archived but by command."""

    years: Annotated[int, msgspec.Meta(ge=1, le=100)] = 5
    archive: str = ""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All settings of a home."""

    gateway: Naming = Naming()
    listen: Listen = Listen()
    database: Database = Database()
    keys: Keys = Keys()
    proof: Proof = Proof()
    trust: Trusting = Trusting()
    rules: Rules = Rules()
    limits: Bounds = Bounds()
    edifact: Edifact = Edifact()
    commit: Commit = Commit()
    journal: Journal = Journal()
    retention: Retention = Retention()
    publish: Publish = Publish()

    @property
    def broker(self) -> str:
        """The broker that is published to, "" for none."""
        return "jetstream" if self.publish.servers else ""
