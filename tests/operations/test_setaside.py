"""A message that ends its workers is set aside, in a file that the operator finds."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from gateway.inbound import Unreadable
from gateway.model import Submission
from gateway.operations import setaside
from gateway.operations.setaside import ENDED, SetAside
from tests.operations.knowledge import NOW


def submission(body: bytes = b"<poison/>") -> Submission:
    return Submission(
        "s" * 26, "anphat", "https", "application/xml", body, hashlib.sha256(body).hexdigest(), NOW
    )


def test_once_may_be_chance_and_three_times_is_not(tmp_path: Path) -> None:
    aside, poison = SetAside(tmp_path), submission()
    for _ in range(ENDED):
        aside.check(poison)
        aside.ended_over(poison)
    with pytest.raises(Unreadable) as refused:
        aside.check(poison)
    (finding,) = refused.value.findings
    assert (finding.code, finding.found) == ("API5034", poison.digest)
    aside.check(submission(b"<another/>"))


def test_every_process_knows_and_whoever_removes_the_file_lets_it_be_tried_again(tmp_path: Path) -> None:
    aside, poison = SetAside(tmp_path), submission()
    for _ in range(ENDED):
        aside.ended_over(poison)
    kept = tmp_path / "aside" / poison.digest
    assert kept.read_bytes() == poison.body
    assert kept.stat().st_mode & 0o777 == 0o600
    other = SetAside(tmp_path)
    with pytest.raises(Unreadable):
        other.check(poison)
    kept.unlink()
    other.check(poison)
    aside.check(poison)


def test_a_full_folder_refuses_without_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setaside, "MAX_FILES", 1)
    aside = SetAside(tmp_path)
    for body in (b"1", b"2"):
        for _ in range(ENDED):
            aside.ended_over(submission(body))
        with pytest.raises(Unreadable):
            aside.check(submission(body))
    assert len(list((tmp_path / "aside").iterdir())) == 1


def test_a_disk_that_is_full_does_not_stop_the_refusal(tmp_path: Path) -> None:
    (tmp_path / "aside").write_text("in the way")
    aside = SetAside(tmp_path)
    for _ in range(ENDED):
        aside.ended_over(submission())
    with pytest.raises(Unreadable):
        aside.check(submission())
