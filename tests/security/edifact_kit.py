"""Interchanges with security segments, made as they should be and as they should not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec.structs import replace

from gateway import syntax
from gateway.model.edifact import Segment
from gateway.model.secured import SecurityGroup, Survey
from gateway.security import (
    Certificates,
    EdifactProfile,
    EdifactProof,
    EdifactSigner,
    Manner,
    Policy,
    Refused,
    SigningKey,
    Trust,
    attest,
    prove_edifact,
)
from gateway.security.algorithms import HASHES, Algorithm, pss
from gateway.security.edifact.octets import binding as binding_of

from .authorities import Party

ROOT = Path(__file__).parents[2]
NOW = datetime.now(UTC).replace(microsecond=0)
PROFILE = EdifactProfile.load(ROOT / "mappings" / "profiles" / "edifact_security.toml")
LOOSE = replace(PROFILE, bound=False)
FAST = Policy()

AUTHORITY = Party("CN=EDIFACT authority,C=VN", ca=True)
STRANGER = Party("CN=Strange authority,C=VN", ca=True)
TRUST = Trust([AUTHORITY.certificate])
HEAD = "UNA:+.?*'UNB+UNOC:4+OCEANLINE:ZZ+CUSTOMS:ZZ+20260114:0815+R1'"

_MAKERS: dict[str, Callable[[], Any]] = {
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}
KINDS = tuple(_MAKERS)


@cache
def party(name: str, kind: str = "p256", issuer: Party = AUTHORITY) -> Party:
    """Somebody with a key and a certificate."""
    key = _MAKERS[kind]()
    key_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return Party(f"CN={name} {kind},O=An Phat,C=VN", issuer, key=key, extra=((key_id, False),))


def key_of(who: Party, algorithm: str = "") -> SigningKey:
    """Its signing key; ``algorithm``: one that it would not choose itself (``rsa-pss-sha3-256``)."""
    key = SigningKey((who.certificate,), "pkcs1", who.key)
    if algorithm:
        scheme, _, digest = algorithm.partition("-sha")
        chosen = pss(f"sha{digest}") if scheme == "rsa-pss" else Algorithm(scheme, f"sha{digest}")
        key.__dict__["algorithm"] = chosen
    return key


def der(who: Party) -> bytes:
    return who.certificate.public_bytes(Encoding.DER)


class Signer(EdifactSigner):
    """A signer whose header groups are changed before they are signed, or trailers afterwards."""

    def __init__(
        self,
        who: Party,
        manner: Manner | None = None,
        *,
        header: Callable[[SecurityGroup], SecurityGroup] = lambda group: group,
        trailer: Callable[[SecurityGroup], SecurityGroup] = lambda group: group,
        algorithm: str = "",
        at: datetime = NOW,
        profile: EdifactProfile = PROFILE,
    ) -> None:
        super().__init__(key_of(who, algorithm), profile, manner or Manner(), at)
        self._change = header
        self._spoil = trailer

    def header(self, around: Any) -> SecurityGroup:
        return self._change(super().header(around))

    def sign(self, group: SecurityGroup, covered: Any) -> SecurityGroup:
        return self._spoil(super().sign(group, covered))


def message(reference: str = "1", document: str = "MAN1", text: str = "O'BRIEN + SONS") -> syntax.OutMessage:
    segments = (
        Segment("BGM", (("85",), (document,), ("9",))),
        Segment("FTX", (("AAA",), (), (), (text,))),
        Segment("TDT", (("20",), ("V001",))),
    )
    return syntax.OutMessage("CUSCAR", "D", "95B", "UN", "", reference, segments)


def interchange(*messages: syntax.OutMessage, **how: Any) -> bytes:
    """An unsigned interchange of syntax 4."""
    given = {"sender": ("OCEANLINE", "ZZ"), "recipient": ("CUSTOMS", "ZZ"), "reference": "R1", "now": NOW}
    given = {"syntax": ("UNOC", "4"), **given, **how}
    return syntax.write(messages or (message(),), **given)


TWO = (message("1", "MAN1"), message("2", "MAN2"))


def surveyed(content: bytes, size: int = 65_536) -> Survey:
    return syntax.survey([content[n : n + size] for n in range(0, len(content), size)])


def known(*parties: Party) -> Certificates:
    return Certificates([der(p) for p in parties])


def prove(
    content: bytes,
    *parties: Party,
    profile: EdifactProfile = PROFILE,
    policy: Policy = FAST,
    now: datetime = NOW,
    trust: Trust = TRUST,
    **how: Any,
) -> EdifactProof:
    lookup = known(*(parties or (party("trader"), party("van"))))
    return prove_edifact(content, surveyed(content), profile, lookup, trust, policy, now, **how)


def codes(proof: EdifactProof, ordinal: int = 1) -> list[str]:
    """What a message is refused with; the test fails where it is proven."""
    assert ordinal not in proof.proven, "proven"
    return [f.code for f in proof.refused[ordinal]]


def nobody(content: bytes, *parties: Party, **how: Any) -> list[str]:
    """The codes with which an interchange is refused as a whole."""
    with pytest.raises(Refused) as caught:
        attest(content, prove(content, *parties, **how))
    return [f.code for f in caught.value.findings]


def bound(content: bytes, survey: Survey, index: int) -> str:
    """What binds a signature of a structure to the headers around it."""
    from gateway.security.edifact.octets import Content

    return binding_of(Content(content), survey.structures[index].around)


def digest(name: str, octets: bytes) -> str:
    return hashlib.new(HASHES[name].name, octets).hexdigest().upper()


OLD = timedelta(hours=25)
