"""Large bodies go to files: whole or not at all, within the disk's room, and gone when nobody wants them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.transport import Bounds, Spool
from gateway.transport.spool import STEP, SpoolFile, SpoolFull

from .conftest import TOKEN, Gateway, eventually, hear

OVER = 10_000
LARGE = b"LARGE " + b"x" * 200_000
HEAD = (
    b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/xml\r\n"
    b"Connection: close\r\nAuthorization: Bearer " + TOKEN.encode() + b"\r\n"
)


class Disk:
    """How much is free, as a test says."""

    def __init__(self) -> None:
        self.free = 1_000_000_000

    def __call__(self, folder: Path) -> int:
        return self.free


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def spool(tmp_path: Path, disk: Disk) -> Spool:
    made = Spool(tmp_path / "spool", over=OVER, most=1_000_000, reserve=1_000, free=disk)
    made.make()
    return made


@pytest.fixture
def gateway(open_gateway, spool: Spool) -> Gateway:
    return open_gateway(Bounds(max_bytes=400_000, body_grace=1.0, body_rate=200_000), spool=spool)


def files(spool: Spool) -> list[Path]:
    return list(spool.folder.iterdir())


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def sent(body: bytes, length: int | None = None) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n" % (len(body) if length is None else length) + body


def test_a_large_body_comes_whole(gateway: Gateway, spool: Spool) -> None:
    answer = gateway.say(sent(LARGE))
    assert status(answer) == 200
    (submission,) = gateway.office.submissions.values()
    assert submission.body == LARGE
    assert gateway.office.modes == [0o600]
    assert files(spool) == []
    assert gateway.door.admission.bytes_held == 0


def test_one_whose_length_nobody_announced(gateway: Gateway, spool: Spool) -> None:
    chunks = b"".join(
        b"%x\r\n%s\r\n" % (len(c), c) for c in (LARGE[:5_000], LARGE[5_000:9_990], LARGE[9_990:])
    )
    assert status(gateway.say(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")) == 200
    (submission,) = gateway.office.submissions.values()
    assert submission.body == LARGE
    assert files(spool) == []


def test_a_small_body_goes_nowhere_near_it(gateway: Gateway, disk: Disk) -> None:
    disk.free = 0
    assert status(gateway.say(sent(b"SMALL " * 100))) == 200
    assert gateway.office.modes == []


def test_it_counts_as_little_in_memory(gateway: Gateway) -> None:
    """What is in files is none of the bound of bodies in memory."""
    with gateway.connect() as wire:
        wire.sendall(sent(LARGE[:150_000], len(LARGE)))
        assert eventually(lambda: gateway.door.admission.bytes_held == OVER)
        wire.sendall(LARGE[150_000:])
        assert status(hear(wire, 1.0)) == 200
    assert gateway.door.admission.bytes_held == 0


def test_a_full_disk_is_told_before_the_body(gateway: Gateway, disk: Disk, spool: Spool) -> None:
    disk.free = 100_000
    with gateway.connect() as wire:
        wire.sendall(sent(b"", len(LARGE)))
        answer = hear(wire, 0.5)
    assert status(answer) == 503
    assert b"API5035" in answer
    assert b"Retry-After: 30" in answer
    assert files(spool) == []
    disk.free = 1_000_000
    assert status(gateway.say(sent(LARGE))) == 200


class Filling(Spool):
    """A folder whose disk the system says is full when something is written."""

    def open(self, name: str, length: int) -> SpoolFile:
        path = self.folder / f"{os.getpid()}-{name}"
        path.touch(0o600)
        return SpoolFile(self, path, os.open("/dev/full", os.O_WRONLY), length)


def test_a_disk_that_fills_while_the_body_comes(open_gateway, tmp_path: Path) -> None:
    """Nothing is left of it, and its place is free."""
    spool = Filling(tmp_path / "spool", over=OVER)
    spool.make()
    gateway = open_gateway(spool=spool)
    answer = gateway.say(sent(LARGE))
    assert status(answer) == 503
    assert b"API5035" in answer
    assert files(spool) == []
    assert gateway.door.admission.total_inside == 0


def test_more_than_all_may_have(gateway: Gateway, spool: Spool) -> None:
    (spool.folder / f"{os.getpid()}-other").write_bytes(bytes(900_000))
    assert status(gateway.say(sent(LARGE))) == 503


def test_a_body_that_never_ends(gateway: Gateway, spool: Spool) -> None:
    """Fewer octets than were announced, and then nothing: refused as too slow, and nothing left of it."""
    with gateway.connect() as wire:
        wire.sendall(sent(LARGE[:50_000], len(LARGE)))
        answer = hear(wire, 6.0)
    assert status(answer) == 408
    assert eventually(lambda: files(spool) == [])
    assert gateway.office.submissions == {}


def test_a_client_that_goes_away_in_the_middle(gateway: Gateway, spool: Spool) -> None:
    with gateway.connect() as wire:
        wire.sendall(sent(LARGE[:150_000], len(LARGE)))
        assert eventually(lambda: len(files(spool)) == 1)
    assert eventually(lambda: files(spool) == [])
    assert eventually(lambda: gateway.door.admission.total_inside == 0)


def test_more_octets_than_were_announced(gateway: Gateway, spool: Spool) -> None:
    assert status(gateway.say(sent(LARGE, len(LARGE) - 10))) == 200
    (submission,) = gateway.office.submissions.values()
    assert submission.body == LARGE[:-10]
    assert files(spool) == []


def test_one_that_is_refused_for_its_size(gateway: Gateway, spool: Spool) -> None:
    with gateway.connect() as wire:
        wire.sendall(sent(b"", 400_001))
        assert status(hear(wire, 0.5)) == 413
    assert files(spool) == []


def test_who_begins_leaves_nothing_of_before(tmp_path: Path) -> None:
    """In a container the number of a process that was killed is soon another's: nobody would remove its files."""
    folder = tmp_path / "spool"
    folder.mkdir()
    living = f"{os.getppid()}-of-a-door-that-closes"
    for name in ("999999999-a", f"{os.getpid()}-of-another-life", "c", living):
        (folder / name).write_bytes(b"x")
    (folder / "lost+found").mkdir()
    Spool(folder).make()
    assert {path.name for path in folder.iterdir()} == {living, "lost+found"}


def test_a_file_of_unknown_length_asks_again_for_room(spool: Spool, disk: Disk) -> None:
    roomy = Spool(spool.folder, over=1, most=10 * STEP, reserve=0, free=disk)
    file = roomy.open("a", 0)
    file.write(b"x")
    disk.free = STEP - 1
    file.write(b"x" * 100)
    with pytest.raises(SpoolFull):
        file.write(bytes(STEP))
    file.drop()
    assert files(spool) == []


def test_a_folder_that_is_not_there_is_a_full_one_or_our_fault(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Spool(tmp_path / "none").open("a", 1)
