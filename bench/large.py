"""Large messages: memory over idle of every process, time to the receipt, and what small ones notice of it.

    python -m bench.large [--edifact 5,50,500] [--xml 5,50] [--envelopes attached,detached] [--load 10] [--bills 200]
                          [--documents enveloped,attached]

One door over SQLite on this machine, and the sender beside it.  EDIFACT is an interchange of cargo reports of so
many bills each, XML one declaration of many items, in megabytes; ``--documents``: how it is signed.  Beside each is
the time that reading the same file and digesting it takes.  ``--load``: so many small messages a second beside it,
each timed from when it was due, and the same load without anything beside it before; then that is all that is measured.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench import manifests
from bench.load import context
from gateway import safexml, security
from gateway.model import Limits, Partner, Role
from gateway.operations import home as homes
from gateway.operations import settings
from gateway.operations.demo import papers
from gateway.operations.demo.town import Gateway, configure
from gateway.storage import Ledger

MB = 1_000_000
LINE = Partner(
    "line", "Sao Bien Lines", (Role.CARRIER,), ("SAOBIENLINES",), limits=Limits(max_bytes=1_000 * MB)
)
TRADER = Partner(
    "trader", "An Phat Trading", (Role.TRADER,), ("0100109106",), limits=Limits(max_bytes=1_000 * MB)
)
SMALL = Partner("small", "Binh Minh Foods", (Role.TRADER,), ("0100233488",))
PARTNERS = (LINE, TRADER, SMALL)
GOODS = papers.Goods("84713020", "Portable computers, 14 inches", "CN", 48_000_000, 90, 6)
ENVELOPES = {"attached": "application/pkcs7-mime", "detached": "multipart/signed"}
PIECE = 262_144
UNBOUND = safexml.XmlLimits(max_bytes=2**31, max_nodes=2**31, max_scopes=2**40)
"""What is made here is ours."""
QUIET_SECONDS = 20.0
PATIENCE = 900.0


class Row(msgspec.Struct):
    """One message: ``seconds`` to the answer and to the end, ``alone`` for reading and digesting it; memory over
    idle in MB by process."""

    what: str
    mb: float
    answer: int
    outcome: str
    seconds: float
    ended: float
    mb_a_second: float
    alone: float
    over_idle: dict[str, float]


def found(root: Path) -> Path:
    """A home with the partners; folders of keys beside it."""
    home = root / "home"
    homes.create(home)
    configure(home)
    path = home / "conf" / "gateway.toml"
    path.write_text(path.read_text("utf-8").replace("deliver = true", "deliver = false"), encoding="utf-8")
    ledger = Ledger.open(settings.database_url(home, "sqlite:///ledger.db"), create=True)
    for partner in PARTNERS:
        subject = homes.issue_partner(home, partner, root / partner.id)
        ledger.put_partner(msgspec.structs.replace(partner, subjects=(subject,)))
    ledger.close()
    return home


def key_of(root: Path, partner: Partner) -> security.SigningKey:
    """The partner's own."""
    folder = root / partner.id
    return security.SigningKey.load(folder / "signing.key.pem", folder / "signing.crt.pem")


def interchange(root: Path, megabytes: float, envelope: str, bills: int, reference: str) -> tuple[str, bytes]:
    """(media type, body) of a signed interchange of reports that are accepted."""
    made, count, messages = 0, 0, list[str]()
    while made < megabytes * MB:
        count += 1
        messages.append(manifests.report(LINE.identifiers[0], count, f"{reference}{count}", bills))
        made += len(messages[-1])
    content = manifests.interchange(messages, reference, LINE.identifiers[0])
    key = key_of(root, LINE)
    return security.sign_cms(content, "application/edifact", key, ENVELOPES[envelope], datetime.now(UTC))


def document(root: Path, megabytes: float, envelope: str, reference: str) -> tuple[str, bytes]:
    """(media type, body) of a signed declaration."""
    now, who = datetime.now(UTC), (TRADER.name, TRADER.identifiers[0])
    one, two = (len(papers.declaration(reference, who, (GOODS,) * n, now)) for n in (1, 2))
    plain = papers.declaration(reference, who, (GOODS,) * int(megabytes * MB / (two - one)), now)
    key = key_of(root, TRADER)
    if envelope in ENVELOPES:
        return security.sign_cms(plain, "application/xml", key, ENVELOPES[envelope], now)
    return "application/xml", security.sign_xml(safexml.parse(plain, UNBOUND), key, now)


def processes(root: int) -> Iterator[tuple[int, str]]:
    """The gateway's processes and what they are."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int(re.findall(r"^PPid:\s+(\d+)", (folder / "status").read_text(), re.M)[0])
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, IndexError):
            continue
        if int(folder.name) == root:
            yield root, "supervisor"
        elif "gateway" in command and parent == root and "--door" in command:
            yield int(folder.name), "door"
            yield from ((pid, name) for pid, name in _workers(int(folder.name)))


def _workers(parent: int) -> Iterator[tuple[int, str]]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text = (folder / "status").read_text()
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if f"\nPPid:\t{parent}\n" in text and b"spawn_main" in command:
            nice = int((folder / "stat").read_text().rpartition(")")[2].split()[16])
            yield int(folder.name), "large worker" if nice else "worker"


def memory(pid: int, what: str) -> float:
    """VmRSS or VmHWM, MB."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(rf"^{what}:\s+(\d+)", text, re.M)[0]) / 1024


class Sender:
    """One connection of a partner."""

    def __init__(self, root: Path, partner: Partner, port: int) -> None:
        plain = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._socket: ssl.SSLSocket = context(root / partner.id).wrap_socket(
            plain, server_hostname="localhost"
        )

    def ask(
        self, method: str, path: str, media_type: str = "", body: bytes = b""
    ) -> tuple[int, dict[str, str], bytes]:
        """One exchange: status, headers, body."""
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n"
        head += f"Content-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n" if body else "\r\n"
        self._socket.sendall(head.encode())
        for at in range(0, len(body), PIECE):
            self._socket.sendall(body[at : at + PIECE])
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._more()
        top, _, rest = received.partition(b"\r\n\r\n")
        lines = top.decode("latin-1").split("\r\n")
        fields = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines[1:])}
        while len(rest) < int(fields["content-length"]):
            rest += self._more()
        return int(lines[0].split()[1]), fields, rest

    def _more(self) -> bytes:
        data = self._socket.recv(65_536)
        if not data:
            raise ConnectionError("the gateway closed the connection")
        return data


def send(
    patience: float,
    root: Path,
    partner: Partner,
    gateway: Gateway,
    port: int,
    what: str,
    media_type: str,
    body: bytes,
) -> Row:
    """Send one, and wait until it is judged."""
    file = root / "body"
    file.write_bytes(body)
    began = time.perf_counter()
    with file.open("rb") as opened:
        hashlib.file_digest(opened, "sha256")
    alone = time.perf_counter() - began
    idle = {}
    for pid, name in processes(gateway.pid):
        Path(f"/proc/{pid}/clear_refs").write_text("5")
        idle[pid] = name, memory(pid, "VmRSS")
    began = time.perf_counter()
    status, fields, answer = Sender(root, partner, port).ask("POST", "/v1/messages", media_type, body)
    seconds = time.perf_counter() - began
    outcome = fields.get("cvan-outcome", answer.decode("utf-8", "replace")[:300])
    while outcome == "held" and time.perf_counter() - began < patience:
        time.sleep(0.2)
        _, _, told = Sender(root, partner, port).ask("GET", fields["location"])
        outcome = json.loads(told).get("outcome", "")
    ended = time.perf_counter() - began
    over: dict[str, float] = {}
    for pid, name in processes(gateway.pid):
        label, before = idle.get(pid, (f"{name} (new)", 0.0))
        over[label] = round(max(over.get(label, 0.0), memory(pid, "VmHWM") - before), 1)
    return Row(
        what,
        len(body) / MB,
        status,
        outcome,
        round(seconds, 2),
        round(ended, 2),
        round(len(body) / MB / ended, 2),
        round(alone, 3),
        over,
    )


def load(root: Path, port: int, rate: float, seconds: float) -> subprocess.Popen[str]:
    """Small messages beside, from a process of their own."""
    command = [
        sys.executable,
        "-m",
        "bench.load",
        str(port),
        str(root / SMALL.id),
        str(root / "pile"),
        "4",
        str(seconds),
        "--rate",
        str(rate),
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def pile(root: Path, count: int, first: str) -> None:
    """Small signed messages for the load."""
    folder, now, key = root / "pile", datetime.now(UTC), key_of(root, SMALL)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    who = (SMALL.name, SMALL.identifiers[0])
    for number in range(count):
        plain = papers.declaration(f"{first}{number:06d}", who, (GOODS,), now)
        (folder / f"{number:06d}").write_bytes(security.sign_xml(safexml.parse(plain), key, now))


def main() -> None:
    """The table, one JSON line a message."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--edifact", default="5,50,500")
    options.add_argument("--xml", default="5")
    options.add_argument("--envelopes", default="attached,detached")
    options.add_argument("--documents", default="enveloped,attached")
    options.add_argument("--bills", type=int, default=200)
    options.add_argument(
        "--patience", type=float, default=PATIENCE, help="seconds to wait for the end of one"
    )
    options.add_argument("--load", type=float, default=0.0)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        gateway = Gateway(found(root))
        try:
            port = int(gateway.wait().rpartition(":")[2])
            _warm(root, gateway, port, chosen.bills)
            if chosen.load:
                _beside(root, gateway, port, chosen)
                return
            for what, partner, media_type, body in _messages(root, chosen):
                row = send(chosen.patience, root, partner, gateway, port, what, media_type, body)
                print(msgspec.json.encode(row).decode(), flush=True)
        finally:
            gateway.stop()


def _warm(root: Path, gateway: Gateway, port: int, bills: int) -> None:
    for number in range(3):
        media_type, body = interchange(root, 1.2, "attached", bills, f"W{number}")
        row = send(PATIENCE, root, LINE, gateway, port, "warm", media_type, body)
        if row.outcome != "accepted":
            print(msgspec.json.encode(row).decode(), file=sys.stderr)


def _messages(root: Path, chosen: argparse.Namespace) -> Iterator[tuple[str, Partner, str, bytes]]:
    for size in filter(None, chosen.edifact.split(",")):
        for envelope in chosen.envelopes.split(","):
            yield (
                f"EDIFACT {envelope}",
                LINE,
                *interchange(root, float(size), envelope, chosen.bills, f"E{size}{envelope[0]}"),
            )
    for size in filter(None, chosen.xml.split(",")):
        for envelope in chosen.documents.split(","):
            reference = f"X{size}{envelope[0]}"
            yield f"XML {envelope}", TRADER, *document(root, float(size), envelope, reference)


def _beside(root: Path, gateway: Gateway, port: int, chosen: argparse.Namespace) -> None:
    """The load by itself, and with each of the first envelope's sizes in it."""
    seconds = QUIET_SECONDS
    pile(root, int(chosen.load * seconds * 1.5) + 50, "Q")
    quiet = json.loads(load(root, port, chosen.load, seconds).communicate()[0])
    print(json.dumps({"beside": "nothing", **quiet}), flush=True)
    envelope = chosen.envelopes.split(",")[0]
    for size in filter(None, chosen.edifact.split(",")):
        media_type, body = interchange(root, float(size), envelope, chosen.bills, f"B{size}")
        pile(root, int(chosen.load * seconds * 1.5) + 50, f"P{size}-")
        running = load(root, port, chosen.load, seconds)
        time.sleep(2)
        row = send(chosen.patience, root, LINE, gateway, port, f"EDIFACT {envelope}", media_type, body)
        told = json.loads(running.communicate()[0])
        print(
            json.dumps({"beside": f"{size} MB in {row.ended} s", "outcome": row.outcome, **told}), flush=True
        )


if __name__ == "__main__":
    main()
