"""Certificate revocation lists (RFC 5280, 5), verified strictly and kept compactly.

A list of a million entries is read once, into 26 octets an entry, sorted by serial number, so that a
look-up is some twenty comparisons and no process keeps a million objects.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat import asn1
from cryptography.x509.oid import ExtensionOID

from gateway.security.algorithms import check_key
from gateway.security.certificates.certificate import STRONG_DIGESTS, public_key_of
from gateway.security.certificates.statement import (
    REASONS,
    SERIAL_OCTETS,
    Link,
    Statement,
    issuer_key,
    name_of,
)
from gateway.security.policy import Policy
from gateway.security.refused import refusal

MAX_CRL = 64 * 1024 * 1024
"""Octets of one CRL: about 1.5 million entries."""

_PART = "CRL"
_TIME, _REASON = SERIAL_OCTETS, SERIAL_OCTETS + 5
_WIDTH = SERIAL_OCTETS + 6
"""Of an entry: serial number, seconds since 1970 (5 octets), reason code."""

_REMOVED = 8
_EXPIRED_CERTS = x509.ObjectIdentifier("2.5.29.60")
_UNDERSTOOD = frozenset(
    {
        ExtensionOID.ISSUING_DISTRIBUTION_POINT,
        ExtensionOID.DELTA_CRL_INDICATOR,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.CRL_NUMBER,
        ExtensionOID.FRESHEST_CRL,
        ExtensionOID.ISSUER_ALTERNATIVE_NAME,
        _EXPIRED_CERTS,
    }
)
_SEQUENCE, _INTEGER, _BIT_STRING, _ENUMERATED = 0x30, 0x02, 0x03, 0x0A
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
_EXTENSIONS = 0xA0
_REASON_CODE = b"\x06\x03\x55\x1d\x15"
_CERTIFICATE_ISSUER = b"\x06\x03\x55\x1d\x1d"
_CRITICAL = b"\x01\x01\xff"


class RevokedList(msgspec.Struct, frozen=True):
    """One verified CRL.

    ``base``: the number of the CRL that a delta adds to, None for a complete one.  ``scope``: ``user``,
    ``authority`` or "" for both.  ``points``: distribution points that it is for, empty: all.  ``partial``: it
    tells only some reasons, so that absence proves nothing.  ``entries``: see the module's words.
    """

    issuer: bytes
    this_update: datetime
    until: datetime
    number: int
    entries: bytes
    der: bytes = b""
    base: int | None = None
    scope: str = ""
    points: frozenset[str] = frozenset()
    partial: bool = False
    archive: datetime | None = None
    freshest: tuple[str, ...] = ()

    def __len__(self) -> int:
        """How many certificates it names."""
        return len(self.entries) // _WIDTH

    def concerns(self, link: Link) -> bool:
        """True where the list is one that would name this certificate (RFC 5280, 6.3.3 b)."""
        if not link.serial or (self.scope and (self.scope == "authority") != link.authority):
            return False
        return not self.points or not self.points.isdisjoint(link.points)

    def find(self, serial: bytes) -> tuple[datetime, int] | None:
        """(since when, reason code) of a serial number in it."""
        low, high = 0, len(self)
        entries = self.entries
        while low < high:
            middle = (low + high) // 2
            at = middle * _WIDTH
            if entries[at : at + _TIME] < serial:
                low = middle + 1
            else:
                high = middle
        at = low * _WIDTH
        if entries[at : at + _TIME] != serial:
            return None
        seconds = int.from_bytes(entries[at + _TIME : at + _REASON], "big")
        return datetime.fromtimestamp(seconds, UTC), entries[at + _REASON]

    def say(self, link: Link, delta: RevokedList | None = None) -> Statement | None:
        """What it says of a certificate, brought up to date by a delta; None where it cannot say."""
        found = None if delta is None else delta.find(link.serial)
        removed = found is not None and found[1] == _REMOVED
        if found is None:
            found = self.find(link.serial)
        if found is None or removed:
            return None if self.partial else self._statement(delta)
        return self._statement(delta, *found)

    def continues(self, base: RevokedList) -> bool:
        """True where this is a delta for the base (RFC 5280, 5.2.4)."""
        if self.base is None or base.base is not None:
            return False
        alike = (self.scope, self.points, self.partial) == (base.scope, base.points, base.partial)
        return alike and self.base <= base.number <= self.number

    def _statement(self, delta: RevokedList | None, at: datetime | None = None, code: int = 0) -> Statement:
        newest, evidence = (self, (self.der,)) if delta is None else (delta, (self.der, delta.der))
        reason = REASONS.get(code, "")
        return Statement(newest.this_update, newest.until, evidence, at, reason, newest.archive)


def read_crl(der: bytes, issuer: x509.Certificate, policy: Policy, now: datetime) -> RevokedList:
    """A CRL that this issuer signed.

    Raises Refused: SIG330 (unreadable), SIG331 (another's), SIG332 (signature), SIG333 (from the
    future, or without an end), SIG334 (indirect, or with what is not understood), SIG335 (the issuer may sign
    none).  One that has ended is returned: it may speak of a time before.
    """
    if len(der) > MAX_CRL:
        raise refusal("SIG330", f"<= {MAX_CRL} octets", f"{len(der)} octets", _PART)
    try:
        crl = x509.load_der_x509_crl(der)
        extensions = {e.oid: e for e in crl.extensions}
        if crl.issuer.public_bytes() != issuer.subject.public_bytes():
            raise refusal("SIG331", issuer.subject.rfc4514_string(), crl.issuer.rfc4514_string(), _PART)
        _check_signed(crl, issuer, policy)
        until = crl.next_update_utc
        entries = _sorted(der)
    except (ValueError, TypeError, x509.DuplicateExtension, x509.InvalidVersion, IndexError, OverflowError):
        raise refusal("SIG330", "CertificateList", "", _PART) from None
    if until is None:
        raise refusal("SIG333", "nextUpdate", "", _PART)
    if crl.last_update_utc > now + policy.clock_skew:
        raise refusal(
            "SIG333", f"<= {now:%Y-%m-%dT%H:%M:%SZ}", f"{crl.last_update_utc:%Y-%m-%dT%H:%M:%SZ}", _PART
        )
    made = RevokedList(issuer_key(issuer), crl.last_update_utc, until, -1, entries, der)
    return _with_extensions(made, extensions)


def _check_signed(crl: x509.CertificateRevocationList, issuer: x509.Certificate, policy: Policy) -> None:
    try:
        usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        usage = None
    if usage is not None and not usage.crl_sign:
        raise refusal("SIG335", "cRLSign", "keyUsage", _PART)
    key = check_key(public_key_of(issuer), policy, _PART)
    try:
        digest = crl.signature_hash_algorithm
        if digest is not None and digest.name not in STRONG_DIGESTS:
            raise refusal("SIG332", ", ".join(sorted(STRONG_DIGESTS)), digest.name, _PART)
        true = crl.is_signature_valid(key)
    except (UnsupportedAlgorithm, TypeError):
        true = False
    if not true:
        raise refusal("SIG332", issuer.subject.rfc4514_string(), "", _PART)


def _with_extensions(
    made: RevokedList, extensions: dict[x509.ObjectIdentifier, x509.Extension[x509.ExtensionType]]
) -> RevokedList:
    said: dict[str, object] = {}
    for oid, extension in extensions.items():
        value = extension.value
        if extension.critical and oid not in _UNDERSTOOD:
            raise refusal("SIG334", found=oid.dotted_string, part=_PART)
        if isinstance(value, x509.CRLNumber):
            said["number"] = value.crl_number
        elif isinstance(value, x509.DeltaCRLIndicator):
            said["base"] = value.crl_number
        elif isinstance(value, x509.FreshestCRL):
            said["freshest"] = tuple(
                n.value
                for point in value
                for n in point.full_name or ()
                if isinstance(n, x509.UniformResourceIdentifier)
            )
        elif isinstance(value, x509.IssuingDistributionPoint):
            said |= _scope(value)
        elif isinstance(value, x509.UnrecognizedExtension) and oid == _EXPIRED_CERTS:
            said["archive"] = _archive(value.value)
    return msgspec.structs.replace(made, **said)


def _scope(point: x509.IssuingDistributionPoint) -> dict[str, object]:
    """RFC 5280, 5.2.5.  An indirect CRL is another authority's word, which nobody asked it for here."""
    if point.indirect_crl:
        raise refusal("SIG334", "a CRL of the issuer itself", "indirectCRL", _PART)
    if point.only_contains_attribute_certs:
        raise refusal("SIG334", "a CRL of public-key certificates", "onlyContainsAttributeCerts", _PART)
    if point.relative_name is not None:
        raise refusal("SIG334", "fullName", "nameRelativeToCRLIssuer", _PART)
    scope = "user" if point.only_contains_user_certs else ""
    scope = "authority" if point.only_contains_ca_certs else scope
    return {
        "scope": scope,
        "points": frozenset(name_of(name) for name in point.full_name or ()),
        "partial": point.only_some_reasons is not None,
    }


def _archive(value: bytes) -> datetime:
    """expiredCertsOnCRL (ITU-T X.509, 9.5.2.8): certificates that expired since are still listed."""
    try:
        return asn1.decode_der(asn1.GeneralizedTime, value).as_datetime().replace(tzinfo=UTC)
    except ValueError:
        raise refusal("SIG330", "GeneralizedTime", "", "expiredCertsOnCRL") from None


# The list's entries, read off its octets.


def _sorted(der: bytes) -> bytes:
    records = sorted(_records(der))
    return b"".join(records)


def _records(der: bytes) -> Iterator[bytes]:
    days: dict[bytes, int] = {}
    at, end = _revoked(der)
    while at < end:
        _, start, after = _tlv(der, at)
        _, first, last = _tlv(der, start)
        serial = der[first:last].lstrip(b"\0")
        kind, begin, stop = _tlv(der, last)
        reason = _reason(der[stop:after]) if stop < after else 0
        if len(serial) <= SERIAL_OCTETS:
            seconds = _seconds(kind, der[begin:stop], days)
            yield serial.rjust(SERIAL_OCTETS, b"\0") + seconds.to_bytes(5, "big") + bytes((reason,))
        at = after


def _revoked(der: bytes) -> tuple[int, int]:
    """Where the entries are; an empty stretch where there are none (RFC 5280, 5.1)."""
    _, at, _ = _tlv(der, 0)
    _, at, end = _tlv(der, at)
    kind, _, after = _tlv(der, at)
    if kind == _INTEGER:
        at = after
    for _ in range(3):  # signature, issuer, thisUpdate
        _, _, at = _tlv(der, at)
    kind, start, after = _tlv(der, at)
    if kind in (_UTC_TIME, _GENERALIZED_TIME):
        if after >= end:
            return after, after
        kind, start, after = _tlv(der, after)
    return (start, after) if kind == _SEQUENCE else (after, after)


def _tlv(der: bytes, at: int) -> tuple[int, int, int]:
    """(tag, where the content begins, where it ends)."""
    length = der[at + 1]
    start = at + 2
    if length >= 0x80:
        octets = length & 0x7F
        start += octets
        length = int.from_bytes(der[at + 2 : start], "big")
    if start + length > len(der):
        raise ValueError("beyond the end")
    return der[at], start, start + length


def _reason(extensions: bytes) -> int:
    """The reason code of an entry's extensions.  Raises Refused (SIG334) for another issuer's entry and
    for a critical extension, of which only that of the indirect CRL is known."""
    if _CERTIFICATE_ISSUER in extensions:
        raise refusal("SIG334", "entries of the issuer itself", "certificateIssuer", _PART)
    if _CRITICAL in extensions:
        raise refusal("SIG334", "", "a critical extension of an entry", _PART)
    at = extensions.find(_REASON_CODE)
    if at == -1:
        return 0
    _, start, end = _tlv(extensions, at + len(_REASON_CODE))
    kind, first, _ = _tlv(extensions[start:end], 0)
    if kind != _ENUMERATED:
        raise ValueError("reasonCode")
    return extensions[start:end][first]


def _seconds(kind: int, text: bytes, days: dict[bytes, int]) -> int:
    """A Time in seconds since 1970; ``days`` remembers what days were met, as most entries share them."""
    if (
        kind not in (_UTC_TIME, _GENERALIZED_TIME)
        or text[-1:] != b"Z"
        or len(text) != (13, 15)[kind - _UTC_TIME]
    ):
        raise ValueError("Time")
    day = days.get(text[:-7])
    if day is None:
        date = text[:-7].decode("ascii")
        if kind == _UTC_TIME:
            date = ("20" if date[:2] < "50" else "19") + date
        moment = datetime.strptime(date, "%Y%m%d").replace(tzinfo=UTC)
        day = days[text[:-7]] = calendar.timegm(moment.timetuple())
    clock = text[-7:-1]
    return max(day + int(clock[:2]) * 3600 + int(clock[2:4]) * 60 + int(clock[4:]), 0)
