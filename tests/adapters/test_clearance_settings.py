"""The configuration: the shipped one holds, a broken one names every fault."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from clearance_samples import CONF, config

from adapters.clearance import ConfigBroken, load
from adapters.clearance.money import say
from adapters.clearance.statements import PLACES, Sentence, Statements, join
from gateway.model.finding import load_catalogue


def broken(tmp_path: Path, **changes: tuple[str, str]) -> str:
    """What loading says after replacing texts, by file."""
    folder = tmp_path / "clearance"
    shutil.copytree(CONF, folder)
    for name, (old, new) in changes.items():
        path = folder / f"{name}.toml"
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigBroken) as caught:
        load(folder)
    assert str(caught.value) == "; ".join(caught.value.errors)
    return "\n".join(caught.value.errors)


def test_the_shipped_configuration_holds() -> None:
    shipped = config()
    assert 20 <= len(shipped.tariff.lines) <= 60
    assert say(shipped.tariff.rates["JPY"]) == "168.5"
    assert set(shipped.statements.sentences) == set(PLACES)


def test_every_sentence_is_said_in_both_languages() -> None:
    statements = config().statements
    for key, places in PLACES.items():
        en, vi = statements.say(key, **dict.fromkeys(places, "@"))
        assert en != vi
        assert not any(not c.isascii() for c in en)
        assert any(not c.isascii() for c in vi), f"{key}: Vietnamese has diacritics"


def test_every_finding_of_the_office_is_in_the_catalogue() -> None:
    catalogue = load_catalogue(Path(__file__).parents[2] / "mappings" / "findings")
    room = Path(__file__).parents[2] / "adapters" / "clearance"
    import re

    used = {c for p in room.glob("*.py") for c in re.findall(r'"(CLR\d{3})"', p.read_text(encoding="utf-8"))}
    declared = {code for code in catalogue.meanings if code.startswith("CLR")}
    assert used == declared


def test_terms_end_with_the_day_at_the_office() -> None:
    late = datetime(2026, 3, 1, 18, 0, tzinfo=UTC)  # the 2nd in Vietnam
    limit = config().limit(late, 5)
    assert limit == datetime(2026, 3, 7, 16, 59, 59, tzinfo=UTC)
    assert config().day(limit) == "2026-03-07"


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("office", 'country = "VN"', 'country = "Vn"', "office.country"),
        ("office", '"DEM1"', '"DEM"', "office.registration_code"),
        ("office", 'currency = "VND"', 'currency = "dong"', "office.currency"),
        ("office", '"VNDEMO01"', '""', "office.id"),
        ("office", "Asia/Ho_Chi_Minh", "Asia/Atlantis", "office.time_zone"),
        ("office", '"DEMOVNVX"', '"DEMO"', "payment.bank"),
        ("office", 'account = "', 'account = "VN97DEMO0000000000000001" # ', "check digits"),
        ("office", 'account = "', 'account = "" # ', "payment.account: 1 to 35"),
        ("office", "days = 30", "days = -1", "payment.days"),
        ("office", "minimum = 50000", "minimum = nan", "payment.minimum"),
        ("office", "minimum = 50000", 'minimum = "much"', "office.toml: payment"),
        ("office", "limit = 5000000000", "limit = 0", "guarantee BL-DEMO-0001"),
        ("office", "before_payment = true", "before_payment = 1", "office.toml: release"),
        ("office", "[release]", "[relase]", "relase: unknown table"),
        ("office", "[payment]", "[payment", "office.toml: "),
        ("office", "[[guarantee]]", "[guarantee]", "write [[guarantee]]"),
        (
            "office",
            "[[guarantee]]",
            '[[guarantee]]\nreference = "BL-DEMO-0001"\nprincipal = "x"\nlimit = 1\n[[guarantee]]',
            "reference is written twice",
        ),
        ("risk", 'when = [{ path = "Origin/CountryCode", country = ["KP"] }]', "when = []", "when is empty"),
        ("risk", 'name = "waste-and-scrap"', 'name = "arms-and-ammunition"', "used twice"),
        ("risk", 'channel = "red"', 'channel = "blue"', "risk.toml: [[criterion]] number 1"),
        ("risk", 'channel = "red"', 'channel = "green"', "must be yellow or red"),
        ("risk", 'channel = "red"', 'channel = "red"\nscore = 1', "exactly one of"),
        ("risk", 'action = "do-not-load"\nst', 'channel = "red"\nst', "cargo reports need an action"),
        ("risk", 'kinds = ["IM"]', 'kinds = ["PAY"]', "kinds must be"),
        ("risk", 'kinds = ["IM", "EX", "TRT"]', 'kinds = ["IM", "CRI"]', "a criterion of their own"),
        ("risk", 'channel = "red"', 'action = "do-not-load"', "actions are for cargo"),
        ("risk", 'each = "Consignment/ConsignmentItem"', 'each = "GoodsShipment"', "begin with Consignment"),
        ("risk", 'path = "Commodity/Classification/ID"', 'path = "Commodity/[1]"', "no path"),
        ("risk", 'each = "GoodsShipment/', 'each = "Goods Shipment/', "each is no path"),
        ("risk", 'country = ["KP"]', 'country = ["kp"]', "two capitals"),
        ("risk", 'country = ["KP"]', "country = []", "operand is empty"),
        ("risk", 'country = ["KP"]', 'equals = "KP", missing = true', "exactly one operator"),
        ("risk", "above = 5000000000", "above = inf", "no number"),
        ("risk", 'statement = "Waste or scrap: physical inspection."', 'statement = ""', "statement and"),
        ("risk", 'name = "waste-and-scrap"', 'name = "random-selection"', "reserved"),
        ("risk", "yellow = 50", "yellow = 500", "0 < yellow <= red"),
        ("risk", "yellow = 0", "yellow = 101", "percentages"),
        ("tariff", 'hs = "0303"', 'hs = "0201"', "written twice"),
        ("tariff", 'hs = "0303"', 'hs = "03o3"', "2 to 12 digits"),
        ("tariff", "duty = 14", "duty = -1", "rates must be"),
        ("tariff", "duty = 14", "duty = nan", "rates must be"),
        ("tariff", "duty = 14", "", "tariff.toml: [[line]] number 1"),
        ("tariff", "{ 300 = 0, 310", "{ 301 = 0, 310", "no regime"),
        ("tariff", "amount = 2000, ", "amount = -1, ", "amount from zero"),
        ("tariff", 'type = "ENV"', 'type = "E"', "three capitals"),
        ("tariff", 'type = "ADD"', 'type = "add"', "three capitals"),
        ("tariff", 'hs = ["7210", "7225"]', "hs = []", "measure"),
        ("tariff", "USD = 25400", "USD = 0", "above zero"),
        ("tariff", "USD = 25400", "VND = 1", "not a foreign"),
        ("statements", "[green]", "[grene]", "green: the sentence is missing"),
        ("statements", "[green]", "[grene]", "grene: unknown table"),
        ("statements", "under {registration}.", "under {mrn}.", "{mrn} is never filled"),
        ("statements", "under {registration}.", "under {registration!r}.", "never filled"),
        ("statements", "under {registration}.", "under {registration", "registered.en"),
        ("statements", '"Registered under {registration}."', '" "', "the text is empty"),
    ],
)
def test_a_fault_is_named(tmp_path: Path, file: str, old: str, new: str, said: str) -> None:
    assert said in broken(tmp_path, **{file: (old, new)})


def test_some_documents_must_be_wanted(tmp_path: Path) -> None:
    text = (CONF / "office.toml").read_text(encoding="utf-8")
    wanted = text[text.index("wanted = [") : text.index("[release]")]
    assert "name at least one document" in broken(tmp_path, office=(wanted, "wanted = []\n"))


def test_a_salt_is_needed_where_something_is_drawn(tmp_path: Path) -> None:
    folder = tmp_path / "drawing"
    shutil.copytree(CONF, folder)
    path = folder / "risk.toml"
    text = path.read_text(encoding="utf-8").replace('salt = "change-this-salt"', "")
    path.write_text(text, encoding="utf-8")
    assert load(folder).criteria.sampling.salt == ""
    path.write_text(text.replace("yellow = 0", "yellow = 2.5"), encoding="utf-8")
    with pytest.raises(ConfigBroken, match="salt"):
        load(folder)


def test_all_faults_of_all_files_are_listed_at_once(tmp_path: Path) -> None:
    said = broken(
        tmp_path,
        office=('country = "VN"', 'country = "X"'),
        risk=('country = ["KP"]', 'country = ["xx"]'),
        tariff=("duty = 14", "duty = 9999"),
        statements=("[green]", "[verde]"),
    )
    for word in ("office.country", "two capitals", "line 0201", "green: the sentence is missing"):
        assert word in said


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigBroken) as caught:
        load(tmp_path)
    said = str(caught.value)
    assert all(f"{name}.toml" in said for name in ("office", "risk", "tariff", "statements"))


def test_statements_stay_within_the_data_model() -> None:
    statements = Statements({"held": Sentence("Held: {reason}", "Giữ: {reason}")})
    assert all(len(text) == 512 for text in statements.say("held", reason="x" * 600))
    joined = join(("a" * 300, "b" * 300), ("c" * 300, "d"))
    assert joined == ("a" * 300, "b" * 300 + " d")
