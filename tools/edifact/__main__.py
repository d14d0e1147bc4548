"""``python -m tools.edifact build SOURCE`` and ``python -m tools.edifact check SOURCE``.

SOURCE is a folder holding a ``php_edifact_mapping*.tar.xz`` (every directory as XML) and
``unece_original_zips/dNNx.zip`` (directories as UNECE published them).
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tools.edifact.build import build as build_tables
from tools.edifact.check import Report
from tools.edifact.check import check as check_tables

TABLES = Path(__file__).parents[2] / "xsd" / "edifact"
SOURCE = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group(help=__doc__)
def main() -> None:
    """The group of both commands."""


@main.command()
@click.argument("source", type=SOURCE)
@click.argument("target", type=click.Path(file_okay=False, path_type=Path), default=TABLES)
@click.option("--loud", is_flag=True, help="Tell how each directory without an original was mended.")
def build(source: Path, target: Path, loud: bool) -> None:
    """Make the tables of TARGET (default: xsd/edifact) anew."""
    build_tables(source, target, loud)


@main.command()
@click.argument("source", type=SOURCE)
def check(source: Path) -> None:
    """Compare xsd/edifact/un with the originals of SOURCE; exit code 1 where a difference is unexplained."""
    report = Report(click.echo)
    check_tables(source, TABLES / "un", report)
    for line in report.summary():
        click.echo(line)
    sys.exit(1 if report.unexplained else 0)


if __name__ == "__main__":
    main()
