"""Time stamps (RFC 3161, RFC 5816): asked for, and verified strictly.

A token is believed only where its authority's certificate is for stamping alone and reaches an anchor that
the operator pinned for stamping (``Trust.stampers``): no partner's authority can make time.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.asn1 import TLV, BitString, decode_der, encode_der
from cryptography.x509 import ObjectIdentifier
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.model import Proof
from gateway.security.algorithms import DIGESTERS, HASHES, admitted, check_signature
from gateway.security.certificates.certificate import read_certificate
from gateway.security.certificates.path import check_time
from gateway.security.certificates.trust import Chain, Trust
from gateway.security.cms.ber import enclose, to_der
from gateway.security.cms.ess import check_certificate_named
from gateway.security.cms.identifiers import algorithm_of, digest_identifier, digest_of
from gateway.security.cms.material import Material, candidates, material_of, values_by_type
from gateway.security.cms.signer_info import OneSigner, one_signer, read_attributes, signer_id
from gateway.security.cms.structures import (
    SIGNED_DATA,
    ContentInfo,
    SignedData,
    elements_of,
    octets_of,
)
from gateway.security.cms.timestamp_structures import (
    TST_INFO,
    Accuracy,
    Extension,
    MessageImprint,
    TimeStampAnswer,
    TimeStampRequest,
    TstInfo,
)
from gateway.security.policy import Policy
from gateway.security.refused import refusal

PART: Final = "timeStampToken"
MAX_TOKEN: Final = 64 * 1024
"""Octets of a token with its certificates, CRLs included in some; usual ones have 2,000 to 7,000."""

_STAMPING = frozenset({ExtendedKeyUsageOID.TIME_STAMPING.dotted_string})
_DIRECTORY_NAME = b"\xa4"
_GRANTED = frozenset({0, 1})
"""PKIStatus granted and grantedWithMods."""
_FAILURES = {0: "badAlg", 2: "badRequest", 5: "badDataFormat", 14: "timeNotAvailable", 15: "unacceptedPolicy"}
_MORE_FAILURES = {16: "unacceptedExtension", 17: "addInfoNotAvailable", 25: "systemFailure"}


class Stamp(msgspec.Struct, frozen=True):
    """A verified time stamp: what it was made over existed ``at`` this time (aware, UTC; true within
    ``accuracy``).

    ``certificates``: the chain of its authority in DER, the stamper's own first, the anchor last.
    ``policy_oid``: of the authority.  ``nonce``: of the request, where it had one.  ``proof``: what the
    authority's chain rested on.
    """

    at: datetime
    certificates: tuple[bytes, ...]
    token: bytes
    serial: int
    policy_oid: str
    accuracy: timedelta = timedelta(0)
    nonce: int | None = None
    proof: Proof = Proof()


class Stated(msgspec.Struct, frozen=True):
    """What a token says, whoever made it and whether or not it is true."""

    at: datetime
    digest: str
    unsigned: tuple[TLV, ...]


NOTHING: Final = Material()
Imprint = Callable[[str], bytes]
"""The digest, by its name, of what a stamp is made over: of much that many are made over, taken once."""


def read_token(
    token: bytes,
    imprinted: bytes | Imprint,
    trust: Trust,
    policy: Policy,
    now: datetime,
    beside: Material = NOTHING,
) -> Stamp:
    """Verify a TimeStampToken over the octets ``imprinted``, or those with such digests.

    ``trust.stampers`` anchors its authority.  ``now``: when the authority's chain must hold: the present,
    or the time of a later stamp over this one; its own certificate must hold at the time stamped, too.
    ``beside``: certificates and revocation values that came along outside the token.  Raises Refused:
    SIG200..SIG209, and the codes of signatures and certificates.
    """
    opened = _open(token)
    digest = _imprint_digest(opened.stated, policy)
    made = imprinted(digest) if callable(imprinted) else DIGESTERS[digest](imprinted).digest()
    if made != opened.stated.imprint.digest:
        raise refusal("SIG201", part=PART)
    return _proven(opened, trust, policy, now, beside)


def request(imprint: bytes, digest: str, nonce: int, policy_oid: str = "") -> bytes:
    """A TimeStampReq for an ``imprint`` made with ``digest`` (``sha256`` ...), which asks for the
    authority's certificate.  ``nonce``: positive, random, at most 64 bits (many authorities take no more).

    Raises ValueError where the imprint is not as long as the digest.
    """
    if len(imprint) != HASHES[digest].digest_size:
        raise ValueError(f"not an imprint made with {digest}")
    return encode_der(
        TimeStampRequest(
            version=1,
            imprint=_imprint(imprint, digest),
            policy=ObjectIdentifier(policy_oid) if policy_oid else None,
            nonce=nonce,
            certificate_wanted=True,
            extensions=None,
        )
    )


def read_answer(
    answer: bytes, imprinted: bytes, digest: str, nonce: int, trust: Trust, policy: Policy, now: datetime
) -> bytes:
    """The token of a TimeStampResp, verified to be an answer to our request for ``imprinted`` (the octets,
    not their digest) with ``digest`` and ``nonce``.

    Raises Refused: SIG207 where the authority declined, SIG206 where it answered something else, and as
    ``read_token``.
    """
    if len(answer) > MAX_TOKEN:
        raise refusal("SIG200", f"<= {MAX_TOKEN} octets", f"{len(answer)} octets", PART)
    try:
        read = decode_der(TimeStampAnswer, answer)
    except ValueError:
        raise refusal("SIG200", "TimeStampResp", "", PART) from None
    if read.status.status not in _GRANTED or read.token is None:
        raise refusal("SIG207", "granted", _reason(read), PART)
    token = encode_der(read.token)
    stamp = read_token(token, imprinted, trust, policy, now)
    if stamp.nonce != nonce:
        raise refusal("SIG206", f"{nonce:x}", "none" if stamp.nonce is None else f"{stamp.nonce:x}", PART)
    if (found := stated_by(token).digest) != digest:
        raise refusal("SIG206", digest, found, PART)
    return token


def stated_by(token: bytes) -> Stated:
    """What a token says.  Raises Refused (SIG007, SIG200)."""
    opened = _open(token)
    unsigned = tuple(opened.one.info.unsigned_attributes or ())
    return Stated(_time_of(opened.stated), _digest_name(opened.stated.imprint), unsigned)


class _Opened(msgspec.Struct, frozen=True):
    """A token that can be read."""

    token: bytes
    one: OneSigner
    content: bytes
    stated: TstInfo


def _open(token: bytes) -> _Opened:
    if len(token) > MAX_TOKEN:
        raise refusal("SIG200", f"<= {MAX_TOKEN} octets", f"{len(token)} octets", PART)
    try:
        return _read(token)
    except ValueError:
        pass
    try:
        return msgspec.structs.replace(_read(to_der(token)), token=token)
    except ValueError:
        raise refusal("SIG200", "DER", "", PART) from None


def _read(token: bytes) -> _Opened:
    """Strict DER; RFC 3161 allows BER around the signed parts, which is made DER before."""
    info = decode_der(ContentInfo, token)
    if info.content_type != SIGNED_DATA:
        raise refusal("SIG200", SIGNED_DATA.dotted_string, info.content_type.dotted_string, PART)
    signed = info.content.parse(SignedData)
    inside = signed.encapsulated
    if inside.content_type != TST_INFO or inside.content is None:
        raise refusal("SIG200", TST_INFO.dotted_string, inside.content_type.dotted_string, PART)
    return _Opened(token, one_signer(signed, PART), inside.content, _stated(inside.content))


def _stated(content: bytes) -> TstInfo:
    stated = decode_der(TstInfo, content)
    extensions = [e.parse(Extension) for e in stated.extensions or []]
    if stated.version != 1:
        raise refusal("SIG200", "version 1", str(stated.version), PART)
    critical = [e.name.dotted_string for e in extensions if e.critical]
    if critical:
        raise refusal("SIG209", "no critical extension", ", ".join(critical), PART)
    return stated


def _digest_name(imprint: MessageImprint) -> str:
    try:
        return digest_of(octets_of(imprint.algorithm))
    except ValueError:
        raise refusal("SIG200", "AlgorithmIdentifier", "", PART) from None


def _imprint_digest(stated: TstInfo, policy: Policy) -> str:
    digest = _digest_name(stated.imprint)
    if digest not in policy.digests:
        raise refusal("SIG007", ", ".join(sorted(policy.digests)), digest, PART)
    return digest


def _proven(opened: _Opened, trust: Trust, policy: Policy, now: datetime, beside: Material) -> Stamp:
    if trust.stampers is None:
        raise refusal("SIG204", part=PART)
    try:
        chain, proof = _signed_by(opened, trust.stampers, _for_stamping(policy), now, beside)
    except ValueError:
        raise refusal("SIG200", "DER", "", PART) from None
    stated = opened.stated
    at = _time_of(stated)
    stamper = read_certificate(chain.certificates[0])
    _check_purpose(stamper)
    _check_name(stated, stamper)
    check_time(stamper, at)
    if at > now + policy.clock_skew:
        raise refusal("SIG205", f"<= {(now + policy.clock_skew).isoformat()}", at.isoformat(), PART)
    return Stamp(
        at=at,
        certificates=chain.certificates,
        token=opened.token,
        serial=stated.serial,
        policy_oid=stated.policy.dotted_string,
        accuracy=_accuracy_of(stated.accuracy),
        nonce=stated.nonce,
        proof=proof,
    )


def _signed_by(
    opened: _Opened, stampers: Trust, policy: Policy, now: datetime, beside: Material
) -> tuple[Chain, Proof]:
    """Who signed the token, by its signed attributes."""
    one = opened.one
    digest = digest_of(one.digest_algorithm)
    algorithm = algorithm_of(one.signature_algorithm, digest)
    admitted(algorithm, (digest,), policy, now, PART)
    attributes = read_attributes(one, TST_INFO)
    own = material_of(one, values_by_type(one.info.unsigned_attributes or ()))
    wanted, material = signer_id(one), own.joined(beside)
    bundle = candidates(material.certificates, wanted, policy)
    chain, proof = stampers.prove(bundle, policy, now, wanted, material.responses)
    check_signature(chain.key, algorithm, one.info.signature, attributes.octets, PART)
    if DIGESTERS[digest](opened.content).digest() != attributes.message_digest:
        raise refusal("SIG011", part=PART)
    if not check_certificate_named(attributes, chain.certificates[0], PART):
        raise refusal("SIG202", "signing-certificate", "", PART)
    return chain, proof


@lru_cache(maxsize=16)
def _for_stamping(policy: Policy) -> Policy:
    """A legacy profile makes no time: it is for old senders, not for authorities."""
    return msgspec.structs.replace(policy, purposes=_STAMPING, legacy=())


def _check_purpose(stamper: x509.Certificate) -> None:
    """RFC 3161, 2.3: one extended key usage, for stamping, and critical."""
    try:
        usage = stamper.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        raise refusal("SIG203", "timeStamping", "no extendedKeyUsage", PART) from None
    found = ", ".join(purpose.dotted_string for purpose in usage.value)
    if list(usage.value) != [ExtendedKeyUsageOID.TIME_STAMPING] or not usage.critical:
        shown = found if usage.critical else f"{found} (not critical)"
        raise refusal("SIG203", f"{ExtendedKeyUsageOID.TIME_STAMPING.dotted_string}, critical", shown, PART)


def _check_name(stated: TstInfo, stamper: x509.Certificate) -> None:
    """Where the token says who stamps, it is one of the certificate's names (RFC 3161, 2.4.2)."""
    if stated.tsa is None:
        return
    known = [enclose(_DIRECTORY_NAME, stamper.subject.public_bytes()), *_other_names(stamper)]
    if len(stated.tsa) != 1 or octets_of(stated.tsa[0]) not in known:
        raise refusal("SIG202", stamper.subject.rfc4514_string(), "another name", PART)


def _other_names(stamper: x509.Certificate) -> list[bytes]:
    try:
        extension = stamper.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    names = extension.value.public_bytes()
    return [octets_of(name) for name in elements_of(names)]


def _time_of(stated: TstInfo) -> datetime:
    moment = stated.time.as_datetime()
    return moment.replace(tzinfo=UTC)


def _accuracy_of(accuracy: Accuracy | None) -> timedelta:
    if accuracy is None:
        return timedelta(0)
    millis, micros = accuracy.millis or 0, accuracy.micros or 0
    seconds = accuracy.seconds or 0
    if not (0 <= millis < 1_000 and 0 <= micros < 1_000 and 0 <= seconds < 86_400):
        raise refusal("SIG200", "Accuracy", f"{seconds} s, {millis} ms, {micros} us", PART)
    return timedelta(seconds=seconds, milliseconds=millis, microseconds=micros)


def _imprint(imprint: bytes, digest: str) -> MessageImprint:
    algorithm = decode_der(TLV, encode_der(digest_identifier(digest)))
    return MessageImprint(algorithm=algorithm, digest=imprint)


def _reason(answer: TimeStampAnswer) -> str:
    """Why an authority declined, in its own words and by its failure bits."""
    texts = answer.status.text or []
    bits = _bits(answer.status.failure)
    names = [(_FAILURES | _MORE_FAILURES).get(bit, f"failure {bit}") for bit in bits]
    return ", ".join([f"status {answer.status.status}", *names, *texts])


def _bits(string: BitString | None) -> list[int]:
    octets = b"" if string is None else string.as_bytes()
    return [i for i in range(len(octets) * 8) if octets[i // 8] & (0x80 >> i % 8)]
