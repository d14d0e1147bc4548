"""Bundles that somebody made or changed who has no key of the gateway, or only one of its authority."""

from __future__ import annotations

import base64
import json
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.evidence import verify
from gateway.evidence.signatures import pem
from gateway.evidence.verify import INDEX, MANIFEST, OK, SEAL, WRONG, pack, unpack
from gateway.security import SigningKey

from .kit import VAN, Stage, stage
from .mutations import flips, regions, repacked, resealed, slack, unfound

pytestmark = pytest.mark.skipif(
    not (shutil.which("openssl") and shutil.which("xmlsec1")), reason="openssl and xmlsec1 are not installed"
)
LONG_AGO = datetime(2021, 6, 1, 8, 0, tzinfo=UTC)
Files = dict[str, bytes]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    root = tmp_path_factory.mktemp("forgery")
    made = stage(root, f"sqlite:///{root / 'ledger.db'}", LONG_AGO, "p256")
    yield made
    made.ledger.close()


@pytest.fixture(scope="module")
def genuine(lived: Stage) -> Files:
    one = lived.day(corrected=True)
    lived.seal()
    return unpack(lived.bundle(one))


@pytest.fixture(scope="module")
def carried(lived: Stage) -> Files:
    one = lived.submit(*lived.carried(), partner=VAN)
    lived.seal()
    return unpack(lived.bundle(one))


@pytest.fixture(scope="module")
def forger(lived: Stage) -> SigningKey:
    """Somebody with a certificate of the authority that certifies the gateway, too."""
    return lived.issue("Forger", lived.root / "forger")


def sealed(files: Files, key: SigningKey, at: datetime) -> bytes:
    """The files with a manifest and a seal of their own."""
    rest = {n: o for n, o in files.items() if n not in (MANIFEST, SEAL)}
    rest[MANIFEST] = verify.manifest_of(rest)
    rest[SEAL] = key.sign(rest[MANIFEST], at)
    return pack(rest)


def wrong(steps: list[verify.Step]) -> set[str]:
    return {what for state, what, _ in steps if state == WRONG}


def index_of(files: Files, **facts: object) -> bytes:
    return json.dumps({**json.loads(files[INDEX]), **facts}).encode()


# -- one octet changed --------------------------------------------------------------------------------------


def test_one_changed_octet_is_found_and_named(genuine: Files) -> None:
    """In every stretch of every member and of the container; the report does so many more times."""
    data, chance = pack(genuine), random.Random(20)
    assert unfound(flips(data, chance, len(list(regions(data))))) == []
    assert unfound(slack(data)) == []


def test_one_changed_octet_in_a_container_made_anew(genuine: Files) -> None:
    data, chance = pack(genuine), random.Random(21)
    assert unfound(repacked(data, chance, len(genuine))) == []
    assert unfound(resealed(data, chance, 5)) == []


# -- whole forgeries under trust ----------------------------------------------------------------------


@dataclass
class Evil:
    """A forger without any certificate that matters."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def digest(self) -> str:
        return verify.sha256(self.certificate.public_bytes(Encoding.DER))


def self_made(issuer: str = "evil", by: ec.EllipticCurvePrivateKey | None = None) -> Evil:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "evil")])
    above = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)])
    builder = (
        x509.CertificateBuilder(above, name, key.public_key(), 7)
        .not_valid_before(LONG_AGO - timedelta(days=9))
        .not_valid_after(LONG_AGO + timedelta(days=9_000))
    )
    return Evil(key, builder.sign(by or key, hashes.SHA256()))


def forged(genuine: Files, evil: Evil, folder: Files) -> bytes:
    """Everything anew: another body under the forger's own checkpoint, with these certificates."""
    files = {n: o for n, o in genuine.items() if n in ("README.txt", "verify.sh", "verify.pyz")}
    body, record = b"<forged/>", json.loads(genuine["submission/record.json"])
    record |= {"digest": verify.sha256(body), "certificate": None}
    files |= {"submission/body": body, "submission/record.json": json.dumps(record).encode()}
    files |= {"timeline.jsonl": b"", "deliveries.json": b"[]"}
    of = {"record": verify.sha256(files["submission/record.json"]), "body": verify.sha256(body)}
    entry = {"chain": "ab", "seq": 1, "at": "2021-06-01T08:00:00Z", "kind": "received", "about": record["id"]}
    files["journal/0001.txt"] = b"0" * 64 + b"\n" + json.dumps({**entry, "of": of}).encode() + b"\n"
    files["journal/0001.path"] = b""
    text = (
        "cvan journal checkpoint 1\nnumber: 1\nat: 2021-06-01T08:00:00.000000Z\n"
        f"previous: {'0' * 64}\nentries: 1\nroot: {verify.climb(files['journal/0001.txt'], '')}\n"
        f"key: {evil.digest}\nchain: ab 1 1 {verify.sha256(files['journal/0001.txt'])}\n"
    )
    files["checkpoints/1.txt"] = text.encode()
    files["checkpoints/1.sig"] = evil.key.sign(text.encode(), ec.ECDSA(hashes.SHA256()))
    files |= folder
    facts = {fact: record[fact] for fact in verify.members.FACTS}
    index = {**json.loads(genuine[INDEX]), **facts, "sealed_by": evil.digest, "sent": {}}
    files[INDEX] = json.dumps(index).encode()
    files[MANIFEST] = verify.manifest_of(files)
    files[SEAL] = evil.key.sign(files[MANIFEST], ec.ECDSA(hashes.SHA256()))
    return pack(files)


def test_a_whole_forgery_is_consistent_and_reaches_nothing(lived: Stage, genuine: Files) -> None:
    """The measure of the tests below: without --trust it is consistent, with it it is told."""
    evil = self_made()
    data = forged(genuine, evil, {"certificates/gateway-1/1.pem": pem(evil.certificate)})
    assert verify.code_of(verify.verify(data)) == 0
    assert verify.code_of(verify.verify(data, [str(lived.authority.certificate_path)])) == 2
    assert verify.code_of(verify.verify(data, [], [lived.own.signer.fingerprint])) == 2


def beside(lived: Stage, evil: Evil) -> Files:
    """A certificate that is known just lies there."""
    return {
        "certificates/gateway-1/1.pem": pem(evil.certificate),
        "certificates/gateway-2/1.pem": pem(lived.own.certificates[0]),
        "certificates/gateway-2/2.pem": pem(lived.anchor),
    }


def outside(lived: Stage, evil: Evil) -> Files:
    return {
        "keys/1.pem": pem(evil.certificate),
        "certificates/gateway-1/1.pem": pem(lived.own.certificates[0]),
    }


def between(lived: Stage, evil: Evil) -> Files:
    """The known authority stands in the chain of one that it did not certify."""
    return {
        "certificates/gateway-1/1.pem": pem(evil.certificate),
        "certificates/gateway-1/2.pem": pem(lived.anchor),
        "certificates/gateway-1/3.pem": pem(evil.certificate),
    }


def two_in_one(lived: Stage, evil: Evil) -> Files:
    return {"certificates/gateway-1/1.pem": pem(lived.own.certificates[0]) + pem(evil.certificate)}


def one_after(lived: Stage, evil: Evil) -> Files:
    return {"certificates/gateway-1/1.pem": pem(evil.certificate) + pem(lived.own.certificates[0])}


def confused(lived: Stage, evil: Evil) -> Files:
    """One reader takes the first certificate, another the second."""
    der = base64.b64encode(lived.own.der[0])
    return {
        "certificates/gateway-1/1.pem": b"-----BEGIN CERTIFICATE-----" + der + b"\n" + pem(evil.certificate)
    }


def in_another_way(lived: Stage, evil: Evil) -> Files:
    return {"certificates/gateway-1/1.pem": b"a word before\n" + pem(evil.certificate)}


@pytest.mark.parametrize("trick", [beside, outside, between, two_in_one, one_after, confused, in_another_way])
def test_no_folder_or_file_makes_a_forger_trusted(
    lived: Stage, genuine: Files, trick: Callable[[Stage, Evil], Files]
) -> None:
    evil = self_made()
    data = forged(genuine, evil, trick(lived, evil))
    authority = str(lived.authority.certificate_path)
    own = lived.own.signer.fingerprint
    for trust, gateway in (((authority,), ()), ((own,), ()), ((), (own,)), ((authority,), (own,))):
        assert verify.code_of(verify.verify(data, trust, gateway)) != 0


def test_a_partner_s_key_certifies_no_gateway(lived: Stage, genuine: Files, forger: SigningKey) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    name = lived.own.certificates[0].subject
    builder = (
        x509.CertificateBuilder(forger.certificates[0].subject, name, private.public_key(), 7)
        .not_valid_before(LONG_AGO - timedelta(days=9))
        .not_valid_after(LONG_AGO + timedelta(days=9_000))
    )
    leaf = builder.sign(forger._private, hashes.SHA256())  # type: ignore[arg-type]
    chain = [leaf, forger.certificates[0], lived.anchor]
    folder = {f"certificates/gateway-1/{n}.pem": pem(c) for n, c in enumerate(chain, 1)}
    data = forged(genuine, Evil(private, leaf), folder)
    assert verify.code_of(verify.verify(data, [str(lived.authority.certificate_path)])) != 0


# -- bundles of ours, sealed anew or told otherwise ----------------------------------------------------


def test_another_certificate_of_the_same_authority_seals_nothing(
    lived: Stage, genuine: Files, forger: SigningKey
) -> None:
    """A decision and what came of it taken out, and the rest sealed by who has a certificate of ours."""
    files = dict(genuine)
    kept = {"received", "partner", "mandate"}
    for name in [n for n in files if n.startswith("journal/") and n.endswith(".txt")]:
        if json.loads(files[name].split(b"\n")[1])["kind"] not in kept:
            del files[name], files[name.replace(".txt", ".path")]
    for name in [n for n in files if n.startswith(("decisions/", "sent/0002/"))]:
        del files[name]
    files |= {"timeline.jsonl": b"", "deliveries.json": b"[]"}
    files |= {"certificates/gateway-9/1.pem": pem(forger.certificates[0])}
    files |= {"certificates/gateway-9/2.pem": pem(lived.anchor)}
    sent = {k: v for k, v in json.loads(files[INDEX])["sent"].items() if k == "sent/0001"}
    files[INDEX] = index_of(files, sealed_by=forger.signer.fingerprint, sent=sent)
    steps = verify.verify(sealed(files, forger, lived.now), [str(lived.authority.certificate_path)])
    assert SEAL in wrong(steps)
    assert any("signed no checkpoint" in why for _, _, why in steps)


def test_after_a_roll_over_the_new_key_seals(lived: Stage) -> None:
    """Its first checkpoint is made although nothing else was done since."""
    one = lived.day()
    lived.seal()
    before, lived.own = lived.own, lived.issue("Gateway signing", lived.root / "again")
    assert lived.seal() == 1
    assert lived.seal() == 0
    steps = verify.verify(lived.bundle(one))
    assert {state for state, _, _ in steps} == {OK}
    assert sum("gateway-" in what for _, what, why in steps if "not compared" in why) == 2
    both = [before.signer.fingerprint, lived.own.signer.fingerprint]
    assert (
        verify.code_of(verify.verify(lived.bundle(one), [str(lived.authority.certificate_path)], both)) == 0
    )
    assert (
        verify.code_of(verify.verify(lived.bundle(one), [str(lived.authority.certificate_path)], both[:1]))
        == 2
    )
    lived.own = before
    lived.seal()


def facts(files: Files) -> Files:
    return {INDEX: index_of(files, outcome="rejected")}


def more_in_the_index(files: Files) -> Files:
    return {INDEX: index_of(files, layers=[])}


def a_message_more(files: Files) -> Files:
    return {"messages/99/record.json": b'{"outcome": "accepted", "declaration": null}'}


def a_decision_more(files: Files) -> Files:
    """With an entry of another submission, under a checkpoint that does not hold it."""
    decision = b'{"decision": "forged"}'
    entry = {"chain": "ab", "seq": 1, "at": "2021-06-01T08:00:00Z", "kind": "decided", "about": "other"}
    text = json.dumps({**entry, "of": {"record": verify.sha256(decision)}}).encode()
    return {"decisions/0099.json": decision, "journal/0099.txt": b"0" * 64 + b"\n" + text + b"\n"}


def an_entry_of_another(files: Files) -> Files:
    name = next(n for n in sorted(files) if n.startswith("journal/") and b'"decided"' in files[n])
    about = json.loads(files["submission/record.json"])["id"]
    return {name: files[name].replace(about.encode(), b"01E00000000000000000000OTHER"[: len(about)])}


def another_correction(files: Files) -> Files:
    name = "corrections/0001/declaration.json"
    return {name: files[name].replace(b'"61"', b'"62"')}


def another_reason(files: Files) -> Files:
    """Of a correction whose declaration stays as it is."""
    name = "corrections/0001/record.json"
    assert b"agreed" in files[name]
    return {name: files[name].replace(b"agreed", b"agrees")}


def a_correction_more(files: Files) -> Files:
    """With its declaration."""
    folder = "corrections/0002"
    declared = files["corrections/0001/declaration.json"]
    return {
        f"{folder}/declaration.json": declared,
        f"{folder}/record.json": next(iter(another_reason(files).values())),
    }


def a_line_twice(files: Files) -> Files:
    return {"timeline.jsonl": files["timeline.jsonl"] + files["timeline.jsonl"]}


def a_head(files: Files) -> Files:
    return {"submission/head.txt": b"Content-Type: text/plain\r\n\r\n"}


def another_state(files: Files) -> Files:
    return {"deliveries.json": files["deliveries.json"].replace(b'"done"', b'"dead"')}


def a_certificate_more(files: Files) -> Files:
    return {"certificates/carrier/1.pem": files["certificates/signer/1.pem"]}


def a_proof_more(files: Files) -> Files:
    return {"proof/signer/response1.crl": b"x"}


def a_stamp_more(files: Files) -> Files:
    return {"checkpoints/999.tst": b"x"}


def any_file(files: Files) -> Files:
    return {"extra.txt": b"what nobody vouches for"}


@pytest.mark.parametrize(
    "told",
    [facts, more_in_the_index, a_message_more, a_decision_more, another_correction,
     another_reason, a_correction_more, an_entry_of_another, a_line_twice, a_head,
     another_state, a_certificate_more, a_proof_more, a_stamp_more, any_file],
)  # fmt: skip
def test_nothing_is_believed_that_the_journal_does_not_vouch_for(
    lived: Stage, genuine: Files, told: Callable[[Files], Files]
) -> None:
    """Even where the gateway's own key seals it."""
    steps = verify.verify(sealed({**genuine, **told(genuine)}, lived.own, lived.now))
    assert wrong(steps), steps
    assert SEAL not in wrong(steps)


@pytest.mark.parametrize("folder", ["messages/", "corrections/", "decisions/", "sent/0001/", "sent/0002/"])
def test_nothing_that_the_journal_vouches_for_is_left_out(lived: Stage, genuine: Files, folder: str) -> None:
    left = {n: o for n, o in genuine.items() if not n.startswith(folder)}
    assert left != genuine
    left[INDEX] = index_of(
        left,
        sent={k: v for k, v in json.loads(left[INDEX])["sent"].items() if not f"{k}/".startswith(folder)},
    )
    assert wrong(verify.verify(sealed(left, lived.own, lived.now)))


def test_every_signature_that_the_record_speaks_of_is_verified(lived: Stage, carried: Files) -> None:
    """Which there are is not the index's to say: the trader's inside, the carrier's outside."""
    steps = verify.verify(sealed(carried, lived.own, lived.now))
    assert {state for state, _, _ in steps} == {OK}
    told = [what for _, what, why in steps if why.startswith("signature of certificates/")]
    assert {"submission/body", "out/inner"} <= set(told)
    for who in ("signer", "carrier"):
        bare = {n: o for n, o in carried.items() if not n.startswith(f"certificates/{who}/")}
        assert verify.code_of(verify.verify(sealed(bare, lived.own, lived.now))) != 0


# -- files that would hurt who reads them ------------------------------------------------------------------


def a_file_and_a_folder(files: Files) -> Files:
    return {"x": b"1", "x/y": b"2"}


def deep(files: Files) -> Files:
    return {INDEX: b"[" * 200_000}


def no_object(files: Files) -> Files:
    return {INDEX: b"5"}


def a_great_number(files: Files) -> Files:
    return {INDEX: index_of(files, made_at="9999999-01-01T00:00:00Z")}


def no_checkpoint(files: Files) -> Files:
    return {next(n for n in files if n.startswith("checkpoints/") and n.endswith(".txt")): b"\xff"}


@pytest.mark.parametrize("told", [a_file_and_a_folder, deep, no_object, a_great_number, no_checkpoint])
def test_no_bundle_breaks_the_verifier(lived: Stage, genuine: Files, told: Callable[[Files], Files]) -> None:
    assert wrong(verify.verify(sealed({**genuine, **told(genuine)}, lived.own, lived.now)))


def test_many_members_are_read_in_a_time_that_grows_with_them() -> None:
    data = bytearray(pack({f"a/{n:05d}": b"" for n in range(20_000)}))
    data[-1] ^= 1
    with pytest.raises(verify.Damaged):
        unpack(bytes(data))


@pytest.mark.parametrize("given", ["nothing", "ab" * 31, "ä" * 64, ""])
def test_what_is_no_trust_is_said(genuine: Files, lived: Stage, given: str, tmp_path: Path) -> None:
    data = sealed(genuine, lived.own, lived.now)
    (tmp_path / "empty.pem").write_bytes(b"")
    for trust in (given, str(tmp_path / "empty.pem")):
        with pytest.raises(ValueError, match=r"fingerprint|certificate"):
            verify.verify(data, [trust])
