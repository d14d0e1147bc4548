"""What the caller knows by another way than the bundle, and whether what the bundle rests on is that."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from .hashes import sha256
from .journal import checkpoints_of
from .members import OK, UNKNOWN, WRONG, Bundle, Step

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")


class Known:
    """``trust``: authorities, or others' certificates; ``gateway``: the gateway's own certificates; each a
    PEM file or a SHA-256 fingerprint in hex.  Raises ValueError for anything else, OSError."""

    def __init__(self, trust: Sequence[str], gateway: Sequence[str]) -> None:
        self.ders: dict[str, bytes] = {}
        self.trust = {digest for one in trust for digest in self._read(one)}
        self.gateway = {digest for one in gateway for digest in self._read(one)}

    def __bool__(self) -> bool:
        return bool(self.trust or self.gateway)

    def _read(self, given: str) -> list[str]:
        if not Path(given).is_file():
            digest = given.replace(":", "").lower()
            if re.fullmatch("[0-9a-f]{64}", digest) is None:
                raise ValueError(f"neither a file nor a SHA-256 fingerprint: {given}")
            return [digest]
        found = [base64.b64decode(b"".join(one.split())) for one in _PEM.findall(Path(given).read_bytes())]
        if not found:
            raise ValueError(f"no certificate in PEM: {given}")
        self.ders |= {sha256(der): der for der in found}
        return [sha256(der) for der in found]


def known(bundle: Bundle, given: Known) -> Iterator[Step]:
    """Whether every chain on which something rests leads to a certificate that the caller named."""
    for folder, times in sorted(bundle.used.items()):
        own = folder.startswith("gateway-")
        key = bundle.prints[bundle.chain(folder)[0]]
        name = f"{bundle.tools.named(bundle.chain(folder)[0])}, {key}"
        where = f"certificates/{folder}"
        if not given:
            yield OK, where, f"not compared with anything outside this bundle; {name}"
        elif own and given.gateway:
            good = key in given.gateway
            yield (
                (OK if good else UNKNOWN),
                where,
                f"{'' if good else 'not '}the gateway that you named: {name}",
            )
        elif _leads(bundle, folder, times, given):
            yield OK, where, f"reaches what you trust; {'is this the gateway? ' if own else ''}{name}"
        else:
            yield UNKNOWN, where, f"reaches nothing that you named; {name}"


def _leads(bundle: Bundle, folder: str, times: set[str], given: Known) -> bool:
    """By openssl, from the certificate that signed, at each time; only what was named is trusted."""
    chain, tools = bundle.chain(folder), bundle.tools
    trusted = [n for n in chain if bundle.prints[n] in given.trust]
    for digest in sorted(given.trust & given.ders.keys()):
        body = base64.encodebytes(given.ders[digest])
        pem = b"-----BEGIN CERTIFICATE-----\n" + body + b"-----END CERTIFICATE-----\n"
        trusted.append(tools.write(f"trusted-{digest}.pem", pem))
    return bool(trusted) and all(tools.chained(chain[0], chain[1:], trusted, at)[0] for at in sorted(times))


def sealer(bundle: Bundle, given: Known) -> Iterator[Step]:
    """Who sealed the bundle is who signs checkpoints: another certificate of the same authority is not."""
    key = bundle.index["sealed_by"]
    keys = {one.key for one in checkpoints_of(bundle).values()}
    if key in keys | given.gateway:
        yield OK, "MANIFEST.sig", f"by a key of the gateway: {key}"
    elif keys:
        yield WRONG, "MANIFEST.sig", f"by a key that signed no checkpoint: {key}"
    else:
        yield UNKNOWN, "MANIFEST.sig", f"no checkpoint says whether this is the gateway's key: {key}"
