"""What proves a partner, what was agreed with it, and how the register is looked through."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from gateway import transport
from gateway.model import Credential, Mandate, Partner, Role, Use
from gateway.operations import home as homes
from gateway.operations.cli.credentials import certificate_of
from gateway.operations.enrolling.checks import checked_credential
from gateway.operations.expiring import ExpiryWatch, buckets
from gateway.storage import Expiry, Ledger, LedgerUnavailable
from gateway.storage.revocation import Sighting
from tests.delivery.fakes import InlineCommits, done
from tests.model.strategies import fingerprint
from tests.operations.shell import cvan

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
ADD = ("partner", "add", "anphat", "--name", "Công ty An Phát", "--role", "trader", "--subject", "CN=An Phat")


@pytest.fixture
def books(home: Path) -> Iterator[Ledger]:
    opened = Ledger.open(f"sqlite:///{home / 'ledger.db'}", create=True)
    yield opened
    opened.close()


def issued(home: Path, tmp_path: Path, name: str, days: int = 365) -> Path:
    path = tmp_path / f"{name}.pem"
    homes.authority(home).issue(
        homes.subject(name, "anphat", "VN"), tmp_path / f"{name}.key", path, days=days, algorithm="p256"
    )
    return path


def test_certificates_are_registered_beside_each_other_and_end(
    home: Path, books: Ledger, tmp_path: Path
) -> None:
    cvan(*ADD, home=home)
    old, new = issued(home, tmp_path, "old", 5), issued(home, tmp_path, "new")
    said = cvan("partner", "certify", "anphat", old, "--use", "sign", home=home)
    assert said.code == 0, said.err
    assert "no subject proves it for sign" in said.text
    assert "it ends in" in said.text
    more = ("--use", "sign", "--from", "2026-01-01", "--algorithm", "ecdsa-sha256", "--note", "HSM 2")
    told = cvan("partner", "certify", "anphat", new, *more, "--json", home=home).json()
    assert (told["uses"], told["algorithms"], told["note"]) == (["sign"], ["ecdsa-sha256"], "HSM 2")
    assert told["active_from"] == "2026-01-01T00:00:00Z"
    found = books.partner("anphat")
    assert found is not None
    assert [c.subject.split(",")[0] for c in found.credentials] == ["CN=old", "CN=new"]
    assert all(c.certificate for c in found.credentials)
    assert "HSM 2" in cvan("partner", "show", "anphat", home=home).text
    head = found.credentials[0].fingerprint[:12]
    assert cvan("partner", "withdraw", "anphat", head, home=home).code == 0
    found = books.partner("anphat")
    assert found is not None
    assert found.credentials[0].active_to is not None
    assert found.credentials[0].certificate  # kept: it proves what was signed before
    assert cvan("partner", "withdraw", "anphat", head, "--remove", home=home).code == 0
    found = books.partner("anphat")
    assert found is not None
    assert len(found.credentials) == 1
    assert "there are: " in cvan("partner", "withdraw", "anphat", "00", home=home).err


def test_a_partner_may_begin_with_its_certificate(home: Path, books: Ledger, tmp_path: Path) -> None:
    path = issued(home, tmp_path, "first")
    add = ("partner", "add", "p", "--name", "P", "--role", "trader", "--certificate", path, "--json")
    told = cvan(*add, home=home).json()
    found = books.partner("p")
    assert found is not None
    assert [c.uses for c in found.credentials] == [(Use.TLS, Use.SIGN)]
    assert [c["fingerprint"] for c in told["credentials"]] == [found.credentials[0].fingerprint]
    assert "certificate" not in told["credentials"][0]


def test_a_certificate_proves_one_partner_only(home: Path, tmp_path: Path) -> None:
    cvan(*ADD, home=home)
    cvan("partner", "add", "b", "--name", "B", "--role", "van", "--subject", "CN=B", home=home)
    path = issued(home, tmp_path, "one")
    assert cvan("partner", "certify", "anphat", path, home=home).code == 0
    said = cvan("partner", "certify", "b", path, home=home)
    assert (said.code, "belongs to partner anphat" in said.err) == (2, True)


def test_a_certificate_is_registered_only_for_what_it_is_made_for(home: Path, tmp_path: Path) -> None:
    """Doors and proofs would refuse it, and its registration would shut out who is proven by subject."""
    cvan(*ADD, home=home)
    tls = tmp_path / "tls.pem"
    homes.authority(home).issue("CN=tls", tmp_path / "tls.key", tls, 365, "p256", ("van.example",))
    said = cvan("partner", "certify", "anphat", tls, "--use", "sign", home=home)
    assert said.code == 2
    assert "cannot be used for sign: by its extended key usage it is for tls, push" in said.err
    assert cvan("partner", "certify", "anphat", tls, "--json", home=home).json()["uses"] == ["tls"]
    assert cvan("partner", "certify", "anphat", tls, "--use", "push", home=home).code == 0
    add = (
        "partner",
        "add",
        "b",
        "--name",
        "B",
        "--role",
        "van",
        "--certificate",
        issued(home, tmp_path, "s"),
    )
    assert cvan(*add, home=home).code == 0
    assert cvan("partner", "show", "b", home=home).text.count(") tls sign: active") == 1


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (("--algorithm", "md5"), "no algorithm md5"),
        (("--from", "2027-01-01", "--until", "2026-01-01"), "ends before"),
    ],
)
def test_registrations_that_cannot_be(home: Path, tmp_path: Path, more: tuple[str, ...], why: str) -> None:
    cvan(*ADD, home=home)
    said = cvan("partner", "certify", "anphat", issued(home, tmp_path, "x"), *more, home=home)
    assert (said.code, why in said.err) == (2, True)
    (tmp_path / "none.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    assert "no certificate" in cvan("partner", "certify", "anphat", tmp_path / "none.pem", home=home).err


@pytest.mark.parametrize(
    ("slip", "why"),
    [
        (("--message", "CUSCARR"), "no message is called CUSCARR; there are CONV, CRE"),
        (("--message", "CUSCAR:D:99Z"), "CUSCAR is not in D.99Z; it is in D.94B-"),
        (("--outward", "import"), "no message is called import"),
        (("--channel", "http"), "there is no channel http; there are https"),
        (("--envelope", "xades"), "there is no envelope xades; there are xmldsig"),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else "",
)
def test_terms_that_nothing_could_meet(home: Path, slip: tuple[str, ...], why: str) -> None:
    cvan(*ADD, home=home)
    said = cvan("partner", "terms", "anphat", *slip, home=home)
    assert (said.code, why in said.err) == (2, True), said.err
    sound = (
        "--message",
        "CUSCAR:D:95B:UN",
        "--message",
        "camt.054",
        "--message",
        "RES",
        "--outward",
        "CUSRES",
    )
    assert cvan("partner", "terms", "anphat", *sound, home=home).code == 0


def test_terms_are_agreed_and_replaced(home: Path, books: Ledger) -> None:
    cvan(*ADD, home=home)
    more = ("--message", "IM", "--channel", "https", "--envelope", "xmldsig", "--profile", "v5")
    told = cvan("partner", "terms", "anphat", *more, "--json", home=home).json()
    assert told["terms"] == {
        "messages": ["IM"], "channels": ["https"], "envelopes": ["xmldsig"], "profiles": ["v5"]
    }  # fmt: skip
    times = ("--deadline", "IM=answer:2h", "--deadline", "IM=before-arrival:1d", "--deadline", "*=answer:30m")
    told = cvan("partner", "terms", "anphat", "--outward", "CUSRES", *times, "--json", home=home).json()
    assert told["terms"] == {
        "outward": ["CUSRES"],
        "deadlines": [{"message": "IM", "answer": 120, "before_arrival": 1_440}, {"answer": 30}],
    }
    for wrong in ("IM", "IM=answer:2", "IM=answer:0m", "IM=never:2h", "IM=answer:9999d"):
        said = cvan("partner", "terms", "anphat", "--deadline", wrong, home=home)
        assert (said.code, "a deadline" in said.err) == (2, True), wrong
    assert cvan("partner", "terms", "anphat", home=home).code == 0
    found = books.partner("anphat")
    assert found is not None
    assert found.terms.messages == ()


# -- looking through -----------------------------------------------------------------------------------


def many(books: Ledger) -> None:
    books.put_all(
        lambda: [
            [
                Partner(f"p{n:03d}", f"Đại lý số {n}", (Role.TRADER,), (f"{n:010d}",), (f"CN=P{n}",))
                for n in range(250)
            ]
        ]
    )


def test_partners_come_in_pages(home: Path, books: Ledger) -> None:
    many(books)
    first = cvan("partner", "list", home=home).text.splitlines()
    assert len(first) == 101
    assert first[-1] == "... of 250; go on with --after p099"
    seen, after = [], ""
    while page := cvan("partner", "list", "--after", after, "--limit", "60", "--json", home=home).json():
        seen += [p["id"] for p in page]
        after = seen[-1]
    assert seen == [f"p{n:03d}" for n in range(250)]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("dai ly 17", ["p017", "p117", "p170", "p171"]),
        ("ĐẠI LÝ 249", ["p249"]),
        ("0000000042", ["p042"]),
        ("cn=p7", ["p007"]),
        ("100%", []),
        ("p_01", []),
    ],
)
def test_partners_are_found_without_case_and_diacritics(
    home: Path, books: Ledger, words: str, found: list[str]
) -> None:
    many(books)
    page = cvan("partner", "list", "--search", words, "--json", home=home).json()
    assert [p["id"] for p in page][: len(found)] == found
    assert bool(page) is bool(found)


def test_mandates_come_in_pages_and_those_that_hold(home: Path, books: Ledger) -> None:
    mandates = [
        Mandate(f"m{n:03d}", f"p{n % 5}", "p9", revoked_at=NOW - DAY if n % 2 else None) for n in range(30)
    ]
    books.put_all(lambda: [mandates])
    listed = cvan("mandate", "list", "--agent", "p1", "--json", home=home).json()
    assert [m["id"] for m in listed] == [f"m{n:03d}" for n in range(1, 30, 5)]
    valid = cvan("mandate", "list", "--principal", "p9", "--valid", "--limit", "3", home=home).text
    assert valid.splitlines()[-1] == "... go on with --after m004"
    assert "revoked" not in valid
    assert cvan("mandate", "show", "m001", "--json", home=home).json()["agent"] == "p1"
    assert "no mandate" in cvan("mandate", "show", "x", home=home).err


# -- what ends -----------------------------------------------------------------------------------------


def ending(number: int, days: float, *more: Credential, id: str = "p") -> Partner:
    mine = Credential(fingerprint(number), expires_at=NOW + days * DAY)
    return Partner(id, id.upper(), (Role.TRADER,), (id,), credentials=(mine, *more))


def test_what_ends_and_nothing_replaces_is_told(home: Path, books: Ledger) -> None:
    successor = Credential(fingerprint(99), expires_at=NOW + 400 * DAY)
    books.put_partner(ending(1, 5, id="soon"))
    books.put_partner(ending(2, 5, successor, id="replaced"))
    books.put_partner(msgspec.structs.replace(ending(3, 5, id="stopped"), active=False))
    books.put_partner(ending(4, -2, id="over"))
    books.put_partner(ending(5, 300, id="later"))
    books.put_partner(msgspec.structs.replace(ending(6, 300, id="windowed")))
    told = cvan("partner", "list", "--expiring", "60", "--json", home=home).json()
    assert [(e["partner"], e["what"], e["days"]) for e in told] == [
        ("over", "credential", -3),
        ("soon", "credential", 4),
    ]
    text = cvan("partner", "list", home=home).text
    assert "! certificate 0000000000000000 ends in 4 days" in text
    assert "has ended" in text
    shown = cvan("partner", "show", "soon", "--json", home=home).json()
    assert [e["days"] for e in shown["expiring"]] == [4]
    assert cvan("partner", "list", "--expiring", "3", "--json", home=home).json()[-1]["partner"] == "over"


def test_certificates_that_were_seen_are_told_until_a_later_one_is(home: Path, books: Ledger) -> None:
    books.put_partner(Partner("p", "P", (Role.TRADER,), ("p",), ("CN=P",)))

    def seen(number: int, days: int, use: str = "sign") -> None:
        one = Sighting(fingerprint(number), b"", b"", "CN=P", NOW + days * DAY, use)
        books.sight([one], NOW)

    seen(1, 10)
    seen(2, 10, "tls")
    assert [(e.partner, e.what) for e in books.expiring(NOW, NOW + 60 * DAY)] == [("p", "seen")] * 2
    seen(3, 400)
    assert [e.fingerprint for e in books.expiring(NOW, NOW + 60 * DAY)] == [fingerprint(2)]
    registered = Credential(fingerprint(4), (Use.TLS, Use.SIGN), expires_at=NOW + 300 * DAY)
    books.put_partner(Partner("p", "P", (Role.TRADER,), ("p",), ("CN=P",), credentials=(registered,)))
    assert books.expiring(NOW, NOW + 60 * DAY) == []


def test_the_figures_and_the_log_say_what_ends(books: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    for number, days in enumerate((-1, 3, 6, 20, 50, 90)):
        books.put_partner(ending(number, days, id=f"p{number}"))
    metrics, clock = transport.Metrics(), [NOW]
    commits = InlineCommits(books)
    watch = ExpiryWatch(commits, metrics, lambda: clock[0])  # type: ignore[arg-type]
    with caplog.at_level(logging.WARNING, "gateway.expiry"):
        done(watch.count())
        assert len(caplog.records) == 5
        assert vars(caplog.records[0])["partner"] == "p0"
        done(watch.count())
        assert len(caplog.records) == 5  # once a day
        clock[0] += DAY
        done(watch.count())
        assert len(caplog.records) == 10
    figures = metrics.exposition().decode()
    for within, number in (("ended", 1), ("7d", 2), ("30d", 3), ("60d", 4)):
        assert f'cvan_partner_certificate_expires{{within="{within}"}} {number}.0' in figures
    commits.failing["expiring"] = LedgerUnavailable("gone")
    done(watch.count())  # goes on


def test_a_bucket_holds_those_before_it() -> None:
    ends = [Expiry("p", "f", "seen", NOW + timedelta(days=d)) for d in (0, 7, 8, 61)]
    assert buckets(ends, NOW) == {"ended": 1, "7d": 1, "30d": 2, "60d": 2}


@pytest.mark.parametrize(
    ("window", "why"),
    [
        (("--from", "2190-01-01"), "its window begins"),
        (("--until", "2190-01-01"), "its window ends"),
        (("--from", "2026-01-01", "--until", "2190-01-01"), "its window ends"),
    ],
)
def test_a_window_lies_within_its_certificate(
    home: Path, books: Ledger, tmp_path: Path, window: tuple[str, ...], why: str
) -> None:
    cvan(*ADD, home=home)
    path = issued(home, tmp_path, "mine")
    said = cvan("partner", "certify", "anphat", path, *window, home=home)
    assert (said.code, why in said.err, "certificate itself ends at 20" in said.err) == (2, True, True)
    found = books.partner("anphat")
    assert found is not None
    assert found.credentials == ()


def test_a_certificate_that_has_ended_is_not_registered_but_may_be_withdrawn(
    home: Path, books: Ledger, tmp_path: Path
) -> None:
    path = tmp_path / "old.pem"
    homes.authority(home).issue(
        homes.subject("old", "anphat", "VN"),
        tmp_path / "old.key",
        path,
        days=1,
        algorithm="p256",
        not_before=NOW - 9 * DAY,
        not_after=NOW - 2 * DAY,
    )
    cvan(*ADD, home=home)
    said = cvan("partner", "certify", "anphat", path, home=home)
    assert (said.code, "ended at" in said.err) == (2, True)
    der = certificate_of(path)
    partner = books.partner("anphat")
    assert partner is not None
    ended = checked_credential(Credential("", certificate=der))
    books.put_partner(msgspec.structs.replace(partner, credentials=(ended,)))
    told = cvan("partner", "withdraw", "anphat", ended.fingerprint[:12], "--json", home=home)
    assert told.code == 0, told.err
    assert told.json()["active_to"] == told.json()["expires_at"]


def test_a_partner_is_shown_in_plain_words(home: Path, books: Ledger, tmp_path: Path) -> None:
    """Names and values, not how a program writes them."""
    cvan(*ADD, "--identifier", "0100109106", "--identifier", "VN9", "--per-minute", "60", home=home)
    cvan("partner", "certify", "anphat", issued(home, tmp_path, "mine"), home=home)
    cvan("partner", "terms", "anphat", "--message", "IM", "--channel", "https", home=home)
    cvan("partner", "agree", "anphat", "--tolerate", "EDI105", "--contrl", "errors", home=home)
    text = cvan("partner", "show", "anphat", home=home).text
    assert not set("{}[]'") & set(text)
    lines = text.splitlines()
    assert lines[:5] == [
        "id: anphat",
        "name: Công ty An Phát",
        "roles: trader",
        "identifiers: 0100109106, VN9",
        "subjects: CN=An Phat",
    ]
    assert {"limits.per_minute: 60", "terms.messages: IM", "terms.channels: https"} <= set(lines)
    assert {"edifact.tolerated: EDI105", "edifact.acknowledging: errors", "active: yes"} <= set(lines)
    assert sum(line.startswith("active:") for line in lines) == 1
    assert any(line.startswith("certificate: ") for line in lines)
    cvan("partner", "suspend", "anphat", home=home)
    shown = cvan("partner", "show", "anphat", home=home).text.splitlines()
    assert [line for line in shown if line.startswith("active:")] == ["active: no"]
    told = cvan("partner", "show", "anphat", "--json", home=home).json()
    assert (told["active"], told["identifiers"]) == (False, ["0100109106", "VN9"])
