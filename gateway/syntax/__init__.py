"""UN/EDIFACT (ISO 9735): octets to messages with every fault named, messages to octets, and CONTRL."""

from gateway.syntax.characters import Separators
from gateway.syntax.contrl import Acknowledgement, acknowledgement, contrl
from gateway.syntax.directories import Directories
from gateway.syntax.interchange import FunctionalGroup, Interchange, Message
from gateway.syntax.limits import EdifactLimits
from gateway.syntax.reader import read
from gateway.syntax.tokeniser import Tokeniser
from gateway.syntax.writer import OutMessage, fold, write

__all__ = [
    "Acknowledgement",
    "Directories",
    "EdifactLimits",
    "FunctionalGroup",
    "Interchange",
    "Message",
    "OutMessage",
    "Separators",
    "Tokeniser",
    "acknowledgement",
    "contrl",
    "fold",
    "read",
    "write",
]
