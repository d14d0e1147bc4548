"""Trust: from the signer's certificate to a pinned anchor, at a given time (RFC 5280, 6.1)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
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

PARTNERS = "partners"
"""The folder, within that of the anchors, of partners' own certificates: each is believed as it is, and
issues for nobody, whatever it says of itself."""
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
        partners: Iterable[x509.Certificate] = (),
    ) -> None:
        """``stampers``: the anchors of time-stamp authorities; None: no time stamp is believed.
        ``public``, ``partners``: further anchors, those of PUBLIC and PARTNERS; ``responders``: see
        RESPONDERS."""
        self.public = frozenset(public)
        self.partners = frozenset(partners)
        self.anchors = tuple(dict.fromkeys((*anchors, *self.public, *self.partners)))
        self.responders = tuple(responders)
        self.stampers = stampers
        self.revocations = NOTHING_KNOWN
        self._stapled = Stapled(self.responders)
        self._pinned = self.partners
        self._linked: dict[tuple[bytes, ...], tuple[Link, ...]] = {}
        self._name_issuers()

    def _name_issuers(self) -> None:
        self._by_subject: dict[bytes, list[x509.Certificate]] = {}
        self._owned: dict[bytes, str] = {}
        for anchor in self.anchors:
            if anchor in self.partners:
                self._owned[anchor.public_bytes(Encoding.DER)] = anchor.subject.rfc4514_string()
            else:
                self._by_subject.setdefault(anchor.subject.public_bytes(), []).append(anchor)
        self._remembered: dict[tuple[object, ...], Chain] = {}

    @classmethod
    def load(cls, place: Path, stampers: Path | None = None) -> Trust:
        """Every certificate of a PEM file, or of a folder's ``*.pem`` and ``*.crt`` files, and of its
        folders PUBLIC, PARTNERS and RESPONDERS where it has them.

        ``stampers``: the folder of time-stamp authorities' anchors, which may be absent.  Raises ValueError
        naming each file that holds no readable certificate.
        """
        broken: list[str] = []
        anchors = _certificates(place, broken)
        public, partners, responders, stamping = (
            _certificates(folder, broken) if folder is not None and folder.is_dir() else []
            for folder in (place / PUBLIC, place / PARTNERS, place / RESPONDERS, stampers)
        )
        if broken:
            raise ValueError("; ".join(broken))
        return cls(anchors, cls(stamping) if stamping else None, public, responders, partners)

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

    def with_partners(self, owned: Callable[[str, str], bool]) -> Trust:
        """The same anchors, of which those issue for nobody that are partners' own, by ``owned``
        (fingerprint, subject): who pins a partner's certificate where authorities are means no more by it.
        The same object where that changes nothing."""
        named = [(anchor, signer_of(anchor)) for anchor in self.anchors]
        partners = self._pinned | {a for a, signer in named if owned(signer.fingerprint, signer.subject)}
        if partners == self.partners:
            return self
        other = copy(self)
        other.partners = partners
        other._name_issuers()
        return other

    def issued_by_partner(self, certificates: tuple[bytes, ...]) -> str:
        """The subject of the partner's certificate among the issuers of a chain (DER) that others proved,
        "" where there is none."""
        return next((self._owned[der] for der in certificates[1:] if der in self._owned), "")

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

    def ask(self, certificates: tuple[bytes, ...], policy: Policy, now: datetime) -> Proof:
        """What is known of the revocation of a chain (DER, the anchor last) that others proved, as a TLS
        handshake does; how it was built is theirs to say.

        Raises Refused and Held, as ``prove``; SIG020 where one is unreadable.
        """
        links = self._linked.get(certificates)
        if links is None:
            chain = [read_certificate(der) for der in certificates]
            links = tuple(link_of(c, above) for c, above in pairwise(chain))
            if len(self._linked) >= _REMEMBERED:
                self._linked.clear()
            self._linked[certificates] = links
        return ask_after(certificates, links, self.revocations, self._stapled, (), policy, now, None)

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
