"""APERAK (application error and acknowledgement): what an application found in a message, told and read.

The way by which findings that CONTRL cannot tell, warnings on accepted messages among them, reach a sender
in EDIFACT.  Written for any directory that has the message; an APERAK, like a CONTRL, is never answered.

BGM says the document and, as 4343, the verdict: RE rejected, CA accepted with errors told, AP accepted.
Its references are ACE (0020 of the interchange), AGO (the document number, 1004) and ACW (0062).  Each ERC
has our code; its FTX the text (4451 AAO) and the severity (4441 E, W or N); the RFF below it (LI) the place:
1154 tag and position such as ``CST 2.1``, 1156 the segment's number; the FTX below that (ACB) the path.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from gateway.model.finding import Catalogue, Finding, Severity
from gateway.syntax.aperak_drafts import (
    MINUTES,
    TYPE,
    ApplicationError,
    ApplicationReport,
    Draft,
    Response,
    read_tree,
)
from gateway.syntax.directories import Directories
from gateway.syntax.interchange import Interchange, Message
from gateway.syntax.outgoing import OutMessage

FALLBACK = ("D", "96B")  # the directory of the answer where the message's own has no APERAK that will do

_NEVER_ANSWERED = frozenset({"CONTRL", TYPE})


def report(
    interchange: Interchange,
    message: Message,
    findings: Sequence[Finding],
    catalogue: Catalogue,
    *,
    reference: str,
    now: datetime,
    document: str = "",
    language: str = "en",
) -> ApplicationReport:
    """What is to be told of a message: rejected where a finding is an error, conditionally accepted where
    one is a warning.  ``document``: 1004 of the message, or that of its BGM where its segments are kept.
    Raises ValueError for a CONTRL or APERAK: an answer is not answered."""
    if message.type in _NEVER_ANSWERED:
        raise ValueError(f"a {message.type} is never answered")
    worst = {finding.severity for finding in findings}
    accepted = Response.CONDITIONAL if Severity.WARNING in worst else Response.ACCEPTED
    bgm = next((s for s in message.segments if s.tag == "BGM"), None)
    return ApplicationReport(
        reference,
        Response.REJECTED if Severity.ERROR in worst else accepted,
        interchange.reference,
        document or (bgm.get(2) if bgm is not None else ""),
        message.reference,
        now.strftime(MINUTES[1]),
        tuple(ApplicationError(f.code, catalogue.say(f, language), f.severity, f.place) for f in findings),
    )


def aperak(
    told: ApplicationReport,
    directories: Directories,
    like: Message | None = None,
    *,
    number: str = "1",
    level: str = "UNOC",
    encoding: str = "",
) -> OutMessage:
    """The report as a message to be written, ``number`` its 0062.

    In the directory of ``like``, the message it is about, where that has an APERAK which holds our codes,
    else in D.96B.  Texts are folded into the level's repertoire, split into lines of the directory's
    length and cut where FTX ends; errors beyond what the message repeats are left out, warnings first.
    Raises ValueError where the directories have no APERAK that will do, or the level is not supported.
    """
    chosen = [] if like is None or like.agency != "UN" else [(like.version, like.release)]
    for version, release in (*chosen, FALLBACK):
        directory = directories.directory(version, release)
        if directory is None or TYPE not in directory.messages:
            continue
        draft = Draft(directory, level, encoding)
        if draft.holds(told):
            body = tuple(draft.segments(told))
            return OutMessage(TYPE, version, release, "UN", "", number, body)
    raise ValueError(f"no directory has an {TYPE} that can tell {told.reference}")


def application_report(message: Message) -> ApplicationReport:
    """Read an APERAK of any directory.

    Raises ValueError where the message is none, or its structure is broken.  References, codes and texts
    are given as sent; what is not as we write it (a place, a severity) is left at its default.
    """
    if message.type != TYPE or message.tree is None:
        raise ValueError(f"not an {TYPE}")
    return read_tree(message.tree)
