"""EDIFACT messages for benches: made up, each one different, valid under the directories.

Everything follows from a seed; an interchange of any size is made piece by piece.
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable, Iterable, Iterator

from gateway.model.checkdigits import container_check

BILLS = 20  # of a CUSCAR: it is then about 10 KB
HEAD = "UNA:+.? 'UNB+UNOC:3+{sender}:ZZ+VNCUSTOMS:ZZ+260114:0815+{reference}'"

_FIRST = [
    "HAI LONG",
    "MINH PHAT",
    "TAN VIET",
    "DONG A",
    "SAO MAI",
    "AN KHANH",
    "BINH MINH",
    "THIEN LOC",
    "GIA HUNG",
    "PHU THINH",
]
_TRADES = [
    "SEAFOOD",
    "TEXTILES",
    "FURNITURE",
    "RUBBER",
    "COFFEE",
    "STEEL",
    "CERAMICS",
    "FOOTWEAR",
    "MACHINERY",
    "PLASTICS",
]
_FORMS = ["JSC", "CO LTD", "TRADING CO LTD", "IMPORT EXPORT JSC", "PTE LTD"]
_STREETS = ["LE LOI", "NGUYEN HUE", "TRAN PHU", "HAI BA TRUNG", "LE THANH TONG", "HUNG VUONG", "QUANG TRUNG"]
_CITIES = (("HAI PHONG", "VNHPH"), ("HO CHI MINH CITY", "VNSGN"), ("DA NANG", "VNDAD"), ("CAN THO", "VNVCA"))
_PORTS = ("SGSIN", "CNSHA", "HKHKG", "KRPUS", "JPYOK", "MYPKG", "THLCH", "TWKHH")
_GOODS = (
    ("FROZEN SHRIMP, PEELED, IN BLOCKS OF 2 KG", "030617"),
    ("COTTON SHIRTS FOR MEN, KNITTED, DYED", "610510"),
    ("OAK TABLES, UNASSEMBLED, WITH FITTINGS", "940360"),
    ("NATURAL RUBBER, TECHNICALLY SPECIFIED", "400122"),
    ("COFFEE, NOT ROASTED, NOT DECAFFEINATED", "090111"),
    ("FLAT-ROLLED STEEL, COLD-ROLLED, IN COILS", "720917"),
    ("CERAMIC TILES, GLAZED, 60 X 60 CM", "690721"),
    ("PUMPS FOR LIQUIDS AND PARTS THEREOF", "841370"),
)
_SIZES = ("22G1", "42G1", "45G1", "45R1")
_KINDS = ("CT", "PK", "PX", "BG", "CS")


def cuscar(reference: str, seed: int, bills: int = BILLS, items: int = 1, words: int = 1) -> str:
    """A CUSCAR D.95B with so many bills of lading, each with so many goods items.

    ``words``: lines of 70 characters of each item's description, 5 at most.
    """
    r = random.Random(seed)
    city, port = r.choice(_CITIES)
    from_ = r.choice(_PORTS)
    boxes = [f"SBLU{n:06}{r.randrange(10)}" for n in r.sample(range(10**6), bills)]
    segments = [
        f"UNH+{reference}+CUSCAR:D:95B:UN",
        f"BGM+933+MAN{r.randrange(10**10):010}+9",
        f"DTM+137:20260114{_clock(r)}:203",
        f"NAD+MS+SAOBIENLINES{r.randrange(1000):03}:172:20",
        f"TDT+20+{r.randrange(900):03}{r.choice('NSEW')}+1++SBLU:172:20:SAO BIEN LINES"
        f"+++{r.randrange(9000000, 9999999)}:146:11:{r.choice(_FIRST)} STAR:VN",
        f"LOC+9+{from_}:139:6",
        f"LOC+11+{port}:139:6:{city}",
        f"DTM+132:20260116{_clock(r)}:203",
    ]
    for box in boxes[: min(bills, 9_999)]:
        segments += [f"EQD+CN+{box}+{r.choice(_SIZES)}:102:5+++5", f"SEL+SB{r.randrange(10**7):07}"]
    segments += [f"CNT+7:{r.randrange(10**5, 10**8)}:KGM", f"CNT+10:{bills}"]
    for number, box in enumerate(boxes, 1):
        segments += _bill(r, number, box, from_, port, items, words)
    return _closed(segments, reference)


def _bill(
    r: random.Random, number: int, box: str, from_: str, port: str, items: int, words: int
) -> Iterator[str]:
    yield f"CNI+{number}"
    yield f"RFF+BM:SBL{from_[2:]}{r.randrange(10**9):09}"
    yield f"LOC+9+{from_}:139:6"
    yield f"LOC+11+{port}:139:6"
    yield f"NAD+CN+{r.randrange(10**9, 10**10)}++{_party(r)}"
    yield f"NAD+CZ+++{_party(r)}"
    for item in range(1, items + 1):
        goods, code = r.choice(_GOODS)
        text = ":".join(
            f"{goods} LOT {r.randrange(10**6):06}{', GRADE ' + r.choice('ABC') * 9:.20}"[:70].strip()
            for _ in range(words)
        )
        yield f"GID+{item}+{r.randrange(1, 999)}:{r.choice(_KINDS)}"
        yield f"FTX+AAA+++{text}"
        yield f"MEA+AAE+G+KGM:{r.randrange(1, 28_000)}.{r.randrange(1, 10)}"
        yield f"SGP+{box}"
        yield f"PCI+24+{''.join(r.choices(string.ascii_uppercase, k=3))} {r.randrange(1, 9999)}-1/{item}"
        yield f"CST++{code}:HS"


def report(line: str, number: int, name: str, bills: int, words: int = 1) -> str:
    """The same of a line with this identifier, under this name, with containers that there may be."""
    text = cuscar(str(number), number, bills, words=words)
    text = re.sub(r"NAD\+MS\+[A-Z0-9]+", f"NAD+MS+{line}", text)
    text = re.sub(r"BGM\+933\+[A-Z0-9]+", f"BGM+933+{name}", text)
    return re.sub(r"SBLU(\d{6})\d", lambda box: f"SBLU{box[1]}{container_check('SBLU' + box[1])}", text)


def cusdec(reference: str, seed: int, items: int = 2) -> str:
    """A CUSDEC D.96B with so many goods items."""
    r = random.Random(seed)
    segments = [
        f"UNH+{reference}+CUSDEC:D:96B:UN",
        f"BGM+929+DEC{r.randrange(10**10):010}+9",
        f"LOC+22+{r.randrange(1, 50):02}CC",
        f"LOC+9+{r.choice(_PORTS)}",
        f"LOC+11+{r.choice(_CITIES)[1]}",
        f"DTM+137:20260114{_clock(r)}:203",
        f"MEA+WT+AAD+KGM:{r.randrange(1, 28_000)}.{r.randrange(1, 10)}",
        f"RFF+BM:SBL{r.randrange(10**9):09}",
        f"NAD+IM+{r.randrange(10**9, 10**10)}++{_party(r)}",
        f"NAD+SE+++{_party(r)}",
        "TOD+++CIF",
        f"MOA+39:{r.randrange(100, 10**7)}.{r.randrange(10, 99)}:USD",
        "UNS+D",
    ]
    for item in range(1, items + 1):
        goods, code = r.choice(_GOODS)
        segments += [
            f"CST+{item}+{code}00:122",
            f"FTX+AAA+++{goods}",
            f"LOC+27+{r.choice(_PORTS)[:2]}",
            f"MEA+WT+AAF+KGM:{r.randrange(1, 28_000)}",
            f"PAC+{r.randrange(1, 999)}++{r.choice(_KINDS)}",
            f"MOA+38:{r.randrange(100, 10**7)}.{r.randrange(10, 99)}:USD",
        ]
    return _closed([*segments, "UNS+S", f"CNT+5:{items}"], reference)


def paxlst(reference: str, seed: int, crew: int = 4) -> str:
    """A PAXLST D.02B: a crew list."""
    r = random.Random(seed)
    segments = [
        f"UNH+{reference}+PAXLST:D:02B:UN",
        f"BGM+250+CREW{r.randrange(10**8):08}",
        "NAD+MS+++SAO BIEN LINES",
        f"TDT+20+{r.randrange(900):03}N+1++SBLU",
        f"DTM+132:20260116{_clock(r)}:203",
        f"LOC+9+{r.choice(_PORTS)}",
    ]
    for _ in range(crew):
        segments += [
            f"NAD+FM+++{r.choice(['TRAN', 'LE', 'PHAM', 'NGUYEN', 'VO'])}:{r.choice(_FIRST)}",
            f"ATT+2++{r.choice('MF')}",
            f"DTM+329:19{r.randrange(60, 99)}{r.randrange(1, 13):02}{r.randrange(1, 28):02}:102",
            "NAT+2+VNM",
            f"DOC+39+C{r.randrange(10**7):07}",
        ]
    return _closed([*segments, f"CNT+41:{crew}"], reference)


def interchange(messages: Iterable[str], reference: str = "BENCH1", sender: str = "SAOBIENLINES") -> bytes:
    """One interchange around messages."""
    return b"".join(pieces(messages, reference, sender))


def pieces(
    messages: Iterable[str], reference: str = "BENCH1", sender: str = "SAOBIENLINES"
) -> Iterator[bytes]:
    """The same, message by message: nothing is held."""
    yield HEAD.format(sender=sender, reference=reference).encode()
    count = 0
    for message in messages:
        count += 1
        yield message.encode()
    yield f"UNZ+{count}+{reference}'".encode()


def manifests(octets: int, seed: int = 0) -> Iterator[str]:
    """CUSCAR messages of about 10 KB, until there are so many octets."""
    made = number = 0
    while made < octets:
        number += 1
        message = cuscar(str(number), seed + number)
        made += len(message)
        yield message


def mixed(count: int) -> Iterator[str]:
    """Small messages, each different: CUSCAR, CUSDEC and PAXLST by turns."""
    for number in range(count):
        yield _MAKERS[number % len(_MAKERS)](str(number + 1), number)


def small(count: int) -> Iterator[bytes]:
    """Interchanges of one small message each, from many senders."""
    for number, message in enumerate(mixed(count)):
        yield interchange([message], f"S{number}", f"SENDER{number % 97}")


def _one_bill(reference: str, seed: int) -> str:
    return cuscar(reference, seed, 1)


_MAKERS: tuple[Callable[[str, int], str], ...] = (_one_bill, cusdec, paxlst)


def _closed(segments: list[str], reference: str) -> str:
    return "'".join([*segments, f"UNT+{len(segments) + 1}+{reference}"]) + "'"


def _clock(r: random.Random) -> str:
    return f"{r.randrange(24):02}{r.randrange(60):02}"


def _party(r: random.Random) -> str:
    """Name, street, city, postcode and country, from C080 to 3207."""
    name = f"{r.choice(_FIRST)} {r.choice(_TRADES)} {r.choice(_FORMS)}"[:35]
    city = r.choice(_CITIES)[0]
    street = f"{r.randrange(1, 999)} {r.choice(_STREETS)} STREET"
    return f"{name}+{street}+{city}++{r.randrange(100, 999)}000+VN"
