"""The unit: what systemd takes, how much it leaves open, and that it agrees with what the gateway does."""

from __future__ import annotations

import configparser
import re
import sys
from pathlib import Path

from gateway.operations import processes, watchdog
from gateway.transport.bounds import Bounds
from tests.deploy.files import DEPLOY, program, said

UNIT = DEPLOY / "systemd" / "cvan.service"
EXPOSURE = 2.0
"""systemd's own measure, 0 (nothing) to 10 (everything); most services have more than 9."""


def values(section: str, name: str) -> list[str]:
    """All values of a setting, in order."""
    text = UNIT.read_text("utf-8").partition(f"[{section}]")[2].partition("\n[")[0]
    return re.findall(rf"(?m)^{name}=(.*)$", text)


def seconds(name: str) -> float:
    return float(values("Service", name)[0])


def here(tmp_path: Path) -> Path:
    """The unit with a program that exists on this machine."""
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text("utf-8").replace("/opt/cvan/bin/cvan", sys.executable), "utf-8")
    return unit


def test_systemd_takes_it(tmp_path: Path) -> None:
    done = said(program("systemd-analyze"), "verify", here(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_systemd_does_not_know_is_noticed(tmp_path: Path) -> None:
    analyze, unit = program("systemd-analyze"), here(tmp_path)
    unit.write_text(unit.read_text("utf-8").replace("ProtectClock=", "ProtectClocks="), "utf-8")
    assert "ProtectClocks" in said(analyze, "verify", unit).stderr


def test_it_leaves_little_open(tmp_path: Path) -> None:
    done = said(program("systemd-analyze"), "security", "--offline=true", here(tmp_path))
    told = re.search(r"exposure level for cvan.service: (\S+)", done.stdout)
    assert told, done.stdout + done.stderr
    assert float(told[1]) <= EXPOSURE


def test_a_stop_is_longer_than_the_doors_take() -> None:
    assert seconds("TimeoutStopSec") > processes.DOOR_SECONDS
    assert values("Service", "KillMode") == ["mixed"]


def test_a_word_that_comes_late_is_no_end() -> None:
    assert seconds("WatchdogSec") > 20 * watchdog.BEAT_SECONDS


def test_it_is_the_supervisor_that_is_told() -> None:
    assert values("Service", "ExecReload") == ["/bin/kill -HUP $MAINPID"]
    assert values("Service", "Type") == ["notify"]
    assert values("Service", "NotifyAccess") == []  # the first process alone
    assert values("Service", "OOMPolicy") == ["continue"]


def test_there_are_descriptors_for_all_connections() -> None:
    assert seconds("LimitNOFILE") > 8 * Bounds().connections * 2


def test_only_the_home_can_be_written() -> None:
    assert values("Service", "ProtectSystem") == ["strict"]
    assert values("Service", "ReadWritePaths") == []
    assert values("Service", "Environment") == [
        f"CVAN_HOME=/var/lib/{values('Service', 'StateDirectory')[0]}"
    ]


def test_the_user_is_made() -> None:
    (line,) = (
        text
        for text in (DEPLOY / "systemd" / "sysusers.conf").read_text("utf-8").splitlines()
        if not text.startswith("#")
    )
    assert line.split()[:2] == ["u", values("Service", "User")[0]]
    sysusers = program("systemd-sysusers")
    done = said(sysusers, "--dry-run", DEPLOY / "systemd" / "sysusers.conf")
    if "unrecognized option" not in done.stderr:  # systemd before 250
        assert done.returncode == 0, done.stderr


def test_the_journal_of_its_own_has_bounds() -> None:
    read = configparser.ConfigParser()
    read.optionxform = str  # type: ignore[assignment,method-assign]
    read.read(DEPLOY / "systemd" / "journald@cvan.conf")
    assert values("Service", "LogNamespace") == ["cvan"]
    known = program("strings")
    daemon = Path("/usr/lib/systemd/systemd-journald")
    names = said(known, daemon).stdout if daemon.exists() else ""
    for name in read["Journal"]:
        assert not names or f"Journal.{name}" in names or name in names
    assert read["Journal"]["RateLimitIntervalSec"] == "0"
