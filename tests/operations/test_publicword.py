"""Who calls with a certificate of a public authority, by the tax code in its subject."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.model import Credential, Partner, Register, Role, Use
from gateway.operations.publicword import PublicWord
from gateway.security import Policy, Trust
from gateway.transport.authentication import authenticate, unproven
from gateway.transport.call import Head
from tests.security.authorities import Party

CODE = "0100109106"
SUBJECT = f"UID=MST:{CODE},CN=An Phat,C=VN"
CLIENT = ((x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False),)
PUBLIC = Party("CN=Public CA,C=VN", ca=True)
OWN = Party("CN=Our own CA,C=VN", ca=True)
TRUST = Trust([OWN.certificate], public=[PUBLIC.certificate])
AN_PHAT = Partner("anphat", "An Phat", (Role.TRADER,), (CODE,))
NOW = datetime.now(UTC)


def head(caller: Party, *above: Party) -> Head:
    subject = caller.certificate.subject.rfc4514_string()
    fingerprint = caller.certificate.fingerprint(hashes.SHA256()).hex()
    chain = (caller.der, *(one.der for one in above))
    return Head("GET", "/", {}, subject=subject, fingerprint=fingerprint, certificates=chain)


def who(asked: Head, *partners: Partner, trust: Trust = TRUST) -> str:
    handbook: Any = SimpleNamespace(trust=trust, policy=Policy())
    word = PublicWord(lambda: handbook, lambda: NOW)
    found = authenticate(asked, Register(partners or (AN_PHAT,)), NOW, word.tax_codes)
    why = unproven(asked, Register(partners or (AN_PHAT,)), NOW, word.tax_codes)
    assert (found is None) == bool(why)
    return found.id if found else why.partition(":")[0]


@pytest.mark.parametrize("shown", [(), (PUBLIC,)])
def test_a_tax_code_of_a_public_authority_says_who_calls(shown: tuple[Party, ...]) -> None:
    """With the chain of the handshake, and with the caller's own certificate alone (a session that resumes)."""
    assert who(head(Party(SUBJECT, PUBLIC, extra=CLIENT), *shown)) == "anphat"
    branch = Party(f"2.5.4.5=MST:{CODE}-002,CN=Branch,C=VN", PUBLIC, extra=CLIENT)
    assert who(head(branch, *shown)) == "PAR001", "a branch is another taxpayer"


def test_a_tax_code_of_another_authority_says_nothing() -> None:
    """Impersonation: our own authority, or any other, could write another's tax code into a subject."""
    assert who(head(Party(SUBJECT, OWN, extra=CLIENT), OWN)) == "PAR001"
    assert who(head(Party(SUBJECT, Party("CN=X", ca=True), extra=CLIENT))) == "PAR001"


def test_a_public_authority_beside_the_chain_vouches_for_nothing() -> None:
    assert who(head(Party(SUBJECT, OWN, extra=CLIENT), OWN, PUBLIC)) == "PAR001"
    assert who(head(Party(SUBJECT, OWN, extra=CLIENT), PUBLIC)) == "PAR001"
    pinned = Party(SUBJECT, extra=CLIENT)
    assert who(head(pinned), trust=Trust([pinned.certificate], public=[PUBLIC.certificate])) == "PAR001"


def test_a_certificate_that_is_not_for_calling_says_nothing() -> None:
    mail = ((x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), True),)
    assert who(head(Party(SUBJECT, PUBLIC, extra=mail), PUBLIC)) == "PAR001"
    assert who(head(Party(SUBJECT, PUBLIC, extra=CLIENT, days=(-30, -1)), PUBLIC)) == "PAR001"


def test_registered_certificates_and_standing_count_more() -> None:
    caller = Party(SUBJECT, PUBLIC, extra=CLIENT)
    other = Credential("ab" * 32, (Use.TLS,))
    assert who(head(caller), Partner("anphat", "An", (), (CODE,), credentials=(other,))) == "PAR103"
    assert who(head(caller), Partner("anphat", "An", (), (CODE,), active=False)) == "PAR001"
    named = Partner("named", "By subject", (), (), (caller.certificate.subject.rfc4514_string(),))
    assert who(head(caller), named, AN_PHAT) == "named"
