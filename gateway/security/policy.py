"""What is accepted as a signature: set by the operator, never by the message."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

import msgspec

from gateway.safexml import XmlLimits

Engine = Literal["fast", "signxml", "both"]

ALGORITHMS = frozenset(
    f"{scheme}-{digest}"
    for scheme in ("rsa", "rsa-pss", "ecdsa")
    for digest in ("sha256", "sha384", "sha512")
)
"""Every algorithm that can be allowed.  Each is bound to one type of key; there is no SHA-1, no DSA
and nothing symmetric to downgrade to."""

DIGESTS = frozenset({"sha256", "sha384", "sha512"})
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


class MimeLimits(msgspec.Struct, frozen=True):
    """Bounds of a MIME body: octets of a header block and of a line in it, of the preamble, and how
    many fields a header block has."""

    max_header: int = 16_384
    max_line: int = 2_048
    max_fields: int = 50
    max_preamble: int = 2_048


class Policy(msgspec.Struct, frozen=True):
    """The rules of verification.

    ``engine``: ``fast`` (our verifier), ``signxml`` (the reference) or ``both`` (they must agree).
    ``algorithms``, ``digests``, ``curves``: allow-lists.  RSA keys have ``min_rsa_bits`` to
    ``max_rsa_bits`` (a longer one costs more time than a signature is worth).  ``max_chain``:
    certificates from the signer's to the anchor.  ``clock_skew``: how far a signing time may lie
    ahead.  ``max_bytes``: the whole body.
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
