"""Changes of the keystore: new generations, requests for certificates, what comes back, retirement.

Each writes its files first and the new keys.toml last, so that a command that is killed leaves the keystore as it
was, with at most a file that nothing names.  The caller holds `inventory.changing`.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from gateway.security.algorithms import PrivateKey
from gateway.security.keystore import inventory
from gateway.security.keystore.files import (
    PKCS12_SUFFIXES,
    KeyUnusable,
    chain_of,
    read_certificates,
    read_key,
    read_private,
    read_secret,
    write_private,
    write_whole,
)
from gateway.security.keystore.generation import Generation
from gateway.security.keystore.inventory import PKCS11, Entry, Use, stem
from gateway.security.keystore.keys import Padding
from gateway.security.keystore.remote import make_key, open_key
from gateway.security.keystore.requests import named, request, subject_and_names
from gateway.security.keystore.store import Keystore
from gateway.security.keystore.token import read_uri, renamed

ALGORITHMS = ("rsa-2048", "rsa-3072", "rsa-4096", "p256", "p384", "p521", "ed25519")
FOR_USE: dict[Use, tuple[str, ...]] = {
    "signing": ALGORITHMS,
    "tls": ("rsa-2048", "rsa-3072", "rsa-4096", "p256", "p384"),
    "decryption": ("rsa-2048", "rsa-3072", "rsa-4096", "p256", "p384", "p521"),
}
"""TLS as far as every client of today knows it; decryption is RSA-OAEP, or ECDH."""
_CURVES: dict[str, ec.EllipticCurve] = {
    "p256": ec.SECP256R1(),
    "p384": ec.SECP384R1(),
    "p521": ec.SECP521R1(),
}


class Asked(msgspec.Struct, frozen=True):
    """What a new key is to be.  ``uri``: in a token, as RFC 7512 names it; "" for a file.
    ``activates_at``: None for when its certificate begins."""

    use: Use
    algorithm: str
    uri: str = ""
    padding: Padding = "pkcs1"
    passphrase_file: str = ""
    activates_at: datetime | None = None


def new(keystore: Keystore, asked: Asked) -> tuple[Generation, Keystore]:
    """Make a key as a new generation that awaits its certificate.  Raises KeyUnusable, OSError."""
    if asked.algorithm not in FOR_USE[asked.use]:
        known = ", ".join(FOR_USE[asked.use])
        raise KeyUnusable(f"{asked.algorithm}: not for {asked.use}; choose one of {known}")
    if asked.use == "tls" and asked.uri:
        raise KeyUnusable("TLS keys are files; a token can hold keys for signing and decryption")
    folder, entries = keystore.folder, [g.entry for g in keystore.generations]
    number = inventory.next_generation(folder, entries, asked.use)
    entry = Entry(
        asked.use,
        number,
        key=asked.uri or f"{stem(asked.use, number)}.key.pem",
        padding=asked.padding,
        passphrase_file="" if asked.uri else asked.passphrase_file,
        activates_at=asked.activates_at,
    )
    if asked.uri:
        make_key(asked.uri, folder, asked.algorithm, decrypting=asked.use == "decryption")
    else:
        made = _encoded(_generate(asked.algorithm), _lock(asked, folder))
        inventory.begin(folder, entries)
        write_private(folder / entry.key, made)
    return _listed(keystore, entry)


def _generate(algorithm: str) -> PrivateKey:
    if algorithm == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm in _CURVES:
        return ec.generate_private_key(_CURVES[algorithm])
    return rsa.generate_private_key(65_537, int(algorithm.removeprefix("rsa-")))


def _lock(asked: Asked, folder: Path) -> KeySerializationEncryption:
    if not asked.passphrase_file:
        return NoEncryption()
    return BestAvailableEncryption(read_secret(asked.passphrase_file, folder).encode())


def _encoded(private: PrivateKey, lock: KeySerializationEncryption) -> bytes:
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)


def _listed(keystore: Keystore, entry: Entry) -> tuple[Generation, Keystore]:
    """The keystore with one generation more, or another in its place."""
    others = [g.entry for g in keystore.generations if g.entry.name != entry.name]
    inventory.write(keystore.folder, [*others, entry])
    read = Keystore.load(keystore.folder)
    return find(read, entry.use, entry.generation), read


def find(keystore: Keystore, use: Use, number: int) -> Generation:
    """A generation by its number.  Raises KeyUnusable."""
    for generation in keystore.of(use):
        if generation.entry.generation == number:
            return generation
    raise KeyUnusable(f"no {use} key has the number {number}; see: cvan keys list")


def certified(
    keystore: Keystore,
    use: Use,
    certificates: tuple[x509.Certificate, ...],
    activates_at: datetime | None = None,
    *,
    source: str = "the certificate",
) -> tuple[Generation, Keystore]:
    """Take in the certificate of a key that is here.  A key that has one already gets a generation more:
    the old certificate stays, as evidence.  Raises KeyUnusable."""
    fitting = [
        (g, chain)
        for g in keystore.of(use)
        if g.private is not None and (chain := chain_of(g.private.public_key(), certificates))
    ]
    if not fitting:
        raise KeyUnusable(f"{source}: of none of the {use} keys here; see: cvan keys list")
    generation, chain = min(fitting, key=lambda found: (bool(found[0].certificates), -_number(found[0])))
    if any(g.certificates[:1] == chain[:1] for g in keystore.of(use)):
        raise KeyUnusable(f"{source}: {generation.entry.name} has it already")
    _in_time(chain[0], source)
    entry = generation.entry
    if generation.certificates:
        number = inventory.next_generation(keystore.folder, [g.entry for g in keystore.generations], use)
        entry = msgspec.structs.replace(entry, generation=number, activates_at=None, retired_at=None)
    entry = msgspec.structs.replace(
        entry,
        certificate=f"{stem(use, entry.generation)}.crt.pem",
        activates_at=activates_at or entry.activates_at,
    )
    inventory.begin(keystore.folder, [g.entry for g in keystore.generations])
    write_whole(keystore.folder / entry.certificate, pem(chain))
    return _listed(keystore, entry)


def _number(generation: Generation) -> int:
    return generation.entry.generation


def _in_time(certificate: x509.Certificate, source: str) -> None:
    if certificate.not_valid_after_utc <= datetime.now(UTC):
        raise KeyUnusable(f"{source}: expired at {certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}")


def pem(chain: Sequence[x509.Certificate]) -> bytes:
    """The certificates as a PEM file."""
    return b"".join(c.public_bytes(Encoding.PEM) for c in chain)


def imported(
    keystore: Keystore, asked: Asked, key: str, certificates: tuple[x509.Certificate, ...]
) -> tuple[Generation, Keystore]:
    """Take in a key from elsewhere as a new generation: a PEM or PKCS #12 file, which is copied as it
    is, or the URI of a key in a token.  Raises KeyUnusable, OSError."""
    folder = keystore.folder
    remote = key.startswith(PKCS11)
    if remote:
        private = open_key(key, folder, None)
        brought: tuple[x509.Certificate, ...] = ()
    else:
        secret = read_secret(asked.passphrase_file, folder) if asked.passphrase_file else None
        held = read_key(Path(key), secret)
        private, brought = held.private, held.certificates
    chain = chain_of(private.public_key(), certificates or brought)
    if not chain and (certificates or brought):
        raise KeyUnusable(f"{key.partition('?')[0]}: the certificate is not of this key")
    if chain:
        _in_time(chain[0], key)
    use, entries = asked.use, [g.entry for g in keystore.generations]
    number = inventory.next_generation(folder, entries, use)
    suffix = Path(key).suffix.lower() if Path(key).suffix.lower() in PKCS12_SUFFIXES else ".key.pem"
    entry = Entry(
        use,
        number,
        key=key if remote else f"{stem(use, number)}{suffix}",
        certificate=f"{stem(use, number)}.crt.pem" if chain else "",
        padding=asked.padding,
        passphrase_file="" if remote else asked.passphrase_file,
        activates_at=asked.activates_at,
    )
    octets = b"" if remote else read_private(Path(key))
    inventory.begin(folder, entries)
    if not remote:
        write_private(folder / entry.key, octets)
    if chain:
        write_whole(folder / entry.certificate, pem(chain))
    made, store = _listed(keystore, entry)
    if made.fault:
        inventory.write(folder, entries)
        raise KeyUnusable(made.fault)
    return made, store


def rotated(keystore: Keystore, use: Use, now: datetime, asked: Asked | None = None) -> Asked:
    """What the successor of the active generation is to be: alike, and in the same place.

    Raises KeyUnusable where there is none to follow.
    """
    active = keystore.active(use, now)
    entry = active.entry
    chosen = asked or Asked(use, "")
    uri = chosen.uri
    if not uri and entry.remote:
        label = f"{use}-{now.astimezone(UTC):%Y%m%dT%H%M%S}"
        uri = renamed(read_uri(entry.key), label, secrets.token_bytes(8))
    return msgspec.structs.replace(
        chosen,
        algorithm=chosen.algorithm or algorithm_of(active),
        uri=uri,
        padding=entry.padding,
        passphrase_file=chosen.passphrase_file or entry.passphrase_file,
    )


def algorithm_of(generation: Generation) -> str:
    """A generation's algorithm as commands name it; "" where the key cannot be read."""
    private = generation.private
    if isinstance(private, rsa.RSAPrivateKey):
        return f"rsa-{private.key_size}"
    if isinstance(private, ec.EllipticCurvePrivateKey):
        return f"p{private.curve.key_size}"
    return "ed25519" if private is not None else ""


def retired(keystore: Keystore, use: Use, number: int, at: datetime, *, forced: bool = False) -> Keystore:
    """Use a generation no more from a moment on; it still decrypts, and its certificate stays.

    Raises KeyUnusable where nothing would be left, unless ``forced``: a key that is lost must go.
    """
    generation = find(keystore, use, number)
    entry = msgspec.structs.replace(generation.entry, retired_at=at)
    left = [g for g in keystore.of(use) if g is not generation and g.usable and g.serves(at)]
    if not left and generation.usable and not forced:
        raise KeyUnusable(
            f"{entry.name} is the last {use} key at {at:%Y-%m-%dT%H:%M:%SZ}: first do: cvan keys rotate --use {use}"
        )
    return _listed(keystore, entry)[1]


__all__ = [
    "ALGORITHMS",
    "Asked",
    "algorithm_of",
    "certified",
    "find",
    "imported",
    "named",
    "new",
    "pem",
    "read_certificates",
    "request",
    "retired",
    "rotated",
    "subject_and_names",
]
