"""The ``cvan`` command: everything an operator, a partner's developer or an officer does by hand."""

from gateway.operations.interrupt import silent_until_loaded, uncollected

with silent_until_loaded(), uncollected():
    from gateway.operations.cli.main import cvan, main

__all__ = ["cvan", "main"]
