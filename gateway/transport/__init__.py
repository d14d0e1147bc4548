"""The doors: HTTPS in, HTTPS push out, and the client; thin Twisted skins over code that knows no socket."""

from gateway.transport.access import AccessLog
from gateway.transport.bounds import Bounds
from gateway.transport.client import Client, Declined, Fetched, Receipt
from gateway.transport.door import Door
from gateway.transport.exchange import Unreachable
from gateway.transport.fetch import Fetch, FetchFailed
from gateway.transport.listener import Listener, listen, listen_operations
from gateway.transport.metrics import Metrics
from gateway.transport.offers import DoorSettings
from gateway.transport.push import Push, PushFailed
from gateway.transport.push import checked as checked_push_url
from gateway.transport.refusals import RefusalLog
from gateway.transport.routes import FOR_OPERATORS, METRICS, OPERATIONS, PARTNERS
from gateway.transport.services import (
    Entry,
    MessageStatus,
    Overloaded,
    Refusal,
    Said,
    Services,
    Status,
    said,
)
from gateway.transport.spool import Spool
from gateway.transport.tls import ClientTls, ServerTls, Unusable

__all__ = [
    "FOR_OPERATORS",
    "METRICS",
    "OPERATIONS",
    "PARTNERS",
    "AccessLog",
    "Bounds",
    "Client",
    "ClientTls",
    "Declined",
    "Door",
    "DoorSettings",
    "Entry",
    "Fetch",
    "FetchFailed",
    "Fetched",
    "Listener",
    "MessageStatus",
    "Metrics",
    "Overloaded",
    "Push",
    "PushFailed",
    "Receipt",
    "Refusal",
    "RefusalLog",
    "Said",
    "ServerTls",
    "Services",
    "Spool",
    "Status",
    "Unreachable",
    "Unusable",
    "checked_push_url",
    "listen",
    "listen_operations",
    "said",
]
