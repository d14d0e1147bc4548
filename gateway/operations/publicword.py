"""Who calls, by a public authority's word: tax codes in the certificates that TLS proved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

import msgspec

from gateway import inbound, security
from gateway.handbook import Handbook
from gateway.operations.revoking import CALLING
from gateway.transport.call import Head


class PublicWord:
    """As for signatures: a tax code is believed only where the chain ends at a public authority."""

    def __init__(self, handbook: Callable[[], Handbook], clock: Callable[[], datetime]) -> None:
        self._handbook = handbook
        self._clock = clock

    def tax_codes(self, head: Head) -> Iterator[str]:
        """Those in a caller's certificate; none where its chain does not reach a public authority."""
        if not head.certificates:
            return
        handbook = self._handbook()
        policy = msgspec.structs.replace(handbook.policy, purposes=CALLING, certificate_policies=frozenset())
        try:
            chain = handbook.trust.certify(head.certificates, policy, self._clock())
        except security.Refused:
            return
        yield from inbound.tax_codes(chain.signer)
