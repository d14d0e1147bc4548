"""UN/EDIFACT (ISO 9735): octets to messages with every fault named, messages to octets, and CONTRL.

Worth using alone.  ``read`` gives one interchange whole; ``stream`` and :class:`Reader` give events of a
file of any size in flat memory; ``segments`` and :class:`Tokeniser` cut without judging; ``write`` makes
interchanges.  Everything is judged against :class:`Directories`; a sender's fault is a finding, never an
exception.
"""

from gateway.model.edifact import Acknowledging, Agreement, Group, Segment
from gateway.model.secured import Survey
from gateway.syntax.agreed import TOLERABLE, check_agreement
from gateway.syntax.aperak import aperak, application_report, report
from gateway.syntax.aperak_drafts import ApplicationError, ApplicationReport, Response
from gateway.syntax.batches import batched, proofread
from gateway.syntax.characters import Separators
from gateway.syntax.contrl import (
    Acknowledgement,
    Reported,
    Unnameable,
    acknowledge,
    acknowledgement,
    answerable,
    contrl,
    receipt,
    wanted,
)
from gateway.syntax.directories import Directories
from gateway.syntax.events import (
    Detail,
    Event,
    Found,
    GroupBegun,
    GroupRead,
    InterchangeBegun,
    InterchangeRead,
    MessageBegun,
    MessageRead,
    PackageRead,
    SegmentRead,
)
from gateway.syntax.folding import fold
from gateway.syntax.grammar import SECURITY
from gateway.syntax.interchange import FunctionalGroup, Interchange, Message, Package
from gateway.syntax.limits import EdifactLimits
from gateway.syntax.outgoing import (
    OutGroup,
    OutInterchange,
    OutMessage,
    OutPackage,
    References,
    forwarded,
    leaves,
)
from gateway.syntax.reader import Reader, read, stream
from gateway.syntax.security import PIECE, Surveyor, may_be_secured, may_be_secured_in, survey
from gateway.syntax.security_writing import acknowledge_received, refer, secure
from gateway.syntax.tokeniser import Tokeniser, segments
from gateway.syntax.writer import pieces, write

__all__ = [
    "PIECE",
    "SECURITY",
    "TOLERABLE",
    "Acknowledgement",
    "Acknowledging",
    "Agreement",
    "ApplicationError",
    "ApplicationReport",
    "Detail",
    "Directories",
    "EdifactLimits",
    "Event",
    "Found",
    "FunctionalGroup",
    "Group",
    "GroupBegun",
    "GroupRead",
    "Interchange",
    "InterchangeBegun",
    "InterchangeRead",
    "Message",
    "MessageBegun",
    "MessageRead",
    "OutGroup",
    "OutInterchange",
    "OutMessage",
    "OutPackage",
    "Package",
    "PackageRead",
    "Reader",
    "References",
    "Reported",
    "Response",
    "Segment",
    "SegmentRead",
    "Separators",
    "Survey",
    "Surveyor",
    "Tokeniser",
    "Unnameable",
    "acknowledge",
    "acknowledge_received",
    "acknowledgement",
    "answerable",
    "aperak",
    "application_report",
    "batched",
    "check_agreement",
    "contrl",
    "fold",
    "forwarded",
    "leaves",
    "may_be_secured",
    "may_be_secured_in",
    "pieces",
    "proofread",
    "read",
    "receipt",
    "refer",
    "report",
    "secure",
    "segments",
    "stream",
    "survey",
    "wanted",
    "write",
]
