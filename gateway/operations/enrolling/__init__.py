"""Partners and mandates in files: TOML and CSV, streamed both ways, checked row by row."""

from gateway.operations.enrolling.checks import Broken, checked_mandate, checked_partner
from gateway.operations.enrolling.files import FORMATS, Row, read, write
from gateway.operations.enrolling.importing import Outcome, Rows, Survey, Told, bring_in, survey

__all__ = [
    "FORMATS",
    "Broken",
    "Outcome",
    "Row",
    "Rows",
    "Survey",
    "Told",
    "bring_in",
    "checked_mandate",
    "checked_partner",
    "read",
    "survey",
    "write",
]
