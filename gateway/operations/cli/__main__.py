"""``python -m gateway.operations.cli``: the same as ``cvan``."""

from gateway.operations.cli.main import main

main()
