"""One generation of one use: its entry, its certificates, its key, and when it serves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.security.algorithms import PrivateKey, check_signature
from gateway.security.keystore.files import KeyUnusable, chain_of, read_certificates, read_key, read_secret
from gateway.security.keystore.inventory import Entry, Use
from gateway.security.keystore.keys import DecryptionKey, SigningKey, raw_signature
from gateway.security.keystore.remote import open_key
from gateway.security.refused import Refused

FOREVER = datetime.max.replace(tzinfo=UTC)
NEVER = datetime.min.replace(tzinfo=UTC)
_PROBE = b"whose key is this"


@dataclass(frozen=True)
class TlsKey:
    """What TLS presents: a key in memory and its chain, the key's own certificate first."""

    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = field(repr=False, compare=False)
    certificates: tuple[x509.Certificate, ...]


@dataclass(frozen=True)
class Generation:
    """One key of one use.  ``certificates``: its chain, () while it is awaited.  ``fault``: why it cannot
    be used, "" where it can."""

    entry: Entry
    certificates: tuple[x509.Certificate, ...] = ()
    private: PrivateKey | None = field(default=None, repr=False)
    fault: str = ""

    @property
    def usable(self) -> bool:
        """True where nothing but the time can be in its way."""
        return bool(self.certificates) and self.private is not None and not self.fault

    @property
    def activates_at(self) -> datetime:
        """When it takes over; never before its certificate begins."""
        if not self.certificates:
            return FOREVER
        begins = self.certificates[0].not_valid_before_utc
        return max(self.entry.activates_at or begins, begins)

    @property
    def retired_at(self) -> datetime:
        """From when it is used no more."""
        return self.entry.retired_at or FOREVER

    @property
    def ends_at(self) -> datetime:
        """From when nobody would believe it: retired, or its certificate expired."""
        expires = self.certificates[0].not_valid_after_utc if self.certificates else NEVER
        return min(self.retired_at, expires)

    def serves(self, now: datetime) -> bool:
        """True from its activation to its end."""
        return self.activates_at <= now < self.ends_at

    @cached_property
    def signing_key(self) -> SigningKey:
        """As what signs."""
        assert self.private is not None
        return SigningKey(self.certificates, self.entry.padding, self.private, self.entry.remote)

    @cached_property
    def tls_key(self) -> TlsKey:
        """As what TLS presents."""
        assert isinstance(self.private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
        return TlsKey(self.private, self.certificates)

    @cached_property
    def decryption_key(self) -> DecryptionKey:
        """As what opens messages."""
        assert isinstance(self.private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
        return DecryptionKey(self.certificates, self.private, self.entry.remote)

    def probe(self) -> str:
        """Why the key does not do what it is for, "" where it does.  A token is asked; a file was checked
        as it was read."""
        if not self.usable or not self.entry.remote:
            return self.fault
        try:
            self._try_out()
        except (Refused, InvalidSignature):
            return f"the key in the token is not that of {self.entry.certificate}"
        except ValueError as error:
            return str(error)
        return ""

    def _try_out(self) -> None:
        public = self.certificates[0].public_key()
        if isinstance(public, ec.EllipticCurvePublicKey) and self.entry.use == "decryption":
            other = ec.generate_private_key(public.curve)
            point = other.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
            if self.decryption_key.agree(point) != other.exchange(ec.ECDH(), public):
                raise InvalidSignature
            return
        if self.entry.use == "decryption":
            assert isinstance(self.private, rsa.RSAPrivateKey)
            assert isinstance(public, rsa.RSAPublicKey)
            hashed: HashAlgorithm = SHA1() if self.entry.remote else SHA256()  # noqa: S303 - as OAEP has it
            scheme = OAEP(MGF1(hashed), hashed, None)
            if self.private.decrypt(public.encrypt(_PROBE, scheme), scheme) != _PROBE:
                raise InvalidSignature
            return
        key = self.signing_key
        value = raw_signature(key._private, key.algorithm, _PROBE)
        check_signature(public, key.algorithm, value, _PROBE, "")  # type: ignore[arg-type]


def read_generation(folder: Path, entry: Entry) -> Generation:
    chain: tuple[x509.Certificate, ...] = ()
    try:
        if entry.certificate:
            chain = read_certificates(folder / entry.certificate)
        private, brought = _private(folder, entry, chain)
        chain = _own_chain(entry, private, chain or brought)
        _fitting(entry, private)
    except KeyUnusable as error:
        return Generation(entry, chain, fault=str(error))
    except OSError as error:
        return Generation(entry, chain, fault=f"{error.filename or entry.key}: {error.strerror or error}")
    return Generation(entry, chain, private)


def _private(
    folder: Path, entry: Entry, chain: tuple[x509.Certificate, ...]
) -> tuple[PrivateKey, tuple[x509.Certificate, ...]]:
    if entry.remote:
        return open_key(entry.key, folder, chain[0].public_key() if chain else None), ()
    passphrase = read_secret(entry.passphrase_file, folder) if entry.passphrase_file else None
    held = read_key(folder / entry.key, passphrase)
    return held.private, held.certificates


def _own_chain(
    entry: Entry, private: PrivateKey, chain: tuple[x509.Certificate, ...]
) -> tuple[x509.Certificate, ...]:
    if not chain:
        return ()
    ordered = chain_of(private.public_key(), chain)
    if not ordered:
        raise KeyUnusable(f"{entry.certificate or entry.key}: not the certificate of {key_name(entry)}")
    return ordered


def _fitting(entry: Entry, private: PrivateKey) -> None:
    """Raises KeyUnusable where the key cannot serve its use."""
    fits: dict[Use, Callable[[], bool]] = {
        "signing": lambda: True,
        "tls": lambda: isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey),
        "decryption": lambda: isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey),
    }
    if not fits[entry.use]():
        raise KeyUnusable(f"{key_name(entry)}: a key for {entry.use} is RSA or elliptic-curve")


def key_name(entry: Entry) -> str:
    """The key file, or the URI without its query, which says where the PIN is."""
    return entry.key.partition("?")[0] if entry.remote else entry.key
