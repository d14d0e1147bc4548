"""A refusal goes from a worker process to a door whole, and says no more in its text than codes."""

from __future__ import annotations

import copy
import pickle

from hypothesis import given
from hypothesis import strategies as st

from gateway.model import Finding, Place, Severity
from gateway.security import Refused

TEXTS = st.text(max_size=40)
FINDINGS = st.builds(
    Finding,
    code=st.sampled_from(["SIG001", "SIG024", "XML004"]),
    place=st.builds(Place, part=TEXTS, line=st.integers(0, 10**6)),
    expected=TEXTS,
    found=TEXTS,
    severity=st.sampled_from(Severity),
)


class Narrower(Refused):
    """As an engine of its own may raise."""


@given(st.lists(FINDINGS, min_size=1, max_size=5).map(tuple), st.sampled_from([Refused, Narrower]))
def test_it_is_pickled_whole(findings: tuple[Finding, ...], kind: type[Refused]) -> None:
    first = kind(findings)
    for again in (pickle.loads(pickle.dumps(first)), copy.copy(first)):
        assert type(again) is kind
        assert again.findings == findings
        assert (again.code, str(again)) == (first.code, str(first))
