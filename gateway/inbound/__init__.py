"""The inbound journey: bytes in, verdict out.  Pure: no clock, network, disk, database or randomness."""

from gateway.inbound.deadlines import LATE, count_late
from gateway.inbound.documents import examine_xml
from gateway.inbound.examined import SET_ASIDE, Examined, Judge, Unreadable, outcome
from gateway.inbound.inspection import Inspected, Stage, inspect, inspecting
from gateway.inbound.interchanges import examine_edifact, examine_files
from gateway.inbound.proof import Proof, prove, prove_file
from gateway.inbound.senders import tax_codes
from gateway.inbound.steps import Steps, at_once

__all__ = [
    "LATE",
    "SET_ASIDE",
    "Examined",
    "Inspected",
    "Judge",
    "Proof",
    "Stage",
    "Steps",
    "Unreadable",
    "at_once",
    "count_late",
    "examine_edifact",
    "examine_files",
    "examine_xml",
    "inspect",
    "inspecting",
    "outcome",
    "prove",
    "prove_file",
    "tax_codes",
]
