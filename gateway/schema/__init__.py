"""Which schema a document belongs to, whether it keeps it, and where it does not."""

from gateway.schema.pack import Added, add_pack
from gateway.schema.registry import MAX_FINDINGS, SchemaEntry, Schemas

__all__ = ["MAX_FINDINGS", "Added", "SchemaEntry", "Schemas", "add_pack"]
