"""A drill with a real OCSP responder: up, slow, down, lying, and a certificate that is revoked."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import re
import statistics
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import text

from gateway.model import Channel, Partner, Role
from gateway.operations import home as homes
from gateway.operations.demo.town import AN_PHAT, BINH_MINH, configure
from gateway.security.certificates.authority import Authority
from tests.journeys.conftest import Found
from tests.journeys.plain import Answer
from tests.journeys.responders import (
    HAS_OPENSSL,
    Gatekeeper,
    OpensslOcsp,
    crl_of,
    response,
    unauthorized,
)
from tests.journeys.town import BOOKS, EVERYBODY, Town, text_of, until
from tests.sqlite import engine as engine_of

pytestmark = pytest.mark.skipif(not HAS_OPENSSL, reason="openssl is not installed")

_numbers = itertools.count(1)


class Guarded:
    """A town whose authority has services, and what is watched of its doors."""

    def __init__(self, town: Town, folder: Path) -> None:
        self.town = town
        self.folder = folder
        self.authority = homes.authority(town.home)
        self.responder = OpensslOcsp(folder / "ocsp", self.authority)
        self.keeper = Gatekeeper(self.responder)
        for partner in EVERYBODY:
            self.responder.issued(town.key(partner).certificates[0])
        conf = town.home / "conf" / "gateway.toml"
        self._plain = conf.read_text("utf-8")
        self.strangers: set[tuple[str, int]] = set()
        self._watching = True
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._watch.start()

    def run(self, policy: str, *, source: str = "ocsp", **trust: Any) -> None:
        """(Re)start the gateway with a policy, and nothing said of the authority but this address."""
        self.stop()
        conf = self.town.home / "conf" / "gateway.toml"
        conf.write_text(self._plain, "utf-8")
        configure(self.town.home, revocation=policy, **trust)
        path = "" if source == "ocsp" else "/crl"
        issuer = json.dumps(self.authority.certificate.subject.rfc4514_string())
        authority = f'\nauthority = [{{ issuer = {issuer}, {source} = "{self.keeper.url}{path}" }}]'
        assert "\nauthority = []" in conf.read_text("utf-8")
        conf.write_text(conf.read_text("utf-8").replace("\nauthority = []", authority), "utf-8")
        self.town.gateway.start()
        self.hang_up()

    def power_cut(self) -> None:
        """SIGKILL to all of it, and begun again."""
        self.town.gateway.kill()
        self.town.gateway.sweep()
        self.town.gateway.start()
        self.hang_up()

    def hang_up(self) -> None:
        for client in self.town._clients.values():
            client.close()

    def stop(self) -> None:
        with contextlib.suppress(AssertionError):
            self.town.gateway.stop()

    def newcomer(self, channel: Channel = Channel.MAILBOX, known: bool = True) -> Partner:
        """A partner that nobody met before."""
        number = next(_numbers)
        token = f"a-token-of-newcomer-{number}-which-needs-no-certificate"
        partner = Partner(
            f"new{number}",
            f"New Trading {number} Co.",
            (Role.TRADER,),
            (tax_code(number),),
            channel=channel,
            token_digest=hashlib.sha256(token.encode()).hexdigest(),
        )
        partner = self.town.enrol(partner)
        if known:
            self.responder.issued(self.town.key(partner).certificates[0])
            if self.responder.running:
                self.responder.stop()
                self.responder.start()
        until(lambda: self.town.token_client(token).mailbox().status == 200, what="the doors know it")
        return partner

    def file(self, partner: Partner) -> Answer:
        return self.town.client(partner).submit(self.town.signed(partner, BOOKS))

    def outcome(self, partner: Partner, submission: str) -> str:
        answer = self.town.client(partner).status(submission)
        return str(answer.json()["outcome"]) if answer.status == 200 else f"{answer.status}"

    def settled(self, partner: Partner, submission: str, outcome: str, seconds: float = 30) -> dict[str, Any]:
        end = time.monotonic() + seconds
        while (now := self.outcome(partner, submission)) != outcome:
            assert time.monotonic() < end, (now, self.told(), self.town.gateway.log()[-2000:])
            time.sleep(0.05)
        return dict(self.town.client(partner).status(submission).json())

    def told(self) -> dict[str, Any]:
        """``cvan revocation status``, by fingerprint."""
        said = self.town.cvan("revocation", "status", "--json")
        assert said.code == 0, said.err
        return {row["fingerprint"]: row for row in said.json()["certificates"]}

    def signer(self, partner: Partner) -> dict[str, Any]:
        """What is told of the certificate it signs with: the one it connects with has the same subject."""
        der = self.town.key(partner).certificates[0].public_bytes(Encoding.DER)
        not_met = {"status": "", "attempts": 0, "error": ""}
        return dict(self.told().get(hashlib.sha256(der).hexdigest(), not_met))

    def receipts(self, partner: Partner, submission: str) -> list[dict[str, Any]]:
        found = self.town.client(partner).entries(everything=True)
        return [e for e in found if e["about"] == submission and e["kind"] == "receipt"]

    def close(self) -> None:
        self._watching = False
        self._watch.join()
        self.keeper.stop()
        self.responder.stop()

    def _look(self) -> None:
        """Every connection that a door ever has: those it accepted have one of its own ports here."""
        looks = 0
        while self._watching:
            if looks % 10 == 0:  # finding the doors takes longer than looking at one
                doors = self.town.gateway.doors()
            for pid in doors:
                self.strangers |= outbound(pid)
            looks += 1
            time.sleep(0.02)


def tax_code(number: int) -> str:
    """A Vietnamese tax code with its check digit."""
    for body in itertools.count(31_440_000 * 10 + number * 1_000):
        digits = f"{body % 10**9:09d}"
        rest = sum(w * int(d) for w, d in zip((31, 29, 23, 19, 17, 13, 7, 5, 3), digits, strict=True)) % 11
        if rest:
            return f"{digits}{10 - rest}"
    raise AssertionError


def outbound(pid: int) -> set[tuple[str, int]]:
    """Remote (address, port) of a process's connections that it did not accept."""
    inodes = set()
    with contextlib.suppress(OSError):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                found = re.match(r"socket:\[(\d+)\]", os.readlink(f"/proc/{pid}/fd/{fd}"))
                inodes |= {found[1]} if found else set()
    rows = []
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            rows += [line.split() for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]]
    mine = [row for row in rows if row[9] in inodes]
    listening = {row[1].rpartition(":")[2] for row in mine if row[3] == "0A"}
    return {
        (row[2].rpartition(":")[0], int(row[2].rpartition(":")[2], 16))
        for row in mine
        if row[3] != "0A" and row[1].rpartition(":")[2] not in listening
    }


@pytest.fixture(scope="module")
def guarded(found: Found, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    made = Guarded(found("sqlite"), tmp_path_factory.mktemp("services"))
    made.responder.start()
    made.keeper.start()
    yield made
    made.stop()
    made.close()
    # Whatever happened: no door called anybody; those who were called, the process that delivers called.
    assert made.strangers == set()
    assert made.keeper.calls


@pytest.fixture(autouse=True)
def obedient(guarded: Guarded) -> Iterator[None]:
    yield
    guarded.keeper.lie, guarded.keeper.down, guarded.keeper.delay = None, False, 0.0


@pytest.fixture(scope="module")
def holding(guarded: Guarded) -> Guarded:
    guarded.run("hold")
    return guarded


def test_first_held_then_at_once(holding: Guarded) -> None:
    first = holding.file(AN_PHAT)
    assert (first.status, first.outcome) == (202, "held")
    assert [f["code"] for f in first.json()["findings"]] == ["SIG302"]
    assert "thu hồi" in first.json()["findings"][0]["text_vi"]
    status = holding.settled(AN_PHAT, first.submission, "accepted")
    assert [e["what"] for e in status["timeline"]][:3] == ["received", "held", "accepted"]
    (receipt,) = holding.receipts(AN_PHAT, first.submission)
    fetched = holding.town.client(AN_PHAT).fetch(receipt["id"])
    assert text_of(holding.town.prove(fetched.body, fetched.media_type), "FunctionCode")
    holding.town.await_entries(AN_PHAT, first.submission, "registered")
    second = holding.file(AN_PHAT)
    assert (second.status, second.outcome) == (200, "accepted")
    own = {r["subject"].partition(",")[0] for r in holding.told().values() if r["uses"] == ["own"]}
    assert own == {"CN=Gateway signing", "CN=localhost"}
    row = holding.signer(AN_PHAT)
    assert (row["status"], row["uses"], row["error"]) == ("good", ["sign"], "")


def test_down_then_killed_then_up(holding: Guarded) -> None:
    holding.keeper.down = True
    newcomer = holding.newcomer()
    body = holding.town.signed(newcomer, BOOKS)
    first = holding.town.client(newcomer).submit(body)
    assert first.status == 202
    again = holding.town.client(newcomer).submit(body)
    assert (again.status, again.submission, again.repeated) == (202, first.submission, True)
    status = holding.town.client(newcomer).status(first.submission).json()
    assert (status["outcome"], status["findings"][0]["code"]) == ("held", "SIG302")
    assert holding.town.client(AN_PHAT).status(first.submission).status == 404  # nobody else's business
    assert holding.town.client(newcomer).call("GET", f"/v1/messages/{first.submission}/receipt").status == 404
    until(lambda: holding.signer(newcomer)["attempts"] >= 1)
    assert "SIG340" in holding.signer(newcomer)["error"]
    holding.power_cut()
    assert holding.outcome(newcomer, first.submission) == "held"
    holding.keeper.down = False
    holding.settled(newcomer, first.submission, "accepted", 60)
    holding.town.await_entries(newcomer, first.submission, "registered")
    assert len(holding.receipts(newcomer, first.submission)) == 1
    late = holding.town.client(newcomer).submit(body)
    assert (late.status, late.submission, late.repeated) == (200, first.submission, True)


def test_killed_again_and_again_while_held(holding: Guarded) -> None:
    """Wherever it is cut between the settlement and the note that it was made: one effect."""
    holding.keeper.down = True
    newcomer = holding.newcomer()
    held = [holding.file(newcomer).submission for _ in range(6)]
    holding.keeper.down = False
    for pause in (0.2, 0.5, 0.9):
        holding.town.cvan("revocation", "fetch")
        time.sleep(pause)
        holding.power_cut()
    for submission in held:
        holding.settled(newcomer, submission, "accepted", 60)
        assert len(holding.receipts(newcomer, submission)) == 1
        entries = holding.town.await_entries(newcomer, submission, "registered", seconds=60)
        assert [e["kind"] for e in entries].count("registered") == 1


@pytest.mark.parametrize(
    "name", ["wrong issuer", "wrong signer", "old", "wrong serial", "unauthorized", "garbled"]
)
def test_lies_are_not_believed(holding: Guarded, name: str) -> None:
    newcomer = holding.newcomer()
    certificate = holding.town.key(newcomer).certificates[0]
    impostor = holding.folder / f"impostor-{name.replace(' ', '-')}"
    other = Authority.create(impostor, "Development authority, for trying out only")
    own, long_ago = holding.authority, datetime.now(UTC).replace(microsecond=0) - timedelta(days=3)
    someone = holding.town.key(BINH_MINH).certificates[0]
    lies = {
        "wrong issuer": (response(other, certificate, other), ("SIG322", "SIG323")),
        "wrong signer": (response(other, certificate, own), ("SIG322",)),
        "old": (
            response(own, certificate, own, at=long_ago, until=long_ago + timedelta(hours=1)),
            ("SIG325",),
        ),
        "wrong serial": (response(own, someone, own), ("SIG324",)),
        "unauthorized": (unauthorized(), ("SIG321",)),
        "garbled": (response(own, certificate, own)[:-2] + b"xx", ("SIG323", "SIG320")),
    }
    lie, codes = lies[name]
    holding.keeper.lie = lambda request, true: lie
    answer = holding.file(newcomer)
    assert answer.status == 202
    until(lambda: holding.signer(newcomer)["attempts"] >= 1, what=name)
    error = holding.signer(newcomer)["error"]
    assert error.split()[0] in codes, error
    assert holding.outcome(newcomer, answer.submission) == "held"
    holding.keeper.lie = None
    holding.town.cvan("revocation", "fetch")
    holding.settled(newcomer, answer.submission, "accepted")


def test_a_repeated_old_answer_has_another_nonce(holding: Guarded) -> None:
    """Who repeats yesterday's "good" after a revocation: the nonce shows it."""
    newcomer = holding.newcomer()
    kept: list[bytes] = []
    holding.keeper.lie = lambda request, true: kept.append(true) or true  # type: ignore[func-returns-value]
    holding.settled(newcomer, holding.file(newcomer).submission, "accepted")
    holding.keeper.lie = lambda request, true: kept[0]
    holding.town.cvan("revocation", "fetch")
    until(lambda: "SIG326" in holding.signer(newcomer)["error"])
    assert holding.file(newcomer).status == 200  # what is known stays true until it ends


def test_slow_responder_and_the_journey(holding: Guarded) -> None:
    """Messages of known signers take as long as ever while a responder keeps everybody waiting."""
    town = holding.town
    assert holding.settled(AN_PHAT, holding.file(AN_PHAT).submission, "accepted")

    def milliseconds(count: int = 40) -> float:
        spent = []
        for _ in range(count):
            body = town.signed(AN_PHAT, BOOKS)
            began = time.perf_counter()
            assert town.client(AN_PHAT).submit(body).status == 200
            spent.append((time.perf_counter() - began) * 1_000)
        return statistics.median(spent)

    milliseconds(10)
    quick = milliseconds()
    holding.keeper.delay = 4.0
    newcomer = holding.newcomer()
    held = holding.file(newcomer)
    assert held.status == 202
    town.cvan("revocation", "fetch")
    calls = len(holding.keeper.calls)
    until(lambda: len(holding.keeper.calls) > calls)
    slow = milliseconds()
    print(f"journey: {quick:.1f} ms with a quick responder, {slow:.1f} ms with a slow one")
    assert slow < 3 * quick + 20
    holding.keeper.delay = 0.0
    holding.settled(newcomer, held.submission, "accepted")


def test_time_runs_out(holding: Guarded) -> None:
    holding.keeper.down = True
    newcomer = holding.newcomer()
    answer = holding.file(newcomer)
    engine = engine_of(holding.town.ledger_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE held SET deadline = 1 WHERE id = :id"), {"id": answer.submission})
    engine.dispose()
    status = holding.settled(newcomer, answer.submission, "rejected")
    assert [f["code"] for f in status["findings"]] == ["SIG304"]
    (receipt,) = holding.receipts(newcomer, answer.submission)
    fetched = holding.town.client(newcomer).fetch(receipt["id"])
    assert b"SIG304" in holding.town.prove(fetched.body, fetched.media_type)


def test_pushed_to_who_wants_it(holding: Guarded) -> None:
    holding.keeper.down = True
    newcomer = holding.newcomer(Channel.PUSH)
    answer = holding.file(newcomer)
    assert answer.status == 202
    holding.keeper.down = False
    holding.town.cvan("revocation", "fetch")
    holding.settled(newcomer, answer.submission, "accepted")
    receiver = holding.town.receiver
    until(lambda: "receipt" in {p.kind for p in receiver.taken(f"/{newcomer.id}").values()})


def test_revoked(holding: Guarded) -> None:
    """Refused from the moment that it is known, whoever waits; what was held is told so."""
    first = holding.newcomer()
    holding.settled(first, holding.file(first).submission, "accepted")
    holding.responder.revoke(holding.town.key(first).certificates[0], "keyCompromise")
    holding.town.cvan("revocation", "fetch")
    until(lambda: holding.signer(first)["status"] == "revoked")
    until(lambda: holding.file(first).status == 403)
    refused = holding.file(first)
    assert refused.codes == ["SIG300"]
    holding.keeper.down = True
    second = holding.newcomer()
    waiting = holding.file(second)
    holding.responder.revoke(holding.town.key(second).certificates[0])
    holding.keeper.down = False
    holding.town.cvan("revocation", "fetch")
    status = holding.settled(second, waiting.submission, "rejected")
    assert [f["code"] for f in status["findings"]] == ["SIG300"]
    assert len(holding.receipts(second, waiting.submission)) == 1
    holding.keeper.down = True  # a revocation needs no responder to stay one
    holding.power_cut()
    assert holding.file(first).codes == ["SIG300"]


def test_a_client_certificate_that_was_revoked(holding: Guarded) -> None:
    """Unknown, it may connect; revoked, no more, not even on the connection that it has."""
    newcomer = holding.newcomer()
    tls = x509.load_pem_x509_certificate((holding.town.folder(newcomer) / "tls.crt.pem").read_bytes())
    client = holding.town.client(newcomer)
    assert client.mailbox().status == 200
    holding.responder.issued(tls)
    holding.responder.revoke(tls)
    holding.town.cvan("revocation", "fetch")
    until(lambda: client.mailbox().status == 401)
    holding.town.gateway.stop()  # refusals alike are told together, at the end at the latest
    assert "SIG305" in holding.town.gateway.log()
    holding.town.gateway.start()
    holding.hang_up()
    assert holding.town.client(AN_PHAT).mailbox().status == 200


def test_accept_with_a_mark(guarded: Guarded) -> None:
    guarded.run("accept")
    guarded.keeper.down = True
    newcomer = guarded.newcomer()
    answer = guarded.file(newcomer)
    assert (answer.status, answer.outcome) == (200, "accepted")
    status = guarded.town.client(newcomer).status(answer.submission).json()
    assert [(f["code"], f["severity"]) for f in status["findings"]] == [("SIG303", "warning")]
    assert "unchecked" in [e["what"] for e in status["timeline"]]
    guarded.keeper.down = False
    guarded.town.cvan("revocation", "fetch")
    until(lambda: guarded.signer(newcomer)["status"] == "good")
    until(
        lambda: (
            "findings" not in guarded.town.client(newcomer).status(guarded.file(newcomer).submission).json()
        )
    )


def test_refuse_and_lists(guarded: Guarded) -> None:
    guarded.run("refuse", source="crl")
    guarded.keeper.down = True
    newcomer = guarded.newcomer()
    assert guarded.file(newcomer).codes == ["SIG301"]
    guarded.keeper.down = False
    guarded.keeper.crl = crl_of(guarded.authority)
    taken = guarded.folder / "authority.crl"
    taken.write_bytes(guarded.keeper.crl)
    said = guarded.town.cvan("revocation", "import", taken)
    assert said.code == 0, said.err
    until(lambda: guarded.file(newcomer).status == 200)
    listed = crl_of(guarded.authority, guarded.town.key(newcomer).certificates[0])
    guarded.keeper.crl = listed
    time.sleep(1)
    guarded.town.cvan("revocation", "fetch")
    until(lambda: guarded.file(newcomer).status == 403)
    assert guarded.file(newcomer).codes == ["SIG300"]
    other = Authority.create(guarded.folder / "elsewhere", "Elsewhere")
    taken.write_bytes(crl_of(other))
    said = guarded.town.cvan("revocation", "import", taken)
    assert said.code == 2
    assert "SIG331" in said.err
