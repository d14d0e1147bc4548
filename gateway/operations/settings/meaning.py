"""What a home's settings ask for: its databases, security policy, knowledge and keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway import handbook as handbooks
from gateway import security
from gateway.model import Register
from gateway.operations.interrupt import uncollected
from gateway.operations.settings.sections import Old, Settings


def database_url(home: Path, url: str) -> str:
    """The URL with a relative SQLite path put inside the home."""
    prefix = "sqlite:///"
    if url.startswith(prefix) and not url.startswith(prefix + "/"):
        return f"{prefix}{(home / url[len(prefix) :]).absolute()}"
    return url


def database_file(url: str) -> Path | None:
    """The file of a SQLite URL that `database_url` made; None for a server."""
    return Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None


def policy(chosen: Settings) -> security.Policy:
    """The security policy that these settings ask for."""
    trust = chosen.trust
    return security.Policy(
        engine=chosen.proof.engine,
        shapes=frozenset(chosen.proof.shapes),
        level=chosen.proof.level,
        legacy=tuple(_legacy(old) for old in chosen.proof.legacy),
        max_age=timedelta(hours=chosen.proof.max_age_hours) or None,
        signing_certificate=chosen.proof.signing_certificate,
        countersignatures=chosen.proof.countersignatures,
        ciphers=frozenset(chosen.proof.ciphers),
        key_wrappings=frozenset(chosen.proof.key_wrappings),
        max_forms=chosen.proof.max_forms,
        certificate_policies=frozenset(trust.certificate_policies),
        revocation=trust.revocation,
        unchecked=frozenset(a.issuer for a in trust.authority if not a.check),
        freshness=timedelta(hours=trust.freshness_hours),
        undoing=frozenset(trust.undoing),
    )


def _legacy(old: Old) -> security.Legacy:
    return security.Legacy(
        old.name, old.until, frozenset(old.algorithms), frozenset(old.digests), frozenset(old.shapes)
    )


def handbook(home: Path, chosen: Settings, register: Register | None = None) -> handbooks.Handbook:
    """The home's knowledge, by the policy, bounds, anchors and profile of these settings.  Raises ValueError."""
    with uncollected():
        return handbooks.load(
            home,
            register,
            policy(chosen),
            chosen.edifact,
            profile=chosen.rules.profile,
            trust=home / chosen.keys.trust,
        )


def keystore(home: Path, chosen: Settings) -> security.Keystore:
    """The gateway's own keys.  Raises KeyUnusable where keys.toml cannot be used; what is wrong with a key
    stands with it."""
    return security.Keystore.load(home / chosen.keys.own)


def checked_keystore(home: Path, chosen: Settings) -> security.Keystore:
    """The gateway's own keys, where what is due now can be used.  Raises KeyUnusable."""
    keys = keystore(home, chosen)
    keys.check(datetime.now(UTC))
    return keys


def signing_key(home: Path, chosen: Settings) -> security.SigningKey:
    """The signing key that is active now.  Raises KeyUnusable."""
    return checked_keystore(home, chosen).signing(datetime.now(UTC))
