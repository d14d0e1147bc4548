"""A roll-over under load: a partner, the gateway and a receiver change all their keys, and nothing is lost."""

from __future__ import annotations

import shutil
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from gateway import safexml, security
from gateway.model import Channel, Credential, Partner, Role, Use
from gateway.operations import home as homes
from gateway.security import SigningKey
from tests.journeys.conftest import Found
from tests.journeys.plain import Answer, Plain
from tests.journeys.receiver import Receiver
from tests.journeys.town import BOOKS, Town, until

MESSAGES = 1_000
SENDERS = 4
ROLLING = Partner("rolling", "Rolling Trading Co.", (Role.TRADER,), ("0101260019",))
PUSHED = Partner("pushed", "Pushed Trading Co.", (Role.TRADER,), ("0101261020",), channel=Channel.PUSH)


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificates(path.read_bytes())[0]


def fingerprint(path: Path) -> str:
    return certificate(path).fingerprint(hashes.SHA256()).hex()


def credential(path: Path, *uses: Use, **window: datetime) -> Credential:
    shown = certificate(path)
    return Credential(
        shown.fingerprint(hashes.SHA256()).hex(),
        uses,
        subject=shown.subject.rfc4514_string(),
        expires_at=shown.not_valid_after_utc,
        **window,
    )


@dataclass
class Drill:
    """What was sent and heard."""

    town: Town
    folders: list[Path]
    """The partner's generations, oldest first; who sends takes the newest."""
    answers: list[Answer] = field(default_factory=list)
    signed_by: Counter[str] = field(default_factory=Counter)
    served_by: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    used: Counter[Path] = field(default_factory=Counter)

    def send(self, count: int) -> None:
        """So many messages, one after the other, a new connection for every tenth."""
        client: Plain | None = None
        for number in range(count):
            folder = self.folders[-1]
            if client is None or number % 10 == 0:
                if client is not None:
                    client.close()
                client = Plain(lambda: self.town.gateway.port, self.town.anchor, folder)
                self._note_server()
            self._one(client, folder)
        if client is not None:
            client.close()

    def _one(self, client: Plain, folder: Path) -> None:
        document = self.town.declaration(ROLLING, BOOKS)
        key = SigningKey.load(folder / "signing.key.pem", folder / "signing.crt.pem")
        try:
            answer = client.submit(security.sign_xml(safexml.parse(document), key, datetime.now(UTC)))
        except OSError as error:
            with self.lock:
                self.failures.append(repr(error))
            return
        with self.lock:
            self.answers.append(answer)
            self.used[folder] += 1
            if answer.status != 200:
                self.failures.append(f"{answer.status} {answer.body[:300]!r}")

    def _note_server(self) -> None:
        pem = ssl.get_server_certificate(("localhost", self.town.gateway.port))
        shown = x509.load_pem_x509_certificate(pem.encode()).fingerprint(hashes.SHA256()).hex()
        with self.lock:
            self.served_by[shown] += 1

    def prove(self) -> None:
        """Every receipt verifies."""
        book = self.town.book
        for answer in self.answers:
            verified = security.verify(
                answer.body, answer.media_type, book.trust, book.policy, datetime.now(UTC)
            )
            self.signed_by[verified.signer.fingerprint] += 1


@pytest.fixture
def town(found: Found) -> Iterator[Town]:
    made = found("sqlite")
    yield made
    made.gateway.sweep()


def enrolled(town: Town, partner: Partner, folder: Path, *more: Credential) -> Partner:
    own = (
        credential(folder / "tls.crt.pem", Use.TLS),
        credential(folder / "signing.crt.pem", Use.SIGN),
    )
    known = msgspec.structs.replace(partner, credentials=(*own, *more))
    town.ledger.put_partner(known)
    return known


def second_generation(town: Town, folder: Path) -> Path:
    """New keys of the partner's in a folder of their own, under the same subject."""
    fresh = folder.with_name(f"{folder.name}-2")
    shutil.copytree(folder, fresh)
    name = certificate(folder / "signing.crt.pem").subject.rfc4514_string()
    own = homes.authority(town.home)
    own.issue(name, fresh / "signing.key.pem", fresh / "signing.crt.pem", algorithm="p256")
    own.issue(name, fresh / "tls.key.pem", fresh / "tls.crt.pem", algorithm="p256", use="tls")
    return fresh


def test_a_thousand_messages_while_everybody_changes_keys(town: Town) -> None:
    town.gateway.start()
    partner = town.enrol(ROLLING)
    folder = town.folder(ROLLING)
    enrolled(town, partner, folder)
    until(lambda: town.client(ROLLING).mailbox().status == 200)
    drill = Drill(town, [folder])
    with ThreadPoolExecutor(SENDERS) as pool:
        senders = [pool.submit(drill.send, MESSAGES // SENDERS) for _ in range(SENDERS)]
        reached(drill, MESSAGES // 8)
        # The partner: new certificates are agreed beside the old, then used, then the old ones go.
        fresh = second_generation(town, folder)
        agreed = (
            credential(fresh / "tls.crt.pem", Use.TLS),
            credential(fresh / "signing.crt.pem", Use.SIGN),
        )
        enrolled(town, partner, folder, *agreed)
        until(lambda: Plain(lambda: town.gateway.port, town.anchor, fresh).mailbox().status == 200)
        drill.folders.append(fresh)
        reached(drill, MESSAGES // 4)
        # The gateway: a signing key of another kind at once, a TLS key at a moment to come.
        assert town.cvan("keys", "rotate", "--use", "signing", "--algorithm", "p384").code == 0
        moment = datetime.now(UTC) + timedelta(seconds=4)
        said = town.cvan("keys", "rotate", "--use", "tls", "--algorithm", "p256", "--at", moment.isoformat())
        assert said.code == 0, said.err
        for sender in senders:
            sender.result()
        began = datetime.now(UTC)
    assert not drill.failures, (drill.failures[:3], town.gateway.log()[-3000:])
    assert len(drill.answers) == MESSAGES
    assert {a.outcome for a in drill.answers} == {"accepted"}
    assert len({a.submission for a in drill.answers}) == MESSAGES
    assert set(drill.used) == {folder, fresh}
    if began < moment:
        time.sleep((moment - began).total_seconds() + 0.2)
    drill._note_server()
    drill.prove()
    own = town.home / "keystore" / "own"
    both = {fingerprint(own / "signing.crt.pem"), fingerprint(own / "signing.2.crt.pem")}
    assert set(drill.signed_by) == both
    assert set(drill.served_by) == {fingerprint(own / "tls.crt.pem"), fingerprint(own / "tls.2.crt.pem")}
    # What is no longer agreed ends at once, the rest goes on.
    town.ledger.put_partner(msgspec.structs.replace(partner, credentials=agreed))
    old, new = (Plain(lambda: town.gateway.port, town.anchor, f) for f in (folder, fresh))
    until(lambda: old.mailbox().status == 401)
    assert new.mailbox().status == 200
    assert delivered(town) == MESSAGES


def delivered(town: Town) -> int:
    """Submissions whose declaration arrived at customs: each was registered, once."""
    client = town.client(ROLLING)
    client.close()
    client = Plain(lambda: town.gateway.port, town.anchor, town.folder(ROLLING).with_name("rolling-2"))
    counted: list[dict[str, Any]] = []

    def all_there() -> bool:
        counted[:] = [e for e in client.entries(everything=True) if e["kind"] == "registered"]
        return len(counted) >= MESSAGES

    until(all_there, 90.0, lambda: len(counted))
    return len({e["about"] for e in counted})


def reached(drill: Drill, count: int) -> None:
    until(lambda: len(drill.answers) >= count or bool(drill.failures), 120.0)


def test_a_receiver_s_certificate_is_changed_while_messages_are_pushed(town: Town, tmp_path: Path) -> None:
    town.gateway.start()
    first, second = (pair(town, tmp_path, name) for name in ("one", "two"))
    receiver = Receiver(*first, town.anchor)
    receiver.brief = True
    try:
        partner = town.enrol(PUSHED, receiver.url("/pushed"))
        agree(town, partner, credential(first[1], Use.PUSH))
        until(lambda: town.client(PUSHED).mailbox().status == 200)
        submit(town, 5)
        receiver.until(lambda: len(receiver.taken("/pushed")) >= 20)
        # One that was not agreed gets nothing, although it is of a trusted authority.
        receiver.present(*second)
        submit(town, 1)
        until(lambda: "API603" in town.cvan("deliveries", "list", "--json").text)
        assert len(receiver.taken("/pushed")) == 20
        agree(town, partner, credential(first[1], Use.PUSH), credential(second[1], Use.PUSH))
        receiver.until(lambda: len(receiver.taken("/pushed")) >= 24, 60.0)
        submit(town, 5)
        receiver.until(lambda: len(receiver.taken("/pushed")) >= 44, 60.0)
    finally:
        receiver.close()


def pair(town: Town, folder: Path, name: str) -> tuple[Path, Path]:
    key, shown = folder / f"{name}.key.pem", folder / f"{name}.crt.pem"
    homes.authority(town.home).issue(
        homes.subject("localhost", name, "VN"), key, shown, algorithm="p256", server_names=("localhost",)
    )
    return key, shown


def agree(town: Town, partner: Partner, *credentials: Credential) -> None:
    town.ledger.put_partner(msgspec.structs.replace(partner, credentials=credentials))
    time.sleep(1.5)  # within a second it is known


def submit(town: Town, count: int) -> None:
    for _ in range(count):
        answer = town.client(PUSHED).submit(town.signed(PUSHED, BOOKS))
        assert answer.outcome == "accepted"
