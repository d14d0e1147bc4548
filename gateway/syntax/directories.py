"""UN/EDIFACT directories from compact tables on disk, each read when it is first asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from gateway.model.edifact import Directory, MessageTable
from gateway.syntax.elements import Layout, Layouts
from gateway.syntax.structure import Structure

_DECODER = msgspec.json.Decoder(Directory)

# Service messages carry the syntax version as their version and release (ISO 9735 part 4).
_SERVICE = {("D", "1"): "S1", ("D", "2"): "S2", ("D", "3"): "S3", ("4", "1"): "S4"}


class Directories:
    """Every directory of a folder (``D96B.json`` ... and the service directories ``S1`` to ``S4``).

    The answers are shared and must not be changed.  Two threads that ask first at the same time may
    both make a table; the two are equal and one is kept.
    """

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self._paths = dict(paths)
        self._tables: dict[str, Directory] = {}
        self._structures: dict[tuple[str, str, str], Structure] = {}
        self._layouts: dict[tuple[str, str, str], Layouts] = {}

    @classmethod
    def load(cls, folder: Path) -> Directories:
        """List the folder's tables.  Raises FileNotFoundError where a service directory is missing."""
        paths = {path.stem: path for path in sorted(folder.glob("*.json"))}
        missing = [name for name in ("S1", "S2", "S3", "S4") if name not in paths]
        if missing:
            raise FileNotFoundError(f"{folder} has no {', '.join(missing)}")
        return cls(paths)

    def names(self) -> tuple[str, ...]:
        """File names without suffix: ``D96B`` ..., ``S3``."""
        return tuple(self._paths)

    def check(self) -> None:
        """Read and compile every table.  Raises ValueError naming every one that is broken."""
        broken: list[str] = []
        for name, path in self._paths.items():
            try:
                directory = self._named(name)
                if directory is not None:
                    _compile_all(directory)
            except (msgspec.DecodeError, ValueError) as error:
                broken.append(f"{path}: {error}")
        if broken:
            raise ValueError("; ".join(broken))

    def directory(self, version: str, release: str) -> Directory | None:
        """The directory of S009 0052 and 0054 (``D``, ``96B``), or None where there is none."""
        if len(version) != 1:
            return None  # so that no two pairs make one name
        return self._named(_SERVICE.get((version, release), version + release))

    def service(self, syntax_version: str) -> Directory:
        """Service segments and CONTRL of syntax version 1 to 4 (ValueError for another)."""
        directory = self._named(f"S{syntax_version}")
        if directory is None:
            raise ValueError(f"no syntax version {syntax_version!r}")
        return directory

    def message(self, type: str, version: str, release: str) -> MessageTable | None:
        """A message's structure, or None where it is not among the tables."""
        directory = self.directory(version, release)
        return None if directory is None else directory.messages.get(type)

    def structure(self, type: str, version: str, release: str) -> Structure | None:
        """The message's structure, ready to match; None where it is not among the tables."""
        key = (type, version, release)
        found = self._structures.get(key)
        if found is None:
            table = self.message(type, version, release)
            if table is None:
                return None
            found = self._structures[key] = Structure(table)
        return found

    def layouts(self, directory: Directory | None, syntax_version: str, marks: str) -> Layouts:
        """Segment layouts, ready to check; ``marks``: the decimal marks that the interchange allows."""
        key = ("" if directory is None else directory.name, syntax_version, marks)
        found = self._layouts.get(key)
        if found is None:
            service = self.service(syntax_version)
            found = self._layouts[key] = Layouts(directory, service, marks, repeating=syntax_version == "4")
        return found

    def _named(self, name: str) -> Directory | None:
        found = self._tables.get(name)
        if found is None and name in self._paths:
            found = self._tables[name] = _DECODER.decode(self._paths[name].read_bytes())
        return found


def _compile_all(directory: Directory) -> None:
    for message in directory.messages.values():
        Structure(message)
    for segment in directory.segments.values():
        Layout(segment, directory.codes, ".,", repeating=True)
