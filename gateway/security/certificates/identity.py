"""The official numbers that a certificate's subject names, as Vietnamese public authorities write them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec
from cryptography import x509
from cryptography.x509.oid import NameOID

ORGANISATION_IDENTIFIER = NameOID.ORGANIZATION_IDENTIFIER
"""2.5.4.97, written as ETSI EN 319 412-1, 5.1.4 says: type, country, hyphen, number."""

_NAMED = frozenset({NameOID.USER_ID, NameOID.SERIAL_NUMBER})
"""Attributes that hold ``KIND:number``: userID, 0.9.2342.19200300.100.1.1, and serialNumber, 2.5.4.5."""

_NAMES = {"SERIALNUMBER": NameOID.SERIAL_NUMBER, "ORGANIZATIONIDENTIFIER": ORGANISATION_IDENTIFIER}
"""Other writers' names of attributes that cryptography writes as dotted numbers."""

_PLAIN = {
    "MST": re.compile(r"[0-9]{10}(?:-?[0-9]{3})?|[0-9]{12}"),
    "CCCD": re.compile(r"[0-9]{12}"),
    "CMND": re.compile(r"[0-9]{9}|[0-9]{12}"),
    "MNS": re.compile(r"[0-9]{7}"),
    "HC": re.compile(r"[A-Z][0-9]{7,8}"),
}
"""Tax code (of an organisation, a branch of it, or a person's number used as one), citizen's card,
older identity card, budget code, passport."""

_EUROPEAN = {"TAX": "MST", "VAT": "MST", "TIN": "MST", "IDC": "CCCD", "PAS": "HC"}
_WORD = re.compile(r"([A-Za-z]{2,4})\s*:\s*(\S+)")
_COUNTRY_FORM = re.compile(r"([A-Z]{3})VN-(\S+)")
_BRANCH_LENGTH = 13


class Identifier(msgspec.Struct, frozen=True):
    """``kind``: ``MST`` (tax code), ``CCCD``, ``CMND``, ``MNS`` (budget code) or ``HC`` (passport);
    ``value``: digits, a branch's tax code with its hyphen: ``0314409058-002``."""

    kind: str
    value: str


def identifiers_of(subject: str) -> tuple[Identifier, ...]:
    """The numbers in a subject (RFC 4514), each once, in its order; () where there are none, or where the
    text is no such name.

    They mean something only in a certificate of an authority that checks them: see ``Signer.public``.
    """
    try:
        name = x509.Name.from_rfc4514_string(subject, _overrides(subject))
    except ValueError:
        return ()
    return tuple(dict.fromkeys(found for attribute in name for found in _read(attribute)))


def _overrides(subject: str) -> dict[str, x509.ObjectIdentifier]:
    """As the reader of names takes them: by the very letters that the text has."""
    words = set(re.findall(r"[A-Za-z]+(?==)", subject))
    return {word: _NAMES[word.upper()] for word in words if word.upper() in _NAMES}


def _read(attribute: x509.NameAttribute[str | bytes]) -> Iterator[Identifier]:
    if not isinstance(attribute.value, str):
        return
    text = attribute.value.strip()
    word = _WORD.fullmatch(text) if attribute.oid in _NAMED else None
    european = _COUNTRY_FORM.fullmatch(text)
    if word is not None:
        kind, number = word[1].upper(), word[2]
    elif european is not None and attribute.oid in (*_NAMED, ORGANISATION_IDENTIFIER):
        kind, number = _EUROPEAN.get(european[1], ""), european[2]
    else:
        return
    if kind in _PLAIN and _PLAIN[kind].fullmatch(number):
        yield Identifier(kind, _usual(kind, number))


def _usual(kind: str, number: str) -> str:
    """A branch's tax code is written with a hyphen before its last three digits, or without."""
    if kind == "MST" and len(number) == _BRANCH_LENGTH and "-" not in number:
        return f"{number[:10]}-{number[10:]}"
    return number
