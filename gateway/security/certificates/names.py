"""Name constraints (RFC 5280, 4.2.1.10 and 6.1.4): within which names an authority may certify."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import NameOID

from gateway.security.refused import refusal

_PART = "certificate"
Shape = type[x509.GeneralName]
Dn = tuple[frozenset[tuple[str, str]], ...]


class Constraints:
    """What the authorities above a certificate are bound to, gathered from the anchor downwards."""

    def __init__(self) -> None:
        self._permitted: list[Sequence[x509.GeneralName]] = []
        self._excluded: list[x509.GeneralName] = []

    def narrow(self, certificate: x509.Certificate) -> None:
        """Add what this authority binds those below it to."""
        try:
            said = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
        except x509.ExtensionNotFound:
            return
        if said.permitted_subtrees:
            self._permitted.append(said.permitted_subtrees)
        self._excluded += said.excluded_subtrees or ()

    def check(self, certificate: x509.Certificate) -> None:
        """Every name of the certificate is one that all of them allow.

        Raises Refused: SIG311, and SIG312 where a name is of a form that is bound and cannot be compared.
        """
        if not self._permitted and not self._excluded:
            return
        for name in _names(certificate):
            self._check(name)

    def _check(self, name: x509.GeneralName) -> None:
        form = type(name)
        excluded = [c for c in self._excluded if type(c) is form]
        groups = [own for group in self._permitted if (own := [c for c in group if type(c) is form])]
        if not excluded and not groups:
            return
        if form not in _WITHIN:
            raise refusal("SIG312", found=form.__name__, part=_PART)
        within = _WITHIN[form]
        if any(within(name.value, c.value) for c in excluded):
            raise refusal("SIG311", f"not {_shown(excluded)}", _shown([name]), _PART)
        for group in groups:
            if not any(within(name.value, c.value) for c in group):
                raise refusal("SIG311", _shown(group), _shown([name]), _PART)


def _names(certificate: x509.Certificate) -> Iterable[x509.GeneralName]:
    """The subject and its alternatives; addresses in a subject count where no alternative has one."""
    if list(certificate.subject):
        yield x509.DirectoryName(certificate.subject)
    try:
        alternatives = list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        alternatives = []
    yield from alternatives
    if not any(isinstance(name, x509.RFC822Name) for name in alternatives):
        for attribute in certificate.subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS):
            try:
                yield x509.RFC822Name(str(attribute.value))
            except ValueError:
                raise refusal("SIG312", found="emailAddress", part=_PART) from None


def _in_directory(name: x509.Name, base: x509.Name) -> bool:
    """The base's parts are the name's first ones (RFC 5280, 7.1)."""
    inner, outer = _parts(name), _parts(base)
    return inner[: len(outer)] == outer


def _parts(name: x509.Name) -> Dn:
    return tuple(frozenset((a.oid.dotted_string, _folded(a.value)) for a in part) for part in name.rdns)


def _folded(value: str | bytes) -> str:
    """As names compare: whatever the letters' case and the blanks between words."""
    return " ".join(value.casefold().split()) if isinstance(value, str) else value.hex()


def _in_domain(name: str, base: str) -> bool:
    """The domain itself or one below it; a base that begins with a point is only for those below."""
    name, base = name.lower().rstrip("."), base.lower().rstrip(".")
    if not base:
        return True
    if base.startswith("."):
        return name.endswith(base)
    return name == base or name.endswith(f".{base}")


def _in_host(name: str, base: str) -> bool:
    """One host, or with a point all hosts below a domain."""
    name, base = name.lower().rstrip("."), base.lower().rstrip(".")
    return name.endswith(base) if base.startswith(".") else name == base


def _in_mail(name: str, base: str) -> bool:
    """One mailbox, all of a host, or all of the hosts below a domain."""
    local, _, host = name.rpartition("@")
    if "@" in base:
        their_local, _, their_host = base.rpartition("@")
        return local == their_local and host.lower() == their_host.lower()
    return _in_host(host, base)


def _in_uri(name: str, base: str) -> bool:
    """The URI's host.  Raises Refused (SIG312) where it has none that is a name."""
    try:
        host = urlsplit(name).hostname or ""
    except ValueError:
        host = ""
    if not host or _is_address(host):
        raise refusal("SIG312", found=name, part=_PART)
    return _in_host(host, base)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _in_network(
    name: ipaddress.IPv4Address | ipaddress.IPv6Address,
    base: ipaddress.IPv4Network | ipaddress.IPv6Network,
) -> bool:
    return name.version == base.version and name in base


_WITHIN: dict[Shape, Callable[..., bool]] = {
    x509.DirectoryName: _in_directory,
    x509.DNSName: _in_domain,
    x509.RFC822Name: _in_mail,
    x509.UniformResourceIdentifier: _in_uri,
    x509.IPAddress: _in_network,
}


def _shown(names: Sequence[x509.GeneralName]) -> str:
    texts = [n.value.rfc4514_string() if isinstance(n, x509.DirectoryName) else str(n.value) for n in names]
    return ", ".join(texts)
