"""Registering partners with care, and shutting one out."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.model import Partner, Role
from gateway.operations import home as homes
from gateway.operations.presence import ADDRESS_FILE
from gateway.storage import Ledger
from tests.operations.shell import cvan

ADD = ("partner", "add", "anphat", "--name", "An Phat", "--role", "trader", "--subject", "CN=An Phat")


def test_a_suspended_partner_is_nobody_until_it_is_resumed(home: Path) -> None:
    cvan(*ADD, home=home)
    ledger = Ledger.open(f"sqlite:///{home / 'ledger.db'}")
    before = ledger.register_version()
    assert cvan("partner", "suspend", "anphat", home=home).code == 0
    assert ledger.register().by_subject("CN=An Phat") is None
    assert ledger.register_version() > before
    assert "(suspended)" in cvan("partner", "list", home=home).text
    assert cvan("partner", "show", "anphat", "--json", home=home).json()["active"] is False
    again = cvan(*ADD, home=home)
    assert "still suspended" in again.text
    assert ledger.register().by_subject("CN=An Phat") is None
    assert cvan("partner", "resume", "anphat", "--json", home=home).json() == {"id": "anphat", "active": True}
    assert ledger.register().by_subject("CN=An Phat") is not None
    ledger.close()


@pytest.mark.parametrize("name", ["suspend", "resume"])
def test_nobody_cannot_be_suspended(home: Path, name: str) -> None:
    said = cvan("partner", name, "nobody", home=home)
    assert (said.code, "no partner nobody" in said.err) == (2, True)


def test_replacing_says_so(home: Path) -> None:
    assert "anphat: registered" in cvan(*ADD, home=home).text
    assert "anphat: replaced" in cvan(*ADD, home=home).text


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("An Phat", "--subject", "CN=P"), "an id is"),
        (("../p", "--subject", "CN=P"), "an id is"),
        (("-p", "--subject", "CN=P"), ""),
        (("p" * 65, "--subject", "CN=P"), "an id is"),
        (("p", "--subject", "An Phat"), "RFC 4514"),
        (("p", "--subject", ""), "RFC 4514"),
        (("p", "--subject", "emailAddress=a@b"), "RFC 4514"),
        (("p", "--subject", "CN=P", "--push-url", "https://u:p@h/x"), "without credentials"),
        (("p", "--subject", "CN=P", "--push-url", "https://"), "https://HOST/PATH"),
        (("p", "--subject", "CN=P", "--push-url", "https://h/#x"), "https://HOST/PATH"),
        (("p", "--subject", "CN=P", "--max-bytes", "-5"), "x>=0"),
        (("p", "--subject", "CN=P", "--per-minute", "-1"), "x>=0"),
        (("p", "--subject", "CN=P", "--in-flight", "-1"), "x>=0"),
    ],
)
def test_what_is_no_registration_is_refused(home: Path, words: tuple[str, ...], named: str) -> None:
    said = cvan("partner", "add", *words, "--name", "P", "--role", "trader", home=home)
    assert (said.code, named in said.err) == (2, True)
    assert cvan("partner", "list", "--json", home=home).json() == []


def test_a_free_port_is_not_written_as_an_address(
    home: Path, tmp_path: Path, rewrite: Callable[[str, str, str], None]
) -> None:
    partner = Partner("anphat", "An Phat", (Role.TRADER,))
    rewrite("conf/gateway.toml", "port = 8443", "port = 0")

    def url() -> str:
        homes.issue_partner(home, partner, tmp_path / "anphat")
        return str(tomllib.loads((tmp_path / "anphat" / "partner.toml").read_text("utf-8"))["url"])

    assert url() == ""
    (home / ADDRESS_FILE).parent.mkdir(exist_ok=True)
    (home / ADDRESS_FILE).write_text("127.0.0.1:40123\n")
    assert url() == "https://localhost:40123"


def test_a_home_has_what_serves_and_nothing_for_building(home: Path) -> None:
    assert not list(home.rglob("constraints.txt"))
    assert re.search(r"(?m)^profile = ", (home / "conf" / "gateway.toml").read_text("utf-8"))


def test_an_agreement_is_recorded_and_replaced(home: Path) -> None:
    cvan(*ADD, home=home)
    said = cvan("partner", "agree", "anphat", "--tolerate", "EDI105", "--contrl", "errors", home=home)
    assert (said.code, "read on: EDI105" in said.text, "CONTRL: errors" in said.text) == (0, True, True)
    shown = cvan("partner", "show", "anphat", "--json", home=home).json()["edifact"]
    assert shown == {"tolerated": ["EDI105"], "acknowledging": "errors"}
    untyped = cvan("partner", "agree", "anphat", "--message", "CUSCAR:D:95B:UN", "--json", home=home).json()
    assert untyped["edifact"] == {"tolerated": ["EDI131"], "message": "CUSCAR:D:95B:UN"}
    assert cvan("partner", "agree", "anphat", "--json", home=home).json()["edifact"] == {}


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--tolerate", "EDI028"), "EDI028 cannot be tolerated"),
        (("--refuse", "EDI999"), "no finding has the code EDI999"),
        (("--message", "CUSCAR"), "no message identifier"),
        (("--guide", "nowhere"), "there is no guide nowhere"),
    ],
)
def test_an_agreement_that_cannot_be_kept_is_refused(
    home: Path, options: tuple[str, ...], named: str
) -> None:
    cvan(*ADD, home=home)
    said = cvan("partner", "agree", "anphat", *options, home=home)
    assert (said.code, named in said.err) == (2, True)
