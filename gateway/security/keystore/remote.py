"""Keys in a token, in the shape of all other private keys: what they are asked to do is done there."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, NoReturn

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import OAEP, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.security.algorithms import PrivateKey, PublicKey
from gateway.security.keystore.files import KeyUnusable
from gateway.security.keystore.hsm import Session, Token, binding, token_of
from gateway.security.keystore.token import TokenUri, read_uri

Buffer = bytes | bytearray | memoryview

_CURVES: dict[bytes, ec.EllipticCurve] = {
    bytes.fromhex("06082a8648ce3d030107"): ec.SECP256R1(),
    bytes.fromhex("06052b81040022"): ec.SECP384R1(),
    bytes.fromhex("06052b81040023"): ec.SECP521R1(),
}
_ED25519_NAMES = (bytes.fromhex("06032b6570"), bytes.fromhex("130c656477617264733235353139"))
"""The curve by its identifier, and as older tokens have it, by its name (PKCS #11 3.0, 6.3.3)."""
_PKCS1_HASHES = {"sha256": "SHA256", "sha384": "SHA384", "sha512": "SHA512", "sha1": "SHA1"}
_OCTET_STRING = 4


class _Kept:
    """What a key in a token cannot do: be taken out of it."""

    _token: Token
    _uri: TokenUri

    def _operate(self, operation: str, data: Buffer, mechanism: Any, parameter: Any = None) -> bytes:
        def work(session: Session) -> bytes:
            key = session.key(self._uri, binding().ObjectClass.PRIVATE_KEY)
            given = {} if parameter is None else {"mechanism_param": parameter}
            try:
                done: bytes = getattr(key, operation)(bytes(data), mechanism=mechanism, **given)
            except (binding().GeneralError, binding().FunctionFailed):
                if operation == "decrypt":  # how tokens speak of bad padding: no reason to log in anew
                    raise ValueError("the token cannot decrypt this") from None
                raise
            return done

        return self._token.run(work)

    def _stays(self, *_: object, **__: object) -> NoReturn:
        raise KeyUnusable("the key does not leave its token")

    private_numbers = private_bytes = private_bytes_raw = __deepcopy__ = __copy__ = __reduce__ = _stays


class RemoteRsa(_Kept, rsa.RSAPrivateKey):
    """An RSA key in a token."""

    def __init__(self, token: Token, uri: TokenUri, public: rsa.RSAPublicKey) -> None:
        self._token, self._uri, self._public = token, uri, public

    def public_key(self) -> rsa.RSAPublicKey:
        return self._public

    @property
    def key_size(self) -> int:
        return self._public.key_size

    def sign(self, data: Buffer, padding: Any, algorithm: Any) -> bytes:
        """PKCS #1 v1.5, or PSS with MGF1 over the same digest."""
        mechanisms, digest = binding().Mechanism, _name(algorithm)
        if isinstance(padding, PKCS1v15):
            return self._operate("sign", data, _named(mechanisms, f"{digest}_RSA_PKCS"))
        if not isinstance(padding, PSS) or not isinstance(padding._salt_length, int):
            raise KeyUnusable("a token signs with PKCS #1 v1.5, or with PSS and a salt of known length")
        parameter = (_digester(digest), getattr(binding().MGF, digest), padding._salt_length)
        mechanism = _named(mechanisms, f"{digest}_RSA_PKCS_PSS")
        return self._operate("sign", data, mechanism, parameter)

    def decrypt(self, ciphertext: bytes, padding: Any) -> bytes:
        """RSA-OAEP without a label."""
        if not isinstance(padding, OAEP):
            raise KeyUnusable("a token decrypts RSA-OAEP")
        digest = _name(padding.algorithm)
        parameter = (_digester(digest), getattr(binding().MGF, digest), None)
        return self._operate("decrypt", ciphertext, binding().Mechanism.RSA_PKCS_OAEP, parameter)


class RemoteEc(_Kept, ec.EllipticCurvePrivateKey):
    """An elliptic-curve key in a token."""

    def __init__(self, token: Token, uri: TokenUri, public: ec.EllipticCurvePublicKey) -> None:
        self._token, self._uri, self._public = token, uri, public

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._public

    @property
    def curve(self) -> ec.EllipticCurve:
        return self._public.curve

    @property
    def key_size(self) -> int:
        return self._public.key_size

    def sign(self, data: Buffer, signature_algorithm: Any) -> bytes:
        """ECDSA over our digest, as few tokens hash for it; in DER."""
        digest = hashlib.new(signature_algorithm.algorithm.name.replace("-", "_"), data).digest()
        # Tokens of old take no digest longer than the order (FIPS 186-5, 6.4.1: its leftmost octets count).
        raw = self._operate("sign", digest, binding().Mechanism.ECDSA)
        half = len(raw) // 2
        return encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))

    def exchange(self, algorithm: object, peer_public_key: ec.EllipticCurvePublicKey) -> bytes:
        """The secret shared with another key of the curve (SEC 1, 3.3.1); the secret alone leaves the token."""
        library = binding()
        attributes, point = library.Attribute, _point(peer_public_key)
        shown = {attributes.SENSITIVE: False, attributes.EXTRACTABLE: True}

        def work(session: Session) -> bytes:
            key = session.key(self._uri, library.ObjectClass.PRIVATE_KEY)
            shared = key.derive_key(
                library.KeyType.GENERIC_SECRET,
                8 * ((self.key_size + 7) // 8),
                mechanism=library.Mechanism.ECDH1_DERIVE,
                mechanism_param=(library.KDF.NULL, None, point),
                store=False,
                template=shown,
            )
            return bytes(shared[attributes.VALUE])

        return self._token.run(work)


class RemoteEd25519(_Kept, ed25519.Ed25519PrivateKey):
    """An Ed25519 key in a token that knows the curve."""

    def __init__(self, token: Token, uri: TokenUri, public: ed25519.Ed25519PublicKey) -> None:
        self._token, self._uri, self._public = token, uri, public

    def public_key(self) -> ed25519.Ed25519PublicKey:
        return self._public

    def sign(self, data: Buffer) -> bytes:
        return self._operate("sign", data, binding().Mechanism.EDDSA)


def open_key(text: str, folder: Path, public: object = None) -> PrivateKey:
    """The private key that a pkcs11: URI names.

    ``public``: what its certificate says, so that the token is asked first when something is to be signed;
    None: the token is asked for its public half.  Raises KeyUnusable, TokenAway.
    """
    uri = read_uri(text)
    token = token_of(uri, folder)
    if public is None:
        public = token.run(lambda session: _public(session, uri))
    if isinstance(public, rsa.RSAPublicKey):
        return RemoteRsa(token, uri, public)
    if isinstance(public, ec.EllipticCurvePublicKey):
        return RemoteEc(token, uri, public)
    if isinstance(public, ed25519.Ed25519PublicKey):
        return RemoteEd25519(token, uri, public)
    raise KeyUnusable("a token's keys are RSA, elliptic-curve or Ed25519")


def make_key(text: str, folder: Path, algorithm: str, *, decrypting: bool) -> PrivateKey:
    """A new key in the token, under the label and id of the URI.

    ``algorithm``: ``rsa-3072``, ``p256``, ... ``ed25519``.  Raises KeyUnusable, also where one is there.
    """
    uri = read_uri(text)
    token = token_of(uri, folder)
    if token.run(lambda session: _taken(session, uri)):
        raise KeyUnusable(
            f"the token {token.name} has a key of that name: import it, or choose another object="
        )
    token.run(lambda session: _generate(session, uri, algorithm, decrypting), writing=True)
    return open_key(text, folder)


def _taken(session: Session, uri: TokenUri) -> bool:
    attributes = binding().Attribute
    named: list[dict[Any, Any]] = [{attributes.LABEL: uri.object}] if uri.object else []
    named += [{attributes.ID: uri.id}] if uri.id else []
    wanted: dict[Any, Any] = {attributes.CLASS: binding().ObjectClass.PRIVATE_KEY}
    return any(list(session.raw.get_objects(wanted | name)) for name in named)


def _generate(session: Session, uri: TokenUri, algorithm: str, decrypting: bool) -> None:
    library = binding()
    attributes, flags = library.Attribute, library.MechanismFlag
    opens = (flags.DECRYPT | flags.ENCRYPT) if algorithm.startswith("rsa-") else flags.DERIVE
    uses = opens if decrypting else (flags.SIGN | flags.VERIFY)
    named: dict[str, Any] = {
        "store": True,
        "label": uri.object or None,
        "id": uri.id or None,
        "capabilities": uses,
    }
    # Said rather than left to the token: not to be read, not to be wrapped and carried away.
    named["private_template"] = {attributes.SENSITIVE: True, attributes.EXTRACTABLE: False}
    if algorithm.startswith("rsa-"):
        session.raw.generate_keypair(library.KeyType.RSA, int(algorithm[4:]), **named)
        return
    kind = library.KeyType.EC_EDWARDS if algorithm == "ed25519" else library.KeyType.EC
    curves = {f"p{curve.key_size}": name for name, curve in _CURVES.items()}
    curve = _ED25519_NAMES[0] if algorithm == "ed25519" else curves[algorithm]
    domain = session.raw.create_domain_parameters(kind, {attributes.EC_PARAMS: curve}, local=True)
    domain.generate_keypair(**named)


def _public(session: Session, uri: TokenUri) -> PublicKey:
    library = binding()
    attributes = library.Attribute
    key = session.key(uri, library.ObjectClass.PUBLIC_KEY)
    if key.key_type == library.KeyType.RSA:
        modulus, exponent = (
            int.from_bytes(key[a], "big") for a in (attributes.MODULUS, attributes.PUBLIC_EXPONENT)
        )
        return rsa.RSAPublicNumbers(exponent, modulus).public_key()
    curve, point = bytes(key[attributes.EC_PARAMS]), _inside(bytes(key[attributes.EC_POINT]))
    if curve in _ED25519_NAMES:
        return ed25519.Ed25519PublicKey.from_public_bytes(point)
    if curve not in _CURVES:
        raise KeyUnusable(f"{uri.object}: the token's key is on none of P-256, P-384, P-521, Ed25519")
    return ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[curve], point)


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _inside(point: bytes) -> bytes:
    """The octets of a DER OCTET STRING of less than 256; tokens of old leave the wrapping away."""
    for head in (2, 3):
        if point[:1] == bytes([_OCTET_STRING]) and point[head - 1] == len(point) - head:
            return point[head:]
    return point


def _name(algorithm: hashes.HashAlgorithm) -> str:
    known = _PKCS1_HASHES.get(algorithm.name)
    if known is None:
        raise KeyUnusable(f"a token signs over SHA-2, not over {algorithm.name}")
    return known


def _digester(name: str) -> Any:
    return getattr(binding().Mechanism, "SHA_1" if name == "SHA1" else name)


def _named(mechanisms: Any, name: str) -> Any:
    return getattr(mechanisms, name)
