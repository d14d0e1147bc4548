"""Partners, mandates, and the counters that number what the gateway sends."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Connection

from gateway.model import Mandate, Partner, Register
from gateway.model.grants import row_of
from gateway.storage import admitting, attesting, enrolled, registering
from gateway.storage.journal import Page
from gateway.storage.ledger.opened import Opened
from gateway.storage.records import Expiry
from gateway.storage.standing import EVERYONE, Standing, Written

T = TypeVar("T")


class Enrolment(Opened):
    """The register: who may send, and who may act for whom."""

    def put_partner(self, partner: Partner) -> None:
        """Add or replace.  Raises Taken where a subject, identifier, token or certificate is another's."""
        self.put_all(lambda: [[partner]])

    def partner(self, identity: str) -> Partner | None:
        """One partner with its certificates, or None."""
        return self._read(lambda c: registering.partner(c, identity))

    def partners(self) -> list[Partner]:
        """All partners by id; for a large register see ``find_partners`` and ``each``."""
        return self._read(lambda c: list(enrolled.partners(c)))

    def find_partners(self, search: str = "", after: str = "", limit: int = 100) -> list[Partner]:
        """Partners by id whose id, name, identifiers, subjects or certificates hold every word of the
        search (without case and diacritics), from behind the id ``after``."""
        return self._read(lambda c: enrolled.find_partners(c, search, after, limit))

    def count_partners(self, search: str = "") -> int:
        """How many partners a search finds."""
        return self._read(lambda c: enrolled.count_partners(c, search))

    def unregistered(self, ids: Sequence[str]) -> set[str]:
        """Those of the ids that are no partner's."""
        return self._read(lambda c: enrolled.unregistered(c, ids))

    def owners(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """Whose these keys are (kind, text), of those that are somebody's."""
        return self._read(lambda c: registering.owners(c, keys))

    def unknown_mandates(self, ids: Sequence[str]) -> set[str]:
        """Those of the ids that are no mandate's."""
        return self._read(lambda c: enrolled.unknown_mandates(c, ids))

    def put_mandate(self, mandate: Mandate) -> None:
        """Add or replace."""
        self.put_all(lambda: [[mandate]])

    def put_all(
        self, batches: Callable[[], Iterable[Sequence[Partner | Mandate]]], resumed: Container[str] = EVERYONE
    ) -> Written:
        """Put all batches or none, in one transaction.  ``batches`` may be asked for more than once.

        A mandate's earlier revocation stands; a suspended partner becomes active only where it is one of
        ``resumed``.  Raises Taken.
        """

        def put(connection: Connection, page: Page) -> Written:
            standing = Standing(connection, resumed)
            count = registering.put_all(connection, attesting.each(page, standing.of(batches())))
            return Written(count, standing.revoked, standing.suspended)

        return self._attest(put)

    def would_stand(self, batch: Sequence[Partner | Mandate], resumed: Container[str] = EVERYONE) -> Written:
        """What ``put_all`` would say of these."""

        def look(connection: Connection) -> Written:
            standing = Standing(connection, resumed)
            count = sum(map(len, standing.of([batch])))
            return Written(count, standing.revoked, standing.suspended)

        return self._read(look)

    def revoke_mandate(self, mandate_id: str, at: datetime) -> bool:
        """End a mandate; an earlier revocation stands.  False where it is unknown.  When this returns,
        nothing is settled by the mandate any more, in any process."""
        return self._attest(lambda c, page: _revoked(c, page, mandate_id, at))

    def mandate(self, identity: str) -> Mandate | None:
        """One mandate, or None."""
        return self._read(lambda c: registering.mandate(c, identity))

    def mandates(self) -> list[Mandate]:
        """All mandates by id, those that ended too; for a large register see ``find_mandates``."""
        return self._read(lambda c: list(enrolled.mandates(c)))

    def find_mandates(
        self,
        agent: str = "",
        principal: str = "",
        after: str = "",
        limit: int = 100,
        at: datetime | None = None,
    ) -> list[Mandate]:
        """Mandates by id of an agent and a principal ("": any), from behind the id ``after``; ``at``: only
        those that hold then."""
        return self._read(lambda c: enrolled.find_mandates(c, agent, principal, after, limit, at))

    def mandates_of(self, party: str, limit: int = 100) -> list[Mandate]:
        """Mandates in which the party is agent or principal, by id."""
        return self._read(lambda c: enrolled.mandates_of(c, party, limit))

    def each(self, work: Callable[[Iterator[Partner], Iterator[Mandate]], T]) -> T:
        """What the work makes of all partners and all mandates as of one moment, streamed."""
        return self._read(lambda c: work(enrolled.partners(c), enrolled.mandates(c)))

    def register(self) -> Register:
        """Partners and mandates as of one moment."""
        return self._read(enrolled.register)

    def refreshed(self, known: Register) -> Register:
        """The register as of now: ``known`` itself where nothing changed, else with the changes taken in."""
        return self._read(lambda c: enrolled.refreshed(c, known))

    def register_version(self) -> int:
        """Rises with every change of a partner or mandate in any process; cheap to ask."""
        return self._read(admitting.register_version)

    def expiring(
        self, since: datetime, until: datetime, limit: int = 100_000, ids: Sequence[str] | None = None
    ) -> list[Expiry]:
        """Credentials, and certificates seen at work, that end from ``since`` to ``until`` and that nothing
        is there to replace, the earliest first; those of the partners ``ids`` only, where given."""
        return self._read(lambda c: enrolled.expiring(c, since, until, limit, ids))

    def references(self, name: str, count: int) -> range:
        """The next block of a named, durable counter, from 1; no number is handed out twice."""
        return self._write(lambda c: registering.references(c, name, count))


def _revoked(connection: Connection, page: Page, mandate_id: str, at: datetime) -> bool:
    known = registering.revoke_mandate(connection, mandate_id, at)
    ended = registering.mandate(connection, mandate_id)
    if ended is not None:
        attesting.mandate(page, row_of(ended))
    return known
