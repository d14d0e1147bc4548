"""The log of each of this gateway's processes: a line a record, with the ids that it speaks of."""

from __future__ import annotations

import json
import logging
import sys
import textwrap
import time

ACCESS = "cvan.access"
_OWN = {*vars(logging.makeLogRecord({})), "message", "asctime"}
"""What every record has; all else was given with it, as ``extra``."""


class Lines(logging.Formatter):
    """``DATE TIME LEVEL LOGGER TEXT {"name": value}``, in UTC; the names are those given as ``extra``.

    A record is one line, whatever somebody sent: what cannot be printed is escaped.  The trace of an error follows,
    indented, so that nothing in it begins as a line does.
    """

    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    @staticmethod
    def converter(seconds: float | None) -> time.struct_time:
        return time.gmtime(seconds)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        record.message = _printable(record.message)
        told = {name: value for name, value in vars(record).items() if name not in _OWN}
        line = super().formatMessage(record)
        return f"{line} {_printable(json.dumps(told, default=str))}" if told else line

    def formatException(self, ei: logging._SysExcInfoType) -> str:  # noqa: N802 - the library's name
        return textwrap.indent(super().formatException(ei), "    ", lambda _: True)


def begin(*, access: bool = False) -> None:
    """Write this process's log to standard error, ``access``: every request, too."""
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(Lines())
    logging.basicConfig(level=logging.INFO, handlers=[lines])
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger(ACCESS).setLevel(logging.INFO if access else logging.WARNING)


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
