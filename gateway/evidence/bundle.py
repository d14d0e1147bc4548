"""A bundle: everything about one submission in one file that proves itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.evidence import entries, recipe, verify
from gateway.evidence.checkpoints import read_checkpoint
from gateway.evidence.entries import Entry, Exhibits, read_entry
from gateway.evidence.gathered import Gathered, Told
from gateway.evidence.signatures import (
    DER,
    OTHER,
    SMIME,
    XML,
    Form,
    certificates_in,
    completed,
    form_of,
    pem,
    signature_octets,
)
from gateway.model import Signer

FORMAT = "cvan evidence 1"
VERIFIER = Path(verify.__file__)
_ENDINGS = {XML: "signature.xml", SMIME: "signature.p7s", DER: "signature.p7s", OTHER: ""}
Sign = Callable[[bytes], bytes]


class NoEvidence(Exception):
    """The journal does not say how this submission was received; the text says why."""


def bundle(
    gathered: Gathered,
    sign: Sign,
    own: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    now: datetime,
) -> bytes:
    """The zip archive of a bundle, sealed.

    ``sign``: the gateway's raw signature over octets, with the key of ``own`` (its chain).  ``anchors``:
    authorities at hand, by which chains are completed.  ``now``: aware, when it is made.  Raises
    NoEvidence.
    """
    told = [read_entry(line.text) for line in gathered.lines]
    received = next((e for e in told if e.kind in (entries.RECEIVED, entries.ADOPTED)), None)
    if received is None:
        raise NoEvidence(f"the journal has no entry of {gathered.submission.id}")
    maker = _Maker(gathered, received, anchors)
    maker.submission()
    maker.history()
    maker.journal()
    maker.checkpoints()
    seal = maker.gateway(completed(own, anchors))
    index = maker.index(seal, now)
    files = maker.files
    files[verify.INDEX] = json.dumps(index, indent=1, ensure_ascii=False).encode()
    files["verify.py"] = VERIFIER.read_bytes()
    files["README.txt"] = recipe.readme(index, files).encode()
    files[verify.MANIFEST] = verify.manifest_of(files)
    files[verify.SEAL] = sign(files[verify.MANIFEST])
    return verify.pack(files)


class _Maker:
    """The files of a bundle as they come together."""

    def __init__(self, gathered: Gathered, received: Entry, anchors: Sequence[x509.Certificate]) -> None:
        self.files: dict[str, bytes] = {}
        self._gathered = gathered
        self._received = received
        self._anchors = anchors
        self._layers: list[dict[str, str]] = []
        self._sent: list[dict[str, str]] = []
        self._under: dict[str, int] = {}
        self._checkpoints: list[dict[str, Any]] = []
        self._chains: dict[tuple[bytes, ...], str] = {}

    def submission(self) -> None:
        """The octets as received, what the transport said of them, the signatures and their proofs."""
        taken, files = self._gathered.submission, self.files
        form = form_of(taken.media_type, taken.body)
        files["submission/body"] = taken.body
        files["submission/record.json"] = self._gathered.record
        transport = {
            "id": taken.id,
            "partner": taken.partner,
            "channel": taken.channel,
            "media_type": taken.media_type,
            "sha256": taken.digest,
            "received_at": _text(taken.received_at),
        }
        files["submission/transport.json"] = json.dumps(transport, indent=1, ensure_ascii=False).encode()
        at = _text(taken.received_at)
        outer = {"file": "submission/body", "form": form.kind, "at": at, "received": at}
        if form.head:
            files["submission/head.txt"] = form.head
            outer["head"] = "submission/head.txt"
        signature = signature_octets(form, taken.body)
        if signature:
            files[f"submission/{_ENDINGS[form.kind]}"] = signature
        self._proofs(form, outer)

    def _proofs(self, form: Form, outer: dict[str, str]) -> None:
        of, gathered = self._received.of, self._gathered
        leaf = b"" if gathered.signer is None else gathered.signer.certificate
        self._proof("signer", of.proof, leaf)
        self._proof("carrier", of.carrier_proof, b"")
        stamped = _stamped(gathered.signer)
        if of.carrier is None:
            self._layers.append({"who": "signer", **outer, **stamped})
            return
        self._layers.append({"who": "carrier", **outer, **_stamped(of.carrier), "out": "inner"})
        inner = XML if _is_xml(gathered) else OTHER
        self._layers.append({"who": "signer", **outer, **stamped, "file": "inner", "form": inner})

    def _proof(self, who: str, proof: Exhibits | None, leaf: bytes) -> None:
        exhibits = self._gathered.exhibits
        ders = [exhibits[d] for d in proof.certificates if d in exhibits] if proof else [leaf] if leaf else []
        for number, der in enumerate(ders, 1):
            self.files[f"certificates/{who}/{number}.pem"] = pem(x509.load_der_x509_certificate(der))
        for kind, digests in _kinds(proof):
            for number, digest in enumerate(dict.fromkeys(digests), 1):
                octets = exhibits.get(digest, b"")
                self.files[f"proof/{who}/{kind}{number}.{_ending(kind, octets)}"] = octets

    def history(self) -> None:
        """Messages, what was sent, decisions, deliveries, the timeline."""
        for message in self._gathered.messages:
            self.files[f"messages/{message.ordinal}/record.json"] = message.record
            if message.declaration is not None:
                self.files[f"messages/{message.ordinal}/declaration.json"] = message.declaration
        for number, told in enumerate(self._gathered.sent, 1):
            self._tell(f"sent/{number:04d}", told)
        for number, record in enumerate(self._gathered.decisions, 1):
            self.files[f"decisions/{number:04d}.json"] = record
        deliveries = [
            {"id": d.id, "destination": d.destination, "payload": d.payload, "state": d.state}
            for d in self._gathered.deliveries
        ]
        self.files["deliveries.json"] = json.dumps(deliveries, indent=1, ensure_ascii=False).encode()
        self.files["timeline.jsonl"] = b"".join(line + b"\n" for line in self._gathered.events)

    def _tell(self, folder: str, told: Told) -> None:
        outgoing, files = told.outgoing, self.files
        form = form_of(outgoing.media_type, outgoing.body)
        files[f"{folder}/record.json"] = told.record
        files[f"{folder}/body"] = outgoing.body
        chain = completed(certificates_in(form, outgoing.body), self._anchors)
        one = {
            "file": f"{folder}/body",
            "form": form.kind,
            "at": _text(outgoing.created_at),
            "gateway": self.gateway(chain) if chain else "",
        }
        if form.head:
            files[f"{folder}/head.txt"] = form.head
            one["head"] = f"{folder}/head.txt"
        self._sent.append(one)

    def journal(self) -> None:
        """Entries, each in a file of two lines whose SHA-256 is its hash, with its way to the root."""
        lines = (*self._gathered.lines, *self._gathered.register)
        for number, line in enumerate(lines, 1):
            name = f"journal/{number:04d}"
            self.files[f"{name}.txt"] = f"{line.previous}\n{line.text}\n".encode()
            self._under[f"{name}.txt"] = line.checkpoint
            if line.checkpoint:
                steps = "".join(f"{side} {sibling}\n" for side, sibling in line.path)
                self.files[f"{name}.path"] = steps.encode()

    def checkpoints(self) -> None:
        """The checkpoints that hold the entries."""
        for one in self._gathered.checkpoints:
            name, exhibits = f"checkpoints/{one.number}", self._gathered.exhibits
            self.files[f"{name}.txt"] = one.text.encode()
            self.files[f"{name}.sig"] = one.signature
            own = [x509.load_der_x509_certificate(exhibits[d]) for d in one.certificates if d in exhibits]
            told: dict[str, Any] = {
                "number": one.number,
                "at": _text(read_checkpoint(one.text).at),
                "gateway": self.gateway(completed(own, self._anchors)),
                "stampers": "",
            }
            if one.stamp is not None and one.stamped_at is not None:
                self.files[f"{name}.tst"] = one.stamp
                ders = [exhibits[d] for d in one.stampers if d in exhibits]
                chain = tuple(x509.load_der_x509_certificate(der) for der in ders)
                told |= {"stampers": self.gateway(chain, "stamper"), "stamped_at": _text(one.stamped_at)}
            self._checkpoints.append(told)

    def gateway(self, chain: Sequence[x509.Certificate], who: str = "gateway") -> str:
        """The folder of a chain of ours, made where it is new."""
        ders = tuple(c.public_bytes(Encoding.DER) for c in chain)
        if ders not in self._chains:
            folder = f"certificates/{who}-{len(self._chains) + 1}"
            self._chains[ders] = folder
            for number, certificate in enumerate(chain, 1):
                self.files[f"{folder}/{number}.pem"] = pem(certificate)
        return self._chains[ders]

    def index(self, seal: str, now: datetime) -> dict[str, Any]:
        """What the verifier must know and a reader wants to know first."""
        record = json.loads(self._gathered.record)
        facts = ("id", "reference", "outcome", "partner", "signer", "filer", "principal", "received_at")
        return {
            "format": FORMAT,
            "made_at": _text(now),
            "gateway": seal,
            **{name: record[name] for name in facts},
            "layers": self._layers,
            "sent": self._sent,
            "checkpoints": self._checkpoints,
            "journal": self._under,
        }


def _stamped(signer: Signer | None) -> dict[str, str]:
    """When the certificate had to hold, where a verified time stamp says when it signed."""
    return {} if signer is None or signer.stamped_at is None else {"at": _text(signer.stamped_at)}


def _is_xml(gathered: Gathered) -> bool:
    """True where the messages themselves are XML."""
    route: Mapping[str, Any] = json.loads(gathered.record)["route"]
    return route.get("syntax") == "xml"


def _kinds(proof: Exhibits | None) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if proof is None:
        return ()
    return ("response", proof.responses), ("stamp", proof.stamps), ("stamper", proof.stampers)


def _ending(kind: str, octets: bytes) -> str:
    if kind == "stamp":
        return "tst"
    if kind == "stamper":
        return "der"
    try:
        x509.load_der_x509_crl(octets)
    except ValueError:
        return "ocsp"
    return "crl"


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
