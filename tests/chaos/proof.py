"""Receipts proven by programs that share no code with the gateway: xmlsec, and openssl for CMS."""

from __future__ import annotations

import subprocess
import tempfile
import threading
from pathlib import Path

import xmlsec
from lxml import etree

_thread = threading.local()


def proven(body: bytes, media_type: str, anchor: Path) -> bool:
    """True where the gateway signed it, whole."""
    if media_type.startswith("application/xml"):
        return _signed_xml(body, anchor)
    with tempfile.NamedTemporaryFile(suffix=".p7m") as file:
        file.write(body)
        file.flush()
        command = ["openssl", "cms", "-verify", "-binary", "-CAfile", str(anchor), "-inform", "DER"]
        done = subprocess.run([*command, "-in", file.name], capture_output=True, check=False)
        return done.returncode == 0


def _signed_xml(body: bytes, anchor: Path) -> bool:
    document = etree.fromstring(body)
    signature = document[-1]
    if etree.QName(signature).localname != "Signature":
        return False
    (reference,) = signature.iter("{*}Reference")
    context = xmlsec.SignatureContext(_trusted(anchor))
    try:
        context.verify(signature)
    except xmlsec.Error:
        return False
    return reference.get("URI") == ""


def _trusted(anchor: Path) -> xmlsec.KeysManager:
    """One for each thread: libxmlsec shares none of them between two."""
    known: dict[object, xmlsec.KeysManager] = _thread.__dict__
    if anchor not in known:
        known[anchor] = xmlsec.KeysManager()
        kinds = xmlsec.constants
        known[anchor].load_cert(str(anchor), kinds.KeyDataFormatCertPem, kinds.KeyDataTypeTrusted)
    return known[anchor]
