"""Partners and mandates of every kind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from gateway.model import Channel, Credential, Form, Kind, Limits, Mandate, Partner, Role, Terms, Use
from gateway.model.edifact import Acknowledging, Agreement

NOW = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)
IDS = st.sampled_from([f"p{n}" for n in range(6)])
KINDS = st.lists(st.sampled_from([k.value for k in Kind]), max_size=3, unique=True).map(tuple)
TIMES = st.none() | st.integers(-3, 3).map(lambda n: NOW + timedelta(seconds=n))
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12).filter(
    lambda t: not t.isspace()
)
LISTS = st.lists(WORDS, max_size=3, unique=True).map(tuple)


def fingerprint(number: int) -> str:
    return f"{number:064x}"


CREDENTIALS = st.builds(
    Credential,
    fingerprint=st.integers(0, 12).map(fingerprint),
    uses=st.lists(st.sampled_from(Use), min_size=1, max_size=3, unique=True).map(tuple),
    active_from=TIMES,
    active_to=TIMES,
    algorithms=st.sampled_from([(), ("rsa-pss-sha256",), ("ecdsa-sha256", "ed25519")]),
    subject=WORDS,
    expires_at=TIMES,
    note=st.text(st.characters(codec="utf-8"), max_size=8),
    certificate=st.binary(max_size=20),
)
AGREEMENTS = st.builds(
    Agreement,
    tolerated=LISTS,
    message=st.sampled_from(["", "CUSCAR:D:95B:UN"]),
    packages=st.booleans(),
    acknowledging=st.sampled_from(Acknowledging),
)
TERMS = st.builds(Terms, messages=LISTS, channels=LISTS, envelopes=LISTS, profiles=LISTS)
PARTNERS = st.builds(
    Partner,
    id=IDS,
    name=WORDS,
    roles=st.lists(st.sampled_from(Role), max_size=2, unique=True).map(tuple),
    identifiers=st.lists(st.sampled_from([f"i{n}" for n in range(9)]) | WORDS, max_size=2, unique=True).map(
        tuple
    ),
    subjects=st.lists(st.sampled_from([f"CN={n}" for n in range(9)]) | WORDS, max_size=2, unique=True).map(
        tuple
    ),
    token_digest=st.sampled_from(["", *map(fingerprint, range(4))]),
    channel=st.sampled_from(Channel),
    push_url=st.sampled_from(["", "https://a.example/x"]),
    types=KINDS,
    limits=st.builds(Limits, st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)),
    language=st.sampled_from(["en", "vi"]),
    active=st.booleans(),
    edifact=AGREEMENTS,
    credentials=st.lists(CREDENTIALS, max_size=2, unique_by=lambda c: c.fingerprint).map(tuple),
    terms=TERMS,
)
MANDATES = st.builds(
    Mandate,
    id=st.sampled_from([f"m{n}" for n in range(8)]),
    agent=IDS,
    principal=IDS,
    types=KINDS,
    valid_from=TIMES,
    valid_to=TIMES,
    revoked_at=TIMES,
    offices=st.lists(st.sampled_from(["18A3", "02CI"]), max_size=2, unique=True).map(tuple),
    form=st.sampled_from(Form),
)
