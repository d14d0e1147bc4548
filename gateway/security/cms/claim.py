"""What a SignedData of one signer says, before any of it is believed."""

from __future__ import annotations

import msgspec

from gateway.security.algorithms import Algorithm
from gateway.security.certificates.signer_id import SignerId
from gateway.security.cms.cades import Unsigned, unsigned_of
from gateway.security.cms.material import Material, material_of
from gateway.security.cms.signer_info import Attributes, OneSigner, read_attributes, signer_id
from gateway.security.cms.structures import DATA
from gateway.security.policy import Policy


class Claim(msgspec.Struct, frozen=True):
    """Digest and algorithm by name, the signed attributes, the signature's value over them, whose it claims to be,
    what came along to prove it, and the unsigned attributes."""

    digest: str
    algorithm: Algorithm
    attributes: Attributes
    value: bytes
    wanted: SignerId
    material: Material
    unsigned: Unsigned


def claim_of(one: OneSigner, digest: str, algorithm: Algorithm, policy: Policy) -> Claim:
    """The claim of a message's signer.

    Raises ValueError where unreadable, Refused (SIG021, SIG028, SIG043..SIG045, SIG217, SIG218)."""
    attributes = read_attributes(one, DATA)
    unsigned = unsigned_of(one, policy)
    material = material_of(one, unsigned)
    return Claim(digest, algorithm, attributes, one.info.signature, signer_id(one), material, unsigned)
