"""A home put away whole while it serves, and brought back elsewhere.

A backup is one tar file: the home's files, its databases as they were at one moment, and last a manifest
with the digest of everything.  Without its manifest it is no backup, so a broken one is never taken for a whole.
"""

from gateway.operations.backup.making import Made, make
from gateway.operations.backup.manifest import Broken, Manifest, Position, check
from gateway.operations.backup.restoring import Refusing, restore
from gateway.operations.backup.servers import Unable
from gateway.operations.backup.snapshot import Busy

__all__ = [
    "Broken",
    "Busy",
    "Made",
    "Manifest",
    "Position",
    "Refusing",
    "Unable",
    "check",
    "make",
    "restore",
]
