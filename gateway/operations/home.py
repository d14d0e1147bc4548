"""A deployment's home: its own conf, xsd, mappings and keystore, made from what the package ships."""

from __future__ import annotations

import shutil
from pathlib import Path

from cryptography import x509

import gateway
from gateway.model import Partner
from gateway.operations import settings
from gateway.operations.presence import ADDRESS_FILE
from gateway.security.certificates.authority import Authority, Use
from gateway.security.keystore.generation import Generation

ROOMS = ("conf", "xsd", "mappings", "keystore")
AUTHORITY = "keystore/development-authority"
DAYS = 365
NOT_KNOWLEDGE = shutil.ignore_patterns("__pycache__", "*.py", "constraints.txt", "deploy")
"""What lies among the shipped files and is for building and installing only."""


class NotEmpty(Exception):
    """The folder holds something already; a home is never made over another."""


def shipped() -> Path:
    """Where the package keeps what a home starts with: in the wheel, or beside the checkout."""
    here = Path(gateway.__file__).parent
    inside = here / "shipped"
    return inside if inside.is_dir() else here.parent


def create(home: Path, *, development: bool = True) -> None:
    """Make a home.

    ``development``: with a certificate authority of its own and the gateway's keys from it, fit for
    trying out; without, the operator brings keys and trust anchors.  Raises NotEmpty.
    """
    if home.exists() and any(home.iterdir()):
        raise NotEmpty(f"{home} is not empty")
    home.mkdir(parents=True, exist_ok=True)
    for room in ROOMS:
        shutil.copytree(shipped() / room, home / room, ignore=NOT_KNOWLEDGE)
    for private in ("keystore", "keystore/own", "keystore/trust"):
        (home / private).mkdir(exist_ok=True)
        (home / private).chmod(0o700)
    if development:
        _development_keys(home)


def authority(home: Path) -> Authority:
    """The home's development authority.  Raises FileNotFoundError where the home has none."""
    return Authority.load(home / AUTHORITY)


def _development_keys(home: Path) -> None:
    chosen = settings.load(home)
    own = Authority.create(home / AUTHORITY, "Development authority, for trying out only")
    shutil.copy(own.certificate_path, home / chosen.keys.trust / "development.pem")
    shutil.copy(own.certificate_path, home / chosen.keys.push_trust)
    folder = home / chosen.keys.own
    own.issue(
        subject("Gateway signing", chosen.gateway.name, chosen.gateway.country),
        folder / "signing.key.pem",
        folder / "signing.crt.pem",
        days=DAYS,
    )
    own.issue(
        subject("localhost", chosen.gateway.name, chosen.gateway.country),
        folder / "tls.key.pem",
        folder / "tls.crt.pem",
        days=DAYS,
        use="tls",
        server_names=("localhost", "127.0.0.1"),
    )


def certify(
    home: Path, generation: Generation, subject: str, names: tuple[str, ...]
) -> tuple[x509.Certificate, ...]:
    """A certificate of the development authority for one of the gateway's own keys."""
    assert generation.private is not None
    uses: dict[str, Use] = {"signing": "sign", "tls": "tls", "decryption": "decrypt"}
    public = generation.private.public_key()
    return (authority(home).certify(public, subject, DAYS, names, uses[generation.entry.use]),)


def issue_partner(home: Path, partner: Partner, folder: Path) -> str:
    """Keys for a partner from the development authority: one for TLS, one for signing.

    The folder gets ``signing.*``, ``tls.*``, the authority's certificate and ``partner.toml`` with
    the gateway's address, so that ``cvan send --as FOLDER`` works at once.  Returns the subject.
    """
    own = authority(home)
    chosen = settings.load(home)
    folder.mkdir(parents=True, exist_ok=True)
    name = subject(partner.name, partner.id, chosen.gateway.country)
    own.issue(name, folder / "signing.key.pem", folder / "signing.crt.pem", days=DAYS)
    own.issue(name, folder / "tls.key.pem", folder / "tls.crt.pem", days=DAYS, use="tls")
    shutil.copy(own.certificate_path, folder / "authority.pem")
    (folder / "partner.toml").write_text(_account(partner, _port(home, chosen)), encoding="utf-8")
    return name


def _account(partner: Partner, port: int) -> str:
    """The partner's own notes.  ``port`` 0: nobody knows yet; then who sends must say where to."""
    if port:
        return f'id = "{partner.id}"\nurl = "https://localhost:{port}"\n'
    note = "# The gateway takes a free port: put its https://HOST:PORT here, or give --url."
    return f'id = "{partner.id}"\n{note}\nurl = ""\n'


def _port(home: Path, chosen: settings.Settings) -> int:
    """The port that partners reach; that of the running server where it took a free one, 0 without."""
    if chosen.listen.port:
        return chosen.listen.port
    try:
        return int((home / ADDRESS_FILE).read_text(encoding="ascii").rpartition(":")[2])
    except (OSError, ValueError):
        return 0


def _cut(name: str) -> str:
    """As much of a name as a certificate's common name holds: 64 octets (RFC 5280, ub-common-name)."""
    return name.encode()[:64].decode("utf-8", "ignore")


def subject(common: str, organisation: str, country: str) -> str:
    """A certificate subject as an RFC 4514 string, whatever characters the names hold."""
    return x509.Name(
        [
            x509.NameAttribute(x509.NameOID.COUNTRY_NAME, country),
            x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(x509.NameOID.COMMON_NAME, _cut(common)),
        ]
    ).rfc4514_string()
