"""Who may do what, as it changes while the gateway runs: partners, mandates, tokens, knowledge."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.model import Form, Kind, Mandate, Partner, Role
from tests.journeys.town import (
    AN_PHAT,
    BY_TOKEN,
    CUU_LONG,
    DAI_NAM,
    LAPTOPS,
    VAN,
    Town,
    text_of,
    until,
)

KNOWN_WITHIN = 2.0
"""Seconds in which a running gateway knows what the command line changed."""


def within(seconds: float, holds: Callable[[], bool]) -> None:
    began = time.monotonic()
    until(holds, seconds + 10)
    assert time.monotonic() - began < seconds + 1.0  # a second for a slow machine


def test_a_token_serves_where_mutual_tls_does_not(town: Town) -> None:
    client = town.token_client()
    answer = client.submit(town.signed(BY_TOKEN, LAPTOPS))
    assert (answer.status, answer.outcome) == (200, "accepted")
    until(lambda: any(e["kind"] == "registered" for e in client.entries()))
    assert town.client(BY_TOKEN).status(answer.submission).status == 200  # the same partner by its key


def test_a_token_does_not_replace_the_signature(town: Town) -> None:
    answer = town.token_client().submit(town.declaration(BY_TOKEN, LAPTOPS))
    assert (answer.status, answer.codes) == (403, ["SIG001"])


def test_a_new_partner_is_known_to_a_running_gateway(town: Town) -> None:
    newcomer = Partner("newcomer", "Newcomer Trading Co.", (Role.TRADER,), ("0101245172",))
    folder = town.folder(newcomer)
    arguments = ("--name", newcomer.name, "--role", "trader", "--identifier", "0101245172")
    said = town.cvan("partner", "add", newcomer.id, *arguments, "--issue", folder)
    assert said.code == 0, said.err
    client = town.new_client(newcomer)
    within(KNOWN_WITHIN, lambda: client.mailbox().status == 200)
    answer = client.submit(town.signed(newcomer, LAPTOPS))
    assert answer.outcome == "accepted"


def test_a_partner_is_shut_out_while_it_is_suspended(town: Town) -> None:
    leaver = town.enrol(Partner("leaver", "Leaver Trading Co.", (Role.TRADER,), ("0101246190",)))
    client = town.new_client(leaver)
    until(lambda: client.mailbox().status == 200)
    assert town.cvan("partner", "suspend", leaver.id).code == 0
    within(KNOWN_WITHIN, lambda: client.mailbox().status == 401)
    # Nor does its signature count when somebody else brings it.
    refused = town.client(AN_PHAT).submit(town.signed(leaver, LAPTOPS))
    assert (refused.status, refused.codes) == (403, ["PAR001"])
    assert town.cvan("partner", "resume", leaver.id).code == 0
    within(KNOWN_WITHIN, lambda: client.mailbox().status == 200)


def test_a_mandate_counts_from_its_registration_to_its_revocation(town: Town) -> None:
    van = town.client(VAN)

    def outcome() -> str:
        return van.submit(town.signed(DAI_NAM, LAPTOPS)).outcome

    assert outcome() == "rejected"
    added = town.cvan("mandate", "add", VAN.id, DAI_NAM.id, "--type", "IM", "--json")
    assert added.code == 0, added.err
    try:
        within(KNOWN_WITHIN, lambda: outcome() == "accepted")
    finally:
        revoked = town.cvan("mandate", "revoke", added.json()["id"])
    assert revoked.code == 0
    within(KNOWN_WITHIN, lambda: outcome() == "rejected")


def test_a_mandate_of_another_kind_or_time_does_not_count(town: Town) -> None:
    principal = town.enrol(Partner("pasthap", "Past Hap Co.", (Role.TRADER,), ("0101248150",)))
    past = datetime(2020, 1, 1, tzinfo=UTC)
    kinds = (Kind.IMPORT.value,)
    town.ledger.put_mandate(Mandate("past", VAN.id, principal.id, kinds, None, past))
    town.ledger.put_mandate(Mandate("kind", VAN.id, principal.id, (Kind.EXPORT.value,)))
    until(lambda: town.new_client(principal).mailbox().status == 200)
    assert town.client(VAN).submit(town.signed(principal, LAPTOPS)).outcome == "rejected"


def test_a_mandate_is_for_its_types_at_its_offices_and_ends_at_once(town: Town) -> None:
    """Each of the four is said by the command line while the gateway runs, and told to who filed."""
    principal = town.enrol(Partner("offices", "Offices Co.", (Role.TRADER,), ("0101249164",)))
    until(lambda: town.new_client(principal).mailbox().status == 200)
    van = town.client(VAN)
    office = re.search(rb"<DeclarationOfficeID[^>]*>([^<]+)<", town.declaration(principal, LAPTOPS))
    assert office is not None
    here = office[1].decode()

    def filed() -> tuple[str, str]:
        answer = van.submit(town.signed(principal, LAPTOPS))
        return answer.outcome, answer.body.decode()

    def mandated(*options: str) -> str:
        added = town.cvan("mandate", "add", VAN.id, principal.id, *options, "--json")
        assert added.code == 0, added.err
        identity: str = added.json()["id"]
        return identity

    elsewhere = mandated("--type", "IM", "--office", "99ZZ")
    within(KNOWN_WITHIN, lambda: f"{elsewhere} is for IM at 99ZZ" in filed()[1])
    other = mandated("--type", "EX", "--office", here)
    until(lambda: other in town.cvan("mandate", "list", "--principal", principal.id).text)
    assert filed()[0] == "rejected"
    right = mandated("--type", "IM", "--office", here, "--office", "99ZZ")
    within(KNOWN_WITHIN, lambda: filed()[0] == "accepted")
    assert town.cvan("mandate", "revoke", right).code == 0
    outcome, said = filed()  # the very next one: no process takes anything by it any more
    assert outcome == "rejected"
    assert f"{right} was revoked at" in said


# -- knowledge ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def rewritten(town: Town, path: Path, old: str, new: str) -> Iterator[None]:
    """A file of the home with other words, and the gateway told; both ways."""
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")
    town.gateway.hang_up()
    try:
        yield
    finally:
        path.write_text(text, "utf-8")
        town.gateway.hang_up()


def said_on_receipt(town: Town, padding: int = 0) -> str:
    document = town.declaration(AN_PHAT, LAPTOPS)
    document = document.replace(b"<GoodsShipment>", b"<GoodsShipment>" + b" " * padding)
    answer = town.client(AN_PHAT).submit(town.sign(document, AN_PHAT))
    assert answer.outcome == "accepted"
    return text_of(answer.body, "AdditionalInformation/StatementDescription")


@pytest.mark.parametrize("town", ["sqlite"], indirect=True)
def test_knowledge_is_reloaded_on_sighup_without_restart(town: Town) -> None:
    sayings = town.home / "mappings" / "profiles" / "decisions.toml"
    before, new = "Received; customs will answer.", "Received on the second try."
    assert said_on_receipt(town) == before
    pid = town.gateway.pid
    with rewritten(town, sayings, before, new):
        until(lambda: said_on_receipt(town) == new)
        # So large that a worker process judges it: that one knows it too.
        assert said_on_receipt(town, padding=300_000) == new
    until(lambda: said_on_receipt(town) == before)
    assert said_on_receipt(town, padding=300_000) == before
    assert town.gateway.pid == pid


@pytest.mark.parametrize("town", ["sqlite"], indirect=True)
def test_broken_knowledge_leaves_the_old_in_use(town: Town) -> None:
    sayings = town.home / "mappings" / "profiles" / "decisions.toml"
    log = len(town.gateway.log())
    with rewritten(town, sayings, 'text = "Received; customs will answer."', "text = broken"):
        until(lambda: "knowledge not reloaded" in town.gateway.log()[log:])
        assert said_on_receipt(town) == "Received; customs will answer."
    until(lambda: "knowledge reloaded" in town.gateway.log()[log:])


def test_a_trader_cannot_hand_on_what_is_not_its_own(town: Town) -> None:
    """An agent with a mandate for everything may still not report cargo in a trader's name."""
    agent = town.enrol(Partner("allagent", "Agent For All Co.", (Role.CARRIER,), ("ALLAGENT",)))
    town.ledger.put_mandate(Mandate("all", agent.id, CUU_LONG.id, form=Form.AGENT))
    until(lambda: town.new_client(agent).mailbox().status == 200)
    own = CUU_LONG.identifiers[0]
    interchange = town.manifest([town.bill()], sender="ALLAGENT", carrier=own)
    body, media_type = town.sealed(interchange, agent)
    answer = town.new_client(agent).submit(body, media_type)
    assert answer.outcome == "rejected"
    told = town.new_client(agent).status(answer.submission).json()
    assert [f["code"] for f in told["messages"][0]["findings"] if f["code"].startswith("PAR")] == ["PAR004"]
