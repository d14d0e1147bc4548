"""What the journal's entries vouch for: every file of the message's history, and nothing is missing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .hashes import sha256
from .members import BODY, OK, RECORD, WRONG, Bundle, Step

Entry = Mapping[str, Any]


def receipt(bundle: Bundle) -> Entry:
    """The one entry of the receipt.  Raises ValueError."""
    found = [e for e in bundle.entries.values() if e["kind"] == "received"]
    if len(found) != 1:
        raise ValueError("no entry of the receipt, or several")
    return found[0]


def contents(bundle: Bundle) -> Iterator[Step]:
    """Everything that the entries name is here as they say, and there is nothing else."""
    received = receipt(bundle)
    of: Mapping[str, Any] = received["of"]
    yield from _about(bundle, of)
    told = [e["of"] for e in bundle.entries.values()]
    if bundle.record["digest"] != of.get("body"):
        yield WRONG, RECORD, "another digest than the entry"
    wanted = {RECORD: of.get("record", ""), BODY: of.get("body", "")}
    wanted |= {f"messages/{n}/record.json": d for n, d in enumerate(of.get("messages", ()), 1)}
    for name, digest in wanted.items():
        yield _vouched(bundle, name, (digest,))
    yield from _declared(bundle, "messages", [n for n in wanted if n.startswith("messages/")])
    yield from _records(bundle, "sent", {d for o in told for d in o.get("sent", {}).values()})
    corrected = _told(bundle, "delivery-corrected")
    yield from _records(bundle, "corrections", corrected)
    yield from _declared(bundle, "corrections", _records_of(bundle, "corrections"))
    yield from _records(
        bundle, "decisions", _told(bundle, "decided") | {d for o in told for d in o.get("decisions", ())}
    )
    yield from _bodies(bundle)
    lines = bundle.files["timeline.jsonl"].splitlines()
    good = Counter(map(sha256, lines)) == Counter(d for o in told for d in o.get("events", ()))
    yield (OK if good else WRONG), "timeline.jsonl", f"{len(lines)} lines"
    yield _deliveries(bundle, told)
    yield from _proofs(bundle, of)


def _about(bundle: Bundle, of: Mapping[str, Any]) -> Iterator[Step]:
    """Entries are of this submission, and of the parties and mandates of it."""
    record = bundle.record
    register = {f"mandate:{m}" for m in of.get("mandates", ())}
    register |= {f"partner:{record[who]}" for who in ("partner", "signer", "filer", "principal")}
    for name, entry in bundle.entries.items():
        known = register if entry["kind"] in ("partner", "mandate") else {record["id"]}
        if entry["about"] not in known:
            yield WRONG, name, f"about something else: {entry['about']}"


def _vouched(bundle: Bundle, name: str, digests: Iterable[str]) -> Step:
    good = name in bundle.files and sha256(bundle.files[name]) in digests
    return (OK if good else WRONG), name, "as the journal says" if good else "not as the journal says"


def _told(bundle: Bundle, kind: str) -> set[str]:
    """The digests of records that entries of a kind vouch for."""
    return {e["of"]["record"] for e in bundle.entries.values() if e["kind"] == kind}


def _declared(bundle: Bundle, folder: str, records: Sequence[str]) -> Iterator[Step]:
    """Declarations are those of the records beside them; there is no other file in the folder."""
    for name in [n for n in bundle.files if n.startswith(f"{folder}/") and n not in records]:
        beside = name.replace("declaration.json", "record.json")
        digest = json.loads(bundle.files[beside])["declaration"] if beside in records else ""
        good = beside != name and sha256(bundle.files[name]) == digest
        yield (OK if good else WRONG), name, "as its record says" if good else "not as its record says"
    for name in (n for n in records if n in bundle.files):
        declared = name.replace("record.json", "declaration.json")
        if json.loads(bundle.files[name])["declaration"] and declared not in bundle.files:
            yield WRONG, declared, "missing"


def _records(bundle: Bundle, folder: str, digests: set[str]) -> Iterator[Step]:
    """A folder's records are those that entries name, each once."""
    names = _records_of(bundle, folder)
    for name in names:
        yield _vouched(bundle, name, digests)
    if sorted(sha256(bundle.files[n]) for n in names) != sorted(digests):
        yield WRONG, folder, "not all that the journal names, each once"


def _records_of(bundle: Bundle, folder: str) -> list[str]:
    names = (n for n in sorted(bundle.files) if n.startswith(f"{folder}/") and n.endswith(".json"))
    return [n for n in names if not n.endswith("/declaration.json")]


def _bodies(bundle: Bundle) -> Iterator[Step]:
    """What was sent is what its record says; no body is without a record."""
    names = [n for n in sorted(bundle.files) if n.startswith("sent/")]
    for folder in sorted({n.rpartition("/")[0] for n in names}):
        record = json.loads(bundle.files[f"{folder}/record.json"])
        body = f"{folder}/body"
        good = sha256(bundle.files.get(body, b"")) == record["digest"]
        yield (OK if good else WRONG), body, "as its record says" if good else "not as its record says"


def _deliveries(bundle: Bundle, told: Sequence[Mapping[str, Any]]) -> Step:
    """Deliveries are those that entries name, and each stands as one brought about."""
    found = json.loads(bundle.files["deliveries.json"])
    due = {i: where for o in told for i, where in o.get("due", {}).items()}
    good = {d["id"]: f"{d['destination']} {d['payload']}" for d in found} == due and len(found) == len(due)
    good = good and all(set(d) == {"id", "destination", "payload", "state"} for d in found)
    good = good and all(_stands(bundle, delivery) for delivery in found)
    return (OK if good else WRONG), "deliveries.json", f"{len(found)} deliveries"


def _stands(bundle: Bundle, delivery: Mapping[str, str]) -> bool:
    befell = _befell(bundle, delivery["id"]) | (
        _befell(bundle, delivery["payload"])
        & {"acknowledged", "resent"}  # what befalls a message to a partner
    )
    if delivery["state"] == "skipped":
        return delivery["id"] in _skipped(bundle)
    if delivery["id"] in _skipped(bundle) and "resent" not in befell:
        return False
    arrived = befell & {"delivered", "acknowledged"}
    if delivery["state"] == "done":
        return bool(arrived)
    if delivery["state"] == "dead":
        return "delivery-dead" in befell
    ended = arrived or "delivery-dead" in befell
    return delivery["state"] == "due" and (not ended or bool(befell & {"resent", "delivery-revived"}))


def _befell(bundle: Bundle, identity: str) -> set[str]:
    return {e["kind"] for e in bundle.entries.values() if identity in e["of"].get("ids", ())}


def _skipped(bundle: Bundle) -> set[str]:
    kinds = [e for e in bundle.entries.values() if e["kind"] == "delivery-skipped"]
    return {identity for e in kinds for identity in e["of"].get("ids", ())}


def _proofs(bundle: Bundle, of: Mapping[str, Any]) -> Iterator[Step]:
    """Certificates, responses and stamps of the proofs are those that the entry names."""
    for proof, who in (("proof", "signer"), ("carrier_proof", "carrier")):
        kept = of.get(proof) or {}
        chain = [bundle.prints.get(n, "") for n in bundle.chain(who)]
        stampers = [bundle.prints.get(n, "") for n in bundle.chain(f"{who}-stampers")]
        others = [sha256(o) for n, o in bundle.files.items() if n.startswith(f"proof/{who}/")]
        rest = {d for field in ("responses", "stamps") for d in kept.get(field, ())}
        named = (kept.get("certificates", chain), sorted(rest), list(dict.fromkeys(kept.get("stampers", ()))))
        if (chain, sorted(others), stampers) != named:
            yield WRONG, f"certificates/{who}", "not those that the journal names"
        elif kept:
            yield OK, f"certificates/{who}", "as the journal says"
