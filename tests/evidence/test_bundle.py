"""Bundles: verified by nothing but the standard library, openssl and xmlsec1, at any later time."""

from __future__ import annotations

import io
import json
import os
import random
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.evidence import verify
from gateway.evidence.signatures import pem
from gateway.evidence.verify import MANIFEST, OK, SEAL, UNKNOWN, WRONG, pack, unpack

from .kit import AN_PHAT, LINE, VAN, Stage, stage
from .mutations import flips, repacked, resealed, slack, unfound

pytestmark = pytest.mark.skipif(
    not (shutil.which("openssl") and shutil.which("xmlsec1")), reason="openssl and xmlsec1 are not installed"
)
LONG_AGO = datetime(2021, 6, 1, 8, 0, tzinfo=UTC)


@pytest.fixture(scope="module", params=["rsa", "p256"])
def lived(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A gateway of five years ago: every certificate has expired since."""
    root = tmp_path_factory.mktemp("lived")
    made = stage(root, f"sqlite:///{root / 'ledger.db'}", LONG_AGO, request.param)
    yield made
    made.ledger.close()


@pytest.fixture(scope="module")
def kinds(lived: Stage) -> dict[str, bytes]:
    """A bundle of every kind of message."""
    ids = {
        "declaration": lived.day(),
        "rejected": lived.day(wrong=True),
        "attached": lived.submit(*lived.manifest(), partner=LINE),
        "detached": lived.submit(*lived.manifest("multipart/signed"), partner=LINE),
        "carried": lived.submit(*lived.carried(), partner=VAN),
        "carried detached": lived.submit(*lived.carried("multipart/signed"), partner=VAN),
    }
    lived.seal()
    return {kind: lived.bundle(identity) for kind, identity in ids.items()}


KINDS = ("declaration", "rejected", "attached", "detached", "carried", "carried detached")


def bad(steps: list[verify.Step]) -> list[verify.Step]:
    return [step for step in steps if step[0] != OK]


@pytest.mark.parametrize("kind", KINDS)
def test_all_is_verified_after_the_certificates_have_expired(kinds: dict[str, bytes], kind: str) -> None:
    steps = verify.verify(kinds[kind])
    assert bad(steps) == []
    told = {what for _, what, _ in steps}
    assert {MANIFEST, SEAL, "submission/body", "checkpoints/1.sig", "sent/0001/body"} <= told
    assert "not compared with anything outside" in steps[-1][2]


@pytest.mark.parametrize("kind", KINDS)
def test_the_verifier_of_the_bundle_stands_alone(kinds: dict[str, bytes], kind: str, tmp_path: Path) -> None:
    """No package of ours, nothing of the environment: only python, openssl and xmlsec1."""
    path = tmp_path / "bundle.zip"
    path.write_bytes(kinds[kind])
    (tmp_path / "verify.py").write_bytes(unpack(kinds[kind])["verify.py"])
    command = [sys.executable, "-I", "-S", str(tmp_path / "verify.py"), str(path), "--json"]
    done = subprocess.run(command, capture_output=True, check=False, env={"PATH": os.environ["PATH"]})
    told = json.loads(done.stdout)
    assert (done.returncode, told["code"]) == (0, 0), told
    assert {step["state"] for step in told["steps"]} == {"ok"}


def test_what_is_trusted_is_compared(lived: Stage, kinds: dict[str, bytes], tmp_path: Path) -> None:
    data = kinds["declaration"]
    anchor = str(lived.authority.certificate_path)
    assert bad(verify.verify(data, [anchor])) == []
    assert bad(verify.verify(data, [lived.own.signer.fingerprint])) != []  # the sender's is not known by it
    stranger = "ab" * 32
    assert {s for s, _, _ in verify.verify(data, [stranger])} == {OK, UNKNOWN}


def test_what_is_in_it(kinds: dict[str, bytes]) -> None:
    with zipfile.ZipFile(io.BytesIO(kinds["declaration"])) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        body = archive.read("submission/body")
        assert b"Signature" in archive.read("submission/signature.xml")
        transport = json.loads(archive.read("submission/transport.json"))
        decision = json.loads(archive.read("decisions/0001.json"))
        lines = [n for n in names if re.fullmatch("journal/[0-9]+.txt", n)]
        entries = [json.loads(archive.read(n).split(b"\n")[1]) for n in lines]
    assert transport["partner"] == AN_PHAT.id
    assert transport["sha256"] == verify.sha256(body)
    assert decision["decision"]["kind"] == "registered"
    assert [e["kind"] for e in entries] == [
        "received", "delivered", "decided", "acknowledged", "acknowledged", "partner",
    ]  # fmt: skip
    assert {"README.txt", "messages/1/declaration.json", "certificates/signer/1.pem"} <= set(names)
    assert names == sorted(names)


def test_secrets_of_partners_stay_at_home(lived: Stage, kinds: dict[str, bytes]) -> None:
    digests = [p.token_digest for p in lived.ledger.partners() if p.token_digest]
    everything = b"".join(kinds.values())
    assert not any(d.encode() in everything for d in digests)
    assert b"PRIVATE KEY" not in everything


def test_packing_is_one_way_only() -> None:
    files = {"a": b"1", "b/c": b"", "b/d.txt": b"xyz"}
    data = pack(files)
    assert data == pack(dict(reversed(files.items())))
    assert unpack(data) == files
    for name in ("", "../x", "/x", "a//b", "a\\b", "-x", "a/.b", "é"):
        with pytest.raises(ValueError, match="member"):
            pack({name: b""})


@pytest.mark.parametrize("kind", ["declaration", "detached"])
def test_one_changed_octet_is_found_and_named(kinds: dict[str, bytes], kind: str) -> None:
    """The report does so many more times."""
    data, chance = kinds[kind], random.Random(20)
    assert unfound(flips(data, chance, 300)) == []
    assert unfound(slack(data)) == []
    assert unfound(repacked(data, chance, 20)) == []


def test_every_octet_of_headers_and_directory() -> None:
    """Not a sample: all of them, in a small container."""
    data = pack({"evidence.json": b"{}", "MANIFEST": b"x", "MANIFEST.sig": b"", "a/b": b"abc"})
    for place in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[place] ^= 1 << bit
            with pytest.raises(verify.Damaged):
                unpack(bytes(changed))


def test_a_manifest_made_anew_is_found(kinds: dict[str, bytes]) -> None:
    assert unfound(resealed(kinds["declaration"], random.Random(1), 7)) == []


def test_another_s_seal_is_told(lived: Stage, kinds: dict[str, bytes]) -> None:
    """A whole forgery under a forger's key is consistent, and is told from ours by the fingerprint."""
    forger = lived.issue("Forger", lived.root / "forger")
    files = unpack(kinds["declaration"])
    index = json.loads(files[verify.INDEX])
    seal = next(n for n in files if n.startswith(index["gateway"]) and n.endswith("1.pem"))
    files[seal] = pem(forger.certificates[0])
    files["submission/body"] = files["submission/body"].replace(b"Portable", b"Precious")
    files[MANIFEST] = verify.manifest_of(files)
    files[SEAL] = forger.sign(files[MANIFEST], lived.now)
    found = {what for state, what, _ in verify.verify(pack(files)) if state == WRONG}
    assert {"submission/body", "checkpoints/1.txt"} <= found


def test_without_a_checkpoint_it_says_so(lived: Stage) -> None:
    data = lived.bundle(lived.day())
    steps = bad(verify.verify(data))
    assert {state for state, _, _ in steps} == {UNKNOWN}
    assert all("no checkpoint" in why for _, _, why in steps)


COMMAND = re.compile(r"^    [$] (.*(?:\n    > .*)*)", re.MULTILINE)


@pytest.mark.parametrize("kind", KINDS)
def test_the_recipe_by_hand(kinds: dict[str, bytes], kind: str, tmp_path: Path) -> None:
    """The commands of README.txt, word for word, in the unpacked folder."""
    with zipfile.ZipFile(io.BytesIO(kinds[kind])) as archive:
        archive.extractall(tmp_path)
    readme = (tmp_path / "README.txt").read_text("utf-8")
    commands = [found.replace("\n    > ", "\n") for found in COMMAND.findall(readme)]
    assert len(commands) > 10
    tools = {word for c in commands for word in ("openssl", "xmlsec1", "sha256sum") if c.startswith(word)}
    assert {"openssl", "sha256sum"} <= tools
    for command in commands:
        done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, check=False)
        assert done.returncode == 0, (command, done.stdout, done.stderr)


@pytest.mark.parametrize(
    "name",
    ["submission/body", "sent/0001/body", "checkpoints/1.txt", "journal/0001.txt", "journal/0001.path"],
)
def test_the_recipe_finds_what_was_changed(kinds: dict[str, bytes], name: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(kinds["declaration"])) as archive:
        archive.extractall(tmp_path)
    path = tmp_path / name
    octets = bytearray(path.read_bytes())
    octets[len(octets) // 2] ^= 1
    path.write_bytes(bytes(octets))
    commands = COMMAND.findall((tmp_path / "README.txt").read_text("utf-8"))
    failed = [
        command
        for command in commands
        if subprocess.run(
            ["sh", "-c", command.replace("\n    > ", "\n")], cwd=tmp_path, capture_output=True, check=False
        ).returncode
    ]
    assert failed[0].startswith("sha256sum")
    assert len(failed) >= 2  # and a second proof, not the manifest alone
