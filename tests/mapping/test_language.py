"""The loader: broken rows are all named at once, and good tables compile for every directory they serve."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path

import pytest

from gateway.mapping import load
from gateway.mapping.language import parse_at, parse_composite, parse_position, parse_selector

ROOT = Path(__file__).parents[2]

HEAD = """
message = "CUSCAR"
serves = ["D.99B"]
tree = "DEC"
root = "Declaration"
[kind]
default = "CRI"
"""


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(ROOT / "mappings/wco", tmp_path / "wco")
    (tmp_path / "edifact").mkdir()
    (tmp_path / "iso20022").mkdir()
    return tmp_path


def broken(folder: Path, find, text: str, name: str = "edifact/t.toml") -> list[str]:
    (folder / name).write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"t\.toml") as caught:
        load(folder, find)
    return str(caught.value).split("; ")


def row(at: str, wco: str = "TypeCode", id: str = "D013", more: str = "") -> str:
    return f'[[block]]\nrows = [{{ at = "{at}", wco = "{wco}", id = "{id}"{more} }}]\n'


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (row("XYZ 1001"), "XYZ is not in the group"),
        (row("GID 1496"), "GID is not in the group"),
        (row("BGM 9999"), "BGM has no 9999"),
        (row("BGM C106.1001"), "BGM has no C106.1001"),
        (row("NAD/NAD C080.3036[1-9]", more=', as = "lines"'), "NAD has no C080.3036"),
        (row("PAC/PAC 7224"), "0 groups here begin with PAC"),
        (row("DTM+QQQ 2380"), "QQQ is not in the code list 2005"),
        (row("BGM 1225", "Nothing", "017"), "no element Nothing"),
        (row("BGM 1225", "Agent", "05A"), "no element Agent"),
        (row("BGM 1225", "Nobody/ID", "R004"), "no class Nobody"),
        (row("BGM 1225", "FunctionCode", "018"), "the WCO id is 017, not 018"),
        (row("BGM 1225", more=', as = "python"'), "'python' is no conversion"),
        (row("BGM 1225", more=', as = "code nowhere"'), "no code table 'nowhere'"),
        (row("BGM 1225", more=', with = { weight = "1001" }'), "no attribute weight"),
        (row("BGM 1225", more=', with = { listID = "7777" }'), "BGM has no 7777"),
        (row("BGM 1225", more=', only = "write"'), "only `read`"),
        (row("BGM+"), "no segment"),
        (row("BGM one.two"), "no element or component"),
        ('[[block]]\nuse = ["nothing"]\n', "no part nothing"),
        ('[[block]]\ngroup = "CNI"\nentity = "Agent"\nid = "05A"\nrepeat = true\n', "Agent does not repeat"),
        ('[[block]]\ngroup = "CNI"\nentity = "Consignment"\nid = "99X"\nrepeat = true\n', "WCO id is 28A"),
        (row("", "TypeCode", "D013", ', as = "sequence"'), "only a sequence"),
        (row("FTX 4451", "TypeCode", "D013") + row("FTX{4453=1|2|3} 4451"), "is behind FTX"),
    ],
)
def test_a_broken_row_is_named(folder, find, rows, said):
    assert any(said in line for line in broken(folder, find, HEAD + rows))


def test_all_broken_rows_of_all_tables_are_named_at_once(folder, find):
    (folder / "edifact/u.toml").write_text(
        HEAD.replace("CUSCAR", "CUSDEC") + row("GID 1496"), encoding="utf-8"
    )
    lines = broken(folder, find, HEAD + row("XYZ 1001") + row("BGM 9999") + row("BGM 1225", "Nothing", ""))
    assert len(lines) == 4
    assert sum("t.toml" in line for line in lines) == 3
    assert sum("u.toml" in line for line in lines) == 1


def test_every_directory_is_checked(folder, find):
    lines = broken(
        folder,
        find,
        HEAD.replace('"D.99B"', '"D.96B", "D.99B"') + row("LOC+22 3225", "DeclarationOfficeID", "065"),
    )
    assert lines == ["t.toml: D.96B: CUSCAR: LOC+22 3225 = DeclarationOfficeID: LOC is not in the group"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"D.99B"', '"D.77A"', "no such directory"),
        ('"DEC"', '"NONE"', "no tree table NONE"),
        ('"CRI"', '"XXX"', "XXX is none"),
        ('"Declaration"', '"Response"', "the tree's body is Declaration"),
        ("[kind]", "[kid]", "kid"),
        ("[kind]", "[kind", "t.toml"),
    ],
)
def test_a_broken_head_is_named(folder, find, old, new, said):
    assert any(
        said in line
        for line in broken(folder, find, HEAD.replace(old, new) + row("BGM 1225", "FunctionCode", "017"))
    )


def test_a_code_list_missing_where_the_directory_has_none_is_no_fault(folder, find):
    (folder / "edifact/t.toml").write_text(HEAD + row("BGM 1225", "FunctionCode", "017"), encoding="utf-8")
    assert "CUSCAR:D:99B" in load(folder, find).names()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('wco = "FunctionCode", id = "017"', 'wco = "FunctionCode", id = "018"', "the WCO id is 017"),
        ('"Payment/StatusCode"', '"Payment/Nothing"', "no element Nothing"),
        ('as = "amount"', 'as = "sum"', "'sum' is no conversion"),
        ('from = ["Ntry/Sts/Cd", "Ntry/Sts/Prtry"]', 'from = ["Ntry//Cd"]', "is no path"),
        ('single = ["Ntry/Amt"]', 'single = ["Ntry/Sum"]', "not among the row's paths"),
        ('Tax = ["Dbtr", "RefNb"]', 'Tax = ["RefNb"]', "the order of Tax has no Dbtr"),
        ("[codes.direction]", "[codes.other]", "no code table 'direction'"),
        ('each = "DutyTaxFee"', 'each = "Fee"', "no class Fee"),
    ],
)
def test_a_broken_row_of_a_row_table_is_named(folder, find, old, new, said):
    text = (ROOT / "mappings/iso20022/camt.054.toml").read_text(encoding="utf-8")
    assert old in text
    assert any(said in line for line in broken(folder, find, text.replace(old, new, 1), "iso20022/t.toml"))


def test_the_shipped_tables_compile_for_every_directory_they_serve(mappings):
    names = mappings.names()
    assert {"DEC", "RES", "camt.054"} <= set(names)
    for path in (ROOT / "mappings/edifact").glob("*.toml"):
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        for served in table["serves"]:
            version, release = served.split(".")
            assert mappings.edifact(table["message"], version, release).name == path.stem


def test_an_unknown_message_has_no_table(mappings):
    assert mappings.edifact("CUSCAR", "D", "77Z") is None
    with pytest.raises(KeyError):
        mappings.xml("nothing")


def test_locators():
    assert parse_selector("NAD+CZ|OS").first.values == ("CZ", "OS")
    assert parse_selector("CTA+IC|*").first.any
    assert parse_selector("MEA+WT{6313=AAB,6411=KGM}").more[1].element == "6411"
    assert parse_composite("C246{1131=117}")[1][0].values == ("117",)
    assert parse_position("C080.3036[1-5]").end == 5
    assert parse_position("3128|3126").codes == ("3128", "3126")
    assert parse_at("RFF/NAD+CN C082.3039").groups == ("RFF",)


@pytest.mark.parametrize("text", ["nad", "NAD+", "NAD{", "MEA{6313}", "NAD CN"])
def test_a_selector_that_is_none(text):
    with pytest.raises(ValueError, match="is no"):
        parse_selector(text)


def test_every_finding_that_the_code_can_make_is_declared():
    declared = set(tomllib.loads((ROOT / "mappings/findings/mapping.toml").read_text(encoding="utf-8")))
    code = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "gateway/mapping").glob("*.py"))
    assert set(re.findall(r'"(MAP[0-9]{3})"', code)) == declared
