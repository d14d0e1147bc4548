"""The command on what was agreed with a partner about its EDIFACT interchanges."""

from __future__ import annotations

import click
import msgspec

from gateway import syntax
from gateway.model import Acknowledging, Agreement
from gateway.operations.cli.books import ledger, registered
from gateway.operations.cli.files import knowledge
from gateway.operations.cli.say import Trouble, as_json, emit

LEVELS = [level.value for level in Acknowledging]


@click.command()
@click.argument("identity")
@click.option(
    "--tolerate",
    "tolerated",
    multiple=True,
    metavar="CODE",
    help="A defect that is read on, as a warning; repeatable. Codes: " + ", ".join(sorted(syntax.TOLERABLE)),
)
@click.option(
    "--refuse", "refused", multiple=True, metavar="CODE", help="A warning that rejects here; repeatable."
)
@click.option(
    "--message",
    default="",
    metavar="S009",
    help="Read UNH without a message type (EDI131, tolerated with it) as this: CUSCAR:D:95B:UN.",
)
@click.option("--packages", is_flag=True, help="It may send packages (UNO, UNP).")
@click.option(
    "--contrl",
    "acknowledging",
    type=click.Choice(LEVELS),
    default=Acknowledging.FULL.value,
    show_default=True,
    help="CONTRL with each interchange; with rejections only; or mere receipts, and rejections.",
)
@click.option(
    "--guide", default="", metavar="NAME", help="The implementation guide by which its messages are judged."
)
@as_json
@click.pass_context
def agree(
    context: click.Context,
    identity: str,
    tolerated: tuple[str, ...],
    refused: tuple[str, ...],
    message: str,
    packages: bool,
    acknowledging: str,
    guide: str,
    in_json: bool,
) -> None:
    """Record what was agreed with a partner about its EDIFACT interchanges; it replaces what was before.

    Without options the partner is read as any other.

    \b
    cvan --home HOME partner agree oceanline --tolerate EDI105 --contrl errors
    cvan --home HOME partner agree anphat --message CUSDEC:D:96B:UN --guide national-import
    """
    named = (*tolerated, "EDI131") if message and "EDI131" not in tolerated else tolerated
    agreed = Agreement(named, refused, message, packages, Acknowledging(acknowledging), guide)
    _check(context, agreed)
    with ledger(context) as books:
        books.put_partner(msgspec.structs.replace(registered(books, identity), edifact=agreed))
    emit(in_json, {"id": identity, "edifact": agreed}, [f"{identity}: agreed", *_lines(agreed)])


def _check(context: click.Context, agreed: Agreement) -> None:
    """Raises Trouble for codes, messages and guides that are none."""
    book = knowledge(context.obj)
    unknown = [code for code in agreed.refused if code not in book.catalogue.meanings]
    if unknown:
        raise Trouble(f"no finding has the code {', '.join(unknown)}")
    guides = [guide.guide.name for guide in book.directories.guides]
    if agreed.guide and agreed.guide not in guides:
        known = ", ".join(guides) or "none; put one into HOME/directories/guides"
        raise Trouble(f"there is no guide {agreed.guide}; there are: {known}")
    try:
        syntax.check_agreement(agreed)
    except ValueError as error:
        raise Trouble(str(error)) from error


def _lines(agreed: Agreement) -> list[str]:
    lines = [f"  read on: {', '.join(agreed.tolerated)}"] if agreed.tolerated else []
    lines += [f"  rejected: {', '.join(agreed.refused)}"] if agreed.refused else []
    lines += [f"  messages without a type are {agreed.message}"] if agreed.message else []
    lines += ["  packages are taken"] if agreed.packages else []
    lines += [f"  guide: {agreed.guide}"] if agreed.guide else []
    return [*lines, f"  CONTRL: {agreed.acknowledging.value}"]
