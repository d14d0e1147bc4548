"""Interchanges written by hand for these tests, and short forms of what the tests look at."""

from __future__ import annotations

from gateway.model.finding import Finding
from gateway.syntax import Interchange

HEAD = "UNB+UNOC:3+VAN1:ZZ+CUSTOMS:ZZ+240131:1200+REF1'"
CUSDEC = (
    "UNH+1+CUSDEC:D:96B:UN'BGM+929+LRN1+9'DTM+137:20240131:102'UNS+D'"
    "CST+1+12345678:122:ZZZ'LOC+27+VN'UNS+S'CNT+5:1'UNT+9+1'"
)
CUSCAR = (
    "UNH+2+CUSCAR:D:95B:UN'BGM+85+MAN1+9'TDT+20+V001+1'LOC+9+VNSGN:139:6'"
    "CNI+1+BL1'RFF+BM:BL1'NAD+CN+++IMPORTER'GID+1+10:CT'FTX+AAA+++COTTON SHIRTS'UNT+10+2'"
)
GOOD = f"UNA:+.? '{HEAD}{CUSDEC}{CUSCAR}UNZ+2+REF1'"


def one(message: str, head: str = HEAD) -> bytes:
    """An interchange around one message."""
    return f"UNA:+.? '{head}{message}UNZ+1+REF1'".encode("latin-1")


def cusdec(*body: str) -> bytes:
    """An interchange with a CUSDEC D.96B of these segments between BGM and the first UNS."""
    segments = ["BGM+929+LRN1+9", *body, "UNS+D", "UNS+S"]
    return one(f"UNH+1+CUSDEC:D:96B:UN'{''.join(s + chr(39) for s in segments)}UNT+{len(segments) + 2}+1'")


def codes(interchange: Interchange) -> list[str]:
    """Codes of all findings: the interchange's, then the messages'."""
    return [f.code for f in everything(interchange)]


def everything(interchange: Interchange) -> list[Finding]:
    packages = (f for p in interchange.packages for f in p.findings)
    return [*interchange.findings, *(f for m in interchange.messages for f in m.findings), *packages]


def errors(interchange: Interchange) -> list[str]:
    return [f.code for f in everything(interchange) if f.severity == "error"]
