"""Documents whose octets are canonical as they came, all but the signature: then nothing is written anew to be
digested, and the signature can be read by its own octets.

``_plain.c`` finds them, where there was a compiler at installation.  What it does not find, or nobody looked for,
the library canonicalises: the octets are the same either way, and that is the definition.
"""

from __future__ import annotations

import msgspec
from lxml import etree

from gateway.security.xmldsig.canonical import EXCLUSIVE

try:
    from gateway.security.xmldsig import _plain as compiled
except ImportError:  # nothing was compiled at installation
    compiled = None  # type: ignore[assignment]


class Plain(msgspec.Struct, frozen=True):
    """A body that is a plain document: where the document begins, its Signature (the root's last child) begins and
    ends, and the document ends.  ``idle``: it declares namespaces where nothing uses them."""

    body: bytes
    opening: int
    start: int
    end: int
    closing: int
    idle: bool

    def signature(self) -> bytes:
        """The Signature element as it was received."""
        return self.body[self.start : self.end]

    def is_canonical(self, method: str) -> bool:
        """Whether `content` is what a method makes of it: the exclusive one keeps no idle namespaces."""
        return not (self.idle and method == EXCLUSIVE)

    def content(self) -> bytes:
        """The document in its canonical octets, without the signature."""
        return self.body[self.opening : self.start] + self.body[self.end : self.closing]


def plain_of(body: bytes, root: etree._Element, signature: etree._Element) -> Plain | None:
    """``root``: what ``safexml.parse`` made of the body; ``signature``: the only one in it.  None for a body that is
    not plain, or not certainly so."""
    found = None if compiled is None or len(root) == 0 or root[-1] is not signature else compiled.find(body)
    return None if found is None else Plain(body, *found)
