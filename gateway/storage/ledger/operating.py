"""What operators see of deliveries and do about them, journalled with who did it and why; and what one node
does for all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from gateway.model import Delivery, Outgoing
from gateway.storage import correcting, duties, operating, pausing, reviving
from gateway.storage.correcting import Corrected, Original
from gateway.storage.ledger.opened import Opened
from gateway.storage.operating import Act, Carried, Letters, Line, Waits, Wanted
from gateway.storage.pausing import Standing


class Operating(Opened):
    """Deliveries page by page, corrections, and destinations that are paused."""

    def page(self, wanted: Wanted, limit: int) -> tuple[list[Line], str]:
        """At most ``limit`` deliveries, and where the next page begins, "" at the end: a page may be short
        and not the last.  Raises ValueError for a place that no page ended at."""
        return self._read(lambda c: operating.page(c, wanted, limit, self.clock()))

    def line(self, delivery: str) -> Line | None:
        """One delivery; None where unknown."""
        return self._read(lambda c: operating.line(c, delivery, self.clock()))

    def carried(self, delivery: Delivery) -> Carried | None:
        """What it carries; None where that is not here."""
        return self._read(lambda c: operating.carried(c, delivery))

    def acts(self, delivery: str, about: str) -> list[Act]:
        """What the journal says befell a delivery that is about a submission or message."""
        return self._read(lambda c: operating.acts(c, delivery, about))

    def letters(self) -> list[Letters]:
        """Dead letters by destination and reason, the most first."""
        return self._read(operating.dead_letters)

    def waits(self) -> dict[str, Waits]:
        """How many deliveries have not arrived, by destination."""
        return self._read(operating.waits)

    def original(self, message: str) -> Original | None:
        """The accepted declaration of a message, as it was signed."""
        return self._read(lambda c: correcting.original(c, message))

    def corrections(self, delivery: str) -> list[Corrected]:
        """The corrections of a delivery, in their order."""
        return self._read(lambda c: correcting.corrections(c, [delivery]).get(delivery, []))

    def correct(self, delivery: str, made: Corrected, now: datetime) -> bool:
        """Hand over or push this instead, at once.  False: unknown, over, or under way.  Raises ValueError
        for a reason that is none."""
        return self._attest(lambda c, page: correcting.correct(c, delivery, made, now, page))

    def again(self, delivery: str, now: datetime, note: str) -> bool:
        """Send once more at once, arrived or not.  False: unknown, skipped, or under way."""
        return self._attest(lambda c, page: reviving.again(c, delivery, now, page, note))

    def pushes(self, deliveries: Sequence[Delivery]) -> tuple[dict[str, Outgoing], dict[str, str]]:
        """The messages that these carry, by outgoing id; other addresses for them, by delivery id."""
        return self._read(lambda c: reviving.pushes(c, deliveries))

    def standing(self, kind: str) -> Standing:
        """Which destinations fail as a whole and which are paused, of a kind (``push:``) or all ("")."""
        return self._read(lambda c: pausing.standing(c, kind))

    def pause(self, destination: str, now: datetime, who: str, why: str) -> bool:
        """Send nothing there.  False where that is so.  Raises ValueError for a reason that is none."""
        return self._attest(lambda c, page: pausing.pause(c, destination, now, who, why, page))

    def resume(self, destination: str, who: str, why: str) -> bool:
        """Send there again.  False where it is not paused.  Raises ValueError."""
        return self._attest(lambda c, page: pausing.resume(c, destination, who, why, page))

    def close_breaker(self, destination: str, who: str, why: str) -> bool:
        """Try a destination that fails with all that is due.  False where it does not fail.  Raises ValueError."""
        return self._attest(lambda c, page: pausing.close(c, destination, who, why, page))

    def serve(self, names: Sequence[str], owner: str, now: datetime, lease: timedelta) -> set[str]:
        """Take or keep those duties that no other node has, for as long as the lease; their names."""
        return self._write(lambda c: duties.serve(c, names, owner, now, lease))

    def lay_down(self, owner: str) -> None:
        """Let another node have at once what this one did for all."""
        self._write(lambda c: duties.lay_down(c, owner))

    def duties(self) -> dict[str, str]:
        """Who had each duty last."""
        return self._read(duties.owners)
