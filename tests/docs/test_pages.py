"""The guides say what the code does: names, commands, settings, metrics, codes, limits, links."""

from __future__ import annotations

import ast
import re
import shlex
import tomllib
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest

from gateway import handbook as handbooks
from gateway import mapping, safexml, syntax
from gateway.model import DecisionKind, Kind, Role
from gateway.operations import settings
from gateway.operations.cli import cvan
from gateway.routing import ROLE_KINDS
from gateway.syntax import limits as edifact
from gateway.transport import DoorSettings, Metrics, api
from gateway.transport.push import NOT_NOW, PUSH_SECONDS
from tests.docs.pages import DOCS, GUIDES, ROOT, commands, prose, spans, table

PARTNER, MESSAGES = DOCS / "partner.md", DOCS / "messages.md"
OPERATOR, CONTRIBUTOR = DOCS / "operator.md", DOCS / "contributor.md"
LONGEST = 260
"""Lines of a page: a longer one wants splitting."""


def each(of: Callable[[Path], Sequence[str]]) -> Any:
    """A test for each thing that a guide says, so that a page that says none of it passes nothing."""
    said = [pytest.param(page, thing, id=f"{page.name}:{thing}") for page in GUIDES for thing in of(page)]
    return pytest.mark.parametrize(("page", "said"), said)


# -- every page --------------------------------------------------------------------------------------


@each(lambda page: re.findall(r"\]\(([^)#]+)[^)]*\)", prose(page)))
def test_links_lead_somewhere(page: Path, said: str) -> None:
    assert "://" in said or (page.parent / said).exists()


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.name)
def test_a_page_is_not_too_long(page: Path) -> None:
    assert len(page.read_text("utf-8").splitlines()) <= LONGEST


@each(commands)
def test_commands_and_their_options_exist(page: Path, said: str) -> None:
    command = _command(said)
    complete = not isinstance(command, click.Group) or command.invoke_without_command
    assert complete or "--help" in said, f"{page.name}: {said} does nothing"


@each(lambda page: [span for span in spans(page) if re.match(r"cvan [a-z-]", span)])
def test_commands_that_are_named_exist(page: Path, said: str) -> None:
    assert _command(said) is not cvan, page.name


@pytest.mark.parametrize(
    "line",
    [
        "cvan nonsense",
        "cvan office nonsense",
        "cvan check --nonsense file",
        "cvan --home HOME office list --nonsense",
        "cvan --home HOME office list stray",
    ],
)
def test_a_command_that_does_not_exist_is_noticed(line: str) -> None:
    with pytest.raises(AssertionError, match="has no"):
        _command(line)


def _command(line: str) -> click.Command:
    """The command that the line calls; fails where it, an option or an argument does not exist."""
    words = iter(shlex.split(line.partition(" &")[0])[1:])
    command: click.Command = cvan
    arguments = 0
    for word in words:
        told = f"{line}: {command.name} has no {word}"
        if word.startswith("-"):
            name, _, value = word.partition("=")
            options = _options(command)
            assert name in options, told
            if options[name] and not value:
                next(words, None)
        elif isinstance(command, click.Group):
            assert word in command.commands, told
            command = command.commands[word]
        else:
            arguments += 1
            taken = [p.nargs for p in command.params if isinstance(p, click.Argument)]
            assert -1 in taken or arguments <= sum(taken), told
    return command


def _options(command: click.Command) -> dict[str, bool]:
    """The names of a command's options, and whether a value comes after each."""
    named = {"-h": False, "--help": False}
    for option in (p for p in command.params if isinstance(p, click.Option)):
        names = (*option.opts, *option.secondary_opts)
        named |= dict.fromkeys(names, not option.is_flag and not option.count)
    return named


def _files(page: Path) -> list[str]:
    tops = ("gateway/", "adapters/", "mappings/", "xsd/", "tools/", "tests/", "conf/", "docs/", ".ci/")
    made_up = re.compile(r"[ *]|NAME|NNNN|ROOM|\.\.\.")
    paths = {span.partition(":")[0].rstrip("/") for span in spans(page) if span.startswith(tops)}
    return sorted(path for path in paths if not made_up.search(path))


@each(_files)
def test_files_that_are_named_exist(page: Path, said: str) -> None:
    assert (ROOT / said).exists(), page.name


# -- the walk through the code -----------------------------------------------------------------------


def test_names_in_the_code_exist() -> None:
    named = [s for s in spans(CONTRIBUTOR) if re.fullmatch(r"[\w./]+\.py:[\w.]+", s)]
    assert len(named) > 30
    for span in named:
        path, _, name = span.partition(":")
        assert _defines((ROOT / path).read_text("utf-8"), name.split(".")), span


def _defines(source: str, names: list[str]) -> bool:
    body: list[ast.stmt] = ast.parse(source).body
    for name in names:
        found = next((node for node in body if name in _names(node)), None)
        if found is None:
            return False
        body = getattr(found, "body", [])
    return True


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.AnnAssign):
        return [ast.unparse(node.target)]
    return [ast.unparse(t) for t in node.targets] if isinstance(node, ast.Assign) else []


def test_every_room_is_on_the_map() -> None:
    listed = " ".join(cell for row in table(CONTRIBUTOR, "floor") for cell in row)
    rooms = [p for p in (ROOT / "gateway").iterdir() if p.is_dir() and (p / "__init__.py").exists()]
    modules = [p for p in (ROOT / "gateway").glob("*.py") if p.name != "__init__.py"]
    for path in rooms + modules:
        assert f"gateway/{path.name}" in listed, path.name


# -- the operator's tables ---------------------------------------------------------------------------


def test_settings_are_listed_with_their_defaults() -> None:
    pages = (OPERATOR, *(DOCS / f"{name}.md" for name in ("publishing", "overload", "large")))
    told = {row[0]: row[1] for page in pages for row in table(page, "setting")}
    whole = msgspec.json.decode(msgspec.json.encode(settings.Settings()))  # lists as TOML has them
    real = {f"{part}.{name}": value for part, values in whole.items() for name, value in values.items()}
    assert {name: tomllib.loads(f"is = {default}")["is"] for name, default in told.items()} == real


def test_the_file_that_a_home_starts_with_has_the_same_settings() -> None:
    shipped = tomllib.loads((ROOT / "conf" / "gateway.toml").read_text("utf-8"))
    assert msgspec.convert(shipped, settings.Settings) == settings.Settings()
    assert {k: set(v) for k, v in shipped.items()} == {
        k: set(v) for k, v in msgspec.to_builtins(settings.Settings()).items()
    }


def test_metrics_are_listed() -> None:
    told = {row[0] for page in (OPERATOR, DOCS / "large.md") for row in table(page, "metric")}
    families = Metrics().registry.collect()
    assert told == {f.name + ("_total" if f.type == "counter" else "") for f in families}


def test_roles_are_listed_with_what_they_file() -> None:
    told = {role: row[1] for row in table(DOCS / "register.md", "role") for role in row[0].split(", ")}
    assert set(told) == {role.value for role in Role}
    for role in Role:
        kinds = ROLE_KINDS[role]
        if kinds == frozenset(Kind):
            assert told[role] == "everything"
        elif kinds:
            assert set(told[role].split(", ")) == {kind.value for kind in kinds}
        else:
            assert told[role].startswith("nothing of its own")


# -- the partner's tables ----------------------------------------------------------------------------


def test_decisions_are_listed_as_they_are_said() -> None:
    told = {row[0]: row[1:3] for row in table(MESSAGES, "kind")}
    sayings = handbooks.load_sayings(ROOT / "mappings" / "profiles" / "decisions.toml")
    assert told == {name: (saying.function, saying.status) for name, saying in sayings.items()}
    assert set(told) == {kind.value for kind in DecisionKind} | {"received", "rejected"}


def test_message_types_are_those_that_have_tables() -> None:
    directories = syntax.Directories.load(ROOT / "xsd" / "edifact")

    def structure(kind: str, version: str, release: str) -> Any:
        message, directory = (
            directories.message(kind, version, release),
            directories.directory(version, release),
        )
        return None if message is None or directory is None else (message, directory)

    served = {tuple(n.split(":")) for n in mapping.load(ROOT / "mappings", structure).names() if ":" in n}
    rows = {row[1]: row[2] for row in table(MESSAGES, "message")}
    assert set(rows) == {kind.value for kind in Kind}
    told = {t for kind in ("IM", "CRI") for t in _tables(rows[kind])}
    told |= _tables(next(line for line in prose(MESSAGES).splitlines() if line.startswith("Answers: CONTRL")))
    assert told == served


def _tables(text: str) -> set[tuple[str, ...]]:
    """``CUSDEC D.96B, D.99B`` as the names of tables."""
    message = re.search(r"CUS[A-Z]{3}", text)
    assert message is not None
    behind = text[message.start() :]
    return {(message[0], "D", release) for release in re.findall(r"D\.([0-9]{2}[AB])", behind)}


def test_documents_are_those_of_the_pack() -> None:
    pack = tomllib.loads((ROOT / "xsd" / "wco" / "pack.toml").read_text("utf-8"))
    text = prose(MESSAGES)
    for entry in pack["entry"]:
        assert f"`{entry['namespace']}`" in text
        assert all(f"`{name}`" in text for name in entry["type_names"])


def test_limits_are_those_of_the_code() -> None:
    told = {row[0]: row[1] for row in table(PARTNER, "what") if row[1][0].isdigit()}
    bounds, own = DoorSettings().bounds, settings.Bounds()
    assert told == {
        "body, unless agreed otherwise": f"{own.max_bytes:,} octets",
        "submissions a minute": f"{own.per_minute:,}",
        "submissions at once": f"{own.in_flight}",
        "connections of a partner": f"{bounds.connections_per_partner}",
        "mailbox page": f"{api.MAX_PAGE:,} entries",
        "messages in an interchange": f"{edifact.MAX_MESSAGES:,}",
        "segment": f"{edifact.MAX_SEGMENT:,} octets",
        "XML depth": f"{safexml.MAX_DEPTH} levels",
    }


def test_when_a_push_comes_again() -> None:
    text = prose(PARTNER)
    again = re.search(r"On ([0-9, ]+), 5xx and silence", text)
    assert again is not None
    assert {int(code) for code in again[1].split(", ")} == NOT_NOW
    assert f"within {PUSH_SECONDS:g} seconds" in text


@each(lambda page: re.findall(r"\b(?:SIG|XML|EDI|MAP|RUL|PAR|API|CLR)[0-9]{3,5}\b", prose(page)))
def test_findings_that_are_named_exist(page: Path, said: str) -> None:
    known = handbooks.load_catalogue(ROOT / "mappings" / "findings").meanings
    assert said in known, page.name


def test_a_page_s_headings_come_in_order() -> None:
    for page in GUIDES:
        levels = [len(m) for m in re.findall(r"^(#+) ", prose(page), re.MULTILINE)]
        assert levels[0] == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))
