"""The log's lines: ids are told, and nothing that anybody sent makes a line of its own."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.operations.logs import Lines

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z (\w+) (\S+) (.*)")


def line_of(text: str, *values: object, exc_info: Any = None, **extra: object) -> str:
    logger = logging.Logger("gateway.delivery")
    return Lines().format(logger.makeRecord(logger.name, 40, "", 0, text, values, exc_info, extra=extra))


def test_ids_stand_behind_the_text() -> None:
    told = LINE.fullmatch(line_of("push failed", delivery="01m.1.d.p", partner="vanlink"))
    assert told is not None
    assert told.groups() == (
        "ERROR",
        "gateway.delivery",
        'push failed {"delivery": "01m.1.d.p", "partner": "vanlink"}',
    )
    assert line_of("listening on %s:%d", "::", 8443).endswith(" ERROR gateway.delivery listening on :::8443")


@given(st.text(), st.text())
def test_a_record_is_one_line_of_what_can_be_printed(text: str, value: str) -> None:
    line = line_of("%s", text, digest=value)
    assert line.isprintable()
    assert json.loads("{" + line.rpartition(" {")[2]) == {"digest": value} or " {" in value


def test_a_trace_begins_no_line() -> None:
    try:
        raise ValueError("x\n2026-01-01 00:00:00.000Z INFO gateway forged")
    except ValueError:
        first, *more = line_of("round failed", exc_info=sys.exc_info()).splitlines()
    assert LINE.fullmatch(first)
    assert len(more) > 2
    assert all(line.startswith("    ") for line in more)


def test_a_process_writes_them_to_standard_error() -> None:
    told = "from gateway.operations import logs; import logging; logs.begin();"
    told += "logging.getLogger('gateway.x').info('held', extra={'submission': 's1'});"
    told += "logging.getLogger('cvan.access').info('not wanted')"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.endswith('INFO gateway.x held {"submission": "s1"}')
