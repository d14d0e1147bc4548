"""`cvan keys`: every step of a key's life by the command, and what it says when it cannot."""

from __future__ import annotations

import json
import shutil
import signal
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.operations import home as homes
from gateway.operations import settings
from gateway.security import Keystore
from gateway.security.keystore import making
from tests.operations.shell import cvan, cvan_alone

Keys = list[dict[str, object]]


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A home for work: no development authority, no keys."""
    homes.create(tmp_path / "bare", development=False)
    return tmp_path / "bare"


def listed(home: Path, use: str = "signing") -> Keys:
    return [k for k in cvan("keys", "list", "--json", home=home).json() if k["use"] == use]


def own(home: Path) -> Path:
    return home / "keystore" / "own"


def openssl(*arguments: object, **more: object) -> str:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, **more)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def certified(folder: Path, request: Path) -> Path:
    """What a public authority, played by openssl, makes of a request: the certificate and its issuer's."""
    ca = folder / "ca.pem"
    if not ca.exists():
        new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        openssl(
            "req", "-x509", *new, "-keyout", folder / "ca.key", "-out", ca, "-days", 900, "-subj", "/CN=CA"
        )
    shown = folder / f"{request.name}.crt"
    given = ("-CA", ca, "-CAkey", folder / "ca.key", "-days", 400, "-copy_extensions", "copy")
    openssl("x509", "-req", "-in", request, *given, "-out", shown)
    chain = folder / f"{request.name}.chain.pem"
    chain.write_bytes(ca.read_bytes() + shown.read_bytes())  # in the wrong order, as authorities send it
    return chain


def test_a_home_without_an_authority_gets_its_keys_by_request(bare: Path, tmp_path: Path) -> None:
    told = cvan("keys", "list", home=bare)
    assert (told.code, "cvan keys new --use signing" in told.text) == (1, True)
    for use, more in (("signing", ()), ("tls", ("--name", "gateway.example"))):
        made = cvan("keys", "new", "--use", use, *more, "--json", home=bare)
        assert made.code == 0, made.err
        request = Path(made.json()["request"])
        assert stat.S_IMODE(request.stat().st_mode) & 0o600 == 0o600
        assert listed(bare, use)[0]["state"] == "awaits certificate"
        chain = certified(tmp_path, request)
        taken = cvan("keys", "import", "--use", use, chain, home=bare)
        assert (taken.code, f"{use} 1: active" in taken.text) == (0, True), taken.err
    (key,) = listed(bare, "tls")
    assert (key["subject"], key["days_left"]) == ("CN=gateway.example,O=Customs gateway,C=VN", 399)
    settings.checked_keystore(bare, settings.load(bare))
    assert cvan("keys", "list", home=bare).code == 0


def test_a_rotation_waits_for_its_certificate_and_its_moment(home: Path, tmp_path: Path) -> None:
    at = (datetime.now(UTC) + timedelta(days=5)).replace(microsecond=0)
    made = cvan("keys", "rotate", "--use", "signing", "--csr", "--at", at.isoformat(), "--json", home=home)
    request = Path(made.json()["request"])
    assert [k["state"] for k in listed(home)] == ["active", "awaits certificate"]
    assert "CN = Gateway signing" in openssl("req", "-in", request, "-noout", "-subject", "-verify")
    assert cvan("keys", "import", "--use", "signing", certified(tmp_path, request), home=home).code == 0
    first, second = listed(home)
    assert (first["state"], second["state"]) == ("active", "waiting")
    assert (second["algorithm"], second["subject"]) == ("rsa-2048", first["subject"])
    store = Keystore.load(own(home))
    assert store.signing(at).signer.fingerprint == second["fingerprint"]
    assert store.signing(at - timedelta(seconds=1)).signer.fingerprint == first["fingerprint"]


def test_with_a_development_authority_a_rotation_is_whole(home: Path) -> None:
    assert cvan("keys", "rotate", "--use", "tls", "--algorithm", "p256", home=home).code == 0
    assert [k["state"] for k in listed(home, "tls")] == ["superseded", "active"]
    (name, names) = making.subject_and_names(Keystore.load(own(home)).tls(datetime.now(UTC)).certificates[0])
    assert (name, names) == ("CN=localhost,O=Customs gateway,C=VN", ("localhost", "127.0.0.1"))
    assert not list(own(home).glob("*.csr.pem"))


def test_a_csr_again_and_to_a_file(home: Path, tmp_path: Path) -> None:
    printed = cvan("keys", "csr", "--use", "signing", "--subject", "CN=Other,C=VN", home=home)
    assert "CN = Other" in openssl("req", "-noout", "-subject", input=printed.text)
    assert cvan("keys", "csr", "--use", "tls", "-o", tmp_path / "x", home=home).code == 0
    assert "DNS:localhost" in openssl("req", "-in", tmp_path / "x", "-noout", "-text")


def test_a_pkcs12_file_is_taken_in_as_it_is(home: Path, tmp_path: Path) -> None:
    passphrase = tmp_path / "pass"
    passphrase.write_text("p12-secret-4711\n")
    passphrase.chmod(0o600)
    bundle = tmp_path / "from elsewhere.p12"
    files = ("-inkey", own(home) / "signing.key.pem", "-in", own(home) / "signing.crt.pem")
    openssl("pkcs12", "-export", *files, "-out", bundle, "-passout", f"file:{passphrase}")
    bundle.chmod(0o644)
    open_to_all = cvan("keys", "import", "--use", "signing", bundle, home=home)
    assert (open_to_all.code, "chmod 600" in open_to_all.err) == (2, True)
    bundle.chmod(0o600)
    without = cvan("keys", "import", "--use", "signing", bundle, home=home)
    assert without.code == 2
    taken = cvan("keys", "import", "--use", "signing", bundle, "--passphrase-file", passphrase, home=home)
    assert taken.code == 0, taken.err
    assert (own(home) / "signing.2.p12").read_bytes() == bundle.read_bytes()
    assert stat.S_IMODE((own(home) / "signing.2.p12").stat().st_mode) == 0o600
    assert listed(home)[1]["state"] == "active"
    for text in (taken.text, taken.err, without.err, (own(home) / "keys.toml").read_text()):
        assert "4711" not in text


def test_a_key_from_elsewhere_with_its_certificate(home: Path, tmp_path: Path) -> None:
    authority = homes.authority(home)
    key, shown = tmp_path / "k.pem", tmp_path / "c.pem"
    authority.issue("CN=Elsewhere", key, shown, algorithm="p256")
    taken = cvan("keys", "import", "--use", "signing", "--key", key, shown, home=home)
    assert taken.code == 0, taken.err
    assert listed(home)[1]["subject"] == "CN=Elsewhere"
    other = own(home) / "tls.crt.pem"
    refused = cvan("keys", "import", "--use", "signing", "--key", key, other, home=home)
    assert (refused.code, "is not of this key" in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("new", "--use", "tls", "--algorithm", "ed25519"), "choose one of"),
        (("new", "--use", "signing", "--hsm", "pkcs11:object=x?module-path=/x&pin-value=99"), "pin-source"),
        (("new", "--use", "signing", "--subject", "Gateway"), "is no subject like"),
        (("rotate", "--use", "decryption"), "cvan keys new --use decryption"),
        (("rotate", "--use", "signing", "--at", "tomorrow"), "2027-01-31"),
        (("rotate", "--use", "signing", "--at", "2027-01-31T00:00:00"), "zone"),
        (("rotate", "--use", "signing", "--at", "2026-01-31"), "has passed"),
        (("retire", "--use", "signing", "--generation", "7"), "cvan keys list"),
        (("retire", "--use", "signing", "--generation", "1"), "cvan keys rotate"),
        (("csr", "--use", "signing", "--generation", "9"), "cvan keys list"),
        (("import", "--use", "signing"), "say what to import"),
    ],
)
def test_what_cannot_be_done_says_what_can(home: Path, arguments: tuple[str, ...], why: str) -> None:
    said = cvan("keys", *arguments, home=home)
    assert (said.code, why in said.err) == (2, True), said.err
    assert "Traceback" not in said.err
    assert "99" not in said.err


def test_what_is_broken_or_ends_soon_is_listed_and_alarms(home: Path) -> None:
    authority = homes.authority(home)
    soon = datetime.now(UTC) + timedelta(days=6)
    files = own(home) / "signing.key.pem", own(home) / "signing.crt.pem"
    authority.issue("CN=Soon", *files, not_after=soon)
    said = cvan("keys", "list", home=home)
    assert (said.code, "cvan keys rotate --use signing" in said.text) == (1, True)
    assert listed(home)[0]["warning"] == 7
    files[0].chmod(0o644)
    said = cvan("keys", "list", home=home)
    assert (said.code, "broken" in said.text, "chmod 600" in said.text) == (1, True, True)


OLD = "\n".join(f'{name} = "{path}"' for name, path in settings.OLD_PATHS.items())


def test_a_home_from_before_works_as_it_is(home: Path) -> None:
    """Homes made earlier say in gateway.toml where each file is: where it is looked for anyway."""
    conf = home / "conf" / "gateway.toml"
    conf.write_text(conf.read_text().replace('own = "keystore/own"\n', OLD + "\n"))
    assert settings.signing_key(home, settings.load(home)).signer.subject.startswith("CN=Gateway signing")
    assert cvan("keys", "rotate", "--use", "signing", home=home).code == 0
    assert [k["state"] for k in listed(home)] == ["superseded", "active"]


def test_a_home_from_before_with_keys_elsewhere_says_how_to_take_them_in(home: Path, tmp_path: Path) -> None:
    conf = home / "conf" / "gateway.toml"
    before = conf.read_text()
    files = [tmp_path / name for name in ("k.pem", "c.pem")]
    for file, name in zip(files, ("signing.key.pem", "signing.crt.pem"), strict=True):
        shutil.move(own(home) / name, file)
    elsewhere = OLD.replace("keystore/own/signing.key.pem", str(files[0]))
    conf.write_text(before.replace('own = "keystore/own"\n', elsewhere + "\n"))
    said = cvan("keys", "list", home=home)
    assert (said.code, "cvan keys import --use signing --key" in said.err) == (2, True)
    conf.write_text(before)
    assert cvan("keys", "import", "--use", "signing", "--key", *files, home=home).code == 0
    assert settings.signing_key(home, settings.load(home)).signer.subject.startswith("CN=Gateway signing")


def test_a_command_that_is_killed_leaves_a_home_that_starts(home: Path) -> None:
    """Wherever the kill falls; what the next rotation makes is whole."""
    for delay in (0.0, 0.4, 0.5, 0.6, 0.7, 0.8):
        command = ["timeout", "-s", "KILL", str(delay or 0.001), "python", "-m", "gateway.operations.cli"]
        command[4] = sys.executable
        done = subprocess.run(
            [*command, "--home", str(home), "keys", "rotate", "--use", "signing"], capture_output=True
        )
        assert done.returncode in (0, 124, 128 + signal.SIGKILL, -signal.SIGKILL)
        settings.checked_keystore(home, settings.load(home)).signing(datetime.now(UTC))
    assert cvan("keys", "rotate", "--use", "signing", home=home).code == 0
    states = [k["state"] for k in listed(home)]
    assert (states[-1], states.count("active")) == ("active", 1)


def test_help_has_examples() -> None:
    for command in ("list", "new", "rotate", "csr", "import", "retire"):
        said = cvan("keys", command, "--help")
        assert f"keys {command}" in said.text.split("Options:")[0].partition("\n")[2]


def test_the_list_is_json_for_programs(home: Path) -> None:
    said = cvan_alone("keys", "list", "--json", home=home)
    known = json.loads(said.out)
    assert {k["use"] for k in known} == {"signing", "tls"}
    assert all(len(k["fingerprint"]) == 64 for k in known)
