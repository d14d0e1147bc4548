"""Logs: what the page says of their fields is what is written, nothing of content is in them, and they rotate."""

from __future__ import annotations

import getpass
import grp
import json
import os
import re
from pathlib import Path

import msgspec

from gateway.transport.access import Access
from gateway.transport.refusals import Refused
from tests.deploy.conftest import Watched
from tests.deploy.files import DEPLOY, DOCS, program, said
from tests.docs.pages import table

PAGE = DOCS / "deployment.md"
ALWAYS = {"event", "at"}


def fields(of: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(of)}


def test_every_field_is_told() -> None:
    told = {field: set(events.split(", ")) for field, events, *_ in table(PAGE, "field")}
    written = {
        "access": fields(Access) | ALWAYS,
        "refused": fields(Refused) | ALWAYS | {"count"},
        "incident": {"request", "error"} | ALWAYS,
    }
    for event, names in written.items():
        assert {field for field, events in told.items() if event in events} == names


def test_what_a_gateway_wrote_has_ids_and_no_content(watched: Watched) -> None:
    text = (watched.process.home / "gateway.log").read_text("utf-8")
    lines = [json.loads(m[1]) for m in re.finditer(r"(?m)^\S+ \S+ INFO cvan\.refusals (\{.*\})$", text)]
    assert lines, text
    for line in lines:
        assert set(line) <= fields(Refused) | ALWAYS | {"count"}
        assert line["event"] == "refused"
    assert "An Phat" not in text
    assert "LRN-" not in text


def test_files_rotate_while_they_are_written(tmp_path: Path) -> None:
    logrotate = program("logrotate")
    folder = tmp_path / "log"
    folder.mkdir(mode=0o700)
    user = f"{getpass.getuser()} {grp.getgrgid(os.getgid()).gr_name}"
    text = (DEPLOY / "logs" / "cvan.logrotate").read_text("utf-8")
    text = text.replace("/var/log/cvan", str(folder)).replace("su cvan cvan", f"su {user}")
    configuration = tmp_path / "cvan"
    configuration.write_text(text, "utf-8")
    configuration.chmod(0o644)
    with (folder / "cvan.log").open("ab", buffering=0) as log:  # as systemd's append: opens it
        log.write(b"before\n")
        done = said(logrotate, "--force", "--state", tmp_path / "state", configuration)
        assert done.returncode == 0, done.stderr
        log.write(b"after\n")
    (rotated,) = folder.glob("cvan.log-*")
    assert rotated.read_bytes() == b"before\n"
    assert (folder / "cvan.log").read_bytes() == b"after\n"
