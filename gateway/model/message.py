"""What travels: the submission that came in, the verdict on it, what goes out and where it is due."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum

import msgspec

from gateway.model.correction import Correction
from gateway.model.finding import Finding
from gateway.model.tree import Declaration, Kind


class Submission(msgspec.Struct, frozen=True):
    """Bytes as they arrived on a channel from an authenticated transport partner.

    ``id``: sortable, unique, given at the door.  ``media_type``: the full Content-Type value.
    ``partner``: the transport's partner (who connected, not who signed).  ``digest``: hex SHA-256
    of ``body``.  ``received_at``: aware, UTC.  ``file``: the path of a large one's octets, whose ``body`` is
    empty; they stay there as long as it is worked on.
    """

    id: str
    partner: str
    channel: str
    media_type: str
    body: bytes
    digest: str
    received_at: datetime
    file: str = ""


class Signer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who signed, from the certificate that proved it: RFC 4514 names, hex serial and SHA-256.

    ``signed_at``: as the signer says; ``stamped_at``: as a verified time stamp (RFC 3161) says.
    ``level``: of a XAdES or CAdES signature, ``B``, ``T``, ``LT`` or ``LTA``.  ``profile``: the legacy profile
    that admitted the signature, "" for none.  ``public``: the certificate is of an authority that the
    operator named a public one, whose subjects' identifiers (tax codes) are to be believed.  ``policy``:
    the identifier of the signature policy that the signer names (XAdES, CAdES); it is not fetched.
    """

    subject: str
    issuer: str
    serial: str
    fingerprint: str
    algorithm: str
    certificate: bytes = b""
    signed_at: datetime | None = None
    stamped_at: datetime | None = None
    level: str = ""
    profile: str = ""
    public: bool = False
    policy: str = ""


class Revocation(StrEnum):
    """What was known of the certificates' revocation when a message was proven.

    ``good``: every certificate below the anchor was found good.  ``unknown``: nobody could say, and the
    policy accepted that.  ``unchecked``: the policy asks for no check.
    """

    GOOD = "good"
    UNKNOWN = "unknown"
    UNCHECKED = "unchecked"


class Proof(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the proof of a signer rested on, kept to be shown again in years; everything in DER.

    ``certificates``: the signer's first, the anchor last.  ``responses``: the OCSP responses and CRLs that
    were relied on.  ``stamps``: verified time-stamp tokens, and ``stampers``: their signers' chains.
    """

    certificates: tuple[bytes, ...] = ()
    revocation: Revocation = Revocation.UNCHECKED
    responses: tuple[bytes, ...] = ()
    stamps: tuple[bytes, ...] = ()
    stampers: tuple[bytes, ...] = ()


class Route(msgspec.Struct, frozen=True, omit_defaults=True):
    """How an answer finds its way back: to whom, by which channel, in which syntax.

    ``partner``: who filed (the VAN where a VAN filed).  ``principal``: for whom (who signed).
    ``syntax``: ``xml`` or ``edifact``; ``table``: the mapping table to answer with; ``envelope``: how
    EDIFACT is signed, ``multipart/signed`` or ``application/pkcs7-mime``.  For EDIFACT the parties
    and the message identifier as the sender wrote them (``TYPE:VERSION:RELEASE:AGENCY[:ASSOC]``).
    """

    partner: str
    principal: str
    channel: str
    syntax: str
    table: str = ""
    envelope: str = ""
    reference: str = ""
    identifier: str = ""
    syntax_identifier: str = ""
    sender: tuple[str, ...] = ()
    recipient: tuple[str, ...] = ()
    language: str = "en"
    test: bool = False


class Outcome(StrEnum):
    """What became of a message, and of a submission (partly: some of its messages)."""

    ACCEPTED = "accepted"
    PARTLY = "partly"
    REJECTED = "rejected"
    REPEATED = "repeated"


ACCEPTED = Outcome.ACCEPTED
REJECTED = Outcome.REJECTED


class Judged(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message of a submission and its outcome.

    ``ordinal`` from 1; ``type``: CUSCAR, CUSDEC, IM, CRI, camt.054 ...; ``reference``: the message's
    own (EDIFACT 0062); ``identifier``: EDIFACT S009 as sent (``CUSCAR:D:95B:UN``); ``lrn``: the
    declarant's reference (WCO D026); ``declaration`` only where accepted.  ``mandates``: ids of the mandates
    that admitted it, and ``form``: in which form of signatures the agent acted (``both``, ``principal``,
    ``agent``); empty where nobody acted for another.  ``answer_by``: when customs has decided at the latest, as
    was agreed.
    """

    ordinal: int
    type: str
    reference: str
    outcome: Outcome
    identifier: str = ""
    lrn: str = ""
    function: str = ""
    kind: Kind | None = None
    findings: tuple[Finding, ...] = ()
    declaration: Declaration | None = None
    mandates: tuple[str, ...] = ()
    form: str = ""
    answer_by: datetime | None = None


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """The journey's answer on a submission; made by a pure function.

    ``reference``: the submission's own (EDIFACT 0020, WCO FunctionalReferenceID, camt MsgId).
    ``claim``: the reference within its name space (``UNB:4711``, ``IM:LRN-1``); with ``partner``
    (the signer's) it is the key of duplicates.  ``messages``: in their order; of a large submission on a shelf, gone
    through as often as one likes.  ``findings``: those about the whole.  ``carrier``: who
    signed around the signer's own signature (a VAN around a trader's), where two were made.
    """

    outcome: Outcome
    reference: str
    partner: str
    route: Route
    claim: str = ""
    messages: Collection[Judged] = ()
    findings: tuple[Finding, ...] = ()
    signer: Signer | None = None
    proof: Proof = Proof()
    carrier: Signer | None = None
    carrier_proof: Proof = Proof()


class Outgoing(msgspec.Struct, frozen=True, omit_defaults=True):
    """A signed message to a partner, as it is stored and sent: an entry of its mailbox.

    ``kind``: ``receipt`` or a decision's kind.  ``about``: the submission's id, or a message's
    (``submission-id.ordinal``).  ``reference``: the sender's reference that it answers.
    """

    id: str
    partner: str
    kind: str
    about: str
    reference: str
    media_type: str
    body: bytes
    created_at: datetime


class Delivery(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something due at a destination: ``backend:NAME`` (``payload``: a message's id) or
    ``push:PARTNER`` (``payload``: an outgoing's id).  ``id`` is what the receiver deduplicates on.
    ``lane``: within a lane of a destination nothing passes what came before; "" where no order is kept.
    ``urgent``: before all of its destination that are not."""

    id: str
    destination: str
    payload: str
    due_at: datetime
    attempts: int = 0
    error: str = ""
    lane: str = ""
    urgent: bool = False


class Handover(msgspec.Struct, frozen=True):
    """A declaration given to the back end.

    ``delivery``: the deduplication key: a second handover with the same key has no second effect.
    ``message``: the gateway's message id, to be named in every decision about it.
    ``filer`` and ``principal``: partner ids of who filed and for whom.  ``correction``: what of the
    declaration is an operator's and not the filer's, or None.
    """

    delivery: str
    message: str
    filer: str
    principal: str
    received_at: datetime
    declaration: Declaration
    correction: Correction | None = None


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of a timeline: what happened to a submission or message, when; never content."""

    about: str
    at: datetime
    what: str
    detail: str = ""


class Answer(msgspec.Struct, frozen=True):
    """What the door says: the outcome, the submission it was first given for, the signed receipt."""

    submission: str
    outcome: Outcome
    receipt: Outgoing
    repeated: bool = False


class Pending(msgspec.Struct, frozen=True):
    """What the door says of a submission that is durably kept, but can not be judged yet.

    ``findings``: what it waits for.  The receipt will be in the mailbox.
    """

    submission: str
    findings: tuple[Finding, ...]
    repeated: bool = False
