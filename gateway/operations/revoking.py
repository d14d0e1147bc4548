"""What the processes of a home know of revocations, and who asks after them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.python.threadpool import ThreadPool

from gateway import security, transport
from gateway.delivery import duties
from gateway.delivery.duties import Duties
from gateway.delivery.revocation import Asking, RevocationCourier, Unavailable
from gateway.intake import MAX_MET, MET_AGAIN, Intake, Resuming, sightings
from gateway.operations.repeating import repeat
from gateway.operations.settings import Settings
from gateway.security import Sources
from gateway.storage import Ledger, Overloaded

if TYPE_CHECKING:
    from gateway.operations.server import Server

log = logging.getLogger("gateway.revocation")

AT_ONCE = 1_000
"""Responses and CRLs that are read from the ledger at once."""

CALLING = frozenset({"1.3.6.1.5.5.7.3.2", "2.5.29.37.0"})
"""Extended key usages of a client's certificate: client authentication, any."""

ANY_USE = CALLING | {"1.3.6.1.5.5.7.3.1"} | security.PURPOSES
"""Of certificates that are only asked after."""

PREFETCH_SECONDS = 20.0
PREFETCHED = 200
"""Registered certificates that are noted at once: some hundred milliseconds of chain building."""

HOPELESS = timedelta(minutes=10)
"""How soon a registered certificate is looked at again that could not be noted."""

FORGOTTEN, FORGOTTEN_EACH = timedelta(days=30), timedelta(days=1)
"""How long after its end a certificate is still shown, and how often such ones are forgotten."""

LOOK_SECONDS = 0.5
"""How soon what was learned is known here, and a held submission is looked at again."""


def asking(chosen: Settings) -> Asking:
    """How these settings say to ask."""
    overrides = {
        a.issuer: Sources(tuple(filter(None, [a.ocsp])), tuple(filter(None, [a.crl])), a.method)
        for a in chosen.trust.authority
    }
    return Asking(overrides, timedelta(minutes=chosen.trust.refresh_minutes))


def newest(ledger: Ledger, known: security.Revocations) -> security.Revocations:
    """The snapshot with all that the ledger learned since; the same object where that is nothing."""
    while True:
        items, version = ledger.learned(known.version, AT_ONCE)
        if not items and version == known.version:
            return known
        known = security.relearn(known, ((i.subject, i.der, i.told) for i in items), version)


class Fetcher:
    """transport.Fetch as the courier wants it."""

    def __init__(self, fetch: transport.Fetch) -> None:
        self._fetch = fetch

    async def fetch(
        self, url: str, body: bytes | None, media_type: str, max_bytes: int, chosen: bool
    ) -> bytes:
        """One answer; raises Unavailable."""
        try:
            return await self._fetch.fetch(
                url, body=body, media_type=media_type, max_bytes=max_bytes, chosen=chosen
            )
        except transport.FetchFailed as failed:
            raise Unavailable(failed.finding.code, failed.finding.found, failed.status) from failed


def keep_asking(
    server: Server,
    intake: Intake,
    reactor: Any,
    pool: ThreadPool,
    owner: str,
    clock: Callable[[], Any],
    on_duty: Duties,
) -> None:
    """In the process that delivers: ask after what is due, and bring held submissions to their end; also
    those that are left from another policy."""
    if server.settings.trust.revocation != "off":
        _ask(server, reactor, pool, owner, clock, on_duty)
    resuming = Resuming(intake, server.commits, server.handbook, clock, server.metrics.held)

    async def look() -> None:
        if not on_duty.on(duties.RESUME):
            server.metrics.held(await server.commits.call("held_count"))
            return
        while await resuming.round() and on_duty.on(duties.RESUME):
            pass

    server.on_stop(repeat(look, reactor, LOOK_SECONDS))


def _ask(
    server: Server,
    reactor: Any,
    pool: ThreadPool,
    owner: str,
    clock: Callable[[], datetime],
    on_duty: Duties,
) -> None:
    chosen: Settings = server.settings
    fetch = transport.Fetch(reactor, private=chosen.trust.private_networks)
    courier = RevocationCourier(
        Fetcher(fetch),
        server.commits,
        server.handbook,
        reactor,
        pool,
        clock,
        owner,
        asking(chosen),
        server.metrics.asked,
    )
    courier.start()
    server.on_stop(courier.stop)
    prefetch = Prefetch(server, clock)

    async def look() -> None:
        if on_duty.on(duties.PREFETCH):
            await prefetch.round()

    server.on_stop(repeat(look, reactor, PREFETCH_SECONDS))


def follow(server: Server, ledger: Ledger, reactor: Any) -> None:
    """In every process: take in what was learned, wherever it was."""
    if server.settings.trust.revocation == "off":
        return

    async def look() -> None:
        known = server.handbook().trust.revocations
        if await server.commits.call("revocation_version") != known.version:
            server.learn(await server.commits.call(newest, ledger, known))

    server.on_stop(repeat(look, reactor, LOOK_SECONDS))


class Prefetch:
    """Has certificates asked after before their first message: registered ones, and the gateway's own."""

    def __init__(self, server: Server, clock: Callable[[], datetime]) -> None:
        self._server = server
        self._clock = clock
        self._hopeless: dict[bytes, datetime] = {}
        self._forgot_at: datetime | None = None

    async def round(self) -> None:
        """Note what is new, forget what is over; the courier does the rest."""
        now, handbook = self._clock(), self._server.handbook()
        if self._forgot_at is None or now - self._forgot_at >= FORGOTTEN_EACH:
            self._forgot_at = now
            await self._server.commits.call("forget", now - FORGOTTEN)
        self._hopeless = {der: until for der, until in self._hopeless.items() if until > now}
        own = [
            (tuple(c.public_bytes(Encoding.DER) for c in g.certificates), "own")
            for g in self._server.keys.generations
            if g.certificates and g.serves(now)
        ]
        limit = PREFETCHED + len(self._hopeless)
        unmet: list[bytes] = await self._server.commits.call("unmet", now, limit)
        registered = [((der,), "registered") for der in unmet if der not in self._hopeless]
        policy = msgspec.structs.replace(handbook.policy, purposes=ANY_USE, certificate_policies=frozenset())
        met = []
        for certificates, use in (*own, *registered[:PREFETCHED]):
            try:
                chain = handbook.trust.certify(certificates, policy, now)
            except security.Refused:
                # Its time has not come; or its intermediate is not known, and the first message brings that.
                self._hopeless[certificates[0]] = now + HOPELESS
                continue
            met += sightings(chain.certificates, use)
        if met:
            await self._server.commits.call("sight", met, now)


class Callers:
    """Whether partners' client certificates, which TLS proved, were revoked since; and no partner's own
    certificate issued them."""

    def __init__(self, server: Server, clock: Callable[[], datetime]) -> None:
        self._server = server
        self._clock = clock
        self._met: dict[bytes, datetime] = {}

    def unfit(self, certificates: tuple[bytes, ...]) -> str:
        """Why a chain (DER, the caller's first) that TLS proved is not to be relied on, "" where it is.

        A dictionary look-up for a known caller; a new one is asked after by the process that delivers.
        """
        chosen = self._server.settings.trust
        handbook, now = self._server.handbook(), self._clock()
        partner = handbook.trust.issued_by_partner(certificates)
        if partner:
            return f"SIG305: SIG024 {partner}"
        if chosen.revocation == "off":
            return ""
        policy = msgspec.structs.replace(
            handbook.policy,
            purposes=CALLING,
            certificate_policies=frozenset(),
            revocation="accept" if chosen.tls == "soft" else "refuse",
        )
        try:
            if len(certificates) == 1:
                # An anchor itself, or a session that resumes and whose issuers are forgotten.
                certificates = handbook.trust.certify(certificates, policy, now).certificates
            self._note(certificates, now)
            handbook.trust.ask(certificates, policy, now)
        except security.Refused as refused:
            return f"SIG305: {refused.code} {refused.findings[0].found}"
        return ""

    def _note(self, certificates: tuple[bytes, ...], now: datetime) -> None:
        if self._met.get(certificates[0], now - MET_AGAIN) > now - MET_AGAIN:
            return
        if len(self._met) >= MAX_MET:
            self._met.clear()
        self._met[certificates[0]] = now
        try:
            noted = self._server.commits.call("sight", sightings(certificates, "tls"), now)
        except Overloaded:
            return
        noted.addErrback(lambda failure: log.warning("not noted: %s", failure.getErrorMessage()))
