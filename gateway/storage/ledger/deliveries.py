"""What couriers carry, and the decisions that they bring."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta

from gateway.model import Decision, Delivery, Handover, Outgoing
from gateway.storage import breaking, claiming, courier, deciding, lanes, publishing, skipping
from gateway.storage.breaking import Breaker
from gateway.storage.ledger.slices import Slices
from gateway.storage.records import Addressed, Recorded


class Deliveries(Slices):
    """Deliveries to the back end and to partners; decisions with their answers."""

    def claim_due(
        self, destination: str, owner: str, now: datetime, lease: timedelta, limit: int
    ) -> list[Delivery]:
        """Lease due deliveries in order of arrival; one that failed steps aside and holds nobody up.

        ``destination``: a whole name, or a kind with its colon (``push:``).  ``attempts`` of each are
        those before this one.
        """
        return self._write(lambda c: claiming.claim_due(c, destination, owner, now, lease, limit))

    def claim_least_tried(
        self, destination: str, owner: str, now: datetime, lease: timedelta, limit: int
    ) -> list[Delivery]:
        """As claim_due for a destination that fails: of the first that are due, those that were tried least."""
        return self._write(lambda c: claiming.claim_least_tried(c, destination, owner, now, lease, limit))

    def destinations(self, kind: str, now: datetime) -> tuple[str, ...]:
        """The destinations of a kind (``push:``) at which something can be claimed now."""
        return self._read(lambda c: claiming.destinations(c, kind, now))

    def claim_in_order(
        self, destination: str, owner: str, now: datetime, lease: timedelta, limit: int
    ) -> list[Delivery]:
        """As claim_due, but nothing passes an earlier delivery to the same destination."""
        return self._write(lambda c: claiming.claim_in_order(c, destination, owner, now, lease, limit))

    def renew(self, owner: str, ids: Sequence[str], until: datetime) -> set[str]:
        """Hold on to those that the owner still holds, until then; their ids.  What somebody else took over
        stays with him."""
        return self._write(lambda c: claiming.renew(c, owner, ids, until))

    def handovers(self, deliveries: Sequence[Delivery]) -> list[Handover]:
        """The declarations these carry, in order; one whose payload is no accepted message is left out.

        A very long one's root is a `model.shelf.Long` that reads of the ledger whenever it is gone through: then
        it raises LedgerUnavailable.
        """
        return self._read(lambda c: courier.handovers(c, deliveries, self.sliced))

    def outgoings(self, deliveries: Sequence[Delivery]) -> dict[str, Outgoing]:
        """The messages to partners these carry, by outgoing id."""
        return self._read(lambda c: courier.outgoings(c, deliveries))

    def published_decisions(self, deliveries: Sequence[Delivery]) -> dict[str, Decision]:
        """The decisions these carry to a broker, by decision id."""
        return self._read(lambda c: publishing.published_decisions(c, deliveries))

    def done(self, ids: Sequence[str], at: datetime) -> int:
        """These arrived, and what was pushed is thereby acknowledged; how many were not known to have."""
        return self._attest(lambda c, page: courier.done(c, ids, at, page))

    def retry(self, delivery_id: str, due_at: datetime, error: str, owner: str | None = None) -> bool:
        """This attempt failed; due again at a later time.  False where it is no longer due, or another than the
        owner holds it (None: whoever holds it)."""
        return self._write(lambda c: courier.retry(c, delivery_id, due_at, error, owner))

    def suspect(self, owner: str, delivery_id: str, due_at: datetime, error: str) -> bool:
        """Should the attempt that begins now end its courier, it is not made again before then.  False where the
        owner no longer holds it."""
        return self._write(lambda c: claiming.suspect(c, owner, delivery_id, due_at, error))

    def dead(self, delivery_id: str, error: str, at: datetime, owner: str | None = None) -> bool:
        """Not tried again until revived.  False as in `retry`."""
        return self._attest(lambda c, page: courier.dead(c, delivery_id, error, at, page, owner))

    def bring_forward(self, destination: str, now: datetime, beyond: datetime, everything: bool) -> int:
        """Let go at once what a clock that was ahead put off: what never failed, what is due later than
        ``beyond``, or ``everything`` that is due later than now; how many."""
        late = self._read(lambda c: claiming.astray(c, destination, now, beyond, everything))
        if not late:
            return 0
        return self._write(lambda c: claiming.bring_forward(c, late, destination, now, beyond, everything))

    def put_back(self, owner: str, ids: Sequence[str], due_at: datetime, error: str) -> int:
        """The destination took nothing from anybody: these attempts do not count.  How many were held."""
        return self._write(lambda c: courier.put_back(c, owner, ids, due_at, error))

    def breakers(self, kind: str) -> dict[str, Breaker]:
        """Destinations that fail as a whole, of a kind (``push:``) or all (""), by destination."""
        return self._read(lambda c: breaking.breakers(c, kind))

    def broke(
        self, destination: str, now: datetime, error: str, pause: Callable[[int], timedelta]
    ) -> Breaker:
        """A destination failed once more; as it stands.  ``pause``: how long it is left alone after so many
        failures in a row."""
        return self._write(lambda c: breaking.broke(c, destination, now, error, pause))

    def forget_idle(self) -> tuple[str, ...]:
        """Forget the failures of destinations for which nothing waits any more; which these were."""
        return self._write(breaking.forget_idle)

    def probe(self, destination: str, seen: datetime, now: datetime, until: datetime) -> bool:
        """Take the probe that was seen to be due at that moment; False where another has it, or something is
        under way there."""
        return self._write(lambda c: breaking.probe(c, destination, seen, now, until))

    def mended(self, destination: str) -> bool:
        """A destination works; False where that was known."""
        return self._write(lambda c: breaking.mended(c, destination))

    def due(self, destination: str, limit: int) -> list[Delivery]:
        """Deliveries that wait, for a courier or for their next time; ``destination`` as for claim_due."""
        return self._read(lambda c: courier.due(c, destination, limit))

    def dead_letters(self, destination: str, limit: int) -> list[Delivery]:
        """Dead deliveries, oldest first; ``destination`` as for claim_due."""
        return self._read(lambda c: courier.dead_letters(c, destination, limit))

    def delivery(self, delivery_id: str) -> tuple[Delivery, str] | None:
        """A delivery with its state (``due``, ``done``, ``dead``, ``skipped``); None where unknown."""
        return self._read(lambda c: courier.found(c, delivery_id))

    def ahead(self, delivery: Delivery) -> str:
        """The id of what it waits behind in its lane, "" where nothing is before it."""
        return self._read(lambda c: courier.ahead(c, delivery))

    def revive(self, ids: Sequence[str], now: datetime, note: str = "") -> int:
        """Dead deliveries become due now; how many did.  ``note``: who and why, for the journal."""
        return self._attest(lambda c, page: courier.revive(c, ids, now, page, note))

    def skip(self, delivery_id: str, now: datetime, who: str, why: str) -> bool:
        """A delivery is never made, and who filed hears of it.  False: unknown, over, or under way."""
        return self._attest(lambda c, page: skipping.skip(c, delivery_id, now, who, why, page))

    def reasons(self, answers: list[Delivery]) -> dict[str, str]:
        """Why that was skipped which these deliveries to ``answer:`` tell of, by their ids."""
        return self._read(lambda c: skipping.reasons(c, answers))

    def resend(self, outgoing_id: str, now: datetime, note: str = "") -> bool:
        """Offer a message once more, delivered or not, in the mailbox and by push.  False: unknown.
        ``note``: who and why, for the journal."""
        return self._attest(lambda c, page: courier.resend(c, outgoing_id, now, page, note))

    def record(self, batch: Sequence[Recorded]) -> tuple[str, ...]:
        """Store decisions with their answers in one transaction; the ids of those that were new."""
        return self._attest(lambda c, page: deciding.record(c, batch, page))

    def originals(self, named: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
        """Of principals with customs' numbers: the reference under which each was filed, where that was here."""
        return self._read(lambda c: lanes.originals(c, named))

    def routes(self, message_ids: Sequence[str]) -> dict[str, Addressed]:
        """How to answer about messages, by message id; unknown ones are left out."""
        return self._read(lambda c: deciding.routes(c, message_ids))
