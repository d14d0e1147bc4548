"""XML signatures by hand, where xmlsec1 does not know an algorithm (RSA-PSS before 1.3)."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from xml.etree import ElementTree
from xml.etree.ElementTree import canonicalize
from xml.parsers.expat import ExpatError, ParserCreate
from xml.sax.saxutils import escape

from .tools import DSIG, OUT, Tools

EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED = f"{DSIG}enveloped-signature"
_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
_MORE_2007 = "http://www.w3.org/2007/05/xmldsig-more#"
_XMLENC = "http://www.w3.org/2001/04/xmlenc#"
DIGESTS = {
    f"{_XMLENC}sha256": "sha256",
    f"{_MORE}sha384": "sha384",
    f"{_XMLENC}sha512": "sha512",
    **{f"{_MORE_2007}sha3-{size}": f"sha3_{size}" for size in (256, 384, 512)},
}
SIGNATURES = {
    **{f"{_MORE}rsa-sha{n}": ("rsa", f"sha{n}", "") for n in (256, 384, 512)},
    **{f"{_MORE_2007}sha{n}-rsa-MGF1": ("rsa", f"sha{n}", "pss") for n in (256, 384, 512)},
    **{f"{_MORE_2007}sha3-{n}-rsa-MGF1": ("rsa", f"sha3-{n}", "pss") for n in (256, 384, 512)},
    **{f"{_MORE}ecdsa-sha{n}": ("ec", f"sha{n}", "") for n in (256, 384, 512)},
    "http://www.w3.org/2021/04/xmldsig-more#eddsa-ed25519": ("ed25519", "", ""),
}


_SIGNATURE, _SIGNED = f"{OUT}/by-hand.sig", f"{OUT}/by-hand.xml"


class NotByHand(Exception):
    """The signature is of a shape that is not verified here; nothing is shown, neither good nor bad."""


class Xml:
    """A document with one enveloped signature in exclusive canonical form (XML-Exc-C14N), and where in its
    octets the signed things stand."""

    def __init__(self, octets: bytes) -> None:
        if b"<!DOCTYPE" in octets:
            raise NotByHand("a document type")
        self.octets = octets
        self._places: dict[str, list[tuple[int, int, dict[str, str]]]] = {}
        self._open: list[tuple[list[str], int, dict[str, str]]] = []
        self._scopes: list[dict[str, str]] = [{}]
        self._fresh: dict[str, str] = {}
        parser = ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartNamespaceDeclHandler = self._declared
        parser.StartElementHandler = lambda name, given: self._began(name, given, parser.CurrentByteIndex)
        parser.EndElementHandler = lambda name: self._ended(name, parser.CurrentByteIndex)
        try:
            parser.Parse(octets, True)
        except ExpatError as error:
            raise NotByHand(str(error)) from error

    def _declared(self, prefix: str | None, uri: str | None) -> None:
        self._fresh[prefix or ""] = uri or ""

    def _began(self, name: str, given: Mapping[str, str], at: int) -> None:
        scope = {**self._scopes[-1], **self._fresh} if self._fresh else self._scopes[-1]
        self._fresh = {}
        self._scopes.append(scope)
        keys = [name] if name.startswith(DSIG) else []
        keys += [f"#{given[word]}" for word in ("Id", "ID", "id") if word in given]
        self._open.append((keys, at, scope))

    def _ended(self, name: str, at: int) -> None:
        self._scopes.pop()
        keys, start, scope = self._open.pop()
        for key in keys:
            end = self.octets.index(b">", at) + 1
            self._places.setdefault(key, []).append((start, end, scope))

    def one(self, key: str) -> tuple[int, int, dict[str, str]]:
        """The one place of an element.  Raises NotByHand."""
        places = self._places.get(key, [])
        if len(places) != 1:
            raise NotByHand(f"{len(places)} times {key}")
        return places[0]

    def canonical(self, key: str) -> bytes:
        """An element by itself in canonical form."""
        start, end, scope = self.one(key)
        text = self.octets[start:end].decode("utf-8")
        head = re.match(r"<[^\s/>]+", text)
        if head is None:
            raise NotByHand(f"no element: {key}")
        tag = text[: text.index(">") + 1]
        missing = (
            _declared(prefix, uri)
            for prefix, uri in scope.items()
            if not re.search(rf"\sxmlns{':' if prefix else ''}{re.escape(prefix)}\s*=", tag)
        )
        return canonicalize(text[: head.end()] + "".join(missing) + text[head.end() :]).encode()

    def inclusive(self, key: str) -> bytes:
        """The same in inclusive canonical form: with every namespace that is in its scope."""
        _, _, scope = self.one(key)
        text = self.canonical(key).decode()
        head = re.match(r"(<[^\s/>]+)(?: xmlns(?::[^\s=]+)?=\"[^\"]*\")*", text)
        if head is None:
            raise NotByHand(f"no element: {key}")
        every = "".join(_declared(prefix, uri) for prefix, uri in sorted(scope.items()) if uri)
        return (head[1] + every + text[head.end() :]).encode()

    def enveloping(self) -> bytes:
        """The document without its signature, in canonical form."""
        start, end, _ = self.one(f"{DSIG} Signature")
        return canonicalize((self.octets[:start] + self.octets[end:]).decode("utf-8-sig")).encode()


def _declared(prefix: str, uri: str) -> str:
    return f' xmlns{":" if prefix else ""}{prefix}="{escape(uri, {chr(34): "&quot;"})}"'


def by_hand(tools: Tools, certificate: str, name: str) -> tuple[bool, str]:
    """As Tools.xml_signed, by Python's canonical form, hashlib and openssl.  Raises NotByHand."""
    octets = (tools.folder / name).read_bytes()
    document = Xml(octets)
    signed_info = document.canonical(f"{DSIG} SignedInfo")
    told = ElementTree.fromstring(signed_info)  # noqa: S314 - no document type, and verified octets
    for reference in told.findall(f"{{{DSIG}}}Reference"):
        found, wanted = _referenced(document, reference)
        if found != wanted:
            return False, f"{name}: the digest of {reference.get('URI')!r} is another"
    method = _algorithm(told, "SignatureMethod")
    if _algorithm(told, "CanonicalizationMethod") != EXCLUSIVE or method not in SIGNATURES:
        raise NotByHand(f"{method}, {_algorithm(told, 'CanonicalizationMethod')}")
    value = ElementTree.fromstring(document.canonical(f"{DSIG} SignatureValue"))  # noqa: S314
    signature = base64.b64decode("".join((value.text or "").split()))
    return _raw_by_hand(tools, certificate, SIGNATURES[method], signature, signed_info)


def _referenced(document: Xml, reference: ElementTree.Element) -> tuple[bytes, bytes]:
    """The digest that a reference's octets have, and the one that it says."""
    transforms = [t.get("Algorithm", "") for t in reference.iter(f"{{{DSIG}}}Transform") if not len(t)]
    uri = reference.get("URI")
    if uri == "" and transforms == [ENVELOPED, EXCLUSIVE]:
        octets = document.enveloping()
    elif uri and uri.startswith("#") and transforms == [EXCLUSIVE]:
        octets = document.canonical(uri)
    else:
        raise NotByHand(f"reference {uri!r} by {transforms}")
    digest = DIGESTS.get(_algorithm(reference, "DigestMethod"))
    said = reference.findtext(f"{{{DSIG}}}DigestValue")
    if digest is None or said is None:
        raise NotByHand("digest")
    return hashlib.new(digest, octets).digest(), base64.b64decode(said)


def _algorithm(parent: ElementTree.Element, name: str) -> str:
    found = parent.find(f"{{{DSIG}}}{name}")
    return "" if found is None or len(found) else found.get("Algorithm", "")


def _raw_by_hand(
    tools: Tools, certificate: str, method: tuple[str, str, str], signature: bytes, octets: bytes
) -> tuple[bool, str]:
    scheme, digest, padding = method
    key, kind = tools.public_key(certificate)
    if not kind.startswith(scheme):
        return False, f"{certificate}: its key does not sign so"
    if scheme == "ec":
        signature = _der(signature)
    (tools.folder / _SIGNATURE).write_bytes(signature)
    (tools.folder / _SIGNED).write_bytes(octets)
    if scheme == "ed25519":
        return tools.run(
            "openssl", "pkeyutl", "-verify", "-pubin", "-inkey", key, "-rawin", "-in", _SIGNED,
            "-sigfile", _SIGNATURE,
        )  # fmt: skip
    pss = ("-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest") if padding else ()
    return tools.run("openssl", "dgst", f"-{digest}", *pss, "-verify", key, "-signature", _SIGNATURE, _SIGNED)


def _der(pair: bytes) -> bytes:
    """An ECDSA signature as openssl reads it, out of two numbers side by side."""
    half = len(pair) // 2
    numbers = b""
    for number in (pair[:half], pair[half:]):
        octets = number.lstrip(b"\0") or b"\0"
        octets = b"\0" + octets if octets[0] & 0x80 else octets
        numbers += bytes((2, len(octets))) + octets
    length = bytes((len(numbers),)) if len(numbers) < 0x80 else bytes((0x81, len(numbers)))
    return b"\x30" + length + numbers


LACKING = ("not installed", "xmlSecTransformIdListFindByHref")
"""What the tools say that do not know an algorithm: then nothing is shown, neither good nor bad."""
BROKEN_XML = (ValueError, LookupError, TypeError, AttributeError, RecursionError, ElementTree.ParseError)
"""What somebody else's document can do to who reads it."""


def xml_signed(tools: Tools, certificate: str, name: str) -> tuple[bool, str]:
    """By xmlsec1, and by hand where it does not know the algorithm."""
    good, words = tools.xml_signed(certificate, name)
    if good or not any(sign in words for sign in LACKING):
        return good, words
    try:
        return by_hand(tools, certificate, name)
    except NotByHand as error:
        return False, f"{words}; and not by hand: {error}"
