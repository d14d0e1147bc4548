"""Signatures that look as one that was proven: all their octets are the same but for the digest's and the signature's
value.

A sender's software writes each signature like the last.  What such a signature says needs no second walk through its
elements, and its SignedInfo no canonicalisation: what was proven of the first is true of all that differ from it only
in those two texts.  It is so because

* the octets outside the two texts are compared one by one, and hold the certificates as well: nobody's form serves
  another's message;
* a text may be nothing but base64, so that it can begin no tag, no reference and no comment: whatever stands in its
  place, the same elements are around it;
* that the texts are just those of DigestValue and SignatureValue, and how SignedInfo is canonical around the digest,
  is not concluded but tried, when a form is learnt: other values, drawn at random, are put in their places, and the
  signature is read the slow way;
* that is done with the Signature element alone, so it cannot depend on what was declared around it, and only for
  exclusive canonicalisation, which brings nothing in from there.

A form is learnt only from a signature that held to its end, so a stranger leaves nothing behind here; and only when
it is met again, for some senders name each signature by an Id of its own.
"""

from __future__ import annotations

import binascii
from secrets import token_bytes
from typing import Final

import msgspec
from lxml import etree

from gateway.safexml import XmlRefused, parse
from gateway.security.base64 import from_base64
from gateway.security.policy import Policy
from gateway.security.refused import Refused
from gateway.security.xmldsig.signature import (
    MAX_VALUE,
    Profile,
    XmlSignature,
    only_signature,
    read_signature,
)

MAX_FORM: Final = 16_384
"""Octets of a signature whose form is remembered; one with a chain of three certificates takes some 8,000."""

_DIGEST: Final = b"DigestValue>"
_VALUE: Final = b"SignatureValue>"

Around = tuple[bytes, bytes, bytes]
"""The octets before, between and behind the two texts."""


class Form(msgspec.Struct, frozen=True):
    """What a signature of this form says; ``before``, ``behind``: its canonical SignedInfo around the digest."""

    profile: Profile
    certificates: tuple[bytes, ...]
    before: bytes
    behind: bytes


class Forms:
    """The forms that were learnt, and those that were met once; too many of either are forgotten."""

    def __init__(self) -> None:
        self._known: dict[Around, Form] = {}
        self._met: set[int] = set()

    def __len__(self) -> int:
        return len(self._known)

    def read(self, octets: bytes, element: etree._Element, policy: Policy) -> XmlSignature | None:
        """The signature that an element is, of which these are the octets; None where its form is not known."""
        cut = _cut(octets)
        form = None if cut is None else self._known.get(cut[0])
        if cut is None or form is None or len(form.certificates) > policy.max_certificates:
            return None
        _, digest, value = cut
        try:
            digested, signed = _exactly(digest), from_base64(value)
        except ValueError:
            return None
        return XmlSignature(
            element=element,
            signed_info=b"".join((form.before, digest, form.behind)),
            profile=form.profile,
            digests=(digested,),
            value=signed,
            key_info=element[2],
            certificates=form.certificates,
            objects=(),
        )

    def learn(self, octets: bytes, signature: XmlSignature, policy: Policy) -> None:
        """The form of a signature that held, of which these are the octets, where it was met before."""
        cut = _cut(octets)
        if cut is None or len(octets) > MAX_FORM or not policy.max_forms:
            return
        around, digest, value = cut
        if hash(around) not in self._met:
            if len(self._met) >= policy.max_forms:
                self._met.clear()
            self._met.add(hash(around))
            return
        form = _tried(around, digest, value, signature, policy)
        if form is not None:
            if len(self._known) >= policy.max_forms:
                self._known.clear()
            self._known[around] = form


def _cut(octets: bytes) -> tuple[Around, bytes, bytes] | None:
    """What stands around the two texts, and they; None where there are none, or too long ones."""
    start = octets.find(_DIGEST) + len(_DIGEST)
    end = octets.find(b"<", start)
    begin = octets.find(_VALUE, end) + len(_VALUE)
    stop = octets.find(b"<", begin)
    if not len(_DIGEST) <= start < end < begin < stop or stop - begin > MAX_VALUE:
        return None
    return (octets[:start], octets[end:begin], octets[stop:]), octets[start:end], octets[begin:stop]


def _exactly(text: bytes) -> bytes:
    """The octets of base64 without a blank: it stands in canonical octets as it stands here."""
    octets = binascii.a2b_base64(text, strict_mode=True)
    if binascii.b2a_base64(octets, newline=False) != text:
        raise ValueError("not the only text for these octets")
    return octets


def _tried(
    around: Around, digest: bytes, value: bytes, signature: XmlSignature, policy: Policy
) -> Form | None:
    """The form, once other values in its places have been read as such the slow way."""
    if signature.objects or not (signature.profile.whole and signature.profile.exclusive):
        return None
    one, other = token_bytes(len(signature.digests[0])), token_bytes(len(signature.value))
    mark, second = (binascii.b2a_base64(octets, newline=False) for octets in (one, other))
    try:
        alone = read_signature(
            only_signature(parse(b"".join((around[0], mark, around[1], second, around[2])))), policy
        )
    except (Refused, XmlRefused):
        return None
    before, found, behind = alone.signed_info.partition(mark)
    same = (
        found
        and (alone.digests, alone.value, alone.objects) == ((one,), other, ())
        and (alone.profile, alone.certificates) == (signature.profile, signature.certificates)
        and before + digest + behind == signature.signed_info
    )
    return Form(signature.profile, signature.certificates, before, behind) if same else None


FORMS: Final = Forms()
"""Those of this process."""
