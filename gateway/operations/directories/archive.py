"""The files of a zip archive and of the zips inside it, in memory and within bounds."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from typing import NamedTuple

MAX_ARCHIVE = 33_554_432
"""Octets of an archive; releases have about 2 million."""
MAX_MEMBER = 16_777_216
"""Octets of one file within; the largest, the code list of a release, has about 2 million."""
MAX_TOTAL = 134_217_728
"""Octets of all files together; a release has about 12 million."""
MAX_MEMBERS = 4_096
"""Files in all; a release has about 250."""
MAX_DEPTH = 2
"""Archives within one another; a release is an archive of archives."""


class BadArchive(Exception):
    """What was given is no archive, or goes beyond the bounds."""


class Member(NamedTuple):
    """A file: the archive it lies in ("" for the outermost), its name without folders, its octets."""

    archive: str
    name: str
    content: bytes


class Members:
    """Reads an archive; ``broken`` then names members that cannot be read (bad check sum and the like)."""

    def __init__(self, archive: bytes) -> None:
        self._archive = archive
        self._count = 0
        self._octets = 0
        self.broken: list[str] = []

    def __iter__(self) -> Iterator[Member]:
        """Every file.  Raises BadArchive."""
        if len(self._archive) > MAX_ARCHIVE:
            raise BadArchive(f"larger than {MAX_ARCHIVE} octets")
        try:
            yield from self._inside(self._archive, "", MAX_DEPTH)
        except zipfile.BadZipFile as error:
            raise BadArchive(str(error)) from error

    def _inside(self, archive: bytes, name: str, depth: int) -> Iterator[Member]:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            for info in opened.infolist():
                leaf = info.filename.rpartition("/")[2]
                if not leaf or leaf.startswith("."):
                    continue  # folders, and what a file system keeps beside its files
                content = self._content(opened, info)
                if content is None:
                    self.broken.append(info.filename)
                elif not leaf.lower().endswith(".zip"):
                    yield Member(name, leaf, content)
                elif depth > 1:
                    yield from self._nested(content, leaf, depth - 1)

    def _nested(self, archive: bytes, name: str, depth: int) -> Iterator[Member]:
        try:
            yield from self._inside(archive, name, depth)
        except zipfile.BadZipFile:
            self.broken.append(name)

    def _content(self, opened: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes | None:
        """A member's octets, None where it cannot be read; what its header says of its size is not believed."""
        self._count += 1
        try:
            with opened.open(info) as member:
                content = member.read(MAX_MEMBER + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
            return None  # RuntimeError: encrypted
        self._octets += len(content)
        if len(content) > MAX_MEMBER or self._octets > MAX_TOTAL or self._count > MAX_MEMBERS:
            raise BadArchive(f"{info.filename}: more than {MAX_MEMBERS} files or {MAX_TOTAL} octets")
        return content
