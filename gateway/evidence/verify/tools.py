"""openssl and xmlsec1, over files of a folder."""

from __future__ import annotations

import calendar
import re
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from email import message_from_bytes
from pathlib import Path

TOOL_SECONDS = 120
XADES = "http://uri.etsi.org/01903/v1.3.2#:SignedProperties"
DSIG = "http://www.w3.org/2000/09/xmldsig#"
OUT = "out"
"""The folder, beside the members, of what is made of them; no member's name begins so."""


class Tools:
    """openssl and xmlsec1 over the members, written to a folder."""

    def __init__(self, folder: Path, files: Mapping[str, bytes]) -> None:
        self.folder = folder
        for name, octets in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(octets)
        (folder / OUT).mkdir(exist_ok=True)

    def write(self, name: str, octets: bytes) -> str:
        """A file of ours for a tool; where it is."""
        path = f"{OUT}/{name.replace('/', '-')}"
        (self.folder / path).write_bytes(octets)
        return path

    def run(self, tool: str, *arguments: str) -> tuple[bool, str]:
        """Whether it said yes, and its words."""
        found = shutil.which(tool)
        if found is None:
            return False, f"{tool} is not installed"
        try:
            done = subprocess.run(  # noqa: S603 - our own arguments; names are checked by NAME
                [found, *arguments], cwd=self.folder, capture_output=True, timeout=TOOL_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return False, f"{tool} took too long"
        words = (done.stdout + b"\n" + done.stderr).decode("utf-8", "replace").strip()
        return done.returncode == 0, words

    def public_key(self, certificate: str) -> tuple[str, str]:
        """The file of a certificate's public key, and its kind: rsa, ec or ed25519."""
        target = f"{OUT}/{certificate.replace('/', '-')}.pub"
        self.run("openssl", "x509", "-in", certificate, "-pubkey", "-noout", "-out", target)
        _, words = self.run("openssl", "pkey", "-pubin", "-in", target, "-noout", "-text")
        kind = "ed25519" if "ED25519" in words else "rsa" if "Modulus" in words else "ec"
        size = re.search(r"\((\d+) bit\)", words)
        return target, kind + (size[1] if size and kind == "ec" else "")

    def signed(self, certificate: str, signature: str, octets: str) -> tuple[bool, str]:
        """Whether a raw signature is the certificate's key's over a file."""
        key, kind = self.public_key(certificate)
        if kind == "ed25519":
            return self.run(
                "openssl", "pkeyutl", "-verify", "-pubin", "-inkey", key, "-rawin", "-in", octets,
                "-sigfile", signature,
            )  # fmt: skip
        digest = {"ec384": "-sha384", "ec521": "-sha512"}.get(kind, "-sha256")
        plain = ("openssl", "dgst", digest, "-verify", key, "-signature", signature, octets)
        good, words = self.run(*plain)
        if good or kind != "rsa":
            return good, words
        pss = ("-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest")
        return self.run("openssl", "dgst", digest, *pss, *plain[3:])

    def chained(self, leaf: str, others: Sequence[str], trusted: Sequence[str], at: str) -> tuple[bool, str]:
        """Whether a certificate leads to one of those that are trusted, and to none else, all being valid at
        a time, each issuer being an authority."""
        words = [word for one in trusted for word in ("-trusted", one)]
        words += [word for one in others for word in ("-untrusted", one)]
        return self.run(
            "openssl", "verify", "-attime", str(epoch(at)), "-no-CAfile", "-no-CApath", "-no-CAstore",
            "-partial_chain", *words, leaf,
        )  # fmt: skip

    def named(self, certificate: str) -> str:
        """A certificate's subject."""
        _, words = self.run(
            "openssl", "x509", "-in", certificate, "-noout", "-subject", "-nameopt", "RFC2253"
        )
        return words.removeprefix("subject=")

    def xml_signed(self, certificate: str, document: str) -> tuple[bool, str]:
        """Whether the document's signature is the key's of that certificate and of no other."""
        ids = [w for n in (XADES, f"{DSIG}:Object", f"{DSIG}:KeyInfo") for w in ("--id-attr:Id", n)]
        return self.run(
            "xmlsec1", "--verify", "--enabled-key-data", "key-name", "--pubkey-cert-pem", certificate,
            *ids, document,
        )  # fmt: skip

    def cms_signed(self, certificate: str, body: str, form: str, out: str) -> tuple[bool, str]:
        """Whether a CMS signature is the key's of that certificate; what it signed goes to ``out``."""
        binary = ("-binary",) if form == "DER" else ()
        return self.run(
            "openssl", "cms", "-verify", "-inform", form, "-in", body, "-nointern", "-certfile", certificate,
            "-noverify", *binary, "-out", out,
        )  # fmt: skip

    def stamp(self, token: str) -> tuple[str, str, str]:
        """What a time stamp says: its time as records write it, and the digest that it is over.  Raises
        ValueError where it says none."""
        _, words = self.run("openssl", "ts", "-reply", "-token_in", "-in", token, "-text")
        at = re.search(r"^Time stamp: (\w{3} +\d+ [\d:]{8})(\.\d+)? (\d{4}) GMT$", words, re.MULTILINE)
        digest = re.search(r"^Hash Algorithm: ([\w-]+)$", words, re.MULTILINE)
        dump = re.findall(r"^ +[0-9a-f]{4} - ((?:[0-9a-f]{2}[ -])+)", words, re.MULTILINE)
        if at is None or digest is None or not dump:
            raise ValueError(f"no time stamp: {token}")
        moment = time.strptime(f"{at[1]} {at[3]}", "%b %d %H:%M:%S %Y")
        imprint = re.sub("[ -]", "", "".join(dump))
        fraction = (at[2] or ".")[1:7].ljust(6, "0")
        return time.strftime(f"%Y-%m-%dT%H:%M:%S.{fraction}Z", moment), digest[1], imprint

    def stamped(
        self, token: str, over: Sequence[str], others: Sequence[str], trusted: str, at: str
    ) -> tuple[bool, str]:
        """Whether a time stamp is that of an authority under a trusted certificate; ``over``: the words
        that name what it is over."""
        words = [word for one in others for word in ("-untrusted", one)]
        return self.run(
            "openssl", "ts", "-verify", "-token_in", "-in", token, *over, "-CAfile", trusted, *words,
            "-partial_chain", "-attime", str(epoch(at)),
        )  # fmt: skip


def bare(octets: bytes) -> bytes:
    """What a CMS signature held, without the MIME header and transfer encoding where it has one."""
    if not re.match(rb"\s*(content|mime)-", octets, re.IGNORECASE):
        return octets
    inside = message_from_bytes(octets).get_payload(decode=True)
    return inside if isinstance(inside, bytes) else octets


def epoch(at: str) -> int:
    """Seconds since 1970 of a time as the records write it."""
    return calendar.timegm(time.strptime(at[:19], "%Y-%m-%dT%H:%M:%S"))
