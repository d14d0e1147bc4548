"""The keystore: for each use its generations, of which the time says which one is active."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from gateway.security.keystore import inventory
from gateway.security.keystore.files import KeyUnusable
from gateway.security.keystore.generation import FOREVER, NEVER, Generation, TlsKey, read_generation
from gateway.security.keystore.inventory import INVENTORY, USES, Use
from gateway.security.keystore.keys import DecryptionKey, SigningKey


@dataclass(frozen=True)
class _Chosen:
    """What is active from one moment to another."""

    since: datetime
    until: datetime
    generation: Generation


AGAIN = timedelta(seconds=10)
"""How soon what could not be used is read again: nothing tells when a file's mode or a token is mended."""


class Keystore:
    """Own keys as they were read.  What is active is decided anew at each use, by the time.

    ``trouble``: what is wrong with any of them, "" where nothing is.
    """

    def __init__(
        self,
        folder: Path,
        generations: tuple[Generation, ...],
        stamp: object = None,
        trouble: str = "",
    ) -> None:
        self.folder = folder
        self.generations = generations
        faults = dict.fromkeys(f"{g.entry.name}: {g.fault}" for g in generations if g.fault)
        self.trouble = "; ".join(faults) or trouble
        self._stamp = stamp
        self._again = NEVER
        self._refused = ""
        self._chosen: dict[Use, _Chosen] = {}

    @classmethod
    def load(cls, folder: Path) -> Keystore:
        """Read all keys of the folder.

        What is wrong with one generation is kept with it: see `check`.  Raises KeyUnusable where
        keys.toml cannot be used.
        """
        stamp = _stamp(folder)
        entries = inventory.read(folder)
        return cls(folder, tuple(read_generation(folder, entry) for entry in entries), stamp)

    def changed(self, now: datetime) -> bool:
        """True where keys.toml is not as it was when it was looked at last, or it is time to look again at
        what could not be used."""
        return _stamp(self.folder) != self._stamp or (
            bool(self.trouble or self._refused) and now >= self._again
        )

    def renewed(self, now: datetime) -> Keystore:
        """The keystore as the folder has it now; the same one where that is nothing new.

        Raises KeyUnusable and OSError where keys.toml cannot be used, once for each reason: the old is to
        go on.
        """
        if not self.changed(now):
            return self
        before, self._stamp, self._again = self._stamp, _stamp(self.folder), now + AGAIN
        try:
            read = self.reread(now)
        except (KeyUnusable, OSError) as error:
            told, self._refused = self._refused, str(error)
            if told == self._refused:
                return self
            raise
        self._refused = ""
        return self if read.trouble == self.trouble != "" and read._stamp == before else read

    def reread(self, now: datetime) -> Keystore:
        """The keystore as the folder has it now, though keys.toml may be the same.

        A key that cannot be used any more goes on as it was, until it is retired; one that left the list,
        until what is there in its stead can be used.  Raises KeyUnusable where keys.toml cannot be used.
        """
        read = Keystore.load(self.folder)
        held = {g.entry.name: g for g in self.generations if g.usable}
        merged = [_kept(g, held.pop(g.entry.name, None)) for g in read.generations]
        broken = {g.entry.use for g in read.generations if g.fault}
        merged += [g for g in held.values() if g.entry.use in broken and g.entry.retired_at is None]
        in_order = tuple(sorted(merged, key=lambda g: (USES.index(g.entry.use), g.entry.generation)))
        renewed = Keystore(self.folder, in_order, read._stamp, read.trouble)
        try:
            renewed.check(now)
        except KeyUnusable as error:
            renewed.trouble = renewed.trouble or str(error)
        renewed._again = now + AGAIN
        return renewed

    def of(self, use: Use) -> tuple[Generation, ...]:
        """The generations of a use, oldest first."""
        return tuple(g for g in self.generations if g.entry.use == use)

    def active(self, use: Use, now: datetime) -> Generation:
        """The generation that is used at ``now`` (aware): the newest of those whose time it is.

        Raises KeyUnusable where there is none, and says why.
        """
        chosen = self._chosen.get(use)
        if chosen is None or not chosen.since <= now < chosen.until:
            chosen = self._chosen[use] = self._choose(use, now)
        return chosen.generation

    def _choose(self, use: Use, now: datetime) -> _Chosen:
        usable = [g for g in self.of(use) if g.usable]
        serving = [g for g in usable if g.serves(now)]
        if not serving:
            raise KeyUnusable(self._missing(use, now))
        changes = [moment for g in usable for moment in (g.activates_at, g.ends_at) if moment > now]
        return _Chosen(now, min(changes, default=FOREVER), max(serving, key=_latest))

    def _missing(self, use: Use, now: datetime) -> str:
        known = self.of(use)
        mend = f"cvan keys new --use {use}"
        if not known:
            return f"{self.folder}: no {use} key; do: {mend}"
        told = "; ".join(f"{g.entry.name}: {g.fault or _standing(g, now)}" for g in known)
        return f"no {use} key is active at {now.isoformat(timespec='seconds')} ({told}); see: cvan keys list"

    def signing(self, now: datetime) -> SigningKey:
        """What signs at ``now``.  Raises KeyUnusable."""
        return self.active("signing", now).signing_key

    def tls(self, now: datetime) -> TlsKey:
        """What TLS presents at ``now``.  Where every certificate has run out the newest goes on: who
        connects decides.  Raises KeyUnusable where there is none."""
        try:
            return self.active("tls", now).tls_key
        except KeyUnusable:
            late = [g for g in self.of("tls") if g.usable and g.activates_at <= now < g.retired_at]
            if not late:
                raise
            return max(late, key=_latest).tls_key

    def decrypting(self) -> tuple[DecryptionKey, ...]:
        """All keys that something may have been encrypted to, the newest first; what is retired or has
        expired still opens what is its own."""
        found = [g for g in self.of("decryption") if g.usable]
        return tuple(g.decryption_key for g in sorted(found, key=_latest, reverse=True))

    def encrypting(self, now: datetime) -> x509.Certificate:
        """The certificate that others are to encrypt to at ``now``.  Raises KeyUnusable."""
        return self.active("decryption", now).certificates[0]

    def covered_until(self, use: Use, now: datetime) -> datetime | None:
        """Until when some generation serves without a gap; where none serves now, since when that is so.  None
        where the use has no certificate."""
        known = [g for g in self.of(use) if g.usable]
        if not known:
            return None
        until, again = now, True
        while again:
            again = False
            for generation in known:
                if generation.activates_at <= until < generation.ends_at:
                    until, again = generation.ends_at, True
        return until if until > now else max((g.ends_at for g in known if g.ends_at <= now), default=now)

    def check(self, now: datetime) -> None:
        """Raises KeyUnusable unless there is a key to sign with and one for TLS, and what should be active
        is.  A token is asked for a signature."""
        for use in ("signing", "tls"):
            for generation in self.of(use):
                if generation.fault and self._would_be_active(generation, now):
                    raise KeyUnusable(f"{generation.entry.name}: {generation.fault}")
        self.tls(now)
        try:
            active = self.active("signing", now)
        except KeyUnusable:
            # As ever: the gateway serves status and mailbox, and says of each message why it cannot sign.
            if not any(g.usable for g in self.of("signing")):
                raise
            return
        fault = active.probe()
        if fault:
            raise KeyUnusable(f"{active.entry.name}: {fault}")

    def _would_be_active(self, generation: Generation, now: datetime) -> bool:
        if generation.retired_at <= now or (generation.entry.activates_at or NEVER) > now:
            return False
        newer = (g for g in self.of(generation.entry.use) if g.usable and g.serves(now))
        return all(generation.entry.generation > g.entry.generation for g in newer)

    def states(self, now: datetime) -> dict[tuple[Use, int], str]:
        """What each generation is at ``now``: ``active``, ``waiting``, ``superseded``, ``retired``,
        ``expired``, ``awaits certificate`` or ``broken``."""
        told: dict[tuple[Use, int], str] = {}
        for use in USES:
            try:
                active: Generation | None = self.active(use, now)
            except KeyUnusable:
                active = None
            for g in self.of(use):
                standing = "active" if g is active else "broken" if g.fault else _standing(g, now)
                told[use, g.entry.generation] = standing
        return told


def _kept(read: Generation, held: Generation | None) -> Generation:
    """A generation as it was read; where that cannot be used, what was held of the same key before, or with
    what a token says against it."""
    if held is not None and held.entry.key == read.entry.key:
        return replace(held, entry=read.entry) if read.fault else read
    return replace(read, fault=read.probe())


def _latest(generation: Generation) -> int:
    """Numbers grow; when certificates begin says less, as authorities date them back."""
    return generation.entry.generation


def _standing(generation: Generation, now: datetime) -> str:
    if generation.retired_at <= now:
        return "retired"
    if not generation.certificates:
        return "awaits certificate"
    if generation.ends_at <= now:
        return "expired"
    return "waiting" if generation.activates_at > now else "superseded"


def _stamp(folder: Path) -> object:
    try:
        status = (folder / INVENTORY).stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
