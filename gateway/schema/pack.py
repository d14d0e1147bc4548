"""Taking an operator's folder of schemas into use: copied, paired, compiled, and its tree tables derived."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import xmlschema

from gateway.schema import survey
from gateway.schema.derive import Deriver, known_ids
from gateway.schema.grammar import Grammar
from gateway.schema.survey import Pairing

MAX_PACK_BYTES = 256 * 1024 * 1024

_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}\Z")


class Added(msgspec.Struct, frozen=True):
    """What ``add_pack`` made: the pack's folder, its entries' names, its tables, and what was left out."""

    folder: Path
    entries: tuple[str, ...]
    tables: tuple[Path, ...]
    notes: tuple[str, ...]


def add_pack(name: str, source_folder: Path, into: Path) -> Added:
    """Take an authority's schemas into a home.

    Copies the folder's XSDs to ``into/xsd/NAME``, finds its documents (a ``MetaData`` wrapper around
    ``Declaration`` or ``Response``, or these alone), derives ``into/mappings/wco/NAME-ENTRY.toml``
    with the WCO ids of the tables already there, and writes ``pack.toml``.  All or nothing.
    Raises ValueError saying what to mend.
    """
    if not _NAME.match(name):
        raise ValueError(f"{name}: a pack's name is lower-case letters, digits and hyphens, at most 32")
    target = into / "xsd" / name
    if target.exists():
        raise ValueError(f"{target} is there already: remove it or choose another name")
    (into / "xsd").mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=into / "xsd"))
    try:
        _copy(source_folder, made)
        pairings, notes = survey.pairings(made)
        tables = into / "mappings" / "wco"
        entries = list(_entries(name, made, pairings, known_ids(tables), notes))
        if not entries:
            why = "; ".join(notes) or "no XSD declares a Declaration or a Response"
            raise ValueError(f"{source_folder}: no schema could be taken into use: {why}")
        (made / "pack.toml").write_text(_pack_toml(name, entries), encoding="utf-8")
        written = _write_tables(tables, entries)
        made.chmod(0o755)
        made.rename(target)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return Added(target, tuple(e.pairing.name for e in entries), written, tuple(notes))


class _Entry(msgspec.Struct, frozen=True):
    pairing: Pairing
    root: str
    namespace: str
    table: str
    toml: str


def _copy(source: Path, made: Path) -> None:
    """Copy the regular XSD files, folders kept.  Raises ValueError where there is none or too much."""
    if not source.is_dir():
        raise ValueError(f"{source} is no folder")
    files = sorted(p for p in source.rglob("*") if p.suffix.lower() == ".xsd" and p.is_file())
    files = [p for p in files if not p.is_symlink()]
    if not files:
        raise ValueError(f"{source} holds no .xsd file; name the folder that the authority's schemas are in")
    size = sum(p.stat().st_size for p in files)
    if size > MAX_PACK_BYTES:
        raise ValueError(f"{source}: {size} octets of schemas, more than {MAX_PACK_BYTES}")
    for path in files:
        copy = made / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())


def _entries(
    pack: str, folder: Path, pairings: Sequence[Pairing], ids: dict[str, str], notes: list[str]
) -> Iterator[_Entry]:
    """Each pairing compiled and its table derived; what does not compile is noted."""
    for pairing in pairings:
        if pairing.driver:
            (folder / pairing.schema).write_text(pairing.driver, encoding="utf-8")
        try:
            Grammar.load(folder / pairing.schema, folder)
        except ValueError as error:
            notes.append(f"{pairing.name}: left out: {error}")
            continue
        schema = xmlschema.XMLSchema10(str(folder / pairing.schema), validation="lax", allow="local")
        root = schema.maps.elements.get(pairing.root)
        if root is None:
            notes.append(f"{pairing.name}: left out: {pairing.schema} does not lead to {pairing.root}")
            continue
        table = f"{pack}-{pairing.name}"
        derived = Deriver(schema, ids).table(table, root, pairing.body, pairing.type)
        notes.extend(f"{table}: {note}" for note in derived.notes)
        yield _Entry(pairing, root.local_name, root.target_namespace, table, derived.toml)


def _write_tables(folder: Path, entries: Sequence[_Entry]) -> tuple[Path, ...]:
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for entry in entries:
        path = folder / f"{entry.table}.toml"
        path.write_text(entry.toml, encoding="utf-8")
        written.append(path)
    return tuple(written)


def _pack_toml(name: str, entries: Sequence[_Entry]) -> str:
    lines = [
        "# Found in the authority's schemas; what may be set besides stands in the wco pack.",
        f'name = "{name}"',
    ]
    for entry in entries:
        pairing = entry.pairing
        lines += [
            "",
            "[[entry]]",
            f'name = "{pairing.name}"',
            f'type = "{pairing.type}"',
            f'schema = "{pairing.schema}"',
            f'root = "{entry.root}"',
            f'namespace = "{entry.namespace}"',
            f'table = "{entry.table}"',
        ]
        path = "" if entry.root == pairing.body else f"{pairing.body}/"
        lines.append(f'reference = "{path}FunctionalReferenceID"')
        if path:
            lines.append(f'body = "{pairing.body}"')
        if pairing.when:
            held = ", ".join(f'"{path}{field}" = "{text}"' for field, text in pairing.when)
            lines.append(f"when = {{ {held} }}")
    return "\n".join(lines) + "\n"
