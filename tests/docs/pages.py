"""The documentation as the tests read it: its pages, their blocks of commands, and their tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
GUIDES = (
    ROOT / "README.md",
    DOCS / "partner.md",
    DOCS / "messages.md",
    DOCS / "edifact.md",
    DOCS / "signatures.md",
    DOCS / "operator.md",
    DOCS / "durability.md",
    DOCS / "deployment.md",
    DOCS / "postgresql.md",
    DOCS / "alerts.md",
    DOCS / "publishing.md",
    DOCS / "office.md",
    DOCS / "register.md",
    DOCS / "keys.md",
    DOCS / "revocation.md",
    DOCS / "evidence.md",
    DOCS / "backup.md",
    DOCS / "threat-model.md",
    DOCS / "contributor.md",
)

_FENCE = re.compile(r"^```([a-z]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, the line of the page that it begins at."""

    language: str
    text: str
    line: int


def blocks(page: Path, *languages: str) -> list[Block]:
    """The page's fenced blocks of these languages, in order."""
    text = page.read_text("utf-8")
    found = (Block(m[1], m[2], text.count("\n", 0, m.start()) + 1) for m in _FENCE.finditer(text))
    return [block for block in found if block.language in languages]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", page.read_text("utf-8"))


def spans(page: Path) -> list[str]:
    """Everything in the prose that is set as code."""
    return _SPAN.findall(prose(page))


def table(page: Path, first: str) -> list[tuple[str, ...]]:
    """The rows of the table whose heading's first cell is this, cells without their back-ticks."""
    lines = page.read_text("utf-8").splitlines()
    begin = next(n for n, line in enumerate(lines) if line.startswith(f"| {first} |"))
    rows = []
    for line in lines[begin + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(tuple(cell.strip().replace("`", "") for cell in line.strip("|").split("|")))
    return rows


def commands(page: Path) -> list[str]:
    """Every ``cvan`` command line in the page's blocks, continuation lines joined."""
    found = []
    for block in blocks(page, "sh", "console"):
        for line in re.sub(r"\\\n\s*", " ", block.text).splitlines():
            line = line.removeprefix("$ ").partition(" #")[0]
            found += [part.strip() for part in line.split("&&") if re.match(r"\s*(\S*/)?cvan ", part)]
    return found
