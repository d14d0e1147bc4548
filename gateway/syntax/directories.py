"""The directories at hand: the shipped tables and an operator's own, each read when it is first asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path

from gateway.model.edifact import Directory, MessageTable, SegmentTable
from gateway.syntax.assembly import SERVICE, Key, Lazy, assemble
from gateway.syntax.elements import Layout, Layouts
from gateway.syntax.grammar import Grammar, Known
from gateway.syntax.guides import Guide, Guides, faults
from gateway.syntax.structure import MAX_EXPECTED, Structure
from gateway.syntax.tables import Nodes
from gateway.syntax.tableset import AGENCY, DIRECTORIES, TableSet
from gateway.syntax.tablewriter import ranges

GUIDES = "guides"  # the folder of implementation guides beside the sets

_SYNTAX = ("S.1", "S.2", "S.3", "S.4")
_SENT = {name: ":".join(pair) for pair, name in SERVICE.items()}  # service directories as UNH has them


class Directories:
    """Every directory of one or more folders, the service directories ``S.1`` to ``S.4`` among them.

    The answers are shared and must not be changed.  Two threads that ask first at the same time may
    both make a table; the two are equal and one is kept.
    """

    def __init__(self, sets: Sequence[TableSet]) -> None:
        self._sets: dict[Key, tuple[TableSet, ...]] = {}
        for tables in sets:
            for name, agency in tables.names.items():
                key = Key(name, agency)
                self._sets[key] = (tables, *self._sets.get(key, ()))
        self.guides = Guides()
        self.grammars: dict[tuple[object, ...], Grammar] = {}
        self.known: dict[tuple[object, ...], Known] = {}
        self._added: tuple[str, ...] = ()
        self._made: dict[Key, Directory] = {}
        self._layouts: dict[tuple[Key | None, str, str], Layouts] = {}

    @classmethod
    def load(cls, folder: Path, *more: Path) -> Directories:
        """List the tables in folders: sets, or folders of sets.

        Where two sets have a directory of the same name, what the later one says goes before: an
        operator's own may hold one message of D.96B, or one code list, and leave the rest as it is.
        Raises FileNotFoundError where a service directory is missing, ValueError for a broken list or guide.
        """
        shipped = [TableSet(path) for path in _folders(folder)]
        added = [TableSet(path) for root in more for path in _folders(root)]
        found = cls(shipped + added)
        found._added = tuple(dict.fromkeys(name for tables in added for name in tables.names))
        missing = [name for name in _SYNTAX if Key(name, AGENCY) not in found._sets]
        found.guides = Guides.load(root / GUIDES for root in (folder, *more))
        if missing:
            raise FileNotFoundError(f"{folder} has no {', '.join(missing)}")
        broken = [f"guide {g.guide.name}: {fault}" for g in found.guides for fault in found.faults(g)]
        if broken:
            raise ValueError("; ".join(broken))
        return found

    def faults(self, guide: Guide) -> Iterator[str]:
        """What makes an implementation guide none here."""
        kind, version, release, agency = (*guide.guide.message.split(":"), "", "", "")[:4]
        directory = self.directory(version, release, agency)
        return faults(guide, None if directory is None else directory.messages.get(kind), directory)

    def names(self) -> tuple[str, ...]:
        """``D.94B`` ... , ``S.1`` ..., in the order of the folders; of all agencies."""
        return tuple(dict.fromkeys(key.name for key in self._sets))

    def all(self) -> Iterator[Directory]:
        """Every directory, in the order of the folders."""
        return map(self._of, self._sets)

    def check(self, *names: str) -> None:
        """Read and compile every table, or those of the directories named.

        Raises ValueError naming every one that is broken.
        """
        broken: dict[str, None] = {}
        compiled: dict[int, Nodes] = {}
        for directory in self.all():
            if names and directory.name not in names:
                continue
            for fault in _faults(directory, compiled):
                broken[fault] = None
        if broken:
            raise ValueError("; ".join(broken))

    def check_added(self) -> None:
        """The same for directories of which the further folders say something: the shipped are proven."""
        if self._added:
            self.check(*self._added)

    def directory(self, version: str, release: str, agency: str = AGENCY) -> Directory | None:
        """The directory of S009 0052, 0054 and 0051 (``D``, ``96B``, ``UN``), or None where there is none."""
        if "." in version or version == "S":
            return None  # so that no two pairs make one name
        key = Key(SERVICE.get((version, release), f"{version}.{release}"), agency or AGENCY)
        return self._of(key) if key in self._sets else None

    def agencies(self, version: str, release: str) -> tuple[str, ...]:
        """The agencies (0051) that have a directory of this version and release."""
        if version == "S":
            return ()
        name = SERVICE.get((version, release), f"{version}.{release}")
        return tuple(key.agency for key in self._sets if key.name == name)

    def service(self, syntax_version: str) -> Directory:
        """Service segments and CONTRL of syntax version 1 to 4 (ValueError for another)."""
        key = Key(f"S.{syntax_version}", AGENCY)
        if key not in self._sets:
            raise ValueError(f"no syntax version {syntax_version!r}")
        return self._of(key)

    def holding(self, type: str) -> str:
        """The directories that hold a message, as ranges: ``D.94B-D.24A``; "" where none does."""
        sets = {id(tables): tables for found in self._sets.values() for tables in found}.values()
        return self._ranges(
            {Key(name, tables.names[name]) for tables in sets for name in tables.holding(type)}
        )

    def expected(self, type: str, directory: Directory | None) -> str:
        """What would have been right for a message that is not among the tables, in a few words.

        The directories that hold the message; where none does, the messages of its directory that begin
        most like it, or of the latest where it names none.
        """
        held = self.holding(type)
        if held:
            return held
        directory = directory or self._of(next(key for key in reversed(self._sets) if key.agency == AGENCY))
        alike = sorted(directory.messages, key=lambda other: (-_alike(type, other), other))
        return ", ".join(alike[:MAX_EXPECTED]) + (" ..." if len(alike) > MAX_EXPECTED else "")

    def _ranges(self, keys: Collection[Key]) -> str:
        """Directories as ranges, each within the set that had it first."""
        by_set: dict[int | str, list[Key]] = {}
        for key, sets in self._sets.items():
            shelf = key.name if key.name in _SENT else id(sets[-1])  # these make no range
            by_set.setdefault(shelf, []).append(key)
        told = (
            ranges((key.name for key in order if key in keys), [key.name for key in order])
            for order in by_set.values()
        )
        return " ".join(_SENT.get(name, name) for name in " ".join(filter(None, told)).split())

    def message(self, type: str, version: str, release: str, agency: str = AGENCY) -> MessageTable | None:
        """A message's structure, or None where it is not among the tables."""
        directory = self.directory(version, release, agency)
        return None if directory is None else directory.messages.get(type)

    def layouts(self, directory: Directory | None, syntax_version: str, marks: str) -> Layouts:
        """Segment layouts, ready to check; ``marks``: the decimal marks that the interchange allows."""
        known = None if directory is None else Key(directory.name, directory.agency)
        key = (known, syntax_version, marks)
        found = self._layouts.get(key)
        if found is None:
            service = self.service(syntax_version)
            found = self._layouts[key] = Layouts(directory, service, marks, repeating=syntax_version == "4")
        return found

    def _of(self, key: Key) -> Directory:
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = assemble(key, self._sets[key])
        return found


def _alike(one: str, other: str) -> int:
    """How many characters two texts have in common before they part."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _folders(root: Path) -> list[Path]:
    """The sets in a folder: itself, or the folders in it that are one."""
    if (root / DIRECTORIES).is_file():
        return [root]
    return sorted(path.parent for path in root.glob(f"*/{DIRECTORIES}"))


def _faults(directory: Directory, compiled: dict[int, Nodes]) -> Iterator[str]:
    """What is broken in a directory; ``compiled``: structures, which directories share, that are not."""
    parts: tuple[Mapping[str, object], ...] = (directory.messages, directory.segments, directory.codes)
    for part in parts:
        try:
            keys = part.candidates() if isinstance(part, Lazy) else part
            for key in keys:
                yield from _fault(part, key, directory, compiled)
        except ValueError as error:
            yield str(error)


def _fault(
    part: Mapping[str, object], key: str, directory: Directory, compiled: dict[int, Nodes]
) -> Iterator[str]:
    try:
        value = part.get(key)
        if isinstance(value, MessageTable) and id(value.nodes) not in compiled:
            Structure(value)
            compiled[id(value.nodes)] = value.nodes
        elif isinstance(value, SegmentTable):
            Layout(value, directory.codes, ".,", repeating=True)
    except ValueError as error:
        yield str(error)
