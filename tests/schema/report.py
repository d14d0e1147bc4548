"""Public customs schemas and samples against the gateway: verdicts and round trips, counted.

``python -m tests.schema.report`` prints the shares; the acceptance test asks the same functions.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
from lxml import etree

from gateway import safexml
from gateway.mapping.tree import TreeTable, load_tree_table
from gateway.model.finding import worst
from gateway.schema import Schemas, add_pack

ROOT = Path(__file__).parents[2]
CORPUS = Path(os.environ.get("CVAN_CORPUS", ROOT.parent / "shared" / "corpus")) / "customs-xml"

DEC = "urn:wco:datamodel:WCO:DEC-DMS:2"
RES = "urn:wco:datamodel:WCO:RES-DMS:2"
META = "urn:wco:datamodel:WCO:DocumentMetaData-DMS:2"
WCO = {"MetaData", "DocumentMetaData", "Declaration", "Response"}


class Source(msgspec.Struct, frozen=True):
    """A public pack: where its schemas and samples are, and which files a judge of ours compiles."""

    name: str
    schemas: str
    samples: tuple[str, ...]
    judge: tuple[tuple[str, str], ...]


SOURCES = (
    Source(
        "hmrc",
        "hmrc_customs-declarations",
        ("hmrc_customs-declarations", "hmrc_customs-declarations-information", "hmrc_wco-dec"),
        (
            (META, "v3/schemas/wco/declaration/DocumentMetaData_2_DMS.xsd"),
            (DEC, "v3/schemas/wco/declaration/WCO_DEC_2_DMS.xsd"),
            (RES, "v3/schemas/wco/notification/WCO_RES_2_DMS.xsd"),
        ),
    ),
    Source(
        "wco-dec",
        "hmrc_wco-dec/src/main",
        ("hmrc_wco-dec",),
        (
            (META, "resources/wco/declaration/DocumentMetaData_2_DMS.xsd"),
            (DEC, "resources/wco/declaration/WCO_DEC_2_DMS.xsd"),
        ),
    ),
    Source(
        "stub",
        "hmrc_customs-declarations-stub",
        ("hmrc_customs-declarations-stub",),
        (
            (META, "schemas/DocumentMetaData_2_DMS.xsd"),
            (DEC, "schemas/WCO_DEC_2_DMS.xsd"),
            (RES, "schemas/WCO_RES_2_DMS.xsd"),
        ),
    ),
    Source(
        "exports",
        "hmrc_customs-declare-exports",
        ("hmrc_customs-declare-exports",),
        (
            (META, "declaration/DocumentMetaData_2_DMS.xsd"),
            (DEC, "declaration/WCO_DEC_2_DMS.xsd"),
            (RES, "notification/WCO_RES_2_DMS.xsd"),
        ),
    ),
)


class Case(msgspec.Struct, frozen=True):
    """One sample: lxml's verdict and ours, and whether what was read is written as it was."""

    sample: str
    lxml: bool
    ours: bool
    entry: str
    same: bool = False
    told: bool = False


def cases(source: Source, home: Path) -> Iterator[Case]:
    """Install the pack and judge every well-formed WCO sample, ours beside plain lxml."""
    _tables(home)
    added = add_pack(source.name, CORPUS / source.schemas, home)
    schemas = Schemas.load([added.folder])
    tables = {t.name: t for t in map(load_tree_table, added.tables)}
    judge = plain(source)
    for path, document in samples(source):
        entry = schemas.find(document)
        ours = entry is not None and not worst(schemas.validate(document, entry))
        verdict = judge.validate(document)
        same = told = False
        if ours and entry is not None:
            same, told = round_trip(document, tables[entry.table])
        yield Case(path.name, verdict, ours, "" if entry is None else entry.name, same, told)


def _tables(home: Path) -> None:
    folder = home / "mappings" / "wco"
    folder.mkdir(parents=True)
    for name in ("dec.toml", "res.toml"):
        shutil.copy(ROOT / "mappings" / "wco" / name, folder)


def plain(source: Source) -> etree.XMLSchema:
    """lxml's schema of the pack's own files and nothing of ours."""
    base = CORPUS / source.schemas
    imports = "".join(f'<xs:import namespace="{n}" schemaLocation="{base / f}"/>' for n, f in source.judge)
    text = f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">{imports}</xs:schema>'
    return etree.XMLSchema(etree.fromstring(text))


def samples(source: Source) -> Iterator[tuple[Path, etree._Element]]:
    """Well-formed XML whose root is of the WCO vocabulary, with or without its namespace."""
    for folder in source.samples:
        for path in sorted((CORPUS / folder).rglob("*")):
            if path.suffix.lower() not in (".xml", ".raw") or not path.is_file():
                continue
            try:
                document = safexml.parse(path.read_bytes())
            except safexml.XmlRefused:
                continue
            if safexml.local_name(document) in WCO:
                yield path, document


def round_trip(document: etree._Element, table: TreeTable) -> tuple[bool, bool]:
    """(written as it was read, every difference is told by a finding with its path)."""
    reading = table.read(document)
    tree, *more = (*(d.root for d in reading.declarations), *reading.responses)
    same = canonical(table.write(tree, reading.header, more)) == canonical(document)
    told = bool(reading.findings) and all(f.place.xpath for f in reading.findings)
    return same, told


def canonical(root: etree._Element) -> bytes:
    """Exclusive canonical XML without comments, hints to validators, prefixes' spelling and the white
    space between elements."""
    copy = etree.Element(root.tag)
    _copy(root, copy)
    etree.cleanup_namespaces(copy)
    return etree.tostring(copy, method="c14n", exclusive=True, with_comments=False)


def _copy(source: etree._Element, target: etree._Element) -> None:
    for name, value in source.items():
        if not str(name).startswith(f"{{{safexml.XSI_NS}}}"):
            target.set(name, value)
    children = [child for child in source if isinstance(child.tag, str)]
    target.text = _kept(source.text, bool(children))
    for child in children:
        inner = etree.SubElement(target, child.tag)
        _copy(child, inner)
        inner.tail = _kept(child.tail, True)


def _kept(text: str | None, between: bool) -> str | None:
    return None if between and not (text or "").strip() else text or None


def lines(name: str, found: list[Case]) -> Iterator[str]:
    """The shares, one line each."""
    count = Counter[str]()
    for case in found:
        count["agreed"] += case.ours == case.lxml
        count["valid"] += case.ours
        count["same"] += case.same
        count["told"] += case.ours and not case.same and case.told
        count["unknown"] += not case.entry
    total = len(found)
    yield (
        f"{name}: {total} WCO samples; verdict as lxml's {count['agreed']}/{total}"
        f" ({_share(count['agreed'], total)}); valid {count['valid']}, of no known type {count['unknown']}"
    )
    yield (
        f"{name}: round trip equal {count['same']}/{count['valid']} ({_share(count['same'], count['valid'])}),"
        f" loss told {count['told']}"
    )


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def main() -> None:
    for source in SOURCES:
        with tempfile.TemporaryDirectory() as home:
            for line in lines(source.name, list(cases(source, Path(home)))):
                print(line)


if __name__ == "__main__":
    main()
