"""The journal's entries, the checkpoints over them, and time stamps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .hashes import climb
from .members import OK, UNKNOWN, WRONG, Bundle, Step
from .tools import epoch

TITLE = "cvan journal checkpoint 1"
_HEAD = ("number", "at", "previous", "entries", "root", "key")
CLOCKS = 300
"""Seconds that clocks may differ."""


class Checkpoint:
    """What a checkpoint's text says.  Raises ValueError, IndexError where it is none."""

    def __init__(self, text: bytes) -> None:
        lines = text.decode("ascii").split("\n")
        said = [line.partition(": ") for line in lines[1:7]]
        if lines[0] != TITLE or tuple(name for name, _, _ in said) != _HEAD or lines[-1]:
            raise ValueError("no checkpoint")
        self.number, self.at, _, _, self.root, self.key = (value for _, _, value in said)
        self.spans = [line.split(" ") for line in lines[7:-1]]
        if any(len(span) != 5 or span[0] != "chain:" for span in self.spans):
            raise ValueError("no checkpoint")

    def holds(self, chain: str, seq: int) -> bool:
        """Whether an entry of this number of this chain is under it."""
        return any(span[1] == chain and int(span[2]) <= seq <= int(span[3]) for span in self.spans)


def checkpoints_of(bundle: Bundle) -> dict[str, Checkpoint]:
    """By the name of their file without its ending."""
    names = [n for n in sorted(bundle.files) if n.startswith("checkpoints/") and n.endswith(".txt")]
    return {n[:-4]: Checkpoint(bundle.files[n]) for n in names}


def checkpoints(bundle: Bundle) -> Iterator[Step]:
    """Every checkpoint is signed by the key that it names, and stamped where it has a stamp."""
    found = checkpoints_of(bundle)
    for name, told in found.items():
        if name != f"checkpoints/{told.number}":
            yield WRONG, f"{name}.txt", "another number"
        folder = bundle.own(told.key)
        if not folder or f"{name}.sig" not in bundle.files:
            yield WRONG, f"{name}.txt", "names another key"
            continue
        yield signed(bundle, f"{name}.sig", f"{name}.txt", folder)
        yield from bundle.rests(folder, told.at)
        if f"{name}.tst" in bundle.files:
            yield from _stamped(bundle, name, f"stamper-{told.number}")
    for name in bundle.files:
        if name.startswith("checkpoints/") and name[:-4] not in found:
            yield WRONG, name, "of no checkpoint"


def signed(bundle: Bundle, signature: str, octets: str, folder: str) -> Step:
    """A raw signature of a chain's key over a file."""
    certificate = bundle.chain(folder)[0]
    good, words = bundle.tools.signed(certificate, signature, octets)
    return (OK if good else WRONG), signature, f"signature of {certificate}" if good else words


def _stamped(bundle: Bundle, name: str, folder: str) -> Iterator[Step]:
    """A time stamp over a checkpoint's signature: it was there at the time that the stamp itself says."""
    token, over = f"{name}.tst", ("-data", f"{name}.sig")
    if not bundle.chain(folder):
        yield UNKNOWN, token, "no certificates of the time-stamp authority"
        return
    at, _, _ = bundle.tools.stamp(token)
    good, words = stamp(bundle, token, over, folder, at)
    yield (OK if good else WRONG), token, f"stamped at {at}" if good else words


def stamp(bundle: Bundle, token: str, over: Sequence[str], folder: str, at: str) -> tuple[bool, str]:
    """Whether a time stamp is that of a chain's authority, and not of a later day than the chain's."""
    chain = bundle.chain(folder)
    bundle.used.setdefault(folder, set()).add(at)
    return bundle.tools.stamped(token, over, chain[:-1], chain[-1], at)


def entries(bundle: Bundle) -> Iterator[Step]:
    """Every entry is under the root of a checkpoint, and each is another one."""
    held, seen = checkpoints_of(bundle), set()
    for name, told in bundle.entries.items():
        place = (told["chain"], told["seq"])
        if place in seen:
            yield WRONG, name, "twice"
        seen.add(place)
        under = [one for one in held.values() if one.holds(*place)]
        path = name.replace(".txt", ".path")
        if not under and path not in bundle.files:
            yield UNKNOWN, name, "no checkpoint holds it yet"
        elif not under or climb(bundle.files[name], bundle.files[path].decode("ascii")) != under[0].root:
            yield WRONG, name, "not under a checkpoint"
        else:
            yield OK, name, f"under checkpoint {under[0].number}"
    for name in bundle.files:
        if name.startswith("journal/") and name.rpartition(".")[0] + ".txt" not in bundle.entries:
            yield WRONG, name, "of no entry"


def within(at: str, first: str, last: str) -> bool:
    """Whether a time is from the first to the last, as far as clocks agree."""
    return epoch(first) - CLOCKS <= epoch(at) <= epoch(last) + CLOCKS
