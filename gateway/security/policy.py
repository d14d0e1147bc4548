"""What is accepted as a signature: set by the operator, never by the message."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Literal

import msgspec

from gateway.safexml import XmlLimits

Engine = Literal["fast", "signxml", "both"]
WhenUnknown = Literal["off", "accept", "hold", "refuse"]
"""Whether certificates are asked after, and what is done where nobody can say if one was revoked."""

UNDOING = frozenset({"key_compromise", "ca_compromise", "aa_compromise"})
"""Reasons of a revocation (RFC 5280, 5.3.1) that undo signatures made, and time-stamped, before it:
somebody else may have had the key."""

DIGESTS = frozenset({"sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512"})

ALGORITHMS = frozenset(
    {
        *(f"{scheme}-{digest}" for scheme in ("rsa", "rsa-pss", "ecdsa") for digest in DIGESTS),
        "ed25519",
    }
)
"""Every algorithm that can be allowed.  Each is bound to one type of key; there is no SHA-1, no DSA
and nothing symmetric to downgrade to."""

ENVELOPED = "enveloped"
ENVELOPING = "enveloping"
DETACHED = "detached"
OUTSIDE = "outside"
V5 = "v5"
XADES_SHAPES = (ENVELOPED, ENVELOPING, DETACHED)
"""In which a document is signed; OUTSIDE is for content that need not be XML."""
SHAPES = frozenset({ENVELOPED, ENVELOPING, DETACHED, OUTSIDE})
"""Where an XML signature may stand: inside the document, around it, beside it under one root, or in a
MIME part of its own.  ``v5`` is admitted by a legacy profile only."""

LEVELS = ("", "B", "T", "LT", "LTA")
"""Levels of a XAdES or CAdES signature, each including those before it; "" is a signature without
its own signed time."""
Level = Literal["", "B", "T", "LT", "LTA"]
CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1"})

PURPOSES = frozenset(
    {
        "2.5.29.37.0",  # any extended key usage
        "1.3.6.1.5.5.7.3.4",  # e-mail protection
        "1.3.6.1.5.5.7.3.36",  # document signing, RFC 9336
        "1.3.6.1.4.1.311.10.3.12",  # document signing, as Windows authorities write it
        "1.2.840.113583.1.1.5",  # authentic documents, as PDF authorities write it
    }
)
"""Extended key usages of a certificate that signs messages; one without the extension is accepted.
TLS client and server certificates are not: signing keys are kept apart from transport keys."""


CIPHERS = frozenset({"aes128-gcm", "aes192-gcm", "aes256-gcm"})
OLDER_CIPHERS = frozenset({"aes128-cbc", "aes192-cbc", "aes256-cbc"})
"""What encrypts the content of a message.  CBC proves nothing about what it encrypts, so the policy must
name it; Triple DES and RC2 cannot be named."""
KEY_WRAPPINGS = frozenset({"rsa-oaep", "ecdh"})
OLDER_KEY_WRAPPINGS = frozenset({"rsa-pkcs1"})
"""How the content's key travels.  PKCS #1 v1.5 is what Bleichenbacher's oracle works on: only by name."""


class MimeLimits(msgspec.Struct, frozen=True):
    """Bounds of a MIME body: octets of a header block and of a line in it, of the preamble, and how
    many fields a header block has."""

    max_header: int = 16_384
    max_line: int = 2_048
    max_fields: int = 50
    max_preamble: int = 2_048


class Legacy(msgspec.Struct, frozen=True):
    """What is admitted besides the policy, for old senders, until a day: ``sha1`` for one.

    ``algorithms`` and ``digests``: names.  ``shapes``: the XML shapes that it holds for, all that the
    policy takes where empty.  ``until``: the last day (UTC).  Key sizes stay the policy's.
    """

    name: str
    until: date
    algorithms: frozenset[str] = frozenset({"rsa-sha1"})
    digests: frozenset[str] = frozenset({"sha1"})
    shapes: frozenset[str] = frozenset()


class Policy(msgspec.Struct, frozen=True):
    """The rules of verification.

    ``engine``: ``fast`` (our verifier), ``signxml`` (the reference) or ``both`` (they must agree).
    ``algorithms``, ``digests``, ``curves``: allow-lists.  RSA keys have ``min_rsa_bits`` to
    ``max_rsa_bits`` (a longer one costs more time than a signature is worth).  ``max_chain``:
    certificates from the signer's to the anchor.  ``clock_skew``: how far a signing time may lie
    ahead.  ``max_bytes``: the whole body.  ``shapes``: of XML signatures.  ``legacy``: profiles of old
    senders; what only they admit is recorded in the signer.  ``level``: the least level of signatures
    (XAdES, CAdES).

    ``signing_certificate``: a CMS signature must name its certificate in a signed attribute (RFC 5035).
    ``countersignatures``: ignored or refused, never believed.  ``max_age``: how long before its receipt a
    message may have been signed; None for any time.  ``ciphers`` and ``key_wrappings``: of encrypted messages.

    ``certificate_policies``: OIDs, one of which must be valid down the whole path; empty: none is asked
    for.  ``revocation``: see WhenUnknown.  ``unchecked``: issuers (RFC 4514 names) that publish no
    revocation, for which nothing is asked.  ``freshness``: how old an OCSP response or CRL may be, whatever
    its nextUpdate says.  ``undoing``: reasons that undo signatures stamped before the revocation.

    ``max_forms``: signatures alike that are remembered, in each process and of each kind, to be read faster the next
    time; one takes some 5,000 octets, and a sender needs one to four.  0: none.
    """

    engine: Engine = "fast"
    algorithms: frozenset[str] = ALGORITHMS
    digests: frozenset[str] = DIGESTS
    curves: frozenset[str] = CURVES
    purposes: frozenset[str] = PURPOSES
    min_rsa_bits: int = 2048
    max_rsa_bits: int = 8192
    max_chain: int = 4
    max_certificates: int = 6
    clock_skew: timedelta = timedelta(minutes=5)
    max_bytes: int = 64 * 1024 * 1024
    xml: XmlLimits = XmlLimits()
    mime: MimeLimits = MimeLimits()
    shapes: frozenset[str] = frozenset({ENVELOPED})
    legacy: tuple[Legacy, ...] = ()
    level: Level = ""
    signing_certificate: bool = False
    countersignatures: Literal["ignore", "refuse"] = "ignore"
    max_age: timedelta | None = timedelta(hours=24)
    ciphers: frozenset[str] = CIPHERS
    key_wrappings: frozenset[str] = KEY_WRAPPINGS
    certificate_policies: frozenset[str] = frozenset()
    revocation: WhenUnknown = "off"
    unchecked: frozenset[str] = frozenset()
    freshness: timedelta = timedelta(days=7)
    undoing: frozenset[str] = UNDOING
    max_forms: int = 4_096
