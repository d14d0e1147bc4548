"""Archive time stamps, version 3 (EN 319 122-1, 5.5.3): over the signature and everything that proves it.

Such a stamp says in a hash index, which it also covers, what it covers: certificates, revocation values and
unsigned attributes of that time.  What was added later is not in the index, and not protected by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec
from cryptography.hazmat import asn1
from cryptography.hazmat.asn1 import TLV, encode_der
from cryptography.x509 import ObjectIdentifier

from gateway.security.algorithms import DIGESTERS
from gateway.security.cms.identifiers import DIGEST_OF, AlgorithmIdentifier
from gateway.security.cms.signer_info import OneSigner
from gateway.security.cms.structures import Attribute, elements_of, octets_of
from gateway.security.cms.timestamps import Stated, stated_by
from gateway.security.policy import DIGESTS
from gateway.security.refused import refusal
from gateway.security.stretch import Stretch, digested

ARCHIVE_TIME_STAMP: Final = ObjectIdentifier("0.4.0.1733.2.4")
HASH_INDEX: Final = ObjectIdentifier("0.4.0.1733.2.5")
HASH_INDEX_V3: Final = ObjectIdentifier("0.4.0.19122.1.5")

_PART: Final = "archive-time-stamp-v3"
_UNSIGNED: Final = b"\xa1"
_PLAIN_FIELDS: Final = 3


@asn1.sequence
class HashIndex:
    """ATSHashIndexV3, and ATSHashIndex where it names its algorithm: digests of what is covered."""

    algorithm: AlgorithmIdentifier
    certificates: list[bytes]
    crls: list[bytes]
    unsigned: list[bytes]


@asn1.sequence
class PlainHashIndex:
    """ATSHashIndex without an algorithm, which is SHA-256 then."""

    certificates: list[bytes]
    crls: list[bytes]
    unsigned: list[bytes]


class Archived(msgspec.Struct, frozen=True):
    """What an archive time stamp must be over, and what it covers: values of unsigned attributes, certificates,
    and revocation values beside them."""

    octets: bytes
    covered: frozenset[bytes]
    certificates: tuple[bytes, ...]
    crls: tuple[bytes, ...]


def archived(token: bytes, one: OneSigner, content: bytes | Stretch) -> Archived:
    """The octets that an archive time stamp must be over.

    Raises Refused (SIG213) where the index is unreadable or covers something that is not there.
    """
    try:
        return _archived(stated_by(token), one, content)
    except ValueError:
        raise refusal("SIG213", "ats-hash-index in DER", "", _PART) from None


def _archived(stated: Stated, one: OneSigner, content: bytes | Stretch) -> Archived:
    name, index = _index_in(stated.unsigned)
    plain = len(elements_of(octets_of(index))) == _PLAIN_FIELDS
    read: HashIndex | PlainHashIndex = index.parse(PlainHashIndex if plain else HashIndex)
    digest = DIGEST_OF.get(read.algorithm.algorithm, "") if isinstance(read, HashIndex) else "sha256"
    if digest not in DIGESTS or stated.digest not in DIGESTS:
        raise refusal("SIG007", ", ".join(sorted(DIGESTS)), digest or stated.digest, _PART)
    attributes = dict(_attribute_octets(name, one.info.unsigned_attributes or []))
    certificates = _covered("certificates", read.certificates, one.certificates, digest)
    crls = _covered("crls", read.crls, one.crls, digest)
    values = _covered("unsignedAttrs", read.unsigned, attributes, digest)
    # A SignerInfo's fields but the unsigned attributes, as they stand there: the signed ones under their tag.
    fields = [field for field in one.fields if field[:1] != _UNSIGNED]
    kind, hashed = (
        encode_der(one.signed.encapsulated.content_type),
        digested(content, stated.digest),
    )
    octets = b"".join((kind, hashed, *fields, octets_of(index)))
    covered = frozenset(value for present in values for value in attributes[present])
    return Archived(octets, covered, tuple(certificates), tuple(crls))


def _index_in(unsigned: Sequence[TLV]) -> tuple[ObjectIdentifier, TLV]:
    """The one hash index among a stamp's unsigned attributes, and its version's name."""
    found = [a for t in unsigned if (a := t.parse(Attribute)).type in (HASH_INDEX, HASH_INDEX_V3)]
    if len(found) != 1 or len(found[0].values.as_list()) != 1:
        raise refusal("SIG213", "1", str(len(found)), _PART)
    return found[0].type, found[0].values.as_list()[0]


def _attribute_octets(
    name: ObjectIdentifier, attributes: Sequence[TLV]
) -> Iterator[tuple[bytes, tuple[bytes, ...]]]:
    """What the index digests of each unsigned attribute, and the values in it: the whole attribute, or from
    version 3 on its type with each of its values."""
    for attribute in attributes:
        read = attribute.parse(Attribute)
        values = tuple(map(octets_of, read.values.as_list()))
        if name == HASH_INDEX:
            yield octets_of(attribute), values
        else:
            yield from ((encode_der(read.type) + value, (value,)) for value in values)


def _covered(part: str, index: Sequence[bytes], present: Iterable[bytes], digest: str) -> list[bytes]:
    """Those that the index names.  Raises Refused (SIG213) where it names one that is not there."""
    known = {DIGESTERS[digest](octets).digest(): octets for octets in present}
    missing = [named for named in index if named not in known]
    if missing:
        raise refusal("SIG213", missing[0].hex(), f"not among the {part}", _PART)
    return [known[named] for named in index]
