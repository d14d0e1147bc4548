"""Keys in a token, SoftHSM2 as the judge's device: made, used, lost and found again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.safexml import parse
from gateway.security import Keystore, KeyUnusable, Policy, TokenAway, Trust, sign_cms, sign_xml, verify
from gateway.security.algorithms import check_signature
from gateway.security.certificates.authority import Authority
from gateway.security.keystore import hsm, inventory, making, remote
from gateway.security.keystore.inventory import Entry
from gateway.security.keystore.keys import DecryptionKey, SigningKey, Undecipherable
from gateway.security.keystore.token import read_uri, renamed
from tests.softhsm import PIN, Device
from tests.softhsm import device as device

from .signing_kit import DECLARATION


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("ca"), "Test authority")


@pytest.fixture
def own(tmp_path: Path, authority: Authority) -> Path:
    folder = tmp_path / "own"
    folder.mkdir(mode=0o700)
    for use, names in (("signing", ()), ("tls", ("localhost",))):
        files = folder / f"{use}.key.pem", folder / f"{use}.crt.pem"
        authority.issue(f"CN=Gateway {use}", *files, algorithm="p256", server_names=names)
    return folder


_made = iter(range(1, 1_000))


def label() -> str:
    return f"key-{next(_made)}"


@pytest.fixture
def kept(device: Device, authority: Authority, own: Path) -> Callable[[str], tuple[Keystore, SigningKey]]:
    """Makes a signing key in the token, with its certificate."""

    def make(algorithm: str, padding_: making.Padding = "pkcs1") -> tuple[Keystore, SigningKey]:
        asked = making.Asked("signing", algorithm, device.uri(label()), padding_)
        made, store = making.new(Keystore.load(own), asked)
        assert made.private is not None
        certificate = authority.certify(made.private.public_key(), "CN=Gateway in a token")
        made, store = making.certified(store, "signing", (certificate,))
        assert made.probe() == ""
        return store, store.signing(datetime.now(UTC))

    return make  # type: ignore[return-value]


@pytest.mark.parametrize("algorithm", ["rsa-2048", "rsa-2048 pss", "p256", "p384", "p521", "ed25519"])
def test_a_key_in_a_token_signs_what_we_verify(
    kept: Callable[..., tuple[Keystore, SigningKey]], authority: Authority, algorithm: str
) -> None:
    name, _, pss = algorithm.partition(" ")
    store, key = kept(name, "pss" if pss else "pkcs1")
    assert key.remote
    store.check(datetime.now(UTC))
    now = datetime.now(UTC)
    check_signature(key.certificates[0].public_key(), key.algorithm, key.sign(b"x", now), b"x", "")  # type: ignore[arg-type]
    trust = Trust((authority.certificate,))
    signed = sign_xml(parse(DECLARATION), key, now)
    assert verify(signed, "application/xml", trust, Policy(), now).signer.subject == "CN=Gateway in a token"
    media_type, body = sign_cms(b"UNB+...'", "application/edifact", key, "multipart/signed", now)
    assert verify(body, media_type, trust, Policy(), now).content == b"UNB+...'"


@pytest.mark.parametrize("digest", [SHA256(), SHA384(), SHA512()])
def test_rsa_over_every_digest(device: Device, own: Path, digest: SHA256) -> None:
    uri = device.uri("rsa-digests")
    try:
        key = remote.open_key(uri, own)
    except KeyUnusable:
        key = remote.make_key(uri, own, "rsa-2048", decrypting=False)
    assert isinstance(key, remote.RemoteRsa)
    for scheme in (padding.PKCS1v15(), padding.PSS(padding.MGF1(digest), digest.digest_size)):
        key.public_key().verify(key.sign(b"x", scheme, digest), b"x", scheme, digest)
    with pytest.raises(KeyUnusable, match="salt of known length"):
        key.sign(b"x", padding.PSS(padding.MGF1(digest), padding.PSS.MAX_LENGTH), digest)


def test_a_key_in_a_token_decrypts_and_tells_nobody_why_not(device: Device, own: Path) -> None:
    private = remote.make_key(device.uri(label()), own, "rsa-2048", decrypting=True)
    assert isinstance(private, remote.RemoteRsa)
    key = DecryptionKey((), private, remote=True)
    scheme = padding.OAEP(padding.MGF1(SHA1()), SHA1(), None)
    wrapped = private.public_key().encrypt(b"content key", scheme)
    assert key.decrypt(wrapped, "sha1") == b"content key"
    for damaged in (wrapped[:-1] + bytes([wrapped[-1] ^ 1]), bytes(256), b"short"):
        began = time.perf_counter()
        with pytest.raises(Undecipherable):
            key.decrypt(damaged, "sha1")
        assert time.perf_counter() - began < 0.5, "what a stranger sends makes nobody log in anew"
    assert key.decrypt(wrapped, "sha1") == b"content key"


@pytest.mark.parametrize("curve", ["p256", "p384", "p521"])
def test_a_key_in_a_token_agrees_on_what_opens_a_message(device: Device, own: Path, curve: str) -> None:
    private = remote.make_key(device.uri(label()), own, curve, decrypting=True)
    assert isinstance(private, remote.RemoteEc)
    key = DecryptionKey((), private, remote=True)
    for _ in range(5):
        other = ec.generate_private_key(private.curve)
        point = other.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        assert key.agree(point) == other.exchange(ec.ECDH(), private.public_key())
    for nonsense in (b"", point[:-1], point[:-1] + bytes([point[-1] ^ 1]), bytes(len(point))):
        with pytest.raises(Undecipherable):
            key.agree(nonsense)
    with pytest.raises(Undecipherable):
        key.decrypt(bytes(256))


def test_a_key_does_not_leave_its_token(device: Device, own: Path) -> None:
    key = remote.make_key(device.uri(label()), own, "p256", decrypting=False)
    for take in (key.private_numbers, key.private_bytes, key.__reduce__):
        with pytest.raises(KeyUnusable, match="does not leave"):
            take()  # type: ignore[call-arg]
    library = hsm.binding()
    attributes = library.Attribute
    token = hsm.token_of(read_uri(device.uri(f"key-{next(_made) - 1}")), own)

    def look(session: hsm.Session) -> tuple[bool, bool]:
        uri = read_uri(key._uri.text)  # type: ignore[union-attr]
        found = session.key(uri, library.ObjectClass.PRIVATE_KEY)
        return found[attributes.SENSITIVE], found[attributes.EXTRACTABLE]

    assert token.run(look) == (True, False)


def test_a_label_is_taken_once(device: Device, own: Path) -> None:
    uri = device.uri(label())
    remote.make_key(uri, own, "p256", decrypting=False)
    with pytest.raises(KeyUnusable, match="choose another object="):
        remote.make_key(uri, own, "p256", decrypting=False)


def test_rotation_stays_in_the_token_under_a_new_name(
    device: Device, authority: Authority, kept: Callable[..., tuple[Keystore, SigningKey]]
) -> None:
    store, first = kept("p384")
    now = datetime.now(UTC)
    asked = making.rotated(store, "signing", now)
    made, store = making.new(store, asked)
    assert made.private is not None
    assert (asked.algorithm, made.entry.remote) == ("p384", True)
    assert read_uri(made.entry.key).pin_source == f"file:{device.pin}"
    assert made.private.public_key() != first.certificates[0].public_key()


# -- what can be wrong ---------------------------------------------------------------------------------


def token_entry(own: Path, device: Device, authority: Authority, **uri: object) -> Keystore:
    """A keystore whose signing key is in the token by this URI; its certificate is there."""
    name = label()
    key = remote.make_key(device.uri(name), own, "p256", decrypting=False)
    certificate = authority.certify(key.public_key(), "CN=Gateway in a token")
    (own / "signing.crt.pem").write_bytes(making.pem((certificate,)))
    text = device.uri(name, **uri)  # type: ignore[arg-type]
    inventory.write(
        own,
        [
            Entry("signing", 1, text, "signing.crt.pem"),
            Entry("tls", 1, "tls.key.pem", "tls.crt.pem"),
        ],
    )
    return Keystore.load(own)


def test_a_wrong_pin_is_tried_once_and_named_by_its_file(
    device: Device, authority: Authority, own: Path, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("0000-not-the-pin\n")
    wrong.chmod(0o600)
    # Nobody may be logged in: a token asks for the PIN once.
    hsm._module(device.module).renew()
    with pytest.raises(KeyUnusable, match=f"refuses the PIN of file:{wrong}"):
        remote.open_key(device.uri("any", pin=wrong), own)
    asked: list[int] = []
    token = hsm.token_of(read_uri(device.uri("any", pin=wrong)), own)
    with pytest.raises(KeyUnusable, match="mend that file") as again:
        token.run(lambda _: asked.append(1))
    assert not asked
    assert "0000" not in str(again.value)
    wrong.write_text(f"{PIN}\n")
    assert token.run(lambda _: "in") == "in"


@pytest.mark.parametrize(
    ("mode", "text", "why"),
    [(0o644, PIN, "wider than 0600"), (0o600, "", "first line is empty"), (None, "", "no readable secret")],
)
def test_a_pin_file_that_is_of_no_use(
    device: Device, own: Path, tmp_path: Path, mode: int | None, text: str, why: str
) -> None:
    hsm._module(device.module).renew()
    pin = tmp_path / "pin"
    if mode is not None:
        pin.write_text(text)
        pin.chmod(mode)
    with pytest.raises(KeyUnusable, match=why):
        remote.open_key(device.uri("any", pin=pin), own)


def test_a_token_or_key_that_is_not_there(device: Device, own: Path) -> None:
    with pytest.raises(TokenAway, match="'nobody' is not there"):
        remote.open_key(device.uri("any", token="nobody"), own)
    with pytest.raises(KeyUnusable, match="has no key of the name"):
        remote.open_key(device.uri("nothing"), own)
    with pytest.raises(KeyUnusable, match="no such file"):
        remote.open_key(device.uri("x").replace(device.module, "/nowhere.so"), own)
    with pytest.raises(KeyUnusable, match="no usable PKCS #11 library"):
        remote.open_key(device.uri("x").replace(device.module, "/etc/hostname"), own)


def test_a_key_that_is_not_its_certificate_s_is_found_out(
    device: Device, authority: Authority, own: Path
) -> None:
    store = token_entry(own, device, authority)
    (own / "signing.crt.pem").write_bytes((own / "tls.crt.pem").read_bytes())
    with pytest.raises(KeyUnusable, match=r"is not that of signing\.crt\.pem"):
        Keystore.load(own).check(datetime.now(UTC))
    store.check(datetime.now(UTC))


@pytest.fixture
def lost(device: Device) -> Iterator[Device]:
    yield device
    if not device.tokens.exists():
        device.bring_back()


def test_a_token_that_goes_and_comes_back_is_logged_in_to_again(
    lost: Device, authority: Authority, own: Path
) -> None:
    store = token_entry(own, lost, authority)
    now = datetime.now(UTC)
    key = store.signing(now)
    assert key.sign(b"x", now)
    lost.take_away()
    with pytest.raises(TokenAway):
        key.sign(b"x", now)
    took = []
    for _ in range(5):
        began = time.perf_counter()
        with pytest.raises(TokenAway):
            key.sign(b"x", now)
        took.append(time.perf_counter() - began)
    assert min(took) < 0.05, "who comes meanwhile is told at once"
    with pytest.raises(KeyUnusable):
        Keystore.load(own).check(now)
    lost.bring_back()
    value = key.sign(b"x", now)
    check_signature(key.certificates[0].public_key(), key.algorithm, value, b"x", "")  # type: ignore[arg-type]


def test_a_session_that_the_device_forgot_is_opened_anew(
    device: Device, authority: Authority, own: Path
) -> None:
    key = token_entry(own, device, authority).signing(datetime.now(UTC))
    now = datetime.now(UTC)
    assert key.sign(b"x", now)
    hsm.binding().lib(device.module).reinitialize()
    assert key.sign(b"x", now)


def test_many_threads_share_the_token(device: Device, authority: Authority, own: Path) -> None:
    now = datetime.now(UTC)
    key = token_entry(own, device, authority).signing(now)
    values: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: values.extend(key.sign(b"x", now) for _ in range(20)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(values) == 160
    for value in values:
        check_signature(key.certificates[0].public_key(), key.algorithm, value, b"x", "")  # type: ignore[arg-type]


def test_the_pin_is_nowhere_to_be_seen(
    device: Device, authority: Authority, own: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    store = token_entry(own, device, authority)
    store.check(datetime.now(UTC))
    key = store.signing(datetime.now(UTC))
    shown = [repr(store.generations), repr(key), caplog.text, (own / "keys.toml").read_text()]
    shown += [Path("/proc/self/cmdline").read_text(), Path("/proc/self/environ").read_text()]
    for text in shown:
        assert PIN not in text


# -- URIs ----------------------------------------------------------------------------------------------


def test_a_uri_is_read_part_by_part() -> None:
    uri = read_uri(
        "pkcs11:token=C%20VAN;serial=12;object=sign%3B1;id=%01%FF;type=private;slot-id=7"
        "?module-path=/usr/lib/a%20b.so&pin-source=file:/run/pin"
    )
    assert (uri.token, uri.serial, uri.object, uri.id, uri.slot) == ("C VAN", "12", "sign;1", b"\x01\xff", 7)
    assert (uri.module, uri.pin_source) == ("/usr/lib/a b.so", "file:/run/pin")
    other = read_uri(renamed(uri, "next;2", b"\x02"))
    assert (other.token, other.object, other.id, other.slot) == ("C VAN", "next;2", b"\x02", 7)
    assert (other.module, other.pin_source) == (uri.module, uri.pin_source)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("file:/x", "RFC 7512"),
        ("pkcs11:object=a?module-path=/x&pin-value=4711", "no place in a URI"),
        ("pkcs11:object=a?module-path=x.so", "module-path"),
        ("pkcs11:object=a;object=b?module-path=/x", "twice"),
        ("pkcs11:objekt=a?module-path=/x", "known: token"),
        ("pkcs11:object=a;type=public?module-path=/x", "no private key"),
        ("pkcs11:object=a;slot-id=-1?module-path=/x", "a number"),
        ("pkcs11:object=a?module-path=/x&pin-source=|cat%20/etc/pin", "no program"),
    ],
)
def test_a_uri_that_is_none_says_why_and_quotes_no_pin(text: str, why: str) -> None:
    with pytest.raises(KeyUnusable, match=why) as refused:
        read_uri(text)
    assert "4711" not in str(refused.value)


def test_a_request_is_signed_by_the_token(device: Device, own: Path) -> None:
    for algorithm in ("rsa-2048", "p521", "ed25519"):
        made, _ = making.new(Keystore.load(own), making.Asked("signing", algorithm, device.uri(label())))
        request = x509.load_pem_x509_csr(making.request(made, "CN=Gateway"))
        assert request.is_signature_valid
