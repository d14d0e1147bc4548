"""The ``cvan`` command: everything an operator, a partner's developer or an officer does by hand."""

from gateway.operations.interrupt import kept, silent_until_loaded

with silent_until_loaded(), kept():
    from gateway.operations.cli.main import cvan, main

__all__ = ["cvan", "main"]
