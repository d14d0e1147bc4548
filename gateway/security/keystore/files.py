"""Secrets in files: read only where nobody else can, written whole and never open to others.

Also the formats that keys come in: PKCS #8 in PEM, encrypted or not, and PKCS #12.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12

from gateway.security.algorithms import PrivateKey

MAX_SECRET = 1_048_576
"""Octets of a key file: a PKCS #12 with a long chain takes some tens of thousands."""
PKCS12_SUFFIXES = (".p12", ".pfx")
CREDENTIAL = "credential:"
"""Of a secret that systemd hands over (LoadCredential=), by name."""
_CREDENTIALS_FOLDER = "CREDENTIALS_DIRECTORY"
_FILE = "file:"
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class KeyUnusable(ValueError):
    """An own key cannot be used; the text says which, why, and what to do.  It never quotes a secret."""


@dataclass(frozen=True)
class KeyFile:
    """What a key file holds: the key, and the certificates that came with it (PKCS #12 only)."""

    private: PrivateKey = field(repr=False)
    certificates: tuple[x509.Certificate, ...] = ()


def read_private(path: Path) -> bytes:
    """The file's octets; mode and owner are those of the file that was opened, not of its name.

    Raises KeyUnusable, OSError.
    """
    return _read_checked(path, _OTHERS)


def _read_checked(path: Path, forbidden: int) -> bytes:
    # Without waiting: a named pipe in a key's place must not hold the gateway up.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(f"{path}: a directory, not a key")
        if not stat.S_ISREG(status.st_mode):
            raise KeyUnusable(f"{path}: not a regular file")
        if status.st_mode & forbidden:
            mode = stat.S_IMODE(status.st_mode)
            raise KeyUnusable(f"{path}: mode {mode:04o} is wider than 0600; do: chmod 600 {path}")
        if status.st_uid not in (os.geteuid(), 0):
            raise KeyUnusable(f"{path}: belongs to user {status.st_uid}, not to the gateway's; do: chown")
        octets = file.read(MAX_SECRET + 1)
    if len(octets) > MAX_SECRET:
        raise KeyUnusable(f"{path}: larger than {MAX_SECRET} octets")
    return octets


def read_secret(source: str, folder: Path) -> str:
    """A passphrase or PIN: the first line of a file, without its line end.

    ``source``: ``credential:NAME`` (systemd's), ``file:PATH`` or a path, relative to ``folder``.
    Raises KeyUnusable.
    """
    path, forbidden = folder / source.removeprefix(_FILE).removeprefix("//"), _OTHERS
    if source.startswith(CREDENTIAL):
        given = os.environ.get(_CREDENTIALS_FOLDER)
        if not given:
            raise KeyUnusable(f"{source}: systemd gave no credentials; add LoadCredential= to the unit")
        # systemd may grant the file by an access list, which shows as bits of the group.
        path, forbidden = Path(given) / Path(source.removeprefix(CREDENTIAL)).name, stat.S_IRWXO
    try:
        lines = _read_checked(path, forbidden).decode("utf-8").splitlines()
    except OSError as error:
        raise KeyUnusable(f"{path}: no readable secret: {error.strerror}") from None
    except UnicodeDecodeError:
        raise KeyUnusable(f"{path}: the secret is not text in UTF-8") from None
    if not lines or not lines[0]:
        raise KeyUnusable(f"{path}: the secret's first line is empty")
    return lines[0]


def read_key(path: Path, passphrase: str | None = None) -> KeyFile:
    """A key file: PEM, or PKCS #12 where its name ends in ``.p12`` or ``.pfx``.

    Raises KeyUnusable, also for a wrong or missing passphrase; OSError.
    """
    octets = read_private(path)
    secret = None if passphrase is None else passphrase.encode()
    try:
        if path.suffix.lower() in PKCS12_SUFFIXES:
            return _read_pkcs12(path, octets, secret)
        return KeyFile(_plain(path, load_pem_private_key(octets, secret)))
    except TypeError:
        # The library's way to say that a key is encrypted and no password came, or the reverse.
        if passphrase is None:
            raise KeyUnusable(
                f"{path}: encrypted; name its passphrase_file in keys.toml, or import it with one"
            ) from None
        raise KeyUnusable(f"{path}: not encrypted, but a passphrase is named for it") from None
    except KeyUnusable:
        raise
    except (ValueError, UnsupportedAlgorithm):
        why = "no readable private key" if passphrase is None else "unreadable, or the passphrase is wrong"
        raise KeyUnusable(f"{path}: {why}") from None


def _read_pkcs12(path: Path, octets: bytes, secret: bytes | None) -> KeyFile:
    found = load_pkcs12(octets, secret)
    if found.key is None:
        raise KeyUnusable(f"{path}: a PKCS #12 file without a private key")
    private = _plain(path, found.key)
    entries = ([found.cert] if found.cert else []) + list(found.additional_certs)
    certificates = tuple(entry.certificate for entry in entries)
    return KeyFile(private, chain_of(private.public_key(), certificates))


def _plain(path: Path, private: object) -> PrivateKey:
    if not isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        raise KeyUnusable(f"{path}: neither an RSA nor an EC nor an Ed25519 key")
    return private


def chain_of(public: object, certificates: tuple[x509.Certificate, ...]) -> tuple[x509.Certificate, ...]:
    """The key's own certificate and its issuers in order, whatever the order in the file; () where none
    is the key's.  Of several for one key the one that ends last counts."""
    own = [c for c in certificates if c.public_key() == public]
    if not own:
        return ()
    chain = [max(own, key=lambda c: c.not_valid_after_utc)]
    left = [c for c in certificates if c not in own]
    while left and chain[-1].issuer != chain[-1].subject:
        above = [c for c in left if c.subject == chain[-1].issuer]
        if not above:
            break
        chain.append(above[0])
        left.remove(above[0])
    return tuple(chain)


def read_certificates(path: Path) -> tuple[x509.Certificate, ...]:
    """The certificates of a PEM file.  Raises KeyUnusable, OSError."""
    try:
        return tuple(x509.load_pem_x509_certificates(path.read_bytes()))
    except ValueError:
        raise KeyUnusable(f"{path}: no readable certificate") from None


def write_private(path: Path, octets: bytes) -> None:
    """Write a secret with mode 0600, whole or not at all; it replaces what was there."""
    write_whole(path, octets, 0o600)


def write_whole(path: Path, octets: bytes, mode: int = 0o644) -> None:
    """Write a file whole or not at all, durably; it replaces what was there, also a link."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    fresh.unlink(missing_ok=True)  # of a process of the same number that was killed
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
