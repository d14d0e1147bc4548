"""Verify an evidence bundle with nothing but Python's standard library, openssl and xmlsec1.

    python3 verify.pyz BUNDLE.zip [--trust FILE-OR-FINGERPRINT ...] [--gateway FILE-OR-FINGERPRINT ...]
    python3 verify.pyz --xml CERTIFICATE.pem DOCUMENT.xml

--trust names authorities that you know by another way than this bundle, --gateway the gateway's own
certificates: a certificate file (PEM), or the SHA-256 fingerprint of a certificate in hex.  Without them,
everything is still verified, but whose the keys are is only what the bundle itself says.  Without --gateway,
any certificate of an authority that you trust may be the gateway's: its name is printed, judge it.

Exit code: 0 all verified, 1 something is wrong, 2 something could not be verified here.

A verifier out of the bundle proves as much as the bundle: take this file from another source, or follow
README.txt by hand; both do the same.  It is a zip archive of Python's, uncompressed: unpack it to read it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from .dsig import BROKEN_XML, xml_signed
from .tools import Tools, bare
from .verifying import code_of, lines, verify


def main() -> int:
    """Verify and print; the exit code."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("bundle", type=Path)
    asked.add_argument("--trust", action="append", default=[], metavar="FILE-OR-FINGERPRINT")
    asked.add_argument("--gateway", action="append", default=[], metavar="FILE-OR-FINGERPRINT")
    asked.add_argument("--json", action="store_true")
    asked.add_argument(
        "--xml", metavar="CERTIFICATE", type=Path, help="BUNDLE is an XML document: is it signed by this key?"
    )
    given = asked.parse_args()
    try:
        if given.xml:
            return _xml(given.xml, given.bundle)
        steps = verify(given.bundle.read_bytes(), given.trust, given.gateway)
    except (OSError, ValueError) as error:
        print(f"verify: {error}", file=sys.stderr)  # noqa: T201
        return 2
    if given.json:
        told = [{"state": state, "what": what, "why": why} for state, what, why in steps]
        print(json.dumps({"code": code_of(steps), "steps": told}, indent=2))  # noqa: T201
    else:
        print("\n".join(lines(steps)))  # noqa: T201
    return code_of(steps)


def _xml(certificate: Path, document: Path) -> int:
    """Raises OSError."""
    files = {"certificate.pem": certificate.read_bytes(), "document": bare(document.read_bytes())}
    with tempfile.TemporaryDirectory(prefix="evidence-") as folder:
        try:
            good, words = xml_signed(Tools(Path(folder), files), "certificate.pem", "document")
        except BROKEN_XML as error:
            good, words = False, f"{type(error).__name__} {error}"
    print("OK" if good else words)  # noqa: T201
    return 0 if good else 1
