"""Asking after certificates: whom, in which way, and what becomes of what nobody could tell."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID
from twisted.internet.defer import succeed

from gateway.delivery.revocation import Asking, RevocationCourier, Unavailable
from gateway.security import Policy, Sources, Trust
from gateway.storage import Known
from tests.delivery.fakes import InlinePool, StillReactor, done
from tests.security.authorities import DAY, NOW, Party

OCSP_URL, CRL_URL, DELTA_URL = (
    "http://169.254.169.254/latest/",
    "http://10.0.0.1/ca.crl",
    "http://10.0.0.1/delta.crl",
)


class Internet:
    """What is there by URL; remembers what was called."""

    def __init__(self, **there: Callable[[bytes | None], bytes]) -> None:
        self.there = there
        self.called: list[tuple[str, str, bool]] = []

    async def fetch(
        self, url: str, body: bytes | None, media_type: str, max_bytes: int, chosen: bool
    ) -> bytes:
        self.called.append(("GET" if body is None else "POST", url, chosen))
        for name, answer in self.there.items():
            if name in url:
                return answer(body)
        raise Unavailable("SIG340", "nobody")


def certificate(ca: Party, *, crl: bool = False) -> Party:
    access = x509.AccessDescription(
        AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(OCSP_URL)
    )
    extra: list[tuple[x509.ExtensionType, bool]] = [(x509.AuthorityInformationAccess([access]), False)]
    if crl:
        name = x509.UniformResourceIdentifier(CRL_URL)
        point = x509.DistributionPoint([name], None, None, None)
        extra.append((x509.CRLDistributionPoints([point]), False))
    return Party("CN=Leaf", ca, extra=extra)


def ask(internet: Internet, ca: Party, leaf: Party, own: Sources | None = None) -> list[Any]:
    """Ask once; what the ledger was told."""
    told: list[Any] = []
    commits = SimpleNamespace(call=lambda *what: done_with(told, what))
    knowledge = SimpleNamespace(policy=Policy(revocation="hold"), trust=Trust([ca.certificate]))
    overrides = {} if own is None else {ca.certificate.subject.rfc4514_string(): own}
    courier: Any = RevocationCourier(
        internet,
        commits,  # type: ignore[arg-type]
        lambda: knowledge,  # type: ignore[arg-type,return-value]
        StillReactor(),
        InlinePool(),  # type: ignore[arg-type]
        lambda: NOW,
        "me",
        Asking(overrides),
    )
    known = Known("f", leaf.der, ca.der, "CN=Leaf", ("sign",), NOW + DAY, NOW, NOW, NOW, 0, None, "")
    done(courier._ask(known))
    return told


def done_with(told: list[Any], what: tuple[Any, ...]) -> Any:
    told.append(what)
    return succeed(None)


def test_only_what_the_operator_names_may_be_in_a_private_network() -> None:
    """An override of the CRL lends nothing to the address that the certificate names itself, nor to a
    delta that the CRL does."""
    ca = Party("CN=Other CA,C=VN", ca=True)
    name = x509.UniformResourceIdentifier(DELTA_URL)
    freshest = x509.FreshestCRL([x509.DistributionPoint([name], None, None, None)])
    internet = Internet(**{"ca.crl": lambda body: ca.crl(extra=[(freshest, False)])})
    told = ask(internet, ca, certificate(ca), Sources(crl=(CRL_URL,)))
    assert internet.called == [
        ("POST", OCSP_URL, False),
        ("GET", CRL_URL, True),
        ("GET", DELTA_URL, False),
    ]
    assert [what[0] for what in told] == ["learn", "asked"]


def test_a_responder_that_knows_get_alone() -> None:
    ca = Party("CN=Other CA,C=VN", ca=True)
    leaf = certificate(ca)

    def answer(body: bytes | None) -> bytes:
        if body is not None:
            raise Unavailable("SIG340", "405", 405)
        return ca.says(leaf)

    internet = Internet(latest=answer)
    told = ask(internet, ca, leaf)
    (post, get) = internet.called
    assert (post[0], get[0]) == ("POST", "GET")
    assert get[1].startswith(OCSP_URL.rstrip("/") + "/M")
    assert [what[0] for what in told] == ["learn", "asked"]


def test_what_is_down_is_not_asked_twice() -> None:
    ca = Party("CN=Other CA,C=VN", ca=True)

    def answer(body: bytes | None) -> bytes:
        raise Unavailable("SIG340", "503", 503)

    internet = Internet(latest=answer)
    told = ask(internet, ca, certificate(ca))
    assert len(internet.called) == 1
    assert [(what[0], what[3]) for what in told] == [("asked", None)]


def test_another_s_answer_is_not_believed_because_we_asked_by_get() -> None:
    """Who forges the refusal of a POST may not repeat an old answer that has a nonce."""
    ca = Party("CN=Other CA,C=VN", ca=True)
    leaf = certificate(ca)

    def answer(body: bytes | None) -> bytes:
        if body is not None:
            raise Unavailable("SIG340", "405", 405)
        return ca.says(leaf, nonce=b"another's" * 3)

    (told,) = ask(Internet(latest=answer), ca, leaf)
    assert "SIG326" in told[4]
