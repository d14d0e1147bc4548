"""EDIFACT security in neutral form (ISO 9735-5 and -6): what stands in an interchange, and which octets it is about.

Offsets count octets from the start of the interchange's file, as transmitted.  Coded values are as sent; "" where
left out.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from gateway.model.finding import Finding, Place

Components = tuple[str, ...]
Values = tuple[tuple[str, str], ...]
"""S508: (0563 qualifier, 0560 value) each."""


class Span(msgspec.Struct, frozen=True, array_like=True):
    """Octets from ``start`` up to, not with, ``end``."""

    start: int
    end: int


class Level(StrEnum):
    """What security is applied to."""

    INTERCHANGE = "interchange"
    GROUP = "group"
    MESSAGE = "message"
    PACKAGE = "package"


class SecurityParty(msgspec.Struct, frozen=True, omit_defaults=True):
    """S500: 0577, 0538, 0511, 0513, 0515 and 0586 up to three times."""

    qualifier: str = ""
    key: str = ""
    id: str = ""
    list: str = ""
    agency: str = ""
    names: Components = ()


class SecurityTime(msgspec.Struct, frozen=True, omit_defaults=True):
    """S501: 0517, 0338 (CCYYMMDD), 0314 (HHMMSS) and 0336 (offset from UTC, HHMM)."""

    qualifier: str = ""
    date: str = ""
    time: str = ""
    offset: str = ""


class Method(msgspec.Struct, frozen=True, omit_defaults=True):
    """USA: S502 (0523, 0525, 0533, 0527, 0529, 0591, 0601) and the S503 beside it (0531, 0554)."""

    use: str
    mode: str = ""
    mode_list: str = ""
    algorithm: str = ""
    algorithm_list: str = ""
    padding: str = ""
    padding_list: str = ""
    parameters: Values = ()
    place: Place = Place()

    def parameter(self, qualifier: str) -> str:
        """The value of the first parameter with this 0531, "" where there is none."""
        return next((value for name, value in self.parameters if name == qualifier), "")


class NamedCertificate(msgspec.Struct, frozen=True, omit_defaults=True):
    """USC and the USA after it: 0536, S500, 0545 and the algorithms of its owner."""

    reference: str = ""
    parties: tuple[SecurityParty, ...] = ()
    syntax: str = ""
    methods: tuple[Method, ...] = ()
    place: Place = Place()

    def party(self, qualifier: str) -> SecurityParty:
        """The first party with this 0577, an empty one where there is none."""
        return next((party for party in self.parties if party.qualifier == qualifier), SecurityParty())


class SecurityGroup(msgspec.Struct, frozen=True, omit_defaults=True):
    """A security header group and the trailer group that belongs to it, by 0534.

    ``service`` 0501, ``reference`` 0534, ``scope`` 0541, ``response`` 0503, ``filter`` 0505, ``sequence`` 0520,
    ``time`` S501, ``methods``: the algorithms not under a certificate.  ``values``: USR of the trailer, ``count``:
    0588, ``segments``: how many the pair has.  ``heading``: octets of the header group.  ``covered``: those that
    ``scope`` names; none where it names nothing that this pair could cover.
    """

    service: str
    reference: str
    scope: str = ""
    response: str = ""
    filter: str = ""
    charset: str = ""
    role: str = ""
    parties: tuple[SecurityParty, ...] = ()
    sequence: str = ""
    time: SecurityTime | None = None
    methods: tuple[Method, ...] = ()
    certificates: tuple[NamedCertificate, ...] = ()
    values: Values = ()
    count: str = ""
    segments: int = 0
    heading: Span = Span(0, 0)
    covered: tuple[Span, ...] = ()
    place: Place = Place()
    trailer: Place = Place()


class LinkedResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """USY: 0534 of the header group that says how it was made, S508, 0571."""

    reference: str
    values: Values = ()
    error: str = ""
    place: Place = Place()


class SecuredReference(msgspec.Struct, frozen=True, omit_defaults=True):
    """USX and the USY after it: 0020, S002, S003, 0048, S006, S007, 0062, S009, 0800, S501."""

    interchange: str
    sender: Components = ()
    recipient: Components = ()
    group: str = ""
    group_sender: Components = ()
    group_recipient: Components = ()
    message: str = ""
    identifier: Components = ()
    package: str = ""
    time: SecurityTime | None = None
    results: tuple[LinkedResult, ...] = ()
    place: Place = Place()


class Autack(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an AUTACK says (ISO 9735-6): USB (0503, S501, S002, S003) and the structures that it names."""

    response: str = ""
    time: SecurityTime | None = None
    sender: Components = ()
    recipient: Components = ()
    references: tuple[SecuredReference, ...] = ()


class Structure(msgspec.Struct, frozen=True, omit_defaults=True):
    """An interchange, a group, a message or a package, secured or not.

    ``ordinal``: of a message, from 1 in the interchange.  ``reference``: 0020, 0048, 0062 or 0800.
    ``identifier``: S009.  ``span``: from its header's first octet to its trailer's terminator; ``last``: offset of
    the trailer's tag.  ``around``: UNA and the headers of all that it is in, and its own: what is read of it and
    stands before its security.  ``inner``: all between its header and its trailer; ``body``: of that, what stands
    between security headers and trailers.  ``inside``: which structure of the survey it is in, -1 for the
    interchange.  ``groups``: outermost first; empty where ``findings`` say that they do not fit together.
    """

    level: Level
    reference: str
    span: Span
    last: int = -1
    ordinal: int = 0
    identifier: Components = ()
    inside: int = -1
    around: tuple[Span, ...] = ()
    inner: Span = Span(0, 0)
    body: Span = Span(0, 0)
    groups: tuple[SecurityGroup, ...] = ()
    secured: bool = False
    findings: tuple[Finding, ...] = ()
    autack: Autack | None = None
    place: Place = Place()


class Survey(msgspec.Struct, frozen=True, omit_defaults=True):
    """What stands where in one interchange; the interchange itself comes first.

    ``structures``: in the order of their headers.  ``usual``: the service characters are syntax 4's own.
    ``certificates``: objects of packages that carry one.
    """

    structures: tuple[Structure, ...] = ()
    version: str = ""
    level: str = ""
    usual: bool = True
    sender: Components = ()
    recipient: Components = ()
    certificates: tuple[bytes, ...] = ()

    @property
    def secured(self) -> bool:
        """True where anything in it has a segment of security."""
        return any(structure.secured for structure in self.structures)


class Received(msgspec.Struct, frozen=True, omit_defaults=True):
    """A structure whose signer asks for an acknowledgement (0503 = 2).

    ``named``: how an AUTACK names it.  ``digest``: SHA-256 of its octets as received.  ``error``: 0571 where it
    was refused, "" where it is proven.
    """

    named: SecuredReference
    digest: bytes
    error: str = ""
