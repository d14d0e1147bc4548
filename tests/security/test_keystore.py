"""The keystore: generations by time, files as they come, and changes that a kill leaves whole."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    NoEncryption,
    load_pem_private_key,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.security import Keystore, KeyUnusable
from gateway.security.certificates.authority import Authority
from gateway.security.keystore import inventory, making
from gateway.security.keystore.generation import Generation
from gateway.security.keystore.inventory import Entry
from gateway.security.keystore.keys import Undecipherable

from .signing_kit import NOW, judge, run

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
SECRET = "correct horse battery staple"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("ca"), "Test authority")


@pytest.fixture
def folder(tmp_path: Path, authority: Authority) -> Path:
    """Own keys as an operator lays them down by hand: one to sign with, one for TLS."""
    own = tmp_path / "own"
    own.mkdir(mode=0o700)
    begin, end = NOW - 10 * DAY, NOW + 365 * DAY
    for use, names in (("signing", ()), ("tls", ("localhost",))):
        authority.issue(
            f"CN=Gateway {use}",
            own / f"{use}.key.pem",
            own / f"{use}.crt.pem",
            algorithm="p256",
            server_names=names,
            not_before=begin,
            not_after=end,
        )
    return own


def successor(
    authority: Authority, folder: Path, number: int, begin: datetime, end: datetime, **entry: Any
) -> None:
    """One more signing key, listed in keys.toml."""
    names = f"signing.{number}.key.pem", f"signing.{number}.crt.pem"
    inventory.write(folder, [*inventory.read(folder), Entry("signing", number, *names, **entry)])
    authority.issue(
        f"CN=Gateway signing {number}",
        folder / names[0],
        folder / names[1],
        algorithm="p256",
        not_before=begin,
        not_after=end,
    )


def number_of(store: Keystore, now: datetime) -> int:
    return store.active("signing", now).entry.generation


def issued(authority: Authority, generation: Generation, **validity: datetime) -> x509.Certificate:
    assert generation.private is not None
    return authority.certify(generation.private.public_key(), "CN=Gateway", **validity)  # type: ignore[arg-type]


# -- generations by time -------------------------------------------------------------------------------


def test_files_under_their_plain_names_need_no_list(folder: Path) -> None:
    store = Keystore.load(folder)
    store.check(NOW)
    assert store.signing(NOW).signer.subject == "CN=Gateway signing"
    assert store.tls(NOW).certificates[0].subject.rfc4514_string() == "CN=Gateway tls"
    assert not (folder / "keys.toml").exists()


def test_a_successor_takes_over_at_its_moment_without_being_told(authority: Authority, folder: Path) -> None:
    moment = NOW + 3 * DAY
    successor(authority, folder, 2, NOW - DAY, NOW + 400 * DAY, activates_at=moment)
    store = Keystore.load(folder)
    assert [number_of(store, NOW + d) for d in (0 * DAY, 3 * DAY - timedelta(seconds=1))] == [1, 1]
    assert [number_of(store, t) for t in (moment, moment + DAY)] == [2, 2]
    assert number_of(store, NOW) == 1, "a clock that was put back is believed"
    assert store.states(NOW)["signing", 2] == "waiting"
    assert store.states(moment)["signing", 1] == "superseded"


def test_without_a_moment_the_certificate_s_beginning_counts(authority: Authority, folder: Path) -> None:
    successor(authority, folder, 2, NOW + DAY, NOW + 400 * DAY)
    store = Keystore.load(folder)
    assert [number_of(store, NOW), number_of(store, NOW + DAY)] == [1, 2]


def test_a_moment_before_the_certificate_begins_waits_for_it(authority: Authority, folder: Path) -> None:
    successor(authority, folder, 2, NOW + DAY, NOW + 400 * DAY, activates_at=NOW - DAY)
    assert number_of(Keystore.load(folder), NOW) == 1


def test_where_the_newest_has_expired_an_older_one_goes_on(authority: Authority, folder: Path) -> None:
    successor(authority, folder, 2, NOW - DAY, NOW + DAY)
    store = Keystore.load(folder)
    assert [number_of(store, NOW), number_of(store, NOW + 2 * DAY)] == [2, 1]
    assert store.states(NOW + 2 * DAY)["signing", 2] == "expired"


def test_a_retired_key_signs_no_more_and_its_certificate_stays(authority: Authority, folder: Path) -> None:
    successor(authority, folder, 2, NOW - DAY, NOW + 400 * DAY, retired_at=NOW + DAY)
    store = Keystore.load(folder)
    assert [number_of(store, NOW), number_of(store, NOW + DAY)] == [2, 1]
    assert store.states(NOW + DAY)["signing", 2] == "retired"
    assert store.of("signing")[1].certificates[0].subject.rfc4514_string() == "CN=Gateway signing 2"


@pytest.mark.parametrize(("days", "why"), [(400, "expired"), (-20, "waiting")])
def test_where_no_key_s_time_it_is_that_is_said(folder: Path, days: int, why: str) -> None:
    with pytest.raises(KeyUnusable, match=rf"signing 1: {why}.*cvan keys list"):
        Keystore.load(folder).signing(NOW + days * DAY)


def test_tls_goes_on_with_what_has_expired(folder: Path) -> None:
    assert Keystore.load(folder).tls(NOW + 400 * DAY).certificates


def test_without_any_key_the_command_is_named(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir(mode=0o700)
    with pytest.raises(KeyUnusable, match="cvan keys new --use tls"):
        Keystore.load(tmp_path / "own").check(NOW)


MOMENTS = st.integers(-50, 50).map(lambda hours: NOW + timedelta(hours=hours))


def reference(generations: list[Generation], now: datetime) -> int | None:
    """The rule in one line, without memory."""
    return max((g.entry.generation for g in generations if g.activates_at <= now < g.ends_at), default=None)


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_what_is_remembered_of_a_choice_changes_no_choice(
    made: list[Generation], data: st.DataObject
) -> None:
    windows = st.tuples(st.none() | MOMENTS, st.none() | MOMENTS)
    generations = []
    for known in made[: data.draw(st.integers(1, len(made)))]:
        at, gone = data.draw(windows)
        entry = Entry(
            "signing", known.entry.generation, known.entry.key, known.entry.certificate, "pkcs1", "", at, gone
        )
        generations.append(Generation(entry, known.certificates, known.private))
    store = Keystore(Path(), tuple(generations))
    for now in data.draw(st.lists(MOMENTS, max_size=12)):
        wanted = reference(generations, now)
        if wanted is None:
            with pytest.raises(KeyUnusable):
                store.active("signing", now)
        else:
            assert number_of(store, now) == wanted


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> list[Generation]:
    own = tmp_path_factory.mktemp("made")
    own.chmod(0o700)
    for number, hours in ((2, -30), (3, 10), (4, -5)):
        begin = NOW + timedelta(hours=hours)
        successor(authority, own, number, begin, begin + timedelta(hours=30))
    return list(Keystore.load(own).generations)


def test_how_long_it_lasts_counts_successors_and_stops_at_a_gap(authority: Authority, folder: Path) -> None:
    assert Keystore.load(folder).covered_until("signing", NOW) == NOW + 365 * DAY
    successor(authority, folder, 2, NOW - DAY, NOW + 500 * DAY, activates_at=NOW + 300 * DAY)
    successor(authority, folder, 3, NOW + 600 * DAY, NOW + 900 * DAY)
    store = Keystore.load(folder)
    assert store.covered_until("signing", NOW) == NOW + 500 * DAY
    assert store.covered_until("decryption", NOW) is None


# -- keys.toml -----------------------------------------------------------------------------------------

NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
TIMES = st.none() | st.integers(946_684_800, 4_102_444_800).map(
    lambda seconds: datetime.fromtimestamp(seconds, UTC)
)
ENTRIES = st.lists(
    st.builds(
        Entry,
        st.sampled_from(["signing", "decryption"]),
        st.integers(1, 9_999),
        key=NAMES,
        certificate=NAMES,
        padding=st.sampled_from(["pkcs1", "pss"]),
        passphrase_file=NAMES,
        activates_at=TIMES,
        retired_at=TIMES,
    ),
    unique_by=lambda e: (e.use, e.generation),
    max_size=5,
)


@given(entries=ENTRIES)
@settings(max_examples=100, deadline=None)
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, entries: list[Entry]) -> None:
    own = tmp_path_factory.mktemp("own")
    own.chmod(0o700)
    inventory.write(own, entries)
    assert sorted(inventory.read(own), key=repr) == sorted(entries, key=repr)
    assert stat.S_IMODE((own / "keys.toml").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[[key]", "keys.toml"),
        ('[[key]]\nuse = "signing"\nkey = "k"', "generation"),
        ('[[key]]\nuse = "sign"\ngeneration = 1\nkey = "k"', "use"),
        ('[[key]]\nuse = "signing"\ngeneration = 0\nkey = "k"', "generation"),
        ('[[key]]\nuse = "signing"\ngeneration = 1\nkey = "k"\npin = "1234"', "pin"),
        (
            '[[key]]\nuse = "signing"\ngeneration = 1\nkey = "k"\nactivates_at = 2027-01-01T00:00:00',
            "need a zone",
        ),
        ('[[key]]\nuse = "signing"\ngeneration = 1\nkey = "k"\n' * 2, "twice"),
        ('[[key]]\nuse = "tls"\ngeneration = 1\nkey = "pkcs11:object=x"', "TLS keys are files"),
    ],
)
def test_a_list_that_is_broken_is_refused_with_its_place(folder: Path, text: str, why: str) -> None:
    (folder / "keys.toml").write_text(text)
    with pytest.raises(KeyUnusable, match=why):
        Keystore.load(folder)


def test_a_folder_that_others_may_write_in_is_refused(folder: Path) -> None:
    folder.chmod(0o770)
    with pytest.raises(KeyUnusable, match="chmod 700"):
        Keystore.load(folder)


def test_a_change_of_the_list_is_seen_and_a_broken_one_told_once(authority: Authority, folder: Path) -> None:
    store = Keystore.load(folder)
    assert store.renewed(NOW) is store
    successor(authority, folder, 2, NOW - DAY, NOW + 400 * DAY)
    newer = store.renewed(NOW)
    assert (number_of(store, NOW), number_of(newer, NOW)) == (1, 2)
    (folder / "keys.toml").write_text("broken [")
    with pytest.raises(KeyUnusable):
        newer.renewed(NOW)
    for seconds in range(60):
        assert newer.renewed(NOW + timedelta(seconds=seconds)) is newer


def test_a_new_key_that_cannot_be_used_yet_is_taken_up_once_it_can(
    authority: Authority, folder: Path
) -> None:
    """Told at once and looked at again: nothing in keys.toml changes when a file's mode is mended."""
    store = Keystore.load(folder)
    successor(authority, folder, 2, NOW - DAY, NOW + 400 * DAY)
    key = folder / "signing.2.key.pem"
    key.chmod(0o644)
    waiting = store.renewed(NOW)
    assert number_of(waiting, NOW) == 1
    assert "signing 2: " in waiting.trouble
    assert "chmod 600" in waiting.trouble
    for seconds in range(60):
        assert waiting.renewed(NOW + timedelta(seconds=seconds)) is waiting, "told once"
    key.chmod(0o600)
    later = NOW + timedelta(seconds=120)
    mended = waiting.renewed(later)
    assert (number_of(mended, later), mended.trouble) == (2, "")
    assert not mended.changed(later + DAY)


def test_a_key_is_retired_although_its_successor_cannot_be_used(authority: Authority, folder: Path) -> None:
    """A stolen key signs no more from the command on, whatever becomes of the next one."""
    store = Keystore.load(folder)
    successor(authority, folder, 2, NOW - DAY, NOW + 400 * DAY)
    (folder / "signing.2.key.pem").chmod(0o644)
    making.retired(Keystore.load(folder), "signing", 1, NOW, forced=True)
    renewed = store.renewed(NOW)
    with pytest.raises(KeyUnusable, match=r"signing 1: retired; signing 2: .*chmod 600"):
        renewed.signing(NOW)
    (folder / "signing.2.key.pem").chmod(0o600)
    assert number_of(renewed.renewed(NOW + MINUTE), NOW + MINUTE) == 2


def test_a_key_that_cannot_be_read_any_more_goes_on_from_memory(authority: Authority, folder: Path) -> None:
    successor(authority, folder, 2, NOW - DAY, NOW + 400 * DAY)
    store = Keystore.load(folder)
    (folder / "signing.2.key.pem").write_bytes(b"broken")
    kept = store.reread(NOW)
    assert number_of(kept, NOW) == 2
    assert kept.signing(NOW).sign(b"x", NOW)
    assert "signing 2: " in kept.trouble


def test_a_key_that_left_the_list_goes_on_until_what_came_instead_can_be_used(
    authority: Authority, folder: Path
) -> None:
    store = Keystore.load(folder)
    successor(authority, folder, 2, NOW - DAY, NOW + 400 * DAY)
    inventory.write(folder, [e for e in inventory.read(folder) if e.name != "signing 1"])
    (folder / "signing.2.key.pem").chmod(0o644)
    kept = store.renewed(NOW)
    assert number_of(kept, NOW) == 1
    (folder / "signing.2.key.pem").chmod(0o600)
    assert [g.entry.name for g in kept.renewed(NOW + MINUTE).of("signing")] == ["signing 2"]


def test_a_folder_that_is_mended_is_read_again(authority: Authority, folder: Path) -> None:
    store = Keystore.load(folder)
    successor(authority, folder, 2, NOW - DAY, NOW + 400 * DAY)
    folder.chmod(0o770)
    with pytest.raises(KeyUnusable, match="chmod 700"):
        store.renewed(NOW)
    folder.chmod(0o700)
    assert number_of(store.renewed(NOW + MINUTE), NOW + MINUTE) == 2


def test_a_list_that_is_lost_brings_no_retired_key_back(authority: Authority, folder: Path) -> None:
    successor(authority, folder, 2, NOW - DAY, NOW + 400 * DAY)
    making.retired(Keystore.load(folder), "signing", 1, NOW)
    store = Keystore.load(folder)
    (folder / "keys.toml").unlink()
    with pytest.raises(KeyUnusable, match=r"keys\.toml is missing, but signing\.2\..* backup"):
        Keystore.load(folder)
    with pytest.raises(KeyUnusable, match="is missing"):
        store.renewed(NOW)
    assert store.renewed(NOW) is store
    assert number_of(store, NOW) == 2


# -- files ---------------------------------------------------------------------------------------------


def fault(folder: Path, use: str = "signing") -> str:
    (generation,) = (g for g in Keystore.load(folder).generations if g.entry.use == use)
    return generation.fault


def test_a_key_of_another_certificate_is_refused(folder: Path) -> None:
    (folder / "tls.key.pem").replace(folder / "signing.key.pem")
    assert "not the certificate of signing.key.pem" in fault(folder)
    with pytest.raises(KeyUnusable, match=r"signing 1: .*not the certificate"):
        Keystore.load(folder).check(NOW)


def test_a_broken_key_that_waits_stops_nothing(authority: Authority, folder: Path) -> None:
    successor(authority, folder, 2, NOW - DAY, NOW + 400 * DAY, activates_at=NOW + DAY)
    (folder / "signing.2.key.pem").write_bytes(b"broken")
    store = Keystore.load(folder)
    store.check(NOW)
    assert store.states(NOW)["signing", 2] == "broken"
    with pytest.raises(KeyUnusable, match="signing 2"):
        store.check(NOW + DAY)
    assert number_of(store, NOW + DAY) == 1, "what runs goes on with the key that works"


def test_a_link_is_as_good_as_what_it_leads_to(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "mounted.pem"
    (folder / "signing.key.pem").rename(target)
    (folder / "signing.key.pem").symlink_to(target)
    assert fault(folder) == ""
    target.chmod(0o644)
    assert "wider than 0600; do: chmod 600" in fault(folder)


def test_a_link_is_replaced_and_what_it_led_to_is_left_alone(tmp_path: Path) -> None:
    victim, link = tmp_path / "victim", tmp_path / "link"
    victim.write_text("precious")
    link.symlink_to(victim)
    making.write_private(link, b"new")
    assert (victim.read_text(), link.read_text(), link.is_symlink()) == ("precious", "new", False)


def test_a_pipe_in_a_key_s_place_holds_nothing_up(folder: Path) -> None:
    (folder / "signing.key.pem").unlink()
    os.mkfifo(folder / "signing.key.pem", 0o600)
    assert "not a regular file" in fault(folder)


def lock(folder: Path, passphrase: str = SECRET) -> None:
    """The signing key's file, encrypted by openssl."""
    key = folder / "signing.key.pem"
    tool = judge("openssl")
    locked = subprocess.run(
        [tool, "pkey", "-in", str(key), "-aes256", "-passout", "stdin"],
        input=passphrase.encode() + b"\n",
        capture_output=True,
        check=True,
    )
    key.write_bytes(locked.stdout)


def listed(folder: Path, **fields: Any) -> None:
    key, certificate = fields.pop("key", "signing.key.pem"), fields.pop("certificate", "signing.crt.pem")
    inventory.write(folder, [Entry("signing", 1, key, certificate, **fields)])


def secret(path: Path, text: str = SECRET, mode: int = 0o600) -> str:
    path.write_text(f"{text}\n")
    path.chmod(mode)
    return str(path)


def test_an_encrypted_key_is_opened_by_a_passphrase_from_a_file(folder: Path, tmp_path: Path) -> None:
    lock(folder)
    assert "encrypted; name its passphrase_file" in fault(folder)
    listed(folder, passphrase_file=secret(tmp_path / "pass"))
    store = Keystore.load(folder)
    assert store.signing(NOW).sign(b"x", NOW)
    listed(folder, passphrase_file=secret(tmp_path / "pass", "wrong"))
    assert "or the passphrase is wrong" in fault(folder)
    listed(folder, passphrase_file=secret(tmp_path / "pass", mode=0o644))
    assert "wider than 0600" in fault(folder)
    listed(folder, passphrase_file=str(tmp_path / "none"))
    assert "no readable secret" in fault(folder)
    listed(folder, passphrase_file=secret(tmp_path / "pass", ""))
    assert "first line is empty" in fault(folder)


def test_a_passphrase_for_a_key_without_one_is_told(folder: Path, tmp_path: Path) -> None:
    listed(folder, passphrase_file=secret(tmp_path / "pass"))
    assert "not encrypted" in fault(folder)


def test_systemd_hands_a_passphrase_over(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock(folder)
    listed(folder, passphrase_file="credential:signing")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert "LoadCredential=" in fault(folder)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    secret(tmp_path / "signing", mode=0o440)  # an access list shows as bits of the group
    assert fault(folder) == ""
    listed(folder, passphrase_file="credential:../../etc/passwd")
    assert "no readable secret" in fault(folder)


def pkcs12(
    folder: Path,
    certificates: list[x509.Certificate],
    *,
    own: x509.Certificate | None,
    password: bytes | None = SECRET.encode(),
    key: bool = True,
) -> None:
    private: Any = load_pem_private_key((folder / "signing.key.pem").read_bytes(), None)
    encryption = NoEncryption() if password is None else BestAvailableEncryption(password)
    bundle = serialize_key_and_certificates(b"x", private if key else None, own, certificates, encryption)
    making.write_private(folder / "signing.p12", bundle)


def test_a_pkcs12_file_holds_key_and_chain_in_any_order(
    authority: Authority, folder: Path, tmp_path: Path
) -> None:
    (own,) = making.read_certificates(folder / "signing.crt.pem")
    (other,) = making.read_certificates(folder / "tls.crt.pem")
    pkcs12(folder, [other, authority.certificate, own], own=None)
    listed(folder, key="signing.p12", certificate="", passphrase_file=secret(tmp_path / "pass"))
    store = Keystore.load(folder)
    assert store.signing(NOW).certificates == (own, authority.certificate)
    listed(folder, key="signing.p12", certificate="", passphrase_file=secret(tmp_path / "pass", "wrong"))
    assert "passphrase is wrong" in fault(folder)
    listed(folder, key="signing.p12", certificate="")
    assert fault(folder)


def test_a_pkcs12_file_without_a_password(folder: Path) -> None:
    (own,) = making.read_certificates(folder / "signing.crt.pem")
    pkcs12(folder, [], own=own, password=None)
    listed(folder, key="signing.p12", certificate="")
    assert Keystore.load(folder).signing(NOW).sign(b"x", NOW)


@pytest.mark.parametrize("broken", ["no key", "no certificate", "another's certificate", "cut short"])
def test_a_pkcs12_file_that_is_of_no_use_says_why(folder: Path, tmp_path: Path, broken: str) -> None:
    (own,) = making.read_certificates(folder / "signing.crt.pem")
    (other,) = making.read_certificates(folder / "tls.crt.pem")
    if broken == "no key":
        pkcs12(folder, [own], own=None, key=False)
    else:
        pkcs12(folder, [other] if "another" in broken else [], own=own if broken == "cut short" else None)
    if broken == "cut short":
        octets = (folder / "signing.p12").read_bytes()
        making.write_private(folder / "signing.p12", octets[:-40])
    listed(folder, key="signing.p12", certificate="", passphrase_file=secret(tmp_path / "pass"))
    store = Keystore.load(folder)
    (generation,) = store.of("signing")
    assert not generation.usable
    assert generation.fault or store.states(NOW)["signing", 1] == "awaits certificate"


def test_openssl_s_pkcs12_is_read(folder: Path, tmp_path: Path) -> None:
    tool, passphrase = judge("openssl"), secret(tmp_path / "pass")
    made = run(
        tool,
        *("pkcs12", "-export", "-inkey", folder / "signing.key.pem", "-in", folder / "signing.crt.pem"),
        *("-out", folder / "signing.pfx", "-passout", f"file:{passphrase}"),
    )
    assert made.returncode == 0
    listed(folder, key="signing.pfx", certificate="", passphrase_file=passphrase)
    assert fault(folder) == ""


def test_nothing_that_is_said_of_a_key_holds_a_secret(folder: Path, tmp_path: Path) -> None:
    lock(folder)
    listed(folder, passphrase_file=secret(tmp_path / "pass"))
    store = Keystore.load(folder)
    for value in (store.generations, store.signing(NOW), store.tls(NOW) if store.of("tls") else store):
        assert SECRET not in repr(value)
        assert "PRIVATE" not in repr(value)
        assert "private" not in repr(value).replace("'private", "")
    with pytest.raises(TypeError):
        __import__("pickle").dumps(store.signing(NOW))


# -- decryption ----------------------------------------------------------------------------------------


def test_retired_keys_still_decrypt(authority: Authority, folder: Path) -> None:
    store = Keystore.load(folder)
    for _ in range(2):
        made, store = making.new(store, making.Asked("decryption", "rsa-2048"))
        made, store = making.certified(
            store, "decryption", (issued(authority, made, not_before=NOW - DAY, not_after=NOW + 9_999 * DAY),)
        )
    old = store.of("decryption")[0].certificates[0]
    scheme = OAEP(MGF1(SHA256()), SHA256(), None)
    wrapped = old.public_key().encrypt(b"content key", scheme)  # type: ignore[union-attr]
    store = making.retired(store, "decryption", 1, NOW)
    newest, retired = store.decrypting()
    assert store.encrypting(NOW) == newest.certificates[0]
    assert retired.decrypt(wrapped) == b"content key"
    texts = set()
    for damaged in (wrapped[:-1], wrapped[:-1] + bytes([wrapped[-1] ^ 1]), b"", wrapped * 2):
        with pytest.raises(Undecipherable) as refused:
            retired.decrypt(damaged)
        texts.add(str(refused.value))
    with pytest.raises(Undecipherable):
        newest.decrypt(wrapped)
    assert len(texts) == 1, "one text for every reason"


# -- making --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", making.ALGORITHMS)
def test_a_key_is_made_requested_certified_and_signs(
    authority: Authority, folder: Path, algorithm: str
) -> None:
    if algorithm == "rsa-4096":
        pytest.skip("takes seconds; rsa-3072 is made the same way")
    store = Keystore.load(folder)
    made, store = making.new(store, making.Asked("signing", algorithm))
    assert store.states(NOW)["signing", 2] == "awaits certificate"
    request = x509.load_pem_x509_csr(making.request(made, "CN=Gateway,O=Customs,C=VN"))
    assert request.is_signature_valid
    assert request.subject.rfc4514_string() == "CN=Gateway,O=Customs,C=VN"
    own = authority.certify(request.public_key(), "CN=Gateway", not_before=NOW - DAY, not_after=NOW + DAY)  # type: ignore[arg-type]
    later = datetime.now(UTC) + DAY
    own = authority.certify(request.public_key(), "CN=Gateway", not_before=NOW - DAY, not_after=later)  # type: ignore[arg-type]
    made, store = making.certified(store, "signing", (authority.certificate, own))
    key = store.signing(NOW)
    assert key.certificates == (own, authority.certificate)
    assert making.algorithm_of(made) == algorithm
    assert key.sign(b"x", NOW)


def test_openssl_reads_the_request(folder: Path, tmp_path: Path) -> None:
    tool = judge("openssl")
    made, _ = making.new(Keystore.load(folder), making.Asked("tls", "p256"))
    (tmp_path / "csr").write_bytes(
        making.request(made, "CN=gateway.example", ("gateway.example", "10.0.0.1"))
    )
    said = run(tool, "req", "-in", tmp_path / "csr", "-verify", "-noout", "-text").stdout
    text = said if isinstance(said, str) else said.decode()
    assert "DNS:gateway.example, IP Address:10.0.0.1" in text
    assert "TLS Web Server Authentication, TLS Web Client Authentication" in text


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (making.Asked("tls", "ed25519"), "not for tls"),
        (making.Asked("decryption", "ed25519"), "not for decryption"),
        (making.Asked("tls", "p256", uri="pkcs11:object=x?module-path=/x"), "TLS keys are files"),
        (making.Asked("signing", "p256", uri="pkcs11:object=x?module-path=/x&pin-value=1234"), "pin-source"),
        (making.Asked("signing", "p256", uri="pkcs11:object=x"), "module-path"),
        (making.Asked("signing", "p256", uri="pkcs11:token=x?module-path=/x"), "names no key"),
        (making.Asked("signing", "p256", uri="pkcs11:object=x?module-path=/nowhere.so"), "no such file"),
        (making.Asked("signing", "p256", passphrase_file="/nowhere"), "no readable secret"),
    ],
)
def test_what_cannot_be_made_is_refused_and_changes_nothing(
    folder: Path, asked: making.Asked, why: str
) -> None:
    before = sorted(folder.iterdir())
    with pytest.raises(KeyUnusable, match=why) as refused:
        making.new(Keystore.load(folder), asked)
    assert "1234" not in str(refused.value)
    assert sorted(folder.iterdir()) == before


def test_a_certificate_of_no_key_here_is_refused(authority: Authority, folder: Path) -> None:
    with pytest.raises(KeyUnusable, match="of none of the signing keys"):
        making.certified(Keystore.load(folder), "signing", (authority.certificate,))


def test_an_expired_certificate_is_not_taken_in(authority: Authority, folder: Path) -> None:
    made, store = making.new(Keystore.load(folder), making.Asked("signing", "p256"))
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    old = issued(authority, made, not_before=long_ago, not_after=long_ago + DAY)
    with pytest.raises(KeyUnusable, match="expired"):
        making.certified(store, "signing", (old,))


def test_a_renewed_certificate_of_the_same_key_leaves_the_old_for_evidence(
    authority: Authority, folder: Path
) -> None:
    store = Keystore.load(folder)
    renewed = issued(
        authority, store.of("signing")[0], not_before=NOW - DAY, not_after=datetime.now(UTC) + 900 * DAY
    )
    _, store = making.certified(store, "signing", (renewed,))
    assert [g.entry.key for g in store.of("signing")] == ["signing.key.pem"] * 2
    assert store.signing(NOW).certificates == (renewed,)
    with pytest.raises(KeyUnusable, match="has it already"):
        making.certified(store, "signing", (renewed,))


def test_the_last_key_is_retired_by_force_only(folder: Path) -> None:
    store = Keystore.load(folder)
    with pytest.raises(KeyUnusable, match=r"last signing key.*cvan keys rotate"):
        making.retired(store, "signing", 1, NOW)
    store = making.retired(store, "signing", 1, NOW, forced=True)
    with pytest.raises(KeyUnusable, match="retired"):
        store.signing(NOW)


def test_a_key_file_is_never_open_to_others_not_even_for_a_moment(folder: Path, tmp_path: Path) -> None:
    """Watched while keys are made, without any help of the umask."""
    seen: set[tuple[str, int]] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            for entry in os.scandir(folder):
                try:
                    seen.add((entry.name, stat.S_IMODE(entry.stat(follow_symlinks=False).st_mode)))
                except FileNotFoundError:
                    continue

    watcher = threading.Thread(target=watch)
    before = os.umask(0)
    watcher.start()
    try:
        store = Keystore.load(folder)
        for _ in range(60):
            _, store = making.new(store, making.Asked("signing", "p256"))
    finally:
        over.set()
        watcher.join()
        os.umask(before)
    secrets = {(name, mode) for name, mode in seen if "key" in name}
    assert len(secrets) > 60
    assert {mode for _, mode in secrets} == {0o600}


def test_a_change_that_is_killed_at_any_step_leaves_a_keystore_that_works(
    authority: Authority, folder: Path, tmp_path: Path
) -> None:
    """SIGKILL at the first, second, ... file that a rotation touches, until one gets through."""
    codes = []
    while not codes or codes[-1] != 0:
        assert len(codes) < 100
        own = Path(shutil.copytree(folder, tmp_path / f"own{len(codes)}"))
        codes.append(in_child(lambda own=own: rotation(authority, own, len(codes) + 1)))  # type: ignore[misc]
        usable(own)
        assert in_child(lambda own=own: rotation(authority, own, 0)) == 0, "the next one gets through"  # type: ignore[misc]
        store = usable(own)
        assert store.of("signing")[-1] is store.active("signing", NOW)
    assert len(codes) > 10
    assert set(codes[:-1]) == {-signal.SIGKILL}


def usable(folder: Path) -> Keystore:
    store = Keystore.load(folder)
    store.check(NOW)
    assert store.signing(NOW).sign(b"x", NOW)
    assert not [g.fault for g in store.generations if g.fault]
    return store


def rotation(authority: Authority, folder: Path, step: int) -> None:
    left = [step]

    def count(event: str, arguments: tuple[object, ...]) -> None:
        if event in ("open", "os.rename") and str(folder) in str(arguments[0]):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    with inventory.changing(folder):
        store = Keystore.load(folder)
        asked = making.rotated(store, "signing", NOW)
        made, store = making.new(store, asked)
        validity = {"not_before": NOW - DAY, "not_after": datetime.now(UTC) + DAY}
        making.certified(store, "signing", (issued(authority, made, **validity),))


def in_child(work: Callable[[], None]) -> int:
    """The exit code of a copy of this process that does the work; negative: the signal that ended it."""
    child = os.fork()
    if not child:
        try:
            work()
        except BaseException:  # noqa: BLE001 - a test's child must not go on as a test
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_two_changes_at_once_come_one_after_the_other(folder: Path) -> None:
    def make() -> None:
        with inventory.changing(folder):
            making.new(Keystore.load(folder), making.Asked("signing", "p256"))

    children = []
    for _ in range(4):
        child = os.fork()
        if not child:
            make()
            os._exit(0)
        children.append(child)
    assert {os.waitpid(child, 0)[1] for child in children} == {0}
    assert [g.entry.generation for g in Keystore.load(folder).of("signing")] == [1, 2, 3, 4, 5]
