"""The handbook: all reloadable knowledge, checked whole at load and frozen."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from gateway import mapping, rules, schema, security, syntax
from gateway.model import Catalogue, DecisionKind, Directory, MessageTable, Register
from gateway.model.finding import load_catalogue

TRUST = "keystore/trust"
"""Where a home keeps its trust anchors, unless its settings name another folder."""

STAMPERS = "keystore/tsa"
"""Where a home keeps the anchors of time-stamp authorities; without the folder no time stamp is believed."""


SIGNERS = "keystore/signers"
"""Where a home keeps certificates of partners whose messages only name them, as EDIFACT security does (USC)."""

EDIFACT_PROFILE = "mappings/profiles/edifact_security.toml"
"""Where a home keeps the codes of algorithms that it agrees on for EDIFACT security."""


class Saying(msgspec.Struct, frozen=True):
    """How one decision is said: RES FunctionCode, Status/NameCode (= 7365), and words."""

    function: str
    status: str
    text: str
    text_vi: str


@dataclass(frozen=True, slots=True)
class Handbook:
    """What the journeys know.  A new one replaces the old between two messages, never within one."""

    catalogue: Catalogue
    directories: syntax.Directories
    schemas: schema.Schemas
    mappings: mapping.Mappings
    rulebook: rules.RuleBook
    trust: security.Trust
    policy: security.Policy
    edifact_limits: syntax.EdifactLimits
    sayings: Mapping[str, Saying]
    register: Register
    edifact_security: security.EdifactProfile = field(default_factory=security.EdifactProfile)
    signers: security.Certificates = field(default_factory=security.Certificates)
    decrypters: tuple[security.Decrypter, ...] = ()

    def with_register(self, register: Register) -> Handbook:
        """The same knowledge with other partners and mandates."""
        return replace(self, register=register, trust=self.trust.with_partners(register.owns))

    def with_decrypters(self, keys: Iterable[security.DecryptionKey]) -> Handbook:
        """The same knowledge with other keys of our own that messages may be encrypted to."""
        return replace(self, decrypters=tuple(map(security.KeptKey, keys)))

    def asking(self, when_unknown: security.WhenUnknown) -> Handbook:
        """The same knowledge with another rule for certificates that nobody can speak of."""
        return replace(self, policy=msgspec.structs.replace(self.policy, revocation=when_unknown))

    def with_revocations(self, revocations: security.Revocations) -> Handbook:
        """The same knowledge with other words on what was revoked."""
        return replace(self, trust=self.trust.with_revocations(revocations))


def load(
    home: Path,
    register: Register | None = None,
    policy: security.Policy | None = None,
    edifact_limits: syntax.EdifactLimits | None = None,
    profile: str = "",
    trust: Path | None = None,
) -> Handbook:
    """Read a home's ``xsd/``, ``mappings/`` and trust anchors.

    ``trust``: the folder of the anchors for signers' certificates, ``keystore/trust`` where not given.
    ``profile``: the rules of ``mappings/rules/profiles/PROFILE.toml`` come on top of the general ones.
    Raises ValueError naming all that is broken in the table, schema or catalogue at fault.
    """
    directories = syntax.Directories.load(home / "xsd" / "edifact", home / "directories")
    directories.check_added()

    def structure(kind: str, version: str, release: str) -> tuple[MessageTable, Directory] | None:
        message = directories.message(kind, version, release)
        directory = directories.directory(version, release)
        return None if message is None or directory is None else (message, directory)

    packs = sorted(p.parent for p in (home / "xsd").glob("*/pack.toml"))
    return Handbook(
        catalogue=load_catalogue(home / "mappings" / "findings"),
        directories=directories,
        schemas=schema.Schemas.load(packs),
        mappings=mapping.load(home / "mappings", structure),
        rulebook=rules.load(home / "mappings" / "rules", home / "mappings" / "codes", profile),
        trust=security.Trust.load(trust or home / TRUST, home / STAMPERS),
        policy=policy or security.Policy(),
        edifact_limits=edifact_limits or syntax.EdifactLimits(),
        sayings=load_sayings(home / "mappings" / "profiles" / "decisions.toml"),
        register=register or Register((), ()),
        edifact_security=security.EdifactProfile.load(home / EDIFACT_PROFILE),
        signers=security.Certificates.load(home / SIGNERS),
    )


def load_sayings(path: Path) -> Mapping[str, Saying]:
    """Read the decision profile; raises ValueError, naming the file, where a decision has no words."""
    try:
        sayings = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), dict[str, Saying])
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ValueError(f"{path.name}: {error}") from error
    missing = {k.value for k in DecisionKind} | {"received", "rejected"}
    missing -= sayings.keys()
    if missing:
        raise ValueError(f"{path.name}: no saying for {', '.join(sorted(missing))}")
    return sayings
