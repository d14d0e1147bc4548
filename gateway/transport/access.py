"""The access log: one JSON event per request, with ids and sizes; never content, tokens or raw controls."""

from __future__ import annotations

import json
import logging
from datetime import datetime

import msgspec

MAX_TEXT = 200  # characters of any text that a client chose: a log line stays a line


class Access(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one request was.  ``operation`` is the table's name, not the path as sent ("" where no
    operation was found: then ``path`` says what was asked for).  ``seconds`` from head to reply."""

    request: str
    method: str
    status: int
    peer: str
    operation: str = ""
    path: str = ""
    partner: str = ""
    submission: str = ""
    code: str = ""
    received: int = 0
    sent: int = 0
    seconds: float = 0.0


class AccessLog:
    """Writes events to a standard logger (``cvan.access``) at INFO, one JSON object per line."""

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self._logger = logger or logging.getLogger("cvan.access")

    @property
    def wanted(self) -> bool:
        """False where the operator keeps no access log."""
        return self._logger.isEnabledFor(logging.INFO)

    def write(self, access: Access, at: datetime) -> None:
        """One request, finished."""
        if self.wanted:
            self._logger.info("%s", event("access", at, msgspec.to_builtins(access)))

    def incident(self, request: str, error: BaseException, at: datetime) -> None:
        """An error of ours: what the client got only the id of."""
        line = event("incident", at, {"request": request, "error": type(error).__name__})
        self._logger.error("%s", line, exc_info=error)


def event(name: str, at: datetime, fields: dict[str, object]) -> str:
    """One line of JSON in printable ASCII: controls, direction marks and all else beyond are escaped,
    so that no text can forge a line, colour a terminal or turn its neighbours around."""
    cut = {k: v[:MAX_TEXT] if isinstance(v, str) else v for k, v in fields.items()}
    stamped = {"event": name, "at": at.isoformat(timespec="milliseconds"), **cut}
    return json.dumps(stamped, ensure_ascii=True).replace("\x7f", "\\u007f")
