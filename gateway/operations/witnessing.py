"""What a home knows of the journal without the database: the last checkpoint signed here, and whose keys sign.

Whoever can write the database and nothing else can make every hash of it fit.  A checkpoint's digest that
stands in a file of the home cannot be made to fit, and a signature by another key is not the gateway's.
"""

from __future__ import annotations

import os
import threading
from datetime import datetime
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway import security
from gateway.evidence.checkpoints import Checkpoint
from gateway.evidence.entries import sha256
from gateway.evidence.gathered import Sealed
from gateway.storage import Breach, Ledger, LedgerError

FILE = "journal.json"
"""In the home."""
ELSEWHERE = "not the one that was noted elsewhere"


class Rewritten(LedgerError):
    """The database's journal is not the one that was signed here; nothing is signed over it."""


class Noted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last checkpoint that was signed in this home, the SHA-256 of its text, and of every key that
    signed one here the certificate's."""

    number: int
    digest: str
    keys: tuple[str, ...] = ()


class Witness:
    """The file of a home.  Threads may share it."""

    def __init__(self, home: Path) -> None:
        self.path = home / FILE
        self._alone = threading.Lock()

    def noted(self) -> Noted | None:
        """What was noted; None before the first checkpoint.  Raises Rewritten where it cannot be read."""
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=Noted)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            raise Rewritten(f"{self.path} cannot be read: {error}") from error

    def note(self, sealed: Sealed, key: str) -> None:
        """Keep a checkpoint that was signed here with the key of this fingerprint.  Raises Rewritten."""
        with self._alone:
            before = self.noted()
            if before is not None and before.number >= sealed.number:
                return
            keys = () if before is None else before.keys
            self._write(
                Noted(sealed.number, sha256(sealed.text.encode()), tuple(dict.fromkeys((*keys, key))))
            )

    def forget(self) -> None:
        """Begin anew with the database as it is, which somebody vouches for.  Raises Rewritten."""
        with self._alone:
            noted = self.noted()
            if noted is not None:
                self._write(Noted(0, "", noted.keys))

    def breach(self, ledger: Ledger) -> Breach | None:
        """Where the ledger does not have the checkpoint that was noted.  Raises LedgerError."""
        noted = self.noted()
        if noted is None or not noted.number or told(ledger, noted.number, noted.digest):
            return None
        return Breach(f"checkpoint {noted.number}", f"{ELSEWHERE}, in {self.path}")

    def _write(self, noted: Noted) -> None:
        fresh = self.path.with_name(f".{self.path.name}.{os.getpid()}.new")
        try:
            with fresh.open("wb") as file:
                file.write(msgspec.json.encode(noted) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)
        except OSError as error:
            raise Rewritten(f"{self.path} cannot be written: {error.strerror}") from error


def told(ledger: Ledger, number: int, digest: str) -> bool:
    """Whether the ledger has this checkpoint."""
    sealed = ledger.checkpoint(number)
    return sealed is not None and sha256(sealed.text.encode()) == digest.lower()


class Gateway:
    """Who signs checkpoints: the keys of the keystore, those that signed in this home, and others of the
    same name under a pinned authority (those of another node, or of before).  Raises Rewritten."""

    def __init__(
        self, keys: security.Keystore, trust: security.Trust, policy: security.Policy, witness: Witness
    ) -> None:
        own = [g.certificates[0] for g in keys.of("signing") if g.certificates]
        noted = witness.noted()
        self.fingerprints = {
            *(sha256(certificate.public_bytes(Encoding.DER)) for certificate in own),
            *(noted.keys if noted is not None else ()),
        }
        """Of every certificate that is known to be the gateway's own, in hex."""
        self._names = {certificate.subject for certificate in own}
        self._trust = trust
        self._policy = policy

    def stranger(self, chain: tuple[x509.Certificate, ...], checkpoint: Checkpoint) -> str:
        """Why a checkpoint's signer is not this gateway, or "" where it is."""
        return self.strange(chain, checkpoint.at)

    def strange(self, chain: tuple[x509.Certificate, ...], at: datetime) -> str:
        """Why who signed at a time, with the first certificate's key, is not this gateway, or ""."""
        key = sha256(chain[0].public_bytes(Encoding.DER))
        if key in self.fingerprints:
            return ""
        if chain[0].subject not in self._names:
            return f"signed by a stranger: {chain[0].subject.rfc4514_string()}, {key}"
        try:
            # A chain to a pinned authority, each step of it an authority, that held at the time.
            ders = tuple(c.public_bytes(Encoding.DER) for c in chain)
            found = self._trust.certify(ders, self._policy, at)
        except security.Refused as refused:
            codes = ", ".join(f.code for f in refused.findings)
            return f"signed by a stranger under the gateway's name: {key} ({codes})"
        return "" if found.signer.fingerprint == key else "its certificates are of another key"
