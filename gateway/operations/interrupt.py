"""While a command is being loaded Ctrl-C is silent and nothing is collected; the exit code of Ctrl-C."""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 130
"""The exit code of a command that SIGINT ended: 128 and the signal's number."""


@contextmanager
def silent_until_loaded() -> Iterator[None]:
    """Inside, SIGINT ends the process at once and without a word: nothing was begun that wants undoing.

    An exception would not do: raised in the midst of an import, it may come out as any other.
    A process that was told to ignore SIGINT goes on ignoring it.
    """
    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if ours:
        signal.signal(signal.SIGINT, _leave)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def uncollected() -> Iterator[None]:
    """Inside, the garbage collector rests: what is being loaded stays.  To walk it again and again takes a
    fourth of the time in which a command is imported, and half of that in which a home is read."""
    resting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if resting:
            gc.enable()


@contextmanager
def kept() -> Iterator[None]:
    """Inside, the garbage collector rests, and what is there in the end it never walks: a process keeps that.

    Its first round and the one at its end would walk all of it.  Measured: ``cvan --version`` takes 0.6 s, not 1.1.
    """
    with uncollected():
        yield
        gc.freeze()


def _leave(_number: int, _frame: FrameType | None) -> None:
    os._exit(INTERRUPTED)
