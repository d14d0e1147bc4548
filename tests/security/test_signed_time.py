"""The window between signing and receipt: asked where a message arrives, never of what was answered already."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import msgspec
import pytest

from gateway import security
from gateway.model import Submission
from gateway.security import Policy, Refused, check_age
from gateway.storage import Ledger
from tests.operations.knowledge import CARRIER, NOW, World, manifest
from tests.test_intake import Desk

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("home"))


@pytest.fixture
def desk(home: World, database_url: str) -> Iterator[Desk]:
    ledger = Ledger.open(database_url)
    yield Desk(home, ledger)
    ledger.close()


def sent(home: World, reference: str, received: timedelta = timedelta(0)) -> Submission:
    media_type, body = home.sealed(manifest(reference))
    return msgspec.structs.replace(home.submission(body, media_type, CARRIER), received_at=NOW + received)


def test_an_old_message_is_refused_at_the_door(home: World, desk: Desk) -> None:
    desk.now = NOW + 2 * DAY
    with pytest.raises(Refused) as caught:
        desk.submit(sent(home, "M-OLD", 2 * DAY))
    assert caught.value.code == "SIG214"
    assert desk.submit(sent(home, "M-NEW", timedelta(hours=23))).repeated is False


def test_a_repeat_of_what_was_answered_is_answered_again_however_late(home: World, desk: Desk) -> None:
    first = sent(home, "M-AGAIN")
    answer = desk.submit(first)
    desk.now = NOW + 5 * DAY
    late = msgspec.structs.replace(first, id=f"{first.id[:-1]}z", received_at=desk.now)
    again = desk.submit(late)
    assert again.repeated
    assert (again.submission, again.receipt) == (answer.submission, answer.receipt)


def test_a_message_judged_later_is_as_old_as_at_its_receipt(home: World) -> None:
    """As one that was held until its certificate could be asked after."""
    from gateway import inbound

    inspected = inbound.inspect(sent(home, "M-HELD"), home.handbook, NOW + 3 * DAY)
    assert inspected.verdict.reference == "M-HELD"


def verified_with(
    home: World,
    signed_at: datetime | None,
    stamped_at: datetime | None = None,
    carried: datetime | None = None,
) -> security.Verified:
    """A Verified whose times are what the test says: X's and our engines fill the same words."""
    media_type, body = home.sealed(manifest("M-TIME"))
    found = security.verify(body, media_type, home.handbook.trust, Policy(), NOW)
    from gateway.security.verified import SEAL, Verified

    signer = msgspec.structs.replace(found.signer, signed_at=signed_at, stamped_at=stamped_at)
    carrier = None if carried is None else msgspec.structs.replace(found.signer, signed_at=carried)
    return Verified(
        found.content, found.media_type, None, signer, found.envelope, found.proof, carrier, seal=SEAL
    )


@pytest.mark.parametrize(
    ("signed", "stamped", "carried", "code"),
    [
        (None, None, None, ""),
        (timedelta(hours=24), None, None, ""),
        (timedelta(hours=24, minutes=4), None, None, ""),  # within the clocks' difference
        (timedelta(hours=24, minutes=6), None, None, "SIG214"),
        (2 * DAY, timedelta(hours=1), None, ""),  # the stamp is what is known
        (timedelta(hours=1), 2 * DAY, None, "SIG214"),
        (3 * DAY, None, timedelta(hours=1), ""),  # signed on Friday, carried on Monday
        (timedelta(hours=1), None, 3 * DAY, "SIG214"),
    ],
)
def test_whose_time_counts(
    home: World, signed: timedelta | None, stamped: timedelta | None, carried: timedelta | None, code: str
) -> None:
    times = [None if age is None else NOW - age for age in (signed, stamped, carried)]
    found = verified_with(home, *times)
    if not code:
        check_age(found, Policy(), NOW)
        return
    with pytest.raises(Refused) as caught:
        check_age(found, Policy(), NOW)
    assert caught.value.code == code


def test_the_operator_may_take_any_age(home: World) -> None:
    check_age(verified_with(home, NOW - 400 * DAY), Policy(max_age=None), NOW)
