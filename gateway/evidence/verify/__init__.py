"""The verifier of bundles, by Python's standard library, openssl and xmlsec1 only.

It travels in every bundle, as one file: `program.program` makes it of these modules, which therefore import
each other and the standard library, nothing else.
"""

from .container import CONTAINER, MANIFEST, SEAL, Damaged, Octets, Streamed, members_of, pack, packed, unpack
from .dsig import NotByHand, Xml, by_hand, xml_signed
from .hashes import climb, digest_of, manifest_of, sha256
from .members import INDEX, OK, UNKNOWN, WRONG, Step, fingerprint
from .tools import DSIG, XADES, Tools, epoch
from .verifying import code_of, lines, verify

__all__ = [
    "CONTAINER",
    "DSIG",
    "INDEX",
    "MANIFEST",
    "OK",
    "SEAL",
    "UNKNOWN",
    "WRONG",
    "XADES",
    "Damaged",
    "NotByHand",
    "Octets",
    "Step",
    "Streamed",
    "Tools",
    "Xml",
    "by_hand",
    "climb",
    "code_of",
    "digest_of",
    "epoch",
    "fingerprint",
    "lines",
    "manifest_of",
    "members_of",
    "pack",
    "packed",
    "sha256",
    "unpack",
    "verify",
    "xml_signed",
]
