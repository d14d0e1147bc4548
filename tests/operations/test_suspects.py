"""What a process was judging when it ended is judged by workers from then on."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from pathlib import Path

import pytest

from gateway.intake import ABREAST
from gateway.operations import suspects
from gateway.operations.setaside import ENDED, FOLDER, SetAside, take_up
from gateway.operations.suspects import BEGUN, JUDGING, SUSPECTS, Judging, Suspects, begun, read
from tests.operations.test_setaside import submission


def digest(number: int) -> str:
    return hashlib.sha256(bytes([number])).hexdigest()


def dies(home: Path, name: str, *digests: str) -> None:
    """A process is killed while it judges these."""
    child = os.fork()
    if not child:
        try:
            Judging(home, name)(digests)
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL


def old(home: Path) -> None:
    """As if nothing of the folder had changed for a while."""
    before = time.time() - 60
    os.utime(home / SUSPECTS, (before, before))


def test_what_a_process_was_at_outlives_it(tmp_path: Path) -> None:
    group = [digest(number) for number in range(ABREAST)]
    dies(tmp_path, "door-1", *group)
    dies(tmp_path, "door-2", digest(100))
    known = Suspects(tmp_path)
    assert not any(one in known for one in (*group, digest(100)))
    known.left_by("door-1")
    assert all(one in known for one in group)
    assert digest(100) not in known
    known.left_by("door-2")
    assert digest(100) in known
    assert digest(101) not in known
    assert list((tmp_path / JUDGING).iterdir()) == []


def test_who_is_at_nothing_leaves_nothing(tmp_path: Path) -> None:
    judging = Judging(tmp_path, "door-1")
    judging([digest(1), digest(2)])
    assert read(tmp_path / JUDGING / "door-1") == [digest(1), digest(2)]
    judging([digest(3)])
    assert read(tmp_path / JUDGING / "door-1") == [digest(3)]
    judging(())
    judging.close()
    Suspects(tmp_path).left_by("door-1")
    Suspects(tmp_path).left_by("nobody")
    assert not (tmp_path / SUSPECTS).exists()


@pytest.mark.parametrize("octets", [b"", b"\x01" * 31, bytes(999), b"\x01" * 33, b"\xff" * 10_000])
def test_a_note_that_is_torn_harms_nobody(tmp_path: Path, octets: bytes) -> None:
    path = tmp_path / JUDGING / "door-1"
    path.parent.mkdir(parents=True)
    path.write_bytes(octets)
    found = read(path)
    assert len(found) <= ABREAST
    assert all(len(bytes.fromhex(one)) == 32 for one in found)
    Suspects(tmp_path).left_by("door-1")
    assert digest(1) not in Suspects(tmp_path)


def test_one_that_still_lives_writes_to_no_note_of_his_successor_s(tmp_path: Path) -> None:
    former, judging = Judging(tmp_path, "door-1"), Judging(tmp_path, "door-1")
    judging([digest(1)])
    former(())
    assert read(tmp_path / JUDGING / "door-1") == [digest(1)]


def test_a_disk_that_takes_nothing_stops_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "run").write_text("in the way")
    Judging(tmp_path, "door-1")([digest(1)])
    known = Suspects(tmp_path)
    known.left_by("door-1")
    known.clear(digest(1))
    assert (digest(1) in known, known.count(digest(1))) == (False, 0)
    assert "what door-1 judges is not noted" in caplog.text
    aside = SetAside(tmp_path)
    for _ in range(ENDED):
        aside.check(submission())
        aside.ended_over(submission())
    assert (tmp_path / FOLDER / submission().digest).exists()


def test_each_process_sees_what_another_adds_and_clears(tmp_path: Path) -> None:
    here, there = Suspects(tmp_path), Suspects(tmp_path)
    for number in range(20):  # within one tick of the kernel's clock
        here.add([digest(number)])
        assert digest(number) in there
        there.clear(digest(number))
        assert digest(number) not in here
    here.add([digest(1)])
    old(tmp_path)
    assert digest(1) in there
    there.clear(digest(1))
    assert digest(1) not in here


def test_the_oldest_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suspects, "MAX_SUSPECTS", 3)
    known = Suspects(tmp_path)
    for number in range(5):
        known.add([digest(number)])
        os.utime(tmp_path / SUSPECTS / digest(number), (number, number))
    known.add([digest(4)])
    assert [digest(number) in known for number in range(5)] == [False, False, True, True, True]


def test_all_processes_of_a_node_count_together(tmp_path: Path) -> None:
    poison = submission()
    doors = [SetAside(tmp_path) for _ in range(ENDED)]
    for door in doors:
        door.check(poison)
        door.ended_over(poison)
    assert (tmp_path / FOLDER / poison.digest).read_bytes() == poison.body
    assert poison.digest in Suspects(tmp_path), "a small one would be judged in a door again"
    assert Suspects(tmp_path).count(poison.digest) == 0, "who removes the file lets it be tried again"


def test_what_ended_well_is_counted_no_more(tmp_path: Path) -> None:
    poison, aside = submission(), SetAside(tmp_path)
    for _ in range(ENDED - 1):
        aside.ended_over(poison)
    aside.judged(poison)
    assert poison.digest not in Suspects(tmp_path)
    aside.ended_over(poison)
    aside.check(poison)


def test_who_begins_takes_up_what_all_left(tmp_path: Path) -> None:
    """The door judged one, a worker another, when all were killed; a third was set aside long before."""
    dies(tmp_path, "door-1", digest(1))
    note = begun(tmp_path, digest(2))
    note.parent.mkdir(parents=True)
    note.touch()
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / digest(3)).write_bytes(b"poison")
    take_up(tmp_path)
    known = Suspects(tmp_path)
    assert [known.count(digest(number)) for number in (1, 2, 3)] == [0, 1, 0]
    assert all(digest(number) in known for number in (1, 2, 3))
    take_up(tmp_path)
    assert known.count(digest(2)) == 1
    assert list((tmp_path / BEGUN).iterdir()) == []
