"""Asks after the revocation of certificates that were met, before anybody needs the answer.

It runs where deliveries do, never at a door: what it learns reaches the journey as a snapshot.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from gateway import security
from gateway.delivery.backoff import delay
from gateway.delivery.courier import Courier, log
from gateway.delivery.leases import Leases
from gateway.handbook import Handbook
from gateway.security import Sources
from gateway.security.certificates import asked
from gateway.storage import GroupCommit, Known, Learned

T = TypeVar("T")

LEASE = timedelta(seconds=4)
"""After a crash, until somebody else asks; renewed while it is asked."""
LONGEST = timedelta(minutes=5)
"""Longer than asking may take: some addresses of some 30 seconds each."""

IDLE_AFTER = timedelta(days=30)
"""Certificates not met for so long are asked after no more; registered ones are met every day."""

AT_ONCE = 8
"""Certificates asked after at the same time."""

REFRESH = timedelta(hours=1)
SOON = timedelta(minutes=1)
LONG = timedelta(days=1)
"""Until it is asked again where there is nobody to ask, or nothing left to learn."""

NONCE_OCTETS = 32
"""RFC 9654, 2.1."""


class Unavailable(Exception):
    """Nothing was fetched; ``code``: of a finding; ``status``: HTTP's, 0 where nobody answered."""

    def __init__(self, code: str, reason: str, status: int = 0) -> None:
        super().__init__(reason)
        self.code = code
        self.status = status


class Fetcher(Protocol):
    """What calls an address; raises Unavailable.  ``chosen``: the operator named it."""

    async def fetch(
        self, url: str, body: bytes | None, media_type: str, max_bytes: int, chosen: bool
    ) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Asking:
    """How to ask.  ``overrides``: by issuer (RFC 4514 name), what the operator says of its sources;
    ``refresh``: how soon again what is known is asked at the latest."""

    overrides: Mapping[str, Sources] = field(default_factory=dict)
    refresh: timedelta = REFRESH


class RevocationCourier(Courier):
    """Keeps what is known of revocations fresh."""

    name = "revocation"

    def __init__(
        self,
        fetcher: Fetcher,
        commits: GroupCommit,
        handbook: Callable[[], Handbook],
        reactor: Any,
        pool: ThreadPool,
        clock: Callable[[], datetime],
        owner: str,
        asking: Asking,
        on_asked: Callable[[str, str], None] = lambda source, result: None,
    ) -> None:
        super().__init__(reactor, clock)
        self._fetcher = fetcher
        self._commits = commits
        self._handbook = handbook
        self._pool = pool
        self._owner = owner
        self._asking = asking
        self._on_asked = on_asked
        self._under_way: set[Deferred[None]] = set()
        self._leases = Leases(commits, reactor, clock, owner, LEASE, LONGEST, "renew_certificates")
        self._lists: dict[tuple[str, bytes], tuple[datetime, asked.Lists]] = {}

    async def round(self) -> bool:
        """Begin to ask after what is due, without waiting for slow responders."""
        room = AT_ONCE - len(self._under_way)
        if room <= 0 or self._handbook().policy.revocation == "off":
            return False
        due: list[Known] = await self._commits.call(
            "claim_certificates", self._owner, self._clock(), LEASE, IDLE_AFTER, room
        )
        for known in due:
            if known.fingerprint not in self._leases:  # an address that hangs for longer than any lease
                self._begin(known)
        return False  # who ends pokes

    async def stop(self) -> None:
        await super().stop()
        for asking in list(self._under_way):
            asking.cancel()

    def _begin(self, known: Known) -> None:
        self._leases.hold(known.fingerprint)
        asking = Deferred.fromCoroutine(self._ask(known))
        self._under_way.add(asking)
        asking.addBoth(self._ended, known.fingerprint, asking)

    def _ended(self, result: object, fingerprint: str, asking: Deferred[None]) -> None:
        if isinstance(result, Failure) and not self._stopping:
            # Not the responder's fault; it is asked again when the lease has run out.
            log.error(
                "revocation not settled: %s", result.getErrorMessage(), extra={"certificate": fingerprint}
            )
        self._leases.let_go(fingerprint)
        self._under_way.discard(asking)
        self.poke()

    # -- one certificate -------------------------------------------------------------------------

    async def _ask(self, known: Known) -> None:
        subject = asked.Subject.of(known.der, known.issuer)
        policy = self._handbook().policy
        sources = security.sources_of(subject.certificate, self._asking.overrides)
        own = self._asking.overrides.get(subject.issuer_name, Sources())
        chosen = frozenset((*own.ocsp, *own.crl))
        if subject.issuer_name in policy.unchecked:
            await self._commits.call("asked", known, self._later(LONG), self._clock(), "")
            return
        if not sources.ocsp and not sources.crl:
            self._on_asked("none", "SIG342")
            await self._commits.call("asked", known, self._later(LONG), None, "SIG342 no source")
            return
        errors: list[str] = []
        for url in sources.ocsp:
            if await self._tried(
                known, "ocsp", url, self._by_ocsp(subject, url, sources.method, url in chosen), errors
            ):
                return
        for url in sources.crl:
            if await self._tried(
                known, "crl", url, self._by_list(subject, url, url in chosen, known.asked_at), errors
            ):
                return
        wait = delay(known.attempts + 1, random.random())  # noqa: S311 - jitter, not a secret
        await self._commits.call("asked", known, self._clock() + wait, None, "; ".join(errors))

    async def _tried(self, known: Known, source: str, url: str, asking: Any, errors: list[str]) -> bool:
        """True where this source told; what it told is kept and the certificate is due again later."""
        try:
            told: asked.Told = await asking
        except (security.Refused, Unavailable) as failed:
            code = failed.code
            errors.append(f"{code} {url} {_told(failed)}")
            self._on_asked(source, code)
            log.warning(
                "revocation unknown", extra={"certificate": known.fingerprint, "code": code, "url": url[:200]}
            )
            return False
        now = self._clock()
        self._on_asked(source, told.status)
        if told.status == "revoked":
            log.warning("certificate revoked", extra={"certificate": known.fingerprint, "url": url[:200]})
        items = [
            Learned(k.subject, k.der, k.told, k.this_update, k.until, now, url, k.final) for k in told.kept
        ]
        await self._commits.call("learn", items)
        await self._commits.call("asked", known, self._due(told), now, "")
        return True

    async def _by_ocsp(self, subject: asked.Subject, url: str, method: str, chosen: bool) -> asked.Told:
        nonce = secrets.token_bytes(NONCE_OCTETS) if method == "post" else None
        request = subject.request(nonce)
        try:
            der = await self._asked(url, request, method, chosen)
        except Unavailable as failed:
            if method != "post" or not _refuses_method(failed.status):
                raise
            # It answers GET alone (RFC 5019, 5); who is asked without a nonce has none to give.
            nonce = b""
            der = await self._asked(url, subject.request(None), "get", chosen)
        trust, policy = self._handbook().trust, self._handbook().policy
        return asked.by_response(der, subject, nonce, policy, self._clock(), trust.responders)

    async def _asked(self, url: str, request: bytes, method: str, chosen: bool) -> bytes:
        if method == "post":
            return await self._fetcher.fetch(url, request, asked.OCSP_REQUEST, asked.MAX_RESPONSE, chosen)
        return await self._fetcher.fetch(asked.get_url(url, request), None, "", asked.MAX_RESPONSE, chosen)

    async def _by_list(
        self, subject: asked.Subject, url: str, chosen: bool, since: datetime | None
    ) -> asked.Told:
        """What a CRL tells.  One that was fetched for another certificate, after this one was last asked
        after, tells of this one too."""
        name = (url, subject.link.issuer)
        at, lists = self._lists.get(name, (None, None))
        now, policy = self._clock(), self._handbook().policy
        old = at is None or now - at > self._asking.refresh / 2 or (since is not None and since >= at)
        if lists is None or old:
            der = await self._fetcher.fetch(url, None, "", asked.MAX_CRL, chosen)
            lists = await self._in_thread(asked.read_lists, der, subject, policy, now)
            for more in lists.freshest:
                lists = await self._with_delta(lists, more, subject)
            self._lists[name] = (now, lists.without_octets())
            return asked.by_lists(lists, subject, policy, now)
        return asked.by_lists(lists, subject, policy, now)

    async def _with_delta(self, lists: asked.Lists, url: str, subject: asked.Subject) -> asked.Lists:
        """With the delta of an address that the base names, where there is a good one: without it the base
        stands as it is."""
        try:
            der = await self._fetcher.fetch(url, None, "", asked.MAX_CRL, chosen=False)
            delta = await self._in_thread(
                asked.read_lists, der, subject, self._handbook().policy, self._clock()
            )
        except (security.Refused, Unavailable) as failed:
            log.warning("delta CRL not taken: %s", failed, extra={"url": url[:200]})
            return lists
        return lists.and_also(delta)

    def _due(self, told: asked.Told) -> datetime:
        """Well before what was told ends, but no two certificates at the same moment."""
        now = self._clock()
        if told.status == "revoked" and told.final:
            return self._later(LONG)
        left = max(told.until - now, timedelta())
        span = max(min(self._asking.refresh, left / 2), SOON)
        return now + span * (0.75 + random.random() / 4)  # noqa: S311 - jitter, not a secret

    def _later(self, span: timedelta) -> datetime:
        return self._clock() + span * (0.75 + random.random() / 4)  # noqa: S311

    async def _in_thread(self, function: Callable[..., T], *args: object) -> T:
        done: T = await deferToThreadPool(self._reactor, self._pool, function, *args)
        return done


def _refuses_method(status: int) -> bool:
    """True of what servers say to a POST where they know GET: not found, not allowed, moved, and the like."""
    return 300 <= status < 500 or status == 501


def _told(failed: security.Refused | Unavailable) -> str:
    return failed.findings[0].found if isinstance(failed, security.Refused) else str(failed)
