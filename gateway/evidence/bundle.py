"""A bundle: everything about one submission in one file that proves itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.evidence import entries, program, recipe, verify
from gateway.evidence.checkpoints import read_checkpoint
from gateway.evidence.entries import Entry, Exhibits, read_entry, sha256
from gateway.evidence.gathered import Gathered, Told
from gateway.evidence.recipe import Plan, Signed, Stamped
from gateway.evidence.signatures import certificates_in, completed, pem
from gateway.evidence.verify import Octets
from gateway.evidence.verify.forms import OTHER, XML, form_of
from gateway.evidence.verify.members import BODY, FACTS, RECORD
from gateway.model import Signer
from gateway.security.cms import timestamps

FORMAT = "cvan evidence 3"
Sign = Callable[[bytes], bytes]


class NoEvidence(Exception):
    """The journal does not say how this submission was received; the text says why."""


def members(
    gathered: Gathered,
    sign: Sign,
    own: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    now: datetime,
) -> Mapping[str, Octets]:
    """The members of a bundle, sealed; `verify.packed` makes its file of them.

    ``sign``: the gateway's raw signature over octets, with the key of ``own`` (its chain).  ``anchors``:
    authorities at hand, by which chains are completed.  ``now``: aware, when it is made.  Raises
    NoEvidence.
    """
    told = [read_entry(line.text) for line in gathered.lines]
    received = next((e for e in told if e.kind == entries.RECEIVED), None)
    if received is None:
        raise NoEvidence(f"the journal has no entry of {gathered.submission.id}")
    maker = _Maker(gathered, received, anchors)
    maker.submission()
    maker.history()
    maker.journal()
    maker.checkpoints()
    seal = maker.gateway(completed(own, anchors))
    index = maker.index(sha256(own[0].public_bytes(Encoding.DER)), now)
    plan, files = maker.plan(index, seal), maker.files
    members: dict[str, Octets] = {**files, **maker.long}
    members[verify.INDEX] = json.dumps(index, indent=1, ensure_ascii=False).encode()
    members[program.NAME] = program.program()
    members["README.txt"] = recipe.readme(plan, files).encode()
    members["verify.sh"] = recipe.script(plan, files).encode()
    members[verify.MANIFEST] = manifest = verify.manifest_of(members)
    members[verify.SEAL] = sign(manifest)
    return members


class _Maker:
    """The files of a bundle as they come together; ``long``: those that are not held."""

    def __init__(self, gathered: Gathered, received: Entry, anchors: Sequence[x509.Certificate]) -> None:
        self.files: dict[str, bytes] = {}
        self.long: dict[str, Octets] = {}
        self._gathered = gathered
        self._received = received
        self._anchors = anchors
        self._layers: list[Signed] = []
        self._sent: list[Signed] = []
        self._own: dict[int, tuple[str, str]] = {}
        self._stamps: list[Stamped] = []
        self._signed_by: dict[str, str] = {}
        self._chains: dict[bytes, str] = {}

    def submission(self) -> None:
        """The octets as received, the signatures' proofs."""
        taken, gathered, of = self._gathered.submission, self._gathered, self._received.of
        self._put(BODY, gathered.body)
        self.files[RECORD] = gathered.record
        form, head = form_of(taken.media_type, _begin(gathered.body))
        outer = (BODY, form, self._head("submission", head))
        signer = gathered.signer
        if signer is None:
            return
        self._proof("signer", of.proof, signer.certificate)
        inner = XML if json.loads(gathered.record)["route"].get("syntax") == "xml" else OTHER
        if of.carrier is not None:
            self._proof("carrier", of.carrier_proof, b"")
            self._layer("carrier", of.carrier, outer, "$w/inner")
            outer = ("$w/inner", inner, "")
        self._layer("signer", signer, outer)

    def _put(self, name: str, octets: Octets) -> None:
        if isinstance(octets, bytes):
            self.files[name] = octets
        else:
            self.long[name] = octets

    def _head(self, folder: str, head: bytes) -> str:
        """The file of a MIME header that the transport carried, where there is one."""
        if head:
            self.files[f"{folder}/head.txt"] = head
        return f"{folder}/head.txt" if head else ""

    def _layer(self, who: str, signer: Signer, what: tuple[str, str, str], out: str = "$w/content") -> None:
        folder, receipt = f"certificates/{who}", _text(self._gathered.submission.received_at)
        if f"{folder}/1.pem" in self.files:
            at = receipt if signer.stamped_at is None else _text(signer.stamped_at)
            self._layers.append(Signed(*what, folder, at, receipt, out))

    def _proof(self, who: str, proof: Exhibits | None, leaf: bytes) -> None:
        exhibits = self._gathered.exhibits
        kept = Exhibits() if proof is None else proof
        ders = [exhibits[d] for d in kept.certificates if d in exhibits] if proof else [leaf] if leaf else []
        self._certificates(who, ders)
        self._certificates(
            f"{who}-stampers", [exhibits[d] for d in dict.fromkeys(kept.stampers) if d in exhibits]
        )
        for number, digest in enumerate(dict.fromkeys(kept.responses), 1):
            octets = exhibits.get(digest, b"")
            self.files[f"proof/{who}/response{number}.{_ending(octets)}"] = octets
        for number, digest in enumerate(dict.fromkeys(kept.stamps), 1):
            name, token = f"proof/{who}/stamp{number}.tst", exhibits.get(digest, b"")
            self.files[name] = token
            at = _text(timestamps.stated_by(token).at)
            self._stamps.append(Stamped(name, "", f"certificates/{who}-stampers", at))

    def _certificates(self, folder: str, ders: Sequence[bytes]) -> None:
        for number, der in enumerate(ders, 1):
            self.files[f"certificates/{folder}/{number}.pem"] = pem(x509.load_der_x509_certificate(der))

    def history(self) -> None:
        """Messages, what was sent, decisions, corrections, deliveries, the timeline."""
        for message in self._gathered.messages:
            self.files[f"messages/{message.ordinal}/record.json"] = message.record
            if message.declaration is not None:
                self._put(f"messages/{message.ordinal}/declaration.json", message.declaration)
        for number, told in enumerate(self._gathered.sent, 1):
            self._tell(f"sent/{number:04d}", told)
        for number, record in enumerate(self._gathered.decisions, 1):
            self.files[f"decisions/{number:04d}.json"] = record
        for number, instead in enumerate(self._gathered.corrections, 1):
            self.files[f"corrections/{number:04d}/record.json"] = instead.record
            if instead.declaration is not None:
                self.files[f"corrections/{number:04d}/declaration.json"] = instead.declaration
        deliveries = [
            {"id": d.id, "destination": d.destination, "payload": d.payload, "state": d.state}
            for d in self._gathered.deliveries
        ]
        self.files["deliveries.json"] = json.dumps(deliveries, indent=1, ensure_ascii=False).encode()
        self.files["timeline.jsonl"] = b"".join(line + b"\n" for line in self._gathered.events)

    def _tell(self, folder: str, told: Told) -> None:
        outgoing = told.outgoing
        form, head = form_of(outgoing.media_type, outgoing.body)
        self.files[f"{folder}/record.json"] = told.record
        self.files[f"{folder}/body"] = outgoing.body
        header = self._head(folder, head)
        chain = completed(certificates_in(form, head, outgoing.body), self._anchors)
        self._signed_by[folder] = sha256(chain[0].public_bytes(Encoding.DER)) if chain else ""
        if chain:
            at = _text(outgoing.created_at)
            self._sent.append(Signed(f"{folder}/body", form, header, self.gateway(chain), at))

    def journal(self) -> None:
        """Entries, each in a file of two lines whose SHA-256 is its hash, with its way to the root."""
        lines = (*self._gathered.lines, *self._gathered.register)
        for number, line in enumerate(lines, 1):
            name = f"journal/{number:04d}"
            self.files[f"{name}.txt"] = f"{line.previous}\n{line.text}\n".encode()
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
            told = read_checkpoint(one.text)
            self._own[one.number] = self.gateway(completed(own, self._anchors)), _text(told.at)
            if one.stamp is not None and one.stamped_at is not None:
                self.files[f"{name}.tst"] = one.stamp
                folder = f"stamper-{one.number}"
                self._certificates(folder, [exhibits[d] for d in one.stampers if d in exhibits])
                at = _text(one.stamped_at)
                self._stamps.append(Stamped(f"{name}.tst", f"{name}.sig", f"certificates/{folder}", at))

    def gateway(self, chain: Sequence[x509.Certificate]) -> str:
        """The folder of a chain of ours, one for each key that signed."""
        ders = [c.public_bytes(Encoding.DER) for c in chain]
        if ders[0] not in self._chains:
            folder = self._chains[ders[0]] = f"gateway-{len(self._chains) + 1}"
            self._certificates(folder, ders)
        return f"certificates/{self._chains[ders[0]]}"

    def index(self, sealed_by: str, now: datetime) -> dict[str, Any]:
        """What a reader wants to know first, and who sealed it and signed what was sent."""
        record = json.loads(self._gathered.record)
        facts = {fact: record[fact] for fact in FACTS}
        return {
            "format": FORMAT,
            **facts,
            "made_at": _text(now),
            "sealed_by": sealed_by,
            "sent": self._signed_by,
        }

    def plan(self, index: Mapping[str, Any], seal: str) -> Plan:
        """What there is to verify by hand."""
        return Plan(index, seal, self._own, self._stamps, self._layers, self._sent)


def _begin(octets: Octets) -> bytes:
    """As much as says in what form it is."""
    return octets if isinstance(octets, bytes) else next(iter(octets.pieces()), b"")


def _ending(octets: bytes) -> str:
    try:
        x509.load_der_x509_crl(octets)
    except ValueError:
        return "ocsp"
    return "crl"


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
