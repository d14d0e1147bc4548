"""The agreed codes of algorithms: a named file, because the standard's own lists end with SHA-1."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import msgspec

from gateway.model import Finding
from gateway.model.secured import Method, SecurityGroup
from gateway.security.edifact.faults import fault

HASHING = "1"  # 0523: hashing by the owner
SIGNING = frozenset({"6", "7"})  # 0523: signing; enciphering or signing
ISSUER = frozenset({"3", "4"})  # 0523: of the certificate's issuer; X.509 says it itself
_STANDARD = "1"  # 0529: the standard's own list

DIGESTS = frozenset({"sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512", "sha1", "ripemd160"})
SCHEMES = frozenset({"rsa", "rsa-pss", "ecdsa", "ed25519"})

FORBIDDEN = {
    "1": "DES",
    "2": "MAA",
    "3": "FEAL",
    "4": "IDEA",
    "5": "MD4",
    "6": "MD5",
    "7": "RIPEMD",
    "8": "SHA-0",
    "9": "AR/DFP",
    "11": "DSA",
    "12": "RAB",
    "13": "TDEA",
    "15": "RIPEMD-128",
    "25": "CRC-32",
    "26": "CRC-CCITT",
    "28": "RC4",
    "29": "RC5",
    "30": "HMAC-SHA1",
    "31": "HMAC-MD5",
    "32": "HMAC-RIPEMD-160",
    "33": "HMAC-RIPEMD-128",
    "34": "DB-MAC",
}
"""0527 of the standard's list that nothing admits: broken, or symmetric, so that both sides could have made it."""


class EdifactProfile(msgspec.Struct, frozen=True):
    """See ``mappings/profiles/edifact_security.toml``.

    ``digests``: name -> (0527, 0529).  ``signatures``: scheme -> (0527, 0529, 0591, 0601).  The empty profile
    admits nothing.
    """

    name: str = ""
    window_hours: int = 24
    binding: str = "15"
    bound: bool = True
    digests: Mapping[str, tuple[str, str]] = {}
    signatures: Mapping[str, tuple[str, str, str, str]] = {}

    @classmethod
    def load(cls, path: Path) -> EdifactProfile:
        """Read the file; without it nothing is admitted.  Raises ValueError naming it where it is broken, or gives
        two algorithms one name or names one that is unknown."""
        if not path.is_file():
            return cls()
        try:
            profile = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), cls)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
            raise ValueError(f"{path.name}: {error}") from error
        wrong = [*(profile.digests.keys() - DIGESTS), *(profile.signatures.keys() - SCHEMES)]
        if wrong:
            raise ValueError(f"{path.name}: {', '.join(sorted(wrong))}: no algorithm that is known here")
        for codes in (profile.digests.values(), profile.signatures.values()):
            if len(set(codes)) < len(codes):
                raise ValueError(f"{path.name}: two algorithms have the same codes")
        return profile

    @property
    def window(self) -> timedelta:
        """How old a security time may be."""
        return timedelta(hours=self.window_hours)

    def digest(self, group: SecurityGroup) -> tuple[str, Finding | None]:
        """The one hash algorithm of a header group, or what is wrong with it."""
        hashing = [method for method in group.methods if method.use == HASHING]
        if len(hashing) != 1 or len(group.methods) != 1:
            return "", fault("SIG413", group.place, "1", str(len(group.methods)))
        method = hashing[0]
        codes = (method.algorithm, method.algorithm_list)
        for name, known in self.digests.items():
            if codes == known:
                return name, None
        return "", _unknown("SIG413", method, self.digests)

    def scheme(self, methods: tuple[Method, ...], group: SecurityGroup) -> tuple[str, Finding | None]:
        """The signature scheme of a certificate's owner, or what is wrong with it."""
        signing = [method for method in methods if method.use in SIGNING]
        others = [method for method in methods if method.use not in SIGNING | ISSUER]
        if len(signing) != 1 or others:
            return "", fault("SIG411", group.place, "1 USA (0523 = 6)", str(len(methods)))
        method = signing[0]
        codes = (method.algorithm, method.algorithm_list, method.padding, method.padding_list)
        for name, known in self.signatures.items():
            if codes == known:
                return name, None
        return "", _unknown("SIG411", method, self.signatures)


def _unknown(code: str, method: Method, known: Mapping[str, tuple[str, ...]]) -> Finding:
    sent = (method.algorithm, method.algorithm_list, method.padding, method.padding_list)
    named = FORBIDDEN.get(method.algorithm, "") if method.algorithm_list in ("", _STANDARD) else ""
    if named:
        return fault("SIG412", method.place, ", ".join(known), named, element=1)
    return fault(code, method.place, ", ".join(known), ":".join(sent).rstrip(":"), element=1)
