"""Trust: from the signer's certificate to a pinned anchor, at a given time (RFC 5280, 6.1)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.model import Signer
from gateway.security.algorithms import PublicKey, check_key
from gateway.security.certificates.certificate import end_entity, public_key_of, read_certificate, signer_of
from gateway.security.certificates.path import PathSearch, check_end_entity, check_time
from gateway.security.certificates.signer_id import SignerId
from gateway.security.policy import Policy
from gateway.security.refused import refusal

_CERTIFICATE, _PRIVATE_KEY = b"-----BEGIN CERTIFICATE-----", b" PRIVATE KEY-----"
_REMEMBERED = 4_096
"""Chains kept: more than a customs network has signers; about 4 KB each."""


class Chain(msgspec.Struct, frozen=True):
    """A signer's certificate and how it reaches an anchor, good from ``not_before`` to
    ``not_after`` (the narrowest window of all its certificates)."""

    key: PublicKey
    signer: Signer
    certificates: tuple[bytes, ...]
    not_before: datetime
    not_after: datetime


class Trust:
    """The anchors that the operator pinned.

    An anchor is an authority's certificate, or a partner's own certificate pinned as it is.  What
    chains to one is remembered by fingerprint, so that a known signer costs a look-up.
    """

    def __init__(self, anchors: Iterable[x509.Certificate]) -> None:
        self.anchors = tuple(anchors)
        self._by_subject: dict[bytes, list[x509.Certificate]] = {}
        for anchor in self.anchors:
            self._by_subject.setdefault(anchor.subject.public_bytes(), []).append(anchor)
        self._remembered: dict[tuple[object, ...], Chain] = {}

    @classmethod
    def load(cls, place: Path) -> Trust:
        """Every certificate of a PEM file, or of a folder's ``*.pem`` and ``*.crt`` files.

        A folder's private keys are no anchors and are passed over.  Raises ValueError naming each other
        file that holds no readable certificate.
        """
        anchors: list[x509.Certificate] = []
        broken: list[str] = []
        folder = place.is_dir()
        for path in sorted((*place.glob("*.pem"), *place.glob("*.crt"))) if folder else [place]:
            octets = path.read_bytes()
            if folder and _PRIVATE_KEY in octets and _CERTIFICATE not in octets:
                continue
            try:
                anchors += x509.load_pem_x509_certificates(octets)
            except ValueError as error:
                broken.append(f"{path.name}: {error}")
        if broken:
            raise ValueError("; ".join(broken))
        return cls(anchors)

    def certify(
        self, certificates: tuple[bytes, ...], policy: Policy, now: datetime, wanted: SignerId | None = None
    ) -> Chain:
        """The chain of the signer among the DER certificates that came with a signature.

        ``wanted``: which of them a CMS signature names; without it, the one that issued no other.
        The certificates are only a hint: nothing is believed that does not reach an anchor.  Raises
        Refused (SIG020..SIG029, SIG047).
        """
        name = (
            *(hashlib.sha256(der).digest() for der in certificates),
            wanted,
            policy.min_rsa_bits,
            policy.max_rsa_bits,
            policy.purposes,
            policy.curves,
            policy.max_chain,
        )
        chain = self._remembered.get(name)
        if chain is not None and chain.not_before <= now <= chain.not_after:
            return chain
        chain = self._build(certificates, policy, now, wanted)
        if len(self._remembered) >= _REMEMBERED:
            self._remembered.clear()
        self._remembered[name] = chain
        return chain

    def _build(
        self, certificates: tuple[bytes, ...], policy: Policy, now: datetime, wanted: SignerId | None
    ) -> Chain:
        if not certificates:
            raise refusal("SIG020", part="certificate")
        if len(certificates) > policy.max_certificates:
            raise refusal("SIG028", f"<= {policy.max_certificates}", str(len(certificates)), "certificate")
        bundle = [read_certificate(der) for der in dict.fromkeys(certificates)]
        leaf = end_entity(bundle) if wanted is None else wanted.find(bundle)
        pinned = leaf in self.anchors
        check_end_entity(leaf, policy, pinned)
        key = check_key(public_key_of(leaf), policy, "certificate")
        if pinned:
            check_time(leaf, now)
            path: tuple[x509.Certificate, ...] = (leaf,)
        else:
            path = PathSearch(self._by_subject, bundle, policy, now).find(leaf)
        return Chain(
            key=key,
            signer=signer_of(leaf),
            certificates=tuple(c.public_bytes(Encoding.DER) for c in path),
            not_before=max(c.not_valid_before_utc for c in path),
            not_after=min(c.not_valid_after_utc for c in path),
        )
