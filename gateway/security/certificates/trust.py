"""Trust: from the signer's certificate to a pinned anchor, at a given time (RFC 5280, 6.1)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from copy import copy
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.model import Proof, Signer
from gateway.security.algorithms import PublicKey, check_key
from gateway.security.certificates.asking import Stapled, ask_after
from gateway.security.certificates.certificate import end_entity, public_key_of, read_certificate, signer_of
from gateway.security.certificates.path import PathSearch, check_end_entity, check_time
from gateway.security.certificates.revocation import NOTHING_KNOWN, Revocations
from gateway.security.certificates.signer_id import SignerId
from gateway.security.certificates.statement import Link, link_of
from gateway.security.policy import Policy
from gateway.security.refused import refusal

PUBLIC = "public"
"""The folder, within that of the anchors, of public authorities: the identifiers (tax codes) in the
subjects that they certify say who the signer is."""
RESPONDERS = "responders"
"""The folder, within that of the anchors, of OCSP responders' certificates that are believed as they are,
without their authority's delegation (RFC 6960, 4.2.2.2)."""

_CERTIFICATE, _PRIVATE_KEY = b"-----BEGIN CERTIFICATE-----", b" PRIVATE KEY-----"
_REMEMBERED = 4_096
"""Chains kept: more than a customs network has signers; about 4 KB each."""


class Chain(msgspec.Struct, frozen=True):
    """A signer's certificate and how it reaches an anchor, good from ``not_before`` to
    ``not_after`` (the narrowest window of all its certificates).  ``links``: of every certificate but the
    anchor."""

    key: PublicKey
    signer: Signer
    certificates: tuple[bytes, ...]
    not_before: datetime
    not_after: datetime
    links: tuple[Link, ...] = ()


class Trust:
    """The anchors that the operator pinned.

    An anchor is an authority's certificate, or a partner's own certificate pinned as it is.  What
    chains to one is remembered by fingerprint, so that a known signer costs a look-up.
    """

    def __init__(
        self,
        anchors: Iterable[x509.Certificate],
        stampers: Trust | None = None,
        public: Iterable[x509.Certificate] = (),
        responders: Iterable[x509.Certificate] = (),
    ) -> None:
        """``stampers``: the anchors of time-stamp authorities; None: no time stamp is believed.
        ``public``: further anchors, those of PUBLIC; ``responders``: see RESPONDERS."""
        self.public = frozenset(public)
        self.anchors = (*anchors, *self.public)
        self.responders = tuple(responders)
        self.stampers = stampers
        self.revocations = NOTHING_KNOWN
        self._stapled = Stapled(self.responders)
        self._by_subject: dict[bytes, list[x509.Certificate]] = {}
        for anchor in self.anchors:
            self._by_subject.setdefault(anchor.subject.public_bytes(), []).append(anchor)
        self._remembered: dict[tuple[object, ...], Chain] = {}

    @classmethod
    def load(cls, place: Path, stampers: Path | None = None) -> Trust:
        """Every certificate of a PEM file, or of a folder's ``*.pem`` and ``*.crt`` files, and of its
        folders PUBLIC and RESPONDERS where it has them.

        ``stampers``: the folder of time-stamp authorities' anchors, which may be absent.  Raises ValueError
        naming each file that holds no readable certificate.
        """
        broken: list[str] = []
        anchors = _certificates(place, broken)
        public, responders, stamping = (
            _certificates(folder, broken) if folder is not None and folder.is_dir() else []
            for folder in (place / PUBLIC, place / RESPONDERS, stampers)
        )
        if broken:
            raise ValueError("; ".join(broken))
        return cls(anchors, cls(stamping) if stamping else None, public, responders)

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
            policy.certificate_policies,
        )
        chain = self._remembered.get(name)
        if chain is not None and chain.not_before <= now <= chain.not_after:
            return chain
        chain = self._build(certificates, policy, now, wanted)
        if len(self._remembered) >= _REMEMBERED:
            self._remembered.clear()
        self._remembered[name] = chain
        return chain

    def with_revocations(self, revocations: Revocations) -> Trust:
        """The same anchors with other knowledge of what was revoked; chains stay remembered."""
        other = copy(self)
        other.revocations = revocations
        if self.stampers is not None:
            other.stampers = self.stampers.with_revocations(revocations)
        return other

    def prove(
        self,
        certificates: tuple[bytes, ...],
        policy: Policy,
        now: datetime,
        wanted: SignerId | None = None,
        embedded: Sequence[bytes] = (),
        at: datetime | None = None,
    ) -> tuple[Chain, Proof]:
        """The chain of the signer, as ``certify``, and what is known of its revocation.

        ``embedded``: OCSP responses and CRLs in DER that came with the signature; they are believed as far
        as their own signatures go.  ``at``: the time of a verified time stamp, at which the chain must hold;
        without it, ``now``.  Raises Refused: as ``certify``, SIG300 where a certificate is revoked, SIG301
        where that is unknown and the policy refuses it; Held (SIG302) where the policy waits.
        """
        chain = self.certify(certificates, policy, at or now, wanted)
        proof = ask_after(
            chain.certificates, chain.links, self.revocations, self._stapled, embedded, policy, now, at
        )
        return chain, proof

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
            signer=msgspec.structs.replace(signer_of(leaf), public=path[-1] in self.public),
            certificates=tuple(c.public_bytes(Encoding.DER) for c in path),
            not_before=max(c.not_valid_before_utc for c in path),
            not_after=min(c.not_valid_after_utc for c in path),
            links=tuple(link_of(c, above) for c, above in pairwise(path)),
        )


def _certificates(place: Path, broken: list[str]) -> list[x509.Certificate]:
    """Those of a file or a folder; a folder's private keys are none and are passed over."""
    found: list[x509.Certificate] = []
    folder = place.is_dir()
    for path in sorted((*place.glob("*.pem"), *place.glob("*.crt"))) if folder else [place]:
        octets = path.read_bytes()
        if folder and _PRIVATE_KEY in octets and _CERTIFICATE not in octets:
            continue
        try:
            found += x509.load_pem_x509_certificates(octets)
        except ValueError as error:
            broken.append(f"{path.name}: {error}")
    return found
