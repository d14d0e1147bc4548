"""Every step of a bundle's verification, in the order in which one thing rests on the other."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from xml.etree.ElementTree import ParseError

from .container import CONTAINER, MANIFEST, SEAL, Damaged, unpack
from .contents import contents
from .journal import checkpoints, entries
from .knowing import Known, known, sealer
from .members import INDEX, OK, UNKNOWN, WRONG, Bundle, Step, stray
from .signatures import received, seal, sent
from .tools import Tools

BROKEN = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError, ParseError)
"""What somebody else's file can do to who reads it."""
SEALED_ONLY = ("README.txt", "verify.pyz", "verify.sh")
"""Words and programs of who sealed the bundle: nothing else vouches for them."""


def verify(data: bytes, trust: Sequence[str] = (), gateway: Sequence[str] = ()) -> list[Step]:
    """Every step; see `Known` for ``trust`` and ``gateway``.  Raises ValueError, OSError for what these name
    only."""
    given = Known(trust, gateway)
    try:
        files = unpack(data)
    except Damaged as damaged:
        return [(WRONG, damaged.name, damaged.reason)]
    if not {MANIFEST, SEAL, INDEX} <= set(files):
        return [(WRONG, CONTAINER, "no evidence bundle")]
    strays = list(stray(files))
    if strays:
        return strays
    steps: list[Step] = []
    with tempfile.TemporaryDirectory(prefix="evidence-") as folder:
        try:
            for step in _steps(files, Tools(Path(folder), files), given):
                steps.append(step)
        except BROKEN as error:
            steps.append((WRONG, INDEX, f"not as a bundle has it: {type(error).__name__} {error}"))
    return steps


def _steps(files: Mapping[str, bytes], tools: Tools, given: Known) -> Iterator[Step]:
    bundle = Bundle(files, tools)
    manifest = list(bundle.manifest())
    yield from manifest
    # Is it the file or the manifest that was changed?  The signature tells.
    sealed = list(seal(bundle))
    yield from sealed
    if any(state == WRONG for state, _, _ in (*manifest, *sealed)):
        return
    yield from bundle.facts()
    yield from checkpoints(bundle)
    yield from sealer(bundle, given)
    yield from entries(bundle)
    yield from contents(bundle)
    yield from received(bundle)
    yield from sent(bundle)
    odd = list(bundle.certificates())
    yield from odd
    for name in (n for n in SEALED_ONLY if n in files):
        yield OK, name, "sealed; it is no evidence itself"
    if not odd:
        yield from known(bundle, given)


def code_of(steps: Sequence[Step]) -> int:
    """The exit code."""
    states = {state for state, _, _ in steps}
    return 1 if WRONG in states else 2 if UNKNOWN in states else 0


def lines(steps: Sequence[Step]) -> list[str]:
    """For a person."""
    told = [f"{state:8}{what}: {' '.join(why.split())}" for state, what, why in steps]
    return [*told, ("VERIFIED", "WRONG", "NOT ALL VERIFIED")[code_of(steps)]]
