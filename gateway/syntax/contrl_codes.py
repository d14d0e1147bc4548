"""Which syntax error codes (0085) each level of a CONTRL may tell, and the nearest one where a code may not
be told (ISO 9735-4)."""

from __future__ import annotations

UNSPECIFIED = "18"  # usable everywhere

_LAST_3 = 44  # the list of syntax 1 to 3 ends here
_LAST_4 = 47  # that of syntax 4 (48 came with a later list)
_OLD = frozenset(map(str, (1, 3, 4, 5, 6, 8, 9, 10, 11)))  # of syntax 1 and 2, gone from the list since

_EVERYWHERE = frozenset(map(str, (13, 15, 16, 18, 21, 22, 45)))
_VALUES = _EVERYWHERE | set(map(str, (12, 14, 19, 37, 38, 39, 40)))  # wherever an element can be named
OF_SERVICE = frozenset(map(str, (17, 25, 26, 27, 28, 29, 47)))  # only where a service segment is judged
_SERVICE = _VALUES | OF_SERVICE

USABLE: dict[str, frozenset[str]] = {
    "UCI": _SERVICE | set(map(str, (2, 7, 20, 23, 24, 30, 32, 33, 41, 42, 43, 44, 46))),
    "UCF": _SERVICE | set(map(str, (24, 31, 32, 33))),
    "UCM": _SERVICE,
    "UCS": _EVERYWHERE | {"34", "35", "36", "48"},
    "UCD": _VALUES | {"48"},
}
"""Codes by the segment that tells them."""

NEAREST: dict[str, str] = {
    "2": "14",  # a syntax that is not supported: a value that is not supported here
    "7": "14",
    "12": "21",  # an invalid value, where no element can be named: invalid characters of the segment
    "14": "15",  # a value that is not supported here: a constituent that is not
    "17": "14",
    "19": "12",
    "20": "22",
    "23": "14",
    "24": "12",
    "25": "14",
    "26": "12",
    "27": "15",
    "28": "12",
    "29": "12",
    "30": "15",
    "31": "15",
    "32": "13",  # nothing in it: what should be there is missing
    "33": "15",
    "34": "15",
    "35": "16",  # too many repeats: too many constituents
    "36": "16",
    "37": "12",
    "38": "19",
    "39": "16",  # a segment that is too long
    "40": "13",
    "43": "7",
    "45": "16",  # separators after the last constituent
    "46": "2",  # before syntax 4 the character set is the syntax level
    "47": "15",
    "48": "13",
}
"""The code that says most of what another one says."""


def listed(code: str, version: str) -> bool:
    """True where the code list of a syntax version has the code still."""
    if not code.isascii() or not code.isdigit() or code in _OLD or code == "0":
        return False
    return int(code) <= (_LAST_4 if version == "4" else _LAST_3)


def usable(code: str, level: str, version: str) -> bool:
    """True where the segment ``level`` (``UCI`` to ``UCD``) may tell the code under a syntax version."""
    return listed(code, version) and code in USABLE[level]


def nearest(code: str, level: str, version: str) -> str:
    """The code itself where it is usable, else the nearest one that is; 18 where none is near."""
    passed: set[str] = set()
    while not usable(code, level, version):
        passed.add(code)
        code = NEAREST.get(code, UNSPECIFIED)
        if code in passed:
            return UNSPECIFIED
    return code
