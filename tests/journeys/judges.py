"""Programs by others that judge what goes out, and sign or send what comes in."""

from __future__ import annotations

import shutil
import subprocess
import warnings
from pathlib import Path

import pytest
from pydifact.segmentcollection import Interchange

DS = "http://www.w3.org/2000/09/xmldsig#"


def run(tool: str, *arguments: object) -> subprocess.CompletedProcess[bytes]:
    """The tool's own words and code; the test is skipped where the tool is not installed."""
    found = shutil.which(tool)
    if found is None:
        pytest.skip(f"{tool} is not installed")
    return subprocess.run([found, *map(str, arguments)], capture_output=True, timeout=60, check=False)


def xmlsec1_verifies(document: bytes, anchor: Path, folder: Path) -> bool:
    path = folder / "document.xml"
    path.write_bytes(document)
    return run("xmlsec1", "--verify", "--trusted-pem", anchor, path).returncode == 0


def xmlsec1_signs(document: bytes, signer: Path, folder: Path) -> bytes:
    """The document with a signature that xmlsec1 made, from a template as a partner would write it."""
    template = (
        f'<ds:Signature xmlns:ds="{DS}"><ds:SignedInfo>'
        '<ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>'
        '<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/>'
        f'<ds:Reference URI=""><ds:Transforms><ds:Transform Algorithm="{DS}enveloped-signature"/>'
        '<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/></ds:Transforms>'
        '<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><ds:DigestValue/>'
        "</ds:Reference></ds:SignedInfo><ds:SignatureValue/>"
        "<ds:KeyInfo><ds:X509Data><ds:X509Certificate/></ds:X509Data></ds:KeyInfo></ds:Signature>"
    ).encode()
    end = document.rindex(b"</")
    unsigned, signed = folder / "unsigned.xml", folder / "signed.xml"
    unsigned.write_bytes(document[:end] + template + document[end:])
    key = f"{signer / 'signing.key.pem'},{signer / 'signing.crt.pem'}"
    done = run("xmlsec1", "--sign", "--privkey-pem", key, "--output", signed, unsigned)
    assert done.returncode == 0, done.stderr
    return signed.read_bytes()


def openssl_content(body: bytes, media_type: str, anchor: Path, folder: Path) -> bytes | None:
    """What a CMS envelope holds by ``openssl cms -verify``; None where it does not verify."""
    path, anchors = folder / "message", ("-CAfile", anchor)
    if not media_type.startswith("multipart/signed"):
        path.write_bytes(body)
        done = run("openssl", "cms", "-verify", "-binary", *anchors, "-inform", "DER", "-in", path)
        return done.stdout if done.returncode == 0 else None
    path.write_bytes(f"MIME-Version: 1.0\r\nContent-Type: {media_type}\r\n\r\n".encode() + body)
    done = run("openssl", "cms", "-verify", *anchors, "-inform", "SMIME", "-in", path)
    entity = done.stdout.partition(b"\r\n\r\n")[2]  # what was signed begins with its own MIME header
    return entity if done.returncode == 0 else None


def openssl_signs(content: bytes, signer: Path, folder: Path, *options: str) -> bytes:
    path = folder / "content"
    path.write_bytes(content)
    who = ("-signer", signer / "signing.crt.pem", "-inkey", signer / "signing.key.pem")
    done = run("openssl", "cms", "-sign", "-binary", *who, "-in", path, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def pydifact_reads(interchange: bytes) -> list[tuple[str, list[tuple[str, list[object]]]]]:
    """(message type, (tag, elements) of its segments) as another parser sees them; envelope checked."""
    read = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says which of its own directories it does not have
        whole = Interchange.from_str(interchange.decode("latin-1"))
        whole.validate()
        for message in whole.get_messages():
            message.validate()
            read.append((message.type, [(s.tag, list(s.elements)) for s in message.segments]))
    return read
