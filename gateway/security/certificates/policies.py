"""Certificate policies down a path (RFC 5280, 6.1): which are valid from the anchor to the end."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.x509 import ObjectIdentifier
from cryptography.x509.oid import ExtensionOID

from gateway.security.refused import refusal

ANY = "2.5.29.32.0"
_PART = "certificate"


@asn1.sequence
class _Mapping:
    """Of PolicyMappings: a policy of the issuer and one of the subject that it is equal to."""

    issuer: ObjectIdentifier
    subject: ObjectIdentifier


@asn1.sequence
class _Mappings:
    """A sequence around PolicyMappings, as only sequences of named parts are decoded."""

    pairs: list[_Mapping]


class Node(msgspec.Struct, frozen=True):
    """A policy that is valid so far.

    ``root``: under which policy of the anchor's domain, ANY where it is not narrowed yet.  ``expected``:
    what the next certificate may call it.
    """

    root: str
    valid: str
    expected: frozenset[str]


class Tree:
    """The valid policies of a path, level by level, with the three counters of RFC 5280, 6.1.2."""

    def __init__(self, length: int, *, explicit: bool) -> None:
        self.nodes = [Node(ANY, ANY, frozenset({ANY}))]
        self._explicit = 0 if explicit else length + 1
        self._mapping = length + 1
        self._inhibit = length + 1

    def descend(self, certificate: x509.Certificate, *, last: bool) -> None:
        """Take in the next certificate.  Raises Refused (SIG310, SIG029)."""
        own = certificate.subject == certificate.issuer
        found = _policies(certificate)
        self.nodes = [] if found is None else self._children(found, own and not last)
        if not self._explicit and not self.nodes:
            raise refusal("SIG310", "an explicit policy", ", ".join(sorted(found or ())), _PART)
        if not last:
            self._map(certificate)
            if not own:
                self._explicit, self._mapping, self._inhibit = (
                    max(n - 1, 0) for n in (self._explicit, self._mapping, self._inhibit)
                )
            self._inhibit = min(self._inhibit, _skip(certificate))
        elif self._explicit:
            self._explicit -= 1
        self._constrain(certificate, last=last)

    def check(self, wanted: frozenset[str]) -> None:
        """One of these policies, or any where none is named, is valid down to the end.

        Raises Refused (SIG310)."""
        left = [n for n in self.nodes if not wanted or n.root == ANY or n.root in wanted]
        if not self._explicit and not left:
            found = ", ".join(sorted({n.valid for n in self.nodes}))
            raise refusal("SIG310", ", ".join(sorted(wanted)), found, _PART)

    def _children(self, found: frozenset[str], own: bool) -> list[Node]:
        children: list[Node] = []
        taken: set[tuple[int, str]] = set()
        for policy in sorted(found - {ANY}):
            parents = [i for i, n in enumerate(self.nodes) if policy in n.expected]
            parents = parents or [i for i, n in enumerate(self.nodes) if n.valid == ANY]
            for i in parents:
                taken.add((i, policy))
                children.append(_child(self.nodes[i], policy))
        if ANY in found and (self._inhibit or own):
            for i, node in enumerate(self.nodes):
                for policy in sorted(node.expected):
                    if (i, policy) not in taken:
                        children.append(_child(node, policy))
        return list(dict.fromkeys(children))

    def _map(self, certificate: x509.Certificate) -> None:
        for issuer, subjects in _mappings(certificate).items():
            if ANY in (issuer, *subjects):
                raise refusal("SIG029", "no mapping of anyPolicy", "policyMappings", _PART)
            if not self._mapping:
                self.nodes = [n for n in self.nodes if n.valid != issuer]
                continue
            if any(n.valid == issuer for n in self.nodes):
                self.nodes = [
                    msgspec.structs.replace(n, expected=subjects) if n.valid == issuer else n
                    for n in self.nodes
                ]
            elif any(n.valid == ANY for n in self.nodes):
                self.nodes.append(Node(issuer, issuer, subjects))

    def _constrain(self, certificate: x509.Certificate, *, last: bool) -> None:
        try:
            said = certificate.extensions.get_extension_for_class(x509.PolicyConstraints).value
        except x509.ExtensionNotFound:
            return
        explicit, mapping = said.require_explicit_policy, said.inhibit_policy_mapping
        if explicit is not None and (not last or explicit == 0):
            self._explicit = min(self._explicit, explicit)
        if mapping is not None:
            self._mapping = min(self._mapping, mapping)


def check_policies(path: Sequence[x509.Certificate], wanted: frozenset[str]) -> None:
    """The path (the end entity first, the anchor last) carries a policy that is wanted, where any is.

    Raises Refused (SIG310, SIG029).  The anchor itself is no part of it: it was pinned as it is.
    """
    below = list(path[-2::-1])
    tree = Tree(len(below), explicit=bool(wanted))
    for certificate in below:
        tree.descend(certificate, last=certificate is below[-1])
    tree.check(wanted)


def _child(parent: Node, policy: str) -> Node:
    root = policy if parent.valid == ANY else parent.root
    return Node(root, policy, frozenset({policy}))


def _policies(certificate: x509.Certificate) -> frozenset[str] | None:
    try:
        said = certificate.extensions.get_extension_for_class(x509.CertificatePolicies).value
    except x509.ExtensionNotFound:
        return None
    return frozenset(p.policy_identifier.dotted_string for p in said)


def _mappings(certificate: x509.Certificate) -> dict[str, frozenset[str]]:
    try:
        said = certificate.extensions.get_extension_for_oid(ExtensionOID.POLICY_MAPPINGS).value
    except x509.ExtensionNotFound:
        return {}
    found: dict[str, set[str]] = {}
    try:
        for pair in asn1.decode_der(_Mappings, _enclosed(said.public_bytes())).pairs:
            found.setdefault(pair.issuer.dotted_string, set()).add(pair.subject.dotted_string)
    except ValueError:
        raise refusal("SIG029", "PolicyMappings", "", _PART) from None
    return {issuer: frozenset(subjects) for issuer, subjects in found.items()}


def _enclosed(der: bytes) -> bytes:
    octets = len(der).to_bytes((len(der).bit_length() + 7) // 8, "big")
    length = octets if len(der) < 0x80 else bytes((0x80 | len(octets),)) + octets
    return b"\x30" + length + der


def _skip(certificate: x509.Certificate) -> int:
    """InhibitAnyPolicy: how many certificates further anyPolicy still counts."""
    try:
        return certificate.extensions.get_extension_for_class(x509.InhibitAnyPolicy).value.skip_certs
    except x509.ExtensionNotFound:
        return 1 << 30
