"""Signatures of messages: of what was received, with its revocation and time stamps, and of what was sent."""

from __future__ import annotations

import calendar
import hashlib
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from .contents import receipt
from .dsig import LACKING, NotByHand, Xml, xml_signed
from .forms import DER, OTHER, SMIME, XML, form_of
from .journal import CLOCKS, signed, stamp
from .members import BODY, OK, UNKNOWN, WRONG, Bundle, Step
from .tools import DSIG, OUT, bare, epoch

INNER = f"{OUT}/inner"
"""What the signature around a message was found to hold."""
_UNKNOWN_FORM = (
    "its form of signature (such as that of EDIFACT, ISO 9735-5 and -6) only the gateway's own command verifies; "
    "the journal vouches for these octets, and that this signer was proven then"
)


def received(bundle: Bundle) -> Iterator[Step]:
    """The message's own signature, and the one around it where somebody carried it: which there are, the
    attested record and entry say, and nothing else."""
    record, of = bundle.record, receipt(bundle)["of"]
    form, head = form_of(record["media_type"], bundle.files[BODY])
    yield from _head(bundle, "submission", head)
    signer, carrier = record["certificate"], of.get("carrier")
    if signer is None:
        yield OK, BODY, "not signed: that it came so, and from whom, is what the journal says"
        return
    if carrier is None:
        yield from _layer(bundle, "signer", signer, (BODY, form, head))
        return
    yield from _layer(bundle, "carrier", carrier, (BODY, form, head), INNER)
    if not (bundle.tools.folder / INNER).is_file():
        yield UNKNOWN, BODY, "what is signed inside was not found"
        return
    inner = XML if record["route"].get("syntax") == "xml" else OTHER
    yield from _layer(bundle, "signer", signer, (INNER, inner, b""))


def _head(bundle: Bundle, folder: str, head: bytes) -> Iterator[Step]:
    if bundle.files.get(f"{folder}/head.txt", b"") != head:
        yield WRONG, f"{folder}/head.txt", "not the header that the record makes"
    elif head:
        yield OK, f"{folder}/head.txt", "as the record says"


Signed = tuple[str, str, bytes]
"""A file, how its signature is carried, and the MIME header that belongs before it."""


def _layer(
    bundle: Bundle, who: str, told: Mapping[str, Any], what: Signed, out: str = f"{OUT}/content"
) -> Iterator[Step]:
    """A signature of the message as received, its certificates at the time at which it was made or else
    received, and what was known of their revocation."""
    chain, last = bundle.chain(who), bundle.record["received_at"]
    if not chain or bundle.prints.get(chain[0]) != told["fingerprint"]:
        yield (WRONG if chain else UNKNOWN), f"certificates/{who}", "not the certificate of the signer"
        return
    first = told.get("stamped_at") or last
    yield _message(bundle, chain[0], what, out)
    yield from bundle.rests(who, first)
    yield from _times(bundle, who, told, what)
    for name in sorted(n for n in bundle.files if n.startswith(f"proof/{who}/")):
        if name.endswith(".ocsp"):
            yield _ocsp(bundle, name, chain, (first, last))
        elif name.endswith(".crl"):
            yield _crl(bundle, name, chain, (first, last))


def sent(bundle: Bundle) -> Iterator[Step]:
    """Messages that the gateway signed."""
    folders = sorted(n[:-5] for n in bundle.files if n.startswith("sent/") and n.endswith("/body"))
    if set(bundle.index["sent"]) != set(folders):
        yield WRONG, "evidence.json", "it names other messages that were sent"
    for folder in folders:
        record = json.loads(bundle.files[f"{folder}/record.json"])
        body = f"{folder}/body"
        form, head = form_of(record["media_type"], bundle.files[body])
        yield from _head(bundle, folder, head)
        own = bundle.own(bundle.index["sent"].get(folder, ""))
        if not own:
            yield UNKNOWN, body, "the gateway's certificate of that time is not here"
            continue
        yield _message(bundle, bundle.chain(own)[0], (body, form, head), f"{OUT}/content")
        yield from bundle.rests(own, record["created_at"])


def _message(bundle: Bundle, certificate: str, what: Signed, out: str) -> Step:
    name, form, head = what
    if form == XML:
        good, words = xml_signed(bundle.tools, certificate, name)
    elif form in (SMIME, DER):
        good, words = bundle.tools.cms_signed(certificate, _whole(bundle, name, head), form, out)
        if good:
            path = bundle.tools.folder / out
            path.write_bytes(bare(path.read_bytes()))
    else:
        return UNKNOWN, name, _UNKNOWN_FORM
    state = OK if good else UNKNOWN if any(sign in words for sign in LACKING) else WRONG
    return state, name, f"signature of {certificate}" if good else words


def _whole(bundle: Bundle, name: str, head: bytes) -> str:
    """A file with the MIME header that the transport carried beside it."""
    return bundle.tools.write(f"{name}.eml", head + bundle.files[name]) if head else name


# -- time stamps -----------------------------------------------------------------------------------------


def _times(bundle: Bundle, who: str, told: Mapping[str, Any], what: Signed) -> Iterator[Step]:
    """Time stamps, and whether one shows that the signature was there when its signer's record says."""
    shown, tools = [], bundle.tools
    values = [tools.write(f"value-{n}", octets) for n, octets in enumerate(_values(bundle, what))]
    for name in sorted(n for n in bundle.files if n.startswith(f"proof/{who}/stamp")):
        at, digest, imprint = tools.stamp(name)
        over = [v for v in values if _digest(digest, (tools.folder / v).read_bytes()) == imprint]
        good, words = False, "no certificates of the time-stamp authority"
        if bundle.chain(f"{who}-stampers"):
            data = ("-data", over[0]) if over else ("-digest", imprint)
            good, words = stamp(bundle, name, data, f"{who}-stampers", at)
        shown += [at] if good and over else []
        of = "the signature" if over else "something that is not looked for here"
        yield (OK if good else WRONG), name, f"{of}, stamped at {at}" if good else words
    said = told.get("stamped_at")
    if said and said[:19] not in {at[:19] for at in shown}:
        yield UNKNOWN, what[0], f"signed before {said}: no time stamp shows it to these programs"


def _values(bundle: Bundle, what: Signed) -> list[bytes]:
    """The octets over which a time stamp of the signature may be (XAdES, CAdES)."""
    name, form, head = what
    if form == XML:
        try:
            document = Xml((bundle.tools.folder / name).read_bytes())
            key = f"{DSIG} SignatureValue"
            return [document.canonical(key), document.inclusive(key)]
        except (NotByHand, OSError):
            return []
    if form not in (SMIME, DER):
        return []
    whole = _whole(bundle, name, head)
    _, words = bundle.tools.run(
        "openssl", "cms", "-cmsout", "-print", "-noout", "-inform", form, "-in", whole
    )
    dumps = re.findall(r"^ +signature: *\n((?: +[0-9a-f]{4} - .*\n)+)", words, re.MULTILINE)
    rows = [re.findall(r"^ +[0-9a-f]{4} - ((?:[0-9a-f]{2}[ -])+)", dump, re.MULTILINE) for dump in dumps]
    return [bytes.fromhex(re.sub("[ -]", "", "".join(row))) for row in rows]


def _digest(name: str, octets: bytes) -> str:
    try:
        return hashlib.new(name.replace("-", "_") if name.startswith("sha3") else name, octets).hexdigest()
    except ValueError:
        return ""


# -- revocation ------------------------------------------------------------------------------------------


def _ocsp(bundle: Bundle, name: str, chain: Sequence[str], times: tuple[str, str]) -> Step:
    """A response that was relied on, as it stood when the signature was made (as a time stamp says) or
    received: ``times``."""
    told = []
    for certificate, issuer in pairwise(chain):
        good, words = bundle.tools.run(
            "openssl", "ocsp", "-respin", name, "-issuer", issuer, "-cert", certificate, "-no_nonce",
            "-CAfile", chain[-1], "-partial_chain", "-attime", str(epoch(times[0])),
            "-validity_period", "2000000000",
        )  # fmt: skip
        good = good and "Response verify OK" in words and f"{certificate}: good" in words
        if good and _timely(words, times):
            return OK, name, f"{certificate}: good"
        told.append("it was of another time" if good else words)
    return WRONG, name, "; ".join(told)


def _timely(words: str, times: tuple[str, str]) -> bool:
    """Whether what openssl tells of a response's window has the signature, or its receipt, in it."""
    found = dict(re.findall(r"(This|Next) Update: (.*) GMT", words))
    moments = {name: calendar.timegm(time.strptime(at, "%b %d %H:%M:%S %Y")) for name, at in found.items()}
    first, last = epoch(times[0]), epoch(times[1])
    return moments["This"] <= last + CLOCKS and moments.get("Next", first) >= first - CLOCKS


def _crl(bundle: Bundle, name: str, chain: Sequence[str], times: tuple[str, str]) -> Step:
    pem = f"{OUT}/{name.replace('/', '-')}.pem"
    bundle.tools.run("openssl", "crl", "-inform", "DER", "-in", name, "-out", pem)
    words = ""
    for depth, at in ((depth, at) for depth in range(len(chain) - 1) for at in sorted({*times})):
        between = [word for one in chain[depth + 1 : -1] for word in ("-untrusted", one)]
        good, words = bundle.tools.run(
            "openssl", "verify", "-attime", str(epoch(at)), "-crl_check", "-CRLfile", pem, "-partial_chain",
            "-no-CAfile", "-no-CApath", "-trusted", chain[-1], *between, chain[depth],
        )  # fmt: skip
        if good:
            return OK, name, f"{chain[depth]}: not in the list"
    return WRONG, name, words


def seal(bundle: Bundle) -> Iterator[Step]:
    """The manifest's signature is the gateway's, and its certificate was valid when it was made."""
    folder = bundle.own(bundle.index["sealed_by"])
    if not folder:
        yield WRONG, "MANIFEST.sig", "the certificate of who sealed it is not here"
        return
    step = signed(bundle, "MANIFEST.sig", "MANIFEST", folder)
    yield step
    if step[0] == WRONG:
        yield WRONG, "MANIFEST", "not what was sealed, or sealed by another key"
    yield from bundle.rests(folder, bundle.index["made_at"])
