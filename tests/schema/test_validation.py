"""Our own schemas: samples, their faults, and the agreement of the deciding and the explaining engine."""

from __future__ import annotations

import copy
import threading
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from gateway import safexml
from gateway.mapping.tree import load_tree_table
from gateway.model import Severity
from gateway.model.finding import load_catalogue
from gateway.schema import MAX_FINDINGS, Schemas, grammar
from gateway.schema.derive import Deriver
from gateway.schema.files import parse

ROOT = Path(__file__).parents[2]
PACK = ROOT / "xsd" / "wco"
SAMPLES = ROOT / "tests" / "samples" / "wco"
SCHEMAS = Schemas.load([PACK])
CATALOGUE = load_catalogue(ROOT / "mappings" / "findings")
EXPECTED = tomllib.loads((SAMPLES / "broken" / "expected.toml").read_text(encoding="utf-8"))
VALID = sorted(p.stem for p in SAMPLES.glob("*.xml"))
TYPES = {
    "amendment": "IM",
    "cancellation": "IM",
    "cargo-export": "CRE",
    "cargo-import": "CRI",
    "conveyance": "CONV",
    "export": "EX",
    "import": "IM",
    "response": "RES",
    "transit": "TRT",
}


def sample(name: str) -> etree._Element:
    return safexml.parse((SAMPLES / f"{name}.xml").read_bytes())


@pytest.mark.parametrize("name", VALID)
def test_valid_samples_keep_their_schema(name: str) -> None:
    document = sample(name)
    entry = SCHEMAS.find(document)
    assert entry is not None
    assert entry.type == TYPES[name]
    assert entry.table == ("RES" if name == "response" else "DEC")
    assert SCHEMAS.validate(document, entry) == ()
    assert SCHEMAS.reference(document, entry)


def test_every_broken_sample_has_its_expectation() -> None:
    assert {p.stem for p in (SAMPLES / "broken").glob("*.xml")} == EXPECTED.keys()


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_broken_samples_are_told_where_and_why(name: str) -> None:
    document = sample(f"broken/{name}")
    entry = SCHEMAS.find(document)
    findings = (SCHEMAS.unknown(document),) if entry is None else SCHEMAS.validate(document, entry)
    wanted = EXPECTED[name]
    told = [f for f in findings if (f.code, f.place.xpath) == (wanted["code"], wanted["xpath"])]
    assert len(told) == 1, findings
    assert len(findings) == 1, findings
    line = told[0].place.line
    assert line > 0
    for language in ("en", "vi"):
        said = CATALOGUE.say(told[0], language)
        assert len(said) > 20
        assert "{expected}" not in said
        assert "{found}" not in said


def test_the_line_is_the_sender_s() -> None:
    text = (SAMPLES / "broken" / "negative-mass.xml").read_text(encoding="utf-8")
    line = next(n for n, t in enumerate(text.splitlines(), 1) if ">-8600<" in t)
    document = sample("broken/negative-mass")
    entry = SCHEMAS.find(document)
    assert entry is not None
    finding = SCHEMAS.validate(document, entry)[0]
    assert (finding.place.line, finding.expected, finding.found) == (line, ">= 0", "-8600")


def test_all_faults_are_told_in_one_go() -> None:
    text = (SAMPLES / "import.xml").read_text(encoding="utf-8")
    for before, after in (
        ("<FunctionCode>9", "<FunctionCode>8"),
        ("<CurrencyTypeCode>USD", "<CurrencyTypeCode>usd"),
        ("      <RateNumeric>26120</RateNumeric>\n", ""),
        ('unitCode="KGM">8600', ">8600"),
    ):
        assert before in text
        text = text.replace(before, after, 1)
    document = safexml.parse(text.encode())
    entry = SCHEMAS.find(document)
    assert entry is not None
    codes = sorted(f.code for f in SCHEMAS.validate(document, entry))
    assert codes == ["XML021", "XML026", "XML027", "XML029"]


def test_a_document_of_faults_only_is_told_in_bounds() -> None:
    document = sample("import")
    entry = SCHEMAS.find(document)
    assert entry is not None
    declaration = document[-1]
    information = next(declaration.iterchildren("{*}AdditionalInformation"))
    for _ in range(200):
        wrong = copy.deepcopy(information)
        wrong[0].text = ""
        information.addnext(wrong)
    findings = SCHEMAS.validate(document, entry)
    assert len(findings) == MAX_FINDINGS + 1
    assert {f.code for f in findings[:-1]} == {"XML037"}
    assert findings[-1].code == "XML035"
    assert findings[-1].severity is Severity.NOTE


def test_a_document_too_large_to_explain_is_told_in_the_deciding_engine_s_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(grammar, "MAX_EXPLAINED_ELEMENTS", 10)
    for name, expected in EXPECTED.items():
        document = sample(f"broken/{name}")
        entry = SCHEMAS.find(document)
        if entry is None:
            continue
        findings = SCHEMAS.validate(document, entry)
        assert findings, name
        assert all(f.place.xpath and f.place.line and f.found for f in findings), name
        same_kind = {"XML023": "XML022", "XML038": "XML022", "XML037": "XML026", "XML021": "XML021"}
        codes = {f.code for f in findings}
        assert codes & {expected["code"], same_kind.get(expected["code"], ""), "XML022"}, (name, findings)


def test_explaining_waits_for_the_first_failure() -> None:
    schemas = Schemas.load([PACK])
    document = sample("import")
    entry = schemas.find(document)
    assert entry is not None
    judge = schemas._grammars[entry.pack, entry.schema]
    schemas.validate(document, entry)
    assert judge._engine is None
    schemas.validate(sample("broken/bad-function"), entry)
    assert judge._engine is not None
    ready = Schemas.load([PACK], explain_at_once=True)
    assert all(g._engine is not None for g in ready._grammars.values())


def test_threads_do_not_mix_their_findings() -> None:
    names = [n for n in sorted(EXPECTED) if n not in ("unknown-root", "unknown-type")]
    wrong: list[str] = []

    def work(mine: list[str]) -> None:
        for name in mine * 5:
            document = sample(f"broken/{name}")
            entry = SCHEMAS.find(document)
            assert entry is not None
            findings = SCHEMAS.validate(document, entry)
            if [f.code for f in findings] != [EXPECTED[name]["code"]]:
                wrong.append(name)

    threads = [threading.Thread(target=work, args=(names[n::4],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@settings(max_examples=250, deadline=None)
@given(data=st.data())
def test_any_damage_is_judged_as_lxml_does_and_explained(data: st.DataObject) -> None:
    """One to three random changes to a valid sample: the verdict is lxml's, and a refusal has its reasons."""
    name = data.draw(st.sampled_from(VALID))
    document = sample(name)
    entry = SCHEMAS.find(document)
    assert entry is not None
    for _ in range(data.draw(st.integers(1, 3))):
        elements = [e for e in document.iter() if e is not document]
        _damage(data, data.draw(st.sampled_from(elements)), data.draw(st.sampled_from(elements)))
    document = safexml.parse(etree.tostring(document, encoding="utf-8"))
    valid = etree.XMLSchema(parse(PACK / entry.schema)).validate(document)
    findings = SCHEMAS.validate(document, entry)
    assert (findings == ()) == valid
    for finding in findings:
        assert finding.code in CATALOGUE.meanings
        assert finding.code != "XML034", finding
        assert finding.place.xpath.startswith("/MetaData")
        assert finding.place.line > 0


def _damage(data: st.DataObject, element: etree._Element, other: etree._Element) -> None:
    kind = data.draw(st.sampled_from(["drop", "twice", "text", "attribute", "rename", "move", "strip"]))
    parent = element.getparent()
    if parent is None:
        return
    if kind == "drop":
        parent.remove(element)
    elif kind == "twice":
        element.addnext(copy.deepcopy(element))
    elif kind == "text":
        element.text = data.draw(
            st.sampled_from(["", " ", "x", "-1", "9", "1,5", "1e3", "a" * 600, "20251301"])
        )
    elif kind == "attribute":
        element.set(
            data.draw(st.sampled_from(["currencyID", "unitCode", "formatCode", "listID", "bogus"])), "zz"
        )
    elif kind == "rename":
        element.tag = f"{{urn:wco:datamodel:WCO:DEC:3}}{data.draw(st.sampled_from(['ID', 'Name', 'Bogus']))}"
    elif kind == "move" and other is not element and element not in other.iterancestors():
        other.append(element)
    elif kind == "strip":
        element.attrib.clear()


@pytest.mark.parametrize(
    ("schema", "table", "body"),
    [
        ("goods-declaration.xsd", "dec", "Declaration"),
        ("cargo-report.xsd", "dec", "Declaration"),
        ("conveyance-report.xsd", "dec", "Declaration"),
        ("response.xsd", "res", "Response"),
    ],
)
def test_schema_and_table_say_the_same(schema: str, table: str, body: str, tmp_path: Path) -> None:
    """Every path of the schema is in the table, in the same order, with the same WCO id and repeats."""
    import xmlschema

    engine = xmlschema.XMLSchema10(str(PACK / schema), allow="local")
    ours = load_tree_table(ROOT / "mappings" / "wco" / f"{table}.toml")
    derived = Deriver(engine, {}).table("x", engine.maps.elements[_root()], body, "X")
    assert derived.notes == ()
    path = tmp_path / "derived.toml"
    path.write_text(derived.toml, encoding="utf-8")
    theirs = load_tree_table(path)
    seen = 0
    for pointer, row in theirs.paths():
        if not (pointer == body or pointer.startswith(f"{body}/")):
            continue
        mine = ours.row(pointer)
        assert mine is not None, pointer
        assert (mine.node is None) == (row.node is None), pointer
        assert mine.repeat == row.repeat, pointer
        assert mine.tag == row.tag, pointer
        assert mine.attributes == row.attributes, pointer
        if row.node is not None and mine.node is not None:
            names = [r.name for r in row.node.rows]
            assert names == [r.name for r in mine.node.rows if r.name in names], pointer
        seen += 1
    assert seen > 50


def _root() -> str:
    return "{urn:wco:datamodel:WCO:DocumentMetaData:3}MetaData"


def test_schema_ids_are_the_table_s() -> None:
    """wco:id of the schemas' elements against the table's ids, path by path from the type names."""
    ids = set()
    for path in sorted(PACK.glob("*.xsd")):
        for element in parse(path).iter("{http://www.w3.org/2001/XMLSchema}element"):
            wco_id = element.get("{urn:wco:datamodel:id}id")
            if wco_id:
                ids.add((element.get("name"), wco_id))
            for pair in element.get("{urn:wco:datamodel:id}ids", "").split():
                name, _, inner = pair.partition("=")
                ids.add((name, inner))
    known = set()
    for name in ("dec", "res"):
        table = load_tree_table(ROOT / "mappings" / "wco" / f"{name}.toml")
        known |= {(row.name, row.id) for _, row in table.paths()}
        known |= {(row.name, row.id) for row in table._root.node.rows}  # type: ignore[union-attr]
    assert len(ids) > 150
    assert ids - known == set()
