"""A partner reads why: the status carries the sentences, and the command prints them, once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
from twisted.internet.defer import Deferred

from gateway.intake import Intake, Numbers
from gateway.model import Catalogue, Event, Finding, Meaning, Place
from gateway.operations.cli import people
from gateway.operations.cli.say import Trouble
from gateway.operations.readiness import Readiness
from gateway.operations.services import Doorkeeping
from gateway.storage import Ledger
from gateway.transport import Declined, MessageStatus, Status, said
from gateway.transport.problem import Problem
from tests.delivery.fakes import InlineCommits, StillReactor, done
from tests.operations.knowledge import CARRIER, NOW, World, declaration, manifest
from tests.operations.shell import cvan_alone

CATALOGUE = Catalogue({"TST001": Meaning("{found} is wrong.", "{found} sai.")})
TOLD = said(Finding("TST001", Place(line=7), found="x"), CATALOGUE)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_status_has_the_sentences_of_messages_and_of_the_whole(world: World, sqlite_url: str) -> None:
    ledger = Ledger.open(sqlite_url)
    commits: Any = InlineCommits(ledger)
    intake = Intake(commits, Numbers(ledger), lambda: world.handbook, world.own, lambda: NOW, "office")
    services = Doorkeeping(
        intake, commits, lambda: world.handbook, Readiness(commits, ledger.writes, StillReactor())
    )
    wrong = declaration().replace(b"<TotalPackageQuantity>60<", b"<TotalPackageQuantity>61<")
    answer = done(services.submit(world.submission(world.signed(wrong))))
    (message,) = done(services.status("anphat", answer.submission, 0, 100)).messages
    (finding,) = message.findings
    assert (finding.expected, finding.found, finding.place.line > 0) == ("60", "61", True)
    assert "61" in finding.text
    assert finding.text_vi not in ("", finding.text)

    kind, body = world.sealed(manifest().rpartition(b"UNZ")[0])
    cut = done(services.submit(world.submission(body, kind, by=CARRIER)))
    status = done(services.status(CARRIER.id, cut.submission, 0, 100))
    assert status.outcome == "rejected"
    assert [f for f in status.findings if f.text and f.text_vi]
    ledger.close()


def test_everything_found_is_printed_below_its_message() -> None:
    status = Status(
        "s1",
        "R",
        "partly",
        datetime.now(UTC),
        "s1.r",
        (
            MessageStatus(1, "IM", "M1", "accepted"),
            MessageStatus(2, "IM", "M2", "rejected", findings=(TOLD,)),
        ),
        findings=(TOLD,),
    )
    finding = ["  error   TST001   line 7", "          x is wrong."]
    assert list(people._why(status)) == [*finding, "  2. IM M2: rejected", *finding]
    assert list(people._why(None)) == []


def test_a_refusal_is_told_once() -> None:
    problem = Problem("/docs#TST001", "Forbidden", 403, TOLD.text, "r1", (TOLD,))
    words = people._declined(Declined(problem))
    assert words.count("x is wrong.") == 1
    assert "403" in words
    assert "TST001" in words
    bare = msgspec.structs.replace(problem, findings=(), detail="no answer of a gateway")
    assert people._declined(Declined(bare)) == "the gateway answered 403: no answer of a gateway"


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:1",
        "localhost:1",
        "https://",
        "https://u:p@h:1",
        "https://h:0",
        "https://h:x",
        "ftp://h",
    ],
)
def test_what_is_sent_goes_over_tls_or_not_at_all(tmp_path: Path, url: str) -> None:
    (tmp_path / "partner.toml").write_text(f'id = "p"\nurl = "{url}"\n')
    with pytest.raises(Trouble, match=r"https://HOST:PORT"):
        people.account(tmp_path, "")
    assert people.account(tmp_path, "https://h:1").url == "https://h:1"


def test_a_folder_without_an_address_wants_one(tmp_path: Path) -> None:
    (tmp_path / "partner.toml").write_text('id = "p"\nurl = ""\n')
    with pytest.raises(Trouble, match="--url"):
        people.account(tmp_path, "")


def test_a_folder_without_a_certificate_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "partner.toml").write_text('id = "p"\nurl = "https://localhost:1"\n')
    (tmp_path / "file.xml").write_text("<a/>")
    said = cvan_alone("send", tmp_path / "file.xml", "--as", tmp_path)
    assert said.code == 2
    assert len(said.err.splitlines()) == 1
    assert "tls.crt.pem" in said.err


def test_a_status_of_several_pages_is_put_together() -> None:
    began = datetime(2026, 11, 23, tzinfo=UTC)
    received = Event("s1", began, "received", "https")
    events = [Event(f"s1.{n}", began + timedelta(seconds=9 - n), "registered") for n in range(1, 6)]

    class Client:
        asked: ClassVar[list[int]] = []

        async def status(self, submission: str, after: int = 0) -> Status:
            self.asked.append(after)
            numbers = range(after + 1, min(after + 2, 5) + 1)
            messages = tuple(MessageStatus(n, "IM", f"M{n}", "accepted") for n in numbers)
            timeline = (received, *(events[n - 1] for n in numbers))
            end = numbers[-1] if numbers[-1] < 5 else 0
            return Status(submission, "R", "accepted", began, "s1.r", messages, timeline, (), end)

    whole = done(Deferred.fromCoroutine(people._whole(Client(), "s1")))  # type: ignore[arg-type]
    assert Client.asked == [0, 2, 4]
    assert [m.ordinal for m in whole.messages] == [1, 2, 3, 4, 5]
    assert whole.timeline == (received, *reversed(events))
    assert whole.next == 0
