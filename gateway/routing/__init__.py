"""Addressing: who is proven, who may file what for whom, and how an answer finds its way back."""

from gateway.routing import identity
from gateway.routing.authority import (
    NOT_ENTITLED,
    ROLE_KINDS,
    Admission,
    admission,
    authority,
    declarant_place,
    kinds_of,
    sender,
)
from gateway.routing.ways import Envelope, edifact_route, placed, within, xml_route

__all__ = [
    "NOT_ENTITLED",
    "ROLE_KINDS",
    "Admission",
    "Envelope",
    "admission",
    "authority",
    "declarant_place",
    "edifact_route",
    "identity",
    "kinds_of",
    "placed",
    "sender",
    "within",
    "xml_route",
]
