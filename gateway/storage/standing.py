"""What an operator ended or stopped stays so, whatever is registered after it.

Asked within the transaction that registers: who changes the register holds its counter, so nothing is revoked or
suspended between the question and the writing.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence

import msgspec
from sqlalchemy import Connection, select

from gateway.model import Mandate, Partner
from gateway.storage import tables
from gateway.storage.codec import moment, unpacked
from gateway.storage.registering import certificates_of, with_certificates

_p, _m = tables.partner.c, tables.mandate.c


class Written(msgspec.Struct, frozen=True):
    """How many partners and mandates were put; of these, the mandates that stay revoked and the partners that
    stay suspended although what was put says otherwise."""

    count: int = 0
    stay_revoked: int = 0
    stay_suspended: int = 0

    def __add__(self, other: Written) -> Written:
        return Written(
            self.count + other.count,
            self.stay_revoked + other.stay_revoked,
            self.stay_suspended + other.stay_suspended,
        )


class _Everyone:
    """Any partner."""

    def __contains__(self, identity: object) -> bool:
        return True


EVERYONE = _Everyone()


class Standing:
    """Batches as they will stand.

    ``resumed``: ids of the partners that this may let in again.  ``revoked``: how many mandates keep a revocation
    that the batches did not have, or had later; ``suspended``: how many partners stay suspended.
    """

    def __init__(self, connection: Connection, resumed: Container[str]) -> None:
        self._connection = connection
        self._resumed = resumed
        self.revoked = 0
        self.suspended = 0

    def of(self, batches: Iterable[Sequence[Partner | Mandate]]) -> Iterator[Sequence[Partner | Mandate]]:
        """The batches, one after the other."""
        for batch in batches:
            ended = self._ended([one.id for one in batch if isinstance(one, Mandate)])
            stopped = self._stopped([one.id for one in batch if self._might_resume(one)])
            yield [
                self._mandate(one, ended) if isinstance(one, Mandate) else self._partner(one, stopped)
                for one in batch
            ]

    def _mandate(self, one: Mandate, ended: dict[str, int]) -> Mandate:
        if one.id not in ended:
            return one
        at = moment(ended[one.id])
        if one.revoked_at is not None and one.revoked_at <= at:
            return one
        self.revoked += 1
        return msgspec.structs.replace(one, revoked_at=at)

    def _partner(self, one: Partner, stopped: set[str]) -> Partner:
        if one.terms.names_signers and not all(c.certificate for c in one.credentials):
            # Certificates that are known need not be given again; those that messages name are kept at hand.
            one = with_certificates(one, certificates_of(self._connection, [one.id]))
        if one.id not in stopped:
            return one
        self.suspended += 1
        return msgspec.structs.replace(one, active=False)

    def _might_resume(self, one: Partner | Mandate) -> bool:
        return isinstance(one, Partner) and one.active and one.id not in self._resumed

    def _ended(self, ids: Sequence[str]) -> dict[str, int]:
        """When those that were revoked ended, by id, in microseconds."""
        if not ids:
            return {}
        found = select(_m.id, _m.revoked_at).where(_m.id.in_(ids), _m.revoked_at.is_not(None))
        return {row.id: row.revoked_at for row in self._connection.execute(found)}

    def _stopped(self, ids: Sequence[str]) -> set[str]:
        """Those that are suspended."""
        if not ids:
            return set()
        bodies = self._connection.scalars(select(_p.body).where(_p.id.in_(ids)))
        return {known.id for known in (unpacked(body, Partner) for body in bodies) if not known.active}
