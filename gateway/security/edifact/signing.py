"""The gateway's own EDIFACT security: header groups, and the values that go into trailers and AUTACKs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec
from msgspec.structs import replace

from gateway.model.secured import (
    Method,
    NamedCertificate,
    SecurityGroup,
    SecurityParty,
    SecurityTime,
    Values,
)
from gateway.security.algorithms import DIGESTERS
from gateway.security.edifact.filters import HEXADECIMAL, filtered
from gateway.security.edifact.naming import ISSUER, OWNER, X509, reference_of
from gateway.security.edifact.profile import HASHING, EdifactProfile
from gateway.security.edifact.signatures import UNIQUE, values_of
from gateway.security.edifact.times import stamp
from gateway.security.keystore.keys import SigningKey

SIGNING = "6"  # 0523
_USH_AND_UST = 2
_NO_ANSWER = "1"  # 0503

Octets = Sequence[bytes | memoryview]


class Manner(msgspec.Struct, frozen=True):
    """How a structure is secured: 0501, 0541, 0505, 0503 and 0534."""

    service: str = "1"
    scope: str = "1"
    filter: str = HEXADECIMAL
    response: str = _NO_ANSWER
    reference: str = "1"


class EdifactSigner:
    """Makes header groups and signs what they cover; one for each way of signing (``gateway.syntax.secure``)."""

    def __init__(self, key: SigningKey, profile: EdifactProfile, manner: Manner, now: datetime) -> None:
        """Raises ValueError where the profile has no codes for the key's algorithm, or the filter is not
        offered."""
        algorithm = key.algorithm
        if algorithm.scheme not in profile.signatures or algorithm.digest not in profile.digests:
            raise ValueError(f"the profile {profile.name!r} has no codes for {algorithm.name}")
        filtered(b"\0", manner.filter)
        self._key = key
        self._profile = profile
        self._manner = manner
        self._now = now
        self.digest = algorithm.digest

    @property
    def time(self) -> SecurityTime:
        """When it is signed."""
        return stamp(self._now)

    def header(self, around: Octets) -> SecurityGroup:
        """The header group, bound to the octets of the headers around it; its trailer has no value yet."""
        manner, profile = self._manner, self._profile
        hashing, hashing_list = profile.digests[self.digest]
        bound = hashlib.sha256(b"".join(around)).hexdigest()[:32].upper()
        code, code_list, padding, padding_list = profile.signatures[self._key.algorithm.scheme]
        own = self._key.certificates[0]
        signing = Method(
            SIGNING, algorithm=code, algorithm_list=code_list, padding=padding, padding_list=padding_list
        )
        hashed = Method(
            HASHING,
            algorithm=hashing,
            algorithm_list=hashing_list,
            parameters=((profile.binding, bound),),
        )
        named = NamedCertificate(
            reference_of(own),
            parties=(SecurityParty(OWNER), SecurityParty(ISSUER)),
            syntax=X509,
            methods=(signing,),
        )
        group = SecurityGroup(
            service=manner.service,
            reference=manner.reference,
            scope=manner.scope,
            response=manner.response,
            filter=manner.filter,
            time=self.time,
            methods=(hashed,),
            certificates=(named,),
        )
        segments = len(group.methods) + 1 + len(named.methods)
        return replace(group, count=str(_USH_AND_UST + segments + 1))

    def sign(self, group: SecurityGroup, covered: Octets) -> SecurityGroup:
        """The same with its trailer's value.  Raises ValueError where 0560 cannot hold the signature, KeyUnusable
        where the key cannot be used now."""
        data = b"".join(covered)
        if self._key.algorithm.scheme == "ed25519":
            data = DIGESTERS[self.digest](data).digest()
        value = self._key.sign(data, self._now)
        return replace(group, values=values_of(value, group.filter, self._key.order_size))

    def linked(self, octets: Iterable[bytes | memoryview]) -> Values:
        """The digest of a structure, as USY carries it."""
        made = DIGESTERS[self.digest](b"")
        for piece in octets:
            made.update(piece)
        return self.filtered(made.digest())

    def filtered(self, digest: bytes) -> Values:
        """A digest as USY carries it."""
        return ((UNIQUE, filtered(digest, self._manner.filter)),)
