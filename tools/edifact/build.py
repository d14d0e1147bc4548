"""Makes the tables of ``xsd/edifact/un`` and ``xsd/edifact/service`` from copies of the directories."""

from __future__ import annotations

import re
from pathlib import Path

import click
import msgspec

from gateway.model.edifact import ComponentUse, ElementUse
from gateway.operations.directories.release import open_release, reachable, tables_of
from gateway.syntax.tables import Tables, plain
from gateway.syntax.tablewriter import write_tables
from tools.edifact.mend import Mending, Pair, formats
from tools.edifact.xmlarchive import Copy, Uses, XmlArchive

ORIGINALS = "unece_original_zips"
NOTE = "Made by tools/edifact; the format is told in ../README.md."

SERVICE = {"S.1": "Service_V1", "S.2": "Service_V2", "S.3": "Service_V3", "S.4": "Service_V4"}
# Service lists that are complete and closed; the others (0001, 0002, 0007, 0065 ...) are decided in code.
SERVICE_LISTS = ("0025", "0029", "0073", "0081", "0083", "0085", "0135", "0805", "0813")
# Lists of one value that the XML of syntax 1 to 3 leaves out.
SERVICE_CODES = {"0029": frozenset("A"), "0073": frozenset("CF"), "0081": frozenset("DS")}
# Syntax 4.1 has S017 between S016 and S018 of UNH, and repeats these composites in UNO and UCM.
S017 = (
    ComponentUse("0121", True, "an..14"),
    *(ComponentUse(number, False, "an..3") for number in ("0122", "0124", "0051")),
)
SERVICE_REPEATS = {("UNO", "S020"): 99, ("UNO", "S021"): 99, ("UCM", "S020"): 99}
# The XML has no repeats of security's composites, and leaves out 0543 of USC (ISO 9735-5, -6, -9 and -10).
SERVICE_REPEATS |= {("USH", "S500"): 2, ("USA", "S503"): 9, ("USC", "S500"): 2, ("USC", "S505"): 5}
SERVICE_REPEATS |= {("USC", "S501"): 4, ("USR", "S508"): 2, ("USY", "S508"): 2, ("USL", "S504"): 9}
REPERTOIRE = ElementUse("0543", False, 1, "an..3")
INTERACTIVE = "UI"


def originals(folder: Path) -> dict[str, Tables]:
    """Every original at hand, by name."""
    found = (
        tables_of(open_release(path.read_bytes())) for path in sorted((folder / ORIGINALS).glob("*.zip"))
    )
    return {tables.name: tables for tables in found}


def directories(archive: XmlArchive, known: dict[str, Tables], loud: bool = False) -> list[Tables]:
    """Every UN directory, oldest first: the original where there is one, else the XML, mended."""
    copies = {f"{name[0]}.{name[1:]}": archive.copy(name) for name in archive.names()}
    order = list(copies)
    pairs = {
        name: Pair(tables, copies[name], formats(copies[name].segments)) for name, tables in known.items()
    }
    return [known.get(name) or _mended(name, copies[name], pairs, order, loud) for name in order]


def _mended(name: str, copy: Copy, pairs: dict[str, Pair], order: list[str], loud: bool) -> Tables:
    here = order.index(name)
    nearest = sorted(pairs, key=lambda other: (abs(order.index(other) - here), order.index(other)))
    mending = Mending(name, copy, [pairs[other] for other in nearest])
    tables = reachable(mending.tables())
    if loud:
        told = ", ".join(f"{count} {what}" for what, count in sorted(mending.told.items()))
        click.echo(f"{name}: {told}")
        for line in mending.open:
            click.echo(f"  uncertain: {line}")
    return tables


def service_directories(archive: XmlArchive) -> list[Tables]:
    """The service segments and messages of syntax versions 1 to 4, those of interactive exchange left out."""
    return [_service(archive, name) for name in SERVICE]


def _service(archive: XmlArchive, name: str) -> Tables:
    copy = archive.copy(SERVICE[name])
    segments = {
        tag: _service_uses(name, tag, uses)
        for tag, uses in copy.segments.items()
        if not tag.startswith(INTERACTIVE)
    }
    elements = formats(segments)
    composites = {use.code: use.components for uses in segments.values() for use in uses if use.components}
    short, parts = plain(segments, composites, elements)
    lists = archive.codes(f"D96B/service_codes_v{'4' if name == 'S.4' else '3'}.xml")
    codes = SERVICE_CODES | {number: lists[number] for number in SERVICE_LISTS if lists.get(number)}
    whole = Tables(
        name, messages=copy.messages, segments=short, composites=parts, elements=elements, codes=codes
    )
    return reachable(whole)


def _service_uses(name: str, tag: str, uses: Uses) -> Uses:
    found = [
        msgspec.structs.replace(
            use,
            repeat=SERVICE_REPEATS.get((tag, use.code), 1),
            components=tuple(_widened(name, part) for part in use.components),
        )
        for use in uses
    ]
    if (name, tag) == ("S.4", "UNH"):
        found.insert(5, ElementUse("S017", False, 1, "", S017))
    if tag == "USC":
        found.insert([use.code for use in found].index("0507") + 1, REPERTOIRE)
    return tuple(found)


def _widened(name: str, part: ComponentUse) -> ComponentUse:
    """Syntax 1 writes 0052 and 0054 as n..3, yet names of directories such as 96A under it are the rule."""
    if name == "S.1" and part.code in ("0052", "0054"):
        return ComponentUse(part.code, part.required, "an..3")
    return part


def build(source: Path, target: Path, loud: bool = False) -> None:
    """Write both sets.  Raises FileNotFoundError where the material is not at hand."""
    archive = XmlArchive(source)
    for folder, tables in (
        ("un", directories(archive, originals(source), loud)),
        ("service", service_directories(archive)),
    ):
        (target / folder).mkdir(parents=True, exist_ok=True)
        _clear(target / folder)
        write_tables(target / folder, tables, NOTE)


def _clear(folder: Path) -> None:
    for path in folder.glob("messages/*.txt"):
        if re.fullmatch("[A-Z0-9]{6}", path.stem):
            path.unlink()
