"""Large submissions in the middle of a soak: made beforehand, sent from files, by the door's plain HTTP."""

from __future__ import annotations

import contextlib
import http.client
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench import manifests
from gateway import security
from gateway.model import Limits
from gateway.operations import settings
from gateway.operations.demo.town import LINE, Town
from gateway.storage import Ledger
from tests.journeys.plain import Plain

SIZES = {"manifest": 50_000_000, "interchange": 500_000_000}
MOST = 600_000_000
"""Octets that its line may send at once."""
BILLS, WORDS = 70, 5
"""Bills of lading of a message, and lines of text on the goods of each: some 60 KB, so that 500 MB are fewer messages
than an interchange may have."""
ANSWER_SECONDS = 900.0
PIECE = 262_144


class Sent(msgspec.Struct, frozen=True):
    """One large submission: octets, when it began and ended (``time.perf_counter``), the status of its answer, 0
    where none came, and what became of it."""

    name: str
    octets: int
    began: float
    ended: float
    status: int
    outcome: str = ""

    @property
    def good(self) -> bool:
        """It was taken, at once or later."""
        return self.status in (200, 202) and self.outcome == "accepted"

    @property
    def seconds(self) -> float:
        """Until it was worked out."""
        return self.ended - self.began


class Paper(msgspec.Struct, frozen=True):
    """A signed submission in a file."""

    name: str
    path: Path
    media_type: str


def configure(town: Town) -> None:
    """Let the line send what is large."""
    ledger = Ledger.open(settings.database_url(town.home, "sqlite:///ledger.db"))
    (line,) = [partner for partner in ledger.partners() if partner.id == LINE.id]
    ledger.put_partner(msgspec.structs.replace(line, limits=Limits(max_bytes=MOST)))
    ledger.close()


def papers(town: Town) -> list[Paper]:
    """One of each size, made in a process of its own: the memory that it takes is not ours."""
    made = []
    for name, octets in SIZES.items():
        path = town.home.parent / name
        command = [
            sys.executable,
            "-m",
            "bench.soak_large",
            str(town.home),
            str(town.partners),
            str(octets),
            str(path),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        made.append(Paper(name, path, done.stdout.strip()))
    return made


def interchange(octets: int, reference: str) -> bytes:
    """A manifest of at least so many octets: bills of lading whose goods are described at length."""
    made = number = 0
    messages: list[str] = []
    sender = LINE.identifiers[0]
    while made < octets:
        number += 1
        messages.append(manifests.report(sender, number, f"{reference}.{number}", BILLS, WORDS))
        made += len(messages[-1])
    return manifests.interchange(messages, reference, sender)


class Sender(threading.Thread):
    """Sends them one after the other, from so many seconds on."""

    def __init__(self, town: Town, port: int, wanted: Sequence[Paper], seconds: float) -> None:
        super().__init__(name="large", daemon=True)
        self.sent: list[Sent] = []
        self._folder = town.folder(LINE)
        self._port, self._wanted, self._seconds = port, wanted, seconds

    def run(self) -> None:
        if self._wanted:
            time.sleep(self._seconds)
        for paper in self._wanted:
            began = time.perf_counter()
            status, outcome, submission = self._send(paper)
            if outcome == "held":
                outcome = self._worked_out(submission)
            ended, octets = time.perf_counter(), paper.path.stat().st_size
            self.sent.append(Sent(paper.name, octets, began, ended, status, outcome))

    def _worked_out(self, submission: str) -> str:
        """What became of one that is held and worked on."""
        client = Plain(lambda: self._port, self._folder / "authority.pem", self._folder)
        end, outcome = time.perf_counter() + ANSWER_SECONDS, "held"
        while outcome == "held" and time.perf_counter() < end:
            time.sleep(1)
            with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
                outcome = str(client.status(submission).json().get("outcome", "held"))
        client.close()
        return outcome

    def _send(self, paper: Paper) -> tuple[int, str, str]:
        tls = ssl.create_default_context(cafile=str(self._folder / "authority.pem"))
        tls.load_cert_chain(self._folder / "tls.crt.pem", self._folder / "tls.key.pem")
        connection = http.client.HTTPSConnection("localhost", self._port, timeout=ANSWER_SECONDS, context=tls)
        try:
            connection.putrequest("POST", "/v1/messages")
            connection.putheader("Content-Type", paper.media_type)
            connection.putheader("Content-Length", str(paper.path.stat().st_size))
            connection.endheaders()
            # A gateway that refuses it says so at once, and cuts the line where the rest does not end.
            with contextlib.suppress(ConnectionError), paper.path.open("rb") as body:
                while piece := body.read(PIECE):
                    connection.send(piece)
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException):
            return 0, "", ""
        else:
            fields = answer.headers
            return answer.status, fields.get("Cvan-Outcome", ""), fields.get("Cvan-Submission", "")
        finally:
            connection.close()


def main() -> None:
    """Make one: HOME PARTNERS OCTETS PATH; prints its media type."""
    home, partners, octets, path = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    key = Town(home, partners).key(LINE)
    plain = interchange(octets, f"L{octets:013d}")
    media_type, body = security.sign_cms(
        plain, "application/edifact", key, "application/pkcs7-mime", datetime.now(UTC)
    )
    path.write_bytes(body)
    print(media_type)


if __name__ == "__main__":
    main()
