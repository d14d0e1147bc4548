"""The verifier as one file: a zip archive that Python runs, its sources in it uncompressed, to be read."""

from __future__ import annotations

import io
import zipfile
from functools import cache
from pathlib import Path

from gateway.evidence import verify

NAME = "verify.pyz"
_START = """\
import sys

from verify.command import main

sys.exit(main())
"""


@cache
def program() -> bytes:
    """The same octets for the same sources."""
    package = Path(verify.__file__).parent
    sources = {f"{package.name}/{path.name}": path.read_bytes() for path in sorted(package.glob("*.py"))}
    octets = io.BytesIO()
    with zipfile.ZipFile(octets, "w", zipfile.ZIP_STORED) as archive:
        for name, source in {"__main__.py": _START.encode(), **sources}.items():
            archive.writestr(zipfile.ZipInfo(name), source)
    return octets.getvalue()
