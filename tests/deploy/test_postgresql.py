"""PostgreSQL's settings: the server takes each of them, those to be filled in too, and none undoes durability."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.deploy.files import DEPLOY
from tests.postgres import PostgresServer, postgres_or_skip

FILE = DEPLOY / "postgresql" / "postgresql.conf"
SET = dict(re.findall(r"(?m)^(\w+) = (.*)$", FILE.read_text("utf-8")))
TO_CHOOSE = dict(re.findall(r"(?m)^#(\w+) = (.*)$", FILE.read_text("utf-8")))


@pytest.fixture(scope="module")
def data(postgres_server: PostgresServer) -> Path:
    """A cluster's folder; its server has settings of its own."""
    return postgres_server.folder / "data"


def asked(name: str, data: Path, file: Path) -> subprocess.CompletedProcess[str]:
    """What the server takes a setting for.  All of the file is read for it."""
    command = [postgres_or_skip() / "postgres", "-C", name, "-D", data, "-c", f"config_file={file}"]
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=30, check=False)


def filled(folder: Path, old: str, new: str) -> Path:
    path = folder / "postgresql.conf"
    path.write_text(re.sub(old, new, FILE.read_text("utf-8"), flags=re.MULTILINE), "utf-8")
    return path


def test_the_server_takes_all_of_it(data: Path) -> None:
    done = asked("shared_buffers", data, FILE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in ("2GB", "262144")


def test_what_is_left_to_choose_can_be_chosen(data: Path, tmp_path: Path) -> None:
    assert set(TO_CHOOSE) == {
        "synchronous_standby_names",
        "archive_mode",
        "archive_command",
        "archive_timeout",
    }
    file = filled(tmp_path, r"^#(\w+ = )", r"\1")
    for name, value in TO_CHOOSE.items():
        done = asked(name, data, file)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip().rstrip("s") in value


def test_a_setting_that_does_not_exist_is_noticed(data: Path, tmp_path: Path) -> None:
    done = asked("fsync", data, filled(tmp_path, "^wal_log_hints", "wal_log_hint"))
    assert done.returncode != 0
    assert "wal_log_hint" in done.stderr


def test_acknowledged_stays_durable() -> None:
    assert {SET[name] for name in ("fsync", "full_page_writes", "synchronous_commit")} == {"on"}


def test_the_server_s_log_has_no_content() -> None:
    """Statements carry declarations; parameters and details of errors do too."""
    assert SET["log_min_duration_statement"] == "-1"
    assert SET["log_min_error_statement"] == "panic"
    assert SET["log_error_verbosity"] == "terse"
    assert (SET["log_parameter_max_length"], SET["log_parameter_max_length_on_error"]) == ("0", "0")
    assert "log_statement" not in SET
