"""What the tests of the ledger share."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.security import SigningKey
from gateway.security.certificates.authority import Authority


@pytest.fixture
def own(tmp_path: Path) -> SigningKey:
    """A key of the gateway's own, with its certificate."""
    authority = Authority.create(tmp_path / "authority", "Authority of the test")
    names = tmp_path / "own.key.pem", tmp_path / "own.crt.pem"
    authority.issue("CN=Gateway signing", *names)
    return SigningKey.load(*names)
