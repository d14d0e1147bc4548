"""What comes along with a signature to prove it later: certificates, CRLs and OCSP responses.

All of it is a hint: each is believed as far as its own issuer's signature goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Final

import msgspec
from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.asn1 import TLV, Explicit, decode_der
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ObjectIdentifier, ocsp

from gateway.model import Proof
from gateway.security.certificates.certificate import read_certificate
from gateway.security.certificates.revocation import NOTHING_KNOWN
from gateway.security.certificates.signer_id import SignerId
from gateway.security.certificates.trust import Chain, Trust
from gateway.security.cms.ber import enclose
from gateway.security.cms.signer_info import OneSigner
from gateway.security.cms.structures import SEQUENCE, Attribute, elements_of, octets_of
from gateway.security.policy import Policy
from gateway.security.refused import Refused, refusal

CERTIFICATE_VALUES: Final = ObjectIdentifier("1.2.840.113549.1.9.16.2.23")
REVOCATION_VALUES: Final = ObjectIdentifier("1.2.840.113549.1.9.16.2.24")
_OCSP_RESPONSE: Final = ObjectIdentifier("1.3.6.1.5.5.7.16.2")
_BASIC_RESPONSE: Final = ObjectIdentifier("1.3.6.1.5.5.7.48.1.1")
_OTHER_FORMAT: Final = b"\xa1"
_PEM: Final = b"-----BEGIN "
_PEM_CERTIFICATE: Final = b"-----BEGIN CERTIFICATE-----"
_PEM_CRL: Final = b"-----BEGIN X509 CRL-----"

MAX_CERTIFICATES: Final = 32
"""Of one signature: the signer's chain and those of its stamps and OCSP responders."""
MAX_RESPONSES: Final = 32
MAX_RESPONSE: Final = 4 * 1024 * 1024
"""Octets of one CRL or OCSP response; national CRLs with 100,000 entries have as many."""


@asn1.sequence
class OtherRevocation:
    """OtherRevocationInfoFormat (RFC 5652, 10.2.1; RFC 5940)."""

    format: ObjectIdentifier
    value: TLV


@asn1.sequence
class RevocationValues:
    """RevocationValues (RFC 5126, 6.3.4)."""

    crls: Annotated[list[TLV] | None, Explicit(0)]
    basic_responses: Annotated[list[TLV] | None, Explicit(1)]
    others: Annotated[OtherRevocation | None, Explicit(2)]


@asn1.sequence
class ResponseBytes:
    """ResponseBytes of an OCSPResponse (RFC 6960, 4.2.1)."""

    type: ObjectIdentifier
    response: bytes


class Material(msgspec.Struct, frozen=True):
    """DER: ``certificates``, and ``responses`` (CRLs and OCSPResponses)."""

    certificates: tuple[bytes, ...] = ()
    responses: tuple[bytes, ...] = ()

    def joined(self, other: Material) -> Material:
        """Both, each thing once."""
        return Material(
            tuple(dict.fromkeys((*self.certificates, *other.certificates))),
            tuple(dict.fromkeys((*self.responses, *other.responses))),
        )


def validation_data(octets: bytes) -> Material:
    """What a file holds: certificates (PEM, several at once, or DER), a CRL (PEM or DER), an OCSP response (DER).

    Raises ValueError where it holds none of these."""
    if _PEM in octets:
        blocks = x509.load_pem_x509_certificates(octets) if _PEM_CERTIFICATE in octets else []
        certificates = tuple(found.public_bytes(Encoding.DER) for found in blocks)
        crl = (x509.load_pem_x509_crl(octets).public_bytes(Encoding.DER),) if _PEM_CRL in octets else ()
        if not (certificates or crl):
            raise ValueError("neither a certificate nor a CRL in PEM")
        return Material(certificates, crl)
    for read in (x509.load_der_x509_crl, ocsp.load_der_ocsp_response):
        with suppress(ValueError):
            read(octets)
            return Material(responses=(octets,))
    return Material((x509.load_der_x509_certificate(octets).public_bytes(Encoding.DER),))


def values_by_type(attributes: Sequence[TLV]) -> Mapping[ObjectIdentifier, tuple[bytes, ...]]:
    """The values of each type of attribute, in DER; a type may stand there more than once.

    Raises ValueError where unreadable."""
    found: dict[ObjectIdentifier, tuple[bytes, ...]] = {}
    for attribute in attributes:
        read = attribute.parse(Attribute)
        found[read.type] = (*found.get(read.type, ()), *map(octets_of, read.values.as_list()))
    return found


def material_of(one: OneSigner, unsigned: Mapping[ObjectIdentifier, tuple[bytes, ...]]) -> Material:
    """Everything that a SignedData and its signer's unsigned attributes carry.

    Attribute certificates and unknown formats are passed over.  Raises ValueError where unreadable,
    Refused (SIG021, SIG028, SIG218).
    """
    if any(c[:1] != SEQUENCE for c in one.certificates):
        raise refusal("SIG021", "X.509", "", "certificates")
    more = (octets_of(t) for values in unsigned.get(CERTIFICATE_VALUES, ()) for t in elements_of(values))
    certificates = tuple(dict.fromkeys((*one.certificates, *more)))
    if len(certificates) > MAX_CERTIFICATES:
        raise refusal("SIG028", f"<= {MAX_CERTIFICATES}", str(len(certificates)), "certificates")
    responses = tuple(dict.fromkeys(_responses(one.crls, unsigned.get(REVOCATION_VALUES, ()))))
    if len(responses) > MAX_RESPONSES or any(len(r) > MAX_RESPONSE for r in responses):
        raise refusal("SIG218", f"<= {MAX_RESPONSES}", str(len(responses)), "revocation values")
    return Material(certificates, responses)


def candidates(certificates: Sequence[bytes], wanted: SignerId, policy: Policy) -> tuple[bytes, ...]:
    """The certificates that can belong to the signer's chain, by name alone.

    A signature with stamps carries other chains as well; up to the policy's number all are kept.  Raises
    Refused (SIG021, SIG028, SIG047).
    """
    if len(certificates) <= policy.max_certificates:
        return tuple(certificates)
    bundle = [read_certificate(der) for der in certificates]
    chain = [wanted.find(bundle)]
    for certificate in chain:
        issuer = certificate.issuer.public_bytes()
        chain += [c for c in bundle if c.subject.public_bytes() == issuer and c not in chain]
    if len(chain) > policy.max_certificates:
        raise refusal("SIG028", f"<= {policy.max_certificates}", str(len(chain)), "certificates")
    return tuple(c.public_bytes(Encoding.DER) for c in chain)


def certify_at_any(
    trust: Trust,
    bundle: tuple[bytes, ...],
    policy: Policy,
    wanted: SignerId,
    now: datetime,
    times: Iterable[datetime],
) -> Chain:
    """The signer's chain now, or at one of the times that time stamps state, true or not.

    Only what is true in the end will count; but for a signer whose chain holds at none of them nothing more is
    done: no content is digested, and no stamp judged.  Raises Refused, as at present.
    """
    try:
        return trust.certify(bundle, policy, now, wanted)
    except Refused as fault:
        for at in dict.fromkeys(times):
            try:
                return trust.certify(bundle, policy, at, wanted)
            except Refused:
                continue
        raise fault from None


def shown_by(
    material: Material,
    proof: Proof,
    trust: Trust,
    bundle: tuple[bytes, ...],
    policy: Policy,
    wanted: SignerId,
    now: datetime,
    at: datetime | None,
) -> Proof:
    """What the responses that came along show by themselves: of a signature that is to last, nothing else will
    be there.  ``proof``: what is known with all that the gateway knows besides."""
    if not material.responses or (proof.responses and set(material.responses).issuperset(proof.responses)):
        return proof
    asking = msgspec.structs.replace(policy, revocation="accept")
    alone = trust.with_revocations(NOTHING_KNOWN)
    _, proof = alone.prove(bundle, asking, now, wanted, material.responses, at)
    return proof


def _responses(crls: Sequence[bytes], values: Sequence[bytes]) -> Iterator[bytes]:
    for crl in crls:
        if crl[:1] == SEQUENCE:
            yield crl
        elif crl[:1] == _OTHER_FORMAT:
            other = decode_der(OtherRevocation, SEQUENCE + crl[1:])
            if other.format == _OCSP_RESPONSE:
                yield octets_of(other.value)
    for value in values:
        read = decode_der(RevocationValues, value)
        yield from map(octets_of, read.crls or [])
        yield from (whole_response(octets_of(basic)) for basic in read.basic_responses or [])


def whole_response(basic: bytes) -> bytes:
    """A BasicOCSPResponse as the successful OCSPResponse that it came in."""
    name = asn1.encode_der(ResponseBytes(type=_BASIC_RESPONSE, response=basic))
    return enclose(SEQUENCE, b"\x0a\x01\x00" + enclose(b"\xa0", name))
