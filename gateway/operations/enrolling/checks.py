"""What a partner and a mandate must be, wherever they come from: an option, a file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway import security, transport
from gateway.model import Credential, Kind, Mandate, Partner, Use
from gateway.security.policy import ALGORITHMS

IDENTITY = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
"""What names a partner: it is part of delivery destinations, mandate ids and folder names."""

MANDATE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,199}")
OFFICE = re.compile(r"[A-Za-z0-9]{1,17}")
"""WCO 065, an..17."""

LANGUAGES = frozenset({"en", "vi"})
_KINDS = frozenset(kind.value for kind in Kind)
_HEX = re.compile(r"[0-9a-f]{64}")
_TAX_CODE = re.compile(r"[0-9]{10}(?:-[0-9]{3})?|[0-9]{12}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_BLANK = re.compile(r"\s*\Z")
MAX_TEXT = 500
"""Characters of a name: more is a mistake in a file."""


MAX_MINUTES = 366 * 1_440
"""Of a deadline: a year."""


_ANY = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE.dotted_string
_PURPOSES = {
    Use.TLS: frozenset({ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string, _ANY}),
    Use.SIGN: security.PURPOSES,
    Use.PUSH: frozenset({ExtendedKeyUsageOID.SERVER_AUTH.dotted_string, _ANY}),
}
"""Extended key usages, one of which a certificate with any must have, as doors and proofs ask for them."""


class Broken(ValueError):
    """Something that cannot be registered; the text says what and how it should be."""


def checked_partner(partner: Partner, *, proven: bool = False) -> Partner:
    """The partner as it is registered: subjects as doors read them, credentials as their certificates
    say.  ``proven``: by what is yet to be added.  Raises Broken."""
    _named(partner)
    _one_of("type", partner.types, _KINDS)
    try:
        if partner.push_url:
            transport.checked_push_url(partner.push_url)
    except transport.PushFailed as error:
        raise Broken(
            f"a push URL has the form https://HOST/PATH, without credentials: {partner.push_url}"
        ) from error
    if partner.token_digest and not _HEX.fullmatch(partner.token_digest):
        raise Broken("a token digest is the SHA-256 of the token, 64 digits 0-9a-f")
    _repeated("subject", partner.subjects)
    _repeated("identifier", partner.identifiers)
    credentials = tuple(checked_credential(c) for c in partner.credentials)
    _repeated("certificate", [c.fingerprint for c in credentials])
    subjects = tuple(subject(text) for text in partner.subjects)
    checked = msgspec.structs.replace(partner, subjects=subjects, credentials=credentials)
    _agreed(checked)
    if not proven and not is_proven(checked):
        raise Broken("nothing proves it: name a subject, a credential or a token digest, or its tax code")
    return checked


def _agreed(partner: Partner) -> None:
    """Raises Broken for deadlines that are none."""
    deadlines = partner.terms.deadlines
    _repeated("a deadline for", [d.message or "*" for d in deadlines])
    for deadline in deadlines:
        times = (deadline.answer, deadline.before_arrival, deadline.before_departure)
        if not any(times) or any(not 0 <= minutes <= MAX_MINUTES for minutes in times):
            raise Broken(
                f"a deadline for {deadline.message or '*'} is 1 to {MAX_MINUTES} minutes for answer, "
                "before_arrival or before_departure"
            )


def is_proven(partner: Partner) -> bool:
    """True where a certificate or token can prove it; a tax code may be in a public certificate."""
    by_code = any(_TAX_CODE.fullmatch(i) for i in partner.identifiers)
    return bool(partner.subjects or partner.token_digest or partner.credentials or by_code)


def checked_credential(credential: Credential) -> Credential:
    """The credential with what its certificate says.  Raises Broken."""
    if credential.certificate:
        credential = described(credential)
    if not _HEX.fullmatch(credential.fingerprint):
        raise Broken(
            f"a fingerprint is the SHA-256 of a certificate, 64 digits 0-9a-f: {credential.fingerprint}"
        )
    if not credential.uses:
        raise Broken(f"certificate {credential.fingerprint[:16]}: say what it is used for: tls, sign or push")
    _one_of("algorithm", credential.algorithms, ALGORITHMS | {"rsa-sha1"})
    for name in ("active_from", "active_to", "expires_at"):
        _zoned(name, getattr(credential, name))
    if credential.active_from and credential.active_to and credential.active_from >= credential.active_to:
        raise Broken(f"certificate {credential.fingerprint[:16]}: its window ends before it begins")
    _within_its_life(credential)
    return credential


def _within_its_life(credential: Credential) -> None:
    """Raises Broken where the window begins when the certificate has ended, or goes on beyond it."""
    end, since, until = credential.expires_at, credential.active_from, credential.active_to
    if end is None:
        return
    wrong = f"begins at {since:%Y-%m-%d %H:%M}" if since is not None and since >= end else ""
    wrong = f"ends at {until:%Y-%m-%d %H:%M}" if until is not None and until > end else wrong
    if wrong:
        raise Broken(
            f"certificate {credential.fingerprint[:16]}: its window {wrong} UTC, "
            f"the certificate itself ends at {end:%Y-%m-%d %H:%M} UTC"
        )


def fit_for(certificate: bytes) -> tuple[Use, ...]:
    """What a certificate (DER) can prove, by its extended key usage.  Raises Broken."""
    try:
        extensions = x509.load_der_x509_certificate(certificate).extensions
        found = {p.dotted_string for p in extensions.get_extension_for_class(x509.ExtendedKeyUsage).value}
    except x509.ExtensionNotFound:
        return tuple(Use)
    except (ValueError, x509.DuplicateExtension) as error:
        raise Broken(f"no certificate in DER: {error}") from error
    return tuple(use for use, wanted in _PURPOSES.items() if not wanted.isdisjoint(found))


def uses_of(certificate: bytes, named: Iterable[Use] = ()) -> tuple[Use, ...]:
    """What a certificate is registered for: the uses that are named, else TLS and signatures as far as it
    is made for them.  Raises Broken where it is not: doors would refuse it, and no subject would help."""
    fit = fit_for(certificate)
    chosen = tuple(named) or tuple(use for use in (Use.TLS, Use.SIGN) if use in fit)
    unfit = [use.value for use in chosen if use not in fit]
    if unfit or not chosen:
        made = ", ".join(use.value for use in fit) or "nothing of that"
        wanted = ", ".join(unfit) or "tls or sign"
        raise Broken(
            f"the certificate cannot be used for {wanted}: by its extended key usage it is for {made}"
        )
    return chosen


def described(credential: Credential) -> Credential:
    """The credential with fingerprint, names, subject and end of its certificate.  Raises Broken."""
    try:
        certificate = x509.load_der_x509_certificate(credential.certificate)
        name = certificate.subject.rfc4514_string()
        names = security.names_of(certificate)
    except (ValueError, x509.DuplicateExtension) as error:
        raise Broken(f"no certificate in DER: {error}") from error
    fingerprint = certificate.fingerprint(hashes.SHA256()).hex()
    if credential.fingerprint and credential.fingerprint != fingerprint:
        raise Broken(
            f"the certificate's fingerprint is {fingerprint[:16]}..., not {credential.fingerprint[:16]}..."
        )
    return msgspec.structs.replace(
        credential,
        fingerprint=fingerprint,
        subject=name,
        expires_at=certificate.not_valid_after_utc,
        names=names,
    )


def checked_mandate(mandate: Mandate) -> Mandate:
    """The mandate, with an id of its own content where it has none.  Raises Broken."""
    for party in (mandate.agent, mandate.principal):
        if not IDENTITY.fullmatch(party):
            raise Broken(f"agent and principal are ids of partners: {party or '(empty)'}")
    if mandate.agent == mandate.principal:
        raise Broken(f"{mandate.agent} needs no mandate to act for itself")
    _one_of("type", mandate.types, _KINDS)
    for office in mandate.offices:
        if not OFFICE.fullmatch(office):
            raise Broken(f"an office is 1 to 17 letters and digits (WCO 065): {office}")
    for name in ("valid_from", "valid_to", "revoked_at"):
        _zoned(name, getattr(mandate, name))
    if mandate.valid_from and mandate.valid_to and mandate.valid_from >= mandate.valid_to:
        raise Broken("it ends before it begins")
    if not mandate.id:
        return msgspec.structs.replace(mandate, id=own_id(mandate))
    if not MANDATE_ID.fullmatch(mandate.id):
        raise Broken(f"a mandate's id is 1 to 200 letters, digits and . _ : / -: {mandate.id}")
    return mandate


def own_id(mandate: Mandate) -> str:
    """An id made of what a mandate says: the same row of a file is the same mandate each time."""
    said = msgspec.json.encode(msgspec.structs.replace(mandate, id="", revoked_at=None))
    return f"{mandate.agent}.{mandate.principal}.{hashlib.sha256(said).hexdigest()[:12]}"


def subject(text: str) -> str:
    """A certificate's subject, written as the doors will read it from the certificate.  Raises Broken."""
    try:
        name = x509.Name.from_rfc4514_string(text)
    except ValueError:
        name = x509.Name([])
    if not name.rdns:
        raise Broken(f"a subject is RFC 4514 text, as CN=An Phat,O=An Phat,C=VN: {text}")
    return name.rfc4514_string()


def _named(partner: Partner) -> None:
    if not IDENTITY.fullmatch(partner.id):
        raise Broken(
            f"an id is 1 to 64 of a-z, 0-9, dot, underscore and hyphen, a letter or digit first: {partner.id}"
        )
    if _BLANK.match(partner.name) or len(partner.name) > MAX_TEXT:
        raise Broken(f"a name has 1 to {MAX_TEXT} characters")
    for text in (partner.name, *partner.identifiers, *partner.subjects):
        if _CONTROL.search(text):
            raise Broken(f"a control character is in {text!r}")
    if partner.language not in LANGUAGES:
        raise Broken(f"a language is en or vi: {partner.language}")
    if not partner.roles:
        raise Broken("say what it is: a role")
    if any(_BLANK.match(i) for i in partner.identifiers):
        raise Broken("an identifier is not empty")


def _one_of(name: str, values: Iterable[str], known: Iterable[str]) -> None:
    for value in values:
        if value not in known:
            raise Broken(f"there is no {name} {value}; there are {', '.join(sorted(known))}")


def _repeated(name: str, values: Iterable[str]) -> None:
    met: set[str] = set()
    for value in values:
        if value in met:
            raise Broken(f"{name} {value} is there twice")
        met.add(value)


def _zoned(name: str, at: object) -> None:
    if at is not None and getattr(at, "tzinfo", None) is None:
        raise Broken(f"{name}: say the time zone, as 2026-01-31T00:00:00Z")
