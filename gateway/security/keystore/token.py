"""Where a key in a token is: the URIs of RFC 7512."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import quote, unquote, unquote_to_bytes

from gateway.security.keystore.files import KeyUnusable

_PATH = ("token", "manufacturer", "serial", "model", "object", "id", "type", "slot-id")
_QUERY = ("module-path", "pin-source")


@dataclass(frozen=True)
class TokenUri:
    """A pkcs11: URI as far as a private key needs it; empty where the URI does not say.

    ``pin_source``: a file with the PIN.  The PIN itself may not stand in the URI.
    """

    text: str = field(compare=False)
    module: str
    token: str = ""
    manufacturer: str = ""
    serial: str = ""
    model: str = ""
    slot: int | None = None
    object: str = ""
    id: bytes = b""
    pin_source: str = ""


def read_uri(text: str) -> TokenUri:
    """The parts of a URI like ``pkcs11:token=cvan;object=signing?module-path=/usr/lib/x.so&pin-source=file:/run/pin``.

    Raises KeyUnusable, which never quotes the URI's query: somebody may have put a PIN there.
    """
    scheme, _, rest = text.partition(":")
    if scheme.lower() != "pkcs11":
        raise KeyUnusable("a key in a token is named by a pkcs11: URI (RFC 7512)")
    path, _, query = rest.partition("?")
    parts = _parts(path, ";", _PATH)
    if "pin-value" in {p.partition("=")[0] for p in query.split("&")}:
        raise KeyUnusable(
            "a PIN has no place in a URI: put it into a file (mode 0600), name that: pin-source"
        )
    asked = _parts(query, "&", _QUERY)
    module = unquote(asked.get("module-path", ""))
    if not module.startswith("/"):
        raise KeyUnusable("the URI needs the token's library: ?module-path=/usr/lib/softhsm/libsofthsm2.so")
    if not (parts.get("object") or parts.get("id")):
        raise KeyUnusable("the URI names no key: object=LABEL or id=%01")
    if unquote(parts.get("type", "private")) != "private":
        raise KeyUnusable("the URI names no private key: type=private, or no type")
    pin = unquote(asked.get("pin-source", ""))
    if pin.startswith("|"):
        raise KeyUnusable("pin-source: a file, no program")
    slot = parts.get("slot-id", "")
    if slot and not (slot.isascii() and slot.isdigit()):
        raise KeyUnusable("slot-id: a number")
    return TokenUri(
        text=text,
        module=module,
        token=unquote(parts.get("token", "")),
        manufacturer=unquote(parts.get("manufacturer", "")),
        serial=unquote(parts.get("serial", "")),
        model=unquote(parts.get("model", "")),
        slot=int(slot) if slot else None,
        object=unquote(parts.get("object", "")),
        id=unquote_to_bytes(parts.get("id", "")),
        pin_source=pin,
    )


def _parts(text: str, separator: str, known: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in filter(None, text.split(separator)):
        name, equals, value = part.partition("=")
        if name not in known or name in found or not equals:
            raise KeyUnusable(f"not in a key's URI, or twice: {name[:40]!r}; known: {', '.join(known)}")
        found[name] = value
    return found


def renamed(uri: TokenUri, label: str, identity: bytes) -> str:
    """The URI of another key in the same token."""
    path, _, query = uri.text.partition(":")[2].partition("?")
    kept = [p for p in path.split(";") if p.partition("=")[0] not in ("", "object", "id", "type")]
    kept += [f"object={quote(label, safe='')}", "id=" + "".join(f"%{octet:02X}" for octet in identity)]
    return f"pkcs11:{';'.join(kept)}?{query}"
