"""A small gateway behind the door, in memory: it keeps what it takes, and can be told to be slow or ill."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import deferLater

from gateway.model import (
    Answer,
    Catalogue,
    Event,
    Finding,
    Outcome,
    Outgoing,
    Partner,
    Place,
    Register,
    Submission,
)
from gateway.transport import Entry, MessageStatus, Overloaded, Refusal, Status


def now() -> datetime:
    return datetime.now(UTC)


class Office:
    """Judges by the body's first word: REJECT, UNPROVEN, FULL, CRASH, SLOW; all else is accepted."""

    def __init__(self, reactor, partners: list[Partner], catalogue: Catalogue) -> None:
        self.reactor = reactor
        self.register = Register(partners, [])
        self.catalogue = catalogue
        self.submissions: dict[str, Submission] = {}
        self.answers: dict[tuple[str, str], Answer] = {}
        self.boxes: dict[str, dict[str, Outgoing]] = {}
        self.acknowledged: dict[str, datetime] = {}
        self.slow = 0.5
        self.modes: list[int] = []
        self.parts = {"ledger": True, "handbook": True}

    def put(self, outgoing: Outgoing) -> None:
        self.boxes.setdefault(outgoing.partner, {})[outgoing.id] = outgoing

    def submit(self, submission: Submission) -> Deferred[Answer]:
        if submission.file:
            submission = self._read(submission)
        assert hashlib.sha256(submission.body).hexdigest() == submission.digest
        word = submission.body[:16].split(b" ")[0]
        if word == b"UNPROVEN":
            place = Place(part="Signature")
            return fail(Refusal([Finding("TST001", place, "a signature", "none")], 403))
        if word == b"FULL":
            return fail(Overloaded(7))
        if word == b"CRASH":
            raise RuntimeError("secret of the house")
        if word == b"SLOW":
            return deferLater(self.reactor, self.slow, self._take, submission, Outcome.ACCEPTED)
        return succeed(self._take(submission, Outcome.REJECTED if word == b"REJECT" else Outcome.ACCEPTED))

    def _read(self, submission: Submission) -> Submission:
        """A large one's octets; the file is the office's to remove."""
        file = Path(submission.file)
        self.modes.append(file.stat().st_mode & 0o777)
        body = file.read_bytes()
        file.unlink()
        return msgspec.structs.replace(submission, body=body, file="")

    def _take(self, submission: Submission, outcome: Outcome) -> Answer:
        known = self.answers.get((submission.partner, submission.digest))
        if known is not None:
            return Answer(known.submission, known.outcome, known.receipt, repeated=True)
        self.submissions[submission.id] = submission
        receipt = Outgoing(
            id=f"r{submission.id}",
            partner=submission.partner,
            kind="receipt",
            about=submission.id,
            reference="REF-1",
            media_type='multipart/signed; boundary="b-1"; micalg=sha-256',
            body=b"--b-1 receipt for " + submission.id.encode(),
            created_at=now(),
        )
        answer = Answer(submission.id, outcome, receipt)
        self.answers[submission.partner, submission.digest] = answer
        self.put(receipt)
        return answer

    def status(self, partner: str, submission_id: str, after: int, limit: int) -> Deferred[Status | None]:
        found = self.submissions.get(submission_id)
        if found is None or found.partner != partner:
            return succeed(None)
        answer = self.answers[partner, found.digest]
        return succeed(
            Status(
                submission=found.id,
                reference="REF-1",
                outcome=answer.outcome,
                received_at=found.received_at,
                receipt=answer.receipt.id,
                messages=(MessageStatus(1, "CUSCAR", "1", answer.outcome),),
                timeline=(Event(found.id, found.received_at, "received", "https"),),
            )
        )

    def mailbox(self, partner: str, after: str, limit: int, acknowledged: bool) -> Deferred[list[Entry]]:
        entries = [
            Entry(
                o.id,
                o.kind,
                o.about,
                o.reference,
                o.media_type,
                len(o.body),
                o.created_at,
                self.acknowledged.get(o.id),
            )
            for o in sorted(self.boxes.get(partner, {}).values(), key=lambda o: o.id)
            if o.id > after and (acknowledged or o.id not in self.acknowledged)
        ]
        return succeed(entries[:limit])

    def fetch(self, partner: str, outgoing_id: str) -> Deferred[Outgoing | None]:
        return succeed(self.boxes.get(partner, {}).get(outgoing_id))

    def acknowledge(self, partner: str, ids: list[str]) -> Deferred[int]:
        ours = [i for i in ids if i in self.boxes.get(partner, {})]
        self.acknowledged.update((i, now()) for i in ours)
        return succeed(len(ours))

    def ready(self) -> Deferred[dict[str, str]]:
        return succeed({part: "" if works else "gone" for part, works in self.parts.items()})
