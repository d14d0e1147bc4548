"""Where the servers are, and how the gateway and they prove themselves to each other: by files, never in a URL."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

OTHERS = 0o077
"""Permissions that nobody else may have on a file with a secret."""


class AccessBroken(ValueError):
    """A server's address or a file cannot be used; the text says which and why, and tells no secret."""


@dataclass(frozen=True, slots=True)
class Access:
    """``servers``: ``tls://HOST:PORT``, or ``nats://`` on this machine alone.  ``trust``: PEM anchors of the
    servers, the system's where it is None.  ``certificate`` and ``key``: PEM, what the gateway proves itself
    with.  ``credentials``: a file of one line, a token, or of two, a user and a password."""

    servers: tuple[str, ...]
    trust: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    credentials: Path | None = None

    def check(self) -> None:
        """Raises AccessBroken where a server or a file cannot be used."""
        if not self.servers:
            raise AccessBroken("no server is named")
        for server in self.servers:
            _check(server)
        self.context()
        self.login()

    def context(self) -> ssl.SSLContext:
        """TLS as it is now in the files.  Raises AccessBroken."""
        try:
            context = ssl.create_default_context(cafile=self.trust)
            if self.certificate is not None and self.key is not None:
                _private(self.key)
                # An encrypted key is refused: nobody is there to ask for its password.
                context.load_cert_chain(self.certificate, self.key, password=_no_password)
        except OSError as error:
            raise AccessBroken(f"TLS to the broker: {error}") from error
        if (self.certificate is None) != (self.key is None):
            raise AccessBroken("TLS to the broker: a certificate and its key come together")
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context

    def login(self) -> dict[str, str]:
        """``token``, or ``user`` and ``password``, as they are now in the file.  Raises AccessBroken."""
        if self.credentials is None:
            return {}
        try:
            _private(self.credentials)
            lines = self.credentials.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "no text"
            raise AccessBroken(f"{self.credentials}: {reason}") from error
        if len(lines) == 1 and lines[0]:
            return {"token": lines[0]}
        if len(lines) == 2 and all(lines):
            return {"user": lines[0], "password": lines[1]}
        raise AccessBroken(f"{self.credentials}: neither one line, a token, nor two, a user and a password")


def is_tls(server: str) -> bool:
    """True where the address asks for TLS."""
    return urlsplit(server).scheme == "tls"


def _check(server: str) -> None:
    try:
        parts = urlsplit(server)
        port = parts.port
    except ValueError as error:
        raise AccessBroken("a server's address cannot be read") from error
    if parts.username is not None or parts.password is not None:
        raise AccessBroken(
            f"{parts.scheme}://...@{parts.hostname}: credentials come from a file, not from a URL"
        )
    bare = not (parts.path or parts.query or parts.fragment)
    if parts.scheme not in ("tls", "nats") or not parts.hostname or not port or not bare:
        raise AccessBroken(f"{server}: a server is tls://HOST:PORT")
    if parts.scheme == "nats" and not _is_here(parts.hostname):
        raise AccessBroken(f"{server}: beyond this machine only tls:// is spoken")


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _private(path: Path) -> None:
    """Raises AccessBroken where others may read the file, or it is another's."""
    told = path.stat()
    if told.st_mode & OTHERS or told.st_uid not in (os.geteuid(), 0):
        raise AccessBroken(
            f"{path}: others may read it; chmod 600 it, and have it belong to the gateway's user"
        )


def _no_password() -> str:
    raise AccessBroken("TLS to the broker: the key is encrypted")
