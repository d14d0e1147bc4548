"""Bundles: verified by nothing but the standard library, openssl and xmlsec1, at any later time."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.evidence import verify
from gateway.evidence.verify import MANIFEST, OK, SEAL, UNKNOWN, pack, unpack

from .kit import AN_PHAT, LINE, VAN, Stage, stage

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
        "corrected": lived.day(corrected=True),
        "attached": lived.submit(*lived.manifest(), partner=LINE),
        "detached": lived.submit(*lived.manifest("multipart/signed"), partner=LINE),
        "carried": lived.submit(*lived.carried(), partner=VAN),
        "carried detached": lived.submit(*lived.carried("multipart/signed"), partner=VAN),
    }
    lived.seal()
    return {kind: lived.bundle(identity) for kind, identity in ids.items()}


KINDS = ("declaration", "rejected", "corrected", "attached", "detached", "carried", "carried detached")


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
    (tmp_path / "verify.pyz").write_bytes(unpack(kinds[kind])["verify.pyz"])
    command = [sys.executable, "-I", "-S", str(tmp_path / "verify.pyz"), str(path), "--json"]
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
        record = json.loads(archive.read("submission/record.json"))
        decision = json.loads(archive.read("decisions/0001.json"))
        lines = [n for n in names if re.fullmatch("journal/[0-9]+.txt", n)]
        entries = [json.loads(archive.read(n).split(b"\n")[1]) for n in lines]
    assert record["partner"] == AN_PHAT.id
    assert record["digest"] == verify.sha256(body)
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


def test_every_octet_of_headers_and_directory() -> None:
    """Not a sample: all of them, in a small container."""
    data = pack({"evidence.json": b"{}", "MANIFEST": b"x", "MANIFEST.sig": b"", "a/b": b"abc"})
    for place in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[place] ^= 1 << bit
            with pytest.raises(verify.Damaged):
                unpack(bytes(changed))


def test_a_name_that_is_made_that_of_another_member_is_told_by_the_other_place() -> None:
    """Names stand before the member and in the directory; the one that was not touched says who is hit."""
    names = ["a/1", "a/2", "a/3"]
    files = dict.fromkeys(names, b"x")
    data = pack({**files, "MANIFEST": b"".join(f"hash  {name}\n".encode() for name in names)})
    for name in names:
        for place in (match.start() for match in re.finditer(name.encode(), data)):
            if data[place - 2 : place] == b"  ":
                continue  # in the manifest
            for digit in b"1234567":
                changed = bytearray(data)
                changed[place + 2] = digit
                if changed != data:
                    with pytest.raises(verify.Damaged) as damaged:
                        unpack(bytes(changed))
                    assert damaged.value.name == name, (place, chr(digit))


def test_without_a_checkpoint_it_says_so(lived: Stage) -> None:
    data = lived.bundle(lived.day())
    steps = bad(verify.verify(data))
    assert {state for state, _, _ in steps} == {UNKNOWN}
    assert all("no checkpoint" in why for _, _, why in steps)


COMMAND = re.compile(r"^    \S.*\n(?:    .*\n)*", re.MULTILINE)
"""Of README.txt: a command, as it is pasted."""


def unpacked(data: bytes, folder: Path) -> Path:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        archive.extractall(folder)
    return folder


def shell(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh"], input=script, cwd=folder, capture_output=True, check=False, text=True)


@pytest.mark.parametrize("kind", KINDS)
def test_the_recipe_by_hand(kinds: dict[str, bytes], kind: str, tmp_path: Path) -> None:
    """The commands of README.txt pasted one after the other into a shell, and verify.sh, which has the same."""
    folder = unpacked(kinds[kind], tmp_path)
    commands = COMMAND.findall((folder / "README.txt").read_text("utf-8"))
    assert len(commands) > 20
    assert len({c.split()[0] for c in commands} & {"openssl", "xmlsec1", "sha256sum"}) >= 2
    pasted = "".join(f"{command}test $? = 0 || echo FAILED {n}\n" for n, command in enumerate(commands))
    done = shell(pasted, folder)
    failed = [commands[int(n)] for n in re.findall(r"FAILED (\d+)", done.stdout)]
    assert failed == [], (done.stdout, done.stderr)
    script = (folder / "verify.sh").read_text("utf-8")
    assert [
        " ".join(c.split()) for c in commands if " ".join(c.split()) not in " ".join(script.split())
    ] == []
    done = subprocess.run(["sh", "verify.sh"], cwd=folder, capture_output=True, check=False, text=True)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "every step is good"), done.stderr
    assert not [
        p for p in folder.rglob("*") if p.is_file() and str(p.relative_to(folder)) not in unpack(kinds[kind])
    ]


def added(folder: Path) -> None:
    (folder / "decisions" / "0009.json").write_bytes(b"{}")


def linked(folder: Path) -> None:
    (folder / "sent" / "0009").symlink_to("0001")


def taken(folder: Path) -> None:
    (folder / "decisions" / "0001.json").unlink()


def another_certificate(folder: Path) -> None:
    path = folder / "certificates" / "signer" / "1.pem"
    path.write_bytes(path.read_bytes() + (folder / "certificates" / "signer" / "2.pem").read_bytes())


def changed(name: str) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        octets = bytearray((folder / name).read_bytes())
        octets[len(octets) // 2] ^= 1
        (folder / name).write_bytes(bytes(octets))

    return act


NAMES = ("submission/body", "sent/0001/body", "checkpoints/1.txt", "journal/0001.txt", "journal/0001.path")
MEMBERS = {name: changed(name) for name in NAMES}


@pytest.mark.parametrize("act", [*MEMBERS.values(), added, linked, taken, another_certificate])
def test_the_recipe_finds_what_was_done_to_it(
    kinds: dict[str, bytes], act: Callable[[Path], None], tmp_path: Path
) -> None:
    folder = unpacked(kinds["declaration"], tmp_path)
    act(folder)
    done = subprocess.run(["sh", "verify.sh"], cwd=folder, capture_output=True, check=False, text=True)
    assert (done.returncode, "WRONG: step 1" in done.stderr) == (1, True), done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_the_recipe_has_a_second_proof(kinds: dict[str, bytes], name: str, tmp_path: Path) -> None:
    """Not the manifest alone: each step says so of what it is about."""
    folder = unpacked(kinds["declaration"], tmp_path)
    changed(name)(folder)
    commands = COMMAND.findall((folder / "README.txt").read_text("utf-8"))
    done = shell("".join(f"{c}test $? = 0 || echo FAILED {n}\n" for n, c in enumerate(commands)), folder)
    failed = [commands[int(n)] for n in re.findall(r"FAILED (\d+)", done.stdout)]
    assert failed[0].lstrip().startswith("sha256sum")
    assert len(failed) >= 2


def test_members_in_pieces_make_the_same_file() -> None:
    files: dict[str, bytes] = {"evidence.json": b"{}", "MANIFEST.sig": b"", "a/b": b"abc" * 99, "c": b""}
    streamed = {
        n: verify.Streamed(lambda o=o: (o[i : i + 7] for i in range(0, len(o), 7))) for n, o in files.items()
    }
    assert pack(streamed) == pack(files)
    assert verify.manifest_of(streamed) == verify.manifest_of(files)
    data = pack(files)
    found = verify.members_of(lambda at, size: data[at : at + size], len(data))
    assert {n: b"".join(s.pieces()) for n, s in found.items()} == files
    changing = iter([[b"a"], [b"b"]])
    with pytest.raises(ValueError, match="other octets than a moment before"):
        pack({"a": verify.Streamed(lambda: next(changing))})


def test_a_changed_octet_is_found_in_pieces_too() -> None:
    data = pack({"evidence.json": b"{}", "MANIFEST": b"x", "MANIFEST.sig": b"", "a/b": b"abc"})
    for place in range(len(data)):
        for flip in (1, 0x80):
            changed = bytearray(data)
            changed[place] ^= flip
            with pytest.raises(verify.Damaged):
                verify.members_of(lambda at, size, c=bytes(changed): c[at : at + size], len(changed))
    for cut in (data[:-1], data + b"x"):
        with pytest.raises(verify.Damaged):
            verify.members_of(lambda at, size, c=cut: c[at : at + size], len(cut))
