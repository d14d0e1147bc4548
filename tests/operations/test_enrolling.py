"""Partners and mandates in files: what goes out comes in again, and what is broken is told by its line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model import Form, Mandate, Partner, Role
from gateway.operations.enrolling import FORMATS, Row, read, write
from gateway.operations.enrolling.checks import Broken, checked_mandate, checked_partner, own_id
from gateway.operations.enrolling.files import FORMULA, Format, What, bare, guarded, parted
from gateway.storage import Ledger
from tests.model.strategies import MANDATES, NOW, PARTNERS, fingerprint
from tests.operations.shell import Said, cvan

AN_PHAT = Partner("anphat", "Công ty An Phát", (Role.TRADER,), ("0100109106",), ("CN=An Phat",))
VAN = Partner("vanlink", "VAN Link", (Role.VAN,), ("VANLINK",), ("CN=VAN",))
MANDATE = Mandate("vanlink.anphat.1", "vanlink", "anphat", ("IM", "EX"), offices=("18A3",), form=Form.BOTH)


def written(form: Format, what: What, values: list[Any]) -> str:
    out = io.StringIO(newline="")
    assert write(out, form, what, values) == len(values)
    return out.getvalue()


def came(text: str, form: Format, what: What) -> list[Row]:
    return list(read(io.StringIO(text, newline=""), form, what))


@pytest.mark.parametrize("form", FORMATS)
@settings(deadline=None, max_examples=150)
@given(values=st.lists(PARTNERS, max_size=3) | st.lists(MANDATES, max_size=3))
def test_what_goes_out_comes_in_again(form: Format, values: list[Any]) -> None:
    what: What = type(values[0]) if values else Partner
    text = written(form, what, values)
    rows = came(text, form, what)
    assert [row.why for row in rows] == [""] * len(values)
    assert [row.value for row in rows] == values
    lines = text.split("\n")
    for row in rows:
        head = lines[row.line - 1] if form == "toml" else ""
        assert form == "csv" or head.startswith("[[")


@given(st.text())
def test_no_cell_is_a_formula_and_each_is_itself_again(text: str) -> None:
    cell = guarded(text)
    assert not cell or cell[0] not in FORMULA
    assert bare(cell) == text


@given(st.lists(st.text(), min_size=1))
def test_values_of_a_cell_are_parted_as_they_were_joined(values: list[str]) -> None:
    joined = ";".join(v.replace("\\", "\\\\").replace(";", "\\;") for v in values)
    assert parted(joined) == values


@pytest.mark.parametrize("start", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\uff1d1"])
def test_a_spreadsheet_finds_no_formula(start: str) -> None:
    """CSV formula injection: a name that a spreadsheet would run."""
    text = written("csv", Partner, [msgspec.structs.replace(AN_PHAT, name=start)])
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert rows[1][1] == "'" + start
    assert came(text, "csv", Partner)[0].value == msgspec.structs.replace(AN_PHAT, name=start)


@pytest.mark.parametrize(
    ("form", "text", "line", "why"),
    [
        ("toml", '[[partner]]\nid = "a"\nname = "A"\nrolls = ["van"]\n', 1, "no field rolls"),
        ("toml", '\n# x\n[[partner]]\nid = "a"\n', 3, "name"),
        ("toml", '[[partner]]\nid = "a"\nname = 5\n', 1, "Expected `str`"),
        ("toml", '[[partner]]\nid = "a"\nname = "A"\nroles = ["king"]\n', 1, "king"),
        ("toml", '[[partner]]\nid = "a\n', 1, "line 2"),
        ("toml", 'id = "a"\n', 1, "[[partner]]"),
        ("toml", '[[mandate]]\nagent = "a"\nprincipal = "b"\n', 1, "[[partner]]"),
        ("toml", f'[[partner]]\nid = "a"\nname = {"[" * 5_000}\n', 1, ""),
        ("toml", '[[partner]]\nid = "a"\nname = "A"\n[partner.limits]\nmax = 5\n', 1, "no field limits.max"),
        ("toml", '[[partner]]\nid = "a"\nname = "A"\ncredentials = [{ fingerprnt = "" }]\n', 1, "fingerprnt"),
        ("csv", "id,nam\n", 1, "names the columns"),
        ("csv", "", 1, "names the columns"),
        ("csv", "id,name\na\n", 2, "2 columns"),
        ("csv", "id,name\na,A\n\nb,B,C\n", 4, "3 are here"),
        ("csv", 'id,name\na,"A\nB"\nb\n', 4, "2 columns"),
        ("csv", "id,name,active\na,A,perhaps\n", 2, "bool"),
        ("csv", "id,name,limits\na,A,{\n", 2, "Expecting"),
        ("csv", f"id,name,limits\na,A,{'[' * 100_000}\n", 2, ""),
        ("csv", 'id,name\na,"A', 2, "unexpected end"),
    ],
)
def test_a_broken_row_is_told_by_its_line(form: Format, text: str, line: int, why: str) -> None:
    broken = [row for row in came(text, form, Partner) if row.value is None]
    assert [(row.line, why in row.why) for row in broken] == [(line, True)]
    assert broken[0].why


def test_a_row_after_a_broken_one_is_read() -> None:
    text = '[[partner]]\nid = 5\n[[partner]]\nid = "b"\nname = "B"\n'
    assert [row.value is None for row in came(text, "toml", Partner)] == [True, False]
    assert [row.value is None for row in came("id,name\na\nb,B\n", "csv", Partner)] == [True, False]


def test_a_spreadsheet_may_part_columns_by_semicolons() -> None:
    (row,) = came('id;name;roles\na;A;"van;port"\n', "csv", Partner)
    assert row.value == Partner("a", "A", (Role.VAN, Role.PORT))


# -- checks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"id": "An Phat"}, "an id is"),
        ({"name": " "}, "a name has"),
        ({"name": "x" * 501}, "a name has"),
        ({"name": "An\0Phat"}, "control character"),
        ({"identifiers": ("0100109106\n",)}, "control character"),
        ({"roles": ()}, "a role"),
        ({"language": "fr"}, "en or vi"),
        ({"types": ("XX",)}, "no type XX"),
        ({"push_url": "http://x"}, "https://HOST/PATH"),
        ({"subjects": ("An Phat",)}, "RFC 4514"),
        ({"subjects": ("CN=P", "CN=P")}, "there twice"),
        ({"token_digest": "secret"}, "SHA-256"),
        ({"subjects": (), "identifiers": ("X",)}, "nothing proves it"),
        ({"identifiers": ("",)}, "not empty"),
    ],
)
def test_partners_that_cannot_be(change: dict[str, Any], why: str) -> None:
    with pytest.raises(Broken, match=why):
        checked_partner(msgspec.structs.replace(AN_PHAT, **change))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"agent": "anphat"}, "no mandate"),
        ({"agent": ""}, "ids of partners"),
        ({"types": ("XX",)}, "no type XX"),
        ({"offices": ("18 A3",)}, "office"),
        ({"valid_from": NOW, "valid_to": NOW}, "ends before"),
        ({"valid_to": NOW.replace(tzinfo=None)}, "time zone"),
        ({"id": "a b"}, "mandate's id"),
    ],
)
def test_mandates_that_cannot_be(change: dict[str, Any], why: str) -> None:
    with pytest.raises(Broken, match=why):
        checked_mandate(msgspec.structs.replace(MANDATE, **change))


def test_a_tax_code_alone_may_prove_and_a_mandate_without_id_gets_one() -> None:
    assert checked_partner(msgspec.structs.replace(AN_PHAT, subjects=())).subjects == ()
    nameless = msgspec.structs.replace(MANDATE, id="")
    assert checked_mandate(nameless).id == own_id(MANDATE) == own_id(nameless)
    assert own_id(msgspec.structs.replace(MANDATE, types=())) != own_id(MANDATE)


# -- the commands --------------------------------------------------------------------------------------


@pytest.fixture
def books(home: Path) -> Iterator[Ledger]:
    opened = Ledger.open(f"sqlite:///{home / 'ledger.db'}", create=True)
    yield opened
    opened.close()


def put_in(home: Path, what: What, text: str, *more: str, form: str = "toml") -> Said:
    name = "partner" if what is Partner else "mandate"
    path = home.parent / f"{name}s.{form}"
    path.write_text(text, "utf-8")
    return cvan(name, "import", path, *more, home=home)


@pytest.mark.parametrize("form", FORMATS)
def test_the_register_goes_out_and_in(home: Path, books: Ledger, form: Format, tmp_path: Path) -> None:
    assert put_in(home, Partner, written(form, Partner, [AN_PHAT, VAN]), form=form).code == 0
    said = put_in(home, Mandate, written(form, Mandate, [MANDATE]), "--json", form=form)
    assert said.json() == {
        "rows": 1,
        "broken": [],
        "added": 1,
        "replaced": 0,
        "stay_revoked": 0,
        "stay_suspended": 0,
    }
    assert books.partners() == [AN_PHAT, VAN]
    assert books.mandates() == [MANDATE]
    for name, what, values in (("partner", Partner, [AN_PHAT, VAN]), ("mandate", Mandate, [MANDATE])):
        path = tmp_path / f"out.{form}"
        assert cvan(name, "export", path, home=home).code == 0
        assert path.stat().st_mode & 0o777 == 0o600
        assert [row.value for row in came(path.read_text("utf-8"), form, what)] == values
        again = cvan(name, "import", path, "--json", home=home).json()
        assert (again["added"], again["replaced"]) == (0, len(values))
    assert cvan("partner", "export", "-", "--format", form, home=home).text == written(
        form, Partner, [AN_PHAT, VAN]
    )


def test_all_or_nothing_and_every_broken_row_is_told(home: Path, books: Ledger) -> None:
    other = msgspec.structs.replace(VAN, id="other")
    text = written("toml", Partner, [AN_PHAT, VAN, other]) + '\n[[partner]]\nid = "x"\n'
    said = put_in(home, Partner, text)
    assert said.code == 1
    assert "vanlink's, further up" in said.err
    assert [line.split(":")[0] for line in said.err.splitlines()] == ["line 15", "line 22"]
    assert books.partners() == []
    said = put_in(home, Partner, text, "--skip-broken", "--json")
    assert (said.code, said.json()["added"], len(said.json()["broken"])) == (1, 2, 2)
    assert books.partners() == [AN_PHAT, VAN]


def test_a_dry_run_changes_nothing(home: Path, books: Ledger) -> None:
    said = put_in(home, Partner, written("csv", Partner, [AN_PHAT]), "--dry-run", form="csv")
    assert (said.code, "1 of 1" in said.text, "1 of them new" in said.text) == (0, True, True)
    assert books.partners() == []
    assert books.register_version() == 0


def test_what_the_ledger_would_refuse_is_told_before(home: Path, books: Ledger) -> None:
    books.put_partner(VAN)
    said = put_in(home, Partner, written("toml", Partner, [AN_PHAT, msgspec.structs.replace(VAN, id="v2")]))
    assert "belongs to partner vanlink" in said.err
    said = put_in(home, Mandate, written("toml", Mandate, [MANDATE]))
    assert (said.code, "line 1: not registered: anphat" in said.err) == (1, True)
    assert books.partners() == [VAN]


def test_keys_may_change_hands_only_one_after_the_other(home: Path, books: Ledger) -> None:
    books.put_partner(VAN)
    renamed = msgspec.structs.replace(VAN, name="VAN Link JSC", subjects=("CN=VAN 2",))
    assert put_in(home, Partner, written("toml", Partner, [renamed])).code == 0
    assert books.partner("vanlink") == renamed


@pytest.mark.parametrize(
    ("content", "name", "why"),
    [
        (b"\xff\xfe", "x.toml", "UTF-8"),
        (b"id,name\n\xe9,x\n", "x.csv", "UTF-8"),
        (b"", "x.txt", "--format"),
    ],
)
def test_files_that_are_none(home: Path, tmp_path: Path, content: bytes, name: str, why: str) -> None:
    (tmp_path / name).write_bytes(content)
    said = cvan("partner", "import", tmp_path / name, home=home)
    assert (said.code, why in said.err, "Traceback" in said.err) == (2, True, False)


def test_a_byte_order_mark_is_no_part_of_the_first_column(home: Path, tmp_path: Path, books: Ledger) -> None:
    (tmp_path / "x.csv").write_bytes(b"\xef\xbb\xbfid,name,roles,subjects\nanphat,An,trader,CN=An\n")
    assert cvan("partner", "import", tmp_path / "x.csv", home=home).code == 0
    assert [p.id for p in books.partners()] == ["anphat"]


def test_credentials_travel_with_their_certificates(home: Path, books: Ledger, tmp_path: Path) -> None:
    folder = tmp_path / "anphat"
    add = ("partner", "add", "anphat", "--name", "An Phat", "--role", "trader", "--issue", folder)
    assert cvan(*add, home=home).code == 0
    assert cvan("partner", "certify", "anphat", folder / "signing.crt.pem", home=home).code == 0
    (before,) = books.partners()
    assert before.credentials[0].certificate
    for form in FORMATS:
        path = tmp_path / f"x.{form}"
        assert cvan("partner", "export", path, home=home).code == 0
        text = path.read_text("utf-8").replace(before.credentials[0].fingerprint, fingerprint(1))
        path.write_text(text, "utf-8")
        said = cvan("partner", "import", path, home=home)
        assert "fingerprint is" in said.err  # the certificate says what it is
    assert books.partners() == [before]


# -- what an operator ended or stopped -----------------------------------------------------------------

REVOKED = NOW.replace(microsecond=0)


@pytest.mark.parametrize("form", FORMATS)
def test_no_import_revives_a_revoked_mandate(home: Path, books: Ledger, form: Format) -> None:
    """A file from before the revocation, or one that sets it later, changes nothing of it."""
    books.put_all(lambda: [[AN_PHAT, VAN], [MANDATE]])
    books.revoke_mandate(MANDATE.id, REVOKED)
    later = msgspec.structs.replace(MANDATE, revoked_at=REVOKED.replace(year=REVOKED.year + 1))
    earlier = msgspec.structs.replace(MANDATE, revoked_at=REVOKED.replace(year=REVOKED.year - 1))
    for row in (MANDATE, later):
        said = put_in(home, Mandate, written(form, Mandate, [row]), "--json", form=form)
        assert (said.code, said.json()["replaced"], said.json()["stay_revoked"]) == (0, 1, 1)
        found = books.mandate(MANDATE.id)
        assert found is not None
        assert found.revoked_at == REVOKED
    said = put_in(home, Mandate, written(form, Mandate, [MANDATE]), form=form)
    assert "1 stays revoked" in said.text
    said = put_in(home, Mandate, written(form, Mandate, [earlier]), "--json", form=form)
    assert said.json()["stay_revoked"] == 0
    assert books.mandate(MANDATE.id) == earlier


@pytest.mark.parametrize("form", FORMATS)
def test_no_import_lets_a_suspended_partner_in_unless_its_row_says_so(
    home: Path, books: Ledger, form: Format
) -> None:
    stopped = msgspec.structs.replace(AN_PHAT, active=False)
    books.put_all(lambda: [[stopped, VAN]])
    text = written(form, Partner, [msgspec.structs.replace(AN_PHAT, name="An Phat 2"), VAN])
    said = put_in(home, Partner, text, "--json", form=form)
    assert (said.json()["replaced"], said.json()["stay_suspended"]) == (2, 1)
    assert books.partner("anphat") == msgspec.structs.replace(stopped, name="An Phat 2")
    said = put_in(home, Partner, text, form=form)
    assert "1 stays suspended" in said.text
    says = text.replace("name = ", "active = true\nname = ", 1) if form == "toml" else _activated(text)
    said = put_in(home, Partner, says, "--json", form=form)
    assert (said.code, said.json()["stay_suspended"]) == (0, 0)
    found = books.partner("anphat")
    assert found is not None
    assert found.active
    assert put_in(home, Partner, written(form, Partner, [stopped]), form=form).code == 0
    assert books.partner("anphat") == stopped


def _activated(text: str) -> str:
    """The CSV with ``true`` in the cell ``active`` of its first row."""
    names, *rows = list(csv.reader(io.StringIO(text, newline="")))
    rows[0][names.index("active")] = "true"
    out = io.StringIO(newline="")
    csv.writer(out).writerows([names, *rows])
    return out.getvalue()


def test_a_dry_run_tells_what_would_stay_ended(home: Path, books: Ledger) -> None:
    books.put_all(lambda: [[msgspec.structs.replace(AN_PHAT, active=False), VAN], [MANDATE]])
    books.revoke_mandate(MANDATE.id, REVOKED)
    said = put_in(home, Mandate, written("toml", Mandate, [MANDATE]), "--dry-run")
    assert "1 stays revoked" in said.text
    said = put_in(home, Partner, written("toml", Partner, [AN_PHAT]), "--dry-run")
    assert "1 stays suspended" in said.text


def test_the_journal_has_what_an_import_left_as_it_was(books: Ledger, home: Path) -> None:
    """Entries tell what was written, not what a file said: else the journal would not agree with the register."""
    books.put_all(lambda: [[AN_PHAT, VAN], [MANDATE]])
    books.revoke_mandate(MANDATE.id, REVOKED)
    assert put_in(home, Mandate, written("toml", Mandate, [MANDATE])).code == 0
    told: list[object] = []
    books.audit(told.append, lambda *_: "", lambda *_: "")
    assert told == []
