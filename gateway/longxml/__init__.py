"""Documents that are not held: gone through as they come, within the bounds of ``safexml``.

libxml2 builds the tree, and what is complete of it is taken and let go of, so that it never grows.  Octets are looked
at before libxml2 sees them; where they do not tell for certain what only a whole document tells (a mark of a document
type that is text, perhaps), it is refused here, and read by ``safexml.parse`` where it may be held.
"""

from gateway.longxml.outline import MAX_LEFT, faults, outline
from gateway.longxml.passage import Invalid, Taker, go_through
from gateway.longxml.watch import Odd

__all__ = ["MAX_LEFT", "Invalid", "Odd", "Taker", "faults", "go_through", "outline"]
