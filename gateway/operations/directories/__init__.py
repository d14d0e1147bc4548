"""Directories from elsewhere: releases as UNECE publishes them, and tables in our own format."""

from gateway.operations.directories.importing import Imported, Refusal, import_tables

__all__ = ["Imported", "Refusal", "import_tables"]
